"""Atomic instructions: read, modify and write as one access each way, and the ordered loads and stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.isa.opcodes import SIZE_BYTES
from userbpf.verifier import access
from userbpf.verifier.regs import (
    ARENA,
    CTX,
    FLOW_KEYS,
    NOT_INIT,
    PACKET,
    PACKET_META,
    SCALAR,
    SOCK_TYPES,
    UNKNOWN_REG,
    Reg,
    type_name,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject
from userbpf.verifier.stack import NO_VALUE

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker, Step


XCHG: Final = 0xE1
CMPXCHG: Final = 0xF1
LOAD_ACQ: Final = 0x100
STORE_REL: Final = 0x110
_RMW: Final = frozenset((0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xA0, 0xA1, XCHG, CMPXCHG))
_LOOPS: Final = frozenset((0x41, 0x51, 0xA1))


def _no_atomics(regno: int, reg: Reg, what: str = "stores into", imm: int = 0) -> None:
    kind = reg[0]
    # x86 makes a loop of these, which could not be left where there is no page
    if (kind == ARENA and imm in _LOOPS) or kind in (CTX, PACKET, PACKET_META, FLOW_KEYS) or kind in SOCK_TYPES:
        raise Reject(EACCES, f"BPF_ATOMIC {what} R{regno} {type_name(kind)} is not allowed")


def compile_atomic(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    size = SIZE_BYTES[code & 0x18]
    if imm in _RMW:
        if size < 4:
            raise Reject(EINVAL, "invalid atomic operand size")
        ck.must_read(s)
        ck.must_read(d)
        return _compile_rmw(pc, d, s, off, size, imm)
    if imm == LOAD_ACQ:
        ck.must_read(s)
        ck.must_write(d)
        return _compile_acquire(pc, d, s, off, size)
    if imm == STORE_REL:
        ck.must_read(s)
        ck.must_read(d)
        return _compile_release(pc, d, s, off, size)
    raise Reject(EINVAL, f"BPF_ATOMIC uses invalid atomic opcode {imm & 0xFFFFFFFF:02x}")


def _need(ck: Checker, regno: int) -> None:
    if ck.regs[regno][0] == NOT_INIT:
        raise Reject(EACCES, f"R{regno} !read_ok")


def _compile_rmw(pc: int, d: int, s: int, off: int, size: int, imm: int) -> Step:
    result = (0 if imm == CMPXCHG else s) if imm & 1 else NO_VALUE

    def step(ck: Checker) -> int:
        _need(ck, s)
        _need(ck, d)
        if imm == CMPXCHG:
            _need(ck, 0)
            if not ck.allow_ptr_leaks and ck.regs[0][0] != SCALAR:
                raise Reject(EACCES, "R0 leaks addr into mem")
        if not ck.allow_ptr_leaks and ck.regs[s][0] != SCALAR:
            raise Reject(EACCES, f"R{s} leaks addr into mem")
        _no_atomics(d, ck.regs[d], imm=imm)
        if result == 10:
            raise Reject(EACCES, "frame pointer is read only")
        if result >= 0:
            ck.regs[result] = UNKNOWN_REG  # before the access: it may be the pointer itself
        reg = ck.regs[d]
        access.access(ck, pc, d, reg, off, size, False, result, True)
        access.access(ck, pc, d, reg, off, size, True, NO_VALUE, True)
        ck.live_stack.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return step


def _compile_acquire(pc: int, d: int, s: int, off: int, size: int) -> Step:
    def step(ck: Checker) -> int:
        _need(ck, s)
        if d == 10:
            raise Reject(EACCES, "frame pointer is read only")
        reg = ck.regs[s]
        access.access(ck, pc, s, reg, off, size, False, d, True)
        # what is wrong with the access in itself is named first; a packet pointer that is overwritten is not seen any more
        if reg[0] in (PACKET, PACKET_META) or ck.mirror:
            _no_atomics(s, ck.regs[s], "loads from")
        else:
            _no_atomics(s, reg, "loads from")
        ck.live_stack.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return step


def _compile_release(pc: int, d: int, s: int, off: int, size: int) -> Step:
    def step(ck: Checker) -> int:
        _need(ck, s)
        _need(ck, d)
        reg = ck.regs[d]
        access.access(ck, pc, d, reg, off, size, True, s, True)
        _no_atomics(d, reg)
        ck.live_stack.commit(ck.frame.instance, pc)
        ck.same_pointer(pc, reg)
        return pc + 1

    return step
