"""Verification: instructions a second, time against Linux, memory at the limit of a million instructions.

    python bench/verify.py [OBJECT|DIR ...] [--rounds N]

Each program is loaded by Linux and by userbpf in turn, and each tells its own `verification time`; the medians of the rounds
are reported. Every row is a process of its own, so that its peak memory is its own (what Python and the package take before
the first load is subtracted in `more`). Without bpf(2) the columns of Linux stay empty. Objects named on the command line are
measured program by program after the built-in ones; nothing is attached.
"""

from __future__ import annotations

import argparse
import errno
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import sides
from harness import geometric_mean, print_table

TOLD = re.compile(r"verification time (\d+) usec.*?processed (\d+) insns", re.S)
BAR_INSNS, BAR_RATIO, BAR_MB = 60_000, 12.0, 500
LARGE = 5_000  # instructions processed, from where what a load costs once no longer counts
SIDES = {"linux": sides.linux, "user": sides.ours}
Answers = dict[str, float | str]  # linux_us, user_us, linux_insns, user_insns, before_mb, peak_mb, said

# Options as in TCP: kind, length, and on by the length, with the offset kept within bounds by a mask.
WALK = """
    r6 = r1
    r2 = *(u32 *)(r6 +0)
    r3 = *(u32 *)(r6 +4)
    r7 = 0
    r8 = 0
    r9 = 0
next: r4 = r2
    r7 &= 1023
    r4 += r7
    r5 = r4
    r5 += 4
    if r5 > r3 goto done
    r0 = *(u8 *)(r4 +0)
    if r0 == 0 goto done
    if r0 == 1 goto pad
    r1 = *(u8 *)(r4 +1)
    if r1 < 2 goto done
    r7 += r1
    if r0 != 5 goto seen
    r9 = *(u16 *)(r4 +2)
    r9 &= 63
    goto seen
pad: r7 += 1
seen: r8 += 1
    if r8 != {rounds} goto next
done: r0 = r10
    r0 += -64
    r0 += r9
    r1 = 7
    *(u8 *)(r0 +0) = r1
    r0 = 2
    exit
"""

# Flags gathered from a header in two words, both offsets at last: paths that differ stay apart.
FLAGS = """
    r6 = r1
    r2 = *(u32 *)(r6 +0)
    r3 = *(u32 *)(r6 +4)
    r4 = r2
    r4 += 1100
    if r4 > r3 goto done
    r7 = 0
    r8 = 0
{tests}
    r1 = r2
    r1 += r7
    r1 += r8
    r5 = *(u8 *)(r1 +0)
    if r7 > 512 goto done
    if r8 > 512 goto done
done: r0 = 2
    exit
"""

# Runs into the limit: every round is a new state.
COUNTER = """
    r0 = 0
    r1 = 0
again: r1 += 1
    r0 += r1
    if r1 < 100000000 goto again
    r0 = 0
    exit
"""

# A loop over a packet with branches, a spill and a fill in every round: stops at the limit of pending jumps.
PACKETS = """
    r6 = r1
    r2 = *(u32 *)(r6 +0)
    r3 = *(u32 *)(r6 +4)
    r4 = r2
    r4 += 64
    if r4 > r3 goto done
    r7 = 0
    r8 = 0
again: r7 += 1
    *(u64 *)(r10 -8) = r7
    r5 = *(u8 *)(r2 +12)
    if r5 == 8 goto other
    r8 += r5
    r8 &= 0xffff
other: *(u64 *)(r10 -16) = r8
    r4 = *(u32 *)(r2 +16)
    if r4 > 9 goto more
    r0 = r2
    r0 += r4
    r1 = r0
    r1 += 2
    if r1 > r3 goto more
    r1 = *(u16 *)(r0 +0)
more: r7 = *(u64 *)(r10 -8)
    if r7 < 100000000 goto again
done: r0 = 2
    exit
"""


def flags(n: int) -> str:
    """FLAGS with 2^n paths."""
    test = "r0 = *(u8 *)(r2 +{at})\nif r0 {how} {at} goto no{at}\nr{reg} += {bit}\nno{at}: r0 = 0"
    tests = (test.format(at=i, how=("==", ">", "s<")[i % 3], reg=7 + i % 2, bit=1 << i // 2) for i in range(n))
    return FLAGS.format(tests="\n".join(tests))


PROGRAMS: dict[str, Callable[[], str]] = {
    "options of a header, 8": lambda: WALK.format(rounds=8),
    "options of a header, 40": lambda: WALK.format(rounds=40),
    "flags of a header, 2^8 paths": lambda: flags(8),
    "flags of a header, 2^13 paths": lambda: flags(13),
    "a million: counter": lambda: COUNTER,
    "a million: 2^18 paths": lambda: flags(18),
    "a round with branches, again": lambda: PACKETS,
}


def peak_mb() -> float:
    """The most memory that this process ever had (ru_maxrss would begin with the parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def asked(load: Callable[[str], tuple[int, str]], rounds: int) -> Answers:
    """Both kernels in turn: `load` takes a transport and returns errno and the log of level 4."""
    times: dict[str, list[int]] = {"linux": [], "user": []}
    out: Answers = {}
    here = [name for name, bpf in SIDES.items() if not sides.why_not(bpf)]
    for _ in range(rounds):
        for name in here:
            refused, log = load(name)
            if refused:
                out["said"] = (
                    f"{errno.errorcode.get(refused, refused)}: {log.partition('verification time')[0].strip()[-60:]}"
                )
            if found := TOLD.search(log):
                times[name].append(int(found[1]))
                out[f"{name}_insns"] = float(found[2])
        out.setdefault("peak_mb", peak_mb())  # of one verification
    out |= {f"{name}_us": float(statistics.median(of)) for name, of in times.items() if of}
    return out


def child(what: str, rounds: int) -> None:
    """One row in a process of its own: a built-in program, or OBJECT:PROGRAM."""
    from userbpf.errors import BpfError
    from userbpf.isa.asm import assemble
    from userbpf.isa.insn import encode
    from userbpf.loader import Object

    def built_in(transport: str) -> tuple[int, str]:
        return sides.Side(SIDES[transport]).verified(code)

    def real(transport: str) -> tuple[int, str]:
        path, _, name = what.rpartition(":")
        with Object.open(path).load(transport, progs=()) as obj:
            try:
                return 0, obj.load_prog(name, 4).log or ""
            except BpfError as e:
                return e.errno or 0, e.log or str(e)

    code = encode(assemble(PROGRAMS[what]())) if what in PROGRAMS else b""
    before = peak_mb()
    print(json.dumps(asked(built_in if what in PROGRAMS else real, rounds) | {"before_mb": before}))


def rows_of(where: list[str]) -> list[str]:
    """What a child is asked for: the built-in programs, and every program of the objects named."""
    from userbpf.errors import UserbpfError
    from userbpf.loader import Object

    rows = list(PROGRAMS)
    for place in map(Path, where):
        for path in sorted(place.rglob("*.o")) if place.is_dir() else [place]:
            try:
                rows += [f"{path}:{name}" for name in Object.open(path).plan.progs]
            except (UserbpfError, OSError) as e:
                print(f"{path}: {e}", file=sys.stderr)
    return rows


def cells(what: str, got: Answers) -> list[str]:
    """A row of the table."""
    linux, mine, insns = (got.get(k) for k in ("linux_us", "user_us", "user_insns"))
    assert isinstance(mine, float | None) and isinstance(insns, float | None)
    ratio = f"{mine / linux:.1f}" if isinstance(linux, float) and linux and mine else "-"
    differ = got.get("linux_insns", insns) != insns
    return [
        what.rsplit("/", 1)[-1],
        f"{insns:.0f}{' DIFFERS' if differ else ''}" if insns else "-",
        f"{linux / 1000:.2f}" if isinstance(linux, float) else "-",
        f"{mine / 1000:.2f}" if mine else "-",
        ratio,
        f"{insns / mine * 1e6:.0f}" if insns and mine else "-",
        f"{float(got['peak_mb']):.0f}",
        f"{float(got['peak_mb']) - float(got['before_mb']):.0f}",
        str(got.get("said", "")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", nargs="*", metavar="OBJECT|DIR")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        return child(args.row, args.rounds)
    for name, bpf in SIDES.items():
        if reason := sides.why_not(bpf):
            print(f"{name}: {reason}", file=sys.stderr)
    rows: list[list[str]] = []
    for what in rows_of(args.objects):
        command = [sys.executable, __file__, "--row", what, "--rounds", str(args.rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{what}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            continue
        rows.append(cells(what, json.loads(done.stdout)))
    head = ["program", "processed", "Linux ms", "userbpf ms", "ratio", "insns/s", "peak MB", "more", ""]
    print_table(head, rows)
    ratios = [float(row[4]) for row in rows if row[4] != "-"]
    large = [float(row[5]) for row in rows if row[5] != "-" and float(row[1].split()[0]) >= LARGE]
    peak = max((float(row[6]) for row in rows), default=0)
    print(f"\ngeometric mean of userbpf / Linux: {geometric_mean(ratios):.1f} (bar {BAR_RATIO:.0f})")
    print(f"slowest of {LARGE} instructions and more: {min(large, default=0):.0f} insns/s (bar {BAR_INSNS})")
    print(f"peak memory: {peak:.0f} MB (bar {BAR_MB})")


if __name__ == "__main__":
    main()
