"""Down into a structure: what an access of some bytes at some offset of it meets.

BTF tells the members; the rules are C's with Linux's additions. A number may be read in part, and an array of numbers
across its elements, a pointer only whole; a union is not trusted, since nobody knows which member is alive.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, NamedTuple

from userbpf.btf import Array, Btf, Composite, Int, Member, Ptr, Struct, Type, TypeTag, Union
from userbpf.errors import BtfError
from userbpf.verifier.regs import PERCPU, RCU, UNTRUSTED, USER
from userbpf.verifier.reject import EACCES, EFAULT, EINVAL, Reject

_TAGS: Final = {"user": USER, "percpu": PERCPU, "rcu": RCU}
MAX_STEPS: Final = 64


class Met(enum.IntEnum):
    SCALAR = 0
    PTR = 1
    STRUCT = 2  # the start of a structure inside
    MEM = 3  # a pointer to anything but a structure


class Step(NamedTuple):
    """What was met: for PTR the structure pointed at and the member's name, for STRUCT the structure; flags of the way."""

    met: Met
    type_id: int = 0
    flags: int = 0
    member: str = ""


def shown(t: Type) -> str:
    """The name in messages."""
    return t.name or "(anon)"


def walk(btf: Btf, type_id: int, off: int, size: int, trusted: bool = True) -> Step:
    """Through all structures inside, down to a number or pointer; refuses with Linux's words."""
    flags = 0 if trusted else UNTRUSTED
    for _ in range(MAX_STEPS):
        step = enter(btf, type_id, off, size, flags)
        flags = step.flags
        if step.met is not Met.STRUCT:
            return step
        type_id, off = step.type_id, 0
    raise Reject(EINVAL)


def enter(btf: Btf, type_id: int, off: int, size: int, flags: int = 0) -> Step:
    """Through the structures that hold `off`, until something begins there."""
    t = btf.resolve(type_id)
    for _ in range(MAX_STEPS):
        if not isinstance(t, Composite):
            raise Reject(EINVAL, f"Type '{shown(t)}' is not a struct")
        if isinstance(t, Union) and len(t.members) != 1:
            flags |= UNTRUSTED
        if off + size > t.size:
            elem = _flexible(btf, t, off)
            if elem is None:
                raise Reject(EACCES, f"access beyond struct {shown(t)} at off {off} size {size}")
            if isinstance(elem[1], Int):
                return Step(Met.SCALAR, 0, flags)
            t, off = elem[1], elem[0]
            continue
        found = _member(btf, t, off, size, flags)
        if isinstance(found, Step):
            return found
        t, off = found
    raise Reject(EINVAL)


def _flexible(btf: Btf, t: Composite, off: int) -> tuple[int, Type] | None:
    """Behind the end: an element of the array without size that ends the structure, and the offset in it."""
    if not t.members:
        return None
    last = t.members[-1]
    array = btf.resolve(last.type)
    if not isinstance(array, Array) or array.nelems or off < last.offset:
        return None
    elem = btf.resolve(array.type)
    if isinstance(elem, Int):
        return 0, elem
    if not isinstance(elem, Composite) or not elem.size:
        return None
    return (off - last.offset) % elem.size, elem


def _member(btf: Btf, t: Composite, off: int, size: int, flags: int) -> Step | tuple[Composite, int]:
    """The first member that the access meets: an answer, or the structure to go on in with the offset in it."""
    for member in t.members:
        start = member.offset
        if off + size <= start:
            break
        if member.bits:
            # compilers leave anonymous bit fields out, so the access may begin before
            if off <= start and member.bit_offset + member.bits <= (off + size) * 8:
                return Step(Met.SCALAR, 0, flags)
            continue
        if off < start:
            break
        try:
            length, elem, elem_id, count = _extent(btf, member.type)
        except BtfError:
            raise Reject(EFAULT, f"field {member.name} doesn't have size") from None
        end = start + length
        if off >= end:
            continue
        if count >= 0:
            each = length // count if count else 0
            if each:
                start += (off - start) // each * each
            length = each
        if isinstance(elem, Composite):
            if off == start:
                return Step(Met.STRUCT, elem_id, flags)
            return elem, off - start
        if isinstance(elem, Ptr):
            return _pointer(btf, t, member, elem, (start, length, off, size), flags)
        # an array of numbers may be read across its elements
        if off + size > end and not flags & UNTRUSTED:
            raise Reject(
                EACCES,
                f"access beyond the end of member {member.name} (mend:{end}) in struct {shown(t)} "
                f"with off {off} size {size}",
            )
        return Step(Met.SCALAR, 0, flags)
    raise Reject(EINVAL, f"struct {shown(t)} doesn't have field at offset {off}")


def _pointer(btf: Btf, t: Composite, member: Member, ptr: Ptr, where: tuple[int, int, int, int], flags: int) -> Step:
    start, length, off, size = where
    if length != size or off != start:
        raise Reject(
            EACCES,
            f"cannot access ptr member {member.name} with moff {start} in struct {shown(t)} with off {off} size {size}",
        )
    tag = btf.by_id(ptr.type)
    mark = _TAGS.get(tag.name, 0) if isinstance(tag, TypeTag) and not tag.kind_flag else 0
    target = btf.resolve(ptr.type)
    if isinstance(target, Composite):
        return Step(Met.PTR, target.id, flags | mark, member.name)
    return Step(Met.MEM, 0, flags)


def _extent(btf: Btf, type_id: int) -> tuple[int, Type, int, int]:
    """Bytes of a member, its type (of arrays of any dimension: the element's), that number, elements (-1: no array)."""
    t = btf.resolve(type_id)
    if not isinstance(t, Array):
        return btf.size_of(type_id), t, t.id, -1
    count = 1
    while isinstance(t, Array):
        count *= t.nelems
        t = btf.resolve(t.type)
    return btf.size_of(t.id) * count, t, t.id, count


def ids_match(
    btf: Btf, type_id: int, off: int, want: Btf, want_id: int, strict: bool, say: Callable[[str], None]
) -> bool:
    """Whether what lies at `off` of a structure is the wanted structure: itself, or one that begins there inside.

    What stands in the way is said.
    """
    off &= 0xFFFFFFFF
    found: int | None = type_id
    for _ in range(MAX_STEPS):
        if off == 0 and btf is want and found == want_id:
            return True
        if strict or found is None:
            return False
        try:
            step = enter(btf, found, off, 1)
        except Reject as refusal:
            say(refusal.text)
            return False
        if step.met is not Met.STRUCT:
            return False
        found, off = step.type_id, 0
    return False


def struct_named(btf: Btf | None, name: str) -> int:
    """The number of a structure, 0 where there is none."""
    found = btf.find(name, Struct) if btf is not None else None
    return found.id if found is not None else 0
