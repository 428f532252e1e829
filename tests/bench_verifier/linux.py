"""The kernel next door, asked by raw bpf(2): load only, never attach.

Loads a program at a log level and hands back verdict, errno and log. A program that was accepted can be run by
BPF_PROG_TEST_RUN. Everything is closed again at once, so that many thousand programs leave nothing behind.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from typing import Final

_NR_BPF: Final = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 0)
_libc: Final = ctypes.CDLL(None, use_errno=True)
_LICENSE: Final = ctypes.create_string_buffer(b"GPL")

PROG_LOAD: Final = 5
MAP_CREATE: Final = 0
PROG_TEST_RUN: Final = 10
SOCKET_FILTER: Final = 1
SCHED_CLS: Final = 3
XDP: Final = 6


def sys_bpf(cmd: int, attr: bytes) -> int:
    """One bpf(2); the result, or -errno. A signal ends a verification with EAGAIN: it is asked again, as libbpf does."""
    for _ in range(5):
        buf = ctypes.create_string_buffer(attr, len(attr))
        res = int(_libc.syscall(_NR_BPF, cmd, buf, len(attr)))
        if res >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return res if res >= 0 else -ctypes.get_errno()


@dataclass(slots=True)
class Answer:
    """What Linux said of a program: `err` is 0 or an errno; `fd` is -1 unless asked to keep it."""

    err: int
    log: str
    fd: int = -1


class Oracle:
    """A loader with one log buffer."""

    def __init__(self, log_size: int = 1 << 24) -> None:
        self._log = ctypes.create_string_buffer(log_size)
        self._size = log_size

    def load(
        self, insns: bytes, prog_type: int = SOCKET_FILTER, level: int = 2, flags: int = 0, keep: bool = False
    ) -> Answer:
        """BPF_PROG_LOAD under a GPL licence."""
        code = ctypes.create_string_buffer(insns, len(insns))
        self._log[0] = b"\0"
        size = self._size if level else 0
        attr = struct.pack(
            "<IIQQIIQII16sII",
            prog_type,
            len(insns) // 8,
            ctypes.addressof(code),
            ctypes.addressof(_LICENSE),
            level,
            size,
            ctypes.addressof(self._log) if level else 0,
            0,
            flags,
            b"",
            0,
            0,
        )
        fd = sys_bpf(PROG_LOAD, attr)
        log = self._log.value.decode("latin-1") if level else ""
        if fd < 0:
            return Answer(-fd, log)
        if keep:
            return Answer(0, log, fd)
        os.close(fd)
        return Answer(0, log)


def create_map(map_type: int, key_size: int, value_size: int, max_entries: int, map_flags: int = 0) -> int:
    """BPF_MAP_CREATE; the fd. Raises OSError."""
    fd = sys_bpf(MAP_CREATE, struct.pack("<IIIII", map_type, key_size, value_size, max_entries, map_flags))
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))
    return fd


def map_elem(cmd: int, fd: int, key: bytes, value: bytes | bytearray, flags: int = 0) -> tuple[int, bytes]:
    """BPF_MAP_LOOKUP_ELEM 1, UPDATE 2, DELETE 3: the result (or -errno) and the value buffer."""
    k = ctypes.create_string_buffer(bytes(key), max(len(key), 1))
    v = ctypes.create_string_buffer(bytes(value), max(len(value), 1))
    attr = struct.pack("<IIQQQ", fd, 0, ctypes.addressof(k), ctypes.addressof(v), flags)
    return sys_bpf(cmd, attr), v.raw


def run(fd: int, data: bytes, ctx: bytes = b"") -> tuple[int, int, bytes]:
    """BPF_PROG_TEST_RUN, once: (0 or errno, retval, data out)."""
    din = ctypes.create_string_buffer(data, len(data))
    out = ctypes.create_string_buffer(len(data) + 1024)
    cin = ctypes.create_string_buffer(ctx, len(ctx)) if ctx else None
    buf = bytearray(
        struct.pack(
            "<IIIIQQIIIIQQIII4x",
            fd, 0, len(data), len(data) + 1024, ctypes.addressof(din), ctypes.addressof(out),
            1, 0, len(ctx), 0, ctypes.addressof(cin) if cin is not None else 0, 0, 0, 0, 0,
        )
    )  # fmt: skip
    attr = ctypes.create_string_buffer(bytes(buf), len(buf))
    res = int(_libc.syscall(_NR_BPF, PROG_TEST_RUN, attr, len(buf)))
    if res < 0:
        return ctypes.get_errno(), 0, b""
    retval, size_out = struct.unpack_from("<I", attr.raw, 4)[0], struct.unpack_from("<I", attr.raw, 12)[0]
    return 0, retval, out.raw[:size_out]


def available() -> str | None:
    """None where bpf(2) may be asked and is the reference kernel, else the reason why not."""
    if not _NR_BPF or platform.system() != "Linux":
        return "no bpf(2) on this platform"
    if not platform.release().startswith("6.18."):
        return f"the reference is Linux 6.18, this is {platform.release()}"
    answer = Oracle(1 << 12).load(bytes.fromhex("b7000000000000009500000000000000"))
    if answer.err:
        return f"bpf(2) is not permitted: {errno.errorcode.get(answer.err, answer.err)}"
    return None


def next_key(fd: int, key: bytes, key_size: int) -> tuple[int, bytes]:
    """BPF_MAP_GET_NEXT_KEY from a key (empty: the first): (0 or errno, key)."""
    k = ctypes.create_string_buffer(key, key_size) if key else None
    out = ctypes.create_string_buffer(key_size)
    attr = struct.pack("<IIQQ", fd, 0, ctypes.addressof(k) if k is not None else 0, ctypes.addressof(out))
    return -min(sys_bpf(4, attr), 0), out.raw
