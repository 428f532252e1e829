# ruff: noqa: E501
"""What counts of the stack: the frames of chains of calls, spills around calls that clobber only r0, tail calls.

Each answer (errno, last message, the log's "stack depth") is that of Linux 6.18.44 on x86-64.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from bench_verifier import linux
from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import encode
from userbpf.loader import Object
from userbpf.verifier import Rejected, VerifyRequest, verify

FILTER, KPROBE, TC, TRACEPOINT, XDP = (int(t) for t in (1, 2, 3, 5, 6))
CPU: Final = "call bpf_get_smp_processor_id\n"
END: Final = "r0 = 0\nexit\n"
VALUES: Final = "r1 = 1\nr2 = 2\n"


def around(*pairs: tuple[int, int], call: str = CPU) -> str:
    """Spills of (register, offset), a call, and the fills in the opposite order."""
    spills = "".join(f"*(u64 *)(r10 -{off}) = r{reg}\n" for reg, off in pairs)
    return spills + call + "".join(f"r{reg} = *(u64 *)(r10 -{off})\n" for reg, off in reversed(pairs))


def chain(*depths: int) -> str:
    """Functions that use so much stack, each calling the next."""
    last = len(depths) - 1
    parts = []
    for n, depth in enumerate(depths):
        label = f"f{n}: " if n else ""
        call = f"call f{n + 1}\n" if n < last else ""
        parts.append(f"{label}*(u64 *)(r10 -{depth}) = 0\n{call}{END}")
    return "".join(parts)


TOO_LARGE: Final = "combined stack size of {} calls is {}. Too large"
# (name, program type, text, errno, message, stack depth)
CASES: Final = [
    ("pair", XDP, VALUES + around((1, 8)) + END, 0, "", "0"),
    ("two pairs", XDP, VALUES + around((2, 8), (1, 16)) + END, 0, "", "0"),
    ("innermost is not lowest", XDP, VALUES + around((1, 16), (2, 8)) + END, 0, "", "16"),
    ("other function behind the name", FILTER, VALUES + around((1, 8)) + END, 0, "", "8"),
    ("clobbering call", XDP, VALUES + around((1, 8), call="call bpf_get_prandom_u32\n") + END, 0, "", "8"),
    ("kept register", XDP, "r6 = 1\n" + around((6, 8)) + END, 0, "", "8"),
    ("slot in use otherwise", XDP, VALUES + around((1, 8)) + "r3 = *(u64 *)(r10 -8)\n" + END, 0, "", "8"),
    ("slot above in use", XDP, VALUES + "*(u32 *)(r10 -8) = r1\n" + around((1, 16)) + END, 0, "", "8"),
    ("fewer pairs at another call", XDP, VALUES + around((2, 8), (1, 16)) + around((1, 16)) + END, 0, "", "8"),
    ("read by a helper", XDP, f"{VALUES}{around((1, 8))}r1 = r10\nr1 += -8\nr2 = 8\nr3 = r1\nr4 = 8\nr5 = 0\ncall bpf_csum_diff\n{END}",
     0, "", "0"),
    ("filled by a helper", KPROBE, f"r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = 0\ncall bpf_get_current_comm\n{VALUES}{around((1, 8))}{END}", 0, "", "8"),
    ("written by a callee", XDP,
     f"{VALUES}{around((1, 16))}r1 = r10\nr1 += -16\ncall f\n{END}f: *(u64 *)(r1 +0) = 7\n{END}", 0, "", "16+0"),
    ("written by a callee above", XDP,
     f"{VALUES}{around((1, 16))}r1 = r10\nr1 += -8\ncall f\n{END}f: *(u64 *)(r1 +0) = 7\n{END}", 0, "", "8+0"),
    ("full frame and pair", XDP, f"*(u64 *)(r10 -512) = 0\nr1 = 1\ncall f\n{END}f: {around((1, 8))}{END}", 0, "", "512+0"),
    ("full frame and slot", XDP, f"*(u64 *)(r10 -512) = 0\nr1 = 1\ncall f\n{END}f: *(u64 *)(r10 -8) = r1\n{END}",
     13, TOO_LARGE.format(2, 528), "512+8"),
    ("refused on the way", XDP, VALUES + around((1, 8)) + "r0 = r2\nexit\n", 13, "R2 !read_ok", "8"),
    ("too large without the pairs", XDP,
     f"*(u64 *)(r10 -512) = 0\nr1 = 1\ncall f\n{END}f: *(u64 *)(r10 -8) = 0\n{around((1, 16))}{END}",
     13, TOO_LARGE.format(2, 528), "512+8"),
    ("may_goto", XDP, f"*(u64 *)(r10 -8) = 0\nr0 = 0\nmay_goto +1\nr0 = 1\n{END}", 0, "", "24"),
    ("function that is never called", XDP, f"r0 = 0\nif r0 == 0 goto out\ncall f\nout: exit\nf: {END}", 0, "", "0"),
    ("tracepoint", TRACEPOINT, chain(512, 512, 40, 512), 0, "", "512+512+40+512"),
    ("kprobe", KPROBE, chain(*[72] * 8), 0, "", "+".join(["72"] * 8)),
    ("xdp", XDP, chain(*[72] * 8), 13, TOO_LARGE.format(7, 560), "+".join(["72"] * 8)),
]  # fmt: skip
BY_NAME = pytest.mark.parametrize(
    ("name", "prog_type", "text", "errno", "message", "depth"), CASES, ids=[c[0] for c in CASES]
)


def told(log: str, errno: int) -> tuple[str, str | None]:
    lines = [line for line in log.splitlines() if line.strip()]
    last = [line for line in lines if not line.startswith(("processed ", "verification time", "stack depth "))]
    depth = re.search(r"^stack depth (\S+)", log, re.M)
    return last[-1] if errno else "", depth[1] if depth else None


@BY_NAME
def test_depth(name: str, prog_type: int, text: str, errno: int, message: str, depth: str | None) -> None:
    try:
        log, err = verify(VerifyRequest(assemble(text), ProgType(prog_type), log_level=5)).log, 0
    except Rejected as refusal:
        log, err = refusal.log, refusal.errno or 0
    assert (err, *told(log, err)) == (errno, message, depth)


@BY_NAME
def test_linux_says_so(name: str, prog_type: int, text: str, errno: int, message: str, depth: str | None) -> None:
    reason = linux.available()
    if reason is not None:
        pytest.skip(reason)
    answer = linux.Oracle().load(encode(assemble(text)), prog_type, 5)
    assert (answer.err, *told(answer.log, answer.err)) == (errno, message, depth)


def test_frames_keep_their_spills() -> None:
    """What does not count is there all the same when the program runs."""
    done = verify(VerifyRequest(assemble(VALUES + around((2, 8), (1, 16)) + END), ProgType.XDP))
    assert done.subprogs[0].stack_depth == 16


def test_earlier_releases() -> None:
    """Before 6.12 every slot counted, before 6.13 every frame."""
    pair = f"*(u64 *)(r10 -512) = 0\nr1 = 1\ncall f\n{END}f: {around((1, 8))}{END}"
    for release, text, prog_type in (("6.6", pair, ProgType.XDP), ("6.12", chain(512, 512), ProgType.KPROBE)):
        with pytest.raises(Rejected, match="combined stack size"):
            verify(VerifyRequest(assemble(text), prog_type, log_level=1, kernel=release))


TAIL_CALLS: Final = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct programs { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); };
struct programs tc_programs SEC(".maps"), kprobe_programs SEC(".maps");
char _license[] SEC("license") = "GPL";
#define USE(n) asm volatile("*(u64 *)(r10 - " #n ") = 1" ::: "memory")
#define FUNCTION(name, map) static __attribute__((noinline)) int name(void *c) { USE(8); bpf_tail_call(c, &map, 1); return bpf_get_prandom_u32(); }
FUNCTION(leaf, tc_programs)
FUNCTION(traced_leaf, kprobe_programs)
static __attribute__((noinline)) int middle(void *c) { USE(200); return leaf(c) + 1; }
static __attribute__((noinline)) int plain(void *c) { USE(304); return bpf_get_prandom_u32(); }
#define PROG(type, name, size, f) SEC(type) int name(void *c) { USE(size); return f(c) > 1000; }
PROG("tc", below, 240, leaf)
PROG("tc", at, 248, leaf)
PROG("tc", through, 40, middle)
PROG("kprobe", traced, 504, traced_leaf)
SEC("tc") int main_itself(void *c) { USE(304); bpf_tail_call(c, &tc_programs, 1); return 1; }
SEC("kprobe") int traced_itself(void *c) { USE(256); int r = plain(c); bpf_tail_call(c, &kprobe_programs, 1); return r; }
"""
BEHIND: Final = "tail_calls are not allowed when call stack of previous frames is {} bytes. Too large"


@pytest.fixture(scope="module")
def tail_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("depth") / "tails.bpf.c"
    path.write_text(TAIL_CALLS)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("below", ""),
        ("at", BEHIND.format(256)),
        ("through", BEHIND.format(256)),
        ("traced", BEHIND.format(512)),
        ("main_itself", ""),
        ("traced_itself", TOO_LARGE.format(2, 560)),
    ],
)
def test_tail_calls(tail_calls: Path, name: str, message: str) -> None:
    """Where a function tail calls, the frames behind it stay; then tracing programs have no stacks of their own."""
    with Object.open(tail_calls).load(progs=[]) as obj:
        if not message:
            obj.load_prog(name)
            return
        with pytest.raises(BpfError, match=re.escape(message)) as e:
            obj.load_prog(name)
        assert e.value.errno == 13
