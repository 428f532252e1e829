"""What Linux demands of a BTF blob that is loaded (BPF_BTF_LOAD), with its errno and its log.

Three passes, as in Linux, because the log shows them: the header and its sections; every type by itself (names, reserved
bits, sizes), each written to the log as it is met; then the graph that the types make (`check_graph`). A complaint ends the
log: the type's line once more, with the reason behind it. Found by asking Linux 6.18, and compared with it in
`tests/differential/test_differential_btf.py`.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Callable
from functools import cmp_to_key
from typing import Final, NamedTuple, NoReturn

from userbpf.abi.defines import BTF_MAGIC, BTF_MAX_TYPE, BTF_VERSION, BtfKind
from userbpf.btf.types import Btf
from userbpf.errors import BpfError

ENOTSUPP: Final = 524
K = BtfKind
HEADER: Final = struct.Struct("<HBBIIIII")
HDR_FIELDS: Final = ("magic", "version", "flags", "hdr_len", "type_off", "type_len", "str_off", "str_len")
ROW: Final = struct.Struct("<III")
PAIR: Final = struct.Struct("<II")
WORD: Final = struct.Struct("<I")
LETTERS: Final = rb"A-Za-z_.\xc0-\xd6\xd8-\xf6\xf8-\xff"
IDENTIFIER: Final = re.compile(rb"[" + LETTERS + rb"][" + LETTERS + rb"0-9]{0,511}")
SECTION_NAME: Final = re.compile(rb"[\x20-\x7e\xa0-\xff]{1,512}")
RESERVED: Final = ~0x9F00FFFF & 0xFFFFFFFF  # bits of btf_type.info that mean nothing
ENCODINGS: Final = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
SIZED_BY_VLEN: Final = {K.STRUCT: 12, K.UNION: 12, K.ENUM: 8, K.ENUM64: 12, K.FUNC_PROTO: 8, K.DATASEC: 12}
FIXED: Final = {K.INT: 4, K.ARRAY: 12, K.VAR: 4, K.DECL_TAG: 4}
NO_NAME: Final = frozenset({K.PTR, K.ARRAY, K.VOLATILE, K.CONST, K.RESTRICT, K.FUNC_PROTO})


class Row(NamedTuple):
    """The head of one type; `at` is where its own records begin in the type section."""

    id: int
    name: int
    kind: int
    vlen: int
    flag: bool
    size: int  # or the type that it refers to
    at: int


class Blob:
    """A BTF blob that is being checked, and the log of it."""

    def __init__(self, data: bytes, verbose: bool) -> None:
        self.data = data
        self.verbose = verbose
        self.log: list[bytes] = []
        self.types = b""
        self.strings = b""
        self.rows: list[Row] = [Row(0, 0, 0, 0, False, 0, 0)]

    # --- the log -----------------------------------------------------------------------------------------------------------

    def say(self, line: bytes) -> None:
        self.log.append(line + b"\n")

    def show(self, row: Row) -> None:
        """The line of a type, in the log."""
        if self.verbose:
            self.log.append(self.line(row) + b"\n")

    def refuse(self, code: int, text: str | bytes = "") -> NoReturn:
        """End with an errno and last words, which have no newline but where Linux gives them one."""
        if self.verbose:
            self.log.append(text.encode() if isinstance(text, str) else text)
        log = self.text()
        raise BpfError(code, log.rstrip("\n").rpartition("\n")[2], log=log)

    def text(self) -> str:
        """The whole log; the names' own bytes, where they are no UTF-8, are kept as surrogates."""
        return b"".join(self.log).decode("utf-8", "surrogateescape")

    def head(self, row: Row) -> bytes:
        """`[1] INT int`"""
        return b"[%d] %s %s" % (row.id, K(row.kind).name.encode(), self.name_text(row.name))

    def line(self, row: Row) -> bytes:
        """The whole line of a type."""
        return b"%s %s" % (self.head(row), DETAILS[row.kind](self, row))

    def complain(self, row: Row, reason: str, code: int = errno.EINVAL) -> NoReturn:
        self.refuse(code, b"%s %s\n" % (self.line(row), reason.encode()) if self.verbose else b"")

    def member_line(self, row: Row, index: int, shown_type: int = 0) -> bytes:
        name, type_id, off = ROW.unpack_from(self.types, row.at + index * 12)
        if row.flag:
            place = b"bitfield_size=%d bits_offset=%d" % (off >> 24, off & 0xFFFFFF)
        else:
            place = b"bits_offset=%d" % off
        return b"\t%s type_id=%d %s" % (self.name_text(name), shown_type or type_id, place)

    def var_line(self, row: Row, index: int) -> bytes:
        return b"\t type_id=%d offset=%d size=%d" % ROW.unpack_from(self.types, row.at + index * 12)

    def complain_part(self, row: Row, index: int, reason: str) -> NoReturn:
        """About a member or a section's variable, while the types are read."""
        self.complain_again(row, index, reason, repeat=False)

    def complain_again(self, row: Row, index: int, reason: str, shown_type: int = 0, repeat: bool = True) -> NoReturn:
        """The same in a later pass: the type's line is repeated, and `shown_type` replaces the member's."""
        if not self.verbose:
            raise BpfError(errno.EINVAL)
        if repeat:
            self.say(self.line(row))
        text = self.var_line(row, index) if row.kind == K.DATASEC else self.member_line(row, index, shown_type)
        self.refuse(errno.EINVAL, b"%s %s\n" % (text, reason.encode()))

    # --- names -------------------------------------------------------------------------------------------------------------

    def name_bytes(self, off: int) -> bytes:
        return self.strings[off : self.strings.index(b"\0", off)]

    def name_text(self, off: int) -> bytes:
        if not off:
            return b"(anon)"
        return self.name_bytes(off) if off < len(self.strings) else b"(invalid-name-offset)"

    def is_identifier(self, off: int) -> bool:
        return IDENTIFIER.fullmatch(self.name_bytes(off)) is not None

    def part(self, row: Row, index: int) -> tuple[int, int, int]:
        """Record `index` of a kind that has three words each."""
        found: tuple[int, int, int] = ROW.unpack_from(self.types, row.at + index * 12)
        return found

    def pair(self, row: Row, index: int) -> tuple[int, int]:
        found: tuple[int, int] = PAIR.unpack_from(self.types, row.at + index * 8)
        return found

    def word(self, row: Row) -> int:
        value: int = WORD.unpack_from(self.types, row.at)[0]
        return value

    def row(self, type_id: int) -> Row | None:
        """The type of a number, None where there is none."""
        return self.rows[type_id] if type_id < len(self.rows) else None


# --- how a type is written in the log ----------------------------------------------------------------------------------------


def _of_type(blob: Blob, row: Row) -> bytes:
    return b"type_id=%d" % row.size


def _of_members(blob: Blob, row: Row) -> bytes:
    return b"size=%d vlen=%d" % (row.size, row.vlen)


def _of_int(blob: Blob, row: Row) -> bytes:
    word = blob.word(row)
    encoding = ENCODINGS.get(word >> 24 & 15, "UNKN").encode()
    return b"size=%d bits_offset=%d nr_bits=%d encoding=%s" % (row.size, word >> 16 & 255, word & 255, encoding)


def _of_array(blob: Blob, row: Row) -> bytes:
    return b"type_id=%d index_type_id=%d nr_elems=%d" % blob.part(row, 0)


def _of_proto(blob: Blob, row: Row) -> bytes:
    args = [blob.pair(row, i) for i in range(row.vlen)]
    shown = [b"%d %s" % (type_id, blob.name_text(name)) for name, type_id in args]
    if args and not args[-1][1]:
        shown[-1] = b"vararg"
    return b"return=%d args=(%s)" % (row.size, b", ".join(shown) or b"void")


DETAILS: Final[dict[int, Callable[[Blob, Row], bytes]]] = {
    K.INT: _of_int,
    K.ARRAY: _of_array,
    K.STRUCT: _of_members,
    K.UNION: _of_members,
    K.ENUM: _of_members,
    K.ENUM64: _of_members,
    K.DATASEC: _of_members,
    K.FWD: lambda blob, row: b"union" if row.flag else b"struct",
    K.FUNC_PROTO: _of_proto,
    K.VAR: lambda blob, row: b"type_id=%d linkage=%d" % (row.size, blob.word(row)),
    K.FLOAT: lambda blob, row: b"size=%d" % row.size,
    K.DECL_TAG: lambda blob, row: b"type=%d component_idx=%d" % (row.size, signed(blob.word(row))),
    **dict.fromkeys((K.PTR, K.TYPEDEF, K.VOLATILE, K.CONST, K.RESTRICT, K.FUNC, K.TYPE_TAG), _of_type),
}


def signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


# --- the header --------------------------------------------------------------------------------------------------------------


def _header(blob: Blob) -> None:
    """Find the sections of types and strings."""
    data = blob.data
    if len(data) < 8:
        blob.refuse(errno.EINVAL, "hdr_len not found")
    (length,) = WORD.unpack_from(data, 4)
    if len(data) < length:
        blob.refuse(errno.EINVAL, "btf_header not found")
    if any(data[HEADER.size : length]):
        blob.refuse(errno.E2BIG, "Unsupported btf_header")
    fields = HEADER.unpack(data[: min(length, HEADER.size)].ljust(HEADER.size, b"\0"))
    magic, version, flags, _, type_off, type_len, str_off, str_len = fields
    for name, value in zip(HDR_FIELDS, fields, strict=True):
        blob.say((f"{name}: {value:#x}" if name in ("magic", "flags") else f"{name}: {value}").encode())
    blob.say(b"btf_total_size: %d" % len(data))
    if magic != BTF_MAGIC:
        blob.refuse(errno.EINVAL, "Invalid magic")
    if version != BTF_VERSION:
        blob.refuse(ENOTSUPP, "Unsupported version")
    if flags:
        blob.refuse(ENOTSUPP, "Unsupported flags")
    total = len(data) - length
    if not total:
        blob.refuse(errno.EINVAL, "No data")
    _sections(blob, total, sorted([(type_off, type_len), (str_off, str_len)], key=cmp_to_key(_order)))
    if str_off + str_len != total:
        blob.refuse(errno.EINVAL, "String section is not at the end")
    strings = data[length + str_off : length + str_off + str_len]
    if not strings or strings[0] or strings[-1]:
        blob.refuse(errno.EINVAL, "Invalid string section")
    if type_off % 4:
        blob.refuse(errno.EINVAL, "Unaligned type_off")
    if not type_len:
        blob.refuse(errno.EINVAL, "No type found")
    blob.strings = strings
    blob.types = data[length + type_off : length + type_off + type_len]


def _order(a: tuple[int, int], b: tuple[int, int]) -> int:
    """By offset, then length, the difference taken as an int as in C."""
    return signed(a[0] - b[0] & 0xFFFFFFFF) or signed(a[1] - b[1] & 0xFFFFFFFF)


def _sections(blob: Blob, total: int, sections: list[tuple[int, int]]) -> None:
    """Sections follow each other and fill everything behind the header."""
    at = 0
    for off, size in sections:
        if off > total:
            blob.refuse(errno.EINVAL, "Invalid section offset")
        if off < at:
            blob.refuse(errno.EINVAL, "Section overlap found")
        if off > at:
            blob.refuse(errno.EINVAL, "Unsupported section found")
        if size > total - at:
            blob.refuse(errno.EINVAL, "Total section length too long")
        at += size
    if at != total:
        blob.refuse(errno.EINVAL, "Unsupported section found")


# --- each type by itself -----------------------------------------------------------------------------------------------------


def _types(blob: Blob) -> None:
    """Read all types; each is written to the log."""
    at, end, types = 0, len(blob.types), blob.types
    while at < end:
        number = len(blob.rows)
        if end - at < 12:
            blob.refuse(errno.EINVAL, f"[{number}] meta_left:{end - at} meta_needed:12")
        name, info, size = ROW.unpack_from(types, at)
        at += 12
        if info & RESERVED:
            blob.refuse(errno.EINVAL, f"[{number}] Invalid btf_info:{info:x}")
        kind = info >> 24 & 31
        if kind not in DETAILS:
            blob.refuse(errno.EINVAL, f"[{number}] Invalid kind:{kind}")
        if name >= len(blob.strings):
            blob.refuse(errno.EINVAL, f"[{number}] Invalid name_offset:{name}")
        row = Row(number, name, kind, info & 0xFFFF, bool(info >> 31), size, at)
        needed = SIZED_BY_VLEN.get(K(kind), 0) * row.vlen or FIXED.get(K(kind), 0)
        if needed > end - at:
            blob.refuse(errno.EINVAL, b"%s meta_left:%d meta_needed:%d\n" % (blob.head(row), end - at, needed))
        CHECKS[kind](blob, row)
        blob.rows.append(row)
        at += needed
        if len(blob.rows) > BTF_MAX_TYPE:
            blob.refuse(errno.E2BIG)


def _no_vlen(blob: Blob, row: Row) -> None:
    if row.vlen:
        blob.complain(row, "vlen != 0")


def _no_flag(blob: Blob, row: Row) -> None:
    if row.flag:
        blob.complain(row, "Invalid btf_info kind_flag")


def _name(blob: Blob, row: Row) -> None:
    """Names of the kinds that have rules for them."""
    kind = row.kind
    if kind in NO_NAME:
        good = not row.name
    elif kind == K.DATASEC:
        good = bool(row.name) and SECTION_NAME.fullmatch(blob.name_bytes(row.name)) is not None
    elif kind == K.TYPE_TAG:
        good = bool(row.name) and bool(blob.name_bytes(row.name))
    elif kind in (K.STRUCT, K.UNION, K.ENUM, K.ENUM64):
        good = not row.name or blob.is_identifier(row.name)
    else:
        good = bool(row.name) and blob.is_identifier(row.name)
    if not good:
        blob.complain(row, "Invalid name")


def _check_int(blob: Blob, row: Row) -> None:
    _no_vlen(blob, row)
    _no_flag(blob, row)
    word = blob.word(row)
    if word >> 28:
        blob.refuse(errno.EINVAL, b"%s Invalid int_data:%x\n" % (blob.head(row), word))
    bits = (word & 255) + (word >> 16 & 255)
    if bits > 128:
        blob.complain(row, "nr_bits exceeds 128")
    if bits > row.size * 8:
        blob.complain(row, "nr_bits exceeds type_size")
    if word >> 24 & 15 not in ENCODINGS:
        blob.complain(row, "Unsupported encoding", ENOTSUPP)
    blob.show(row)


def _check_ref(blob: Blob, row: Row) -> None:
    _no_vlen(blob, row)
    if row.kind != K.TYPE_TAG:
        _no_flag(blob, row)
    if row.size > BTF_MAX_TYPE:
        blob.complain(row, "Invalid type_id")
    _name(blob, row)
    blob.show(row)


def _check_proto(blob: Blob, row: Row) -> None:
    _name(blob, row)
    _no_flag(blob, row)
    blob.show(row)


def _check_array(blob: Blob, row: Row) -> None:
    _name(blob, row)
    _no_vlen(blob, row)
    _no_flag(blob, row)
    if row.size:
        blob.complain(row, "size != 0")
    element, index, _ = blob.part(row, 0)
    if not 0 < element <= BTF_MAX_TYPE:
        blob.complain(row, "Invalid elem")
    if not 0 < index <= BTF_MAX_TYPE:
        blob.complain(row, "Invalid index")
    blob.show(row)


def _check_members(blob: Blob, row: Row) -> None:
    """Structs and unions."""
    _name(blob, row)
    blob.show(row)
    last = 0
    for i in range(row.vlen):
        name, type_id, off = blob.part(row, i)
        if name >= len(blob.strings):
            blob.complain_part(row, i, f"Invalid member name_offset:{name}")
        if name and not blob.is_identifier(name):
            blob.complain_part(row, i, "Invalid name")
        if not 0 < type_id <= BTF_MAX_TYPE:
            blob.complain_part(row, i, "Invalid type_id")
        bits = off & 0xFFFFFF if row.flag else off
        if (row.kind == K.UNION and bits) or bits < last:
            blob.complain_part(row, i, "Invalid member bits_offset")
        if (bits + 7) // 8 > row.size:
            blob.complain_part(row, i, "Member bits_offset exceeds its struct size")
        if blob.verbose:
            blob.say(blob.member_line(row, i))
        last = bits


def _check_enum(blob: Blob, row: Row) -> None:
    if row.size not in (1, 2, 4, 8):
        blob.complain(row, "Unexpected size")
    _name(blob, row)
    blob.show(row)
    wide = row.kind == K.ENUM64
    for i in range(row.vlen):
        if wide:
            name, low, high = blob.part(row, i)
            value = low | high << 32
        else:
            name, value = blob.pair(row, i)
        if name >= len(blob.strings):
            blob.refuse(errno.EINVAL, f"\tInvalid name_offset:{name}")
        if not name or not blob.is_identifier(name):
            blob.complain(row, "Invalid name")
        if blob.verbose:
            width = 64 if wide else 32
            shown = value - (1 << width) if row.flag and value >> (width - 1) else value
            blob.say(b"\t%s val=%d" % (blob.name_bytes(name), shown))


def _check_fwd(blob: Blob, row: Row) -> None:
    _no_vlen(blob, row)
    if row.size:
        blob.complain(row, "type != 0")
    _name(blob, row)
    blob.show(row)


def _check_func(blob: Blob, row: Row) -> None:
    _name(blob, row)
    if row.vlen > 1:
        blob.complain(row, "Invalid func linkage")
    _no_flag(blob, row)
    blob.show(row)


def _check_var(blob: Blob, row: Row) -> None:
    _no_vlen(blob, row)
    _no_flag(blob, row)
    _name(blob, row)
    if not 0 < row.size <= BTF_MAX_TYPE:
        blob.complain(row, "Invalid type_id")
    if blob.word(row) > 1:
        blob.complain(row, "Linkage not supported")
    blob.show(row)


def _check_datasec(blob: Blob, row: Row) -> None:
    if not row.size:
        blob.complain(row, "size == 0")
    _no_flag(blob, row)
    _name(blob, row)
    blob.show(row)
    last = total = 0
    for i in range(row.vlen):
        type_id, off, size = blob.part(row, i)
        if not 0 < type_id <= BTF_MAX_TYPE:
            blob.complain_part(row, i, "Invalid type_id")
        if off < last or off >= row.size:
            blob.complain_part(row, i, "Invalid offset")
        if not 0 < size <= row.size:
            blob.complain_part(row, i, "Invalid size")
        last = off + size
        if last > row.size:
            blob.complain_part(row, i, "Invalid offset+size")
        total += size
        if blob.verbose:
            blob.say(blob.var_line(row, i))
    if row.size < total:
        blob.complain(row, "Invalid btf_info size")


def _check_float(blob: Blob, row: Row) -> None:
    _no_vlen(blob, row)
    _no_flag(blob, row)
    if row.size not in (2, 4, 8, 12, 16):
        blob.complain(row, "Invalid type_size")
    blob.show(row)


def _check_decl_tag(blob: Blob, row: Row) -> None:
    if not row.name or not blob.name_bytes(row.name):
        blob.complain(row, "Invalid value")
    _no_vlen(blob, row)
    if signed(blob.word(row)) < -1:
        blob.complain(row, "Invalid component_idx")
    blob.show(row)


CHECKS: Final[dict[int, Callable[[Blob, Row], None]]] = {
    K.INT: _check_int,
    K.ARRAY: _check_array,
    K.STRUCT: _check_members,
    K.UNION: _check_members,
    K.ENUM: _check_enum,
    K.ENUM64: _check_enum,
    K.FWD: _check_fwd,
    K.FUNC: _check_func,
    K.FUNC_PROTO: _check_proto,
    K.VAR: _check_var,
    K.DATASEC: _check_datasec,
    K.FLOAT: _check_float,
    K.DECL_TAG: _check_decl_tag,
    **dict.fromkeys((K.PTR, K.TYPEDEF, K.VOLATILE, K.CONST, K.RESTRICT, K.TYPE_TAG), _check_ref),
}


def load(data: bytes, log_level: int = 0) -> tuple[Btf, str]:
    """The types of a blob and the log; BpfError with Linux's errno and the log where it is refused."""
    from userbpf.btf.check_graph import check_graph

    blob = Blob(bytes(data), bool(log_level))
    _header(blob)
    _types(blob)
    check_graph(blob)
    return Btf.parse(data), blob.text()
