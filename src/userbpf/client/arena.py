"""User space's side of an ARENA: its pages, mapped where the map says, or where four gigabytes do not end within them.

The address is part of the map: programs store it in their pointers. So it is fixed with the first mapping, and Python's own
`mmap`, which takes none, does not do.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Final

PAGE: Final = mmap.PAGESIZE
FOUR_GB: Final = 1 << 32
MAP_FIXED_NOREPLACE: Final = 0x100000
FAILED: Final = (1 << 64) - 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_uint64
_libc.mmap.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_libc.munmap.argtypes = [ctypes.c_uint64, ctypes.c_size_t]


def _map(addr: int, size: int, prot: int, flags: int, fd: int) -> int:
    found = int(_libc.mmap(addr, size, prot, flags, fd, 0))
    if found == FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


def _place(size: int) -> int:
    """An address at which so many bytes are free, all with the same upper half."""
    whole = size + FOUR_GB
    found = _map(0, whole, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    _libc.munmap(found, whole)
    return found if found >> 32 == found + size - 1 >> 32 else found + size & ~(FOUR_GB - 1)


class ArenaMemory:
    """The pages of an arena as bytes; `addr` is the first one's address, which programs see, too.

    Where `start` is taken already (by the arena of another object, say) there is no mapping; `elsewhere` takes another
    place then, for arenas of userbpf: the bytes are the same, but pointers in them are not good for user space.
    """

    def __init__(self, fd: int, pages: int, start: int = 0, elsewhere: bool = False) -> None:
        self.size = pages * PAGE
        flags = mmap.MAP_SHARED | MAP_FIXED_NOREPLACE
        prot = mmap.PROT_READ | mmap.PROT_WRITE
        try:
            self.addr = _map(start or _place(self.size), self.size, prot, flags, fd)
        except FileExistsError:
            if not (start and elsewhere):
                raise
            self.addr = _map(_place(self.size), self.size, prot, flags, fd)
        self.bytes = memoryview((ctypes.c_uint8 * self.size).from_address(self.addr)).cast("B")

    def close(self) -> None:
        """Unmap; harmless the second time."""
        if self.addr:
            self.bytes.release()
            _libc.munmap(self.addr, self.size)
            self.addr = 0
