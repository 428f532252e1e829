"""perf_event_open(2) for the events that programs write records to (PERF_COUNT_SW_BPF_OUTPUT); there are no others here.

An event's descriptor is a memfd with the layout of Linux's mapping: the user maps a page and 2^n pages of data, reads
records from `data_tail` to `data_head` and moves the tail on. How long the mapping is, which is how large the ring is,
nobody tells us, so it is looked up in /proc/self/maps: when the event is put in a map, enabled, or a program is about to
run and some event's size is not known yet. A user without /proc may store `data_size` in the first page.

What cannot be done outside of Linux: ioctl(2) on the descriptor reaches the memfd, so there is `control` (`userbpf.ioctl`)
instead, and the descriptor is always readable for poll(2).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from errno import E2BIG, EBADF, EINVAL, ENODEV, ENOENT, ENOTTY, EOPNOTSUPP, ESRCH
from typing import TYPE_CHECKING, Final

from userbpf.abi import perf as abi
from userbpf.abi.perf import PerfEventAttr
from userbpf.errors import BpfError
from userbpf.kernel import fds
from userbpf.kernel.objects import REGION_FDS, KernelObject
from userbpf.maps.perf import EV_PAUSED, EV_STATE, SUPPORTED_SAMPLE, PerfRing
from userbpf.native.region import PAGE

if TYPE_CHECKING:
    from userbpf.kernel.machine import Kernel

KNOWN_FLAGS: Final = (
    abi.PERF_FLAG_FD_NO_GROUP | abi.PERF_FLAG_FD_OUTPUT | abi.PERF_FLAG_PID_CGROUP | abi.PERF_FLAG_FD_CLOEXEC
)
MAPS_FILE: Final = "/proc/self/maps"


class PerfEventObj(KernelObject):
    """An event: `ring` has the memory."""

    FD_NAME = "perf-event"

    def __init__(self, ring: PerfRing) -> None:
        ring.region.fd = fds.make_private(ring.region.fd)
        super().__init__(ring.region.fd)
        self.own_fds = REGION_FDS
        self.ring = ring
        self.name = ""

    def close(self) -> None:
        """A program may still be writing: the memory goes with the last reference."""
        self.private_fd = -1

    def find_size(self) -> bool:
        """Whether the ring's size is known, after looking for mappings of it."""
        if self.ring.data_size:
            return True
        (told,) = struct.unpack_from("<Q", self.ring.region.map, abi.MMAP_DATA_SIZE)
        if told and not told & (told - 1) and told % PAGE == 0:
            return self.ring.resize(PAGE + told)
        return self.ring.resize(max(_mappings(self.identity, self.ring.region.addr), default=0))

    def __del__(self) -> None:
        self.ring.close()


def _mappings(identity: fds.Identity, own: int) -> Iterator[int]:
    """How long the mappings of a file's beginning are, but for our own."""
    try:
        with open(MAPS_FILE) as lines:
            for line in lines:
                place, _, off, dev, inode, *_ = line.split(None, 5)
                if inode != str(identity[1]) or int(off, 16):
                    continue
                major, _, minor = dev.partition(":")
                start, _, end = place.partition("-")
                if os.makedev(int(major, 16), int(minor, 16)) == identity[0] and int(start, 16) != own:
                    yield int(end, 16) - int(start, 16)
    except OSError:
        return


def open_event(kernel: Kernel, attr_addr: int, pid: int, cpu: int, group_fd: int, flags: int) -> int:
    """perf_event_open(2): an event's fd. attr lies in user memory."""
    if flags & ~KNOWN_FLAGS:
        raise BpfError(EINVAL)
    attr = _read_attr(kernel, attr_addr)
    if flags & abi.PERF_FLAG_PID_CGROUP:
        raise BpfError(EBADF if pid == -1 or cpu == -1 else EINVAL)  # there are no cgroups to watch
    if pid == -1 and cpu == -1:
        raise BpfError(EINVAL)
    if group_fd != -1:
        _event_of_fd(kernel, group_fd)
        raise BpfError(EINVAL)  # such events stand alone
    if pid > 0:
        _need_process(pid)
    if cpu < -1 or cpu >= 4096:
        raise BpfError(EINVAL)
    if cpu >= kernel.ncpu:
        raise BpfError(ENODEV)
    if (attr.type, attr.config) != (abi.PERF_TYPE_SOFTWARE, abi.PERF_COUNT_SW_BPF_OUTPUT):
        raise BpfError(ENOENT)  # no such source of events
    if attr.flags & abi.PERF_ATTR_WRITE_BACKWARD or attr.sample_type & ~SUPPORTED_SAMPLE:
        raise BpfError(EOPNOTSUPP)
    event = PerfEventObj(
        PerfRing(
            cpu=cpu,
            sample_type=attr.sample_type,
            id_all=bool(attr.flags & abi.PERF_ATTR_SAMPLE_ID_ALL),
            period=attr.sample_period,
            enabled=not attr.flags & abi.PERF_ATTR_DISABLED,
        )
    )
    fd = kernel.new_fd(kernel.admit(event))
    if not flags & abi.PERF_FLAG_FD_CLOEXEC:
        os.set_inheritable(fd, True)
    return fd


def _read_attr(kernel: Kernel, addr: int) -> PerfEventAttr:
    """By the struct's own size: a longer one must end in zeroes, a shorter one is read as if it did."""
    size = int.from_bytes(kernel.memory.read(addr + 4, 4), "little") or abi.PERF_ATTR_SIZE_VER0
    if not abi.PERF_ATTR_SIZE_VER0 <= size <= PAGE:
        raise _too_big(kernel, addr)
    raw = kernel.memory.read(addr, size)
    if any(raw[PerfEventAttr.SIZE :]):
        raise _too_big(kernel, addr)
    attr = PerfEventAttr.decode(raw.ljust(PerfEventAttr.SIZE, b"\0"))
    if attr.flags & ~abi.PERF_ATTR_FLAGS or attr.reserved_2 or attr.sample_type >= abi.PERF_SAMPLE_MAX:
        raise BpfError(EINVAL)
    return attr


def _too_big(kernel: Kernel, addr: int) -> BpfError:
    """The caller learns how long the struct is."""
    kernel.memory.write(addr + 4, PerfEventAttr.SIZE.to_bytes(4, "little"))
    return BpfError(E2BIG)


def _need_process(pid: int) -> None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise BpfError(ESRCH) from None
    except OSError:
        pass  # there is one, of somebody else


def _event_of_fd(kernel: Kernel, fd: int) -> PerfEventObj:
    """The event behind an fd; EBADF where it is none."""
    found = kernel.object_at(fds.identity(fd))
    if not isinstance(found, PerfEventObj):
        raise BpfError(EBADF)
    return found


def event_of_fd(kernel: Kernel, fd: int) -> PerfEventObj:
    """The event behind an fd, its ring's size looked up where it is not known yet; EBADF."""
    found = _event_of_fd(kernel, fd)
    if not found.find_size():
        with kernel.lock:
            kernel.unsized_events.add(found)
    return found


def find_sizes(kernel: Kernel) -> None:
    """Look again for the mappings of those events that had none."""
    with kernel.lock:
        for event in list(kernel.unsized_events):
            if event.find_size():
                kernel.unsized_events.discard(event)


def control(kernel: Kernel, fd: int, request: int, arg: int) -> int:
    """ioctl(2) of an event: enable, disable, reset, its id, pause. ENOTTY for any other request or fd."""
    found = kernel.object_at(fds.identity(fd))
    if not isinstance(found, PerfEventObj):
        raise BpfError(ENOTTY)
    match request:
        case abi.PERF_EVENT_IOC_ENABLE | abi.PERF_EVENT_IOC_DISABLE:
            found.ring.set(EV_STATE, int(request == abi.PERF_EVENT_IOC_ENABLE))
            found.find_size()
        case abi.PERF_EVENT_IOC_PAUSE_OUTPUT:
            found.ring.set(EV_PAUSED, int(arg != 0))
        case abi.PERF_EVENT_IOC_ID:
            kernel.memory.write(arg, found.ring.number.to_bytes(8, "little"))
        case abi.PERF_EVENT_IOC_RESET:
            pass  # it counts nothing
        case _:
            raise BpfError(ENOTTY)
    return 0
