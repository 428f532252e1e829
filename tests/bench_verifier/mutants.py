"""Real objects with something wrong in them: programs of object files, one to three instructions changed, asked of both kernels.

cd tests && python -m bench_verifier.mutants DIR|FILE.o ... [--only WORD] [--seeds N] [--first SEED] [--json FILE] [--jobs N]

What random programs never reach (kernel functions, dynptrs, iterators, locks, kernel pointers in maps, callbacks, global
functions) is where objects begin. A mutant keeps the length of its program, so that BTF, line information and references stay
where they are: registers, offsets, constants and sizes change, checks disappear, calls and the maps and kernel functions that
are named change places with others of the object. Compared are verdict, errno, last message, processed instructions.
"""

from __future__ import annotations

import argparse
import collections
import errno
import functools
import json
import random
import sys
from pathlib import Path
from typing import Any

from bench_verifier.objects import Outcome, furnish, guess, kind, last_message, objects, outcome_of
from bench_verifier.pool import TooLong, limit, over
from userbpf.abi.enums import HelperId
from userbpf.errors import BpfError, UserbpfError
from userbpf.isa.insn import Insn
from userbpf.loader import Object
from userbpf.loader.blueprint import ProgPlan, Reference
from userbpf.spec.sections import section_of

SECONDS = 3.0
LARGEST = 1500  # instructions; larger programs take longer than they teach
# Linux 6.18.44 oopses on some mutants of these: exception callbacks whose callers are dead code, task work without its field
NOT_ASKED = ("exceptions", "task_work")
CALL, LDDW, MOV = 0x85, 0x18, 0xB7
HELPERS = [int(f) for f in HelperId if f]
NEAR = (1, -1, 2, 4, -4, 8, -8, 16, -16)
CONSTANTS = (0, 1, -1, 2, 3, 4, 7, 8, 16, 63, 64, 255, 256, 4096, 0x7FFFFFFF, -0x80000000)


def one(rng: random.Random, insns: list[Insn], references: list[Reference], fixed: set[int]) -> None:
    """One change, in place. `fixed` are instructions that names will be written to, and second halves."""
    free = [pc for pc in range(len(insns)) if pc not in fixed]
    what = rng.randrange(16)
    if what == 0 and len(references) > 1:  # another map or kernel function
        a, b = rng.sample(range(len(references)), 2)
        if references[a].kind is references[b].kind:
            first = references[a]
            references[a] = Reference(first.pc, first.kind, references[b].target, first.off, first.weak)
            return
    if what in (1, 2):
        calls = [pc for pc in free if insns[pc].code == CALL and not insns[pc].src]
        if calls:  # another helper: one that the program knows, or any
            pc = rng.choice(calls)
            known = [insns[p].imm for p in calls]
            insns[pc] = insns[pc]._replace(imm=rng.choice(known if what == 1 else HELPERS))
            return
    if what in (3, 4):
        jumps = [pc for pc in free if insns[pc].code & 7 in (5, 6) and insns[pc].code not in (CALL, 0x95, 0x05, 0x06)]
        if jumps:  # a check that is always, never or otherwise taken
            pc = rng.choice(jumps)
            insn = insns[pc]
            insns[pc] = rng.choice((Insn(0x05), Insn(0x05, 0, 0, insn.off), insn._replace(code=insn.code ^ 0x40)))
            return
    pc = rng.choice(free)
    insn = insns[pc]
    if what < 7:
        insns[pc] = Insn(0x05)  # goes on to the next one: the instruction is gone
    elif what == 7:
        insns[pc] = insn._replace(dst=rng.randrange(11))
    elif what == 8:
        insns[pc] = insn._replace(src=rng.randrange(11))
    elif what < 11 and insn.code & 7 in (1, 2, 3):  # another place, another size
        insns[pc] = (
            insn._replace(off=insn.off + rng.choice(NEAR))
            if what == 9
            else insn._replace(code=insn.code & ~0x18 | rng.choice((0, 8, 0x10, 0x18)))
        )
    elif what < 13:
        insns[pc] = insn._replace(
            imm=rng.choice((*CONSTANTS, max(-(1 << 31), insn.imm + rng.choice(NEAR[:-1]) & 0x7FFFFFFF)))
        )
    elif what == 13:
        other = rng.choice(free)
        if insns[other].code & 7 != 5 and insn.code & 7 != 5:
            insns[pc], insns[other] = insns[other], insn
    elif what == 14:
        insns[pc] = insns[rng.choice(free)] if insn.code & 7 != 5 else insn
    else:
        insns[pc] = Insn(MOV, rng.randrange(1, 6), 0, 0, rng.choice(CONSTANTS))


def mutate(plan: ProgPlan, seed: int) -> tuple[list[Insn], list[Reference]]:
    """Instructions and references of a mutant; the plan stays as it is."""
    rng = random.Random(f"{plan.name}:{seed}")
    insns, references = list(plan.insns), list(plan.references)
    fixed = {r.pc for r in references} | {pc for i, n in enumerate(insns) if n.code == LDDW for pc in (i, i + 1)}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        one(rng, insns, references, fixed)
    return insns, references


def ask(obj: Object, name: str, insns: list[Insn], references: list[Reference]) -> Outcome:
    """One mutant on the kernel that the object is loaded on."""
    plan = obj.plan.progs[name]
    plan.insns, plan.references = list(insns), list(references)
    try:
        with limit(SECONDS):
            return outcome_of(obj.load_prog(name, 1).log or "", Outcome())
    except BpfError as e:
        return outcome_of(e.log or "", Outcome("prog", e.errno or -1, last_message(e)))
    except UserbpfError as e:
        return Outcome("open", 0, str(e))
    except TooLong as e:
        return Outcome("time", -1, str(e))
    except Exception as e:  # a crash is an answer like any other here
        return Outcome("crash", -1, f"{type(e).__name__}: {e}")


def opened(path: Path, transport: str) -> Object:
    """The object with its maps and no program, on one kernel."""
    unknown = {p.section for p in Object.open(path).plan.progs.values() if section_of(p.section) is None}
    obj = Object.open(path, prog_types={s: guess(path, s) for s in unknown})
    for plan in obj.plan.maps.values():
        furnish(plan)
    return obj.load(transport, progs=())


def compare(path: Path, seeds: range) -> list[dict[str, Any]]:
    """A row for each mutant of each program of an object that Linux may be asked about."""
    rows: list[dict[str, Any]] = []
    if any(word in path.name for word in NOT_ASKED):
        return rows
    try:
        theirs, mine = opened(path, "linux"), opened(path, "user")
    except (UserbpfError, OSError):
        return rows
    with theirs, mine:
        for name, plan in list(mine.plan.progs.items()):
            whole = list(plan.insns), list(plan.references)
            first = ask(theirs, name, *whole)
            if first.errno == errno.EPERM or first.stage == "open" or len(plan.insns) > LARGEST:
                continue
            for seed in seeds:
                plan.insns, plan.references = whole
                mutant = mutate(plan, seed)
                a = ask(theirs, name, *mutant)
                b = Outcome("time") if a.stage == "time" else ask(mine, name, *mutant)
                what = "time" if a.stage == "time" else kind(a, b)
                rows.append({"object": str(path), "program": name, "seed": seed, "kind": what})
                if what not in ("same", "loader", "time"):
                    rows[-1] |= {"linux": [a.stage, a.errno, a.processed, a.message]}
                    rows[-1] |= {"user": [b.stage, b.errno, b.processed, b.message]}
    return rows


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("where", nargs="+")
    options.add_argument("--only", default="")
    options.add_argument("--seeds", type=int, default=10, help="mutants of each program")
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--json", dest="json_path")
    options.add_argument("--jobs", type=int, default=1)
    args = options.parse_args(argv)
    paths = [path for path in objects(args.where) if args.only in str(path)]
    everything: list[dict[str, Any]] = []
    seeds = range(args.first, args.first + args.seeds)
    for path, rows in over(functools.partial(compare, seeds=seeds), paths, args.jobs):
        everything += rows
        for row in rows:
            if "linux" in row:
                print(f"{row['kind']:13} {path.name}:{row['program']} seed {row['seed']}")
                print(f"    L {str(row['linux'])[:220]}\n    u {str(row['user'])[:220]}", flush=True)
    kinds = collections.Counter(row["kind"] for row in everything)
    print(f"\n{len(everything)} mutants: " + ", ".join(f"{what} {n}" for what, n in kinds.most_common()))
    if args.json_path:
        Path(args.json_path).write_text("".join(json.dumps(row) + "\n" for row in everything))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
