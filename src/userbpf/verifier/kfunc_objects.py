"""Kernel functions over objects on the stack and on the program's own heap: entered where `kfuncs` and `kfunc_args` look.

Modules that know them: `iters` (open-coded iterators), `sections` (RCU, preemption, interrupts), `graph` (objects, lists, trees),
`locks`, `timers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import AttachType, ProgType
from userbpf.btf import Param, Ptr, Struct
from userbpf.verifier import fields, iters, kfunc_args, kfuncs, locks, results, sections, timers
from userbpf.verifier.calls import DONE
from userbpf.verifier.references import leak
from userbpf.verifier.regs import MAP_KEY, MAP_PTR, MAP_VALUE, ZERO, ZERO_REG, Reg
from userbpf.verifier.reject import EFAULT, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.kfuncs import KfuncCall


def pointee(call: KfuncCall, param: Param) -> Struct:
    """The struct that a parameter points at."""
    btf = call.kfunc.btf
    ptr = btf.resolve(param.type)
    assert isinstance(ptr, Ptr)
    target = btf.resolve(ptr.type)
    assert isinstance(target, Struct)
    return target


def _iterator(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    if number:
        raise Reject(EINVAL, f"arg#{number} expected pointer to an iterator on stack")
    ck = call.ck
    if call.kfunc.name == "bpf_iter_css_task_new" and not (sections.sleepable(ck) or _may_lock_css_set(ck)):
        raise Reject(EINVAL, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs")
    iters.argument(call, number + 1, reg, pointee(call, param))


def _may_lock_css_set(ck: Checker) -> bool:
    """The iterator takes a lock that others may hold while a program runs; not where these two kinds run."""
    req = ck.req
    if req.prog_type == ProgType.TRACING:
        return int(req.expected_attach_type) == AttachType.TRACE_ITER
    return req.prog_type == ProgType.LSM


def _irq_flag(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    sections.flag_argument(call, number + 1, reg)


def _throw(call: KfuncCall) -> int:
    """The program ends here; without a handler the cookie is its result."""
    ck = call.ck
    if ck.handler is None:
        results.check_thrown(ck)
    leak(ck, call.kfunc.name)
    return DONE


def _trap(call: KfuncCall) -> int | None:
    """Compilers call it where the program's behaviour would be undefined."""
    raise Reject(EFAULT, "unexpected __bpf_trap() due to uninitialized variable?")


kfuncs.SPECIAL["bpf_throw"] = _throw
kfuncs.SPECIAL["__bpf_trap"] = _trap


def _resilient(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    locks.resilient(call, number, reg)


def _taken(call: KfuncCall) -> bool:
    """On this path the lock was got."""
    call.ck.regs[0] = ZERO_REG
    return True


kfunc_args.STRUCTS[fields.RES_SPIN_LOCK] = _resilient
for _taker in locks.TAKERS:
    kfuncs.BEFORE[_taker] = locks.may_fail
    kfuncs.RESULTS[_taker] = _taken


def _deferred(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    """A work queue, or work of a task, in a map value."""
    if reg[0] != MAP_VALUE:
        raise Reject(EINVAL, f"arg#{number} doesn't point to a map value")
    timers.where(number + 1, reg, pointee(call, param).name)
    call.object = reg


_plain_map = kfunc_args.SUFFIXES["__map"]
# how messages call the field, by the function's prefix
_CALLED: Final = {fields.WORKQUEUE: "workqueue", fields.TASK_WORK: "bpf_task_work"}


def _map(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    """A map; beside a field that waits for its turn it must be the one that the field lies in."""
    _plain_map(call, number, reg, param)
    work = call.object
    record = reg[4][0].fields if reg[0] == MAP_PTR else None
    kind = next((kind for kind in _CALLED if record is not None and kind in record.kinds), None)
    if kind is None and call.kfunc.name.startswith("bpf_task_work"):
        kind = fields.TASK_WORK  # Linux 6.18.44 has a bug here and falls over
    if work is None or kind is None:
        return  # as in Linux, a map without work queues is not asked; the call then fails when it runs
    if work[4][0] is not reg[4][0] or timers.uid(work) != timers.uid(reg):
        text = f"{_CALLED[kind]} pointer in R{number} map_uid={timers.uid(work)} doesn't match map pointer in R{number + 1}"
        raise Reject(EINVAL, f"{text} map_uid={timers.uid(reg)}")


def _set_callback(call: KfuncCall) -> int | None:
    """The function will be called with the field's map, key and value."""
    assert call.object is not None
    value = call.object[4]

    def setup(regs: list[Reg]) -> None:
        regs[1] = (MAP_PTR, ZERO, 0, 0, value)
        regs[2] = (MAP_KEY, ZERO, 0, 0, value)
        regs[3] = (MAP_VALUE, ZERO, 0, 0, value)

    returns = (0, 0) if call.kfunc.name == "bpf_wq_set_callback_impl" else (-(1 << 31), (1 << 31) - 1)
    timers.check_later(call.ck, call.pc, call.callback, setup, returns, sleeps=True)
    return None


for _kind in (fields.WORKQUEUE, fields.TASK_WORK):
    kfunc_args.STRUCTS[_kind] = _deferred
kfunc_args.SUFFIXES["__map"] = _map
for _name in sorted(locks.ASYNC_CALLBACKS):
    kfuncs.SPECIAL[_name] = _set_callback
for _name in ("bpf_wq_init", "bpf_wq_start"):
    kfuncs.SPECIAL[_name] = lambda call: None
kfunc_args.STRUCTS[kfunc_args.ITER_PREFIX] = _iterator
kfunc_args.SUFFIXES["__irq_flag"] = _irq_flag
