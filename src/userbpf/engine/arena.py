"""Arenas while a program runs: where an access through an arena's pointer really goes.

A pointer's low half counts, within the four gigabytes that the arena lies in. Where there is no page a load gives zero and a
store is lost: it goes to a word of the run context that nobody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from userbpf.abi.consts import BPF_F_NO_USER_CONV
from userbpf.abi.enums import MapType
from userbpf.engine.env import Binding, Env
from userbpf.native import Sym, load8, load64, native, store64
from userbpf.native.rt import DESC_BASE, RT_SCRATCH
from userbpf.verifier.api import MapShape

PAGE_SHIFT: Final = 12
THERE: Final = 2  # the state of a page, see maps.arena
M32: Final = (1 << 32) - 1


@native
def place(rt: int, addr: int, size: int, *, desc: int, first: int, limit: int) -> int:
    """The address of `size` bytes at a pointer of the program."""
    at = (addr & 0xFFFFFFFF) - first
    if at < limit and at + size <= limit:
        pages = load64(desc + DESC_BASE)
        states = pages + limit
        if load8(states + (at >> PAGE_SHIFT)) == THERE:
            if load8(states + ((at + size - 1) >> PAGE_SHIFT)) == THERE:
                return pages + at
    sink = rt + RT_SCRATCH
    store64(sink, 0)
    return sink


def of(maps: Sequence[MapShape]) -> int:
    """The number of a program's arena among its maps."""
    return next(n for n, shape in enumerate(maps) if shape.map_type == MapType.ARENA)


def binding(maps: Sequence[MapShape], env: Env) -> Binding:
    """`place` for a program's arena."""
    number = of(maps)
    shape = maps[number]
    consts = {
        "desc": Sym(f"m{number}.desc", env.maps[number].desc),
        "first": shape.user_start & M32,
        "limit": shape.max_entries << PAGE_SHIFT,
    }
    return Binding(place, consts, ())


def upper(maps: Sequence[MapShape]) -> int:
    """What a pointer of user space has above its low half; 0 where programs keep the low half alone."""
    shape = maps[of(maps)]
    return 0 if shape.map_flags & BPF_F_NO_USER_CONV else shape.user_start & ~M32
