"""Whole logs of programs with BTF: global functions, callbacks, may_goto, tail calls, packet walks, every atomic."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from bench_verifier import generate, linux, wide
from bench_verifier.diff import kind, report
from userbpf import linux as transport
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch

pytestmark = pytest.mark.skipif(linux.available() is not None, reason=str(linux.available()))
TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)
# Linux 6.18.44 fails behind its verifier on some programs that it had accepted, and says so itself
LINUX_FAILS = "verifier bug: No program to jit"


class Sides(NamedTuple):
    mine: wide.Side
    theirs: wide.Side


@pytest.fixture
def sides() -> Sides:
    kernel = Kernel()
    return Sides(wide.Side(lambda cmd, attr: dispatch(kernel, cmd, attr)), wide.Side(transport.bpf))


def differing(sides: Sides, name: str, seeds: range, mutated: bool) -> list[str]:
    out: list[str] = []
    for seed in seeds:
        prog = wide.program(generate.PROG_TYPES[name], seed)
        if mutated:
            prog = wide.mutate(prog, seed)
        theirs = sides.theirs(prog)
        if theirs.err == 28 or LINUX_FAILS in theirs.message:
            continue
        mine = sides.mine(prog)
        if (what := kind(theirs, mine)) != "same":
            out.append(f"{name} {seed}: {what}\n{report(theirs, mine)}")
    return out


@TYPES
@pytest.mark.parametrize("mutated", [False, True])
def test_few(sides: Sides, name: str, mutated: bool) -> None:
    found = differing(sides, name, range(30, 40), mutated)
    assert not found, "\n".join(found)


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("mutated", [False, True])
def test_many(sides: Sides, name: str, mutated: bool) -> None:
    """Counting loops through may_goto may still differ in a line."""
    found = differing(sides, name, range(5000, 5400), mutated)
    assert len(found) <= 12, "\n".join(found)
