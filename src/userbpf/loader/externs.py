"""What a program names but the object does not hold: kernel functions, kernel variables, attach targets.

All three are numbers in the BTF of the kernel that the program is loaded into, so they are filled in at load. Where that kernel
has no BTF a weak extern is absent (its address is 0), a strong one an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import AttachType, ProgType
from userbpf.btf import Btf, DataSec, Func, FuncProto, Int, Type, Typedef, Var
from userbpf.errors import BtfError, ObjectError
from userbpf.isa.insn import Insn
from userbpf.isa.opcodes import BPF_PSEUDO_KFUNC_CALL
from userbpf.loader.blueprint import Kind, ProgPlan, Reference
from userbpf.loader.core import CoreTarget, kernel_target
from userbpf.spec.kernel_types import core_types
from userbpf.spec.profiles import Profile
from userbpf.spec.sections import Section

if TYPE_CHECKING:
    from userbpf.kernel import Kernel

KSYMS: Final = ".ksyms"
DUMMY: Final = "dummy_ksym"
BPF_PSEUDO_BTF_ID: Final = 3
NAME_ONE: Final = "name a BTF file with --btf or USERBPF_VMLINUX_BTF"
ABSENT_CALL: Final = 2002000000  # no helper: a call of an absent weak function may only stand in dead code
PREFIXES: Final[dict[AttachType, tuple[str, type[Type]]]] = {
    AttachType.TRACE_RAW_TP: ("btf_trace_", Typedef),
    AttachType.LSM_MAC: ("bpf_lsm_", Func),
    AttachType.LSM_CGROUP: ("bpf_lsm_", Func),
    AttachType.TRACE_ITER: ("bpf_iter_", Func),
}


def kernel_types(kernel: Kernel | None) -> CoreTarget | None:
    """The types of the kernel that programs go into: the running one's for None; None where it has none."""
    if kernel is None:
        return kernel_target()
    types = kernel.vmlinux()
    return CoreTarget(lambda: types, types is core_types()) if types is not None else None


def settle_ksyms(btf: Btf) -> None:
    """Make section .ksyms one that Linux takes: it knows no extern functions or variables in a section."""
    section = btf.find(KSYMS, DataSec)
    if section is None:
        return
    number = next((t.id for t in btf.types if isinstance(t, Int) and t.size == 4), 0)
    number = number or btf.add(Int(4, 1, 0, 32, name="int")).id
    dummy = 0
    for index, item in enumerate(section.vars):
        extern = btf.by_id(item.type)
        if isinstance(extern, Func):
            extern.linkage = 1
            proto = btf.by_id(extern.type)
            if isinstance(proto, FuncProto):
                for i, param in enumerate(proto.params):
                    param.name = param.name or (f"param{i}" if param.type else "")
            dummy = dummy or btf.add(Var(number, 1, name=DUMMY)).id
            item.type = dummy
        elif isinstance(extern, Var):
            extern.type, extern.linkage = number, 1
        item.offset, item.size = index * 4, 4
    section.size = len(section.vars) * 4


def link(
    insns: list[Insn], ref: Reference, kernel: CoreTarget | None, where: str, profile: Profile | None = None
) -> None:
    """Fill in one reference to a kernel symbol."""
    wanted: tuple[type[Type], ...] = (Func,) if ref.kind == Kind.KFUNC else (Var, Func)
    found = 0
    if kernel is not None:
        types = _types(kernel, where)
        found = next((i for i in types.named(ref.target) if isinstance(types.by_id(i), wanted)), 0)
    if profile is not None and not profile.knows("kfunc", ref.target):
        found = 0  # that kernel's BTF would not have it
    if not found and not ref.weak:
        missing = "has no" if kernel is not None else "is not there to have"
        raise ObjectError(f"{where}: extern {ref.target}: the kernel's BTF {missing} such symbol{_hint(kernel)}")
    insn = insns[ref.pc]
    if ref.kind == Kind.KFUNC:
        if found:
            insns[ref.pc] = insn._replace(src=BPF_PSEUDO_KFUNC_CALL, off=0, imm=found)
        else:
            insns[ref.pc] = Insn(insn.code, 0, 0, 0, ABSENT_CALL)
        return
    insns[ref.pc] = insn._replace(src=BPF_PSEUDO_BTF_ID if found else 0, imm=found)
    insns[ref.pc + 1] = Insn(0)


def attach_target(plan: ProgPlan, row: Section, kernel: CoreTarget | None, where: str) -> int:
    """attach_btf_id of a program whose section names a function, tracepoint, hook or iterator; 0 for any other."""
    if not row.btf:
        return 0
    if row.prog_type == ProgType.EXT:
        raise ObjectError(f"{where}: freplace needs a loaded program to extend, which Object.load does not take")
    if kernel is None:
        raise ObjectError(f"{where}: its target is found in a kernel's BTF, which is not there; {NAME_ONE}")
    if not plan.target:
        raise ObjectError(f"{where}: the section names no target; write {row.name}/<target>")
    prefix, kind = PREFIXES.get(row.attach or AttachType.TRACE_FENTRY, ("", Func))
    found = _types(kernel, where).find(prefix + plan.target, kind)
    if found is None:
        what = f"{kind.__name__.lower()} {prefix}{plan.target}"
        raise ObjectError(f"{where}: the kernel's BTF has no {what}{_hint(kernel)}")
    return found.id


def _hint(kernel: CoreTarget | None) -> str:
    """What helps where this machine's kernel tells nothing of its types."""
    if kernel is None:
        return f"; {NAME_ONE}"
    return f"; this machine's kernel has none, only userbpf's own few types are there: {NAME_ONE}" if kernel.own else ""


def _types(kernel: CoreTarget, where: str) -> Btf:
    try:
        return kernel.btf
    except BtfError as e:
        raise ObjectError(f"{where}: {e}") from e
