"""Objects on the stack and in map values: errno and whole level-2 log as Linux 6.18.44 recorded them.

The cases are tests/data/objects/*.txt, the answers beside them; `verifier.objects_record` asks again.
"""

from __future__ import annotations

import pytest

from bpfcalls import calls_of
from verifier.objects_rig import Case, Scene, cases, message, recorded

CASES = cases()
EXPECTED = recorded()


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(calls_of("user"))


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_as_linux(scene: Scene, case: Case) -> None:
    err, log, _ = scene.ask(case.prog_type, case.text, **case.more)
    want_err, want_log = EXPECTED[case.name]
    assert (err, message(log) if err else "") == (want_err, message(want_log) if want_err else "")
    assert log == want_log


def test_all_cases_are_recorded() -> None:
    assert {c.name for c in CASES} == set(EXPECTED)
