"""BPF_BTF_LOAD: errno and every line of the log, here and in Linux."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from bpfcalls import Buf, Calls, calls_of
from btfgen import (
    ARRAY,
    CONST,
    DECL,
    E64,
    ENUM,
    FLOAT,
    FUNC,
    FWD,
    PROTO,
    PTR,
    SEC,
    SPACED,
    STRINGS,
    STRUCT,
    TAG,
    TYPEDEF,
    UNION,
    VAR,
    Graphs,
    Row,
    blob,
    integer,
    name,
    struct_of,
    types,
    words,
)
from userbpf.abi.attrs import BtfLoadAttr
from userbpf.abi.enums import Cmd
from userbpf.btf import check
from userbpf.errors import BpfError

FOO, FN, SPACE = name("foo"), name("fn"), name(SPACED)
INTROW = integer()
Answer = tuple[str, bytes, int]


@pytest.fixture(scope="module")
def linux() -> Iterator[Calls]:
    yield calls_of("linux")


@pytest.fixture(scope="module")
def here() -> Iterator[Calls]:
    yield calls_of("user")


def ask(calls: Calls, data: bytes, level: int = 1, room: int = 1 << 16) -> Answer:
    """errno name, log, log_true_size."""
    given, log = Buf(data), Buf(room)
    attr = BtfLoadAttr(btf=given.addr, btf_size=len(data), btf_log_buf=log.addr, btf_log_size=room, btf_log_level=level)
    try:
        calls.close(calls.fd(Cmd.BTF_LOAD, attr))
        code = ""
    except OSError as e:
        code = errno.errorcode.get(e.errno or 0, str(e.errno))
    return code, log.raw.split(b"\0")[0], attr.btf_log_true_size


def one(*rows: Row) -> bytes:
    return blob(types(*rows))


def members(kind: int, **cases: Any) -> dict[str, bytes]:
    """A struct or union whose one member is type 3, of many kinds and places."""
    others: dict[str, Row] = {
        "ptr": (0, PTR, 0, 0, 2, b""),
        "array": (0, ARRAY, 0, 0, 0, words(1, 1, 1)),
        "enum": (FOO, ENUM, 1, 0, 4, words(FOO, 1)),
        "enum64": (FOO, E64, 1, 0, 8, words(FOO, 1, 0)),
        "float": (FOO, FLOAT, 0, 0, 4, b""),
        "fwd": (FOO, FWD, 0, 0, 0, b""),
        "proto": (0, PROTO, 0, 0, 0, b""),
        "typedef": (FOO, TYPEDEF, 0, 0, 1, b""),
        "typedef_void": (FOO, TYPEDEF, 0, 0, 0, b""),
        "typedef_self": (FOO, TYPEDEF, 0, 0, 2, b""),
        "var": (FOO, VAR, 0, 0, 1, words(0)),
        "int_part": integer(bits=8, off=8),
        "int128": integer(bits=128, size=16),
    }
    out = {}
    for other, row in others.items():
        for off in (0, 4, 8, 40, 64, 72):
            for bits in (None, 0, 3, 40):
                place = off | (bits or 0) << 24
                out[f"{other}@{off}:{bits}"] = one(
                    INTROW, struct_of((FOO, 3, place), kind=kind, flag=int(bits is not None)), row
                )
    return out


CASES: dict[str, bytes] = {
    "empty": b"",
    "7 bytes": blob(b"")[:7],
    "header only": blob(b"", b""),
    "no types": blob(b""),
    "magic": blob(types(INTROW), magic=1),
    "version": blob(types(INTROW), version=2),
    "flags": blob(types(INTROW), flags=1),
    "short header": blob(types(INTROW), hdr_len=20),
    "long header": blob(bytes(4) + types(INTROW), hdr_len=28, type_len=16, str_off=16),
    "long header, not zero": blob(words(1) + types(INTROW), hdr_len=28, type_len=16, str_off=16),
    "header beyond": blob(types(INTROW), hdr_len=5000),
    "no strings": blob(types(INTROW), b""),
    "strings begin": blob(types(INTROW), b"a\0"),
    "strings end": blob(types(INTROW), b"\0a"),
    "tail": blob(types(INTROW)) + b"xx",
    "overlap": blob(types(INTROW), str_off=4),
    "gap": blob(types(INTROW) + words(0), type_len=16),
    "type_off beyond": blob(types(INTROW), type_off=100),
    "type_off negative": blob(types(INTROW), type_off=0xC5000000),
    "type_len beyond": blob(types(INTROW), type_len=1000),
    "str_off beyond": blob(types(INTROW), str_off=1000),
    "str_len beyond": blob(types(INTROW), str_len=0xFFFFFFFF),
    "strings first": blob(b"\0\0\0\0" + types(INTROW), b"", type_off=4, type_len=16, str_off=0, str_len=4),
    "types cut": blob(types(INTROW) + b"\0\0"),
    **{f"kind {k}": one((0, k, 0, 0, 0, b"")) for k in (0, 20, 31)},
    "reserved bits": blob(words(0, 0x21 << 24, 4, 32)),
    **{f"int {bits}/{off}/{enc}/{size}": one(integer(bits, off, enc, size))
       for bits, off, enc, size in [(0, 0, 0, 4), (33, 0, 0, 4), (31, 1, 0, 4), (129, 0, 0, 16), (32, 0, 3, 4),
                                    (32, 0, 8, 4), (32, 0, 0, 5)]},
    "int vlen": one(integer(vlen=1)),
    "int flag": one(integer(flag=1)),
    "int data": one(integer(pad=1)),
    **{f"name {kind} {n}": one(INTROW, (n, kind, 0, 0, 1 if kind in (PTR, CONST, TYPEDEF, VAR, TAG) else 0, tail))
       for n in (0, FOO, SPACE, 9999)
       for kind, tail in [(PTR, b""), (CONST, b""), (TYPEDEF, b""), (TAG, b""), (STRUCT, b""), (FWD, b""),
                          (VAR, words(0)), (PROTO, b"")]},
    "pointer loop": one((0, PTR, 0, 0, 1, b"")),
    "pointer and typedef": one((0, PTR, 0, 0, 2, b""), (FOO, TYPEDEF, 0, 0, 1, b"")),
    "list": one(INTROW, struct_of((FOO, 3, 0)), (0, PTR, 0, 0, 2, b"")),
    "struct in itself": one(struct_of((FOO, 1, 0))),
    "array of itself": one(INTROW, (0, ARRAY, 0, 0, 0, words(2, 1, 1))),
    "array too large": one(INTROW, (0, ARRAY, 0, 0, 0, words(1, 1, 0xFFFFFFFF))),
    "array of odd int": one(INTROW, integer(bits=31), (0, ARRAY, 0, 0, 0, words(2, 1, 4))),
    "array index struct": one(struct_of(), (0, ARRAY, 0, 0, 0, words(1, 1, 4))),
    "pointer to func later": one((0, PTR, 0, 0, 3, b""), (0, PROTO, 0, 0, 0, b""), (FN, FUNC, 0, 0, 2, b"")),
    "pointer to func": one((0, PROTO, 0, 0, 0, b""), (FN, FUNC, 0, 0, 1, b""), (0, PTR, 0, 0, 2, b"")),
    "tag behind const": one((0, CONST, 0, 0, 2, b""), (FOO, TAG, 0, 0, 0, b"")),
    "tag before const": one((FOO, TAG, 0, 0, 2, b""), (0, CONST, 0, 0, 0, b"")),
    **{f"chain of {n}": one(*[(0, CONST, 0, 0, i + 2, b"") for i in range(n)], INTROW) for n in (31, 32, 33)},
    **{f"linkage {n}": one((0, PROTO, 0, 0, 0, b""), (FN, FUNC, n, 0, 1, b"")) for n in (0, 1, 2)},
    "no prototype": one(INTROW, (FN, FUNC, 0, 0, 1, b"")),
    "argument without name": one(INTROW, (0, PROTO, 1, 0, 0, words(0, 1)), (FN, FUNC, 0, 0, 2, b"")),
    "dots": one(INTROW, (0, PROTO, 2, 0, 0, words(FOO, 1, 0, 0)), (FN, FUNC, 0, 0, 2, b"")),
    "named dots": one(INTROW, (0, PROTO, 1, 0, 0, words(FOO, 0))),
    "returns func": one(INTROW, (0, PROTO, 0, 0, 3, b""), (FN, FUNC, 0, 0, 2, b"")),
    "section order": one(INTROW, (FOO, VAR, 0, 0, 1, words(0)), (name(".data"), SEC, 2, 0, 8, words(2, 4, 4, 2, 0, 4))),
    "section overflow": one(INTROW, (FOO, VAR, 0, 0, 1, words(0)), (name(".data"), SEC, 1, 0, 8, words(2, 6, 4))),
    "section small": one(INTROW, (FOO, VAR, 0, 0, 1, words(0)), (name(".data"), SEC, 1, 0, 8, words(2, 0, 2))),
    "section of int": one(INTROW, (name(".data"), SEC, 1, 0, 8, words(1, 0, 4))),
    **{f"decl tag {t} {c}": one(INTROW, (FOO, TYPEDEF, 0, 0, 1, b""), struct_of((FOO, 1, 0)), (0, PROTO, 1, 0, 0, words(FOO, 1)),
                                (FN, FUNC, 0, 0, 4, b""), (FOO, VAR, 0, 0, 1, words(0)), (FOO, DECL, 0, 0, t, words(c)))
       for t in range(9) for c in (-2, -1, 0, 1)},
    **{f"struct {case}": data for case, data in members(STRUCT).items()},
    **{f"union {case}": data for case, data in members(UNION).items()},
}  # fmt: skip


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_answers_as_linux(data: bytes, here: Calls, linux: Calls) -> None:
    assert ask(here, data) == ask(linux, data)


@pytest.mark.parametrize("kind", [STRUCT, ENUM, FUNC, VAR, SEC, TAG, FLOAT])
def test_names_are_those_of_linux(kind: int, here: Calls, linux: Calls) -> None:
    for text in (
        [bytes([c]) for c in range(1, 256)] + [b"a" + bytes([c]) for c in range(1, 256)] + [b"x" * 512, b"x" * 513]
    ):
        size = 1 if kind in (FUNC, VAR, TAG) else 4
        named = (1, kind, 0, 0, size, words(0) if kind == VAR else b"")
        first = (0, PROTO, 0, 0, 0, b"") if kind == FUNC else (0, 1, 0, 0, 4, words(32))
        data = blob(types(first, named), b"\0" + text + b"\0")
        assert ask(here, data) == ask(linux, data), text


@pytest.mark.parametrize("start", range(0, 2000, 500))
def test_random_types_answer_as_linux(start: int, here: Calls, linux: Calls) -> None:
    for seed in range(start, start + 500):
        data = Graphs(seed).blob()
        assert ask(here, data) == ask(linux, data), seed


@pytest.mark.sweep
@pytest.mark.parametrize("start", range(10_000, 100_000, 10_000))
def test_many_random_types_answer_as_linux(start: int, here: Calls, linux: Calls) -> None:
    for seed in range(start, start + 10_000):
        data = Graphs(seed).blob()
        assert ask(here, data) == ask(linux, data), seed


@pytest.mark.parametrize("level", [0, 1, 2, 4])
def test_level_changes_nothing_but_whether_there_is_a_log(level: int) -> None:
    data = one(INTROW, struct_of((FOO, 77, 0)))
    with pytest.raises(BpfError) as caught:
        check.load(data, level)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.log.endswith("Invalid member\n") == bool(level)


def test_strings_hold_every_name() -> None:
    assert STRINGS[FOO : FOO + 4] == b"foo\0"
