"""Programs that both accept give equal results, packets and maps in interpreter, JIT and Linux."""

from __future__ import annotations

import pytest

from bench_verifier import generate, linux, three_way
from userbpf.errors import BpfError
from userbpf.isa.insn import Insn
from userbpf.verifier import check

REASON = linux.available()
TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)


def explained(insns: list[Insn], prog_type: int, data: bytes, theirs: three_way.Outcome) -> bool:
    """Whether Linux went wrong in one of its known holes (`check.mirror_holes`).

    Then the verifier with these holes fixes a branch that really goes both ways, as Linux does, and the code compiled with
    that branch fixed does what Linux did.
    """
    check.mirror_holes = True
    try:
        mirrored = three_way.load(insns, prog_type)
    finally:
        check.mirror_holes = False
    return three_way.run_ours(mirrored, data, jit=True) == theirs


def compare(name: str, seeds: range) -> tuple[int, list[int]]:
    """How many programs ran equal in all three, and in which Linux fell into a hole of its own."""
    prog_type = generate.PROG_TYPES[name]
    kernel = three_way.Kernel() if REASON is None else None
    ran = 0
    holes = []
    for seed in seeds:
        insns = generate.program(prog_type, seed, pure=True).insns
        data = three_way.packet_for(seed)
        try:
            prog = three_way.load(insns, prog_type)
        except BpfError:
            continue
        slow, fast = (three_way.run_ours(prog, data, jit) for jit in (False, True))
        assert slow == fast, f"{name} seed {seed}: interpreter and JIT differ"
        if kernel is not None:
            theirs = kernel.run(insns, prog_type, data)
            if theirs is None:
                continue
            if slow != theirs:
                assert explained(insns, prog_type, data, theirs), f"{name} seed {seed}: Linux differs"
                holes.append(seed)
                continue
        ran += 1
    return ran, holes


@TYPES
def test_equal_results(name: str) -> None:
    ran, holes = compare(name, range(40))
    assert ran > 25 and not holes


def test_where_linux_goes_wrong() -> None:
    """A fetching atomic on the stack: Linux takes the old value for a constant, which it is on one path only."""
    assert compare("xdp", range(61880, 61881)) == ((1, []) if REASON else (0, [61880]))


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("part", range(20))
def test_equal_results_sweep(name: str, part: int) -> None:
    ran, holes = compare(name, range(50_000 + part * 100, 50_100 + part * 100))
    assert ran > 80 and len(holes) <= 1
