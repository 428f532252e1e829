"""ARRAY_OF_MAPS and HASH_OF_MAPS: maps whose values are maps.

The region holds the inner maps' ids, for every process and for the syscall's lookup. A program's lookup wants the inner
map's descriptor, which is this process' own: it lies in a table of addresses beside the region, like PROG_ARRAY's code. A hash's
element names its cell of the table; as another process may have written the element, the descriptor found there must have the
id that stands in the element. Only maps that look like the template come into a table, so whatever a program finds is of
the shape that the verifier was told.

Whoever puts a map in hands over the object that keeps it alive (`holder`); the operations give back the one that went, which a
running program may still use.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import mmap
import struct
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Final

from userbpf.abi.consts import BPF_F_INNER_MAP
from userbpf.abi.enums import MapType
from userbpf.maps import hash as plain
from userbpf.maps.array import any_delete
from userbpf.maps.base import BPF_EXIST, DESC_PRIVATE, Consts, Map, checked, fail
from userbpf.maps.hash import (
    BUCKETS,
    H_MASK,
    H_STRIDE,
    SPARE,
    HashMap,
    find,
    hash_of,
    put,
    value_offset,
)
from userbpf.native import NativeFn, Sym, atomic_load64, load32, load64, native, neg
from userbpf.native.rt import DESC_BASE, DESC_ID, DESC_KEY_SIZE, DESC_MAX_ENTRIES, DESC_PROGS

EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
E2BIG = errno.E2BIG
SAME_ENTRIES: Final = frozenset({MapType.ARRAY, MapType.XSKMAP})  # programs may know these maps' number of entries


@dataclass(frozen=True, slots=True)
class Template:
    """What an inner map must look like."""

    map_type: int
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int

    @classmethod
    def of(cls, m: Map) -> Template:
        """A map's looks."""
        return cls(int(m.map_type), m.key_size, m.value_size, m.max_entries, m.map_flags)


def looks_like(template: Template, other: Map) -> bool:
    """Whether a map may be an inner map where the template was named at creation."""
    if (template.map_type, template.key_size, template.value_size, template.map_flags) != (
        other.map_type,
        other.key_size,
        other.value_size,
        other.map_flags,
    ):
        return False
    if template.map_type in SAME_ENTRIES and not template.map_flags & BPF_F_INNER_MAP:
        return template.max_entries == other.max_entries
    return True


class Table:
    """Cells for addresses, in memory that is touched only where it is used."""

    def __init__(self, cells: int) -> None:
        self._memory = mmap.mmap(-1, max(cells * 8, 1))
        self.addr = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def set(self, cell: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.addr + cell * 8).value = value


class MapOfMaps(Map):
    """What both have in common."""

    template: Template | None

    def template_fields(self) -> tuple[int, int, int, int, int]:
        return (0, 0, 0, 0, 0) if self.template is None else astuple(self.template)

    def check(self, inner: Map) -> None:
        """EINVAL for a map that does not look like the template."""
        if self.template is None or not looks_like(self.template, inner):
            raise fail(EINVAL)

    def set_inner(self, key: bytes, inner: Map, holder: Any, flags: int = 0) -> Any:
        """Make a key lead to a map, which has its id; the holder of the one before, or None."""
        raise NotImplementedError

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EINVAL)  # a value is an fd: see set_inner


# --- arrays --------------------------------------------------------------------------------------------------------------


@native
def lookup(rt: int, key: int, *, table: int, max_entries: int) -> int:
    """The inner map's descriptor, or 0."""
    index = load32(key)
    if index >= max_entries:
        return 0
    return atomic_load64(table + index * 8)


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    index = load32(key)
    if index >= load32(desc + DESC_MAX_ENTRIES):
        return 0
    return atomic_load64(load64(desc + DESC_PROGS) + index * 8)


@native
def no_update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    """Programs do not put maps in."""
    return neg(EINVAL)


class ArrayOfMaps(MapOfMaps):
    """ARRAY_OF_MAPS."""

    TYPES: ClassVar[tuple[MapType, ...]] = (MapType.ARRAY_OF_MAPS,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {"lookup": any_lookup, "update": no_update, "delete": any_delete}

    def __init__(self, attr: Any, *, inner: Template | None = None, **more: Any) -> None:
        self.template = inner
        self._table = Table(attr.max_entries)
        self._holders: dict[int, Any] = {}
        super().__init__(attr, **more)
        self._set64(DESC_PROGS, self._table.addr)

    def plan(self) -> int:
        return self.max_entries * self.stride

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        if op == "lookup":
            return lookup, {"table": Sym("table", self._table.addr), "max_entries": self.max_entries}
        return None

    def held_objects(self) -> Iterator[Any]:
        yield from list(self._holders.values())

    def _index(self, key: bytes, code: int) -> int:
        index = int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            raise fail(code)
        return index

    def set_inner(self, key: bytes, inner: Map, holder: Any, flags: int = 0) -> Any:
        if flags:
            raise fail(EINVAL)
        index = self._index(key, E2BIG)
        self.check(inner)
        before = self._holders.get(index)
        self._holders[index] = holder
        struct.pack_into("<I", self.region.map, index * self.stride, inner.map_id)
        self._table.set(index, inner.desc)
        return before

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> bytes:
        """The inner map's id."""
        found = bytes(self.region.map[self._index(key, ENOENT) * self.stride :][:4])
        if not any(found):
            raise fail(ENOENT)
        return found

    def delete(self, key: bytes) -> None:
        index = self._index(key, E2BIG)
        self.lookup(key)
        self._table.set(index, 0)
        struct.pack_into("<I", self.region.map, index * self.stride, 0)
        self._holders.pop(index, None)

    def next_key(self, key: bytes | None) -> bytes:
        index = self.max_entries if key is None else int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            return bytes(4)
        if index == self.max_entries - 1:
            raise fail(ENOENT)
        return struct.pack("<I", index + 1)


# --- hashes --------------------------------------------------------------------------------------------------------------
# The 8 bytes of an element's value: id u32, cell of the table u32.


@native(inline=True)
def inner_of(
    base: int, head: int, mask: int, stride: int, key_size: int, value_at: int, table: int, cells: int, key: int
) -> int:
    """The inner map's descriptor, or 0. One that is not of the element's id is another process', or went meanwhile."""
    element = find(base, head + BUCKETS, mask, stride, key_size, key, hash_of(key, key_size))
    if element == 0:
        return 0
    value = atomic_load64(element + value_at)
    if value >> 32 >= cells:
        return 0
    desc = atomic_load64(table + (value >> 32) * 8)
    if desc == 0 or load32(desc + DESC_ID) != value & 0xFFFFFFFF:
        return 0
    return desc


@native
def hash_lookup(
    rt: int,
    key: int,
    *,
    base: int,
    head: int,
    mask: int,
    stride: int,
    key_size: int,
    value_at: int,
    table: int,
    cells: int,
) -> int:
    """For a program that knows the map."""
    return inner_of(base, head, mask, stride, key_size, value_at, table, cells, key)


@native
def any_hash_lookup(rt: int, desc: int, key: int) -> int:
    head = load64(desc + DESC_PRIVATE)
    return inner_of(
        load64(desc + DESC_BASE),
        head,
        load32(head + H_MASK),
        load32(head + H_STRIDE),
        load32(desc + DESC_KEY_SIZE),
        value_offset(desc),
        load64(desc + DESC_PROGS),
        load32(desc + DESC_MAX_ENTRIES) + 2 * SPARE,
        key,
    )


@native
def put_inner(desc: int, key: int, value: int, flags: int) -> int:
    """Insert or replace; `value` is id and cell."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    return put(
        load64(desc + DESC_BASE),
        load64(desc + DESC_PRIVATE),
        load32(desc + DESC_MAX_ENTRIES),
        load32(desc + DESC_KEY_SIZE) << 32 | 8,
        8,
        0,
        0,
        key,
        value,
        flags,
    )


class HashOfMaps(HashMap, MapOfMaps):
    """HASH_OF_MAPS."""

    TYPES: ClassVar[tuple[MapType, ...]] = (MapType.HASH_OF_MAPS,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": any_hash_lookup,
        "update": no_update,
        "delete": plain.any_delete,
        "read": plain.read,
        "key_after": plain.key_after,
        "batch": plain.batch,
        "put_inner": put_inner,
    }

    def __init__(self, attr: Any, *, inner: Template | None = None, **more: Any) -> None:
        self.template = inner
        self.cells: int = attr.max_entries + 2 * SPARE
        self._table = Table(self.cells)
        self._fresh = 0
        self._free: collections.deque[int] = collections.deque()
        self._holders: dict[bytes, tuple[int, Any]] = {}  # key -> cell, holder
        self._lock = threading.RLock()
        super().__init__(attr, **more)
        self._set64(DESC_PROGS, self._table.addr)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        found = super().ops(op)
        if op == "lookup" and found is not None:
            return hash_lookup, {**found[1], "table": Sym("table", self._table.addr), "cells": self.cells}
        return None

    def held_objects(self) -> Iterator[Any]:
        yield from [holder for _, holder in list(self._holders.values())]

    def _cell(self) -> int:
        """A cell nobody uses; those given back last are used last."""
        if len(self._free) > SPARE or self._fresh == self.cells:
            return self._free.popleft()
        self._fresh += 1
        return self._fresh - 1

    def _drop(self, before: tuple[int, Any] | None) -> Any:
        if before is None:
            return None
        self._table.set(before[0], 0)
        self._free.append(before[0])
        return before[1]

    def set_inner(self, key: bytes, inner: Map, holder: Any, flags: int = 0) -> Any:
        self.check(inner)
        with self._lock:
            cell = self._cell()
            self._table.set(cell, inner.desc)
            value = struct.pack("<II", inner.map_id, cell)
            try:
                checked(self.natives().put_inner(self.desc, self._key(key), value, flags))
            except BaseException:
                self._drop((cell, None))
                raise
            before = self._holders.get(key)
            self._holders[key] = (cell, holder)
            return self._drop(before)

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EINVAL)  # a value is an fd: see set_inner

    def delete(self, key: bytes) -> None:
        with self._lock:
            super().delete(key)
            self._drop(self._holders.pop(key, None))

    def lookup_and_delete(self, key: bytes) -> bytes:
        raise fail(524)

    def lookup_batch(
        self, token: bytes | None, count: int, delete: bool
    ) -> tuple[list[bytes], list[bytes], bytes | None]:
        with self._lock:
            found = super().lookup_batch(token, count, delete)
            if delete:
                for key in found[0]:
                    self._drop(self._holders.pop(key, None))
            return found
