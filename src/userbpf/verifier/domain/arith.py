"""Arithmetic: `alu` is what `dst op= src` leaves, `sign_mask` where Linux goes on with two paths instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from userbpf.isa import opcodes
from userbpf.verifier import tnum
from userbpf.verifier.domain.bitwise import and_, arsh32, arsh64, lsh32, lsh64, or_, rsh32, rsh64, xor_
from userbpf.verifier.domain.deduce import met, settle, settle32
from userbpf.verifier.domain.val import (
    HIGH,
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    U64,
    UNKNOWN,
    ZERO,
    Fields,
    Val,
    const,
    make,
    memo,
    s32,
    s64,
)

# operations as the nibble of the instruction's code; SDIV and SMOD are DIV and MOD with off 1
ADD: Final = opcodes.BPF_ADD
SUB: Final = opcodes.BPF_SUB
MUL: Final = opcodes.BPF_MUL
DIV: Final = opcodes.BPF_DIV
OR: Final = opcodes.BPF_OR
AND: Final = opcodes.BPF_AND
LSH: Final = opcodes.BPF_LSH
RSH: Final = opcodes.BPF_RSH
NEG: Final = opcodes.BPF_NEG
MOD: Final = opcodes.BPF_MOD
XOR: Final = opcodes.BPF_XOR
ARSH: Final = opcodes.BPF_ARSH
SDIV: Final = 0x100 | opcodes.BPF_DIV
SMOD: Final = 0x100 | opcodes.BPF_MOD

Range = tuple[int, int]

# what Linux logs (behind `verifier bug: `) of operations whose result's bounds contradict each other
alu_reports: Final[dict[tuple[int, bool, Val, Val], str]] = memo({})


def _add(a: Val, b: Val) -> Fields:
    return (
        *tnum.add((a.value, a.mask), (b.value, b.mask)),
        *_signed_sum(a.smin + b.smin, a.smax + b.smax, S64_MIN, S64_MAX),
        *_wrap(a.umin + b.umin, a.umax + b.umax, U64),
        *_signed_sum(a.s32min + b.s32min, a.s32max + b.s32max, S32_MIN, S32_MAX),
        *_wrap(a.u32min + b.u32min, a.u32max + b.u32max, U32),
    )


def _sub(a: Val, b: Val) -> Fields:
    return (
        *tnum.sub((a.value, a.mask), (b.value, b.mask)),
        *_signed_sum(a.smin - b.smax, a.smax - b.smin, S64_MIN, S64_MAX),
        *_wrap(a.umin - b.umax, a.umax - b.umin, U64),
        *_signed_sum(a.s32min - b.s32max, a.s32max - b.s32min, S32_MIN, S32_MAX),
        *_wrap(a.u32min - b.u32max, a.u32max - b.u32min, U32),
    )


def _wrap(low: int, high: int, all_ones: int) -> Range:
    """Unsigned bounds after a sum: kept where neither end wraps, or both do."""
    if (low < 0 or low > all_ones) == (high < 0 or high > all_ones):
        return low & all_ones, high & all_ones
    return 0, all_ones


def _signed_sum(low: int, high: int, least: int, most: int) -> Range:
    """Signed bounds after a sum: as `_wrap`, around the sign."""
    if low >= least and high <= most:
        return low, high
    size = most - least + 1
    if low < least and high < least:
        return low + size, high + size
    if low > most and high > most:
        return low - size, high - size
    return least, most


def _mul(a: Val, b: Val) -> Fields:
    return (
        *tnum.mul((a.value, a.mask), (b.value, b.mask)),
        *_signed_product(a.smin, a.smax, b.smin, b.smax, S64_MIN, S64_MAX),
        *_product(a.umin, a.umax, b.umin, b.umax, U64),
        *_signed_product(a.s32min, a.s32max, b.s32min, b.s32max, S32_MIN, S32_MAX),
        *_product(a.u32min, a.u32max, b.u32min, b.u32max, U32),
    )


def _product(amin: int, amax: int, bmin: int, bmax: int, all_ones: int) -> Range:
    if amax * bmax > all_ones:
        return 0, all_ones
    return amin * bmin, amax * bmax


def _signed_product(amin: int, amax: int, bmin: int, bmax: int, least: int, most: int) -> Range:
    corners = (amin * bmin, amin * bmax, amax * bmin, amax * bmax)
    low, high = min(corners), max(corners)
    if low < least or high > most:
        return least, most
    return low, high


_TWO_SIDED: Final[dict[int, Callable[[Val, Val], Fields]]] = {
    ADD: _add,
    SUB: _sub,
    MUL: _mul,
    AND: and_,
    OR: or_,
    XOR: xor_,
}
_SHIFTS: Final[dict[int, tuple[Callable[[Val, int], Fields], Callable[[Val, int], Fields]]]] = {
    LSH: (lsh32, lsh64),
    RSH: (rsh32, rsh64),
    ARSH: (arsh32, arsh64),
}


def _compute(op: int, is64: bool, dst: Val, src: Val) -> Val:
    """One operation, not memoised."""
    if op == NEG:
        return _compute(SUB, is64, ZERO, dst)
    two_sided = _TWO_SIDED.get(op)
    if two_sided is not None:
        if not is64:
            return settle32(two_sided(dst, src))
        return settle(two_sided(dst, src))
    shift = _SHIFTS.get(op)
    if shift is not None:
        n = src.value
        # the amount is judged by its 64 bits in a 32-bit shift too
        if not src.mask and src.umax < (64 if is64 else 32):
            return settle(shift[1](dst, n)) if is64 else settle32(shift[0](dst, n))
    return UNKNOWN


def _const_alu(op: int, is64: bool, a: int, b: int) -> int | None:
    """Both operands known: the word itself, or None where Linux does not compute it."""
    if op in _SHIFTS:
        if b >= (64 if is64 else 32):
            return None
        if op == LSH:
            word = a << b
        elif op == RSH:
            word = (a if is64 else a & U32) >> b
        else:
            word = (s64(a) if is64 else s32(a & U32)) >> b
    elif op == ADD:
        word = a + b
    elif op == AND:
        word = a & b
    elif op == SUB:
        word = a - b
    elif op == OR:
        word = a | b
    elif op == XOR:
        word = a ^ b
    elif op == MUL:
        word = a * b
    elif op == NEG:
        word = -a
    else:
        return None
    return word & (U64 if is64 else U32)


_ALU_OPS: Final = (ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, ARSH, SDIV, SMOD)
_alu64: Final[dict[int, dict[tuple[Val, Val], Val]]] = {op: memo({}) for op in _ALU_OPS}
_alu32: Final[dict[int, dict[tuple[Val, Val], Val]]] = {op: memo({}) for op in _ALU_OPS}


def alu(op: int, is64: bool, dst: Val, src: Val) -> Val:
    """The result of `dst op= src`. For NEG `src` is ignored. A 32-bit operation reads low halves and zeroes the high one."""
    if not dst.mask and not src.mask and src.umin == src.umax:
        word = _const_alu(op, is64, dst.value, src.value)
        if word is not None:
            return const(word)
    known = (_alu64 if is64 else _alu32)[op]
    key = (dst, src)
    val = known.get(key)
    if val is None:
        met.clear()
        val = known[key] = _compute(op, is64, dst, src)
        if met:
            alu_reports[op, is64, dst, src] = met[0]
    return val


def sign_mask(dst: Val) -> tuple[Val, Val] | None:
    """A mask of all ones or none (-1 or 0, in 64 bits or in the low 32, as `s>>= 63` leaves it), taken apart into the two.

    Linux splits the path at AND and OR of one with a constant: compilers turn `x < 0 ? a : b` into that, and joined bounds of
    both would be useless. It goes on with the first value and takes up the instruction again for the second. The 32-bit form
    sets the low half alone and deduces nothing.
    """
    if dst.smin == -1 and dst.smax == 0:
        return const(-1), ZERO
    if dst.s32min == -1 and dst.s32max == 0:
        value, mask, smin, smax, umin, umax = dst.fields[:6]
        value, mask = value & HIGH, mask & HIGH
        ones = make(value | U32, mask, smin, smax, umin, umax, -1, -1, U32, U32)
        return ones, make(value, mask, smin, smax, umin, umax, 0, 0, 0, 0)
    return None
