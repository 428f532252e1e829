"""Programs over the kernel's types: errno and the whole log as Linux 6.18.44 gave them, recorded with an excerpt of its BTF."""

from __future__ import annotations

import pytest

from verifier.btf_ask import excerpt, mine, recorded
from verifier.btf_cases import CASES, Case

ANSWERS = recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace("\n", "; "))
def test_as_linux(case: Case) -> None:
    err, log = ANSWERS[case.name]
    assert mine(case, excerpt()) == (err, log)
