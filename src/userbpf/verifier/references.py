"""References and pointers that die: what a path still holds, and forgetting all that lives on what is given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from userbpf.verifier.jump import map_regs
from userbpf.verifier.regs import (
    PACKET,
    PACKET_END,
    PACKET_META,
    UNKNOWN_REG,
    Reg,
    ref_of,
)
from userbpf.verifier.reject import EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker


def leak(ck: Checker, what: str) -> None:
    """No reference or lock may be held here, and no section open."""
    if any(ref.kind == "lock" for ref in ck.st.refs):
        raise Reject(EINVAL, f"{what} cannot be used inside bpf_spin_lock-ed region")
    kept = [ref for ref in ck.st.refs if ref.kind == "ptr"]
    for ref in kept:
        ck.say(f"Unreleased reference id={ref.id} alloc_insn={ref.pc}")
    if kept:
        raise Reject(EINVAL, f"{what} would lead to reference leak")
    if any(ref.kind == "irq" for ref in ck.st.refs):
        raise Reject(EINVAL, f"{what} cannot be used inside bpf_local_irq_save-ed region")
    if ck.st.sections.rcu:
        raise Reject(EINVAL, f"{what} cannot be used inside bpf_rcu_read_lock-ed region")
    if ck.st.sections.preempt:
        raise Reject(EINVAL, f"{what} cannot be used inside bpf_preempt_disable-ed region")


def release_reference(ck: Checker, ref: int) -> None:
    """Forget the reference and every register that lives on it."""
    st = ck.st
    st.refs = tuple(r for r in st.refs if r.id != ref)
    forget(ck, lambda reg: ref_of(reg) == ref)


def clear_packet_pointers(ck: Checker) -> None:
    """Packet data may have moved."""
    from userbpf.verifier import dynptr

    forget(ck, lambda reg: reg[0] in (PACKET, PACKET_META, PACKET_END))
    dynptr.drop_packet_slices(ck)


def change_all(ck: Checker, change: Callable[[Reg], Reg]) -> None:
    """Change every register and spill of the path, and iterators on its stack that RCU protects."""
    from userbpf.verifier import iters

    map_regs(ck.st, change)
    iters.unprotect(ck)


def forget(ck: Checker, dead: Callable[[Reg], bool]) -> None:
    """Registers and spills of which `dead` is true become unknown numbers."""
    map_regs(ck.st, lambda reg: UNKNOWN_REG if dead(reg) else reg)
