"""The cases: one row each, with the packet it runs over and what its maps hold."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
FLOWS = 1 << 16
Entries = Iterator[tuple[str, bytes, bytes]]  # map, key, value


@dataclass(frozen=True)
class Case:
    """`source` is a file of cases/; `packet` what it runs over; `entries` what its maps hold before the first run."""

    name: str
    source: str
    packet: bytes
    entries: Callable[[], Entries] = lambda: iter(())
    compute: bool = False  # counts for the geometric mean
    native: bool = True  # has a native form
    itself: str = ""  # a program array whose slot 0 is the program itself
    bar_ns: float = 0.0  # what userbpf wants to stay below, net of the loop

    @property
    def path(self) -> Path:
        return CASES / self.source


def noise(n: int, seed: int = 1) -> bytes:
    """n bytes that look random and never change."""
    out = bytearray()
    while len(out) < n:
        seed = seed * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        out += (seed >> 32).to_bytes(4, "little")
    return bytes(out[:n])


def two_strings() -> bytes:
    one = bytes(b % 255 + 1 for b in noise(255)) + b"\0"
    return one + one


def words() -> bytes:
    """64 words of every size of logarithm."""
    return b"".join(struct.pack("<I", 1 << 31 >> n % 32 | 1) for n in noise(64))


def tcp_packet() -> bytes:
    ethernet = bytes(range(12)) + b"\x88\xa8\x00\x64" + b"\x81\x00\x00\x0a" + b"\x08\x00"
    options = b"\x02\x04\x05\xb4" + b"\x01" + b"\x01" + b"\x04\x02" + b"\x08\x0a" + bytes(8) + b"\x01" + b"\x03\x03\x07"
    options += bytes(-len(options) % 4)
    ip_options = b"\x94\x04\x00\x00"
    ip = (
        struct.pack(">BBHHHBBH", 0x46, 0, 24 + 20 + len(options), 1, 0x4000, 64, 6, 0)
        + b"\x0a\x00\x00\x01\x0a\x00\x00\x02"
    )
    tcp = struct.pack(">HHIIBBHHH", 43210, 443, 1, 2, (5 + len(options) // 4) << 4, 2, 65535, 0, 0)
    return ethernet + ip + ip_options + tcp + options + bytes(10)


def text() -> bytes:
    """256 bytes of names, numbers, quotes and comments."""
    alphabet = b'abcdefgxyz0123456789   \t\n""\\#;;()+'
    return bytes(alphabet[b % len(alphabet)] for b in noise(256, 7))


def flow_packet(mask: int) -> bytes:
    return struct.pack("<II4s4sHHB", 12345, mask, b"\x0a\x00\x00\x00", b"\xc0\xa8\x01\x01", 443, 40000, 6) + bytes(43)


def flows(mask: int) -> Callable[[], Entries]:
    def entries() -> Entries:
        base = int.from_bytes(b"\x0a\x00\x00\x00", "little")
        for n in range(mask + 1):
            key = struct.pack("<I4sHHB3x", (base + n) & 0xFFFFFFFF, b"\xc0\xa8\x01\x01", 443, 40000, 6)
            yield "flows", key, bytes(8)

    return entries


def routes() -> Entries:
    """10k prefixes of 12 to 24 bits within 10.0.0.0/8, and that itself, so that every address meets one."""
    yield "routes", struct.pack("<I4B", 8, 10, 0, 0, 0), struct.pack("<Q", 1)
    seen = set()
    for (word,) in struct.iter_unpack("<I", noise(4 * 20_000, 3)):
        length = 12 + word % 13
        addr = (10 << 24 | word >> 8) & -1 << (32 - length) & 0xFFFFFFFF
        if (length, addr) not in seen and len(seen) < 10_000:
            seen.add((length, addr))
            yield "routes", struct.pack("<I", length) + addr.to_bytes(4, "big"), struct.pack("<Q", word)


EVER_NEW = struct.pack("<II", 12345, 0xFFFFFFFF) + bytes(56)
GENERATED = struct.pack("<II", 12345, 0xFFFF) + bytes(56)

TABLE = [
    Case("return 2", "empty.c", bytes(64)),
    Case("prime, trial division below 300", "prime.c", struct.pack("<Q", 4294967291) + bytes(56), compute=True),
    Case("memcpy 512 B, 8 at a time", "memcpy512.c", noise(1024), compute=True),
    Case("strcmp 256 B bytewise", "strcmp256.c", two_strings(), compute=True),
    Case("SipHash-2-4 of 4 x 64 B", "siphash.c", noise(272), compute=True),
    Case("log2 of 64 words, branchy", "logs.c", words(), compute=True),
    Case("parse Ethernet + 2 VLAN + IPv4 + TCP options", "parse.c", tcp_packet(), compute=True),
    Case("16-bit checksum of 1 KiB", "checksum.c", noise(1024), compute=True),
    Case("switch state machine over 256 B", "machine.c", text(), compute=True),
    Case("128 bpf-to-bpf calls, 3 levels", "calls.c", noise(64), compute=True),
    Case("16 helper calls (prandom)", "prandom.c", bytes(64)),
    Case("array map counter", "array.c", bytes(64), native=False, bar_ns=5),
    Case("hash lookup, 1 flow", "hash.c", flow_packet(0), flows(0), native=False, bar_ns=8),
    Case("hash lookup, 64k flows", "hash.c", flow_packet(FLOWS - 1), flows(FLOWS - 1), native=False),
    Case("hash lookup and update, 1 flow", "hash_update.c", flow_packet(0), flows(0), native=False),
    Case("hash lookup and update, 64k flows", "hash_update.c", flow_packet(FLOWS - 1), flows(FLOWS - 1), native=False),
    Case("LRU lookup, 1 flow", "lru.c", flow_packet(0), flows(0), native=False),
    Case("LRU lookup, 64k flows", "lru.c", flow_packet(FLOWS - 1), flows(FLOWS - 1), native=False),
    Case("LRU of 16k, a new flow every run", "lru_churn.c", EVER_NEW, native=False),
    Case("LPM, 10k prefixes", "lpm.c", GENERATED, routes, native=False),
    Case("queue, push and pop", "queue.c", GENERATED, native=False),
    Case("16 tail calls, constant index", "tail.c", bytes(64), native=False, itself="programs"),
    Case("16 tail calls, dynamic index", "tail_dynamic.c", bytes(64), native=False, itself="programs"),
]
