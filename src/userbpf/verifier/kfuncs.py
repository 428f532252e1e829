"""Calls of kernel functions: found by their number in the kernel's BTF before anything runs, checked by prototype and flags.

Nothing is fixed about a kernel function but its BTF: types of parameters, suffixes of their names, and the flags of
`spec.kfuncs`. Functions that mean more than their prototype says (sections, iterators, objects of the program's own)
are entered in `SPECIAL` by the module that knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import AttachType
from userbpf.btf import Btf, Composite, Enum, Func, FuncProto, Int, Param, Ptr, Type, Void
from userbpf.errors import BtfError
from userbpf.spec.kfuncs import KFUNCS, KfuncRow
from userbpf.spec.limits import MAX_KFUNC_DESCS
from userbpf.verifier import attach, iters, kfunc_args, locks, maps, older, sections
from userbpf.verifier.api import Fact
from userbpf.verifier.btfptr import pointer
from userbpf.verifier.btfwalk import shown
from userbpf.verifier.cfg import ASYNC, CALL, ITER_NEXT, PSEUDO_KFUNC, SYNC
from userbpf.verifier.fields import Field
from userbpf.verifier.references import clear_packet_pointers, release_reference
from userbpf.verifier.regs import (
    MAYBE_NULL,
    MEM,
    RDONLY,
    UNINIT,
    UNKNOWN_REG,
    UNTRUSTED,
    ZERO,
    Reg,
)
from userbpf.verifier.reject import E2BIG, EACCES, EINVAL, ENOTSUPP, EPROTO, Reject
from userbpf.verifier.state import Ref

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker

_SESSION: Final = frozenset((AttachType.TRACE_KPROBE_SESSION, AttachType.TRACE_UPROBE_SESSION))
# functions that only programs of some attach types may call
ATTACHED_AS: Final[dict[str, frozenset[int]]] = {
    "bpf_sock_destroy": frozenset((AttachType.TRACE_ITER,)),
    "bpf_session_cookie": _SESSION,
    "bpf_session_is_return": _SESSION,
}


@dataclass(slots=True, eq=False)
class Kfunc:
    """One kernel function that the program calls. `row` is None where nothing is known of it but its type."""

    name: str
    btf: Btf
    type_id: int
    proto: FuncProto
    row: KfuncRow | None

    def has(self, flag: str) -> bool:
        return self.row is not None and flag in self.row.flags

    def allowed(self, ck: Checker) -> bool:
        """Whether the program's type may call it."""
        if self.row is None or ck.req.prog_type not in self.row.prog_types:
            return False
        only = ATTACHED_AS.get(self.name)
        return only is None or int(ck.req.expected_attach_type) in only

    @property
    def params(self) -> list[Param]:
        return self.proto.params


class KfuncCall:
    """One call in one state."""

    __slots__ = (
        "btf_id",
        "callback",
        "ck",
        "constant",
        "dynptrs",
        "iterator",
        "kfunc",
        "object",
        "pc",
        "r0_rdonly",
        "r0_size",
        "ref",
        "release",
        "root",
    )

    def __init__(self, ck: Checker, pc: int, kfunc: Kfunc) -> None:
        self.ck = ck
        self.pc = pc
        self.kfunc = kfunc
        self.ref = 0  # reference of an argument
        self.release = 0  # register whose reference ends
        self.constant: int | None = None  # value of the argument that must be a constant
        self.r0_size: int | None = None
        self.r0_rdonly = False
        self.callback = -1  # subprogram number
        self.btf_id: tuple[Btf, int] | None = None  # type of a pointer argument, for functions that need it
        self.dynptrs: list[Reg] = []
        self.root: tuple[Field, Btf] | None = None  # the list head or tree root among them
        self.object: Reg | None = None  # the object that is put on it, or gets another owner
        self.iterator: tuple[int, int] | None = None  # frame and first slot of the iterator among the arguments

    def check(self) -> int:
        ck, kfunc = self.ck, self.kfunc
        locks.no_kfunc(ck, kfunc.name)
        self._allowed()
        before = BEFORE.get(kfunc.name)
        if before is not None:
            before(self)
        kfunc_args.check(self)
        sections.enter_or_leave(self)
        special = SPECIAL.get(kfunc.name)
        if special is not None:
            nxt = special(self)
            if nxt is not None:
                return nxt
        if self.release:
            self._release()
        ck.live_stack.commit(ck.frame.instance, self.pc)
        for i in range(6):
            ck.regs[i] = UNINIT
        if kfunc.has("packet"):
            ck.changes_packet = True
            clear_packet_pointers(ck)
        result = RESULTS.get(kfunc.name)
        if result is None or not result(self):
            self._result()
        if kfunc.has("iter_next"):
            iters.step(self)
        after = AFTER.get(kfunc.name)
        return self.pc + 1 if after is None else after(self)

    def _allowed(self) -> None:
        ck, kfunc = self.ck, self.kfunc
        if not kfunc.allowed(ck):
            raise Reject(EACCES, f"calling kernel function {kfunc.name} is not allowed")
        if kfunc.has("sleep") and not sections.sleepable(ck):
            raise Reject(EACCES, f"program must be sleepable to call sleepable kfunc {kfunc.name}")
        if kfunc.has("sleep"):
            ck.may_sleep = True

    def _release(self) -> None:
        ck = self.ck
        ref = self.ref
        if not any(r.id == ref and r.kind == "ptr" for r in ck.st.refs):
            text = f"kfunc {self.kfunc.name}#{self.kfunc.type_id} reference has not been acquired before"
            raise Reject(EINVAL, text)
        release_reference(ck, ref)

    # --- what comes back -------------------------------------------------------------------------------------------------
    def _result(self) -> None:
        ck, kfunc = self.ck, self.kfunc
        btf = kfunc.btf
        t = btf.resolve(kfunc.proto.type)
        acquires = kfunc.has("acquire")
        if isinstance(t, (Int, Enum)):
            ck.regs[0] = UNKNOWN_REG
            return
        if not isinstance(t, Ptr):
            return  # void
        target = btf.resolve(t.type)
        null = kfunc.has("ret_null")
        if isinstance(target, Void):
            ck.regs[0] = UNKNOWN_REG  # nobody knows what it points at
            if not acquires:
                return
        reg = self._pointer(target)
        if null:
            reg = (reg[0] | MAYBE_NULL, reg[1], ck.new_id(), reg[3], reg[4])
        if acquires:
            ref = ck.new_id()
            ck.st.refs = (*ck.st.refs, Ref("ptr", ref, self.pc))
            extra = (*reg[4][:3], ref) if len(reg[4]) == 4 else (reg[4][0], ref)
            reg = (reg[0], reg[1], ref if null else reg[2], reg[3], extra)
        ck.regs[0] = reg

    def _pointer(self, target: Type) -> Reg:
        btf = self.kfunc.btf
        if isinstance(target, Composite):
            if self.kfunc.name == "bpf_get_kmem_cache":
                return pointer(btf, target.id, UNTRUSTED)
            return pointer(btf, target.id, iters.trust(self) if self.kfunc.has("iter_next") else 0)
        size, rdonly = self.r0_size, self.r0_rdonly
        if size is None:
            try:
                size, rdonly = btf.size_of(target.id), True
            except BtfError:
                text = (
                    f"kernel function {self.kfunc.name} returns pointer type {attach.kind_text(target)} {shown(target)}"
                )
                raise Reject(EINVAL, f"{text} is not supported") from None
        return (MEM | (RDONLY if rdonly else 0), ZERO, 0, 0, (size, self.ref))


# hooks of functions that mean more than their prototype: by name
Hook = Callable[[KfuncCall], None]
BEFORE: Final[dict[str, Hook]] = {}  # before the arguments
# after the arguments; a pc that it goes on at, or None
SPECIAL: Final[dict[str, Callable[[KfuncCall], int | None]]] = {}
RESULTS: Final[dict[str, Callable[[KfuncCall], bool]]] = {}  # sets r0 and answers True, or leaves it to the prototype
AFTER: Final[dict[str, Callable[[KfuncCall], int]]] = {}  # the very end: the next pc


# --- which function ----------------------------------------------------------------------------------------------------------


def resolve(ck: Checker) -> None:
    """All calls of kernel functions, in the order of the program, before anything else of it is looked at."""
    for insn in ck.insns:
        if insn.code == CALL and insn.src == PSEUDO_KFUNC:
            _add(ck, insn)


def _add(ck: Checker, insn: Insn) -> None:
    key = (insn.imm, insn.off)
    if not ck.kfuncs:
        if ck.kernel_btf() is None:
            raise Reject(ENOTSUPP, "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF")
        if not ck.req.gpl_compatible:
            raise Reject(EINVAL, "cannot call kernel function from non-GPL compatible program")
    if (not insn.imm and not insn.off) or key in ck.kfuncs:
        return
    if len(ck.kfuncs) >= MAX_KFUNC_DESCS:
        raise Reject(E2BIG, "too many different kernel function calls")
    if insn.off:
        raise Reject(_no_module(ck, insn.off), "failed to find BTF for kernel function")
    btf = ck.kernel_btf()
    assert btf is not None
    number = insn.imm
    t = btf.by_id(number) if 0 <= number < len(btf) else None
    if not isinstance(t, Func):
        raise Reject(EINVAL, f"kernel btf_id {number & 0xFFFFFFFF} is not a function")
    proto = btf.by_id(t.type)
    if not isinstance(proto, FuncProto):
        raise Reject(EINVAL, f"kernel function btf_id {number} does not have a valid func_proto")
    if ck.req.has_symbol is not None and not ck.req.has_symbol(t.name):
        raise Reject(EINVAL, f"cannot find address for kernel function {t.name}")
    if t.name.startswith("bpf_xdp_metadata_"):
        raise Reject(EINVAL, "metadata kfuncs require device-bound program")
    attach.trampoline(btf, t.name, proto)
    ck.kfuncs[key] = Kfunc(t.name, btf, number, proto, KFUNCS.get(t.name))


def _no_module(ck: Checker, off: int) -> int:
    """`off` is where in fd_array the types of the function's module are. There are no modules: an errno."""
    if off < 0:
        ck.say("negative offset disallowed for kernel module function call")
        return EINVAL
    if not ck.req.fd_array:
        ck.say("kfunc offset > 0 without fd_array is invalid")
        return EPROTO
    try:
        btf, errno = maps.btf_of_fd(ck.req, maps.array_fd(ck.req, off))
    except Reject as e:
        return e.errno
    ck.say("invalid module BTF fd specified" if btf is None else "BTF fd for kfunc is not a module BTF")
    return errno or EINVAL


def kind(ck: Checker, insn: Insn) -> int:
    """What a call means for the order of checking (`Cfg.callbacks`)."""
    found = ck.kfuncs.get((insn.imm, insn.off))
    if found is None:
        return 0
    if found.has("iter_next"):
        return ITER_NEXT
    if found.name in locks.SYNC_CALLBACKS:
        return SYNC
    return ASYNC if found.name in locks.ASYNC_CALLBACKS else 0


def name_of(ck: Checker, insn: Insn) -> str | None:
    """How listings show a call."""
    found = ck.kfuncs.get((insn.imm, insn.off))
    if found is not None:
        return f"{found.name}#{insn.imm}"
    return "#0" if not insn.imm else None


def compile_kfunc(ck: Checker, pc: int, insn: Insn) -> Callable[[Checker], int]:
    kfunc = ck.kfuncs.get((insn.imm, insn.off))
    if insn.dst:
        raise Reject(EINVAL, "BPF_CALL uses reserved fields")
    if kfunc is None:
        # a weak function that is not there: only dead code may call it, which is seen when all is done
        ck.absent_kfunc = True

        def skip(ck: Checker) -> int:
            return pc + 1

        return skip
    if ck.older:
        older.check_kfunc(ck, kfunc.name)
    ck.facts[pc] = Fact(kfunc=insn.imm)
    known = kfunc

    def call(ck: Checker) -> int:
        return KfuncCall(ck, pc, known).check()

    return call
