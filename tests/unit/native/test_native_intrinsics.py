"""Every intrinsic: its CPython meaning, its inline CPython form and its compiled form give one result and one memory."""

from __future__ import annotations

import ctypes
import linecache
from collections.abc import Callable
from typing import Any

import pytest

from userbpf.native import NativeFn, NativeSet, compile_natives, native
from userbpf.native.intrinsics import C_FUNCTIONS, INLINE_NAMES, M64, ROWS

EDGES = [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000]
EDGES += [0xFFFFFFFF, 0x100000000, 0x123456789ABCDEF0, (1 << 63) - 1, 1 << 63, M64 - 1, M64]
PATTERN = bytes((i * 37 + 11) & 255 for i in range(64))

# Intrinsics whose result is not a function of arguments and memory, or which need a frame: tested by themselves below.
APART = {"alloca", "call", "tail_call_to", "clock_ns", "extern_call", "pause", "fence"}
TABLE = sorted(set(ROWS) - APART)
BUILTIN = {"umin": "min", "umax": "max"}


def made(name: str) -> NativeFn[Any]:
    """A native function that is one call of the intrinsic."""
    args = ", ".join("abc"[: len(ROWS[name].args)])
    source = f"def one_{name}({args}):\n    return {BUILTIN.get(name, name)}({args})\n"
    filename = f"<one {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    scope: dict[str, Any] = {name: ROWS[name].py}
    exec(compile(source, filename, "exec"), scope)
    return native(scope[f"one_{name}"])


@pytest.fixture(scope="module")
def functions() -> dict[str, NativeFn[Any]]:
    return {name: made(name) for name in TABLE}


@pytest.fixture(scope="module")
def machine(functions: dict[str, NativeFn[Any]]) -> NativeSet:
    return compile_natives(**{f"op_{name}": (fn, {}) for name, fn in functions.items()})


def cases(name: str) -> list[tuple[int, ...]]:
    """Arguments: values over the edges, addresses as offsets into a buffer of 64 bytes (8-aligned for atomics)."""
    kinds = ROWS[name].args
    if name.startswith("mem"):
        second = (3, 30) if name != "memset" else (0, 255, 256, 0x1AB)
        return [(a, b, n) for a in (0, 5, 24) for b in second for n in (0, 1, 7, 16, 30)]
    if kinds == "a":
        return [(off,) for off in ((0, 8, 16) if name.startswith("atomic") else (0, 1, 7, 13, 56))]
    if kinds == "av":
        return [(off, v) for off in (0, 8) for v in EDGES]
    if kinds == "avv":
        word = int.from_bytes(PATTERN[8:16], "little")
        return [(8, e, v) for e in (word, word & 0xFFFFFFFF, 0, M64) for v in EDGES]
    if kinds == "v":
        return [(v,) for v in EDGES]
    if name in ("sdiv64", "smod64"):
        return [(a, b) for a in EDGES for b in EDGES if b and (a, b) != (1 << 63, M64)]
    return [(a, b) for a in EDGES for b in EDGES]


def outcome(call: Callable[..., int], name: str, args: tuple[int, ...]) -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(PATTERN, 64)
    base = ctypes.addressof(buffer)
    kinds = ROWS[name].args
    result = call(*[base + a if kind == "a" else a for kind, a in zip(kinds, args, strict=True)])
    return (0 if ROWS[name].effect else result), buffer.raw


@pytest.mark.parametrize("name", TABLE)
def test_one_result(name: str, functions: dict[str, NativeFn[Any]], machine: NativeSet) -> None:
    overlapping = name in ("memcpy",)
    for args in cases(name):
        if overlapping and abs(args[0] - args[1]) < args[2]:
            continue
        expected = outcome(ROWS[name].py, name, args)
        assert outcome(functions[name].python, name, args) == expected, args
        assert outcome(getattr(machine, f"op_{name}"), name, args) == expected, args
        assert 0 <= expected[0] <= M64


def test_every_row_is_exported_and_documented() -> None:
    import userbpf.native as package

    names = set(ROWS) - {"umin", "umax"}
    assert names <= set(package.__all__)
    assert all(ROWS[name].py.__doc__ for name in names)
    assert all(name.startswith("_") for name in INLINE_NAMES)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("bswap16", (0x11223344,), 0x4433),
        ("bswap32", (0xFF11223344,), 0x44332211),
        ("bswap64", (0x1122334455667788,), 0x8877665544332211),
        ("mulhi64", (M64, M64), M64 - 1),
        ("ctz64", (0,), 64),
        ("clz64", (0,), 64),
        ("clz64", (1,), 63),
        ("popcount64", (M64,), 64),
        ("sdiv64", (-7 & M64, 2), -3 & M64),
        ("smod64", (-7 & M64, 2), -1 & M64),
        ("sar64", (1 << 63, 63), M64),
        ("sar32", (0x80000000, 4), 0xF8000000),
        ("sext8", (0x80,), M64 - 127),
        ("sext16", (0x7FFF,), 0x7FFF),
        ("sext32", (0xFFFFFFFF,), M64),
        ("slt64", (M64, 0), 1),
        ("sle64", (5, 5), 1),
        ("slt32", (0x80000000, 0), 1),
        ("sle32", (1, 0x1_0000_0000), 0),
        ("rotl32", (0x80000001, 1), 3),
        ("rotl64", (1 << 63, 1), 1),
        ("neg", (22,), M64 - 21),
        ("likely", (77,), 1),
        ("unlikely", (0,), 0),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_known_value(name: str, args: tuple[int, ...], expected: int) -> None:
    assert ROWS[name].py(*args) == expected


# --- those apart -------------------------------------------------------------------------------------------------------

from userbpf.native import (  # noqa: E402
    alloca,
    call,
    clock_ns,
    extern_call,
    fence,
    load8,
    load64,
    memset,
    pause,
    store8,
    store64,
    tail_call_to,
)


@native
def with_memory(a: int, b: int) -> int:
    """Two blocks that do not overlap."""
    x = alloca(24)
    y = alloca(8)
    memset(x, 0, 24)
    store64(x, a)
    store8(x + 16, b)
    store64(y, b)
    return load64(x) + load8(x + 16) * 256 + load64(y) + (x & 7) + (y & 7)


@native
def twice(a: int, b: int) -> int:
    """2a + b"""
    return a * 2 + b


@native
def indirect(code: int, a: int, b: int) -> int:
    """Through an address."""
    return call(code, a, b) + 1


@native
def hand_over(code: int, n: int) -> int:
    """In place of the caller."""
    if n == 0:
        return 99
    return tail_call_to(code, code, n - 1)


@native
def yields() -> int:
    """All that has no result."""
    pause()
    fence()
    return extern_call("sched_yield")


@native
def who() -> int:
    """A C function with a result."""
    return extern_call("getpid")


@native
def now(clock_id: int) -> int:
    """The clock."""
    return clock_ns(clock_id)


@pytest.fixture(scope="module")
def apart() -> NativeSet:
    return compile_natives(
        with_memory=(with_memory, {}),
        twice=(twice, {}),
        indirect=(indirect, {}),
        hand_over=(hand_over, {}),
        yields=(yields, {}),
        who=(who, {}),
        now=(now, {}),
    )


def test_alloca(apart: NativeSet) -> None:
    assert with_memory(5, 300) == apart.with_memory(5, 300) == 5 + 44 * 256 + 300


def test_call(apart: NativeSet) -> None:
    code = apart.addr("twice")
    assert indirect(code, 20, 2) == apart.indirect(code, 20, 2) == 43


def test_tail_calls_take_no_stack(apart: NativeSet) -> None:
    code = apart.addr("hand_over")
    assert apart.hand_over(code, 10_000_000) == 99
    assert hand_over(code, 5) == 99


def test_machine(apart: NativeSet) -> None:
    import os

    assert yields() == apart.yields() == 0
    assert who() == apart.who() == os.getpid()
    a, b, c = now(1), apart.now(1), now(1)
    assert a <= b <= c
    assert set(C_FUNCTIONS) == {"sched_yield", "getpid"}
