# ruff: noqa: E501
"""Programs that a verifier with one fault would judge wrongly: each closes a hole that `bench_verifier.faults` has shown.

They are part of `verifier_cases.CASES`. `joined` makes the two ways to one place that pruning is about: a state is kept where
the first way comes together with the second, and what follows must be refused (or looked at again) for the second.
"""

from __future__ import annotations

from typing import Final

FILTER: Final = 1
TC: Final = 3
XDP: Final = 6

RANDOM: Final = "call bpf_get_prandom_u32\n"
PAD: Final = "r9 = 0\n" * 8  # enough for a state to be kept where the ways come together
PACKET: Final = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\n"
CHECKED: Final = PACKET + "r4 = r2\nr4 += 14\nif r4 > r3 goto out\n"
OUT: Final = "\nout: r0 = 0\nexit"
VALUE: Final = "r8 = map_value 4 + 0 ll\n"
INDEX: Final = "r8 += r7\nr0 = *(u8 *)(r8 +0)"


def lookup(which: int = 1) -> str:
    return f"*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map_fd {which} ll\ncall bpf_map_lookup_elem\n"


def joined(first: str, second: str, use: str, before: str = "") -> str:
    return f"{before}{RANDOM}if r0 == 0 goto b\n{first}\n{PAD}goto join\nb: {second}\n{PAD}join: if r9 == 1 goto out\n{use}{OUT}"


PACKETS: Final = [
    ("fault-pkt-meta-after-a-move", XDP, f"r6 = r1\nr7 = *(u32 *)(r1 +8)\nr3 = *(u32 *)(r1 +0)\nr4 = r7\nr4 += 4\nif r4 > r3 goto out\nr2 = 0\ncall bpf_xdp_adjust_head\nr0 = *(u8 *)(r7 +0){OUT}"),
    ("fault-pkt-meta-as-the-packet", XDP, f"r7 = *(u32 *)(r1 +8)\nr3 = *(u32 *)(r1 +0)\nr4 = r7\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u8 *)(r3 +0){OUT}"),
    ("fault-pkt-other-base", XDP, f"{CHECKED}r5 = *(u8 *)(r2 +0)\nr7 = *(u8 *)(r2 +1)\nr6 = r2\nr6 += r5\nr8 = r2\nr8 += r7\nr4 = r6\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u8 *)(r8 +0){OUT}"),
    ("fault-pkt-open-end", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 < r3 goto in\nr0 = 2\nexit\nin: r0 = *(u8 *)(r2 +14)\nexit"),
    ("fault-pkt-open-end-more", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 < r3 goto in\nr0 = 2\nexit\nin: r0 = *(u8 *)(r2 +15)\nexit"),
    ("fault-pkt-end-greater-or-equal", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 >= r3 goto out\nr0 = *(u8 *)(r2 +14){OUT}"),
    ("fault-pkt-large-offset", XDP, f"{PACKET}r5 = *(u32 *)(r1 +12)\nr5 &= 0x1ffff\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-pkt-minus-negative", XDP, f"{CHECKED}r5 = *(u8 *)(r2 +0)\nr5 += 16\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr7 = *(u8 *)(r2 +0)\nr7 &= 15\nr7 += -8\nr2 -= r7\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-pkt-minus-positive", XDP, f"{CHECKED}r5 = *(u8 *)(r2 +0)\nr5 += 16\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr7 = *(u8 *)(r2 +0)\nr7 &= 15\nr2 -= r7\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-pkt-on-the-stack", XDP, f"r6 = r1\n{CHECKED}*(u64 *)(r10 -8) = r2\nr1 = r6\nr2 = 0\ncall bpf_xdp_adjust_head\nr2 = *(u64 *)(r10 -8)\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-pkt-of-the-caller", XDP, f"r6 = r1\n{CHECKED}r7 = r2\nr1 = r6\ncall f\nr0 = *(u8 *)(r7 +0){OUT}\nf: r2 = 0\ncall bpf_xdp_adjust_head\nr0 = 0\nexit"),
    ("fault-pkt-of-the-callers-stack", XDP, f"r6 = r1\n{CHECKED}*(u64 *)(r10 -8) = r2\nr1 = r6\ncall f\nr2 = *(u64 *)(r10 -8)\nr0 = *(u8 *)(r2 +0){OUT}\nf: r2 = 0\ncall bpf_xdp_adjust_head\nr0 = 0\nexit"),
    ("fault-pkt-known-beyond", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 > r3 goto beyond\nr0 = 1\nexit\nbeyond: if r4 <= r3 goto bad\nr0 = 0\nexit\nbad: r0 = *(u8 *)(r2 +0)\nexit"),
    ("fault-pkt-known-within", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 >= r3 goto beyond\nr0 = 1\nexit\nbeyond: if r4 < r3 goto bad\nr0 = 0\nexit\nbad: r0 = *(u8 *)(r3 +0)\nexit"),
    ("fault-pkt-negative", XDP, f"{CHECKED}r5 = *(u8 *)(r2 +0)\nr5 += -1\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-pkt-to-a-helper", XDP, f"{CHECKED}r1 = r2\nr2 = 4\ncall bpf_trace_printk{OUT}"),
    ("fault-pkt-to-a-helper-that-takes-it", XDP, f"r6 = r1\n{CHECKED}r1 = map_fd 1 ll\ncall bpf_map_lookup_elem{OUT}"),
    ("fault-pkt-short-for-a-helper", XDP, f"r6 = r1\n{CHECKED}r1 = map_fd 1 ll\nr2 += 11\ncall bpf_map_lookup_elem{OUT}"),
]  # fmt: skip

NULLS: Final = [
    ("fault-null-spilled-copy", FILTER, f"{lookup()}*(u64 *)(r10 -16) = r0\nif r0 == 0 goto out\nr1 = *(u64 *)(r10 -16)\nr0 = *(u8 *)(r1 +0){OUT}"),
    ("fault-null-of-the-caller", FILTER, f"{lookup()}r6 = r0\nr1 = r0\ncall f\nif r0 == 0 goto out\nr0 = *(u8 *)(r6 +0){OUT}\nf: if r1 == 0 goto no\nr0 = 1\nexit\nno: r0 = 0\nexit"),
    ("fault-null-of-another", FILTER, f"{lookup()}r6 = r0\n{lookup()}if r0 == 0 goto out\nr0 = *(u8 *)(r6 +0){OUT}"),
    ("fault-null-equal", FILTER, f"{lookup()}if r0 == 0 goto out\nr6 = r0\n{lookup()}if r0 == r6 goto in\ngoto out\nin: r0 = *(u8 *)(r0 +0)\nexit{OUT}"),
    ("fault-null-equal-other-side", FILTER, f"{lookup()}if r0 == 0 goto out\nr6 = r0\n{lookup()}if r0 == r6 goto out\nr0 = *(u8 *)(r0 +0){OUT}"),
    ("fault-null-unequal", FILTER, f"{lookup()}if r0 == 0 goto out\nr6 = r0\n{lookup()}if r6 != r0 goto out\nr0 = *(u8 *)(r0 +0){OUT}"),
    ("fault-null-passed", FILTER, f"{lookup()}r2 = r0\nr1 = map_fd 1 ll\ncall bpf_map_lookup_elem{OUT}"),
    ("fault-null-key-4", FILTER, "r3 = 4\n*(u32 *)(r10 -8) = r3\nr2 = r10\nr2 += -8\nr1 = map_fd 0 ll\ncall bpf_map_lookup_elem\nr0 = *(u8 *)(r0 +0)\nexit"),
    ("fault-null-key-3", FILTER, "r3 = 3\n*(u32 *)(r10 -8) = r3\nr2 = r10\nr2 += -8\nr1 = map_fd 0 ll\ncall bpf_map_lookup_elem\nr0 = *(u8 *)(r0 +0)\nexit"),
    ("fault-key-precise-for-update", FILTER, "r3 = 2\n*(u32 *)(r10 -8) = r3\nr1 = map_fd 0 ll\nr2 = r10\nr2 += -8\nr3 = map_value 4 + 0 ll\nr4 = 0\ncall bpf_map_update_elem\nr0 = 0\nexit"),
]  # fmt: skip

STACK: Final = [
    ("fault-fill-high-byte", FILTER, f"{VALUE}r6 = 0x100\n*(u64 *)(r10 -8) = r6\nr7 = *(u8 *)(r10 -7)\n{INDEX}\nexit"),
    ("fault-fill-more-than-spilled", FILTER, f"{VALUE}*(u64 *)(r10 -8) = 0\n{RANDOM}*(u64 *)(r10 -8) = r0\nr6 = 1\n*(u32 *)(r10 -8) = r6\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-fill-low-byte", FILTER, f"{VALUE}r6 = 0x103\n*(u64 *)(r10 -8) = r6\nr7 = *(u8 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-overwritten-in-part", FILTER, f"{VALUE}r6 = 1\n*(u64 *)(r10 -8) = r6\n{RANDOM}*(u8 *)(r10 -5) = r0\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-variable-zeroes", FILTER, f"{VALUE}" + "".join(f"*(u8 *)(r10 -{n}) = 0\n" for n in range(15, 8, -1)) + f"{RANDOM}*(u64 *)(r10 -8) = r0\n{RANDOM}r0 &= 7\nr1 = r10\nr1 += -15\nr1 += r0\nr7 = *(u8 *)(r1 +0)\n{INDEX}\nexit"),
    ("fault-variable-store-hits-a-spill", FILTER, f"{VALUE}r6 = 1\n*(u64 *)(r10 -8) = r6\n*(u64 *)(r10 -16) = r6\n{RANDOM}r0 &= 15\nr1 = r10\nr1 += -16\nr1 += r0\n*(u8 *)(r1 +0) = 77\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-variable-store-hits-a-pointer", FILTER, f"*(u64 *)(r10 -8) = r1\n*(u64 *)(r10 -16) = 0\n{RANDOM}r0 &= 15\nr1 = r10\nr1 += -16\nr1 += r0\n*(u8 *)(r1 +0) = 77\nr1 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r1 +0)\nexit"),
    ("fault-callees-stack-in-the-callers", FILTER, "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\ncall f\nr0 = 0\nexit\nf: *(u64 *)(r1 +0) = r10\nr0 = 0\nexit"),
    ("fault-callee-writes-the-callers-slot", FILTER, f"{VALUE}*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -8\ncall f\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit\nf: r6 = r1\n{RANDOM}*(u64 *)(r6 +0) = r0\nr0 = 0\nexit"),
    ("fault-helper-fills-a-spill", FILTER, f"{VALUE}r6 = 1\n*(u64 *)(r10 -8) = r6\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-helper-fills-perhaps", FILTER, f"{VALUE}r6 = r1\nr7 = 1\n*(u64 *)(r10 -8) = r7\n{RANDOM}r4 = r0\nr4 &= 7\nr4 += 1\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
]  # fmt: skip

LINKS: Final = [
    ("fault-link-two-widths", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr6 = r0\nr6 += 4\nr7 = r0\nw7 += 8\nif r6 > 20 goto out\n{INDEX}{OUT}"),
    ("fault-link-twice-moved", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr7 = r0\nr7 += 1\nr7 += 2\nif r0 > 10 goto out\n{INDEX}{OUT}"),
    ("fault-link-moved", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr7 = r0\nr7 += 50\nif r0 > 13 goto out\n{INDEX}{OUT}"),
    ("fault-link-moved-too-far", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr7 = r0\nr7 += 50\nif r0 > 14 goto out\n{INDEX}{OUT}"),
    ("fault-link-back", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr7 = r0\nr0 += 50\nif r0 > 113 goto out\nif r0 < 50 goto out\n{INDEX}{OUT}"),
    ("fault-link-in-32-bits", FILTER, f"{VALUE}{RANDOM}w0 = w0\nr7 = r0\nw7 += 8\nif r0 > 20 goto out\n{INDEX}{OUT}"),
    ("fault-link-wraps", FILTER, f"{VALUE}{RANDOM}r0 <<= 3\nr7 = r0\nw7 += 8\nif r0 > 20 goto out\n{INDEX}{OUT}"),
    ("fault-link-spilled", FILTER, f"{VALUE}{RANDOM}*(u64 *)(r10 -8) = r0\nif r0 > 20 goto out\nr7 = *(u64 *)(r10 -8)\n{INDEX}{OUT}"),
    ("fault-link-of-a-narrow-copy", FILTER, f"{VALUE}{RANDOM}r0 <<= 3\nw7 = w0\nif r7 > 20 goto out\nr7 = r0\n{INDEX}{OUT}"),
]  # fmt: skip

PRUNING: Final = [
    ("fault-join-bytes", FILTER, joined("*(u8 *)(r10 -7) = 0", "*(u8 *)(r10 -7) = r6", f"{VALUE}r7 = *(u8 *)(r10 -7)\n{INDEX}", f"{RANDOM}r6 = r0\n")),
    ("fault-join-spills", FILTER, joined("*(u64 *)(r10 -8) = 0", "*(u64 *)(r10 -8) = r6", f"{VALUE}r7 = *(u64 *)(r10 -8)\n{INDEX}", f"{RANDOM}r6 = r0\n")),
    ("fault-join-scalars", FILTER, joined("r7 = 1", "r7 = 100", f"{VALUE}{INDEX}")),
    ("fault-join-scalars-in-range", FILTER, joined("r7 = r0\nr7 &= 63", "r7 = 60", f"{VALUE}{INDEX}")),
    ("fault-join-pointer-and-number", FILTER, joined("r7 = r10\nr7 += -8\n*(u64 *)(r7 +0) = 0", "r7 = 1", "r0 = *(u64 *)(r7 +0)")),
    ("fault-join-links", FILTER, joined("r7 = r6", f"{RANDOM}r7 = r0", f"if r6 > 10 goto out\n{VALUE}{INDEX}", f"{RANDOM}r6 = r0\n")),
    ("fault-join-distances", FILTER, joined("r7 = r6\nr7 += 4", "r7 = r6\nr7 += 100", f"if r6 > 10 goto out\n{VALUE}{INDEX}", f"{RANDOM}r6 = r0\n")),
    ("fault-join-packet-range", XDP, f"{PACKET}r4 = r2\nr4 += 14\nif r4 > r3 goto b\nr0 = 0\n{PAD}goto join\nb: r0 = 0\n{PAD}join: if r9 == 1 goto out\nr0 = *(u8 *)(r2 +0){OUT}"),
    ("fault-join-packet-ids", XDP, f"{CHECKED}r5 = *(u8 *)(r2 +0)\nr0 = *(u8 *)(r2 +1)\nr6 = r2\nr6 += r5\nif r0 == 0 goto b\nr8 = r6\n{PAD}goto join\nb: r8 = r2\nr8 += r5\n{PAD}join: if r9 == 1 goto out\nr4 = r6\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u8 *)(r8 +0){OUT}"),
    ("fault-join-maps", FILTER, joined("r7 = map_value 4 + 0 ll", "r7 = map_value 5 + 0 ll", "*(u8 *)(r7 +0) = 1")),
    ("fault-join-value-offsets", FILTER, joined("r7 = map_value 4 + 0 ll", "r7 = map_value 4 + 60 ll", "r0 = *(u64 *)(r7 +0)")),
    ("fault-join-ids-shared", FILTER, f"{lookup()}r6 = r0\n{lookup()}r7 = r0\n" + joined("r8 = 0", "r7 = r6", "if r6 == 0 goto out\nif r7 == 0 goto out\nr0 = *(u8 *)(r7 +0)")),
    ("fault-join-ids-not-shared", FILTER, f"{lookup()}r6 = r0\n{lookup()}r7 = r0\n" + joined("r7 = r6", "r8 = 0", "if r6 == 0 goto out\nr0 = *(u8 *)(r7 +0)")),
    ("fault-join-references", FILTER, "r1 = map_fd 2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr6 = r0\nif r0 == 0 goto out\n" + joined("r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit\nr6 = 0", "r6 = 0", "r0 = 0")),
    ("fault-join-callers-slot", FILTER, f"{RANDOM}if r0 == 0 goto b\n*(u64 *)(r10 -16) = 0\ngoto join\nb: *(u64 *)(r10 -16) = r0\n*(u64 *)(r10 -16) = 100\njoin: call f\n{VALUE}r7 = *(u64 *)(r10 -16)\n{INDEX}{OUT}\nf: {PAD}if r9 == 1 goto +1\nr0 = 0\nr0 = 0\nexit"),
    ("fault-join-size", FILTER, joined("r7 = 4", "r7 = 64", "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = r7\ncall bpf_skb_load_bytes", "r6 = r1\n")),
    ("fault-join-through-a-sum", FILTER, joined("r6 = 1", "r6 = 100", f"{VALUE}r7 = 2\nr7 += r6\n{INDEX}")),
    ("fault-join-through-a-move", FILTER, joined("r6 = 1", "r6 = 100", f"{VALUE}r7 = r6\n{INDEX}")),
    ("fault-join-through-a-call", FILTER, joined("r6 = 1", "r6 = 100", f"r1 = r6\ncall f\n{VALUE}r7 = r0\n{INDEX}") + "\nf: r0 = r1\nexit"),
    ("fault-join-through-a-comparison", FILTER, joined("r6 = 1", "r6 = 100", f"if r7 > r6 goto out\n{VALUE}{INDEX}", f"{RANDOM}r7 = r0\n")),
    ("fault-join-through-a-store", FILTER, joined("r6 = 1", "r6 = 100", f"*(u64 *)(r10 -8) = r6\n{VALUE}r7 = *(u64 *)(r10 -8)\n{INDEX}")),
    ("fault-join-read-later", FILTER, f"*(u64 *)(r10 -8) = 0\n{RANDOM}if r0 == 0 goto b\n*(u64 *)(r10 -16) = 0\n{PAD}goto join\nb: *(u64 *)(r10 -16) = 100\n{PAD}join: if r9 == 1 goto out\n{RANDOM}r6 = r10\nif r0 == 0 goto other\nr6 += -8\ngoto read\nother: r6 += -16\nread: r7 = *(u64 *)(r6 +0)\n{VALUE}{INDEX}{OUT}"),
    ("fault-join-written-on-one-way", FILTER, f"*(u64 *)(r10 -16) = 0\n{RANDOM}if r0 == 0 goto b\n*(u64 *)(r10 -8) = 0\n{PAD}goto join\nb: *(u64 *)(r10 -8) = 100\n{PAD}join: if r9 == 1 goto out\n{RANDOM}r6 = r10\nif r0 == 0 goto other\nr6 += -8\ngoto write\nother: r6 += -16\nwrite: *(u64 *)(r6 +0) = 1\nr7 = *(u64 *)(r10 -8)\n{VALUE}{INDEX}{OUT}"),
    ("fault-join-decides-a-branch", FILTER, joined("r6 = 1", "r6 = 2", "if r6 == 1 goto out\nr0 = *(u8 *)(r10 +8)")),
]  # fmt: skip

BOUNDS: Final = [
    ("fault-value-up-to-127", FILTER, f"{VALUE}{RANDOM}r7 = r0\nr7 &= 127\n{INDEX}\nexit"),
    ("fault-value-slightly-negative", FILTER, f"{VALUE}r7 = *(s8 *)(r8 +0)\n{INDEX}\nexit"),
    ("fault-value-from-minus-one", FILTER, f"{VALUE}r8 += 8\n{RANDOM}r7 = r0\nr7 &= 15\nr7 += -9\n{INDEX}\nexit"),
    ("fault-value-from-zero", FILTER, f"{VALUE}r8 += 8\n{RANDOM}r7 = r0\nr7 &= 15\nr7 += -8\n{INDEX}\nexit"),
    ("fault-value-free", FILTER, f"{VALUE}{RANDOM}r7 = r0\n{INDEX}\nexit"),
    ("fault-value-to-a-helper", FILTER, "r2 = map_value 4 + 61 ll\nr1 = map_fd 1 ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit"),
    ("fault-read-only-to-a-helper", FILTER, "r3 = map_value 5 + 0 ll\nr2 = 0\nr4 = 8\ncall bpf_skb_load_bytes\nr0 = 0\nexit"),
    ("fault-size-zero-or-more", FILTER, f"r6 = r1\n{RANDOM}r4 = r0\nr4 &= 7\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nr0 = 0\nexit"),
    ("fault-size-largest", FILTER, f"r6 = r1\n{RANDOM}r4 = r0\nr4 &= 8\nr4 += 1\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nr0 = 0\nexit"),
    ("fault-size-slightly-negative", FILTER, f"r6 = r1\n{RANDOM}r4 = r0\nr4 &= 7\nr4 += -2\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\ncall bpf_skb_load_bytes\nr0 = 0\nexit"),
    ("fault-ctx-variable", FILTER, f"r6 = r1\n{RANDOM}r0 &= 4\nr6 += r0\nr0 = *(u32 *)(r6 +0)\nexit"),
    ("fault-ctx-signed-pointer", XDP, ".insn 0x81 2 1 0 0\nr0 = 0\nexit"),
    ("fault-ctx-signed-number", XDP, ".insn 0x81 0 1 12 0\nr0 = 0\nexit"),
    ("fault-ctx-written", TC, "r0 = 1\n*(u32 *)(r1 +0) = r0\nexit"),
    ("fault-frame-over-512", FILTER, "r0 = 0\n*(u8 *)(r10 -513) = r0\nexit"),
]  # fmt: skip

MORE: Final = [
    ("fault-tail-call-with-a-reference", FILTER, "r6 = r1\nr1 = map_fd 2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr7 = r0\nif r0 == 0 goto out\nr1 = r6\nr2 = map_fd 3 ll\nr3 = 0\ncall bpf_tail_call\nr1 = r7\nr2 = 0\ncall bpf_ringbuf_submit" + OUT),
    ("fault-classic-load-with-a-reference", FILTER, "r6 = r1\nr1 = map_fd 2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr7 = r0\nif r0 == 0 goto out\nr0 = *(u32 *)skb[0]\nr1 = r7\nr2 = 0\ncall bpf_ringbuf_submit" + OUT),
    ("fault-cast-outlives", TC, "r6 = r1\n*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = 0\nr5 = 0\ncall bpf_sk_lookup_tcp\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_tcp_sock\nr8 = r0\nr1 = r7\ncall bpf_sk_release\nif r8 == 0 goto out\nr0 = *(u32 *)(r8 +0)" + OUT),
    ("fault-release-of-the-cast", TC, "r6 = r1\n*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = 0\nr5 = 0\ncall bpf_sk_lookup_tcp\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_tcp_sock\nif r0 == 0 goto no\nr1 = r0\ncall bpf_sk_release\ngoto out\nno: r1 = r7\ncall bpf_sk_release" + OUT),
    ("fault-atomic-own-pointer", FILTER, "*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -8\n.insn 0xdb 1 1 0 0x01\nr0 = 0\nexit"),
    ("fault-atomic-own-pointer-exchanged", FILTER, "*(u64 *)(r10 -8) = 1\nr0 = r10\nr0 += -8\nr1 = 1\n.insn 0xdb 0 1 0 0xf1\nr0 = 0\nexit"),
    ("fault-atomic-no-r0", FILTER, "*(u64 *)(r10 -8) = 1\nr1 = 1\n.insn 0xdb 10 1 -8 0xf1\nr0 = 0\nexit"),
    ("fault-atomic-no-r0-on-one-way", FILTER, f"r6 = 0\n*(u64 *)(r10 -8) = 1\nr1 = 1\nif r1 != 1 goto +0\n{RANDOM}r7 = r0\nr1 = 1\nif r7 == 0 goto b\nr2 = 5\ngoto at\nb: r0 = 0\nat: .insn 0xdb 10 2 -8 0x01\nr0 = 0\nexit"),
    ("fault-release-store-uninit-on-one-way", FILTER, f"{RANDOM}*(u64 *)(r10 -8) = 1\nif r0 == 0 goto b\nr2 = 5\nb: .insn 0xdb 10 2 -8 0x110\nr0 = 0\nexit"),
    ("fault-atomic-fetched", FILTER, f"{VALUE}*(u64 *)(r10 -8) = 1\n{RANDOM}*(u64 *)(r10 -8) = r0\nr7 = 1\n.insn 0xdb 10 7 -8 0x01\n{INDEX}\nexit"),
    ("fault-atomic-writes", FILTER, f"{VALUE}*(u64 *)(r10 -8) = 1\n{RANDOM}lock *(u64 *)(r10 -8) += r0\nr7 = *(u64 *)(r10 -8)\n{INDEX}\nexit"),
    ("fault-atomic-writes-read-only", FILTER, "r1 = map_value 5 + 0 ll\nr2 = 1\nlock *(u64 *)(r1 +0) += r2\nr0 = 0\nexit"),
    ("fault-callee-saved-visible", FILTER, "r6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\ncall f\nexit\nf: r0 = r6\nexit"),
    ("fault-caller-saved-kept", FILTER, f"r6 = 1\n{RANDOM}r6 += r0\nr1 = 1\ncall f\nexit\nf: r0 = 0\nr6 = 0\nexit"),
    ("fault-callee-saved-restored", FILTER, f"{VALUE}r7 = 1\nr1 = 0\ncall f\n{INDEX}\nexit\nf: {RANDOM}r7 = r0\nr8 = 0\nr0 = 0\nexit"),
    ("fault-result-of-a-function", FILTER, f"{VALUE}call f\nr7 = r0\n{INDEX}\nexit\nf: {RANDOM}exit"),
]  # fmt: skip

# Linux 6.18.44 accepts these, which it should not: (name, program type, text, errno here)
LINUX_HOLES: Final = [
    ("fault-join-through-an-atomic", FILTER, joined("*(u64 *)(r10 -8) = 1", "*(u64 *)(r10 -8) = 100", f"{VALUE}r7 = 0\n.insn 0xdb 10 7 -8 0x01\n{INDEX}"), 13),
]  # fmt: skip

CASES: Final[list[tuple[str, int, str]]] = [*PACKETS, *NULLS, *STACK, *LINKS, *PRUNING, *BOUNDS, *MORE]
