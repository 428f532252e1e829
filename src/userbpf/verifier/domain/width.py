"""Changes of width: moves of half words, loads, sign extension, byte order."""

from __future__ import annotations

from typing import Final

from userbpf.verifier import tnum
from userbpf.verifier.domain.deduce import settle, settle32
from userbpf.verifier.domain.val import S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32, U64, Val, const, make, memo

_mov32: Final[dict[Val, Val]] = memo({})
_casts: Final[dict[int, dict[Val, Val]]] = {nbytes: memo({}) for nbytes in (1, 2, 4)}
_sexts: Final[dict[tuple[int, bool], dict[Val, Val]]] = {
    (bits, is64): memo({}) for bits in (8, 16, 32) for is64 in (False, True)
}
_swaps: Final[dict[int, dict[Val, Val]]] = {nbytes: memo({}) for nbytes in (2, 4, 8)}


def mov32(v: Val) -> Val:
    """`w = w`: the low half, zero-extended."""
    val = _mov32.get(v)
    if val is None:
        val = _mov32[v] = settle32(v.fields)
    return val


def cast(v: Val, nbytes: int) -> Val:
    """What a load of `nbytes` bytes leaves of a 64-bit scalar, zero-extended."""
    if nbytes == 8:
        return v
    known = _casts[nbytes]
    val = known.get(v)
    if val is None:
        val = known[v] = _cast(v, nbytes)
    return val


def _cast(v: Val, nbytes: int) -> Val:
    low = (1 << nbytes * 8) - 1
    value, mask = v.value & low, v.mask & low
    if v.umin & ~low == v.umax & ~low:
        umin, umax = v.umin & low, v.umax & low
    else:
        umin, umax = 0, low
    if nbytes < 4:
        return settle((value, mask, umin, umax, umin, umax, S32_MIN, S32_MAX, 0, U32))
    return settle((value, mask, umin, umax, umin, umax, v.s32min, v.s32max, v.u32min, v.u32max))


def sext(v: Val, bits: int, is64: bool) -> Val:
    """The low `bits` bits sign-extended to 64 bits, or to 32 with the high half zero (MOVSX, sign-extending loads)."""
    known = _sexts[bits, is64]
    val = known.get(v)
    if val is None:
        val = known[v] = _sext(v, bits, is64)
    return val


def _sext(v: Val, bits: int, is64: bool) -> Val:
    if not v.mask:
        word = tnum.sext((v.value, 0), bits)[0]
        return const(word if is64 else word & U32)
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    low, high = (v.smin, v.smax) if is64 else (v.s32min, v.s32max)
    if low >> bits == high >> bits:
        a, b = _signed_low(low, bits), _signed_low(high, bits)
        first, last = min(a, b), max(a, b)
        if (first >= 0) == (last >= 0):
            if is64:
                value, mask = tnum.span(first & U64, last & U64)
                return settle((value, mask, first, last, first & U64, last & U64, first, last, first & U32, last & U32))
            value, mask = tnum.span(first & U32, last & U32)
            return settle32((value, mask, 0, 0, 0, 0, first, last, first & U32, last & U32))
    if is64:
        return make(0, U64, least, most, 0, U64, least, most, 0, U32)
    return settle32((0, U32, 0, 0, 0, 0, least, most, 0, U32))


def _signed_low(word: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return ((word & ((1 << bits) - 1)) ^ sign) - sign


def bswap(v: Val, nbytes: int) -> Val:
    """The low bytes reversed, zero-extended (BPF_END to big endian on a little-endian machine, and bswap)."""
    known = _swaps[nbytes]
    val = known.get(v)
    if val is None:
        value, mask = tnum.bswap((v.value, v.mask), nbytes)
        val = known[v] = settle((value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, 0, U32))
    return val


def to_le(v: Val, nbytes: int) -> Val:
    """BPF_END to little endian on a little-endian machine: the low bytes, zero-extended."""
    return mov32(v) if nbytes == 4 else cast(v, nbytes)
