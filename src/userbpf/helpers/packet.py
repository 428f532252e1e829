"""Packet bytes: load, store, checksum, and the XDP frame's head, tail and meta data.

All of it works on the context words (`native.rt`): data, data_end, data_meta and the ends of the buffer.
"""

from __future__ import annotations

import errno

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import native_body
from userbpf.native import (
    bswap16,
    load8,
    load16,
    load32,
    load64,
    memcpy,
    memmove,
    memset,
    native,
    neg,
    slt64,
    store16,
    store32,
    store64,
)
from userbpf.native.rt import (
    CTX_DATA,
    CTX_DATA_END,
    CTX_DATA_META,
    CTX_HARD_END,
    CTX_HARD_START,
    CTX_LINK_BYTES,
)

EFAULT = errno.EFAULT
EINVAL = errno.EINVAL
ENOTSUPP = 524  # Linux's internal ENOTSUPP, which helpers do return
EOPNOTSUPP = errno.EOPNOTSUPP
ENOMEM = errno.ENOMEM

ETH_HLEN = 14
XDP_FRAME_BYTES = 40  # struct xdp_frame, kept free at the buffer's start
SKB_LEN = 0  # offsets in struct __sk_buff
SKB_HASH = 68
SKB_PKT_TYPE = 4
SKB_MAX_OFFSET = 0xFFFF

BPF_F_RECOMPUTE_CSUM = 1
BPF_F_INVALIDATE_HASH = 2
BPF_F_HDR_FIELD_MASK = 0xF
BPF_F_PSEUDO_HDR = 0x10
BPF_F_MARK_MANGLED_0 = 0x20
BPF_F_MARK_ENFORCE = 0x40
BPF_F_IPV6 = 0x80
CSUM_MANGLED_0 = 0xFFFF


@native
def packet_at(ctx: int, off: int, length: int) -> int:
    """Address of `length` packet bytes at `off`, or 0 where they are not all there."""
    data = load64(ctx + CTX_DATA)
    size = load64(ctx + CTX_DATA_END) - data
    if off > size or length > size - off:
        return 0
    return data + off


@native_body(HelperId.skb_load_bytes)
@native
def skb_load_bytes(rt: int, ctx: int, off: int, to: int, length: int) -> int:
    """Copy packet bytes to `to`; -EFAULT and zeroes where they are not all there."""
    off = off & 0xFFFFFFFF
    length = length & 0xFFFFFFFF
    src = packet_at(ctx, off, length)
    if off > 0x7FFFFFFF or src == 0:
        memset(to, 0, length)
        return neg(EFAULT)
    memcpy(to, src, length)
    return 0


@native_body(HelperId.skb_load_bytes_relative)
@native
def skb_load_bytes_relative(rt: int, ctx: int, off: int, to: int, length: int, start: int) -> int:
    """Copy bytes counted from the Ethernet header (start 0) or from the network header (start 1)."""
    off = off & 0xFFFFFFFF
    length = length & 0xFFFFFFFF
    src = load64(ctx + CTX_DATA) - load64(ctx + CTX_LINK_BYTES) + off
    if start == 1:
        src = src + ETH_HLEN
    if off > SKB_MAX_OFFSET or start > 1 or src + length > load64(ctx + CTX_DATA_END):
        memset(to, 0, length)
        return neg(EFAULT)
    memcpy(to, src, length)
    return 0


@native_body(HelperId.skb_store_bytes)
@native
def skb_store_bytes(rt: int, ctx: int, off: int, src: int, length: int, flags: int) -> int:
    """Write packet bytes. Without offloads there is no skb->csum to update, so RECOMPUTE_CSUM changes nothing else."""
    off = off & 0xFFFFFFFF
    length = length & 0xFFFFFFFF
    if flags > (BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH):
        return neg(EINVAL)
    dst = packet_at(ctx, off, length)
    if off > 0x7FFFFFFF or dst == 0:
        return neg(EFAULT)
    memcpy(dst, src, length)
    if flags & BPF_F_INVALIDATE_HASH:
        store32(ctx + SKB_HASH, 0)
    return 0


@native_body(HelperId.xdp_load_bytes)
@native
def xdp_load_bytes(rt: int, ctx: int, off: int, to: int, length: int) -> int:
    """Copy frame bytes to `to`; -EINVAL where they are not all there, -EFAULT beyond 64 KiB."""
    off = off & 0xFFFFFFFF
    length = length & 0xFFFFFFFF
    if off > SKB_MAX_OFFSET or length > SKB_MAX_OFFSET:
        return neg(EFAULT)
    src = packet_at(ctx, off, length)
    if src == 0:
        return neg(EINVAL)
    memcpy(to, src, length)
    return 0


@native_body(HelperId.xdp_store_bytes)
@native
def xdp_store_bytes(rt: int, ctx: int, off: int, src: int, length: int) -> int:
    """Write frame bytes; errors as xdp_load_bytes."""
    off = off & 0xFFFFFFFF
    length = length & 0xFFFFFFFF
    if off > SKB_MAX_OFFSET or length > SKB_MAX_OFFSET:
        return neg(EFAULT)
    dst = packet_at(ctx, off, length)
    if dst == 0:
        return neg(EINVAL)
    memcpy(dst, src, length)
    return 0


@native_body(HelperId.xdp_get_buff_len)
@native
def xdp_get_buff_len(rt: int, ctx: int) -> int:
    """Bytes of the frame."""
    return load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA)


@native_body(HelperId.xdp_adjust_head)
@native
def xdp_adjust_head(rt: int, ctx: int, delta: int) -> int:
    """Move the frame's start by `delta` (negative grows); meta data moves along."""
    delta = sext_int(delta)
    data = load64(ctx + CTX_DATA)
    meta = load64(ctx + CTX_DATA_META)
    metalen = data - meta
    start = data + delta
    lowest = load64(ctx + CTX_HARD_START) + XDP_FRAME_BYTES + metalen
    if slt64(start, lowest) or slt64(load64(ctx + CTX_DATA_END) - ETH_HLEN, start):
        return neg(EINVAL)
    if metalen:
        memmove(meta + delta, meta, metalen)
    store64(ctx + CTX_DATA_META, meta + delta)
    store64(ctx + CTX_DATA, start)
    return 0


@native
def sext_int(value: int) -> int:
    """A C `int` argument as a 64-bit value."""
    value = value & 0xFFFFFFFF
    if value & 0x80000000:
        return value | 0xFFFFFFFF00000000
    return value


@native_body(HelperId.xdp_adjust_tail)
@native
def xdp_adjust_tail(rt: int, ctx: int, delta: int) -> int:
    """Move the frame's end by `delta`; what is gained is zero."""
    delta = sext_int(delta)
    end = load64(ctx + CTX_DATA_END)
    new_end = end + delta
    if slt64(load64(ctx + CTX_HARD_END), new_end):
        return neg(EINVAL)
    if slt64(new_end, load64(ctx + CTX_DATA) + ETH_HLEN):
        return neg(EINVAL)
    if slt64(0, delta):
        memset(end, 0, delta)
    store64(ctx + CTX_DATA_END, new_end)
    return 0


@native_body(HelperId.xdp_adjust_meta)
@native
def xdp_adjust_meta(rt: int, ctx: int, delta: int) -> int:
    """Move the start of the meta data before the frame: multiples of 4, at most 255 bytes of it."""
    delta = sext_int(delta)
    data = load64(ctx + CTX_DATA)
    meta = load64(ctx + CTX_DATA_META) + delta
    if slt64(meta, load64(ctx + CTX_HARD_START) + XDP_FRAME_BYTES) or meta > data:
        return neg(EINVAL)
    metalen = data - meta
    if metalen & 3 or metalen > 255:
        return neg(errno_eacces())
    store64(ctx + CTX_DATA_META, meta)
    return 0


@native
def errno_eacces() -> int:
    return 13


# --- checksums ---------------------------------------------------------------------------------------------------------


@native
def csum_fold32(total: int) -> int:
    """Fold a 64-bit sum of 16-bit words to 32 bits with end-around carry."""
    total = (total & 0xFFFFFFFF) + (total >> 32)
    total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


@native
def csum_fold16(total: int) -> int:
    """Fold to 16 bits."""
    total = csum_fold32(total)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total


@native
def csum_bytes(addr: int, length: int) -> int:
    """The sum of `length` bytes as 32-bit words, unfolded."""
    total = 0
    i = 0
    while i + 4 <= length:
        total = total + load32(addr + i)
        i = i + 4
    if length & 2:
        total = total + load16(addr + i)
        i = i + 2
    if length & 1:
        total = total + load8(addr + i)
    return total


@native_body(HelperId.csum_diff)
@native
def csum_diff(rt: int, from_addr: int, from_size: int, to_addr: int, to_size: int, seed: int) -> int:
    """seed + sum(to) - sum(from), as a 32-bit partial checksum folded to 16 bits as 6.18 returns it."""
    from_size = from_size & 0xFFFFFFFF
    to_size = to_size & 0xFFFFFFFF
    if (from_size | to_size) & 3:
        return neg(EINVAL)
    total = seed & 0xFFFFFFFF
    if to_size:
        total = csum_fold32(total + csum_fold32(csum_bytes(to_addr, to_size)))
    if from_size:
        total = csum_fold32(total + (csum_fold32(csum_bytes(from_addr, from_size)) ^ 0xFFFFFFFF))
    return csum_fold16(total)


@native
def csum_replace_by_diff(ptr: int, diff: int) -> int:
    """*ptr, a folded checksum, after adding the 32-bit partial sum `diff`."""
    total = csum_fold32((diff & 0xFFFFFFFF) + (load16(ptr) ^ 0xFFFF))
    store16(ptr, csum_fold16(total) ^ 0xFFFF)
    return 0


@native
def csum_replace(ptr: int, old: int, new: int, size: int) -> int:
    """Update a folded checksum for a field of 2 or 4 bytes that changed from old to new; 0 when size is neither."""
    if size == 4:
        diff = csum_fold32((old & 0xFFFFFFFF ^ 0xFFFFFFFF) + (new & 0xFFFFFFFF))
        csum_replace_by_diff(ptr, diff)
        return 1
    if size == 2:
        diff = csum_fold32((old & 0xFFFF ^ 0xFFFF) + (new & 0xFFFF))
        csum_replace_by_diff(ptr, diff)
        return 1
    return 0


@native_body(HelperId.l3_csum_replace)
@native
def l3_csum_replace(rt: int, ctx: int, offset: int, old: int, new: int, flags: int) -> int:
    """Update the checksum at `offset`; size in the low bits of flags: 0 (new is a csum_diff), 2 or 4."""
    offset = offset & 0xFFFFFFFF
    if flags > BPF_F_HDR_FIELD_MASK:
        return neg(EINVAL)
    if offset > SKB_MAX_OFFSET or offset & 1:
        return neg(EFAULT)
    ptr = packet_at(ctx, offset, 2)
    if ptr == 0:
        return neg(EFAULT)
    if flags == 0:
        if old != 0:
            return neg(EINVAL)
        csum_replace_by_diff(ptr, new)
        return 0
    if csum_replace(ptr, old, new, flags) == 0:
        return neg(EINVAL)
    return 0


@native_body(HelperId.l4_csum_replace)
@native
def l4_csum_replace(rt: int, ctx: int, offset: int, old: int, new: int, flags: int) -> int:
    """As l3_csum_replace; MARK_MANGLED_0 leaves a zero UDP checksum alone and writes 0xffff for a computed zero."""
    offset = offset & 0xFFFFFFFF
    known = BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK | BPF_F_IPV6
    if (flags | known) != known:
        return neg(EINVAL)
    if offset > SKB_MAX_OFFSET or offset & 1:
        return neg(EFAULT)
    ptr = packet_at(ctx, offset, 2)
    if ptr == 0:
        return neg(EFAULT)
    is_mmzero = flags & BPF_F_MARK_MANGLED_0
    if is_mmzero and not (flags & BPF_F_MARK_ENFORCE) and load16(ptr) == 0:
        return 0
    size = flags & BPF_F_HDR_FIELD_MASK
    if size == 0:
        if old != 0:
            return neg(EINVAL)
        csum_replace_by_diff(ptr, new)
    elif csum_replace(ptr, old, new, size) == 0:
        return neg(EINVAL)
    if is_mmzero and load16(ptr) == 0:
        store16(ptr, CSUM_MANGLED_0)
    return 0


@native_body(HelperId.csum_update)
@native
def csum_update(rt: int, ctx: int, csum: int) -> int:
    """Without a hardware checksum (CHECKSUM_COMPLETE) there is nothing to update."""
    return neg(ENOTSUPP)


@native_body(HelperId.csum_level)
@native
def csum_level(rt: int, ctx: int, level: int) -> int:
    """Checksum levels exist for CHECKSUM_UNNECESSARY alone: query answers -EACCES, the rest is accepted."""
    if level == 0:
        return neg(errno_eacces())
    if level > 3:
        return neg(EINVAL)
    return 0


# --- flow hash ---------------------------------------------------------------------------------------------------------


@native
def mix64(h: int, v: int) -> int:
    """One multiply-and-fold round."""
    h = (h ^ v) * 0x9E3779B97F4A7C15
    return h ^ (h >> 29)


@native_body(HelperId.get_hash_recalc)
@native
def get_hash_recalc(rt: int, ctx: int) -> int:
    """The flow hash: computed once from addresses, protocol and ports, kept in the context, symmetric in no direction."""
    known = load32(ctx + SKB_HASH)
    if known:
        return known
    h = 0x243F6A8885A308D3
    data = load64(ctx + CTX_DATA)
    size = load64(ctx + CTX_DATA_END) - data
    if size >= 34:
        kind = bswap16(load16(data + 12))
        if kind == 0x0800:
            h = mix64(h, load64(data + 26))
            h = mix64(h, load8(data + 23))
            l4 = 14 + (load8(data + 14) & 15) * 4
            if size >= l4 + 4 and (bswap16(load16(data + 20)) & 0x3FFF) == 0:
                h = mix64(h, load32(data + l4))
        elif kind == 0x86DD and size >= 58:
            h = mix64(h, load64(data + 22))
            h = mix64(h, load64(data + 30))
            h = mix64(h, load64(data + 38))
            h = mix64(h, load64(data + 46))
            h = mix64(h, load8(data + 20))
            h = mix64(h, load32(data + 54))
        else:
            h = mix64(h, load64(data) ^ load64(data + 6))
    value = (h ^ (h >> 32)) & 0xFFFFFFFF
    if value == 0:
        value = 1
    store32(ctx + SKB_HASH, value)
    return value


@native_body(HelperId.set_hash_invalid)
@native
def set_hash_invalid(rt: int, ctx: int) -> int:
    """Forget the flow hash."""
    store32(ctx + SKB_HASH, 0)
    return 0


@native_body(HelperId.set_hash)
@native
def set_hash(rt: int, ctx: int, value: int) -> int:
    """Set the flow hash."""
    store32(ctx + SKB_HASH, value)
    return 0
