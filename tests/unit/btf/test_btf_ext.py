""".BTF.ext: records by section, and what is malformed."""

from __future__ import annotations

import struct

import pytest

from userbpf.btf import Btf, Int
from userbpf.btf.ext import CoreRelo, FuncInfo, LineInfo, parse_ext
from userbpf.errors import BtfError

HEADER = struct.Struct("<HBBIIIIIII")


@pytest.fixture
def btf() -> Btf:
    made = Btf()
    for name in ("xdp", ".text", "0:1"):
        made.add(Int(4, 0, 0, 32, name=name))
    return Btf.parse(made.encode())


def offset(btf: Btf, name: str) -> int:
    return btf.strings_raw.index(name.encode() + b"\0")


def part(btf: Btf, size: int, sections: dict[str, list[bytes]]) -> bytes:
    out = struct.pack("<I", size)
    for name, records in sections.items():
        out += struct.pack("<II", offset(btf, name), len(records)) + b"".join(records)
    return out


def blob(funcs: bytes, lines: bytes, relos: bytes = b"") -> bytes:
    header = HEADER.pack(
        0xEB9F, 1, 0, HEADER.size, 0, len(funcs), len(funcs), len(lines), len(funcs) + len(lines), len(relos)
    )
    return header + funcs + lines + relos


def test_records_by_section(btf: Btf) -> None:
    access = offset(btf, "0:1")
    data = blob(
        part(btf, 8, {"xdp": [struct.pack("<II", 0, 5)], ".text": [struct.pack("<II", 16, 6)]}),
        part(btf, 16, {"xdp": [struct.pack("<IIII", 8, 1, 2, 7 << 10 | 3)]}),
        part(btf, 16, {"xdp": [struct.pack("<IIII", 24, 9, access, 2)]}),
    )
    ext = parse_ext(data, btf)
    assert ext.funcs == {"xdp": [FuncInfo(0, 5)], ".text": [FuncInfo(16, 6)]}
    assert ext.lines == {"xdp": [LineInfo(8, 1, 2, 7 << 10 | 3)]} and ext.lines["xdp"][0].line == 7
    assert ext.relos == {"xdp": [CoreRelo(24, 9, "0:1", 2)]}


def test_longer_records_are_cut(btf: Btf) -> None:
    ext = parse_ext(blob(part(btf, 12, {"xdp": [struct.pack("<III", 0, 5, 99)] * 2}), b""), btf)
    assert ext.funcs == {"xdp": [FuncInfo(0, 5)] * 2}


def test_a_header_without_core_records(btf: Btf) -> None:
    funcs = part(btf, 8, {"xdp": [struct.pack("<II", 0, 5)]})
    short = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(funcs), len(funcs), 0) + funcs
    assert parse_ext(short, btf).funcs == {"xdp": [FuncInfo(0, 5)]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter"),
        (bytes(40), "valid header"),
        (HEADER.pack(0xEB9F, 1, 0, 32, 0, 8, 8, 0, 8, 0), "outside"),
        (blob(struct.pack("<I", 4), b""), "records of 4 bytes"),
        (blob(struct.pack("<I", 10), b""), "records of 10 bytes"),
        (blob(struct.pack("<III", 8, 0, 0xFFFFFFFF), b""), "cut off"),
        (blob(struct.pack("<IIIII", 8, 1 << 20, 1, 0, 0), b""), "outside of the strings"),
        (blob(b"\x08", b""), "cut off"),
    ],
)
def test_malformed(btf: Btf, data: bytes, reason: str) -> None:
    with pytest.raises(BtfError, match=reason):
        parse_ext(data, btf)
