"""Programs on which this verifier once answered otherwise than Linux, by somebody who looked for such: each with its story.

(id, program type, fields of the request, assembly). `map_fd N` is the N-th of `verifier_cases.MAPS`. What Linux 6.18.44 says is
recorded in tests/data/verifier_adversary_6.18.44.json by `python -m verifier.adversary_record` (in tests/, as root there).
"""

from __future__ import annotations

from typing import Any, Final

FILTER: Final = 1
TC: Final = 3
XDP: Final = 6
STRICT: Final[dict[str, Any]] = {"prog_flags": 1}
END: Final = "r0 = 0\nexit\nout:\nr0 = 0\nexit\n"
_PACKET: Final = """
    r2 = *(u32 *)(r1 +76)
    r3 = *(u32 *)(r1 +80)
    r4 = r2
    r4 += 32
    if r4 > r3 goto out
"""

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
)
