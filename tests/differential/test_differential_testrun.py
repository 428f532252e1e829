"""BPF_PROG_TEST_RUN with requests of all kinds, most of them wrong in several ways: the errno, and what is written back.

The first fault that Linux finds decides, so the order of the checks is part of what is compared.
"""

from __future__ import annotations

import ctypes
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from bpfcalls import ENAMES, Buf, Calls, calls_of, ret
from userbpf.abi.attrs import ProgTestRunAttr
from userbpf.abi.enums import Cmd, ProgType

NOWHERE = 0x10
SLEEPABLE = 1 << 4
WITH_TEST_RUN = {
    ProgType.SOCKET_FILTER: 0,
    ProgType.SCHED_CLS: 0,
    ProgType.SCHED_ACT: 0,
    ProgType.XDP: 0,
    ProgType.RAW_TRACEPOINT: 0,
    ProgType.SYSCALL: SLEEPABLE,
    ProgType.CGROUP_SKB: 0,
    ProgType.LWT_IN: 0,
    ProgType.LWT_OUT: 0,
    ProgType.LWT_XMIT: 0,
}
WITHOUT = (ProgType.KPROBE, ProgType.TRACEPOINT, ProgType.SOCK_OPS, ProgType.SK_SKB, ProgType.CGROUP_DEVICE)
DATA_SIZES = (0, 0, 1, 13, 14, 33, 64, 64, 64, 1000, 3500, 4000, 5000, 70000, 80000)
CTX_SIZES = (0, 0, 8, 24, 23, 25, 64, 68, 192, 196, 200, 5000)
# not the interface: which there are is up to the machine
CTX_BYTES = [off for off in range(192) if off not in (*range(9, 16), *range(33, 44))]
# of the flags, 2 sends frames out of a device and 4 asks for a checksum that is not kept here
FLAGS = (1, 8, 1 << 31)


class Memory:
    """Buffers that requests point to."""

    def __init__(self) -> None:
        self.data_in, self.data_out, self.ctx_in, self.ctx_out = Buf(80000), Buf(80000), Buf(8192), Buf(8192)

    def request(self, rng: random.Random) -> dict[str, int]:
        def pointer(buffer: Buf) -> int:
            return rng.choice((0, buffer.addr, buffer.addr, NOWHERE))

        out = {
            "data_in": pointer(self.data_in),
            "data_size_in": rng.choice(DATA_SIZES),
            "data_out": pointer(self.data_out),
            "data_size_out": rng.choice((0, 0, 1, 10, 64, 500, 70000)),
            "repeat": rng.choice((0, 0, 0, 1, 1)),
        }
        if rng.random() < 0.6:
            out |= {"ctx_in": pointer(self.ctx_in), "ctx_size_in": rng.choice(CTX_SIZES)}
            out |= {"ctx_out": pointer(self.ctx_out), "ctx_size_out": rng.choice((0, 0, 8, 24, 64, 192, 5000))}
        for name, values in (("flags", FLAGS), ("cpu", (1, 5000)), ("batch_size", (1, 300)), ("duration", (1,))):
            if rng.random() < 0.1:
                out[name] = rng.choice(values)
        ctypes.memset(self.ctx_in.addr, 0, self.ctx_in.size)
        if rng.random() < 0.3:
            ctypes.memset(self.ctx_in.addr + rng.choice(CTX_BYTES), 1, rng.choice((1, 4)))
        if rng.random() < 0.3:  # an IPv4 or IPv6 header, whole or not
            kind = rng.choice((b"\x08\x00", b"\x86\xdd"))
            ctypes.memmove(self.data_in.addr + 12, kind, 2)
        else:
            ctypes.memset(self.data_in.addr + 12, 0, 2)
        return out


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Calls, Calls]]:
    linux, user = calls_of("linux"), calls_of("user")
    yield linux, user
    linux.close()
    user.close()


def answer(calls: Calls, fd: int, request: dict[str, int]) -> tuple[Any, ...]:
    attr = ProgTestRunAttr(prog_fd=fd, **request)
    error = calls.err(calls.bpf, Cmd.PROG_TEST_RUN, attr)
    assert error in (*ENAMES.values(), "")
    return error, attr.data_size_out, attr.ctx_size_out, attr.retval


def compare(sides: tuple[Calls, Calls], seed: int, count: int) -> Counter[str]:
    rng, memory = random.Random(seed), Memory()
    programs = {
        kind: [calls.prog(ret(1), kind, prog_flags=flags) for calls in sides] for kind, flags in WITH_TEST_RUN.items()
    } | {kind: [calls.prog(ret(1), kind) for calls in sides] for kind in WITHOUT}
    answers: Counter[str] = Counter()
    for _ in range(count):
        kind = rng.choice(list(programs))
        request = memory.request(rng)
        theirs, ours = (answer(calls, fd, request) for calls, fd in zip(sides, programs[kind], strict=True))
        assert ours == theirs, f"{kind.name} {request} {memory.ctx_in.raw[:200].hex()}"
        answers[theirs[0]] += 1
    return answers


def test_requests_are_answered_as_in_linux(sides: tuple[Calls, Calls]) -> None:
    answers = compare(sides, 1, 2500)
    assert {"", "EFAULT", "EINVAL", "E2BIG", "ENOSPC", "ENOTSUPP", "ENOMEM"} <= set(answers)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_requests(seed: int, sides: tuple[Calls, Calls]) -> None:
    compare(sides, seed, 10_000)
