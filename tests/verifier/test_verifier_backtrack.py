"""Back from a number to what it was made of: a stack pointer that it was compared with is none of it. Lines of Linux 6.18.44."""

from __future__ import annotations

import pytest

from bench_verifier import linux
from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.isa.insn import encode
from userbpf.verifier import VerifyRequest, verify

CASES = {
    "stack pointer on the left": ("if r3 <= r2 goto +1", ["r2", "r2", "r2"]),
    "stack pointer on the right": ("if r2 >= r3 goto +1", ["r2", "r2", "r2"]),
    "number": ("if r2 >= r4 goto +1", ["r2", "r0,r2,r4", "r0,r2,r4"]),
}
TEXT = "call bpf_get_prandom_u32\nr4 = r0\nr2 = 0x20202000256c6c78 ll\nr3 = r10\n{}\nif r2 <= 8 goto +1\nr0 = 0\nexit\n"


def steps(log: str) -> list[str]:
    """What is looked for before each step, from the last one on."""
    return [line.split("regs=")[1].split()[0] for line in log.splitlines() if "before" in line and "regs=" in line]


@pytest.mark.parametrize("name", CASES)
def test_compared(name: str) -> None:
    jump, expected = CASES[name]
    insns = assemble(TEXT.format(jump))
    log = verify(VerifyRequest(insns, ProgType.RAW_TRACEPOINT, log_level=2)).log
    assert steps(log)[: len(expected)] == expected
    reason = linux.available()
    if reason is None:
        assert steps(linux.Oracle().load(encode(insns), int(ProgType.RAW_TRACEPOINT), 2).log) == steps(log)


# r0 is 7 and r2 a constant at a distance of one; then `copy`, then r2 decides about safety. A copy ends the link to r0,
# and is itself no link: a constant needs none.
LINKED = """
r6 = r1
r3 = 0
r0 = *(u32 *)(r6 +0)
r2 = r0
{distance}
if r0 != 7 goto out
{copy}
r5 = *(u32 *)(r6 +8)
if r5 & r2 goto out
*(u64 *)(r10 -8) = 0
*(u64 *)(r10 -16) = 0
r4 = r10
r4 += -16
r4 += r2
r1 = *(u8 *)(r4 +0)
r0 = r3
out: r0 = 0
exit
"""
COPIES = {
    "r1 = 1": ("r2,r5", ""),
    "r3 = r2": ("r2,r5", ""),
    "w3 = w2": ("r2,r5", ""),
    "r3 = (s8)r2": ("r2,r5", ""),
    "r3 = r0": ("r2,r3,r5", ""),
    "*(u64 *)(r10 -24) = r2": ("r2,r5", ""),
    "*(u8 *)(r10 -24) = r2": ("r2,r5", ""),
    "*(u64 *)(r10 -24) = r0": ("r2,r5", "-24"),
}


@pytest.mark.parametrize("distance", ["r2 += 1", "w2 += 1"])
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_ends_the_link_at_a_distance(copy: str, distance: str) -> None:
    insns = assemble(LINKED.format(copy=copy, distance=distance))
    expected = "regs={} stack={} before 7:".format(*COPIES[copy])
    assert expected in verify(VerifyRequest(insns, ProgType.SOCKET_FILTER, log_level=2)).log
    if linux.available() is None:
        assert expected in linux.Oracle().load(encode(insns), int(ProgType.SOCKET_FILTER), 2).log
