"""Captures of all formats through the native loop, with small native functions standing in for programs."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import ARP, IP, TCP, UDP, CookedLinux, Ether, IPv6, Raw, rdpcap, wrpcap, wrpcapng

from userbpf.abi.enums import ProgType
from userbpf.errors import CaptureError
from userbpf.hooks.capture import run_capture
from userbpf.native import NativeFn, compile_natives, load16, load32, load64, native
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, RT_CLOCK_NS, RT_SIZE

PACKETS = [
    Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / Raw(b"x" * 30),
    Ether() / IP(src="10.0.0.3", dst="10.0.0.2") / TCP(sport=2, dport=80, flags="S"),
    Ether() / IPv6(src="fe80::1", dst="fe80::2") / UDP(sport=3, dport=4) / Raw(b"y" * 100),
    Ether() / ARP(),
]


@native
def pass_ip(ctx: int, rt: int) -> int:
    """XDP_PASS for IPv4, XDP_DROP for the rest."""
    if load64(ctx + CTX_DATA_END) - load64(ctx + CTX_DATA) < 34:
        return 1
    if load16(load64(ctx + CTX_DATA) + 12) == 0x0008:
        return 2
    return 1


@native
def length_of(ctx: int, rt: int) -> int:
    """An skb's len: what a socket filter keeps."""
    return load32(ctx) - 10


@native
def odd_second(ctx: int, rt: int) -> int:
    """XDP_DROP in odd seconds of the clock, XDP_PASS in even ones."""
    if load64(rt + RT_CLOCK_NS) // 1000000000 % 2:
        return 1
    return 2


class NativeProg:
    """A Runnable over a native function."""

    expected_attach_type = 0

    def __init__(
        self, fn: NativeFn, prog_type: ProgType = ProgType.XDP, changes_packet: bool = False, interpreted: bool = False
    ):
        self.prog_type = prog_type
        self.changes_packet = changes_packet
        self.interpreted = interpreted
        self.set = compile_natives(run=(fn, {}))
        self.rt = ctypes.create_string_buffer(RT_SIZE)

    def code_addr(self) -> int:
        return self.set.addr("run")

    @contextlib.contextmanager
    def run_context(self, cpu: int = -1) -> Iterator[int]:
        yield ctypes.addressof(self.rt)

    def execute(self, ctx: int, rt: int) -> int:
        return int(self.set.run(ctx, rt))

    def raise_pending(self) -> None:
        pass


def classic(packets: list[bytes], order: str = "<", ns: bool = False, link: int = 1, start: int = 1000) -> bytes:
    """A pcap file of packets one second apart."""
    out = [struct.pack(order + "IHHiIII", 0xA1B23C4D if ns else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for i, data in enumerate(packets):
        out.append(struct.pack(order + "IIII", start + i, 5, len(data), len(data)) + data)
    return b"".join(out)


RAW = [bytes(p) for p in PACKETS]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ns", [False, True])
@pytest.mark.parametrize("interpreted", [False, True])
def test_classic_pcap_of_each_byte_order(tmp_path: Path, order: str, ns: bool, interpreted: bool) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(classic(RAW, order, ns))
    result = run_capture(NativeProg(pass_ip, interpreted=interpreted), path)
    assert result.packets == {"XDP_PASS": 2, "XDP_DROP": 2}
    assert result.bytes["XDP_PASS"] == len(RAW[0]) + len(RAW[1])
    assert result.error is None


@pytest.mark.parametrize("writer", [wrpcap, wrpcapng], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_files_that_others_write(tmp_path: Path, writer, packed: bool) -> None:
    path = tmp_path / "a.cap"
    writer(str(path), PACKETS)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert run_capture(NativeProg(pass_ip), path).packets == {"XDP_PASS": 2, "XDP_DROP": 2}


def test_passed_packets_are_written_as_they_are(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pcap", tmp_path / "b.pcap"
    source.write_bytes(classic(RAW, ns=True))
    run_capture(NativeProg(pass_ip), source, out=target)
    assert [bytes(p) for p in rdpcap(str(target))] == RAW[:2]
    assert rdpcap(str(target))[1].time == pytest.approx(1001)


def test_a_socket_filter_keeps_as_many_bytes_as_it_says(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pcap", tmp_path / "b.pcap"
    source.write_bytes(classic(RAW))
    result = run_capture(NativeProg(length_of, ProgType.SOCKET_FILTER), source, out=target)
    assert result.packets == {"pass": 4}
    assert [bytes(p) for p in rdpcap(str(target))] == [r[:-10] for r in RAW]


def test_the_clock_is_the_captures(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(classic(RAW, start=7))
    assert run_capture(NativeProg(odd_second), path).packets == {"XDP_DROP": 2, "XDP_PASS": 2}


@pytest.mark.parametrize(
    ("link", "packets"),
    [
        (101, [r[14:] for r in RAW[:3]]),
        (113, [bytes(CookedLinux(proto=0x800) / PACKETS[0][IP]), *([b"\0" * 14 + b"\x86\xdd" + RAW[2][14:]])]),
    ],
    ids=["raw ip", "linux cooked"],
)
def test_other_link_types_become_ethernet(tmp_path: Path, link: int, packets: list[bytes]) -> None:
    path, out = tmp_path / "a.pcap", tmp_path / "b.pcap"
    path.write_bytes(classic(packets, link=link))
    result = run_capture(NativeProg(pass_ip), path, out=out)
    assert result.packets["XDP_DROP"] == 1
    assert bytes(rdpcap(str(out))[0])[14:] == RAW[0][14:]


def test_count_stops_early_and_records_too_short_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(classic([RAW[0], b"abc", RAW[1], RAW[2]]))
    result = run_capture(NativeProg(pass_ip), path, count=2)
    assert (result.total_packets, result.skipped) == (2, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "too short"),
        (b"hello world, this is no capture", "neither pcap nor pcapng"),
        (classic([])[:20], "header is cut off"),
        (classic([], link=147), "link type 147"),
    ],
    ids=["empty", "text", "half a header", "unknown link type"],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=message):
        run_capture(NativeProg(pass_ip), path)


def test_a_cut_file_says_where_and_keeps_what_ran(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(classic(RAW)[:-3])
    result = run_capture(NativeProg(pass_ip), path)
    assert result.total_packets == 3
    assert result.error is not None and "packet 4: cut off" in result.error


def test_an_impossible_record_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(classic(RAW[:2]) + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 60) + bytes(100))
    result = run_capture(NativeProg(pass_ip), path)
    assert result.total_packets == 2
    assert result.error is not None and "malformed record at byte" in result.error


def test_many_buffers_of_packets_count_as_many_times(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    one = classic(RAW)[24:]
    path.write_bytes(classic([]) + one * 20000)
    result = run_capture(NativeProg(pass_ip, changes_packet=True), path, out=tmp_path / "b.pcap")
    assert result.packets == {"XDP_PASS": 40000, "XDP_DROP": 40000}
    assert result.written == 20000 * (32 + len(RAW[0]) + len(RAW[1]))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_captures_never_crash_or_hang(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    wrpcapng(str(tmp_path / "g.pcapng"), PACKETS)
    sources = [classic(RAW), classic(RAW, ">"), (tmp_path / "g.pcapng").read_bytes(), gzip.compress(classic(RAW))]
    path = tmp_path / "a.cap"
    prog = NativeProg(pass_ip)
    for _ in range(250):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice((0, 0xFF, rng.randrange(256)))
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            result = run_capture(prog, path)
        except CaptureError:
            continue
        assert result.total_packets <= 64
