"""Put a fault into the verifier: one function's text is changed, compiled, and its code exchanged in place.

As the function object stays the same, everybody who imported it has the wrong one, closures that it makes included.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import dis
import importlib
import inspect
import textwrap
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

from userbpf.verifier import domain, helper_call, prune


class Gone(LookupError):
    """The text that a fault changes is not in the verifier any more (or stands there twice): write the fault anew."""


@cache
def _source(module: str) -> tuple[list[str], ast.Module]:
    text = inspect.getsource(importlib.import_module(module))
    return text.splitlines(keepends=True), ast.parse(text)


def _node(tree: ast.AST, path: list[str]) -> Any:
    for name in path:
        found = [n for n in ast.iter_child_nodes(tree) if getattr(n, "name", None) == name]
        if not found:
            raise Gone(f"no {'.'.join(path)}")
        tree = found[0]
    return tree


def forget() -> None:
    """What the verifier remembers between programs."""
    domain.forget()
    for memo in (prune._plain, prune._safe_bytes, helper_call._bounds_known):
        memo.clear()


def _globals(code: types.CodeType) -> set[str]:
    """The global names that code reads, in functions inside of it, too."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    return names.union(*(_globals(c) for c in code.co_consts if isinstance(c, types.CodeType)))


@contextlib.contextmanager
def injected(module: str, function: str, old: str, new: str) -> Iterator[None]:
    """With `old` replaced by `new` in `function` of `userbpf.verifier.<module>`; a path may lead into a closure."""
    name = f"userbpf.verifier.{module}"
    lines, tree = _source(name)
    target: Any = importlib.import_module(name)
    path: list[str] = []
    for part in function.split("."):
        if inspect.isfunction(target):
            break  # a function within a function comes with its outer one
        if part not in vars(target):
            raise Gone(f"no {function} in {name}")
        target = vars(target)[part]
        path.append(part)
    target = inspect.unwrap(getattr(target, "__func__", target))
    node, outer = _node(tree, function.split(".")), _node(tree, path)
    inner = "".join(lines[node.lineno - 1 : node.end_lineno])
    if inner.count(old) != 1:
        raise Gone(f"{name}.{function}: {old!r} stands there {inner.count(old)} times")
    before, after = lines[outer.lineno - 1 : node.lineno - 1], lines[node.end_lineno : outer.end_lineno]
    text = textwrap.dedent("".join(before) + inner.replace(old, new) + "".join(after))
    code = compile("from __future__ import annotations\n" + text, f"{name} with a fault", "exec", dont_inherit=True)
    wrong = next(c for c in code.co_consts if isinstance(c, types.CodeType))
    unknown = _globals(wrong) - vars(builtins).keys() - target.__globals__.keys()
    if unknown:  # to be noticed for that would prove nothing
        raise Gone(f"{name} has no {', '.join(sorted(unknown))}")
    right = target.__code__
    forget()
    target.__code__ = wrong
    try:
        yield
    finally:
        target.__code__ = right
        forget()
