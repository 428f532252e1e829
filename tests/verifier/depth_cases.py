# ruff: noqa: E501
"""What counts of the stack: the frames of chains of calls, spills around calls that clobber only r0, inlined loops, tail calls.

Each answer (errno, last message, the log's "stack depth") is that of Linux 6.18.44 on x86-64.
"""

from __future__ import annotations

import re
from typing import Final

import pytest

from userbpf.abi.enums import ProgType
from verifier.objects_rig import FILTER, KPROBE, TRACEPOINT, XDP, Scene, message

RAW_TRACEPOINT: Final = int(ProgType.RAW_TRACEPOINT)
CPU: Final = "call bpf_get_smp_processor_id\n"
END: Final = "r0 = 0\nexit\n"
VALUES: Final = "r1 = 1\nr2 = 2\n"
LOOP: Final = "again: may_goto done\ngoto again\ndone: "
CALLBACK: Final = "r1 = 4\nr2 = func each ll\nr3 = 0\nr4 = 0\ncall bpf_loop\n"
EACH: Final = f"each: {END}"


def around(*pairs: tuple[int, int], call: str = CPU) -> str:
    """Spills of (register, offset), a call, and the fills in the opposite order."""
    spills = "".join(f"*(u64 *)(r10 -{off}) = r{reg}\n" for reg, off in pairs)
    return spills + call + "".join(f"r{reg} = *(u64 *)(r10 -{off})\n" for reg, off in reversed(pairs))


def chain(*frames: int, tail: int = -1) -> str:
    """Functions that call each other in turn, with frames of so many bytes; number `tail` calls another program, too."""
    parts: list[str] = []
    for n, size in enumerate(frames):
        label = f"f{n}: " if n else ""
        jump = "r1 = r6\nr2 = map_fd tails ll\nr3 = 0\ncall bpf_tail_call\n" if n == tail else ""
        call = f"r1 = r6\ncall f{n + 1}\n" if n + 1 < len(frames) else ""
        parts.append(f"{label}r6 = r1\n*(u64 *)(r10 -{size}) = 1\n{jump}{call}{END}")
    return "".join(parts)


TOO_LARGE: Final = "combined stack size of {} calls is {}. Too large"
BEHIND: Final = "tail_calls are not allowed when call stack of previous frames is {} bytes. Too large"
# (name, program type, text, errno, message, stack depth)
CASES: Final = [
    # -- frames
    ("chain that fits", XDP, chain(240, 256), 0, "", "240+256"),
    ("chain too large", XDP, chain(248, 264), 13, TOO_LARGE.format(2, 528), "248+264"),
    ("chain of private stacks", RAW_TRACEPOINT, chain(248, 264), 0, "", "248+264"),
    ("full frames", KPROBE, chain(*[512] * 8), 0, "", "+".join(["512"] * 8)),
    ("nine frames", KPROBE, chain(*[8] * 9), 7, "the call stack of 9 frames is too deep", "+".join(["8"] * 8 + ["0"])),
    ("tail call below 240 bytes", XDP, chain(240, 8, tail=1), 0, "", "240+8"),
    ("tail call below 248 bytes", XDP, chain(248, 8, tail=1), 13, BEHIND.format(256), "248+8"),
    ("tail call two frames below", XDP, chain(112, 136, 8, tail=2), 13, BEHIND.format(256), "112+136+8"),
    ("tail call of the main program", XDP, chain(256, 256, tail=0), 0, "", "256+256"),
    # a program that calls others has no private stack
    ("tail call of a tracing program", RAW_TRACEPOINT, chain(248, 264, tail=0), 13, TOO_LARGE.format(2, 528), "248+264"),
    # -- spills around calls
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
    ("slot written otherwise", XDP, "*(u64 *)(r10 -8) = 1\n" + VALUES + around((1, 8)) + END, 0, "", "8"),
    # -- what the verifier adds to the frame
    ("loop", KPROBE, LOOP + END, 0, "", "16"),
    ("loop in a full frame", KPROBE, "*(u64 *)(r10 -512) = 1\n" + LOOP + END, 0, "", "528"),
    ("loop and a pair", KPROBE, VALUES + around((1, 8)) + LOOP + END, 0, "", "16"),
    ("callback", KPROBE, CALLBACK + END + EACH, 0, "", "24+0"),
    ("loop and a callback", KPROBE, LOOP + CALLBACK + END + EACH, 0, "", "40+0"),
    ("may_goto", XDP, f"*(u64 *)(r10 -8) = 0\nr0 = 0\nmay_goto +1\nr0 = 1\n{END}", 0, "", "24"),
    ("function that is never called", XDP, f"r0 = 0\nif r0 == 0 goto out\ncall f\nout: exit\nf: {END}", 0, "", "0"),
    ("tracepoint", TRACEPOINT, chain(512, 512, 40, 512), 0, "", "512+512+40+512"),
    ("kprobe", KPROBE, chain(*[72] * 8), 0, "", "+".join(["72"] * 8)),
    ("xdp", XDP, chain(*[72] * 8), 13, TOO_LARGE.format(7, 560), "+".join(["72"] * 8)),
]  # fmt: skip
BY_NAME: Final = pytest.mark.parametrize(
    ("prog_type", "text", "errno", "said", "depth"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)


def asked(scene: Scene, prog_type: int, text: str) -> tuple[int, str, str]:
    """errno, last message and stack depth."""
    errno, log, _ = scene.ask(prog_type, text, 5)
    lines = [line for line in log if not line.startswith(("verification time", "stack depth "))]
    depth = re.search(r"^stack depth (\S+)", "\n".join(log), re.M)
    return errno, message(lines) if errno else "", depth[1] if depth else ""
