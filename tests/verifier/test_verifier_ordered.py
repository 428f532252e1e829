"""Ordered loads and stores (load_acquire, store_release), and constant steps into flow keys. Recorded from Linux 6.18.44.

The access itself is checked first, then whether such memory takes atomics at all. There Linux 6.18.44 has a hole that userbpf
does not share: it asks after the load which kind of pointer the register holds, so a load onto its own pointer passes.
"""

from __future__ import annotations

import pytest

from userbpf.abi.enums import ProgType
from verifier.verifier_ask import message, mine

XDP, CLS, DISSECTOR = ProgType.XDP, ProgType.SCHED_CLS, ProgType.FLOW_DISSECTOR
KEYS = "r2 = *(u64 *)(r1 + 144)\n"
PACKET = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 8\nif r4 > r3 goto +1\n"


@pytest.mark.parametrize(
    ("prog_type", "text", "said"),
    [
        (CLS, "r5 = load_acquire((u64 *)(r1 + 0))", "invalid bpf_context access off=0 size=8"),
        (CLS, "r5 = load_acquire((u32 *)(r1 + 0))", "BPF_ATOMIC loads from R1 ctx is not allowed"),
        (CLS, "r1 = load_acquire((u32 *)(r1 + 0))", "BPF_ATOMIC loads from R1 ctx is not allowed"),
        (
            XDP,
            PACKET + "r5 = load_acquire((u64 *)(r2 + 0))",
            "misaligned packet access off 2+0+0+0 size 8",
        ),
        (XDP, PACKET + "r5 = load_acquire((u16 *)(r2 + 0))", "BPF_ATOMIC loads from R2 pkt is not allowed"),
        (
            CLS,
            "r2 = *(u64 *)(r1 + 168)\nif r2 == 0 goto +1\nstore_release((u32 *)(r2 + 0), r0)",
            "R2 cannot write into sock_common",
        ),
        (CLS, "store_release((u32 *)(r1 + 8), r0)", "BPF_ATOMIC stores into R1 ctx is not allowed"),
        (DISSECTOR, KEYS + "r2 = load_acquire((u32 *)(r2 + 0))", "BPF_ATOMIC loads from R2 flow_keys is not allowed"),
        (DISSECTOR, KEYS + "r2 += 48\nr0 = *(u64 *)(r2 + 0)", ""),
        (DISSECTOR, KEYS + "r2 += 49\nr0 = *(u64 *)(r2 + 0)", "invalid access to flow keys off=49 size=8"),
        (DISSECTOR, KEYS + "r2 += 4096\n*(u64 *)(r2 - 8) = r0", "invalid access to flow keys off=4088 size=8"),
        (DISSECTOR, KEYS + "r2 += -8\n*(u64 *)(r2 + 0) = r0", "invalid access to flow keys off=-8 size=8"),
    ],
)
def test_ordered(prog_type: int, text: str, said: str) -> None:
    err, log, _ = mine(prog_type, f"r0 = 0\n{text}\nr0 = 0\nexit")
    assert (message(log) if err else "") == said
