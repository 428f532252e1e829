"""The wide trie of LPM_TRIE: its layout, how an entry is found, and what order entries come in.

The *root* is an array indexed by the first 16 bits (8 where a key has no more), below it a *node* is an
array of 16, indexed by the next 4. A *slot* of either is one u64: which entry is the longest prefix that ends within this
array and covers the slot, and what lies below: a node, or (bit 63) the one entry there is, so that a lonely long prefix
needs no nodes of its own. An entry of fewer bits than the array has is in all slots it covers; `up` of an entry is the next
shorter one of the same array that covers it, which is what comes to light when it is deleted, and what a lookup of
fewer bits falls back to.

Readers take no lock. They remember the best entry on the way down, and at the end compare it with the key: if it is
another's by now they begin again. A node that goes was empty, so to find nothing there was right when it went.

Keys come in Linux's order: by their bits, longer ones before the prefixes they are within.
"""

from __future__ import annotations

import errno
from typing import Final

from userbpf.maps.base import DESC_PRIVATE
from userbpf.maps.locks import acquire, release
from userbpf.native import (
    atomic_load32,
    atomic_load64,
    bswap16,
    bswap32,
    bswap64,
    likely,
    load8,
    load16,
    load32,
    load64,
    memcpy,
    native,
    neg,
)
from userbpf.native.region import PAGE
from userbpf.native.rt import DESC_BASE, DESC_KEY_SIZE

EINVAL = errno.EINVAL
EEXIST = errno.EEXIST
ENOENT = errno.ENOENT
ENOSPC = errno.ENOSPC
ENOMEM = errno.ENOMEM

# an element: `up` u32, then the key (length u32, data), then the value
LEN: Final = 4
DATA: Final = 8

ONLY: Final = 0x80000000  # of the upper half of a slot: the rest is the number of an element
LOW: Final = 0xFFFFFFFF
NODE: Final = 128  # bytes: 16 slots
STEP: Final = 4  # bits a node stands for

# private structures: header, root, queue of free elements, stack of free nodes, nodes
H_LOCK: Final = 0  # u32
H_COUNT: Final = 4  # u32 entries
H_USED: Final = 8  # u32 elements that were ever used
H_CAPACITY: Final = 12  # u32 elements there are
H_GIVEN: Final = 16  # u64 elements given back so far, and
H_TAKEN: Final = 24  # u64 how many of those were taken again
H_NODES_USED: Final = 32  # u32
H_NODES_FREE: Final = 36  # u32 height of the stack
H_NODES: Final = 40  # u32 nodes there are
H_DEFAULT: Final = 44  # u32 number + 1 of the entry of no bits
H_STRIDE: Final = 48  # u32 bytes of an element
H_QUEUE_OFF: Final = 56  # u64 offsets from the header
H_STACK_OFF: Final = 64  # u64
H_NODES_OFF: Final = 72  # u64
ROOT: Final = PAGE  # offset of the root
SPARE: Final = 64  # elements beyond max_entries
QUARANTINE: Final = 32  # elements given back are not used again before so many are there, if there are fresh ones


# --- bits ----------------------------------------------------------------------------------------------------------------


@native(inline=True)
def root_bits(size: int) -> int:
    """How many bits the root stands for."""
    return 8 if size == 1 else 16


@native(inline=True)
def root_index(data: int, size: int) -> int:
    """The root's slot of a key."""
    return load8(data) if size == 1 else bswap16(load16(data))


@native(inline=True)
def index_at(data: int, bit: int) -> int:
    """A node's slot of a key: the 4 bits from `bit` on."""
    return load8(data + (bit >> 3)) >> (4 - (bit & 4)) & 15


@native(inline=True)
def slot_of(data: int, size: int, bit: int) -> int:
    """The slot in the array that stands for the bits from `bit` on: the root's for 0."""
    return root_index(data, size) if bit == 0 else index_at(data, bit)


@native(inline=True)
def word(data: int, size: int) -> int:
    """Up to 8 bytes, the first one highest."""
    if size == 4:
        return bswap32(load32(data)) << 32
    if size == 8:
        return bswap64(load64(data))
    out = 0
    i = 0
    while i < size:
        out = out << 8 | load8(data + i)
        i = i + 1
    return out << (64 - size * 8)


@native
def same_long(a: int, b: int, bits: int, size: int) -> int:
    """Whether the first `bits` bits of data of more than 8 bytes are equal."""
    at = 0
    while bits >= 64:
        if load64(a + at) != load64(b + at):
            return 0
        at = at + 8
        bits = bits - 64
    if bits == 0:
        return 1
    if at + 8 <= size:
        return (bswap64(load64(a + at)) ^ bswap64(load64(b + at))) >> (64 - bits) == 0
    while bits >= 8:
        if load8(a + at) != load8(b + at):
            return 0
        at = at + 1
        bits = bits - 8
    return bits == 0 or (load8(a + at) ^ load8(b + at)) >> (8 - bits) == 0


@native(inline=True)
def same(a: int, b: int, bits: int, size: int) -> int:
    """Whether the first `bits` bits are equal."""
    if bits == 0:
        return 1
    if size <= 8:
        return (word(a, size) ^ word(b, size)) >> (64 - bits) == 0
    return same_long(a, b, bits, size)


# --- finding -------------------------------------------------------------------------------------------------------------


@native(inline=True)
def longest(base: int, stride: int, head: int, nodes: int, size: int, data: int) -> int:
    """The element of the longest prefix of a whole address, or 0; takes no lock."""
    while 1:
        where = head + ROOT + root_index(data, size) * 8
        slot = atomic_load64(where)
        best = slot & LOW
        below = slot >> 32
        bit = 16
        while below - 1 < ONLY - 1:
            where = nodes + (below - 1) * NODE + index_at(data, bit) * 8
            slot = atomic_load64(where)
            if slot & LOW:
                best = slot & LOW
            below = slot >> 32
            bit = bit + STEP
        if below:
            element = base + (below - ONLY) * stride
            if same(element + DATA, data, load32(element + LEN), size):
                return element
            if atomic_load64(where) != slot:
                continue
        if best == 0:
            best = atomic_load32(head + H_DEFAULT)
            if best == 0:
                return 0
        element = base + (best - 1) * stride
        if likely(same(element + DATA, data, load32(element + LEN), size)):
            return element
    return 0


@native(inline=True)
def up_to(base: int, stride: int, entry: int, bits: int) -> int:
    """The longest entry (number + 1) of at most `bits` bits among one and what it covers; 0 for none."""
    while entry != 0 and load32(base + (entry - 1) * stride + LEN) > bits:
        entry = atomic_load32(base + (entry - 1) * stride)
    return entry


@native
def longest_within(base: int, stride: int, head: int, nodes: int, size: int, data: int, bits: int) -> int:
    """The element of the longest prefix of at most `bits` bits, or 0; takes no lock."""
    while 1:
        best = 0
        array = head + ROOT
        bit = 0
        width = root_bits(size)
        only = 0
        where = array
        slot = 0
        while bit < bits:
            where = array + slot_of(data, size, bit) * 8
            slot = atomic_load64(where)
            entry = up_to(base, stride, slot & LOW, bits)
            if entry:
                best = entry
            bit = bit + width
            width = STEP
            only = slot >> 32
            if only - 1 >= ONLY - 1:
                break
            array = nodes + (only - 1) * NODE
            only = 0
        if only:
            element = base + (only - ONLY) * stride
            length = load32(element + LEN)
            if length <= bits and same(element + DATA, data, length, size):
                return element
            if atomic_load64(where) != slot:
                continue
        if best == 0:
            best = atomic_load32(head + H_DEFAULT)
            if best == 0:
                return 0
        element = base + (best - 1) * stride
        length = load32(element + LEN)
        if length <= bits and same(element + DATA, data, length, size):
            return element
    return 0


@native
def lookup(rt: int, key: int, *, base: int, stride: int, head: int, nodes: int, size: int, value_at: int) -> int:
    """For a program that knows the map."""
    bits = load32(key)
    if likely(bits == size * 8):
        element = longest(base, stride, head, nodes, size, key + LEN)
    elif bits > size * 8:
        return 0
    else:
        element = longest_within(base, stride, head, nodes, size, key + LEN, bits)
    return element + value_at if element else 0


@native(inline=True)
def size_of(desc: int) -> int:
    """Bytes of a key's data."""
    return load32(desc + DESC_KEY_SIZE) - 4


@native(inline=True)
def value_offset(desc: int) -> int:
    """Where in an element the value begins."""
    return DATA + (size_of(desc) + 7 & ~7)


@native(inline=True)
def nodes_of(head: int) -> int:
    """Address of the nodes."""
    return head + load64(head + H_NODES_OFF)


@native
def any_lookup(rt: int, desc: int, key: int) -> int:
    head = load64(desc + DESC_PRIVATE)
    size = size_of(desc)
    bits = load32(key)
    if bits > size * 8:
        return 0
    base = load64(desc + DESC_BASE)
    stride = load32(head + H_STRIDE)
    if bits == size * 8:
        element = longest(base, stride, head, nodes_of(head), size, key + LEN)
    else:
        element = longest_within(base, stride, head, nodes_of(head), size, key + LEN, bits)
    return element + value_offset(desc) if element else 0


@native
def exact(base: int, stride: int, head: int, size: int, data: int, bits: int) -> int:
    """Number + 1 of the entry of just this prefix, 0 for none. The lock is held."""
    if bits == 0:
        return load32(head + H_DEFAULT)
    array = head + ROOT
    bit = 0
    width = root_bits(size)
    while 1:
        slot = load64(array + slot_of(data, size, bit) * 8)
        bit = bit + width
        width = STEP
        if bits <= bit:
            entry = up_to(base, stride, slot & LOW, bits)
            if entry != 0 and load32(base + (entry - 1) * stride + LEN) == bits:
                return entry
            return 0
        below = slot >> 32
        if below == 0:
            return 0
        if below >= ONLY:
            element = base + (below - ONLY) * stride
            if load32(element + LEN) == bits and same(element + DATA, data, bits, size):
                return below - ONLY + 1
            return 0
        array = nodes_of(head) + (below - 1) * NODE
    return 0


# --- in order ------------------------------------------------------------------------------------------------------------


@native
def first_in(base: int, stride: int, head: int, array: int, end: int, bits: int, first: int, last: int) -> int:
    """Number + 1 of the first entry, in order, of at least `bits` bits that covers some slots of an array and no others."""
    entry = 0
    i = first
    while i <= last:
        slot = load64(array + i * 8)
        below = slot >> 32
        if below >= ONLY:
            return below - ONLY + 1
        if below:
            array = nodes_of(head) + (below - 1) * NODE
            end = end + STEP
            bits = end - STEP + 1
            entry = 0
            last = 15
            i = 0
            continue
        best = slot & LOW
        if best != 0 and best != entry:
            length = load32(base + (best - 1) * stride + LEN)
            if length >= bits:
                entry = best
                last = i | (1 << (end - length)) - 1
        i = i + 1
    return entry


@native
def at_slot(base: int, stride: int, slot: int, bits: int) -> int:
    """Number + 1 of the entry of just `bits` bits among those that cover a slot, or 0."""
    entry = up_to(base, stride, slot & LOW, bits)
    if entry != 0 and load32(base + (entry - 1) * stride + LEN) == bits:
        return entry
    return 0


@native
def array_at(head: int, size: int, data: int, bit: int) -> int:
    """The array on a key's way that stands for the bits from `bit` on."""
    array = head + ROOT
    at = 0
    end = root_bits(size)
    while at < bit:
        array = nodes_of(head) + ((load64(array + slot_of(data, size, at) * 8) >> 32) - 1) * NODE
        at = end
        end = end + STEP
    return array


@native
def entry_after(base: int, stride: int, head: int, size: int, entry: int) -> int:
    """Number + 1 of the entry behind one that is in the trie, or 0. Upwards: to the right, then the prefix itself."""
    data = base + (entry - 1) * stride + DATA
    bits = load32(base + (entry - 1) * stride + LEN)
    if bits == 0:
        return 0
    bit = 0  # where the entry's array begins
    end = root_bits(size)
    array = head + ROOT
    while bits > end:
        slot = load64(array + slot_of(data, size, bit) * 8)
        if slot >> 32 >= ONLY:
            bits = end  # all of the slot is done but an entry that is just this slot
            found = at_slot(base, stride, slot, bits)
            if found:
                return found
            break
        array = nodes_of(head) + ((slot >> 32) - 1) * NODE
        bit = end
        end = end + STEP
    while 1:
        index = slot_of(data, size, bit)
        while bits > bit:
            span = 1 << (end - bits)
            first = index & ~(span - 1)
            if first & span == 0:
                found = first_in(base, stride, head, array, end, bits, first + span, first + span + span - 1)
                if found:
                    return found
            bits = bits - 1
            if bits > bit:
                found = at_slot(base, stride, load64(array + index * 8), bits)
                if found:
                    return found
        if bit == 0:
            return load32(head + H_DEFAULT)
        end = bit
        bit = bit - STEP if bit > 16 else 0
        array = array_at(head, size, data, bit)
        found = at_slot(base, stride, load64(array + slot_of(data, size, bit) * 8), bits)
        if found:
            return found
    return 0


@native
def key_after(desc: int, key: int, out: int) -> int:
    """GET_NEXT_KEY: the key after `key` (0, or not there: the first) to `out`; ENOENT."""
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    stride = load32(head + H_STRIDE)
    size = size_of(desc)
    acquire(head + H_LOCK)
    entry = 0
    if key != 0:
        if load32(key) <= size * 8:
            entry = exact(base, stride, head, size, key + LEN, load32(key))
    if entry:
        entry = entry_after(base, stride, head, size, entry)
    else:
        end = root_bits(size)
        entry = first_in(base, stride, head, head + ROOT, end, 1, 0, (1 << end) - 1)
        if entry == 0:
            entry = load32(head + H_DEFAULT)
    if entry:
        memcpy(out, base + (entry - 1) * stride + LEN, size + 4)
    release(head + H_LOCK)
    return 0 if entry else neg(ENOENT)
