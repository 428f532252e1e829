"""With pruning on: what a run comes through is described by some state that was kept. No kernel needed."""

from __future__ import annotations

import pytest

from bench_verifier import runs
from bench_verifier.faults import FAULTS
from bench_verifier.inject import injected

FAMILIES = pytest.mark.parametrize("family", runs.FAMILIES)
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


@FAMILIES
def test_kept_states_cover_runs(family: str) -> None:
    checked = runs.over(runs.covered, family, range(15 if "wide" in family else 30), 3)
    assert checked.insns > 800 and checked.values > 3_000


@pytest.mark.sweep
@FAMILIES
@pytest.mark.parametrize("part", range(8))
def test_kept_states_cover_runs_sweep(family: str, part: int) -> None:
    runs.over(runs.covered, family, range(70_000 + part * 300, 70_300 + part * 300), 5)


@pytest.mark.parametrize("title", [*LAX, *(pytest.param(t, marks=pytest.mark.sweep) for t in RARELY_SHOWN)])
def test_lax_pruning_is_caught(title: str) -> None:
    fault = next(f for f in FAULTS if f.title == title)
    with injected(fault.module, fault.function, fault.old, fault.new):
        for first in range(0, 240, 8):
            for family in runs.FAMILIES[:3]:
                try:
                    runs.over(runs.covered, family, range(first, first + 8), 2)
                except AssertionError:
                    return
    pytest.fail("nothing was noticed")
