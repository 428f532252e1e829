"""What changes an skb's shape: head, tail, room between headers, VLAN tags, protocol; and where it goes next."""

from __future__ import annotations

import errno

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import native_body
from userbpf.helpers.packet import (
    EFAULT,
    EINVAL,
    ENOMEM,
    ENOTSUPP,
    ETH_HLEN,
    SKB_HASH,
    SKB_LEN,
    SKB_PKT_TYPE,
    sext_int,
)
from userbpf.native import (
    alloca,
    bswap16,
    call,
    load16,
    load32,
    load64,
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
    DESC_LOOKUP,
    DESC_TYPE,
    RT_REDIRECT_FLAGS,
    RT_REDIRECT_IFINDEX,
    RT_REDIRECT_KIND,
    RT_REDIRECT_MAP,
)

ERANGE = errno.ERANGE
SKB_PROTOCOL = 16  # offsets in struct __sk_buff
SKB_VLAN_PRESENT = 20
SKB_VLAN_TCI = 24
SKB_VLAN_PROTO = 28
SKB_MAX_LEN = 65535
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
ETH_P_8021Q = 0x8100
ETH_P_8021AD = 0x88A8

BPF_F_ADJ_ROOM_FIXED_GSO = 1
BPF_F_ADJ_ROOM_NO_CSUM_RESET = 0x20
BPF_F_ADJ_ROOM_MASK = 0x1FF
BPF_F_INGRESS = 1

REDIRECT_IFINDEX = 1
REDIRECT_TO_MAP = 2
TC_ACT_SHOT = 2
TC_ACT_REDIRECT = 7
XDP_ABORTED = 0
XDP_REDIRECT = 4


@native
def set_bounds(ctx: int, data: int, end: int) -> int:
    """Move the packet, keep len in step; meta data does not survive a change of shape."""
    store64(ctx + CTX_DATA, data)
    store64(ctx + CTX_DATA_META, data)
    store64(ctx + CTX_DATA_END, end)
    store32(ctx + SKB_LEN, end - data)
    return 0


@native
def room_open(ctx: int, off: int, length: int) -> int:
    """Insert `length` zero bytes at `off` by moving the head down; 0 or -ENOMEM."""
    data = load64(ctx + CTX_DATA)
    start = data - length
    if start < load64(ctx + CTX_HARD_START):
        return neg(ENOMEM)
    memmove(start, data, off)
    memset(start + off, 0, length)
    set_bounds(ctx, start, load64(ctx + CTX_DATA_END))
    return 0


@native
def room_close(ctx: int, off: int, length: int) -> int:
    """Remove `length` bytes at `off` by moving the head up."""
    data = load64(ctx + CTX_DATA)
    memmove(data + length, data, off)
    set_bounds(ctx, data + length, load64(ctx + CTX_DATA_END))
    return 0


@native_body(HelperId.skb_pull_data)
@native
def skb_pull_data(rt: int, ctx: int, length: int) -> int:
    """The packet is always linear, so only the length is checked."""
    length = length & 0xFFFFFFFF
    if length > load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA):
        return neg(ENOMEM)
    return 0


@native_body(HelperId.skb_change_tail)
@native
def skb_change_tail(rt: int, ctx: int, new_len: int, flags: int) -> int:
    """Grow with zeroes or trim to `new_len` bytes."""
    new_len = new_len & 0xFFFFFFFF
    if flags or new_len > SKB_MAX_LEN or new_len < ETH_HLEN:
        return neg(EINVAL)
    data = load64(ctx + CTX_DATA)
    end = load64(ctx + CTX_DATA_END)
    if data + new_len > load64(ctx + CTX_HARD_END):
        return neg(ENOMEM)
    if data + new_len > end:
        memset(end, 0, data + new_len - end)
    store64(ctx + CTX_DATA_END, data + new_len)
    store32(ctx + SKB_LEN, new_len)
    return 0


@native_body(HelperId.skb_change_head)
@native
def skb_change_head(rt: int, ctx: int, head_room: int, flags: int) -> int:
    """Put `head_room` zero bytes before the packet."""
    head_room = head_room & 0xFFFFFFFF
    size = load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA)
    if flags or head_room > SKB_MAX_LEN or size + head_room > SKB_MAX_LEN:
        return neg(EINVAL)
    return room_open(ctx, 0, head_room)


@native
def ethertype(ctx: int) -> int:
    """Ethernet type of the packet, 0 where it is shorter than its header."""
    data = load64(ctx + CTX_DATA)
    if load64(ctx + CTX_DATA_END) - data < ETH_HLEN:
        return 0
    return bswap16(load16(data + 12))


@native_body(HelperId.skb_adjust_room)
@native
def skb_adjust_room(rt: int, ctx: int, len_diff: int, mode: int, flags: int) -> int:
    """Open or close room after the Ethernet header (mode 1) or after the IP header (mode 0)."""
    len_diff = sext_int(len_diff)
    mode = mode & 0xFFFFFFFF
    shrink = slt64(len_diff, 0)
    amount = len_diff
    if shrink:
        amount = 0 - len_diff
    if flags > BPF_F_ADJ_ROOM_MASK:
        return neg(EINVAL)
    if amount > 0xFFF:
        return neg(EFAULT)
    kind = ethertype(ctx)
    header = 20
    if kind == ETH_P_IPV6:
        header = 40
    elif kind != ETH_P_IP:
        return neg(ENOTSUPP)
    at = ETH_HLEN
    if mode == 0:
        at = ETH_HLEN + header
    elif mode != 1:
        return neg(ENOTSUPP)
    size = load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA)
    if shrink:
        if amount + ETH_HLEN + header > size:
            return neg(ENOTSUPP)
        room_close(ctx, at, amount)
    else:
        if size + amount > SKB_MAX_LEN:
            return neg(ENOTSUPP)
        return room_open(ctx, at, amount)
    return 0


@native_body(HelperId.skb_change_proto)
@native
def skb_change_proto(rt: int, ctx: int, proto: int, flags: int) -> int:
    """Between IPv4 and IPv6: the room for the headers changes by 20 bytes; their content is the program's work."""
    if flags:
        return neg(EINVAL)
    proto = bswap16(proto & 0xFFFF)
    now = bswap16(load32(ctx + SKB_PROTOCOL) & 0xFFFF)
    if now == ETH_P_IP and proto == ETH_P_IPV6:
        failed = room_open(ctx, ETH_HLEN, 20)
        if failed:
            return failed
    elif now == ETH_P_IPV6 and proto == ETH_P_IP:
        room_close(ctx, ETH_HLEN, 20)
    else:
        return neg(ENOTSUPP)
    store32(ctx + SKB_PROTOCOL, bswap16(proto))
    store32(ctx + SKB_HASH, 0)
    return 0


@native_body(HelperId.skb_change_type)
@native
def skb_change_type(rt: int, ctx: int, pkt_type: int) -> int:
    """Change pkt_type among host, broadcast, multicast and otherhost (0..3)."""
    if load32(ctx + SKB_PKT_TYPE) > 3 or (pkt_type & 0xFFFFFFFF) > 3:
        return neg(EINVAL)
    store32(ctx + SKB_PKT_TYPE, pkt_type)
    return 0


@native_body(HelperId.skb_vlan_push)
@native
def skb_vlan_push(rt: int, ctx: int, vlan_proto: int, vlan_tci: int) -> int:
    """The new tag is kept beside the packet; one that was there already is written into it."""
    proto = bswap16(vlan_proto & 0xFFFF)
    if proto != ETH_P_8021Q and proto != ETH_P_8021AD:
        proto = ETH_P_8021Q
    if load32(ctx + SKB_VLAN_PRESENT):
        failed = room_open(ctx, 12, 4)
        if failed:
            return failed
        data = load64(ctx + CTX_DATA)
        store16(data + 12, load32(ctx + SKB_VLAN_PROTO))
        store16(data + 14, bswap16(load32(ctx + SKB_VLAN_TCI) & 0xFFFF))
        store32(ctx + SKB_PROTOCOL, load16(data + 12))
    store32(ctx + SKB_VLAN_PRESENT, 1)
    store32(ctx + SKB_VLAN_TCI, vlan_tci & 0xFFFF)
    store32(ctx + SKB_VLAN_PROTO, bswap16(proto))
    store32(ctx + SKB_HASH, 0)
    return 0


@native
def tag_out_of_packet(ctx: int) -> int:
    """Where the packet begins with a VLAN tag, take it out and keep it beside; 0 where there was none."""
    kind = ethertype(ctx)
    if kind != ETH_P_8021Q and kind != ETH_P_8021AD:
        return 0
    data = load64(ctx + CTX_DATA)
    if load64(ctx + CTX_DATA_END) - data < 18:
        return 0
    tci = bswap16(load16(data + 14))
    proto = load16(data + 12)
    room_close(ctx, 12, 4)
    store32(ctx + SKB_PROTOCOL, load16(load64(ctx + CTX_DATA) + 12))
    store32(ctx + SKB_VLAN_PRESENT, 1)
    store32(ctx + SKB_VLAN_TCI, tci)
    store32(ctx + SKB_VLAN_PROTO, proto)
    return 1


@native_body(HelperId.skb_vlan_pop)
@native
def skb_vlan_pop(rt: int, ctx: int) -> int:
    """Drop the tag kept beside the packet, or the one at its front; then the next one moves beside it."""
    if load32(ctx + SKB_VLAN_PRESENT):
        store32(ctx + SKB_VLAN_PRESENT, 0)
        store32(ctx + SKB_VLAN_TCI, 0)
        store32(ctx + SKB_VLAN_PROTO, 0)
    else:
        if tag_out_of_packet(ctx) == 0:
            return 0
        store32(ctx + SKB_VLAN_PRESENT, 0)
        store32(ctx + SKB_VLAN_TCI, 0)
        store32(ctx + SKB_VLAN_PROTO, 0)
    tag_out_of_packet(ctx)
    store32(ctx + SKB_HASH, 0)
    return 0


# --- where a packet goes -----------------------------------------------------------------------------------------------


@native
def remember_redirect(rt: int, kind: int, ifindex: int, flags: int) -> int:
    """Keep the target for the hook that runs the program."""
    store64(rt + RT_REDIRECT_KIND, kind)
    store64(rt + RT_REDIRECT_IFINDEX, ifindex & 0xFFFFFFFF)
    store64(rt + RT_REDIRECT_FLAGS, flags)
    return 0


@native
def skb_redirect(rt: int, ifindex: int, flags: int) -> int:
    """bpf_redirect of tc programs: TC_ACT_REDIRECT, or TC_ACT_SHOT for unknown flags."""
    if flags > BPF_F_INGRESS:
        return TC_ACT_SHOT
    remember_redirect(rt, REDIRECT_IFINDEX, ifindex, flags)
    return TC_ACT_REDIRECT


@native
def xdp_redirect(rt: int, ifindex: int, flags: int) -> int:
    """bpf_redirect of XDP programs: XDP_REDIRECT, or XDP_ABORTED for any flag."""
    if flags:
        return XDP_ABORTED
    remember_redirect(rt, REDIRECT_IFINDEX, ifindex, flags)
    return XDP_REDIRECT


@native_body(HelperId.redirect)
@native
def redirect(rt: int, ifindex: int, flags: int) -> int:
    """The form of programs that are neither XDP nor tc: as tc."""
    return skb_redirect(rt, ifindex, flags)


@native_body(HelperId.redirect_peer)
@native
def redirect_peer(rt: int, ifindex: int, flags: int) -> int:
    """To the peer of a device; no flags."""
    if flags:
        return TC_ACT_SHOT
    remember_redirect(rt, REDIRECT_IFINDEX, ifindex, flags)
    return TC_ACT_REDIRECT


@native_body(HelperId.redirect_neigh)
@native
def redirect_neigh(rt: int, ifindex: int, params: int, plen: int, flags: int) -> int:
    """To a device, the link layer filled in from the neighbour table; no flags, and no short params."""
    if flags or (plen and plen < 20):
        return TC_ACT_SHOT
    remember_redirect(rt, REDIRECT_IFINDEX, ifindex, flags)
    return TC_ACT_REDIRECT


MAP_DEVMAP = 14
MAP_CPUMAP = 16
MAP_XSKMAP = 17
MAP_DEVMAP_HASH = 25
BPF_F_ACTION_MASK = 3
BPF_F_BROADCAST = 8


@native_body(HelperId.redirect_map)
@native
def redirect_map(rt: int, desc: int, key: int, flags: int) -> int:
    """XDP_REDIRECT where the map has something at the key (or everybody is meant), else the action in the low bits of flags."""
    from_flags = flags & BPF_F_ACTION_MASK
    kind = load32(desc + DESC_TYPE)
    if kind == MAP_DEVMAP or kind == MAP_DEVMAP_HASH:
        if flags & 0xFFFFFFFFFFFFFFE4:
            return XDP_ABORTED
    elif flags & 0xFFFFFFFFFFFFFFFC:
        return XDP_ABORTED
    slot = alloca(8)
    store32(slot, key)
    if call(load64(desc + DESC_LOOKUP), rt, desc, slot) == 0 and flags & BPF_F_BROADCAST == 0:
        return from_flags
    store64(rt + RT_REDIRECT_MAP, desc)
    remember_redirect(rt, REDIRECT_TO_MAP, key, flags)
    return XDP_REDIRECT


@native_body(HelperId.clone_redirect)
@native
def clone_redirect(rt: int, ctx: int, ifindex: int, flags: int) -> int:
    """A copy goes to the device; there are no devices here beyond the one the packet came by, so others are -EINVAL."""
    if flags > BPF_F_INGRESS or (ifindex & 0xFFFFFFFF) == 0:
        return neg(EINVAL)
    store64(rt + RT_REDIRECT_KIND, 3)
    store64(rt + RT_REDIRECT_IFINDEX, ifindex & 0xFFFFFFFF)
    store64(rt + RT_REDIRECT_FLAGS, flags)
    return 0


@native_body(HelperId.get_cgroup_classid, HelperId.get_route_realm, HelperId.skb_cgroup_classid, HelperId.skb_cgroup_id)
@native
def no_class(rt: int, ctx: int) -> int:
    """No class, realm or cgroup is known of a packet outside a kernel."""
    return 0
