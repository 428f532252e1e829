"""Kernel functions whose result depends on more than their prototype: casts, slices of dynptrs."""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.btf import Composite, Struct, Void
from userbpf.spec.progs import PROGS
from userbpf.verifier import dynptr, kfuncs
from userbpf.verifier.btfptr import UNTRUSTED_MEM, pointer
from userbpf.verifier.kfuncs import KfuncCall
from userbpf.verifier.regs import MAYBE_NULL, MEM, RDONLY, TRUSTED, UNTRUSTED
from userbpf.verifier.reject import EINVAL, Reject

# one member each of what a program sees of its context and of what the kernel has: BPF_PROG_TYPE_XDP_prog, ..._kern
CONVERSIONS: Final = "bpf_ctx_convert"


def cast_to_kern_ctx(call: KfuncCall) -> bool:
    """The structure behind the context."""
    btf = call.kfunc.btf
    rows = btf.find(CONVERSIONS, Struct)
    name = f"{ProgType(call.ck.req.prog_type).c_name}_kern"
    type_id = next((m.type for m in rows.members if m.name == name), 0) if rows is not None else 0
    t = btf.resolve(type_id)
    if not isinstance(t, Composite):
        raise Reject(EINVAL, f"kern ctx type id {type_id} is not a struct")
    call.ck.regs[0] = pointer(btf, t.id, TRUSTED)
    return True


def rdonly_cast(call: KfuncCall) -> bool:
    """Any pointer, taken for a structure; nobody knows whether it is one."""
    btf = call.kfunc.btf
    number = call.constant or 0
    if number >= len(btf):
        raise Reject(EINVAL, f"Unknown type ID {number} passed to kfunc bpf_rdonly_cast")
    t = btf.by_id(number)
    if isinstance(t, Void):
        call.ck.regs[0] = UNTRUSTED_MEM
    elif isinstance(t, Composite):
        call.ck.regs[0] = pointer(btf, t.id, UNTRUSTED)
    else:
        raise Reject(EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void")
    return True


def dynptr_slice(call: KfuncCall) -> bool:
    return _slice(call, RDONLY)


def dynptr_slice_rdwr(call: KfuncCall) -> bool:
    row = PROGS[call.ck.req.prog_type]
    if row.packet != "rw":
        raise Reject(EINVAL, "the prog does not allow writes to packet data")
    return _slice(call, 0)


def _slice(call: KfuncCall, flags: int) -> bool:
    ck = call.ck
    size = call.constant
    if size is None or not call.dynptrs:
        raise Reject(EINVAL, f"{call.kfunc.name} takes a dynptr and a constant size")
    ck.regs[0] = dynptr.slice_of(call.dynptrs[0], size, MEM | MAYBE_NULL | flags, ck.new_id())
    return True


kfuncs.RESULTS.update(
    bpf_cast_to_kern_ctx=cast_to_kern_ctx,
    bpf_rdonly_cast=rdonly_cast,
    bpf_dynptr_slice=dynptr_slice,
    bpf_dynptr_slice_rdwr=dynptr_slice_rdwr,
)
