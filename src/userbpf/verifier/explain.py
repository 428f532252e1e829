"""Why a program was refused: what Linux's log does not say.

A layer over the same facts, never mixed into the log. The refused verification is recorded (`record`), the register at fault is
followed back to where its value came from (`life`), and a rule that knows the refusal's message says what the instruction
needed, where the fact that would have given it was lost, and what usually mends it. The rules are in the package `rules`, a
module a subject, first match wins; for a message of no rule the path and the register's life speak alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

from userbpf.errors import messages
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.verifier.api import Rejected, VerifyRequest
from userbpf.verifier.life import Event, life, shortened
from userbpf.verifier.log import STATS
from userbpf.verifier.record import Recording, Visit, record
from userbpf.verifier.regs import PACKET, PACKET_END, PACKET_META, SCALAR, UNINIT, Reg
from userbpf.verifier.words import value

QUIET: Final = ("func#", "Validating ")
JUMPS: Final = (op.BPF_JMP, op.BPF_JMP32)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the source, as the object's BTF has it."""

    file: str
    line: int
    text: str


@dataclass(slots=True)
class Step:
    """One event of the register's life, with its instruction and place."""

    pc: int
    insn: str
    kind: str
    text: str
    place: Place | None = None


@dataclass(slots=True)
class Lost:
    """Where the fact that was needed was lost, or where it should have been gained and was not."""

    pc: int
    insn: str
    place: Place | None = None


@dataclass(slots=True)
class Explanation:
    """A refusal explained. `to_dict` gives the same as plain data, the shape of `verify --json`.

    `rule`: the rule that knew the message, "" for none. `needed`: what the instruction asks for. `known`: what was known
    instead. `cause`: where the missing fact was lost or never gained, `lost` that place. `advice`: what usually mends it,
    best first. `life`: what became of `register` until then, of loops the first round and the last.
    """

    errno: int
    message: str
    pc: int
    insn: str
    place: Place | None
    rule: str = ""
    register: int | None = None
    needed: str = ""
    known: str = ""
    cause: str = ""
    lost: Lost | None = None
    life: list[Step] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def is_branch(insn: Insn) -> bool:
    """Whether it is a comparison that jumps or not."""
    return insn.code & 7 in JUMPS and insn.code & 0xF0 not in (op.BPF_JA, op.BPF_CALL, op.BPF_EXIT, op.BPF_JCOND)


class Case:
    """One refusal, as the rules look at it."""

    def __init__(self, rec: Recording, error: Rejected) -> None:
        self.rec = rec
        self.ck = rec.checker
        self.req: VerifyRequest = rec.checker.req
        self.path = rec.visits_of_path()
        lines = [line for line in messages(error.log) if not line.startswith(QUIET)]
        self.message = "\n".join(lines[-3:])
        self.last_line = lines[-1] if lines else ""
        pc = error.pc if error.pc is not None and 0 <= error.pc < len(rec.insns) else 0
        self.pc = self.path[-1].pc if self.path else pc
        self.events: list[Event] = []  # the life of the register at fault, whole
        self.out = Explanation(
            error.errno or 0,
            self.last_line,
            self.pc,
            rec.text(self.pc) if rec.insns else "",
            self.place(self.pc) if self.path or pc else None,
        )

    # --- what rules ask ----------------------------------------------------------------------------------------------------
    @property
    def insn(self) -> Insn:
        """The refused instruction."""
        return self.rec.insns[self.pc]

    def place(self, pc: int) -> Place | None:
        found = self.rec.line(pc)
        return Place(found[0], found[2], found[1].strip()) if found is not None else None

    def at(self, pc: int) -> str:
        """ "line 12" or "instruction 5": where an instruction is, for sentences."""
        place = self.place(pc)
        return f"line {place.line}" if place is not None and place.line else f"instruction {pc}"

    def reg(self, number: int) -> Reg:
        return self.path[-1].regs[number] if self.path else UNINIT

    def show(self, reg: Reg) -> str:
        return value(reg, self.path[-1].frameno if self.path else 0)

    def follow(self, number: int) -> list[Event]:
        """Make a register the one at fault; its life."""
        self.life_of(self.path, number)
        self.out.known = f"R{number} is {self.show(self.reg(number))}"
        return self.events

    def life_of(self, path: list[Visit], number: int) -> None:
        """Make the register that it was at the end of a path the one at fault."""
        self.events = life(self.rec, path, number)
        self.out.register = number
        self.out.life = [
            Step(e.pc, self.rec.text(e.pc), e.kind, e.text, self.place(e.pc)) for e in shortened(self.events)
        ]

    def lose(self, pc: int) -> None:
        """Say where the fact was lost."""
        self.out.lost = Lost(pc, self.rec.text(pc), self.place(pc))

    def visit(self, number: int) -> int:
        """Index of a visit on the path."""
        return next((i for i, v in enumerate(self.path) if v.number == number), len(self.path) - 1)

    def addend(self) -> tuple[int, Visit, Reg] | None:
        """The number that was last added to a pointer: its register, the visit of the addition, its value then."""
        for event in reversed(self.events):
            insn = self.rec.insns[event.pc]
            if event.kind == "change" and insn.code == op.BPF_ALU64 | op.BPF_ADD | op.BPF_X:
                visit = self.path[self.visit(event.number)]
                regno = insn.src if visit.regs[insn.src][0] == SCALAR else insn.dst
                if visit.regs[regno][0] == SCALAR and visit.regs[regno][1].mask:
                    return regno, visit, visit.regs[regno]
        return None

    def branches(self) -> list[tuple[int, Visit]]:
        """Comparisons on the path, with their index in it; the refused instruction is none of them."""
        insns = self.rec.insns
        return [(i, v) for i, v in enumerate(self.path[:-1]) if is_branch(insns[v.pc])]

    def taken(self, index: int) -> bool:
        """Whether the path jumped at a comparison."""
        pc = self.path[index].pc
        return self.path[index + 1].pc == pc + 1 + self.rec.insns[pc].off

    def packet_checks(self) -> list[tuple[Visit, Reg, bool]]:
        """Comparisons of a packet pointer with the end: the visit, the pointer, and whether the bytes exist on this path."""
        out = []
        for i, visit in self.branches():
            insn = self.rec.insns[visit.pc]
            if not insn.code & op.BPF_X:
                continue
            a, b = visit.regs[insn.dst], visit.regs[insn.src]
            code, taken = insn.code & 0xF0, self.taken(i)
            if b[0] == PACKET_END and a[0] in (PACKET, PACKET_META):
                out.append((visit, a, taken if code in (op.BPF_JLT, op.BPF_JLE) else not taken))
            elif a[0] == PACKET_END and b[0] in (PACKET, PACKET_META):
                out.append((visit, b, taken if code in (op.BPF_JGT, op.BPF_JGE) else not taken))
        return out


class Rule(NamedTuple):
    """`pattern` is searched in the last lines of the log."""

    name: str
    pattern: re.Pattern[str]
    tell: Callable[[Case, re.Match[str]], None]


RULES: list[Rule] = []


def rule(
    name: str, *patterns: str
) -> Callable[[Callable[[Case, re.Match[str]], None]], Callable[[Case, re.Match[str]], None]]:
    """Register a rule; its message is searched for any of the patterns."""

    def add(tell: Callable[[Case, re.Match[str]], None]) -> Callable[[Case, re.Match[str]], None]:
        RULES.append(Rule(name, re.compile("|".join(patterns)), tell))
        return tell

    return add


REGISTER: Final = re.compile(r"\bR(\d+)\b")


def explain(req: VerifyRequest) -> Explanation | None:
    """Verify `req` once more and explain the refusal; None where it is accepted."""
    return explain_recording(record(replace(req, log_level=STATS)))


def explain_recording(rec: Recording) -> Explanation | None:
    """Explain the refusal that a recording at log level 4 ended in."""
    from userbpf.verifier import rules as _rules  # noqa: F401  registers them

    if rec.error is None:
        return None
    case = Case(rec, rec.error)
    for entry in RULES:
        found = entry.pattern.search(case.message)
        if found is not None:
            case.out.rule = entry.name
            line = next(ln for ln in case.message.splitlines() if found[0].splitlines()[0] in ln)
            if line != case.last_line:
                case.out.message = f"{line}; {case.last_line}"
            entry.tell(case, found)
            if case.path and case.out.lost is None and case.events:
                _lost_in_life(case)
            break
    else:
        _generic(case)
    return case.out


def _generic(case: Case) -> None:
    """A message of no rule: the register that it names, if any."""
    case.out.needed = case.last_line or os.strerror(case.out.errno)
    found = REGISTER.search(case.last_line)
    if found is not None and int(found[1]) < 11 and case.path:
        case.follow(int(found[1]))


def _lost_in_life(case: Case) -> None:
    """No rule said where: the last event that lost something, or else where the value came from."""
    events = case.events
    gone = next((e for e in reversed(events) if e.kind in ("moved", "released", "clobber")), None)
    case.lose((gone or events[0]).pc)
