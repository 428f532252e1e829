"""Callbacks, a second look: prunings inside a callback that a mark which came later takes the ground from.

A helper may call a callback again, so the path that leaves one round ends where it equals the state before an earlier
round, whose other paths are still open. What matters on those is marked in that state when they are walked, which is too late
for the states in between: one of them may have been taken for another that differs in just what turned out to matter. In
Linux 6.18.44 that stands, and a program is accepted whose second round reads beyond its stack. Here the ends of paths inside
callbacks are kept until the outermost call has no open path. Then marks are carried over all of them until nothing changes,
and each path that ended at a state whose marks grew is compared again; one that is not covered any more is taken up where it
ended. Where Linux is right nothing is taken up, and the count of processed instructions is Linux's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from userbpf.verifier import precision
from userbpf.verifier.reject import Reject
from userbpf.verifier.state import State

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

Marks: TypeAlias = tuple[tuple[int, int], ...]


class End:
    """A path that ended at the kept state `old`. `loose`: what did not matter then was not compared."""

    __slots__ = ("cur", "loose", "marks", "old")

    def __init__(self, old: State, cur: State, marks: Marks, loose: bool) -> None:
        self.old = old
        self.cur = cur
        self.marks = marks
        self.loose = loose


def marks_of(st: State) -> Marks:
    return tuple((frame.precise_regs, frame.precise_slots) for frame in st.frames)


class SecondLook:
    """Ends of paths under `root`, the state before the first round of the outermost callback."""

    __slots__ = ("ends", "root")

    def __init__(self) -> None:
        self.root: State | None = None
        self.ends: list[End] = []

    def ended(self, old: State, cur: State, marks: Marks, loose: bool) -> None:
        self.ends.append(End(old, cur, marks, loose))

    def converged(self, cur: State) -> None:
        """`cur` is at a call of a helper that calls back, and equals an open state there."""
        if self.root is None:
            self.root = _outermost(cur)

    def look(self, ck: Checker) -> bool:
        """The root has no open path left. True: paths were taken up again."""
        log, ck.log = ck.log, ck.quiet_log
        try:
            again = self._settle(ck)
        finally:
            ck.log = log
        if not again:
            self.root = None
            self.ends = []
            return False
        for end in again:
            self._take_up(ck, end.cur)
        taken = set(map(id, again))
        self.ends = [end for end in self.ends if id(end) not in taken]
        return True

    def _settle(self, ck: Checker) -> list[End]:
        """Marks over all ends; those that do not hold any more."""
        grown: dict[int, End] = {}
        changed = True
        while changed:
            changed = False
            for end in self.ends:
                marks = marks_of(end.old)
                if marks == end.marks:
                    continue
                end.marks = marks
                grown[id(end)] = end
                changed = True
                try:
                    precision.propagate(ck, end.old, end.cur, end.cur.pc)
                except Reject:  # the way back is lost
                    precision.force_all(ck, end.cur)
        from userbpf.verifier import prune

        return [
            end for end in grown.values() if end.loose and not prune.states_equal(ck, end.old, end.cur, prune.LOOSE)
        ]

    def _take_up(self, ck: Checker, st: State) -> None:
        if ck.cfg.jump[st.pc]:
            st.hist.pop()  # noted when it ended, and noted again when it goes on
        st.branches = 1
        parent = st.parent
        while parent is not None:
            parent.branches += 1
            if parent.branches > 1 or parent is self.root:
                break
            parent = parent.parent
        ck.push_again(st)


def _outermost(cur: State) -> State:
    """The earliest state before a round of the callback that is outermost in `cur`, or would be if it were called."""
    depth = next((n for n, frame in enumerate(cur.frames) if frame.in_callback), len(cur.frames))
    callsite = cur.frames[depth].callsite if depth < len(cur.frames) else cur.pc
    root, st = cur, cur.parent
    while st is not None and len(st.frames) >= depth:
        if len(st.frames) == depth and st.pc == callsite:
            root = st
        st = st.parent
    return root
