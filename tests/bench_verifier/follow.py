"""Path-following containment: the abstract step is driven along a concrete run, and must describe it at every instruction.

No pruning, no kernel: where a conditional jump goes both ways, the concrete machine chooses. After each instruction every
scalar lies in its tnum and all its ranges, every pointer at its base and offset, spills and zero bytes hold what they say,
equal ids hold equal values, and a predicted branch went as predicted. A callback comes back to its call, as the checker has it; a
global function is followed by itself, from what its prototype promises.
"""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from unittest.mock import patch

from bench_verifier import wide
from bench_verifier.diff import OUR_FD
from bench_verifier.generate import Program, bind
from bench_verifier.machine import BASE, CPUS, Fault, Machine
from userbpf.abi.enums import MapType, ProgType
from userbpf.btf import Btf
from userbpf.errors import BpfError
from userbpf.verifier import MapShape, VerifyRequest, callbacks, results
from userbpf.verifier import regs as R
from userbpf.verifier.check import Checker
from userbpf.verifier.domain import s64
from userbpf.verifier.regs import Reg

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1


# pointers whose place is known: from the beginning of what they point to
ORIGINS = (R.STACK, R.PACKET, R.PACKET_META, R.MAP_VALUE, R.MAP_KEY, R.MEM)
SHAPES = [MapShape(MapType(m[0]), *m[1:]) for m in wide.WIDE_MAPS]


@dataclass(frozen=True, slots=True)
class Checked:
    """How much was compared: executed instructions after which the state was looked at, and the values in those states."""

    insns: int = 0
    values: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.insns + other.insns, self.values + other.values)


@functools.cache
def _told(types: bytes) -> tuple[int, int]:
    """What the types of a slot's bytes say: the bits that are zero, and how many bytes are a spill."""
    zero = sum(0xFF << 8 * at for at, kind in enumerate(reversed(types)) if kind == R.ST_ZERO)
    return zero, types.count(R.ST_SPILL)


class Leak(AssertionError):
    """The abstract state does not hold the concrete one."""


class _Done(Exception):
    pass


class Follower(Checker):
    """A checker that takes one path: that of the machine."""

    machine: Machine

    def __init__(self, req: VerifyRequest) -> None:
        super().__init__(req)
        self.left = 0  # instructions
        self.base = 0  # the machine's callers below the function that is followed by itself
        self.insns_checked = self.checked = 0
        self._prepare()

    def along(self, machine: Machine, most: int) -> None:
        """One run; what was compiled for the ones before serves it too."""
        self.machine, self.left, self.base = machine, most, 0
        self.pushed.clear()
        # precision is for pruning, and there is none
        with patch("userbpf.verifier.callbacks.mark_slot_precise", lambda *_: None), contextlib.suppress(_Done):
            results.check_all(self)

    def mark_precise(self, regno: int) -> None:
        """Of no use without pruning."""

    def _paths(self) -> None:
        """One function along the run, until the run has left it."""
        m = self.machine
        while self.left:
            self.left -= 1
            pc = self.pc
            self.note_entry = False
            self.st.last_pc = self.prev_pc
            self.st.pc = pc
            nxt = self._abstract(pc)
            m.step()
            if m.pc in m.global_funcs and m.roots[-1] == len(m.callers) > self.base:
                self._inside(m.pc)
            if m.done or len(m.callers) < self.base:
                if nxt >= 0 and not m.gone:
                    raise Leak(f"pc {pc}: the run is over, the abstract one goes on at {nxt}")
                if m.done:
                    raise _Done
                return
            if m.other and self.pushed:
                self.set_state(self.pushed[0].state)
                nxt = self.pushed[0].pc
            if nxt != m.pc:
                raise Leak(f"pc {pc}: goes to {m.pc}, expected at {nxt} only")
            self.prev_pc, self.pc = pc, m.pc
            self.st.hist = []
            self._compare(pc)
        raise _Done

    def _inside(self, start: int) -> None:
        """The run has entered a global function: follow it there, then go on behind the call."""
        before = self.st, self.pc, self.prev_pc, self.base
        self.base = len(self.machine.callers)
        self.pushed.clear()
        number = self.cfg.starts.index(start)
        self.check_function(number, lambda frame: callbacks.global_arguments(self, number, frame))
        st, self.pc, self.prev_pc, self.base = before
        self.set_state(st)
        self.machine.gone = self.machine.other = False

    def _abstract(self, pc: int) -> int:
        step = self.steps[pc]
        if step is None:
            step = self.steps[pc] = self.compile(pc)
        self.pushed.clear()
        nxt = step(self)
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
        m, base = self.machine, self.base
        self.insns_checked += 1
        ids: dict[int, int] = {}
        frames = self.st.frames
        if len(frames) != len(m.callers) - base + 1:
            raise Leak(f"pc {pc}: {len(frames)} frames, the run has {len(m.callers) - base + 1}")
        for number, frame in enumerate(frames):
            top = number == len(frames) - 1
            concrete = m.regs if top else m.callers[base + number].regs
            # a callback's caller makes its call again
            kept = range(11) if top else range(10) if frames[number + 1].in_callback else range(6, 10)
            for i in kept:
                reg = frame.regs[i]
                if reg[0] != R.NOT_INIT:
                    self._holds(f"pc {pc}: frame {number} R{i}", reg, concrete[i], ids)
            memory = m.memory[m.stacks[base + number] >> 32]
            for i, (types, spill) in enumerate(frame.stack):
                zero, size = _told(types)
                if zero or size:
                    at = 504 - 8 * i
                    word = int.from_bytes(memory[at : at + 8], "little")
                    self._slot(f"pc {pc}: frame {number} fp-{8 * (i + 1)}", zero, size, spill, word, ids)

    def _slot(self, where: str, zero: int, size: int, spill: Reg | None, word: int, ids: dict[int, int]) -> None:
        if word & zero:
            raise Leak(f"{where}: {word:#x} is not 0 in {zero:#x}")
        if not size or spill is None:
            return
        word &= (1 << 8 * size) - 1
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
        if base not in ORIGINS:
            return
        m = self.machine
        at = (word & U32) - BASE - (512 if base == R.STACK else m.meta if base == R.PACKET else 0)
        if word >> 32 != self._region(word, base, extra):
            raise Leak(f"{where}: {word:#x} does not point to {R.type_name(kind)}")
        if at - off & U64 not in val and not (val.mask == 0 and s64(val.value) + off == at):
            raise Leak(f"{where}: at offset {at}, expected {off} + {val}")
        if base in (R.PACKET, R.PACKET_META) and extra > 0:
            have = m.meta if base == R.PACKET_META else len(m.memory[m.packet]) - m.meta
            if at - off + extra > have:
                raise Leak(f"{where}: range {extra} from {at - off} is more than the packet has")

    def _region(self, word: int, base: int, extra: object) -> int:
        if base == R.STACK:
            assert isinstance(extra, int)
            return self.machine.stacks[self.base + extra] >> 32
        return self.machine.packet if base in (R.PACKET, R.PACKET_META) else word >> 32


def request(prog: Program, flags: int = 0, level: int = 0) -> VerifyRequest:
    """A program of either generator, with BTF where it has some."""
    code = bind(prog.insns, [OUR_FD + n for n in range(len(SHAPES))])
    req = VerifyRequest(
        code, ProgType(prog.prog_type), prog_flags=flags, log_level=level, resolve_map=_resolve, nr_cpus=CPUS
    )
    if isinstance(prog, wide.WideProgram):
        req.btf = Btf.parse(prog.btf)
        req.func_info, req.line_info = prog.func_info, prog.line_info
    return req


def _resolve(fd: int) -> MapShape:
    if not 0 <= fd - OUR_FD < len(SHAPES):
        raise BpfError(errno.EBADF)
    return SHAPES[fd - OUR_FD]


def machine_for(prog: Program, seed: int) -> Machine:
    """One run to be."""
    known = prog.global_funcs if isinstance(prog, wide.WideProgram) else {}
    return Machine(prog.insns, prog.prog_type, seed, known)


def follow(prog: Program, seeds: Iterable[int], most: int = 3000) -> Checked:
    """Drive an accepted program along random runs; how much was checked. Raises Leak or Fault."""
    follower = Follower(request(prog))
    for seed in seeds:
        try:
            follower.along(machine_for(prog, seed), most)
        except (Leak, Fault) as e:
            raise type(e)(f"run {seed}: {e}") from e
    return Checked(follower.insns_checked, follower.checked)


__all__ = ["Checked", "Fault", "Follower", "Leak", "follow", "machine_for", "request"]
