"""Recordings from Linux 6.18.44, so that machines without bpf(2) compare with the kernel too.

A recording is a table (columns by name, as JSON, lzma-compressed) in tests/data; logs in it leave out what they repeat
(`shorthand`). Made by `python -m bench_verifier.record` (in tests/, as root on the reference kernel); never edited by hand.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any, Final

from bench_verifier.shorthand import shorten, tell

DATA = Path(__file__).resolve().parent.parent / "data"
RELEASE = "6.18.44"
_FILTERS: Final = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]  # for text


def read(path: Path) -> Any:
    """Answers that are no table."""
    return json.loads(lzma.decompress(path.read_bytes()))


def write(path: Path, answers: object) -> int:
    """The number of bytes."""
    packed = lzma.compress(json.dumps(answers, separators=(",", ":"), ensure_ascii=False).encode(), filters=_FILTERS)
    path.write_bytes(packed)
    return len(packed)


def load(name: str) -> list[dict[str, Any]]:
    """The rows of a recording."""
    columns = read(DATA / f"{name}.json.xz")
    if "lines" in columns:
        columns["lines"] = [tell(lines) for lines in columns["lines"]]
    if "log" in columns:
        columns["log"] = ["\n".join(tell(log.split("\n"))) for log in columns["log"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def save(name: str, rows: list[dict[str, Any]]) -> int:
    """Write a recording, all of whose rows have the same names; the number of bytes."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    if "lines" in columns:
        columns["lines"] = [shorten(lines) for lines in columns["lines"]]
    if "log" in columns:
        columns["log"] = ["\n".join(shorten(log.split("\n"))) for log in columns["log"]]
    DATA.mkdir(exist_ok=True)
    return write(DATA / f"{name}.json.xz", columns)
