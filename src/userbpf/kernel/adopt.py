"""Objects that another process made: a map is known by the trailer in its memory, BTF by its own bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from userbpf.btf import Btf
from userbpf.errors import BpfError, BtfError
from userbpf.kernel import fds
from userbpf.kernel.objects import BtfObj, InnerShape, KernelObject, MapObj
from userbpf.maps import adopt_map
from userbpf.maps.inner import MapOfMaps

if TYPE_CHECKING:
    from userbpf.kernel.machine import Kernel

BTF_MAX_SIZE: Final = 16 << 20


def adopt(kernel: Kernel, fd: int) -> KernelObject | None:
    """Make an object of a descriptor that came from elsewhere (fork, SCM_RIGHTS, a pin); None where it is none."""
    with kernel.lock:
        found = kernel.object_at(fds.identity(fd))
        if found is not None:
            return found
        obj = _map(fd) or _btf(fd)
        if obj is None:
            return None
        obj.last_user_fd = fd
        return kernel.admit(obj)


def _map(fd: int) -> MapObj | None:
    if not fds.may_read(fd) or not fds.may_write(fd):
        return None  # memory cannot be mapped through it
    try:
        found = adopt_map(fd)
    except (BpfError, OSError, ValueError):
        return None
    if found is None:
        return None
    obj = MapObj(found)
    obj.adopted = True
    if isinstance(found, MapOfMaps) and found.template is not None:
        obj.inner = InnerShape.bare(found.template)
    if os.fstat(obj.private_fd).st_nlink:
        obj.pins[obj.identity] = obj.private_fd
    return obj


def _btf(fd: int) -> BtfObj | None:
    try:
        if BtfObj.FD_NAME not in os.readlink(f"{fds.FD_DIR}/{fd}"):
            return None
        data = os.pread(fd, BTF_MAX_SIZE, 0)
        obj = BtfObj(data, Btf.parse(data))
    except (OSError, BtfError):
        return None
    os.close(obj.private_fd)
    obj.private_fd = fds.make_private(os.dup(fd))
    obj.identity = fds.identity(obj.private_fd)
    return obj
