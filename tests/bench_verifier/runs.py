"""The checker along many concrete runs: what `follow` and `cover` are asked of, and how much they checked.

A family is a generator and a type of program: "xdp" is `generate`, "wide_xdp" `wide`. Only accepted programs are run.

cd tests && python -m bench_verifier.runs follow 0 400 [--runs 5] [FAMILY ...]      seeds 0 to 399 of each family (all)
cd tests && python -m bench_verifier.runs cover 0 400
"""

from __future__ import annotations

import argparse
import errno
import sys
import time
from collections.abc import Callable, Iterable

from bench_verifier import generate, wide
from bench_verifier.cover import Kept
from bench_verifier.follow import Checked, Leak, follow, machine_for, request
from bench_verifier.generate import Program
from bench_verifier.machine import Fault
from userbpf.verifier import Rejected, verify

FAMILIES = (*generate.PROG_TYPES, *(f"wide_{name}" for name in generate.PROG_TYPES))


def program(family: str, seed: int) -> Program:
    make = wide.program if family.startswith("wide_") else generate.program
    return make(generate.PROG_TYPES[family.removeprefix("wide_")], seed)


def mutated(family: str, seed: int) -> Program:
    prog = program(family, seed)
    return wide.mutate(prog, seed) if isinstance(prog, wide.WideProgram) else generate.mutate(prog, seed)


def is_accepted(prog: Program) -> bool:
    try:
        verify(request(prog))
    except Rejected:
        return False
    return True


def completes(prog: Program, seed: int, most: int = 5_000) -> bool:
    """One concrete run without the checker; whether it came to its end. Raises Fault."""
    machine = machine_for(prog, seed)
    for _ in range(most):
        machine.step()
        if machine.done:
            return True
    return False


def followed(prog: Program, runs: int) -> Checked:
    """An accepted program, pruning off."""
    return follow(prog, range(runs))


def covered(prog: Program, runs: int) -> Checked:
    """An accepted program, pruning on. With a state kept at every instruction a few are too large to be accepted."""
    try:
        kept = Kept(prog)
    except Rejected as e:
        if e.errno != errno.E2BIG:
            raise
        return Checked()
    return sum((kept.along(run) for run in range(runs)), Checked())


def over(check: Callable[[Program, int], Checked], family: str, seeds: Iterable[int], runs: int) -> Checked:
    """All accepted programs of a family; AssertionError names the one along whose run something is wrong."""
    total = Checked()
    for seed in seeds:
        prog = program(family, seed)
        if not is_accepted(prog):
            continue
        try:
            total += check(prog, runs)
        except (Leak, Fault) as e:
            raise AssertionError(f"{family} seed {seed}: {e}") from e
    return total


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench_verifier.runs")
    parser.add_argument("what", choices=("follow", "cover"))
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_intermixed_args(args)
    check = followed if asked.what == "follow" else covered
    wrong = 0
    for family in asked.families or FAMILIES:
        total, started = Checked(), time.monotonic()
        for seed in range(asked.first, asked.first + asked.count):
            try:
                total += over(check, family, (seed,), asked.runs)
            except AssertionError as e:
                wrong += 1
                print(e)
            except Exception as e:
                wrong += 1
                print(f"{family} seed {seed}: {type(e).__name__}: {str(e)[-300:]}")
        seconds = time.monotonic() - started
        print(f"{asked.what} {family}: {total.insns} instructions, {total.values} values, {seconds:.0f} s", flush=True)
    if wrong:
        sys.exit(f"{wrong} programs with something wrong")


if __name__ == "__main__":
    main(sys.argv[1:])
