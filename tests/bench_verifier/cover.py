"""Pruning checked along concrete runs: wherever a run comes, some kept state must describe it in all that matters.

The whole verifier runs first, with a state kept at every prune point (BPF_F_TEST_STATE_FREQ) unless an older one covers it.
Then the machine runs the program: at each prune point there must be a kept state of the same calls that holds the run's pointers,
zero bytes and those scalars that are precise; scalars that are not may be anything, that is what pruning relies on. A comparison
of states that is too lax, a mark of precision that is missing or a slot taken for dead shows as a place that nothing describes.
"""

from __future__ import annotations

from unittest.mock import patch

from bench_verifier.follow import Checked, Follower, Leak, machine_for, request
from bench_verifier.generate import Program
from bench_verifier.machine import Machine
from userbpf.verifier import prune
from userbpf.verifier import regs as R
from userbpf.verifier.check import Checker
from userbpf.verifier.collector import uncollected
from userbpf.verifier.state import Frame, State

TEST_STATE_FREQ = 1 << 3


class Kept:
    """A verification that was let run to its end, with all states that it kept."""

    def __init__(self, prog: Program) -> None:
        self.prog = prog
        self.states: dict[int, list[State]] = {}
        self.checker = Checker(request(prog, TEST_STATE_FREQ))
        keep = prune._keep

        def watched(ck: Checker, pc: int, cur: State, bucket: prune.Kept) -> None:
            keep(ck, pc, cur, bucket)
            assert cur.parent is not None
            self.states.setdefault(pc, []).append(cur.parent)

        with patch.object(prune, "_keep", watched), uncollected:
            self.checker.run()
        for states in self.states.values():
            for state in states:
                prune._clean(self.checker, state)  # what nothing reads may be anything

    def along(self, seed: int, most: int = 2000) -> Checked:
        """One run; how much was compared, an instruction being one where states are kept. Raises Leak."""
        run = _Run(self, machine_for(self.prog, seed))
        points = self.checker.cfg.prune
        compared = 0
        for _ in range(most):
            if run.machine.done:
                break
            if points[run.machine.pc]:
                run.covered()
                compared += 1
            run.machine.step()
        return Checked(compared, run.checked)


class _Run:
    """What `Follower` knows of values, for states that come from elsewhere."""

    _holds = Follower._holds
    _region = Follower._region

    def __init__(self, kept: Kept, machine: Machine) -> None:
        self.kept = kept
        self.machine = machine
        self.base = 0
        self.checked = 0

    def covered(self) -> None:
        pc = self.machine.pc
        self.base = self.machine.roots[-1]
        why = "no state was kept"
        for state in self.kept.states.get(pc, ()):
            try:
                self._fits(state)
                return
            except Leak as e:
                why = str(e)
        raise Leak(f"pc {pc}: nothing kept describes the run: {why}")

    def _fits(self, state: State) -> None:
        m, live, base = self.machine, self.kept.checker.cfg.live, self.base
        if len(state.frames) != len(m.callers) - base + 1:
            raise Leak("other calls")
        ids: dict[int, int] = {}
        last = len(state.frames) - 1
        for number, frame in enumerate(state.frames):
            if number and m.callers[base + number - 1].callsite != frame.callsite:
                raise Leak("other calls")
            pc = state.pc if number == last else state.frames[number + 1].callsite
            words = m.regs if number == last else m.callers[base + number].regs
            whole = number == last or state.frames[number + 1].in_callback
            for i in range(10) if whole else range(6, 10):
                reg = frame.regs[i]
                if not live[pc] >> i & 1 or reg[0] == R.NOT_INIT:
                    continue
                if reg[0] != R.SCALAR or frame.precise_regs >> i & 1:
                    self._holds(f"frame {number} R{i}", reg, words[i], ids)
            self._stack(number, frame, ids)

    def _stack(self, number: int, frame: Frame, ids: dict[int, int]) -> None:
        base = self.machine.stacks[self.base + number] + 512
        for i, (types, spill) in enumerate(frame.stack):
            content = self.machine.bytes_at(base - 8 * (i + 1), 8)
            where = f"frame {number} fp-{8 * (i + 1)}"
            for at, kind in enumerate(reversed(types)):
                if kind == R.ST_ZERO and content[at]:
                    raise Leak(f"{where}: byte {at} is {content[at]}, not 0")
            if types == R.SPILLED and spill is not None:
                if spill[0] != R.SCALAR or frame.precise_slots >> i & 1:
                    self._holds(where, spill, int.from_bytes(content, "little"), ids)


__all__ = ["Kept"]
