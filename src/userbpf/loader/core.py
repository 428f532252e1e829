"""CO-RE: an instruction that depends on the layout of a type is adapted to the types of the kernel it is loaded for.

A relocation names a local type and an access path ("0:1:2": array index of the first pointer, then member numbers). The
path is walked in the local types for its names, then by name in the target's candidates (same name, `___flavor` dropped,
compatible kind); what it comes to there (offset, size, existence, value ...) goes into the instruction. All candidates must
agree. An instruction whose relocation has no answer becomes a call of an impossible helper: it may only stand in dead code.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from userbpf.abi.enums import CoreReloKind
from userbpf.btf.core_match import compatible, matches, stem
from userbpf.btf.ext import CoreRelo
from userbpf.btf.lazy import read_lazy
from userbpf.btf.types import (
    Array,
    Btf,
    Composite,
    Const,
    Enum,
    Int,
    Member,
    Restrict,
    Type,
    TypeTag,
    Volatile,
)
from userbpf.errors import BtfError
from userbpf.isa.insn import Insn

K = CoreReloKind
POISON: Final = Insn(0x85, 0, 0, 0, 195896080)  # 0xbad2310: what libbpf calls where nothing fits
KINDS: Final = frozenset(K)
FIELD_KINDS: Final = range(K.FIELD_BYTE_OFFSET, K.FIELD_RSHIFT_U64 + 1)
TYPE_KINDS: Final = (K.TYPE_EXISTS, K.TYPE_MATCHES, K.TYPE_SIZE, K.TYPE_ID_TARGET)
MAX_PATH: Final = 64
TARGET_BTF: Final = "/sys/kernel/btf/vmlinux"
SIZES: Final = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
SIZE_BITS: Final = {v: k for k, v in SIZES.items()}


class CoreTarget:
    """The types that programs are adapted to, read when the first relocation needs them.

    `own`: not a kernel's, but those of `spec.kernel_types`.
    """

    def __init__(self, read: Callable[[], Btf], own: bool = False) -> None:
        self.own = own
        self._read = read
        self._btf: Btf | None = None

    @property
    def btf(self) -> Btf:
        if self._btf is None:
            try:
                self._btf = self._read()
            except OSError as e:
                raise BtfError(f"no kernel BTF to adapt to: {e}; name one with --btf or USERBPF_VMLINUX_BTF") from e
        return self._btf


def kernel_target() -> CoreTarget:
    """The types of the file that USERBPF_VMLINUX_BTF names, else the running kernel's, read once a process."""
    return _target(os.environ.get("USERBPF_VMLINUX_BTF", TARGET_BTF))


@cache
def _target(path: str) -> CoreTarget:
    return CoreTarget(lambda: read_lazy(path))


@dataclass(slots=True)
class Place:
    """Where an access path leads: a bit offset, the type there, the member that named it."""

    bits: int
    type_id: int
    member: Member | None = None


def numbers(access: str) -> list[int]:
    """The access path as numbers."""
    parts = access.split(":")
    if len(parts) > MAX_PATH or not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise BtfError(f"access path {access[:80]!r}")
    return [int(part) for part in parts]


def find_member(btf: Btf, t: Composite, name: str, base: int = 0, depth: int = 0) -> tuple[Member, int] | None:
    """A member by name, those of anonymous members included, with its bit offset."""
    for m in t.members:
        if m.name == name:
            return m, base + m.bit_offset
    for m in t.members:
        inner = btf.resolve(m.type)
        if not m.name and isinstance(inner, Composite) and depth < 16:
            found = find_member(btf, inner, name, base + m.bit_offset, depth + 1)
            if found is not None:
                return found
    return None


def walk(local: Btf, type_id: int, path: list[int], target: Btf, target_id: int) -> Place | None:
    """Follow a local access path in the target by the names it goes through; None where the target has no such field."""
    here = local.resolve(type_id)
    there = target.resolve(target_id)
    if path[0] and not isinstance(there, Composite | Int | Enum | Array):
        return None
    place = Place(path[0] * target.size_of(target_id) * 8 if path[0] else 0, target_id)
    for index in path[1:]:
        if isinstance(here, Composite):
            if index >= len(here.members):
                raise BtfError("the path leaves the local struct")
            m = here.members[index]
            here = local.resolve(m.type)
            if not m.name:
                continue  # an anonymous struct: its members are found by name in the whole
            if not isinstance(there, Composite):
                return None
            found = find_member(target, there, m.name)
            if found is None:
                return None
            place = Place(place.bits + found[1], found[0].type, found[0])
            there = target.resolve(found[0].type)
        elif isinstance(here, Array):
            if not isinstance(there, Array):
                return None
            here = local.resolve(here.type)
            place = Place(place.bits + index * target.size_of(there.type) * 8, there.type)
            there = target.resolve(there.type)
        else:
            raise BtfError("the path goes through a type without members")
    return place if same_family(here, there) else None


def same_family(a: Type, b: Type) -> bool:
    """Whether a field of one kind may stand for another: same kind, and integers and enums for each other."""
    if isinstance(a, (Int, Enum)) and isinstance(b, (Int, Enum)):
        return True
    return type(a) is type(b)


def field_value(btf: Btf, place: Place, kind: int) -> tuple[int, int]:
    """What a field relocation comes to, and the bytes of the field."""
    t = btf.resolve(place.type_id)
    size = btf.size_of(place.type_id)
    bits = place.member.bits if place.member is not None else 0
    byte = place.bits // 8
    width = bits or size * 8
    if bits:
        while place.bits + bits > (byte // size * size + size) * 8 and size < 8:
            size *= 2
        byte = place.bits // 8 // size * size
    signed = isinstance(t, Int | Enum) and t.signed
    shift = place.bits - byte * 8
    answers = {
        K.FIELD_BYTE_OFFSET: byte,
        K.FIELD_BYTE_SIZE: size,
        K.FIELD_EXISTS: 1,
        K.FIELD_SIGNED: int(signed),
        K.FIELD_LSHIFT_U64: 64 - (shift + width),
        K.FIELD_RSHIFT_U64: 64 - width,
    }
    return answers[K(kind)], size


def candidates(local: Btf, t: Type, target: Btf) -> list[int]:
    """Target types of the same stem and kind; for a typedef, typedefs."""
    name = stem(t.name)
    out = [i for i in target.named(name) if same_family(t, target.by_id(i))]
    return out


def root(local: Btf, type_id: int) -> Type:
    """The type that a relocation names, qualifiers off. A typedef stays one: it may be all that names a structure."""
    t = local.by_id(type_id)
    while isinstance(t, Const | Volatile | Restrict | TypeTag):
        t = local.by_id(t.type)
    return t


def answer(relo: CoreRelo, local: Btf, target: Btf) -> tuple[int | None, int, int]:
    """(value, bytes of the local field, bytes of the target's); value None where nothing fits."""
    kind = K(relo.kind)
    if kind == K.TYPE_ID_LOCAL:
        return relo.type_id, 0, 0
    t = root(local, relo.type_id)
    if not t.name:
        raise BtfError("the local type has no name")
    found: set[tuple[int, int]] = set()
    here = 0
    path = numbers(relo.access)
    if kind in FIELD_KINDS:
        own = walk(local, relo.type_id, path, local, relo.type_id)
        if own is None:
            raise BtfError("the path does not fit the local type")
        here = field_value(local, own, kind)[1]
    for i in candidates(local, t, target):
        if kind in TYPE_KINDS and not (matches if kind == K.TYPE_MATCHES else compatible)(local, t.id, target, i):
            continue
        if kind in FIELD_KINDS:
            place = walk(local, relo.type_id, path, target, i)
            if place is not None:
                found.add(field_value(target, place, kind))
        elif kind in (K.TYPE_EXISTS, K.TYPE_MATCHES):
            found.add((1, 0))
        elif kind == K.TYPE_SIZE:
            found.add((target.size_of(i), 0))
        elif kind == K.TYPE_ID_TARGET:
            found.add((i, 0))
            break
        else:
            enum, theirs = local.resolve(t.id), target.resolve(i)
            if isinstance(enum, Enum) and isinstance(theirs, Enum) and path[0] < len(enum.values):
                wanted = stem(enum.values[path[0]][0])
                found.update((1 if kind == K.ENUMVAL_EXISTS else v, 0) for n, v in theirs.values if stem(n) == wanted)
    if not found:
        absent = kind in (
            K.FIELD_EXISTS,
            K.TYPE_EXISTS,
            K.TYPE_MATCHES,
            K.ENUMVAL_EXISTS,
            K.TYPE_SIZE,
            K.TYPE_ID_TARGET,
        )
        return (0 if absent else None), here, here
    if len({v for v, _ in found}) > 1:
        raise BtfError(f"{len(found)} different answers for {t.name}")
    value, there = next(iter(found))
    return value, here, there


def relocate(insns: list[Insn], pc: int, relo: CoreRelo, local: Btf, target: CoreTarget | None) -> None:
    """Adapt the instruction at `pc`; BtfError where it cannot be."""
    if relo.kind not in KINDS:
        raise BtfError(f"unknown kind {relo.kind}")
    if relo.kind == K.TYPE_ID_LOCAL:
        value: int | None = relo.type_id
        here = there = 0
    else:
        if target is None:
            raise BtfError("there is no kernel BTF to adapt to")
        value, here, there = answer(relo, local, target.btf)
    insn = insns[pc]
    cls = insn.code & 7
    if value is None:
        insns[pc] = POISON
        if insn.code == 0x18:
            insns[pc + 1] = POISON
        return
    if insn.code == 0x18:
        low, high = struct.unpack("<ii", struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF))
        insns[pc] = insn._replace(imm=low)
        insns[pc + 1] = insns[pc + 1]._replace(imm=high)
    elif cls in (4, 7):
        insns[pc] = insn._replace(imm=struct.unpack("<i", struct.pack("<I", value & 0xFFFFFFFF))[0])
    elif cls in (1, 2, 3):
        if not -32768 <= value <= 32767:
            raise BtfError(f"offset {value} does not fit an instruction")
        code = insn.code
        if here != there and there in SIZE_BITS and SIZES[code & 0x18] == here:
            code = (code & ~0x18) | SIZE_BITS[there]
        insns[pc] = insn._replace(code=code, off=value)
    else:
        raise BtfError(f"cannot adapt an instruction of code {insn.code:#x}")
