"""Arguments of global functions that are more than numbers, context and memory: structures of the kernel, dynptrs.

A global function is checked once, for any arguments that fit its prototype and tags; where it is called only the contract
is looked at. So each kind of argument has two sides here that must mean the same: `given` refuses what a caller may not
pass, `assumed` is what the function may count on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.btf import Btf, Fwd, Struct, Type, Union
from userbpf.verifier import access, btfptr, dynptr
from userbpf.verifier.btfwalk import ids_match, shown
from userbpf.verifier.dynptr import LOCAL, Dyn
from userbpf.verifier.regs import (
    ARENA,
    BTF_ID,
    DYNPTR,
    MAYBE_NULL,
    RCU,
    SCALAR,
    STACK,
    TRUSTED,
    UNKNOWN_REG,
    UNTRUSTED,
    ZERO,
    Reg,
    type_name,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.btf_info import Arg
    from userbpf.verifier.check import Checker

DYNPTR_STRUCT: Final = "bpf_dynptr"
KINDS: Final = ("struct", "dynptr", "any", "arena")
_ACCEPTED: Final = (BTF_ID, BTF_ID | TRUSTED, BTF_ID | RCU)


def kernel_type(ck: Checker, local: Type) -> int:
    """The kernel's type of a local one's kind and name (`___flavor` dropped): its id, 0 where there is none."""
    kernel = ck.kernel_btf()
    if kernel is None or not local.name:
        return 0
    name = local.name.partition("___")[0]
    kinds = (Struct, Union) if isinstance(local, Fwd) else (type(local),)
    return next((found.id for kind in kinds if (found := kernel.find(name, kind)) is not None), 0)


def given(ck: Checker, number: int, reg: Reg, arg: Arg) -> None:
    """What a caller passes in register `number`; Reject where it does not fit."""
    if arg.kind == "any":
        return
    if arg.kind == "arena":
        if reg[0] not in (ARENA, SCALAR):
            raise Reject(EINVAL, f"R{number} is not a pointer to arena or scalar.")
        return
    if arg.kind == "dynptr":
        access.argument_offset(ck, number, reg)
        if reg[0] not in (STACK, DYNPTR):
            raise Reject(EINVAL, f"arg#{number - 1} expected pointer to stack or const struct bpf_dynptr")
        dynptr.expect(ck, number)
        return
    if arg.nullable and reg[0] == SCALAR and reg[1] is ZERO:
        return
    kind = reg[0] & ~MAYBE_NULL if arg.nullable else reg[0]
    if kind not in _ACCEPTED:
        names = ", ".join(type_name(k) for k in _ACCEPTED)
        raise Reject(EACCES, f"R{number} type={type_name(reg[0])} expected={names}")
    kernel = ck.kernel_btf()
    assert isinstance(kernel, Btf)  # prepare() found the structure there
    name, btf, type_id, _ = reg[4]
    if not ids_match(btf, type_id, reg[3], kernel, arg.type_id, False, ck.say):
        raise Reject(EACCES, f"R{number} is of type {name} but {shown(kernel.by_id(arg.type_id))} is expected")


def assumed(ck: Checker, arg: Arg) -> Reg:
    """What the function finds in the register."""
    if arg.kind == "dynptr":
        return (DYNPTR, ZERO, ck.new_id(), 0, Dyn(LOCAL, 0, True))
    if arg.kind == "arena":
        return UNKNOWN_REG  # the function casts it
    if arg.kind == "any" and not arg.type_id:
        return btfptr.UNTRUSTED_MEM
    kernel = ck.kernel_btf()
    assert isinstance(kernel, Btf)
    if arg.kind == "any":
        return btfptr.pointer(kernel, arg.type_id, UNTRUSTED, ck.new_id())
    null = MAYBE_NULL if arg.nullable else 0
    return btfptr.pointer(kernel, arg.type_id, TRUSTED | null, ck.new_id())
