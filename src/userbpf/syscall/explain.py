"""Refusals explained: the request that BPF_PROG_LOAD handed to the verifier, verified once more and looked at.

Linux has no such thing, so it is no command: `watching` looks over a kernel's shoulder while programs are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from userbpf.kernel.machine import Kernel
from userbpf.verifier.api import VerifyRequest
from userbpf.verifier.explain import Explanation, explain
from userbpf.verifier.record import Recording, record
from userbpf.verifier.steps import steps_data

__all__ = ["Explanation", "Recording", "Watched", "watching"]


class Watched:
    """What was verified last."""

    def __init__(self) -> None:
        self.request: VerifyRequest | None = None

    def see(self, request: VerifyRequest) -> None:
        self.request = request

    def explanation(self) -> Explanation | None:
        """Why it was refused; None where nothing was verified or it was accepted. Its maps must still be open."""
        return explain(self.request) if self.request is not None else None

    def recording(self) -> Recording | None:
        """Every step of the verification, up to record.MAX_KEPT of them."""
        if self.request is None:
            return None
        return record(replace(self.request, log_level=4), keep_all=True)

    def steps(self) -> dict[str, Any] | None:
        """The same as plain data, see verifier.steps."""
        recording = self.recording()
        return steps_data(recording) if recording is not None else None


@contextmanager
def watching(kernel: Kernel) -> Iterator[Watched]:
    """See what is verified meanwhile."""
    seen = Watched()
    before = kernel.on_verify
    kernel.on_verify = seen.see
    try:
        yield seen
    finally:
        kernel.on_verify = before
