"""Helper bodies against Linux: the same program over the same packet, by BPF_PROG_TEST_RUN in both."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw

from bpfcalls import Calls
from conftest import calls_of
from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble

XDP, TC, SF = ProgType.XDP, ProgType.SCHED_CLS, ProgType.SOCKET_FILTER
V4 = bytes(
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    / IP(src="10.0.0.1", dst="10.9.8.7")
    / TCP(dport=80)
    / Raw(b"q" * 40)
)
V6 = bytes(
    Ether(src="02:00:00:00:00:01", dst="33:33:00:00:00:02")
    / IPv6(src="fe80::1", dst="fe80::2")
    / UDP(dport=53)
    / Raw(b"w" * 40)
)
VLAN = bytes(
    Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
    / Dot1Q(vlan=5)
    / IP(src="10.0.0.1", dst="10.9.8.7")
    / UDP()
    / Raw(b"v" * 30)
)


def call(name: str, *args: str, keep: str = "r0") -> str:
    """Save ctx in r6, set arguments, call, return r0 (as u32)."""
    lines = ["r6 = r1", *[f"r{i} = {a}" for i, a in enumerate(args, 1)], f"call bpf_{name}", "exit"]
    return "\n".join(lines)


def tail(*pieces: str) -> str:
    """Several calls one after the other: r7 gathers their results."""
    return "\n".join(["r6 = r1", "r7 = 0", *pieces, "r0 = r7", "exit"])


def step(name: str, *args: str) -> str:
    return "\n".join([*[f"r{i} = {a}" for i, a in enumerate(args, 1)], f"call bpf_{name}", "r7 *= 31", "r7 += r0"])


def bytes_on_stack(data: bytes, at: int) -> str:
    """Store bytes (a multiple of 8) at r10 - at."""
    out = []
    for i in range(0, len(data), 8):
        out += [f"r1 = {struct.unpack('<q', data[i : i + 8])[0]} ll", f"*(u64 *)(r10 {i - at:+d}) = r1"]
    return "\n".join(out)


def stack_ptr(reg: int, at: int) -> str:
    return f"r{reg} = r10\nr{reg} += -{at}"


def with_memory(name: str, *args: str, data: bytes, memory: int) -> str:
    """A call one of whose arguments (number `memory`) is the address of `data` on the stack."""
    regs = [f"r{i} = {a}" if i != memory else stack_ptr(i, 64) for i, a in enumerate(args, 1)]
    return "\n".join(["r6 = r1", bytes_on_stack(data, 64), *regs, f"call bpf_{name}", "exit"])


CASES: list[tuple[str, int, str, bytes]] = []


def case(name: str, prog_type: int, text: str, *packets: bytes) -> None:
    CASES.extend((f"{name}-{i}", prog_type, text, p) for i, p in enumerate(packets))


for off, size in ((0, 8), (60, 16), (len(V4) - 4, 4), (len(V4) - 3, 4), (70000, 4), (-1, 4)):
    text = with_memory("skb_load_bytes", "r6", str(off), "0", str(size), data=bytes(16), memory=3)
    text = text.replace("exit", "r1 = *(u32 *)(r10 -64)\nr0 += r1\nexit")
    case(f"skb_load_bytes {off}+{size}", TC, text, V4)
    case(f"skb_load_bytes {off}+{size} filter", SF, text, V4)
for start in (0, 1, 2):
    for off in (0, 12, 200):
        text = with_memory("skb_load_bytes_relative", "r6", str(off), "0", "4", str(start), data=bytes(8), memory=3)
        for kind in (TC, SF):
            case(
                f"relative {kind.name} {start} {off}",
                kind,
                text.replace("exit", "r1 = *(u32 *)(r10 -64)\nr0 += r1\nexit"),
                V4,
            )
for off in (
    0,
    13,
    -0x200000,
    -0x200000 + 12,
    -0x200000 + 14,
    -0x200000 - 1,
    -0x100000,
    -0x100000 + 9,
    -0x100000 - 1,
    -1,
):
    for kind in (TC, SF):
        case(f"ld_abs {kind.name} {off}", kind, f"r6 = r1\nr0 = *(u16 *)skb[{off}]\nexit", V4)
for off, flags in ((0, 0), (20, 1), (len(V4) - 8, 2), (len(V4) - 7, 0), (0, 4), (0, 3)):
    case(
        f"skb_store_bytes {off} {flags}",
        TC,
        with_memory("skb_store_bytes", "r6", str(off), "0", "8", str(flags), data=b"ABCDEFGH", memory=3),
        V4,
    )
for old, new, flags in (
    (0x0A00, 0x0B00, 2),
    (0x0100000A, 0x0200000A, 4),
    (0, 0x1234, 0),
    (5, 0x1234, 0),
    (1, 2, 3),
    (1, 2, 16),
):
    case(f"l3_csum {old} {new} {flags}", TC, call("l3_csum_replace", "r6", "24", str(old), str(new), str(flags)), V4)
for flags in (0x12, 0x14, 4, 0x20, 0x24, 0x34, 0x64, 0x200):
    case(
        f"l4_csum {flags:#x}",
        TC,
        call("l4_csum_replace", "r6", "50", "167772161" if flags & 15 else "0", "167772162", str(flags)),
        V4,
    )
case("l3_csum odd", TC, call("l3_csum_replace", "r6", "25", "1", "2", "2"), V4)
case("l3_csum far", TC, call("l3_csum_replace", "r6", "2000", "1", "2", "2"), V4)


def csum_diff(from_size: int, to_size: int, seed: int) -> str:
    return "\n".join(
        [
            bytes_on_stack(bytes(range(64, 80)), 32),
            bytes_on_stack(bytes(range(200, 216)), 16),
            stack_ptr(1, 32) if from_size else "r1 = 0",
            f"r2 = {from_size}",
            stack_ptr(3, 16) if to_size else "r3 = 0",
            f"r4 = {to_size}",
            f"r5 = {seed}",
            "call bpf_csum_diff",
            "exit",
        ]
    )


for sizes in ((0, 16, 0), (16, 0, 0), (16, 16, 0x1234), (4, 8, 0x7FFFFFFF), (8, 16, -1), (0, 0, 77)):
    case(f"csum_diff {sizes}", TC, csum_diff(*sizes), V4)

for delta in (-4, -14, -216, -217, -256, 4, 14, len(V4) - 14, len(V4) - 13, 1000):
    case(f"xdp_adjust_head {delta}", XDP, call("xdp_adjust_head", "r6", str(delta)), V4)
for delta in (-4, -(len(V4) - 14), -(len(V4) - 13), 4, 100, 3400, 3426, 3427, 5000):
    case(f"xdp_adjust_tail {delta}", XDP, call("xdp_adjust_tail", "r6", str(delta)), V4)
for delta in (-4, -8, -32, -33, -252, -256, 4, 0, -216, -220):
    case(f"xdp_adjust_meta {delta}", XDP, call("xdp_adjust_meta", "r6", str(delta)), V4)
case("meta then head", XDP, tail(step("xdp_adjust_meta", "r6", "-8"), step("xdp_adjust_head", "r6", "-16")), V4)
case(
    "head then tail",
    XDP,
    tail(step("xdp_adjust_head", "r6", "14"), step("xdp_adjust_tail", "r6", "20"), step("xdp_get_buff_len", "r6")),
    V4,
)
for off, size in ((0, 8), (len(V4) - 4, 4), (len(V4) - 3, 4), (70000, 4), (10, 0)):
    if size:
        case(
            f"xdp_load_bytes {off}+{size}",
            XDP,
            with_memory("xdp_load_bytes", "r6", str(off), "0", str(size), data=bytes(8), memory=3),
            V4,
        )
        case(
            f"xdp_store_bytes {off}+{size}",
            XDP,
            with_memory("xdp_store_bytes", "r6", str(off), "0", str(size), data=b"ABCDEFGH", memory=3),
            V4,
        )

for size in (14, 20, 60, len(V4), 200, 2000, 70000, 10, 33):
    case(f"skb_change_tail {size}", TC, call("skb_change_tail", "r6", str(size), "0"), V4)
for room in (4, 14, 100, 70000):
    case(f"skb_change_head {room}", TC, call("skb_change_head", "r6", str(room), "0"), V4)
case("skb_change_head flags", TC, call("skb_change_head", "r6", "4", "1"), V4)
for diff, mode in ((4, 0), (4, 1), (-4, 0), (20, 0), (20, 1), (-20, 1), (5000, 0), (4, 2), (-90, 0), (0, 0)):
    case(f"adjust_room {diff} {mode}", TC, call("skb_adjust_room", "r6", str(diff), str(mode), "0"), V4, V6)
case("vlan push", TC, call("skb_vlan_push", "r6", "129", "7"), V4, VLAN)
case(
    "vlan push twice", TC, tail(step("skb_vlan_push", "r6", "129", "7"), step("skb_vlan_push", "r6", "43144", "9")), V4
)
case("vlan pop", TC, call("skb_vlan_pop", "r6"), V4, VLAN)
case("vlan push pop", TC, tail(step("skb_vlan_push", "r6", "129", "7"), step("skb_vlan_pop", "r6")), V4)
case("change_proto", TC, call("skb_change_proto", "r6", "56710", "0"), V4, V6)
case("change_type", TC, call("skb_change_type", "r6", "0"), V4, V6)
for n in (14, 100, 5000, 0):
    case(f"pull_data {n}", TC, call("skb_pull_data", "r6", str(n)), V4)
for flags in (0, 1, 2):
    case(f"redirect tc {flags}", TC, call("redirect", "1", str(flags)), V4)
    case(f"redirect xdp {flags}", XDP, call("redirect", "1", str(flags)), V4)
case("csum_level", TC, tail(*[step("csum_level", "r6", str(i)) for i in range(5)]), V4)
case("csum_update", TC, call("csum_update", "r6", "5"), V4)


def number(text: bytes, flags: int, name: str) -> str:
    data = text.ljust(24, b"\0")
    return "\n".join(
        [
            bytes_on_stack(data, 32),
            "r1 = 0",
            "*(u64 *)(r10 -8) = r1",
            stack_ptr(1, 32),
            f"r2 = {len(text)}",
            f"r3 = {flags}",
            stack_ptr(4, 8),
            f"call bpf_{name}",
            "r1 = *(u64 *)(r10 -8)",
            "r1 *= 1000",
            "r0 += r1",
            "exit",
        ]
    )


for text_ in (
    b"123",
    b" -42x",
    b"0x1f",
    b"077",
    b"-",
    b"99999999999999999999",
    b"zz",
    b"-9223372036854775808",
    b"+5",
    b"0x",
    b" \t7",
):
    for flags in (0, 8, 10, 16, 7, 32):
        for name in ("strtol", "strtoul"):
            case(f"{name} {text_!r} {flags}", XDP, number(text_, flags, name), V4)


def answers(prog_type: int, text: str, packet: bytes) -> list[Any]:
    """retval and packet in Linux, compiled and interpreted."""
    out = []
    for name in ("linux", "user", "interpreter"):
        calls: Calls = calls_of(name)
        fd = calls.prog(assemble(text), prog_type)
        try:
            attr, data = calls.test_run(fd, packet, out=16384)
            out.append((attr.retval, data[: attr.data_size_out]))
        finally:
            calls.close()
    return out


@pytest.mark.parametrize(("name", "prog_type", "text", "packet"), CASES, ids=[c[0] for c in CASES])
def test_helper_answers_as_in_linux(name: str, prog_type: int, text: str, packet: bytes) -> None:
    theirs, compiled, interpreted = answers(prog_type, text, packet)
    assert compiled == theirs
    assert interpreted == theirs
