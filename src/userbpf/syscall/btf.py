"""BPF_BTF_LOAD."""

from __future__ import annotations

from collections.abc import Callable
from errno import E2BIG, EINVAL
from typing import Final

from userbpf.abi.attrs import BtfLoadAttr
from userbpf.abi.consts import BPF_F_TOKEN_FD
from userbpf.abi.enums import Cmd
from userbpf.btf import check
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.kernel.objects import BtfObj
from userbpf.syscall.attrs import UserAttr
from userbpf.syscall.log import UserLog
from userbpf.verifier import fields

BTF_MAX_SIZE: Final = 16 << 20
TRUE_SIZE_OFF: Final = BtfLoadAttr.offset_of("btf_log_true_size")


def btf_load(kernel: Kernel, attr: BtfLoadAttr, out: UserAttr) -> int:
    """Check a BTF blob and give it an fd."""
    if attr.btf_flags & ~BPF_F_TOKEN_FD:
        raise BpfError(EINVAL)
    if attr.btf_flags & BPF_F_TOKEN_FD:
        kernel.object_of_fd(attr.btf_token_fd)
        raise BpfError(EINVAL)  # there are no tokens here
    if attr.btf_size > BTF_MAX_SIZE:
        raise BpfError(E2BIG)
    log = UserLog(attr.btf_log_level, attr.btf_log_buf, attr.btf_log_size)
    log.check()
    data = kernel.memory.read(attr.btf, attr.btf_size)
    try:
        btf, text = check.load(data, attr.btf_log_level)
        try:
            fields.check_structs(btf, fields.KernelNames(kernel.vmlinux))
        except BpfError as e:
            e.log = text
            raise
    except BpfError as e:
        raise BpfError(log.finish(kernel.memory, out, TRUE_SIZE_OFF, e.log) or e.errno or EINVAL, log=e.log) from None
    code = log.finish(kernel.memory, out, TRUE_SIZE_OFF, text)
    if code:
        raise BpfError(code, log=text)
    return kernel.new_fd(kernel.admit(BtfObj(data, btf)))


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {Cmd.BTF_LOAD: btf_load}
