"""A verified program to machine code.

The functions of the program and the native bodies it calls make one module of IR text; `userbpf.native` compiles it, or finds the
machine code in its cache, and binds the addresses of maps and callbacks at the link. The text holds no address, so a program
loaded again (in another process, with other maps of the same shape) is a cache hit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

from userbpf.engine.env import Env, HelperMissing, PythonBody
from userbpf.engine.jit.emit import FunctionEmitter
from userbpf.engine.jit.flow import ARGS, Function, Pointers, find_live, find_pointers, function
from userbpf.engine.jit.module import ProgramModule
from userbpf.isa import opcodes as op
from userbpf.native import LoadedCode
from userbpf.native.callable import callable_at
from userbpf.native.intrinsics import store64
from userbpf.native.rt import RT_TAIL_CALLS
from userbpf.verifier.api import VerifiedProg

M64: Final = (1 << 64) - 1
_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 6)
# Above so many live instructions LLVM's level 1: 0.12 ms an instruction instead of 0.18, at the same speed but for vectors.
CHEAP_ABOVE: Final = 2000


class Executable:
    """A compiled program. It keeps alive what its code refers to: machine code, maps, callbacks."""

    def __init__(self, prog: VerifiedProg, env: Env, code: LoadedCode, keep: object) -> None:
        self.prog, self.env, self.code = prog, env, code
        self.addr = code.addr("prog")  # u64 f(u64 ctx, u64 rt)
        self._keep = keep
        self._call: Callable[[int, int], int] | None = None

    def run(self, ctx: int, rt: int) -> int:
        """One run; r0 as u64. Raises what a Python-bodied helper raised."""
        if self._call is None:
            self._call = callable_at(self.addr, 2, "prog", False, self)
        store64(rt + RT_TAIL_CALLS, 0)
        result = self._call(ctx, rt)
        self.env.raise_pending()
        return result

    def raise_pending(self) -> None:
        """Raise what a Python-bodied helper raised in this thread since the last run."""
        self.env.raise_pending()


def compile_prog(prog: VerifiedProg, env: Env, opt: int | None = None) -> Executable:
    """Compile a program for its environment. `opt` is LLVM's level, chosen by size where it is None."""
    if opt is None:
        opt = 2 if sum(prog.live) <= CHEAP_ABOVE else 1
    module = lower(prog, env)
    bodies = {symbol: _thunk(env, name, body) for symbol, (name, body) in module.callbacks.items()}
    symbols = {symbol: ctypes.cast(thunk, ctypes.c_void_p).value or 0 for symbol, thunk in bodies.items()}
    return Executable(prog, env, module.ir.compile(["prog"], symbols, opt), bodies)


def ir_text(prog: VerifiedProg, env: Env) -> str:
    """The IR text of a program, to look at."""
    return lower(prog, env).ir.text()


def lower(prog: VerifiedProg, env: Env) -> ProgramModule:
    """The module of a program."""
    module = ProgramModule(prog, env)
    functions = _functions(prog)
    pointers = Pointers(prog, module.ctx_pointers)
    entries = {0: 1 << 1}
    for func in reversed(functions):  # callers first
        find_pointers(func, pointers, entries.get(func.number, 0))
        for pc, callee in func.calls.items():
            passed = _mask_at(func, pointers, pc) & ARGS
            entries[callee] = entries.get(callee, ARGS) & passed
    for func in functions:
        if prog.subprogs[func.number].callback:
            find_pointers(func, pointers, 0)
        FunctionEmitter(module, func, pointers).write()
    module.finish()
    return module


def _functions(prog: VerifiedProg) -> list[Function]:
    """The functions that run, each after those it calls, with live registers found."""
    done: dict[int, Function] = {}
    active: set[int] = set()

    def visit(number: int) -> None:
        if number in done or number in active:
            return
        active.add(number)
        func = function(prog, number)
        for callee in {*func.calls.values(), *_callbacks(prog, number)}:
            visit(callee)
        for callee in func.calls.values():
            target = done[callee]
            func.reads[callee] = target.blocks[target.start].live_in & ARGS
        find_live(prog, func)
        done[number] = func

    visit(0)
    return list(done.values())


def _callbacks(prog: VerifiedProg, number: int) -> list[int]:
    sub = prog.subprogs[number]
    starts = {s.start: n for n, s in enumerate(prog.subprogs)}
    return [
        starts[pc + 1 + prog.insns[pc].imm]
        for pc in range(sub.start, sub.end)
        if prog.live[pc] and prog.insns[pc].code == op.LDDW and prog.insns[pc].src == op.BPF_PSEUDO_FUNC
    ]


def _mask_at(func: Function, pointers: Pointers, pc: int) -> int:
    for block in func.blocks.values():
        if pc in block.pcs:
            mask = block.ptr_in
            for each in block.pcs:
                if each == pc:
                    return mask
                mask = pointers.after(each, mask)
    return 0


def _thunk(env: Env, name: str, body: PythonBody | None) -> Any:
    """A Python body as a C function. An error waits in the environment, and the program goes on with 0."""

    def call(rt: int, *args: int) -> int:
        try:
            if body is None:
                raise HelperMissing(f"{name} does not run here")
            return body(env.kernel, rt, *args) & M64
        except BaseException as e:
            env.record(e)
            return 0

    return _CALLBACK(call)


__all__ = ["Executable", "compile_prog", "ir_text"]
