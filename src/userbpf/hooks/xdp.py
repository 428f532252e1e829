"""XDP: one frame in a page with 256 bytes of headroom.

Limits and errnos are those of Linux 6.18's test run. A frame longer than the page's room, or a context whose data_end is
before the frame's end, has its rest in fragments there: the program sees the linear part and the rest comes back unchanged.
"""

from __future__ import annotations

import errno

from userbpf.abi.ctx import XdpMd
from userbpf.abi.enums import AttachType
from userbpf.hooks.base import PacketSlot, Runnable, packet_slot
from userbpf.hooks.repeat import run_repeatedly
from userbpf.hooks.test_run import TestRunRequest, TestRunResult, refuse
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, CTX_DATA_META

PAGE_SIZE = 4096
HEADROOM = 256  # XDP_PACKET_HEADROOM
TAILROOM = 320  # struct skb_shared_info
MAX_LINEAR = PAGE_SIZE - HEADROOM - TAILROOM
ETH_HLEN = 14
LOOPBACK_IFINDEX = 1
MAX_META = 255
MAX_FRAGMENTS = 17 * PAGE_SIZE  # MAX_SKB_FRAGS pages


def read_ctx(raw: bytes | None, size: int) -> tuple[XdpMd, int, int]:
    """The context as a record, with the length of the meta data and of the linear part; EINVAL as Linux."""
    if raw is None:
        md, meta, end = XdpMd(), 0, size
    else:
        md = XdpMd.decode(raw)
        meta, end = md.data, md.data_end
        if md.data_meta or end > size or meta > end or meta & 3 or meta > MAX_META:
            raise refuse()
    if size - meta < ETH_HLEN:
        raise refuse()
    return md, meta, end


def lay_out(slot: PacketSlot, frame: bytes, meta: int, md: XdpMd) -> None:
    """Place meta data and frame, and the image that the program reads."""
    slot.place(frame, HEADROOM, PAGE_SIZE - TAILROOM)
    start = slot.word(CTX_DATA)
    slot.set_word(CTX_DATA, start + meta)
    slot.set_image(
        XdpMd(
            ingress_ifindex=md.ingress_ifindex or LOOPBACK_IFINDEX,
            rx_queue_index=md.rx_queue_index,
        ).encode()
    )


def test_run(prog: Runnable, request: TestRunRequest) -> TestRunResult:
    """BPF_PROG_TEST_RUN of an XDP program; live frames (BPF_F_TEST_XDP_LIVE_FRAMES) need a device: EINVAL."""
    if request.flags or request.batch_size:
        raise refuse()
    if prog.expected_attach_type in (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP):
        raise refuse()
    size = request.data_in.size
    raw = request.context(XdpMd.SIZE)
    md, meta, linear = read_ctx(raw, size)
    linear = min(linear, MAX_LINEAR)
    data = request.data_in.read(min(size, linear + MAX_FRAGMENTS))
    if size > len(data):
        raise refuse(errno.ENOMEM)
    if md.egress_ifindex or (md.rx_queue_index and md.ingress_ifindex in (0, LOOPBACK_IFINDEX)):
        raise refuse()
    frame, rest = data[:linear], data[linear:]
    with packet_slot() as slot:
        retval, duration = run_repeatedly(prog, slot, request.repeat, lambda: lay_out(slot, frame, meta, md))
        data_out = slot.data(CTX_DATA_META) + rest
        first = slot.word(CTX_DATA_META)
        out = XdpMd(
            data=slot.word(CTX_DATA) - first,
            data_end=slot.word(CTX_DATA_END) - first,
            ingress_ifindex=md.ingress_ifindex,
            rx_queue_index=md.rx_queue_index,
        )
    ctx_out = out.encode() if raw is not None else None
    return TestRunResult(retval, duration, data_out, ctx_out, len(rest))
