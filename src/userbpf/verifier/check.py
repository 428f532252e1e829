"""The checker: interpret the program over abstract states, one path after the other, until every path is safe.

`Checker` holds what all parts share: the program, the current state, pushed branches, kept states, the log and the facts. The
main loop fetches an instruction, asks at prune points whether the path is covered already, and runs the
instruction's *step* (see `compile`).
A step returns the next pc, or EXIT when the path is done. Nothing here recurses with the program's length.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from userbpf.abi.defines import (
    BPF_F_ANY_ALIGNMENT,
    BPF_F_SLEEPABLE,
    BPF_F_STRICT_ALIGNMENT,
    BPF_F_TEST_REG_INVARIANTS,
    BPF_F_TEST_STATE_FREQ,
)
from userbpf.btf import Btf
from userbpf.isa.disasm import disasm
from userbpf.isa.insn import Insn
from userbpf.spec.limits import MAX_CALL_FRAMES
from userbpf.spec.profiles import profile
from userbpf.verifier import (
    attach,
    btf_info,
    calls,
    depth,
    dynptr,
    exceptions,
    fields,
    kfuncs,
    maps,
    older,
    precision,
    prune,
    results,
)
from userbpf.verifier.api import Fact, MapShape, PtrKind, Rejected, Stats, Subprog, VerifiedProg, VerifyRequest
from userbpf.verifier.btfptr import BtfContext
from userbpf.verifier.cfg import CALL, PSEUDO_KFUNC, Cfg, check_subprogs, find_subprogs
from userbpf.verifier.collector import uncollected
from userbpf.verifier.compile import compile_insn
from userbpf.verifier.context import CtxRules
from userbpf.verifier.late import SecondLook
from userbpf.verifier.livestack import LiveStack
from userbpf.verifier.log import Log, picture, shown_regs
from userbpf.verifier.loops import Loops
from userbpf.verifier.maps import MapUse
from userbpf.verifier.regs import (
    ADD_CONST,
    NOT_INIT,
    SCALAR,
    ST_DYNPTR,
    STACK,
    ZERO,
    Reg,
)
from userbpf.verifier.reject import E2BIG, EACCES, EFAULT, EINVAL, EPERM, Reject
from userbpf.verifier.state import Frame, Hist, State

# Linux 6.18.44 has holes that this verifier does not share (it would accept programs that fault): the source of a
# fetching atomic on the stack is not made precise; a sign-extending fill keeps its link; a stack pointer made by `scalar
# += fp` in a callee counts as the main program's, and a record's made so as nobody's (and outlives it); the low half of a
# pointer counts as never zero; a number to which an untrusted pointer is added counts as unchanged; what matters in a
# later round of a callback is not carried back (see `late`); a constant NULL passes for a __arg_nonnull argument; an
# ordered load over its own pointer may go through a context or a socket. A pointer that may be NULL passes, with a size,
# for a helper's buffer that may be NULL. Only tests that compare logs with Linux line by line set this, so that all other
# lines can be compared.
mirror_holes = False
_ALL: Final = -1

Step = Callable[["Checker"], int]

_FP: Final[Reg] = (STACK, ZERO, 0, 0, 0)
_FPS: Final[tuple[Reg, ...]] = tuple((STACK, ZERO, 0, 0, n) for n in range(MAX_CALL_FRAMES))


class Pushed:
    """A branch to be checked later."""

    __slots__ = ("log_mark", "pc", "prev", "state")

    def __init__(self, state: State, pc: int, prev: int, log_mark: int) -> None:
        self.state = state
        self.pc = pc
        self.prev = prev
        self.log_mark = log_mark


class Checker:
    """One verification."""

    def __init__(self, req: VerifyRequest) -> None:
        self.req = req
        self.insns: tuple[Insn, ...] = tuple(req.insns)
        self.log = Log(req.log_level, lambda pc: disasm(self.insns, pc, self.name_call))
        self.allow_ptr_leaks = req.caps.perfmon
        self.profile = profile(req.kernel)
        self.max_insns = self.profile.limits.complexity
        self.max_branches = self.profile.limits.jmp_seq
        self.older = not self.profile.has_all
        self.allow_uninit_stack = req.caps.perfmon and self.profile.has("uninit_stack_reads")
        self.var_stack = self.profile.has("var_stack_access")
        self.narrow_spills = self.profile.has("narrow_spills")
        self.imm_spills = self.profile.has("imm_spills")
        self.bpf_capable = req.caps.bpf
        self.mirror = mirror_holes
        self.strict_alignment = (
            req.prog_flags & (BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT) == BPF_F_STRICT_ALIGNMENT
        )
        self.test_invariants = bool(req.prog_flags & BPF_F_TEST_REG_INVARIANTS)
        self.test_state_freq = bool(req.prog_flags & BPF_F_TEST_STATE_FREQ)
        self.sleepable = bool(req.prog_flags & BPF_F_SLEEPABLE)
        self.ctx_rules: CtxRules | BtfContext = CtxRules(req.prog_type, int(req.expected_attach_type), self.profile)
        self.target: attach.Target | None = None
        self._kernel_btf: Btf | None = None
        self._kernel_btf_asked = False

        self.kernel_names = fields.KernelNames(self.kernel_btf)
        self.object_fields: dict[tuple[Btf, int], fields.Record | None] = {}
        self.maps: list[MapUse] = []
        self.map_of_token: dict[int, MapUse] = {}
        self.arena: MapUse | None = None
        self.lddw_maps: dict[int, MapUse] = {}
        self.kfuncs: dict[tuple[int, int], kfuncs.Kfunc] = {}
        self.extends = False  # replaces a function of another program, by whose type it is checked
        self.handler: int | None = None  # the function that runs when the program throws
        self.absent_kfunc = False  # a function that is not there was reached
        self.ksyms: dict[int, Reg] = {}  # variables of the kernel that are named by lddw
        self.keep_alive: list[MapShape] = []
        self.cfg: Cfg
        self.subprogs: list[Subprog] = []
        self.globals: set[int] = set()
        self.steps: list[Step | None] = []
        self.origins: list[precision.Origin] = []
        self.live_stack = LiveStack(self)
        self.loops: Loops
        self.second_look = SecondLook()
        self.quiet_log = Log(0, self.log.disasm)

        self.st: State
        self.frame: Frame
        self.regs: list[Reg] = []
        self.pc = 0
        self.prev_pc = -1
        self.pushed: list[Pushed] = []
        self.buckets: dict[int, prune.Kept] = {}
        self.last_id = 0
        self.note_entry = False

        self.prog_btf: btf_info.ProgBtf | None = None
        self.source: btf_info.ProgBtf | None = None  # the same, or lines alone
        self.loop_inline: dict[int, bool] = {}
        self.fastcall: depth.Fastcall | None = None
        self.async_subprogs: set[int] = set()
        self._movers: set[int] | None = None
        self._sleepers: set[int] | None = None

        self.scratch_regs = 0
        self.scratch_slots = 0
        self.print_from = False
        self.last_line = -1
        self.line_of: list[int] = []  # instruction -> the one whose source line it belongs to

        self.processed = 0
        self.jumps_processed = 0
        self.kept_jumps = 0
        self.kept_insns = 0
        self.total_states = 0
        self.kept_count = 0
        self.peak_states = 0
        self.max_states = 0
        self.dropped_open: set[State] = set()

        n = len(self.insns)
        self.facts: list[Fact | None] = [None] * n
        self.through = [0] * n  # the type of pointer that each access went through first
        self.seen = bytearray(n)
        self.changes_packet = False
        self.may_sleep = False

    # --- the whole --------------------------------------------------------------------------------------------------------
    def run(self) -> VerifiedProg:
        started = time.monotonic_ns()
        try:
            self._prepare()
            results.check_all(self)
        except Reject as refusal:
            if refusal.text:
                self.say(refusal.text)
            stats = self._finish_log(started, False)
            raise Rejected(refusal.errno, self.log.render(), stats, self.pc) from None
        stats = self._finish_log(started, True)
        return results.verified(self, stats)

    def _prepare(self) -> None:
        insns = self.insns
        if not insns:
            raise Reject(E2BIG)
        if self.req.caps.bpf is False:
            raise Reject(EPERM, "programs without CAP_BPF are not supported")
        maps.bind(self)
        btf_info.check_early(self)
        if self.older:
            older.check_program(self)
        kfuncs.resolve(self)
        starts = find_subprogs(insns)
        handler = exceptions.handler_start(self)
        if handler is not None:
            starts = sorted({*starts, handler})
            self.handler = starts.index(handler)
        if self.log.level2:
            for number, start in enumerate(starts):
                self.log.put(f"func#{number} @{start}")
        self.subprogs = [Subprog(start, end) for start, end in zip(starts, [*starts[1:], len(insns)], strict=True)]
        check_subprogs(insns, starts)
        results.check_btf_info(self, starts)
        insns = self.insns  # as relocations left them
        maps.resolve(self, insns)
        self.cfg = Cfg(
            insns,
            starts,
            self.profile.has("bounded_loops"),
            lambda insn: calls.arg_count(self, insn),
            lambda insn: kfuncs.kind(self, insn),
            self.handler,
        )
        self.target = attach.check(self)
        if self.target is not None:
            self.ctx_rules = BtfContext(self.target)
        self.steps = [None] * len(insns)
        self.loops = Loops(self.cfg.scc)
        self.origins = precision.origins(insns)
        if self.log.level2:
            self.log.put(self.cfg.live_text(lambda pc: self.log.disasm(pc)))
        self.fastcall = depth.find_fastcall(self)
        results.name_subprogs(self)

    def _finish_log(self, started: int, accepted: bool) -> Stats:
        stats = Stats(
            self.processed,
            self.max_states,
            self.total_states,
            self.peak_states,
            0,
            (time.monotonic_ns() - started) // 1000,
            self.log.peak,
            self.log.cuts,
        )
        results.print_stats(self, stats, accepted)
        return stats

    # --- one function -----------------------------------------------------------------------------------------------------
    def check_function(self, number: int, setup: Callable[[Frame], None]) -> None:
        """Every path of one subprogram, taken by itself; `setup` gives the arguments."""
        st = State()
        frame = Frame(-1, 0, number)
        frame.regs[10] = _FP
        setup(frame)
        start = self.cfg.starts[number]
        frame.instance = self.live_stack.instance((), start, None, -1)
        st.frames = [frame]
        st.first_pc = start
        st.last_pc = -1
        self.buckets = {}
        self.set_state(st)
        self.scratch_all()
        self.prev_pc = -1
        self.pc = start
        self.last_line = -1
        self.print_from = False
        self._paths()
        if not self.log.level2:
            self.log.cut(0)

    def _paths(self) -> None:
        insns = self.insns
        n = len(insns)
        cfg = self.cfg
        prune_points, jump_points = cfg.prune, cfg.jump
        steps = self.steps
        log = self.log
        logging = log.on
        seen = self.seen
        marks = shown_regs(insns) if logging else []
        visit = prune.visit
        max_insns = self.max_insns
        while True:
            pc = self.pc
            self.note_entry = False
            if not 0 <= pc < n:
                raise Reject(EFAULT, f"invalid insn idx {pc} insn_cnt {n}")
            self.processed += 1
            if self.processed > max_insns:
                raise Reject(E2BIG, f"BPF program is too large. Processed {self.processed} insn")
            st = self.st
            st.last_pc = self.prev_pc
            st.pc = pc
            if prune_points[pc] and visit(self, pc):
                if logging:
                    if self.print_from:
                        log.raw(f"\nfrom {self.prev_pc} to {pc}: safe\n")
                    else:
                        log.put(f"{pc}: safe")
                if not self._path_done():
                    return
                continue
            if jump_points[pc]:
                self.note_jump()
            if logging:
                if self.print_from and log.level2:
                    log.state(f"\nfrom {self.prev_pc} to {pc}:", picture(self.frame, st.refs))
                self.print_from = False
                if self.scratch_regs or self.scratch_slots:
                    self._print_scratched(pc)
                self.line_info(pc)
                log.insn(pc)
                self.scratch_regs |= marks[pc]
            seen[pc] = 1
            step = steps[pc]
            self.prev_pc = pc
            if step is None:
                step = steps[pc] = self.compile(pc)
            nxt = step(self)
            if nxt >= 0:
                self.pc = nxt
                continue
            if not self._path_done():
                return

    def _path_done(self) -> bool:
        """The current path is safe: account for it and take up the last pushed one. False when all are done."""
        self.scratch_all()
        self._close_branch(self.st)
        self.live_stack.update(self.frame.instance)
        if not self.pushed:
            return False
        entry = self.pushed.pop()
        if self.log.on and not self.log.level2:
            self.log.cut(entry.log_mark)
        self.set_state(entry.state)
        self.pc = entry.pc
        self.prev_pc = entry.prev
        self.print_from = True
        return True

    def _close_branch(self, st: State | None) -> None:
        while st is not None:
            st.branches -= 1
            if st.branches:
                return
            self.loops.leave(self, st)
            if st is self.second_look.root and self.second_look.look(self):
                return
            self.dropped_open.discard(st)
            st = st.parent

    def count_peak(self) -> None:
        held = self.kept_count + len(self.dropped_open) + self.loops.backedges
        if held > self.peak_states:
            self.peak_states = held

    def set_state(self, st: State) -> None:
        self.st = st
        self.frame = st.frames[-1]
        self.regs = self.frame.regs

    def push(self, pc: int, prev: int) -> State:
        """Check the path that goes on at `pc` later."""
        other = self.st.copy()
        other.branches = 1
        if other.parent is not None:
            other.parent.branches += 1
        self.pushed.append(Pushed(other, pc, prev, self.log.mark()))
        if len(self.pushed) > self.max_branches:
            raise Reject(EFAULT, f"The sequence of {len(self.pushed)} jumps is too complex.")
        return other

    def push_again(self, st: State) -> None:
        """Check the path on from where it ended."""
        self.pushed.append(Pushed(st, st.pc, st.last_pc, self.log.mark()))

    def push_program(self, frame: Frame, prev: int) -> State:
        """Check a path of its own later: a function that nothing in the program calls."""
        st = State()
        start = self.cfg.starts[frame.subprog]
        frame.regs[10] = _FP
        frame.instance = self.live_stack.instance((), start, None, -1)
        st.frames = [frame]
        st.first_pc = 0  # as Linux says it; no number that is traced back comes from before the function
        st.last_pc = -1
        self.scratch_all()
        self.pushed.append(Pushed(st, start, prev, self.log.mark()))
        if len(self.pushed) > self.max_branches:
            raise Reject(EFAULT, f"The sequence of {len(self.pushed)} jumps is too complex for async cb.")
        return st

    def bucket(self, pc: int) -> prune.Kept:
        key = ((pc ^ self.frame.callsite) & 0xFFFFFFFF) % len(self.insns)
        found = self.buckets.get(key)
        if found is None:
            found = self.buckets[key] = prune.Kept()
        return found

    # --- steps ------------------------------------------------------------------------------------------------------------
    def compile(self, pc: int) -> Step:
        return compile_insn(self, pc)

    def must_read(self, regno: int) -> None:
        """For compilation: the register exists and is initialised (what comes after on this first visit may rely on it)."""
        if regno > 10:
            raise Reject(EINVAL, f"R{regno} is invalid")
        if self.regs[regno][0] == NOT_INIT:
            raise Reject(EACCES, f"R{regno} !read_ok")

    def must_write(self, regno: int) -> None:
        """For compilation: the register exists and may be written."""
        if regno > 10:
            raise Reject(EINVAL, f"R{regno} is invalid")
        if regno == 10:
            raise Reject(EACCES, "frame pointer is read only")

    def contradiction(self, text: str) -> None:
        """Bounds that contradict each other are reported; by flag they are the end."""
        self.say("verifier bug: " + text)
        if self.test_invariants:
            raise Reject(EFAULT)

    # --- ids, links, precision ----------------------------------------------------------------------------------------------
    def new_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def link_before_copy(self, regno: int) -> Reg:
        """A scalar that is about to be copied gets an id to share; a constant needs none. One that is linked at a distance
        leaves those links: a copy could only be at one distance."""
        reg = self.regs[regno]
        if not reg[2] or reg[2] & ADD_CONST:
            if reg[1].mask:
                reg = self.regs[regno] = (SCALAR, reg[1], self.new_id(), 0, None)
            elif reg[2]:
                reg = self.regs[regno] = (SCALAR, reg[1], 0, 0, None)
        return reg

    def mark_precise(self, regno: int) -> None:
        precision.mark_register(self, regno)

    def note_jump(self) -> None:
        self._note(None, None)

    def note_stack(self, frameno: int, slot: int) -> None:
        self._note((frameno, slot), None)

    def note_linked(self, linked: tuple[tuple[int, bool, int], ...]) -> None:
        self._note(None, linked)

    def _note(self, slot: tuple[int, int] | None, linked: tuple[tuple[int, bool, int], ...] | None) -> None:
        hist = self.st.hist
        if self.note_entry and hist:
            last = hist[-1]
            hist[-1] = Hist(last.pc, last.prev, slot or last.stack, linked or last.linked)
            return
        hist.append(Hist(self.pc, self.st.last_pc, slot, linked))
        self.note_entry = True

    def enter_frame(self, callsite: int, number: int) -> Frame:
        """A fresh frame for a subprogram that is called at `callsite`."""
        frameno = len(self.st.frames)
        if frameno >= MAX_CALL_FRAMES:
            raise Reject(E2BIG, f"the call stack of {frameno + 1} frames is too deep")
        callee = Frame(callsite, frameno, number)
        callee.regs[10] = _FPS[frameno]
        self.scratch_all()
        outer = self.frame.instance
        callee.instance = self.live_stack.instance((*outer.chain, callsite), self.cfg.starts[number], outer, callsite)
        return callee

    def moves_packet(self, number: int) -> bool:
        """Whether a subprogram, or one that it calls, may move packet data."""
        if self._movers is None:
            self._movers = calls.packet_movers(self)
        return number in self._movers

    def sleeps(self, number: int) -> bool:
        """Whether a subprogram, or one that it calls, may sleep."""
        if self._sleepers is None:
            self._sleepers = calls.sleepers(self)
        return number in self._sleepers

    def name_call(self, insn: Insn, value: int) -> str | None:
        return kfuncs.name_of(self, insn) if insn.code == CALL and insn.src == PSEUDO_KFUNC else None

    def kernel_btf(self) -> Btf | None:
        """The kernel's own types, None where there are none."""
        if not self._kernel_btf_asked:
            self._kernel_btf_asked = True
            self._kernel_btf = self.req.vmlinux() if self.req.vmlinux is not None else None
        return self._kernel_btf

    # --- what others ask ----------------------------------------------------------------------------------------------------
    def packet_writable(self) -> bool:
        return calls.packet_writable(self)

    def check_special_fields(self, use: MapUse, reg: Reg, off: int, size: int, by_helper: bool) -> None:
        """Locks, timers and kernel pointers inside a value may not be touched directly."""
        if use.fields is not None:
            fields.forbid(use.fields, reg, off, size, by_helper)

    def destroy_special(self, frame: Frame, index: int) -> None:
        """A slot that holds an object of the kernel's is about to be overwritten."""
        if frame.stack[index][0][7] == ST_DYNPTR:
            dynptr.destroy(self, frame, index)

    def grow_stack(self, frame: Frame, size: int) -> None:
        sub = self.subprogs[frame.subprog]
        if size > sub.stack_depth:
            sub.stack_depth = size

    def same_pointer(self, pc: int, reg: Reg) -> None:
        """One instruction may not work on context (or sockets) on one path and on memory on another."""
        kind = reg[0]
        before = self.through[pc]
        if before == kind:
            return
        self.through[pc] = kind if not before else results.another_pointer(self, pc, before, kind)

    # --- facts --------------------------------------------------------------------------------------------------------------
    def fact_access(self, pc: int, kind: PtrKind, use: MapUse | None, off: int | None) -> None:
        fact = self.facts[pc]
        index = use.index if use is not None and use.index >= 0 else None
        if fact is None or fact.ptr is None:
            if fact is None:
                self.facts[pc] = Fact(ptr=kind, map=index, off=off)
            else:
                fact.ptr, fact.map, fact.off = kind, index, off
            return
        if fact.ptr is not kind:
            results.mix(fact, kind)
        if fact.map != index:
            fact.map = None
            fact.off = None
        if fact.off != off:
            fact.off = None

    def fact_taken(self, pc: int, taken: bool | None) -> None:
        fact = self.facts[pc]
        if fact is None:
            self.facts[pc] = Fact(taken=taken)
        elif fact.taken is not taken:
            fact.taken = None

    # --- log ----------------------------------------------------------------------------------------------------------------
    def say(self, text: str) -> None:
        self.log.put(text)

    def scratch_all(self) -> None:
        self.scratch_regs = self.scratch_slots = _ALL

    def _print_scratched(self, pc: int) -> None:
        self.log.after(pc, picture(self.frame, self.st.refs, self.scratch_regs, self.scratch_slots))
        self.scratch_regs = self.scratch_slots = 0

    def print_state_now(self) -> None:
        """After a conditional jump the state is shown before anything else happens."""
        if self.log.on and (self.scratch_regs or self.scratch_slots):
            self._print_scratched(self.pc)

    def line_info(self, pc: int) -> None:
        if self.line_of:
            results.print_line_info(self, pc)


def verify(req: VerifyRequest) -> VerifiedProg:
    """Check a program: a `VerifiedProg`, or raises `Rejected` with Linux's errno and log."""
    with uncollected:
        return Checker(req).run()
