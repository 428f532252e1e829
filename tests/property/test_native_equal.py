"""Random programs of the native subset give the same result and the same memory at both speeds.

A program is generated as source text: expressions over two parameters and four locals, memory of 64 bytes,
branches, loops over constants and over a counter. Many go into one module, since LLVM's start costs more than a function.
"""

from __future__ import annotations

import ctypes
import itertools
import linecache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userbpf.native import NativeFn, compile_natives, native
from userbpf.native.intrinsics import M64, ROWS

_numbers = itertools.count()
NUMBERS = st.one_of(
    st.integers(0, 70),
    st.sampled_from([255, 256, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, M64 - 1, M64]),
    st.integers(0, M64),
)
UNARY = ["sext8", "sext16", "sext32", "bswap16", "bswap32", "bswap64", "ctz64", "clz64", "popcount64", "neg", "likely"]
BINARY = ["slt64", "sle64", "slt32", "sle32", "sar64", "sar32", "rotl32", "rotl64", "mulhi64", "min", "max"]


def expressions(names: list[str]) -> st.SearchStrategy[str]:
    leaf = st.one_of(NUMBERS.map(str), st.sampled_from(names), st.sampled_from(names))

    def bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(st.sampled_from(["+", "-", "*", "&", "|", "^", "<<", ">>"]), pair).map(
                lambda t: f"({t[1][0]} {t[0]} {t[1][1]})"
            ),
            st.tuples(st.sampled_from(["//", "%"]), pair).map(lambda t: f"({t[1][0]} {t[0]} ({t[1][1]} | 1))"),
            st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), pair).map(
                lambda t: f"({t[1][0]} {t[0]} {t[1][1]})"
            ),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} < {t[1]} <= {t[2]})"),
            st.tuples(st.sampled_from(["and", "or"]), pair).map(lambda t: f"({t[1][0]} {t[0]} {t[1][1]})"),
            st.tuples(st.sampled_from(["-", "~", "not "]), inner).map(lambda t: f"({t[0]}{t[1]})"),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
            st.tuples(st.sampled_from(UNARY), inner).map(lambda t: f"{t[0]}({t[1]})"),
            st.tuples(st.sampled_from(BINARY), pair).map(lambda t: f"{t[0]}({t[1][0]}, {t[1][1]})"),
            st.tuples(st.sampled_from([1, 2, 4, 8]), inner).map(
                lambda t: f"load{t[0] * 8}(mem + ({t[1]}) % {65 - t[0]})"
            ),
        )

    return st.recursive(leaf, bigger, max_leaves=8)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Source of `f(mem, a, b)`; the locals w, x, y, z begin with values."""
    lines = ["def f(mem, a, b):", "    w = 1", "    x = a", "    y = b", "    z = a ^ b"]
    names = ["a", "b", "w", "x", "y", "z"]
    counter = itertools.count()

    def block(depth: int, indent: str, loop: str, inside: list[str]) -> None:
        for _ in range(draw(st.integers(1, 3))):
            statement(depth, indent, loop, inside)

    def statement(depth: int, indent: str, loop: str, inside: list[str]) -> None:
        value = expressions(inside)
        kinds = ["assign", "aug", "store", "pair"]
        if depth:
            kinds += ["if", "if", "while", "for"]
        if loop:
            kinds += ["break", "continue"] if loop == "for" else ["break"]
        kind = draw(st.sampled_from([*kinds, "return"] if depth < 2 else kinds))
        target = draw(st.sampled_from(names))
        if kind == "assign":
            lines.append(f"{indent}{target} = {draw(value)}")
        elif kind == "aug":
            op = draw(st.sampled_from(["+", "-", "*", "&", "|", "^", "<<", ">>"]))
            lines.append(f"{indent}{target} {op}= {draw(value)}")
        elif kind == "pair":
            lines.append(f"{indent}x, y = {draw(value)}, {draw(value)}")
        elif kind == "store":
            size = draw(st.sampled_from([1, 2, 4, 8]))
            lines.append(f"{indent}store{size * 8}(mem + ({draw(value)}) % {65 - size}, {draw(value)})")
        elif kind == "if":
            lines.append(f"{indent}if {draw(value)}:")
            block(depth - 1, indent + "    ", loop, inside)
            if draw(st.booleans()):
                lines.append(f"{indent}else:")
                block(depth - 1, indent + "    ", loop, inside)
        elif kind == "while":
            i = f"i{next(counter)}"
            lines.append(f"{indent}{i} = 0")
            lines.append(f"{indent}while {i} < {draw(st.integers(0, 4))} and {draw(value)} != 3:")
            lines.append(f"{indent}    {i} += 1")
            block(depth - 1, indent + "    ", "for", [*inside, i])
        elif kind == "for":
            i = f"i{next(counter)}"
            lines.append(f"{indent}for {i} in range({draw(st.integers(1, 4))}):")
            block(depth - 1, indent + "    ", "for", [*inside, i])
        elif kind == "return":
            lines.append(f"{indent}if {draw(value)} == {draw(value)}:")
            lines.append(f"{indent}    return {draw(value)}")
        else:
            lines.append(f"{indent}if {draw(value)} & 1:")
            lines.append(f"{indent}    {kind}")

    block(3, "    ", "", names)
    lines.append("    return a ^ b + w * 3 ^ x - y ^ z * 7")
    return "\n".join(lines) + "\n"


def loaded(source: str) -> NativeFn[Any]:
    filename = f"<random {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    scope: dict[str, Any] = {name: row.py for name, row in ROWS.items()}
    exec(compile(source, filename, "exec"), scope)
    return native(scope["f"])


def outcome(call: Any, a: int, b: int) -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(bytes(range(100, 164)), 64)
    return call(ctypes.addressof(buffer), a, b), buffer.raw


def check(sources: list[str], arguments: list[tuple[int, int]]) -> None:
    functions = [loaded(s) for s in sources]
    machine = compile_natives(False, 1, **{f"f{i}": (fn, {}) for i, fn in enumerate(functions)})
    for i, fn in enumerate(functions):
        for a, b in arguments:
            expected = outcome(fn, a, b)
            assert 0 <= expected[0] <= M64
            assert outcome(getattr(machine, f"f{i}"), a, b) == expected, f"({a}, {b})\n{sources[i]}"


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=15, **COMMON)
@given(st.lists(programs(), min_size=1, max_size=6), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_random_programs(cache_off: None, sources: list[str], arguments: list[tuple[int, int]]) -> None:
    check(sources, arguments)


@pytest.mark.sweep
@settings(max_examples=1500, **COMMON)
@given(st.lists(programs(), min_size=1, max_size=10), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8))
def test_many_random_programs(cache_off: None, sources: list[str], arguments: list[tuple[int, int]]) -> None:
    check(sources, arguments)


@pytest.fixture(scope="module")
def cache_off() -> Any:
    """Random programs have no place in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USERBPF_CACHE", "off")
        yield
