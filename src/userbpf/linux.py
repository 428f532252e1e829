"""The real bpf(2) of the running Linux: the second transport, and the oracle of the first.

`bpf` has the signature of `userbpf.bpf` and the same buffers, so that a test runs unchanged on both.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import sys
from typing import Any, Final

from userbpf.errors import BpfError

SYS_BPF: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
SYS_PERF_EVENT_OPEN: Final = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "s390x": 331, "ppc64le": 319}


@functools.cache
def _syscall() -> Any:
    fn = ctypes.CDLL(None, use_errno=True).syscall
    fn.restype = ctypes.c_long
    fn.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_ulong)
    return fn


def bpf(cmd: int, attr: Any, size: int | None = None) -> int:
    """bpf(2) of the running kernel.

    `attr` is a writable buffer (bytearray, memoryview, ctypes object), an attr of `userbpf.abi.attrs` (results are written
    back into it), an address, or None for NULL. `size` is in bytes, default the whole of attr. Raises BpfError.
    """
    number = SYS_BPF.get(platform.machine())
    if number is None or not sys.platform.startswith("linux"):
        raise BpfError(errno.ENOSYS)
    if attr is None or isinstance(attr, int):
        return _call(number, cmd, attr or 0, size or 0)
    if hasattr(attr, "encode") and hasattr(attr, "fields"):
        raw = bytearray(attr.encode())
        try:
            return bpf(cmd, raw, size)
        finally:
            fresh = type(attr).decode(raw)
            for name, _, _ in attr.fields:
                setattr(attr, name, getattr(fresh, name))
    view = memoryview(attr).cast("B")
    if not len(view):
        return _call(number, cmd, 0, size or 0)
    holder = (ctypes.c_char * len(view)).from_buffer(view)
    return _call(number, cmd, ctypes.addressof(holder), len(view) if size is None else size)


def perf_event_open(attr: Any, pid: int, cpu: int, group_fd: int = -1, flags: int = 0) -> int:
    """perf_event_open(2) of the running kernel; attr as for `bpf`."""
    number = SYS_PERF_EVENT_OPEN.get(platform.machine())
    if number is None or not sys.platform.startswith("linux"):
        raise BpfError(errno.ENOSYS)
    raw = bytearray(attr.encode() if hasattr(attr, "encode") else attr)
    holder = (ctypes.c_char * len(raw)).from_buffer(raw)
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    call.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong)
    ret: int = call(number, ctypes.addressof(holder), pid, cpu, group_fd, flags)
    if ret < 0:
        raise BpfError(ctypes.get_errno())
    return ret


def _call(number: int, cmd: int, addr: int, size: int) -> int:
    ret: int = _syscall()(number, cmd, addr, size)
    if ret < 0:
        raise BpfError(ctypes.get_errno())
    return ret


@functools.cache
def available() -> str | None:
    """None where bpf(2) may be used by this process, else the reason why not."""
    if not sys.platform.startswith("linux"):
        return f"no bpf(2): the platform is {sys.platform}"
    if platform.machine() not in SYS_BPF:
        return f"no bpf(2): unknown syscall number for {platform.machine()}"
    attr = bytearray(20)
    attr[0:20] = (2).to_bytes(4, "little") + (4).to_bytes(4, "little") * 2 + (1).to_bytes(4, "little") + bytes(4)
    try:
        os.close(bpf(0, attr))
    except BpfError as e:
        return f"bpf(2) is not permitted: BPF_MAP_CREATE answers {errno.errorcode.get(e.errno or 0, e.errno)}"
    return None
