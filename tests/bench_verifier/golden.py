"""Recordings from Linux 6.18.44, so that machines without bpf(2) compare with the kernel too.

A recording is a list of JSON objects, lzma-compressed, in tests/data. Made by `python -m bench_verifier.record` (in tests/, as
root on the reference kernel); never edited by hand.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "data"
RELEASE = "6.18.44"


def load(name: str) -> list[dict[str, Any]]:
    return list(json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes())))


def save(name: str, rows: list[dict[str, Any]]) -> int:
    """Write a recording; the number of bytes."""
    DATA.mkdir(exist_ok=True)
    raw = json.dumps(rows, separators=(",", ":")).encode()
    packed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    (DATA / f"{name}.json.xz").write_bytes(packed)
    return len(packed)
