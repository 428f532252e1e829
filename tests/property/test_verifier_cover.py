"""With pruning on: what a run comes through is described by some state that was kept. No kernel needed."""

from __future__ import annotations

import pytest

from bench_verifier import generate
from bench_verifier.cover import Kept
from bench_verifier.faults import FAULTS
from bench_verifier.follow import Leak
from bench_verifier.inject import injected
from userbpf.verifier import Rejected

TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)
# faults of pruning that concrete runs must show without Linux's help
LAX = (
    "precise scalars compared by nothing",
    "scalars compared the other way round",
    "kinds of registers ignored in comparisons",
    "precision of an offset not asked",
)
RARELY_SHOWN = (
    "precise spills compared by nothing",
    "the whole stack ignored in comparisons",
    "precision does not go through the stack",
    "packet ranges ignored in comparisons",
)


def covered(name: str, seeds: range, runs: int) -> int:
    checked = 0
    for seed in seeds:
        prog = generate.program(generate.PROG_TYPES[name], seed)
        try:
            kept = Kept(prog.insns, prog.prog_type)
        except Rejected:
            continue
        for run in range(runs):
            try:
                checked += kept.along(run)
            except Leak as e:
                raise AssertionError(f"{name} seed {seed} run {run}: {e}") from e
    return checked


@TYPES
def test_kept_states_cover_runs(name: str) -> None:
    assert covered(name, range(30), 3) > 5_000


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("part", range(8))
def test_kept_states_cover_runs_sweep(name: str, part: int) -> None:
    covered(name, range(70_000 + part * 300, 70_300 + part * 300), 5)


@pytest.mark.parametrize("title", [*LAX, *(pytest.param(t, marks=pytest.mark.sweep) for t in RARELY_SHOWN)])
def test_lax_pruning_is_caught(title: str) -> None:
    fault = next(f for f in FAULTS if f.title == title)
    with injected(fault.module, fault.function, fault.old, fault.new):
        for first in range(0, 240, 8):
            for name in generate.PROG_TYPES:
                try:
                    covered(name, range(first, first + 8), 2)
                except AssertionError:
                    return
    pytest.fail("nothing was noticed")
