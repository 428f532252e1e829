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
