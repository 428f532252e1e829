"""Objects of the program's own on the kernel's heap, and the lists and trees that they can be on.

An object is a BTF_ID register of a struct of the program's BTF with the flag ALLOC. While the program alone has it, it is a
reference; once it is on a list or tree, the pointer is only *borrowed*: good as long as the lock is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from userbpf.btf import Btf
from userbpf.errors import BpfError, BtfError
from userbpf.verifier import access, btfptr, btfwalk, fields
from userbpf.verifier.api import PtrKind
from userbpf.verifier.references import forget
from userbpf.verifier.regs import ALLOC, BASE_MASK, BORROWED, BTF_ID, PERCPU, Reg
from userbpf.verifier.reject import EACCES, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker


def record_of(ck: Checker, reg: Reg) -> fields.Record | None:
    """The special fields of the object that a pointer leads to."""
    if reg[0] & BASE_MASK != BTF_ID or not reg[0] & ALLOC:
        return None
    return record_of_type(ck, reg[4][1], reg[4][2])


def record_of_type(ck: Checker, btf: Btf, type_id: int) -> fields.Record | None:
    """The special fields of a struct of the program's BTF; a struct that BTF_LOAD did not look at has none."""
    key = (btf, type_id)
    if key not in ck.object_fields:
        try:
            wanted = fields.is_looked_at(btf, btf.resolve(type_id))
            found = fields.parse(btf, type_id, fields.IN_OBJECTS, ck.kernel_names) if wanted else None
        except (BpfError, BtfError):
            found = None
        ck.object_fields[key] = found
    return ck.object_fields[key]


def keeps_id(ck: Checker, reg: Reg) -> bool:
    """Objects with a lock are told apart by their id, after the check for NULL too."""
    record = record_of(ck, reg)
    return record is not None and bool(record.kinds & fields.LOCKS)


def drop_borrowed(ck: Checker) -> None:
    """The lock is given back: pointers to what is on lists and trees are none any more."""
    forget(ck, lambda reg: bool(reg[0] & BORROWED) and reg[0] & BASE_MASK == BTF_ID)


def check_access(
    ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int, sx: bool
) -> None:
    """One load or store in an object: a member of it, but none of the kernel's fields. A pointer in it is a number."""
    name, btf, type_id, _ = reg[4]
    total = off + reg[3]
    if total < 0:
        raise Reject(EACCES, f"R{regno} is ptr_{name} invalid negative access: off={total}")
    if reg[1].mask or reg[1].value:
        shown = access.tnum_text(reg[1])
        raise Reject(EACCES, f"R{regno} is ptr_{name} invalid variable offset: off={total}, var_off={shown}")
    if reg[0] & PERCPU:
        raise Reject(EACCES, f"R{regno} is ptr_{name} access percpu memory: off={total}")
    record = record_of(ck, reg)
    for field in record.fields if record is not None else ():
        if total < field.off + field.size and field.off < total + size:
            raise Reject(EACCES, f"direct access to {field.title} is disallowed")
    if (
        total + size > btf.size_of(type_id) and not ck.mirror
    ):  # Linux takes an array without size for one that never ends
        raise Reject(EACCES, f"access beyond struct {name} at off {total} size {size}")
    step = btfwalk.walk(btf, type_id, total, size)
    if pc >= 0:
        ck.fact_access(pc, PtrKind.MEM, None, None)
    if not write and value >= 0:
        ck.regs[value] = btfptr.UNTRUSTED_MEM if step.met is btfwalk.Met.MEM else access.loaded(size, sx)
