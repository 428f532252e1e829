"""Values of BTF types: every kind to Python and back, and what is refused."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from userbpf.btf import Array, Btf, Enum, Enum64, Float, Int, Member, Ptr, Struct, Typedef, Union
from userbpf.btf.values import Codecs
from userbpf.errors import BtfError


class Types:
    """A BTF with the basic types."""

    def __init__(self) -> None:
        self.btf = Btf()
        self.u8 = self.btf.add(Int(1, 0, 0, 8, name="u8")).id
        self.s16 = self.btf.add(Int(2, 1, 0, 16, name="s16")).id
        self.u32 = self.btf.add(Int(4, 0, 0, 32, name="u32")).id
        self.s64 = self.btf.add(Int(8, 1, 0, 64, name="s64")).id
        self.bool = self.btf.add(Int(1, 4, 0, 8, name="_Bool")).id
        self.u128 = self.btf.add(Int(16, 0, 0, 128, name="__int128")).id

    def array(self, of: int, n: int) -> int:
        return self.btf.add(Array(of, self.u32, n)).id

    def record(self, size: int, *members: Member, name: str = "r") -> int:
        return self.btf.add(Struct(size, list(members), any(m.bits for m in members), name=name)).id


@pytest.fixture
def types() -> Types:
    return Types()


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("u8", b"\xff", 255),
        ("s16", b"\xff\xff", -1),
        ("u32", b"\1\0\0\x80", 0x80000001),
        ("s64", b"\xfe" + b"\xff" * 7, -2),
        ("bool", b"\1", True),
        ("u128", bytes(range(16)), bytes(range(16))),
    ],
)
def test_integers(types: Types, kind: str, data: bytes, value: object) -> None:
    codec = Codecs(types.btf).of(getattr(types, kind))
    assert (codec.decode(data), codec.encode(value)) == (value, data)
    assert type(codec.decode(data)) is type(value)


def test_unsigned_takes_negative_numbers_as_c_does(types: Types) -> None:
    assert Codecs(types.btf).of(types.u32).encode(-1) == b"\xff" * 4


@pytest.mark.parametrize("value", [1 << 32, -(1 << 31) - 1])
def test_numbers_that_do_not_fit_are_refused(types: Types, value: int) -> None:
    with pytest.raises((OverflowError, ValueError)):
        Codecs(types.btf).of(types.u32).encode(value)


def test_floats_and_pointers(types: Types) -> None:
    codecs = Codecs(types.btf)
    f, d = types.btf.add(Float(4, name="float")).id, types.btf.add(Float(8, name="double")).id
    p = types.btf.add(Ptr(types.u8)).id
    assert codecs.of(f).decode(struct.pack("<f", 1.5)) == 1.5
    assert codecs.of(d).encode(-2.25) == struct.pack("<d", -2.25)
    assert codecs.of(p).decode(b"\1" + bytes(7)) == 1


def test_enums_by_name_and_number(types: Types) -> None:
    e = types.btf.add(Enum(4, [("RED", 0), ("GREEN", 7)], name="color")).id
    big = types.btf.add(Enum64(8, [("HUGE", 1 << 40), ("LOW", -1)], True, name="wide")).id
    codec, wide = Codecs(types.btf).of(e), Codecs(types.btf).of(big)
    green = codec.decode(b"\7\0\0\0")
    assert green == 7 and green.name == "GREEN"
    assert codec.decode(b"\5\0\0\0") == 5 and not hasattr(codec.decode(b"\5\0\0\0"), "name")
    assert codec.encode("GREEN") == codec.encode(7) == codec.encode(green) == b"\7\0\0\0"
    assert wide.decode(wide.encode("HUGE")) == 1 << 40 and wide.decode(b"\xff" * 8).name == "LOW"


def test_arrays_are_tuples_and_characters_bytes(types: Types) -> None:
    numbers, text = types.array(types.s16, 3), types.array(types.u8, 4)
    grid = types.array(text, 2)
    codecs = Codecs(types.btf)
    assert codecs.of(numbers).decode(struct.pack("<3h", 1, -2, 3)) == (1, -2, 3)
    assert codecs.of(numbers).encode([5]) == struct.pack("<3h", 5, 0, 0)
    assert codecs.of(text).decode(b"abc\0") == b"abc\0"
    assert codecs.of(text).encode(b"ab") == b"ab\0\0"
    assert codecs.of(grid).decode(b"abcdefgh") == (b"abcd", b"efgh")
    for kind, value in ((numbers, [1, 2, 3, 4]), (text, b"12345")):
        with pytest.raises(ValueError):
            codecs.of(kind).encode(value)


def test_addresses_stand_for_their_bytes(types: Types) -> None:
    v6 = types.array(types.u8, 16)
    codecs = Codecs(types.btf)
    assert codecs.of(types.u32).encode(ipaddress.ip_address("10.1.2.3")) == bytes([10, 1, 2, 3])
    assert codecs.of(v6).encode(ipaddress.ip_address("::1")) == bytes(15) + b"\1"
    assert codecs.of(v6).encode(ipaddress.ip_address("10.1.2.3")) == bytes([10, 1, 2, 3]) + bytes(12)


def test_records_are_frozen_hashable_and_named_as_in_c(types: Types) -> None:
    r = types.record(8, Member("a", types.u32, 0), Member("b", types.s16, 32), name="point")
    codec = Codecs(types.btf).of(r)
    value = codec.decode(struct.pack("<Ihxx", 7, -3))
    assert repr(value) == "point(a=7, b=-3)"
    assert {value: 1}[codec.decode(struct.pack("<Ihxx", 7, -3))] == 1
    with pytest.raises(AttributeError):
        value.a = 1
    for given in (value, {"a": 7, "b": -3}, (7, -3), [7, -3]):
        assert codec.encode(given) == struct.pack("<Ihxx", 7, -3)
    assert codec.encode({"b": 1}) == struct.pack("<Ihxx", 0, 1)


@pytest.mark.parametrize("given", [{"c": 1}, (1, 2, 3), "ab", None, 1.5])
def test_what_is_no_record_is_refused(types: Types, given: object) -> None:
    r = types.record(8, Member("a", types.u32, 0), Member("b", types.u32, 32))
    with pytest.raises((ValueError, TypeError)):
        Codecs(types.btf).of(r).encode(given)


@pytest.mark.parametrize(
    ("c_name", "python"),
    [
        ("__pad", "__pad"),
        ("class", "class_"),
        ("__class__", "__class___"),
        ("self", "self"),
        ("_", "_"),
        ("None", "None_"),
    ],
)
def test_field_names_that_mean_something_to_python(types: Types, c_name: str, python: str) -> None:
    r = types.record(8, Member(c_name, types.u32, 0), Member("other", types.u32, 32), name="odd")
    codec = Codecs(types.btf).of(r)
    value = codec.decode(struct.pack("<II", 1, 2))
    assert getattr(value, python) == 1 and value.other == 2
    assert codec.encode(value) == codec.encode({python: 1, "other": 2}) == struct.pack("<II", 1, 2)


def test_nested_and_anonymous_members(types: Types) -> None:
    inner = types.record(4, Member("x", types.s16, 0), Member("y", types.s16, 16), name="")
    either = types.btf.add(Union(4, [Member("p", types.u32, 0), Member("q", types.s16, 0)])).id
    outer = types.record(12, Member("in_", inner, 0), Member("", inner, 32), Member("", either, 64), name="outer")
    codec = Codecs(types.btf).of(outer)
    data = struct.pack("<hhhhI", 1, 2, 3, 4, 5)
    value = codec.decode(data)
    assert (value.in_.x, value.in_.y, value.x, value.y, value.anon_8) == (1, 2, 3, 4, struct.pack("<I", 5))
    assert codec.encode(value) == data


@pytest.mark.parametrize("signed", [False, True])
def test_bitfields_keep_their_neighbours(types: Types, signed: bool) -> None:
    kind = types.s64 if signed else types.u32
    members = [Member("a", kind, 0, 3), Member("b", kind, 3, 11), Member("c", kind, 14, 18)]
    codec = Codecs(types.btf).of(types.record(4, *members))
    raw = 5 | 1025 << 3 | 0x2AAAA << 14
    value = codec.decode(raw.to_bytes(4, "little"))
    expected = (5 - 8, 1025 - 2048, 0x2AAAA - (1 << 18)) if signed else (5, 1025, 0x2AAAA)
    assert (value.a, value.b, value.c) == expected
    assert codec.encode(value) == raw.to_bytes(4, "little")


def test_typedefs_are_seen_through_and_unions_are_bytes(types: Types) -> None:
    t = types.btf.add(Typedef(types.btf.add(Union(4, [Member("p", types.u32, 0)])).id, name="u")).id
    codec = Codecs(types.btf).of(t)
    assert codec.decode(b"abcd") == b"abcd" and codec.encode(b"ab") == b"ab\0\0"


def test_types_without_end_are_refused(types: Types) -> None:
    loop = types.btf.add(Struct(4, [], name=""))
    loop.members.append(Member("", loop.id, 0))
    named = types.btf.add(Struct(4, [], name="n"))
    named.members.append(Member("me", named.id, 0))
    for t in (loop, named):
        with pytest.raises(BtfError):
            Codecs(types.btf).of(t.id)


def test_as_many_fields_as_a_malformed_type_claims(types: Types) -> None:
    """Each level doubles the fields: 2 ** 24 of them are not built."""
    t = types.record(1, Member("a", types.u8, 0), name="")
    for _ in range(24):
        t = types.record(1, Member("", t, 0), Member("", t, 0), name="")
    assert Codecs(types.btf).of(t).decode(b"x") == b"x"
    nothing = types.record(0, name="empty")
    assert Codecs(types.btf).of(types.array(nothing, 0xFFFFFFFF)).decode(b"") == b""
