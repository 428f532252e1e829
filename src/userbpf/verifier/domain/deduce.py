"""Deduction: the five views of a scalar narrow one another.

Tnum, signed and unsigned bounds of 64 bits, signed and unsigned of 32: each operation computes some of them badly, and `sync`
lets each view narrow the others. There is no fixpoint in it: which facts survive, and so which programs are accepted and what
the log shows, depends on the number of rounds, which is that of Linux 6.18.44 (found by loading programs and reading the
bounds in the log; the differential test repeats it).

Where the views exclude each other the path is dead. Linux does not drop it: it forgets the bounds and keeps the tnum, and so
does `settle`.
"""

from __future__ import annotations

from typing import Final

from userbpf.verifier import tnum
from userbpf.verifier.domain.val import (
    HIGH,
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    SIGN32,
    SIGN64,
    U32,
    U64,
    Fields,
    Val,
    const,
    consts,
    make,
    s32,
    s64,
)


def sync(f: Fields) -> Fields:
    """Let tnum and bounds narrow one another, as often as Linux 6.18.44 does."""
    f = _bounds_from_tnum(f)
    for _ in range(3):
        before = f
        f = _deduce(f)
        if f == before:  # a further round would change nothing either
            break
    return _bounds_from_tnum(_tnum_from_bounds(f))


def _bounds_from_tnum(f: Fields) -> Fields:
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f
    last = value | mask
    if umin < value:
        umin = value
    if umax > last:
        umax = last
    # both ends in the tnum and apart: the usual case, and more than one word
    if umin >= umax or umin & ~mask != value or umax & ~mask != value:
        only = _only(value, mask, umin, umax)
        if only is not None:
            return const(only).fields
    low, low_last = value & U32, last & U32
    if u32min < low:
        u32min = low
    if u32max > low_last:
        u32max = low_last
    # the smallest signed word has the sign if it may, and nothing else that it need not have
    sign = mask & SIGN64
    first = (value | sign) - ((value | sign) >> 63 << 64)
    if smin < first:
        smin = first
    last = (last ^ sign) - ((last ^ sign) >> 63 << 64)
    if smax > last:
        smax = last
    sign = mask & SIGN32
    first = (low | sign) - ((low | sign) >> 31 << 32)
    if s32min < first:
        s32min = first
    last = (low_last ^ sign) - ((low_last ^ sign) >> 31 << 32)
    if s32max > last:
        s32max = last
    return value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def _only(value: int, mask: int, umin: int, umax: int) -> int | None:
    """The one word of the tnum between the bounds. Where there is none at all, the largest may be named instead."""
    last = value | mask
    after = _step(value, mask, umin)
    if umin & ~mask == value:
        return umin if after > umax else None
    if after == last:
        return last
    return after if after <= umax and _step(value, mask, after) > umax else None


def _step(value: int, mask: int, word: int) -> int:
    """The tnum's next word above `word`; the largest again where there is none."""
    above = tnum.first_from((value, mask), word + 1)
    return value | mask if above is None else above


def _tnum_from_bounds(f: Fields) -> Fields:
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f
    wide_v, wide_m = tnum.meet((value, mask), tnum.span(umin, umax))
    low_v, low_m = tnum.meet((wide_v & U32, wide_m & U32), tnum.span(u32min, u32max))
    return wide_v & HIGH | low_v, wide_m & HIGH | low_m, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def _deduce(f: Fields) -> Fields:
    """One round: 32 bits from 64 and from themselves, 64 from themselves, 64 from 32."""
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f

    # the low halves run without a break where the high halves are equal, or next to each other around zero
    high_step = (umax >> 32) - (umin >> 32)
    if high_step == 0 or high_step == 1:
        low, high = umin & U32, umax & U32
        s_low, s_high = (low ^ SIGN32) - SIGN32, (high ^ SIGN32) - SIGN32
        if high_step == 0:
            u32min, u32max = max(u32min, low), min(u32max, high)
        if s_low <= s_high and (high_step == 0 or s_low < 0 <= s_high):
            s32min, s32max = max(s32min, s_low), min(s32max, s_high)
    high_step = (smax >> 32) - (smin >> 32)
    if high_step == 0 or high_step == 1:
        low, high = smin & U32, smax & U32
        s_low, s_high = (low ^ SIGN32) - SIGN32, (high ^ SIGN32) - SIGN32
        if high_step == 0 and low <= high:
            u32min, u32max = max(u32min, low), min(u32max, high)
        if s_low <= s_high and (high_step == 0 or s_low < 0 <= s_high):
            s32min, s32max = max(s32min, s_low), min(s32max, s_high)

    s32min, s32max, u32min, u32max = _circle(s32min, s32max, u32min, u32max, U32, SIGN32)
    smin, smax, umin, umax = _circle(smin, smax, umin, umax, U64, SIGN64)

    # the high half of a bound with the low half's own bound
    umin, umax = max(umin, umin & HIGH | u32min), min(umax, umax & HIGH | u32max)
    smin, smax = max(smin, smin & ~U32 | u32min), min(smax, smax & ~U32 | u32max)
    # sign-extended and not negative: the high half is zero and the 32-bit bounds are the bounds. They replace those
    # of 64 bits even where these are narrower
    if s32min >= 0 and smin >= S32_MIN and smax <= U32:
        smin, smax, umin, umax = s32min, s32max, s32min, s32max & U64  # negative where the bounds contradict each other
        value, mask = tnum.meet((value, mask), tnum.span(umin, umax))
    return value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def _circle(smin: int, smax: int, umin: int, umax: int, all_ones: int, sign: int) -> tuple[int, int, int, int]:
    """Signed and unsigned bounds of one width: two arcs of one circle, cut at different places."""
    low, high = (umin ^ sign) - sign, (umax ^ sign) - sign
    if low <= high:  # the unsigned arc does not run over the sign
        if smin < low:
            smin = low
        if smax > high:
            smax = high
    first, last = smin & all_ones, smax & all_ones
    if first <= last:  # the signed arc does not run over zero
        if umin < first:
            umin = first
        if umax > last:
            umax = last
    elif umax < first:  # only its part from zero up is left
        smin, umax = low, min(umax, last)
    elif umin > last:  # only its part below zero is left
        smax, umin = high, max(umin, first)
    return smin, smax, umin, umax


def _contradiction(f: Fields) -> str | None:
    """What is wrong with the bounds after deduction, in Linux's words."""
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f
    if umin > umax or smin > smax or u32min > u32max or s32min > s32max:
        return "range bounds violation"
    if not mask and (umin != value or umax != value or smin != s64(value) or smax != smin):
        return "const tnum out of sync with range bounds"
    if not mask & U32:
        low = value & U32
        if u32min != low or u32max != low or s32min != s32(low) or s32max != s32min:
            return "const subreg tnum out of sync with range bounds"
    return None


# what the log says of contradictions met in the operation under way
met: Final[list[str]] = []


def settle(f: Fields, where: str = "alu") -> Val:
    """Deduce, then forget the bounds (not the tnum) where they contradict each other."""
    if f[4] == f[5] and not f[1]:
        constant = consts.get(f[4])
        if constant is not None and constant.fields == f:
            return constant
    f = sync(f)
    return make(f[0], f[1]) if report(f, where) else make(*f)


def report(f: Fields, where: str) -> bool:
    """Note a contradiction for the log; whether there is one."""
    wrong = _contradiction(f)
    if wrong is None:
        return False
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f
    met.append(
        f"REG INVARIANTS VIOLATION ({where}): {wrong} u64=[{umin:#x}, {umax:#x}] s64=[{smin & U64:#x}, {smax & U64:#x}] "
        f"u32=[{u32min:#x}, {u32max:#x}] s32=[{s32min & U32:#x}, {s32max & U32:#x}] var_off=({value:#x}, {mask:#x})"
    )
    return True


def settle32(f: Fields) -> Val:
    """As `settle`, of a result whose high half is zero: the 32-bit bounds are all that counts."""
    value, mask, _, _, _, _, s32min, s32max, u32min, u32max = f
    smin, smax = (s32min, s32max) if s32min >= 0 else (0, U32)
    return settle((value & U32, mask & U32, smin, smax, u32min, u32max, s32min, s32max, u32min, u32max))


def from_range(umin: int, umax: int) -> Val:
    """A scalar between two unsigned bounds."""
    value, mask = tnum.span(umin, umax)
    return settle((value, mask, S64_MIN, S64_MAX, umin, umax, S32_MIN, S32_MAX, 0, U32))


def from_srange(smin: int, smax: int) -> Val:
    """A scalar between two signed bounds, such as a helper's return value."""
    return settle((0, U64, smin, smax, 0, U64, S32_MIN, S32_MAX, 0, U32))
