"""CO-RE: whether a type of the kernel is the one that a program asks for by name, loosely and strictly.

`compatible` is what "does this type exist, how large is it" asks: the same kind, through pointers, arrays and prototypes; names
below the first are ignored. `matches` asks whether one may be taken for the other: all local members, values
and parameters are there under their names and match in turn. Structures behind a pointer need only have the same name.
"""

from __future__ import annotations

from typing import Final

from userbpf.btf.types import Array, Btf, Composite, Enum, FuncProto, Fwd, Int, Ptr, Struct, Type

MAX_DEPTH: Final = 32


def stem(name: str) -> str:
    """The name without its ___flavor."""
    return name.partition("___")[0]


def _alike(a: Type, b: Type) -> bool:
    """The same kind; an enum may be wide."""
    return type(a) is type(b) or (isinstance(a, Enum) and isinstance(b, Enum))


def compatible(local: Btf, local_id: int, target: Btf, target_id: int, depth: int = MAX_DEPTH) -> bool:
    here, there = local.resolve(local_id), target.resolve(target_id)
    if not _alike(here, there) or depth < 0:
        return False
    if isinstance(here, Int) and isinstance(there, Int):
        return not here.offset and not there.offset
    if isinstance(here, Ptr | Array) and isinstance(there, Ptr | Array):
        return compatible(local, here.type, target, there.type, depth - 1)
    if isinstance(here, FuncProto) and isinstance(there, FuncProto):
        return len(here.params) == len(there.params) and all(
            compatible(local, a, target, b, depth - 1)
            for a, b in zip(
                (here.type, *(p.type for p in here.params)), (there.type, *(p.type for p in there.params)), strict=True
            )
        )
    return here.KIND == 0 or isinstance(here, Composite | Enum | Fwd)


def matches(
    local: Btf, local_id: int, target: Btf, target_id: int, *, behind: bool = False, depth: int = MAX_DEPTH
) -> bool:
    """`behind`: the type is what a pointer points at."""
    here, there = local.resolve(local_id), target.resolve(target_id)
    if depth < 0 or stem(here.name) != stem(there.name):
        return False
    if isinstance(here, Fwd) and behind:
        if isinstance(there, Fwd):
            return here.is_union == there.is_union
        return isinstance(there, Composite) and here.is_union != isinstance(there, Struct)
    if isinstance(here, Composite) and behind and isinstance(there, Fwd):
        return there.is_union != isinstance(here, Struct)
    if not _alike(here, there):
        return False
    if isinstance(here, Enum) and isinstance(there, Enum):
        theirs = {stem(name) for name, _ in there.values}
        return here.size == there.size and all(stem(name) in theirs for name, _ in here.values)
    if isinstance(here, Composite) and isinstance(there, Composite):
        return behind or all(
            any(
                stem(m.name) == stem(n.name) and matches(local, m.type, target, n.type, depth=depth - 1)
                for n in there.members
            )
            for m in here.members
        )
    if isinstance(here, Int) and isinstance(there, Int):
        return here.size == there.size and here.signed == there.signed
    if isinstance(here, Ptr) and isinstance(there, Ptr):
        return matches(local, here.type, target, there.type, behind=True, depth=depth - 1)
    if isinstance(here, Array) and isinstance(there, Array):
        return here.nelems == there.nelems and matches(
            local, here.type, target, there.type, behind=behind, depth=depth - 1
        )
    if isinstance(here, FuncProto) and isinstance(there, FuncProto):
        return len(here.params) == len(there.params) and all(
            matches(local, a, target, b, behind=behind, depth=depth - 1)
            for a, b in zip(
                (here.type, *(p.type for p in here.params)), (there.type, *(p.type for p in there.params)), strict=True
            )
        )
    if isinstance(here, Fwd) and isinstance(there, Fwd):
        return here.is_union == there.is_union
    return here.KIND == 0
