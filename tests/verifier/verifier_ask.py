"""Both sides of a case: Linux over raw bpf(2), and userbpf."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench_verifier import golden, linux
from userbpf.abi.enums import MapType, ProgType
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn, encode
from userbpf.verifier import MapShape, Rejected, VerifyRequest, verify
from verifier.verifier_cases import MAPS

RECORDED = Path(__file__).resolve().parent.parent / "data" / "verifier_cases_6.18.44.json.xz"
_SHAPES = [MapShape(MapType(m[0]), m[1], m[2], m[3], m[4]) for m in MAPS]
_ADDRESS = re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *")
_FD = re.compile(r"fd \d+ is not")


def _resolve(fd: int) -> MapShape:
    if not 0 <= fd < len(_SHAPES):
        raise BpfError(9)
    return _SHAPES[fd]


def lines(log: str) -> list[str]:
    """Without what differs by nature (and with the line end that one of Linux's messages lacks)."""
    log = log.replace("callprocessed ", "call\nprocessed ")
    return [
        _FD.sub("fd N is not", _ADDRESS.sub(r"\1<map> ", line.rstrip())) for line in log.splitlines() if line.strip()
    ]


def message(log: list[str]) -> str:
    """The last line that is no statistics, where the program was refused."""
    return next((line for line in reversed(log) if not line.startswith("processed ")), "")


def mine(prog_type: int, text: str, level: int = 2) -> tuple[int, list[str], int]:
    """errno, log, instructions processed."""
    req = VerifyRequest(assemble(text), ProgType(prog_type), log_level=level, resolve_map=_resolve)
    try:
        done = verify(req)
    except Rejected as refusal:
        assert refusal.stats is not None
        return refusal.errno or 0, lines(refusal.log), refusal.stats.insns_processed
    return 0, lines(done.log), done.stats.insns_processed


def theirs(oracle: linux.Oracle, fds: list[int], prog_type: int, text: str) -> tuple[int, list[str]]:
    """errno and log of the running kernel."""
    insns = assemble(text)
    bound: list[Insn] = []
    for insn in insns:
        if insn.code == 0x18 and insn.src in (1, 2) and 0 <= insn.imm < len(fds):
            insn = insn._replace(imm=fds[insn.imm])
        elif insn.code == 0x18 and insn.src in (1, 2):
            insn = insn._replace(imm=99999)
        bound.append(insn)
    answer = oracle.load(encode(bound), prog_type)
    return answer.err, lines(answer.log)


def create_maps() -> list[int]:
    return [linux.create_map(*m) for m in MAPS]


def recorded() -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = golden.read(RECORDED)
    return data
