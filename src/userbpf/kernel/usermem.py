"""User memory behind attr pointers: `read`, `write`, EFAULT.

A pointer in an attr comes from anywhere and may point nowhere, so Linux copies through functions that fail instead of
crashing. Here the operating system does the same for us: it is asked to copy between two addresses of this very process,
and answers EFAULT by itself, with no signal and no race against munmap.

Three ways, the first that works is taken: process_vm_readv and process_vm_writev on the own pid (1 us a copy by way of a
compiled call, no limit of size); a pipe, into which write(2) copies from the address and out of which read(2) copies to it
(any kernel, any sandbox). Reading /proc/self/mem was refused: it ignores page protection.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

from userbpf.errors import BpfError, NativeError
from userbpf.native import Sym, alloca, call, compile_natives, extern_call, native, store64

PIPE_STEP: Final = 1 << 12
M64: Final = (1 << 64) - 1


class UserMemory(Protocol):
    """Somebody's address space. Every failure is BpfError(EFAULT); zero bytes always succeed."""

    def read(self, addr: int, n: int) -> bytes:
        """Exactly n bytes at addr."""
        ...

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """All of data to addr, or EFAULT (with a part of it perhaps written, as in Linux)."""
        ...


def read_string(memory: UserMemory, addr: int, limit: int) -> bytes:
    """The NUL-terminated bytes at addr without their NUL, or `limit` bytes where there is no NUL among them."""
    out = b""
    while len(out) < limit:
        # never across a page that the string itself does not reach
        step = min(limit - len(out), 4096 - (addr + len(out)) % 4096)
        piece = memory.read(addr + len(out), step)
        end = piece.find(b"\0")
        if end >= 0:
            return out + piece[:end]
        out += piece
    return out


class OwnMemory:
    """The memory of this process, copied by process_vm_readv and process_vm_writev."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        names = {"read": "process_vm_readv", "write": "process_vm_writev"}
        targets = {
            how: {"target": Sym(name, ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0)}
            for how, name in names.items()
        }
        calls = compile_natives(read=(vm_copy, targets["read"]), write=(vm_copy, targets["write"]))
        self._read: Callable[[bytearray, int, int], int] = calls.read
        self._write: Callable[[bytes | bytearray, int, int], int] = calls.write

    def read(self, addr: int, n: int) -> bytes:
        out = bytearray(n)
        if n and self._read(out, addr, n) != n:
            raise BpfError(errno.EFAULT)
        return bytes(out)

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        if isinstance(data, memoryview):
            data = data.tobytes()
        n = len(data)
        if n and self._write(data, addr, n) != n:
            raise BpfError(errno.EFAULT)


@native
def vm_copy(own: int, other: int, n: int, *, target: Sym) -> int:
    """process_vm_*(getpid(), {own, n}, 1, {other, n}, 1, 0); the pid is asked each time because of fork."""
    iov = alloca(32)
    store64(iov, own)
    store64(iov + 8, n)
    store64(iov + 16, other)
    store64(iov + 24, n)
    return call(target, extern_call("getpid"), iov, 1, iov + 16, 1, 0)


class PipeMemory:
    """The memory of this process, copied through a pipe: slow, but permitted everywhere."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._read_call, self._write_call = libc.read, libc.write
        for fn in (self._read_call, self._write_call):
            fn.restype = ctypes.c_ssize_t
            fn.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
        self._lock = threading.Lock()

    def read(self, addr: int, n: int) -> bytes:
        out = bytearray()
        with self._lock:
            r, w = os.pipe()
            try:
                while len(out) < n:
                    step = min(n - len(out), PIPE_STEP)
                    if self._write_call(w, (addr + len(out)) & M64, step) != step:
                        raise BpfError(errno.EFAULT)
                    out += os.read(r, step)
            finally:
                os.close(r)
                os.close(w)
        return bytes(out)

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        with self._lock:
            r, w = os.pipe()
            try:
                while len(left):
                    step = os.write(w, left[:PIPE_STEP])
                    if self._read_call(r, addr & M64, step) != step:
                        raise BpfError(errno.EFAULT)
                    left, addr = left[step:], addr + step
            finally:
                os.close(r)
                os.close(w)


def own_memory() -> UserMemory:
    """The best of the ways that this process is allowed."""
    probe = ctypes.create_string_buffer(b"user", 8)
    try:
        memory = OwnMemory()
        memory.write(ctypes.addressof(probe) + 4, memory.read(ctypes.addressof(probe), 4))
        if probe.raw == b"useruser":
            return memory
    except (BpfError, NativeError, AttributeError, OSError):
        pass
    return PipeMemory()
