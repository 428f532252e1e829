"""Which stack slots will still be read: accumulated while paths are checked.

Registers have static liveness; which slot an access touches only shows when it is interpreted. So each call chain has an
`Instance` that collects, for every instruction and every frame the chain can reach, what some visit may read and what all
visits write, and a backward solution of these facts. The solution is brought up to date where a path ends, and what a callee
may read of its callers' frames then counts as read by the call. A slot that nothing found so far reads is dead, and a
kept state drops it; reads found later cannot revive it, so this acts in the order of time, as in Linux.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from userbpf.verifier.log import slots_list

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

ALL: Final = (1 << 64) - 1


class Marks:
    """One instruction, one frame: masks of slots."""

    __slots__ = ("may_read", "must_write")

    def __init__(self, may_read: int, must_write: int) -> None:
        self.may_read = may_read
        self.must_write = must_write


class Instance:
    """One function under one chain of calls."""

    __slots__ = ("acc", "chain", "depth", "dirty", "live", "marks", "outer", "shrunk", "start")

    def __init__(self, chain: tuple[int, ...], start: int, outer: Instance | None, callsite: int) -> None:
        self.chain = chain
        self.start = start
        self.depth = len(chain)
        self.outer = (outer, callsite) if outer is not None else None
        self.dirty = False
        self.shrunk = False  # something counted as always written is not
        frames = self.depth + 1
        self.marks: list[dict[int, Marks]] = [{} for _ in range(frames)]
        self.live: list[dict[int, int]] = [{} for _ in range(frames)]
        self.acc: list[dict[int, int]] = [{} for _ in range(frames)]

    @property
    def name(self) -> str:
        return "(" + ",".join(str(n) for n in (*self.chain, self.start)) + ")"


class LiveStack:
    """All instances of a program."""

    __slots__ = ("_ck", "_reads", "_writes", "instances", "pending")

    def __init__(self, ck: Checker) -> None:
        self._ck = ck
        self.instances: dict[tuple[int, ...], Instance] = {}
        self.pending = False
        self._reads = [0] * 8
        self._writes = [0] * 8

    def instance(self, chain: tuple[int, ...], start: int, outer: Instance | None, callsite: int) -> Instance:
        key = (*chain, start)
        found = self.instances.get(key)
        if found is None:
            found = self.instances[key] = Instance(chain, start, outer, callsite)
        return found

    def read(self, frameno: int, mask: int) -> None:
        self.pending = True
        self._reads[frameno] |= mask

    def write(self, frameno: int, mask: int) -> None:
        self.pending = True
        self._writes[frameno] |= mask

    def commit(self, instance: Instance, pc: int) -> None:
        """What this visit of pc did counts from here on; for every instruction that can touch the stack."""
        for frameno in range(instance.depth + 1):
            read = self._reads[frameno]
            write = self._writes[frameno]
            table = instance.marks[frameno]
            marks = table.get(pc)
            if marks is None:
                table[pc] = Marks(read, write)
                if write or read & ~instance.live[frameno].get(pc, 0):
                    instance.dirty = True
                continue
            if read & ~marks.may_read:
                marks.may_read |= read
                if read & ~instance.live[frameno].get(pc, 0):
                    instance.dirty = True
            if marks.must_write & ~write:
                marks.must_write &= write
                instance.dirty = instance.shrunk = True
        if self.pending:
            for frameno in range(8):
                self._reads[frameno] = self._writes[frameno] = 0
            self.pending = False

    def update(self, instance: Instance | None) -> None:
        """Bring the solution up to date, from the innermost frame outward."""
        while instance is not None:
            if instance.dirty:
                self._solve(instance)
            if instance.outer is None:
                return
            outer, callsite = instance.outer
            self._tell_outer(instance, outer, callsite)
            instance = outer

    def _tell_outer(self, instance: Instance, outer: Instance, callsite: int) -> None:
        for frameno in range(outer.depth + 1):
            read = instance.live[frameno].get(instance.start, 0)
            write = instance.acc[frameno].get(instance.start, 0)
            table = outer.marks[frameno]
            marks = table.get(callsite)
            if marks is None:
                if read or write:
                    table[callsite] = Marks(read, write)
                    if write or read & ~outer.live[frameno].get(callsite, 0):
                        outer.dirty = True
                continue
            if read & ~marks.may_read:
                marks.may_read |= read
                if read & ~outer.live[frameno].get(callsite, 0):
                    outer.dirty = True
            if marks.must_write & ~write:
                marks.must_write &= write
                outer.dirty = outer.shrunk = True

    def _solve(self, instance: Instance) -> None:
        ck = self._ck
        cfg = ck.cfg
        number = cfg.subprog_of[instance.start]
        order: Sequence[int] = cfg.orders[number]
        one_pass = cfg.one_pass[number]
        log = ck.log
        if instance.shrunk:
            instance.shrunk = False
            for acc in instance.acc:
                acc.clear()
        rounds = 0
        changed = True
        while changed:
            changed = False
            rounds += 1
            for frameno in range(instance.depth + 1):
                changed |= self._pass(instance, frameno, order)
            if changed and one_pass:
                rounds += 1  # the next one would find nothing new: successors came first
                break
        instance.dirty = False
        if log.level2:
            log.put(f"{instance.name} live stack update done in {rounds} iterations")

    def _pass(self, instance: Instance, frameno: int, order: Sequence[int]) -> bool:
        """One pass over a function, successors first; True if anything is new."""
        cfg = self._ck.cfg
        logging = self._ck.log.level2
        succ = cfg.succ
        marks_of = instance.marks[frameno].get
        live = instance.live[frameno]
        acc = instance.acc[frameno]
        live_of, acc_of = live.get, acc.get
        changed = False
        for pc in order:
            targets = succ[pc]
            if len(targets) == 1:
                before = live_of(targets[0], 0)
                written = acc_of(targets[0], 0)
            elif targets:
                before = 0
                written = ALL
                for target in targets:
                    before |= live_of(target, 0)
                    written &= acc_of(target, 0)
            else:
                before = written = 0
            marks = marks_of(pc)
            if marks is not None:
                before = before & ~marks.must_write | marks.may_read
                written |= marks.must_write
            old_live = live_of(pc, 0)
            old_acc = acc_of(pc, 0)
            if before == old_live and written == old_acc:
                continue
            changed = True
            live[pc] = before
            acc[pc] = written
            if logging:
                own = marks is not None and (marks.may_read or marks.must_write)
                if own or cfg.prune[pc] or pc == instance.start:
                    self._log(instance, frameno, pc, old_live, before, old_acc, written)
        return changed

    def _log(self, instance: Instance, frameno: int, pc: int, live0: int, live1: int, acc0: int, acc1: int) -> None:
        head = f"{instance.name} frame {frameno} insn {pc} "
        for name, old, new in (("live", live0, live1), ("written", acc0, acc1)):
            plus, minus = new & ~old, old & ~new
            text = (f"+{name} {slots_list(plus)} " if plus else "") + (f"-{name} {slots_list(minus)}" if minus else "")
            if text:
                self._ck.log.put(head + text)

    @staticmethod
    def alive(places: Sequence[tuple[int, Instance, int]], frameno: int) -> int:
        """Slots of a frame that are read later, where frames (their numbers first) go on at these instructions."""
        mask = 0
        for number, instance, pc in places:
            if number >= frameno:
                mask |= instance.live[frameno].get(pc, 0)
        return mask
