"""Kernel pointers in map values and objects: loads and stores of them, and bpf_kptr_xchg.

A referenced pointer is only exchanged: what was in the field becomes the program's reference, what the program held
becomes the field's. It may also be read, as a pointer that RCU protects; an untrusted one may be read and stored freely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.btf import Btf, Composite, Struct
from userbpf.errors import BtfError
from userbpf.verifier import fields, graph, sections
from userbpf.verifier.fields import Field, Record
from userbpf.verifier.jump import map_regs
from userbpf.verifier.regs import (
    ALLOC,
    BASE_MASK,
    BORROWED,
    BTF_ID,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    PERCPU,
    RCU,
    SCALAR,
    TRUSTED,
    UNTRUSTED,
    ZERO,
    Reg,
    type_name,
)
from userbpf.verifier.reject import EACCES, EFAULT, EINVAL, Reject
from userbpf.verifier.stack import STORE_IMM
from userbpf.verifier.state import Ref

if TYPE_CHECKING:
    from userbpf.spec.argtypes import Arg
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call

OWNED: Final = frozenset((fields.KPTR_REF, fields.KPTR_PERCPU))


def target(ck: Checker, field: Field, own: Btf) -> tuple[str, Btf, int]:
    """What a field points at: name, BTF, type id; the kernel's type where it has one of the name."""
    assert field.target is not None
    if field.in_kernel:
        kernel = ck.kernel_btf()
        found = kernel.find(field.target.name, Struct) if kernel is not None else None
        if kernel is not None and found is not None:
            return found.name, kernel, found.id
    return field.target.name, own, field.target.id


# --- loads and stores ------------------------------------------------------------------------------------------------------


def access(ck: Checker, pc: int, field: Field, own: Btf, write: bool, value: int, plain: bool) -> bool:
    """A load or store of a whole field by an instruction. True if the loaded register is set."""
    if not plain:
        raise Reject(EACCES, f"{field.title} in map can only be accessed using BPF_MEM instruction mode")
    if not write:
        if value >= 0:
            ck.regs[value] = loaded(ck, field, own)
        return True
    if field.kind in OWNED:
        raise Reject(EACCES, "store to referenced kptr disallowed")
    if field.kind == fields.UPTR:
        raise Reject(EACCES, "store to uptr disallowed")
    if value == STORE_IMM:
        if ck.insns[pc].imm:
            raise Reject(EACCES, f"BPF_ST imm must be 0 when storing to kptr at off={field.off}")
        return False
    reg = ck.regs[value]
    if not (reg[0] == SCALAR and reg[1] is ZERO):
        match(ck, field, own, value, reg)
    return False


def loaded(ck: Checker, field: Field, own: Btf) -> Reg:
    """The register that a load of the field gives."""
    assert field.target is not None
    if field.kind == fields.UPTR:
        return (MEM | MAYBE_NULL, ZERO, ck.new_id(), 0, (field.target.size, 0))
    from userbpf.verifier.btfptr import in_rcu_section

    flags = UNTRUSTED
    if field.kind in OWNED and in_rcu_section(ck):
        percpu = field.kind == fields.KPTR_PERCPU
        flags = RCU | (PERCPU if percpu else 0) | (0 if field.in_kernel else ALLOC)
        if not percpu and not field.in_kernel and _may_be_linked(ck, field, own):
            flags |= BORROWED  # others own it and may drop it at any time: to become an owner may fail
    return (BTF_ID | MAYBE_NULL | flags, ZERO, ck.new_id(), 0, (*target(ck, field, own), 0))


def _may_be_linked(ck: Checker, field: Field, own: Btf) -> bool:
    """Whether the object is of a kind that lies on lists or trees."""
    from userbpf.verifier.graph import record_of_type

    assert field.target is not None
    record = record_of_type(ck, own, field.target.id)
    return record is not None and bool(record.kinds & fields.NODES)


def match(ck: Checker, field: Field, own: Btf, regno: int, reg: Reg) -> None:
    """A pointer that is put into a field must be of the field's type."""
    unref = field.kind == fields.KPTR_UNREF
    if reg[0] & BASE_MASK == BTF_ID and reg[4][1] is ck.kernel_btf():
        allowed = MAYBE_NULL | TRUSTED | RCU | (UNTRUSTED if unref else 0)
    else:
        allowed = MAYBE_NULL | ALLOC | (PERCPU if field.kind == fields.KPTR_PERCPU else 0)
    name, btf, type_id = target(ck, field, own)
    fits = reg[0] & BASE_MASK == BTF_ID and not reg[0] & ~BASE_MASK & ~allowed
    shown = type_name(reg[0])
    if fits:
        shown += reg[4][0]
        if reg[3] < 0 or reg[1].mask or reg[1].value:
            from userbpf.verifier.access import fixed_offset

            fixed_offset(ck, regno, reg, True)
        fits = _same(reg, btf, type_id, not unref)
    if fits:
        return
    text = f"invalid kptr access, R{regno} type={shown} expected=ptr_{name}"
    raise Reject(EACCES, text + (f" or untrusted_ptr_{name}" if unref else ""))


def _same(reg: Reg, btf: Btf, type_id: int, strict: bool) -> bool:
    """Whether the pointer leads to the type: at its beginning, or (not strict) to a first member of it."""
    _, have, have_id, _ = reg[4]
    if have is not btf:
        return False
    if have_id == type_id and not reg[3]:
        return True
    return not strict and _inside(btf, have_id, reg[3], type_id)


def _inside(btf: Btf, outer: int, off: int, wanted: int) -> bool:
    """A struct of type `wanted` lies at an offset of another one."""
    try:
        t = btf.resolve(outer)
        while isinstance(t, Composite):
            if t.id == wanted and off == 0:
                return True
            inner = next((m for m in t.members if m.offset <= off < m.offset + btf.size_of(m.type)), None)
            if inner is None:
                return False
            off -= inner.offset
            t = btf.resolve(inner.type)
    except BtfError:
        pass
    return False


# --- bpf_kptr_xchg ---------------------------------------------------------------------------------------------------------


def destination(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """Argument 1: a field in a map value, or in an object of the program's."""
    record: Record | None
    if reg[0] == MAP_VALUE:
        use = reg[4][0]
        if use.shape.btf is None:
            raise Reject(EINVAL, f"map '{use.shape.name}' has to have BTF in order to use bpf_kptr_xchg")
        record, own = use.fields, use.shape.btf
        call.map = use
    else:
        record, own = graph.record_of(call.ck, reg), reg[4][1]
    if reg[1].mask:
        raise Reject(EINVAL, f"R{number} doesn't have constant offset. kptr has to be at the constant offset")
    if record is None or not record.kinds & fields.KPTRS:
        raise Reject(EINVAL, f"R{number} has no valid kptr")
    off = reg[3] + reg[1].value
    field = next((f for f in record.fields if f.off == off and f.kind in fields.KPTRS), None)
    if field is None:
        raise Reject(EACCES, f"off={off} doesn't point to kptr")
    if field.kind not in OWNED:
        raise Reject(EACCES, f"off={off} kptr isn't referenced kptr")
    call.kptr = (field, own)


def source(call: Call, number: int, reg: Reg) -> None:
    """Argument 2: what goes into the field."""
    if reg[0] & MAYBE_NULL:
        if reg[0] & ALLOC:
            raise Reject(EFAULT, "verifier bug: invalid PTR_TO_BTF_ID register for type match")
        raise Reject(EACCES, f"Possibly NULL pointer passed to helper arg{number}")
    assert call.kptr is not None
    field, own = call.kptr
    match(call.ck, field, own, number, reg)


def given_away(ck: Checker, ref: int) -> None:
    """A per-CPU object is the field's now: what RCU protects may still be used."""
    if not sections.in_rcu(ck):
        return

    def lend(reg: Reg) -> Reg:
        if reg[0] & BASE_MASK != BTF_ID or reg[0] & (ALLOC | PERCPU) != ALLOC | PERCPU or reg[4][3] != ref:
            return reg
        return (reg[0] & ~ALLOC | RCU, *reg[1:4], (*reg[4][:3], 0))

    map_regs(ck.st, lend)


def result(call: Call) -> Reg:
    """What was in the field: a reference of the program's own now."""
    assert call.kptr is not None
    field, own = call.kptr
    ck = call.ck
    ck.new_id()
    ref = ck.new_id()
    ck.st.refs = (*ck.st.refs, Ref("ptr", ref, call.pc))
    flags = MAYBE_NULL | (0 if field.in_kernel else ALLOC) | (PERCPU if field.kind == fields.KPTR_PERCPU else 0)
    return (BTF_ID | flags, ZERO, ref, 0, (*target(ck, field, own), ref))
