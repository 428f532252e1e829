"""Arithmetic, as one closure an instruction.

`compile_alu` looks at the instruction once and returns a step `Checker -> next pc` with the operands unpacked and a memo of its
own: `Val -> register` where the other operand is a constant. What is wrong with the instruction itself is only said
when it is reached, as Linux does it.

Pointers take addition and subtraction; everything else makes them wrong, or, for who may leak pointers, unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from userbpf.spec.limits import BPF_MAX_VAR_OFF
from userbpf.verifier import arena
from userbpf.verifier.domain import (
    ADD,
    AND,
    DIV,
    MOD,
    NEG,
    OR,
    S64_MIN,
    SUB,
    U32,
    U64,
    UNKNOWN,
    Val,
    alu,
    alu_reports,
    bswap,
    const,
    mov32,
    s64,
    sext,
    sign_mask,
    to_le,
)
from userbpf.verifier.domain import make as make_val
from userbpf.verifier.regs import (
    ADD_CONST,
    ADD_CONST32,
    ADD_CONST64,
    ARENA,
    ARENA_REG,
    BASE_MASK,
    BTF_ID,
    BUF,
    CTX,
    DYNPTR,
    FLOW_KEYS,
    FUNC,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    NOT_INIT,
    PACKET,
    PACKET_META,
    RDONLY,
    SCALAR,
    STACK,
    TP_BUFFER,
    UNKNOWN_REG,
    UNTRUSTED,
    ZERO,
    ZERO_REG,
    Reg,
    known,
    scalar,
    type_name,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker, Step


_OPS: Final = {
    0x00: "+=", 0x10: "-=", 0x20: "*=", 0x30: "/=", 0x40: "|=", 0x50: "&=", 0x60: "<<=", 0x70: ">>=",
    0x80: "neg", 0x90: "%=", 0xA0: "^=", 0xB0: "=", 0xC0: "s>>=", 0xD0: "endian",
}  # fmt: skip


def compile_alu(ck: Checker, pc: int, insn: Insn) -> Step:
    op = insn.code & 0xF0
    if op in (0x80, 0xD0):
        return _compile_unary(ck, pc, insn)
    if op == 0xB0:
        return _compile_mov(ck, pc, insn)
    if op > 0xD0:
        raise Reject(EINVAL, f"invalid BPF_ALU opcode {insn.code:x}")
    return _compile_binary(ck, pc, insn)


# --- one operand ---------------------------------------------------------------------------------------------------------


def _negated(is64: bool, v: Val) -> Val:
    return alu(NEG, is64, v, v)


def _swapped(size: int, v: Val) -> Val:
    return bswap(v, size)


def _little(size: int, v: Val) -> Val:
    return to_le(v, size)


def _compile_unary(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, imm = insn.code, insn.dst, insn.imm
    is64 = code & 7 == 7
    if code & 0xF0 == 0x80:
        if code & 8 or insn.src or insn.off or imm:
            raise Reject(EINVAL, "BPF_NEG uses reserved fields")
    elif insn.src or insn.off or imm not in (16, 32, 64) or (is64 and code & 8):
        raise Reject(EINVAL, "BPF_END uses reserved fields")
    ck.must_read(d)
    if ck.regs[d][0] != SCALAR and not ck.allow_ptr_leaks:
        raise Reject(EACCES, f"R{d} pointer arithmetic prohibited")
    ck.must_write(d)
    if code & 0xF0 == 0x80:
        swap: Callable[[Val], Val] = partial(_negated, is64)
    elif code & 8 or is64:
        swap = partial(_swapped, imm // 8)
    else:
        swap = partial(_little, imm // 8)
    whole = code == 0xD4 and imm == 64  # nothing changes, links included

    def step(ck: Checker) -> int:
        reg = ck.regs[d]
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        if reg[0] == SCALAR:
            if not whole:
                ck.regs[d] = scalar(swap(reg[1]))
        elif ck.allow_ptr_leaks:
            ck.regs[d] = UNKNOWN_REG
        else:
            raise Reject(EACCES, f"R{d} pointer arithmetic prohibited")
        return pc + 1

    return step


# --- moves ---------------------------------------------------------------------------------------------------------------


def _compile_mov(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    is64 = code & 7 == 7
    if not code & 8:
        if s or off:
            raise Reject(EINVAL, "BPF_MOV uses reserved fields")
        ck.must_write(d)
        reg = known(imm & (U64 if is64 else U32))

        def load_imm(ck: Checker) -> int:
            ck.regs[d] = reg
            return pc + 1

        return load_imm
    if is64 and off == 1:
        if imm not in (1, 1 << 16):
            raise Reject(EINVAL, "addr_space_cast insn can only convert between address space 1 and 0")
        return arena.compile_cast(ck, pc, insn)
    if imm or off not in ((0, 8, 16, 32) if is64 else (0, 8, 16)):
        raise Reject(EINVAL, "BPF_MOV uses reserved fields")
    ck.must_read(s)
    ck.must_write(d)
    if is64 and off == 0:

        def mov(ck: Checker) -> int:
            regs = ck.regs
            reg = regs[s]
            if reg[0] == SCALAR:
                if not reg[2] or reg[2] & ADD_CONST:
                    reg = ck.link_before_copy(s)
            elif reg[0] == NOT_INIT:
                raise Reject(EACCES, f"R{s} !read_ok")
            regs[d] = reg
            return pc + 1

        return mov

    def partial(ck: Checker) -> int:
        regs = ck.regs
        reg = regs[s]
        if reg[0] != SCALAR:
            if reg[0] == NOT_INIT:
                raise Reject(EACCES, f"R{s} !read_ok")
            if not ck.allow_ptr_leaks:
                what = "sign-extension part of pointer" if is64 or off else "partial copy of pointer"
                raise Reject(EACCES, f"R{s} {what}")
            regs[d] = UNKNOWN_REG if is64 else scalar(mov32(UNKNOWN))
            return pc + 1
        val = reg[1]
        whole = val.umax < 1 << off - 1 if off else val.umax <= U32
        if whole:
            reg = ck.link_before_copy(s)
        new = sext(val, off, is64) if off else mov32(val)
        regs[d] = (SCALAR, new, reg[2] if whole else 0, reg[3] if whole else 0, None)
        return pc + 1

    return partial


# --- two operands --------------------------------------------------------------------------------------------------------


def _compile_binary(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    op = code & 0xF0
    is64 = code & 7 == 7
    signed_ok = op in (DIV, MOD)
    if code & 8:
        if imm or off > 1 or off < 0 or (off and not signed_ok):
            raise Reject(EINVAL, "BPF_ALU uses reserved fields")
        ck.must_read(s)
    elif s or off > 1 or off < 0 or (off and not signed_ok):
        raise Reject(EINVAL, "BPF_ALU uses reserved fields")
    ck.must_read(d)
    if not code & 8:
        if signed_ok and imm == 0:
            raise Reject(EINVAL, "div by zero")
        if op in (0x60, 0x70, 0xC0) and not 0 <= imm < (64 if is64 else 32):
            raise Reject(EINVAL, f"invalid shift {imm}")
    ck.must_write(d)
    kind = op | 0x100 if off else op
    linear = op in (ADD, SUB)
    if code & 8:
        return _binary_reg(pc, insn, kind, op, is64, linear)
    return _binary_imm(pc, insn, kind, op, is64, linear)


def _binary_imm(pc: int, insn: Insn, kind: int, op: int, is64: bool, linear: bool) -> Step:
    d, imm = insn.dst, insn.imm
    src = const(imm & U64) if is64 else const(imm & U32)
    wide = const(imm & U64)
    memo: dict[Val, Reg] = {}
    delta = imm if op == ADD else -imm
    may_fork = op in (AND, OR)

    def step(ck: Checker) -> int:
        regs = ck.regs
        reg = regs[d]
        if reg[0] == SCALAR:
            val = reg[1]
            if may_fork and (val.s32min == -1 or val.smin == -1):
                val = fork(ck, pc, d, val)
            new = memo.get(val)
            if new is None:
                new = memo[val] = scalar(alu(kind, is64, val, src))
            if alu_reports:
                report(ck, kind, is64, val, src)
            rid = reg[2]
            if rid and linear and (is64 or val.umax <= U32):
                new = _linked(new, rid, delta, is64)
            regs[d] = new
            return pc + 1
        if reg[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        if reg[0] != ARENA:
            regs[d] = pointer_math(ck, d, reg, wide, op, is64, False)
        return pc + 1

    return step


def fork(ck: Checker, pc: int, d: int, val: Val) -> Val:
    """A sign mask is about to be combined with a constant: this path goes on with all ones, another takes up zero."""
    split = sign_mask(val)
    if split is None:
        return val
    ones, zero = split
    reg = ck.regs[d]
    other = ck.push(pc, pc)
    regs = other.frames[-1].regs
    regs[d] = ZERO_REG if zero is ZERO else (SCALAR, zero, reg[2], reg[3], None)
    return ones


def report(ck: Checker, kind: int, is64: bool, dst: Val, src: Val) -> None:
    """Linux logs when bounds contradict each other (on a path that cannot be taken)."""
    text = alu_reports.get((kind, is64, dst, src))
    if text is not None:
        ck.contradiction(text)


def _linked(new: Reg, rid: int, delta: int, is64: bool) -> Reg:
    """A constant was added to a linked scalar: it stays linked at a distance, once."""
    if rid & ADD_CONST or not -(1 << 31) <= delta < 1 << 31:
        return new
    return (SCALAR, new[1], rid | (ADD_CONST64 if is64 else ADD_CONST32), delta, None)


def _binary_reg(pc: int, insn: Insn, kind: int, op: int, is64: bool, linear: bool) -> Step:
    d, s = insn.dst, insn.src
    may_fork = op in (AND, OR)

    def step(ck: Checker) -> int:
        regs = ck.regs
        dst, src = regs[d], regs[s]
        if src[0] == NOT_INIT:
            raise Reject(EACCES, f"R{s} !read_ok")
        if dst[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        if dst[0] == SCALAR:
            if src[0] == SCALAR:
                val = dst[1]
                if may_fork and not src[1].mask and (val.s32min == -1 or val.smin == -1):
                    val = fork(ck, pc, d, val)
                new = scalar(alu(kind, is64, val, src[1]))
                if alu_reports:
                    report(ck, kind, is64, val, src[1])
                if linear and dst[2] and d != s:
                    if is64:
                        amount = s64(src[1].value) if not src[1].mask else None
                    else:
                        amount = _low_const(src[1]) if dst[1].umax <= U32 else None
                    if amount is not None and -(1 << 31) <= amount < 1 << 31:
                        new = _linked(new, dst[2], amount if op == ADD else -amount, is64)
                regs[d] = new
                return pc + 1
            if src[0] == ARENA:
                regs[d] = ARENA_REG
                return pc + 1
            # scalar op pointer: addition commutes
            ck.mark_precise(d)
            regs[d] = pointer_math(ck, d, src, dst[1], op, is64, True, dst[3])
            return pc + 1
        if dst[0] == ARENA or src[0] == ARENA:
            regs[d] = ARENA_REG  # any arithmetic: where it points does not matter
            return pc + 1
        if src[0] != SCALAR:
            if op == SUB and ck.allow_ptr_leaks:
                regs[d] = UNKNOWN_REG
                return pc + 1
            raise Reject(EACCES, f"R{d} pointer {_OPS[op]} pointer prohibited")
        ck.mark_precise(s)
        regs[d] = pointer_math(ck, d, dst, regs[s][1], op, is64, False, regs[s][3])
        return pc + 1

    return step


def _low_const(val: Val) -> int | None:
    if val.mask & U32:
        return None
    low = val.value & U32
    return low - (1 << 32) if low >> 31 else low


# --- pointers ------------------------------------------------------------------------------------------------------------

UNTRUSTED_MEM: Final = MEM | RDONLY | UNTRUSTED
_MOVABLE: Final = frozenset(
    (CTX, MAP_VALUE, MAP_KEY, STACK, PACKET_META, PACKET, TP_BUFFER, BTF_ID, DYNPTR, MEM, BUF, FUNC, FLOW_KEYS)
)


def pointer_math(
    ck: Checker, d: int, ptr: Reg, amount: Val, op: int, is64: bool, swapped: bool, distance: int = 0
) -> Reg:
    """`ptr op amount`, the result for register d; `distance` of the amount from those it is linked to is judged too."""
    kind = ptr[0]
    if (amount.mask == 0 and (amount.smin != amount.smax or amount.umin != amount.umax)) or (
        amount.smin > amount.smax or amount.umin > amount.umax
    ):
        return UNKNOWN_REG
    if not is64:
        if op == SUB and ck.allow_ptr_leaks:
            return UNKNOWN_REG
        raise Reject(EACCES, f"R{d} 32-bit pointer arithmetic prohibited")
    if kind == UNTRUSTED_MEM:
        if not swapped:
            return ptr  # reads may fail anywhere, so where it points does not matter
        # Linux 6.18.44 leaves the number in d as it was, though the sum is none
        return ck.regs[d] if ck.mirror else UNKNOWN_REG
    base = kind & BASE_MASK
    if kind & MAYBE_NULL:
        raise Reject(EACCES, f"R{d} pointer arithmetic on {type_name(kind)} prohibited, null-check it first")
    if base == MAP_PTR:
        if not (amount is ZERO and op == ADD):
            raise Reject(EACCES, f"R{d} pointer arithmetic on {type_name(kind)} prohibited")
    elif base not in _MOVABLE or (base == FLOW_KEYS and amount.mask):
        raise Reject(EACCES, f"R{d} pointer arithmetic on {type_name(kind)} prohibited")
    _sane(amount, distance, kind)
    if op == ADD:
        new = _add(ck, ptr, amount)
    elif op == SUB:
        if swapped:
            raise Reject(EACCES, f"R{d} tried to subtract pointer from scalar")
        if kind == STACK:
            raise Reject(EACCES, f"R{d} subtraction from stack pointer prohibited")
        new = _sub(ck, ptr, amount)
    elif op in (0x40, 0x50, 0xA0):
        raise Reject(EACCES, f"R{d} bitwise operator {_OPS[op]} on pointer prohibited")
    else:
        raise Reject(EACCES, f"R{d} pointer arithmetic with {_OPS[op]} operator prohibited")
    _sane(new[1], new[3], kind)
    if swapped and ck.mirror:
        if kind == STACK:
            return (kind, new[1], new[2], new[3], 0)
        if base == MEM and isinstance(new[4], tuple):
            return (kind, new[1], new[2], new[3], (new[4][0], 0))
    return new


def _sane(val: Val, off: int, kind: int) -> None:
    """Offsets stay far from overflow."""
    name = type_name(kind)
    if not val.mask:
        value = s64(val.value)
        if not -BPF_MAX_VAR_OFF < value < BPF_MAX_VAR_OFF:
            raise Reject(EINVAL, f"math between {name} pointer and {value} is not allowed")
    if not -BPF_MAX_VAR_OFF < off < BPF_MAX_VAR_OFF:
        raise Reject(EINVAL, f"{name} pointer offset {off} is not allowed")
    if val.smin == S64_MIN:
        raise Reject(EINVAL, f"math between {name} pointer and register with unbounded min value is not allowed")
    if not -BPF_MAX_VAR_OFF < val.smin < BPF_MAX_VAR_OFF:
        raise Reject(EINVAL, f"value {val.smin} makes {name} pointer be out of bounds")


def _wide(op: int, a: Val, b: Val) -> Val:
    """Addition of offsets: pointers carry no 32-bit bounds of their own, so those come from the rest."""
    return alu(op, True, _no32(a), _no32(b))


def _no32(v: Val) -> Val:
    if v.mask == 0:
        return v
    return make_val(v.value, v.mask, v.smin, v.smax, v.umin, v.umax)


def _add(ck: Checker, ptr: Reg, amount: Val) -> Reg:
    kind, val, rid, off, extra = ptr
    if amount.mask == 0:
        total = off + s64(amount.value)
        if -(1 << 31) <= total < 1 << 31:
            return (kind, val, rid, total, extra)
    val = _wide(ADD, val, amount)
    if kind in (PACKET, PACKET_META):
        return (kind, val, ck.new_id(), off, 0)
    return (kind, val, rid, off, extra)


def _sub(ck: Checker, ptr: Reg, amount: Val) -> Reg:
    kind, val, rid, off, extra = ptr
    if amount.mask == 0:
        total = off - s64(amount.value)
        if -(1 << 31) <= total < 1 << 31:
            return (kind, val, rid, total, extra)
    smin = amount.smin
    val = _wide(SUB, val, amount)
    if kind in (PACKET, PACKET_META):
        return (kind, val, ck.new_id(), off, 0 if smin < 0 else extra)
    return (kind, val, rid, off, extra)
