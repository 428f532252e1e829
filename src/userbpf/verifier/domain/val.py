"""Scalars as objects: `Val`, one object a content; their order and their text.

One content is one object, so that equality is `is`, a register can be a tuple, and every transfer function is a dict from
operands to result: a loop pays for a piece of arithmetic once. Those dicts are `memo`s, which go when the table is swept.
"""

from __future__ import annotations

import sys
from typing import Any, Final, TypeVar

from userbpf.verifier.tnum import Tnum

U64: Final = (1 << 64) - 1
U32: Final = (1 << 32) - 1
S64_MIN: Final = -(1 << 63)
S64_MAX: Final = (1 << 63) - 1
S32_MIN: Final = -(1 << 31)
S32_MAX: Final = (1 << 31) - 1
SIGN64: Final = 1 << 63
SIGN32: Final = 1 << 31
HIGH: Final = U64 ^ U32


class Val:
    """One abstract scalar. Only `make` and `const` make them; compare by identity."""

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


def s64(word: int) -> int:
    """The unsigned word as a signed number."""
    return word - (1 << 64) if word & SIGN64 else word


def s32(word: int) -> int:
    """The unsigned half word as a signed number."""
    return word - (1 << 32) if word & SIGN32 else word


# -- interning ---------------------------------------------------------------------------------------------------------

K = TypeVar("K")
V = TypeVar("V")
_LIMIT: Final = 1 << 17
_table: Final[dict[Fields, Val]] = {}
consts: Final[dict[int, Val]] = {}
_memos: Final[list[dict[Any, Any]]] = []
_room: list[int] = [_LIMIT]


def memo(table: dict[K, V]) -> dict[K, V]:
    """The table, which from now on is emptied by `forget`."""
    _memos.append(table)
    return table


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
        if len(_table) + len(consts) > _room[0]:
            sweep()
        val = _table.setdefault(key, Val(*key))
    return val


def const(v: int) -> Val:
    """The constant, taken modulo 2^64."""
    v &= U64
    val = consts.get(v)
    if val is None:
        if len(_table) + len(consts) > _room[0]:
            sweep()
        signed, low = s64(v), v & U32
        low_signed = s32(low)
        key = (v, 0, signed, signed, v, v, low_signed, low_signed, low, low)
        val = consts.setdefault(v, Val(*key))
    return val


def forget() -> None:
    """Drop all memoised results."""
    for table in _memos:
        table.clear()


def sweep() -> None:
    """Forget memoised results and every `Val` that nobody holds; runs by itself when the tables have grown.

    A `Val` in use stays, so identity stays equality. The reference count tells what is in use: one from the table and one
    for the argument of getrefcount is nobody.
    """
    forget()
    for key in list(_table):
        if sys.getrefcount(_table[key]) <= 2:
            del _table[key]
    for v in list(consts):
        if sys.getrefcount(consts[v]) <= 2:
            del consts[v]
    _room[0] = max(_LIMIT, 2 * (len(_table) + len(consts)))


def table_sizes() -> tuple[int, int]:
    """How many scalars are interned: constants aside, constants."""
    return len(_table), len(consts)


UNKNOWN: Final = make(0, U64)
ZERO: Final = const(0)


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


def unsigned_text(n: int) -> str:
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
        text = number_text if _NAMES[first][0] == "s" else unsigned_text
        parts.append("=".join(_NAMES[i] for i in group) + "=" + text(keys[first]))
    if val.mask != U64:
        parts.append(f"var_off=({val.value:#x}; {val.mask:#x})")
    return ",".join(parts)
