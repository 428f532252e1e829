"""bpf(2): attr bytes in, typed attr to the handler of the command, results back into the attr.

`dispatch(kernel, cmd, attr, size)` is the whole syscall. Which commands there are, which attr each reads and up to where
stands in `spec.commands`; the `HANDLERS` of the noun modules tie a
handler to each row that runs.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

from userbpf.abi.enums import Cmd
from userbpf.abi.layout import Layout
from userbpf.abi.perf import PERF_ATTR_SIZE_VER0
from userbpf.errors import BpfError, NativeError
from userbpf.kernel.machine import Kernel, default_kernel
from userbpf.kernel.usermem import own_memory
from userbpf.native import callable as callable_
from userbpf.spec.commands import COMMANDS, UNKNOWN_CMD_ERRNO
from userbpf.syscall.attrs import UserAttr, check, decode

__all__ = ["Kernel", "bpf", "default_kernel", "dispatch", "handler_of", "ioctl", "perf_event_open", "ready"]

Handler = Callable[[Kernel, Any, UserAttr], int]


# Modules in the order in which they are asked; the later ones bring verifier, engine and hooks with them.
NOUNS: Final = ("map", "batch", "btf", "obj", "link", "prog")
FIRST: Final = {Cmd.PROG_LOAD: "prog", Cmd.PROG_TEST_RUN: "prog"}

# What a program needs from BPF_PROG_LOAD to the end of its first test run and no module above imports at once.
PATH_OF_A_PROGRAM: Final = (
    *("userbpf.syscall.prog", "userbpf.helpers", "userbpf.verifier.atomic", "userbpf.engine.jit.program"),
    *(
        "userbpf.engine.jit.calls",
        "userbpf.hooks.repeat",
        "userbpf.hooks.xdp",
        "userbpf.hooks.skb",
        "userbpf.hooks.raw",
    ),
)


@cache
def handler_of(cmd: Cmd) -> Handler:
    """The handler of a command that runs."""
    for noun in (FIRST.get(cmd, "map"), *NOUNS):
        found: dict[Cmd, Handler] = importlib.import_module(f"userbpf.syscall.{noun}").HANDLERS
        if cmd in found:
            return found[cmd]
    raise KeyError(cmd)


def ready() -> None:
    """Import and make now what every program needs, so that the first BPF_PROG_LOAD does not wait for it (50 ms)."""
    for name in PATH_OF_A_PROGRAM:
        importlib.import_module(name)
    with suppress(NativeError, OSError):  # where nothing can be compiled, the first program says so
        callable_.prepare(2, False)  # a program: context and run context
    own_memory()  # on a machine with no machine code in the cache yet, this brings LLVM
    for cmd in FIRST:
        attr = COMMANDS[cmd].attr
        attr.decode(bytes(attr.SIZE))
        handler_of(cmd)


def dispatch(kernel: Kernel, cmd: int, attr: Any, size: int | None = None) -> int:
    """One bpf(2) on a kernel. `attr`: a writable buffer, an attr of `abi.attrs`, an address, or None for NULL."""
    if isinstance(attr, Layout):
        return _with_layout(kernel, cmd, attr, size)
    user = UserAttr(kernel.memory, attr, size)
    raw = user.read()
    row = COMMANDS.get(cmd)  # type: ignore[call-overload]
    if row is None:
        raise BpfError(UNKNOWN_CMD_ERRNO)
    check(row, raw)
    if row.status == "absent":
        raise BpfError(row.errno)
    typed = decode(row, raw)
    if not kernel.profile.has_all:
        from userbpf.syscall import older

        older.check(kernel, row.cmd, typed)
    return handler_of(row.cmd)(kernel, typed, user)


def _with_layout(kernel: Kernel, cmd: int, attr: Layout, size: int | None) -> int:
    """The same for a typed attr, into which results are written back."""
    raw = bytearray(attr.encode())
    try:
        return dispatch(kernel, cmd, raw, size)
    finally:
        fresh = type(attr).decode(raw)
        for name, _, _ in attr.fields:
            setattr(attr, name, getattr(fresh, name))


def bpf(cmd: int, attr: Any, size: int | None = None, *, kernel: Kernel | None = None) -> int:
    """bpf(2). Returns a new file descriptor or 0; raises `BpfError`, an OSError with Linux's errno and the log if any.

    `attr` is laid out as Linux's `union bpf_attr`: a writable buffer (bytearray, memoryview, ctypes object, array), an
    attr object of `userbpf.abi.attrs`, the address of such bytes, or None for NULL. Pointers in it are addresses in this
    process. `size` in bytes defaults to the whole of attr. `kernel` defaults to the process' own.
    """
    return dispatch(kernel or default_kernel(), cmd, attr, size)


def perf_event_open(
    attr: Any, pid: int, cpu: int, group_fd: int = -1, flags: int = 0, *, kernel: Kernel | None = None
) -> int:
    """perf_event_open(2) of the events that programs write records to (PERF_COUNT_SW_BPF_OUTPUT): a new descriptor.

    `attr` is laid out as `struct perf_event_attr`: a buffer, an `userbpf.abi.perf.PerfEventAttr`, or an address. The
    descriptor can be mapped as Linux's: a page of `struct perf_event_mmap_page` and 2^n pages of data.
    """
    from userbpf.kernel.perf import open_event

    if isinstance(attr, Layout):
        attr = bytearray(attr.encode())
    if isinstance(attr, int):
        return open_event(kernel or default_kernel(), attr, pid, cpu, group_fd, flags)
    view = memoryview(attr).cast("B")
    holder = ctypes.create_string_buffer(view.tobytes(), max(len(view), PERF_ATTR_SIZE_VER0))
    try:
        return open_event(kernel or default_kernel(), ctypes.addressof(holder), pid, cpu, group_fd, flags)
    finally:
        if not view.readonly:
            view[:] = holder.raw[: len(view)]


def ioctl(fd: int, request: int, arg: int = 0, *, kernel: Kernel | None = None) -> int:
    """ioctl(2) of descriptors of perf_event_open: PERF_EVENT_IOC_ENABLE and its like; ENOTTY for others."""
    from userbpf.kernel.perf import control

    return control(kernel or default_kernel(), fd, request, arg)
