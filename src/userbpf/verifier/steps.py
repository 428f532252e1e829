"""A recorded verification as plain data: instructions, and the state at each step, for pages and programs to read.

Texts of registers repeat a lot, so each is written once and named by number. A long verification is cut: of a refusal the
last steps of its path are kept, of an accepted program the first ones; `whole` says whether it was.
"""

from __future__ import annotations

from typing import Any, Final

from userbpf.verifier.cfg import LDDW
from userbpf.verifier.log import reg_text
from userbpf.verifier.record import Recording, Visit
from userbpf.verifier.regs import NOT_INIT, SLOT_CHARS

MAX_STEPS: Final = 3000


class Texts:
    """Each text once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._index: dict[str, int] = {}

    def number(self, text: str) -> int:
        found = self._index.get(text)
        if found is None:
            found = self._index[text] = len(self.all)
            self.all.append(text)
        return found


def state_of(visit: Visit, texts: Texts) -> list[list[int]]:
    """Pairs of name and value, as numbers of texts."""
    out = [
        [texts.number(f"R{n}"), texts.number(reg_text(reg, visit.frameno))]
        for n, reg in enumerate(visit.regs)
        if reg[0] != NOT_INIT
    ]
    for n, (types, spill) in enumerate(visit.stack):
        if any(types):
            chars = "".join(SLOT_CHARS[t] for t in types)
            value = reg_text(spill, visit.frameno) if spill is not None else chars
            out.append([texts.number(f"fp{-(n + 1) * 8}"), texts.number(value)])
    if visit.refs:
        out.append([texts.number("refs"), texts.number(", ".join(str(r.id) for r in visit.refs))])
    return out


def steps_data(rec: Recording) -> dict[str, Any]:
    """`insns` (pc, text, file, line, source), `steps` (pc, frame, before: the step that led here, state), `texts`."""
    texts = Texts()
    path = rec.visits_of_path() if rec.error is not None else list(rec.everything())
    total = len(path) if rec.error is not None else rec.checker.visits
    kept = path[-MAX_STEPS:] if rec.error is not None else path[:MAX_STEPS]
    insns: list[dict[str, Any]] = []
    pc = 0
    while pc < len(rec.insns):
        line = rec.line(pc)
        file, source, number = line if line else ("", "", 0)
        insns.append({"pc": pc, "text": rec.text(pc), "file": file, "line": number, "source": source.rstrip("\n")})
        pc += 2 if rec.insns[pc].code == LDDW else 1
    numbers = {visit.number: at for at, visit in enumerate(kept)}
    steps = [
        {
            "pc": visit.pc,
            "frame": visit.frameno,
            "before": numbers.get(visit.before.number, -1) if visit.before is not None else -1,
            "state": state_of(visit, texts),
        }
        for visit in kept
    ]
    return {
        "insns": insns,
        "steps": steps,
        "texts": texts.all,
        "total": total,
        "whole": len(kept) == total,
    }
