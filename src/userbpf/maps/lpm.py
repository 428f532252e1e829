"""LPM_TRIE: the longest prefix that matches.

A key is a length in bits (u32) and the data whose first bits count. Linux walks a binary trie, a cache line a branch; here the
trie is wide. The *root* is an array indexed by the first 16 bits (8 where a key has no more), below it a *node* is an
array of 16, indexed by the next 4. A *slot* of either is one u64: which entry is the longest prefix that ends within this
array and covers the slot, and what lies below: a node, or (bit 63) the one entry there is, so that a lonely long prefix
needs no nodes of its own. An entry of fewer bits than the array has is in all slots it covers; `up` of an entry is the next
shorter one of the same array that covers it, which is what comes to light when it is deleted, and what a lookup of
fewer bits falls back to.

Readers take no lock. They remember the best entry on the way down, and at the end compare it with the key: if it is
another's by now they begin again. A node that goes was empty, so to find nothing there was right when it went. Writers
hold one lock, make what is new complete before they show it, and give elements back to the end of a queue, so that
one that is still read is the last to be used again.

Keys come in Linux's order: by their bits, longer ones before the prefixes they are within.
"""

from __future__ import annotations

import errno
import struct
from typing import ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, BPF_NOEXIST, DESC_PRIVATE, MAX_REGION, Consts, Map, checked, round8
from userbpf.maps.locks import acquire, release
from userbpf.native import (
    NativeFn,
    Sym,
    atomic_load32,
    atomic_load64,
    atomic_store32,
    atomic_store64,
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
    store32,
    store64,
)
from userbpf.native.region import PAGE, page_up
from userbpf.native.rt import DESC_BASE, DESC_KEY_SIZE, DESC_MAX_ENTRIES, DESC_VALUE_SIZE

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


# --- elements and nodes that nobody uses ---------------------------------------------------------------------------------


@native
def take_element(head: int) -> int:
    """Number + 1 of an element; 0 where there is none."""
    taken = load64(head + H_TAKEN)
    waiting = load64(head + H_GIVEN) - taken
    used = load32(head + H_USED)
    capacity = load32(head + H_CAPACITY)
    if waiting > QUARANTINE or (waiting != 0 and used == capacity):
        store64(head + H_TAKEN, taken + 1)
        return load32(head + load64(head + H_QUEUE_OFF) + taken % capacity * 4) + 1
    if used == capacity:
        return 0
    store32(head + H_USED, used + 1)
    return used + 1


@native
def give_element(head: int, number: int) -> int:
    """An element left the trie."""
    given = load64(head + H_GIVEN)
    store32(head + load64(head + H_QUEUE_OFF) + given % load32(head + H_CAPACITY) * 4, number)
    store64(head + H_GIVEN, given + 1)
    return 0


@native
def take_node(head: int) -> int:
    """Number + 1 of a node, all zero; 0 where there is none."""
    free = load32(head + H_NODES_FREE)
    if free:
        store32(head + H_NODES_FREE, free - 1)
        return load32(head + load64(head + H_STACK_OFF) + (free - 1) * 4) + 1
    used = load32(head + H_NODES_USED)
    if used == load32(head + H_NODES):
        return 0
    store32(head + H_NODES_USED, used + 1)
    return used + 1


@native
def give_node(head: int, number: int) -> int:
    """A node left the trie; it is all zero."""
    free = load32(head + H_NODES_FREE)
    store32(head + load64(head + H_STACK_OFF) + free * 4, number)
    store32(head + H_NODES_FREE, free + 1)
    return 0


# --- changing ------------------------------------------------------------------------------------------------------------


@native
def replace_in(base: int, stride: int, array: int, first: int, count: int, old: int, new: int) -> int:
    """In the chains of entries that cover `count` slots, put `new` where `old` is (0: at the end of all that are longer)."""
    i = first
    while i < first + count:
        slot = load64(array + i * 8)
        entry = slot & LOW
        if entry == old:
            atomic_store64(array + i * 8, slot - entry + new)
        else:
            while 1:
                above = base + (entry - 1) * stride
                entry = load32(above)
                if entry == new:
                    break
                if entry == old:
                    atomic_store32(above, new)
                    break
        i = i + 1
    return 0


@native
def cover(base: int, stride: int, array: int, end: int, index: int, entry: int, old: int) -> int:
    """Make an entry (number + 1) known to all slots it covers in an array whose bits end at `end`, in the place of `old`."""
    element = base + (entry - 1) * stride
    bits = load32(element + LEN)
    count = 1 << (end - bits)
    first = index & ~(count - 1)
    if old:
        up = load32(base + (old - 1) * stride)
        store32(element, up)
        return replace_in(base, stride, array, first, count, old, entry)
    up = up_to(base, stride, load64(array + first * 8) & LOW, bits)
    store32(element, up)
    return replace_in(base, stride, array, first, count, up, entry)


@native
def link(base: int, stride: int, head: int, size: int, entry: int, old: int) -> int:
    """Show an entry (number + 1) to readers, in the place of `old` where that is not 0; -ENOMEM without nodes."""
    element = base + (entry - 1) * stride
    bits = load32(element + LEN)
    if bits == 0:
        atomic_store32(head + H_DEFAULT, entry)
        return 0
    data = element + DATA
    array = head + ROOT
    bit = 0
    end = root_bits(size)
    while 1:
        index = slot_of(data, size, bit)
        if bits <= end:
            return cover(base, stride, array, end, index, entry, old)
        where = array + index * 8
        slot = load64(where)
        below = slot >> 32
        if below == 0 or (old != 0 and below == ONLY + old - 1):
            atomic_store64(where, slot & LOW | ONLY + entry - 1 << 32)
            return 0
        if below >= ONLY:
            node = take_node(head)
            if node == 0:
                return neg(ENOMEM)
            array = nodes_of(head) + (node - 1) * NODE
            lonely = base + (below - ONLY) * stride
            index = index_at(lonely + DATA, end)
            if load32(lonely + LEN) <= end + STEP:
                cover(base, stride, array, end + STEP, index, below - ONLY + 1, 0)
            else:
                atomic_store64(array + index * 8, below << 32)
            atomic_store64(where, slot & LOW | node << 32)
            below = node
        array = nodes_of(head) + (below - 1) * NODE
        bit = end
        end = end + STEP
    return 0


@native
def holds_more(node: int, index: int) -> int:
    """Whether a node has anything besides what lies below one slot."""
    found = load64(node + index * 8) & LOW
    i = 0
    while i < 16:
        if i != index:
            found = found | load64(node + i * 8)
        i = i + 1
    return found != 0


@native
def is_empty(node: int) -> int:
    """Whether a node has nothing at all."""
    found = 0
    i = 0
    while i < 16:
        found = found | load64(node + i * 8)
        i = i + 1
    return found == 0


@native
def prune(head: int, size: int, data: int, bit: int, end: int, where: int) -> int:
    """Take out the nodes on a key's way from a slot down to the array before `end`, which hold nothing any more."""
    slot = load64(where)
    below = slot >> 32
    atomic_store64(where, slot & LOW)
    while bit < end:
        node = nodes_of(head) + (below - 1) * NODE
        give_node(head, below - 1)
        index = index_at(data, bit)
        below = load64(node + index * 8) >> 32
        atomic_store64(node + index * 8, 0)
        bit = bit + STEP
    return 0


@native
def unlink(base: int, stride: int, head: int, size: int, entry: int) -> int:
    """Hide an entry (number + 1) that is in the trie."""
    element = base + (entry - 1) * stride
    bits = load32(element + LEN)
    if bits == 0:
        atomic_store32(head + H_DEFAULT, 0)
        return 0
    data = element + DATA
    array = head + ROOT
    bit = 0
    end = root_bits(size)
    cut = 0  # the lowest slot below which there is nothing but the way to this entry
    cut_bit = 0
    while 1:
        index = slot_of(data, size, bit)
        where = array + index * 8
        if bits <= end:
            count = 1 << (end - bits)
            replace_in(base, stride, array, index & ~(count - 1), count, entry, load32(element))
            break
        below = load64(where) >> 32
        if below >= ONLY:
            atomic_store64(where, load64(where) & LOW)
            break
        if bit == 0 or holds_more(array, index):
            cut = where
            cut_bit = end
        array = nodes_of(head) + (below - 1) * NODE
        bit = end
        end = end + STEP
    if bit != 0 and is_empty(array):
        prune(head, size, data, cut_bit, end, cut)
    return 0


@native
def put(desc: int, key: int, value: int, flags: int) -> int:
    """Insert or replace."""
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    stride = load32(head + H_STRIDE)
    size = size_of(desc)
    bits = load32(key)
    if flags > BPF_EXIST or bits > size * 8:
        return neg(EINVAL)
    acquire(head + H_LOCK)
    result = 0
    old = exact(base, stride, head, size, key + LEN, bits)
    if old:
        if flags == BPF_NOEXIST:
            result = neg(EEXIST)
    elif flags == BPF_EXIST:
        result = neg(ENOENT)
    elif load32(head + H_COUNT) >= load32(desc + DESC_MAX_ENTRIES):
        result = neg(ENOSPC)
    if result == 0:
        entry = take_element(head)
        if entry == 0:
            result = neg(ENOSPC)
        else:
            element = base + (entry - 1) * stride
            store32(element, 0)
            memcpy(element + LEN, key, size + 4)
            memcpy(element + value_offset(desc), value, load32(desc + DESC_VALUE_SIZE))
            result = link(base, stride, head, size, entry, old)
            if result:
                give_element(head, entry - 1)
            elif old:
                give_element(head, old - 1)
            else:
                store32(head + H_COUNT, load32(head + H_COUNT) + 1)
    release(head + H_LOCK)
    return result


@native
def any_update(rt: int, desc: int, key: int, value: int, flags: int) -> int:
    return put(desc, key, value, flags)


@native
def any_delete(rt: int, desc: int, key: int) -> int:
    base = load64(desc + DESC_BASE)
    head = load64(desc + DESC_PRIVATE)
    stride = load32(head + H_STRIDE)
    size = size_of(desc)
    bits = load32(key)
    if bits > size * 8:
        return neg(EINVAL)
    acquire(head + H_LOCK)
    entry = exact(base, stride, head, size, key + LEN, bits)
    if entry:
        unlink(base, stride, head, size, entry)
        give_element(head, entry - 1)
        store32(head + H_COUNT, load32(head + H_COUNT) - 1)
    release(head + H_LOCK)
    return 0 if entry else neg(ENOENT)


@native
def read(desc: int, key: int, out: int) -> int:
    """Copy the value of the longest prefix out; ENOENT."""
    value = any_lookup(0, desc, key)
    if value == 0:
        return neg(ENOENT)
    memcpy(out, value, load32(desc + DESC_VALUE_SIZE))
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


class LpmTrieMap(Map):
    """LPM_TRIE."""

    TYPES = (MapType.LPM_TRIE,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {
        "lookup": any_lookup,
        "update": any_update,
        "delete": any_delete,
        "read": read,
        "key_after": key_after,
    }

    @property
    def data_size(self) -> int:
        """Bytes of a key without its length."""
        return self.key_size - 4

    @property
    def value_at(self) -> int:
        """Where in an element the value begins."""
        return DATA + round8(self.data_size)

    @property
    def element_size(self) -> int:
        return self.value_at + self.stride

    @property
    def capacity(self) -> int:
        return self.max_entries + SPARE

    @property
    def private_off(self) -> int:
        return page_up(self.capacity * self.element_size)

    def _offsets(self) -> tuple[int, int, int, int]:
        """Offsets from the header of queue, stack and nodes, and how many nodes there are: enough for the worst keys."""
        root = 8 << (8 if self.data_size == 1 else 16)
        levels = max(0, self.data_size * 8 - 16) // STEP
        queue = ROOT + root
        stack = queue + self.capacity * 4
        room = (MAX_REGION - self.private_off - stack - 2 * PAGE) // (NODE + 4)
        count = max(0, min(self.capacity * levels, room, ONLY - 2))
        return queue, stack, page_up(stack + count * 4), count

    @property
    def nodes_off(self) -> int:
        """Offset of the nodes in the region."""
        return self.private_off + self._offsets()[2]

    def plan(self) -> int:
        _, _, nodes, count = self._offsets()
        return self.private_off + nodes + count * NODE

    def prepare(self) -> None:
        queue, stack, nodes, count = self._offsets()
        fields = (0, 0, 0, self.capacity, 0, 0, 0, 0, count, 0, self.element_size, 0, queue, stack, nodes)
        struct.pack_into("<4I2Q6I3Q", self.region.map, self.private_off, *fields)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        if op != "lookup":
            return None
        return lookup, {
            "base": Sym("base", self.region.addr),
            "head": Sym("head", self.region.addr + self.private_off),
            "nodes": Sym("nodes", self.region.addr + self.nodes_off),
            "stride": self.element_size,
            "size": self.data_size,
            "value_at": self.value_at,
        }

    def owns(self, addr: int, size: int) -> bool:
        off = addr - self.region.addr
        if not 0 <= off < self.capacity * self.element_size:
            return False
        inside = off % self.element_size - self.value_at
        return inside >= 0 and inside + size <= self.stride

    def __len__(self) -> int:
        return int(struct.unpack_from("<I", self.region.map, self.private_off + H_COUNT)[0])

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> bytes:
        out = bytearray(self.value_size)
        checked(self.natives().read(self.desc, self._key(key), out))
        return bytes(out)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        checked(self.natives().update(0, self.desc, self._key(key), self._value(value), flags))

    def delete(self, key: bytes) -> None:
        checked(self.natives().delete(0, self.desc, self._key(key)))

    def next_key(self, key: bytes | None) -> bytes:
        out = bytearray(self.key_size)
        checked(self.natives().key_after(self.desc, 0 if key is None else self._key(key), out))
        return bytes(out)
