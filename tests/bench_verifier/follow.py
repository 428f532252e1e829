"""Path-following containment: the abstract step is driven along a concrete run, and must describe it at every instruction.

No pruning, no kernel: where a conditional jump goes both ways, the concrete machine chooses. After each instruction every
scalar lies in its tnum and all its ranges, every pointer at its base and offset, spills and zero bytes hold what they say,
equal ids hold equal values, and a predicted branch went as predicted.
"""

from __future__ import annotations

import contextlib
from unittest.mock import patch

from bench_verifier import generate
from bench_verifier.diff import OUR_FD, SHAPES
from bench_verifier.machine import BASE, PACKET, Fault, Machine
from userbpf.abi.enums import ProgType
from userbpf.isa.insn import Insn
from userbpf.verifier import MapShape, VerifyRequest
from userbpf.verifier import regs as R
from userbpf.verifier.check import Checker
from userbpf.verifier.domain import s64
from userbpf.verifier.regs import Reg

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1


# Loads that sign-extend. Linux 6.18.44 keeps the id of a narrow spill on such a fill, so that copies count as equal which are
# not; userbpf mirrors the log and this hole with it, and the comparison looks away here and nowhere else.
LINUX_KEEPS_ID = (0x81, 0x89, 0x91)


class Leak(AssertionError):
    """The abstract state does not hold the concrete one."""


class _Done(Exception):
    pass


class Follower(Checker):
    """A checker that takes one path: that of the machine."""

    def __init__(self, req: VerifyRequest, machine: Machine, most: int) -> None:
        super().__init__(req)
        self.machine = machine
        self.most = most
        self.checked = 0

    def mark_precise(self, regno: int) -> None:
        """Of no use without pruning."""

    def _paths(self) -> None:
        m = self.machine
        for _ in range(self.most):
            pc = self.pc
            self.note_entry = False
            self.st.last_pc = self.prev_pc
            self.st.pc = pc
            nxt = self._abstract(pc)
            m.step()
            if m.done:
                if nxt >= 0:
                    raise Leak(f"pc {pc}: the run is over, the abstract one goes on at {nxt}")
                raise _Done
            if self.pushed:  # a jump that goes both ways: the pushed one jumps
                if m.taken:
                    self.set_state(self.pushed[0].state)
                    nxt = self.pushed[0].pc
            if nxt != m.pc:
                raise Leak(f"pc {pc}: goes to {m.pc}, expected at {nxt} only")
            self.prev_pc, self.pc = pc, m.pc
            self.st.hist = []
            self._compare(pc)
        raise _Done

    def _abstract(self, pc: int) -> int:
        step = self.steps[pc]
        if step is None:
            step = self.steps[pc] = self.compile(pc)
        self.pushed.clear()
        nxt = step(self)
        insn = self.insns[pc]
        if insn.code in LINUX_KEEPS_ID and self.regs[insn.src][0] == R.STACK:
            kind, val, _, _, extra = self.regs[insn.dst]
            self.regs[insn.dst] = (kind, val, 0, 0, extra)
        if self.pushed and self.pushed[0].pc == pc:  # the path was split before the instruction
            later = self.pushed.pop(0)
            dst = self.insns[pc].dst
            if self.machine.regs[dst] in later.state.frames[-1].regs[dst][1]:
                self.set_state(later.state)
                self.pushed.clear()
                nxt = step(self)
        return nxt

    # -- comparison ----------------------------------------------------------------------------------------------------

    def _compare(self, pc: int) -> None:
        m = self.machine
        ids: dict[int, int] = {}
        frames = self.st.frames
        if len(frames) != len(m.frames) + 1:
            raise Leak(f"pc {pc}: {len(frames)} frames, the run has {len(m.frames) + 1}")
        for number, frame in enumerate(frames):
            top = number == len(frames) - 1
            concrete = m.regs if top else m.frames[number]
            for i, reg in enumerate(frame.regs):
                if reg[0] != R.NOT_INIT and (top or i in (6, 7, 8, 9)):
                    self._holds(f"pc {pc}: frame {number} R{i}", reg, concrete[i], ids)
            base = m.stacks[number] + 512
            for i, (types, spill) in enumerate(frame.stack):
                self._slot(f"pc {pc}: frame {number} fp-{8 * (i + 1)}", types, spill, base - 8 * (i + 1), ids)

    def _slot(self, where: str, types: bytes, spill: Reg | None, addr: int, ids: dict[int, int]) -> None:
        content = self.machine.bytes_at(addr, 8)
        for at, kind in enumerate(reversed(types)):  # lowest address first
            if kind == R.ST_ZERO and content[at]:
                raise Leak(f"{where}: byte {at} is {content[at]}, not 0")
        size = types.count(R.ST_SPILL)
        if not size or spill is None:
            return
        word = int.from_bytes(content[:size], "little")
        if size == 8:
            self._holds(where, spill, word, ids)
        elif spill[0] == R.SCALAR and not spill[1].mask and word != spill[1].value & (1 << 8 * size) - 1:
            raise Leak(f"{where}: {word:#x}, expected {spill[1]}")

    def _holds(self, where: str, reg: Reg, word: int, ids: dict[int, int]) -> None:
        self.checked += 1
        kind, val, rid, off, extra = reg
        if kind == R.SCALAR:
            if word not in val:
                raise Leak(f"{where}: {word:#x} is not in {val}")
            if rid and not rid & R.ADD_CONST32:
                origin = word - off & U64 if rid & R.ADD_CONST64 else word
                if ids.setdefault(rid & R.ID_MASK, origin) != origin:
                    raise Leak(
                        f"{where}: id {rid & R.ID_MASK} elsewhere means {ids[rid & R.ID_MASK]:#x}, here {origin:#x}"
                    )
            return
        if kind & R.MAYBE_NULL and not word:
            return
        base = kind & R.BASE_MASK
        if base not in (R.STACK, R.PACKET, R.MAP_VALUE, R.MEM):
            return
        at = (word & U32) - BASE - (512 if base == R.STACK else 0)
        if word >> 32 != self._region(word, base, extra):
            raise Leak(f"{where}: {word:#x} does not point to {R.type_name(kind)}")
        if at - off & U64 not in val and not (val.mask == 0 and s64(val.value) + off == at):
            raise Leak(f"{where}: at offset {at}, expected {off} + {val}")
        if base == R.PACKET and extra > 0 and at - off + extra > len(self.machine.memory[PACKET]):
            raise Leak(f"{where}: range {extra} from {at - off} is more than the packet has")

    def _region(self, word: int, base: int, extra: object) -> int:
        if base == R.STACK:
            assert isinstance(extra, int)
            return self.machine.stacks[extra] >> 32
        return PACKET if base == R.PACKET else word >> 32


def _resolve(fd: int) -> MapShape:
    return SHAPES[fd - OUR_FD]


def follow(insns: list[Insn], prog_type: int, seed: int, most: int = 3000) -> int:
    """Drive an accepted program along one random run; the number of checked values. Raises Leak or Fault."""
    code = generate.bind(insns, [OUR_FD + n for n in range(len(SHAPES))])
    req = VerifyRequest(code, ProgType(prog_type), resolve_map=_resolve)
    follower = Follower(req, Machine(insns, prog_type, seed), most)
    # precision is for pruning, and there is none
    with patch("userbpf.verifier.callbacks.mark_slot_precise", lambda *_: None), contextlib.suppress(_Done):
        follower.run()
    return follower.checked


__all__ = ["Fault", "Follower", "Leak", "follow"]
