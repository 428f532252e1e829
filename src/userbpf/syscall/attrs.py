"""The caller's attr: read once with Linux's size rules, written back field by field.

The rules (since Linux 3.18): more than a page is E2BIG; a byte that is not 0 behind the union this kernel knows is E2BIG, so
a new client notices an old kernel; a byte that is not 0 behind the command's last field is EINVAL; a shorter attr reads as if
it went on with zeroes.
"""

from __future__ import annotations

import errno
import struct
from typing import Any, Final

from userbpf.abi.attrs import ATTR_SIZE
from userbpf.abi.layout import Layout
from userbpf.errors import BpfError
from userbpf.kernel.usermem import UserMemory
from userbpf.spec.commands import COMMANDS, CmdRow
from userbpf.spec.limits import PAGE_SIZE

_U32: Final = struct.Struct("<I")


class UserAttr:
    """Where the attr lies: a buffer of this process, or an address in user memory. `size` is what the caller said."""

    __slots__ = ("_addr", "_memory", "_view", "size")

    def __init__(self, memory: UserMemory, attr: Any, size: int | None) -> None:
        self._memory = memory
        self._addr = 0
        self._view: memoryview | None = None
        if isinstance(attr, int):
            self._addr = attr
            self.size = 0 if size is None else size
            return
        if attr is not None:
            view = memoryview(attr)
            if view.readonly:
                raise TypeError("attr must be a writable buffer: results are written into it")
            self._view = view if view.format == "B" and view.ndim == 1 else view.cast("B")
        self.size = size if size is not None else 0 if self._view is None else len(self._view)

    def read(self) -> bytes:
        """The bytes of the attr, not more than the union; E2BIG and EFAULT as in Linux."""
        size = self.size
        if size > PAGE_SIZE:
            raise BpfError(errno.E2BIG)
        if self._view is None:
            raw = self._memory.read(self._addr, size)
        elif size > len(self._view):
            raise BpfError(errno.EFAULT)
        else:
            raw = self._view[:size].tobytes()
        if size > ATTR_SIZE:
            if raw.count(0, ATTR_SIZE) != size - ATTR_SIZE:
                raise BpfError(errno.E2BIG)
            return raw[:ATTR_SIZE]
        return raw

    def covers(self, off: int, n: int) -> bool:
        """Whether the caller's size reaches behind a field."""
        return off + n <= self.size

    def put(self, off: int, data: bytes) -> None:
        """Write a field back, whatever size the caller said, as Linux does; EFAULT outside of the buffer."""
        if self._view is None:
            self._memory.write(self._addr + off, data)
        elif off + len(data) > len(self._view):
            raise BpfError(errno.EFAULT)
        else:
            self._view[off : off + len(data)] = data

    def put_u32(self, off: int, value: int) -> None:
        self.put(off, _U32.pack(value & 0xFFFFFFFF))


ENDS: Final = {cmd: row.end for cmd, row in COMMANDS.items()}


def check(row: CmdRow, raw: bytes) -> None:
    """EINVAL for a byte that is not 0 behind the command's last field."""
    end = ENDS[row.cmd]
    if len(raw) > end and raw.count(0, end) != len(raw) - end:
        raise BpfError(errno.EINVAL)


def decode(row: CmdRow, raw: bytes) -> Layout:
    """The typed attr, zero-extended."""
    cls = row.attr
    return cls.decode(raw if len(raw) >= cls.SIZE else raw.ljust(cls.SIZE, b"\0"))
