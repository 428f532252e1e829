"""A test of the tests: each fault of `bench_verifier.faults` is noticed by what is recorded, and by the probe that is said to."""

from __future__ import annotations

import pytest

from bench_verifier import probes
from bench_verifier.faults import FAULTS, Fault, noticed_by
from bench_verifier.inject import Gone

BY_TITLE = pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.title)
MOST_GONE = 3  # faults whose place in the verifier has been rewritten since: the sweep asks for all


@BY_TITLE
def test_fault_is_noticed(fault: Fault) -> None:
    assert fault.by, "nothing is said to notice it: run bench_verifier.faults"
    probe = probes.find(fault.by)
    if probe is None:
        pytest.skip(f"{fault.by} needs the kernel's own BTF")
    try:
        assert noticed_by(fault, [(fault.by, probe)]), f"{fault.by} is silent"
    except Gone as e:
        pytest.skip(f"write it anew: {e}")


def gone() -> list[str]:
    out = []
    for fault in FAULTS:
        try:
            noticed_by(fault, [])
        except Gone as e:
            out.append(f"{fault.title}: {e}")
    return out


def test_faults_fit_the_verifier() -> None:
    assert len(gone()) <= MOST_GONE, "\n".join(gone())


@pytest.mark.sweep
def test_every_fault_fits_the_verifier() -> None:
    assert not gone()


def test_probes_are_silent_without_a_fault() -> None:
    for name in sorted({fault.by for fault in FAULTS}):
        probe = probes.find(name)
        assert probe is None or not probes.notices(probe), name


def test_the_list_is_one() -> None:
    assert len({f.title for f in FAULTS}) == len(FAULTS) >= 150
    assert len({(f.module, f.function, f.old, f.new) for f in FAULTS}) == len(FAULTS)
