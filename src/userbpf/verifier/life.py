"""The life of a register: back along the recorded path, through copies, spills and calls, to where its value came from.

What an instruction did to the value that is followed becomes an `Event`. The walk ends where the value was made (a constant, a
load, the result of a helper) or the path begins.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.spec.ctx import ctx_fields
from userbpf.verifier.calls import PACKET_MOVERS
from userbpf.verifier.cfg import CALL, LDDW
from userbpf.verifier.domain import s64
from userbpf.verifier.record import Recording, Visit
from userbpf.verifier.regs import (
    BASE_MASK,
    CTX,
    NOT_INIT,
    PACKET,
    PACKET_END,
    PACKET_META,
    SCALAR,
    STACK,
    Reg,
    ref_of,
    type_name,
)
from userbpf.verifier.words import value as words

MAX_EVENTS: Final = 10_000
ROUNDS_SHOWN: Final = 2  # of a loop: the first and the last
# programs whose context is the arguments of a kernel function, 8 bytes each
TYPED: Final = frozenset((ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS, ProgType.EXT))
MADE: Final = frozenset(("constant", "load", "helper", "packet-load", "clobber", "written"))


@dataclass(frozen=True, slots=True)
class Event:
    """What an instruction did to the value: `kind` is one of the words below, `text` a sentence without subject.

    copy, spill, fill, argument, result: it went from one place to another; constant, load, helper, packet-load, written:
    it was made here; clobber: a call left the register undefined; moved: packet data may have moved; released: its
    reference was given back; compare: a comparison taught something; change: arithmetic, or anything else. `old` and
    `new` are the value before and after, `who` the function that was called or the type that was read through.
    """

    pc: int
    kind: str
    text: str
    number: int = 0  # of the visit
    old: Reg | None = None
    new: Reg | None = None
    who: str = ""


class _Walk:
    def __init__(self, rec: Recording, path: list[Visit], frameno: int, regno: int) -> None:
        self.rec = rec
        self.path = path
        self.frameno = frameno
        self.reg: int | None = regno  # None: a slot
        self.slot = 0
        self.events: list[Event] = []
        self.done = False

    def note(
        self,
        at: Visit,
        kind: str,
        text: str,
        done: bool = False,
        old: Reg | None = None,
        new: Reg | None = None,
        who: str = "",
    ) -> None:
        self.events.append(Event(at.pc, kind, text, at.number, old, new, who))
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
            written = self.stack_slot(before, insn, after)
        if not written and after.frameno == self.frameno:
            self.unwritten(before, insn, self.value(before), self.value(after))

    def other_frame(self, before: Visit, after: Visit) -> None:
        if before.frameno > self.frameno and after.frameno == self.frameno:  # the exit of a called function
            if self.reg == 0:
                self.frameno = before.frameno
                self.note(before, "result", "returned from the function as R0")
            elif self.reg is not None and self.reg < 6:
                self.note(before, "clobber", f"the call left {self.name} undefined", True)
        elif before.frameno < self.frameno:  # the call that entered the function
            call = self.rec.insns[before.pc]
            if self.reg is not None and self.reg < 6 and call.src != op.BPF_PSEUDO_CALL:
                text = f"argument {self.reg} of the callback, given by {self.rec.callee(call)}"
                self.note(before, "helper", text, True, None, self.value(after), self.rec.callee(call))
            elif self.reg is not None and 0 < self.reg < 6:
                self.frameno = before.frameno
                self.note(before, "argument", f"passed to the function as argument {self.reg}")
            else:
                self.done = True

    # --- what instructions write ---------------------------------------------------------------------------------------
    def register(self, before: Visit, insn: Insn, after: Visit) -> bool:
        cls, code, n = insn.code & 7, insn.code, self.reg
        if cls in (op.BPF_ALU, op.BPF_ALU64) and insn.dst == n:
            self.arithmetic(before, insn, after)
        elif cls == op.BPF_LDX and insn.dst == n:
            self.load(before, insn)
        elif code == LDDW and insn.dst == n:
            self.note(before, "constant", f"{self.name} is set: {self.text_of(after)}", True)
        elif cls == op.BPF_LD and code != LDDW and n is not None and n < 6:
            kind = ("packet-load", "loaded from the packet") if n == 0 else ("clobber", f"left {self.name} undefined")
            self.note(before, *kind, True)
        elif cls == op.BPF_STX and code & 0xE0 == op.BPF_ATOMIC and insn.imm & op.BPF_FETCH:
            if n != (0 if insn.imm == op.BPF_CMPXCHG else insn.src):
                return False
            self.note(before, "load", "the old value of memory, fetched by an atomic operation", True)
        elif code == CALL and insn.src != op.BPF_PSEUDO_CALL and n is not None and n < 6:
            self.called(before, insn, after)
        else:
            return False
        return True

    def called(self, before: Visit, insn: Insn, after: Visit) -> None:
        name = self.rec.callee(insn)
        if self.reg == 0:
            text = f"returned by {name}: {self.text_of(after)}"
            self.note(before, "helper", text, True, None, self.value(after), name)
            return
        text = f"the call of {name} left {self.name} undefined, as every call does R1 to R5"
        self.note(before, "clobber", text, True, self.value(before), None, name)

    def arithmetic(self, before: Visit, insn: Insn, after: Visit) -> None:
        wide = "" if insn.code & 7 == op.BPF_ALU64 else "the lower half of "
        if insn.code & 0xF0 == op.BPF_MOV:
            if not insn.code & op.BPF_X:
                self.note(before, "constant", f"{self.name} is set to {insn.imm}", True)
                return
            old, new = before.regs[insn.src], self.value(after)
            text = f"{self.name} becomes {wide}R{insn.src}"
            if wide and old != new:
                text += f": {self.show(new)}"
            self.note(before, "copy", text, False, old, new)
            self.reg = insn.src
            return
        self.changed(before, self.value(before), self.value(after))

    def changed(self, at: Visit, old: Reg | None, new: Reg | None) -> None:
        self.note(at, "change", f"{self.show(old)} becomes {self.show(new)}", False, old, new)

    def load(self, before: Visit, insn: Insn) -> None:
        base = before.regs[insn.src]
        if base[0] == STACK and not base[1].mask:
            off = base[3] + s64(base[1].value) + insn.off
            self.note(before, "fill", f"{self.name} is read back from the stack, fp{off}")
            self.frameno, self.reg, self.slot = base[4], None, (-off - 1) // 8
            return
        where = (base[0], base[1], base[2], base[3] + insn.off, base[4])
        text = f"{self.name} is read from the {self.show(where).removeprefix('the ')}"
        if base[0] == CTX:
            text = f"{self.name} is read from {self.field(base[3] + insn.off)}"
        self.note(before, "load", text, True, base, None, words(base))

    def field(self, off: int) -> str:
        """A field of the context by name."""
        req = self.rec.checker.req
        fields = ctx_fields(req.prog_type, int(req.expected_attach_type))
        if req.prog_type in TYPED and off % 8 == 0:
            return f"argument {off // 8 + 1} of the program (ctx[{off // 8}])"
        found = next((f.name for f in fields if f.off <= off < f.off + f.size), "")
        return f"the context's {found}" if found else f"the context + {off}"

    def stack_slot(self, before: Visit, insn: Insn, after: Visit) -> bool:
        cls = insn.code & 7
        if insn.code == CALL:
            return self.filled_by_call(before, insn, after)
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
            self.note(before, "constant", f"the constant {insn.imm} is stored at fp{first}", True)
            return True
        self.note(before, "spill", f"R{insn.src} is stored at fp{first}")
        self.reg = insn.src
        return True

    def filled_by_call(self, before: Visit, insn: Insn, after: Visit) -> bool:
        """A call that wrote the slot through a pointer among its arguments."""
        if insn.src == op.BPF_PSEUDO_CALL or after.frameno != self.frameno or self.slot >= len(after.stack):
            return False
        old = before.stack[self.slot] if self.slot < len(before.stack) else None
        new = after.stack[self.slot]
        name = self.rec.callee(insn)
        starts = -(self.slot + 1) * 8
        aimed = any(
            reg[0] == STACK and not reg[1].mask and starts <= reg[3] + s64(reg[1].value) < starts + 8
            for reg in before.regs[1:6]
        )
        if old == new and not (aimed and name.startswith(("bpf_probe_read", "bpf_copy_from_user"))):
            return False
        if old is not None and old[0] == new[0] and old[1] is not None and new[1] is not None:
            return False  # what was spilled there changed its type: told as such
        self.note(before, "written", f"{self.name} is written by {name}", True, None, None, name)
        return True

    # --- what changes without being written ----------------------------------------------------------------------------
    def unwritten(self, before: Visit, insn: Insn, old: Reg | None, new: Reg | None) -> None:
        if old is None or new is None or old is new or old == new:
            return
        if insn.code == CALL:
            name = self.rec.callee(insn)
            packet = old[0] in (PACKET, PACKET_META, PACKET_END)
            if new[0] in (SCALAR, NOT_INIT) and (packet or (self.moves(insn) and not ref_of(old))):
                text = f"{name} may move packet data: pointers from before are numbers from here on"
                self.note(before, "moved", text, False, old, new, name)
            elif new[0] in (SCALAR, NOT_INIT) and old[0] != SCALAR:
                text = f"{name} gives the reference back: what was held by it is a number from here on"
                self.note(before, "released", text, False, old, new, name)
            else:
                text = f"{name}: {self.show(old)} becomes {self.show(new)}"
                self.note(before, "change", text, False, old, new, name)
        elif insn.code & 7 in (op.BPF_JMP, op.BPF_JMP32):
            if self.show(old) == self.show(new):
                return
            text = f"known from here on: {self.show(new)} (before: {self.show(old)})"
            self.note(before, "compare", text, False, old, new)
        elif self.show(old) != self.show(new):
            self.changed(before, old, new)

    @staticmethod
    def moves(insn: Insn) -> bool:
        return insn.src == 0 and insn.imm in PACKET_MOVERS

    def text_of(self, visit: Visit) -> str:
        return self.show(self.value(visit))

    def show(self, reg: Reg | None) -> str:
        return words(reg, self.frameno)


def kind_of(reg: Reg) -> str:
    """The type's name, as messages print it."""
    return type_name(reg[0]) if reg[0] & BASE_MASK else "nothing"


def life(rec: Recording, path: list[Visit], regno: int) -> list[Event]:
    """What became of the value in a register at the end of `path`, first event first."""
    if not path:
        return []
    return _Walk(rec, path, path[-1].frameno, regno).run()


def shortened(events: list[Event]) -> list[Event]:
    """Rounds of a loop but the first and the last are left out; the last says how many there were."""
    rounds = Counter((e.pc, e.kind) for e in events)
    seen: Counter[tuple[int, str]] = Counter()
    out = []
    for event in events:
        key = event.pc, event.kind
        seen[key] += 1
        if rounds[key] > ROUNDS_SHOWN and 1 < seen[key] < rounds[key]:
            continue
        if rounds[key] > ROUNDS_SHOWN and seen[key] == rounds[key]:
            event = replace(event, text=f"{event.text} (time {rounds[key]} on this path)")
        out.append(event)
    return out


def movers(rec: Recording, path: list[Visit]) -> list[Visit]:
    """Calls on the path after which packet pointers are void."""
    out = []
    for visit in path[:-1]:
        insn = rec.insns[visit.pc]
        if insn.code == CALL and insn.src == 0 and insn.imm in PACKET_MOVERS:
            out.append(visit)
    return out
