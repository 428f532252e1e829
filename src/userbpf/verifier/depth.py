"""How deep the stack gets: frames along every chain of calls, and what Linux adds and takes away before it asks.

A compiler spills registers around a call that would clobber them. A call marked *fastcall* clobbers nothing but r0 and its
arguments, so Linux takes such spills and fills out again, and the slots below the function's other ones with them: `Fastcall`
finds the patterns and holds the contract, that nothing else touches those slots. Tracing programs have *private stacks*:
frames of their own memory that add up to nothing. Loops that Linux inlines need a few slots, which only the log shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import AttachType, HelperId, ProgType
from userbpf.isa.insn import Insn
from userbpf.spec.helpers import HELPERS
from userbpf.spec.limits import MAX_BPF_STACK, MAX_CALL_FRAMES
from userbpf.verifier import exceptions
from userbpf.verifier.cfg import CALL, LDDW, PSEUDO_CALL, PSEUDO_FUNC, PSEUDO_KFUNC
from userbpf.verifier.reject import E2BIG, EACCES, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.state import Frame

MAX_BEFORE_TAIL_CALL: Final = 256
SPILL: Final = 0x7B  # *(u64 *)(dst + off) = src
FILL: Final = 0x79
MAY_GOTO: Final = 0xE5
MAY_GOTO_BYTES: Final = 16  # the loop's counter and the time it began
BPF_LOOP_BYTES: Final = 24  # the registers that an inlined bpf_loop keeps
# elsewhere another function stands behind bpf_get_smp_processor_id, which is called like any other
CPU_NUMBER: Final = frozenset(
    (
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.XDP,
        ProgType.LWT_IN,
        ProgType.LWT_OUT,
        ProgType.LWT_XMIT,
        ProgType.LWT_SEG6LOCAL,
        ProgType.KPROBE,
        ProgType.TRACEPOINT,
        ProgType.PERF_EVENT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.TRACING,
        ProgType.LSM,
        ProgType.SYSCALL,
    )
)
PRIVATE: Final = frozenset((ProgType.KPROBE, ProgType.TRACEPOINT, ProgType.PERF_EVENT, ProgType.RAW_TRACEPOINT))
TAIL_CALL: Final = int(HelperId.tail_call)


# --- fastcall ------------------------------------------------------------------------------------------------------------


class Fastcall:
    """Spills around fastcalls: which instructions they are, and from where on down a function's slots are theirs.

    They are taken out (`done`) once all paths are known.
    """

    __slots__ = ("done", "floors", "pcs")

    def __init__(self, pcs: set[int], floors: dict[int, int]) -> None:
        self.pcs = pcs
        self.floors = floors
        self.done = False

    def touch(self, pc: int, frame: Frame, low: int) -> None:
        """An access at `low` in a frame: any but the patterns' own below the floor ends the contract."""
        if pc not in self.pcs and low < self.floors.get(frame.subprog, -MAX_BPF_STACK):
            del self.floors[frame.subprog]


def find_fastcall(ck: Checker) -> Fastcall | None:
    """The patterns of a program; None where there are none, as in most."""
    if not ck.profile.has("fastcall"):
        return None
    pcs: set[int] = set()
    floors: dict[int, int] = {}
    for pc, insn in enumerate(ck.insns):
        if insn[0] != CALL:
            continue
        free = _kept_by(ck, insn)
        if not free:
            continue
        number = ck.cfg.subprog_of[pc]
        span = range(ck.cfg.starts[number], ck.cfg.ends[number])
        off = min((i.off for i in ck.insns[span.start : span.stop] if i.code == SPILL and i.dst == 10), default=0)
        pairs = list(_pairs(ck.insns, pc, span, off, free))
        if pairs:
            pcs.update(*pairs)
            floors[number] = min(floors.get(number, 0), off + 8 * len(pairs))
    return Fastcall(pcs, floors) if pcs else None


def _kept_by(ck: Checker, insn: Insn) -> set[int]:
    """The argument registers that a call leaves alone; none unless it is a fastcall."""
    used = -1
    if insn.src == 0 and insn.imm in _FASTCALL_HELPERS and ck.req.prog_type in CPU_NUMBER:
        used = _FASTCALL_HELPERS[insn.imm]
    elif insn.src == PSEUDO_KFUNC:
        kfunc = ck.kfuncs.get((insn.imm, insn.off))
        if kfunc is not None and kfunc.has("fastcall"):
            used = len(kfunc.params)
    return set(range(used + 1, 6)) if used >= 0 else set()


_FASTCALL_HELPERS: Final = {int(helper): len(row.args) for helper, row in HELPERS.items() if row.fastcall}


def _pairs(insns: Sequence[Insn], pc: int, span: range, off: int, free: set[int]) -> Iterator[tuple[int, int]]:
    """Spill and fill of one register on both sides of the call, from the inside out, at rising offsets."""
    free = set(free)
    for distance in range(1, 6):
        before, after = pc - distance, pc + distance
        if before not in span or after not in span:
            return
        spill, fill = insns[before], insns[after]
        if spill.code != SPILL or fill.code != FILL or spill.dst != 10 or fill.src != 10:
            return
        if spill.off != off or fill.off != off or spill.src != fill.dst or spill.src not in free:
            return
        free.discard(spill.src)
        off += 8
        yield before, after


# --- depth -----------------------------------------------------------------------------------------------------------------


def depth_of(ck: Checker, number: int) -> int:
    """Bytes of a function's frame, spills around fastcalls taken out."""
    floor = ck.fastcall.floors.get(number) if ck.fastcall is not None and ck.fastcall.done else None
    return ck.subprogs[number].stack_depth if floor is None else -floor


def shown(ck: Checker, accepted: bool) -> str:
    """The line `stack depth` of the log: an accepted program has no dead functions left, and the slots of inlined loops."""
    extra = [0] * len(ck.subprogs)
    left = list(range(len(ck.subprogs)))
    if accepted:
        left = [number for number, sub in enumerate(ck.subprogs) if any(ck.seen[sub.start : sub.end])]
        for pc in [pc for pc, insn in enumerate(ck.insns) if insn[0] == MAY_GOTO]:
            if ck.insns[pc].off and ck.seen[pc]:
                extra[ck.cfg.subprog_of[pc]] |= MAY_GOTO_BYTES
        for number in {ck.cfg.subprog_of[pc] for pc, fits in ck.loop_inline.items() if fits}:
            extra[number] += BPF_LOOP_BYTES
    return "+".join(str(depth_of(ck, n) + extra[n]) for n in left) or "0"


def check_depth(ck: Checker) -> None:
    """The frames of any chain of calls fit the stack together."""
    cfg = ck.cfg
    if ck.fastcall is not None:
        ck.fastcall.done = True
    if len(ck.subprogs) == 1:
        return  # a single frame was checked access by access
    calls: list[list[int]] = [[] for _ in ck.subprogs]
    tails: set[int] = set()
    for pc, insn in enumerate(ck.insns):
        if (insn.code == CALL and insn.src == PSEUDO_CALL) or (insn.code == LDDW and insn.src == PSEUDO_FUNC):
            callee = cfg.subprog_of[pc + insn.imm + 1]
            if insn.code == CALL or callee not in ck.async_subprogs:
                calls[cfg.subprog_of[pc]].append(callee)
        elif insn.code == CALL and insn.src == 0 and insn.imm == TAIL_CALL:
            tails.add(cfg.subprog_of[pc])
    _walk(ck, 0, calls, tails, not tails and _has_private_stack(ck))
    for number in sorted(ck.async_subprogs):
        _walk(ck, number, calls, tails, False)
    if ck.handler is not None:
        _walk(ck, ck.handler, calls, tails, False)
    exceptions.check_calls(ck)


def _walk(ck: Checker, root: int, calls: list[list[int]], tails: set[int], private: bool) -> None:
    # depth first over call chains, each (function, depth, frames) once; recursion ends at the limit of frames
    seen: set[tuple[int, int, int]] = set()
    todo: list[tuple[int, int, int]] = [(root, 0, 1)]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        number, depth, frames = here
        if frames > MAX_CALL_FRAMES:
            raise Reject(E2BIG, f"the call stack of {MAX_CALL_FRAMES} frames is too deep !")
        if number and number in tails and depth >= MAX_BEFORE_TAIL_CALL:
            # what is jumped to gets a whole stack, on top of that of the callers
            raise Reject(
                EACCES,
                f"tail_calls are not allowed when call stack of previous frames is {depth} bytes. Too large",
            )
        if not private:
            depth += depth_of(ck, number) + 15 & ~15
        if depth > MAX_BPF_STACK:
            raise Reject(EACCES, f"combined stack size of {frames} calls is {depth}. Too large")
        todo += [(callee, depth, frames + 1) for callee in reversed(calls[number])]


def _has_private_stack(ck: Checker) -> bool:
    """Frames of 64 bytes and more are memory of their own then, and 8 smaller ones always fit."""
    prog_type = ck.req.prog_type
    if not ck.profile.has("private_stack"):
        return False
    if prog_type == ProgType.TRACING:
        return int(ck.req.expected_attach_type) != AttachType.TRACE_ITER
    return prog_type in PRIVATE
