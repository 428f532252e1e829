"""The path that failed, instruction by instruction: a verification again, by a checker that remembers.

States are made of immutable registers, so remembering one costs a tuple. Each visit of an instruction becomes a `Visit` that
points at the one before it on the same path: what no open path leads to any more is forgotten by itself. Verdict and order
are those of the plain checker, whose every decision this one shares; it only looks on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from userbpf.isa.disasm import disasm
from userbpf.isa.insn import Insn
from userbpf.isa.opcodes import BPF_PSEUDO_CALL
from userbpf.verifier.api import Rejected, VerifyRequest
from userbpf.verifier.calls import helper_name
from userbpf.verifier.check import Checker, Step
from userbpf.verifier.collector import uncollected
from userbpf.verifier.regs import Reg, Slot
from userbpf.verifier.state import Frame, Ref, State

MAX_KEPT: Final = 20_000  # visits that a recording of everything keeps


class Visit:
    """One instruction on a path, and the state before it. `before` is the visit that led here, None at the entry."""

    __slots__ = ("before", "callsite", "frameno", "number", "pc", "refs", "regs", "stack")

    def __init__(
        self,
        before: Visit | None,
        number: int,
        pc: int,
        frameno: int,
        callsite: int,
        regs: tuple[Reg, ...],
        stack: tuple[Slot, ...],
        refs: tuple[Ref, ...],
    ) -> None:
        self.before = before
        self.number = number
        self.pc = pc
        self.frameno = frameno
        self.callsite = callsite
        self.regs = regs
        self.stack = stack
        self.refs = refs

    def path(self) -> list[Visit]:
        """From the entry to this visit."""
        out: list[Visit] = []
        visit: Visit | None = self
        while visit is not None:
            out.append(visit)
            visit = visit.before
        out.reverse()
        return out


class Recorder(Checker):
    """The checker, with its last visit at hand; `kept` has all of them in order, where that was asked for."""

    def __init__(self, req: VerifyRequest, keep_all: bool = False) -> None:
        super().__init__(req)
        self.visit: Visit | None = None
        self.kept: list[Visit] | None = [] if keep_all else None
        self.visits = 0
        self._led_to: dict[State, Visit | None] = {}

    def check_function(self, number: int, setup: Callable[[Frame], None]) -> None:
        self.visit = None  # a path of its own
        super().check_function(number, setup)

    def push(self, pc: int, prev: int) -> State:
        other = super().push(pc, prev)
        self._led_to[other] = self.visit
        return other

    def set_state(self, st: State) -> None:
        super().set_state(st)
        if st in self._led_to:
            self.visit = self._led_to.pop(st)

    def remember(self, pc: int) -> None:
        """The state as it is, before the instruction."""
        before = self.visit
        frame = self.frame
        regs, stack = tuple(frame.regs), tuple(frame.stack)
        if before is not None:  # most of it did not change
            regs = before.regs if before.regs == regs else regs
            stack = before.stack if before.stack == stack else stack
        self.visits += 1
        self.visit = Visit(before, self.visits, pc, frame.frameno, frame.callsite, regs, stack, self.st.refs)
        if self.kept is not None and len(self.kept) < MAX_KEPT:
            self.kept.append(self.visit)

    def compile(self, pc: int) -> Step:
        self.remember(pc)  # what compilation refuses is refused at this visit
        try:
            step = super().compile(pc)
        finally:
            remembered = self.visit
        first = True

        def recorded(ck: Checker) -> int:
            nonlocal first
            if first and self.visit is remembered:
                first = False
            else:
                self.remember(pc)
            return step(ck)

        return recorded


class Recording:
    """What a verification did: `error` where it ended in a refusal, `last` the visit at which it did."""

    def __init__(self, checker: Recorder, error: Rejected | None) -> None:
        self.checker = checker
        self.error = error
        self.last = checker.visit
        self.insns: tuple[Insn, ...] = checker.insns

    def text(self, pc: int) -> str:
        """The instruction as Linux prints it."""
        return disasm(self.insns, pc, self.checker.name_call)

    def callee(self, insn: Insn) -> str:
        """The name of what a call calls."""
        if insn.src == BPF_PSEUDO_CALL:
            return "the function called"
        if insn.src == 0:
            return helper_name(insn.imm)
        found = self.checker.kfuncs.get((insn.imm, insn.off))
        return found.name if found is not None else f"kernel function #{insn.imm}"

    def line(self, pc: int) -> tuple[str, str, int] | None:
        """(file, text, number) of the source line that an instruction belongs to."""
        ck = self.checker
        if not ck.line_of or ck.source is None or not 0 <= pc < len(ck.line_of):
            return None
        return ck.source.lines.get(ck.line_of[pc])

    def visits_of_path(self) -> list[Visit]:
        """The path that failed, from the entry on; empty where the refusal came before the first instruction."""
        return self.last.path() if self.last is not None else []

    def everything(self) -> Iterator[Visit]:
        """All visits in order, up to MAX_KEPT, of a recording that kept them."""
        yield from self.checker.kept or ()


def record(req: VerifyRequest, keep_all: bool = False) -> Recording:
    """Verify `req` again and remember. The log of the recording is the one that `req` asks for."""
    checker = Recorder(req, keep_all)
    with uncollected:
        try:
            checker.run()
        except Rejected as e:
            return Recording(checker, e)
    return Recording(checker, None)
