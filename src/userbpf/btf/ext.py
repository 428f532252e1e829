""".BTF.ext: for each section of code its functions, source lines and CO-RE relocations, by byte offset in the section.

Format: Documentation/bpf/btf.rst, "Section .BTF.ext". Records longer than known are cut, as the format asks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from userbpf.btf.types import MAGIC, Btf
from userbpf.errors import BtfError

HEADER: Final = struct.Struct("<HBBIIIII")
CORE: Final = struct.Struct("<II")


@dataclass(slots=True)
class FuncInfo:
    """A function that begins at byte `off` of its section."""

    off: int
    type_id: int


@dataclass(slots=True)
class LineInfo:
    """The source of the code from byte `off` on; the offsets are those of BTF strings."""

    off: int
    file_name_off: int
    line_off: int
    line_col: int

    @property
    def line(self) -> int:
        return self.line_col >> 10


@dataclass(slots=True)
class CoreRelo:
    """An instruction at byte `off` that depends on the target's types."""

    off: int
    type_id: int
    access: str
    kind: int


@dataclass(slots=True)
class BtfExt:
    """Records by section name."""

    funcs: dict[str, list[FuncInfo]] = field(default_factory=dict)
    lines: dict[str, list[LineInfo]] = field(default_factory=dict)
    relos: dict[str, list[CoreRelo]] = field(default_factory=dict)


def _sections(data: bytes, btf: Btf, size: int, what: str) -> dict[str, list[bytes]]:
    """section name -> records of at least `size` bytes."""
    out: dict[str, list[bytes]] = {}
    if not data:
        return out
    if len(data) < 4:
        raise BtfError(f".BTF.ext: {what} is cut off")
    record = struct.unpack_from("<I", data)[0]
    if record < size or record % 4:
        raise BtfError(f".BTF.ext: {what} records of {record} bytes")
    at = 4
    while at < len(data):
        if at + 8 > len(data):
            raise BtfError(f".BTF.ext: {what} is cut off")
        name_off, count = struct.unpack_from("<II", data, at)
        at += 8
        if count * record > len(data) - at:
            raise BtfError(f".BTF.ext: {what} is cut off")
        records = [data[at + i * record : at + i * record + size] for i in range(count)]
        out.setdefault(btf.string(name_off), []).extend(records)
        at += count * record
    return out


def parse_ext(data: bytes, btf: Btf) -> BtfExt:
    """Parse a .BTF.ext section; BtfError for anything malformed."""
    if len(data) < 24:
        raise BtfError(".BTF.ext is shorter than its header")
    magic, _, _, hdr_len, func_off, func_len, line_off, line_len = HEADER.unpack_from(data)
    if magic != MAGIC or hdr_len < 24 or hdr_len > len(data):
        raise BtfError(".BTF.ext has no valid header")
    core_off, core_len = CORE.unpack_from(data, 24) if hdr_len >= 32 and len(data) >= 32 else (0, 0)

    def part(off: int, size: int) -> bytes:
        if hdr_len + off + size > len(data):
            raise BtfError(".BTF.ext: a part lies outside of it")
        return data[hdr_len + off : hdr_len + off + size]

    out = BtfExt()
    for name, records in _sections(part(func_off, func_len), btf, 8, "func_info").items():
        out.funcs[name] = [FuncInfo(*struct.unpack("<II", r)) for r in records]
    for name, records in _sections(part(line_off, line_len), btf, 16, "line_info").items():
        out.lines[name] = [LineInfo(*struct.unpack("<IIII", r)) for r in records]
    for name, records in _sections(part(core_off, core_len), btf, 16, "core_relo").items():
        relos = [struct.unpack("<IIII", r) for r in records]
        out.relos[name] = [CoreRelo(off, type_id, btf.string(access), kind) for off, type_id, access, kind in relos]
    return out
