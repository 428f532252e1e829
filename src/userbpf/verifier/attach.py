"""What a program will be attached to, as BTF tells it: checked before the first instruction, and the shape of the context.

Programs of the types TRACING, LSM, STRUCT_OPS and EXT name a type of the kernel's BTF (or of another program's) by
attach_btf_id. Which kind of type that must be is told by the expected attach type; what comes of it is a `Target`: the
prototype by which the context is read, whether its pointers may be trusted, which of them may be NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from userbpf.abi.defines import BPF_F_SLEEPABLE
from userbpf.abi.enums import AttachType, HelperId, ProgType
from userbpf.btf import Array, Btf, Composite, Enum, Func, FuncProto, Int, Param, Ptr, Struct, Type, Typedef, Void
from userbpf.spec import hooks
from userbpf.spec.btf_rules import ITERATOR_ONLY, ITERATORS, RAW_TP_NULL, STRUCT_OPS, StructOps
from userbpf.spec.limits import MAX_BPF_FUNC_ARGS
from userbpf.spec.progs import PROGS
from userbpf.verifier.reject import EINVAL, ENOENT, ENOTSUPP, MAX_ERRNO, Reject

if TYPE_CHECKING:
    from userbpf.verifier.api import TargetProg, VerifyRequest
    from userbpf.verifier.check import Checker

TARGETED: Final = frozenset((ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS, ProgType.EXT))
_A: Final = AttachType
_EXITS: Final = (_A.TRACE_FEXIT, _A.MODIFY_RETURN)


@dataclass(slots=True)
class Target:
    """The prototype behind a context. `skip`: leading parameters that the program does not see."""

    btf: Btf | None = None
    name: str = ""
    proto: FuncProto | None = None
    skip: int = 0
    trusted: bool = False
    exit_value: bool = False  # the return value follows the arguments
    int_value_only: bool = False  # ... and must be a number (fmod_ret)
    nullable: frozenset[int] = frozenset()
    # argument number -> what an iterator or structure of functions gives instead of the prototype's pointer
    given: dict[int, str] = field(default_factory=dict)
    ops: StructOps | None = None
    ret: tuple[int, int] | None = None
    ret_is_32: bool = False  # ... of the low half of r0
    void: bool = False  # whatever r0 is at exit does not matter
    no_exit: bool = False  # there is no rule for r0, so that no program passes

    @property
    def params(self) -> list[Param]:
        return self.proto.params[self.skip :] if self.proto is not None else []


def check(ck: Checker) -> Target | None:
    """Refuses what cannot be attached; None for types that have no target."""
    req = ck.req
    if PROGS[req.prog_type].must_sleep:
        if req.prog_flags & BPF_F_SLEEPABLE:
            return None  # one may call it as it likes
        raise Reject(EINVAL, "Syscall programs can only be sleepable")
    if req.prog_flags & BPF_F_SLEEPABLE and not may_sleep(req):
        raise Reject(EINVAL, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable")
    if req.prog_type == ProgType.STRUCT_OPS:
        return _struct_ops(req)
    if req.prog_type not in TARGETED:
        return None
    return _target(ck, req)


def may_sleep(req: VerifyRequest) -> bool:
    """The types and attach types of which some programs may sleep."""
    if req.prog_type == ProgType.TRACING:
        return req.expected_attach_type in (_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN, _A.TRACE_ITER)
    if req.prog_type == ProgType.LSM:
        # programs of a cgroup are called from one that does not sleep; early 6.18 loads them and sleeps there
        return req.expected_attach_type != _A.LSM_CGROUP
    return req.prog_type in (ProgType.KPROBE, ProgType.STRUCT_OPS)


def has_helper(req: VerifyRequest, name: str) -> bool:
    """Whether a helper that is there for the type is there for this target, which need not have been checked yet."""
    btf, number = req.attach_btf, req.attach_btf_id
    if btf is None or not 0 < number < len(btf):
        return True
    t = btf.by_id(number)
    if req.prog_type == ProgType.STRUCT_OPS and isinstance(t, Struct):
        ops, index = STRUCT_OPS.get(t.name), int(req.expected_attach_type)
        if ops is None or index >= len(t.members):
            return True
        return ops.helpers and (t.members[index].name, name) not in ops.no_helper
    only = ITERATOR_ONLY.get(name)
    if only is None or int(req.expected_attach_type) != _A.TRACE_ITER:
        return True
    return t.name.removeprefix("bpf_iter_") in only


def may_call(ck: Checker, helper: int) -> bool:
    """Whether a helper that is there for the type may be called at this target.

    bpf_d_path takes locks, so only where Linux lists the function; storage of sockets not from within its own functions.
    """
    prog_type, attach_type = ck.req.prog_type, int(ck.req.expected_attach_type)
    name = ck.target.name if ck.target is not None else ""
    if helper == HelperId.d_path:
        if prog_type == ProgType.LSM:
            return name.removeprefix("bpf_lsm_") in hooks.LSM_SLEEPABLE
        return prog_type == ProgType.TRACING and (attach_type == _A.TRACE_ITER or name in hooks.D_PATH)
    if helper in (HelperId.sk_storage_get, HelperId.sk_storage_delete):
        if prog_type == ProgType.TRACING and attach_type in (_A.TRACE_FENTRY, _A.TRACE_FEXIT):
            return not name.startswith("bpf_sk_storage")
        if prog_type == ProgType.TRACING:
            return attach_type in (_A.TRACE_ITER, _A.TRACE_RAW_TP)
        return prog_type != ProgType.SYSCALL
    return True


def check_set_retval(ck: Checker) -> None:
    """bpf_set_retval: a hook that returns nothing has no result to change."""
    proto = ck.target.proto if ck.target is not None else None
    if ck.req.prog_type == ProgType.LSM and proto is not None and not proto.type:
        raise Reject(EINVAL, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!")


def has_entry(ck: Checker, name: str) -> None:
    """bpf_get_func_ip needs a function that the program is entered from."""
    prog_type, attach = ck.req.prog_type, int(ck.req.expected_attach_type)
    if prog_type == ProgType.KPROBE:
        return
    if prog_type != ProgType.TRACING:
        raise Reject(ENOTSUPP, f"func {name} not supported for program type {int(prog_type)}")
    if attach not in (_A.TRACE_FENTRY, _A.TRACE_FEXIT, _A.MODIFY_RETURN):
        raise Reject(ENOTSUPP, f"func {name} supported only for fentry/fexit/fmod_ret programs")


# --- structures of functions ---------------------------------------------------------------------------------------------


def _struct_ops(req: VerifyRequest) -> Target:
    if not req.gpl_compatible:
        raise Reject(EINVAL, "struct ops programs must have a GPL compatible license")
    btf = req.attach_btf
    if not req.attach_btf_id or btf is None:
        raise Reject(ENOTSUPP)
    t = btf.by_id(req.attach_btf_id) if req.attach_btf_id < len(btf) else None
    row = STRUCT_OPS.get(t.name) if isinstance(t, Struct) else None
    if row is None or not isinstance(t, Struct) or btf.find(f"bpf_struct_ops_{row.name}", Struct) is None:
        raise Reject(ENOTSUPP, f"attach_btf_id {req.attach_btf_id} is not a supported struct")
    index = int(req.expected_attach_type)
    if index >= len(t.members):
        raise Reject(EINVAL, f"attach to invalid member idx {index} of struct {t.name}")
    member = t.members[index]
    ptr = btf.resolve(member.type)
    proto = btf.resolve(ptr.type) if isinstance(ptr, Ptr) else None
    if not isinstance(proto, FuncProto):
        raise Reject(EINVAL, f"attach to invalid member {member.name}(@idx {index}) of struct {t.name}")
    sleeps = bool(req.prog_flags & BPF_F_SLEEPABLE)
    refused = sleeps and row.sleepable is not None and member.name not in row.sleepable
    if member.name in row.unsupported:
        raise Reject(ENOTSUPP, f"attach to unsupported member {member.name} of struct {t.name}")
    if refused:
        raise Reject(EINVAL, f"attach to unsupported member {member.name} of struct {t.name}")
    return Target(
        btf,
        member.name,
        proto,
        trusted=True,
        nullable=frozenset(n for name, n in row.null if name == member.name),
        ops=row,
        void=proto.type == 0,
    )


# --- functions and tracepoints ---------------------------------------------------------------------------------------------


def _target(ck: Checker, req: VerifyRequest) -> Target | None:
    number = req.attach_btf_id
    if req.prog_type == ProgType.LSM and not req.gpl_compatible:
        raise Reject(EINVAL, "LSM programs must have a GPL compatible license")
    if not number:
        raise Reject(EINVAL, "Tracing programs must provide btf_id")
    btf = req.attach_btf
    if btf is None:
        raise Reject(EINVAL, "FENTRY/FEXIT program can only be attached to another program annotated with BTF")
    if number >= len(btf):
        raise Reject(EINVAL, f"attach_btf_id {number} is invalid")
    t = btf.by_id(number)
    if not t.name:
        raise Reject(EINVAL, f"attach_btf_id {number} doesn't have a name")
    if req.prog_type == ProgType.EXT:
        return _extension(ck, req, btf, t)
    attach = int(req.expected_attach_type)
    if attach == _A.TRACE_RAW_TP:
        return _raw_tracepoint(btf, t)
    if attach == _A.TRACE_ITER:
        return _iterator(btf, t)
    if attach in (_A.MODIFY_RETURN, _A.LSM_MAC, _A.LSM_CGROUP, _A.TRACE_FENTRY, _A.TRACE_FEXIT):
        return _function(req, btf, t)
    raise Reject(EINVAL)


def _raw_tracepoint(btf: Btf, t: Type) -> Target:
    if not isinstance(t, Typedef):
        raise Reject(EINVAL, f"attach_btf_id {t.id} is not a typedef")
    if not t.name.startswith("btf_trace_"):
        raise Reject(EINVAL, f"attach_btf_id {t.id} points to wrong type name {t.name}")
    ptr = btf.by_id(t.type)
    proto = btf.by_id(ptr.type) if isinstance(ptr, Ptr) else None
    if not isinstance(proto, FuncProto):
        raise Reject(EINVAL)
    name = t.name[len("btf_trace_") :]
    # the probe that the tracepoint calls names its parameters, and a name may say that NULL happens
    probe = btf.find(f"__bpf_trace_{name}", Func)
    named = btf.by_id(probe.type) if probe is not None else None
    nullable = set(RAW_TP_NULL.get(name, ()))
    if isinstance(named, FuncProto):
        nullable |= {i for i, p in enumerate(named.params[1:]) if p.name.endswith("__nullable")}
    return Target(btf, name, proto, skip=1, trusted=True, nullable=frozenset(nullable))


def _iterator(btf: Btf, t: Type) -> Target:
    if not isinstance(t, Func):
        raise Reject(EINVAL, f"attach_btf_id {t.id} is not a function")
    name = t.name.removeprefix("bpf_iter_")
    given = ITERATORS.get(name)
    if given is None or name == t.name:
        raise Reject(EINVAL)
    return Target(btf, t.name, _proto(btf, t), trusted=True, given=given, ret=(0, 1))


def _proto(btf: Btf, t: Func) -> FuncProto:
    proto = btf.by_id(t.type)
    if not isinstance(proto, FuncProto):
        raise Reject(EINVAL)
    return proto


def _function(req: VerifyRequest, btf: Btf, t: Type) -> Target:
    """fentry, fexit, fmod_ret and LSM: a function of the kernel, or of a program."""
    if not isinstance(t, Func):
        raise Reject(EINVAL, f"attach_btf_id {t.id} is not a function")
    proto = _proto(btf, t)
    attach = int(req.expected_attach_type)
    if req.attach_prog is not None:
        _traced(req, t)
    trampoline(btf, t.name, proto)
    if req.attach_prog is None and req.has_symbol is not None and not req.has_symbol(t.name):
        raise Reject(ENOENT, f"The address of function {t.name} cannot be found")
    sleeps = bool(req.prog_flags & BPF_F_SLEEPABLE)
    out = Target(btf, t.name, proto, exit_value=attach in (_A.TRACE_FEXIT, _A.LSM_MAC, _A.LSM_CGROUP))
    if req.prog_type == ProgType.LSM:
        hook = _lsm(t)
        out.trusted = hook not in hooks.LSM_UNTRUSTED
        if sleeps and hook not in hooks.LSM_SLEEPABLE:
            raise Reject(EINVAL, f"{t.name} is not sleepable")
        out.void = proto.type == 0
        out.ret = None if out.void else ((0, 1) if hook in hooks.LSM_BOOL else (-MAX_ERRNO, 0))
        out.ret_is_32 = True
        if attach == _A.LSM_CGROUP:
            out.void, out.ret_is_32, out.ret = False, False, ((1, 1) if proto.type == 0 else (0, 1))
        return out
    if attach in (_A.LSM_MAC, _A.LSM_CGROUP):
        out.exit_value, out.no_exit = True, True
        return out
    if attach == _A.MODIFY_RETURN:
        if req.attach_prog is not None:
            raise Reject(EINVAL, "can't modify return codes of BPF programs")
        if t.name not in hooks.FMOD_RET and not _injectable(t.name):
            raise Reject(EINVAL, f"{t.name}() is not modifiable")
        out.exit_value = out.int_value_only = True
    elif t.name in hooks.TRACE_DENIED:
        raise Reject(EINVAL, f"Attaching tracing programs to function '{t.name}' is rejected.")
    if attach in _EXITS and t.name in hooks.NORETURN:
        raise Reject(EINVAL, f"Attaching fexit/fmod_ret to __noreturn function '{t.name}' is rejected.")
    if sleeps and not _sleeps(t.name):
        raise Reject(EINVAL, f"{t.name} is not sleepable")
    out.ret = None if attach == _A.MODIFY_RETURN else (0, 0)
    return out


def _lsm(t: Func) -> str:
    hook = t.name.removeprefix("bpf_lsm_")
    if hook == t.name:
        raise Reject(EINVAL, f"attach_btf_id {t.id} points to wrong type name {t.name}")
    if hook in hooks.LSM_DISABLED:
        raise Reject(EINVAL, f"attach_btf_id {t.id} points to disabled hook")
    return hook


def _injectable(name: str) -> bool:
    """System calls answer injected errors, security hooks any error."""
    return name.startswith(("security_", "__x64_sys_", "__ia32_sys_", "__arm64_sys_")) or name in (
        "should_failslab", "should_fail_alloc_page", "__filemap_add_folio",
    )  # fmt: skip


def _sleeps(name: str) -> bool:
    if name in hooks.FMOD_RET_SLEEPABLE:
        return True
    return _injectable(name) and not name.startswith("security_") and name not in hooks.INJECTION_ATOMIC


def trampoline(btf: Btf, name: str, proto: FuncProto) -> None:
    """A function is entered through a trampoline: few arguments, each of a type that fits in registers."""
    if len(proto.params) > MAX_BPF_FUNC_ARGS:
        raise Reject(EINVAL, f"The function {name} has {len(proto.params)} arguments. Too many.")
    result = btf.resolve(proto.type)
    if not isinstance(result, (Void, Ptr, Int, Enum)) or (isinstance(result, (Int, Enum)) and result.size > 8):
        raise Reject(EINVAL, f"The function {name} return type {kind_text(result)} is unsupported.")
    for number, param in enumerate(proto.params):
        last = number == len(proto.params) - 1
        if not param.type and last and not param.name:
            raise Reject(EINVAL, f"The function {name} with variable args is unsupported.")
        t = btf.resolve(param.type)
        size = _register_bytes(btf, t)
        if size < 0 or size > 16:
            raise Reject(EINVAL, f"The function {name} arg{number} type {kind_text(t)} is unsupported.")
        if size == 0:
            raise Reject(EINVAL, f"The function {name} has malformed void argument.")


def _register_bytes(btf: Btf, t: Type) -> int:
    if isinstance(t, Void):
        return 0
    if isinstance(t, (Ptr, Int, Enum, Composite)) and not isinstance(t, Array):
        return btf.size_of(t.id)
    return -1


_KIND_TEXT: Final = {
    0: "UNKNOWN", 1: "INT", 2: "PTR", 3: "ARRAY", 4: "STRUCT", 5: "UNION", 6: "ENUM", 7: "FWD", 8: "TYPEDEF",
    9: "VOLATILE", 10: "CONST", 11: "RESTRICT", 12: "FUNC", 13: "FUNC_PROTO", 14: "VAR", 15: "DATASEC", 16: "FLOAT",
    17: "DECL_TAG", 18: "TYPE_TAG", 19: "ENUM64",
}  # fmt: skip


def kind_text(t: Type) -> str:
    """The kind as messages name it."""
    return _KIND_TEXT[t.KIND]


# --- programs as targets -----------------------------------------------------------------------------------------------------


def _extension(ck: Checker, req: VerifyRequest, btf: Btf, t: Type) -> Target | None:
    if req.attach_prog is None:
        raise Reject(EINVAL, "Cannot replace kernel functions")
    if not isinstance(t, Func):
        raise Reject(EINVAL, f"attach_btf_id {t.id} is not a function")
    proto = _proto(btf, t)
    from userbpf.verifier import extension

    extension.enter(ck, btf, t, proto)
    _replaced(ck, req, t)
    return None


def _number_of(req: VerifyRequest, t: Type) -> int:
    """Which function of the target program a BTF function is."""
    assert req.attach_prog is not None
    for number, type_id in enumerate(req.attach_prog.funcs):
        if type_id == t.id:
            return number
    raise Reject(EINVAL, f"Subprog {t.name} doesn't exist")


def _replaced(ck: Checker, req: VerifyRequest, t: Type) -> None:
    prog = req.attach_prog
    assert prog is not None
    number = _number_of(req, t)
    if number and number < len(prog.static) and prog.static[number]:
        raise Reject(EINVAL, "Cannot replace static functions")
    if not prog.jited:
        raise Reject(EINVAL, "Can attach to only JITed progs")
    _not_nested(req, prog)
    if prog.prog_type == ProgType.TRACING and prog.expected_attach_type in (_A.TRACE_FENTRY, _A.TRACE_FEXIT):
        raise Reject(EINVAL, "Cannot extend fentry/fexit")


def _traced(req: VerifyRequest, t: Type) -> None:
    prog = req.attach_prog
    assert prog is not None
    _number_of(req, t)
    if not prog.jited:
        raise Reject(EINVAL, "Can attach to only JITed progs")
    _not_nested(req, prog)
    if prog.prog_type == ProgType.EXT:
        raise Reject(EINVAL, "Cannot recursively attach")


def _not_nested(req: VerifyRequest, prog: TargetProg) -> None:
    if prog.prog_type == req.prog_type:
        raise Reject(EINVAL, "Cannot recursively attach")
