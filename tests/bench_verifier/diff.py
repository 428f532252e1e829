"""One program, two verifiers: verdict, errno and log, line by line.

cd tests && python -m bench_verifier.diff xdp 0 500        compares 500 seeds, shows the first differences
cd tests && python -m bench_verifier.diff xdp 17            one seed: both logs around the first difference

`--mutated` takes mutated programs, `--mirror` mirrors Linux's known holes (`check.mirror_holes`), so that only the rest shows.
"""

from __future__ import annotations

import collections
import difflib
import errno
import os
import re
import sys
import time
from dataclasses import dataclass, field

from bench_verifier import generate, linux
from userbpf.abi.enums import MapType, ProgType
from userbpf.errors import BpfError
from userbpf.isa.insn import Insn, encode
from userbpf.verifier import MapShape, Rejected, VerifyRequest, check, verify

OUR_FD = 0x5EED000
CPUS = len(os.sched_getaffinity(0))
SHAPES = [MapShape(MapType(m[0]), *m[1:]) for m in generate.MAPS]
_MAP_ADDRESS = re.compile(r"(\(18\) r\d+ = )(0xf[0-9a-f]{15}|0x(?:[0-9a-f]+0)?5eed[0-9a-f]{3})( *)")


@dataclass(slots=True)
class Verdict:
    err: int
    lines: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The last line that is no statistics."""
        return next((ln for ln in reversed(self.lines) if ln and not ln.startswith(("processed ", "stack depth"))), "")

    @property
    def processed(self) -> int:
        return next((int(ln.split()[1]) for ln in reversed(self.lines) if ln.startswith("processed ")), -1)


def normalise(log: str) -> list[str]:
    """Lines without what differs by nature: addresses of maps, times."""
    lines = (_MAP_ADDRESS.sub(r"\1<map>", line.rstrip()) for line in log.splitlines())
    return [line for line in lines if line and not line.startswith("verification time")]


def _resolve(fd: int) -> MapShape:
    if not 0 <= fd - OUR_FD < len(SHAPES):
        raise BpfError(errno.EBADF)
    return SHAPES[fd - OUR_FD]


def ours(insns: list[Insn], prog_type: int, level: int = 2, nr_cpus: int = 0) -> Verdict:
    """userbpf's verdict on a program whose map fds are indices into MAPS; `nr_cpus`: 0 where nobody knows."""
    code = generate.bind(insns, [OUR_FD + n for n in range(len(SHAPES))])
    try:
        done = verify(VerifyRequest(code, ProgType(prog_type), log_level=level, resolve_map=_resolve, nr_cpus=nr_cpus))
    except Rejected as e:
        return Verdict(e.errno or -1, normalise(e.log))
    return Verdict(0, normalise(done.log))


class Linux:
    """The kernel with the maps of `generate` at hand."""

    def __init__(self) -> None:
        self.oracle = linux.Oracle(1 << 26)
        self.fds = [linux.create_map(*m) for m in generate.MAPS]

    def __call__(self, insns: list[Insn], prog_type: int, level: int = 2) -> Verdict:
        answer = self.oracle.load(encode(generate.bind(insns, self.fds)), prog_type, level)
        return Verdict(answer.err, normalise(answer.log))


def first_difference(theirs: list[str], mine: list[str]) -> int | None:
    """The index of the first differing line."""
    for n, (a, b) in enumerate(zip(theirs, mine, strict=False)):
        if a != b:
            return n
    return None if len(theirs) == len(mine) else min(len(theirs), len(mine))


def report(theirs: Verdict, mine: Verdict, context: int = 3) -> str:
    """What differs, for a reader."""
    n = first_difference(theirs.lines, mine.lines)
    out = [f"errno: Linux {theirs.err}, here {mine.err}; processed: Linux {theirs.processed}, here {mine.processed}"]
    if n is None:
        return out[0]
    out += [f"    {line}" for line in theirs.lines[max(0, n - context) : n]]
    out.append("  L " + (theirs.lines[n] if n < len(theirs.lines) else "<end>"))
    out.append("  u " + (mine.lines[n] if n < len(mine.lines) else "<end>"))
    return "\n".join(out)


def kind(theirs: Verdict, mine: Verdict) -> str:
    """How far they agree: same, log, count, message, errno or verdict."""
    if bool(theirs.err) != bool(mine.err):
        return "verdict"
    if theirs.err != mine.err:
        return "errno"
    if theirs.err and theirs.message != mine.message:
        return "message"
    if theirs.processed != mine.processed:
        return "count"
    return "log" if theirs.lines != mine.lines else "same"


def sweep(name: str, first: int, count: int, mutated: bool, show: int) -> None:
    prog_type = generate.PROG_TYPES[name]
    kernel = Linux()
    seen: collections.Counter[str] = collections.Counter()
    spent = 0.0
    for seed in range(first, first + count):
        prog = generate.program(prog_type, seed)
        if mutated:
            prog = generate.mutate(prog, seed)
        theirs = kernel(prog.insns, prog_type)
        if theirs.err == errno.ENOSPC:
            seen["log too long"] += 1
            continue
        began = time.perf_counter()
        try:
            mine = ours(prog.insns, prog_type, nr_cpus=CPUS)
        except Exception as e:  # a crash is a difference like any other here
            mine = Verdict(-1, [f"{type(e).__name__}: {e}"])
            seen["crash"] += 1
        spent += time.perf_counter() - began
        what = kind(theirs, mine)
        seen[what] += 1
        if what != "same" and show:
            show -= 1
            print(f"--- {name} {seed}: {what}")
            print(report(theirs, mine))
    total = seen.total() - seen["crash"] - seen["log too long"]
    print(f"{name}: {total} programs, {dict(seen)}, same {seen['same'] / total:.2%}, {spent:.1f} s here")


if __name__ == "__main__":
    args = [a for a in sys.argv[1:] if not a.startswith("-")]
    check.mirror_holes = "--mirror" in sys.argv
    if len(args) == 2:
        prog_ = generate.program(generate.PROG_TYPES[args[0]], int(args[1]))
        if "--mutated" in sys.argv:
            prog_ = generate.mutate(prog_, prog_.seed)
        a_, b_ = Linux()(prog_.insns, prog_.prog_type), ours(prog_.insns, prog_.prog_type, nr_cpus=CPUS)
        print(
            "\n".join(
                a_.lines if "--linux" in sys.argv else difflib.unified_diff(a_.lines, b_.lines, "Linux", "userbpf", n=8)
            )
        )
    else:
        sweep(args[0], int(args[1]), int(args[2]), "--mutated" in sys.argv, int(args[3]) if len(args) > 3 else 10)
