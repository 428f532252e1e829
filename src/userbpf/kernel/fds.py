"""File descriptors of objects: real ones, found again by inode.

A map's fd is the memfd of its memory; a program's, BTF's or link's is a small memfd that names the object. What an fd
means is decided by (st_dev, st_ino), never by its number, so dup, fork, SCM_RIGHTS and a number that was closed and used
again all do what they do in Linux.

The kernel itself keeps one private descriptor per object, at high numbers where they are in nobody's way.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final

from userbpf.abi.consts import BPF_F_RDONLY, BPF_F_WRONLY
from userbpf.errors import BpfError
from userbpf.native.region import anonymous_fd

Identity = tuple[int, int]  # (st_dev, st_ino)

FD_DIR: Final = "/proc/self/fd"
O_ACCMODE: Final = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


def identity(fd: int) -> Identity:
    """What an fd is; EBADF where it is none."""
    try:
        st = os.fstat(fd)
    except (OSError, OverflowError):
        raise BpfError(errno.EBADF) from None
    return st.st_dev, st.st_ino


@cache
def _private_floor() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft // 2 if 0 < soft < 1 << 20 else 1 << 16


def make_private(fd: int) -> int:
    """Move a descriptor of ours to the high numbers, close-on-exec; the low number is free again."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _private_floor())
    except OSError:
        return fd  # the high half is full: stay
    os.close(fd)
    return high


def name_fd(name: str, content: bytes = b"") -> int:
    """A private memfd that stands for an object which is not memory."""
    fd = make_private(anonymous_fd(name, 0))
    if content:
        os.pwrite(fd, content, 0)
    return fd


def open_mode(flags: int) -> int:
    """BPF_F_RDONLY and BPF_F_WRONLY as an open mode; both at once are EINVAL."""
    rdonly, wronly = flags & BPF_F_RDONLY, flags & BPF_F_WRONLY
    if rdonly and wronly:
        raise BpfError(errno.EINVAL)
    return os.O_RDONLY if rdonly else os.O_WRONLY if wronly else os.O_RDWR


def hand_out(private: int, mode: int = os.O_RDWR) -> int:
    """A new descriptor for the user: the lowest free number, close-on-exec; EMFILE where there is none."""
    try:
        if mode == os.O_RDWR:
            return fcntl.fcntl(private, fcntl.F_DUPFD_CLOEXEC, 0)
        return os.open(f"{FD_DIR}/{private}", mode | os.O_CLOEXEC)
    except OSError as e:
        raise BpfError(e.errno or errno.EMFILE) from None


def may_read(fd: int) -> bool:
    """Whether an fd was opened for reading from the syscall side."""
    return fcntl.fcntl(fd, fcntl.F_GETFL) & O_ACCMODE != os.O_WRONLY


def may_write(fd: int) -> bool:
    """Whether an fd was opened for writing from the syscall side."""
    return fcntl.fcntl(fd, fcntl.F_GETFL) & O_ACCMODE != os.O_RDONLY


def open_fds() -> list[int]:
    """The numbers of this process' open descriptors."""
    try:
        names = os.listdir(FD_DIR)
    except FileNotFoundError:  # no /proc: ask them all
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return [fd for fd in range(min(soft, 1 << 16)) if _is_open(fd)]
    return [int(name) for name in names]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def census(fds: Iterable[int] | None = None) -> Counter[Identity]:
    """How many descriptors of this process stand for each identity."""
    found: Counter[Identity] = Counter()
    for fd in open_fds() if fds is None else fds:
        try:
            st = os.fstat(fd)
        except OSError:
            continue  # the directory's own descriptor, or closed meanwhile
        found[st.st_dev, st.st_ino] += 1
    return found
