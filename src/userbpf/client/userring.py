"""Writing to a USER_RINGBUF: user space produces records, a program takes them out with bpf_user_ringbuf_drain."""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Final

PAGE: Final = mmap.PAGESIZE
BUSY: Final = 1 << 31
HEADER: Final = 8


class UserRing:
    """The producer's side: page 0 is the reader's position, page 1 ours, then the data twice. One thread at a time."""

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        self.consumer = mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ)
        self.shared = mmap.mmap(fd, PAGE + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=PAGE)
        self.position = ctypes.c_uint64.from_buffer(self.shared)

    def write(self, record: bytes) -> bool:
        """Append a record; False where there is no room for it now. ValueError for one that never fits."""
        whole = len(record) + HEADER + 7 & ~7
        if whole > self.size:
            raise ValueError(f"a record of {len(record)} bytes does not fit in a ring of {self.size}")
        at = self.position.value
        (read,) = struct.unpack_from("<Q", self.consumer)
        if at - read + whole > self.size:
            return False
        header = PAGE + at % self.size
        self.shared[header + HEADER : header + HEADER + len(record)] = record
        struct.pack_into("<II", self.shared, header, len(record), 0)
        self.position.value = at + whole
        return True

    def close(self) -> None:
        del self.position
        self.consumer.close()
        self.shared.close()
