"""Dynptrs when a program runs: 16 bytes on its stack, laid out as Linux does.

    0  u64 data      address of the memory, or of the context for packets; 0: no dynptr
    8  u32 size      24 bits of bytes, then kind (3 bits from 28 on) and read-only (bit 31)
    12 u32 offset    of the first byte in the memory

Every read and write is checked against size and offset; what does not fit is -E2BIG, what is no dynptr -EINVAL.
"""

from __future__ import annotations

import errno
from typing import Final

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import native_body
from userbpf.helpers.packet import packet_at
from userbpf.maps.ringbuf import any_reserve, discard, submit
from userbpf.native import NativeFn, load32, load64, memcpy, memmove, memset, native, neg, store32, store64
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, CTX_DATA_META

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
ERANGE = errno.ERANGE
EOPNOTSUPP = errno.EOPNOTSUPP

MAX_SIZE = (1 << 24) - 1
KIND_SHIFT = 28
KIND_MASK = 7
RDONLY_SHIFT = 31
LOCAL = 1
RINGBUF = 2
SKB = 3
XDP = 4
SKB_META = 5
RECOMPUTE_CSUM_AND_HASH = 3


@native
def make(ptr: int, data: int, kind: int, offset: int, size: int, rdonly: int) -> int:
    """Fill in a dynptr."""
    store64(ptr, data)
    store32(ptr + 8, size | (kind << KIND_SHIFT) | (rdonly << RDONLY_SHIFT))
    store32(ptr + 12, offset)
    return 0


@native
def unmake(ptr: int) -> int:
    """No dynptr any more."""
    store64(ptr, 0)
    store64(ptr + 8, 0)
    return 0


@native
def size_of(ptr: int) -> int:
    return load32(ptr + 8) & MAX_SIZE


@native
def kind_of(ptr: int) -> int:
    return (load32(ptr + 8) >> KIND_SHIFT) & KIND_MASK


@native
def is_rdonly(ptr: int) -> int:
    return load32(ptr + 8) >> RDONLY_SHIFT


@native
def outside(ptr: int, offset: int, length: int) -> int:
    """Whether `length` bytes at `offset` are not all there."""
    size = size_of(ptr)
    return length > size or offset > size - length


@native
def address(ptr: int, offset: int, length: int) -> int:
    """Where the bytes lie, for those that are inside; 0 where the packet has become shorter."""
    kind = kind_of(ptr)
    data = load64(ptr)
    at = load32(ptr + 12) + offset
    if kind == SKB or kind == XDP:
        return packet_at(data, at, length)
    if kind == SKB_META:
        meta = load64(data + CTX_DATA_META)
        if at + length > load64(data + CTX_DATA) - meta:
            return 0
        return meta + at
    return data + at


# --- helpers --------------------------------------------------------------------------------------------------------------


@native_body(HelperId.dynptr_from_mem)
@native
def from_mem(rt: int, data: int, size: int, flags: int, ptr: int) -> int:
    """A dynptr to memory of a map value."""
    size = size & 0xFFFFFFFF
    unmake(ptr)
    if size > MAX_SIZE:
        return neg(E2BIG)
    if flags:
        return neg(EINVAL)
    make(ptr, data, LOCAL, 0, size, 0)
    return 0


@native_body(HelperId.ringbuf_reserve_dynptr)
@native
def reserve_dynptr(rt: int, desc: int, size: int, flags: int, ptr: int) -> int:
    """A dynptr to a new record of a ring buffer; a null one where there is no room."""
    size = size & 0xFFFFFFFF
    unmake(ptr)
    if flags:
        return neg(EINVAL)
    if size > MAX_SIZE:
        return neg(E2BIG)
    record = any_reserve(rt, desc, size, 0)
    if record == 0:
        return neg(EINVAL)
    make(ptr, record, RINGBUF, 0, size, 0)
    return 0


@native_body(HelperId.ringbuf_submit_dynptr)
@native
def submit_dynptr(rt: int, ptr: int, flags: int) -> int:
    """Hand the record to the consumer."""
    record = load64(ptr)
    if record == 0:
        return 0
    unmake(ptr)
    return submit(rt, record, flags)


@native_body(HelperId.ringbuf_discard_dynptr)
@native
def discard_dynptr(rt: int, ptr: int, flags: int) -> int:
    """Drop the record."""
    record = load64(ptr)
    if record == 0:
        return 0
    unmake(ptr)
    return discard(rt, record, flags)


@native_body(HelperId.dynptr_read)
@native
def read(rt: int, dst: int, length: int, ptr: int, offset: int, flags: int) -> int:
    """Copy out."""
    length = length & 0xFFFFFFFF
    offset = offset & 0xFFFFFFFF
    if load64(ptr) == 0 or flags:
        return neg(EINVAL)
    if outside(ptr, offset, length):
        return neg(E2BIG)
    src = address(ptr, offset, length)
    if src == 0:
        memset(dst, 0, length)
        return neg(errno_efault())
    memmove(dst, src, length)
    return 0


@native
def errno_efault() -> int:
    return 14


@native_body(HelperId.dynptr_write)
@native
def write(rt: int, ptr: int, offset: int, src: int, length: int, flags: int) -> int:
    """Copy in; only packets of the stack take flags (checksums and the flow hash)."""
    length = length & 0xFFFFFFFF
    offset = offset & 0xFFFFFFFF
    if load64(ptr) == 0 or is_rdonly(ptr):
        return neg(EINVAL)
    if outside(ptr, offset, length):
        return neg(E2BIG)
    if flags and (kind_of(ptr) != SKB or flags > RECOMPUTE_CSUM_AND_HASH):
        return neg(EINVAL)
    dst = address(ptr, offset, length)
    if dst == 0:
        return neg(errno_efault())
    memmove(dst, src, length)
    return 0


@native_body(HelperId.dynptr_data)
@native
def data(rt: int, ptr: int, offset: int, length: int) -> int:
    """The address of the bytes, or 0: packets may move and have none."""
    length = length & 0xFFFFFFFF
    offset = offset & 0xFFFFFFFF
    if load64(ptr) == 0 or is_rdonly(ptr) or kind_of(ptr) > RINGBUF:
        return 0
    if outside(ptr, offset, length):
        return 0
    return address(ptr, offset, length)


# --- kernel functions -----------------------------------------------------------------------------------------------------


@native
def from_packet(rt: int, ctx: int, flags: int, ptr: int, *, kind: int, rdonly: int) -> int:
    """A dynptr to the packet of the context."""
    unmake(ptr)
    if flags:
        return neg(EINVAL)
    make(ptr, ctx, kind, 0, load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA), rdonly)
    return 0


@native
def from_skb_meta(rt: int, ctx: int, flags: int, ptr: int) -> int:
    """A dynptr to the meta data before the packet."""
    unmake(ptr)
    if flags:
        return neg(EINVAL)
    make(ptr, ctx, SKB_META, 0, load64(ctx + CTX_DATA) - load64(ctx + CTX_DATA_META), 0)
    return 0


@native
def part(rt: int, ptr: int, offset: int, buffer: int, size: int) -> int:
    """bpf_dynptr_slice: our packets are in one piece, so the buffer is never needed."""
    size = size & 0xFFFFFFFF
    offset = offset & 0xFFFFFFFF
    if load64(ptr) == 0 or outside(ptr, offset, size):
        return 0
    return address(ptr, offset, size)


@native
def part_rdwr(rt: int, ptr: int, offset: int, buffer: int, size: int) -> int:
    """bpf_dynptr_slice_rdwr."""
    if load64(ptr) == 0 or is_rdonly(ptr):
        return 0
    return part(rt, ptr, offset, buffer, size)


@native
def adjust(rt: int, ptr: int, start: int, end: int) -> int:
    """Make it shorter: bytes start to end of what it was."""
    start = start & 0xFFFFFFFF
    end = end & 0xFFFFFFFF
    if load64(ptr) == 0 or start > end:
        return neg(EINVAL)
    size = size_of(ptr)
    if start > size or end > size:
        return neg(ERANGE)
    store32(ptr + 12, load32(ptr + 12) + start)
    store32(ptr + 8, (load32(ptr + 8) & 0xFF000000) | (end - start))
    return 0


@native
def is_null(rt: int, ptr: int) -> int:
    return load64(ptr) == 0


@native
def not_writable(rt: int, ptr: int) -> int:
    """bpf_dynptr_is_rdonly: false for what is no dynptr."""
    if load64(ptr) == 0:
        return 0
    return is_rdonly(ptr)


@native
def length_of(rt: int, ptr: int) -> int:
    """bpf_dynptr_size; -EINVAL (as u32) for what is no dynptr."""
    if load64(ptr) == 0:
        return neg(EINVAL) & 0xFFFFFFFF
    return size_of(ptr)


@native
def clone(rt: int, ptr: int, new: int) -> int:
    """A second dynptr to the same memory."""
    if load64(ptr) == 0:
        unmake(new)
        return neg(EINVAL)
    memcpy(new, ptr, 16)
    return 0


@native
def copy(rt: int, dst: int, dst_off: int, src: int, src_off: int, size: int) -> int:
    """Bytes of one dynptr into another."""
    size = size & 0xFFFFFFFF
    dst_off = dst_off & 0xFFFFFFFF
    src_off = src_off & 0xFFFFFFFF
    if load64(dst) == 0 or load64(src) == 0 or is_rdonly(dst):
        return neg(EINVAL)
    if outside(dst, dst_off, size) or outside(src, src_off, size):
        return neg(E2BIG)
    to = address(dst, dst_off, size)
    source = address(src, src_off, size)
    if to == 0 or source == 0:
        return neg(errno_efault())
    memmove(to, source, size)
    return 0


@native
def fill(rt: int, ptr: int, offset: int, size: int, value: int) -> int:
    """bpf_dynptr_memset."""
    size = size & 0xFFFFFFFF
    offset = offset & 0xFFFFFFFF
    if load64(ptr) == 0 or is_rdonly(ptr):
        return neg(EINVAL)
    if outside(ptr, offset, size):
        return neg(E2BIG)
    to = address(ptr, offset, size)
    if to == 0:
        return neg(errno_efault())
    memset(to, value & 255, size)
    return 0


KFUNCS: Final[dict[str, NativeFn[...]]] = {
    "bpf_dynptr_from_skb_meta": from_skb_meta,
    "bpf_dynptr_slice": part,
    "bpf_dynptr_slice_rdwr": part_rdwr,
    "bpf_dynptr_adjust": adjust,
    "bpf_dynptr_is_null": is_null,
    "bpf_dynptr_is_rdonly": not_writable,
    "bpf_dynptr_size": length_of,
    "bpf_dynptr_clone": clone,
    "bpf_dynptr_copy": copy,
    "bpf_dynptr_memset": fill,
}
