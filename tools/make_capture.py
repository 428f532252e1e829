"""Make a large capture out of a small one: the recording again and again, each round with other hosts and later times.

python tools/make_capture.py examples/loopback.pcap.gz big.pcap --packets 1000000
"""

from __future__ import annotations

import argparse
import gzip
import struct
from pathlib import Path

RECORD = struct.Struct("<IIII")
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"


def records(path: Path) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """File header, and (time ns, wire length, bytes) of each packet of a little-endian ns pcap."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    out = []
    at = 24
    while at + 16 <= len(raw):
        sec, frac, size, wire = RECORD.unpack_from(raw, at)
        out.append((sec * 10**9 + frac, wire, raw[at + 16 : at + 16 + size]))
        at += 16 + size
    return raw[:24], out


def moved(packet: bytes, round_: int) -> bytes:
    """The packet between hosts of this round: the middle bytes of IPv4 addresses, the last but one of IPv6 ones."""
    host = struct.pack(">H", round_ & 0xFFFF)
    if packet[12:14] == IPV4:
        return packet[:27] + host + packet[29:31] + host + packet[33:]
    if packet[12:14] == IPV6:
        return packet[:34] + host + packet[36:50] + host + packet[52:]
    return packet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--packets", type=int, default=1_000_000)
    args = parser.parse_args()
    header, packets = records(args.source)
    span = packets[-1][0] - packets[0][0] + 1_000_000
    left = args.packets
    round_ = 0
    with args.target.open("wb") as out:
        out.write(header)
        while left > 0:
            piece = []
            for time_ns, wire, data in packets[:left]:
                now = time_ns + round_ * span
                piece.append(RECORD.pack(now // 10**9, now % 10**9, len(data), wire))
                piece.append(moved(data, round_))
            out.write(b"".join(piece))
            left -= len(packets)
            round_ += 1


if __name__ == "__main__":
    main()
