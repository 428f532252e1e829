"""Linux's level-2 log, read back as steps of the scalar domain.

The log prints every bound that is not trivial, so a printed scalar is a whole `Val`, and one log of a random program is
some fifty questions and answers: state before, instruction, state after. `Steps` replays a log of a program without stack or
pointers and yields those questions; `answer` puts them to a domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from userbpf.isa.insn import Insn
from userbpf.verifier import domain

Fields = tuple[int, ...]
TRIVIAL = (0, domain.U64, domain.S64_MIN, domain.S64_MAX, 0, domain.U64, domain.S32_MIN, domain.S32_MAX, 0, domain.U32)
NAMES = {"smin": 2, "smax": 3, "umin": 4, "umax": 5, "smin32": 6, "smax32": 7, "umin32": 8, "umax32": 9}

_REG = re.compile(r"\bR(\d+)(?:_\w+)?=(P?)(scalar\([^()]*(?:\([^()]*\))?[^()]*\)|-?0x[0-9a-f]+|-?\d+|\S+)")
_STEP = re.compile(r"^(\d+): (?:\(([0-9a-f]{2})\) (.*?)(?:\s+; (R.*))?|(R.*))$")
_FROM = re.compile(r"^from (\d+) to (\d+)[^:]*: (.*)$")


def parse_scalar(text: str) -> Fields | None:
    """The ten fields of a printed scalar; None for anything that is no scalar."""
    if text.startswith("scalar("):
        fields = list(TRIVIAL)
        inner = text[7:-1]
        var_off = re.search(r"var_off=\((0x[0-9a-f]+); (0x[0-9a-f]+)\)", inner)
        if var_off:
            fields[0], fields[1] = int(var_off[1], 16), int(var_off[2], 16)
            inner = inner[: var_off.start()]
        for part in inner.split(","):
            *names, number = part.split("=")
            for name in names:
                at = NAMES.get(name)
                if at is not None:
                    fields[at] = _bound(number, at)
        return tuple(fields)
    if re.fullmatch(r"-?(0x[0-9a-f]+|\d+)", text):
        return domain.const(int(text, 0)).fields
    return None


def _bound(number: str, at: int) -> int:
    n = int(number, 0)
    if at in (4, 5):
        return n & domain.U64
    if at in (8, 9):
        return n & domain.U32
    if at in (2, 3):
        return domain.s64(n & domain.U64)
    return domain.s32(n & domain.U32)


def parse_regs(text: str) -> dict[int, Fields | None]:
    """`R6=scalar(...) R7=5` as register to fields."""
    return {int(m[1]): parse_scalar(m[3]) for m in _REG.finditer(text)}


def scalars_in(log: str) -> list[str]:
    """The text of each printed register, without the mark of precision."""
    return [m[3] for m in _REG.finditer(log)]


@dataclass(slots=True)
class Question:
    """One executed instruction: operands before, what is asked, and what Linux answered."""

    pc: int
    insn: Insn
    before: dict[int, Fields | None]
    after: dict[int, Fields | None]  # after falling through
    line: str
    shown: bool  # whether the log shows the state after
    jumped: dict[int, Fields | None] | None = None  # after jumping, where the log shows that
    next_pc: int = -1
    bugs: tuple[str, ...] = ()  # contradictions reported
    loaded: Fields | None = None  # a load from the stack: the register last stored there
    both_ways: bool | None = None  # a jump: whether both sides are followed; None where the log leaves it open


def questions(insns: list[Insn], log: str) -> Iterator[Question]:
    """All steps of a log, in order; a jump's other side is found where the log takes it up later."""
    done: list[Question] = []
    sides: dict[int, list[dict[int, Fields | None]]] = {}
    state: dict[int, Fields | None] = {}
    last: Question | None = None
    spilled: Fields | None = None
    for line in log.splitlines():
        if m := _FROM.match(line):
            last = None
            state = parse_regs(m[3])
            sides.setdefault(int(m[1]), []).append(state)
            continue
        if last is not None and line.startswith("verifier bug: "):
            last.bugs += (line[14:],)
            continue
        m = _STEP.match(line)
        if not m or line.startswith("      "):
            continue
        pc = int(m[1])
        if m[5]:
            if last is not None and last.pc == pc:  # the state of the last instruction, pushed to a line of its own
                last.after.update(parse_regs(m[5]))
                last.shown = True
                state = last.after
            else:
                state = parse_regs(m[5])
            continue
        if last is not None:
            last.next_pc = pc
        after = dict(state)
        after.update(parse_regs(m[4] or ""))
        last = Question(pc, insns[pc], state, after, line, bool(m[4]))
        if last.insn.code & 0xE7 == 0x63 and last.insn.dst == 10:
            spilled = state.get(last.insn.src)
        elif last.insn.code & 7 == 1 and last.insn.src == 10:
            last.loaded = spilled
        done.append(last)
        state = after
    _match_sides(done, sides)
    return iter(done)


def _match_sides(done: list[Question], sides: dict[int, list[dict[int, Fields | None]]]) -> None:
    """Give each jump its other side, where it was visited once; of several visits only none or all are clear."""
    visits: dict[int, list[Question]] = {}
    for q in done:
        visits.setdefault(q.pc, []).append(q)
    for pc, qs in visits.items():
        found = sides.get(pc, [])
        if not found or len(found) == len(qs):
            for q in qs:
                q.both_ways = bool(found)
            if len(found) == 1:
                qs[0].jumped = found[0]


Answer = tuple[str, Any, Any]  # what was asked, Linux's answer, the domain's


def answer(dom: ModuleType | Any, q: Question) -> list[Answer]:
    """Everything the domain can say about the question, beside what Linux said; scalars only."""
    code, dst, src, _, imm = q.insn
    klass, op, by_reg = code & 7, code & 0xF0, code & 8
    d = q.before.get(dst)
    if klass in (4, 7):
        s = q.before.get(src) if by_reg and op not in (0x80, 0xD0) else _imm(imm, klass == 7)
        if s is None or not q.shown or (d is None and op != 0xB0):
            return []
        return _answer_alu(dom, q, d, s)
    if klass == 1 and q.loaded is not None:
        val = dom.make(*q.loaded)
        nbytes = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}[code & 0x18]
        out = dom.sext(val, nbytes * 8, True) if code & 0xE0 == 0x80 else dom.cast(val, nbytes)
        return [("load", q.after.get(dst), out.fields)]
    if klass in (5, 6) and op not in (0x00, 0x80, 0x90, 0xE0):
        s = q.before.get(src) if by_reg else _imm(imm, klass == 5)
        if d is None or s is None or q.both_ways is None:
            return []
        return _answer_branch(dom, q, d, s)
    return []


def _answer_alu(dom: ModuleType | Any, q: Question, d: Fields | None, s: Fields) -> list[Answer]:
    code, dst, _, off, imm = q.insn
    op, is64 = code & 0xF0, code & 7 == 7
    sv = dom.make(*s)
    if op == 0xB0:
        out = dom.sext(sv, off, is64) if off else sv if is64 else dom.mov32(sv)
        return [("mov", q.after.get(dst), out.fields)]
    assert d is not None
    dv = dom.make(*d)
    if op == 0xD0:
        out = dom.bswap(dv, imm // 8) if is64 or code & 8 else dom.to_le(dv, imm // 8)
        return [("end", q.after.get(dst), out.fields)]
    if op in (0x30, 0x90) and off:
        op |= 0x100
    split = dom.sign_mask(dv) if op in (0x40, 0x50) and not sv.mask else None
    if split:
        dv = split[0]
    out = dom.alu(op, is64, dv, sv)
    reports = (dom.alu_reports[op, is64, dv, sv],) if (op, is64, dv, sv) in dom.alu_reports else ()
    return [("alu", q.after.get(dst), out.fields), ("alu report", q.bugs, reports)]


def _answer_branch(dom: ModuleType | Any, q: Question, d: Fields, s: Fields) -> list[Answer]:
    code, dst, src, _, _ = q.insn
    op, is32, by_reg = code & 0xF0, code & 7 == 6, bool(code & 8)
    dv, sv = dom.make(*d), dom.make(*s)
    if by_reg and src == dst:
        pred, at, af = dom.branch_self(op, is32, dv)
        bt, bf, reports = at, af, dom.self_reports.get((op, is32, dv), ())
    else:
        pred, at, bt, af, bf = dom.branch(op, is32, dv, sv)
        reports = dom.branch_reports.get((op, is32, dv, sv), ())
    if not q.both_ways and q.next_pc < 0:
        return []
    theirs = None if q.both_ways else q.next_pc != q.pc + 1
    out: list[Answer] = [("prediction", theirs, pred)]
    if pred is None and theirs is None and q.shown:
        out.append(("branch report", q.bugs, reports))
        out.append(("fall", q.after.get(dst), af.fields))
        if by_reg:
            out.append(("fall src", q.after.get(src), bf.fields))
        if q.jumped is not None:
            out.append(("jump", q.jumped.get(dst), at.fields))
            if by_reg and src in q.jumped:
                out.append(("jump src", q.jumped.get(src), bt.fields))
    return out


def differs(theirs: Any, ours: Any) -> bool:
    """Whether two answers differ. The log shows of a constant nothing but the constant."""
    if isinstance(ours, tuple) and len(ours) == 10 and theirs and not theirs[1]:
        return bool(theirs[:2] != ours[:2])
    return bool(theirs != ours)


def _imm(imm: int, is64: bool) -> Fields:
    return domain.const(imm if is64 else imm & domain.U32).fields
