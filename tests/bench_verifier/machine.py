"""A concrete machine for the programs of `generate`: plain, checked at every access, and of nobody's making but the tests'.

An address is `region << 32 | 0x10000 + offset`; regions are byte arrays, so a wild access is an error and not a crash. It
stands in for the kernel where the abstract step is checked against concrete runs.
"""

from __future__ import annotations

import random

from bench_verifier import generate
from bench_verifier.containment import U32, U64, holds, run_alu, signed
from userbpf.isa.insn import Insn

BASE = 0x10000
SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
CTX, PACKET, END, MAPS, FREE = 1, 2, 2, 16, 64


class Fault(AssertionError):
    """An access outside of what exists: a verifier that accepted the program is wrong."""


def address(region: int, off: int = 0) -> int:
    return region << 32 | BASE + off


class Machine:
    """One run of one program on one random input."""

    def __init__(self, insns: list[Insn], prog_type: int, seed: int) -> None:
        self.insns = insns
        self.type = prog_type
        self.rng = random.Random(f"machine {prog_type} {seed}")
        rng = self.rng
        self.memory: dict[int, bytearray] = {
            CTX: bytearray(rng.randbytes(256)),
            PACKET: bytearray(rng.randbytes(rng.choice((14, 20, 34, 60, 64, 100)))),
        }
        self.next_region = FREE
        self.values: dict[tuple[int, bytes], int] = {}
        for number, spec in enumerate(generate.MAPS):
            if spec.map_type == 2:
                for index in range(spec.max_entries):
                    self.values[number, index.to_bytes(4, "little")] = self.new(self.content(spec.value_size))
        self.regs = [self.word() for _ in range(11)]
        self.regs[1] = address(CTX)
        self.frames: list[list[int]] = []
        self.stacks: list[int] = []
        self.pc = 0
        self.done = False
        self.taken = False  # whether the last conditional jump jumped
        self._enter()

    def content(self, size: int) -> bytes:
        return bytes(self.rng.choice((0, 0, 1, 255, self.rng.getrandbits(8))) for _ in range(size))

    def word(self) -> int:
        """An unknown word, rather a small or a special one."""
        return self.rng.choice(
            (0, 1, self.rng.getrandbits(4), self.rng.getrandbits(32), self.rng.getrandbits(64), U64, U32)
        )

    def new(self, content: bytes) -> int:
        region = self.next_region
        self.next_region += 1
        self.memory[region] = bytearray(content)
        return address(region)

    def _enter(self) -> None:
        base = self.new(self.rng.randbytes(512))
        self.stacks.append(base)
        self.regs[10] = base + 512

    # -- memory --------------------------------------------------------------------------------------------------------

    def region_of(self, addr: int, size: int) -> tuple[bytearray, int]:
        region, off = addr >> 32, (addr & U32) - BASE
        memory = self.memory.get(region)
        if memory is None or off < 0 or off + size > len(memory):
            raise Fault(f"pc {self.pc}: {size} bytes at {addr:#x}")
        return memory, off

    def load(self, addr: int, size: int) -> int:
        if addr >> 32 == CTX and self.type in generate.PKT_DATA:
            data, end = generate.PKT_DATA[self.type]
            off = (addr & U32) - BASE
            if off in (data, end):
                return address(PACKET, 0 if off == data else len(self.memory[PACKET]))
        memory, off = self.region_of(addr, size)
        return int.from_bytes(memory[off : off + size], "little")

    def store(self, addr: int, size: int, word: int) -> None:
        memory, off = self.region_of(addr, size)
        memory[off : off + size] = (word & (1 << 8 * size) - 1).to_bytes(size, "little")

    def bytes_at(self, addr: int, size: int) -> bytes:
        memory, off = self.region_of(addr, size)
        return bytes(memory[off : off + size])

    # -- instructions --------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Run the instruction at `pc`."""
        code, dst, src, off, imm = self.insns[self.pc]
        regs = self.regs
        klass, op, by_reg = code & 7, code & 0xF0, bool(code & 8)
        self.pc += 1
        if klass in (4, 7):
            self._alu(
                klass == 7, op, dst, regs[src] if by_reg and op not in (0x80, 0xD0) else imm & U64, off, imm, by_reg
            )
        elif code == 0x18:
            self.pc += 1
            word = imm & U32 | (self.insns[self.pc - 1].imm & U32) << 32
            regs[dst] = address(MAPS + imm) if src == 1 else word
        elif klass == 1:
            size = SIZES[code & 0x18]
            word = self.load(regs[src] + off & U64, size)
            regs[dst] = signed(word, size * 8) & U64 if code & 0xE0 == 0x80 else word
        elif klass == 2:
            self.store(regs[dst] + off & U64, SIZES[code & 0x18], imm)
        elif klass == 3 and code & 0xE0 == 0xC0:
            self._atomic(regs[dst] + off & U64, SIZES[code & 0x18], src, imm)
        elif klass == 3:
            self.store(regs[dst] + off & U64, SIZES[code & 0x18], regs[src])
        elif code == 0x05:
            self.pc += off
        elif code == 0x85:
            if src == 1:
                self.frames.append(regs.copy())
                self.frames[-1][0] = self.pc  # r0 is dead: the way back
                self.pc += imm
                self._enter()
            else:
                self._helper(imm)
        elif code == 0x95:
            self._leave()
        else:
            self.taken = holds(op, klass == 6, regs[dst], regs[src] if by_reg else imm & U64)
            if self.taken:
                self.pc += off

    def _leave(self) -> None:
        if not self.frames:
            self.done = True
            return
        saved = self.frames.pop()
        self.stacks.pop()
        self.pc = saved[0]
        self.regs[6:11] = saved[6:11]
        self.regs[1:6] = [self.word() for _ in range(5)]

    def _alu(self, is64: bool, op: int, dst: int, operand: int, off: int, imm: int, by_reg: bool) -> None:
        regs = self.regs
        full = U64 if is64 else U32
        if op == 0xB0:
            regs[dst] = (signed(operand, off) if off else operand) & full
        elif op == 0xD0:
            low = regs[dst] & (1 << imm) - 1
            swap = is64 or by_reg
            regs[dst] = int.from_bytes(low.to_bytes(imm // 8, "little"), "big") if swap else low
        else:
            if op in (0x30, 0x90) and off:
                op |= 0x100
            regs[dst] = run_alu(op, is64, regs[dst], operand)

    def _atomic(self, addr: int, size: int, src: int, imm: int) -> None:
        regs = self.regs
        full = (1 << 8 * size) - 1
        old, operand = self.load(addr, size), regs[src] & full
        if imm == 0xE1:
            new = operand
        elif imm == 0xF1:
            new = operand if old == regs[0] & full else old
        else:
            new = {0x00: old + operand, 0x40: old | operand, 0x50: old & operand, 0xA0: old ^ operand}[imm & 0xF0]
        self.store(addr, size, new)
        if imm == 0xF1:
            regs[0] = old
        elif imm & 1:
            regs[src] = old

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _helper(self, number: int) -> None:
        regs = self.regs
        r1, r2, r3, r4 = regs[1:5]
        if number in (1, 2, 3):
            result = self._map_helper(number, (r1 >> 32) - MAPS, r2, r3, r4)
        elif number == 26:
            packet = self.memory[PACKET]
            found = packet[r2 & U32 : (r2 & U32) + r4] if (r2 & U32) + r4 <= len(packet) else None
            memory, off = self.region_of(r3, r4)
            memory[off : off + r4] = found if found is not None else bytes(r4)
            result = 0 if found is not None else -14 & U64
        elif number == 131:
            result = self.new(self.rng.randbytes(r2)) if self.rng.random() < 0.8 else 0
        elif number in (132, 133):
            result = self.word()
        else:
            result = self.word()
        regs[0] = result
        regs[1:6] = [self.word() for _ in range(5)]

    def _map_helper(self, number: int, which: int, key_at: int, value_at: int, flags: int) -> int:
        spec = generate.MAPS[which]
        key = self.bytes_at(key_at, spec.key_size)
        found = self.values.get((which, key), 0)
        if number == 1:
            if not found and spec.map_type == 1 and self.rng.random() < 0.5:
                found = self.values[which, key] = self.new(self.content(spec.value_size))
            return found
        if number == 3:
            return 0 if self.values.pop((which, key), 0) else -2 & U64
        content = self.bytes_at(value_at, spec.value_size)
        if (flags == 1 and found) or (flags == 2 and not found) or (not found and spec.map_type == 2):
            return -17 & U64
        if found:
            self.memory[found >> 32][:] = content
        else:
            self.values[which, key] = self.new(content)
        return 0
