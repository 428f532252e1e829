# ruff: noqa: E501
"""Programs that show one behaviour of the verifier each: (id, program type, assembly).

`map_fd N` is the N-th of MAPS. What Linux 6.18.44 says of each (errno, last message, instructions processed) is recorded in
tests/data/verifier_cases_6.18.44.json.xz by `python -m verifier.verifier_record` (in tests/, as root on that kernel).
"""

from __future__ import annotations

from typing import Final

from verifier.fault_cases import CASES as FAULT_CASES

# (map type, key size, value size, entries, flags)
MAPS: Final = (
    (2, 4, 64, 4, 0),  # 0 array
    (1, 4, 64, 4, 0),  # 1 hash
    (27, 0, 0, 4096, 0),  # 2 ring buffer
    (3, 4, 4, 4, 0),  # 3 program array
    (2, 4, 64, 1, 0),  # 4 array of one element: direct access
    (2, 4, 64, 1, 0x80),  # 5 the same, read-only for programs
    (14, 4, 8, 4, 0),  # 6 devmap
    (22, 0, 8, 4, 0),  # 7 queue
    (15, 4, 4, 4, 0),  # 8 sockets
)

FILTER: Final = 1
TC: Final = 3
XDP: Final = 6
CGROUP_SKB: Final = 8
CGROUP_SKB: Final = 8
SOCK_ADDR: Final = 18

_LOOKUP: Final = """
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map_fd {map} ll
    call bpf_map_lookup_elem
"""
_PACKET: Final = """
    r2 = *(u32 *)(r1 +0)
    r3 = *(u32 *)(r1 +4)
    r4 = r2
    r4 += 14
"""
_RESERVE: Final = """
    r1 = map_fd 2 ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
"""
_SOCKET: Final = """
    r6 = r1
    *(u64 *)(r10 -8) = 0
    *(u64 *)(r10 -16) = 0
    r2 = r10
    r2 += -16
    r3 = 12
    r4 = 0
    r5 = 0
    call bpf_sk_lookup_tcp
"""
_RANDOM: Final = "call bpf_get_prandom_u32\n"

CASES: Final[list[tuple[str, int, str]]] = [
    # control flow
    ("return-0", FILTER, "r0 = 0\nexit"),
    ("no-exit", FILTER, "r0 = 0"),
    ("unreachable", FILTER, "r0 = 0\nexit\nr0 = 1\nexit"),
    ("jump-out", FILTER, ".insn 0xb7 0 0 0 0\n.insn 0x05 0 0 5 0\nexit"),
    ("loop-forever", FILTER, "r0 = 0\nl: goto l2\nl2: if r0 == 0 goto l\nexit"),
    ("loop-random", FILTER, f"l: {_RANDOM} if r0 != 0 goto l\nexit"),
    ("loop-bounded", FILTER, "r6 = 0\nl: r6 += 1\nif r6 < 100 goto l\nr0 = r6\nexit"),
    ("into-lddw", FILTER, ".insn 0x05 0 0 1 0\n.insn 0x18 0 0 0 1\n.insn 0 0 0 0 0\nexit"),
    ("half-lddw", FILTER, "r0 = 0\n.insn 0x18 0 0 0 1"),
    ("unknown-opcode", FILTER, ".insn 0xff 0 0 0 0\nexit"),
    ("call-nowhere", FILTER, ".insn 0x85 0 1 0 100\nexit"),
    # registers
    ("uninit-read", FILTER, "r0 = r2\nexit"),
    ("uninit-return", FILTER, "exit"),
    ("uninit-after-call", FILTER, f"r1 = 1\n{_RANDOM} r0 = r1\nexit"),
    ("write-fp", FILTER, "r0 = 0\nr10 = 0\nexit"),
    ("register-11", FILTER, "r0 = 0\n.insn 0x07 11 0 0 0\nexit"),
    # arithmetic
    ("div-by-0", FILTER, "r0 = 1\n.insn 0x37 0 0 0 0\nexit"),
    ("shift-64", FILTER, "r0 = 1\n.insn 0x67 0 0 0 64\nexit"),
    ("reserved-alu", FILTER, "r0 = 1\n.insn 0x07 0 1 0 0\nexit"),
    ("reserved-mov", FILTER, "r0 = 1\n.insn 0xbf 0 0 3 0\nexit"),
    ("reserved-end", FILTER, "r0 = 1\n.insn 0xd4 0 0 0 17\nexit"),
    ("pointer-32", FILTER, "r1 = r10\nw1 += 1\nr0 = 0\nexit"),
    ("pointer-mul", FILTER, "r1 = r10\nr1 *= 2\nr0 = 0\nexit"),
    ("pointer-and", FILTER, "r1 = r10\nr1 &= -8\nr0 = 0\nexit"),
    ("fp-minus", FILTER, "r1 = r10\nr1 -= 8\nr0 = 0\nexit"),
    ("pointer-plus-pointer", FILTER, "r2 = r10\nr2 += r1\nr0 = 0\nexit"),
    ("pointer-unbounded", FILTER, f"{_RANDOM} r1 = r10\nr1 += r0\nr0 = 0\nexit"),
    ("pointer-far", FILTER, "r1 = r10\nr1 += 0x7fffffff\nr0 = 0\nexit"),
    ("map-pointer-plus", FILTER, "r1 = map_fd 0 ll\nr1 += 8\nr0 = 0\nexit"),
    ("sign-mask", FILTER, f"{_RANDOM} r0 s>>= 63\nr0 &= 10\nexit"),
    # stack
    ("stack-above", FILTER, "r0 = 0\n*(u64 *)(r10 +0) = r0\nexit"),
    ("stack-below", FILTER, "r0 = 0\n*(u64 *)(r10 -520) = r0\nexit"),
    ("stack-misaligned", FILTER, "r0 = 0\n*(u64 *)(r10 -12) = r0\nexit"),
    ("stack-uninit", FILTER, "r0 = *(u64 *)(r10 -8)\nexit"),
    ("spill-fill", FILTER, "*(u64 *)(r10 -8) = r1\nr1 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r1 +0)\nexit"),
    ("spill-part", FILTER, "*(u32 *)(r10 -8) = r1\nr0 = 0\nexit"),
    ("fill-part-of-pointer", FILTER, "*(u64 *)(r10 -8) = r1\nr0 = *(u32 *)(r10 -8)\nexit"),
    ("fill-corrupt", FILTER, "*(u64 *)(r10 -8) = r1\n*(u8 *)(r10 -7) = 0\nr1 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r1 +0)\nexit"),
    ("stack-variable", FILTER, f"{_RANDOM} r0 &= 7\nr1 = r10\nr1 += r0\n*(u8 *)(r1 -8) = 1\nr0 = *(u8 *)(r1 -8)\nexit"),
    ("stack-variable-out", FILTER, f"{_RANDOM} r0 &= 15\nr1 = r10\nr1 += r0\n*(u8 *)(r1 -8) = 1\nr0 = 0\nexit"),
    ("stack-variable-negative", FILTER, f"{_RANDOM} r0 &= 15\nr1 = r10\nr1 += r0\nr0 = *(u8 *)(r1 -520)\nexit"),
    # context
    ("ctx-offset", FILTER, "r0 = *(u32 *)(r1 +3)\nexit"),
    ("ctx-size", FILTER, "r0 = *(u64 *)(r1 +0)\nexit"),
    ("ctx-moved", FILTER, "r1 += 4\nr0 = *(u32 *)(r1 +0)\nexit"),
    ("ctx-write-no", FILTER, "*(u32 *)(r1 +0) = 0\nr0 = 0\nexit"),
    ("ctx-write-cb", FILTER, "r0 = 1\n*(u32 *)(r1 +48) = r0\nexit"),
    ("ctx-narrow", TC, "r0 = *(u8 *)(r1 +8)\nexit"),
    ("ctx-data-short", XDP, "r0 = *(u16 *)(r1 +0)\nexit"),
    # packets
    ("pkt-unchecked", XDP, "r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +0)\nexit"),
    ("pkt-checked", XDP, f"{_PACKET} if r4 > r3 goto out\nr0 = *(u32 *)(r2 +10)\nout: r0 = 2\nexit"),
    ("pkt-off-by-one", XDP, f"{_PACKET} if r4 > r3 goto out\nr0 = *(u32 *)(r2 +11)\nout: r0 = 2\nexit"),
    ("pkt-less", XDP, f"{_PACKET} if r3 >= r4 goto ok\nr0 = 2\nexit\nok: r0 = *(u8 *)(r2 +13)\nexit"),
    ("pkt-wrong-branch", XDP, f"{_PACKET} if r4 > r3 goto ok\nr0 = 2\nexit\nok: r0 = *(u8 *)(r2 +13)\nexit"),
    ("pkt-variable", XDP,
     f"{_PACKET} if r4 > r3 goto out\nr5 = *(u8 *)(r2 +0)\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\n"
     "r0 = *(u32 *)(r2 +0)\nout: r0 = 2\nexit"),
    ("pkt-after-adjust", XDP,
     f"r6 = r1\n{_PACKET} if r4 > r3 goto out\nr7 = r2\nr1 = r6\nr2 = 0\ncall bpf_xdp_adjust_head\nr0 = *(u8 *)(r7 +0)\n"
     "out: r0 = 2\nexit"),
    ("pkt-write-cgroup", CGROUP_SKB,
     "r2 = *(u32 *)(r1 +76)\nr3 = *(u32 *)(r1 +80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n*(u8 *)(r2 +0) = 1\nout: r0 = 1\nexit"),
    ("pkt-end-read", XDP, "r2 = *(u32 *)(r1 +4)\nr0 = *(u8 *)(r2 +0)\nexit"),
    ("pkt-end-plus", XDP, "r2 = *(u32 *)(r1 +4)\nr2 += 1\nr0 = 0\nexit"),
    # maps
    ("map-unchecked", FILTER, _LOOKUP.format(map=1) + "r0 = *(u64 *)(r0 +0)\nexit"),
    ("map-checked", FILTER, _LOOKUP.format(map=1) + "if r0 == 0 goto out\nr0 = *(u64 *)(r0 +56)\nexit\nout: r0 = 0\nexit"),
    ("map-outside", FILTER, _LOOKUP.format(map=1) + "if r0 == 0 goto out\nr0 = *(u64 *)(r0 +57)\nexit\nout: r0 = 0\nexit"),
    ("map-array-constant-key", FILTER, _LOOKUP.format(map=0) + "r0 = *(u64 *)(r0 +0)\nexit"),
    ("map-null-arithmetic", FILTER, _LOOKUP.format(map=1) + "r0 += 8\nr0 = 0\nexit"),
    ("map-copies", FILTER,
     _LOOKUP.format(map=1) + "r6 = r0\n*(u64 *)(r10 -16) = r0\nif r0 == 0 goto out\nr1 = *(u64 *)(r10 -16)\nr0 = *(u8 *)(r1 +0)\n"
     "r0 = *(u8 *)(r6 +0)\nexit\nout: r0 = 0\nexit"),
    ("map-index-masked", FILTER,
     _LOOKUP.format(map=0) + "r1 = *(u32 *)(r0 +0)\nr1 &= 63\nr0 += r1\nr0 = *(u8 *)(r0 +0)\nexit"),
    ("map-index-free", FILTER, _LOOKUP.format(map=0) + "r1 = *(u32 *)(r0 +0)\nr0 += r1\nr0 = *(u8 *)(r0 +0)\nexit"),
    ("map-index-negative", FILTER,
     _LOOKUP.format(map=0) + "r1 = *(s32 *)(r0 +0)\nif r1 s> 63 goto out\nr0 += r1\nr0 = *(u8 *)(r0 +0)\nexit\nout: r0 = 0\nexit"),
    ("map-bad-fd", FILTER, "r1 = map_fd 99 ll\nr0 = 0\nexit"),
    ("map-value-direct", FILTER, "r1 = map_value 4 + 8 ll\nr0 = *(u64 *)(r1 +48)\nexit"),
    ("map-value-direct-out", FILTER, "r1 = map_value 4 + 8 ll\nr0 = *(u64 *)(r1 +56)\nexit"),
    ("map-value-of-hash", FILTER, "r1 = map_value 1 + 8 ll\nr0 = 0\nexit"),
    ("map-value-past", FILTER, "r1 = map_value 4 + 64 ll\nr0 = 0\nexit"),
    ("map-rdonly-write", FILTER, "r1 = map_value 5 + 0 ll\n*(u8 *)(r1 +0) = 1\nr0 = 0\nexit"),
    ("map-wrong-helper", FILTER, _LOOKUP.format(map=6) + "r0 = 0\nexit"),
    ("map-queue-lookup", FILTER, _LOOKUP.format(map=7) + "r0 = 0\nexit"),
    (
        "array-key-beside-a-spill",
        FILTER,
        "r1 = 0\n*(u32 *)(r10 -4) = r1\nr1 = 1\n*(u32 *)(r10 -8) = r1\nr2 = r10\nr2 += -4\nr1 = map_fd 0 ll\n"
        "call bpf_map_lookup_elem\nr0 = *(u32 *)(r0 +0)\nexit",
    ),
    ("tail-call", FILTER, "r2 = map_fd 3 ll\nr3 = 1\ncall bpf_tail_call\nr0 = 0\nexit"),
    ("tail-call-on-array", FILTER, "r2 = map_fd 0 ll\nr3 = 1\ncall bpf_tail_call\nr0 = 0\nexit"),
    # helpers
    ("helper-unknown", FILTER, "call #9999\nexit"),
    ("helper-other-type", FILTER, "call bpf_xdp_adjust_head\nexit"),
    ("helper-scalar-map", FILTER, "r1 = 0\nr2 = r10\ncall bpf_map_lookup_elem\nr0 = 0\nexit"),
    ("helper-key-outside", FILTER, "r1 = map_fd 0 ll\nr2 = r10\nr2 += -2\ncall bpf_map_lookup_elem\nr0 = 0\nexit"),
    ("helper-size-0", FILTER, "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_skb_load_bytes\nexit"),
    ("helper-size-free", FILTER, "r4 = *(u32 *)(r1 +0)\nr4 += 1\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nexit"),
    ("helper-size-negative", FILTER,
     "r4 = *(u32 *)(r1 +0)\nr4 <<= 32\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nexit"),
    ("helper-fills-stack", FILTER, "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr0 = *(u64 *)(r10 -8)\nexit"),
    ("helper-ctx-moved", FILTER, "r1 += 4\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nexit"),
    # references
    ("ring-leak", FILTER, _RESERVE + "r0 = 0\nexit"),
    ("ring-submit", FILTER, _RESERVE + "if r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit"),
    ("ring-outside", FILTER, _RESERVE + "if r0 == 0 goto out\n*(u64 *)(r0 +8) = 1\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit"),
    ("ring-twice", FILTER,
     _RESERVE + "if r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nr1 = r6\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit"),
    ("ring-use-after", FILTER,
     _RESERVE + "if r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nr0 = *(u8 *)(r6 +0)\nout: r0 = 0\nexit"),
    ("ring-moved", FILTER, _RESERVE + "if r0 == 0 goto out\nr0 += 4\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit"),
    ("ring-size-unknown", FILTER, "r2 = *(u32 *)(r1 +0)\nr1 = map_fd 2 ll\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 0\nexit"),
    ("submit-stack", FILTER, "r1 = r10\nr1 += -8\nr2 = 0\ncall bpf_ringbuf_submit\nr0 = 0\nexit"),
    ("sock-leak", TC, _SOCKET + "r0 = 0\nexit"),
    ("sock-release", TC, _SOCKET + "if r0 == 0 goto out\nr7 = *(u32 *)(r0 +4)\nr1 = r0\ncall bpf_sk_release\nout: r0 = 0\nexit"),
    ("sock-unchecked", TC, _SOCKET + "r1 = r0\ncall bpf_sk_release\nr0 = 0\nexit"),
    ("sock-write", TC, _SOCKET + "if r0 == 0 goto out\n*(u32 *)(r0 +4) = 1\nr1 = r0\ncall bpf_sk_release\nout: r0 = 0\nexit"),
    ("sock-offset", TC, _SOCKET + "if r0 == 0 goto out\nr7 = *(u32 *)(r0 +1000)\nr1 = r0\ncall bpf_sk_release\nout: r0 = 0\nexit"),
    # a socket of a map is not the same as one that was looked up: what follows is walked again, up to the release
    ("sock-of-a-map-or-not", TC,
     _SOCKET + f"r7 = r0\n{_RANDOM} if r0 == 0 goto map\nif r7 == 0 goto out\ngoto have\n"
     "map: if r7 == 0 goto +2\nr1 = r7\ncall bpf_sk_release\n" + _LOOKUP.format(map=8) + "r7 = r0\nif r7 == 0 goto out\n"
     f"have: r1 = 1\nr2 = 2\n{_RANDOM} if r0 == 1 goto +1\nr0 = 2\nr1 = r7\ncall bpf_sk_release\nout: r0 = 0\nexit"),
    # functions
    ("call-static", FILTER, "r1 = 1\nr2 = 2\ncall f\nexit\nf: r0 = r1\nr0 += r2\nexit"),
    ("call-clobbers", FILTER, "r1 = 1\ncall f\nr0 = r1\nexit\nf: r0 = 0\nexit"),
    ("call-returns-stack", FILTER, "call f\nexit\nf: r0 = r10\nexit"),
    ("call-stack-of-caller", FILTER, "*(u64 *)(r10 -8) = 7\nr1 = r10\nr1 += -8\ncall f\nexit\nf: r0 = *(u64 *)(r1 +0)\nexit"),
    ("call-deep-stack", FILTER,
     "*(u64 *)(r10 -256) = 0\ncall f\nexit\nf: *(u64 *)(r10 -264) = 0\nr0 = 0\nexit"),
    ("call-recursive", FILTER, "r0 = 0\ncall f\nexit\nf: r0 = 0\ncall f\nexit"),
    ("ld-abs-in-function", FILTER, "r6 = r1\ncall f\nexit\nf: r6 = r1\nr0 = *(u32 *)skb[0]\nexit"),
    ("ld-abs", FILTER, "r6 = r1\nr0 = *(u32 *)skb[0]\nexit"),
    ("ld-abs-no-ctx", FILTER, "r6 = 0\nr0 = *(u32 *)skb[0]\nexit"),
    ("ld-abs-xdp", XDP, "r6 = r1\nr0 = *(u32 *)skb[0]\nexit"),
    ("ld-abs-cgroup", CGROUP_SKB, "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit"),
    # atomics
    ("atomic-add", FILTER, "*(u64 *)(r10 -8) = 1\nr1 = 2\nlock *(u64 *)(r10 -8) += r1\nr0 = *(u64 *)(r10 -8)\nexit"),
    ("atomic-ctx", FILTER, "r2 = 1\nlock *(u64 *)(r1 +48) += r2\nr0 = 0\nexit"),
    ("atomic-misaligned", FILTER, "*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -16) = 1\nr1 = 2\nlock *(u64 *)(r10 -12) += r1\nr0 = 0\nexit"),
    ("atomic-opcode", FILTER, "*(u64 *)(r10 -8) = 1\nr1 = 2\n.insn 0xdb 10 1 -8 0x77\nr0 = 0\nexit"),
    # one load through three kinds of memory: the last one is not "different pointers" (that is for the context and sockets)
    ("mixed-three-kinds", TC, f"r6 = r1\n{_LOOKUP.format(map=0)} if r0 == 0 goto out\nr7 = r0\n{_RANDOM} if r0 == 0 goto at\nif r0 == 1 goto +2\nr7 = r10\nr7 += -4\nif r0 != 2 goto at\nr2 = *(u32 *)(r6 +76)\nr3 = *(u32 *)(r6 +80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr7 = r2\nat: r1 = *(u32 *)(r7 +0)\nout: r0 = 0\nexit"),
    ("mixed-memory-and-context", TC, f"*(u32 *)(r10 -4) = 0\nr6 = r1\nr7 = r10\nr7 += -4\n{_RANDOM} if r0 == 0 goto at\nr7 = r6\nat: r1 = *(u32 *)(r7 +0)\nr0 = 0\nexit"),
    # what is given back is what was taken: a record was once freed from somewhere inside of it
    ("release-variable-offset", FILTER, f"{_RESERVE}if r0 == 0 goto out\nr1 = r0\nr2 = *(u32 *)(r0 +0)\nr2 &= 4\nr1 += r2\nr2 = 0\ncall bpf_ringbuf_discard\nout: r0 = 0\nexit"),
    ("release-constant-offset", FILTER, f"{_RESERVE}if r0 == 0 goto out\nr1 = r0\nr1 += 4\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit"),
    ("misaligned-negative-constant", FILTER, "r9 = -19\nr7 = 1\nlock *(u32 *)(r9 +4) += r7\nr0 = 0\nexit"),
    # returns
    ("ret-cgroup-ok", CGROUP_SKB, "r0 = 1\nexit"),
    ("ret-cgroup-4", CGROUP_SKB, "r0 = 4\nexit"),
    ("ret-cgroup-unknown", CGROUP_SKB, f"{_RANDOM} exit"),
    ("ret-pointer", FILTER, "r0 = r1\nexit"),
    *FAULT_CASES,
]  # fmt: skip
