"""LPM_TRIE: the longest prefix that matches.

A key is a length in bits (u32) and the data whose first bits count. Linux walks a binary trie, a cache line a branch; here the
trie is wide (`lpm_trie`), and this module changes it.

Writers hold one lock, make what is new complete before they show it, and give elements back to the end of a queue, so that
one that is still read is the last to be used again.
"""

from __future__ import annotations

import errno
import struct
from typing import ClassVar

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, BPF_NOEXIST, DESC_PRIVATE, MAX_REGION, Consts, Map, checked, round8
from userbpf.maps.locks import acquire, release
from userbpf.maps.lpm_trie import (
    DATA,
    H_CAPACITY,
    H_COUNT,
    H_DEFAULT,
    H_GIVEN,
    H_LOCK,
    H_NODES,
    H_NODES_FREE,
    H_NODES_USED,
    H_QUEUE_OFF,
    H_STACK_OFF,
    H_STRIDE,
    H_TAKEN,
    H_USED,
    LEN,
    LOW,
    NODE,
    ONLY,
    QUARANTINE,
    ROOT,
    SPARE,
    STEP,
    any_lookup,
    exact,
    index_at,
    key_after,
    lookup,
    nodes_of,
    root_bits,
    size_of,
    slot_of,
    up_to,
    value_offset,
)
from userbpf.native import (
    NativeFn,
    Sym,
    atomic_store32,
    atomic_store64,
    load32,
    load64,
    memcpy,
    native,
    neg,
    store32,
    store64,
)
from userbpf.native.region import PAGE, page_up
from userbpf.native.rt import DESC_BASE, DESC_MAX_ENTRIES, DESC_VALUE_SIZE

EINVAL = errno.EINVAL
EEXIST = errno.EEXIST
ENOENT = errno.ENOENT
ENOSPC = errno.ENOSPC
ENOMEM = errno.ENOMEM

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
