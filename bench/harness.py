"""How a case is built and timed.

The same native loop times userbpf's code and the machine's own: it calls an address n times with (ctx, rt) and reads the
clock before and after. Linux times itself, in BPF_PROG_TEST_RUN: its clock stands around as tight a loop in the kernel. All
three are measured in turn and in several rounds, and the median of the rounds is reported, so that a slow moment of
the machine falls on all alike. "Net" is less the same engine's time for `return 2`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from userbpf.native import call, clock_ns, compiled, native, store64
from userbpf.native.rt import RT_TAIL_CALLS

HERE = Path(__file__).parent
BUILD = Path(os.environ.get("USERBPF_BENCH_DIR") or HERE.parent / "build" / "bench")
CLOCK_THREAD_CPUTIME_ID = 3  # as for userbpf's runs: see sides.Side.timer
TARGET_NS = 20_000_000  # of one round of one engine
Timer = Callable[[int], int]  # repeats -> ns


@native
def timed_calls(code: int, ctx: int, rt: int, n: int) -> int:
    """ns that n runs take. A run begins with no tail calls made."""
    start = clock_ns(CLOCK_THREAD_CPUTIME_ID)
    i = 0
    while i < n:
        store64(rt + RT_TAIL_CALLS, 0)
        call(code, ctx, rt)
        i += 1
    return clock_ns(CLOCK_THREAD_CPUTIME_ID) - start


def native_timer(code: int, ctx: int, rt: int) -> Timer:
    """A timer of the code at an address."""
    loop = compiled(timed_calls)
    return lambda n: loop(code, ctx, rt, n)


def calibrate(timer: Timer, target_ns: int = TARGET_NS) -> int:
    """How many repeats take about `target_ns`."""
    n = 16
    while n < 1 << 28:
        took = timer(n)
        if took >= target_ns // 4:
            return max(1, int(n * target_ns / max(took, 1)))
        n *= 4
    return n


def medians(timers: dict[str, Timer], rounds: int) -> dict[str, float]:
    """ns a run of each engine: rounds in turn, then the median of each."""
    repeats = {name: calibrate(timer) for name, timer in timers.items()}
    taken: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            taken[name].append(timer(repeats[name]) / repeats[name])
    return {name: statistics.median(values) for name, values in taken.items()}


# --- building ----------------------------------------------------------------------------------------------------------


def _stale(made: Path, source: Path) -> bool:
    newest = max(p.stat().st_mtime for p in (source, *source.parent.glob("*.h")))
    return not made.exists() or made.stat().st_mtime < newest


def bpf_object(source: Path) -> Path:
    """The case as a BPF object."""
    made = BUILD / f"{source.stem}.o"
    if _stale(made, source):
        BUILD.mkdir(parents=True, exist_ok=True)
        if shutil.which("clang") and os.environ.get("USERBPF_CLANG"):
            compiler = [os.environ["USERBPF_CLANG"], "-target", "bpfel"]
        else:
            compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding"]
        subprocess.run([*compiler, "-O2", "-g", "-c", str(source), "-o", str(made)], check=True)
    return made


def native_compilers() -> dict[str, list[str]]:
    """The C compilers to be had, by name."""
    found = {name: [name] for name in ("gcc", "clang") if shutil.which(name)}
    if "clang" not in found:
        try:
            import ziglang  # noqa: F401

            found["zig"] = [sys.executable, "-m", "ziglang", "cc"]
        except ImportError:
            pass
    return found


def native_libraries(source: Path) -> dict[str, ctypes.CDLL]:
    """The case as shared libraries, -O2 for this processor, one a compiler."""
    libraries = {}
    for name, command in native_compilers().items():
        made = BUILD / f"{source.stem}.{name}.so"
        if _stale(made, source):
            BUILD.mkdir(parents=True, exist_ok=True)
            flags = ["-O2", "-march=native", "-fPIC", "-shared", "-DNATIVE"]
            subprocess.run([*command, *flags, str(source), "-o", str(made)], check=True)
        libraries[name] = ctypes.CDLL(str(made))
    return libraries


class NativeContext:
    """The context of a native case: addresses of a packet of its own, and room where a run context would be."""

    def __init__(self, packet: bytes) -> None:
        self.packet = ctypes.create_string_buffer(packet, len(packet))
        start = ctypes.addressof(self.packet)
        self.words = (ctypes.c_uint64 * 2)(start, start + len(packet))
        self.rt_words = (ctypes.c_uint64 * 64)()
        self.ctx = ctypes.addressof(self.words)
        self.rt = ctypes.addressof(self.rt_words)


# --- printing ----------------------------------------------------------------------------------------------------------


def geometric_mean(values: list[float]) -> float:
    """0 for no values."""
    return statistics.geometric_mean(values) if values else 0.0


def ns(value: float | None) -> str:
    """Three significant digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Columns aligned: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * w for w in widths], *rows]:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))
