"""Put a fault into the verifier: one function's text is changed, compiled, and its code exchanged in place.

As the function object stays the same, everybody who imported it has the wrong one, closures that it makes included.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

from userbpf.verifier import domain, helper_call, prune


class Gone(LookupError):
    """The text that a fault changes is not in the verifier any more (or stands there twice): write the fault anew."""


@cache
def _source(module: str) -> tuple[str, ast.Module]:
    text = inspect.getsource(importlib.import_module(module))
    return text, ast.parse(text)


def _node(tree: ast.AST, path: list[str]) -> ast.AST:
    for name in path:
        found = [n for n in ast.iter_child_nodes(tree) if getattr(n, "name", None) == name]
        if not found:
            raise Gone(f"no {'.'.join(path)}")
        tree = found[0]
    return tree


def _code(code: types.CodeType, qualname: str) -> types.CodeType:
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if const.co_qualname == qualname:
                return const
            if qualname.startswith(const.co_qualname + "."):
                return _code(const, qualname)
    raise Gone(f"no {qualname}")


def forget() -> None:
    """What the verifier remembers between programs."""
    domain.forget()
    for memo in (prune._plain, prune._safe_bytes, helper_call._bounds_known):
        memo.clear()


@contextlib.contextmanager
def injected(module: str, function: str, old: str, new: str) -> Iterator[None]:
    """With `old` replaced by `new` in `function` of `userbpf.verifier.<module>`."""
    name = f"userbpf.verifier.{module}"
    text, tree = _source(name)
    node: Any = _node(tree, function.split("."))
    lines = text.splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno
    body = "".join(lines[first:last])
    if body.count(old) != 1:
        raise Gone(f"{name}.{function}: {old!r} stands there {body.count(old)} times")
    wrong = "".join(lines[:first]) + body.replace(old, new) + "".join(lines[last:])
    target: Any = importlib.import_module(name)
    path = []
    for part in function.split("."):
        if inspect.isfunction(target):
            break  # a function within a function comes with its outer one
        target = inspect.getattr_static(target, part)
        path.append(part)
    target = inspect.unwrap(getattr(target, "__func__", target))
    right = target.__code__
    forget()
    target.__code__ = _code(compile(wrong, f"{name} with a fault", "exec", dont_inherit=True), ".".join(path))
    try:
        yield
    finally:
        target.__code__ = right
        forget()
