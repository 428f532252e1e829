"""Every arithmetic, move, byte order and jump form over edge values: programs, and what Linux 6.18.44 answered.

A form is one program: a packet of records (a, b, result), and for each record straight-line code that loads, computes and
stores. For forms with an immediate every record has an immediate of its own. The same bytes run in Linux, in the interpreter
and compiled, and `results()` is what Linux left in the packet. Run as a module to record again:

    cd tests && python -m conformance.arithmetic
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path

from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.isa.opcodes import FORMS, Form

GOLDEN = Path(__file__).parents[1] / "data" / "arithmetic_6.18.44.json.xz"
M64 = (1 << 64) - 1
RECORD = 24

VALUES = (
    *(0, 1, 3, 0x7F80, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000),
    *(0x123456789ABCDEF0, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, M64),
)
IMMEDIATES = (0, 1, 2, 7, 0x8000, 0x7FFFFFFF, -0x80000000, -1, -2, 255, -129, 0x12345678)
COUNTS = {64: (0, 1, 2, 7, 8, 15, 31, 32, 33, 47, 62, 63), 32: (0, 1, 2, 7, 8, 15, 16, 23, 24, 29, 30, 31)}
_NO_ARITHMETIC = ("ja", "gotol", "may_goto", "call", "call_pseudo", "call_kfunc", "exit", "addr_space_cast")


def is_jump(form: Form) -> bool:
    return form.cls in (op.BPF_JMP, op.BPF_JMP32)


def forms() -> list[Form]:
    """The forms that this file is about."""
    wanted = (op.BPF_ALU, op.BPF_ALU64, op.BPF_JMP, op.BPF_JMP32)
    return [f for f in FORMS if f.cls in wanted and f.name not in _NO_ARITHMETIC]


def immediates(form: Form) -> tuple[int, ...]:
    """The immediates worth a record; one dummy where the form has none."""
    if form.imm is not None:
        return form.imm
    if form.op in (op.BPF_LSH, op.BPF_RSH, op.BPF_ARSH) and not is_jump(form):
        return COUNTS[64 if form.cls == op.BPF_ALU64 else 32]
    if form.op in (op.BPF_DIV, op.BPF_MOD) and not is_jump(form):
        return tuple(i for i in IMMEDIATES if i)
    return IMMEDIATES


def records(form: Form) -> list[tuple[int, int]]:
    """(a, b) of each record; b is the immediate where the form has one."""
    seconds = VALUES if form.source == op.BPF_X and form.op not in (op.BPF_END, op.BPF_NEG) else immediates(form)
    return [(a, b) for a in VALUES for b in seconds]


def _one(form: Form, a: int, b: int) -> list[Insn]:
    """r1 = r1 op r2 (or op b), or r1 = 1 where the jump is taken and 0 where it is not."""
    off = form.off[0] if form.off else 0
    imm = form.imm[0] if form.imm is not None else b
    src = 2 if form.source == op.BPF_X and form.src is None else 0
    if not is_jump(form):
        return [Insn(form.code, 1, src, off, imm)]
    return [
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, 3, 0, 0, 1),
        Insn(form.code, 1, src, 1, imm),
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, 3, 0, 0, 0),
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, 1, 3),
    ]


def program(form: Form) -> tuple[list[Insn], bytes]:
    """An XDP program and its packet."""
    rows = records(form)
    size = RECORD * len(rows)
    out = [
        Insn(op.BPF_LDX | op.BPF_MEM | op.BPF_W, 6, 1, 0),
        Insn(op.BPF_LDX | op.BPF_MEM | op.BPF_W, 7, 1, 4),
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, 1, 6),
        Insn(op.BPF_ALU64 | op.BPF_ADD | op.BPF_K, 1, 0, 0, size),
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, 0, 0, 0, 1),
        Insn(op.BPF_JMP | op.BPF_JLE | op.BPF_X, 1, 7, 1),
        Insn(op.BPF_JMP | op.BPF_EXIT),
    ]
    for number, (a, b) in enumerate(rows):
        at = number * RECORD
        out.append(Insn(op.BPF_LDX | op.BPF_MEM | op.BPF_DW, 1, 6, at))
        out.append(Insn(op.BPF_LDX | op.BPF_MEM | op.BPF_DW, 2, 6, at + 8))
        out += _one(form, a, b)
        out.append(Insn(op.BPF_STX | op.BPF_MEM | op.BPF_DW, 6, 1, at + 16))
    out += [Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, 0, 0, 0, 2), Insn(op.BPF_JMP | op.BPF_EXIT)]
    packet = b"".join((a & M64).to_bytes(8, "little") + (b & M64).to_bytes(8, "little") + bytes(8) for a, b in rows)
    return out, packet


def constant_program(form: Form, answers: list[int]) -> tuple[list[Insn], list[int]]:
    """The same with constants, for the verifier: a jump after each record that Linux's answer does not take, and their pcs."""
    out: list[Insn] = []
    checks: list[int] = []
    for (a, b), answer in zip(records(form), answers, strict=True):
        out += _lddw(1, a) + _lddw(2, b) + _one(form, a, b) + _lddw(4, answer)
        checks.append(len(out))
        out.append(Insn(op.BPF_JMP | op.BPF_JNE | op.BPF_X, 1, 4, 0))  # target set below
    wrong = len(out) + 2
    for pc in checks:
        out[pc] = out[pc]._replace(off=wrong - pc - 1)
    leave = Insn(op.BPF_JMP | op.BPF_EXIT)
    zero = Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_K, 0, 0, 0, 0)
    return [*out, zero, leave, zero._replace(imm=1), leave], checks


def _lddw(reg: int, value: int) -> list[Insn]:
    def s32(word: int) -> int:
        word &= 0xFFFFFFFF
        return word - (1 << 32) if word >> 31 else word

    return [Insn(op.LDDW, reg, 0, 0, s32(value)), Insn(0, 0, 0, 0, s32(value >> 32))]


def read(packet: bytes) -> list[int]:
    """The results in a packet."""
    return [int.from_bytes(packet[at + 16 : at + 24], "little") for at in range(0, len(packet), RECORD)]


@cache
def results() -> dict[str, list[int]]:
    """What Linux 6.18.44 left in the packets, by form."""
    found: dict[str, list[int]] = json.loads(lzma.decompress(GOLDEN.read_bytes()))
    return found


def ask_linux(form: Form) -> list[int]:
    """The results of the running kernel."""
    import os

    from bench_verifier.linux import XDP, Oracle, run
    from userbpf.isa.insn import encode

    insns, packet = program(form)
    answer = Oracle().load(encode(insns), XDP, level=0, keep=True)
    if answer.err:
        raise OSError(answer.err, os.strerror(answer.err))
    try:
        error, retval, out = run(answer.fd, packet)
    finally:
        os.close(answer.fd)
    assert (error, retval) == (0, 2), (form.name, error, retval)
    return read(out)


if __name__ == "__main__":
    GOLDEN.write_bytes(lzma.compress(json.dumps({f.name: ask_linux(f) for f in forms()}).encode()))
    print(len(forms()), "forms,", GOLDEN.stat().st_size, "bytes")
