"""Random structured programs: what real ones are made of, small and mostly acceptable.

Scalars and ALU of both widths, spills of four sizes, masked access to map values, packet checks, forward branches,
counted loops, bpf-to-bpf calls with scalars and stack pointers, atomics, ring buffer records, helper calls, context fields;
for socket_filter, xdp and sched_cls. A program is known by `(prog_type, seed, pure)`. Maps are abstract: the imm of a pseudo
lddw is an index into `MAPS`, and each side binds it to its own fd.

`pure` programs have one result for one packet: no clock, no random number, no CPU number.

Registers: r6 holds the context, r9 loop counters and map values; r0 to r5, r7 and r8 hold scalars. Every construct leaves
only scalars behind.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from bench_verifier.scalars import ALU_OPS, JMP_OPS, edge, lddw, s32
from userbpf.isa.insn import Insn

SOCKET_FILTER, SCHED_CLS, XDP = 1, 3, 6
PROG_TYPES = {"socket_filter": SOCKET_FILTER, "sched_cls": SCHED_CLS, "xdp": XDP}


class MapSpec(NamedTuple):
    """As for BPF_MAP_CREATE."""

    map_type: int
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int = 0


ARRAY, HASH, BIG_ARRAY, RINGBUF = range(4)
MAPS = (MapSpec(2, 4, 64, 4), MapSpec(1, 8, 48, 16), MapSpec(2, 4, 512, 1), MapSpec(27, 0, 0, 4096))

# byte offset, whether a program may write it: 4-byte fields that a test run leaves deterministic
CTX_READ = {
    SOCKET_FILTER: (0, 4, 8, 12, 16, 20, 24, 28, 32, 48, 52, 56, 60, 64),
    SCHED_CLS: (0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 72),
    XDP: (12, 16),
}
# what a test run leaves the same everywhere: len, mark and cb; the receive queue
PURE_CTX_READ = {SOCKET_FILTER: (0, 8, 48, 52, 64), SCHED_CLS: (0, 8, 48, 52, 64), XDP: (16,)}
PURE_CTX_WRITE = {SOCKET_FILTER: (48, 52, 64), SCHED_CLS: (8, 48, 52, 64), XDP: ()}
CTX_WRITE = {SOCKET_FILTER: (48, 52, 56, 60, 64), SCHED_CLS: (8, 32, 44, 48, 52, 56, 60, 64, 72), XDP: ()}
PKT_DATA = {SCHED_CLS: (76, 80), XDP: (0, 4)}
PKT_META = {SCHED_CLS: 140, XDP: 8}

SCRATCH = (0, 1, 2, 3, 4, 5)
KEPT = (7, 8)


@dataclass
class Program:
    prog_type: int
    seed: int
    pure: bool
    insns: list[Insn]

    def bound(self, fds: list[int]) -> list[Insn]:
        """With map indices replaced by fds."""
        return bind(self.insns, fds)


BAD_FD = 0x7FFFFFF


def bind(insns: list[Insn], fds: list[int]) -> list[Insn]:
    """Map indices replaced by fds; what a mutation made of an index becomes an fd that nobody has."""
    return [
        i._replace(imm=fds[i.imm] if 0 <= i.imm < len(fds) else BAD_FD) if i.code == 0x18 and i.src in (1, 2) else i
        for i in insns
    ]


@dataclass
class Frame:
    """What the code emitted so far has left behind: registers with scalars, stack bytes written."""

    live: set[int] = field(default_factory=set)
    slots: dict[int, int] = field(default_factory=dict)  # offset of a stored scalar -> bytes
    written: set[int] = field(default_factory=set)  # initialised stack bytes
    has_ctx: bool = True
    depth: int = 0
    stack_arg: int | None = None  # a register that holds a pointer to 16 bytes of the caller's stack

    def copy(self) -> Frame:
        return Frame(set(self.live), dict(self.slots), set(self.written), self.has_ctx, self.depth, self.stack_arg)

    def meet(self, other: Frame) -> None:
        self.live &= other.live
        self.slots = {k: v for k, v in self.slots.items() if other.slots.get(k) == v}
        self.written &= other.written
        if self.stack_arg != other.stack_arg:
            self.stack_arg = None


class Generator:
    def __init__(self, prog_type: int, seed: int, pure: bool = False) -> None:
        self.rng = random.Random(f"{prog_type}:{seed}:{pure}")
        self.type = prog_type
        self.seed = seed
        self.pure = pure
        self.out: list[Insn] = []
        self.frame = Frame()
        self.calls: list[tuple[int, int]] = []  # (pc of the call, function)
        self.functions: list[tuple[int, bool]] = []  # arguments, whether the first one is a stack pointer
        self.budget = 0
        self.loops = 0

    # -- small steps ---------------------------------------------------------------------------------------------------

    def emit(self, code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> int:
        self.out.append(Insn(code, dst, src, off, imm))
        return len(self.out) - 1

    def land(self, pc: int) -> None:
        """Let the jump at `pc` come here."""
        self.out[pc] = self.out[pc]._replace(off=len(self.out) - pc - 1)

    def target(self) -> int:
        """A register for a new scalar."""
        return self.rng.choice((0, 1, 2, 3, 4, 5, 7, 8))

    def scalar(self) -> int:
        """A register with a scalar, made on the spot where there is none."""
        live = sorted(self.frame.live)
        if live and self.rng.random() < 0.95:
            return self.rng.choice(live)
        reg = self.target()
        self.const(reg)
        return reg

    def const(self, reg: int, word: int | None = None) -> None:
        word = edge(self.rng) if word is None else word
        if word >> 31 in (0, (1 << 33) - 1) and self.rng.random() < 0.9:
            self.emit(0xB7 if self.rng.random() < 0.8 or word >> 31 else 0xB4, reg, 0, 0, s32(word))
        else:
            self.out += lddw(reg, word)
        self.frame.live.add(reg)

    def clobber(self) -> None:
        self.frame.live -= {1, 2, 3, 4, 5}
        self.frame.live.add(0)

    def call_helper(self, func: int) -> None:
        self.emit(0x85, 0, 0, 0, func)
        self.clobber()

    # -- constructs ----------------------------------------------------------------------------------------------------

    def alu(self) -> None:
        rng = self.rng
        dst = self.scalar()
        klass = rng.choice((4, 7))
        kind = rng.random()
        if kind < 0.08:
            self.emit(0x80 | klass, dst)
        elif kind < 0.14:
            self.emit(rng.choice((0xD4, 0xDC, 0xD7)), dst, 0, 0, rng.choice((16, 32, 64)))
        elif kind < 0.3:
            src, dst = dst, self.target()
            off = rng.choice((0, 0, 0, 8, 16, 32) if klass == 7 else (0, 0, 0, 8, 16))
            self.emit(klass | 0xB8, dst, src, off)
            self.frame.live.add(dst)
        else:
            self.binary(dst, klass)

    def binary(self, dst: int, klass: int) -> None:
        rng = self.rng
        op = rng.choice((*ALU_OPS, 0x00, 0x50, 0x00, 0x50))
        shifts = op in (0x60, 0x70, 0xC0)
        divides = op in (0x30, 0x90)
        off = 1 if divides and rng.random() < 0.3 else 0
        if rng.random() < 0.5 and not (shifts and rng.random() < 0.9):
            self.emit(klass | op | 8, dst, self.scalar(), off)
            return
        imm = s32(edge(rng))
        if shifts:
            imm = rng.choice((0, 1, 3, 8, 16, 24, 31, rng.randrange(32 if klass == 4 else 64)))
        elif divides:
            imm = imm or 3
        elif rng.random() < 0.3:
            imm = rng.choice((1, -1, 4, 8, 15, 255))
        self.emit(klass | op, dst, 0, off, imm)

    def bound(self) -> None:
        """Narrow a scalar as programs do: mask, shift or compare and leave."""
        reg = self.scalar()
        kind = self.rng.randrange(3)
        if kind == 0:
            self.emit(
                self.rng.choice((0x57, 0x54)), reg, 0, 0, self.rng.choice((1, 3, 7, 15, 31, 63, 255, 0xFFF, 0xFFFF))
            )
        elif kind == 1:
            self.emit(self.rng.choice((0x77, 0x74)), reg, 0, 0, self.rng.choice((16, 24, 28, 31)))
        else:
            skip = self.emit(
                self.rng.choice((0x25, 0x35, 0xA5, 0xB5, 0x65, 0xC5, 0x26, 0xA6)), reg, 0, 0, s32(edge(self.rng))
            )
            self.alu_block(self.rng.randrange(1, 3))
            self.land(skip)

    def link(self) -> None:
        """Copies of a scalar at constant distances, then a comparison of one: it tells about all."""
        rng = self.rng
        src = self.scalar()
        copies = [r for r in (0, 1, 2, 3, 4, 5, 7, 8) if r != src]
        for dst in rng.sample(copies, rng.choice((1, 1, 2))):
            self.emit(0xBF if rng.random() < 0.8 else 0xBC, dst, src)
            if rng.random() < 0.7:
                klass = 7 if rng.random() < 0.7 else 4
                self.emit(
                    klass | rng.choice((0x00, 0x00, 0x10)), dst, 0, 0, rng.choice((1, 4, -1, 14, 100, 0x7FFFFFFF))
                )
            self.frame.live.add(dst)
        code = rng.choice((0x25, 0x35, 0xA5, 0xB5, 0x65, 0xC5, 0x15, 0x55, 0x26, 0xA6, 0xC6))
        skip = self.emit(code, rng.choice((src, dst)), 0, 0, rng.choice((0, 8, 64, 255, 0x7FFFFFFE, s32(edge(rng)))))
        self.alu_block(rng.randrange(0, 2))
        self.land(skip)

    def sign_mask(self) -> None:
        """All ones or none, from a sign; then what compilers make of a conditional expression."""
        reg = self.scalar()
        wide = self.rng.random() < 0.6
        self.emit(0xC7 if wide else 0xC4, reg, 0, 0, 63 if wide else 31)
        code = self.rng.choice((0x57, 0x47, 0x54, 0x44))
        self.emit(code, reg, 0, 0, self.rng.choice((1, 8, 14, 0xFFF, -2, s32(edge(self.rng)))))

    def alu_block(self, n: int) -> None:
        """Operations that may be skipped: they make no register live."""
        before = self.frame.copy()
        for _ in range(n):
            self.alu()
        self.frame.meet(before)

    def spill(self) -> None:
        rng = self.rng
        reg = self.scalar()
        size = rng.choice((8, 8, 4, 2, 1))
        base = -8 * rng.randrange(1, 9)
        off = base if rng.random() < 0.7 else base + size * rng.randrange(8 // size)
        if rng.random() < 0.15:
            self.emit({8: 0x7A, 4: 0x62, 2: 0x6A, 1: 0x72}[size], 10, 0, off, s32(edge(rng)))
        else:
            self.emit({8: 0x7B, 4: 0x63, 2: 0x6B, 1: 0x73}[size], 10, reg, off)
        self.frame.slots[off] = size
        self.frame.written |= set(range(off, off + size))

    def fill(self) -> None:
        rng = self.rng
        if not self.frame.slots:
            self.spill()
        off, size = rng.choice(sorted(self.frame.slots.items()))
        if rng.random() < 0.3:
            size = rng.choice([s for s in (8, 4, 2, 1) if off % s == 0])
        if not set(range(off, off + size)) <= self.frame.written and (rng.random() < 0.9 or self.pure):
            size = self.frame.slots[off]
        code = {8: (0x79,), 4: (0x61, 0x61, 0x81), 2: (0x69, 0x69, 0x89), 1: (0x71, 0x71, 0x91)}[size]
        reg = self.target()
        self.emit(rng.choice(code), reg, 10, off)
        self.frame.live.add(reg)

    def variable_stack(self) -> None:
        """A store and a load at a variable offset."""
        idx, reg = self.scalar(), self.rng.choice((1, 2, 3))
        if not set(range(-64, 0)) <= self.frame.written:
            for off in range(-64, 0, 8):
                self.emit(0x7A, 10, 0, off, 0)
                self.frame.slots[off] = 8
            self.frame.written |= set(range(-64, 0))
        if idx == reg:
            return
        self.emit(0x57, idx, 0, 0, self.rng.choice((8, 24, 56, 7)))
        self.emit(0xBF, reg, 10)
        self.emit(0x07, reg, 0, 0, -64)
        self.emit(0x0F, reg, idx)
        if self.rng.random() < 0.6:
            self.emit(0x73, reg, self.rng.choice(sorted(self.frame.live - {reg}) or [idx]), 0)
        self.emit(0x71, reg, reg, 0)
        self.frame.live.add(reg)

    def map_value(self) -> None:
        """Look a value up, check, and use it at constant and masked offsets."""
        rng = self.rng
        which = rng.choice((ARRAY, ARRAY, HASH, BIG_ARRAY))
        spec = MAPS[which]
        key = -8 * rng.randrange(1, 9)
        if spec.key_size == 8:
            self.emit(0x7B, 10, self.scalar(), key)
            self.frame.slots[key] = 8
        elif rng.random() < 0.5:
            self.emit(0x62, 10, 0, key, rng.randrange(5))
            self.frame.slots[key] = 4
        else:
            reg = self.scalar()
            self.emit(0x57, reg, 0, 0, rng.choice((3, 7)))
            self.emit(0x63, 10, reg, key)
            self.frame.slots[key] = 4
        self.frame.written |= set(range(key, key + spec.key_size))
        self.out += [Insn(0x18, 1, 1, 0, which), Insn(0)]
        self.emit(0xBF, 2, 10)
        self.emit(0x07, 2, 0, 0, key)
        self.frame.live -= {1, 2}
        self.call_helper(1)
        self.frame.live.discard(0)
        skip = self.emit(rng.choice((0x15, 0x15, 0x55)), 0, 0, 0, 0)
        if self.out[skip].code == 0x55:  # if r0 != 0 goto use; goto end
            use = skip
            skip = self.emit(0x05)
            self.land(use)
        before = self.frame.copy()
        self.emit(0xBF, 9, 0)
        for _ in range(rng.randrange(1, 4)):
            self.value_access(9, spec.value_size)
        self.frame.meet(before)
        self.land(skip)
        self.const(0, rng.randrange(4))

    def value_access(self, ptr: int, size: int) -> None:
        rng = self.rng
        width = rng.choice((8, 4, 2, 1))
        reg = self.scalar()
        at = rng.randrange(0, size - width + 1) // width * width
        room = size - width
        if rng.random() < 0.4 and room:
            idx = self.scalar()
            mask = (1 << room.bit_length() - 1) - 1 & -width
            self.emit(0x57, idx, 0, 0, mask)
            moved = rng.choice([r for r in (1, 2, 3, 4, 5) if r != idx])
            self.emit(0xBF, moved, ptr)
            self.emit(0x0F, moved, idx)
            self.frame.live.discard(moved)
            ptr, at = moved, 0
            reg = self.scalar()
            if reg == moved:  # made on the spot over the pointer
                return
        kind = rng.random()
        if kind < 0.4:
            dst = self.target()
            self.emit({8: 0x79, 4: 0x61, 2: 0x69, 1: 0x71}[width], dst, ptr, at)
            self.frame.live.add(dst)
        elif kind < 0.75 or width < 4:
            self.emit({8: 0x7B, 4: 0x63, 2: 0x6B, 1: 0x73}[width], ptr, reg, at)
        else:
            self.atomic(ptr, at, width, reg)

    def atomic(self, ptr: int, off: int, width: int, reg: int) -> None:
        op = self.rng.choice((0x00, 0x40, 0x50, 0xA0, 0x01, 0x41, 0x51, 0xA1, 0xE1, 0xF1))
        if op == 0xF1 and 0 not in self.frame.live:
            self.const(0)
        self.emit(0xDB if width == 8 else 0xC3, ptr, reg, off, op)

    def atomic_stack(self) -> None:
        off = -8 * self.rng.randrange(1, 9)
        reg = self.scalar()
        if self.frame.slots.get(off) != 8:
            self.emit(0x7B, 10, reg, off)
            self.frame.slots[off] = 8
            self.frame.written |= set(range(off, off + 8))
        self.atomic(10, off, self.rng.choice((8, 4)), self.scalar())

    def map_update(self) -> None:
        rng = self.rng
        which = rng.choice((ARRAY, HASH))
        spec = MAPS[which]
        key, value = -8, -8 - (spec.value_size + 7) // 8 * 8
        reg = self.scalar()
        for off in range(value, key, 8):
            self.emit(*((0x7B, 10, reg, off) if rng.random() < 0.2 else (0x7A, 10, 0, off, rng.randrange(9))))
        self.emit(0x7A, 10, 0, key, rng.randrange(5))
        for off in range(value, 0, 8):
            self.frame.slots[off] = 8
        self.frame.written |= set(range(value, 0))
        self.out += [Insn(0x18, 1, 1, 0, which), Insn(0)]
        self.emit(0xBF, 2, 10)
        self.emit(0x07, 2, 0, 0, key)
        if which == HASH and rng.random() < 0.3:
            self.frame.live -= {1, 2}
            self.call_helper(3)
            return
        self.emit(0xBF, 3, 10)
        self.emit(0x07, 3, 0, 0, value)
        self.emit(0xB7, 4, 0, 0, rng.choice((0, 0, 1, 2)))
        self.call_helper(2)

    def ringbuf(self) -> None:
        rng = self.rng
        size = rng.choice((8, 16, 24, 64))
        self.out += [Insn(0x18, 1, 1, 0, RINGBUF), Insn(0)]
        self.emit(0xB7, 2, 0, 0, size)
        self.emit(0xB7, 3, 0, 0, 0)
        self.frame.live -= {1, 2, 3}
        self.call_helper(131)
        self.frame.live.discard(0)
        skip = self.emit(0x15, 0, 0, 0, 0)
        before = self.frame.copy()
        self.emit(0xBF, 9, 0)
        for _ in range(rng.randrange(1, 3)):
            self.value_access(9, size)
        self.emit(0xBF, 1, 9)
        self.emit(0xB7, 2, 0, 0, rng.choice((0, 0, 1)))
        self.call_helper(rng.choice((132, 133)))
        self.frame.live.discard(0)
        self.frame.meet(before)
        self.land(skip)
        self.const(0)

    def packet(self) -> None:
        """Compare data + n with data_end, then read below n."""
        if self.type not in PKT_DATA or not self.frame.has_ctx:
            self.ctx_read()
            return
        rng = self.rng
        data, end = PKT_DATA[self.type]
        self.frame.live -= {1, 2, 3}
        self.emit(0x61, 2, 6, data)
        self.emit(0x61, 3, 6, end)
        reach = rng.choice((14, 20, 34, 40, 8))
        if self.frame.live and rng.random() < 0.4:  # a variable header length
            idx = rng.choice(sorted(self.frame.live))
            self.emit(0x57, idx, 0, 0, rng.choice((60, 15, 4, 28)))
            self.emit(0x0F, 2, idx)
        self.emit(0xBF, 1, 2)
        self.emit(0x07, 1, 0, 0, reach)
        code, dst, src = rng.choice(((0x2D, 1, 3), (0xAD, 3, 1), (0xBD, 1, 3), (0x3D, 3, 1)))
        skip = self.emit(code, dst, src)
        if code in (0xBD, 0x3D):
            use, skip = skip, self.emit(0x05)
            self.land(use)
        before = self.frame.copy()
        self.frame.live -= {1, 2, 3}
        for _ in range(rng.randrange(1, 4)):
            width = rng.choice((8, 4, 2, 1))
            off = rng.randrange(0, reach - width + 1)
            reg = rng.choice((0, 4, 5, 7, 8))
            if rng.random() < 0.8 or reg not in self.frame.live:
                self.emit({8: 0x79, 4: 0x61, 2: 0x69, 1: 0x71}[width], reg, 2, off)
                self.frame.live.add(reg)
            else:
                self.emit({8: 0x7B, 4: 0x63, 2: 0x6B, 1: 0x73}[width], 2, reg, off)
        self.frame.meet(before)
        self.land(skip)

    def ctx_read(self) -> None:
        if not self.frame.has_ctx:
            self.alu()
            return
        reg = self.target()
        reads, writes = (PURE_CTX_READ, PURE_CTX_WRITE) if self.pure else (CTX_READ, CTX_WRITE)
        self.emit(0x61, reg, 6, self.rng.choice(reads[self.type]))
        self.frame.live.add(reg)
        if writes[self.type] and self.rng.random() < 0.3:
            self.emit(0x63, 6, self.scalar(), self.rng.choice(writes[self.type]))

    def skb_load_bytes(self) -> None:
        if self.type == XDP or not self.frame.has_ctx:
            self.packet()
            return
        rng = self.rng
        length, off = rng.choice((1, 2, 4, 8, 16)), -8 * rng.randrange(2, 9)
        idx = self.scalar()
        if idx != 2:
            self.emit(0xBF, 2, idx)
        self.emit(0x57, 2, 0, 0, rng.choice((7, 31)))
        self.emit(0xBF, 1, 6)
        self.emit(0xBF, 3, 10)
        self.emit(0x07, 3, 0, 0, off)
        self.emit(0xB7, 4, 0, 0, length)
        self.call_helper(26)
        size = min(length, 8)
        self.frame.slots = {o: s for o, s in self.frame.slots.items() if o + s <= off or o >= off + length}
        self.frame.slots[off] = size
        self.frame.written |= set(range(off, off + length))

    def helper(self) -> None:
        """Random number or clock. (The CPU number is bounded by the number of CPUs, which no request tells.)"""
        self.call_helper(self.rng.choice((7, 5)))

    def random_word(self) -> None:
        """A scalar of which nothing is known."""
        if not self.pure and self.rng.random() < 0.6:
            self.helper()
        elif self.rng.random() < 0.5:
            self.packet()
        else:
            self.map_value()

    def branch(self) -> None:
        rng = self.rng
        code = rng.choice((5, 6)) | rng.choice(JMP_OPS)
        if rng.random() < 0.4 and len(self.frame.live) > 1:
            a, b = rng.sample(sorted(self.frame.live), 2)
            jump = self.emit(code | 8, a, b)
        else:
            imm = s32(edge(rng)) if rng.random() < 0.5 else rng.choice((0, 1, 2, 5, 10, 64))
            jump = self.emit(code, self.scalar(), 0, 0, imm)
        before = self.frame.copy()
        self.frame.depth += 1
        self.block(rng.randrange(1, 4))
        if rng.random() < 0.1:
            self.leave()
            self.frame = before
            self.land(jump)
            return
        if rng.random() < 0.4:
            after = self.emit(0x05)
            self.land(jump)
            then, self.frame = self.frame, before.copy()
            self.frame.depth += 1
            self.block(rng.randrange(1, 3))
            self.land(after)
            self.frame.meet(then)
        else:
            self.land(jump)
            self.frame.meet(before)
        self.frame.depth = before.depth

    def loop(self) -> None:
        """Count in r9 or on the stack; the body does not touch the counter."""
        rng = self.rng
        if self.loops >= 2 or self.frame.depth > 1:
            self.branch()
            return
        self.loops += 1
        times = rng.choice((2, 3, 5, 8, 16, 30))
        counter = -72 - 8 * self.loops
        self.emit(0x7A, 10, 0, counter, 0)
        self.frame.written |= set(range(counter, counter + 8))
        start = len(self.out)
        before = self.frame.copy()
        self.frame.depth += 1
        for _ in range(rng.randrange(1, 4)):
            rng.choice((self.alu, self.alu, self.spill, self.fill, self.bound, self.atomic_stack, self.ctx_read))()
        self.frame.meet(before)
        self.frame.depth = before.depth
        self.emit(0x79, 9, 10, counter)
        self.emit(0x07, 9, 0, 0, 1)
        self.emit(0x7B, 10, 9, counter)
        back = self.emit(rng.choice((0xA5, 0x55, 0xC5, 0xA6)), 9, 0, 0, times)
        self.out[back] = self.out[back]._replace(off=start - back - 1)

    def call(self) -> None:
        rng = self.rng
        if self.frame.depth > 2:
            self.alu()
            return
        if len(self.functions) < 3 and (not self.functions or rng.random() < 0.5):
            self.functions.append((rng.randrange(1, 4), rng.random() < 0.4))
        number = rng.randrange(len(self.functions))
        args, by_stack = self.functions[number]
        for n in range(1, args + 1):
            if n not in self.frame.live:
                self.const(n)
        if by_stack:
            for off in (-16, -8):
                self.emit(0x7A, 10, 0, off, rng.randrange(5))
                self.frame.slots[off] = 8
            self.frame.written |= set(range(-16, 0))
            self.emit(0xBF, 1, 10)
            self.emit(0x07, 1, 0, 0, -16)
        self.calls.append((self.emit(0x85, 0, 1, 0, 0), number))
        self.clobber()

    def leave(self) -> None:
        if self.pure and self.frame.has_ctx and self.frame.live:
            self.fold()
            return
        self.emit(*((0xBF, 0, self.scalar()) if self.rng.random() < 0.5 else (0xB7, 0, 0, 0, self.rng.randrange(3))))
        self.emit(0x95)

    def fold(self) -> None:
        """All that the program knows becomes its result."""
        first, *others = sorted(self.frame.live)
        if first:
            self.emit(0xBF, 0, first)
        for reg in others:
            self.emit(0x27, 0, 0, 0, 31)
            self.emit(0xAF, 0, reg)
        self.emit(0xBF, 1, 0)
        self.emit(0x77, 1, 0, 0, 32)
        self.emit(0xAF, 0, 1)
        self.emit(0x95)

    # -- the whole -----------------------------------------------------------------------------------------------------

    def block(self, n: int) -> None:
        for _ in range(n):
            if self.budget <= 0:
                return
            self.budget -= 1
            self.step()

    def step(self) -> None:
        rng = self.rng
        table: list[tuple[Callable[[], None], int]] = [
            (self.alu, 22), (self.bound, 10), (self.spill, 9), (self.fill, 10), (self.random_word, 8), (self.branch, 14),
            (self.map_value, 7), (self.packet, 6), (self.ctx_read, 5), (self.loop, 3), (self.call, 4), (self.atomic_stack, 3),
            (self.map_update, 2), (self.ringbuf, 2), (self.skb_load_bytes, 2), (self.variable_stack, 2),
            (self.link, 5), (self.sign_mask, 2),
        ]  # fmt: skip
        steps, weights = zip(*table, strict=True)
        rng.choices(steps, weights)[0]()
        self.frame.live -= {6, 9, 10}

    def program(self) -> Program:
        rng = self.rng
        self.emit(0xBF, 6, 1)
        self.budget = rng.choice((4, 8, 12, 18, 25))
        self.random_word()
        self.block(self.budget)
        self.leave()
        starts: list[int] = []
        while len(starts) < len(self.functions):
            args, by_stack = self.functions[len(starts)]
            starts.append(len(self.out))
            self.frame = Frame(set(range(1, args + 1)), has_ctx=False, depth=2)
            if by_stack:
                self.emit(0x79, 7, 1, rng.choice((0, 8)))
                self.emit(0x7B, 1, rng.choice([7, *range(2, args + 1)]), rng.choice((0, 8)))
                self.frame.live = self.frame.live - {1} | {7}
            self.budget = rng.randrange(1, 6)
            self.loops = 2
            self.block(self.budget)
            self.leave()
        for pc, number in self.calls:
            self.out[pc] = self.out[pc]._replace(imm=starts[number] - pc - 1)
        return Program(self.type, self.seed, self.pure, self.out)


def program(prog_type: int, seed: int, pure: bool = False) -> Program:
    """The random program of this name."""
    return Generator(prog_type, seed, pure).program()


def mutate(prog: Program, seed: int) -> Program:
    """A program with one to three instructions changed, taken away or doubled: mostly still a program, often a wrong one."""
    rng = random.Random(f"{prog.prog_type}:{prog.seed}:{seed}")
    insns = list(prog.insns)
    for _ in range(rng.choice((1, 1, 2, 3))):
        pc = rng.randrange(len(insns))
        insn = insns[pc]
        kind = rng.randrange(12)
        if kind < 2:
            insns[pc] = insn._replace(dst=rng.randrange(11))
        elif kind < 4:
            insns[pc] = insn._replace(src=rng.randrange(11))
        elif kind < 6:
            insns[pc] = insn._replace(
                off=rng.choice((0, 1, -1, 4, 8, -8, -16, insn.off + 1, insn.off - 1, insn.off + 8, 600))
            )
        elif kind < 8:
            insns[pc] = insn._replace(
                imm=s32(rng.choice((0, 1, -1, 64, insn.imm + 1, insn.imm - 1, insn.imm * 2, edge(rng))))
            )
        elif kind == 8:
            insns[pc] = insn._replace(
                code=rng.choice((insn.code ^ 8, insn.code ^ 0x10, insn.code ^ 1, rng.randrange(256)))
            )
        elif kind == 9:
            insns[pc] = Insn(0x05)  # goto the next one
        elif kind == 10:
            insns[pc] = insns[rng.randrange(len(insns))]
        else:
            insns[pc] = Insn(0xB7, rng.randrange(6), 0, 0, rng.randrange(9))
    # kernel functions and BTF ids mean what the running kernel's own BTF says
    insns = [
        i._replace(src=7) if (i.code == 0x85 and i.src == 2) or (i.code == 0x18 and i.src > 2) else i for i in insns
    ]
    return Program(prog.prog_type, prog.seed, prog.pure, insns)
