"""AND, OR, XOR and the shifts: exact in the tnum, the bounds follow."""

from __future__ import annotations

from userbpf.verifier import tnum
from userbpf.verifier.domain.val import (
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    U64,
    Fields,
    Val,
    s32,
    s64,
)


def _bitwise(value: int, mask: int, umin: int, umax: int, u32min: int, u32max: int) -> Fields:
    """Bounds of AND, OR, XOR: the unsigned ones are given, the signed ones follow where the sign is one."""
    smin, smax = s64(umin), s64(umax)
    if smin > smax:
        smin, smax = S64_MIN, S64_MAX
    s32min, s32max = s32(u32min), s32(u32max)
    if s32min > s32max:
        s32min, s32max = S32_MIN, S32_MAX
    return value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def and_(a: Val, b: Val) -> Fields:
    value, mask = tnum.and_((a.value, a.mask), (b.value, b.mask))
    return _bitwise(value, mask, value, min(a.umax, b.umax), value & U32, min(a.u32max, b.u32max))


def or_(a: Val, b: Val) -> Fields:
    value, mask = tnum.or_((a.value, a.mask), (b.value, b.mask))
    return _bitwise(value, mask, max(a.umin, b.umin), value | mask, max(a.u32min, b.u32min), (value | mask) & U32)


def xor_(a: Val, b: Val) -> Fields:
    value, mask = tnum.xor((a.value, a.mask), (b.value, b.mask))
    return _bitwise(value, mask, value, value | mask, value & U32, (value | mask) & U32)


def lsh64(a: Val, n: int) -> Fields:
    value, mask = tnum.lshift((a.value, a.mask), n)
    smin, smax = S64_MIN, S64_MAX
    if n == 32:
        smin, smax = a.s32min << 32, a.s32max << 32
    umin, umax = (a.umin << n, a.umax << n) if a.umax <= 1 << 63 - n else (0, U64)
    u32min, u32max = (a.u32min << n, a.u32max << n) if n < 32 and a.u32max <= 1 << 31 - n else (0, U32)
    return value, mask, smin, smax, umin, umax, S32_MIN, S32_MAX, u32min, u32max


def lsh32(a: Val, n: int) -> Fields:
    value, mask = tnum.lshift((a.value & U32, a.mask & U32), n)
    u32min, u32max = (a.u32min << n, a.u32max << n) if a.u32max <= 1 << 31 - n else (0, U32)
    return value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, u32min, u32max


def rsh64(a: Val, n: int) -> Fields:
    value, mask = a.value >> n, a.mask >> n
    return value, mask, S64_MIN, S64_MAX, a.umin >> n, a.umax >> n, S32_MIN, S32_MAX, 0, U32


def rsh32(a: Val, n: int) -> Fields:
    value, mask = (a.value & U32) >> n, (a.mask & U32) >> n
    return value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, a.u32min >> n, a.u32max >> n


def arsh64(a: Val, n: int) -> Fields:
    value, mask = tnum.arshift((a.value, a.mask), n, 64)
    return value, mask, a.smin >> n, a.smax >> n, 0, U64, S32_MIN, S32_MAX, 0, U32


def arsh32(a: Val, n: int) -> Fields:
    value, mask = tnum.arshift((a.value & U32, a.mask & U32), n, 32)
    return value, mask, S64_MIN, S64_MAX, 0, U64, a.s32min >> n, a.s32max >> n, 0, U32
