"""The life of a register: back along the recorded path, through copies, spills and calls, to where its value came from.

What an instruction did to the value that is followed becomes an `Event`. The walk ends where the value was made (a constant, a
load, the result of a helper) or the path begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.verifier.calls import PACKET_MOVERS, helper_name
from userbpf.verifier.cfg import CALL, LDDW
from userbpf.verifier.domain import s64
from userbpf.verifier.log import reg_text
from userbpf.verifier.record import Recording, Visit
from userbpf.verifier.regs import BASE_MASK, NOT_INIT, PACKET, PACKET_END, PACKET_META, SCALAR, STACK, Reg, type_name

MAX_EVENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Event:
    """What an instruction did to the value: `kind` is one of the words below, `text` a sentence without subject.

    copy, spill, fill, argument, result: it went from one place to another; constant, load, helper, packet-load: it was
    made here; clobber: a call left the register undefined; moved: packet data may have moved; released: its reference
    was given back; compare: a comparison taught something; change: arithmetic, or anything else.
    """

    pc: int
    kind: str
    text: str


class _Walk:
    def __init__(self, rec: Recording, path: list[Visit], frameno: int, regno: int) -> None:
        self.rec = rec
        self.path = path
        self.frameno = frameno
        self.reg: int | None = regno  # None: a slot
        self.slot = 0
        self.events: list[Event] = []
        self.done = False

    def note(self, pc: int, kind: str, text: str, done: bool = False) -> None:
        self.events.append(Event(pc, kind, text))
        self.done = self.done or done or len(self.events) >= MAX_EVENTS

    def value(self, visit: Visit) -> Reg | None:
        """The value that is followed, in the state before a visit."""
        if visit.frameno != self.frameno:
            return None
        if self.reg is not None:
            return visit.regs[self.reg]
        return visit.stack[self.slot][1] if self.slot < len(visit.stack) else None

    @property
    def name(self) -> str:
        return f"R{self.reg}" if self.reg is not None else f"fp{-(self.slot + 1) * 8}"

    def run(self) -> list[Event]:
        for i in range(len(self.path) - 2, -1, -1):
            self.step(self.path[i], self.path[i + 1])
            if self.done:
                break
        self.events.reverse()
        return self.events

    def step(self, before: Visit, after: Visit) -> None:
        if before.frameno != self.frameno:
            self.other_frame(before, after)
            return
        insn = self.rec.insns[before.pc]
        if self.reg is not None:
            written = self.register(before, insn, after)
        else:
            written = self.stack_slot(before, insn)
        if not written and after.frameno == self.frameno:
            self.unwritten(before, insn, self.value(before), self.value(after))

    def other_frame(self, before: Visit, after: Visit) -> None:
        if before.frameno > self.frameno and after.frameno == self.frameno:  # the exit of a called function
            if self.reg == 0:
                self.frameno = before.frameno
                self.note(before.pc, "result", "returned from the function as R0")
            elif self.reg is not None and self.reg < 6:
                self.note(before.pc, "clobber", f"the call left {self.name} undefined", True)
        elif before.frameno < self.frameno:  # the call that entered the function
            if self.reg is not None and 0 < self.reg < 6:
                self.frameno = before.frameno
                self.note(before.pc, "argument", f"passed to the function as argument {self.reg}")
            else:
                self.done = True

    # --- what instructions write ---------------------------------------------------------------------------------------
    def register(self, before: Visit, insn: Insn, after: Visit) -> bool:
        cls, code, n, pc = insn.code & 7, insn.code, self.reg, before.pc
        if cls in (op.BPF_ALU, op.BPF_ALU64) and insn.dst == n:
            self.arithmetic(before, insn, after)
        elif cls == op.BPF_LDX and insn.dst == n:
            self.load(before, insn)
        elif code == LDDW and insn.dst == n:
            self.note(pc, "constant", f"{self.name} is set: {self.text_of(after)}", True)
        elif cls == op.BPF_LD and code != LDDW and n is not None and n < 6:
            kind = ("packet-load", "loaded from the packet") if n == 0 else ("clobber", f"left {self.name} undefined")
            self.note(pc, *kind, True)
        elif cls == op.BPF_STX and code & 0xE0 == op.BPF_ATOMIC and insn.imm & op.BPF_FETCH:
            if n != (0 if insn.imm == op.BPF_CMPXCHG else insn.src):
                return False
            self.note(pc, "load", "the old value of memory, fetched by an atomic operation", True)
        elif code == CALL and insn.src != op.BPF_PSEUDO_CALL and n is not None and n < 6:
            name = helper_name(insn.imm) if insn.src == 0 else f"kernel function #{insn.imm}"
            if n == 0:
                self.note(pc, "helper", f"returned by {name}: {self.text_of(after)}", True)
            else:
                self.note(
                    pc, "clobber", f"the call of {name} left {self.name} undefined, as every call does R1 to R5", True
                )
        else:
            return False
        return True

    def arithmetic(self, before: Visit, insn: Insn, after: Visit) -> None:
        wide = "" if insn.code & 7 == op.BPF_ALU64 else "the lower half of "
        if insn.code & 0xF0 == op.BPF_MOV:
            if not insn.code & op.BPF_X:
                self.note(before.pc, "constant", f"{self.name} is set to {insn.imm}", True)
                return
            self.note(before.pc, "copy", f"{self.name} becomes {wide}R{insn.src}")
            self.reg = insn.src
            return
        old, new = self.value(before), self.value(after)
        text = f"{self.show(old)} becomes {self.show(new)}"
        self.note(before.pc, "change", text)

    def load(self, before: Visit, insn: Insn) -> None:
        base = before.regs[insn.src]
        if base[0] == STACK and not base[1].mask:
            off = base[3] + s64(base[1].value) + insn.off
            self.note(before.pc, "fill", f"{self.name} is read back from the stack, fp{off}")
            self.frameno, self.reg, self.slot = base[4], None, (-off - 1) // 8
            return
        self.note(before.pc, "load", f"{self.name} is read through R{insn.src}, a {self.show(base)}", True)

    def stack_slot(self, before: Visit, insn: Insn) -> bool:
        cls = insn.code & 7
        if cls not in (op.BPF_ST, op.BPF_STX) or insn.code & 0xE0 != op.BPF_MEM:
            return False
        base = before.regs[insn.dst]
        if base[0] != STACK or base[1].mask or base[4] != self.frameno:
            return False
        first = base[3] + s64(base[1].value) + insn.off
        size = op.SIZE_BYTES[insn.code & 0x18]
        if not -(self.slot + 1) * 8 - size < first < -self.slot * 8:
            return False
        if cls == op.BPF_ST:
            self.note(before.pc, "constant", f"the constant {insn.imm} is stored at fp{first}", True)
            return True
        self.note(before.pc, "spill", f"R{insn.src} is stored at fp{first}")
        self.reg = insn.src
        return True

    # --- what changes without being written ----------------------------------------------------------------------------
    def unwritten(self, before: Visit, insn: Insn, old: Reg | None, new: Reg | None) -> None:
        if old is None or new is None or old is new or old == new:
            return
        change = f"{self.show(old)} becomes {self.show(new)}"
        if insn.code == CALL:
            name = helper_name(insn.imm) if insn.src == 0 else "the function called"
            if old[0] in (PACKET, PACKET_META, PACKET_END) and new[0] in (SCALAR, NOT_INIT):
                self.note(
                    before.pc, "moved", f"{name} may move packet data: pointers from before are numbers from here on"
                )
            elif new[0] in (SCALAR, NOT_INIT):
                self.note(
                    before.pc,
                    "released",
                    f"{name} gives the reference back: what was held by it is a number from here on",
                )
            else:
                self.note(before.pc, "change", f"{name}: {change}")
        elif insn.code & 7 in (op.BPF_JMP, op.BPF_JMP32):
            self.note(before.pc, "compare", f"by the comparison {change}")
        else:
            self.note(before.pc, "change", change)

    def text_of(self, visit: Visit) -> str:
        return self.show(self.value(visit))

    def show(self, reg: Reg | None) -> str:
        return show(reg, self.frameno)


def show(reg: Reg | None, frameno: int = 0) -> str:
    """A register in Linux's notation."""
    if reg is None or reg[0] == NOT_INIT:
        return "nothing"
    return reg_text(reg, frameno)


def kind_of(reg: Reg) -> str:
    """The type's name, as messages print it."""
    return type_name(reg[0]) if reg[0] & BASE_MASK else "nothing"


def life(rec: Recording, path: list[Visit], regno: int) -> list[Event]:
    """What became of the value in a register at the end of `path`, first event first."""
    if not path:
        return []
    return _Walk(rec, path, path[-1].frameno, regno).run()


def movers(rec: Recording, path: list[Visit]) -> list[Visit]:
    """Calls on the path after which packet pointers are void."""
    out = []
    for visit in path[:-1]:
        insn = rec.insns[visit.pc]
        if insn.code == CALL and insn.src == 0 and insn.imm in PACKET_MOVERS:
            out.append(visit)
    return out
