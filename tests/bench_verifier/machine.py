"""A concrete machine for the programs of `generate`: plain, checked at every access, and of nobody's making but the tests'.

An address is `region << 32 | 0x10000 + offset`; regions are byte arrays, so a wild access is an error and not a crash. It
stands in for the kernel where the abstract step is checked against concrete runs. Memory that is given back (a stack frame, a
record, a packet that was moved) is gone, and a global function sees of its arguments' memory what its prototype says and no more.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from bench_verifier import generate
from bench_verifier.containment import U32, U64, holds, run_alu, signed
from userbpf.isa.insn import Insn

BASE = 0x10000
SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
CTX, MAPS, FUNCS, FREE = 1, 16, 48, 64
CPUS = 4  # the machine's
HELPERS = frozenset((1, 2, 3, 5, 7, 8, 12, 26, 130, 131, 132, 133, 164, 181))  # what it has
MOST_ROUNDS = 1 << 23  # bpf_loop refuses more
ARGUMENT_SIZE = 16  # what an argument "mem" of a global function points to
NO_FUNCTIONS: Mapping[int, tuple[str, ...]] = {}


class Fault(AssertionError):
    """An access outside of what exists: a verifier that accepted the program is wrong."""


def can_run(insns: list[Insn]) -> bool:
    """Whether the machine knows every instruction: what a mutation made may be right and yet nothing for it."""
    return not any(
        (i.code == 0x85 and ((i.src == 0 and i.imm not in HELPERS) or i.src > 1))
        or (i.code == 0x18 and i.src not in (0, 1, 4))
        for i in insns
    )


def address(region: int, off: int = 0) -> int:
    return region << 32 | BASE + off


class Caller(NamedTuple):
    """Where a function was called, and what its caller had; a callback comes back to the call itself."""

    callsite: int
    regs: list[int]
    callback: bool


class Rounds:
    """One helper that runs a callback: its elements left, what it had been asked with, whether the callback said to stop."""

    def __init__(self, depth: int, pc: int, todo: int) -> None:
        self.depth = depth
        self.pc = pc
        self.todo = todo
        self.done = 0
        self.stop = False


class Machine:
    """One run of one program on one random input.

    `global_funcs`: the kinds of arguments of each global function, by its first instruction.
    """

    def __init__(
        self, insns: list[Insn], prog_type: int, seed: int, global_funcs: Mapping[int, tuple[str, ...]] = NO_FUNCTIONS
    ) -> None:
        self.insns = insns
        self.type = prog_type
        self.global_funcs = global_funcs
        self.rng = random.Random(f"machine {prog_type} {seed}")
        rng = self.rng
        self.memory: dict[int, bytearray | memoryview] = {CTX: bytearray(rng.randbytes(256))}
        self.next_region = FREE
        self.packet = self.meta = 0  # its region, and how much meta data stands before it
        self.move_packet()
        self.values: dict[tuple[int, bytes], int] = {}
        for number, spec in enumerate(generate.MAPS):
            if spec.map_type == 2:
                for index in range(spec.max_entries):
                    self.values[number, index.to_bytes(4, "little")] = self.new(self.content(spec.value_size))
        self.regs = [self.word() for _ in range(11)]
        self.regs[1] = address(CTX)
        self.callers: list[Caller] = []
        self.roots = [0]  # callers below each function that is checked by itself: the main program, global functions
        self.rounds: list[Rounds] = []
        self.stacks: list[int] = []
        self.pc = 0
        self.done = False
        self.gone = False  # the last instruction ended its function without an exit: a tail call, a classic load
        self.other = False  # it went the way that the verifier takes up later
        self._enter()

    def content(self, size: int) -> bytes:
        return bytes(self.rng.choices((0, 0, 1, 255, self.rng.getrandbits(8), self.rng.getrandbits(8)), k=size))

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

    def move_packet(self) -> None:
        """Another packet elsewhere: whoever still points at the old one is wrong."""
        self.memory.pop(self.packet, None)
        self.meta = self.rng.choice((0, 4, 8, 32))
        self.packet = self.next_region
        self.new(self.rng.randbytes(self.meta + self.rng.choice((14, 20, 34, 60, 64, 100))))

    # -- memory --------------------------------------------------------------------------------------------------------

    def region_of(self, addr: int, size: int) -> tuple[bytearray | memoryview, int]:
        region, off = addr >> 32, (addr & U32) - BASE
        memory = self.memory.get(region)
        if memory is None or off < 0 or off + size > len(memory):
            raise Fault(f"pc {self.pc}: {size} bytes at {addr:#x}")
        return memory, off

    def load(self, addr: int, size: int) -> int:
        if addr >> 32 == CTX and self.type in generate.PKT_DATA:
            data, end = generate.PKT_DATA[self.type]
            at = {data: self.meta, end: len(self.memory[self.packet]), generate.PKT_META[self.type]: 0}
            found = at.get((addr & U32) - BASE)
            if found is not None:
                return address(self.packet, found)
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
        self.gone = self.other = False
        if klass in (4, 7):
            self._alu(
                klass == 7, op, dst, regs[src] if by_reg and op not in (0x80, 0xD0) else imm & U64, off, imm, by_reg
            )
        elif code == 0x18:
            self.pc += 1
            word = imm & U32 | (self.insns[self.pc - 1].imm & U32) << 32
            regs[dst] = address(MAPS + imm) if src == 1 else address(FUNCS, self.pc + imm - 1) if src == 4 else word
        elif klass == 0:
            self._classic_load(SIZES[code & 0x18], imm + (regs[src] & U32 if code & 0xE0 == 0x40 else 0))
        elif klass == 1:
            size = SIZES[code & 0x18]
            word = self.load(regs[src] + off & U64, size)
            regs[dst] = signed(word, size * 8) & U64 if code & 0xE0 == 0x80 else word
        elif klass == 2:
            self.store(regs[dst] + off & U64, SIZES[code & 0x18], imm)
        elif klass == 3 and code & 0xE0 == 0xC0:
            self._atomic(dst, src, off, SIZES[code & 0x18], imm)
        elif klass == 3:
            self.store(regs[dst] + off & U64, SIZES[code & 0x18], regs[src])
        elif code == 0x05:
            self.pc += off
        elif code == 0x06:
            self.pc += imm
        elif code == 0xE5:  # may_goto: out whenever the kernel thinks it is time
            self.other = self.rng.random() < 0.8
            if not self.other:
                self.pc += off
        elif code == 0x85:
            if src == 1:
                self._call(self.pc + imm)
            elif imm in (164, 181):
                self._rounds(imm)
            else:
                self._helper(imm)
        elif code == 0x95:
            self._leave()
        else:
            self.other = holds(op, klass == 6, regs[dst], regs[src] if by_reg else imm & U64)
            if self.other:
                self.pc += off

    # -- calls -----------------------------------------------------------------------------------------------------------

    def _call(self, start: int) -> None:
        regs = self.regs
        self.callers.append(Caller(self.pc - 1, regs.copy(), False))
        kinds = self.global_funcs.get(start)
        if kinds is not None:
            self.roots.append(len(self.callers))
            for n, kind in enumerate(kinds, 1):
                if kind == "mem" and regs[n]:
                    memory, off = self.region_of(regs[n], ARGUMENT_SIZE)
                    regs[n] = address(self.next_region)
                    self.memory[self.next_region] = memoryview(memory)[off : off + ARGUMENT_SIZE]
                    self.next_region += 1
        self.pc = start
        self._enter()

    def _rounds(self, number: int) -> None:
        """A helper that runs a callback, from one round to the next."""
        regs, pc = self.regs, self.pc - 1
        now = self.rounds[-1] if self.rounds else None
        if now is None or now.pc != pc or now.depth != len(self.callers):
            todo = regs[1] & U32 if number == 181 else generate.MAPS[(regs[1] >> 32) - MAPS].max_entries
            now = Rounds(len(self.callers), pc, 0 if todo > MOST_ROUNDS else todo)
            self.rounds.append(now)
        if now.stop or now.done == now.todo:
            self.rounds.pop()
            regs[0] = now.done
            regs[1:6] = [self.word() for _ in range(5)]
            return
        self.other = True
        self.callers.append(Caller(pc, regs.copy(), True))
        self.pc = (regs[2] & U32) - BASE
        regs[0], data = self.word(), regs[3]
        if number == 181:
            given = [now.done, data]
        else:
            key = now.done.to_bytes(4, "little")
            given = [regs[1], self.new(key), self.values[(regs[1] >> 32) - MAPS, key], data]
        regs[1:10] = [*given, *(self.word() for _ in range(9 - len(given)))]
        now.done += 1
        self._enter()

    def _leave(self) -> None:
        if not self.callers:
            self.done = True
            return
        if len(self.callers) == self.roots[-1]:
            self.roots.pop()
        caller = self.callers.pop()
        del self.memory[self.stacks.pop() >> 32]
        if caller.callback:
            self.rounds[-1].stop = self.regs[0] != 0
            self.regs[:] = caller.regs
            self.pc = caller.callsite
            return
        self.pc = caller.callsite + 1
        self.regs[6:11] = caller.regs[6:11]
        self.regs[1:6] = [self.word() for _ in range(5)]

    def _out(self, result: int) -> None:
        """The function is over here."""
        self.gone = True
        self.regs[0] = result
        self._leave()

    def _classic_load(self, size: int, off: int) -> None:
        packet = self.memory[self.packet][self.meta :]
        if off < 0 or off + size > len(packet):
            self._out(0)
            return
        self.other = True
        self.regs[0] = int.from_bytes(packet[off : off + size], "big")
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

    def _atomic(self, dst: int, src: int, off: int, size: int, imm: int) -> None:
        regs = self.regs
        if imm == 0x100:
            regs[dst] = self.load(regs[src] + off & U64, size)
            return
        addr = regs[dst] + off & U64
        if imm == 0x110:
            self.store(addr, size, regs[src])
            return
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
            packet = self.memory[self.packet][self.meta :]
            found = packet[r2 & U32 : (r2 & U32) + r4] if (r2 & U32) + r4 <= len(packet) else None
            memory, off = self.region_of(r3, r4)
            memory[off : off + r4] = found if found is not None else bytes(r4)
            result = 0 if found is not None else -14 & U64
        elif number == 131:
            result = self.new(self.rng.randbytes(r2)) if self.rng.random() < 0.8 else 0
        elif number in (132, 133):
            del self.memory[r1 >> 32]
            result = self.word()
        elif number == 8:
            result = self.rng.randrange(CPUS)
        elif number == 12:
            if self.rng.random() < 0.3:
                self.move_packet()
                self._out(self.word())
                return
            self.other = True
            result = self.word()
        elif number == 130:
            self.bytes_at(r2, r3)
            result = 0
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
