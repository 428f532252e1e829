"""Pruning: keep states at prune points, and end a path that a kept state already covers.

A path may end at a kept state if everything that was found safe from there is safe from here: the kept state is at least as
general in all that mattered (what is precise), and does not rely on what the present state lacks. When that cannot be known,
because paths from the kept state are still open, equality only proves a loop without end.

When to keep a state, when to give one up and how states in loops are treated decides how many instructions are
processed and which programs run into the limit, so these heuristics are Linux's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from userbpf.verifier import dynptr, iters, precision
from userbpf.verifier.cfg import ITER_NEXT, SYNC
from userbpf.verifier.domain import leq
from userbpf.verifier.ids import ANY_IDS, IdMap
from userbpf.verifier.late import marks_of
from userbpf.verifier.livestack import LiveStack
from userbpf.verifier.log import picture
from userbpf.verifier.regs import (
    ADD_CONST,
    ARENA,
    BASE_MASK,
    BTF_ID,
    BUF,
    CTX,
    EMPTY_SLOT,
    ID_MASK,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MEM,
    NOT_INIT,
    PACKET,
    PACKET_END,
    PACKET_META,
    SCALAR,
    SPILLED,
    ST_DYNPTR,
    ST_INVALID,
    ST_IRQ,
    ST_ITER,
    ST_MISC,
    ST_SPILL,
    ST_ZERO,
    STACK,
    TP_BUFFER,
    UNINIT,
    UNKNOWN_REG,
    Reg,
    Slot,
    ref_of,
)
from userbpf.verifier.reject import EINVAL, Reject
from userbpf.verifier.state import Frame, State, numbers_of

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

LOOSE: Final = 0  # what did not matter may differ
EXACT: Final = 1  # the same registers
WITHIN: Final = 2  # loop states whose precision is not complete: all ranges count

# registers that name nothing by an id, if their own is 0: one and the same is safe at once
UNNAMED: Final = frozenset((NOT_INIT, SCALAR, CTX, STACK, MAP_PTR, PACKET, PACKET_META, PACKET_END))


# --- comparing -----------------------------------------------------------------------------------------------------------


def states_equal(ck: Checker, old: State, cur: State, how: int) -> bool:
    if len(old.frames) != len(cur.frames):
        return False
    if len(old.refs) != len(cur.refs) or old.sections != cur.sections:
        return False
    if old.differs is not None:
        # what told one path from this state mostly tells the next one, too
        number, regs, slots = old.differs
        fold, fcur = old.frames[number], cur.frames[number]
        if _regs_differ(fold, fcur, ANY_IDS, how, regs) or _stack_differs(ck, fold, fcur, ANY_IDS, how, slots):
            return False
    ids = IdMap(ck.last_id + (1 << 29))
    for mine, other in zip(old.refs, cur.refs, strict=True):
        if (
            mine.kind != other.kind
            or mine.how != other.how
            or mine.ptr is not other.ptr
            or not ids.same(mine.id, other.id)
        ):
            return False
    last = len(old.frames) - 1
    live = ck.cfg.live
    for number, (fold, fcur) in enumerate(zip(old.frames, cur.frames, strict=True)):
        if fold.callsite != fcur.callsite or fold.callback_depth > fcur.callback_depth:
            return False
        pc = old.pc if number == last else old.frames[number + 1].callsite
        place = _regs_differ(fold, fcur, ids, how, numbers_of(live[pc] & 0x3FF))
        if place:
            old.differs = (number, place, ())
            return False
        asked: Sequence[int] = fold.filled if how == LOOSE and fold.filled is not None else range(len(fold.stack))
        place = _stack_differs(ck, fold, fcur, ids, how, asked)
        if place:
            old.differs = (number, (), place)
            return False
    return True


def _regs_differ(old: Frame, cur: Frame, ids: IdMap, how: int, numbers: Sequence[int]) -> tuple[int, ...]:
    """The first of these registers that is not covered, alone in a tuple."""
    old_regs, cur_regs = old.regs, cur.regs
    precise = old.precise_regs
    loose = how == LOOSE
    for i in numbers:
        mine, other = old_regs[i], cur_regs[i]
        if loose and mine[0] == SCALAR == other[0] and not precise >> i & 1:
            continue
        if mine is other and not mine[2] and mine[0] in UNNAMED:
            continue
        if not _reg_safe(mine, other, ids, how, precise >> i & 1):
            return (i,)
    return ()


def _reg_safe(old: Reg, cur: Reg, ids: IdMap, how: int, precise: int) -> bool:
    kind = old[0]
    if how == EXACT:
        return _same_reg(old, cur, ids)
    if kind == NOT_INIT:
        if how == LOOSE or cur[0] == NOT_INIT:
            return True
        return False
    if kind != cur[0]:
        return False
    if kind == SCALAR:
        if not precise and how == LOOSE:
            return True
        old_id, cur_id = old[2], cur[2]
        if old_id & ADD_CONST:
            # linked at a distance: so must the other be, at the same
            if (old_id ^ cur_id) & ADD_CONST or old[3] != cur[3]:
                return False
            old_id, cur_id = old_id & ID_MASK, cur_id & ID_MASK
        elif old_id and cur_id & ADD_CONST:
            return False
        return leq(old[1], cur[1]) and ids.same_scalar(old_id, cur_id)
    base = kind & BASE_MASK
    if base in (MAP_KEY, MAP_VALUE, MEM, BUF, TP_BUFFER):
        if old[3] != cur[3] or not leq(old[1], cur[1]):
            return False
        if base in (MEM, BUF):
            if old[4][0] != cur[4][0] or old[4][2:] != cur[4][2:] or not ids.same(old[4][1], cur[4][1]):
                return False
        elif old[4][0] is not cur[4][0] or old[4][2:] != cur[4][2:] or not ids.same(old[4][1], cur[4][1]):
            return False
        return ids.same(old[2], cur[2])
    if kind in (PACKET, PACKET_META):
        if old[4] < 0 or cur[4] < 0:
            if old[4] != cur[4]:
                return False
        elif old[4] > cur[4]:
            return False
        return old[3] == cur[3] and ids.same(old[2], cur[2]) and leq(old[1], cur[1])
    if base == ARENA:
        return True
    return _same_reg(old, cur, ids)


def _same_reg(old: Reg, cur: Reg, ids: IdMap) -> bool:
    """Everything the same but ids, and those one to one."""
    if old[0] != cur[0] or old[1] is not cur[1] or old[3] != cur[3]:
        return False
    kind = old[0]
    if kind == SCALAR:
        return ids.same(old[2], cur[2])  # with what marks a distance, as Linux
    if old[4] != cur[4]:
        mine, other = ref_of(old), ref_of(cur)
        if mine == 0 or other == 0 or not _same_but_ref(old, cur):
            return False
    return ids.same(old[2], cur[2]) and ids.same(ref_of(old), ref_of(cur))


def _same_but_ref(old: Reg, cur: Reg) -> bool:
    a, b = old[4], cur[4]
    if isinstance(a, int) or isinstance(b, int):
        return isinstance(a, int) and isinstance(b, int)
    if isinstance(a, dynptr.Slice | dynptr.Dyn):
        return bool(a._replace(ref=0) == b._replace(ref=0))
    if old[0] & BASE_MASK == BTF_ID:
        return bool(a[:3] == b[:3])
    return bool(a[0] == b[0] and a[2:] == b[2:])


def _stack_differs(
    ck: Checker, old: Frame, cur: Frame, ids: IdMap, how: int, numbers: Sequence[int]
) -> tuple[int, ...]:
    """The first of these slots that is not covered, alone in a tuple."""
    old_stack, cur_stack = old.stack, cur.stack
    have = len(cur_stack)
    precise = old.precise_slots
    loose = how == LOOSE
    for i in numbers:
        slot = old_stack[i]
        other = cur_stack[i] if i < have else EMPTY_SLOT
        types, spill = slot
        if not loose:
            if i >= have or types != other[0]:
                return (i,)
        elif types == NO_BYTES:
            continue
        if types == SPILLED and other[0] == SPILLED:
            assert spill is not None and other[1] is not None
            if loose and spill[0] == SCALAR == other[1][0] and not precise >> i & 1:
                continue
            if not _reg_safe(spill, other[1], ids, how, precise >> i & 1):
                return (i,)
        elif types == other[0] and types[7] != ST_SPILL and types[7] < 4:
            continue
        elif not _slot_safe(ck.allow_uninit_stack, slot, other, i < have, ids, how, precise >> i & 1):
            return (i,)
    return ()


def _slot_safe(uninit_ok: bool, slot: Slot, other: Slot, have: bool, ids: IdMap, how: int, precise: int) -> bool:
    """Slots of which one at least is no spill of eight bytes."""
    types, spill = slot
    old_reg = _as_scalar(slot, uninit_ok)
    if old_reg is not None:
        if not have:
            return _all_ignorable(types, uninit_ok)
        cur_reg = _as_scalar(other, uninit_ok)
        if cur_reg is not None:
            return _reg_safe(old_reg, cur_reg, ids, how, precise)
    if not _bytes_safe(types, other[0], have, uninit_ok):
        return False
    last = types[7]
    if last != other[0][7] or last in (ST_INVALID, ST_MISC, ST_ZERO):
        return True
    mine, theirs = spill, other[1]
    if last == ST_SPILL:
        assert mine is not None and theirs is not None
        return _reg_safe(mine, theirs, ids, how, precise)
    if last == ST_DYNPTR:
        return dynptr.same_kind(mine, theirs) and ids.same(ref_of(mine or UNINIT), ref_of(theirs or UNINIT))
    if last == ST_ITER:
        return iters.same(mine, theirs) and not (mine and theirs and not ids.same(mine[4].ref, theirs[4].ref))
    if last == ST_IRQ:
        if mine is None or theirs is None or mine[4].saver != theirs[4].saver:
            return False
        return ids.same(mine[4].ref, theirs[4].ref)
    return bool(mine == theirs)


def _all_ignorable(types: bytes, uninit_ok: bool) -> bool:
    return all(t == ST_INVALID or (t == ST_MISC and uninit_ok) for t in types)


def _as_scalar(slot: Slot, uninit_ok: bool) -> Reg | None:
    """A slot whose eight bytes are one scalar: a full spill, or anything without a pointer in it."""
    types, spill = slot
    if types == SPILLED:
        return spill if spill is not None and spill[0] == SCALAR else None
    return UNKNOWN_REG if _is_plain(types, uninit_ok) else None


def _is_plain(types: bytes, uninit_ok: bool) -> bool:
    """Bytes of which nothing is known but that they may be read."""
    found = _plain.get((types, uninit_ok))
    if found is None:
        found = all(t == ST_MISC or (t == ST_INVALID and uninit_ok) for t in types)
        _plain[types, uninit_ok] = found
    return found


def _covers_all(types: bytes, uninit_ok: bool) -> bool:
    """A slot of a finished state that is at least as general as any other."""
    return types == NO_BYTES or (uninit_ok and _is_plain(types, True))


def _bytes_safe(old: bytes, cur: bytes, have: bool, uninit_ok: bool) -> bool:
    key = (old, cur, have, uninit_ok)
    found = _safe_bytes.get(key)
    if found is None:
        found = _safe_bytes[key] = all(_byte_safe(a, b, have, uninit_ok) for a, b in zip(old, cur, strict=True))
    return found


def _byte_safe(old: int, cur: int, have: bool, uninit_ok: bool) -> bool:
    if old == ST_INVALID or (old == ST_MISC and uninit_ok):
        return True
    return have and (old == cur or (old == ST_MISC and cur == ST_ZERO))


# the kinds of a slot's eight bytes are few, and asked for again and again
_plain: dict[tuple[bytes, bool], bool] = {}
_safe_bytes: dict[tuple[bytes, bytes, bool, bool], bool] = {}
NO_BYTES: Final = bytes(8)


# --- keeping -------------------------------------------------------------------------------------------------------------


class Kept:
    """The states kept in one bucket; Linux hashes several instructions into one and counts them together."""

    __slots__ = ("states",)

    def __init__(self) -> None:
        self.states: list[State] = []


def visit(ck: Checker, pc: int) -> bool:
    """At a prune point: True if the path is covered and ends; else the state is perhaps kept."""
    cur = ck.st
    cfg = ck.cfg
    forced_here = bool(cfg.force[pc])
    force = ck.test_state_freq or forced_here or len(cur.hist) > 40
    jumps = ck.jumps_processed - ck.kept_jumps
    done = ck.processed - ck.kept_insns
    add = force or (jumps >= 2 and done >= 8)
    bucket = ck.bucket(pc)
    states = bucket.states
    if states:
        _clean_all(ck, pc, cur, states)
    seen = 0
    evicted: list[State] = []
    for old in states:
        seen += 1
        if old.pc != pc:
            continue
        if old.branches:
            verdict = _against_open(ck, pc, old, cur)
            if verdict:
                _hit(ck, pc, old, cur, WITHIN)
                _evict(ck, states, evicted)
                return True
            if not force and jumps < 20 and done < 100:
                add = False
        else:
            how = WITHIN if ck.loops.incomplete(old) else LOOSE
            if states_equal(ck, old, cur, how):
                _hit(ck, pc, old, cur, how)
                _evict(ck, states, evicted)
                return True
        if add:
            old.misses += 1
        weight = 64 if forced_here and old.branches else 3
        if old.misses > old.hits * weight + weight:
            evicted.append(old)
    _evict(ck, states, evicted)
    if seen > ck.max_states:
        ck.max_states = seen
    if add:
        _keep(ck, pc, cur, bucket)
    return False


def _against_open(ck: Checker, pc: int, old: State, cur: State) -> bool:
    """A kept state on the way here. True: converged; raises for a loop that cannot end."""
    if ck.cfg.callbacks[pc] == SYNC:
        return states_equal(ck, old, cur, WITHIN)
    if ck.cfg.callbacks[pc] == ITER_NEXT:
        return states_equal(ck, old, cur, WITHIN) and iters.active_at_call(ck, cur)
    if ck.cfg.insns[pc].code == 0xE5:
        if old.may_goto_depth != cur.may_goto_depth and states_equal(ck, old, cur, WITHIN):
            return True
    if old.frames[-1].in_async and old.frames[-1].async_entry != cur.frames[-1].async_entry:
        return False
    if (
        _maybe_looping(old, cur)
        and states_equal(ck, old, cur, EXACT)
        and old.may_goto_depth == cur.may_goto_depth
        and old.callback_unroll_depth == cur.callback_unroll_depth
        and not iters.depths_differ(old, cur)
    ):
        ck.line_info(pc)
        ck.say(f"infinite loop detected at insn {pc}")
        ck.log.state("cur state:", picture(cur.frame, cur.refs))
        ck.log.state("old state:", picture(old.frame, old.refs, precise=True))
        raise Reject(EINVAL)
    return False


def _maybe_looping(old: State, cur: State) -> bool:
    if len(old.frames) != len(cur.frames):
        return False
    return old.frames[-1].regs == cur.frames[-1].regs


def _hit(ck: Checker, pc: int, old: State, cur: State, how: int) -> None:
    """The path ends at `old`, compared so. At an open state it closes a round of a loop."""
    old.hits += 1
    if ck.cfg.jump[pc]:
        ck.note_jump()
    callback = ck.cfg.callbacks[pc] == SYNC and bool(old.branches)
    second = ck.second_look
    if callback and not ck.mirror:
        second.converged(cur)
    if second.root is not None and (callback or any(frame.in_callback for frame in cur.frames)):
        second.ended(old, cur, marks_of(old), how == LOOSE)
    precision.propagate(ck, old, cur, pc)
    if how == WITHIN and not callback:
        ck.loops.add_backedge(ck, old, cur, pc)


def _evict(ck: Checker, states: list[State], evicted: list[State]) -> None:
    for old in evicted:
        states.remove(old)
        if old.branches:
            ck.dropped_open.add(old)
        elif ck.loops.incomplete(old):
            continue  # Linux goes on counting these
        ck.kept_count -= 1


def _keep(ck: Checker, pc: int, cur: State, bucket: Kept) -> None:
    ck.total_states += 1
    ck.kept_count += 1
    ck.count_peak()
    ck.kept_jumps = ck.jumps_processed
    ck.kept_insns = ck.processed
    for frame in cur.frames:
        frame.precise_regs = frame.precise_slots = 0
    hist = cur.hist
    cur.hist = []
    new = cur.copy()
    new.hist = hist
    new.pc = pc
    new.branches = 1
    ck.note_entry = False
    bucket.states.insert(0, new)
    ck.loops.enter(ck, new)
    cur.parent = new
    cur.first_pc = pc


def _clean_all(ck: Checker, pc: int, cur: State, states: list[State]) -> None:
    """Finished states forget what nothing reads any more."""
    for old in states:
        if old.branches or old.cleaned or old.pc != pc or len(old.frames) != len(cur.frames):
            continue
        if len(old.frames) > 1 and any(a.callsite != b.callsite for a, b in zip(old.frames, cur.frames, strict=True)):
            continue
        if ck.loops.incomplete(old):
            continue
        _clean(ck, old)


def _clean(ck: Checker, st: State) -> None:
    st.cleaned = True
    last = len(st.frames) - 1
    places = []
    for number, frame in enumerate(st.frames):
        pc = st.pc if number == last else st.frames[number + 1].callsite
        assert frame.instance is not None
        places.append((number, frame.instance, pc if number == last else pc + 1))
        if number < last and ck.cfg.callbacks[pc] == SYNC:
            places.append((number, frame.instance, pc))  # the callee may be called again from here
        live = ck.cfg.live[pc]
        for i in numbers_of(~live & 0x3FF):
            frame.regs[i] = UNINIT
    uninit_ok = ck.allow_uninit_stack
    for number, frame in enumerate(st.frames):
        alive = LiveStack.alive(places, number)
        before = frame.stack
        frame.stack = stack = [EMPTY_SLOT] * len(before)
        filled = []
        for i in numbers_of(alive & (1 << len(before)) - 1):
            slot = stack[i] = before[i]
            if not _covers_all(slot[0], uninit_ok):
                filled.append(i)
        frame.filled = tuple(filled)
