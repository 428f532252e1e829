"""Programs on which this verifier once answered otherwise than Linux, by somebody who looked for such: each with its story.

(id, program type, fields of the request, assembly). `map_fd N` is the N-th of `verifier_cases.MAPS`. What Linux 6.18.44 says is
recorded in tests/data/verifier_adversary_6.18.44.json by `python -m verifier.adversary_record` (in tests/, as root there).
"""

from __future__ import annotations

from typing import Any, Final

FILTER: Final = 1
TC: Final = 3
XDP: Final = 6
KPROBE: Final = 2
SLEEPABLE: Final[dict[str, Any]] = {"prog_flags": 16}
STRICT: Final[dict[str, Any]] = {"prog_flags": 1}
END: Final = "r0 = 0\nexit\nout:\nr0 = 0\nexit\n"
_PACKET: Final = """
    r2 = *(u32 *)(r1 +76)
    r3 = *(u32 *)(r1 +80)
    r4 = r2
    r4 += 32
    if r4 > r3 goto out
"""
_AT_4: Final = "r1 = map_fd 0 ll\nr2 = r10\nr2 += -4\n"
_STORE: Final = "*(u64 *)(r0 +0) = 1\nr0 = 0\nexit\n"

CASES: Final[tuple[tuple[str, int, dict[str, Any], str], ...]] = (
    # a register that does not exist was looked up only where an indexed packet load read it
    ("ld_ind through r11", FILTER, {}, "r6 = r1\n.insn 0x40 0 11 0 0\nexit\n"),
    # ordered loads and stores: the access itself is judged first, then the kind of pointer
    ("acquire from a context field", TC, {}, ".insn 0xc3 2 1 0 0x100\nr0 = 0\nexit\n"),
    ("acquire from no context field", TC, {}, ".insn 0xdb 2 1 0 0x100\nr0 = 0\nexit\n"),
    ("acquire from between fields", TC, {}, ".insn 0xdb 2 1 4 0x100\nr0 = 0\nexit\n"),
    ("release into a context field", TC, {}, "r2 = 1\n.insn 0xc3 1 2 8 0x110\nr0 = 0\nexit\n"),
    ("release into a read-only field", TC, {}, "r2 = 1\n.insn 0xc3 1 2 0 0x110\nr0 = 0\nexit\n"),
    # the pointer is looked at after the load, when it is a number
    ("acquire over its own packet pointer", TC, {}, _PACKET + ".insn 0xd3 2 2 4 0x100\n" + END),
    ("acquire beside its packet pointer", TC, {}, _PACKET + ".insn 0xd3 3 2 4 0x100\n" + END),
    # a packet begins two bytes off, so that its IP header is aligned: by flag and for ordered loads that counts
    ("strict: packet word at 0", TC, STRICT, _PACKET + "r3 = *(u32 *)(r2 +0)\n" + END),
    ("strict: packet word at 2", TC, STRICT, _PACKET + "r3 = *(u32 *)(r2 +2)\n" + END),
    ("strict: packet half word at 1", TC, STRICT, _PACKET + "r3 = *(u16 *)(r2 +1)\n" + END),
    ("acquire of the packet's word at 0", TC, {}, _PACKET + ".insn 0xc3 2 2 0 0x100\n" + END),
    ("acquire of the packet's word at 2", TC, {}, _PACKET + ".insn 0xc3 2 2 2 0x100\n" + END),
    # sockets are asked for alignment, too, and before anything else
    (
        "strict: socket, writing at 1",
        TC,
        STRICT,
        "r2 = *(u64 *)(r1 +168)\nif r2 == 0 goto out\n*(u16 *)(r2 +1) = 1\n" + END,
    ),
    # 1 << 31 is no 32-bit constant, though its negative is: the difference is not linked
    (
        "a link by minus 1 << 31",
        TC,
        {},
        "call bpf_ktime_get_ns\nr6 = r0\nr7 = r6\nr8 = 0x80000000 ll\nr7 -= r8\nif r6 > 9 goto out\n" + END,
    ),
    # by flag a contradiction between bounds ends the verification
    (
        "contradiction by flag",
        TC,
        {"prog_flags": 1 << 7},
        "call bpf_ktime_get_ns\nr6 = r0\nw6 &= 1\nif w6 < w6 goto out\n" + END,
    ),
    ("contradiction", TC, {}, "call bpf_ktime_get_ns\nr6 = r0\nw6 &= 1\nif w6 < w6 goto out\n" + END),
    # what maps a program that may sleep can use
    ("sleeping: devmap", KPROBE, SLEEPABLE, "r1 = map_fd 6 ll\nr0 = 0\nexit\n"),
    ("sleeping: program array", KPROBE, SLEEPABLE, "r1 = map_fd 3 ll\nr0 = 0\nexit\n"),
    ("sleeping: queue", KPROBE, SLEEPABLE, "r1 = map_fd 7 ll\nr0 = 0\nexit\n"),
    ("sleeping: ring buffer", KPROBE, SLEEPABLE, "r1 = map_fd 2 ll\nr0 = 0\nexit\n"),
    # the number of bpf_loop's rounds is tracked, so it must be a number
    (
        "bpf_loop as often as a pointer",
        TC,
        {"linkage": ()},
        "r2 = func cb ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit\ncb:\nr0 = 0\nexit\n",
    ),
    # the upper half of a spilled constant is a constant key: Linux takes the whole for it
    ("key is an upper half", TC, {}, "*(u64 *)(r10 -8) = 1\n" + _AT_4 + "call bpf_map_lookup_elem\n" + _STORE),
    (
        "key is an upper half, too large",
        TC,
        {},
        "*(u64 *)(r10 -8) = 4\n" + _AT_4 + "call bpf_map_lookup_elem\n" + _STORE,
    ),
    # other helpers than the lookup look for a constant key, too, and make it precise
    ("delete by a constant", TC, {}, "*(u64 *)(r10 -8) = 1\n" + _AT_4 + "call bpf_map_delete_elem\nr0 = 0\nexit\n"),
    # the kind of map comes before what may not be held at a tail call
    (
        "tail call through an array with a record held",
        TC,
        {},
        "r6 = r1\nr1 = map_fd 2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\n"
        "r1 = r6\nr2 = map_fd 0 ll\nr3 = 0\ncall bpf_tail_call\n" + END,
    ),
    # no bytes of something that may be NULL
    (
        "csum_diff of nothing",
        TC,
        {},
        "*(u64 *)(r10 -8) = 0\nr1 = map_fd 1 ll\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\n"
        "r1 = r0\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff\nr0 = 0\nexit\n",
    ),
)
