"""What BTF says of the program itself: its functions with their linkage and prototypes, and the source line of each instruction.

A global function is checked once, for any arguments that fit its prototype, and calls of it are checked against the
prototype alone; a static one is checked anew at every call. Types of arguments are few: numbers, the context, and
memory of a known size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import AttachType, ProgType
from userbpf.btf import (
    Btf,
    Const,
    Enum,
    Func,
    FuncProto,
    Fwd,
    Int,
    Ptr,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Union,
    Void,
    Volatile,
)
from userbpf.errors import BpfError, BtfError
from userbpf.verifier import contracts, core_relo
from userbpf.verifier.reject import EINVAL, ENOENT, EOPNOTSUPP, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

TAGS: Final = frozenset(("ctx", "nonnull", "nullable", "trusted", "untrusted", "arena"))
STATIC: Final = 0
GLOBAL: Final = 1

CTX_STRUCT: Final[dict[ProgType, str]] = {
    ProgType.SOCKET_FILTER: "__sk_buff",
    ProgType.SCHED_CLS: "__sk_buff",
    ProgType.SCHED_ACT: "__sk_buff",
    ProgType.XDP: "xdp_md",
    ProgType.CGROUP_SKB: "__sk_buff",
    ProgType.CGROUP_SOCK: "bpf_sock",
    ProgType.CGROUP_SOCK_ADDR: "bpf_sock_addr",
    ProgType.LWT_IN: "__sk_buff",
    ProgType.LWT_OUT: "__sk_buff",
    ProgType.LWT_XMIT: "__sk_buff",
    ProgType.LWT_SEG6LOCAL: "__sk_buff",
    ProgType.SOCK_OPS: "bpf_sock_ops",
    ProgType.SK_SKB: "__sk_buff",
    ProgType.SK_MSG: "sk_msg_md",
    ProgType.FLOW_DISSECTOR: "__sk_buff",
    ProgType.KPROBE: "bpf_user_pt_regs_t",
    ProgType.PERF_EVENT: "bpf_perf_event_data",
    ProgType.RAW_TRACEPOINT: "bpf_raw_tracepoint_args",
    ProgType.RAW_TRACEPOINT_WRITABLE: "bpf_raw_tracepoint_args",
    ProgType.CGROUP_DEVICE: "bpf_cgroup_dev_ctx",
    ProgType.CGROUP_SYSCTL: "bpf_sysctl",
    ProgType.CGROUP_SOCKOPT: "bpf_sockopt",
    ProgType.SK_REUSEPORT: "sk_reuseport_md",
    ProgType.SK_LOOKUP: "bpf_sk_lookup",
    ProgType.NETFILTER: "bpf_nf_ctx",
}
# contexts that are an array of words
WORDS_CTX: Final = frozenset(
    {
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.TRACING,
        ProgType.LSM,
        ProgType.STRUCT_OPS,
    }
)
PROBED: Final = "bpf_user_pt_regs_t"
PROBED_FOR: Final = "pt_regs"  # what it stands for


@dataclass(slots=True)
class Arg:
    """One argument of a function: "scalar", "ctx", "dynptr", "mem" of `size` bytes, or the kernel's "struct" of `type_id`.

    The last two may be null. "arena" is a pointer into the arena; "any" may be whatever it wants, and is read with care: as
    the kernel's structure `type_id`, or as plain memory.
    """

    kind: str
    size: int = 0
    nullable: bool = False
    type_id: int = 0


@dataclass(slots=True)
class FuncBtf:
    """What BTF says of one subprogram. `args` is None until the prototype was looked at; `wrong` says why it cannot be."""

    name: str
    linkage: int
    proto: FuncProto
    type_id: int
    args: list[Arg] | None = None
    wrong: str | None = None
    errno: int = EINVAL
    looked: bool = False
    called: bool = False
    verified: bool = False

    def refuse(self, wrong: str, errno: int = EINVAL) -> Arg | None:
        """Its arguments cannot be told."""
        self.wrong, self.errno = wrong, errno
        return None


@dataclass(slots=True)
class ProgBtf:
    """All functions (by subprogram number) and source lines."""

    btf: Btf
    funcs: list[FuncBtf] = field(default_factory=list)
    # first instruction -> (file, text, line)
    lines: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # the same: (where the file's name is, line)


def check_early(ck: Checker) -> None:
    """func_info by itself, before anything of the program is looked at."""
    req = ck.req
    if req.read_btf is not None:
        try:
            req.read_btf(req)
        except BpfError as e:
            ck.log.raw(e.log)
            raise Reject(e.errno or EINVAL) from None
    if not req.func_info or req.btf is None:
        return
    previous = 0
    for number, (off, type_id) in enumerate(req.func_info):
        if number == 0:
            if off:
                ck.log.raw(f"nonzero insn_off {off} for the first func info record")
                raise Reject(EINVAL)
        elif off <= previous:
            ck.log.raw(f"same or smaller insn offset ({off}) than previous func info record ({previous})")
            raise Reject(EINVAL)
        func = _type(req.btf, type_id)
        if not isinstance(func, Func):
            ck.log.raw(f"invalid type id {type_id} in func info")
            raise Reject(EINVAL)
        if not isinstance(_type(req.btf, func.type), FuncProto):
            raise Reject(EINVAL)
        previous = off


def _type(btf: Btf, type_id: int) -> Type | None:
    try:
        return btf.by_id(type_id)
    except (BtfError, IndexError, KeyError):
        return None


def check(ck: Checker, starts: Sequence[int]) -> None:
    """func_info against the subprograms, then line_info."""
    req = ck.req
    if req.btf is None:
        return
    btf = req.btf
    if not req.func_info:  # lines of a program whose functions are not told
        ck.source = ProgBtf(btf)
        _lines(ck, starts, ck.source)
        core_relo.apply(ck, btf)
        return
    if len(req.func_info) != len(starts):
        raise Reject(EINVAL, "number of funcs in func_info doesn't match number of subprogs")
    found = ProgBtf(btf)
    for start, (off, type_id) in zip(starts, req.func_info, strict=True):
        if start != off:
            raise Reject(EINVAL, "func_info BTF section doesn't match subprog layout in BPF program")
        func = _type(btf, type_id)
        assert isinstance(func, Func)
        proto = _type(btf, func.type)
        assert isinstance(proto, FuncProto)
        found.funcs.append(FuncBtf(func.name, func.linkage, proto, type_id))
    _returns(ck, starts, found)
    ck.prog_btf = ck.source = found
    _lines(ck, starts, found)
    core_relo.apply(ck, btf)


def _returns(ck: Checker, starts: Sequence[int], found: ProgBtf) -> None:
    """A packet load or tail call may leave a subprogram at once: then it must return a number."""
    ends = [*starts[1:], len(ck.insns)]
    for number in range(1, len(starts)):
        result = strip(found.btf, found.funcs[number].proto.type)
        if isinstance(result, Int | Enum):
            continue
        for insn in ck.insns[starts[number] : ends[number]]:
            if insn.code & 7 == 0 and insn.code & 0xE0 in (0x20, 0x40):
                raise Reject(EINVAL, "LD_ABS is only allowed in functions that return 'int'.")
            if insn.code == 0x85 and insn.src == 0 and insn.imm == 12:
                raise Reject(EINVAL, "tail_call is only allowed in functions that return 'int'.")


def _lines(ck: Checker, starts: Sequence[int], found: ProgBtf) -> None:
    if not ck.req.line_info:
        return
    try:
        _each_line(ck, starts, found)
    except BpfError as e:
        if e.log:
            ck.log.raw(e.log)
        raise Reject(e.errno or EINVAL) from None


def _each_line(ck: Checker, starts: Sequence[int], found: ProgBtf) -> None:
    n = len(ck.insns)
    number = 0
    previous = 0
    names: dict[int, str | None] = {}
    for i, (off, file_off, line_off, line_col) in enumerate(ck.req.line_info):
        if (i and off <= previous) or off >= n:
            raise Reject(EINVAL, f"Invalid line_info[{i}].insn_off:{off} (prev_offset:{previous} prog->len:{n})")
        if ck.insns[off].code == 0:
            raise Reject(EINVAL, f"Invalid insn code at line_info[{i}].insn_off")
        for name_off in (file_off, line_off):
            if name_off not in names:
                names[name_off] = _text(found.btf, name_off)
        file_name, text = names[file_off], names[line_off]
        if file_name is None or text is None:
            raise Reject(EINVAL, f"Invalid line_info[{i}].line_off or .file_name_off")
        if number < len(starts):
            if off == starts[number]:
                number += 1
            elif starts[number] < off:
                raise Reject(EINVAL, f"missing bpf_line_info for func#{number}")
        found.lines[off] = (file_name, text, line_col >> 10)
        found.places[off] = (file_off, line_col >> 10)
        previous = off
    if number != len(starts):
        raise Reject(EINVAL, f"missing bpf_line_info for {len(starts) - number} funcs starting from func#{number}")


def _text(btf: Btf, off: int) -> str | None:
    try:
        return btf.string(off)
    except (BtfError, IndexError, ValueError):
        return None


def line_text(line: tuple[str, str, int]) -> str:
    """`return 0; @ x.c:12`."""
    file_name, text, number = line
    return f"{text.lstrip()} @ {file_name.rsplit('/', 1)[-1]}:{number}"


# --- types of arguments ----------------------------------------------------------------------------------------------------


def strip(btf: Btf, type_id: int) -> Type:
    """Without typedefs and qualifiers."""
    t = btf.by_id(type_id)
    while isinstance(t, Typedef | Const | Volatile | Restrict | TypeTag):
        t = btf.by_id(t.type)
    return t


def prepare(ck: Checker, number: int) -> FuncBtf | None:
    """The arguments of a subprogram by its prototype; None without BTF. Where they cannot be told, `wrong` is set."""
    if ck.prog_btf is None:
        return None
    func = ck.prog_btf.funcs[number]
    if func.looked:
        return func
    func.looked = True
    btf = ck.prog_btf.btf
    is_global = func.linkage == GLOBAL
    params = func.proto.params
    if len(params) > 5:
        if is_global:
            func.wrong = f"Global function {func.name}() with {len(params)} > 5 args. Buggy compiler."
        return func
    result = strip(btf, func.proto.type)
    if not isinstance(result, Int | Enum):
        if is_global:
            func.wrong = f"Global function {func.name}() doesn't return scalar. Only those are supported."
        return func
    args: list[Arg] = []
    tags = _tags(btf, func.type_id)
    for i, param in enumerate(params):
        arg = _argument(ck, btf, func, i, param.type, tags.get(i, ()), is_global)
        if arg is None:
            return func
        args.append(arg)
    func.args = args
    return func


def _tags(btf: Btf, func_id: int) -> dict[int, tuple[str, ...]]:
    out: dict[int, tuple[str, ...]] = {}
    for t in btf.tags_of(func_id):
        if t.name.startswith("arg:"):
            out[t.component] = (*out.get(t.component, ()), t.name[4:])
    return out


def _argument(
    ck: Checker, btf: Btf, func: FuncBtf, i: int, type_id: int, tags: tuple[str, ...], is_global: bool
) -> Arg | None:
    t = strip(btf, type_id)
    if tags and not ck.profile.has("arg_tags"):
        tags = ()  # nobody looked at them
    if tags and not is_global:
        return func.refuse(f"arg#{i} type tag is not supported in static functions", EOPNOTSUPP)
    if not TAGS.issuperset(tags):
        return func.refuse(f"arg#{i} has unsupported set of tags", EOPNOTSUPP)
    if tags and not isinstance(t, Ptr):
        return func.refuse(f"arg#{i} has pointer tag, but is not a pointer type")
    if isinstance(t, Int | Enum):
        return Arg("scalar")
    if isinstance(t, Ptr):
        target = strip(btf, t.type)
        context = _is_ctx(ck, btf, t.type)
        local = isinstance(target, Struct) and target.name == contracts.DYNPTR_STRUCT
        if not is_global:
            return Arg("ctx") if context else Arg("dynptr") if local else None
        if (context or local or "ctx" in tags) and not {"ctx"}.issuperset(tags):
            return func.refuse(f"arg#{i} has invalid combination of tags")
        if "ctx" in tags and not context:
            wrong = _wrong_ctx(ck.req.prog_type, ck.req.expected_attach_type, i, target)
            return func.refuse(wrong) if wrong else Arg("ctx")
        if context or local:
            return Arg("ctx" if context else "dynptr")
        for kind in ("trusted", "untrusted", "arena"):
            if kind in tags:
                return _tagged(ck, func, i, target, kind, tags)
        if not {"nonnull"}.issuperset(tags):
            return func.refuse(f"arg#{i} has invalid combination of tags")
        size = _size(btf, target)
        if size is None:
            shown = f"{_kind_name(target)} {target.name}"
            return func.refuse(f"arg#{i} reference type('{shown}') size cannot be determined: -22")
        if not ck.profile.has("global_function_memory"):
            func.wrong = f"Arg#{i} type {_kind_name(t)} in {func.name}() is not supported yet."
            return None
        return Arg("mem", size, "nonnull" not in tags)
    if is_global:
        func.wrong = f"Arg#{i} type {_kind_name(t)} in {func.name}() is not supported yet."
    return None


def _tagged(ck: Checker, func: FuncBtf, i: int, target: Type, kind: str, tags: tuple[str, ...]) -> Arg | None:
    """A pointer whose tag says what it may be: to an object of the kernel, surely or perhaps there, or into the arena."""
    if kind == "trusted":
        if "nonnull" in tags:
            return func.refuse(f"arg#{i} has invalid combination of tags")
    elif len(tags) > 1:
        return func.refuse(f"arg#{i} {kind} cannot be combined with any other tags")
    if kind == "arena":
        return Arg("arena")
    if kind == "untrusted" and isinstance(target, Void | Int | Enum):
        return Arg("any")
    shown = f"{_kind_name(target)} {target.name or '(anon)'}"
    if not target.name:
        return func.refuse(f"arg#{i} reference type('{shown}') candidate matching error: -22")
    type_id = contracts.kernel_type(ck, target)
    if not type_id:
        return func.refuse(f"arg#{i} reference type('{shown}') has no matches", ENOENT)
    return Arg("struct" if kind == "trusted" else "any", nullable="nullable" in tags, type_id=type_id)


def _is_ctx(ck: Checker, btf: Btf, type_id: int) -> bool:
    wanted = CTX_STRUCT.get(ck.req.prog_type)
    if wanted is None:
        return False
    t = btf.by_id(type_id)
    while isinstance(t, Const | Volatile | Restrict | TypeTag | Typedef):
        if isinstance(t, Typedef) and t.name == wanted:
            return True
        t = btf.by_id(t.type)
    # the registers at a probe go by two names
    return isinstance(t, Struct) and (t.name == wanted or (wanted == PROBED and t.name == PROBED_FOR))


def _wrong_ctx(prog_type: ProgType, attach: int, i: int, target: Type) -> str | None:
    """What Linux says of a parameter that is tagged as the context, but points at something else."""
    wanted = CTX_STRUCT.get(prog_type)
    words = prog_type in WORDS_CTX and not (prog_type == ProgType.TRACING and attach == AttachType.TRACE_ITER)
    if isinstance(target, Void) or (words and isinstance(target, Int) and target.size == 8):
        return None
    also = {
        ProgType.PERF_EVENT: (PROBED, PROBED_FOR),
        ProgType.TRACING: ("bpf_raw_tracepoint_args",) if attach == AttachType.TRACE_RAW_TP else (),
    }.get(prog_type, ())
    if isinstance(target, Struct):
        iterates = prog_type == ProgType.TRACING and attach == AttachType.TRACE_ITER
        if target.name in also or (iterates and target.name.startswith("bpf_iter__")):
            return None
    if not target.name:
        return f"arg#{i} type doesn't have a name"
    if wanted is not None:
        return f"arg#{i} should be `struct {PROBED_FOR if wanted == PROBED else wanted} *`"
    return f"arg#{i} should be void pointer" if prog_type in WORDS_CTX else None


def _size(btf: Btf, t: Type) -> int | None:
    if isinstance(t, Void | Fwd | FuncProto | Func):
        return None
    try:
        return btf.size_of(t.id)
    except BtfError:
        return None


def _kind_name(t: Type) -> str:
    if isinstance(t, Void):
        return "UNKNOWN"
    if isinstance(t, Struct):
        return "STRUCT"
    if isinstance(t, Union):
        return "UNION"
    if isinstance(t, FuncProto):
        return "FUNC_PROTO"
    return type(t).__name__.upper()
