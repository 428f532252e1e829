"""Arguments of kernel functions: what kind each parameter is, by its type and the suffix of its name, and what that demands.

Kinds are asked in Linux's order, for the first that fits decides; the register matters only where a structure may also be
plain memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.btf import Array, Btf, Composite, Enum, FuncProto, Int, Param, Ptr, Struct, Type, Void
from userbpf.errors import BtfError
from userbpf.spec.helpers import HELPERS
from userbpf.spec.limits import BPF_MAX_VAR_SIZ, MAX_BPF_FUNC_REG_ARGS
from userbpf.verifier import access, callbacks, dynptr
from userbpf.verifier.attach import kind_text
from userbpf.verifier.btf_info import CTX_STRUCT
from userbpf.verifier.btfptr import is_trusted
from userbpf.verifier.btfwalk import ids_match, shown, struct_named
from userbpf.verifier.regs import (
    ALLOC,
    BASE_MASK,
    BTF_ID,
    CTX,
    DYNPTR,
    FUNC,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    PERCPU,
    RCU,
    SCALAR,
    SOCK_COMMON,
    SOCKET,
    STACK,
    TCP_SOCK,
    TRUSTED,
    UNTRUSTED,
    USER,
    ZERO,
    Reg,
    ref_of,
    type_name,
)
from userbpf.verifier.reject import EACCES, EFAULT, EINVAL, Reject

if TYPE_CHECKING:
    from collections.abc import Callable

    from userbpf.verifier.check import Checker
    from userbpf.verifier.kfuncs import KfuncCall

MAX_DEPTH: Final = 3
_STRUCT_OF: Final = {MAP_PTR: "bpf_map", SOCKET: "sock", SOCK_COMMON: "sock_common", TCP_SOCK: "tcp_sock"}
# structures that are what a program sees of another one
_PROJECTIONS: Final = {("__sk_buff", "sk_buff"), ("xdp_md", "xdp_buff"), ("bpf_dynptr", "bpf_dynptr_kern")}
_UNSAFE: Final = UNTRUSTED | RCU | USER | PERCPU
# kinds of other modules: parameter's structure -> check of one argument
STRUCTS: Final[dict[str, Callable[[KfuncCall, int, Reg, Param], None]]] = {}
ITER_PREFIX: Final = "bpf_iter_"
# what may only be passed where a module knows it
_OPAQUE: Final = frozenset(
    ("bpf_rb_root", "bpf_rb_node", "bpf_list_head", "bpf_list_node", "bpf_wq", "bpf_task_work", "bpf_res_spin_lock")
)
_OWNED: Final = ("__alloc", "__refcounted_kptr", "__irq_flag")


def check(call: KfuncCall) -> None:
    """Every argument; then what a releasing function must have got."""
    params = call.kfunc.params
    if len(params) > MAX_BPF_FUNC_REG_ARGS:
        raise Reject(EINVAL, f"Function {call.kfunc.name} has {len(params)} > {MAX_BPF_FUNC_REG_ARGS} args")
    number = 0
    while number < len(params):
        number = _argument(call, number)
    if call.kfunc.has("release") and not call.release:
        raise Reject(EINVAL, f"release kernel function {call.kfunc.name} expects refcounted PTR_TO_BTF_ID")


def _wants_trust(call: KfuncCall) -> bool:
    """Only what is surely there may be given back."""
    return call.kfunc.has("trusted") or call.kfunc.has("release")


def _ends(param: Param, suffix: str) -> bool:
    return param.name.endswith(suffix) and len(param.name) > len(suffix)


def _argument(call: KfuncCall, number: int) -> int:
    """The number of the next argument to look at."""
    btf, param = call.kfunc.btf, call.kfunc.params[number]
    ck = call.ck
    regno = number + 1
    reg = ck.regs[regno]
    t = btf.resolve(param.type)
    if _ends(param, "__ign") or _ends(param, "__prog"):
        return number + 1
    if isinstance(t, (Int, Enum)):
        _number(call, regno, reg, param)
        return number + 1
    if not isinstance(t, Ptr):
        raise Reject(EINVAL, f"Unrecognized arg#{number} type {kind_text(t)}")
    null = reg[0] == SCALAR and reg[1] is ZERO
    trusted, rcu = _wants_trust(call), call.kfunc.has("rcu")
    if (trusted or rcu) and (null or reg[0] & MAYBE_NULL) and not _ends(param, "__nullable"):
        raise Reject(EACCES, f"Possibly NULL pointer passed to trusted arg{number}")
    ref = ref_of(reg)
    if ref:
        if call.kfunc.has("release") and call.ref:
            raise Reject(EFAULT, f"more than one arg with ref_obj_id R{regno} {ref} {call.ref}")
        call.ref = ref
        if call.kfunc.has("release"):
            call.release = regno
    return _pointer(call, number, reg, param, btf.resolve(t.type), null)


def _number(call: KfuncCall, regno: int, reg: Reg, param: Param) -> None:
    if reg[0] != SCALAR:
        raise Reject(EINVAL, f"R{regno} is not a scalar")
    if _ends(param, "__k"):
        if reg[1].mask:
            raise Reject(EINVAL, f"R{regno} must be a known constant")
        call.ck.mark_precise(regno)
        call.constant = reg[1].value
    elif param.name in ("rdonly_buf_size", "rdwr_buf_size"):
        if reg[1].mask:
            raise Reject(EINVAL, f"R{regno} is not a const")
        call.r0_size = reg[1].value
        call.r0_rdonly = param.name.startswith("rdonly")
        call.ck.mark_precise(regno)


def _pointer(call: KfuncCall, number: int, reg: Reg, param: Param, target: Type, null: bool) -> int:
    kfunc = call.kfunc
    regno = number + 1
    base = reg[0] & BASE_MASK
    name = shown(target)
    if kfunc.name == "bpf_cast_to_kern_ctx" or _is_context(call, target):
        _offset(call, regno, reg)
        if reg[0] != CTX and not _projected(reg, name):
            raise Reject(EINVAL, f"arg#{number} expected pointer to ctx, but got {type_name(reg[0])}")
        return number + 1
    if null and _ends(param, "__nullable"):
        return number + 1
    if isinstance(target, Struct) and name in ("bpf_dynptr", "bpf_dynptr_kern"):
        if reg[0] != STACK:
            _offset(call, regno, reg)
        _dynptr(call, number, reg, param)
        return number + 1
    other = STRUCTS.get(name) or (STRUCTS.get(ITER_PREFIX) if name.startswith(ITER_PREFIX) and iterates(call) else None)
    if other is not None:
        _offset(call, regno, reg)
        other(call, number, reg, param)
        return number + 1
    for suffix in ("__map", "__str", "__alloc", "__refcounted_kptr", "__irq_flag"):
        if _ends(param, suffix) and suffix in SUFFIXES:
            if suffix == "__alloc":
                trust(call, number, reg)
            _offset(call, regno, reg)
            SUFFIXES[suffix](call, number, reg, param)
            return number + 1
    if name in _OPAQUE or any(_ends(param, suffix) for suffix in _OWNED):
        raise Reject(EINVAL, f"arg#{number} of kernel function {kfunc.name} is not supported")
    if base == BTF_ID or base in _STRUCT_OF:
        if not isinstance(target, Composite):
            text = f"kernel function {kfunc.name} args#{number} pointer type {kind_text(target)} {_named(target)}"
            raise Reject(EINVAL, f"{text} is not supported")
        _structure(call, number, reg, target)
        return number + 1
    if isinstance(target, FuncProto):
        if reg[0] != FUNC:
            raise Reject(EINVAL, f"arg{number} expected pointer to func")
        call.callback = reg[4]
        return number + 1
    return _memory(call, number, reg, param, target, null)


def iterates(call: KfuncCall) -> bool:
    return any(call.kfunc.has(flag) for flag in ("iter_new", "iter_next", "iter_destroy"))


def _is_context(call: KfuncCall, target: Type) -> bool:
    """The structure that stands for the context in the program's C."""
    return isinstance(target, Struct) and CTX_STRUCT.get(call.ck.req.prog_type) == target.name


def _projected(reg: Reg, name: str) -> bool:
    return reg[0] & BASE_MASK == BTF_ID and (name, reg[4][0]) in _PROJECTIONS


def _offset(call: KfuncCall, regno: int, reg: Reg) -> None:
    """What is given back comes whole; of the rest the kind of pointer decides."""
    if call.release == regno:
        access.released_whole(call.ck, regno, reg)
    access.argument_offset(call.ck, regno, reg)


# --- structures of the kernel ------------------------------------------------------------------------------------------------


def trust(call: KfuncCall, number: int, reg: Reg) -> None:
    """Where the function asks for it, a pointer to a structure must surely be good."""
    kfunc, regno = call.kfunc, number + 1
    base = reg[0] & BASE_MASK
    if not (_wants_trust(call) or kfunc.has("rcu")) or base in _STRUCT_OF or (base == BTF_ID and is_trusted(reg)):
        return
    if not kfunc.has("rcu"):
        raise Reject(EINVAL, f"R{regno} must be referenced or trusted")
    if not reg[0] & RCU:
        raise Reject(EINVAL, f"R{regno} must be a rcu pointer")


def _structure(call: KfuncCall, number: int, reg: Reg, target: Composite) -> None:
    kfunc, ck = call.kfunc, call.ck
    regno = number + 1
    base, kind = reg[0] & BASE_MASK, reg[0]
    trust(call, number, reg)
    _offset(call, regno, reg)
    if base == BTF_ID and kind & (_UNSAFE | MAYBE_NULL) and not kind & RCU:
        want = type_name(BTF_ID | kind & (ALLOC | TRUSTED))
        raise Reject(EINVAL, f"arg#{number} is {type_name(kind)} expected {want} or socket")
    btf = kfunc.btf
    if base == BTF_ID:
        name, own, type_id, _ = reg[4]
    elif base not in _STRUCT_OF:
        raise Reject(EINVAL, f"R{regno} is no structure of the kernel")  # was refused for its trust
    else:
        name, own, type_id = _STRUCT_OF[base], btf, struct_named(btf, _STRUCT_OF[base])
    strict = kfunc.has("release") and bool(ref_of(reg))
    strict = strict or _no_cast(shown(target), name)
    if (
        not ids_match(own, type_id, reg[3], btf, target.id, strict, ck.say)
        and (shown(target), name) not in _PROJECTIONS
    ):
        raise Reject(
            EINVAL,
            f"kernel function {kfunc.name} args#{number} expected pointer to {kind_text(target)} {shown(target)} "
            f"but R{regno} has a pointer to {kind_text(own.by_id(type_id))} {name}",
        )
    call.btf_id = (own, type_id)


def _no_cast(want: str, have: str) -> bool:
    """`nf_conn___init` is laid out as `nf_conn`, but the one may not be given for the other."""
    plain, mark, _ = want.partition("___init")
    other, other_mark, _ = have.partition("___init")
    return plain == other and mark != other_mark


def _dynptr(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    regno = number + 1
    if reg[0] not in (STACK, DYNPTR):
        text = f"arg#{number} expected pointer to stack or const struct bpf_dynptr"
        raise Reject(EINVAL, text)
    name = call.kfunc.name
    if _ends(param, "__uninit"):
        _make_dynptr(call, regno, name)
        return
    call.dynptrs.append(dynptr.expect(call.ck, regno, None, not _is_const(call, number)))


def _is_const(call: KfuncCall, number: int) -> bool:
    from userbpf.btf import Const

    btf = call.kfunc.btf
    ptr = btf.resolve(call.kfunc.params[number].type)
    return isinstance(ptr, Ptr) and isinstance(btf.by_id(ptr.type), Const)


def _make_dynptr(call: KfuncCall, regno: int, name: str) -> None:
    kind = {
        "bpf_dynptr_from_skb": dynptr.SKB,
        "bpf_dynptr_from_xdp": dynptr.XDP,
        "bpf_dynptr_from_skb_meta": dynptr.SKB_META,
    }.get(name)
    if kind is not None:
        dynptr.make(call.ck, regno, kind, call.pc)
    elif name == "bpf_dynptr_clone" and call.dynptrs:
        of = call.dynptrs[0][4]
        dynptr.make(call.ck, regno, of.kind, call.pc, clone_of=of.ref)
    else:
        raise Reject(EFAULT, f"{name} makes no dynptr")


# --- memory ------------------------------------------------------------------------------------------------------------------


def _memory(call: KfuncCall, number: int, reg: Reg, param: Param, target: Type, null: bool) -> int:
    params, btf = call.kfunc.params, call.kfunc.btf
    regno = number + 1
    after = params[number + 1] if number + 1 < len(params) else None
    sized = after is not None and (_ends(after, "__sz") or _ends(after, "__szk"))
    sized = sized and call.ck.regs[regno + 1][0] == SCALAR
    if not _plain(call.ck, btf, target) and not (sized and isinstance(target, Void)):
        what = "void, " if sized else ""
        raise Reject(
            EINVAL,
            f"arg#{number} pointer type {kind_text(target)} {_named(target)} must point to {what}scalar, "
            "or struct with scalar",
        )
    _offset(call, regno, reg)
    if not sized:
        try:
            size = btf.size_of(target.id)
        except BtfError:
            text = f"arg#{number} reference type('{kind_text(target)} {shown(target)}') size cannot be determined: -22"
            raise Reject(EINVAL, text) from None
        memory(call, regno, size)
        return number + 1
    assert after is not None
    if not null or not _ends(param, "__opt"):
        _sized(call, number)
    if _ends(after, "__szk"):
        length = call.ck.regs[regno + 1][1]
        if length.mask:
            raise Reject(EINVAL, f"R{regno + 1} must be a known constant")
        call.constant = length.value
    return number + 2


def _named(t: Type) -> str:
    return "" if isinstance(t, Void) else shown(t)


def _plain(ck: Checker, btf: Btf, t: Type, depth: int = 0) -> bool:
    """A number, or a structure of nothing but numbers."""
    if not isinstance(t, Composite):
        return isinstance(t, (Int, Enum)) and not depth
    for member in t.members:
        inner = btf.resolve(member.type)
        if isinstance(inner, Composite):
            if depth >= MAX_DEPTH:
                ck.say("max struct nesting depth exceeded")
                return False
            if not _plain(ck, btf, inner, depth + 1):
                return False
            continue
        if isinstance(inner, Array):
            inner = btf.resolve(inner.type)
        if not isinstance(inner, (Int, Enum)):
            return False
    return True


def memory(call: KfuncCall, regno: int, size: int) -> None:
    """`size` bytes that are read and written, or NULL."""
    reg = call.ck.regs[regno]
    if reg[0] == SCALAR and reg[1] is ZERO:
        return
    for write in (False, True):
        _access(call, regno, size, write, False)


def _access(call: KfuncCall, regno: int, size: int, write: bool, zero_ok: bool) -> None:
    from userbpf.verifier.helper_call import Call

    ck = call.ck
    reg = ck.regs[regno]
    if reg[0] & MAYBE_NULL:
        ck.regs[regno] = (reg[0] & ~MAYBE_NULL, *reg[1:])
    try:
        Call(ck, call.pc, HELPERS[HelperId.map_lookup_elem], ()).memory(regno, size, write, zero_ok, False)
    finally:
        ck.regs[regno] = reg


def _sized(call: KfuncCall, number: int) -> None:
    """Memory whose size is in the next register."""
    ck = call.ck
    regno = number + 2
    val = ck.regs[regno][1]
    try:
        for write in (False, True):
            if val.smin < 0:
                raise Reject(EACCES, f"R{regno} min value is negative, either use unsigned or 'var &= const'")
            if val.umax >= BPF_MAX_VAR_SIZ:
                raise Reject(EACCES, f"R{regno} unbounded memory access, use 'var &= const' or 'if (var < const)'")
            _access(call, regno - 1, val.umax, write, True)
            ck.mark_precise(regno)
    except Reject as refusal:
        if refusal.text:
            ck.say(refusal.text)
        text = f"arg#{number} arg#{number + 1} memory, len pair leads to invalid memory access"
        raise Reject(refusal.errno, text) from None


# --- suffixes ----------------------------------------------------------------------------------------------------------------


def _map(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    """A map by itself, or the kernel's structure of one that something else told of."""
    base = reg[0] & BASE_MASK
    if base not in (MAP_PTR, MAP_VALUE, MAP_KEY, BTF_ID):
        raise Reject(EINVAL, f"pointer in R{number + 1} isn't map pointer")
    if base != MAP_PTR:
        btf = call.kfunc.btf
        target = btf.by_id(struct_named(btf, _STRUCT_OF[MAP_PTR]))
        assert isinstance(target, Composite)
        _structure(call, number, reg, target)


def _string(call: KfuncCall, number: int, reg: Reg, param: Param) -> None:
    if reg[0] != MAP_VALUE:
        raise Reject(EINVAL, f"arg#{number} doesn't point to a const string")
    from userbpf.verifier.helper_call import Call

    callbacks.constant_string(Call(call.ck, call.pc, HELPERS[HelperId.map_lookup_elem], ()), number + 1, reg)


SUFFIXES: Final[dict[str, Callable[[KfuncCall, int, Reg, Param], None]]] = {"__map": _map, "__str": _string}
