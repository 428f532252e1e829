"""Calls to LLVM IR: inlined native bodies, Python callbacks, subprograms, callbacks, tail calls, packet loads.

A native body becomes an internal function of the same module, so LLVM inlines it into the program where that pays. A tail
call is a jump: in the main function with `musttail`, so that 33 of them take one frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.engine import legacy
from userbpf.engine.env import Binding, HelperImpl, HelperMissing
from userbpf.engine.jit.flow import call_arity
from userbpf.engine.walk import drain, for_each, loop
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.native.rt import DESC_MAX_ENTRIES, DESC_PROGS, RT_TAIL_CALLS, TAIL_CALL_LIMIT
from userbpf.spec.argtypes import RetBase
from userbpf.spec.helpers import HELPERS
from userbpf.verifier.api import Fact

if TYPE_CHECKING:
    from userbpf.engine.jit.emit import FunctionEmitter

_OWN: Final = {
    HelperId.loop: Binding(loop, {}, (1, 2, 3, 4)),
    HelperId.for_each_map_elem: Binding(for_each, {}, (1, 2, 3, 4)),
    HelperId.user_ringbuf_drain: Binding(drain, {}, (1, 2, 3, 4)),
}


def lower(e: FunctionEmitter, pc: int, insn: Insn, fact: Fact | None) -> None:
    """A call instruction of any kind."""
    if insn.src == op.BPF_PSEUDO_CALL:
        callee = e.func.calls[pc]
        reads = e.func.reads[callee]
        args = ", ".join(f"i64 {e.word(reg) if reads >> reg & 1 else 0}" for reg in range(1, 6))
        e.set_int(0, e.emit(f"call i64 @sub{callee}(i64 %rt.i, {args})"))
    elif insn.src == op.BPF_PSEUDO_KFUNC_CALL:
        _body(e, e.module.env.kfuncs.get(insn.imm), f"kernel function {insn.imm}", f"kfunc.{insn.imm}", 5, None)
    elif insn.imm == HelperId.tail_call:
        _tail_call(e, fact)
    else:
        _helper(e, pc, insn, fact)


def _helper(e: FunctionEmitter, pc: int, insn: Insn, fact: Fact | None) -> None:
    number = HelperId(insn.imm)
    row = HELPERS[number]
    own = _OWN.get(number)
    if own is not None:
        _native(e, own, "")
    else:
        impl = e.module.env.helpers.get(number)
        if impl is None and row.ret.base not in (RetBase.INTEGER, RetBase.VOID) and not row.ret.maybe_null:
            raise HelperMissing(f"{pc}: {row.c_name} does not run here")
        _body(e, impl, row.c_name, f"helper.{int(number)}", call_arity(insn), fact)
    if e.pointers.after(pc, e.mask) & 1:
        value = e.word(0)
        e.set_ptr(0, e.emit(f"inttoptr i64 {value} to ptr"), value)


def _body(e: FunctionEmitter, impl: HelperImpl | None, name: str, symbol: str, arity: int, fact: Fact | None) -> None:
    binding = None if impl is None else impl.binding(e.module.env, fact, arity)
    if binding is not None:
        index = fact.map if fact is not None else None
        _native(e, binding, "" if index is None else f"m{index}.")
        return
    e.module.python(symbol, name, None if impl is None else impl.py)
    args = ", ".join(f"i64 {e.word(reg) if reg <= arity else 0}" for reg in range(1, 6))
    e.set_int(0, e.emit(f"call i64 @{symbol}(i64 %rt.i, {args})"))


def _native(e: FunctionEmitter, binding: Binding, prefix: str) -> None:
    args = ", ".join(["i64 %rt.i", *(f"i64 {e.word(reg)}" for reg in binding.args)])
    mark = " alwaysinline" if binding.inline else ""
    e.set_int(0, e.emit(f"call i64 {e.module.native(binding, prefix)}({args}){mark}"))


def _tail_call(e: FunctionEmitter, fact: Fact | None) -> None:
    """bpf_tail_call(ctx, map, index): goes on where there is no program, or 33 were called already."""
    go, count, jump, on = (e.label(hint) for hint in ("tail", "tail", "tail", "on"))
    desc = e.address(2, 0)
    index = e.emit(f"and i64 {e.word(3)}, {0xFFFFFFFF}")
    ctx = e.address(1, 0)
    if fact is not None and fact.map is not None:
        limit = str(e.prog.maps[fact.map].max_entries)
    else:
        narrow = e.emit(f"load i32, ptr {e.emit(f'getelementptr i8, ptr {desc}, i64 {DESC_MAX_ENTRIES}')}, align 4")
        limit = e.emit(f"zext i32 {narrow} to i64")
    e.do(f"br i1 {e.emit(f'icmp ult i64 {index}, {limit}')}, label %{go}, label %{on}")
    e.start(go)
    counter = e.emit(f"getelementptr i8, ptr %rt, i64 {RT_TAIL_CALLS}")
    made = e.emit(f"load i64, ptr {counter}, align 8")
    e.do(f"br i1 {e.emit(f'icmp ult i64 {made}, {TAIL_CALL_LIMIT}')}, label %{count}, label %{on}")
    e.start(count)
    table = e.emit(f"load ptr, ptr {e.emit(f'getelementptr i8, ptr {desc}, i64 {DESC_PROGS}')}, align 8")
    entry = e.emit(f"getelementptr i64, ptr {table}, i64 {index}")
    code = e.emit(f"load atomic i64, ptr {entry} acquire, align 8")
    e.do(f"br i1 {e.emit(f'icmp ne i64 {code}, 0')}, label %{jump}, label %{on}")
    e.start(jump)
    e.do(f"store i64 {e.emit(f'add i64 {made}, 1')}, ptr {counter}, align 8")
    target = e.emit(f"inttoptr i64 {code} to ptr")
    must = "musttail " if e.func.number == 0 else ""
    result = e.emit(f"{must}call i64 {target}(ptr {ctx}, ptr %rt)")
    e.do(f"ret i64 {result}")
    e.start(on)
    e.set_int(0, "0")


def packet_load(e: FunctionEmitter, insn: Insn) -> None:
    """LD_ABS, LD_IND: outside of the packet the function returns 0."""
    body = e.module.native(Binding(legacy.packet_load, {"size": op.SIZE_BYTES[insn.code & 0x18]}, ()), "")
    off = str(insn.imm & 0xFFFFFFFF)
    if insn.code & 0xE0 == op.BPF_IND:
        off = e.emit(f"add i64 {e.word(insn.src)}, {off}")
    value = e.emit(f"call i64 {body}(i64 {e.word(6)}, i64 {off})")
    out, on = e.label("outside"), e.label("on")
    e.do(f"br i1 {e.emit(f'icmp eq i64 {value}, {-legacy.NO_VALUE}')}, label %{out}, label %{on}")
    e.start(out)
    e.do("ret i64 0")
    e.start(on)
    e.set_int(0, value)
