"""Objects of the program's own on the kernel's heap, and the lists and trees that they can be on.

An object is a BTF_ID register of a struct of the program's BTF with the flag ALLOC. While the program alone has it, it is a
reference; once it is on a list or tree, the pointer is only *borrowed*: good as long as the lock is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from userbpf.verifier import fields
from userbpf.verifier.references import forget
from userbpf.verifier.regs import ALLOC, BORROWED, BTF_ID, Reg

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker


def record_of(ck: Checker, reg: Reg) -> fields.Record | None:
    """The special fields of the object that a pointer leads to."""
    if reg[0] & 0xFF != BTF_ID or not reg[0] & ALLOC:
        return None
    key = (reg[4][1], reg[4][2])
    if key not in ck.object_fields:
        ck.object_fields[key] = fields.parse(*key, fields.IN_OBJECTS, ck.kernel_names)
    return ck.object_fields[key]


def drop_borrowed(ck: Checker) -> None:
    """The lock is given back: pointers to what is on lists and trees are none any more."""
    forget(ck, lambda reg: bool(reg[0] & BORROWED) and reg[0] & 0xFF == BTF_ID)
