"""Loops that converge by forgetting: bpf_loop callbacks, may_goto, open-coded iterators.

Going round such a loop, what differs from the round before and mattered to nothing becomes unknown, so that the next round
finds a state that it knows.
"""

from __future__ import annotations

from userbpf.verifier.ids import IdMap
from userbpf.verifier.regs import SCALAR, ST_SPILL, UNKNOWN_REG, Reg
from userbpf.verifier.state import State


def previous(st: State | None, cur: State, pc: int) -> State | None:
    """The nearest kept state at pc, from `st` upwards, under the same calls as `cur`."""
    while st is not None:
        if st.pc == pc and len(st.frames) == len(cur.frames):
            if all(a.callsite == b.callsite for a, b in zip(st.frames, cur.frames, strict=True)):
                return st
        st = st.parent
    return None


def widen(old: State, cur: State) -> None:
    """Forget in `cur` what differs from `old` and is not precise there; other ids, one to one, are no difference."""
    ids = IdMap(0)
    for a, b in zip(old.frames, cur.frames, strict=True):
        for i in range(10):
            new = _widened(a.regs[i], b.regs[i], a.precise_regs >> i & 1, ids)
            if new is not b.regs[i]:
                b.regs[i] = new
        for i, (types, spill) in enumerate(b.stack):
            if i >= len(a.stack) or spill is None or types[7] != ST_SPILL:
                continue
            before = a.stack[i][1]
            if before is None or a.stack[i][0][7] != ST_SPILL:
                continue
            new = _widened(before, spill, a.precise_slots >> i & 1, ids)
            if new is not spill:
                b.stack[i] = (types, new)


def _widened(old: Reg, cur: Reg, precise: int, ids: IdMap) -> Reg:
    if old[0] != SCALAR or cur[0] != SCALAR or precise:
        return cur
    if old[1] is cur[1] and old[3] == cur[3] and ids.same(old[2], cur[2]):
        return cur
    return UNKNOWN_REG
