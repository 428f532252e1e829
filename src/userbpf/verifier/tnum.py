"""Tristate numbers: what is known of each bit of a 64-bit word.

A tnum is two words `(value, mask)`: a bit set in `mask` is unknown, a bit clear in `mask` is that of `value`; `value & mask`
is 0. It stands for all words `w` with `w & ~mask == value`. The operations return the tightest tnum they can compute
in a few word operations, never one that misses a word. Addition, subtraction and the soundness of all of them:
Vishwanathan, Shachnai, Narayana, Nagarakatte, "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers"
(CGO 2022).

Here a tnum is a plain pair of ints and no class: the domain unpacks it at once.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Tnum: TypeAlias = tuple[int, int]

U64: Final = (1 << 64) - 1
U32: Final = (1 << 32) - 1
UNKNOWN: Final[Tnum] = (0, U64)


def span(low: int, high: int) -> Tnum:
    """The tnum of all words between two unsigned ones: the common leading bits are known, the rest is not."""
    free = (1 << (low ^ high).bit_length()) - 1
    return low & ~free, free


def add(a: Tnum, b: Tnum) -> Tnum:
    """a + b. The unknown bits are those of the operands and those that some carry may reach."""
    av, am = a
    bv, bm = b
    low = av + bv
    mask = (((low + am + bm) ^ low) | am | bm) & U64
    return low & ~mask & U64, mask


def sub(a: Tnum, b: Tnum) -> Tnum:
    """a - b. The largest and the smallest difference show which borrows are not certain."""
    av, am = a
    bv, bm = b
    diff = av - bv
    mask = (((diff + am) ^ (diff - bm)) | am | bm) & U64
    return diff & ~mask & U64, mask


def and_(a: Tnum, b: Tnum) -> Tnum:
    """a & b."""
    value = a[0] & b[0]
    return value, (a[0] | a[1]) & (b[0] | b[1]) & ~value


def or_(a: Tnum, b: Tnum) -> Tnum:
    """a | b."""
    value = a[0] | b[0]
    return value, (a[1] | b[1]) & ~value


def xor(a: Tnum, b: Tnum) -> Tnum:
    """a ^ b."""
    mask = a[1] | b[1]
    return (a[0] ^ b[0]) & ~mask, mask


def mul(a: Tnum, b: Tnum) -> Tnum:
    """a * b: long multiplication, where a digit of `a` that may be 0 or 1 joins both sums."""
    av, am = a
    bv, bm = b
    if not am and not bm:
        return av * bv & U64, 0
    sum_v, sum_m = 0, 0
    while av | am:
        low = (av | am) & -(av | am)
        shift = low.bit_length() - 1
        av >>= shift
        am >>= shift
        bv = bv << shift & U64
        bm = bm << shift & U64
        with_b = add((sum_v, sum_m), (bv, bm))
        if av & 1:
            sum_v, sum_m = with_b
        else:
            sum_v, sum_m = join((sum_v, sum_m), with_b)
        av &= ~1
        am &= ~1
    return sum_v, sum_m


def join(a: Tnum, b: Tnum) -> Tnum:
    """The smallest tnum that holds both."""
    mask = a[1] | b[1] | (a[0] ^ b[0])
    return a[0] & b[0] & ~mask, mask


def meet(a: Tnum, b: Tnum) -> Tnum:
    """Words in both. Where a known bit of one contradicts the other, 1 wins and nothing is reported."""
    mask = a[1] & b[1]
    return (a[0] | b[0]) & ~mask, mask


def lshift(a: Tnum, n: int) -> Tnum:
    """a << n."""
    return a[0] << n & U64, a[1] << n & U64


def arshift(a: Tnum, n: int, bits: int) -> Tnum:
    """a >> n within `bits` bits, the (known or unknown) sign shifted in. `a` has no higher bits."""
    sign, all_ones = 1 << (bits - 1), (1 << bits) - 1
    return ((a[0] ^ sign) - sign) >> n & all_ones, ((a[1] ^ sign) - sign) >> n & all_ones


def sext(a: Tnum, bits: int) -> Tnum:
    """The low `bits` bits, sign-extended to 64."""
    sign, all_ones = 1 << (bits - 1), (1 << bits) - 1
    return (((a[0] & all_ones) ^ sign) - sign) & U64, (((a[1] & all_ones) ^ sign) - sign) & U64


def cast(a: Tnum, nbytes: int) -> Tnum:
    """The low bytes, zero-extended."""
    low = (1 << nbytes * 8) - 1
    return a[0] & low, a[1] & low


def bswap(a: Tnum, nbytes: int) -> Tnum:
    """The low bytes in reverse order, zero-extended."""
    low = (1 << nbytes * 8) - 1
    return (
        int.from_bytes((a[0] & low).to_bytes(nbytes, "little"), "big"),
        int.from_bytes((a[1] & low).to_bytes(nbytes, "little"), "big"),
    )


def overlap(a: Tnum, b: Tnum) -> bool:
    """False where no word is in both: some bit is known in both and differs."""
    return not (a[0] ^ b[0]) & ~(a[1] | b[1])


def within(outer: Tnum, inner: Tnum) -> bool:
    """Whether every word of `inner` is one of `outer`."""
    return not inner[1] & ~outer[1] and inner[0] & ~outer[1] == outer[0]


def first_from(a: Tnum, low: int) -> int | None:
    """The smallest word of the tnum that is not below `low`."""
    value, mask = a
    if low <= value:
        return value
    if low > value | mask:
        return None
    differs = (low ^ value) & ~mask
    if not differs:
        return low
    top = differs.bit_length()
    if value >> (top - 1) & 1:  # the known bit lifts the word above `low`: the rest is as small as it may be
        below = (1 << top) - 1
        return low & ~below | value & below
    # the known bit is 0 where `low` has 1: an unknown bit above has to go from 0 to 1
    room = mask & ~low & ~((1 << top) - 1)
    step = room & -room
    return low & ~(step | (step - 1)) | step | value & (step - 1)
