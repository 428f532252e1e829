"""Kernel functions over the pages of an arena."""

from __future__ import annotations

import errno
from typing import Any, Final

from userbpf.helpers.base import kfunc_body
from userbpf.maps.arena import ArenaMap

M32: Final = (1 << 32) - 1


def _arena(kernel: Any, desc: int) -> ArenaMap | None:
    """The map that a pointer means; None where it is no arena."""
    obj = next((m for m in kernel.maps if m.map.desc == desc), None)
    return obj.map if obj is not None and isinstance(obj.map, ArenaMap) else None


@kfunc_body("bpf_arena_alloc_pages")
def allocate(kernel: Any, rt: int, map_: int, addr: int, count: int, node: int, flags: int) -> int:
    """Pages anywhere, or at an address: where they are in user space, or NULL."""
    arena = _arena(kernel, map_)
    return arena.allocate(addr, count & M32, node & M32, flags) if arena is not None else 0


@kfunc_body("bpf_arena_free_pages")
def free(kernel: Any, rt: int, map_: int, addr: int, count: int, _4: int, _5: int) -> int:
    """Pages that are there no more."""
    arena = _arena(kernel, map_)
    if arena is not None:
        arena.free(addr, count & M32)
    return 0


@kfunc_body("bpf_arena_reserve_pages")
def reserve(kernel: Any, rt: int, map_: int, addr: int, count: int, _4: int, _5: int) -> int:
    """Pages that nobody gets."""
    arena = _arena(kernel, map_)
    return arena.reserve(addr, count & M32) if arena is not None else -errno.EINVAL
