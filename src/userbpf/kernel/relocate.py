"""Move a map's memory from its memfd into a file, under the feet of everyone in this process.

A memfd can never get a name, so a map that is pinned must move. Its content is copied into a new file; then every mapping of
the memfd in this process is replaced at its own address (mmap with MAP_FIXED replaces in one step), and every descriptor
at its own number (dup3). Addresses in compiled programs, descriptors in clients' hands and clients' own mmaps stay
valid and mean the file from then on. No program of the kernel runs meanwhile.

What cannot be reached is a descriptor in another process (inherited or passed on before the pin): it keeps the old
memory. Pin first, share then.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from userbpf.errors import BpfError
from userbpf.kernel import fds
from userbpf.kernel.fds import Identity

MAP_FIXED: Final = 0x10
COPY_STEP: Final = 1 << 20


class Mapping(NamedTuple):
    """One line of /proc/self/maps."""

    start: int
    end: int
    prot: int
    offset: int


def copy_content(source: int, target: int, size: int) -> None:
    """Copy a region into an empty file, holes as holes. The file's blocks are reserved first, so that a full disk
    is ENOSPC here and not SIGBUS in a program."""
    os.ftruncate(target, size)
    try:
        os.posix_fallocate(target, 0, size)
    except OSError as e:
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole up to the end
            return
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            piece = os.pread(source, min(COPY_STEP, end - at), at)
            if not piece:
                return
            at += os.pwrite(target, piece, at)


def replace(old: Identity, new_fd: int) -> None:
    """Make every mapping and every descriptor of `old` in this process one of new_fd's file."""
    for each in list(mappings(old)):
        _map_over(each, new_fd)
    for fd in fds.open_fds():
        if _is(fd, old):
            _dup_over(new_fd, fd)


def mappings(identity: Identity) -> Iterator[Mapping]:
    """Where a file is mapped in this process."""
    dev = f"{os.major(identity[0]):02x}:{os.minor(identity[0]):02x}"
    with open("/proc/self/maps", errors="surrogateescape") as lines:
        for line in lines:
            span, perms, offset, device, inode, *_ = line.split()
            if int(inode) == identity[1] and device == dev and "s" in perms:
                start, end = (int(x, 16) for x in span.split("-"))
                prot = sum(bit for flag, bit in (("r", 1), ("w", 2), ("x", 4)) if flag in perms)
                yield Mapping(start, end, prot, int(offset, 16))


def _is(fd: int, identity: Identity) -> bool:
    try:
        return fds.identity(fd) == identity
    except BpfError:
        return False


def _map_over(old: Mapping, fd: int) -> None:
    got = _mmap()(old.start, old.end - old.start, old.prot, mmap.MAP_SHARED | MAP_FIXED, fd, old.offset)
    if got != old.start:
        raise BpfError(ctypes.get_errno() or errno.ENOMEM)


def _dup_over(new_fd: int, fd: int) -> None:
    inheritable = not fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    mode = fcntl.fcntl(fd, fcntl.F_GETFL) & fds.O_ACCMODE
    if mode == os.O_RDWR:
        os.dup2(new_fd, fd, inheritable)
        return
    reopened = os.open(f"{fds.FD_DIR}/{new_fd}", mode | os.O_CLOEXEC)
    try:
        os.dup2(reopened, fd, inheritable)
    finally:
        os.close(reopened)


@cache
def _mmap() -> Any:
    fn = ctypes.CDLL(None, use_errno=True).mmap
    fn.restype = ctypes.c_size_t
    fn.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    return fn
