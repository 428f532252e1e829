"""Programs that both accept give equal results, packets and maps in interpreter, JIT and Linux."""

from __future__ import annotations

import pytest

from bench_verifier import generate, linux, three_way
from userbpf.errors import BpfError

REASON = linux.available()
TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)


def compare(name: str, seeds: range) -> int:
    """How many programs ran in all three."""
    prog_type = generate.PROG_TYPES[name]
    kernel = three_way.Kernel() if REASON is None else None
    ran = 0
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
            assert slow == theirs, f"{name} seed {seed}: Linux differs"
        ran += 1
    return ran


@TYPES
def test_equal_results(name: str) -> None:
    assert compare(name, range(40)) > 25


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("part", range(20))
def test_equal_results_sweep(name: str, part: int) -> None:
    compare(name, range(50_000 + part * 100, 50_100 + part * 100))
