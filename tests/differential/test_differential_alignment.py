"""BPF_F_STRICT_ALIGNMENT and BPF_F_ANY_ALIGNMENT: the first makes the verifier strict, the second takes that back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bpfcalls import Buf, Calls, calls_of
from userbpf.abi.defines import BPF_F_ANY_ALIGNMENT as ANY
from userbpf.abi.defines import BPF_F_STRICT_ALIGNMENT as STRICT
from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble

PACKET = """
r2 = *(u32 *)(r1 + 0)
r3 = *(u32 *)(r1 + 4)
r0 = 1
r4 = r2
r4 += 14
if r4 > r3 goto +1
r0 = *(u32 *)(r2 + {off})
r0 = 1
exit
"""


@pytest.fixture(params=["user", "linux"])
def calls(request: pytest.FixtureRequest) -> Iterator[Calls]:
    calls = calls_of(request.param)
    yield calls
    calls.close()


@pytest.mark.parametrize(
    ("flags", "off", "message"),
    [
        (0, 0, ""),
        (STRICT, 0, "misaligned packet access off 2+0+0+0 size 4"),  # a packet begins 2 bytes behind a word
        (STRICT, 2, ""),
        (STRICT, 3, "misaligned packet access off 2+0+0+3 size 4"),
        (ANY, 3, ""),
        (STRICT | ANY, 3, ""),
    ],
)
def test_alignment_flags(calls: Calls, flags: int, off: int, message: str) -> None:
    log = Buf(1 << 16)
    program = assemble(PACKET.format(off=off))
    more = {"prog_flags": flags, "log_level": 1, "log_buf": log.addr, "log_size": log.size}
    failed = calls.err(calls.prog, program, ProgType.XDP, **more)
    assert failed == ("EACCES" if message else "")
    assert message in log.text
