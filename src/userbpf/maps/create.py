"""BPF_MAP_CREATE's table: which family a type is, and the checks of `spec.maps` before one is made."""

from __future__ import annotations

import errno
import os
import struct
from typing import Any, Final

from userbpf.abi.consts import BPF_F_NUMA_NODE, BPF_F_STACK_BUILD_ID
from userbpf.abi.enums import MapType
from userbpf.maps.arena import ArenaMap
from userbpf.maps.array import ArrayMap
from userbpf.maps.base import MAGIC, TRAILER, TRAILER_VERSION, Map, MapAttr, fail
from userbpf.maps.bloom import BloomFilterMap
from userbpf.maps.cgroup import CgroupArray, CgroupStorage
from userbpf.maps.hash import HashMap
from userbpf.maps.inner import ArrayOfMaps, HashOfMaps, MapOfMaps, Template
from userbpf.maps.kernelside import StackTraceMap, StructOpsMap
from userbpf.maps.lpm import LpmTrieMap
from userbpf.maps.lru import LruHashMap
from userbpf.maps.perf import PerfEventArray
from userbpf.maps.progarray import ProgArrayMap
from userbpf.maps.queuestack import QueueStackMap
from userbpf.maps.ringbuf import RingbufMap, UserRingbufMap
from userbpf.maps.slots import CpuMap, DevMap, DevMapHash, XskMap
from userbpf.maps.sockets import ReuseportArray, SockHash, SockMap
from userbpf.maps.storage import LocalStorageMap
from userbpf.native import Region
from userbpf.native.region import PAGE
from userbpf.spec.maps import KMALLOC_MAX, MAPS

_ALL: Final[tuple[type[Map], ...]] = (
    *(ArrayMap, HashMap, ProgArrayMap, RingbufMap),
    *(LpmTrieMap, LruHashMap, QueueStackMap, BloomFilterMap),
    *(LocalStorageMap, SockMap, SockHash, ReuseportArray, CgroupArray, CgroupStorage),
    *(StackTraceMap, ArenaMap, StructOpsMap, UserRingbufMap),
    *(ArrayOfMaps, HashOfMaps, DevMap, DevMapHash, CpuMap, XskMap, PerfEventArray),
)
FAMILIES: Final[dict[MapType, type[Map]]] = {map_type: family for family in _ALL for map_type in family.TYPES}
ELEMENT_OVERHEAD: Final = 48  # struct htab_elem: key and value must fit one kmalloc together


def check_attr(attr: Any) -> type[Map]:
    """The family of an attr that Linux would take; its errno otherwise."""
    try:
        map_type = MapType(attr.map_type)
    except ValueError:
        raise fail(errno.EINVAL) from None
    row = MAPS[map_type]
    family = FAMILIES.get(map_type)
    if family is None:
        raise fail(row.errno or errno.EINVAL)
    flags = attr.map_flags
    too_big = attr.value_size > row.value.high
    if too_big and row.value_first == "always":
        raise fail(row.value.too_big)
    if attr.map_extra > row.extra_max:
        raise fail(errno.EINVAL)
    if too_big and row.value_first == "after key" and not row.key.check(attr.key_size):
        raise fail(row.value.too_big)
    for flag, code in row.flag_errno:
        if flags & flag and not flags & ~(row.flags | flag | BPF_F_NUMA_NODE):
            raise fail(code)
    if flags & ~row.flags or row.required & ~flags or flags & 0x18 == 0x18 or flags & 0x180 == 0x180:
        raise fail(errno.EINVAL)
    if row.needs_btf and not (attr.btf_key_type_id and attr.btf_value_type_id):
        raise fail(errno.EINVAL)
    value = row.build_ids if flags & BPF_F_STACK_BUILD_ID and row.build_ids else row.value
    sizes = ((row.key, attr.key_size), (value, attr.value_size), (row.entries, attr.max_entries))
    codes = [bounds.check(size) for bounds, size in sizes]
    if any(codes):  # whatever is wrong with a size comes before what is only too big
        raise fail(errno.EINVAL if errno.EINVAL in codes else max(codes))
    entries = attr.max_entries
    if row.pow2_pages and (entries & (entries - 1) or entries % PAGE):
        raise fail(errno.EINVAL)
    if map_type == MapType.ARENA:
        _check_address(attr.map_extra, entries)
    if issubclass(family, HashMap) and attr.key_size + attr.value_size >= KMALLOC_MAX - ELEMENT_OVERHEAD:
        raise fail(errno.E2BIG)
    return family


def _check_address(start: int, pages: int) -> None:
    """Where user space wants an ARENA: at a page, and without 4 GB between its first and last byte."""
    if start % PAGE:
        raise fail(errno.EINVAL)
    if start and start >> 32 != start + pages * PAGE - 1 >> 32:
        raise fail(errno.ERANGE)


def create_map(attr: Any, *, ncpu: int, inner: Template | None = None, region: Region | None = None) -> Map:
    """A new map of an attr (`MapAttr` or abi.attrs.MapCreateAttr); BpfError with Linux's errno where it may not be.

    `inner`: what may be in a map of maps. `region`: the memory of a map that is there already.
    """
    family = check_attr(attr)
    if issubclass(family, MapOfMaps):
        return family(attr, ncpu=ncpu, inner=inner, region=region)  # type: ignore[call-arg]
    return family(attr, ncpu=ncpu, region=region)


def adopt_map(fd: int) -> Map | None:
    """The map behind a descriptor that another process made (fork, SCM_RIGHTS, a pin); None where it is none."""
    try:
        size = os.fstat(fd).st_size
        if size < 2 * PAGE or size % PAGE:
            return None
        raw = os.pread(fd, TRAILER.size, size - PAGE)
        fields = TRAILER.unpack(raw)
    except (OSError, ValueError, TypeError) as e:
        if isinstance(e, OSError) and e.errno == errno.EBADF:
            raise
        return None
    except struct.error:  # shorter than a trailer
        return None
    magic, version, map_type, key, value, entries, flags, ncpu, btf_key, btf_value, frozen, _, extra, name, *looks = (
        fields
    )
    if magic != MAGIC or version != TRAILER_VERSION:
        return None
    implied = MAPS[MapType(map_type)].implied if map_type in MAPS else 0
    attr = MapAttr(map_type, key, value, entries, flags & ~implied, name, extra, btf_key, btf_value)
    inner = Template(*looks) if looks[0] else None
    found = create_map(attr, ncpu=ncpu, inner=inner, region=Region.from_fd(fd))
    found.frozen = bool(frozen)
    return found
