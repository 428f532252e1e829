"""PERF_EVENT_ARRAY and the rings behind it: programs write records, user space maps the event's descriptor and reads them.

An event's region is laid out as Linux's mapping of it: a page of `struct perf_event_mmap_page`, then the data, whose size is
a power of two pages. How many is told by the user's mmap and not before, so the file is as long as the largest ring (no
page of it exists before it is touched) and the size is set later, once. Behind the largest ring lies a page of our own:
lock, position, records lost. It is shared by processes, and nothing in it or in the user's page is believed further than
that a position is taken modulo the size.

What a slot of the array leads to is the event's *descriptor*, private memory of this process as a map's is, in a table
of addresses beside the region.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import struct
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from userbpf.abi import perf as abi
from userbpf.abi.enums import MapType
from userbpf.maps.array import any_delete
from userbpf.maps.base import ENOTSUPP, Consts, fail
from userbpf.maps.inner import Table, no_update
from userbpf.maps.locks import acquire, release
from userbpf.maps.slots import SlotMap
from userbpf.native import (
    NativeFn,
    Region,
    atomic_load64,
    atomic_store64,
    load32,
    load64,
    memcpy,
    memset,
    native,
    neg,
    store32,
    store64,
    unlikely,
)
from userbpf.native.region import PAGE
from userbpf.native.rt import DESC_MAX_ENTRIES, DESC_PROGS

E2BIG = errno.E2BIG
EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
ENOSPC = errno.ENOSPC

MAX_PAGES: Final = 1 << 15  # of data
PRIVATE_OFF: Final = (1 + MAX_PAGES) * PAGE

# our own page
P_LOCK: Final = 0  # u32
P_HEAD: Final = 8  # u64 bytes written so far
P_LOST: Final = 16  # u64 records lost since the last PERF_RECORD_LOST

# an event's descriptor
EV_RING: Final = 0  # u64 address of the region
EV_SIZE: Final = 8  # u64 bytes of data; 0 while nobody has mapped it
EV_CPU: Final = 16  # u64 the CPU it belongs to, ANY_CPU for all
EV_STATE: Final = 24  # u64 1 where it is enabled
EV_PAUSED: Final = 32  # u64
EV_SAMPLE: Final = 40  # u64 sample_type
EV_ID: Final = 48  # u64
EV_ID_ALL: Final = 56  # u64 whether every record ends in the fields that say whose it is
EV_PERIOD: Final = 64  # u64
EV_WORDS: Final = 9
ANY_CPU: Final = (1 << 64) - 1

INDEX_MASK: Final = 0xFFFFFFFF  # BPF_F_INDEX_MASK; all ones is BPF_F_CURRENT_CPU
MAX_RECORD: Final = 0xFFFF
HEADER: Final = 8
# fixed fields of a sample, and those that other records end in
SAMPLE_WORDS: Final = (
    abi.PERF_SAMPLE_IDENTIFIER
    | abi.PERF_SAMPLE_IP
    | abi.PERF_SAMPLE_TID
    | abi.PERF_SAMPLE_TIME
    | abi.PERF_SAMPLE_ADDR
    | abi.PERF_SAMPLE_ID
    | abi.PERF_SAMPLE_STREAM_ID
    | abi.PERF_SAMPLE_CPU
    | abi.PERF_SAMPLE_PERIOD
)
ID_WORDS: Final = (
    abi.PERF_SAMPLE_TID
    | abi.PERF_SAMPLE_TIME
    | abi.PERF_SAMPLE_ID
    | abi.PERF_SAMPLE_STREAM_ID
    | abi.PERF_SAMPLE_CPU
    | abi.PERF_SAMPLE_IDENTIFIER
)
SUPPORTED_SAMPLE: Final = SAMPLE_WORDS | abi.PERF_SAMPLE_RAW

IDENTIFIER, IP, TID, TIME = abi.PERF_SAMPLE_IDENTIFIER, abi.PERF_SAMPLE_IP, abi.PERF_SAMPLE_TID, abi.PERF_SAMPLE_TIME
ADDR, ID, STREAM_ID = abi.PERF_SAMPLE_ADDR, abi.PERF_SAMPLE_ID, abi.PERF_SAMPLE_STREAM_ID
CPU, PERIOD, RAW = abi.PERF_SAMPLE_CPU, abi.PERF_SAMPLE_PERIOD, abi.PERF_SAMPLE_RAW
LOST_HEADER = abi.PERF_RECORD_LOST
SAMPLE_HEADER = abi.PERF_RECORD_SAMPLE | abi.PERF_RECORD_MISC_KERNEL << 32
DATA_HEAD, DATA_TAIL = abi.MMAP_DATA_HEAD, abi.MMAP_DATA_TAIL


@native
def bits_set(x: int) -> int:
    """How many bits are 1."""
    n = 0
    while x:
        x = x & (x - 1)
        n = n + 1
    return n


@native(inline=True)
def put_word(data: int, mask: int, at: int, word: int) -> int:
    """Write 8 bytes at a position; the next position."""
    store64(data + (at & mask), word)
    return at + 8


@native
def put_bytes(data: int, mask: int, at: int, source: int, size: int) -> int:
    """Write bytes at a position, in two pieces where they reach over the ring's end; the next position."""
    off = at & mask
    first = min(size, mask + 1 - off)
    memcpy(data + off, source, first)
    memcpy(data, source + first, size - first)
    return at + size


@native
def put_sample_words(data: int, mask: int, at: int, event: int, which: int, pid_tgid: int, now: int, cpu: int) -> int:
    """The fixed fields of a sample, in Linux's order."""
    if which & IDENTIFIER:
        at = put_word(data, mask, at, load64(event + EV_ID))
    if which & IP:
        at = put_word(data, mask, at, 0)
    if which & TID:
        at = put_word(data, mask, at, pid_tgid << 32 | pid_tgid >> 32)
    if which & TIME:
        at = put_word(data, mask, at, now)
    if which & ADDR:
        at = put_word(data, mask, at, 0)
    if which & ID:
        at = put_word(data, mask, at, load64(event + EV_ID))
    if which & STREAM_ID:
        at = put_word(data, mask, at, load64(event + EV_ID))
    if which & CPU:
        at = put_word(data, mask, at, cpu)
    if which & PERIOD:
        at = put_word(data, mask, at, load64(event + EV_PERIOD))
    return at


@native
def put_id_words(data: int, mask: int, at: int, event: int, which: int, pid_tgid: int, now: int, cpu: int) -> int:
    """The fields at the end of a record that is no sample: the identifier comes last there."""
    at = put_sample_words(data, mask, at, event, which & ~IDENTIFIER, pid_tgid, now, cpu)
    if which & IDENTIFIER:
        at = put_word(data, mask, at, load64(event + EV_ID))
    return at


@native
def emit(event: int, cpu: int, pid_tgid: int, now: int, source: int, size: int, more: int, more_size: int) -> int:
    """One sample of `size` bytes and `more_size` further ones; -ENOSPC where nobody reads (or not fast enough), -E2BIG."""
    room = load64(event + EV_SIZE)
    if room == 0:
        return neg(ENOSPC)
    which = load64(event + EV_SAMPLE)
    raw = ((size + more_size + 4 + 7) & 0xFFFFFFFFFFFFFFF8) - 4
    length = HEADER + bits_set(which & SAMPLE_WORDS) * 8
    if which & RAW:
        length = length + 4 + raw
    if length > MAX_RECORD:
        return neg(E2BIG)
    ids = which & ID_WORDS if load64(event + EV_ID_ALL) else 0
    ring = load64(event + EV_RING)
    own = ring + PRIVATE_OFF
    data = ring + PAGE
    mask = room - 1
    acquire(own + P_LOCK)
    lost = load64(own + P_LOST)
    lost_length = HEADER + 16 + bits_set(ids) * 8 if lost else 0
    at = load64(own + P_HEAD) & 0xFFFFFFFFFFFFFFF8
    free = (atomic_load64(ring + DATA_TAIL) - at - 1) & mask
    if unlikely(free < length + lost_length or load64(event + EV_PAUSED) != 0):
        store64(own + P_LOST, lost + 1)
        release(own + P_LOCK)
        return neg(ENOSPC)
    if lost:
        store64(own + P_LOST, 0)
        at = put_word(data, mask, at, LOST_HEADER | lost_length << 48)
        at = put_word(data, mask, at, load64(event + EV_ID))
        at = put_word(data, mask, at, lost)
        at = put_id_words(data, mask, at, event, ids, pid_tgid, now, cpu)
    at = put_word(data, mask, at, SAMPLE_HEADER | length << 48)
    at = put_sample_words(data, mask, at, event, which, pid_tgid, now, cpu)
    if which & RAW:
        store32(data + (at & mask), raw)
        at = put_bytes(data, mask, at + 4, source, size)
        at = put_bytes(data, mask, at, more, more_size)
        padding = raw - size - more_size
        i = 0
        while i < padding:
            memset(data + ((at + i) & mask), 0, 1)
            i = i + 1
        at = at + padding
    store64(own + P_HEAD, at)
    atomic_store64(ring + DATA_HEAD, at)
    release(own + P_LOCK)
    return 0


@native
def event_at(desc: int, flags: int, cpu: int) -> int:
    """The event that an output's flags mean on a CPU, or a negative errno."""
    index = flags & INDEX_MASK
    if index == INDEX_MASK:
        index = cpu
    if index >= load32(desc + DESC_MAX_ENTRIES):
        return neg(E2BIG)
    event = atomic_load64(load64(desc + DESC_PROGS) + index * 8)
    if event == 0:
        return neg(ENOENT)
    return event


@native
def ready_on(event: int, cpu: int) -> int:
    """Whether an event takes records on a CPU: it is enabled, and of this CPU or of all."""
    owner = load64(event + EV_CPU)
    return load64(event + EV_STATE) != 0 and (owner == ANY_CPU or owner == cpu)


_ids = itertools.count(1)


class PerfRing:
    """The memory of one event."""

    def __init__(
        self, *, cpu: int, sample_type: int, id_all: bool = False, period: int = 0, enabled: bool = True
    ) -> None:
        try:
            self.region = Region.create("perf-event", PRIVATE_OFF + PAGE)
        except (OSError, ValueError) as e:
            raise fail(errno.ENOMEM) from e
        self._desc = (ctypes.c_uint64 * EV_WORDS)()
        self.desc = ctypes.addressof(self._desc)
        self.number = next(_ids)
        for off, value in (
            (EV_RING, self.region.addr),
            (EV_CPU, ANY_CPU if cpu < 0 else cpu),
            (EV_STATE, int(enabled)),
            (EV_SAMPLE, sample_type),
            (EV_ID, self.number),
            (EV_ID_ALL, int(id_all)),
            (EV_PERIOD, period),
        ):
            store64(self.desc + off, value)
        struct.pack_into("<II", self.region.map, abi.MMAP_VERSION, 0, 0)
        struct.pack_into("<I", self.region.map, abi.MMAP_SIZE, 1088)

    @property
    def data_size(self) -> int:
        """Bytes of data, 0 while nobody has mapped the event."""
        return load64(self.desc + EV_SIZE)

    def resize(self, mapped_bytes: int) -> bool:
        """Somebody has mapped so many bytes: the ring is the largest power of two of pages behind the first one."""
        pages = min(mapped_bytes // PAGE - 1, MAX_PAGES)
        if self.data_size or pages < 1:
            return self.data_size != 0
        size = (1 << pages.bit_length() - 1) * PAGE
        struct.pack_into("<QQ", self.region.map, abi.MMAP_DATA_OFFSET, PAGE, size)
        store64(self.desc + EV_SIZE, size)
        return True

    def set(self, field: int, value: int) -> None:
        """One of the descriptor's words: EV_STATE, EV_PAUSED."""
        atomic_store64(self.desc + field, value)

    def close(self) -> None:
        self.region.close()


class PerfEventArray(SlotMap):
    """PERF_EVENT_ARRAY: u32 to event, usually CPU to its event."""

    TYPES = (MapType.PERF_EVENT_ARRAY,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {"update": no_update, "delete": any_delete}
    BEYOND = E2BIG

    def __init__(self, attr: Any, **more: Any) -> None:
        self._table = Table(attr.max_entries)
        self._events: dict[int, Any] = {}
        super().__init__(attr, **more)
        self._set64(DESC_PROGS, self._table.addr)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        return None

    def owns(self, addr: int, size: int) -> bool:
        return False

    def held_objects(self) -> Iterator[Any]:
        yield from list(self._events.values())

    def index_of(self, key: bytes) -> int:
        """The index that an update means; E2BIG."""
        return self._index(key, E2BIG)

    def set_event(self, key: bytes, ring: PerfRing, holder: Any) -> Any:
        """Make an index lead to an event; what was there, or None."""
        index = self.index_of(key)
        before = self._events.get(index)
        self._events[index] = holder
        self._table.set(index, ring.desc)
        return before

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EINVAL)  # a value is an fd: see set_event

    def lookup(self, key: bytes) -> bytes:
        raise fail(ENOTSUPP)

    def delete(self, key: bytes) -> None:
        index = self.index_of(key)
        if index not in self._events:
            raise fail(ENOENT)
        self._table.set(index, 0)
        del self._events[index]
