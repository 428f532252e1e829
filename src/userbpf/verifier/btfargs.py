"""What helpers take and give of the kernel's structures: pointers by type, per-CPU variables, and the variables (ksyms) that a
program names in a `ldimm64`.

A helper's row names structures; the kernel's BTF tells their numbers. A pointer fits where its structure is the wanted one,
or begins with it: a `tcp_sock` is a `sock_common`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.btf import Btf, Composite, DataSec, Func, Var
from userbpf.errors import BtfError
from userbpf.spec.argtypes import MEM_RDONLY, OBJ_RELEASE, PTR_TRUSTED, Arg, Ret, RetBase
from userbpf.verifier import btfptr, maps
from userbpf.verifier.btfwalk import ids_match, shown, struct_named
from userbpf.verifier.regs import BASE_MASK, BTF_ID, MAYBE_NULL, MEM, PERCPU, RDONLY, TRUSTED, ZERO, Reg
from userbpf.verifier.reject import EACCES, EINVAL, ENOENT, Reject

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call

_H: Final = HelperId
PERCPU_SECTION: Final = ".data..percpu"


def argument(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """A pointer to one of the structures of the row."""
    if reg[0] & BASE_MASK != BTF_ID:
        return  # a socket of the program's own kind, or NULL where that may be
    ck = call.ck
    if reg[0] & MAYBE_NULL and (not arg.maybe_null or arg.flags & OBJ_RELEASE):
        raise Reject(EACCES, f"Possibly NULL pointer passed to helper arg{number}")
    want = ck.kernel_btf()
    want_id = struct_named(want, arg.btf[0])
    strict = bool(arg.flags & OBJ_RELEASE) and call.row.id != _H.sk_release
    name, btf, type_id, _ = reg[4]
    if want is None or not ids_match(btf, type_id, reg[3], want, want_id, strict, ck.say):
        raise Reject(EACCES, f"R{number} is of type {name} but {arg.btf[0]} is expected")


def percpu_argument(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """A per-CPU variable: the result is the same for one CPU."""
    if not reg[4][2]:
        raise Reject(EACCES, f"Helper has invalid btf_id in R{number}")
    call.percpu = reg


def result(call: Call, ret: Ret) -> tuple[int, object]:
    """(type, extra) of r0 where a helper returns a structure of the kernel's or a variable."""
    ck = call.ck
    if ret.base is RetBase.PTR_TO_MEM_OR_BTF_ID:
        return _variable(call, ret)
    btf = ck.kernel_btf()
    type_id = struct_named(btf, ret.btf[0]) if ret.btf else 0
    if btf is None or not type_id:
        raise Reject(EINVAL, f"invalid return type {int(ret.base)} of func {call.name}")
    trusted = TRUSTED if ret.flags & PTR_TRUSTED else 0
    return BTF_ID | trusted, (ret.btf[0], btf, type_id, 0)


def _variable(call: Call, ret: Ret) -> tuple[int, object]:
    assert call.percpu is not None
    name, btf, type_id, _ = call.percpu[4]
    t = btf.resolve(type_id)
    if isinstance(t, Composite):
        return BTF_ID, (name, btf, type_id, 0)
    try:
        size = btf.size_of(type_id)
    except BtfError:
        raise Reject(EINVAL, f"unable to resolve the size of type '{t.name}'") from None
    call.mem_size = size
    return MEM | (RDONLY if ret.flags & MEM_RDONLY else 0), (size, 0)


# --- variables of the kernel -----------------------------------------------------------------------------------------------


def variable(ck: Checker, insn: Insn, fd: int) -> Reg:
    """What `ldimm64` of a BTF id yields: a per-CPU structure or number, a structure, read-only memory."""
    btf = maps.btf_of_fd(ck.req, fd)[0] if fd else ck.kernel_btf()
    if btf is None and fd:
        raise _wrong_btf()
    if btf is None:
        raise Reject(EINVAL, "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.")
    number = insn.imm & 0xFFFFFFFF
    if number >= len(btf):
        raise Reject(ENOENT, f"ldimm64 insn specifies invalid btf_id {insn.imm}.")
    t = btf.by_id(number)
    if not isinstance(t, (Var, Func)):
        raise Reject(EINVAL, f"pseudo btf_id {number} in ldimm64 isn't KIND_VAR or KIND_FUNC")
    known = ck.req.has_symbol
    if known is not None and not known(t.name):
        raise Reject(ENOENT, f"ldimm64 failed to find the address for kernel symbol '{t.name}'.")
    if btf is not ck.kernel_btf():
        # Linux believes whatever types a program brings for its own variables, and so reads anywhere
        raise _wrong_btf()
    if isinstance(t, Func):
        return (MEM | RDONLY, ZERO, 0, 0, (0, 0))
    if _is_percpu(btf, number):
        return btfptr.pointer(btf, t.type, PERCPU)
    inner = btf.resolve(t.type)
    if isinstance(inner, Composite):
        return btfptr.pointer(btf, inner.id, 0)
    try:
        size = btf.size_of(t.type)
    except BtfError:
        raise Reject(EINVAL, f"ldimm64 unable to resolve the size of type '{shown(inner)}'") from None
    return (MEM | RDONLY, ZERO, 0, 0, (size, 0))


def _wrong_btf() -> Reject:
    return Reject(EINVAL, "invalid module BTF object FD specified.")


def _is_percpu(btf: Btf, number: int) -> bool:
    section = btf.find(PERCPU_SECTION, DataSec)
    return section is not None and any(v.type == number for v in section.vars)
