"""From an instruction to its *step*: a closure that runs it over the current state and returns the next pc.

Compiled when the instruction is first reached, so that what is wrong with it (reserved fields, registers that are not there) is
said then, in the order Linux says it. Operands are unpacked once. Loads, stores, constants and jumps without a condition are
written here; the rest is `alu`, `jump`, `atomic` and `calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from userbpf.abi.enums import MapType
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.verifier import access, alu, atomic, btf_info, calls, jump
from userbpf.verifier.api import Fact, PtrKind
from userbpf.verifier.cfg import CALL, EXIT, JA, JA32, LDDW
from userbpf.verifier.regs import FUNC, MAP_PTR, MAP_VALUE, NOT_INIT, UNKNOWN_REG, ZERO, Reg, known
from userbpf.verifier.reject import EACCES, EINVAL, Reject
from userbpf.verifier.stack import STORE_IMM

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker, Step


def compile_insn(ck: Checker, pc: int) -> Step:
    insn = ck.insns[pc]
    cls = insn.code & 7
    if cls in (4, 7):
        return alu.compile_alu(ck, pc, insn)
    if cls == 1:
        return _load(ck, pc, insn)
    if cls == 2:
        return _store_imm(ck, pc, insn)
    if cls == 3:
        if insn.code & 0xE0 == 0xC0:
            return atomic.compile_atomic(ck, pc, insn)
        return _store(ck, pc, insn)
    if cls == 0:
        if insn.code == LDDW:
            return _lddw(ck, pc, insn)
        return calls.compile_ld_abs(ck, pc, insn)
    return _jump(ck, pc, insn)


def _load(ck: Checker, pc: int, insn: Insn) -> Step:
    _, d, s, off, _ = insn
    size = op.SIZE_BYTES[insn.code & 0x18]
    sx = insn.code & 0xE0 == 0x80
    ck.must_read(s)
    ck.must_write(d)
    check = access.access
    live = ck.live_stack

    def load(ck: Checker) -> int:
        reg = ck.regs[s]
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{s} !read_ok")
        check(ck, pc, s, reg, off, size, False, d, False, sx)
        if live.pending:
            live.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return load


def _store(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    if code & 0xE0 != 0x60 or imm:
        raise Reject(EINVAL, "BPF_STX uses reserved fields")
    size = op.SIZE_BYTES[code & 0x18]
    check = access.access
    live = ck.live_stack
    ck.must_read(s)
    ck.must_read(d)

    def store(ck: Checker) -> int:
        regs = ck.regs
        if regs[s][0] == NOT_INIT:
            raise Reject(EACCES, f"R{s} !read_ok")
        reg = regs[d]
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        check(ck, pc, d, reg, off, size, True, s)
        live.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return store


def _store_imm(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, _ = insn
    if code & 0xE0 != 0x60 or s:
        raise Reject(EINVAL, "BPF_ST uses reserved fields")
    size = op.SIZE_BYTES[code & 0x18]
    check = access.access
    live = ck.live_stack
    ck.must_read(d)

    def store(ck: Checker) -> int:
        reg = ck.regs[d]
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        check(ck, pc, d, reg, off, size, True, STORE_IMM)
        live.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return store


def _lddw(ck: Checker, pc: int, insn: Insn) -> Step:
    d, src = insn.dst, insn.src
    if insn.off:
        raise Reject(EINVAL, "BPF_LD_IMM64 uses reserved fields")
    ck.must_write(d)
    high = ck.insns[pc + 1].imm
    reg: Reg
    if src == 0:
        reg = known(insn.imm & 0xFFFFFFFF | (high & 0xFFFFFFFF) << 32)
    elif src == op.BPF_PSEUDO_BTF_ID:
        reg = ck.ksyms[pc]
        ck.facts[pc] = Fact(ptr=PtrKind.BTF)
    elif src == op.BPF_PSEUDO_FUNC:
        number = ck.cfg.subprog_of[pc + insn.imm + 1]
        if ck.prog_btf is None:
            raise Reject(EINVAL, "missing btf func_info")
        if ck.prog_btf.funcs[number].linkage != btf_info.STATIC:
            raise Reject(EINVAL, "callback function not static")
        ck.facts[pc] = Fact(subprog=number)
        ck.subprogs[number].callback = True
        reg = (FUNC, ZERO, 0, 0, number)
    elif src in (op.BPF_PSEUDO_MAP_FD, op.BPF_PSEUDO_MAP_IDX):
        use = ck.lddw_maps[pc]
        ck.facts[pc] = Fact(map=use.index)
        reg = (MAP_PTR, ZERO, 0, 0, (use, 0))
    else:
        use = ck.lddw_maps[pc]
        off = high & 0xFFFFFFFF
        ck.facts[pc] = Fact(map=use.index, off=off)
        if use.shape.map_type == MapType.ARENA:
            ck.facts[pc] = Fact(ptr=PtrKind.ARENA, map=use.index, off=off)
            reg = UNKNOWN_REG  # an address of user space
        else:
            reg = (MAP_VALUE, ZERO, 0, off, (use, 0))

    def load(ck: Checker) -> int:
        ck.regs[d] = reg
        return pc + 2

    return load


def _jump(ck: Checker, pc: int, insn: Insn) -> Step:
    code = insn.code
    if code == CALL:
        return _counted(calls.compile_call(ck, pc, insn))
    if code == EXIT:
        if insn.dst or insn.src or insn.imm:
            raise Reject(EINVAL, "BPF_EXIT uses reserved fields")
        return _counted(calls.exit_step(pc))
    if code in (JA, JA32):
        wide = code == JA32
        if insn.dst or insn.src or (insn.off if wide else insn.imm):
            raise Reject(EINVAL, "BPF_JA uses reserved fields")
        target = pc + 1 + (insn.imm if wide else insn.off)

        def go(ck: Checker) -> int:
            return target

        return _counted(go)
    return _counted(jump.compile_jump(ck, pc, insn))


def _counted(step: Step) -> Step:
    def counted(ck: Checker) -> int:
        ck.jumps_processed += 1
        return step(ck)

    return counted
