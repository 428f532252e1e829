"""The checked interpreter: what it refuses, what it says, what it records."""

from __future__ import annotations

import pytest

from enginerig import Maps, Rig, accept, run_interp, unverified
from userbpf.abi.enums import ProgType
from userbpf.engine import Env, Step
from userbpf.errors import InterpFault
from userbpf.verifier.api import Fact, PtrKind

ARRAY = (2, 4, 8, 4)
RODATA = (2, 4, 8, 1, 0x80)
RINGBUF = (27, 0, 0, 4096)


def facts(text: str, **at: Fact) -> tuple[Fact | None, ...]:
    """Facts by pc: `facts(text, pc3=Fact(...))`."""
    out: list[Fact | None] = [None] * len(text.strip().splitlines())
    for name, fact in at.items():
        out[int(name[2:])] = fact
    return tuple(out)


FAULTS = {
    "above the frame": ("r0 = *(u64 *)(r10 +0)\nexit", "0: .*read of 8 bytes at 0x[0-9a-f]+; nearest is stack of frame 0"),
    "below the frame": ("*(u8 *)(r10 -513) = 0\nexit", r"write of 1 bytes .*\(512 bytes, -1\)"),
    "across the frame's end": ("r0 = *(u64 *)(r10 -4)\nexit", "read of 8 bytes"),
    "null": ("r1 = 0\nr0 = *(u8 *)(r1 +0)\nexit", r"1: \(71\) r0 = \*\(u8 \*\)\(r1 \+0\): read of 1 bytes at 0x0"),
    "a number": ("r1 = 4096\n*(u8 *)(r1 +0) = 0\nexit", "write of 1 bytes at 0x1000"),
    "above the packet": (
        "r2 = *(u32 *)(r1 +4)\nr0 = *(u8 *)(r2 +0)\nexit",
        r"nearest is packet \(64 bytes, \+64\)",
    ),
    "across the packet's end": ("r2 = *(u32 *)(r1 +0)\nr0 = *(u16 *)(r2 +63)\nexit", "read of 2 bytes"),
    "a hole in the context": ("r0 = *(u32 *)(r1 +2)\nexit", "context offset 2: no such field"),
    "half of a context pointer": ("r0 = *(u16 *)(r1 +0)\nexit", "context offset 0: no such field"),
    "a read-only context field": ("*(u32 *)(r1 +12) = 1\nexit", "context offset 12: no such field"),
    "the words below the context": ("r0 = *(u64 *)(r1 -8)\nexit", "read of 8 bytes"),
    "the run context": ("r2 = r1\nr2 += 256\nr0 = *(u64 *)(r2 +8)\nexit", "read of 8 bytes"),
    "unaligned atomic": ("*(u64 *)(r10 -8) = 0\nr1 = 1\nlock *(u64 *)(r10 -12) += r1\nexit", "not aligned to 8"),
    "too many calls": ("call f\nexit\nf: call f\nexit", "call depth above 8"),
    "endless loop": ("l: goto l", "budget"),
    "a stack address of a function that returned": (
        "r6 = r10\nr1 = r6\nr1 += -8\n*(u64 *)(r10 -8) = 0\ncall f\nr0 = *(u64 *)(r0 +0)\nexit\n"
        "f: r0 = r10\nr0 += -8\n*(u64 *)(r0 +0) = 1\nexit",
        "5: .*read of 8 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    text, message = FAULTS[name]
    with pytest.raises(InterpFault, match=message):
        run_interp(unverified(text, ProgType.XDP), Rig(), budget=10_000)


WRONG_FACTS = {
    "kind": ("r1 = r10\nr0 = *(u8 *)(r1 -8)\nexit", {"pc1": Fact(ptr=PtrKind.PACKET)}, "where the verifier saw PACKET"),
    "stack offset": ("r1 = r10\nr0 = *(u8 *)(r1 -8)\nexit", {"pc1": Fact(ptr=PtrKind.STACK, off=-16)}, "saw fp-16"),
    "context offset": (
        "r0 = *(u32 *)(r1 +12)\nr0 = 0\nexit",
        {"pc0": Fact(ptr=PtrKind.CTX, off=16)},
        "verifier saw 16",
    ),
    "context for stack": (
        "r0 = *(u32 *)(r1 +12)\nr0 = 0\nexit",
        {"pc0": Fact(ptr=PtrKind.STACK)},
        "verifier saw STACK",
    ),
    "jump": ("r0 = 1\nif r0 == 1 goto l\nr0 = 2\nl: exit", {"pc1": Fact(taken=False)}, "the jump is taken"),
    "no jump": ("r0 = 1\nif r0 == 2 goto l\nr0 = 2\nl: exit", {"pc1": Fact(taken=True)}, "the jump is not taken"),
}


@pytest.mark.parametrize("name", WRONG_FACTS)
def test_holds_the_verifier_to_its_word(name: str) -> None:
    text, given, message = WRONG_FACTS[name]
    with pytest.raises(InterpFault, match=message):
        run_interp(unverified(text, ProgType.XDP, facts=facts(text, **given)), Rig())


def test_a_frame_is_as_deep_as_the_verifier_measured() -> None:
    """Compiled code has no more, so the interpreter has no more either."""
    prog = accept("r2 = r10\nr2 += -16\n*(u64 *)(r2 +8) = 1\n*(u64 *)(r2 +0) = 2\nr0 = *(u64 *)(r10 -8)\nexit")
    assert prog.subprogs[0].stack_depth == 16
    assert run_interp(prog, Rig()) == 1
    shallow = unverified("r2 = r10\nr2 += -32\n*(u64 *)(r2 +0) = 1\nr0 = 0\nexit", depth=16)
    with pytest.raises(InterpFault, match=r"stack of frame 0 \(16 bytes, -16\)"):
        run_interp(shallow, Rig())


def test_dead_code_is_dead() -> None:
    prog = unverified("r0 = 1\nr0 = 2\nexit", live=b"\1\0\1")
    with pytest.raises(InterpFault, match=r"1: \(b7\) r0 = 2: the verifier saw no path"):
        run_interp(prog, Rig())


def test_uninitialised_registers_are_no_pointers() -> None:
    for reg in (0, 2, 5, 6, 9):
        with pytest.raises(InterpFault):
            run_interp(unverified(f"r0 = *(u8 *)(r{reg} +0)\nexit"), Rig())


def test_a_call_leaves_nothing_in_the_argument_registers() -> None:
    text = "r1 = r10\nr1 += -8\nr2 = r1\ncall f\nr0 = *(u8 *)(r2 +0)\nexit\nf: r0 = 0\nexit"
    with pytest.raises(InterpFault, match=r"^4:"):
        run_interp(unverified(text), Rig())


LOOKUP = "*(u32 *)(r10 -4) = {key}\nr1 = map_fd 0 ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n"


def run_with_maps(text: str, *specs: tuple[int, ...], **given: object) -> int:
    maps = Maps(*specs)
    map_facts = {
        pc: Fact(map=insn.imm)
        for pc, insn in enumerate(unverified(text).insns)
        if insn.code == 0x18 and insn.src in (1, 2)
    }
    prog = unverified(text, ProgType.XDP)
    prog = unverified(
        prog.insns,
        ProgType.XDP,
        maps=tuple(maps.shapes),
        facts=tuple(map_facts.get(pc) for pc in range(len(prog.insns))),
        **given,
    )
    return run_interp(prog, Rig(), maps.env(prog))


def test_a_map_value_ends_where_it_ends() -> None:
    with pytest.raises(InterpFault, match=r"value of map 0 \(8 bytes, \+8\)"):
        run_with_maps(LOOKUP.format(key=1) + "r0 = *(u8 *)(r0 +8)\nexit", ARRAY)
    with pytest.raises(InterpFault, match=r"value of map 0 \(8 bytes, -1\)"):
        run_with_maps(LOOKUP.format(key=1) + "r0 = *(u8 *)(r0 -1)\nexit", ARRAY)


def test_only_values_that_were_looked_up_are_live() -> None:
    with pytest.raises(InterpFault):
        run_with_maps(LOOKUP.format(key=1) + "r0 = *(u8 *)(r0 +16)\nexit", ARRAY)
    assert run_with_maps(LOOKUP.format(key=4) + "exit", ARRAY) == 0


def test_constants_cannot_be_written() -> None:
    with pytest.raises(InterpFault, match="write to read-only value of map 0"):
        run_with_maps("r1 = map_value 0 + 0 ll\n*(u64 *)(r1 +0) = 1\nexit", RODATA)
    assert run_with_maps("r1 = map_value 0 + 0 ll\nr0 = *(u64 *)(r1 +0)\nexit", RODATA) == 0


def test_a_submitted_record_is_gone() -> None:
    reserve = "r1 = map_fd 0 ll\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\nr6 = r0\n"
    submit = "r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit\n"
    assert run_with_maps(reserve + "*(u64 *)(r6 +8) = 1\n" + submit + "r0 = 3\nexit", RINGBUF) == 3
    with pytest.raises(InterpFault, match=r"ring buffer record \(16 bytes, \+16\)"):
        run_with_maps(reserve + "*(u64 *)(r6 +9) = 1\nexit".replace("+9", "+16"), RINGBUF)
    with pytest.raises(InterpFault, match="write of 8 bytes"):
        run_with_maps(reserve + submit + "*(u64 *)(r6 +8) = 1\nexit", RINGBUF)


def test_arguments_of_helpers_are_checked() -> None:
    with pytest.raises(InterpFault, match=r"call bpf_map_lookup_elem#1: read of 4 bytes"):
        run_with_maps("r1 = map_fd 0 ll\nr2 = r10\nr2 += -3\ncall bpf_map_lookup_elem\nexit", ARRAY)
    text = (
        "*(u32 *)(r10 -4) = 0\nr1 = map_fd 0 ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -4\nr4 = 0\n"
        "call bpf_map_update_elem\nexit"
    )
    with pytest.raises(InterpFault, match=r"call bpf_map_update_elem#2: read of 8 bytes"):
        run_with_maps(text, ARRAY)


def test_trace_as_a_list_and_as_a_callback() -> None:
    prog = accept("r0 = 5\nr1 = 1\ncall f\nr0 += 1\nexit\nf: r0 = r1\nexit")
    steps: list[Step] = []
    seen: list[int] = []
    assert run_interp(prog, Rig(), trace=steps) == 2
    run_interp(prog, Rig(), trace=lambda step: seen.append(step.pc))
    assert [s.pc for s in steps] == [0, 1, 2, 5, 6, 3, 4] == seen
    assert [s.depth for s in steps] == [0, 0, 0, 1, 1, 0, 0]
    assert steps[1].regs[0] == 5 and steps[3].regs[1] == 1 and len(steps[0].regs) == 11
    assert steps[3].regs[10] != steps[0].regs[10]


def test_the_frame_is_real_memory() -> None:
    """Registers hold addresses of this process."""
    import ctypes

    seen: list[int] = []

    def look(step: Step) -> None:
        if step.pc == 1:
            seen.append(ctypes.c_uint64.from_address(step.regs[10] - 8).value)

    run_interp(unverified("*(u64 *)(r10 -8) = 77\nr0 = 0\nexit"), Rig(), trace=look)
    assert seen == [77]


def test_absent_instructions_say_so() -> None:
    with pytest.raises(InterpFault, match="kernel variables"):
        run_interp(unverified("r1 = btf_id 5 ll\nexit"), Rig(), Env())
