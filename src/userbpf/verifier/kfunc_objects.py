"""Kernel functions over objects on the stack and on the program's own heap: entered where `kfuncs` and `kfunc_args` look.

Which rooms know them: `iters` (open-coded iterators), `sections` (RCU, preemption, interrupts), `graph` (objects, lists, trees),
`locks`, `timers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from userbpf.btf import Param, Ptr, Struct
from userbpf.verifier import iters, kfunc_args, kfuncs, results, sections
from userbpf.verifier.calls import DONE
from userbpf.verifier.references import leak
from userbpf.verifier.regs import Reg
from userbpf.verifier.reject import EINVAL, Reject

if TYPE_CHECKING:
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
    iters.argument(call, number + 1, reg, pointee(call, param))


def _irq_flag(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    sections.flag_argument(call, number + 1, reg)


def _throw(call: KfuncCall) -> int:
    """The program ends here, with the cookie as its result."""
    ck = call.ck
    if any(frame.in_callback or frame.in_async for frame in ck.st.frames):
        raise Reject(EINVAL, "kernel function bpf_throw is not supported in callbacks")
    results.check_thrown(ck)
    leak(ck, call.kfunc.name)
    return DONE


kfuncs.SPECIAL["bpf_throw"] = _throw
kfunc_args.STRUCTS[kfunc_args.ITER_PREFIX] = _iterator
kfunc_args.SUFFIXES["__irq_flag"] = _irq_flag
