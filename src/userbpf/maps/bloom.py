"""BLOOM_FILTER: a set that may say "perhaps" of a value that was never put in, and never "no" of one that was.

map_extra is the number of bits a value sets (0 means 5). max_entries values of k bits each fill half of k * max_entries / ln 2
bits, where the filter is at its best; that, rounded up to a power of two, is its size. One hash gives all k bits: its
halves are start and (odd) step.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.maps.base import DESC_PRIVATE, Consts, Map, checked, fail
from userbpf.maps.hash import hash_of
from userbpf.native import NativeFn, Sym, atomic_or64, load64, mulhi64, native, neg, store64
from userbpf.native.rt import DESC_BASE, DESC_VALUE_SIZE

EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
DEFAULT_BITS: Final = 5
MAX_FILTER_BITS: Final = 1 << 32
H_MASK: Final = 0  # u64 bits of the filter - 1
H_BITS: Final = 8  # u64 bits a value sets


@native(inline=True)
def step_of(h: int) -> int:
    """The distance between a value's bits, from another mixture of its hash."""
    return mulhi64(h, 0xD6E8FEB86659FD93) ^ (h << 32) | 1


@native
def push_to(base: int, mask: int, bits: int, size: int, value: int, flags: int) -> int:
    """Put a value in."""
    if flags:
        return neg(EINVAL)
    h = hash_of(value, size)
    step = step_of(h)
    while bits:
        at = h & mask
        word = base + (at >> 6) * 8
        bit = 1 << (at & 63)
        if load64(word) & bit == 0:
            atomic_or64(word, bit)
        h = h + step
        bits = bits - 1
    return 0


@native
def peek_in(base: int, mask: int, bits: int, size: int, value: int) -> int:
    """0 where the value may be in, -ENOENT where it is not."""
    h = hash_of(value, size)
    step = step_of(h)
    while bits:
        at = h & mask
        if load64(base + (at >> 6) * 8) >> (at & 63) & 1 == 0:
            return neg(ENOENT)
        h = h + step
        bits = bits - 1
    return 0


@native
def push(rt: int, value: int, flags: int, *, base: int, mask: int, bits: int, size: int) -> int:
    """For a program that knows the map."""
    return push_to(base, mask, bits, size, value, flags)


@native
def peek(rt: int, value: int, *, base: int, mask: int, bits: int, size: int) -> int:
    """For a program that knows the map."""
    return peek_in(base, mask, bits, size, value)


@native
def any_push(rt: int, desc: int, value: int, flags: int) -> int:
    head = load64(desc + DESC_PRIVATE)
    size = load64(desc + DESC_VALUE_SIZE) & 0xFFFFFFFF
    return push_to(load64(desc + DESC_BASE), load64(head + H_MASK), load64(head + H_BITS), size, value, flags)


@native
def any_peek(rt: int, desc: int, value: int) -> int:
    head = load64(desc + DESC_PRIVATE)
    size = load64(desc + DESC_VALUE_SIZE) & 0xFFFFFFFF
    return peek_in(load64(desc + DESC_BASE), load64(head + H_MASK), load64(head + H_BITS), size, value)


class BloomFilterMap(Map):
    """BLOOM_FILTER. At the syscall an update puts a value in, and a lookup asks: the value is the question."""

    TYPES = (MapType.BLOOM_FILTER,)
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {"push": any_push, "peek": any_peek}

    @property
    def bits(self) -> int:
        """Bits that a value sets."""
        return self.map_extra & 15 or DEFAULT_BITS

    @property
    def filter_bits(self) -> int:
        """Bits of the filter."""
        wanted = max(64, self.max_entries * self.bits * 1000 // 693)
        return min(1 << (wanted - 1).bit_length(), MAX_FILTER_BITS)

    @property
    def private_off(self) -> int:
        return self.filter_bits // 8

    def plan(self) -> int:
        return self.private_off + 64

    def prepare(self) -> None:
        store64(self.region.addr + self.private_off + H_MASK, self.filter_bits - 1)
        store64(self.region.addr + self.private_off + H_BITS, self.bits)

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        shape: Consts = {
            "base": Sym("base", self.region.addr),
            "mask": self.filter_bits - 1,
            "bits": self.bits,
            "size": self.value_size,
        }
        match op:
            case "push":
                return push, shape
            case "peek":
                return peek, shape
        return None

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        checked(self.natives().push(0, self.desc, self._value(value), flags))

    def lookup(self, key: bytes) -> bytes:
        """Whether the value `key` may be in: itself, or ENOENT."""
        checked(self.natives().peek(0, self.desc, self._value(key)))
        return key

    def delete(self, key: bytes) -> None:
        raise fail(errno.EOPNOTSUPP)

    def next_key(self, key: bytes | None) -> bytes:
        raise fail(errno.EOPNOTSUPP)
