"""A pinned program as bytes: one line of JSON, then the blobs that it gives the lengths of.

Instructions are kept with map references by number (BPF_PSEUDO_MAP_IDX), so that they are loaded again with an fd_array of
the maps in the record. Nothing in the file is trusted: it goes through BPF_PROG_LOAD's checks and the verifier again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from userbpf.isa import insn
from userbpf.kernel.objects import ProgObj

MAGIC: Final = "userbpf-prog"
VERSION: Final = 1
BLOBS: Final = ("insns", "func_info", "line_info", "btf")
MAX_HEADER: Final = 1 << 16
MAX_SIZE: Final = 1 << 26


@dataclass(slots=True)
class ProgFile:
    """What was read back."""

    fields: dict[str, Any]
    maps: list[str]
    blobs: dict[str, bytes] = field(default_factory=dict)


def encode(obj: ProgObj, maps: Sequence[str]) -> bytes:
    """The record of a program; `maps` are the paths of its maps, in order."""
    record = obj.record
    blobs = {
        "insns": insn.encode(record.insns),
        "func_info": record.func_info,
        "line_info": record.line_info,
        "btf": obj.btf.data if obj.btf is not None else b"",
    }
    header = {
        "magic": MAGIC,
        "version": VERSION,
        "prog_type": record.prog_type,
        "expected_attach_type": record.expected_attach_type,
        "prog_flags": record.prog_flags,
        "license": record.license.decode("latin-1"),
        "name": record.name,
        "tag": record.tag.hex(),
        "maps": list(maps),
        "sizes": [len(blobs[name]) for name in BLOBS],
    }
    return json.dumps(header).encode() + b"\n" + b"".join(blobs[name] for name in BLOBS)


def decode(data: bytes) -> ProgFile | None:
    """None for what is no such record."""
    line, newline, rest = data[:MAX_HEADER].partition(b"\n")
    if not newline or not line.startswith(b'{"magic": "' + MAGIC.encode()):
        return None
    try:
        header = json.loads(line)
        if not _is_sound(header):
            return None
        out = ProgFile(header, header["maps"])
        rest = data[len(line) + 1 :]
        for name, size in zip(BLOBS, header["sizes"], strict=True):
            out.blobs[name], rest = rest[:size], rest[size:]
    except (ValueError, KeyError, TypeError):
        return None
    return out


def _is_sound(header: dict[str, Any]) -> bool:
    """Whether every field is of its kind; KeyError, TypeError or ValueError otherwise, too."""
    numbers = [header[name] for name in ("prog_type", "expected_attach_type", "prog_flags")] + header["sizes"]
    texts = [header["license"], header["name"], *header["maps"]]
    return (
        header["version"] == VERSION
        and all(type(n) is int and 0 <= n < 1 << 32 for n in numbers)
        and all(type(text) is str for text in texts)
        and len(header["name"]) < 16
        and len(bytes.fromhex(header["tag"])) == 8
    )
