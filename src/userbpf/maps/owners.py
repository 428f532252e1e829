"""Things outside that a map's keys or values are descriptors of: sockets, files, tasks, cgroups. Told apart by inode.

Linux lets go of an entry when the socket or task behind it goes. A process is not told, so it looks before it believes.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from dataclasses import dataclass
from typing import Final

from userbpf.maps.base import ENOTSUPP, fail

FD_DIR: Final = "/proc/self/fd"
S32_MAX: Final = 0x7FFFFFFF
SO_COOKIE: Final = 57
TCP_ESTABLISHED: Final = 1
TCP_LISTEN: Final = 10


@dataclass(frozen=True, slots=True)
class Owner:
    """A thing by device and inode (a task by its number), and the descriptor that it was last seen behind."""

    identity: tuple[int, int]
    fd: int

    def open_still(self) -> bool:
        """Whether this process has a descriptor of it."""
        if _identity(self.fd) == self.identity:
            return True
        try:
            fds = [int(name) for name in os.listdir(FD_DIR)]
        except OSError:
            return False
        return any(_identity(fd) == self.identity for fd in fds)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        st = os.fstat(fd)
    except (OSError, OverflowError):
        return None
    return st.st_dev, st.st_ino


def _stat(fd: int) -> os.stat_result:
    try:
        return os.fstat(fd)
    except (OSError, OverflowError):
        raise fail(errno.EBADF) from None


def file_of(fd: int) -> Owner:
    """Any open file; EBADF."""
    st = _stat(fd)
    return Owner((st.st_dev, st.st_ino), fd)


def socket_of(fd: int) -> Owner:
    """A socket; EBADF, ENOTSOCK."""
    st = _stat(fd)
    if not stat.S_ISSOCK(st.st_mode):
        raise fail(errno.ENOTSOCK)
    return Owner((st.st_dev, st.st_ino), fd)


def task_of(fd: int) -> Owner:
    """The task of a pidfd; EBADF, ESRCH where it is gone."""
    try:
        with open(f"/proc/self/fdinfo/{fd}") as lines:
            pid = next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), 0)
    except OSError:
        pid = 0
    if not pid:
        raise fail(errno.EBADF)
    if pid < 0:
        raise fail(errno.ESRCH)
    return Owner((0, pid), fd)


def cgroup_of(fd: int) -> Owner:
    """A directory of the cgroup2 file system; EBADF for anything else."""
    st = _stat(fd)
    device = f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}"
    if stat.S_ISDIR(st.st_mode):
        try:
            with open("/proc/self/mountinfo") as lines:
                for line in lines:
                    fields = line.split()
                    if fields[2] == device and fields[fields.index("-") + 1] == "cgroup2":
                        return Owner((st.st_dev, st.st_ino), fd)
        except OSError:
            pass
    raise fail(errno.EBADF)


def opened(fd: int) -> socket.socket:
    """A socket object of its own for asking; close it."""
    return socket.socket(fileno=os.dup(fd))


def cookie_of(owner: Owner) -> int:
    """The number that Linux gives a socket (SO_COOKIE)."""
    with opened(owner.fd) as sock:
        return int(struct.unpack("<Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0])


def may_redirect(owner: Owner) -> bool:
    """Whether SOCKMAP and SOCKHASH take a socket: TCP that listens or is connected, UDP that is bound, connected Unix."""
    with opened(owner.fd) as sock:
        inet = sock.family in (socket.AF_INET, socket.AF_INET6)
        if inet and sock.type == socket.SOCK_STREAM and sock.proto == socket.IPPROTO_TCP:
            return tcp_state(sock) in (TCP_ESTABLISHED, TCP_LISTEN)
        if inet and sock.type == socket.SOCK_DGRAM and sock.proto == socket.IPPROTO_UDP:
            return bool(sock.getsockname()[1])
        return sock.family == socket.AF_UNIX and (sock.type == socket.SOCK_DGRAM or _connected(sock))


def tcp_state(sock: socket.socket) -> int:
    """TCP_ESTABLISHED, TCP_LISTEN, ..."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def _connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def check_reuseport(owner: Owner) -> None:
    """REUSEPORT_SOCKARRAY: TCP that listens or UDP that is bound, with SO_REUSEPORT; ENOTSUPP, EINVAL."""
    with opened(owner.fd) as sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise fail(ENOTSUPP)
        if sock.type == socket.SOCK_STREAM:
            ready = tcp_state(sock) == TCP_LISTEN
        elif sock.type == socket.SOCK_DGRAM:
            ready = bool(sock.getsockname()[1])
        else:
            raise fail(ENOTSUPP)
        if not ready or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            raise fail(errno.EINVAL)
