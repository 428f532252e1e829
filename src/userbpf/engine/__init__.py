"""What runs a verified program: the checked interpreter, which is the definition, and the JIT.

`interpret(prog, env, ctx, rt)` and `compile_prog(prog, env) -> Executable` agree on r0, memory and maps for every program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from userbpf.engine.env import Binding, EngineMap, Env, HelperImpl, HelperMissing
    from userbpf.engine.interp import Step, interpret
    from userbpf.engine.jit.program import Executable, compile_prog

_HOMES = {
    "Binding": "env",
    "EngineMap": "env",
    "Env": "env",
    "HelperImpl": "env",
    "HelperMissing": "env",
    "Step": "interp",
    "interpret": "interp",
    "Executable": "jit.program",
    "compile_prog": "jit.program",
}
__all__ = [
    "Binding",
    "EngineMap",
    "Env",
    "Executable",
    "HelperImpl",
    "HelperMissing",
    "Step",
    "compile_prog",
    "interpret",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"userbpf.engine.{_HOMES[name]}"), name)
