"""A program over a capture file, on either transport: in the native loop here, by one test run a packet in Linux."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from os import PathLike

from userbpf.abi.enums import ProgType, XdpAction
from userbpf.client.progs import Prog
from userbpf.errors import UserbpfError
from userbpf.syscall.capture import CaptureResult, Packet, Progress, packets
from userbpf.syscall.capture import run_capture as _run_here

__all__ = ["CaptureResult", "Packet", "Progress", "frames", "packets", "run_capture"]

TC_ACTIONS = ("UNSPEC", "OK", "RECLASSIFY", "SHOT", "PIPE", "STOLEN", "QUEUED", "REPEAT", "REDIRECT", "TRAP")
REPORT_EVERY = 1000


def frames(path: str | PathLike[str], count: int | None = None) -> Iterator[bytes]:
    """The packets of a capture as Ethernet frames."""
    return (packet.data for packet in packets(path, count))


def verdict_name(prog_type: ProgType, retval: int) -> str:
    """The row of the result table that a return value belongs to."""
    if prog_type == ProgType.XDP:
        return XdpAction(retval).c_name if retval <= max(XdpAction) else "unknown action"
    if prog_type == ProgType.SOCKET_FILTER:
        return "pass" if retval else "drop"
    index = retval + 1 & 0xFFFFFFFF
    return f"TC_ACT_{TC_ACTIONS[index]}" if index < len(TC_ACTIONS) else "other"


def run_capture(
    prog: Prog,
    path: str | PathLike[str],
    *,
    count: int | None = None,
    out: str | PathLike[str] | None = None,
    capture_clock: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> CaptureResult:
    """Run over the packets of a pcap or pcapng file, `count` of them at most; those that pass are written to `out`."""
    kernel = prog.client.kernel
    if kernel is not None:
        return _run_here(kernel, prog.fd, path, count=count, out=out, capture_clock=capture_clock, progress=progress)
    if out is not None:
        raise UserbpfError("writing packets (-o) needs the user transport")
    result = CaptureResult()
    began = time.perf_counter()
    for packet in packets(path, count):
        name = verdict_name(prog.prog_type, prog.run(packet.data).retval)
        result.packets[name] = result.packets.get(name, 0) + 1
        result.bytes[name] = result.bytes.get(name, 0) + packet.wire_bytes
        result.total_packets += 1
        result.total_bytes += packet.wire_bytes
        if progress is not None and result.total_packets % REPORT_EVERY == 0:
            progress(Progress(0, 0, result.total_packets))
    result.seconds = time.perf_counter() - began
    return result
