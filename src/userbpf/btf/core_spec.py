"""CO-RE access specifications: what a relocation says of the local type, and the same place in a type of the target.

A `Spec` is a path taken: from a root type by numbers ("0:1:2") through members and elements, with the bit offset that it comes
to. `parse` takes the numbers in the local types; `match` follows the names of that path in a candidate. `value` is what a
relocation of some kind wants to know of the place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from errno import E2BIG, EINVAL
from typing import Final

from userbpf.abi.enums import CoreReloKind
from userbpf.btf.core_match import compatible, matches, same_kind, stem
from userbpf.btf.types import Array, Btf, Composite, Enum, Float, Fwd, Int, Member, Ptr, Type
from userbpf.errors import BtfError

K: Final = CoreReloKind
FIELD_KINDS: Final = frozenset(range(K.FIELD_BYTE_OFFSET, K.FIELD_RSHIFT_U64 + 1))
TYPE_KINDS: Final = frozenset((K.TYPE_ID_LOCAL, K.TYPE_ID_TARGET, K.TYPE_EXISTS, K.TYPE_SIZE, K.TYPE_MATCHES))
ENUM_KINDS: Final = frozenset((K.ENUMVAL_EXISTS, K.ENUMVAL_VALUE))
KIND_NAMES: Final = dict(zip(K, (
    "byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64", "local_type_id", "target_type_id",
    "type_exists", "type_size", "enumval_exists", "enumval_value", "type_matches",
), strict=True))  # fmt: skip
MAX_PATH: Final = 64
MAX_MATCH_DEPTH: Final = 32
KERNEL_LEVEL: Final = 2  # how far the kernel compares types
_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*([0-9]+)")


class SpecError(Exception):
    """A path that cannot be; its argument is an errno."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


@dataclass(slots=True)
class Step:
    """One member or element on the way. `name` is empty for elements."""

    type_id: int
    index: int
    name: str = ""


@dataclass(slots=True)
class Spec:
    btf: Btf
    root_id: int
    kind: int
    raw: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bits: int = 0

    def text(self) -> str:
        """`<byte_off> [9] STRUCT x.a (0:1 @ offset 4)`."""
        root = self.btf.by_id(self.root_id)
        name = KIND_NAMES[K(self.kind)] if self.kind in KIND_NAMES else "unknown"
        out = f"<{name}> [{self.root_id}] {kind_name(root)} {root.name or '<anon>'}"
        if self.kind in TYPE_KINDS:
            return out
        if self.kind in ENUM_KINDS:
            enum = self.btf.resolve(self.root_id)
            first = self.raw[0] if self.raw else 0
            if not isinstance(enum, Enum) or first >= len(enum.values):
                return out
            value_name, value = enum.values[first]
            return f"{out}::{value_name} = {value}"
        for i, step in enumerate(self.steps):
            if step.name:
                out += f".{step.name}"
            elif i or step.index:
                out += f"[{step.index}]"
        part = f".{self.bits % 8}" if self.bits % 8 else ""
        return f"{out} ({':'.join(map(str, self.raw))} @ offset {self.bits // 8}{part})"


def kind_name(t: Type) -> str:
    """A kind as messages have it."""
    names = {"FuncProto": "FUNC_PROTO", "TypeTag": "TYPE_TAG", "DeclTag": "DECL_TAG", "Void": "UNKNOWN"}
    return names.get(type(t).__name__, type(t).__name__.upper())


def numbers(access: str) -> list[int]:
    """An access path as numbers, as scanf reads them."""
    out: list[int] = []
    if access.startswith(":"):
        raise SpecError(EINVAL)
    while access:
        access = access.removeprefix(":")
        found = _NUMBER.match(access)
        number = int(found[1]) & 0xFFFFFFFF if found is not None else -1
        if found is None or number >> 31:
            raise SpecError(EINVAL)
        if len(out) == MAX_PATH:
            raise SpecError(E2BIG)
        access = access[found.end() :]
        out.append(number)
    if not out:
        raise SpecError(EINVAL)
    return out


def size_of(btf: Btf, type_id: int) -> int:
    try:
        return btf.size_of(type_id)
    except BtfError:
        raise SpecError(EINVAL) from None


def _is_flexible(btf: Btf, last: Step, array: Array) -> bool:
    """An array without elements at the end of a structure: its length is not told."""
    if not last.name or array.nelems:
        return False
    owner = btf.by_id(last.type_id)
    return isinstance(owner, Composite) and last.index == len(owner.members) - 1


def parse(local: Btf, type_id: int, access: str, kind: int) -> Spec:
    """The path of a relocation in the program's own types. SpecError for one that leads nowhere."""
    spec = Spec(local, type_id, kind)
    if kind in TYPE_KINDS:
        if access != "0":
            raise SpecError(EINVAL)
        return spec
    spec.raw = numbers(access)
    t = local.resolve(type_id)
    first = spec.raw[0]
    spec.steps.append(Step(t.id, first))
    if kind in ENUM_KINDS:
        if not isinstance(t, Enum) or len(spec.raw) > 1 or not 0 <= first < len(t.values):
            raise SpecError(EINVAL)
        spec.steps[0].name = t.values[first][0]
        return spec
    if kind not in FIELD_KINDS:
        raise SpecError(EINVAL)
    spec.bits = first * size_of(local, t.id) * 8 & 0xFFFFFFFF
    for at, index in enumerate(spec.raw[1:], 1):
        if isinstance(t, Composite):
            if not 0 <= index < len(t.members):
                raise SpecError(EINVAL)
            m = t.members[index]
            spec.bits = spec.bits + m.bit_offset & 0xFFFFFFFF
            if m.name:
                spec.steps.append(Step(t.id, index, m.name))
            t = local.resolve(m.type)
        elif isinstance(t, Array):
            flexible = _is_flexible(local, spec.steps[-1], t)
            element = local.resolve(t.type)
            if not flexible and not 0 <= index < t.nelems:
                raise SpecError(EINVAL)
            spec.steps.append(Step(element.id, index))
            spec.bits = spec.bits + index * size_of(local, element.id) * 8 & 0xFFFFFFFF
            t = element
        else:
            raise WrongKind(type_id, at, t)
    return spec


class WrongKind(SpecError):
    """The path goes through a type that has neither members nor elements."""

    def __init__(self, type_id: int, at: int, t: Type) -> None:
        super().__init__(EINVAL)
        self.text = (
            f"prog '': relo for [{type_id}]  (at idx {at}) captures type [{t.id}] of unexpected kind {kind_name(t)}"
        )


# --- the same in a type of the target ---------------------------------------------------------------------------------------


def match(local: Spec, target: Btf, target_id: int, level: int = KERNEL_LEVEL) -> tuple[Spec, bool]:
    """The path in a candidate, and whether all of it is there. SpecError where that cannot be told."""
    spec = Spec(target, target_id, local.kind)
    if local.kind in TYPE_KINDS:
        test = matches if local.kind == K.TYPE_MATCHES else compatible
        try:
            return spec, test(local.btf, local.root_id, target, target_id, level=level)
        except BtfError:
            raise SpecError(EINVAL) from None
    if local.kind in ENUM_KINDS:
        return spec, _match_value(local, spec)
    for number, step in enumerate(local.steps):
        t = target.resolve(target_id)
        if step.name:
            found = _match_member(local.btf, step, spec, t.id)
            if found is None:
                return spec, False
            target_id = found
            continue
        if number:  # an element; the first number is of the pointer that the path begins with
            if not isinstance(t, Array):
                return spec, False
            if not _is_flexible(target, spec.steps[-1], t) and step.index >= t.nelems:
                return spec, False
            t = target.resolve(t.type)
        if len(spec.raw) == MAX_PATH:
            raise SpecError(E2BIG)
        target_id = t.id
        spec.steps.append(Step(t.id, step.index))
        spec.raw.append(step.index)
        spec.bits = spec.bits + step.index * size_of(target, t.id) * 8 & 0xFFFFFFFF
    return spec, True


def _match_value(local: Spec, spec: Spec) -> bool:
    t = spec.btf.resolve(spec.root_id)
    if not isinstance(t, Enum):
        return False
    wanted = stem(local.steps[0].name)
    for i, (name, _) in enumerate(t.values):
        if stem(name) == wanted:
            spec.steps.append(Step(t.id, i, name))
            spec.raw.append(i)
            return True
    return False


def _match_member(local: Btf, step: Step, spec: Spec, target_id: int) -> int | None:
    """Find a member by name, those of anonymous members included; its type, None where there is none that would do."""
    t = spec.btf.resolve(target_id)
    owner = local.by_id(step.type_id)
    if not isinstance(t, Composite) or not isinstance(owner, Composite):
        return None
    own = owner.members[step.index]
    for i, m in enumerate(t.members):
        before = spec.bits
        spec.bits = spec.bits + m.bit_offset & 0xFFFFFFFF
        if len(spec.raw) == MAX_PATH:
            raise SpecError(E2BIG)
        spec.raw.append(i)
        if not m.name:
            found = _match_member(local, step, spec, m.type)
            if found is not None:
                return found
        elif m.name == own.name:
            if not _fields_compatible(local, own.type, spec.btf, m.type):
                return None
            spec.steps.append(Step(t.id, i, m.name))
            return m.type
        spec.bits = before
        spec.raw.pop()
    return None


def _fields_compatible(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    while True:
        here, there = local.resolve(local_id), target.resolve(target_id)
        if isinstance(here, Composite) and isinstance(there, Composite):
            return True
        if not same_kind(here, there):
            return False
        if isinstance(here, Ptr | Float):
            return True
        if isinstance(here, Fwd | Enum):
            mine, theirs = stem(here.name), stem(there.name)
            return not mine or not theirs or mine == theirs
        if isinstance(here, Int) and isinstance(there, Int):
            return not here.offset and not there.offset
        if not isinstance(here, Array) or not isinstance(there, Array):
            return False
        local_id, target_id = here.type, there.type


# --- what a relocation wants to know ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answer:
    """`check`: the instruction must hold the local value. `size`, `type_id`: of the field, where its bytes are accessed."""

    value: int
    check: bool = True
    size: int = 0
    type_id: int = 0


class NotThere(Exception):
    """The relocation asks of a thing that is not there."""


class Unfit(SpecError):
    """The place is no place for this relocation; `text` says why."""

    def __init__(self, text: str, errno: int = EINVAL) -> None:
        super().__init__(errno)
        self.text = text


def value(spec: Spec | None, kind: int) -> Answer:
    """What a relocation comes to at a place, or where there is none."""
    if kind in FIELD_KINDS:
        return _field_value(spec, kind)
    if kind in TYPE_KINDS:
        return _type_value(spec, kind)
    if kind == K.ENUMVAL_EXISTS:
        return Answer(int(spec is not None))
    if spec is None:
        raise NotThere
    enum = spec.btf.resolve(spec.steps[0].type_id)
    assert isinstance(enum, Enum)
    return Answer(enum.values[spec.steps[0].index][1] & 0xFFFFFFFFFFFFFFFF)


def _type_value(spec: Spec | None, kind: int) -> Answer:
    if spec is None:
        return Answer(0, kind not in (K.TYPE_ID_LOCAL, K.TYPE_ID_TARGET))
    if kind in (K.TYPE_ID_LOCAL, K.TYPE_ID_TARGET):
        return Answer(spec.root_id, False)  # numbers of types change when objects are linked
    return Answer(size_of(spec.btf, spec.root_id) if kind == K.TYPE_SIZE else 1)


def _field_value(spec: Spec | None, kind: int) -> Answer:
    if kind == K.FIELD_EXISTS:
        return Answer(int(spec is not None))
    if spec is None:
        raise NotThere
    last = spec.steps[-1]
    if not last.name:
        if kind == K.FIELD_BYTE_OFFSET:
            return Answer(spec.bits // 8, True, size_of(spec.btf, last.type_id), last.type_id)
        if kind == K.FIELD_BYTE_SIZE:
            return Answer(size_of(spec.btf, last.type_id))
        raise Unfit("relo {kind} at insn #{insn} can't be applied to array access")
    owner = spec.btf.by_id(last.type_id)
    assert isinstance(owner, Composite)
    return _member_value(spec, owner.members[last.index], kind)


def _member_value(spec: Spec, m: Member, kind: int) -> Answer:
    t = spec.btf.resolve(m.type)
    if m.bits:
        size = size_of(spec.btf, t.id)
        byte = spec.bits // 8 // size * size
        while spec.bits + m.bits - byte * 8 > size * 8:
            if size >= 8:
                raise Unfit("relo {kind} at insn #{insn} can't be satisfied for bitfield", E2BIG)
            size *= 2
            byte = spec.bits // 8 // size * size
    else:
        size, byte = size_of(spec.btf, t.id), spec.bits // 8
    width = m.bits or size * 8
    plain = not m.bits
    if kind == K.FIELD_BYTE_OFFSET:
        return Answer(byte, plain, size if plain else 0, t.id if plain else 0)
    if kind == K.FIELD_BYTE_SIZE:
        return Answer(size, plain)
    if kind == K.FIELD_SIGNED:
        return Answer(int(isinstance(t, Int | Enum) and t.signed))
    if kind == K.FIELD_LSHIFT_U64:
        return Answer(64 - (spec.bits + width - byte * 8) & 0xFFFFFFFF, plain)
    return Answer(64 - width & 0xFFFFFFFF)
