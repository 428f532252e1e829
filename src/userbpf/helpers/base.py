"""How a helper's body is bound to its row.

A body is a native function `f(rt, r1..rn)`, usable at both speeds, or a Python function `f(kernel, rt, r1..r5) -> int` for
what is rare or needs Python. The `family` modules fill `BODIES` by decorating with the helper's id; a totality test
compares its keys with the rows of `spec.helpers` that say `run`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from userbpf.abi.enums import HelperId

F = TypeVar("F", bound=Callable[..., Any])

NATIVE_BODIES: dict[HelperId, Any] = {}  # id -> NativeFn(rt, r1..rn)
PYTHON_BODIES: dict[HelperId, Callable[..., int]] = {}  # id -> f(kernel, rt, r1..r5)

KFUNC_BODIES: dict[str, Any] = {}  # name of a kernel function -> either kind of body

M64 = (1 << 64) - 1


def native_body(*ids: HelperId) -> Callable[[F], F]:
    """Bind a native function to one helper or several that are the same outside of Linux."""

    def bind(fn: F) -> F:
        for helper in ids:
            NATIVE_BODIES[helper] = fn
        return fn

    return bind


def python_body(*ids: HelperId) -> Callable[[F], F]:
    """Bind a Python function `f(kernel, rt, r1..r5) -> int`; a negative result is a negative errno."""

    def bind(fn: F) -> F:
        for helper in ids:
            PYTHON_BODIES[helper] = fn
        return fn

    return bind


def kfunc_body(*names: str) -> Callable[[F], F]:
    """Bind a native or Python function to kernel functions by name: their numbers are those of a kernel's BTF."""

    def bind(fn: F) -> F:
        for name in names:
            KFUNC_BODIES[name] = fn
        return fn

    return bind
