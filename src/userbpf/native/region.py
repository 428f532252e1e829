"""Memory behind a real file descriptor: what a map's fd is, and what an object's fd names itself by.

A region is a memfd mapped shared and readable-writable in this process. Other mappings (a client's mmap of the map, another
process that received the fd) see the same bytes. `reopen_readonly` gives a descriptor that cannot be mapped writable, as
Linux does for BPF_F_RDONLY opens and frozen maps.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Final

PAGE: Final = mmap.PAGESIZE


def page_up(size: int) -> int:
    """size rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def anonymous_fd(name: str, size: int) -> int:
    """A close-on-exec descriptor of `size` zero bytes without a name in any directory."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile

        fd, path = tempfile.mkstemp(prefix=f"{name}.")
        os.unlink(path)
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Region:
    """`size` bytes at `addr`, shared through `fd`. Close it when no code that knows the address can run any more."""

    def __init__(self, fd: int, size: int, writable: bool = True) -> None:
        self.fd = fd
        self.size = size
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self.map = mmap.mmap(fd, size, mmap.MAP_SHARED, prot)
        self.addr = _address(self.map, writable)

    @classmethod
    def create(cls, name: str, size: int) -> Region:
        """New zero memory of at least one page; `name` (say `bpf-map.3`) shows in /proc/self/fd."""
        size = page_up(max(size, 1))
        fd = anonymous_fd(name, size)
        try:
            return cls(fd, size)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def from_fd(cls, fd: int, writable: bool = True) -> Region:
        """The memory behind a descriptor that is already there; takes a duplicate, the caller keeps `fd`."""
        own = os.dup(fd)
        try:
            return cls(own, os.fstat(own).st_size, writable)
        except BaseException:
            os.close(own)
            raise

    def view(self) -> memoryview:
        """The bytes; a view keeps the mapping from being closed."""
        return memoryview(self.map)

    def dup(self) -> int:
        """Another descriptor of the same memory."""
        return os.dup(self.fd)

    def reopen_readonly(self) -> int:
        """A descriptor that can be read and mapped read-only, and nothing else."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)

    def identity(self) -> tuple[int, int]:
        """(device, inode): equal for every descriptor of the same memory, in every process."""
        st = os.fstat(self.fd)
        return st.st_dev, st.st_ino

    def close(self) -> None:
        """Unmap and close; harmless the second time."""
        if self.fd >= 0:
            self.map.close()
            os.close(self.fd)
            self.fd, self.addr = -1, 0

    def __enter__(self) -> Region:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Region(fd={self.fd}, addr={self.addr:#x}, size={self.size})"


class _PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


def _address(mapping: mmap.mmap, writable: bool) -> int:
    if writable:
        # The temporary export ends at once: an export that stayed would forbid close().
        return ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    buffer = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(mapping), ctypes.byref(buffer), 0)
    addr = int(buffer.buf or 0)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
    return addr
