"""RINGBUF: records from any number of producers to one consumer.

Layout for clients, as Linux's: page 0 holds the consumer's position (the client writes it), page 1 the producer's, then the
data twice. A file cannot show the same pages twice, and need not: a record that wraps goes on into the second copy, where
both sides read and write it in one piece; its header is always in the first copy. A record is an 8-byte header (length u32
with BUSY and DISCARD in the highest bits, page offset u32) and its data, rounded up to 8. Producers reserve under a lock
behind the data and commit without one.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import DESC_PRIVATE, ENOTSUPP, Consts, Map, fail
from userbpf.maps.locks import acquire, release
from userbpf.native import (
    NativeFn,
    Sym,
    atomic_load32,
    atomic_load64,
    atomic_store64,
    atomic_xchg32,
    load32,
    load64,
    memcpy,
    native,
    neg,
    store32,
    store64,
)
from userbpf.native.region import PAGE
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES

EINVAL = errno.EINVAL
EAGAIN = errno.EAGAIN
E2BIG = errno.E2BIG
EBUSY = errno.EBUSY
HEADER: Final = 8
MAX_DYNPTR: Final = (1 << 24) - 1  # bytes that a dynptr can be of
MAX_SAMPLES: Final = 128 * 1024  # records that one bpf_user_ringbuf_drain takes at most
BUSY: Final = 0x80000000
DISCARD: Final = 0x40000000
PRODUCER: Final = PAGE
DATA: Final = 2 * PAGE
MAX_RECORD: Final = 0xFFFFFFFF // 4
WAKEUP_FLAGS: Final = 3  # BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP


@native(inline=True)
def reserve_in(base: int, private: int, size: int, length: int, flags: int) -> int:
    """Address of `length` bytes of a new record in a ring of `size` bytes, or 0."""
    length = length & 0xFFFFFFFFFFFFFFFF
    if flags or length > MAX_RECORD:
        return 0
    whole = (length + HEADER + 7) & 0xFFFFFFFFFFFFFFF8
    if whole > size:
        return 0
    acquire(private)
    position = load64(base + PRODUCER)
    after = position + whole
    if after - atomic_load64(base) > size - 1:
        release(private)
        return 0
    header = base + DATA + (position & (size - 1))
    store32(header, length | BUSY)
    store32(header + 4, (header - base) >> 12)
    atomic_store64(base + PRODUCER, after)
    release(private)
    return header + HEADER


@native
def commit(record: int, discard: int) -> int:
    """The record is done: the consumer may have it, or pass over it."""
    header = record - HEADER
    atomic_xchg32(header, (load32(header) & 0x7FFFFFFF) | discard)
    return 0


@native
def reserve(rt: int, length: int, flags: int, *, base: int, private: int, size: int) -> int:
    """For a program that knows the map."""
    return reserve_in(base, private, size, length, flags)


@native
def output_to(base: int, private: int, size: int, data: int, length: int, flags: int) -> int:
    """Copy a record in; -EAGAIN where there is no room."""
    if flags > WAKEUP_FLAGS:
        return neg(EINVAL)
    record = reserve_in(base, private, size, length, 0)
    if record == 0:
        return neg(EAGAIN)
    memcpy(record, data, length)
    commit(record, 0)
    return 0


@native
def output(rt: int, data: int, length: int, flags: int, *, base: int, private: int, size: int) -> int:
    """For a program that knows the map."""
    return output_to(base, private, size, data, length, flags)


@native
def submit(rt: int, record: int, flags: int) -> int:
    """Hand the record to the consumer."""
    return commit(record, 0)


@native
def discard(rt: int, record: int, flags: int) -> int:
    """Drop the record; the consumer passes over it."""
    return commit(record, DISCARD)


@native(inline=True)
def query_of(base: int, size: int, flags: int) -> int:
    """BPF_RB_AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS; 0 for anything else."""
    if flags == 0:
        return atomic_load64(base + PRODUCER) - atomic_load64(base)
    if flags == 1:
        return size
    if flags == 2:
        return atomic_load64(base)
    if flags == 3:
        return atomic_load64(base + PRODUCER)
    return 0


@native
def query(rt: int, flags: int, *, base: int, size: int) -> int:
    """For a program that knows the map."""
    return query_of(base, size, flags)


@native
def any_reserve(rt: int, desc: int, length: int, flags: int) -> int:
    return reserve_in(
        load64(desc + DESC_BASE), load64(desc + DESC_PRIVATE), load32(desc + DESC_MAX_ENTRIES), length, flags
    )


@native
def any_output(rt: int, desc: int, data: int, length: int, flags: int) -> int:
    size = load32(desc + DESC_MAX_ENTRIES)
    return output_to(load64(desc + DESC_BASE), load64(desc + DESC_PRIVATE), size, data, length, flags)


@native
def any_query(rt: int, desc: int, flags: int) -> int:
    return query_of(load64(desc + DESC_BASE), load32(desc + DESC_MAX_ENTRIES), flags)


class RingbufMap(Map):
    """RINGBUF of max_entries bytes."""

    TYPES = (MapType.RINGBUF,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {}

    @property
    def private_off(self) -> int:
        return DATA + 2 * self.max_entries

    def plan(self) -> int:
        return self.private_off + PAGE

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        place = {"base": Sym("base", self.region.addr), "size": self.max_entries}
        lock = {"private": Sym("private", self.region.addr + self.private_off)}
        match op:
            case "reserve":
                return reserve, {**place, **lock}
            case "output":
                return output, {**place, **lock}
            case "submit":
                return submit, {}
            case "discard":
                return discard, {}
            case "query":
                return query, place
        return None

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr - DATA
        return off >= 0 and off + size <= 2 * self.max_entries

    def delete(self, key: bytes) -> None:
        raise fail(ENOTSUPP)


# --- records from user space ---------------------------------------------------------------------------------------------


@native
def begin_drain(desc: int) -> int:
    """Take the reader's side of a USER_RINGBUF; -EBUSY where somebody has it."""
    if atomic_xchg32(load64(desc + DESC_PRIVATE), 1):
        return neg(EBUSY)
    return 0


@native
def end_drain(desc: int) -> int:
    """Give it back."""
    release(load64(desc + DESC_PRIVATE))
    return 0


@native
def next_sample(desc: int, out: int) -> int:
    """The next record: bytes to the one behind it, its address to *out (0: to be passed over) and its length to *(out + 8).

    0 where there is none, or it is not finished yet. User space writes header and position, so nothing in them is
    believed: -EINVAL for what does not fit together, -E2BIG for a record longer than the ring or a dynptr.
    """
    base = load64(desc + DESC_BASE)
    size = load32(desc + DESC_MAX_ENTRIES)
    produced = atomic_load64(base + PRODUCER)
    if produced & 7:
        return neg(EINVAL)
    consumed = load64(base)
    if consumed >= produced:
        return 0
    header = base + DATA + (consumed & (size - 8))
    head = atomic_load32(header)
    length = head & ~(BUSY | DISCARD) & 0xFFFFFFFF
    total = (length + HEADER + 7) & 0xFFFFFFFFFFFFFFF8
    if total > produced - consumed:
        return neg(EINVAL)
    if total > size or length > MAX_DYNPTR:
        return neg(E2BIG)
    store64(out, 0)
    store64(out + 8, length)
    if head & DISCARD:
        return total
    if head & BUSY:
        return 0
    store64(out, header + HEADER)
    return total


@native
def pass_sample(desc: int, total: int) -> int:
    """The reader has done with the record it was at."""
    base = load64(desc + DESC_BASE)
    atomic_store64(base, load64(base) + total)
    return 0


class UserRingbufMap(RingbufMap):
    """USER_RINGBUF: user space writes the records and the producer's position, a program reads them (bpf_user_ringbuf_drain).

    The lock word behind the data says that somebody is reading.
    """

    TYPES = (MapType.USER_RINGBUF,)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        return None
