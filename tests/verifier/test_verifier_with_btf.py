"""Whole logs of programs with BTF (callbacks, global functions, may_goto, tail calls), as Linux 6.18.44 recorded them."""

from __future__ import annotations

from typing import Any

import pytest

from bench_verifier import generate, golden, wide
from bench_verifier.diff import Verdict, kind, report
from userbpf.isa.insn import decode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from userbpf.verifier import check

ROWS = golden.load(f"with_btf_{golden.RELEASE}")


@pytest.fixture(scope="module")
def side() -> wide.Side:
    kernel = Kernel(ncpu=2)  # as the one that was asked
    return wide.Side(lambda cmd, attr: dispatch(kernel, cmd, attr))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_log_is_the_recorded_one(side: wide.Side, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "mirror_holes", True)
    prog = wide.WideProgram(
        generate.PROG_TYPES[row["type"]],
        0,
        False,
        decode(bytes.fromhex(row["insns"])),
        [(off, number) for off, number in row["func_info"]],
        [(off, name, line, col) for off, name, line, col in row["line_info"]],
        bytes.fromhex(row["btf"]),
    )
    theirs, mine = Verdict(row["err"], row["lines"]), side(prog)
    assert kind(theirs, mine) == "same", report(theirs, mine)
