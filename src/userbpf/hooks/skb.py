"""Socket buffers: tc, socket filters, cgroup and lightweight-tunnel programs, as Linux 6.18 runs them by test_run.

tc programs see the packet from the Ethernet header on, the others from the network header; for these data_out has
zeroes where the Ethernet header was.
"""

from __future__ import annotations

from userbpf.abi.ctx import SkBuff
from userbpf.abi.enums import ProgType
from userbpf.hooks.base import PacketSlot, Runnable, packet_slot
from userbpf.hooks.repeat import run_repeatedly
from userbpf.hooks.test_run import TestRunRequest, TestRunResult, refuse
from userbpf.native.rt import CTX_DATA, CTX_DATA_META, CTX_LINK_BYTES

FAMILY = frozenset(
    {
        ProgType.SOCKET_FILTER,
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.CGROUP_SKB,
        ProgType.LWT_IN,
        ProgType.LWT_OUT,
        ProgType.LWT_XMIT,
    }
)
FROM_LINK_LAYER = frozenset({ProgType.SCHED_CLS, ProgType.SCHED_ACT})

ETH_HLEN = 14
MAX_SIZE = 4096 - 64 - 320  # a page without NET_SKB_PAD and struct skb_shared_info
HEADROOM = 4096
LOOPBACK_IFINDEX = 1
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
AF_INET = 2
AF_INET6 = 10
PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST = 0, 2, 3
MAX_WIRE_LEN = 65536
MAX_SEGS = 65535
CB = range(48, 68, 4)
IN_FIELDS = ("mark", "priority", "ingress_ifindex", "ifindex", "tstamp", "wire_len", "gso_segs", "gso_size", "hwtstamp")


def protocol_of(frame: bytes) -> int:
    """The Ethernet type in host order."""
    return int.from_bytes(frame[12:14], "big")


def packet_type(frame: bytes) -> int:
    """pkt_type as a loopback device (address 0) classifies the destination."""
    if frame[0] & 1:
        return PACKET_MULTICAST
    return PACKET_OTHERHOST if any(frame[:6]) else PACKET_HOST


def family_of(frame: bytes) -> int:
    """Address family of the network header; EINVAL where the header is not whole."""
    protocol = protocol_of(frame)
    size = len(frame) - ETH_HLEN
    if protocol == ETH_P_IP:
        if size < 20:
            raise refuse()
        return AF_INET
    if protocol == ETH_P_IPV6:
        if size < 40:
            raise refuse()
        return AF_INET6
    return 0


def read_ctx(whole: bytes | None, length: int) -> SkBuff:
    """The context as a record. Fields that a test may not choose must be zero: EINVAL."""
    if whole is None:
        return SkBuff()
    skb = SkBuff.decode(whole)
    allowed = SkBuff(**{name: getattr(skb, name) for name in IN_FIELDS})
    kept = bytearray(allowed.encode())
    kept[CB.start : CB.stop] = whole[CB.start : CB.stop]
    if bytes(kept) != whole:
        raise refuse()
    if skb.wire_len and not length <= skb.wire_len <= MAX_WIRE_LEN:
        raise refuse()
    if skb.gso_segs > MAX_SEGS:
        raise refuse()
    return skb


def lay_out(slot: PacketSlot, frame: bytes, given: SkBuff, cb: bytes, link_layer: bool) -> None:
    """Place the packet and the image of the __sk_buff."""
    slot.place(frame, HEADROOM, HEADROOM + 65536)
    size = len(frame)
    if not link_layer:  # the Ethernet header lies before the data
        slot.set_word(CTX_DATA, slot.word(CTX_DATA) + ETH_HLEN)
        slot.set_word(CTX_DATA_META, slot.word(CTX_DATA))
        slot.set_word(CTX_LINK_BYTES, ETH_HLEN)
        size -= ETH_HLEN
    image = SkBuff(
        len=size,
        pkt_type=packet_type(frame),
        mark=given.mark,
        protocol=int.from_bytes(frame[12:14], "little"),
        priority=given.priority,
        ingress_ifindex=given.ingress_ifindex,
        ifindex=given.ifindex or LOOPBACK_IFINDEX,
        tstamp=given.tstamp,
        wire_len=given.wire_len or size,
        gso_segs=given.gso_segs,
        gso_size=given.gso_size,
        hwtstamp=given.hwtstamp,
    )
    raw = bytearray(image.encode())
    raw[CB.start : CB.stop] = cb
    slot.set_image(bytes(raw))


def test_run(prog: Runnable, request: TestRunRequest) -> TestRunResult:
    """BPF_PROG_TEST_RUN of a program over an skb."""
    size = request.data_in.size
    if request.flags or request.cpu or request.batch_size or not ETH_HLEN <= size <= MAX_SIZE:
        raise refuse()
    frame = request.data_in.read(size)
    whole = request.context(SkBuff.SIZE)
    family_of(frame)
    link_layer = prog.prog_type in FROM_LINK_LAYER
    given = read_ctx(whole, len(frame) - (0 if link_layer else ETH_HLEN))
    cb = (whole or bytes(CB.stop))[CB.start : CB.stop]
    with packet_slot() as slot:
        retval, duration = run_repeatedly(
            prog, slot, request.repeat, lambda: lay_out(slot, frame, given, cb, link_layer)
        )
        data_out = slot.data()
        raw = slot.image(SkBuff.SIZE)
    if not link_layer:
        data_out = bytes(ETH_HLEN) + data_out
    ctx_out = None
    if whole is not None:
        after = SkBuff.decode(raw)
        out = bytearray(SkBuff(**{name: getattr(after, name) for name in IN_FIELDS}).encode())
        out[CB.start : CB.stop] = raw[CB.start : CB.stop]
        ctx_out = bytes(out)
    return TestRunResult(retval, duration, data_out, ctx_out)
