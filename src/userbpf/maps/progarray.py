"""PROG_ARRAY: where tail calls lead.

The region holds program ids, for every process; the code addresses that compiled programs jump through are a table of this
process alone (DESC_PROGS). Behind each id stands a *mark* by which another process finds the program's pin, 0 where it has
none. Which programs may stand together (type, attach type) is for the kernel object to check.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

from userbpf.abi.enums import MapType
from userbpf.maps.array import any_delete, any_next, any_update
from userbpf.maps.base import Map, fail
from userbpf.native import NativeFn, native
from userbpf.native.rt import DESC_PROGS

ENOENT = errno.ENOENT


@native
def no_lookup(rt: int, desc: int, key: int) -> int:
    """A program gets nothing from looking an entry up."""
    return 0


class ProgArrayMap(Map):
    """PROG_ARRAY: u32 index to program."""

    TYPES = (MapType.PROG_ARRAY,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": no_lookup,
        "update": any_update,
        "delete": any_delete,
        "next": any_next,
    }

    def __init__(self, attr: Any, **more: Any) -> None:
        self.programs: dict[int, Any] = {}  # index -> what the kernel object keeps there
        self._table = mmap.mmap(-1, max(attr.max_entries * 8, 1))
        super().__init__(attr, **more)
        self._set64(DESC_PROGS, ctypes.addressof(ctypes.c_char.from_buffer(self._table)))

    def plan(self) -> int:
        return self.max_entries * self.stride

    def _index(self, key: bytes, code: int) -> int:
        index = int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            raise fail(code)
        return index

    def set_prog(self, index: int, prog_id: int, code_addr: int, holder: Any = None, mark: int = 0) -> None:
        """Make an index lead to a program; E2BIG for an index beyond the end."""
        if index >= self.max_entries:
            raise fail(errno.E2BIG)
        struct.pack_into("<II", self.region.map, index * self.stride, prog_id, mark)
        self.set_here(index, code_addr, holder)

    def set_here(self, index: int, code_addr: int, holder: Any) -> None:
        """Where an index leads in this process."""
        struct.pack_into("<Q", self._table, index * 8, code_addr)
        self.programs[index] = holder

    def set_mark(self, index: int, mark: int) -> None:
        """How other processes find the program at an index."""
        struct.pack_into("<I", self.region.map, index * self.stride + 4, mark)

    def unknown(self) -> Iterator[tuple[int, int]]:
        """(index, mark) of entries that another process made and this one does not know yet."""
        with memoryview(self.region.map) as whole, whole[: self.max_entries * self.stride] as entries:
            words = entries.cast("Q").tolist()
        for index, word in enumerate(words):
            if word & 0xFFFFFFFF and index not in self.programs:
                yield index, word >> 32

    def clear(self, index: int) -> None:
        """Make an index lead nowhere; ENOENT where it did not lead anywhere."""
        if index >= self.max_entries:
            raise fail(errno.E2BIG)
        if not self.prog_id(index):
            raise fail(ENOENT)
        struct.pack_into("<Q", self._table, index * 8, 0)
        struct.pack_into("<II", self.region.map, index * self.stride, 0, 0)
        self.programs.pop(index, None)

    def prog_id(self, index: int) -> int:
        """The id of the program at an index, 0 for none."""
        return int(struct.unpack_from("<I", self.region.map, index * self.stride)[0])

    def held_objects(self) -> Iterator[Any]:
        yield from [holder for holder in self.programs.values() if holder is not None]

    def lookup(self, key: bytes) -> bytes:
        """The program's id, which is this process' own where it knows the program."""
        index = self._index(key, ENOENT)
        found = self.prog_id(index)
        if found and self.programs.get(index) is not None:
            found = self.programs[index].id
        if not found:
            raise fail(ENOENT)
        return struct.pack("<I", found)

    def delete(self, key: bytes) -> None:
        self.clear(self._index(key, errno.E2BIG))

    def next_key(self, key: bytes | None) -> bytes:
        index = self.max_entries if key is None else int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            return bytes(4)
        if index == self.max_entries - 1:
            raise fail(ENOENT)
        return struct.pack("<I", index + 1)
