"""Pointers to the kernel's own structures: how a program gets them from its context, and what following them yields.

Such a register is `(BTF_ID | flags, 0, id, off, (structure's name, btf, type id, reference id))`. The flags tell how far
it may be trusted:

| flags | name | read through | given to helpers |
|---|---|---|---|
| TRUSTED | trusted_ptr_ | yes | yes |
| RCU | rcu_ptr_ | inside a read-side section | yes |
| none | ptr_ | yes, but it may be stale | by some |
| UNTRUSTED | untrusted_ptr_ | yes | no |

Every read can fail in Linux and yields 0 then; so a read through such a pointer is never a plain load, and `PtrKind.BTF`
says so to the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.btf import Btf, Composite, Enum, FuncProto, Int, Ptr, Type, TypeTag, Void
from userbpf.errors import BtfError
from userbpf.spec import btf_rules
from userbpf.spec.btf_rules import Writable
from userbpf.verifier import access, graph, sections
from userbpf.verifier.api import PtrKind
from userbpf.verifier.attach import Target, kind_text
from userbpf.verifier.btfwalk import Met, Step, shown, struct_named, walk
from userbpf.verifier.domain import from_srange
from userbpf.verifier.regs import (
    ALLOC,
    BASE_MASK,
    BTF_ID,
    BUF,
    MAYBE_NULL,
    MEM,
    PERCPU,
    RCU,
    RDONLY,
    SCALAR,
    TRUSTED,
    UNKNOWN_REG,
    UNTRUSTED,
    USER,
    ZERO,
    Reg,
    scalar,
)
from userbpf.verifier.reject import EACCES, EINVAL, ENOTSUPP, EPERM, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

CTX_BYTES: Final = 12 * 8
# what a pointer to a number, a function, void ... leads to: nobody knows how much, so reads anywhere may fail and are allowed
UNTRUSTED_MEM: Final[Reg] = (MEM | RDONLY | UNTRUSTED, ZERO, 0, 0, (0, 0))
_GIVEN: Final = {
    "ptr_or_null": BTF_ID | MAYBE_NULL,
    "trusted_ptr_or_null": BTF_ID | TRUSTED | MAYBE_NULL,
    "buf_or_null": BUF | MAYBE_NULL,
    "rdonly_buf_or_null": BUF | RDONLY | MAYBE_NULL,
}


def pointer(btf: Btf, type_id: int, flags: int, rid: int = 0, ref: int = 0) -> Reg:
    """A register that points at a structure."""
    return (BTF_ID | flags, ZERO, rid, 0, (btf.by_id(type_id).name, btf, type_id, ref))


def is_trusted(reg: Reg) -> bool:
    """Neither stale nor NULL: marked so, or held by a reference."""
    if reg[4][3]:
        return True
    return bool(reg[0] & TRUSTED) and not reg[0] & (MAYBE_NULL | UNTRUSTED | RCU | USER | PERCPU)


def in_rcu_section(ck: Checker) -> bool:
    """What RCU protects stays: programs that cannot sleep run inside of a section as a whole."""
    return sections.in_rcu(ck)


# --- the context -----------------------------------------------------------------------------------------------------------


class BtfContext:
    """A context of 8-byte words: the arguments of a function of the kernel, by its prototype."""

    __slots__ = ("_known", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[tuple[int, int], tuple[Reg | None, str]] = {}

    def access(self, ck: Checker, off: int, size: int, write: bool, sx: bool) -> Reg | None:
        """What a read yields; None where there is no such access."""
        if write or off < 0 or off >= CTX_BYTES or off % size:
            return None
        found = self._known.get((off, size))
        if found is None:
            found = self._known[off, size] = self._argument(off, size)
        reg, text = found
        if text:
            ck.say(text)
        return None if reg is not None and sx and reg[0] != SCALAR else reg

    def _argument(self, off: int, size: int) -> tuple[Reg | None, str]:
        """The register, and what the log says of it."""
        target = self.target
        name, btf = target.name, target.btf
        if off % 8:
            return None, f"func '{name}' offset {off} is not multiple of 8"
        if target.proto is None or btf is None:
            return UNKNOWN_REG, ""
        params = target.params
        number = argument_number(btf, target.proto, off)
        if number < len(params):
            t = btf.resolve(params[number].type)
        elif number == len(params) and target.exit_value:
            t = btf.resolve(target.proto.type)
            if isinstance(t, Void):
                return UNKNOWN_REG, ""
            if target.int_value_only and not (isinstance(t, Int) and t.size <= 8):
                return None, f"ret type {kind_text(t)} not allowed for fmod_ret"
            if (
                target.ret_is_32 and target.ret is not None
            ):  # an LSM hook: what came before is as narrow as what follows
                return scalar(from_srange(*target.ret)), ""
        else:
            return None, f"func '{name}' doesn't have {number + 1}-th argument"
        if isinstance(t, (Int, Enum, Composite)):
            return UNKNOWN_REG, ""
        if size != 8:
            return None, f"func '{name}' size {size} must be 8"
        if not isinstance(t, Ptr):
            return None, f"func '{name}' arg{number} '{t.name}' has type {kind_text(t)}. Only pointer access is allowed"
        return self._pointer(btf, number, t, params[number].name if number < len(params) else "")

    def _pointer(self, btf: Btf, number: int, t: Ptr, param: str) -> tuple[Reg | None, str]:
        target = self.target
        given = target.given.get(number)
        if given is not None and _GIVEN[given] & BASE_MASK == BUF:
            return (_GIVEN[given], ZERO, 0, 0, (0, 0)), ""
        pointee = btf.resolve(t.type)
        if isinstance(pointee, (Void, Int)):
            return UNKNOWN_REG, ""
        if given is not None:
            return pointer(btf, pointee.id, _GIVEN[given] & ~BTF_ID), ""
        flags = TRUSTED if target.trusted else 0
        if number in target.nullable or param.endswith("__nullable"):
            flags |= MAYBE_NULL
        tag = btf.by_id(t.type)
        if isinstance(tag, TypeTag):
            flags |= {"user": USER, "percpu": PERCPU}.get(tag.name, 0)
        if number in target.nullable and target.ops is not None:
            return pointer(btf, pointee.id, flags), ""
        if not isinstance(pointee, Composite):
            return None, f"func '{target.name}' arg{number} type {kind_text(pointee)} is not a struct"
        text = f"func '{target.name}' arg{number} has btf_id {pointee.id} type {kind_text(pointee)} '{shown(pointee)}'"
        return pointer(btf, self._narrowed(btf, pointee), flags), text

    def _narrowed(self, btf: Btf, pointee: Type) -> int:
        if self.target.ops is not None:
            for general, special in self.target.ops.narrowed:
                if pointee.name == general:
                    return struct_named(btf, special) or pointee.id
        return pointee.id


def argument_number(btf: Btf, proto: FuncProto, off: int) -> int:
    """Which parameter lies at a context offset: each takes words of 8 bytes, structures by value several."""
    end = 0
    for number, param in enumerate(proto.params):
        end += _words(btf, param.type)
        if off < end:
            return number
    end += _words(btf, proto.type)
    return len(proto.params) if off < end else len(proto.params) + 1


def _words(btf: Btf, type_id: int) -> int:
    t = btf.resolve(type_id)
    if isinstance(t, Void):
        return 0
    try:
        return (btf.size_of(t.id) + 7) // 8 * 8
    except BtfError:
        return 8


# --- through the pointer ---------------------------------------------------------------------------------------------------


def check_access(
    ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int, sx: bool
) -> None:
    """One load, store or atomic through a pointer that is not NULL; pc is -1 for memory that a helper is handed."""
    if reg[0] & ALLOC:
        graph.check_access(ck, pc, regno, reg, off, size, write, value, sx)
        return
    name, btf, type_id, _ = reg[4]
    if not ck.allow_ptr_leaks:
        raise Reject(EPERM, f"'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN")
    if not ck.req.gpl_compatible and btf is ck.kernel_btf():
        raise Reject(EINVAL, f"Cannot access kernel 'struct {name}' from non-GPL compatible program")
    total = off + reg[3]
    if total < 0:
        raise Reject(EACCES, f"R{regno} is ptr_{name} invalid negative access: off={total}")
    if reg[1].mask or reg[1].value:
        raise Reject(
            EACCES,
            f"R{regno} is ptr_{name} invalid variable offset: off={total}, var_off={access.tnum_text(reg[1])}",
        )
    if reg[0] & USER:
        raise Reject(EACCES, f"R{regno} is ptr_{name} access user memory: off={total}")
    if reg[0] & PERCPU:
        raise Reject(EACCES, f"R{regno} is ptr_{name} access percpu memory: off={total}")
    if pc >= 0:
        ck.fact_access(pc, PtrKind.BTF, None, total)
    if write:
        check_store(ck, btf, name, type_id, total, size)
        return
    step = walk(btf, type_id, total, size)
    if value < 0:
        return
    if step.met is Met.SCALAR:
        ck.regs[value] = access.loaded(size, sx)
        return
    if step.met is Met.MEM:
        ck.regs[value] = UNTRUSTED_MEM
        return
    flags = trust(ck, reg, name, step)
    ck.regs[value] = pointer(btf, step.type_id, flags, ck.new_id() if flags & MAYBE_NULL else 0)


def trust(ck: Checker, parent: Reg, struct: str, step: Step) -> int:
    """How far a pointer that was read from a structure may be trusted."""
    flags = step.flags & (USER | PERCPU)
    kind = parent[0]
    field = (struct, step.member)
    if kind & UNTRUSTED or step.flags & UNTRUSTED:
        return UNTRUSTED
    if not (is_trusted(parent) or kind & RCU):
        return flags
    if field in btf_rules.SAFE_TRUSTED:
        return flags | TRUSTED
    if field in btf_rules.SAFE_TRUSTED_OR_NULL:
        return flags | TRUSTED | MAYBE_NULL
    if not in_rcu_section(ck):
        return UNTRUSTED
    if field in btf_rules.SAFE_RCU:
        return flags | RCU
    if step.flags & RCU or field in btf_rules.SAFE_RCU_OR_NULL:
        return flags | RCU | MAYBE_NULL
    return flags


def check_map_access(
    ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int, sx: bool
) -> None:
    """A load through a pointer to a map: the fields of the kernel's own structure."""
    btf = ck.kernel_btf()
    kind = reg[4][0].shape.map_type
    if btf is None:
        raise Reject(ENOTSUPP, "map_ptr access not supported without CONFIG_DEBUG_INFO_BTF")
    name = btf_rules.MAP_STRUCTS.get(kind, "")
    type_id = struct_named(btf, name)
    if not type_id:
        raise Reject(ENOTSUPP, f"map_ptr access not supported for map type {int(kind)}")
    if not ck.allow_ptr_leaks:
        raise Reject(EPERM, f"'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN")
    if off < 0:
        raise Reject(EACCES, f"R{regno} is {name} invalid negative access: off={off}")
    if write:
        raise Reject(EACCES, f"only read from {name} is supported")
    step = walk(btf, type_id, off, size)
    ck.fact_access(pc, PtrKind.BTF, None, None)
    if value < 0:
        return
    if step.met is Met.SCALAR:
        ck.regs[value] = access.loaded(size, sx)
    elif step.met is Met.MEM:
        ck.regs[value] = UNTRUSTED_MEM
    else:
        ck.regs[value] = pointer(btf, step.type_id, step.flags)


def check_store(ck: Checker, btf: Btf, name: str, type_id: int, off: int, size: int) -> None:
    """Only where the owner of a structure of functions lets programs write."""
    ops = ck.target.ops if ck.target is not None else None
    rows = dict(ops.writable) if ops is not None else {}
    row = rows.get(name) or btf_rules.WRITABLE.get((ck.req.prog_type, name))
    if row is None:
        raise Reject(EACCES, "only read is supported")
    if row.first:
        if off + size <= row.first:
            return
        raise Reject(EACCES, row.refusal.format(off=off, size=size))
    for path in row.fields:
        start, length = _place(btf, type_id, path)
        if off == start:
            _fits(row, off, size, start + length)
            return
    for path in row.ranges:
        start, length = _place(btf, type_id, path)
        if start <= off < start + length:
            _fits(row, off, size, start + length)
            return
    raise Reject(EACCES, row.refusal.format(off=off, size=size))


def _fits(row: Writable, off: int, size: int, end: int) -> None:
    if off + size > end:
        raise Reject(EACCES, row.beyond.format(off=off, size=size, end=end))


def _place(btf: Btf, type_id: int, path: str) -> tuple[int, int]:
    """Offset and bytes of a member of a member ...; (-1, 0) where this kernel has none such."""
    start = length = 0
    for name in path.split("."):
        t = btf.resolve(type_id)
        member = next((m for m in t.members if m.name == name), None) if isinstance(t, Composite) else None
        if member is None:
            return -1, 0
        start += member.offset
        type_id = member.type
        length = (member.bits + 7) // 8 if member.bits else btf.size_of(type_id)
    return start, length
