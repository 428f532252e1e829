"""Spin locks: one at a time, given back on every path, and nothing called in between that could sleep or not return.

A held lock is a `Ref` of kind "lock" whose `ptr` is the map (or the structure) it lies in, and whose id is that of the pointer
through which it was taken: two lookups of one map may give two locks.

Resilient locks may be nested, and taking one may fail: the path on which it did holds nothing. They are given back in the
order of taking, by the counterpart of the function that took them (`Ref.how`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.verifier import fields, graph
from userbpf.verifier.domain import U32, U64, make
from userbpf.verifier.regs import ALLOC, BTF_ID, MAP_VALUE, UNINIT, Reg, scalar
from userbpf.verifier.reject import EACCES, EINVAL, MAX_ERRNO, Reject
from userbpf.verifier.state import Ref

if TYPE_CHECKING:
    from userbpf.spec.argtypes import Arg
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call
    from userbpf.verifier.kfuncs import KfuncCall
    from userbpf.verifier.maps import MapUse

LOCK: Final = "lock"
PLAIN: Final = ""
RESILIENT: Final = "res"
SAVED: Final = "irq"  # a resilient lock that was taken with interrupts off
TAKERS: Final = ("bpf_res_spin_lock", "bpf_res_spin_lock_irqsave")
_LOW: Final = (1 << 64) - 1 - MAX_ERRNO
_ERROR: Final = scalar(make(_LOW, MAX_ERRNO, -MAX_ERRNO, -1, _LOW + 1, U64, -MAX_ERRNO, -1, _LOW + 1 & U32, U32))
# kernel functions that are called with a lock in hand
_UNDER_LOCK: Final = (
    "bpf_list_", "bpf_rbtree_", "bpf_refcount_acquire", "bpf_iter_num_", "bpf_res_spin_", "bpf_stream_",
)  # fmt: skip
# those that run a function of the program: before they return, or later
SYNC_CALLBACKS: Final = frozenset(("bpf_rbtree_add_impl",))
ASYNC_CALLBACKS: Final = frozenset(
    ("bpf_wq_set_callback_impl", "bpf_task_work_schedule_signal_impl", "bpf_task_work_schedule_resume_impl")
)


def held(ck: Checker) -> Ref | None:
    """The lock taken last, of those that this path holds."""
    for ref in reversed(ck.st.refs):
        if ref.kind == LOCK:
            return ref
    return None


def no_helper(ck: Checker, number: int) -> None:
    """With a lock in hand, helpers are not called, but the one that gives it back."""
    if number != HelperId.spin_unlock and held(ck) is not None:
        raise Reject(EINVAL, "function calls are not allowed while holding a lock")


def no_kfunc(ck: Checker, name: str) -> None:
    """With a lock in hand, of kernel functions only those that work under it are called."""
    if name.startswith(_UNDER_LOCK) or held(ck) is None:
        return
    raise Reject(EINVAL, "function calls are not allowed while holding a lock")


def no_global(ck: Checker) -> None:
    """What a global function does is not seen from here."""
    if held(ck) is not None:
        ck.say("global function calls are not allowed while holding a lock,")
        raise Reject(EINVAL, "use static function instead")


def where(ck: Checker, number: int, reg: Reg, kind: str) -> object:
    """A pointer to a lock of a kind; what it lies in."""
    name = kind.removesuffix("_lock")
    if reg[1].mask:
        raise Reject(EINVAL, f"R{number} doesn't have constant offset. {name}_lock has to be at the constant offset")
    if reg[0] == MAP_VALUE:
        use: MapUse = reg[4][0]
        if use.shape.btf is None:
            raise Reject(EINVAL, f"map '{use.shape.name}' has to have BTF in order to use {name}_lock")
        record, owner, title = use.fields, use, f"map '{use.shape.name}'"
    else:
        record, owner, title = graph.record_of(ck, reg), reg[4][2], "local 'kptr'"
    field = record.first(kind) if record is not None else None
    if field is None:
        raise Reject(EINVAL, f"{title} has no valid {name}_lock")
    off = reg[3] + reg[1].value
    if off != field.off:
        raise Reject(EINVAL, f"off {off} doesn't point to 'struct {name}_lock' that is at {field.off}")
    return owner


def take(ck: Checker, number: int, reg: Reg, pc: int) -> None:
    """bpf_spin_lock."""
    owner = where(ck, number, reg, fields.SPIN_LOCK)
    if held(ck) is not None:
        raise Reject(EINVAL, "Locking two bpf_spin_locks are not allowed")
    ck.st.refs = (*ck.st.refs, Ref(LOCK, reg[2], pc, owner))


def give_back(ck: Checker, number: int, reg: Reg) -> None:
    """bpf_spin_unlock: of the lock that was taken; what was only lent under it is gone."""
    _give_back(ck, where(ck, number, reg, fields.SPIN_LOCK), reg, "bpf_spin_unlock", PLAIN)


def _give_back(ck: Checker, owner: object, reg: Reg, name: str, how: str) -> None:
    lock = held(ck)
    if lock is None:
        raise Reject(EINVAL, f"{name} without taking a lock")
    if not any(_is(ref, owner, reg) and ref.how == how for ref in ck.st.refs):
        raise Reject(EINVAL, f"{name} of different lock")
    if not _is(lock, owner, reg):
        raise Reject(EINVAL, f"{name} cannot be out of order")
    ck.st.refs = tuple(r for r in ck.st.refs if r is not lock)
    graph.drop_borrowed(ck)


def _is(ref: Ref, owner: object, reg: Reg) -> bool:
    return ref.kind == LOCK and ref.id == reg[2] and ref.ptr is owner


# --- resilient locks -------------------------------------------------------------------------------------------------------


def resilient(call: KfuncCall, number: int, reg: Reg) -> None:
    """Argument `struct bpf_res_spin_lock *`: of the functions that take one, and of those that give it back."""
    ck, name = call.ck, call.kfunc.name
    if reg[0] not in (MAP_VALUE, BTF_ID | ALLOC):
        raise Reject(EINVAL, f"arg#{number} doesn't point to map value or allocated object")
    owner = where(ck, number + 1, reg, fields.RES_SPIN_LOCK)
    how = SAVED if "_irq" in name else RESILIENT
    if name not in TAKERS:
        _give_back(ck, owner, reg, "bpf_res_spin_unlock", how)
        return
    if any(_is(ref, owner, reg) and ref.how != PLAIN for ref in ck.st.refs):
        raise Reject(EINVAL, "Acquiring the same lock again, AA deadlock detected")
    ck.st.refs = (*ck.st.refs, Ref(LOCK, reg[2], call.pc, owner, how))


def may_fail(call: KfuncCall) -> None:
    """Before a resilient lock is taken: the path on which it is not."""
    regs = call.ck.push(call.pc + 1, call.pc).frames[-1].regs
    for i in range(6):
        regs[i] = UNINIT
    regs[0] = _ERROR


def helper_argument(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """An argument of type PTR_TO_SPIN_LOCK."""
    if in_less(call.ck):
        raise Reject(EACCES, "can't spin_{lock,unlock} in rbtree cb")
    if call.row.id == HelperId.spin_lock:
        take(call.ck, number, reg, call.pc)
    else:
        give_back(call.ck, number, reg)


def in_less(ck: Checker) -> bool:
    """Inside of the comparison that bpf_rbtree_add_impl runs: with the tree's lock held."""
    frame = ck.frame
    if not frame.in_callback or frame.callsite < 0:
        return False
    insn = ck.insns[frame.callsite]
    found = ck.kfuncs.get((insn.imm, insn.off)) if insn.src == 2 else None
    return found is not None and found.name in SYNC_CALLBACKS


def in_value(use: MapUse) -> bool:
    """Whether values of the map have a lock, so that each lookup is told from the others."""
    return use.fields is not None and bool(use.fields.kinds & fields.LOCKS)
