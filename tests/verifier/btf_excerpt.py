"""A small BTF out of a large one: the named types whole, with all that lies inside of them by value; structures that are
only pointed at keep their name and size. Offsets and sizes are the same as in the large one, numbers are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from userbpf.btf import Array, Btf, Composite, DataSec, FuncProto, Ptr, Ref, Struct, Type, Union
from userbpf.btf.types import SecVar

MAX_VALUES = 4


class Excerpt:
    """Numbers are given in the order of first need, so that references may go forward."""

    def __init__(self, source: Btf, whole: Iterable[str]) -> None:
        self.source = source
        self.whole = set(whole)
        self.out = Btf()
        self.numbers: dict[int, int] = {0: 0}
        self.inside: set[int] = set()  # structures that are members by value of whole ones
        self.todo: list[tuple[int, bool]] = []

    def take(self, name: str, kind: type[Type]) -> int:
        found = self.source.find(name, kind)
        assert found is not None, name
        return self.number(found.id, True)

    def number(self, type_id: int, whole: bool) -> int:
        """The number of a type in the excerpt; `whole` types are copied with their members."""
        t = self.source.by_id(type_id)
        composite = isinstance(t, Composite)
        if composite and t.name in self.whole:
            whole = True
        if type_id in self.numbers:
            if composite and whole and type_id not in self.inside:
                self._fill(t, self.numbers[type_id])
            return self.numbers[type_id]
        copy = _copy(t)
        self.out.add(copy)
        self.numbers[type_id] = copy.id
        if isinstance(t, Composite):
            if whole:
                self._fill(t, copy.id)
            return copy.id
        self._references(t, copy, whole)
        return copy.id

    def _fill(self, t: Type, number: int) -> None:
        self.inside.add(t.id)
        copy: Any = self.out.by_id(number)
        source: Any = t
        copy.kind_flag = source.kind_flag
        copy.members = [type(m)(m.name, self.number(m.type, True), m.bit_offset, m.bits) for m in source.members]

    def _references(self, t: Type, copy: Any, whole: bool) -> None:
        if isinstance(t, Ptr):
            copy.type = self.number(t.type, False)
        elif isinstance(t, Array):
            copy.type, copy.index_type = self.number(t.type, whole), self.number(t.index_type, False)
        elif isinstance(t, FuncProto):
            copy.type = self.number(t.type, False)
            copy.params = [type(p)(p.name, self.number(p.type, False)) for p in t.params]
        elif isinstance(t, DataSec):
            copy.vars = [SecVar(self.number(v.type, whole), v.offset, v.size) for v in t.vars[:MAX_VALUES]]
        elif isinstance(t, Ref):
            copy.type = self.number(t.type, whole)


def _copy(t: Type) -> Type:
    """The same without what it refers to."""
    fields = {f: getattr(t, f) for f in (each.name for each in dataclasses.fields(t)) if f != "id"}
    if isinstance(t, (Struct, Union)):
        fields["members"], fields["kind_flag"] = [], False
    if "values" in fields:
        fields["values"] = fields["values"][:MAX_VALUES]
    return type(t)(**fields)
