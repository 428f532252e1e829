"""The native loop over a capture: next record, lay out, run, count, write; nothing of it touches Python for a packet.

A *state* block in native memory holds the cursor over the bytes read so far, the program, counters and the output buffer.
`capture` fills the buffer and drains the output; this module is only about packets. It is written once for all formats
and hooks and specialised for each pair: `reader` finds the next record, `prepare` makes it the program's context,
`verdict` maps r0 to a row of the result table.
"""

from __future__ import annotations

from typing import Final

from userbpf.native import (
    NativeFn,
    bswap16,
    bswap32,
    call,
    load8,
    load16,
    load32,
    load64,
    memcpy,
    memset,
    native,
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
    RT_CLOCK_NS,
    RT_TAIL_CALLS,
)

# --- the state block: byte offsets, all u64 ----------------------------------------------------------------------------
CUR: Final = 0  # next unread byte
END: Final = 8  # one past the last byte read
OUT: Final = 16  # next free byte of the output buffer, 0 where nothing is written
OUT_END: Final = 24
PROG: Final = 32
CTX: Final = 40
RT: Final = 48
BUFFER: Final = 56  # the slot's packet memory
LEFT: Final = 64  # packets still to run
SEEN: Final = 72  # packets run
PKT: Final = 80  # the record: address, captured bytes, bytes on the wire, time
CAPLEN: Final = 88
WIRELEN: Final = 96
TIME_NS: Final = 104
LINK: Final = 112  # its link type and interface
IFINDEX: Final = 120
TIME_MULT: Final = 128  # classic pcap: ns of one fraction unit
RECORD: Final = 136  # where the record begins, for errors
INTERFACES: Final = 144  # pcapng: table of (link type, ns multiplier, divisor, offset) u64 each
INTERFACE_CNT: Final = 152
SHORT: Final = 160  # records too short to be a packet for the hook
FRAMES: Final = 256  # u64[16] packets by verdict row
BYTES: Final = 384  # u64[16] bytes by verdict row
STATE_SIZE: Final = 512
ROWS: Final = 16

# --- what a reader or the loop answers ---------------------------------------------------------------------------------
MORE: Final = 0  # the record is not whole: read on
GOT: Final = 1
BAD: Final = 2  # the record at CUR is malformed
CONTROL: Final = 3  # pcapng: a block for Python
FLUSH: Final = 4  # the output buffer is nearly full
DONE: Final = 5  # LEFT reached 0

MAX_RECORD: Final = 262144  # libpcap's MAXIMUM_SNAPLEN
OUT_RESERVE: Final = MAX_RECORD + 16384

LINK_NULL: Final = 0
LINK_ETHERNET: Final = 1
LINK_RAW: Final = 101
LINK_LOOP: Final = 108
LINK_SLL: Final = 113
LINK_IPV4: Final = 228
LINK_IPV6: Final = 229
LINK_SLL2: Final = 276

ETH_HLEN: Final = 14
MIN_SKB: Final = 14


@native
def next_pcap(st: int, *, swap: int) -> int:
    """The next record of a classic pcap file."""
    cur = load64(st + CUR)
    left = load64(st + END) - cur
    store64(st + RECORD, cur)
    if left < 16:
        return MORE
    caplen = load32(cur + 8)
    wirelen = load32(cur + 12)
    sec = load32(cur)
    frac = load32(cur + 4)
    if swap:
        caplen = bswap32(caplen)
        wirelen = bswap32(wirelen)
        sec = bswap32(sec)
        frac = bswap32(frac)
    if caplen > MAX_RECORD:
        return BAD
    if left - 16 < caplen:
        return MORE
    store64(st + PKT, cur + 16)
    store64(st + CAPLEN, caplen)
    store64(st + WIRELEN, wirelen)
    store64(st + TIME_NS, sec * 1000000000 + frac * load64(st + TIME_MULT))
    store64(st + CUR, cur + 16 + caplen)
    return GOT


BLOCK_IDB: Final = 1
BLOCK_PB: Final = 2
BLOCK_SPB: Final = 3
BLOCK_EPB: Final = 6


@native
def swapped32(addr: int, *, swap: int) -> int:
    """A 32-bit field in the file's byte order."""
    if swap:
        return bswap32(load32(addr))
    return load32(addr)


@native
def next_pcapng(st: int, *, swap: int) -> int:
    """The next packet block; blocks that carry no packet are passed over, those that describe are for Python."""
    while 1:
        cur = load64(st + CUR)
        left = load64(st + END) - cur
        store64(st + RECORD, cur)
        if left < 12:
            return MORE
        kind = swapped32(cur, swap=swap)
        if kind == 0x0A0D0D0A or kind == BLOCK_IDB:
            return CONTROL
        total = swapped32(cur + 4, swap=swap)
        if total < 12 or total & 3 or total > MAX_RECORD * 4:
            return BAD
        if left < total:
            return MORE
        if swapped32(cur + total - 4, swap=swap) != total:
            return BAD
        if kind == BLOCK_EPB or kind == BLOCK_SPB or kind == BLOCK_PB:
            head = 28
            interface = 0
            ticks = 0
            caplen = 0
            wirelen = 0
            if kind == BLOCK_SPB:
                head = 12
                if total < 16:
                    return BAD
                wirelen = swapped32(cur + 8, swap=swap)
                caplen = wirelen
                if caplen > total - 16:
                    caplen = total - 16
            else:
                if total < 32:
                    return BAD
                interface = swapped32(cur + 8, swap=swap)
                if kind == BLOCK_PB:
                    interface = load16(cur + 8)
                    if swap:
                        interface = bswap16(interface)
                ticks = (swapped32(cur + 12, swap=swap) << 32) | swapped32(cur + 16, swap=swap)
                caplen = swapped32(cur + 20, swap=swap)
                wirelen = swapped32(cur + 24, swap=swap)
                if caplen > total - 32:
                    return BAD
            if caplen > MAX_RECORD or interface >= load64(st + INTERFACE_CNT):
                return BAD
            entry = load64(st + INTERFACES) + interface * 32
            store64(st + LINK, load64(entry))
            store64(st + IFINDEX, interface + 1)
            store64(st + TIME_NS, ticks * load64(entry + 8) // load64(entry + 16) + load64(entry + 24))
            store64(st + PKT, cur + head)
            store64(st + CAPLEN, caplen)
            store64(st + WIRELEN, wirelen)
            store64(st + CUR, cur + total)
            return GOT
        store64(st + CUR, cur + total)


@native
def next_pcap_le(st: int) -> int:
    """A little-endian pcap file."""
    return next_pcap(st, swap=0)


@native
def next_pcap_be(st: int) -> int:
    """A big-endian pcap file."""
    return next_pcap(st, swap=1)


@native
def next_pcapng_le(st: int) -> int:
    """A little-endian pcapng section."""
    return next_pcapng(st, swap=0)


@native
def next_pcapng_be(st: int) -> int:
    """A big-endian pcapng section."""
    return next_pcapng(st, swap=1)


READERS: Final = {  # (is pcapng, is big-endian)
    (False, False): next_pcap_le,
    (False, True): next_pcap_be,
    (True, False): next_pcapng_le,
    (True, True): next_pcapng_be,
}


# --- from a record to an Ethernet frame --------------------------------------------------------------------------------


@native
def network_header(st: int) -> int:
    """Bytes of link-layer header before the network header, for link types other than Ethernet; ~0 where too short."""
    link = load64(st + LINK)
    caplen = load64(st + CAPLEN)
    size = 0
    if link == LINK_SLL:
        size = 16
    elif link == LINK_SLL2:
        size = 20
    elif link == LINK_NULL or link == LINK_LOOP:
        size = 4
    if size > caplen:
        return 0xFFFFFFFFFFFFFFFF
    return size


@native
def network_protocol(st: int, size: int) -> int:
    """The Ethernet type (network order) of a record without Ethernet header."""
    link = load64(st + LINK)
    pkt = load64(st + PKT)
    if link == LINK_SLL:
        return load16(pkt + 14)
    if link == LINK_SLL2:
        return load16(pkt)
    if load64(st + CAPLEN) > size and (load8(pkt + size) >> 4) == 6:
        return 0xDD86
    return 0x0008


@native
def frame_into(st: int, to: int, room: int) -> int:
    """Copy the record as an Ethernet frame to `to`; its length, or 0 where it is none or longer than `room`."""
    caplen = load64(st + CAPLEN)
    if load64(st + LINK) == LINK_ETHERNET:
        if caplen > room:
            return 0
        memcpy(to, load64(st + PKT), caplen)
        return caplen
    size = network_header(st)
    if size > caplen or caplen - size + ETH_HLEN > room:
        return 0
    memset(to, 0, 12)
    store16(to + 12, network_protocol(st, size))
    memcpy(to + ETH_HLEN, load64(st + PKT) + size, caplen - size)
    return caplen - size + ETH_HLEN


@native
def set_packet(ctx: int, start: int, end: int, low: int, high: int) -> int:
    """The context words of a packet and its buffer."""
    store64(ctx + CTX_DATA, start)
    store64(ctx + CTX_DATA_META, start)
    store64(ctx + CTX_DATA_END, end)
    store64(ctx + CTX_HARD_START, low)
    store64(ctx + CTX_HARD_END, high)
    return 0


XDP_HEADROOM: Final = 256
XDP_TAILROOM: Final = 320
XDP_BUFFER: Final = 73728 - 4096  # room for jumbo and offloaded frames beside the page of a plain one


@native
def prepare_xdp(st: int, *, in_place: int) -> int:
    """An xdp_md over the record where it lies (programs that move no boundary), or over a copy with headroom."""
    ctx = load64(st + CTX)
    store32(ctx + 12, load64(st + IFINDEX))
    if in_place and load64(st + LINK) == LINK_ETHERNET:
        pkt = load64(st + PKT)
        size = load64(st + CAPLEN)
        if size < ETH_HLEN:
            return 0
        set_packet(ctx, pkt, pkt + size, pkt, pkt + size)
        return 1
    low = load64(st + BUFFER)
    size = frame_into(st, low + XDP_HEADROOM, XDP_BUFFER - XDP_HEADROOM - XDP_TAILROOM)
    if size < ETH_HLEN:
        return 0
    high = low + 4096 - XDP_TAILROOM
    if low + XDP_HEADROOM + size > high:
        high = low + XDP_HEADROOM + size
    set_packet(ctx, low + XDP_HEADROOM, low + XDP_HEADROOM + size, low, high)
    return 1


SKB_SIZE: Final = 192
SKB_HEADROOM: Final = 4096
SKB_ROOM: Final = 73728 - 4096


@native
def prepare_skb(st: int, *, in_place: int) -> int:
    """A fresh __sk_buff over a copy of the record, from the Ethernet header on."""
    ctx = load64(st + CTX)
    low = load64(st + BUFFER)
    start = low + SKB_HEADROOM
    size = frame_into(st, start, SKB_ROOM - SKB_HEADROOM)
    if size < MIN_SKB:
        return 0
    memset(ctx, 0, SKB_SIZE)
    store32(ctx, size)
    kind = 3
    if load8(start) & 1:
        kind = 2
    elif (load32(start) | load16(start + 4)) == 0:
        kind = 0
    store32(ctx + 4, kind)
    store32(ctx + 16, load16(start + 12))
    store32(ctx + 36, load64(st + IFINDEX))
    store32(ctx + 40, load64(st + IFINDEX))
    store64(ctx + 152, load64(st + TIME_NS))
    store32(ctx + 160, load64(st + WIRELEN))
    set_packet(ctx, start, start + size, low, low + SKB_ROOM)
    return 1


# --- verdicts: a row of the result table; the high bit says that the packet goes on ------------------------------------
PASSES: Final = 0x80


@native
def verdict_xdp(r0: int) -> int:
    """Rows: 0 aborted, 1 drop, 2 pass, 3 tx, 4 redirect, 5 anything else (which Linux drops)."""
    r0 = r0 & 0xFFFFFFFF
    if r0 > 4:
        return 5
    if r0 == 2:
        return 2 | PASSES
    return r0


@native
def verdict_tc(r0: int) -> int:
    """Rows: TC_ACT_* + 1 (unspec is -1), 10 anything else (which Linux takes as ok)."""
    r0 = (r0 + 1) & 0xFFFFFFFF
    if r0 > 9:
        return 10 | PASSES
    if r0 == 0 or r0 == 1 or r0 == 2 or r0 == 4:
        return r0 | PASSES
    return r0


@native
def verdict_socket(r0: int) -> int:
    """Rows: 0 drop, 1 pass (r0 is the number of bytes to keep)."""
    if r0 & 0xFFFFFFFF:
        return 1 | PASSES
    return 0


@native
def account(st: int, r0: int, *, verdict: NativeFn[...], trims: int) -> int:
    """Count the packet that ran, and write it to the output where it goes on."""
    row = verdict(r0)
    ctx = load64(st + CTX)
    cell = st + (row & 15) * 8
    store64(cell + FRAMES, load64(cell + FRAMES) + 1)
    store64(cell + BYTES, load64(cell + BYTES) + load64(st + WIRELEN))
    out = load64(st + OUT)
    if out and row & PASSES:
        start = load64(ctx + CTX_DATA)
        size = load64(ctx + CTX_DATA_END) - start
        wire = load64(st + WIRELEN) + size - load64(st + CAPLEN)
        if load64(st + LINK) != LINK_ETHERNET:
            wire = size
        if trims and (r0 & 0xFFFFFFFF) < size:
            size = r0 & 0xFFFFFFFF
        time_ns = load64(st + TIME_NS)
        store32(out, time_ns // 1000000000)
        store32(out + 4, time_ns % 1000000000)
        store32(out + 8, size)
        store32(out + 12, wire)
        memcpy(out + 16, start, size)
        store64(st + OUT, out + 16 + size)
    store64(st + SEEN, load64(st + SEEN) + 1)
    store64(st + LEFT, load64(st + LEFT) - 1)
    return 0


@native
def next_packet(st: int, *, reader: NativeFn[...], prepare: NativeFn[...], in_place: int) -> int:
    """Go on to the next record that is a packet for the hook; GOT, or why not."""
    while 1:
        if load64(st + LEFT) == 0:
            return DONE
        if load64(st + OUT) and load64(st + OUT_END) - load64(st + OUT) < OUT_RESERVE:
            return FLUSH
        got = reader(st)
        if got != GOT:
            return got
        if prepare(st, in_place=in_place):
            rt = load64(st + RT)
            store64(rt + RT_TAIL_CALLS, 0)
            store64(rt + RT_CLOCK_NS, load64(st + TIME_NS))
            return GOT
        store64(st + SHORT, load64(st + SHORT) + 1)


@native
def packet_loop(
    st: int, *, reader: NativeFn[...], prepare: NativeFn[...], verdict: NativeFn[...], trims: int, in_place: int
) -> int:
    """Run the program over every record that is whole; the reason why it stopped."""
    prog = load64(st + PROG)
    ctx = load64(st + CTX)
    rt = load64(st + RT)
    while 1:
        got = next_packet(st, reader=reader, prepare=prepare, in_place=in_place)
        if got != GOT:
            return got
        account(st, call(prog, ctx, rt), verdict=verdict, trims=trims)
