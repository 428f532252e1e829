"""Values of BTF types: bytes to Python and back.

A codec is built once a type. Integers are ints, `_Bool` is bool, an enum is an IntEnum of its own where the value is one of
its names, a struct is a frozen dataclass with the C field names (so it can be a key), `struct in_addr` and `struct in6_addr`
are addresses of `ipaddress`, an array is a tuple, an array of characters or bytes `bytes`, a pointer an int, a union and
anything unknown `bytes`.
"""

from __future__ import annotations

import ipaddress
import itertools
import keyword
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from enum import IntEnum
from typing import Any, Final

from userbpf.btf.types import Array, Btf, Composite, Enum, Float, Int, Ptr, Struct
from userbpf.errors import BtfError

WIDTH: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
MAX_DEPTH: Final = 32
MAX_FIELDS: Final = 65536
Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]


@dataclass(slots=True)
class Codec:
    """`size` bytes to a value and back.

    `python` is the record class of a struct, else None; `members` are a record's fields: (name in Python, type id).
    """

    size: int
    decode: Decode
    encode: Encode
    python: type | None = None
    members: list[tuple[str, int]] = field(default_factory=list)


def raw(size: int) -> Codec:
    """Bytes as they are; shorter ones are padded with zeroes, longer ones refused."""

    def encode(value: Any) -> bytes:
        if isinstance(value, int):
            return value.to_bytes(size, "little", signed=value < 0)
        data = bytes(value.packed if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)) else value)
        if len(data) > size:
            raise ValueError(f"{len(data)} bytes for a value of {size}")
        return data.ljust(size, b"\0")

    return Codec(size, lambda data: bytes(data[:size]), encode)


def number(size: int, signed: bool) -> Codec:
    """An integer; an address object stands for its bytes in network order."""
    if size not in WIDTH:
        return raw(size)
    code = struct.Struct("<" + (WIDTH[size].lower() if signed else WIDTH[size]))

    def encode(value: Any) -> bytes:
        if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return raw(size).encode(value)
        if isinstance(value, (bytes, bytearray)):
            return raw(size).encode(value)
        try:
            return code.pack(int(value))
        except struct.error:
            return int(value).to_bytes(size, "little", signed=int(value) < 0)

    return Codec(size, lambda data: code.unpack_from(data)[0], encode)


def boolean() -> Codec:
    return Codec(1, lambda data: bool(data[0]), lambda value: b"\1" if value else b"\0")


def floating(size: int) -> Codec:
    code = struct.Struct("<f" if size == 4 else "<d")
    return Codec(size, lambda data: code.unpack_from(data)[0], lambda value: code.pack(float(value)))


ADDRESSES: Final[dict[tuple[str, int], Callable[[bytes], Any]]] = {
    ("in_addr", 4): ipaddress.IPv4Address,
    ("in6_addr", 16): ipaddress.IPv6Address,
}


def address(size: int, make: Callable[[bytes], Any]) -> Codec:
    """An IP address in network order; taken as an address, as text or as bytes."""
    plain = raw(size)

    def encode(value: Any) -> bytes:
        return plain.encode(ipaddress.ip_address(value) if isinstance(value, str) else value)

    return Codec(size, lambda data: make(bytes(data[:size])), encode)


def enumeration(t: Enum) -> Codec:
    """Named values as members of an IntEnum, others as plain ints; names are taken too."""
    base = number(t.size, t.signed)
    names = {n: v for n, v in t.values if n.isidentifier() and not n.startswith("_") and n != "mro"}
    if not names:
        return base
    cls: Any = IntEnum(t.name or "enum", names)  # type: ignore[misc]
    known = {int(m): m for m in cls}

    def decode(data: bytes) -> Any:
        value = base.decode(data)
        return known.get(value, value)

    return Codec(t.size, decode, lambda value: base.encode(cls[value] if isinstance(value, str) else value), cls)


def array(element: Codec, count: int, characters: bool) -> Codec:
    """A tuple, or bytes where the elements are characters."""
    size = element.size * count
    if characters or not element.size:
        return raw(size)

    def decode(data: bytes) -> Any:
        return tuple(element.decode(data[i * element.size : (i + 1) * element.size]) for i in range(count))

    def encode(value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, int, ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return raw(size).encode(value)
        items = list(value)
        if len(items) > count:
            raise ValueError(f"{len(items)} elements for an array of {count}")
        return b"".join(element.encode(v) for v in items).ljust(size, b"\0")

    return Codec(size, decode, encode)


class Codecs:
    """The codecs of one BTF, built on demand."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._known: dict[int, Codec] = {}

    def of(self, type_id: int, depth: int = 0) -> Codec:
        """The codec of a type; BtfError for a type without a size."""
        found = self._known.get(type_id)
        if found is None:
            if depth > MAX_DEPTH:
                raise BtfError(f"type {type_id} is nested too deeply")
            found = self._known[type_id] = self._build(type_id, depth)
        return found

    def _build(self, type_id: int, depth: int) -> Codec:
        t = self.btf.resolve(type_id)
        if isinstance(t, Int):
            return boolean() if t.encoding & 4 and t.size == 1 else number(t.size, t.signed)
        if isinstance(t, Ptr):
            return number(8, False)
        if isinstance(t, Enum):
            return enumeration(t)
        if isinstance(t, Float):
            return floating(t.size) if t.size in (4, 8) else raw(t.size)
        if isinstance(t, Array):
            element = self.btf.resolve(t.type)
            characters = isinstance(element, Int) and element.size == 1
            return array(self.of(t.type, depth + 1), t.nelems, characters)
        if isinstance(t, Struct):
            make = ADDRESSES.get((t.name, t.size))
            return address(t.size, make) if make else self._record(t, depth)
        return raw(self.btf.size_of(type_id))

    def _record(self, t: Struct, depth: int) -> Codec:
        pieces = list(itertools.islice(self._flat(t, 0, depth), MAX_FIELDS + 1))
        names = [piece[0] for piece in pieces]
        if not names or len(set(names)) != len(names) or len(names) > MAX_FIELDS:
            return raw(t.size)
        # built under the name "_": in a class with letters in its name Python would mangle fields like `__pad`
        cls = make_dataclass("_", [(n, Any, field(default=0)) for n in names], frozen=True, slots=True)
        cls.__name__ = cls.__qualname__ = t.name or "record"
        cls.__module__ = __name__
        size = t.size

        def decode(data: bytes) -> Any:
            return cls(*[read(data) for _, _, read, _ in pieces])

        def encode(value: Any) -> bytes:
            if isinstance(value, (bytes, bytearray, int)):
                return raw(size).encode(value)
            out = bytearray(size)
            given = as_fields(value, names, t.name or "record")
            for name, _, _, store in pieces:
                if name in given:
                    store(out, given[name])
            return bytes(out)

        return Codec(size, decode, encode, cls, [(name, type_id) for name, type_id, _, _ in pieces])

    def _flat(
        self, t: Composite, base: int, depth: int
    ) -> Iterator[tuple[str, int, Decode, Callable[[bytearray, Any], None]]]:
        """(name, type id, read, write) of each member, those of anonymous structs included."""
        if depth > MAX_DEPTH:
            raise BtfError(f"type {t.id} is nested too deeply")
        for m in t.members:
            off = base + m.bit_offset // 8
            inner = self.btf.resolve(m.type)
            if not m.name and isinstance(inner, Struct):
                yield from self._flat(inner, off, depth + 1)
                continue
            name = field_name(m.name, off)
            if m.bits or m.bit_offset % 8:
                yield (
                    name,
                    m.type,
                    *bitfield(base * 8 + m.bit_offset, m.bits or 32, isinstance(inner, Int) and inner.signed),
                )
                continue
            yield name, m.type, *placed(self.of(m.type, depth + 1), off)


def field_name(name: str, off: int) -> str:
    """A member's name as Python takes it: keywords and names of Python's own get a `_`, no names the offset."""
    if not name.isidentifier():
        return f"anon_{off}"
    return f"{name}_" if keyword.iskeyword(name) or (name.startswith("__") and name.endswith("__")) else name


def placed(codec: Codec, off: int) -> tuple[Decode, Callable[[bytearray, Any], None]]:
    """A member at a byte offset."""
    end = off + codec.size

    def write(out: bytearray, value: Any) -> None:
        out[off:end] = codec.encode(value)

    return lambda data: codec.decode(data[off:end]), write


def bitfield(bit: int, bits: int, signed: bool) -> tuple[Decode, Callable[[bytearray, Any], None]]:
    """A member of some bits."""
    first, shift = bit // 8, bit % 8
    last = (bit + bits + 7) // 8
    mask = (1 << bits) - 1

    def read(data: bytes) -> int:
        value = int.from_bytes(data[first:last], "little") >> shift & mask
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    def write(out: bytearray, value: Any) -> None:
        old = int.from_bytes(out[first:last], "little") & ~(mask << shift)
        out[first:last] = (old | (int(value) & mask) << shift).to_bytes(last - first, "little")

    return read, write


def as_fields(value: Any, names: Sequence[str], what: str) -> Mapping[str, Any]:
    """Field values of a record, mapping or sequence; ValueError for names that are none."""
    if is_dataclass(value) and not isinstance(value, type):
        given: Mapping[str, Any] = {f.name: getattr(value, f.name) for f in fields(value)}
    elif isinstance(value, Mapping):
        given = value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > len(names):
            raise ValueError(f"{len(value)} values for the {len(names)} fields of {what}")
        given = dict(zip(names, value, strict=False))
    else:
        raise ValueError(f"{value!r} is no {what}: give a record, a dict or a tuple of {', '.join(names)}")
    unknown = set(given) - set(names)
    if unknown:
        raise ValueError(f"{what} has no field {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    return given
