"""Random programs of scalars only: what the operation-level differential feeds to Linux.

Five registers get bounds from masks, shifts and comparisons with constants at power-of-two edges; then operations and comparisons
among them. Every jump goes to the exit, so that the program is one straight line and its log one long list of questions.
"""

from __future__ import annotations

import random

from userbpf.isa.insn import Insn

REGS = (0, 6, 7, 8, 9)
LANDING = 0x7FFF  # offset of a jump until its landing is known
TEMP = 1  # constants; never printed as live
ALU_OPS = (0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0, 0xC0)
JMP_OPS = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)


def s32(n: int) -> int:
    n &= 0xFFFFFFFF
    return n - (1 << 32) if n >> 31 else n


def edge(rng: random.Random) -> int:
    """A 64-bit word near something where carries and signs happen."""
    kind = rng.randrange(10)
    if kind < 2:
        return rng.choice((0, 1, 2, 3, 7, 8, 255, 256, 4096)) & (1 << 64) - 1
    if kind < 6:
        power = 1 << rng.choice((0, 1, 7, 8, 15, 16, 31, 31, 31, 32, 32, 33, 62, 63))
        return (power * rng.choice((1, -1, 1, 3)) + rng.choice((-2, -1, 0, 0, 1, 2))) & (1 << 64) - 1
    if kind < 7:
        return rng.getrandbits(64)
    if kind < 8:
        return rng.getrandbits(rng.randrange(1, 64))
    if kind < 9:
        return rng.getrandbits(rng.randrange(1, 12)) << rng.randrange(52)
    return -rng.getrandbits(rng.randrange(1, 40)) & (1 << 64) - 1


def lddw(dst: int, v: int) -> list[Insn]:
    return [Insn(0x18, dst, 0, 0, s32(v)), Insn(0, 0, 0, 0, s32(v >> 32))]


def load_const(rng: random.Random, dst: int, v: int) -> list[Insn]:
    if v < 1 << 31 or v >> 31 == (1 << 33) - 1:
        return [Insn(0xB7, dst, 0, 0, s32(v))]
    return lddw(dst, v)


class Builder:
    """Straight-line code with jumps to the one exit, patched at the end."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.insns: list[Insn] = []
        self.known: set[int] = set()

    def fresh(self) -> None:
        """Unknown words in all registers. Each from its own call, so that none is linked to another."""
        for reg in (6, 7, 8, 9):
            self.insns += [Insn(0x85, imm=7), Insn(0xBF, reg, 0)]
        self.insns += [Insn(0x85, imm=7)]

    def narrow(self, reg: int) -> None:
        """Give a register bounds or known bits."""
        rng = self.rng
        for _ in range(rng.randrange(1, 4)):
            kind = rng.randrange(8)
            word = edge(rng)
            if kind == 0:
                self.insns += [*lddw(TEMP, word), Insn(rng.choice((0x5F, 0x4F, 0x5C)), reg, TEMP)]
            elif kind == 1:
                self.insns += [Insn(rng.choice((0x57, 0x54, 0x47)), reg, 0, 0, s32(word))]
            elif kind == 2:
                amount = rng.choice((1, 8, 16, 31, 32, 33, 48, 56, 63))
                self.insns += [Insn(rng.choice((0x67, 0x77, 0xC7)), reg, 0, 0, amount)]
            elif kind == 3:
                self.insns += [Insn(0xBC, reg, reg)]
            elif kind == 4:
                self.insns += (
                    [Insn(0x1F, reg, reg), *lddw(TEMP, word), Insn(0x0F, reg, TEMP)] if rng.random() < 0.1 else []
                )
            else:
                self.jump(reg, word)

    def jump(self, reg: int, word: int) -> None:
        rng = self.rng
        code = rng.choice((5, 6)) | rng.choice(JMP_OPS)
        if rng.random() < 0.3:
            self.insns += [Insn(code, reg, 0, LANDING, s32(word))]
        else:
            self.insns += [*lddw(TEMP, word), Insn(code | 8, reg, TEMP, LANDING)]

    def operate(self) -> None:
        rng = self.rng
        dst, src = rng.sample(REGS, 2)
        kind = rng.randrange(20)
        if kind < 8:
            op = rng.choice(ALU_OPS)
            klass = rng.choice((4, 7))
            if op in (0x60, 0x70, 0xC0) and rng.random() < 0.15:
                self.insns += [
                    Insn(0xB7, TEMP, 0, 0, rng.choice((0, 7, 31, 32, 40, 63, 64, 100))),
                    Insn(klass | op | 8, dst, TEMP),
                ]
            elif rng.random() < 0.5 and op not in (0x60, 0x70, 0xC0):
                off = rng.randrange(2) if op in (0x30, 0x90) and rng.random() < 0.3 else 0
                self.insns += [Insn(klass | op | 8, dst, src, off)]
            else:
                imm = s32(edge(rng))
                if op in (0x60, 0x70, 0xC0):
                    imm = rng.randrange(32 if klass == 4 else 64)
                    if rng.random() < 0.4:
                        imm = min(rng.choice((0, 1, 8, 16, 31, 32)), 31 if klass == 4 else 63)
                elif op in (0x30, 0x90):
                    imm = imm or 1
                off = rng.randrange(2) if op in (0x30, 0x90) and rng.random() < 0.3 else 0
                self.insns += [Insn(klass | op, dst, 0, off, imm)]
        elif kind < 9:
            self.insns += [Insn(rng.choice((0x84, 0x87)), dst)]
        elif kind < 10:
            self.insns += [Insn(rng.choice((0xD4, 0xDC, 0xD7)), dst, 0, 0, rng.choice((16, 32, 64)))]
        elif kind < 12:
            klass = rng.choice((4, 7))
            off = rng.choice((0, 8, 16, 32) if klass == 7 else (0, 8, 16))
            self.insns += [Insn(klass | 0xB8, dst, src, off), Insn(0x47, dst)]  # the OR breaks the link of the two
        elif kind < 13:
            self.insns += load_const(rng, dst, edge(rng))
        elif kind < 14 and rng.random() < 0.4:
            self.spill(dst, src)
        elif kind < 14 and rng.random() < 0.1:
            self.insns += [Insn(rng.choice((5, 6)) | 8 | rng.choice(JMP_OPS), dst, dst, LANDING)]
        elif kind < 16:
            self.insns += [Insn(rng.choice((5, 6)) | 8 | rng.choice(JMP_OPS), dst, src, LANDING)]
        elif kind < 18:
            self.jump(dst, edge(rng))
        else:
            self.narrow(dst)

    def spill(self, dst: int, src: int) -> None:
        """Store a register on the stack and load as much of it or less, zero- or sign-extended."""
        sizes = [(8, 0x7B, (0x79,)), (4, 0x63, (0x61, 0x81)), (2, 0x6B, (0x69, 0x89)), (1, 0x73, (0x71, 0x91))]
        at = self.rng.randrange(4)
        below = self.rng.randrange(at, 4) if self.rng.random() < 0.7 else at
        self.insns.append(Insn(sizes[at][1], 10, src, -8))
        self.insns += [Insn(self.rng.choice(sizes[below][2]), dst, 10, -8), Insn(0x47, dst)]

    def done(self) -> list[Insn]:
        # every jump has a landing of its own, for a second arrival at one place would be pruned and show no state;
        # the exit reads all registers, for the log shows no dead one where it takes up a jump
        jumps = [pc for pc, i in enumerate(self.insns) if i.off == LANDING]
        exit_at = len(self.insns)
        tail = [*(Insn(0x0F, 6, reg) for reg in REGS), Insn(0xB7, 0), Insn(0x95)]
        landing = exit_at + len(tail)
        out = list(self.insns)
        for n, pc in enumerate(jumps):
            out[pc] = out[pc]._replace(off=landing + n - pc - 1)
            tail.append(Insn(0x05, off=exit_at - (landing + n) - 1))
        return out + tail


def program(seed: int) -> list[Insn]:
    """One random scalar program."""
    b = Builder(random.Random(seed))
    b.fresh()
    for reg in REGS:
        b.narrow(reg)
    for _ in range(b.rng.randrange(4, 30)):
        b.operate()
    return b.done()
