"""Why a program was refused: what Linux's log does not say.

A layer over the same facts, never mixed into the log. The refused verification is recorded (`record`), the register at fault is
followed back to where its value came from (`life`), and a rule that knows the refusal's message says what the instruction
needed, where the fact that would have given it was lost, and what usually mends it. Rules stand in `RULES`, first match
wins; for a message of no rule the path and the register's life speak alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

from userbpf.errors import messages
from userbpf.isa import opcodes as op
from userbpf.verifier.api import Rejected, VerifyRequest
from userbpf.verifier.life import Event, kind_of, life, movers, show
from userbpf.verifier.record import Recording, Visit, record
from userbpf.verifier.regs import PACKET, PACKET_END, PACKET_META, SCALAR, Reg

QUIET: Final = ("func#", "Validating ")
STATS: Final = 4


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
class Explanation:
    """A refusal explained. `to_dict` gives the same as plain data, the shape of `verify --json`.

    `rule`: the rule that knew the message, "" for none. `needed`: what the instruction asks for. `known`: what was known
    instead. `cause`: where the missing fact was lost or never gained. `advice`: what usually mends it, best first.
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
    life: list[Step] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


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
        self.number: Reg | None = None  # the value whose bounds matter
        self.out = Explanation(
            error.errno or 0,
            self.last_line,
            self.pc,
            rec.text(self.pc) if rec.insns else "",
            self.place(self.pc),
        )

    # --- what rules ask ----------------------------------------------------------------------------------------------------
    def place(self, pc: int) -> Place | None:
        found = self.rec.line(pc)
        return Place(found[0], found[2], found[1].strip()) if found is not None else None

    def at(self, pc: int) -> str:
        """ "line 12" or "instruction 5": where an instruction is, for sentences."""
        place = self.place(pc)
        return f"line {place.line}" if place is not None and place.line else f"instruction {pc}"

    def reg(self, number: int) -> Reg:
        return self.path[-1].regs[number] if self.path else self.ck.regs[number]

    def follow(self, number: int) -> list[Event]:
        """Make a register the one at fault; its life."""
        events = life(self.rec, self.path, number)
        self.out.register = number
        self.out.life = self._steps(events)
        self.number = self.reg(number)
        self.out.known = f"R{number} is {show(self.reg(number), self.path[-1].frameno if self.path else 0)}"
        return events

    def follow_addend(self, number: int) -> int:
        """For a pointer at fault because of what was added to it: the number becomes the one at fault. The register."""
        self.follow(number)
        for event in reversed(self.out.life):
            insn = self.rec.insns[event.pc]
            if event.kind == "change" and insn.code == op.BPF_ALU64 | op.BPF_ADD | op.BPF_X:
                at = max(i for i, visit in enumerate(self.path) if visit.pc == event.pc)
                visit = self.path[at]
                regno = insn.src if visit.regs[insn.src][0] == SCALAR else insn.dst
                if visit.regs[regno][0] == SCALAR:
                    self.out.register = regno
                    self.out.life = self._steps(life(self.rec, self.path[: at + 1], regno))
                    self.out.known += f"; R{regno}, added to it at {self.at(event.pc)}, is {show(visit.regs[regno])}"
                    self.number = visit.regs[regno]
                    return regno
        self.number = self.reg(number)
        return number

    def _steps(self, events: list[Event]) -> list[Step]:
        return [Step(e.pc, self.rec.text(e.pc), e.kind, e.text, self.place(e.pc)) for e in events]

    def comparisons(self) -> list[tuple[Visit, Reg, Reg]]:
        """Comparisons of two registers on the path: the visit and both operands before it."""
        out = []
        for visit in self.path[:-1]:
            insn = self.rec.insns[visit.pc]
            if (
                insn.code & 7 in (op.BPF_JMP, op.BPF_JMP32)
                and insn.code & op.BPF_X
                and insn.code & 0xF0 not in (0x80, 0x90)
            ):
                out.append((visit, visit.regs[insn.dst], visit.regs[insn.src]))
        return out

    def packet_checks(self) -> list[tuple[Visit, Reg]]:
        """Comparisons of a packet pointer with the end: the visit and the packet pointer."""
        out = []
        for visit, a, b in self.comparisons():
            if b[0] == PACKET_END and a[0] in (PACKET, PACKET_META):
                out.append((visit, a))
            elif a[0] == PACKET_END and b[0] in (PACKET, PACKET_META):
                out.append((visit, b))
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
    from userbpf.verifier import explain_rules as _rules  # noqa: F401  registers its rules

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


__all__ = ["Case", "Explanation", "Place", "Rule", "Step", "explain", "explain_recording", "kind_of", "movers", "rule"]
