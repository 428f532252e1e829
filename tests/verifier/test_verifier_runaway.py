"""A verification that does not end by itself: Linux's limits and words, and an interrupt that gets through at once."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify

COUNTER = """
    r0 = 0
    r1 = 0
again: r1 += 1
    r0 += r1
    if r1 < 100000000 goto again
    r0 = 0
    exit
"""
PATHS = """
    r8 = 0
again: r8 += 1
    call bpf_get_prandom_u32
    if r0 == 1 goto again
    if r8 < 1000000 goto again
    r0 = r8
    exit
"""

ALONE = """
import sys
from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify

try:
    verify(VerifyRequest(assemble(sys.argv[1]), ProgType.SOCKET_FILTER, log_level=4))
except Rejected as e:
    print(e.errno, e.log.splitlines()[0], sep="\\n")
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def request(text: str) -> VerifyRequest:
    return VerifyRequest(assemble(text), ProgType.SOCKET_FILTER, log_level=4)


def test_too_many_jumps() -> None:
    with pytest.raises(Rejected) as e:
        verify(request(PATHS))
    assert (e.value.errno, e.value.log.splitlines()[0]) == (14, "The sequence of 8193 jumps is too complex.")


@pytest.mark.sweep
def test_too_many_instructions() -> None:
    """Linux's words at a million, and below 500 MB: in a process of its own, for the peak is the process's."""
    told = subprocess.run([sys.executable, "-c", ALONE, COUNTER], capture_output=True, text=True, check=True).stdout
    refused, words, peak_kb = told.splitlines()
    assert (refused, words) == ("7", "BPF program is too large. Processed 1000001 insn")
    assert int(peak_kb) < 500_000


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that a shell started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("after", [0.01, 0.1, 0.3])
def test_interrupt(interruptible: None, after: float) -> None:
    was = gc.isenabled()
    timer = threading.Timer(after, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        verify(request(COUNTER))
    assert time.monotonic() - began < after + 3
    assert gc.isenabled() == was
    timer.join()
    assert verify(request("r0 = 0\n exit")).stats.insns_processed == 2
