"""Open-coded iterators: objects on the stack that a program makes, steps with a `next` function and destroys.

The loop over one ends when `next` yields NULL. So a call of `next` splits the path: here the iterator is *drained* and the result
is 0; on a path checked later it is still *active*, one round deeper, and what that round changed and nothing relied on is
widened, so that the rounds converge instead of being counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from userbpf.btf import Struct
from userbpf.verifier import stack
from userbpf.verifier.domain import s64
from userbpf.verifier.references import release_reference
from userbpf.verifier.regs import (
    EMPTY_SLOT,
    MAYBE_NULL,
    RCU,
    SCALAR,
    ST_ITER,
    STACK,
    TRUSTED,
    ZERO,
    ZERO_REG,
    Reg,
)
from userbpf.verifier.reject import EINVAL, EPROTO, Reject
from userbpf.verifier.state import Frame, Ref, State
from userbpf.verifier.widen import previous, widen

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.sections import KfuncCall

ITER_TYPES: Final = bytes([ST_ITER]) * 8
ACTIVE: Final = "active"
DRAINED: Final = "drained"
YES: Final = 1
LOST: Final = 2
FORGOTTEN: Final = 3  # in a program that cannot sleep: it is protected still, so states may be taken for equal


class Iter(NamedTuple):
    """`extra` of the registers in an iterator's slots; only the first (lowest) one has the reference."""

    name: str  # iter_num
    ref: int
    state: str
    depth: int
    protected: int | None  # by RCU: YES while it is, LOST or FORGOTTEN when it no longer is, None if it need not be


def argument(call: KfuncCall, number: int, reg: Reg, struct: Struct) -> None:
    """The iterator that a new, next or destroy function takes."""
    ck = call.ck
    if reg[0] != STACK:
        raise Reject(EINVAL, f"arg#{number - 1} expected pointer to an iterator on stack")
    name = struct.name.removeprefix("bpf_")
    slots = struct.size // 8
    if call.kfunc.has("iter_new"):
        _make(call, number, reg, name, slots)
        return
    at = _place(ck, reg, slots)
    if at is None or not _holds(at[0], at[1], slots, name):
        raise Reject(EINVAL, f"expected an initialized {name} as arg #{number - 1}")
    frame, slot = at
    it = iterator(frame, slot)
    if it.protected in (LOST, FORGOTTEN):
        raise Reject(EPROTO, f"expected an RCU CS when using {call.kfunc.name}")
    _touched(ck, frame, slot, slots, False)
    call.iterator = (frame.frameno, slot)
    call.ref = it.ref
    if call.kfunc.has("iter_destroy"):
        release_reference(ck, it.ref)
        for i in range(slots):
            frame.stack[slot - i] = EMPTY_SLOT
        _touched(ck, frame, slot, slots, True)


def _place(ck: Checker, reg: Reg, slots: int) -> tuple[Frame, int] | None:
    if reg[1].mask:
        ck.say("iter has to be at a constant offset")
        return None
    off = reg[3] + s64(reg[1].value)
    if off % 8 or off > (-8 * slots if slots > 1 else 0):  # one slot at the frame's end is refused as memory
        ck.say(f"cannot pass in iter at an offset={off}")
        return None
    return ck.st.frames[reg[4]], -off // 8 - 1


def _holds(frame: Frame, slot: int, slots: int, name: str) -> bool:
    if not slots - 1 <= slot < len(frame.stack):
        return False
    for i in range(slots):
        types, reg = frame.stack[slot - i]
        if types != ITER_TYPES or reg is None or reg[4].name != name or bool(reg[4].ref) != (i == 0):
            return False
    return True


def iterator(frame: Frame, slot: int) -> Iter:
    """The iterator whose first slot this is."""
    reg = frame.stack[slot][1]
    assert reg is not None
    found = reg[4]
    assert isinstance(found, Iter)
    return found


def _make(call: KfuncCall, number: int, reg: Reg, name: str, slots: int) -> None:
    ck = call.ck
    at = _place(ck, reg, slots)
    taken = at is None or any(
        at[0].stack[at[1] - i][0][7] == ST_ITER for i in range(slots) if 0 <= at[1] - i < len(at[0].stack)
    )
    if at is None or taken:
        raise Reject(EINVAL, f"expected uninitialized {name} as arg #{number - 1}")
    frame, slot = at
    low = -(slot + 1) * 8
    for i in range(slots):
        stack.bounds(ck, number, reg, i * 8, 8, stack.WRITE)
        stack.store(ck, call.pc, frame, low + i * 8, 8, stack.NO_VALUE)
    ref = ck.new_id()
    ck.st.refs = (*ck.st.refs, Ref("ptr", ref, call.pc))
    protected = YES if call.kfunc.has("rcu_protected") else None
    for i in range(slots):
        it = Iter(name, ref if i == 0 else 0, ACTIVE, 0, protected if i == 0 else None)
        frame.stack[slot - i] = (ITER_TYPES, (SCALAR, ZERO, 0, 0, it))
    _touched(ck, frame, slot, slots, True)


def _touched(ck: Checker, frame: Frame, slot: int, slots: int, written: bool) -> None:
    mask = 0
    for i in range(slots):
        mask |= 1 << slot - i
    if written:
        ck.live_stack.write(frame.frameno, mask)
    else:
        ck.live_stack.read(frame.frameno, mask)
    if frame is ck.frame:
        ck.scratch_slots |= mask


def _put(st: State, place: tuple[int, int], it: Iter) -> None:
    frame = st.frames[place[0]]
    frame.stack[place[1]] = (ITER_TYPES, (SCALAR, ZERO, 0, 0, it))


def step(call: KfuncCall) -> None:
    """After `next`: the path on which there was one more is checked later."""
    ck = call.ck
    place = call.iterator
    assert place is not None
    it = iterator(ck.st.frames[place[0]], place[1])
    st = ck.st
    if it.state == ACTIVE:  # one that has ended yields nothing more
        onward = ck.push(call.pc + 1, call.pc)
        _put(onward, place, it._replace(state=ACTIVE, depth=it.depth + 1))
        # the nearest kept state is the one just kept here
        before = previous(st.parent.parent if st.parent is not None else None, st, call.pc)
        if before is not None:
            widen(before, onward)
        regs = onward.frames[-1].regs
        found = regs[0]
        regs[0] = (found[0] & ~MAYBE_NULL, *found[1:])
    _put(st, place, it._replace(state=DRAINED))
    ck.regs[0] = ZERO_REG


def trust(call: KfuncCall) -> int:
    """How far a structure that `next` yields may be trusted."""
    assert call.iterator is not None
    it = iterator(call.ck.st.frames[call.iterator[0]], call.iterator[1])
    return RCU if it.protected else TRUSTED


# --- comparing -----------------------------------------------------------------------------------------------------------


def same(old: Reg | None, cur: Reg | None) -> bool:
    """The same kind of iterator in the same state; how deep it is does not matter."""
    if old is None or cur is None or not isinstance(old[4], Iter) or not isinstance(cur[4], Iter):
        return False
    return _what(old[4]) == _what(cur[4]) and bool(old[4].ref) == bool(cur[4].ref)


def _what(it: Iter) -> Iter:
    return it._replace(ref=0, depth=0, protected=YES if it.protected == FORGOTTEN else it.protected)


def depths_differ(old: State, cur: State) -> bool:
    """Whether some iterator has gone round between two states of one path."""
    for a, b in zip(old.frames, cur.frames, strict=True):
        for i, (types, reg) in enumerate(a.stack):
            if types[7] != ST_ITER or reg is None or reg[4].state != ACTIVE or i >= len(b.stack):
                continue
            other = b.stack[i][1]
            if b.stack[i][0][7] == ST_ITER and other is not None and other[4].depth != reg[4].depth:
                return True
    return False


def unprotect(ck: Checker) -> None:
    """An RCU section ends: iterators that it protected cannot go on."""
    strict = ck.sleepable and not ck.mirror  # Linux takes the states for equal in any program
    for frame in ck.st.frames:
        for i, (types, reg) in enumerate(frame.stack):
            if types[7] == ST_ITER and reg is not None and reg[4].protected == YES:
                frame.stack[i] = (types, (*reg[:4], reg[4]._replace(protected=LOST if strict else FORGOTTEN)))


def active_at_call(ck: Checker, st: State) -> bool:
    """Whether the iterator in r1 of a state at a `next` call has not ended."""
    reg = st.frames[-1].regs[1]
    if reg[0] != STACK:
        return False
    frame = st.frames[reg[4]]
    slot = -(reg[3] + s64(reg[1].value)) // 8 - 1
    if not 0 <= slot < len(frame.stack) or frame.stack[slot][0][7] != ST_ITER:
        return False
    return iterator(frame, slot).state == ACTIVE
