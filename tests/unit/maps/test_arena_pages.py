"""ARENA: which pages are handed out, and where user space sees them."""

from __future__ import annotations

import errno

import pytest

from userbpf.abi.enums import MapType
from userbpf.client.arena import FOUR_GB, PAGE, ArenaMemory
from userbpf.maps.arena import ArenaMap
from userbpf.maps.base import MapAttr
from userbpf.maps.create import create_map

START = 0x1234_5600_0000
ANY = (1 << 32) - 1  # NUMA_NO_NODE
MMAPABLE = 1 << 10


def arena(pages: int = 8, start: int = START) -> ArenaMap:
    found = create_map(MapAttr(MapType.ARENA, 0, 0, pages, MMAPABLE, b"", start, 0, 0), ncpu=1)
    assert isinstance(found, ArenaMap)
    return found


def test_pages_are_handed_out_once() -> None:
    a = arena()
    assert a.allocate(0, 2, ANY, 0) == START
    assert a.allocate(START + PAGE, 1, ANY, 0) == 0
    assert a.allocate(START + 2 * PAGE, 1, ANY, 0) == START + 2 * PAGE
    assert a.allocate(0, 5, ANY, 0) == START + 3 * PAGE
    assert a.allocate(0, 1, ANY, 0) == 0
    a.free(START + PAGE, 1)
    assert a.allocate(0, 1, ANY, 0) == START + PAGE


@pytest.mark.parametrize(
    ("addr", "count", "node", "flags"),
    [
        (0, 0, ANY, 0),
        (0, 9, ANY, 0),
        (START + 1, 1, ANY, 0),
        (START + 8 * PAGE, 1, ANY, 0),
        (0, 1, ANY, 1),
        (START + 7 * PAGE, 2, ANY, 0),
        (START - PAGE, 1, ANY, 0),
        (0, 1, 77, 0),
    ],
)
def test_what_cannot_be_had(addr: int, count: int, node: int, flags: int) -> None:
    assert arena().allocate(addr, count, node, flags) == 0


def test_reserved_pages_are_nobodys() -> None:
    a = arena(4)
    assert a.reserve(START + PAGE, 2) == 0
    assert a.reserve(START + 2 * PAGE, 1) == -errno.EBUSY
    assert a.reserve(START + 3 * PAGE, 2) == -errno.EINVAL
    assert a.reserve(START, 0) == 0
    assert a.allocate(0, 2, ANY, 0) == 0
    assert [a.allocate(0, 1, ANY, 0) for _ in range(3)] == [START, START + 3 * PAGE, 0]


def test_a_freed_page_is_empty() -> None:
    a = arena(2, 0)
    memory = ArenaMemory(a.region.fd, 2)
    try:
        assert a.user_start == memory.addr
        assert memory.addr >> 32 == memory.addr + memory.size - 1 >> 32
        assert a.allocate(0, 1, ANY, 0) == memory.addr
        memory.bytes[5] = 7
        a.free(memory.addr, 1)
        assert memory.bytes[5] == 0
    finally:
        memory.close()


def test_what_user_space_touches_is_a_page() -> None:
    a = arena(3, 0)
    memory = ArenaMemory(a.region.fd, 3)
    try:
        memory.bytes[PAGE] = 1
        assert [a.touched(page) for page in range(3)] == [False, True, False]
        assert a.allocate(memory.addr + PAGE, 1, ANY, 0) == 0
    finally:
        memory.close()


def test_low_halves_wrap() -> None:
    start = FOUR_GB * 5 + FOUR_GB - 2 * PAGE
    a = arena(2, start)
    assert a.allocate(start + PAGE & FOUR_GB - 1, 1, ANY, 0) == start + PAGE
