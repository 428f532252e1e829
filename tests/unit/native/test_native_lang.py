"""Statements and expressions: the compiled form agrees with CPython, and CPython with plain Python modulo 2**64."""

from __future__ import annotations

import errno
from typing import Any, Final

import pytest

from userbpf.native import IrModule, NativeFn, NativeSet, Sym, compile_natives, compiled, native
from userbpf.native.intrinsics import M64

FIVE: Final = 5
NEGATIVE = -3
TABLE = (3, 1, 4, 1, 5)


@native
def arithmetic(a: int, b: int) -> int:
    """Every operator; b is not 0."""
    x = (a + b) * (a - b)
    x ^= a // b
    x += a % b
    x |= a & ~b
    return x - -a


@native
def shifts(a: int, b: int) -> int:
    """Counts are taken modulo 64."""
    return (a << b) ^ (a >> b) ^ (a << 65) ^ (a >> 64)


@native
def comparisons(a: int, b: int) -> int:
    """All six, as values."""
    return (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5 | (1 < a < b) << 6


@native
def logic(a: int, b: int) -> int:
    """Values of and, or, not and the conditional."""
    x = a and b
    y = a or b
    z = not a
    w = a if a > b else b if b & 1 else 7
    if (a and not b) or (b > 3 and a < 2):
        w += 100
    return x * 1000003 + y * 10007 + z * 101 + w


@native
def branches(a: int, b: int) -> int:
    """if, elif, else and early returns."""
    if a == 1:
        return b
    elif a == 2:
        r = b + 1
    elif a < 10:
        if b:
            return 5
        r = 6
    else:
        r = 7
    return r * 2


@native
def loops(a: int, b: int) -> int:
    """while with break and continue, nested."""
    total = 0
    i = 0
    while i < (a & 31):
        i += 1
        if i % 3 == 0:
            continue
        j = 0
        while True:
            j += 1
            if j > (b & 7):
                break
            total += i * j
        if total > 5000:
            break
    return total


@native
def unrolled(a: int, b: int) -> int:
    """for over constants; the last value stays."""
    total = a
    for i in range(2, 12, 3):
        if i == 5:
            continue
        total = total * 31 + i
        if total > b:
            break
    for j in TABLE:
        total += j << j
    for k in (7, FIVE):
        total ^= k
    for down in range(3, -1, -1):
        total = total * 2 + down
    return total + i * 1000 + down


@native
def assigned(a: int, b: int) -> int:
    """Tuples, annotations, augmented forms."""
    a, b = b, a
    c: int = a - b
    c //= 3
    c %= 1000
    c <<= 2
    c >>= 1
    c &= 0xFFF0
    return c + a


@native
def no_return(a: int, b: int) -> int:  # type: ignore[empty-body]
    """Ends without return."""
    if a > b:
        return


@native
def outside_names(a: int, b: int) -> int:
    """Constants of the module, of another module, negative ones."""
    return (
        a * FIVE
        + NEGATIVE
        + errno.EINVAL
        + min(a, b)
        + max(
            a,
            b,
        )
    )


@native
def factorial(a: int, b: int) -> int:
    """Recursion."""
    n = a & 15
    if n < 2:
        return 1
    return n * factorial(n - 1, b)


@native
def even(a: int, b: int) -> int:
    """Mutual recursion with a function further down."""
    n = a & 63
    return 1 if n == 0 else odd(n - 1, b)


@native
def odd(a: int, b: int) -> int:
    """The other half."""
    n = a & 63
    return 0 if n == 0 else even(n - 1, b)


@native
def odd_names(t1: int, entry: int) -> int:
    """Names that the lowering uses for itself."""
    m2 = t1 + entry
    body = m2 * 3
    v3 = body if t1 else entry
    return m2 ^ body ^ v3


PROGRAMS = [
    odd_names, arithmetic, shifts, comparisons, logic, branches, loops, unrolled, assigned, no_return, outside_names,
    factorial, even,
]  # fmt: skip
VALUES = [0, 1, 2, 3, 9, 10, 63, 64, 255, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, M64 - 1, M64]


@pytest.fixture(scope="module")
def machine() -> NativeSet:
    return compile_natives(**{fn.__name__: (fn, {}) for fn in PROGRAMS})


@pytest.mark.parametrize("fn", PROGRAMS, ids=lambda fn: fn.__name__)
def test_both_speeds_agree(fn: NativeFn[Any], machine: NativeSet) -> None:
    for a in VALUES:
        for b in VALUES:
            if fn is arithmetic and b == 0:
                continue
            expected = fn(a, b)
            assert 0 <= expected <= M64
            assert getattr(machine, fn.__name__)(a, b) == expected, (a, b)


def test_against_plain_python() -> None:
    for a in VALUES:
        for b in VALUES[1:]:
            x = (a + b) * (a - b) & M64
            x ^= a // b
            x = ((x + a % b) | (a & ~b)) + a & M64
            assert arithmetic(a, b) == x
            assert shifts(a, b) == ((a << b % 64) ^ (a >> b % 64) ^ (a << 1) ^ a) & M64
            assert logic(a, b) == (
                (a and b) * 1000003
                + (a or b) * 10007
                + (not a) * 101
                + (a if a > b else b if b & 1 else 7)
                + (100 if (a and not b) or (b > 3 and a < 2) else 0)
            ) & M64  # fmt: skip


# --- compile-time constants --------------------------------------------------------------------------------------------


@native
def scaled(a: int, *, factor: int, deep: int = 0) -> int:
    """Dead branches may hold what makes no sense for these constants."""
    if deep and factor > 2:
        return scaled(a, factor=factor - 1, deep=1) + a
    if factor == 0:
        return a // factor
    return a * factor


@native
def turns(a: int, *, size: int) -> int:
    """A local that is constant counts as a constant."""
    n = size // 2
    total = 0
    for i in range(n):
        total += scaled(a, factor=i + 1)
    return total


@native
def applied(a: int, *, hash: NativeFn[Any], base: int) -> int:
    """Functions and symbols handed down."""
    return hash(a) + inner(a, base=base)


@native
def inner(a: int, *, base: int) -> int:
    """The address is known by name."""
    return base + 8 if a else base


def test_constants() -> None:
    for factor, deep in ((1, 0), (3, 0), (7, 1)):
        fast = compiled(scaled, factor=factor, deep=deep)
        assert fast(10) == scaled(10, factor=factor, deep=deep)
    assert compiled(turns, size=9)(3) == turns(3, size=9) == 3 * (1 + 2 + 3 + 4)


def test_functions_and_symbols_as_constants() -> None:
    times7 = scaled.bind(factor=7)
    base = Sym("region", 0x7F0000001000)
    assert applied(5, hash=times7, base=base) == 35 + 0x7F0000001008
    assert compiled(applied, hash=times7, base=base)(5) == 35 + 0x7F0000001008
    times9 = scaled.bind(factor=9)
    elsewhere = Sym("region", 0x7F0000002000)
    assert compiled(applied, hash=times9, base=elsewhere)(0) == 0x7F0000002000


def test_one_text_for_all_addresses() -> None:
    """What differs in symbols' addresses only is one entry of the cache."""

    def text(addr: int) -> str:
        m = IrModule()
        m.export("f", inner, base=Sym("region", addr))
        return m.text()

    assert text(0x1000) == text(0x2000)


def test_negative_constants_are_u64() -> None:
    assert scaled(2, factor=-1) == compiled(scaled, factor=-1)(2) == M64 - 1


def made(k: int) -> NativeFn[Any]:
    @native
    def closed(a: int) -> int:
        return a + k

    return closed


def test_closures_of_one_name_are_told_apart() -> None:
    one, two = made(1), made(2)
    s = compile_natives(one=(one, {}), two=(two, {}))
    assert (s.one(10), s.two(10), one(10), two(10)) == (11, 12, 11, 12)


def test_inline_and_cold_reach_llvm() -> None:
    @native(inline=True, cold=True)
    def small(a: int) -> int:
        return a + 1

    m = IrModule()
    m.use(small)
    assert "alwaysinline cold" in m.text()


def test_arguments_are_taken_modulo_2_64() -> None:
    assert scaled(-1, factor=1) == M64 == compiled(scaled, factor=1)(-1)
