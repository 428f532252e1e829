"""What is known of a scalar: a tnum and eight bounds, immutable, interned, compared by identity.

A `Val` stands for the 64-bit words `w` with `w` in the tnum, `smin <= s64(w) <= smax`, `umin <= w <= umax`, and the same for the
low half with the four 32-bit bounds. One content is one object, so that equality is `is`, a register can be a tuple,
and every transfer function is a dict from operands to result: a loop pays for a piece of arithmetic once.

The five views (tnum, signed and unsigned of 64 bits, signed and unsigned of 32) constrain one another, and each operation
computes some of them badly. `_sync` lets each view narrow the others. There is no fixpoint in it: which facts survive, and so
which programs are accepted and what the log shows, depends on the number of rounds, which is that of Linux 6.18.44
(found by loading programs and reading the bounds in the log; the differential test repeats it).

Where the views exclude each other the path is dead. Linux does not drop it: it forgets the bounds and keeps the tnum, and so
does `_settle`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from userbpf.isa import opcodes
from userbpf.verifier import tnum
from userbpf.verifier.tnum import Tnum

U64: Final = (1 << 64) - 1
U32: Final = (1 << 32) - 1
S64_MIN: Final = -(1 << 63)
S64_MAX: Final = (1 << 63) - 1
S32_MIN: Final = -(1 << 31)
S32_MAX: Final = (1 << 31) - 1
_SIGN64: Final = 1 << 63
_SIGN32: Final = 1 << 31
_HIGH: Final = U64 ^ U32

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

JEQ: Final = opcodes.BPF_JEQ
JGT: Final = opcodes.BPF_JGT
JGE: Final = opcodes.BPF_JGE
JSET: Final = opcodes.BPF_JSET
JNE: Final = opcodes.BPF_JNE
JSGT: Final = opcodes.BPF_JSGT
JSGE: Final = opcodes.BPF_JSGE
JLT: Final = opcodes.BPF_JLT
JLE: Final = opcodes.BPF_JLE
JSLT: Final = opcodes.BPF_JSLT
JSLE: Final = opcodes.BPF_JSLE


class Val:
    """One abstract scalar. Only this module makes them; compare by identity."""

    __slots__ = (
        "mask",
        "s32max",
        "s32min",
        "smax",
        "smin",
        "text",
        "u32max",
        "u32min",
        "umax",
        "umin",
        "value",
    )

    def __init__(
        self,
        value: int,
        mask: int,
        smin: int,
        smax: int,
        umin: int,
        umax: int,
        s32min: int,
        s32max: int,
        u32min: int,
        u32max: int,
    ) -> None:
        self.value: Final = value
        self.mask: Final = mask
        self.smin: Final = smin
        self.smax: Final = smax
        self.umin: Final = umin
        self.umax: Final = umax
        self.s32min: Final = s32min
        self.s32max: Final = s32max
        self.u32min: Final = u32min
        self.u32max: Final = u32max
        self.text: str | None = None

    @property
    def is_const(self) -> bool:
        """Whether the tnum leaves one word."""
        return not self.mask

    @property
    def tnum(self) -> Tnum:
        return self.value, self.mask

    @property
    def fields(self) -> Fields:
        """Tnum value and mask, then the eight bounds in the order of the log."""
        return (
            self.value,
            self.mask,
            self.smin,
            self.smax,
            self.umin,
            self.umax,
            self.s32min,
            self.s32max,
            self.u32min,
            self.u32max,
        )

    def __contains__(self, word: int) -> bool:
        """Whether the concrete unsigned word is one this stands for."""
        low = word & U32
        return (
            word & ~self.mask == self.value
            and self.umin <= word <= self.umax
            and self.smin <= s64(word) <= self.smax
            and self.u32min <= low <= self.u32max
            and self.s32min <= s32(low) <= self.s32max
        )

    def __repr__(self) -> str:
        return f"<scalar({bounds_text(self)})>" if self.mask else f"<{number_text(self.value)}>"


Fields = tuple[int, int, int, int, int, int, int, int, int, int]
Branch = tuple[bool | None, Val, Val, Val, Val]


def s64(word: int) -> int:
    """The unsigned word as a signed number."""
    return word - (1 << 64) if word & _SIGN64 else word


def s32(word: int) -> int:
    """The unsigned half word as a signed number."""
    return word - (1 << 32) if word & _SIGN32 else word


# -- interning ---------------------------------------------------------------------------------------------------------

_LIMIT: Final = 1 << 17
_table: Final[dict[Fields, Val]] = {}
_consts: Final[dict[int, Val]] = {}
_memos: Final[list[dict[tuple[Val, Val], Val]]] = []
_self_memo: Final[dict[tuple[int, bool, Val], tuple[bool | None, Val, Val]]] = {}
_branch_memos: Final[list[dict[tuple[Val, Val], Branch]]] = []
_unary_memos: Final[list[dict[Val, Val]]] = []
_room: list[int] = [_LIMIT]
# what Linux logs (behind `verifier bug: `) where bounds contradict each other: of an operation, of a branch's operands
alu_reports: Final[dict[tuple[int, bool, Val, Val], str]] = {}
branch_reports: Final[dict[tuple[int, bool, Val, Val], tuple[str, ...]]] = {}
self_reports: Final[dict[tuple[int, bool, Val], tuple[str, ...]]] = {}
# called when the tables are swept, for memos that others keep
on_sweep: Final[list[Callable[[], None]]] = []


def make(
    value: int,
    mask: int,
    smin: int = S64_MIN,
    smax: int = S64_MAX,
    umin: int = 0,
    umax: int = U64,
    s32min: int = S32_MIN,
    s32max: int = S32_MAX,
    u32min: int = 0,
    u32max: int = U32,
) -> Val:
    """The one `Val` of this content, taken as it is: nothing is deduced."""
    key = (value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max)
    if not mask:
        constant = const(value)
        if constant.fields == key:  # else what a contradiction left: a known word without its bounds
            return constant
    val = _table.get(key)
    if val is None:
        if len(_table) + len(_consts) > _room[0]:
            sweep()
        val = _table.setdefault(key, Val(*key))
    return val


def const(v: int) -> Val:
    """The constant, taken modulo 2^64."""
    v &= U64
    val = _consts.get(v)
    if val is None:
        if len(_table) + len(_consts) > _room[0]:
            sweep()
        signed, low = s64(v), v & U32
        low_signed = s32(low)
        key = (v, 0, signed, signed, v, v, low_signed, low_signed, low, low)
        val = _consts.setdefault(v, Val(*key))
    return val


def forget() -> None:
    """Drop all memoised results."""
    for memo in _memos:
        memo.clear()
    for unary in _unary_memos:
        unary.clear()
    for branches in _branch_memos:
        branches.clear()
    _self_memo.clear()
    alu_reports.clear()
    branch_reports.clear()
    self_reports.clear()
    for other in on_sweep:
        other()


def sweep() -> None:
    """Forget memoised results and every `Val` that nobody holds; runs by itself when the tables have grown.

    A `Val` in use stays, so identity stays equality. The reference count tells what is in use: one from the table and one
    for the argument of getrefcount is nobody.
    """
    forget()
    for key in list(_table):
        if sys.getrefcount(_table[key]) <= 2:
            del _table[key]
    for v in list(_consts):
        if sys.getrefcount(_consts[v]) <= 2:
            del _consts[v]
    _room[0] = max(_LIMIT, 2 * (len(_table) + len(_consts)))


def table_sizes() -> tuple[int, int]:
    """How many scalars are interned: constants aside, constants."""
    return len(_table), len(_consts)


UNKNOWN: Final = make(0, U64)
ZERO: Final = const(0)


# -- deduction ---------------------------------------------------------------------------------------------------------


def _sync(f: Fields) -> Fields:
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
    sign = mask & _SIGN64
    first = (value | sign) - ((value | sign) >> 63 << 64)
    if smin < first:
        smin = first
    last = (last ^ sign) - ((last ^ sign) >> 63 << 64)
    if smax > last:
        smax = last
    sign = mask & _SIGN32
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
    return wide_v & _HIGH | low_v, wide_m & _HIGH | low_m, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def _deduce(f: Fields) -> Fields:
    """One round: 32 bits from 64 and from themselves, 64 from themselves, 64 from 32."""
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f

    # the low halves run without a break where the high halves are equal, or next to each other around zero
    high_step = (umax >> 32) - (umin >> 32)
    if high_step == 0 or high_step == 1:
        low, high = umin & U32, umax & U32
        s_low, s_high = (low ^ _SIGN32) - _SIGN32, (high ^ _SIGN32) - _SIGN32
        if high_step == 0:
            u32min, u32max = max(u32min, low), min(u32max, high)
        if s_low <= s_high and (high_step == 0 or s_low < 0 <= s_high):
            s32min, s32max = max(s32min, s_low), min(s32max, s_high)
    high_step = (smax >> 32) - (smin >> 32)
    if high_step == 0 or high_step == 1:
        low, high = smin & U32, smax & U32
        s_low, s_high = (low ^ _SIGN32) - _SIGN32, (high ^ _SIGN32) - _SIGN32
        if high_step == 0 and low <= high:
            u32min, u32max = max(u32min, low), min(u32max, high)
        if s_low <= s_high and (high_step == 0 or s_low < 0 <= s_high):
            s32min, s32max = max(s32min, s_low), min(s32max, s_high)

    s32min, s32max, u32min, u32max = _circle(s32min, s32max, u32min, u32max, U32, _SIGN32)
    smin, smax, umin, umax = _circle(smin, smax, umin, umax, U64, _SIGN64)

    # the high half of a bound with the low half's own bound
    umin, umax = max(umin, umin & _HIGH | u32min), min(umax, umax & _HIGH | u32max)
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
_met: Final[list[str]] = []


def _settle(f: Fields, where: str = "alu") -> Val:
    """Deduce, then forget the bounds (not the tnum) where they contradict each other."""
    if f[4] == f[5] and not f[1]:
        constant = _consts.get(f[4])
        if constant is not None and constant.fields == f:
            return constant
    f = _sync(f)
    return make(f[0], f[1]) if _report(f, where) else make(*f)


def _report(f: Fields, where: str) -> bool:
    """Note a contradiction for the log; whether there is one."""
    wrong = _contradiction(f)
    if wrong is None:
        return False
    value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max = f
    _met.append(
        f"REG INVARIANTS VIOLATION ({where}): {wrong} u64=[{umin:#x}, {umax:#x}] s64=[{smin & U64:#x}, {smax & U64:#x}] "
        f"u32=[{u32min:#x}, {u32max:#x}] s32=[{s32min & U32:#x}, {s32max & U32:#x}] var_off=({value:#x}, {mask:#x})"
    )
    return True


def _settle32(f: Fields) -> Val:
    """As `_settle`, of a result whose high half is zero: the 32-bit bounds are all that counts."""
    value, mask, _, _, _, _, s32min, s32max, u32min, u32max = f
    smin, smax = (s32min, s32max) if s32min >= 0 else (0, U32)
    return _settle((value & U32, mask & U32, smin, smax, u32min, u32max, s32min, s32max, u32min, u32max))


def from_range(umin: int, umax: int) -> Val:
    """A scalar between two unsigned bounds."""
    value, mask = tnum.span(umin, umax)
    return _settle((value, mask, S64_MIN, S64_MAX, umin, umax, S32_MIN, S32_MAX, 0, U32))


def from_srange(smin: int, smax: int) -> Val:
    """A scalar between two signed bounds, such as a helper's return value."""
    return _settle((0, U64, smin, smax, 0, U64, S32_MIN, S32_MAX, 0, U32))


# -- arithmetic --------------------------------------------------------------------------------------------------------

Range = tuple[int, int]


def _alu_add(a: Val, b: Val) -> Fields:
    return (
        *tnum.add((a.value, a.mask), (b.value, b.mask)),
        *_signed_sum(a.smin + b.smin, a.smax + b.smax, S64_MIN, S64_MAX),
        *_wrap(a.umin + b.umin, a.umax + b.umax, U64),
        *_signed_sum(a.s32min + b.s32min, a.s32max + b.s32max, S32_MIN, S32_MAX),
        *_wrap(a.u32min + b.u32min, a.u32max + b.u32max, U32),
    )


def _alu_sub(a: Val, b: Val) -> Fields:
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


def _alu_mul(a: Val, b: Val) -> Fields:
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


def _alu_bitwise(value: int, mask: int, umin: int, umax: int, u32min: int, u32max: int) -> Fields:
    """Bounds of AND, OR, XOR: the unsigned ones are given, the signed ones follow where the sign is one."""
    smin, smax = s64(umin), s64(umax)
    if smin > smax:
        smin, smax = S64_MIN, S64_MAX
    s32min, s32max = s32(u32min), s32(u32max)
    if s32min > s32max:
        s32min, s32max = S32_MIN, S32_MAX
    return value, mask, smin, smax, umin, umax, s32min, s32max, u32min, u32max


def _alu_and(a: Val, b: Val) -> Fields:
    value, mask = tnum.and_((a.value, a.mask), (b.value, b.mask))
    return _alu_bitwise(value, mask, value, min(a.umax, b.umax), value & U32, min(a.u32max, b.u32max))


def _alu_or(a: Val, b: Val) -> Fields:
    value, mask = tnum.or_((a.value, a.mask), (b.value, b.mask))
    return _alu_bitwise(value, mask, max(a.umin, b.umin), value | mask, max(a.u32min, b.u32min), (value | mask) & U32)


def _alu_xor(a: Val, b: Val) -> Fields:
    value, mask = tnum.xor((a.value, a.mask), (b.value, b.mask))
    return _alu_bitwise(value, mask, value, value | mask, value & U32, (value | mask) & U32)


def _lsh64(a: Val, n: int) -> Fields:
    value, mask = tnum.lshift((a.value, a.mask), n)
    smin, smax = S64_MIN, S64_MAX
    if n == 32:
        smin, smax = a.s32min << 32, a.s32max << 32
    umin, umax = (a.umin << n, a.umax << n) if a.umax <= 1 << 63 - n else (0, U64)
    u32min, u32max = (a.u32min << n, a.u32max << n) if n < 32 and a.u32max <= 1 << 31 - n else (0, U32)
    return value, mask, smin, smax, umin, umax, S32_MIN, S32_MAX, u32min, u32max


def _lsh32(a: Val, n: int) -> Fields:
    value, mask = tnum.lshift((a.value & U32, a.mask & U32), n)
    u32min, u32max = (a.u32min << n, a.u32max << n) if a.u32max <= 1 << 31 - n else (0, U32)
    return value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, u32min, u32max


def _rsh64(a: Val, n: int) -> Fields:
    value, mask = a.value >> n, a.mask >> n
    return value, mask, S64_MIN, S64_MAX, a.umin >> n, a.umax >> n, S32_MIN, S32_MAX, 0, U32


def _rsh32(a: Val, n: int) -> Fields:
    value, mask = (a.value & U32) >> n, (a.mask & U32) >> n
    return value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, a.u32min >> n, a.u32max >> n


def _arsh64(a: Val, n: int) -> Fields:
    value, mask = tnum.arshift((a.value, a.mask), n, 64)
    return value, mask, a.smin >> n, a.smax >> n, 0, U64, S32_MIN, S32_MAX, 0, U32


def _arsh32(a: Val, n: int) -> Fields:
    value, mask = tnum.arshift((a.value & U32, a.mask & U32), n, 32)
    return value, mask, S64_MIN, S64_MAX, 0, U64, a.s32min >> n, a.s32max >> n, 0, U32


_TWO_SIDED: Final[dict[int, Callable[[Val, Val], Fields]]] = {
    ADD: _alu_add,
    SUB: _alu_sub,
    MUL: _alu_mul,
    AND: _alu_and,
    OR: _alu_or,
    XOR: _alu_xor,
}
_SHIFTS: Final[dict[int, tuple[Callable[[Val, int], Fields], Callable[[Val, int], Fields]]]] = {
    LSH: (_lsh32, _lsh64),
    RSH: (_rsh32, _rsh64),
    ARSH: (_arsh32, _arsh64),
}


def _compute(op: int, is64: bool, dst: Val, src: Val) -> Val:
    """One operation, not memoised."""
    if op == NEG:
        return _compute(SUB, is64, ZERO, dst)
    two_sided = _TWO_SIDED.get(op)
    if two_sided is not None:
        if not is64:
            return _settle32(two_sided(dst, src))
        return _settle(two_sided(dst, src))
    shift = _SHIFTS.get(op)
    if shift is not None:
        n = src.value
        # the amount is judged by its 64 bits in a 32-bit shift too
        if not src.mask and src.umax < (64 if is64 else 32):
            return _settle(shift[1](dst, n)) if is64 else _settle32(shift[0](dst, n))
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


def _memo() -> dict[tuple[Val, Val], Val]:
    memo: dict[tuple[Val, Val], Val] = {}
    _memos.append(memo)
    return memo


_ALU_OPS: Final = (ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, ARSH, SDIV, SMOD)
_alu64: Final = {op: _memo() for op in _ALU_OPS}
_alu32: Final = {op: _memo() for op in _ALU_OPS}


def alu(op: int, is64: bool, dst: Val, src: Val) -> Val:
    """The result of `dst op= src`. For NEG `src` is ignored. A 32-bit operation reads low halves and zeroes the high one."""
    if not dst.mask and not src.mask and src.umin == src.umax:
        word = _const_alu(op, is64, dst.value, src.value)
        if word is not None:
            return const(word)
    memo = (_alu64 if is64 else _alu32)[op]
    key = (dst, src)
    val = memo.get(key)
    if val is None:
        _met.clear()
        val = memo[key] = _compute(op, is64, dst, src)
        if _met:
            alu_reports[op, is64, dst, src] = _met[0]
    return val


def fork(op: int, dst: Val, src: Val) -> tuple[Val, Val] | None:
    """Where Linux splits the path at `dst op= src`: what dst is in the path it goes on with, and in the one for later.

    A mask of all ones or none (-1 or 0, in 64 bits or in the low 32) under AND or OR with a constant is such a place:
    compilers make branchless code of it, and joined bounds of both would be useless. The instruction is taken up again for
    the second path. The 32-bit form sets the low half alone and deduces nothing.
    """
    if (op != AND and op != OR) or src.mask:
        return None
    if dst.smin == -1 and dst.smax == 0:
        return const(-1), ZERO
    if dst.s32min == -1 and dst.s32max == 0:
        value, mask, smin, smax, umin, umax = dst.fields[:6]
        value, mask = value & _HIGH, mask & _HIGH
        ones = make(value | U32, mask, smin, smax, umin, umax, -1, -1, U32, U32)
        return ones, make(value, mask, smin, smax, umin, umax, 0, 0, 0, 0)
    return None


# -- changes of width --------------------------------------------------------------------------------------------------


def _unary() -> dict[Val, Val]:
    memo: dict[Val, Val] = {}
    _unary_memos.append(memo)
    return memo


_mov32_memo: Final = _unary()
_cast_memos: Final = {1: _unary(), 2: _unary(), 4: _unary()}
_sext_memos: Final = {(bits, is64): _unary() for bits in (8, 16, 32) for is64 in (False, True)}
_swap_memos: Final = {(nbytes): _unary() for nbytes in (2, 4, 8)}


def mov32(v: Val) -> Val:
    """`w = w`: the low half, zero-extended."""
    val = _mov32_memo.get(v)
    if val is None:
        val = _mov32_memo[v] = _settle32(v.fields)
    return val


def cast(v: Val, nbytes: int) -> Val:
    """What a load of `nbytes` bytes leaves of a 64-bit scalar, zero-extended."""
    if nbytes == 8:
        return v
    memo = _cast_memos[nbytes]
    val = memo.get(v)
    if val is None:
        val = memo[v] = _cast(v, nbytes)
    return val


def _cast(v: Val, nbytes: int) -> Val:
    low = (1 << nbytes * 8) - 1
    value, mask = v.value & low, v.mask & low
    if v.umin & ~low == v.umax & ~low:
        umin, umax = v.umin & low, v.umax & low
    else:
        umin, umax = 0, low
    if nbytes < 4:
        return _settle((value, mask, umin, umax, umin, umax, S32_MIN, S32_MAX, 0, U32))
    return _settle((value, mask, umin, umax, umin, umax, v.s32min, v.s32max, v.u32min, v.u32max))


def sext(v: Val, bits: int, is64: bool) -> Val:
    """The low `bits` bits sign-extended to 64 bits, or to 32 with the high half zero (MOVSX, sign-extending loads)."""
    memo = _sext_memos[bits, is64]
    val = memo.get(v)
    if val is None:
        val = memo[v] = _sext(v, bits, is64)
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
                return _settle(
                    (value, mask, first, last, first & U64, last & U64, first, last, first & U32, last & U32)
                )
            value, mask = tnum.span(first & U32, last & U32)
            return _settle32((value, mask, 0, 0, 0, 0, first, last, first & U32, last & U32))
    if is64:
        return make(0, U64, least, most, 0, U64, least, most, 0, U32)
    return _settle32((0, U32, 0, 0, 0, 0, least, most, 0, U32))


def _signed_low(word: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return ((word & ((1 << bits) - 1)) ^ sign) - sign


def bswap(v: Val, nbytes: int) -> Val:
    """The low bytes reversed, zero-extended (BPF_END to big endian on a little-endian machine, and bswap)."""
    memo = _swap_memos[nbytes]
    val = memo.get(v)
    if val is None:
        value, mask = tnum.bswap((v.value, v.mask), nbytes)
        val = memo[v] = _settle((value, mask, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, 0, U32))
    return val


def to_le(v: Val, nbytes: int) -> Val:
    """BPF_END to little endian on a little-endian machine: the low bytes, zero-extended."""
    return mov32(v) if nbytes == 4 else cast(v, nbytes)


# -- branches ----------------------------------------------------------------------------------------------------------

_branch64: Final[dict[int, dict[tuple[Val, Val], Branch]]] = {}
_branch32: Final[dict[int, dict[tuple[Val, Val], Branch]]] = {}
_JMP_OPS: Final = (JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, JLT, JLE, JSLT, JSLE)
for _op in _JMP_OPS:
    for _memos_of in (_branch64, _branch32):
        _memos_of[_op] = {}
        _branch_memos.append(_memos_of[_op])

# the comparison that holds where this one does not
_INVERSE: Final = {
    JEQ: JNE,
    JNE: JEQ,
    JGT: JLE,
    JLE: JGT,
    JGE: JLT,
    JLT: JGE,
    JSGT: JSLE,
    JSLE: JSGT,
    JSGE: JSLT,
    JSLT: JSGE,
}
# the same comparison with its sides exchanged
_MIRROR: Final = {JGT: JLT, JGE: JLE, JSGT: JSLT, JSGE: JSLE}
_NOT_SET: Final = 0x140


def branch(op: int, is32: bool, a: Val, b: Val) -> Branch:
    """`if a op b`: (prediction, a and b where it jumps, a and b where it falls through).

    The prediction is None where both ways are open; with a prediction the operands come back unrefined.
    """
    memo = (_branch32 if is32 else _branch64)[op]
    key = (a, b)
    result = memo.get(key)
    if result is None:
        pred = _predict(op, is32, a, b)
        if pred is not None:
            result = (pred, a, b, a, b)
        else:
            inverse = _NOT_SET if op == JSET else _INVERSE[op]
            jump, fall = _refine(op, is32, a, b), _refine(inverse, is32, a, b)
            _met.clear()
            result = (
                None,
                _settle(jump[0], "true_reg1"),
                _settle(jump[1], "true_reg2"),
                _settle(fall[0], "false_reg1"),
                _settle(fall[1], "false_reg2"),
            )
            if _met:
                branch_reports[op, is32, a, b] = tuple(_met)
        memo[key] = result
    return result


def branch_self(op: int, is32: bool, a: Val) -> tuple[bool | None, Val, Val]:
    """`if r op r`, one register on both sides: (prediction, the register where it jumps, where it falls through).

    Linux predicts it no better than two registers of the same content, and then refines the one register as both sides
    in turn, so that `r < r` leaves it narrower by one at each end.
    """
    key = (op, is32, a)
    result = _self_memo.get(key)
    if result is None:
        pred = _predict(op, is32, a, a)
        if pred is not None:
            return pred, a, a
        inverse = _NOT_SET if op == JSET else _INVERSE[op]
        _met.clear()
        result = (None, _refine_self(op, is32, a, "true"), _refine_self(inverse, is32, a, "false"))
        if _met:
            self_reports[op, is32, a] = tuple(_met)
        _self_memo[key] = result
    return result


def _refine_self(op: int, is32: bool, a: Val, side: str) -> Val:
    op = _MIRROR.get(op, op)
    if op in (JLT, JSLT):
        f = list(a.fields)
        at = (6 if op == JSLT else 8) if is32 else (2 if op == JSLT else 4)
        f[at + 1] -= 1
        f[at] += 1
        fields = _pair(f, f)[0]
    else:
        fields = _refine(op, is32, a, a)[0]
    reports = len(_met)
    val = _settle(_sync(fields), side + "_reg1")
    if len(_met) > reports:
        _report(val.fields, side + "_reg2")
    return val


def _predict(op: int, is32: bool, a: Val, b: Val) -> bool | None:
    if op == JSET:
        return _predict_set(is32, a, b)
    if op in (JEQ, JNE):
        equal = _predict_equal(is32, a, b)
        return equal if op == JEQ or equal is None else not equal
    if op in (JLT, JLE, JSLT, JSLE):
        greater = {JLT: JGE, JLE: JGT, JSLT: JSGE, JSLE: JSGT}[op]
        pred = _predict(greater, is32, a, b)
        return None if pred is None else not pred
    if op in (JGT, JGE):
        amin, amax, bmin, bmax = (a.u32min, a.u32max, b.u32min, b.u32max) if is32 else (a.umin, a.umax, b.umin, b.umax)
    else:
        amin, amax, bmin, bmax = (a.s32min, a.s32max, b.s32min, b.s32max) if is32 else (a.smin, a.smax, b.smin, b.smax)
    if op in (JGT, JSGT):
        return True if amin > bmax else False if amax <= bmin else None
    return True if amin >= bmax else False if amax < bmin else None


def _predict_equal(is32: bool, a: Val, b: Val) -> bool | None:
    if is32:
        at, bt = (a.value & U32, a.mask & U32), (b.value & U32, b.mask & U32)
    else:
        at, bt = (a.value, a.mask), (b.value, b.mask)
    if not at[1] and not bt[1]:
        return at[0] == bt[0]
    if not tnum.overlap(at, bt):
        return False
    if not is32 and (a.umin > b.umax or a.umax < b.umin or a.smin > b.smax or a.smax < b.smin):
        return False
    if a.u32min > b.u32max or a.u32max < b.u32min or a.s32min > b.s32max or a.s32max < b.s32min:
        return False
    return None


def _predict_set(is32: bool, a: Val, b: Val) -> bool | None:
    every = U32 if is32 else U64
    if b.mask & every:
        a, b = b, a
    if b.mask & every:
        return None
    bits = b.value & every
    if a.value & bits:
        return True
    if not (a.value | a.mask) & bits:
        return False
    return None


Pair = tuple[Fields, Fields]


def _refine(op: int, is32: bool, a: Val, b: Val) -> Pair:
    """Both operands where the comparison holds."""
    if op in _MIRROR:
        return _swap(_refine(_MIRROR[op], is32, b, a))
    if op in (JSET, _NOT_SET):
        return _refine_set(op, is32, a, b)
    if op == JEQ:
        return _refine_equal(is32, a, b)
    if op == JNE:
        return _refine_unequal(is32, a, b)
    fa, fb = list(a.fields), list(b.fields)
    signed = op in (JSLT, JSLE)
    # where the minimum of the pair of bounds in question lies in Fields
    at = (6 if signed else 8) if is32 else (2 if signed else 4)
    gap = 1 if op in (JLT, JSLT) else 0
    amin, bmax = fa[at], fb[at + 1]
    fa[at + 1] = min(fa[at + 1], bmax - gap)
    fb[at] = max(fb[at], amin + gap)
    return _pair(fa, fb)


def _swap(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _pair(fa: list[int], fb: list[int]) -> Pair:
    return (
        (fa[0], fa[1], fa[2], fa[3], fa[4], fa[5], fa[6], fa[7], fa[8], fa[9]),
        (fb[0], fb[1], fb[2], fb[3], fb[4], fb[5], fb[6], fb[7], fb[8], fb[9]),
    )


def _refine_equal(is32: bool, a: Val, b: Val) -> Pair:
    fa, fb = a.fields, b.fields
    first = 6 if is32 else 2
    met = list(fa)
    for i in range(first, first + 4):
        met[i] = min(fa[i], fb[i]) if i & 1 else max(fa[i], fb[i])
    other = list(fb)
    other[first : first + 4] = met[first : first + 4]
    if is32:
        low = tnum.meet((a.value & U32, a.mask & U32), (b.value & U32, b.mask & U32))
        met[0], met[1] = a.value & _HIGH | low[0], a.mask & _HIGH | low[1]
        other[0], other[1] = b.value & _HIGH | low[0], b.mask & _HIGH | low[1]
    else:
        met[0], met[1] = tnum.meet((a.value, a.mask), (b.value, b.mask))
        other[0], other[1] = met[0], met[1]
    return _pair(met, other)


def _refine_unequal(is32: bool, a: Val, b: Val) -> Pair:
    every = U32 if is32 else U64
    f = list(a.fields)
    if b.mask & every:
        if not a.mask & every:
            return _swap(_refine_unequal(is32, b, a))
    else:
        first = 6 if is32 else 2
        signed = s32(b.value & U32) if is32 else s64(b.value)
        for i, word in ((first, signed), (first + 2, b.value & every)):
            if f[i] == word:
                f[i] += 1
            if f[i + 1] == word:
                f[i + 1] -= 1
    return _pair(f, list(b.fields))


def _refine_set(op: int, is32: bool, a: Val, b: Val) -> Pair:
    every = U32 if is32 else U64
    f = list(a.fields)
    if b.mask & every:
        if not a.mask & every:
            return _swap(_refine_set(op, is32, b, a))
    else:
        bits = b.value & every
        if op == _NOT_SET:
            # Linux starts over from the tnum here
            f = [a.value & ~bits, a.mask & ~bits, *UNKNOWN.fields[2:]]
        elif not bits & (bits - 1):
            f[0], f[1] = f[0] | bits, f[1] & ~bits
    return _pair(f, list(b.fields))


# -- order and text ----------------------------------------------------------------------------------------------------


def leq(old: Val, cur: Val) -> bool:
    """Whether everything `cur` stands for is in `old`, view by view."""
    return old is cur or (
        old.umin <= cur.umin
        and old.umax >= cur.umax
        and old.smin <= cur.smin
        and old.smax >= cur.smax
        and old.u32min <= cur.u32min
        and old.u32max >= cur.u32max
        and old.s32min <= cur.s32min
        and old.s32max >= cur.s32max
        and not cur.mask & ~old.mask
        and cur.value & ~old.mask == old.value
    )


def number_text(n: int) -> str:
    """A number as Linux's log prints a signed one: decimal where it fits 16 bits, else hexadecimal. Takes s64 or u64."""
    n &= U64
    if n <= 0x7FFF:
        return str(n)
    if n >= U64 - 0x7FFF:
        return str(n - (1 << 64))
    return hex(n)


def _unsigned_text(n: int) -> str:
    """A number as Linux's log prints an unsigned one."""
    n &= U64
    return str(n) if n <= 0xFFFF else hex(n)


_NAMES: Final = ("smin", "smax", "umin", "umax", "smin32", "smax32", "umin32", "umax32")


def bounds_text(val: Val) -> str:
    """The bounds of a scalar that is no constant, `smin=0,smax=umax=255,var_off=(0x0; 0xff)`; empty where nothing is known."""
    if val.text is None:
        val.text = _bounds_text(val)
    return val.text


def _bounds_text(val: Val) -> str:
    bounds, trivial = val.fields[2:], UNKNOWN.fields[2:]
    shown = [i for i in range(8) if bounds[i] != trivial[i]]
    # a 32-bit bound joins the others as the number that is printed: unsigned where it is printed in hexadecimal
    keys = [n if i < 4 or -0x8000 <= n <= 0x7FFF else n & U32 for i, n in enumerate(bounds)]
    parts = []
    while shown:
        first = shown[0]
        group = [i for i in shown if i & 1 == first & 1 and keys[i] == keys[first]]
        shown = [i for i in shown if i not in group]
        text = number_text if _NAMES[first][0] == "s" else _unsigned_text
        parts.append("=".join(_NAMES[i] for i in group) + "=" + text(keys[first]))
    if val.mask != U64:
        parts.append(f"var_off=({val.value:#x}; {val.mask:#x})")
    return ",".join(parts)
