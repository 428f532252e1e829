"""A run takes as much memory over a large capture as over a small one, whatever the file's form."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
SMALL, LARGE = 40_000, 150_000  # the small ones fill the buffers, too
GROWTH_KIB = 4096  # the large captures have 22 MiB

# the small captures first: what a run needs at all is there then
PROGRAM = """
import sys
from click.testing import CliRunner
from userbpf.cli.app import app

def run(path):
    result = CliRunner().invoke(app, ["--json", "run", sys.argv[1], path, "-o", sys.argv[2]])
    assert result.exit_code == 0, result.output

def peak():  # not ru_maxrss, which begins with that of the parent
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])

small, large = sys.argv[3:6], sys.argv[6:]
for path in small + small:
    run(path)
before = peak()
for path in large:
    run(path)
print(before, peak())
"""


def as_pcapng(classic: Path, path: Path) -> None:
    """The same packets in enhanced packet blocks."""
    raw = classic.read_bytes()
    with path.open("wb") as out:
        out.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        out.write(struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20))
        at = 24
        while at < len(raw):
            sec, frac, size, wire = struct.unpack_from("<IIII", raw, at)
            ticks = sec * 10**6 + frac // 1000
            total = 32 + size + (-size % 4)
            out.write(struct.pack("<7I", 6, total, 0, ticks >> 32, ticks & 0xFFFFFFFF, size, wire))
            out.write(raw[at + 16 : at + 16 + size] + bytes(-size % 4) + struct.pack("<I", total))
            at += 16 + size


def captures(tmp_path: Path, packets: int) -> list[Path]:
    """pcap, pcapng and pcap.gz of so many packets."""
    classic = tmp_path / f"{packets}.pcap"
    make = [sys.executable, ROOT / "tools" / "make_capture.py", EXAMPLES / "loopback.pcap.gz", classic]
    subprocess.run([*make, "--packets", str(packets)], check=True)
    as_pcapng(classic, classic.with_suffix(".pcapng"))
    with classic.open("rb") as plain, gzip.open(f"{classic}.gz", "wb", 1) as packed:
        shutil.copyfileobj(plain, packed)
    return [classic, classic.with_suffix(".pcapng"), Path(f"{classic}.gz")]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/status")
def test_memory_does_not_grow_with_the_capture(tmp_path: Path) -> None:
    files = captures(tmp_path, SMALL) + captures(tmp_path, LARGE)
    assert files[3].stat().st_size > 5 * GROWTH_KIB * 1024
    command = [sys.executable, "-c", PROGRAM, EXAMPLES / "tc_classify.bpf.c", tmp_path / "out.pcap", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before < GROWTH_KIB, f"{before} KiB over small captures, {after} KiB over large ones"
