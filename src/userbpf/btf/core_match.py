"""CO-RE: whether a type of the kernel is the one that a program asks for by name, loosely and strictly.

`compatible` is what "does this type exist, how large is it" asks: the same kind, through pointers, arrays and prototypes; names
below the first are ignored. `matches` asks whether one may be taken for the other: all local members, values
and parameters are there under their names and match in turn. Structures behind a pointer need only have the same name.

`level` bounds how far prototypes and members are followed: a loader goes deep, the kernel itself but two steps. What goes
deeper is an error, not a difference.
"""

from __future__ import annotations

import re
from typing import Final

from userbpf.btf.types import Array, Btf, Composite, Enum, FuncProto, Fwd, Int, Ptr, Struct, Type
from userbpf.errors import BtfError

MAX_DEPTH: Final = 32
_FLAVOR: Final = re.compile(r"(.*[^_])___[^_]", re.DOTALL)


def stem(name: str) -> str:
    """The name without its ___flavor, the last one if there are several."""
    found = _FLAVOR.match(name)
    return found[1] if found is not None else name


def same_kind(a: Type, b: Type) -> bool:
    """The same kind; an enum may be wide."""
    return type(a) is type(b) or (isinstance(a, Enum) and isinstance(b, Enum))


def _pairs(here: FuncProto, there: FuncProto) -> list[tuple[int, int]]:
    """Parameters and then the result."""
    theirs = [*(p.type for p in there.params), there.type]
    return list(zip([*(p.type for p in here.params), here.type], theirs, strict=True))


def compatible(local: Btf, local_id: int, target: Btf, target_id: int, level: int = MAX_DEPTH) -> bool:
    """BtfError where the types are nested too deeply."""
    for _ in range(MAX_DEPTH):
        here, there = local.resolve(local_id), target.resolve(target_id)
        if not same_kind(here, there):
            return False
        if isinstance(here, Int) and isinstance(there, Int):
            return not here.offset and not there.offset
        if isinstance(here, FuncProto) and isinstance(there, FuncProto):
            if len(here.params) != len(there.params):
                return False
            *params, (local_id, target_id) = _pairs(here, there)
            for a, b in params:
                _still(level)
                if not compatible(local, a, target, b, level - 1):
                    return False
        elif isinstance(here, Ptr | Array) and isinstance(there, Ptr | Array):
            local_id, target_id = here.type, there.type
        else:
            return here.KIND == 0 or isinstance(here, Composite | Enum | Fwd)
    raise BtfError("types are nested too deeply")


def matches(
    local: Btf, local_id: int, target: Btf, target_id: int, *, behind: bool = False, level: int = MAX_DEPTH
) -> bool:
    """`behind`: the type is what a pointer points at. BtfError where the types are nested too deeply."""
    _still(level)
    for _ in range(MAX_DEPTH):
        here, there = local.resolve(local_id), target.resolve(target_id)
        if stem(here.name) != stem(there.name):
            return False
        if isinstance(here, Ptr) and isinstance(there, Ptr):
            behind = True
        elif isinstance(here, Array) and isinstance(there, Array):
            if here.nelems != there.nelems:
                return False
        elif isinstance(here, FuncProto) and isinstance(there, FuncProto):
            if len(here.params) != len(there.params):
                return False
            *params, (local_id, target_id) = _pairs(here, there)
            if not all(matches(local, a, target, b, behind=behind, level=level - 1) for a, b in params):
                return False
            continue
        else:
            return _leaf(local, here, target, there, behind, level)
        local_id, target_id = here.type, there.type
    raise BtfError("types are nested too deeply")


def _still(level: int) -> None:
    if level <= 0:
        raise BtfError("types are nested too deeply")


def _leaf(local: Btf, here: Type, target: Btf, there: Type, behind: bool, level: int) -> bool:
    """Types that lead no further but to members."""
    if isinstance(here, Fwd):
        if isinstance(there, Fwd):
            return here.is_union == there.is_union
        return behind and isinstance(there, Composite) and here.is_union != isinstance(there, Struct)
    if isinstance(here, Enum) and isinstance(there, Enum):
        theirs = {stem(name) for name, _ in there.values}
        few = len(here.values) <= len(there.values)
        return here.size == there.size and few and all(stem(name) in theirs for name, _ in here.values)
    if isinstance(here, Composite):
        if behind:
            if isinstance(there, Fwd):
                return there.is_union != isinstance(here, Struct)
            return type(here) is type(there)
        return (
            type(here) is type(there) and isinstance(there, Composite) and _members(local, here, target, there, level)
        )
    if isinstance(here, Int) and isinstance(there, Int):
        return here.size == there.size and here.signed == there.signed
    return here.KIND == 0 and there.KIND == 0


def _members(local: Btf, here: Composite, target: Btf, there: Composite, level: int) -> bool:
    return len(here.members) <= len(there.members) and all(
        any(
            stem(m.name) == stem(n.name) and matches(local, m.type, target, n.type, level=level - 1)
            for n in there.members
        )
        for m in here.members
    )
