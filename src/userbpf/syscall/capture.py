"""Running a loaded program over a capture file, by its descriptor: what SO_ATTACH_BPF is to a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike

from userbpf.hooks.capture import CaptureResult, Packet, Progress
from userbpf.hooks.capture import packets as _packets
from userbpf.hooks.capture import run_capture as _run
from userbpf.kernel.machine import Kernel

__all__ = ["CaptureResult", "Packet", "Progress", "packets", "run_capture"]


def run_capture(
    kernel: Kernel,
    prog_fd: int,
    path: str | PathLike[str],
    *,
    count: int | None = None,
    out: str | PathLike[str] | None = None,
    capture_clock: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> CaptureResult:
    """The program behind `prog_fd` over a capture; see hooks.capture.run_capture. EBADF, EINVAL for an fd that is none."""
    prog = kernel.prog_of_fd(prog_fd)
    return _run(prog, path, count=count, out=out, capture_clock=capture_clock, progress=progress)


def packets(path: str | PathLike[str], count: int | None = None) -> Iterator[Packet]:
    """The packets of a capture, as Ethernet frames with length on the wire and time."""
    return _packets(path, count)
