"""Attaching: BPF_PROG_ATTACH, BPF_LINK_CREATE and their kin, and BPF_ENABLE_STATS.

There is nothing to attach to in a process: no devices, no cgroups, no tracepoints. So these commands answer what Linux
answers for a target that does not exist, after the same checks of the program's fd; a client that probes for them by errno
(LINK_CREATE with fd -1 must be EBADF) sees them. Programs run through BPF_PROG_TEST_RUN and `userbpf.hooks`.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EBADF, EINVAL, ENOENT
from typing import Final

from userbpf.abi.attrs import (
    EnableStatsAttr,
    LinkCreateAttr,
    LinkDetachAttr,
    LinkUpdateAttr,
    ProgAttachAttr,
    ProgQueryAttr,
    RawTracepointAttr,
)
from userbpf.abi.enums import AttachType, Cmd, ProgType, StatsType
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.kernel.usermem import read_string
from userbpf.syscall.attrs import UserAttr

RAW_TP_NAME_MAX: Final = 127


def _attach_type(number: int) -> None:
    if number not in AttachType._value2member_map_:
        raise BpfError(EINVAL)


def prog_attach(kernel: Kernel, attr: ProgAttachAttr, out: UserAttr) -> int:
    """EBADF for a program's fd that is none, EINVAL for all targets."""
    _attach_type(attr.attach_type)
    kernel.prog_of_fd(attr.attach_bpf_fd)
    raise BpfError(EINVAL)


def prog_detach(kernel: Kernel, attr: ProgAttachAttr, out: UserAttr) -> int:
    """EBADF: the target's fd stands for nothing a program could be attached to."""
    _attach_type(attr.attach_type)
    raise BpfError(EBADF)


def prog_query(kernel: Kernel, attr: ProgQueryAttr, out: UserAttr) -> int:
    """EBADF, as prog_detach."""
    _attach_type(attr.attach_type)
    if attr.query_flags & ~1:
        raise BpfError(EINVAL)
    raise BpfError(EBADF)


def raw_tracepoint_open(kernel: Kernel, attr: RawTracepointAttr, out: UserAttr) -> int:
    """ENOENT for every name; EINVAL for programs of other types."""
    prog = kernel.prog_of_fd(attr.prog_fd)
    if prog.prog_type not in (ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE):
        raise BpfError(EINVAL)
    read_string(kernel.memory, attr.name, RAW_TP_NAME_MAX)
    raise BpfError(ENOENT)


def link_create(kernel: Kernel, attr: LinkCreateAttr, out: UserAttr) -> int:
    """EBADF for a program's fd that is none; EINVAL for all targets."""
    kernel.prog_of_fd(attr.prog_fd)
    raise BpfError(EINVAL)


def link_update(kernel: Kernel, attr: LinkUpdateAttr, out: UserAttr) -> int:
    """EBADF and EINVAL for what is no link; there are none."""
    if attr.flags & ~4:
        raise BpfError(EINVAL)
    kernel.link_of_fd(attr.link_fd)
    raise BpfError(EINVAL)


def link_detach(kernel: Kernel, attr: LinkDetachAttr, out: UserAttr) -> int:
    """EBADF and EINVAL for what is no link; there are none."""
    kernel.link_of_fd(attr.link_fd)
    raise BpfError(EINVAL)


def enable_stats(kernel: Kernel, attr: EnableStatsAttr, out: UserAttr) -> int:
    """Count runs and their time while the fd that comes back is open."""
    if attr.type != StatsType.RUN_TIME:
        raise BpfError(EINVAL)
    return kernel.stats_fd()


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {
    Cmd.PROG_ATTACH: prog_attach,
    Cmd.PROG_DETACH: prog_detach,
    Cmd.PROG_QUERY: prog_query,
    Cmd.RAW_TRACEPOINT_OPEN: raw_tracepoint_open,
    Cmd.LINK_CREATE: link_create,
    Cmd.LINK_UPDATE: link_update,
    Cmd.LINK_DETACH: link_detach,
    Cmd.ENABLE_STATS: enable_stats,
}
