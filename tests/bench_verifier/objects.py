"""Real objects, two kernels: every program of every object loaded by userbpf and by Linux, and what each says of it.

cd tests && python -m bench_verifier.objects DIR|FILE ... [--json FILE] [--only WORD] [--user] [--jobs N]

Objects come from outside of the repository. For each program: accepted or refused, errno, last message, processed
instructions, and how long verification took (each kernel's own `verification time`). Programs whose section names no type
get one by the names of section and file, and maps whose size is left to the program that loads them get one. --user leaves
Linux out. A program that Linux answers with EPERM was not judged by its verifier and counts as not asked; what does not open
is the loader's (`loader`).
"""

from __future__ import annotations

import argparse
import collections
import errno
import functools
import json
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_verifier.pool import TooLong, limit, over
from userbpf.abi.enums import MapType, ProgType
from userbpf.errors import BpfError, UserbpfError, messages
from userbpf.loader import Object
from userbpf.loader.blueprint import MapPlan
from userbpf.spec.sections import section_of

PROCESSED = re.compile(r"processed (\d+) insns")
SECONDS = 120.0
UNSIZED = (MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE, MapType.STRUCT_OPS)
TIME = re.compile(r"verification time (\d+) usec")
WORDS = (
    ("xdp", ProgType.XDP),
    ("sock", ProgType.SOCKET_FILTER),
    ("cgroup", ProgType.CGROUP_SKB),
    ("lwt", ProgType.LWT_XMIT),
)


@dataclass(slots=True)
class Outcome:
    """What one kernel said. `stage`: "open", "maps", "prog", "time" or "crash" where it ended with `errno`; "" where it
    was accepted."""

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
    return lines[-1] if lines else str(e.strerror or e)


def furnish(plan: MapPlan) -> None:
    """What an object leaves to the program that loads it: sizes."""
    if plan.map_type == MapType.STACK_TRACE and not plan.value_size:
        plan.value_size = 127 * 8
    if plan.map_type in (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY):
        plan.key_size, plan.value_size = plan.key_size or 4, plan.value_size or 8
    if not plan.max_entries and plan.map_type not in UNSIZED:
        plan.max_entries = 4096
    if plan.map_type == MapType.RINGBUF and plan.max_entries < 4096:
        plan.max_entries = 4096
    if plan.map_type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS) and plan.inner is None:
        plan.inner = MapPlan(plan.name, MapType.HASH, 8, 8, 1)
    if plan.inner is not None:
        furnish(plan.inner)


def judge(path: Path, transport: str) -> dict[str, Outcome]:
    """All programs of an object, by name."""
    names: list[str] = []
    try:
        first = Object.open(path)
        unknown = {p.section for p in first.plan.progs.values() if section_of(p.section) is None}
        obj = Object.open(path, prog_types={s: guess(path, s) for s in unknown})
        names = list(obj.plan.progs)
        for plan in obj.plan.maps.values():
            furnish(plan)
    except UserbpfError as e:
        return {"*": Outcome("open", getattr(e, "errno", 0) or 0, str(e))}
    except Exception as e:  # a crash is an answer like any other here
        return {"*": Outcome("crash", -1, f"{type(e).__name__}: {e}")}
    try:
        obj.load(transport, progs=())
    except (UserbpfError, OSError) as e:
        return {name: Outcome("maps", getattr(e, "errno", 0) or 0, str(e)) for name in names}
    out: dict[str, Outcome] = {}
    with obj:
        for name in names:
            began = time.perf_counter()
            try:
                with limit(SECONDS):
                    prog = obj.load_prog(name, 4)
                out[name] = outcome_of(prog.log or "", Outcome())
            except BpfError as e:
                out[name] = outcome_of(e.log or "", Outcome("prog", e.errno or -1, last_message(e)))
            except UserbpfError as e:
                out[name] = Outcome("open", 0, str(e))
            except TooLong as e:
                out[name] = Outcome("time", -1, str(e))
            except Exception as e:  # a crash is an answer like any other here
                out[name] = Outcome("crash", -1, f"{type(e).__name__}: {e}")
            out[name].seconds = time.perf_counter() - began
    return out


def objects(where: list[str]) -> Iterator[Path]:
    for place in map(Path, where):
        yield from sorted(place.rglob("*.o")) if place.is_dir() else [place]


def kind(theirs: Outcome, mine: Outcome) -> str:
    """How two outcomes compare."""
    if "open" in (theirs.stage, mine.stage):  # the same loader on both
        return "loader"
    if "crash" in (theirs.stage, mine.stage):
        return "crash"
    if theirs.stage == "prog" and theirs.errno == errno.EPERM and mine.errno != errno.EPERM:
        return "not asked: EPERM"
    if theirs.stage == "maps":
        return "not asked: maps" if mine.stage == "maps" and theirs.errno == mine.errno else "maps"
    if mine.stage == "maps":
        return "no maps here"
    if mine.stage == "time":
        return "time"
    if bool(theirs.stage) != bool(mine.stage):
        return "FALSE ACCEPT" if theirs.stage else "false reject"
    if theirs.errno != mine.errno:
        return "errno"
    if theirs.message != mine.message:
        return "message"
    return "same" if theirs.processed == mine.processed else "count"


def compare(path: Path, *, user: bool) -> list[dict[str, Any]]:
    """A row for each program of an object."""
    mine = judge(path, "user")
    theirs = mine if user else judge(path, "linux")
    rows: list[dict[str, Any]] = []
    for name in theirs | mine:
        if name == "*" and len(theirs | mine) > 1:
            continue
        a = theirs.get(name) or theirs.get("*") or Outcome("open")
        b = mine.get(name) or mine.get("*") or Outcome("open")
        row = {"object": str(path), "program": name, "kind": kind(a, b), "linux": asdict(a), "user": asdict(b)}
        rows.append(row)
    return rows


def told(row: dict[str, Any]) -> str:
    """A difference, in three lines."""
    lines = [f"{row['kind']:13} {Path(row['object']).name}:{row['program']}"]
    if row["kind"] == "loader":
        return f"{lines[0]}: {row['user']['message'][:200]}"
    for sign, key in (("L", "linux"), ("u", "user")):
        o = row[key]
        lines.append(f"    {sign} {o['stage'] or 'accepted'} {o['errno']} {o['processed']} {o['message'][:150]}")
    return "\n".join(lines)


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Figures over rows: how they compare, what they stumble on, and the time against Linux."""
    kinds = collections.Counter(row["kind"] for row in rows)
    reasons = collections.Counter(
        f"{row['kind']}: {(row['user']['message'] or row['linux']['message'])[:90]}"
        for row in rows
        if row["kind"] != "same"
    )
    asked = [row for row in rows if not row["kind"].startswith("not asked")]
    lines = [f"{n:5} {text}" for text, n in reasons.most_common(25)]
    lines.append(f"\n{len(asked)} programs: " + ", ".join(f"{what} {n}" for what, n in kinds.most_common()))
    both = [
        (row["user"]["time_us"] / row["linux"]["time_us"], row)
        for row in asked
        if row["linux"]["time_us"] and row["user"]["time_us"] and not row["linux"]["stage"] and not row["user"]["stage"]
    ]
    if both:
        mean = math.exp(sum(math.log(ratio) for ratio, _ in both) / len(both))
        whole = sum(row["user"]["time_us"] for _, row in both) / sum(row["linux"]["time_us"] for _, row in both)
        worst, of = max(both, key=lambda pair: pair[0])
        longest = max((row for _, row in both), key=lambda row: int(row["user"]["time_us"]))
        lines.append(
            f"verification time against Linux: geometric mean {mean:.1f}, of the sums {whole:.1f}, worst {worst:.1f} "
            f"({Path(of['object']).name}:{of['program']}, {of['linux']['time_us']} us there); longest "
            f"{longest['user']['time_us'] / 1e6:.2f} s ({Path(longest['object']).name}:{longest['program']})"
        )
    return lines


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("where", nargs="+")
    options.add_argument("--json", dest="json_path")
    options.add_argument("--only", default="")
    options.add_argument("--user", action="store_true")
    options.add_argument("--jobs", type=int, default=1, help="processes; 0: one for each CPU")
    args = options.parse_args(argv)
    corpora: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    paths = [path for path in objects(args.where) if args.only in str(path)]
    for path, rows in over(functools.partial(compare, user=args.user), paths, args.jobs):
        corpora[path.parent.name] += rows
        for row in rows:
            if row["kind"] not in ("same", "not asked: maps", "not asked: EPERM"):
                print(told(row), flush=True)
    for name, rows in corpora.items():
        print(f"\n== {name}", *summary(rows), sep="\n")
    everything = [row for rows in corpora.values() for row in rows]
    if len(corpora) > 1:
        print("\n== all", *summary(everything)[-2:], sep="\n")
    if args.json_path:
        Path(args.json_path).write_text("".join(json.dumps(row) + "\n" for row in everything))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
