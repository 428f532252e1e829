"""BTF put together by hand: each method adds a type and gives its number. Structs are laid out as C does on 64 bits.

b = Builder()
u32 = b.integer("u32", 4)
b.struct("point", [("x", u32), ("y", u32)])
data = b.encode()
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from userbpf.btf.types import (
    Array,
    Btf,
    Composite,
    Const,
    DataSec,
    DeclTag,
    Enum,
    Enum64,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Member,
    Param,
    Ptr,
    Restrict,
    SecVar,
    Struct,
    Typedef,
    TypeTag,
    Union,
    Var,
    Volatile,
)

SIGNED, CHAR, BOOL = 1, 2, 4
Field = tuple[str, int] | tuple[str, int, int]  # name, type and, for a bitfield, bits


class Builder:
    """A BTF that grows. `btf` is the result so far."""

    def __init__(self, base: Btf | None = None) -> None:
        self.btf = Btf(base)

    def encode(self) -> bytes:
        """The blob."""
        return self.btf.encode()

    def integer(self, name: str, size: int, signed: bool = False, encoding: int = 0) -> int:
        return self.btf.add(Int(size, encoding | signed, 0, size * 8, name=name)).id

    def pointer(self, target: int = 0) -> int:
        return self.btf.add(Ptr(target)).id

    def array(self, element: int, count: int, index: int = 0) -> int:
        """`index` is the index type, by default the first integer of four bytes."""
        if not index:
            index = next((t.id for t in self.btf.types if isinstance(t, Int) and t.size == 4), 0)
            index = index or self.integer("__ARRAY_SIZE_TYPE__", 4)
        return self.btf.add(Array(element, index, count)).id

    def struct(self, name: str, fields: Iterable[Field] = (), size: int | None = None) -> int:
        """`size` replaces the one that C would give."""
        return self._composite(Struct(name=name), list(fields), size)

    def union(self, name: str, fields: Iterable[Field] = (), size: int | None = None) -> int:
        return self._composite(Union(name=name), list(fields), size)

    def _composite(self, t: Composite, fields: list[Field], size: int | None) -> int:
        t.kind_flag = any(len(f) == 3 for f in fields)
        at = end = 0  # bits
        align = 1
        for name, type_id, *width in fields:
            unit = self.btf.size_of(type_id) * 8
            own = self.btf.align_of(type_id)
            align = max(align, own)
            bits = width[0] if width else 0
            if isinstance(t, Union):
                at = 0
            elif not bits:
                at = -(-at // (own * 8)) * own * 8
            elif at // unit != (at + bits - 1) // unit:
                at = -(-at // unit) * unit
            t.members.append(Member(name, type_id, at, bits))
            at += bits or unit
            end = max(end, at)
        t.size = -(-end // (align * 8)) * align if size is None else size
        return self.btf.add(t).id

    def enum(self, name: str, values: dict[str, int], size: int = 4) -> int:
        pairs = list(values.items())
        signed = any(v < 0 for v in values.values())
        return self.btf.add((Enum64 if size == 8 else Enum)(size, pairs, signed, name=name)).id

    def forward(self, name: str, is_union: bool = False) -> int:
        return self.btf.add(Fwd(is_union, name=name)).id

    def typedef(self, name: str, target: int) -> int:
        return self.btf.add(Typedef(target, name=name)).id

    def const(self, target: int) -> int:
        return self.btf.add(Const(target)).id

    def volatile(self, target: int) -> int:
        return self.btf.add(Volatile(target)).id

    def restrict(self, target: int) -> int:
        return self.btf.add(Restrict(target)).id

    def type_tag(self, name: str, target: int) -> int:
        return self.btf.add(TypeTag(target, name=name)).id

    def decl_tag(self, name: str, target: int, component: int = -1) -> int:
        return self.btf.add(DeclTag(target, component, name=name)).id

    def floating(self, name: str, size: int) -> int:
        return self.btf.add(Float(size, name=name)).id

    def proto(self, returns: int = 0, params: Sequence[tuple[str, int]] = ()) -> int:
        return self.btf.add(FuncProto(returns, [Param(name, t) for name, t in params])).id

    def func(self, name: str, proto: int, linkage: int = 1) -> int:
        return self.btf.add(Func(proto, linkage, name=name)).id

    def var(self, name: str, type_id: int, linkage: int = 1) -> int:
        return self.btf.add(Var(type_id, linkage, name=name)).id

    def section(self, name: str, variables: Sequence[int]) -> int:
        """A data section with these variables, one after the other."""
        sec = DataSec(name=name)
        for var in variables:
            size, align = self.btf.size_of(var), self.btf.align_of(var)
            off = -(-sec.size // align) * align
            sec.vars.append(SecVar(var, off, size))
            sec.size = off + size
        return self.btf.add(sec).id
