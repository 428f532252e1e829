"""What rules of several subjects ask of a case."""

from __future__ import annotations

import re

from userbpf.isa import opcodes as op
from userbpf.verifier.cfg import CALL
from userbpf.verifier.explain import Case, is_branch
from userbpf.verifier.life import MADE, Event
from userbpf.verifier.record import Visit

Match = re.Match[str]


def last_of(events: list[Event], *kinds: str) -> Event | None:
    """The latest event of some kinds."""
    return next((e for e in reversed(events) if e.kind in kinds), None)


def origin(events: list[Event]) -> Event | None:
    """Where the value was made."""
    return events[0] if events and events[0].kind in MADE else None


def accessed(case: Case) -> int:
    """The register that the refused instruction accesses memory through."""
    return case.insn.src if case.insn.code & 7 == op.BPF_LDX else case.insn.dst


def calls_of(case: Case, *names: str) -> list[Visit]:
    """Calls of some helpers or kernel functions on the path."""
    insns = case.rec.insns
    return [v for v in case.path[:-1] if insns[v.pc].code == CALL and case.rec.callee(insns[v.pc]) in names]


def parting(case: Case, after: int) -> Visit | None:
    """The last comparison behind a visit: where this path took a way of its own. The check of a pointer for NULL is none."""
    from userbpf.verifier.regs import MAYBE_NULL

    for _, visit in reversed(case.branches()):
        insn = case.rec.insns[visit.pc]
        if visit.number <= after:
            break
        if not (visit.regs[insn.dst][0] & MAYBE_NULL and not insn.imm) and is_branch(insn):
            return visit
    return None
