"""A loaded program, by its descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.abi.layout import Layout
from userbpf.client.transport import Client, RunResult

# Linux runs these over their context, and refuses every other field
NO_PACKET: Final = frozenset({ProgType.SYSCALL, ProgType.RAW_TRACEPOINT})


class Prog:
    """A loaded program."""

    def __init__(
        self, client: Client, fd: int, name: str, prog_type: ProgType, section: str = "", log: str = ""
    ) -> None:
        self.client = client
        self.fd = fd
        self.name = name
        self.section = section
        self.prog_type = prog_type
        self.log = log

    def run(self, packet: bytes = b"", ctx: bytes | Layout | None = None, repeat: int = 1) -> RunResult:
        """BPF_PROG_TEST_RUN over one packet (bytes, or anything that has them, a scapy packet say).

        `ctx`: bytes, or a record of `userbpf.abi.ctx`. Programs that see no packet take a context only and run once.
        """
        context = ctx.encode() if isinstance(ctx, Layout) else bytes(ctx or b"")
        if self.prog_type in NO_PACKET:
            if packet or repeat != 1:
                raise ValueError(f"a {self.prog_type.name} program takes neither packet nor repeat")
            return self.client.prog_test_run_context(self.fd, context)
        return self.client.prog_test_run(self.fd, bytes(packet), context, repeat)

    def run_many(self, packets: Iterable[bytes]) -> list[RunResult]:
        """One test run a packet."""
        return [self.run(packet) for packet in packets]

    def pin(self, path: str | os.PathLike[str]) -> None:
        self.client.obj_pin(self.fd, path)

    def __repr__(self) -> str:
        return f"<Prog {self.name!r} {self.prog_type.name} fd={self.fd}>"
