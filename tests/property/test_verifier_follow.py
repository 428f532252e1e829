"""The checker along concrete runs, and: what is accepted never faults. No kernel needed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from bench_verifier import runs
from bench_verifier.follow import Follower, Leak, follow
from bench_verifier.generate import Program
from bench_verifier.machine import Fault, can_run
from userbpf.verifier import alu, domain, jump, stack

FAMILIES = pytest.mark.parametrize("family", runs.FAMILIES)


@FAMILIES
def test_abstract_holds_concrete(family: str) -> None:
    checked = runs.over(runs.followed, family, range(200, 212) if "wide" in family else range(40), 3)
    assert checked.insns > 1_500 and checked.values > 10_000


@pytest.mark.sweep
@FAMILIES
@pytest.mark.parametrize("part", range(10))
def test_abstract_holds_concrete_sweep(family: str, part: int) -> None:
    runs.over(runs.followed, family, range(20_000 + part * 400, 20_250 + part * 400), 6)


def never_faults(family: str, seeds: range, count: int, mutated: bool) -> int:
    """Here pruning counts: the whole verifier said yes."""
    ended = 0
    for seed in seeds:
        prog = (runs.mutated if mutated else runs.program)(family, seed)
        if not can_run(prog.insns) or not runs.is_accepted(prog):
            continue
        for n in range(count):
            try:
                ended += runs.completes(prog, n)
            except (Fault, IndexError) as e:
                raise AssertionError(f"{family} seed {seed} run {n}{' mutated' * mutated}: {e}") from e
    return ended


@FAMILIES
@pytest.mark.parametrize(("mutated", "least"), [(False, 60), (True, 15)], ids=["whole", "mutated"])
def test_accepted_never_faults(family: str, mutated: bool, least: int) -> None:
    assert never_faults(family, range(100, 130), 5, mutated) > least


@pytest.mark.sweep
@FAMILIES
@pytest.mark.parametrize("mutated", [False, True], ids=["whole", "mutated"])
@pytest.mark.parametrize("part", range(10))
def test_accepted_never_faults_sweep(family: str, part: int, mutated: bool) -> None:
    never_faults(family, range(40_000 + part * 1000, 41_000 + part * 1000), 10, mutated)


# -- a test of the tests: each wrong rule must be seen -------------------------------------------------------------------


def _swapped(real: Callable[..., Any]) -> Callable[..., Any]:
    def branch(op: int, is32: bool, a: Any, b: Any) -> Any:
        pred, at, bt, af, bf = real(op, is32, a, b)
        return pred, af, bf, at, bt

    return branch


def _longer(real: Callable[..., Any]) -> Callable[..., Any]:
    def found(st: Any, pkt: Any, open_end: bool) -> None:
        real(st, (*pkt[:3], pkt[3] + 60, pkt[4]), open_end)

    return found


def _other_null(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda ck, st, ptr, is_null: real(ck, st, ptr, not is_null)


def _no_delta(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda source, reg: (reg[0], source[1], reg[2], reg[3], None)


FAULTS: dict[str, tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "sides of a branch exchanged": (jump, "branch", _swapped),
    "packet range too long": (jump, "_found", _longer),
    "null check the other way round": (jump, "mark_null", _other_null),
    "linked scalars without their distance": (jump, "_carried", _no_delta),
    "narrow fill keeps the whole": (stack, "cast", lambda real: lambda val, size: val),
    "mov32 keeps the high half": (alu, "mov32", lambda real: lambda val: val),
    "sign extension as zero extension": (alu, "sext", lambda real: lambda val, bits, is64: domain.cast(val, bits // 8)),
    "byte swap as cut": (alu, "bswap", lambda real: lambda val, nbytes: domain.cast(val, nbytes)),
    "pointer moved to the other side": (alu, "_add", lambda real: lambda ck, ptr, n: alu._sub(ck, ptr, n)),
    "fork forgets one value": (Follower, "push", lambda real: _lose_fork(real)),
}


def _lose_fork(real: Callable[..., Any]) -> Callable[..., Any]:
    def push(self: Follower, pc: int, prev: int) -> Any:
        state = real(self, pc, prev)
        if pc == self.pc:
            self.pushed.pop()
        return state

    return push


@functools.cache
def some_programs() -> list[Program]:
    made = (runs.program(family, seed) for seed in range(150) for family in runs.FAMILIES[:3])
    return [prog for prog in made if runs.is_accepted(prog)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_checker_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room, name, wrong = FAULTS[fault]
    some_programs()
    with monkeypatch.context() as patch:
        patch.setattr(room, name, wrong(getattr(room, name)))
        for prog in some_programs():
            for n in range(3):
                try:
                    follow(prog, [n])
                except (Leak, Fault):
                    return
                except Exception:  # refused, or lost: no proof of anything
                    break
    pytest.fail("nothing was noticed")
