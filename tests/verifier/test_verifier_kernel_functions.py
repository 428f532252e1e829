"""Whole logs of random programs that call kernel functions, recorded from Linux 6.18.44; the types come from the excerpt."""

from __future__ import annotations

from typing import Any

import pytest

from bench_verifier import golden
from bench_verifier.kernel_functions import mine, program
from verifier import btf_ask

ROWS = golden.load(f"kernel_functions_{golden.RELEASE}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_log_is_the_recorded_one(row: dict[str, Any]) -> None:
    family = row["id"].partition("-")[0]
    case = program(family, 0)._replace(name=row["id"], text=row["text"])
    assert mine(case, btf_ask.excerpt()) == (row["err"], row["lines"])


def test_programs_of_every_kind_are_recorded() -> None:
    """What the recording is for: right programs and wrong ones, and each kind of object in them."""
    refused = sum(1 for row in ROWS if row["err"])
    assert refused >= 40 and len(ROWS) - refused >= 80
    text = "\n".join(row["text"] for row in ROWS)
    for name in ("iter_num_next", "dynptr_slice", "dynptr_clone", "task_release", "cpumask_release", "rcu_read_unlock"):
        assert text.count(f"{{kfunc:bpf_{name}}}") >= 10, name
