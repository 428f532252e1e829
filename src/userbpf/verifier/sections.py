"""Sections in which not everything may be done: RCU read-side sections, preemption off, interrupts off.

RCU is a flag and preemption a counter (`Sections`, in `State.sections`); a saved interrupt flag is an object in a stack slot,
held as a `Ref` of kind "irq", and given back in the order of saving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from userbpf.verifier import stack
from userbpf.verifier.domain import s64
from userbpf.verifier.references import change_all
from userbpf.verifier.regs import EMPTY_SLOT, MAYBE_NULL, RCU, SCALAR, ST_IRQ, STACK, UNTRUSTED, ZERO, Reg
from userbpf.verifier.reject import EACCES, EINVAL, Reject
from userbpf.verifier.state import Frame, Ref, Sections

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker


class KfuncCall(Protocol):
    """What is asked of a call of a kernel function."""

    ck: Checker
    pc: int
    kfunc: Any
    ref: int
    iterator: tuple[int, int] | None  # frame and first slot


IRQ: Final = "irq"
IRQ_TYPES: Final = bytes([ST_IRQ]) * 8
NATIVE: Final = "native"
BY_LOCK: Final = "lock"


class Irq(NamedTuple):
    """`extra` of the register in a slot with a saved flag: its reference, and which functions saved it."""

    ref: int
    saver: str


def sleepable(ck: Checker) -> bool:
    """Whether the program may sleep at all, or the function of it that runs later."""
    own = ck.st.sections.sleeps
    return ck.sleepable if own is None else own


def in_rcu(ck: Checker) -> bool:
    """What RCU protects stays: in a section, under a lock, and in programs that cannot sleep anyway."""
    return not sleepable(ck) or ck.st.sections.rcu or any(r.kind == "lock" for r in ck.st.refs)


def may_sleep(ck: Checker) -> bool:
    """Whether the program may sleep right here."""
    sections = ck.st.sections
    return (
        sleepable(ck)
        and not sections.rcu
        and not sections.preempt
        and not any(r.kind in (IRQ, "lock") for r in ck.st.refs)
    )


def sleeping_helper(ck: Checker, name: str) -> None:
    """A helper that might sleep is called."""
    where = ""
    if ck.st.sections.rcu:
        where = "rcu_read_lock region"
    elif ck.st.sections.preempt:
        where = "non-preemptible region"
    elif any(r.kind == IRQ for r in ck.st.refs):
        where = "IRQ-disabled region"
    if where:
        raise Reject(EINVAL, f"sleepable helper {name} in {where}")


# --- RCU, preemption ---------------------------------------------------------------------------------------------------------


def enter_or_leave(call: KfuncCall) -> None:
    """What a call of a kernel function means for the sections the path is in; functions that sleep are refused."""
    ck, name = call.ck, call.kfunc.name
    st = ck.st
    rcu, preempt = st.sections.rcu, st.sections.preempt
    sleeps = call.kfunc.has("sleep")
    if rcu:
        if name == "bpf_rcu_read_lock":
            raise Reject(EINVAL, f"nested rcu read lock (kernel function {name})")
        if name == "bpf_rcu_read_unlock":
            change_all(ck, _unprotected)
            rcu = False
        elif sleeps:
            raise Reject(EACCES, f"kernel func {name} is sleepable within rcu_read_lock region")
    elif name == "bpf_rcu_read_lock":
        rcu = True
    elif name == "bpf_rcu_read_unlock":
        raise Reject(EINVAL, f"unmatched rcu read unlock (kernel function {name})")
    if name == "bpf_preempt_disable":
        preempt += 1
    elif name == "bpf_preempt_enable":
        if not preempt:
            raise Reject(EINVAL, f"unmatched attempt to enable preemption (kernel function {name})")
        preempt -= 1
    elif preempt and sleeps:
        raise Reject(EACCES, f"kernel func {name} is sleepable within non-preemptible region")
    if sleeps and any(r.kind == IRQ for r in st.refs):
        raise Reject(EACCES, f"kernel func {name} is sleepable within IRQ-disabled region")
    if call.kfunc.has("rcu_protected") and not in_rcu(ck):
        raise Reject(EACCES, f"kernel func {name} requires RCU critical section protection")
    if (rcu, preempt) != st.sections[:2]:
        st.sections = Sections(rcu, preempt, st.sections.sleeps)


def _unprotected(reg: Reg) -> Reg:
    """The section ends: what it protected may go away."""
    if not reg[0] & RCU or reg[0] == SCALAR:
        return reg
    return (reg[0] & ~(RCU | MAYBE_NULL) | UNTRUSTED, *reg[1:])


# --- interrupts --------------------------------------------------------------------------------------------------------------


def _place(ck: Checker, reg: Reg) -> tuple[Frame, int] | None:
    if reg[1].mask:
        ck.say("irq_flag has to be at a constant offset")
        return None
    off = reg[3] + s64(reg[1].value)
    if off % 8 or off > 0:  # where the frame begins it is refused without a word
        ck.say(f"cannot pass in irq_flag at an offset={off}")
        return None
    return ck.st.frames[reg[4]], -off // 8 - 1


def flag_argument(call: KfuncCall, number: int, reg: Reg) -> None:
    """Argument `flags__irq_flag`: saved by some functions, restored by their counterparts."""
    ck = call.ck
    if reg[0] != STACK:
        raise Reject(EINVAL, f"arg#{number - 1} doesn't point to an irq flag on stack")
    saver = BY_LOCK if call.kfunc.name.startswith("bpf_res_spin") else NATIVE
    at = _place(ck, reg)
    if call.kfunc.name in ("bpf_local_irq_save", "bpf_res_spin_lock_irqsave"):
        if at is None or (0 <= at[1] < len(at[0].stack) and at[0].stack[at[1]][0][7] == ST_IRQ):
            raise Reject(EINVAL, f"expected uninitialized irq flag as arg#{number - 1}")
        frame, slot = at
        stack.bounds(ck, number, reg, 0, 8, stack.WRITE)
        stack.store(ck, call.pc, frame, -(slot + 1) * 8, 8, stack.NO_VALUE)
        ref = ck.new_id()
        ck.st.refs = (*ck.st.refs, Ref(IRQ, ref, call.pc))
        frame.stack[slot] = (IRQ_TYPES, (SCALAR, ZERO, 0, 0, Irq(ref, saver)))
        _touched(ck, frame, slot, True)
        return
    if at is None or not 0 <= at[1] < len(at[0].stack) or at[0].stack[at[1]][0] != IRQ_TYPES:
        raise Reject(EINVAL, f"expected an initialized irq flag as arg#{number - 1}")
    frame, slot = at
    spill = frame.stack[slot][1]
    assert spill is not None
    _touched(ck, frame, slot, False)
    _restore(ck, spill[4], saver)
    frame.stack[slot] = EMPTY_SLOT
    _touched(ck, frame, slot, True)


def _restore(ck: Checker, irq: Irq, saver: str) -> None:
    if irq.saver != saver:
        raise Reject(EINVAL, f"irq flag acquired by {irq.saver} kfuncs cannot be restored with {saver} kfuncs")
    last = next((r for r in reversed(ck.st.refs) if r.kind == IRQ), None)
    if last is None or last.id != irq.ref:
        shown = f"expected id={last.id} acquired at insn_idx={last.pc}" if last is not None else ""
        raise Reject(EACCES, f"cannot restore irq state out of order, {shown}")
    ck.st.refs = tuple(r for r in ck.st.refs if r is not last)


def _touched(ck: Checker, frame: Frame, slot: int, written: bool) -> None:
    if written:
        ck.live_stack.write(frame.frameno, 1 << slot)
    else:
        ck.live_stack.read(frame.frameno, 1 << slot)
    if frame is ck.frame:
        ck.scratch_slots |= 1 << slot
