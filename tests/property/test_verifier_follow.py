"""The checker along concrete runs, and: what is accepted never faults. No kernel needed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from bench_verifier import diff, generate
from bench_verifier.follow import Follower, Leak, follow
from bench_verifier.machine import Fault, Machine
from userbpf.verifier import alu, domain, jump, stack

TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)


def accepted(name: str, seed: int) -> generate.Program | None:
    prog = generate.program(generate.PROG_TYPES[name], seed)
    return None if diff.ours(prog.insns, prog.prog_type, 0).err else prog


def follow_all(name: str, seeds: range, runs: int) -> int:
    checked = 0
    for seed in seeds:
        prog = accepted(name, seed)
        for run in range(runs) if prog else ():
            try:
                checked += follow(prog.insns, prog.prog_type, run)
            except (Leak, Fault) as e:
                raise AssertionError(f"{name} seed {seed} run {run}: {e}") from e
    return checked


@TYPES
def test_abstract_holds_concrete(name: str) -> None:
    assert follow_all(name, range(40), 3) > 10_000


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("part", range(10))
def test_abstract_holds_concrete_sweep(name: str, part: int) -> None:
    follow_all(name, range(20_000 + part * 400, 20_250 + part * 400), 6)


def run(prog: generate.Program, seed: int, most: int = 20_000) -> bool:
    """One concrete run; whether it came to its end."""
    machine = Machine(prog.insns, prog.prog_type, seed)
    for _ in range(most):
        machine.step()
        if machine.done:
            return True
    return False


def never_faults(name: str, seeds: range, runs: int, mutated: bool) -> int:
    """Here pruning counts: the whole verifier said yes."""
    ended = 0
    for seed in seeds:
        prog = generate.program(generate.PROG_TYPES[name], seed)
        if mutated:
            prog = generate.mutate(prog, seed)
        if {i.code for i in prog.insns} & STRANGE or diff.ours(prog.insns, prog.prog_type, 0).err:
            continue
        for n in range(runs):
            try:
                assert run(prog, n)
                ended += 1
            except (Fault, IndexError) as e:
                raise AssertionError(f"{name} seed {seed} run {n}{' mutated' * mutated}: {e}") from e
    return ended


# what a mutation may make and the machine does not know: legacy packet loads, may_goto, other helpers are left out by code
STRANGE = {0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xE5, 0x06}


@TYPES
def test_accepted_never_faults(name: str) -> None:
    assert never_faults(name, range(40), 5, False) > 100


@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("part", range(10))
def test_accepted_never_faults_sweep(name: str, part: int) -> None:
    never_faults(name, range(40_000 + part * 1000, 41_000 + part * 1000), 10, False)


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
def some_programs() -> list[generate.Program]:
    return [p for seed in range(150) for name in generate.PROG_TYPES if (p := accepted(name, seed))]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_checker_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room, name, wrong = FAULTS[fault]
    some_programs()
    with monkeypatch.context() as patch:
        patch.setattr(room, name, wrong(getattr(room, name)))
        for prog in some_programs():
            for n in range(3):
                try:
                    follow(prog.insns, prog.prog_type, n)
                except (Leak, Fault):
                    return
                except Exception:  # refused, or lost: no proof of anything
                    break
    pytest.fail("nothing was noticed")
