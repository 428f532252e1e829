"""Real objects, two kernels: every program of every object loaded by userbpf and by Linux, and what each says of it.

cd tests && python -m bench_verifier.objects DIR|FILE ... [--json FILE] [--only WORD] [--user]

Objects come from outside of the repository. For each program: accepted or refused, errno, last message, processed
instructions, and how long verification took (each kernel's own `verification time`). Programs whose section names no type
get one by the names of section and file. --user leaves Linux out.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError, UserbpfError, messages
from userbpf.loader import Object
from userbpf.spec.sections import section_of

PROCESSED = re.compile(r"processed (\d+) insns")
TIME = re.compile(r"verification time (\d+) usec")
WORDS = (
    ("xdp", ProgType.XDP),
    ("sock", ProgType.SOCKET_FILTER),
    ("cgroup", ProgType.CGROUP_SKB),
    ("lwt", ProgType.LWT_XMIT),
)


@dataclass(slots=True)
class Outcome:
    """What one kernel said. `stage`: "open", "maps" or "prog" where it ended with `errno`; "" where it was accepted."""

    stage: str = ""
    errno: int = 0
    message: str = ""
    processed: int = 0
    time_us: int = 0
    seconds: float = 0.0


def guess(path: Path, section: str) -> ProgType:
    """A type for a section that names none."""
    for text in (section.lower(), path.name.lower()):
        for word, prog_type in WORDS:
            if word in text:
                return prog_type
    return ProgType.SCHED_CLS


def outcome_of(log: str, out: Outcome) -> Outcome:
    if found := PROCESSED.search(log):
        out.processed = int(found[1])
    if found := TIME.search(log):
        out.time_us = int(found[1])
    return out


def last_message(e: BpfError) -> str:
    lines = messages(e.log or "")
    return lines[-1].partition("verification time ")[0] if lines else str(e.strerror or e)


def judge(path: Path, transport: str) -> dict[str, Outcome]:
    """All programs of an object, by name."""
    names: list[str] = []
    try:
        first = Object.open(path)
        unknown = {p.section for p in first.plan.progs.values() if section_of(p.section) is None}
        obj = Object.open(path, prog_types={s: guess(path, s) for s in unknown})
        names = list(obj.plan.progs)
    except UserbpfError as e:
        return {"*": Outcome("open", getattr(e, "errno", 0) or 0, str(e))}
    try:
        obj.load(transport, progs=())
    except (UserbpfError, OSError) as e:
        return {name: Outcome("maps", getattr(e, "errno", 0) or 0, str(e)) for name in names}
    out: dict[str, Outcome] = {}
    with obj:
        for name in names:
            began = time.perf_counter()
            try:
                prog = obj.load_prog(name, 4)
                out[name] = outcome_of(prog.log or "", Outcome())
            except BpfError as e:
                out[name] = outcome_of(e.log or "", Outcome("prog", e.errno or -1, last_message(e)))
            except UserbpfError as e:
                out[name] = Outcome("open", 0, str(e))
            out[name].seconds = time.perf_counter() - began
    return out


def objects(where: list[str]) -> Iterator[Path]:
    for place in map(Path, where):
        yield from sorted(place.rglob("*.o")) if place.is_dir() else [place]


def kind(theirs: Outcome, mine: Outcome) -> str:
    """How two outcomes compare."""
    if theirs.stage in ("open", "maps") or mine.stage == "open":
        return f"not asked: {theirs.stage or mine.stage}"
    if mine.stage == "maps":
        return "no maps here"
    if bool(theirs.stage) != bool(mine.stage):
        return "FALSE ACCEPT" if theirs.stage else "false reject"
    if theirs.errno != mine.errno:
        return "errno"
    if theirs.message != mine.message:
        return "message"
    return "same" if theirs.processed == mine.processed else "count"


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("where", nargs="+")
    options.add_argument("--json", dest="json_path")
    options.add_argument("--only", default="")
    options.add_argument("--user", action="store_true")
    args = options.parse_args(argv)
    kinds: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    ratios: list[float] = []
    slowest = Outcome()
    rows: list[dict[str, Any]] = []
    for path in objects(args.where):
        if args.only not in str(path):
            continue
        mine = judge(path, "user")
        theirs = mine if args.user else judge(path, "linux")
        for name in theirs.keys() | mine.keys():
            a, b = (
                theirs.get(name) or theirs.get("*", Outcome("open")),
                mine.get(name) or mine.get("*", Outcome("open")),
            )
            what = kind(a, b)
            kinds[what] += 1
            rows.append({"object": str(path), "program": name, "kind": what, "linux": asdict(a), "user": asdict(b)})
            if a.time_us and b.time_us and not a.stage and not b.stage:
                ratios.append(b.time_us / a.time_us)
                slowest = max(slowest, b, key=lambda o: o.time_us)
            if what not in ("same", "not asked: open", "not asked: maps"):
                reasons[f"{what}: {(b.message or a.message)[:90]}"] += 1
                print(f"{what:13} {path.name}:{name}")
                print(f"    L {a.stage or 'accepted'} {a.errno} {a.processed} {a.message[:150]}")
                print(f"    u {b.stage or 'accepted'} {b.errno} {b.processed} {b.message[:150]}", flush=True)
    print()
    for text, n in reasons.most_common(25):
        print(f"{n:5} {text}")
    total = sum(n for what, n in kinds.items() if not what.startswith("not asked"))
    print(f"\n{total} programs: " + ", ".join(f"{what} {n}" for what, n in kinds.most_common()))
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"verification time against Linux: geometric mean {mean:.1f}, worst {max(ratios):.1f}; slowest {slowest}")
    if args.json_path:
        Path(args.json_path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
