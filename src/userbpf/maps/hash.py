"""Hash tables: HASH and PERCPU_HASH.

Elements lie in one array from the region's start: `next` u32, `free` u32, key, value(s). Buckets are (head u32, lock u32)
pairs. A chain ends in a marker that names its bucket (bit 31 and the number): a reader takes no lock, and when an element it
stands on is moved to another chain meanwhile, it arrives at a foreign marker and begins again. A bucket's head is stored
XORed with its own marker, so that zero memory is an empty table and creating one touches no page.

Writers hold the bucket's lock. An update puts a new element in front and takes the old one out, so a reader sees the old
value or the new one and never a mixture; the old element keeps `next` and content until it is used again, as in Linux.
Free elements are a stack linked by `free`, its head tagged against ABA; behind it a high-water mark hands out elements that
were never used. There are more elements than max_entries, because an update of a full table needs one for a moment.
"""

from __future__ import annotations

import errno
import struct
from typing import Any, ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import (
    BPF_EXIST,
    BPF_NOEXIST,
    DESC_NCPU,
    DESC_PRIVATE,
    DESC_STRIDE,
    Consts,
    Map,
    checked,
    fail,
    round8,
)
from userbpf.maps.locks import acquire, release
from userbpf.native import (
    NativeFn,
    Sym,
    atomic_add32,
    atomic_add64,
    atomic_cmpxchg64,
    atomic_load32,
    atomic_load64,
    atomic_store32,
    load8,
    load16,
    load32,
    load64,
    memcpy,
    memeq,
    memset,
    mulhi64,
    native,
    neg,
    store32,
    store64,
    unlikely,
)
from userbpf.native.region import page_up
from userbpf.native.rt import DESC_BASE, DESC_KEY_SIZE, DESC_MAX_ENTRIES, DESC_VALUE_SIZE, RT_CPU

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
EEXIST = errno.EEXIST
ENOENT = errno.ENOENT
ENOSPC = errno.ENOSPC

END: Final = 0x80000000  # bit 31 of a link: the end marker of the bucket in the other bits
LIVE: Final = 0xFFFFFFFF  # in `free`: the element is in a chain
FREE: Final = 4  # offset of `free`
KEY: Final = 8  # offset of the key

# private structures: header, then the buckets
H_COUNT: Final = 0  # u64 entries in the table
H_FREE: Final = 8  # u64 tag << 32 | index + 1 of the first free element
H_USED: Final = 16  # u32 high-water mark
H_CAPACITY: Final = 20  # u32 elements there are
H_MASK: Final = 24  # u32 buckets - 1
H_STRIDE: Final = 28  # u32 bytes of an element
BUCKETS: Final = 64
SPARE: Final = 64  # elements beyond max_entries
MAX_BUCKETS: Final = 1 << 28


@native(inline=True)
def hash_of(key: int, key_size: int) -> int:
    """A hash of key_size bytes: multiply and fold, 8 bytes at a time."""
    h = 0x9E3779B97F4A7C15 ^ key_size
    i = 0
    while i + 8 <= key_size:
        v = (h ^ load64(key + i)) * 0xD6E8FEB86659FD93
        h = v ^ (v >> 32)
        i = i + 8
    if key_size & 4:
        v = (h ^ load32(key + i)) * 0xA0761D6478BD642F
        h = v ^ (v >> 32)
        i = i + 4
    if key_size & 2:
        v = (h ^ load16(key + i)) * 0xE7037ED1A0B428DB
        h = v ^ (v >> 32)
        i = i + 2
    if key_size & 1:
        v = (h ^ load8(key + i)) * 0x8EBC6AF09C88C6E3
        h = v ^ (v >> 32)
    return h ^ mulhi64(h, 0x9E3779B97F4A7C15)


@native(inline=True)
def find(base: int, buckets: int, mask: int, stride: int, key_size: int, key: int, h: int) -> int:
    """Address of the key's element, or 0; takes no lock."""
    number = h & mask
    end = END | number
    while 1:
        link = atomic_load32(buckets + number * 8) ^ end
        while link < END:
            element = base + link * stride
            if memeq(element + KEY, key, key_size):
                return element
            link = atomic_load32(element)
        if link == end:
            return 0
    return 0


@native(inline=True)
def lock(bucket: int) -> int:
    """Take a bucket's lock."""
    return acquire(bucket + 4)


@native(inline=True)
def unlock(bucket: int) -> int:
    """Release it."""
    return release(bucket + 4)


@native
def take_element(head: int, base: int, stride: int) -> int:
    """Index + 1 of an element nobody uses; 0 where there is none."""
    while 1:
        old = atomic_load64(head + H_FREE)
        first = old & 0xFFFFFFFF
        if first == 0:
            break
        link = load32(base + (first - 1) * stride + FREE)
        new = (((old >> 32) + 1) << 32) | link
        if atomic_cmpxchg64(head + H_FREE, old, new) == old:
            return first
    if atomic_load32(head + H_USED) >= load32(head + H_CAPACITY):
        return 0
    fresh = atomic_add32(head + H_USED, 1) & 0xFFFFFFFF
    if fresh >= load32(head + H_CAPACITY):
        atomic_add32(head + H_USED, 0xFFFFFFFF)
        return 0
    return fresh + 1


@native
def give_element(head: int, base: int, stride: int, element: int) -> int:
    """Put an element that left its chain on the free stack."""
    number = (element - base) // stride + 1
    while 1:
        old = atomic_load64(head + H_FREE)
        store32(element + FREE, old & 0xFFFFFFFF)
        new = (((old >> 32) + 1) << 32) | number
        if atomic_cmpxchg64(head + H_FREE, old, new) == old:
            return 0
    return 0


@native
def take_out(base: int, stride: int, bucket: int, end: int, element: int) -> int:
    """Unlink an element from the chain of a locked bucket."""
    after = load32(element)
    number = (element - base) // stride
    link = load32(bucket) ^ end
    if link == number:
        atomic_store32(bucket, after ^ end)
        return 0
    while link < END:
        before = base + link * stride
        link = load32(before)
        if link == number:
            atomic_store32(before, after)
            return 0
    return 0


@native(inline=True)
def fill_value(slot: int, value: int, value_size: int, stride: int, ncpu: int, cpu: int) -> int:
    """Write the value of a new element. cpu: which CPU's value it is, ~0 for all of them one after the other."""
    if ncpu == 0:
        memcpy(slot, value, value_size)
        return 0
    if cpu == 0xFFFFFFFFFFFFFFFF:
        memcpy(slot, value, stride * ncpu)
        return 0
    memset(slot, 0, stride * ncpu)
    memcpy(slot + cpu * stride, value, value_size)
    return 0


@native
def put(
    base: int,
    head: int,
    max_entries: int,
    sizes: int,
    vstride: int,
    ncpu: int,
    cpu: int,
    key: int,
    value: int,
    flags: int,
) -> int:
    """Insert or replace. `sizes` is key_size << 32 | value_size."""
    key_size = sizes >> 32
    value_size = sizes & 0xFFFFFFFF
    stride = load32(head + H_STRIDE)
    mask = load32(head + H_MASK)
    h = hash_of(key, key_size)
    number = h & mask
    bucket = head + BUCKETS + number * 8
    end = END | number
    value_at = KEY + ((key_size + 7) & 0xFFFFFFFFFFFFFFF8)
    lock(bucket)
    old = find(base, head + BUCKETS, mask, stride, key_size, key, h)
    if old:
        if flags == BPF_NOEXIST:
            unlock(bucket)
            return neg(EEXIST)
        if ncpu:
            if cpu == 0xFFFFFFFFFFFFFFFF:
                memcpy(old + value_at, value, vstride * ncpu)
            else:
                memcpy(old + value_at + cpu * vstride, value, value_size)
            unlock(bucket)
            return 0
    else:
        if flags == BPF_EXIST:
            unlock(bucket)
            return neg(ENOENT)
        if atomic_add64(head + H_COUNT, 1) >= max_entries:
            atomic_add64(head + H_COUNT, 0xFFFFFFFFFFFFFFFF)
            unlock(bucket)
            return neg(E2BIG)
    taken = take_element(head, base, stride)
    if unlikely(taken == 0):
        if old == 0:
            atomic_add64(head + H_COUNT, 0xFFFFFFFFFFFFFFFF)
        unlock(bucket)
        return neg(E2BIG)
    element = base + (taken - 1) * stride
    memcpy(element + KEY, key, key_size)
    fill_value(element + value_at, value, value_size, vstride, ncpu, cpu)
    store32(element + FREE, LIVE)
    atomic_store32(element, load32(bucket) ^ end)
    atomic_store32(bucket, (taken - 1) ^ end)
    if old:
        take_out(base, stride, bucket, end, old)
        give_element(head, base, stride, old)
    unlock(bucket)
    return 0


@native
def remove(base: int, head: int, sizes: int, key: int, out: int, out_size: int) -> int:
    """Delete; the value goes to `out` first where out is not 0."""
    key_size = sizes >> 32
    stride = load32(head + H_STRIDE)
    mask = load32(head + H_MASK)
    h = hash_of(key, key_size)
    number = h & mask
    bucket = head + BUCKETS + number * 8
    lock(bucket)
    element = find(base, head + BUCKETS, mask, stride, key_size, key, h)
    if element == 0:
        unlock(bucket)
        return neg(ENOENT)
    if out:
        memcpy(out, element + KEY + ((key_size + 7) & 0xFFFFFFFFFFFFFFF8), out_size)
    take_out(base, stride, bucket, END | number, element)
    give_element(head, base, stride, element)
    atomic_add64(head + H_COUNT, 0xFFFFFFFFFFFFFFFF)
    unlock(bucket)
    return 0


# --- for programs that know the map ------------------------------------------------------------------------------------


@native
def lookup(rt: int, key: int, *, base: int, head: int, mask: int, stride: int, key_size: int, value_at: int) -> int:
    """HASH: address of the value, or 0."""
    element = find(base, head + BUCKETS, mask, stride, key_size, key, hash_of(key, key_size))
    if element == 0:
        return 0
    return element + value_at


@native
def lookup_cpu(
    rt: int, key: int, *, base: int, head: int, mask: int, stride: int, key_size: int, value_at: int, vstride: int
) -> int:
    """PERCPU_HASH: address of the value of this run's CPU, or 0."""
    element = find(base, head + BUCKETS, mask, stride, key_size, key, hash_of(key, key_size))
    if element == 0:
        return 0
    return element + value_at + load32(rt + RT_CPU) * vstride


@native
def update(
    rt: int,
    key: int,
    value: int,
    flags: int,
    *,
    base: int,
    head: int,
    max_entries: int,
    sizes: int,
    vstride: int,
    ncpu: int,
) -> int:
    """HASH and PERCPU_HASH."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    return put(base, head, max_entries, sizes, vstride, ncpu, load32(rt + RT_CPU), key, value, flags)


@native
def delete(rt: int, key: int, *, base: int, head: int, sizes: int) -> int:
    """HASH and PERCPU_HASH."""
    return remove(base, head, sizes, key, 0, 0)


# --- for a map that only the descriptor tells --------------------------------------------------------------------------


@native(inline=True)
def sizes_of(desc: int) -> int:
    """key_size << 32 | value_size."""
    return (load32(desc + DESC_KEY_SIZE) << 32) | load32(desc + DESC_VALUE_SIZE)


@native
def element_of(desc: int, key: int) -> int:
    """The key's element, or 0."""
    head = load64(desc + DESC_PRIVATE)
    key_size = load32(desc + DESC_KEY_SIZE)
    h = hash_of(key, key_size)
    return find(
        load64(desc + DESC_BASE), head + BUCKETS, load32(head + H_MASK), load32(head + H_STRIDE), key_size, key, h
    )


@native(inline=True)
def value_offset(desc: int) -> int:
    """Where in an element the value begins."""
    return KEY + ((load32(desc + DESC_KEY_SIZE) + 7) & 0xFFFFFFFFFFFFFFF8)


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    element = element_of(desc, key)
    if element == 0:
        return 0
    addr = element + value_offset(desc)
    if load32(desc + DESC_NCPU):
        addr = addr + load32(rt + RT_CPU) * load32(desc + DESC_STRIDE)
    return addr


@native
def any_lookup_percpu(rt: int, desc: int, key: int, cpu: int) -> int:
    cpu = cpu & 0xFFFFFFFF
    element = element_of(desc, key)
    if element == 0 or cpu >= load32(desc + DESC_NCPU):
        return 0
    return element + value_offset(desc) + cpu * load32(desc + DESC_STRIDE)


@native
def write(desc: int, key: int, value: int, flags: int, cpu: int) -> int:
    """Update for one CPU, or for all (cpu = ~0)."""
    if flags > BPF_EXIST:
        return neg(EINVAL)
    ncpu = load32(desc + DESC_NCPU)
    stride = load32(desc + DESC_STRIDE)
    entries = load32(desc + DESC_MAX_ENTRIES)
    return put(
        load64(desc + DESC_BASE),
        load64(desc + DESC_PRIVATE),
        entries,
        sizes_of(desc),
        stride,
        ncpu,
        cpu,
        key,
        value,
        flags,
    )


@native
def any_update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    return write(desc, key, value, flags, load32(rt + RT_CPU))


@native
def any_delete(rt: int, desc: int, key: int) -> int:
    return remove(load64(desc + DESC_BASE), load64(desc + DESC_PRIVATE), sizes_of(desc), key, 0, 0)


@native
def read(desc: int, key: int, out: int, size: int) -> int:
    """Copy a value out; ENOENT."""
    element = element_of(desc, key)
    if element == 0:
        return neg(ENOENT)
    memcpy(out, element + value_offset(desc), size)
    return 0


@native
def take(desc: int, key: int, out: int, size: int) -> int:
    """Copy a value out and delete the entry; ENOENT."""
    return remove(load64(desc + DESC_BASE), load64(desc + DESC_PRIVATE), sizes_of(desc), key, out, size)


@native
def first_from(base: int, head: int, number: int) -> int:
    """The first element of the first bucket from `number` on that is not empty, or 0."""
    mask = load32(head + H_MASK)
    while number <= mask:
        link = atomic_load32(head + BUCKETS + number * 8) ^ (END | number)
        if link < END:
            return base + link * load32(head + H_STRIDE)
        number = number + 1
    return 0


@native
def element_after(desc: int, element: int) -> int:
    """The element behind one, in its chain or in a bucket further on; 0 at the end."""
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    link = atomic_load32(element)
    if link < END:
        return base + link * load32(head + H_STRIDE)
    return first_from(base, head, (link ^ END) + 1)


@native
def key_after(desc: int, key: int, out: int) -> int:
    """GET_NEXT_KEY: the key after `key` (0: the first) to `out`; ENOENT."""
    element = 0
    if key:
        element = element_of(desc, key)
    if element:
        element = element_after(desc, element)
    else:
        element = first_from(load64(desc + DESC_BASE), load64(desc + DESC_PRIVATE), 0)
    if element == 0:
        return neg(ENOENT)
    memcpy(out, element + KEY, load32(desc + DESC_KEY_SIZE))
    return 0


@native
def any_next(rt: int, desc: int, cursor: int, out: int) -> int:
    """Walk: *cursor is the bucket << 32 | the number + 1 of the element to be shown next (0: the bucket's first).

    So the callback may delete the element it is shown. See maps.array.any_next.
    """
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    stride = load32(head + H_STRIDE)
    number = load64(cursor) >> 32
    link = load64(cursor) & 0xFFFFFFFF
    mask = load32(head + H_MASK)
    if link > END:  # the last one shown was the last of its bucket
        number = number + 1
        link = 0
    while number <= mask:
        link = link - 1 if link else atomic_load32(head + BUCKETS + number * 8) ^ (END | number)
        if link < END:
            element = base + link * stride
            store64(cursor, (number << 32) | (atomic_load32(element) + 1))
            store64(out, element + KEY)
            addr = element + value_offset(desc)
            if load32(desc + DESC_NCPU):
                addr = addr + load32(rt + RT_CPU) * load32(desc + DESC_STRIDE)
            store64(out + 8, addr)
            return 1
        number = number + 1
        link = 0
    return 0


@native
def batch(desc: int, start: int, room: int, keys: int, values: int, value_len: int, gone: int, cell: int) -> int:
    """Whole buckets from `start` on, `room` entries at most; *cell gets the bucket to go on with (past the last: the end).

    The number of entries, or -ENOSPC where not even the first bucket with entries fits. gone: delete them.
    """
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    stride = load32(head + H_STRIDE)
    key_size = load32(desc + DESC_KEY_SIZE)
    value_at = value_offset(desc)
    mask = load32(head + H_MASK)
    number = start
    done = 0
    while number <= mask:
        bucket = head + BUCKETS + number * 8
        end = END | number
        if atomic_load32(bucket) != 0:
            lock(bucket)
            n = 0
            link = load32(bucket) ^ end
            while link < END:
                n = n + 1
                link = load32(base + link * stride)
            if n > room - done:
                unlock(bucket)
                store64(cell, number)
                if done == 0:
                    return neg(ENOSPC)
                return done
            link = load32(bucket) ^ end
            if gone:
                atomic_store32(bucket, 0)
            while link < END:
                element = base + link * stride
                memcpy(keys + done * key_size, element + KEY, key_size)
                memcpy(values + done * value_len, element + value_at, value_len)
                done = done + 1
                link = load32(element)
                if gone:
                    give_element(head, base, stride, element)
                    atomic_add64(head + H_COUNT, 0xFFFFFFFFFFFFFFFF)
            unlock(bucket)
        number = number + 1
    store64(cell, number)
    return done


class HashMap(Map):
    """HASH and PERCPU_HASH."""

    TYPES: ClassVar[tuple[MapType, ...]] = (MapType.HASH, MapType.PERCPU_HASH)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": any_lookup,
        "update": any_update,
        "delete": any_delete,
        "lookup_percpu": any_lookup_percpu,
        "next": any_next,
        "read": read,
        "take": take,
        "write": write,
        "key_after": key_after,
        "batch": batch,
    }

    @property
    def percpu(self) -> bool:
        return self.map_type == MapType.PERCPU_HASH

    @property
    def value_at(self) -> int:
        """Where in an element the value begins."""
        return KEY + round8(self.key_size)

    @property
    def element_size(self) -> int:
        return self.value_at + self.stride * (self.ncpu if self.percpu else 1)

    @property
    def bucket_cnt(self) -> int:
        return 1 << (self.max_entries - 1).bit_length()

    @property
    def capacity(self) -> int:
        return self.max_entries + SPARE

    @property
    def private_off(self) -> int:
        return page_up(self.capacity * self.element_size)

    def plan(self) -> int:
        if self.bucket_cnt > MAX_BUCKETS:
            raise fail(E2BIG)
        return self.private_off + BUCKETS + self.bucket_cnt * 8

    def prepare(self) -> None:
        struct.pack_into(
            "<QQIIII",
            self.region.map,
            self.private_off,
            0,
            0,
            0,
            self.capacity,
            self.bucket_cnt - 1,
            self.element_size,
        )

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        place = {"base": Sym("base", self.region.addr), "head": Sym("head", self.region.addr + self.private_off)}
        sizes = self.key_size << 32 | self.value_size
        if op == "lookup":
            shape: dict[str, Any] = {
                **place,
                "mask": self.bucket_cnt - 1,
                "stride": self.element_size,
                "key_size": self.key_size,
                "value_at": self.value_at,
            }
            return (lookup_cpu, {**shape, "vstride": self.stride}) if self.percpu else (lookup, shape)
        if op == "update":
            ncpu = self.ncpu if self.percpu else 0
            return update, {
                **place,
                "max_entries": self.max_entries,
                "sizes": sizes,
                "vstride": self.stride,
                "ncpu": ncpu,
            }
        if op == "delete":
            return delete, {**place, "sizes": sizes}
        return None

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr
        if not 0 <= off < self.capacity * self.element_size:
            return False
        inside = off % self.element_size - self.value_at
        return inside >= 0 and inside % self.stride + size <= self.stride

    def __len__(self) -> int:
        return int(struct.unpack_from("<Q", self.region.map, self.private_off)[0])

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> bytes:
        out = bytearray(self.value_len)
        checked(self.natives().read(self.desc, self._key(key), out, self.value_len))
        return bytes(out)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        everywhere = (1 << 64) - 1
        checked(self.natives().write(self.desc, self._key(key), self._value(value), flags, everywhere))

    def delete(self, key: bytes) -> None:
        checked(self.natives().delete(0, self.desc, self._key(key)))

    def lookup_and_delete(self, key: bytes) -> bytes:
        out = bytearray(self.value_len)
        checked(self.natives().take(self.desc, self._key(key), out, self.value_len))
        return bytes(out)

    def next_key(self, key: bytes | None) -> bytes:
        out = bytearray(self.key_size)
        checked(self.natives().key_after(self.desc, 0 if key is None else self._key(key), out))
        return bytes(out)

    def lookup_batch(
        self, token: bytes | None, count: int, delete: bool
    ) -> tuple[list[bytes], list[bytes], bytes | None]:
        start = 0 if token is None else int.from_bytes(token[:4], "little")
        if start and start >= self.bucket_cnt:
            raise fail(ENOENT)
        room = min(count, self.capacity)
        keys, values = bytearray(room * self.key_size), bytearray(room * self.value_len)
        cell = bytearray(8)
        n = checked(
            self.natives().batch(self.desc, start, room, keys or 0, values or 0, self.value_len, int(delete), cell)
        )
        number = int.from_bytes(cell, "little")
        ks, vs = self.key_size, self.value_len
        return (
            [bytes(keys[i * ks : (i + 1) * ks]) for i in range(n)],
            [bytes(values[i * vs : (i + 1) * vs]) for i in range(n)],
            struct.pack("<I", number) if number < self.bucket_cnt else None,
        )
