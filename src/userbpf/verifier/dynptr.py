"""Dynptrs: fat pointers of 16 bytes that live in two stack slots, whose bounds are checked when the program runs.

The lower of the two slots is the *first*: a pointer to the dynptr points at it, and the log shows it. Both hold a register of
type DYNPTR whose `extra` is a `Dyn`. What a program can do with a dynptr is pass it on: it is made by a helper that takes it
uninitialised, read by helpers that take it initialised, and, if it is referenced, must be given back. Memory that is cut out of
one (a *slice*) is a MEM register with the dynptr's id, and dies with it.

A subprogram that is called by the kernel may get a dynptr that it cannot change: a register of type DYNPTR itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from userbpf.verifier import stack
from userbpf.verifier.domain import s64
from userbpf.verifier.references import forget, release_reference
from userbpf.verifier.regs import (
    BASE_MASK,
    DYNPTR,
    EMPTY_SLOT,
    MAYBE_NULL,
    MEM,
    ST_DYNPTR,
    STACK,
    ZERO,
    Reg,
    ref_of,
)
from userbpf.verifier.reject import EINVAL, Reject
from userbpf.verifier.state import Frame, Ref

if TYPE_CHECKING:
    from userbpf.spec.argtypes import Arg
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call

SIZE: Final = 16
LOCAL: Final = "local"
RINGBUF: Final = "ringbuf"
SKB: Final = "skb"
XDP: Final = "xdp"
SKB_META: Final = "skb_meta"
PACKET_KINDS: Final = frozenset((SKB, XDP, SKB_META))
DYN_TYPES: Final = bytes([ST_DYNPTR]) * 8


class Dyn(NamedTuple):
    """What is known of a dynptr: its kind, the reference it holds (0: none), and which of its slots this is."""

    kind: str
    ref: int
    first: bool


class Slice(NamedTuple):
    """`extra` of a MEM register that was cut out of a dynptr; begins as that of any MEM register."""

    size: int
    ref: int
    dynptr: int
    kind: str


# --- where it lies -------------------------------------------------------------------------------------------------------


def place(ck: Checker, reg: Reg) -> tuple[Frame, int] | None:
    """The frame and the slot that a pointer to a dynptr points at; None (and a line in the log) where it cannot be one."""
    if reg[1].mask:
        ck.say("dynptr has to be at a constant offset")
        return None
    off = reg[3] + s64(reg[1].value)
    if off % 8 or off > -SIZE:
        ck.say(f"cannot pass in dynptr at an offset={off}")
        return None
    return ck.st.frames[reg[4]], -off // 8 - 1


def holds(frame: Frame, slot: int) -> bool:
    """Whether an intact dynptr begins at a slot."""
    if not 0 < slot < len(frame.stack):
        return False
    low, high = frame.stack[slot], frame.stack[slot - 1]
    return low[0] == DYN_TYPES == high[0] and low[1] is not None and low[1][4].first


def found(ck: Checker, reg: Reg) -> Reg:
    """The DYNPTR register behind an argument that has been checked."""
    if reg[0] == DYNPTR:
        return reg
    at = place(ck, reg)
    assert at is not None
    frame, slot = at
    spill = frame.stack[slot][1]
    assert spill is not None
    return spill


# --- life ----------------------------------------------------------------------------------------------------------------


def make(ck: Checker, regno: int, kind: str, pc: int, referenced: bool = False, clone_of: int | None = None) -> Reg:
    """An argument that is to become a dynptr. `referenced` takes a new reference, `clone_of` shares one (or none: 0)."""
    reg = ck.regs[regno]
    at = place(ck, reg) if reg[0] == STACK else None
    if at is None:
        raise Reject(EINVAL, "Dynptr has to be an uninitialized dynptr")
    for off in (0, 8):
        stack.bounds(ck, regno, reg, off, 8, stack.WRITE)
        stack.store(ck, pc, at[0], reg[3] + s64(reg[1].value) + off, 8, stack.NO_VALUE)
    frame, slot = at
    rid = ck.new_id()
    ref = clone_of or 0
    if referenced and clone_of is None:
        ref = ck.new_id()
        ck.st.refs = (*ck.st.refs, Ref("ptr", ref, pc))
    made: Reg = (DYNPTR, ZERO, rid, 0, Dyn(kind, ref, True))
    frame.stack[slot] = (DYN_TYPES, made)
    frame.stack[slot - 1] = (DYN_TYPES, (DYNPTR, ZERO, rid, 0, Dyn(kind, ref, False)))
    _touched(ck, frame, slot, False)
    return made


def expect(ck: Checker, regno: int, kind: str | None = None, mutates: bool = False) -> Reg:
    """An argument that must be a dynptr (of a kind); its DYNPTR register. `mutates`: one that may change."""
    reg = ck.regs[regno]
    if mutates and reg[0] == DYNPTR:
        raise Reject(EINVAL, "cannot pass pointer to const bpf_dynptr, the helper mutates it")
    at = None
    if reg[0] == DYNPTR:
        dyn = reg
    else:
        at = place(ck, reg)
        if at is None or not holds(*at):
            raise Reject(EINVAL, f"Expected an initialized dynptr as arg #{regno - 1}")
        spill = at[0].stack[at[1]][1]
        assert spill is not None
        dyn = spill
    if kind is not None and dyn[4].kind != kind:
        raise Reject(EINVAL, f"Expected a dynptr of type {kind} as arg #{regno - 1}")
    if at is not None:
        _touched(ck, *at, True)
    return dyn


def _touched(ck: Checker, frame: Frame, slot: int, read: bool) -> None:
    mask = 3 << slot - 1
    if read:
        ck.live_stack.read(frame.frameno, mask)
    else:
        ck.live_stack.write(frame.frameno, mask)
    if frame is ck.frame:
        ck.scratch_slots |= mask


def may_release(ck: Checker, regno: int) -> None:
    """An argument whose reference a call is to give back."""
    reg = ck.regs[regno]
    if reg[0] != STACK:
        raise Reject(EINVAL, "cannot release unowned const bpf_dynptr")
    at = place(ck, reg)
    if at is None or not _reference_at(*at):
        raise Reject(EINVAL, f"arg {regno} is an unacquired reference")


def _reference_at(frame: Frame, slot: int) -> int:
    """The reference that hangs on a slot: of a dynptr, or of whatever else lies there."""
    spill = frame.stack[slot][1] if 0 <= slot < len(frame.stack) else None
    if spill is None:
        return 0
    return int(getattr(spill[4], "ref", 0)) or ref_of(spill)


def release(ck: Checker, regno: int) -> None:
    """The dynptr is given back: it, its clones and all slices of them are no more."""
    reg = ck.regs[regno]
    ref = found(ck, reg)[4].ref
    release_reference(ck, ref)
    for frame in ck.st.frames:
        for slot in range(1, len(frame.stack)):
            if holds(frame, slot):
                dyn = frame.stack[slot][1]
                assert dyn is not None
                if dyn[4].ref == ref:
                    _wipe(ck, frame, slot, dyn[2])


def destroy(ck: Checker, frame: Frame, index: int) -> None:
    """A slot of a dynptr is about to be overwritten."""
    spill = frame.stack[index][1]
    assert spill is not None
    first = index if spill[4].first else index + 1
    ref = spill[4].ref
    if ref:
        raise Reject(EINVAL, "cannot overwrite referenced dynptr")
    _wipe(ck, frame, first, spill[2])


def _wipe(ck: Checker, frame: Frame, first: int, rid: int) -> None:
    """Two slots hold nothing any more, and what was cut out to be written is no memory any more.

    Slices that are only read stay, as in Linux: the bytes are there still, only somebody else's perhaps.
    """
    for slot in (first, first - 1):
        if 0 <= slot < len(frame.stack) and frame.stack[slot][0][7] == ST_DYNPTR:
            frame.stack[slot] = EMPTY_SLOT
    forget(ck, lambda reg: isinstance(reg[4], Slice) and reg[4].dynptr == rid and reg[0] & ~MAYBE_NULL == MEM)
    _touched(ck, frame, first, False)


def drop_packet_slices(ck: Checker) -> None:
    """Packet data may have moved: slices of packets are no memory any more."""
    forget(ck, lambda reg: isinstance(reg[4], Slice) and reg[4].kind in PACKET_KINDS)


# --- helpers --------------------------------------------------------------------------------------------------------------


def helper_argument(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """An argument of type PTR_TO_DYNPTR of a helper."""
    from userbpf.spec.argtypes import DYNPTR_TYPE_LOCAL, DYNPTR_TYPE_RINGBUF, MEM_RDONLY, MEM_UNINIT

    ck = call.ck
    kind = RINGBUF if arg.flags & DYNPTR_TYPE_RINGBUF else LOCAL if arg.flags & DYNPTR_TYPE_LOCAL else None
    if arg.flags & MEM_UNINIT:
        assert kind is not None
        make(ck, number, kind, call.pc, referenced=kind == RINGBUF)
        return
    call.dynptr = expect(ck, number, kind, not arg.flags & MEM_RDONLY)


def slice_of(dyn: Reg, size: int, kind: int, rid: int, ref: int = 0) -> Reg:
    """Memory of `size` bytes of a dynptr; `kind` is MEM with its flags. `ref`: what else it dies with."""
    assert kind & BASE_MASK == MEM
    return (kind, ZERO, rid, 0, Slice(size, ref, dyn[2], dyn[4].kind))


# --- comparing ------------------------------------------------------------------------------------------------------------


def same_kind(old: Reg | None, cur: Reg | None) -> bool:
    """Kind and place of two dynptr slots, references aside."""
    if old is None or cur is None:
        return False
    a, b = old[4], cur[4]
    return isinstance(a, Dyn) and isinstance(b, Dyn) and a.kind == b.kind and a.first == b.first
