"""Older kernels: what the verifier answers to what a release does not know yet, by the rows of `spec.profiles`.

Each case names the last profile that refuses and its words, and the first that accepts: so a row that is a release off, or a
point where nobody asks the profile, is seen.
"""

from __future__ import annotations

import pytest

from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn
from userbpf.spec.profiles import PROFILES, behaviour, helper_since, parse_release, profile, since, table
from userbpf.verifier import Rejected, VerifyRequest, verify

RETURN = "r0 = 0; exit"


def verdict(insns: list[Insn], kernel: str, prog_type: ProgType = ProgType.SOCKET_FILTER) -> str:
    try:
        verify(VerifyRequest(insns, prog_type, log_level=1, kernel=kernel))
    except Rejected as e:
        return e.log
    return "accepted"


def code(text: str) -> list[Insn]:
    return assemble(text.replace("; ", "\n"))


SPILL = """
r1 = *(u32 *)(r1 + 0); r1 &= 7; *(u32 *)(r10 - 8) = r1; r2 = *(u32 *)(r10 - 8); r3 = r10; r3 += -16
*(u64 *)(r10 - 16) = 0; r0 = 0; if r2 > 7 goto +1; exit
r0 = *(u64 *)(r10 - 600); exit"""
INDEX = (
    "r1 = *(u32 *)(r1 + 0); r1 &= 7; *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; r2 += r1; r0 = *(u8 *)(r2 + 0); exit"
)
LOOP = "r0 = 0; r0 += 1; if r0 < 4 goto -2; exit"

# what it is: (program, last profile that refuses, its words, first that accepts)
CASES = {
    "signed division": ("r0 = 7; r0 s/= 2; exit", "6.1", "BPF_ALU uses reserved fields", "6.6"),
    "sign extension": ("r0 = 7; r0 = (s8)r0; exit", "6.1", "BPF_MOV uses reserved fields", "6.6"),
    "signed load": ("*(u64 *)(r10 - 8) = 0; r0 = *(s8 *)(r10 - 8); exit", "6.1", "BPF_LDX uses reserved fields", "6.6"),
    "bswap": ("r0 = 7; r0 = bswap16 r0; exit", "6.1", "unknown opcode d7", "6.6"),
    "gotol": ("gotol +0; r0 = 0; exit", "6.1", "unknown opcode 06", "6.6"),
    "may_goto": ("r0 = 0; may_goto +1; goto -2; exit", "6.6", "unknown opcode e5", "6.12"),
    "atomic or": (
        "r0 = 0; *(u64 *)(r10 - 8) = r0; lock *(u64 *)(r10 - 8) |= r0; exit",
        "5.10",
        "BPF_STX uses reserved fields",
        "5.15",
    ),
    "store release": (
        "r0 = 0; store_release((u64 *)(r10 - 8), r0); exit",
        "6.12",
        "BPF_ATOMIC uses invalid atomic opcode 110",
        "6.18",
    ),
    "unknown offset on the stack": (INDEX, "5.10", "variable stack access var_off=(0x0; 0x7) off=-8 size=1", "5.15"),
    "stack that was never written": ("r0 = *(u64 *)(r10 - 8); exit", "6.1", "invalid read from stack", "6.6"),
    "a narrow spill": (SPILL, "5.15", "invalid read from stack R10 off=-600 size=8", "6.1"),
    "a helper": ("call 208; r0 = 0; exit", "5.15", "invalid func unknown#208", "6.1"),
    "a helper of the type": ("call 14; r0 = 0; exit", "6.6", "unknown func bpf_get_current_pid_tgid#14", "6.12"),
    "a field": ("r0 = *(u64 *)(r1 + 184); exit", "5.15", "invalid bpf_context access off=184 size=8", "6.1"),
    "a loop": (LOOP, "5.2", "back-edge from insn 2 to 1", "5.4"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_release_before_refuses(name: str) -> None:
    text, last, words, first = CASES[name]
    prog_type = ProgType.SCHED_CLS if name == "a field" else ProgType.SOCKET_FILTER
    insns = code(text)
    assert words in verdict(insns, last, prog_type)
    for kernel in PROFILES[PROFILES.index(first) :]:
        assert verdict(insns, kernel, prog_type) == "accepted", kernel


def test_tail_calls_and_functions_do_not_mix_before_5_10() -> None:
    insns = [
        Insn(0x85, 0, 1, 0, 1),
        Insn(0x95),
        *code("r2 = 0; r3 = 0; call 12; r0 = 0; exit"),
    ]
    assert verdict(insns, "5.4").startswith("tail_calls are not allowed in programs with bpf-to-bpf calls")
    assert "tail_calls are not allowed" not in verdict(insns, "5.10")


MEMORY_ARGUMENT = "r1 = 0; call sub; exit"


def test_root_writes_to_unknown_places_of_fresh_stack_since_5_12() -> None:
    insns = code("r1 = *(u32 *)(r1 + 0); r1 &= 7; r2 = r10; r2 += -8; r2 += r1; *(u8 *)(r2 + 0) = 1; r0 = 0; exit")
    assert "variable stack access" in verdict(insns, "5.10")
    for kernel in ("5.15", "6.1", "6.18"):
        assert verdict(insns, kernel) == "accepted"


def test_helpers_of_two_lists() -> None:
    """Releases that ebpf-docs and bcc's list agree on, and those corrected."""
    known = {
        "ringbuf_output": "5.8",
        "loop": "5.17",
        "dynptr_read": "5.19",
        "for_each_map_elem": "5.13",
        "timer_init": "5.15",
    }
    known |= {"get_prandom_u32": "4.1", "map_lookup_elem": "3.19", "sk_assign": "5.7", "user_ringbuf_drain": "6.1"}
    assert {name: str(since("helper", name)) for name in known} == known


def test_rows_are_read_whole() -> None:
    assert str(since("helper", "loop")) == "5.17" and since("helper", "loop").cite == "e6f2dd0f8067"  # type: ignore[union-attr]
    assert str(helper_since("get_current_pid_tgid", ProgType.XDP)) == "6.10"
    assert str(helper_since("get_current_pid_tgid", ProgType.KPROBE)) == "4.2"
    assert not since("attach_type", "STRUCT_OPS").sure  # type: ignore[union-attr]
    for kind in ("prog_type", "map_type", "attach_type", "command", "flag", "helper", "kfunc"):
        for name, row in table(kind).items():
            assert (3, 18) <= row.release <= (7, 9), (kind, name)
            assert row.cite in ("uapi", "BTF") or len(row.cite) == 12, (kind, name)


def test_what_is_not_modelled_is_told() -> None:
    assert [row.name for row in profile("6.18").lacks()] == []
    assert "range_rewrite" in {row.name for row in profile("6.6").lacks()}
    assert behaviour("bounded_loops").modelled and not behaviour("range_rewrite").modelled


@pytest.mark.parametrize("text", ["", "6", "6.x", "v6.1", "6.1.2.3"])
def test_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="no kernel release"):
        parse_release(text)


def test_32_bit_jumps_came_with_5_1() -> None:
    insns = code("r0 = 0; if w0 > 1 goto +0; exit")
    assert "unknown opcode 26" in verdict(insns, "5.0")
    assert verdict(insns, "5.1") == "accepted"
