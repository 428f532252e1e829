"""Running a loaded program over a capture file, by its descriptor: what SO_ATTACH_BPF is to a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import PathLike

from userbpf.hooks.capture import CaptureResult, Progress
from userbpf.hooks.capture import frames as _frames
from userbpf.hooks.capture import run_capture as _run
from userbpf.kernel.machine import Kernel

__all__ = ["CaptureResult", "Progress", "frames", "run_capture"]


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


def frames(path: str | PathLike[str], count: int | None = None) -> Iterator[bytes]:
    """The packets of a capture as Ethernet frames."""
    return _frames(path, count)
