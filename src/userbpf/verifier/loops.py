"""Loops whose paths are still open: what is pruned inside them, and what is settled when they are left.

A state kept inside a strongly connected component may be compared with before all paths through the loop are done. Then
its precision marks are not complete, so the comparison takes all ranges as if they mattered, and the pruned
path is remembered as a *backedge*. When the first state of the component has no open path left, precision is carried over the
backedges until nothing changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.verifier import precision
from userbpf.verifier.state import State

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

MAX_ROUNDS: Final = 64


class Visit:
    """One traversal of one component under one chain of calls."""

    __slots__ = ("backedges", "entry", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entry: State | None = None
        self.backedges: list[State] = []


class Loops:
    """All traversals under way."""

    __slots__ = ("_scc", "backedges", "visits")

    def __init__(self, scc: list[int]) -> None:
        self._scc = scc
        self.backedges = 0
        self.visits: dict[tuple[int, ...], Visit] = {}

    def _key(self, st: State) -> tuple[int, ...] | None:
        chain: list[int] = []
        last = len(st.frames) - 1
        for number in range(last + 1):
            pc = st.pc if number == last else st.frames[number + 1].callsite
            scc = self._scc[pc]
            if scc:
                return (*chain, scc)
            chain.append(pc)
        return None

    def incomplete(self, st: State) -> bool:
        """Whether the state lies in a loop that was pruned against itself and is still open."""
        if not self.visits:
            return False
        key = self._key(st)
        if key is None:
            return False
        found = self.visits.get(key)
        return found is not None and bool(found.backedges)

    def enter(self, ck: Checker, st: State) -> None:
        key = self._key(st)
        if key is None:
            return
        found = self.visits.get(key)
        if found is None:
            found = self.visits[key] = Visit("(" + ",".join(str(n) for n in key) + ")")
        if found.entry is None:
            found.entry = st
            if ck.log.level2:
                ck.log.put(f"SCC enter {found.name}")

    def add_backedge(self, ck: Checker, old: State, cur: State, pc: int) -> None:
        key = self._key(old)
        if key is None:
            return
        found = self.visits.get(key)
        if found is None:
            return
        if ck.log.level2:
            ck.log.put(f"SCC backedge {found.name}")
        edge = cur.copy()
        edge.parent = cur.parent
        edge.equal = old
        edge.pc = pc
        found.backedges.insert(0, edge)  # the latest is settled first
        self.backedges += 1
        ck.count_peak()

    def leave(self, ck: Checker, st: State) -> None:
        """The state has no open path left."""
        if not self.visits:
            return
        key = self._key(st)
        if key is None:
            return
        found = self.visits.get(key)
        if found is None or found.entry is not st:
            return
        if ck.log.level2:
            ck.log.put(f"SCC exit {found.name}")
        self._settle(ck, found)
        found.entry = None
        self.backedges -= len(found.backedges)
        found.backedges = []

    def _settle(self, ck: Checker, found: Visit) -> None:
        for _ in range(MAX_ROUNDS):
            changed = False
            for edge in found.backedges:
                assert edge.equal is not None
                if precision.propagate(ck, edge.equal, edge, edge.pc):
                    changed = True
            if not changed:
                return
        for edge in found.backedges:
            precision.force_all(ck, edge)
