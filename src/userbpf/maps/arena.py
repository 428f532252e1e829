"""ARENA: pages that user space (mmap of the descriptor) and programs share. max_entries is how many there may be.

The pages lie at the beginning of the region; behind them stands one byte a page: FREE, RESERVED or THERE. Programs
allocate pages, and reach them by the low half of user space's address; where there is no page they read zero. What user
space touches becomes a page too: the kernel that would see the fault is not here, so the file is asked where it has data
when an access finds no page (`touched`).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
from typing import Any, Final

from userbpf.abi.consts import BPF_F_SEGV_ON_FAULT
from userbpf.abi.enums import MapType
from userbpf.maps.base import Map, fail
from userbpf.native.region import PAGE, Region

EINVAL = errno.EINVAL
EOPNOTSUPP = errno.EOPNOTSUPP
U32: Final = (1 << 32) - 1
FREE: Final = 0
RESERVED: Final = 1
THERE: Final = 2


class ArenaMap(Map):
    """ARENA: pages at addresses of user space; `user_start` is the first one's."""

    TYPES = (MapType.ARENA,)

    def __init__(self, attr: Any, *, ncpu: int, region: Region | None = None) -> None:
        super().__init__(attr, ncpu=ncpu, region=region)
        self._start = self.map_extra
        self._lock = threading.Lock()

    def plan(self) -> int:
        return self.max_entries * (PAGE + 1)

    @property
    def private_off(self) -> int:
        return self.max_entries * PAGE

    @property
    def states(self) -> int:
        """Address of the pages' states."""
        return self.region.addr + self.private_off

    @property
    def user_start(self) -> int:
        """Where user space sees the first page: as asked for, or where it was mapped first; 0: nowhere yet."""
        if not self._start:
            self._start = self._mapped()
        return self._start

    def _mapped(self) -> int:
        """The address of a mapping of this process that is not our own."""
        dev, inode = self.region.identity()
        try:
            with open("/proc/self/maps") as maps:
                for line in maps:
                    where, _, off, at, number = line.split()[:5]
                    start = int(where.partition("-")[0], 16)
                    major, minor = (int(part, 16) for part in at.split(":"))
                    if int(number) == inode and os.makedev(major, minor) == dev and not int(off, 16):
                        if start != self.region.addr and start >> 32 == start + self.private_off - 1 >> 32:
                            return start
        except OSError:
            pass
        return 0

    # --- what programs ask --------------------------------------------------------------------------------------------

    def _page(self, addr: int) -> int:
        """The number of the page at an address: of its low half."""
        return (addr - self.user_start & U32) // PAGE

    def _at(self, first: int, count: int) -> Any:
        return (ctypes.c_uint8 * count).from_address(self.states + first)

    def _room(self, count: int) -> int:
        """The first page of `count` free ones: of the smallest room that is large enough; -1: there is none."""
        found, best, run = -1, self.max_entries + 1, 0
        states = bytes(self._at(0, self.max_entries)) + bytes([RESERVED])
        for page, state in enumerate(states):
            if state == FREE:
                run += 1
                continue
            if count <= run < best:
                found, best = page - run, run
            run = 0
        return found

    def allocate(self, addr: int, count: int, node: int, flags: int) -> int:
        """bpf_arena_alloc_pages: the address, 0 where that cannot be."""
        if flags or not count or count > self.max_entries or addr % PAGE:
            return 0
        if node not in (0, U32):
            return 0
        with self._lock:
            page = self._page(addr) if addr else self._room(count)
            if page < 0 or page > self.max_entries - count:
                return 0
            states = self._at(page, count)
            if any(states):
                return 0
            states[:] = [THERE] * count
        return (self.user_start & ~U32) + (self.user_start + page * PAGE & U32)

    def free(self, addr: int, count: int) -> None:
        """bpf_arena_free_pages: whole pages, as many as there are."""
        page = self._page(addr)
        if addr % PAGE or not count or page >= self.max_entries:
            return
        count = min(count, self.max_entries - page)
        with self._lock:
            self.region.map.madvise(mmap.MADV_REMOVE, page * PAGE, count * PAGE)
            self._at(page, count)[:] = [FREE] * count

    def reserve(self, addr: int, count: int) -> int:
        """bpf_arena_reserve_pages: nobody gets these pages; 0 or -errno."""
        if not count:
            return 0
        page = self._page(addr)
        if page + count > self.max_entries:
            return -EINVAL
        with self._lock:
            states = self._at(page, count)
            if any(states):
                return -errno.EBUSY
            states[:] = [RESERVED] * count
        return 0

    def touched(self, page: int) -> bool:
        """Whether user space made a page by touching it; from now on programs see it."""
        if self.map_flags & BPF_F_SEGV_ON_FAULT or self._at(page, 1)[0] != FREE:
            return False
        try:
            there = os.lseek(self.region.fd, page * PAGE, os.SEEK_DATA) == page * PAGE
        except OSError:
            return False
        if there:
            self._at(page, 1)[0] = THERE
        return there

    def refresh(self) -> None:
        """See all pages that user space made by touching them; asked before programs run."""
        if self.map_flags & BPF_F_SEGV_ON_FAULT:
            return
        at = 0
        while at < self.private_off:
            try:
                first = os.lseek(self.region.fd, at, os.SEEK_DATA)
                at = os.lseek(self.region.fd, first, os.SEEK_HOLE)
            except OSError:  # no data from here on
                return
            page, end = first // PAGE, min(at, self.private_off) // PAGE
            if page < end and FREE in bytes(self._at(page, end - page)):
                for number in range(page, end):
                    self.touched(number)

    # --- what the syscall asks ----------------------------------------------------------------------------------------

    def lookup(self, key: bytes) -> bytes:
        raise fail(EINVAL)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EOPNOTSUPP)

    def delete(self, key: bytes) -> None:
        raise fail(EOPNOTSUPP)

    def next_key(self, key: bytes | None) -> bytes:
        raise fail(EOPNOTSUPP)
