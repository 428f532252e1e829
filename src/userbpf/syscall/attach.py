"""What attach_btf_id and attach_prog_fd of BPF_PROG_LOAD mean: types of the kernel, or a loaded program."""

from __future__ import annotations

from dataclasses import dataclass
from errno import EINVAL
from typing import Final

from userbpf.abi.attrs import ProgLoadAttr
from userbpf.abi.enums import ProgType
from userbpf.btf import Btf, Func
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.kernel.objects import BtfObj, ProgObj
from userbpf.verifier.api import TargetProg

ENOTSUPP: Final = 524
BTF_MAX_TYPE: Final = 0xFFFFF
BTF_TARGETS: Final = frozenset((ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS, ProgType.EXT))
PROG_TARGETS: Final = frozenset((ProgType.TRACING, ProgType.EXT))
F_SLEEPABLE: Final = 1 << 4


@dataclass(slots=True)
class AttachTarget:
    """`btf` is where attach_btf_id is looked up."""

    btf: Btf | None = None
    prog: TargetProg | None = None
    obj: ProgObj | None = None


def attach_target(kernel: Kernel, attr: ProgLoadAttr) -> AttachTarget:
    """EINVAL for what does not go together, ENOTSUPP for types that are not the kernel's."""
    out = _find(kernel, attr)
    number, kind = attr.attach_btf_id, attr.prog_type
    if number and (number > BTF_MAX_TYPE or kind not in BTF_TARGETS):
        raise BpfError(EINVAL)
    if out.obj is None and out.btf is not None and not number:
        raise BpfError(EINVAL)
    if out.obj is not None and kind not in PROG_TARGETS:
        raise BpfError(EINVAL)
    return out


def _find(kernel: Kernel, attr: ProgLoadAttr) -> AttachTarget:
    if attr.attach_prog_fd:
        fd = attr.attach_prog_fd
        try:
            obj = kernel.object_of_fd(fd - (1 << 32) if fd >> 31 else fd)
        except BpfError:
            raise BpfError(EINVAL) from None
        if isinstance(obj, ProgObj):
            btf = obj.btf.btf if obj.btf is not None else None
            return AttachTarget(btf, target_prog(obj, btf), obj)
        if not isinstance(obj, BtfObj):
            raise BpfError(EINVAL)
        if not obj.kernel_btf:
            raise BpfError(ENOTSUPP)
        return AttachTarget(obj.btf)
    if not attr.attach_btf_id:
        return AttachTarget()
    btf = kernel.vmlinux()
    if btf is None:
        raise BpfError(EINVAL)
    return AttachTarget(btf)


def target_prog(obj: ProgObj, btf: Btf | None) -> TargetProg:
    """What the verifier must know of a program that another one is attached to."""
    record, verified = obj.record, obj.verified
    funcs = [int.from_bytes(record.func_info[i + 4 : i + 8], "little") for i in range(0, len(record.func_info), 8)]
    static = []
    for type_id in funcs:
        t = btf.by_id(type_id) if btf is not None else None
        static.append(isinstance(t, Func) and t.linkage == 0)
    return TargetProg(
        prog_type=ProgType(record.prog_type),
        expected_attach_type=record.expected_attach_type,
        btf=btf,
        funcs=funcs,
        static=static,
        may_sleep=bool(record.prog_flags & F_SLEEPABLE),
        changes_packet=verified.changes_packet if verified is not None else False,
    )
