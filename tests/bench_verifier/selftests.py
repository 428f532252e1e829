"""Linux's own verifier selftests, run in place from a checkout outside of the repository, on both verifiers.

cd tests && python -m bench_verifier.selftests DIR|FILE.o ... [--only WORD] [--json FILE] [-v] [--jobs N]

The objects are compiled `progs/*.c` whose expectations stand in BTF declaration tags (`comment:test_expect_...`). Each program is
loaded by userbpf and by the running Linux; Linux's answer is the truth, the file's expectation is looked for in both logs:

    verdict    accepted or refused alike, and the errno
    message    of programs that both refuse: the same last message
    expected   of the messages that the file expects and Linux's log has: found in ours too
    count      of programs that both accept: the same number of processed instructions
    told       of programs that Linux does not let this machine ask about (EPERM): the verdict that the file tells, and its words
"""

from __future__ import annotations

import argparse
import collections
import errno
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_verifier.objects import Outcome, last_message, objects, outcome_of
from bench_verifier.pool import TooLong, limit, over
from userbpf.abi import consts
from userbpf.btf import Btf, DeclTag, Func
from userbpf.errors import BpfError, UserbpfError
from userbpf.loader import Object

PREFIX = re.compile(r"comment:(?:\d+:)?test_(.*)", re.S)  # newer files number their tags
SECONDS = 30.0
EXPECTED = re.compile(r"expect_msg=(?:\d+=)?(.*)", re.S)
FIGURES = ("verdict", "message", "expected", "count", "told")
HEAD = f"{'object':38} " + " ".join(f"{figure:>9}" for figure in FIGURES)
FLAGS = {name: value for name, value in vars(consts).items() if name.startswith("BPF_F_")}


@dataclass(slots=True)
class Expectation:
    """What a file says of one of its programs."""

    is_test: bool = False
    fails: bool | None = None
    messages: list[str] = field(default_factory=list)
    log_level: int = 0
    prog_flags: int = 0


def expectations(btf: Btf) -> dict[str, Expectation]:
    """By the name of the function."""
    out: dict[str, Expectation] = collections.defaultdict(Expectation)
    for t in btf.types:
        said = PREFIX.match(t.name) if isinstance(t, DeclTag) and t.component == -1 else None
        target = btf.by_id(t.type) if isinstance(t, DeclTag) and said else None
        if said is None or not isinstance(target, Func):
            continue
        tag, found = said[1], out[target.name]
        if tag in ("expect_failure", "expect_success"):
            found.is_test = True
            found.fails = tag == "expect_failure"
        elif message := EXPECTED.match(tag):
            found.is_test = True
            found.messages.append(message[1])
        elif tag.startswith("log_level="):
            found.log_level = int(tag.partition("=")[2], 0)
        elif tag.startswith("prog_flags="):
            flag = tag.partition("=")[2].lstrip("!")
            found.prog_flags |= FLAGS.get(flag, 0) if not flag.isdigit() else int(flag)
    return out


def has(log: str, message: str) -> bool:
    """Whether a log has a message; what stands in {{ }} is a regular expression."""
    parts = re.split(r"\{\{(.*?)\}\}", message)
    pattern = "".join(part if n % 2 else re.escape(part) for n, part in enumerate(parts))
    try:
        return re.search(pattern, log) is not None
    except re.error:
        return message in log


@dataclass(slots=True)
class Answer:
    outcome: Outcome
    log: str = ""


def ask(obj: Object, name: str, want: Expectation) -> Answer:
    """One program on the transport that the object is loaded on."""
    try:
        with limit(SECONDS):
            prog = obj.load_prog(name, max(want.log_level, 1), want.prog_flags)
        log = prog.log or ""
        return Answer(outcome_of(log, Outcome()), log)
    except BpfError as e:
        return Answer(outcome_of(e.log or "", Outcome("prog", e.errno or -1, last_message(e))), e.log or "")
    except UserbpfError as e:
        return Answer(Outcome("open", 0, str(e)))
    except TooLong as e:
        return Answer(Outcome("time", -1, str(e)))
    except Exception as e:  # a crash is an answer like any other here
        return Answer(Outcome("crash", -1, f"{type(e).__name__}: {e}"))


def compare(theirs: Answer, mine: Answer, want: Expectation) -> dict[str, Any]:
    """One row; a figure is None where it does not apply."""
    a, b = theirs.outcome, mine.outcome
    if a.stage == "open" or a.errno == errno.EPERM:  # Linux did not look at the program itself
        told = None
        if a.errno == errno.EPERM and want.fails is not None:
            told = want.fails == bool(b.stage) and all(has(mine.log, m) for m in want.messages)
        row = {
            "verdict": None,
            "told": told,
            "linux": f"not asked: {a.message}",
            "user": f"{b.stage or 'accepted'} {b.message}",
        }
        return row | {"missing": want.messages if told is False else []}
    expected = [m for m in want.messages if has(theirs.log, m)]
    return {
        "verdict": a.stage == b.stage and a.errno == b.errno,
        "false_accept": bool(a.stage) and not b.stage,
        "message": a.message == b.message if a.stage and b.stage else None,
        "expected": all(has(mine.log, m) for m in expected) if expected else None,
        "count": a.processed == b.processed if not a.stage and not b.stage else None,
        "linux": f"{a.stage or 'accepted'} {a.errno} {a.processed} {a.message}",
        "user": f"{b.stage or 'accepted'} {b.errno} {b.processed} {b.message}",
        "missing": [m for m in expected if not has(mine.log, m)],
    }


def run(path: Path) -> list[dict[str, Any]]:
    """All tests of one object."""
    rows: list[dict[str, Any]] = []
    try:
        plan = Object.open(path)
    except UserbpfError as e:
        return [{"program": "*", "verdict": None, "linux": "", "user": f"open: {e}"}]
    wanted = expectations(plan.plan.btf) if plan.plan.btf is not None else {}
    loaded: dict[str, Object] = {}
    for transport in ("linux", "user"):
        try:
            loaded[transport] = Object.open(path).load(transport, progs=())
        except (UserbpfError, OSError) as e:
            verdict = None if transport == "linux" else False
            rows += [
                {"program": n, "verdict": verdict, "linux": "", "user": f"{transport}: {e}"}
                for n, w in wanted.items()
                if w.is_test and n in plan.plan.progs
            ]
            return rows
    for name, want in wanted.items():
        if want.is_test and name in plan.plan.progs:
            row = compare(ask(loaded["linux"], name, want), ask(loaded["user"], name, want), want)
            rows.append({"program": name} | row)
    for obj in loaded.values():
        obj.close()
    return rows


def share(rows: list[dict[str, Any]], key: str) -> str:
    told = [r[key] for r in rows if r.get(key) is not None]
    return f"{sum(told)}/{len(told)}" if told else "-"


def tell(name: str, rows: list[dict[str, Any]], verbose: bool) -> None:
    """One line for an object, and where asked three for each of its differences."""
    print(f"{name:38} " + " ".join(f"{share(rows, k):>9}" for k in FIGURES))
    for row in rows if verbose else []:
        if all(row.get(k) in (True, None) for k in FIGURES):
            continue
        print(f"  {row['program']}{'  FALSE ACCEPT' if row.get('false_accept') else ''}")
        print(f"    L {row['linux'][:200]}\n    u {row['user'][:200]}", *row.get("missing", [])[:2], sep="\n      ! ")
    sys.stdout.flush()


def summary(rows: list[dict[str, Any]], json_path: str | None) -> None:
    asked = [r for r in rows if r.get("verdict") is not None]
    figures = ", ".join(f"{k} {share(rows if k == 'told' else asked, k)}" for k in FIGURES)
    print(f"\n{len(asked)} programs: {figures}")
    print(f"false accepts: {sum(bool(r.get('false_accept')) for r in asked)}")
    if json_path:
        Path(json_path).write_text("".join(json.dumps(row) + "\n" for row in rows))


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("where", nargs="+")
    options.add_argument("--only", default="")
    options.add_argument("--json", dest="json_path")
    options.add_argument("--jobs", type=int, default=1, help="processes; 0: one for each CPU")
    options.add_argument("-v", "--verbose", action="store_true", help="show each difference")
    args = options.parse_args(argv)
    everything: list[dict[str, Any]] = []
    print(HEAD)
    paths = [path for path in objects(args.where) if args.only in path.name]
    for path, told in over(run, paths, args.jobs):
        rows = [row | {"object": path.stem} for row in told]
        everything += rows
        tell(path.stem, rows, args.verbose)
    summary(everything, args.json_path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
