"""BTF: the types of a program or kernel, parsed from and encoded to the .BTF format.

One dataclass a kind. A `Btf` is a list of types numbered from 1 (0 is void); a split BTF continues the numbers and strings
of its base. Parsing checks bounds and kinds so that malformed bytes give `BtfError`; what Linux further demands of a blob
that is loaded is told by `btf.check`. Format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar

from userbpf.errors import BtfError

MAGIC: Final = 0xEB9F
HEADER: Final = struct.Struct("<HBBIIIII")
MAX_DEPTH: Final = 64


@dataclass(slots=True)
class Type:
    """Any type; `id` is its number, `name` may be empty."""

    KIND: ClassVar[int] = 0
    id: int = field(default=0, kw_only=True)
    name: str = field(default="", kw_only=True)


@dataclass(slots=True)
class Void(Type):
    """Number 0."""


@dataclass(slots=True)
class Int(Type):
    """`size` bytes, `bits` of them counted from bit `offset`; `encoding`: 1 signed, 2 char, 4 bool."""

    KIND: ClassVar[int] = 1
    size: int = 4
    encoding: int = 0
    offset: int = 0
    bits: int = 32

    @property
    def signed(self) -> bool:
        return bool(self.encoding & 1)


@dataclass(slots=True)
class Ref(Type):
    """A type that names another one."""

    type: int = 0


@dataclass(slots=True)
class Ptr(Ref):
    KIND: ClassVar[int] = 2


@dataclass(slots=True)
class Array(Type):
    KIND: ClassVar[int] = 3
    type: int = 0
    index_type: int = 0
    nelems: int = 0


@dataclass(slots=True)
class Member:
    """A field: `bit_offset` from the start, `bits` > 0 for a bitfield."""

    name: str
    type: int
    bit_offset: int
    bits: int = 0

    @property
    def offset(self) -> int:
        """Byte offset."""
        return self.bit_offset // 8


@dataclass(slots=True)
class Composite(Type):
    """A struct or union of `size` bytes."""

    size: int = 0
    members: list[Member] = field(default_factory=list)
    kind_flag: bool = False


@dataclass(slots=True)
class Struct(Composite):
    KIND: ClassVar[int] = 4


@dataclass(slots=True)
class Union(Composite):
    KIND: ClassVar[int] = 5


@dataclass(slots=True)
class Enum(Type):
    """Values as (name, value), signed where `signed`."""

    KIND: ClassVar[int] = 6
    size: int = 4
    values: list[tuple[str, int]] = field(default_factory=list)
    signed: bool = False


@dataclass(slots=True)
class Enum64(Enum):
    KIND: ClassVar[int] = 19


@dataclass(slots=True)
class Fwd(Type):
    KIND: ClassVar[int] = 7
    is_union: bool = False


@dataclass(slots=True)
class Typedef(Ref):
    KIND: ClassVar[int] = 8


@dataclass(slots=True)
class Volatile(Ref):
    KIND: ClassVar[int] = 9


@dataclass(slots=True)
class Const(Ref):
    KIND: ClassVar[int] = 10


@dataclass(slots=True)
class Restrict(Ref):
    KIND: ClassVar[int] = 11


@dataclass(slots=True)
class Func(Ref):
    """`linkage`: 0 static, 1 global, 2 extern."""

    KIND: ClassVar[int] = 12
    linkage: int = 0


@dataclass(slots=True)
class Param:
    name: str
    type: int


@dataclass(slots=True)
class FuncProto(Ref):
    """`type` is the return type."""

    KIND: ClassVar[int] = 13
    params: list[Param] = field(default_factory=list)


@dataclass(slots=True)
class Var(Ref):
    KIND: ClassVar[int] = 14
    linkage: int = 0


@dataclass(slots=True)
class SecVar:
    type: int
    offset: int
    size: int


@dataclass(slots=True)
class DataSec(Type):
    KIND: ClassVar[int] = 15
    size: int = 0
    vars: list[SecVar] = field(default_factory=list)


@dataclass(slots=True)
class Float(Type):
    KIND: ClassVar[int] = 16
    size: int = 4


@dataclass(slots=True)
class DeclTag(Ref):
    """`component` is a member or parameter number, -1 for the whole."""

    KIND: ClassVar[int] = 17
    component: int = -1
    kind_flag: bool = False


@dataclass(slots=True)
class TypeTag(Ref):
    KIND: ClassVar[int] = 18
    kind_flag: bool = False


MODIFIERS: Final = (Typedef, Volatile, Const, Restrict, TypeTag)
KINDS: Final[dict[int, type[Type]]] = {
    cls.KIND: cls
    for cls in (
        Int,
        Ptr,
        Array,
        Struct,
        Union,
        Enum,
        Fwd,
        Typedef,
        Volatile,
        Const,
        Restrict,
        Func,
        FuncProto,
        Var,
        DataSec,
        Float,
        DeclTag,
        TypeTag,
        Enum64,
    )
}
T = TypeVar("T", bound=Type)


class _Reader:
    """Type section and strings while they are parsed."""

    def __init__(self, data: bytes, strings: Callable[[int], str]) -> None:
        self.data = data
        self.at = 0
        self.strings = strings

    def take(self, fmt: str) -> tuple[int, ...]:
        size = struct.calcsize(fmt)
        if self.at + size > len(self.data):
            raise BtfError(f"type section ends inside a type at byte {self.at}")
        out = struct.unpack_from(fmt, self.data, self.at)
        self.at += size
        return out

    def many(self, fmt: str, n: int) -> Iterator[tuple[int, ...]]:
        size = struct.calcsize(fmt) * n
        if self.at + size > len(self.data):
            raise BtfError(f"type section ends inside a type at byte {self.at}")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return struct.iter_unpack(fmt, piece)


def _read_composite(r: _Reader, cls: type[Composite], vlen: int, flag: bool, size: int) -> Composite:
    out = cls(size=size, kind_flag=flag)
    for name, type_id, off in r.many("<III", vlen):
        if flag:
            out.members.append(Member(r.strings(name), type_id, off & 0xFFFFFF, off >> 24))
        else:
            out.members.append(Member(r.strings(name), type_id, off))
    return out


def _read_type(r: _Reader) -> Type:
    """The type at the cursor, without its number."""
    name_off, info, size = r.take("<III")
    kind, vlen, flag = info >> 24 & 31, info & 0xFFFF, bool(info >> 31)
    cls = KINDS.get(kind)
    if cls is None:
        raise BtfError(f"unknown kind {kind} at byte {r.at - 12}")
    out: Type
    if cls is Int:
        (bits,) = r.take("<I")
        out = Int(size, bits >> 24 & 15, bits >> 16 & 255, bits & 255)
    elif cls is Array:
        out = Array(*r.take("<III"))
    elif cls is Struct or cls is Union:
        out = _read_composite(r, Struct if cls is Struct else Union, vlen, flag, size)
    elif cls is Enum:
        values = [(r.strings(n), v) for n, v in r.many("<Ii" if flag else "<II", vlen)]
        out = Enum(size, values, flag)
    elif cls is Enum64:
        pairs = [(r.strings(n), lo | hi << 32) for n, lo, hi in r.many("<IIi" if flag else "<III", vlen)]
        out = Enum64(size, pairs, flag)
    elif cls is Fwd:
        out = Fwd(flag)
    elif cls is FuncProto:
        out = FuncProto(size, [Param(r.strings(n), t) for n, t in r.many("<II", vlen)])
    elif cls is Func:
        out = Func(size, vlen)
    elif cls is Var:
        out = Var(size, *r.take("<I"))
    elif cls is DataSec:
        out = DataSec(size, [SecVar(*v) for v in r.many("<III", vlen)])
    elif cls is Float:
        out = Float(size)
    elif cls is DeclTag:
        (component,) = r.take("<i")
        out = DeclTag(size, component, flag)
    elif cls is TypeTag:
        out = TypeTag(size, flag)
    else:
        out = cls(size)  # type: ignore[call-arg]
    out.name = r.strings(name_off)
    return out


def read_one(data: bytes, at: int, strings: Callable[[int], str]) -> Type:
    """The type that begins at a byte of a type section, without its number."""
    reader = _Reader(data, strings)
    reader.at = at
    return _read_type(reader)


class Btf:
    """All types of one blob, with those of its base before them."""

    def __init__(self, base: Btf | None = None) -> None:
        self.base = base
        self.types: MutableSequence[Type] = list(base.types) if base else [Void()]
        self.raw = b""
        self._names: dict[str, list[int]] | None = None
        self._tags: dict[int, list[DeclTag]] | None = None
        self._aligns: dict[int, int] = {}

    @property
    def first_id(self) -> int:
        """The number of the first type that is this blob's own."""
        return len(self.base.types) if self.base else 1

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview, base: Btf | None = None) -> Btf:
        """Parse a .BTF blob; raises BtfError for anything malformed."""
        data = bytes(data)
        if len(data) < HEADER.size:
            raise BtfError("shorter than a BTF header")
        magic, version, _, hdr_len, type_off, type_len, str_off, str_len = HEADER.unpack_from(data)
        if magic != MAGIC:
            raise BtfError(f"bad magic {magic:#x}" + (" (big-endian BTF)" if magic == 0x9FEB else ""))
        if version != 1:
            raise BtfError(f"unknown version {version}")
        if hdr_len < HEADER.size or hdr_len + max(type_off + type_len, str_off + str_len) > len(data):
            raise BtfError("a section lies outside of the blob")
        strings = data[hdr_len + str_off : hdr_len + str_off + str_len]
        out = cls(base)
        out.raw = data
        skip = len(base.strings_raw) if base else 0
        base_strings = base.string if base else None
        if not base and (not strings or strings[0]):
            raise BtfError("the string section does not begin with the empty string")
        if strings and strings[-1]:
            raise BtfError("the string section does not end with NUL")
        out.strings_raw = (base.strings_raw if base else b"") + strings

        def string(off: int) -> str:
            if off < skip and base_strings is not None:
                return base_strings(off)
            off -= skip
            if off >= len(strings):
                raise BtfError(f"name at {off} lies outside of the strings")
            return strings[off : strings.index(b"\0", off)].decode("utf-8", "surrogateescape")

        out.string = string
        reader = _Reader(data[hdr_len + type_off : hdr_len + type_off + type_len], string)
        while reader.at < len(reader.data):
            out.add(_read_type(reader))
        out._check_references()
        return out

    strings_raw: bytes = b"\0"
    string: Callable[[int], str] = staticmethod(lambda off: "")

    def add(self, t: T) -> T:
        """Append a type; its `id` is set."""
        t.id = len(self.types)
        self.types.append(t)
        self._names = self._tags = None
        return t

    def _check_references(self) -> None:
        limit = len(self.types)
        for t in self.types[self.first_id :]:
            for ref in references(t):
                if not 0 <= ref < limit:
                    raise BtfError(f"type {t.id} refers to type {ref} of {limit}")

    def by_id(self, type_id: int) -> Type:
        """The type of a number; BtfError where there is none."""
        if not 0 <= type_id < len(self.types):
            raise BtfError(f"no type {type_id}")
        return self.types[type_id]

    def __len__(self) -> int:
        return len(self.types)

    def named(self, name: str) -> list[int]:
        """Numbers of all types of a name."""
        if self._names is None:
            names: dict[str, list[int]] = {}
            for t in self.types[1:]:
                if t.name:
                    names.setdefault(t.name, []).append(t.id)
            self._names = names
        return self._names.get(name, [])

    def flavors(self, name: str) -> list[str]:
        """Names that begin with a name and go on behind three underscores."""
        self.named(name)
        return [each for each in self._names or () if each.startswith(name + "___")]

    def find(self, name: str, kind: type[T]) -> T | None:
        """The first type of a name and kind."""
        for type_id in self.named(name):
            t = self.types[type_id]
            if type(t) is kind:
                return t
        return None

    def tags_of(self, type_id: int) -> list[DeclTag]:
        """The declaration tags of a type, its members or its parameters."""
        if self._tags is None:
            self._tags = {}
            for t in self.types:
                if type(t) is DeclTag:
                    self._tags.setdefault(t.type, []).append(t)
        return self._tags.get(type_id, [])

    def resolve(self, type_id: int) -> Type:
        """The type behind typedefs, qualifiers and tags; BtfError for a loop."""
        for _ in range(MAX_DEPTH):
            t = self.by_id(type_id)
            if not isinstance(t, MODIFIERS):
                return t
            type_id = t.type
        raise BtfError(f"type {type_id}: typedefs without end")

    def size_of(self, type_id: int) -> int:
        """Bytes of a value of the type; BtfError for one that has none."""
        total = 1
        for _ in range(MAX_DEPTH):
            t = self.resolve(type_id)
            if isinstance(t, Array):
                total *= t.nelems
                type_id = t.type
                continue
            if isinstance(t, Ptr):
                return total * 8
            if isinstance(t, Var):
                type_id = t.type
                continue
            if isinstance(t, (Int, Composite, Enum, Float, DataSec)):
                return total * t.size
            raise BtfError(f"type {t.id} ({type(t).__name__.lower()} {t.name}) has no size")
        raise BtfError(f"type {type_id}: arrays without end")

    def align_of(self, type_id: int, depth: int = 0) -> int:
        """The alignment that C gives the type; 1 for one that has none."""
        if depth > MAX_DEPTH:
            raise BtfError(f"type {type_id} is nested too deeply")
        t = self.resolve(type_id)
        if isinstance(t, (Array, Var)):
            return self.align_of(t.type, depth + 1)
        if isinstance(t, Composite):
            if t.id not in self._aligns:
                self._aligns[t.id] = max([self.align_of(m.type, depth + 1) for m in t.members], default=1)
            return self._aligns[t.id]
        if isinstance(t, Ptr):
            return 8
        if isinstance(t, (Int, Enum, Float)):
            return min(1 << (t.size - 1).bit_length(), 16) if t.size else 1
        return 1

    def encode(self) -> bytes:
        """The blob of this BTF's own types."""
        strings = _Strings(self.base)
        types = b"".join([_encode_type(t, strings) for t in self.types[self.first_id :]])
        return (
            HEADER.pack(MAGIC, 1, 0, HEADER.size, 0, len(types), len(types), len(strings.data)) + types + strings.data
        )


def references(t: Type) -> Iterator[int]:
    """Numbers of the types that a type mentions."""
    if isinstance(t, Ref):
        yield t.type
    if isinstance(t, Array):
        yield t.type
        yield t.index_type
    elif isinstance(t, Composite):
        for m in t.members:
            yield m.type
    elif isinstance(t, FuncProto):
        for p in t.params:
            yield p.type
    elif isinstance(t, DataSec):
        for v in t.vars:
            yield v.type


class _Strings:
    """A string section that is being written."""

    def __init__(self, base: Btf | None) -> None:
        self.skip = len(base.strings_raw) if base else 0
        self.data = bytearray(b"" if base else b"\0")
        self.known: dict[str, int] = {"": 0}

    def offset(self, name: str) -> int:
        if name not in self.known:
            self.known[name] = self.skip + len(self.data)
            self.data += name.encode("utf-8", "surrogateescape") + b"\0"
        return self.known[name]


def _encode_type(t: Type, strings: _Strings) -> bytes:
    """Bytes of one type."""
    vlen, flag, size, tail = 0, False, 0, b""
    if isinstance(t, Ref):
        size = t.type
    if isinstance(t, (Int, Composite, Enum, Float, DataSec)):
        size = t.size
    if isinstance(t, Int):
        tail = struct.pack("<I", t.encoding << 24 | t.offset << 16 | t.bits)
    elif isinstance(t, Array):
        tail = struct.pack("<III", t.type, t.index_type, t.nelems)
    elif isinstance(t, Composite):
        vlen, flag = len(t.members), t.kind_flag
        tail = b"".join(
            struct.pack("<III", strings.offset(m.name), m.type, m.bit_offset | (m.bits << 24 if flag else 0))
            for m in t.members
        )
    elif isinstance(t, Enum64):
        vlen, flag = len(t.values), t.signed
        tail = b"".join(
            struct.pack("<III", strings.offset(n), v & 0xFFFFFFFF, v >> 32 & 0xFFFFFFFF) for n, v in t.values
        )
    elif isinstance(t, Enum):
        vlen, flag = len(t.values), t.signed
        tail = b"".join(struct.pack("<II", strings.offset(n), v & 0xFFFFFFFF) for n, v in t.values)
    elif isinstance(t, Fwd):
        flag = t.is_union
    elif isinstance(t, FuncProto):
        vlen = len(t.params)
        tail = b"".join(struct.pack("<II", strings.offset(p.name), p.type) for p in t.params)
    elif isinstance(t, Func):
        vlen = t.linkage
    elif isinstance(t, Var):
        tail = struct.pack("<I", t.linkage)
    elif isinstance(t, DataSec):
        vlen = len(t.vars)
        tail = b"".join(struct.pack("<III", v.type, v.offset, v.size) for v in t.vars)
    elif isinstance(t, DeclTag):
        flag, tail = t.kind_flag, struct.pack("<i", t.component)
    elif isinstance(t, TypeTag):
        flag = t.kind_flag
    return struct.pack("<III", strings.offset(t.name), flag << 31 | t.KIND << 24 | vlen, size & 0xFFFFFFFF) + tail
