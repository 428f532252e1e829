"""Which scalars mattered: the way back from a use to where the value came from.

A scalar that decides about safety (an offset added to a pointer, a size, an operand of a predicted branch) must be compared
exactly when states are compared; all others may differ. So at such a use the checker walks its own path backwards over the
history, instruction by instruction, with the set of registers and slots that fed the value, and marks them in every
checkpoint it passes. The current state needs no marks: it is compared with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from userbpf.isa.insn import Insn
from userbpf.verifier.cfg import CALL, EXIT, LDDW, PSEUDO_CALL, SYNC
from userbpf.verifier.log import picture, slots_list
from userbpf.verifier.regs import SCALAR
from userbpf.verifier.reject import EFAULT, Reject
from userbpf.verifier.stack import is_scalar_spill
from userbpf.verifier.state import Hist, State, numbers_of

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

ARGS: Final = 0b111110
SAVED: Final = 0b1111000000


class Wanted:
    """Registers and slots whose origin is sought, by frame."""

    __slots__ = ("besides", "frame", "quiet", "regs", "slots")

    def __init__(self, frame: int) -> None:
        self.frame = frame
        self.besides: list[tuple[State, int, int, Wanted]] = []  # walks to be made when this one is done
        self.quiet = False  # nothing of this walk is logged
        self.regs = [0] * 9
        self.slots = [0] * 9

    def empty(self) -> bool:
        return not any(self.regs) and not any(self.slots)


class _CannotTrace(Exception):
    """The way back is lost; everything must count as precise."""


def regs_text(mask: int) -> str:
    return ",".join(f"r{i}" for i in range(11) if mask >> i & 1)


def mark_register(ck: Checker, regno: int) -> None:
    """Register `regno` of the current frame matters: a number, or Linux is at its wits' end."""
    st = ck.st
    if ck.regs[regno][0] != SCALAR:
        raise Reject(EFAULT, "verifier bug: backtracking misuse")
    wanted = Wanted(len(st.frames) - 1)
    wanted.regs[wanted.frame] = 1 << regno
    trace(ck, st, wanted, ck.pc)


# what an instruction does to the wanted registers: (kind, registers it writes, registers it reads)
_NOTHING: Final = 0
_MOVE: Final = 1  # the written register is made of the read ones alone
_MIX: Final = 2  # and of itself
_COMPARE: Final = 3  # if one operand matters, both do
_LOAD: Final = 4  # the written register comes from memory
_STORE: Final = 5  # (the address register, none)
_OTHER: Final = 6

Origin: TypeAlias = tuple[int, int, int]


def origins(insns: Sequence[Insn]) -> list[Origin]:
    """The table of a program."""
    out = []
    for insn in insns:
        key = insn[0] | insn[1] << 8 | insn[2] << 16
        known = _ORIGINS.get(key)
        if known is None:
            known = _ORIGINS[key] = _origin(insn)
        out.append(known)
    return out


_ORIGINS: dict[int, Origin] = {}


def _origin(insn: Insn) -> Origin:
    code = insn.code
    cls = code & 7
    dst = 1 << insn.dst
    src = 1 << insn.src & 0x3FF if code & 8 else 0  # where r10 comes from is no question
    if cls in (4, 7):
        op = code & 0xF0
        if op in (0x80, 0xD0):
            return _NOTHING, 0, 0
        return (_MOVE if op == 0xB0 else _MIX), dst, src
    if cls in (5, 6) and code not in (CALL, EXIT):
        if code & 0xF0 in (0, 0xE0) or not code & 8:
            return _NOTHING, 0, 0
        return _COMPARE, (dst | src) & 0x3FF, 0
    if code == LDDW:
        return _MOVE, dst, 0
    if cls == 1:
        return _LOAD, dst, 0
    if cls == 2 or (cls == 3 and code & 0xE0 == 0x60):
        return _STORE, dst, 0
    if code == 0:
        return _NOTHING, 0, 0  # second half of a lddw
    return _OTHER, 0, 0


def trace(ck: Checker, start: State, wanted: Wanted, last: int) -> bool:
    """Walk back from instruction `last` of the path `start`. True if some checkpoint learned something."""
    if wanted.empty():
        return False
    changed = _walk(ck, start, wanted, last, len(start.hist))
    while wanted.besides:
        st, pc, left, other = wanted.besides.pop()
        changed |= _walk(ck, st, other, pc, left)
        wanted.besides += other.besides
    return changed


def _walk(ck: Checker, start: State, wanted: Wanted, last: int, left: int) -> bool:
    """`trace` from instruction `last` on, the first `left` entries of the history not yet passed."""
    st = start
    log = ck.log
    later = -1
    skip = True
    changed = False
    while True:
        if log.level2 and not wanted.quiet:
            log.put(f"mark_precise: frame{wanted.frame}: last_idx {last} first_idx {st.first_pc} subseq_idx {later} ")
        if last < 0:
            if _at_entry(st, wanted):
                return changed
            raise Reject(EFAULT, "verifier bug: backtracking function entry unexpected")
        try:
            done = _segment(ck, st, wanted, last, later, skip, left)
        except _CannotTrace:
            force_all(ck, start)
            return True
        if done:
            return changed
        skip = False
        parent = st.parent
        if parent is None:
            break
        changed |= _mark_parent(ck, parent, wanted)
        if wanted.empty():
            return changed
        later = st.first_pc
        last = parent.last_pc
        st = parent
        left = len(st.hist)
    force_all(ck, start)
    return True


def _segment(ck: Checker, st: State, wanted: Wanted, last: int, later: int, skip: bool, left: int) -> bool:
    """Back over what ran since the kept state before `st`. True if nothing is wanted any more."""
    hist = st.hist
    first = st.first_pc
    table = ck.origins
    level2 = ck.log.level2 and not wanted.quiet
    regs = wanted.regs
    pc = last
    while True:
        entry = hist[left - 1] if left else None
        if entry is not None and entry.pc != pc:
            entry = None
        if skip:
            skip = False
        else:
            kind, writes, reads = table[pc]
            number = wanted.frame
            if level2 and ck.insns[pc].code:
                _say_step(ck, pc, wanted)
            if entry is not None and entry.linked is not None:
                _sync_links(entry, wanted)
            mask = regs[number]
            if kind == _LOAD:
                if mask & writes:
                    _back_over_load(writes, entry, wanted)
                    if not regs[number] and wanted.empty():
                        return True
            elif kind == _STORE:
                if mask & writes or (entry is not None and entry.stack is not None):
                    _back_over_store(ck.insns[pc], entry, wanted)
                    if not regs[number] and wanted.empty():
                        return True
            elif kind == _OTHER:
                if entry is not None and entry.stack is not None:
                    _fetched(ck, st, pc, left, entry, wanted)
                _step_back(ck, pc, later, entry, wanted)
                if wanted.empty():
                    return True
            elif mask & writes:
                if kind == _MOVE:
                    mask = regs[number] = mask & ~writes | reads
                    if not mask and wanted.empty():
                        return True
                elif kind == _MIX:
                    regs[number] = mask | reads
                else:
                    if entry is not None and entry.stack is not None:
                        writes &= ~entry.stack[1]
                    regs[number] = mask | writes
            if entry is not None and entry.linked is not None:
                _sync_links(entry, wanted)
        later = pc
        if pc == first and (left == 0 or (left == 1 and hist[0].pc == pc)):
            return False
        if entry is not None:
            left -= 1
            pc = entry.prev
        else:
            pc -= 1
        if pc < 0:
            raise Reject(EFAULT, f"verifier bug: backtracking idx {pc}")


def _say_step(ck: Checker, pc: int, wanted: Wanted) -> None:
    number = wanted.frame
    ck.log.put(
        f"mark_precise: frame{number}: regs={regs_text(wanted.regs[number])} "
        f"stack={slots_list(wanted.slots[number])} before {ck.log.insn_text(pc)}"
    )


def _at_entry(st: State, wanted: Wanted) -> bool:
    """Arguments of a function that is checked for itself come from nowhere."""
    if len(st.frames) == 1 and not any(wanted.slots) and not any(wanted.regs[1:]) and not wanted.regs[0] & ~ARGS:
        frame = st.frames[0]
        for i in range(1, 6):
            if wanted.regs[0] >> i & 1 and frame.regs[i][0] == SCALAR:
                frame.precise_regs |= 1 << i
        wanted.regs[0] = 0
        return True
    return False


def _mark_parent(ck: Checker, st: State, wanted: Wanted) -> bool:
    changed = False
    level2 = ck.log.level2
    for number in range(wanted.frame, -1, -1):
        frame = st.frames[number]
        mask = wanted.regs[number]
        if mask:
            for i in numbers_of(mask):
                bit = 1 << i
                if frame.regs[i][0] != SCALAR or frame.precise_regs & bit:
                    mask &= ~bit
                else:
                    frame.precise_regs |= bit
                    changed = True
            wanted.regs[number] = mask
        slots = wanted.slots[number]
        if slots:
            for i in numbers_of(slots):
                bit = 1 << i
                if i >= len(frame.stack) or not is_scalar_spill(frame.stack[i]) or frame.precise_slots & bit:
                    slots &= ~bit
                else:
                    frame.precise_slots |= bit
                    changed = True
            wanted.slots[number] = slots
        if level2 and not wanted.quiet:
            ck.log.state(
                f"mark_precise: frame{number}: parent state regs={regs_text(wanted.regs[number])} "
                f"stack={slots_list(wanted.slots[number])}: ",
                picture(frame, st.refs, precise=True),
            )
    return changed


def force_all(ck: Checker, start: State) -> None:
    level2 = ck.log.level2
    if level2:
        ck.log.put(f"mark_precise: frame{len(start.frames) - 1}: falling back to forcing all scalars precise")
    st = start.parent  # the state that is being left needs no marks: nothing will be compared with it
    while st is not None:
        for frame in st.frames:
            for i in range(10):
                if frame.regs[i][0] == SCALAR and not frame.precise_regs >> i & 1:
                    frame.precise_regs |= 1 << i
                    if level2:
                        ck.log.put(f"force_precise: frame{frame.frameno}: forcing r{i} to be precise")
            for i, slot in enumerate(frame.stack):
                if is_scalar_spill(slot) and not frame.precise_slots >> i & 1:
                    frame.precise_slots |= 1 << i
                    if level2:
                        ck.log.put(f"force_precise: frame{frame.frameno}: forcing fp{-(i + 1) * 8} to be precise")
        st = st.parent


def _sync_links(entry: Hist | None, wanted: Wanted) -> None:
    """If one of the registers linked at this instruction is wanted, all are."""
    if entry is None or entry.linked is None:
        return
    for frameno, is_reg, number in entry.linked:
        if (wanted.regs if is_reg else wanted.slots)[frameno] >> number & 1:
            break
    else:
        return
    for frameno, is_reg, number in entry.linked:
        (wanted.regs if is_reg else wanted.slots)[frameno] |= 1 << number


def _step_back(ck: Checker, pc: int, later: int, entry: Hist | None, wanted: Wanted) -> None:
    """Atomics, calls, exits and classic loads."""
    insn = ck.insns[pc]
    code = insn.code
    cls = code & 7
    if cls == 3:
        _back_over_atomic(insn, entry, wanted)
    elif code == CALL:
        _back_over_call(ck, pc, later, wanted)
    elif code == EXIT:
        _back_over_exit(ck, later, wanted)
    elif wanted.regs[wanted.frame] & 1:
        raise _CannotTrace  # a classic packet load


def _back_over_load(bit: int, entry: Hist | None, wanted: Wanted) -> None:
    """`bit` of the register that was loaded."""
    number = wanted.frame
    if not wanted.regs[number] & bit:
        return
    wanted.regs[number] &= ~bit
    if entry is not None and entry.stack is not None:
        frameno, slot = entry.stack
        wanted.slots[frameno] |= 1 << slot


def _back_over_atomic(insn: Insn, entry: Hist | None, wanted: Wanted) -> None:
    if insn.imm == 0x100:
        _back_over_load(1 << insn.dst, entry, wanted)
    else:
        _back_over_store(insn, entry, wanted)


def _fetched(ck: Checker, st: State, pc: int, left: int, entry: Hist, wanted: Wanted) -> None:
    """What an atomic operation fetches came from memory.

    Linux 6.18.44 goes on asking for the register instead, and misses a slot of the stack that it came from. Here the slot is
    asked for besides, on a walk of its own that leaves the log alone.
    """
    insn = ck.insns[pc]
    if ck.mirror or insn.code & 0xE7 != 0xC3 or not insn.imm & 1 or entry.stack is None:
        return
    fetched = 0 if insn.imm == 0xF1 else insn.src
    if not wanted.regs[wanted.frame] >> fetched & 1:
        return
    frameno, slot = entry.stack
    other = Wanted(wanted.frame)
    other.quiet = True
    other.slots[frameno] = 1 << slot
    wanted.besides.append((st, pc, left, other))


def _back_over_store(insn: Insn, entry: Hist | None, wanted: Wanted) -> None:
    number = wanted.frame
    if wanted.regs[number] >> insn.dst & 1:
        # only a pointer stands there; it is wanted only if something went wrong before
        raise _CannotTrace
    if entry is None or entry.stack is None:
        return
    frameno, slot = entry.stack
    bit = 1 << slot
    if not wanted.slots[frameno] & bit:
        return
    wanted.slots[frameno] &= ~bit
    if insn.code & 7 == 3:
        wanted.regs[number] |= 1 << insn.src


def _back_over_call(ck: Checker, pc: int, later: int, wanted: Wanted) -> None:
    insn = ck.insns[pc]
    number = wanted.frame
    regs = wanted.regs
    if insn.src == PSEUDO_CALL:
        if ck.cfg.subprog_of[pc + insn.imm + 1] in ck.globals:
            regs[number] &= ~1
            if regs[number] & ARGS:
                raise Reject(EFAULT, f"verifier bug: global subprog unexpected regs {regs[number]:x}")
            return
        # out of the callee: its arguments were the caller's registers
        if number == 0:
            raise _CannotTrace
        if regs[number] & ~ARGS or wanted.slots[number]:
            raise Reject(EFAULT, f"verifier bug: static subprog unexpected regs {regs[number]:x}")
        regs[number - 1] |= regs[number] & ARGS
        regs[number] = 0
        wanted.frame = number - 1
        return
    if ck.cfg.callbacks[pc] == SYNC and later != pc + 1 and number > 0:
        if regs[number] & ~ARGS or wanted.slots[number]:
            raise Reject(EFAULT, f"verifier bug: callback unexpected regs {regs[number]:x}")
        regs[number] = 0
        wanted.frame = number - 1
        return
    regs[number] &= ~1
    if regs[number] & ARGS:
        raise Reject(EFAULT, f"verifier bug: backtracking call unexpected regs {regs[number]:x}")


def _back_over_exit(ck: Checker, later: int, wanted: Wanted) -> None:
    """Into the callee that had returned."""
    number = wanted.frame
    regs = wanted.regs
    want_result = False
    if ck.cfg.callbacks[later] == SYNC:
        regs[number] &= ~ARGS
    else:
        want_result = later >= 1 and ck.insns[later - 1].code == CALL and bool(regs[number] & 1)
        regs[number] &= ~1
    if regs[number] & ARGS:
        raise Reject(EFAULT, f"verifier bug: backtracking exit unexpected regs {regs[number]:x}")
    if number + 1 >= 8:
        raise Reject(EFAULT, "verifier bug: backtracking exit, call stack too deep")
    wanted.frame = number + 1
    if want_result:
        regs[number + 1] |= 1


def propagate(ck: Checker, old: State, cur: State, last: int) -> bool:
    """The path `cur` ends in the kept state `old`: what mattered from there on matters here."""
    wanted = Wanted(len(cur.frames) - 1)
    for number in range(len(old.frames) - 1, -1, -1):
        frame = old.frames[number]
        names: list[str] = []
        for i in numbers_of(frame.precise_regs & 0x3FF):
            if frame.regs[i][0] == SCALAR:
                wanted.regs[number] |= 1 << i
                names.append(f"r{i}")
        for i in numbers_of(frame.precise_slots):
            if is_scalar_spill(frame.stack[i]):
                wanted.slots[number] |= 1 << i
                names.append(f"fp{-(i + 1) * 8}")
        if names and ck.log.level2:
            ck.log.put(f"frame {number}: propagating {','.join(names)}")
    return trace(ck, cur, wanted, last)
