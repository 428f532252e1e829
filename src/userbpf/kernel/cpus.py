"""Virtual CPUs: each has one run context, and a program runs on a CPU while it has that context to itself.

Per-CPU maps and the scratch memory of helpers rest on this: two threads never share a CPU number at the same time. A
program that starts another run in the same thread (a helper in Python that calls bpf()) stays on its CPU, as an interrupt
does in Linux, with a context of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENXIO
from typing import Final

from userbpf.errors import BpfError
from userbpf.native.rt import (
    RT_CLOCK_MODE,
    RT_CLOCK_NS,
    RT_COOKIE,
    RT_CPU,
    RT_KERNEL,
    RT_NUMA,
    RT_PID_TGID,
    RT_PRANDOM,
    RT_PROG,
    RT_SIZE,
    RT_TAIL_CALLS,
    RT_UID_GID,
)

GOLDEN: Final = 0x9E3779B97F4A7C15
M64: Final = (1 << 64) - 1
IMAGE_WORDS: Final = RT_SIZE // 8


def put32(addr: int, value: int) -> None:
    ctypes.c_uint32.from_address(addr).value = value


def put64(addr: int, value: int) -> None:
    ctypes.c_uint64.from_address(addr).value = value


class Cpus:
    """`count` run contexts and who has them."""

    def __init__(self, count: int, seed: int, kernel_number: int) -> None:
        if not 1 <= count <= 4096:
            raise ValueError(f"a kernel has 1 to 4096 CPUs, not {count}")
        self.count = count
        self._seed = seed
        self._number = kernel_number
        self.clock_ns: int | None = None
        self._memory = mmap.mmap(-1, count * RT_SIZE)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._free = list(range(count - 1, -1, -1))
        self._condition = threading.Condition()
        self._local = threading.local()
        for cpu in range(count):
            self.prepare(self._base + cpu * RT_SIZE, cpu)

    def prepare(self, rt: int, cpu: int) -> None:
        """Fill in what does not change from run to run."""
        put32(rt + RT_CPU, cpu)
        put32(rt + RT_NUMA, 0)
        put64(rt + RT_PRANDOM, (self._seed + (cpu + 1) * GOLDEN) & M64 or 1)
        put64(rt + RT_KERNEL, self._number)
        self._put_clock(rt)

    def rt(self, cpu: int) -> int:
        """Address of a CPU's run context."""
        return self._base + cpu * RT_SIZE

    def set_clock(self, now_ns: int | None) -> None:
        """Stop all clocks that programs see at now_ns, or let them run (None)."""
        self.clock_ns = now_ns
        for cpu in range(self.count):
            self._put_clock(self.rt(cpu))

    def _put_clock(self, rt: int) -> None:
        put64(rt + RT_CLOCK_NS, self.clock_ns or 0)
        put64(rt + RT_CLOCK_MODE, 0 if self.clock_ns is None else 1)

    def lend(self, cpu: int = -1, prog_number: int = 0, cookie: int = 0) -> Lease:
        """Have a CPU (any, or this one) to oneself: a context manager that yields rt. ENXIO: no such CPU."""
        if cpu >= self.count:
            raise BpfError(ENXIO)
        return Lease(self, cpu, prog_number, cookie)

    def held(self) -> list[int]:
        """The CPUs that this thread has, outermost first."""
        try:
            mine: list[int] = self._local.held
        except AttributeError:
            mine = self._local.held = []
        return mine

    def take(self, cpu: int) -> int:
        """Wait for a CPU (any where cpu < 0) and take it."""
        with self._condition:
            while not self._free or (cpu >= 0 and cpu not in self._free):
                self._condition.wait()
            if cpu < 0:
                return self._free.pop()
            self._free.remove(cpu)
            return cpu

    def give(self, cpu: int) -> None:
        """Give a CPU back."""
        with self._condition:
            self._free.append(cpu)
            self._condition.notify_all()

    @contextmanager
    def all_stopped(self) -> Iterator[None]:
        """Wait until no program runs, and let none start."""
        with self._condition:
            mine = len(self.held())
            while len(self._free) < self.count - min(mine, 1):
                self._condition.wait()
            yield

    def idle(self) -> bool:
        """Whether no program runs."""
        return len(self._free) == self.count

    def after_fork(self) -> None:
        """In the child: the threads that held CPUs are not there any more."""
        held = self.held()
        self._condition = threading.Condition()
        self._free = [cpu for cpu in range(self.count - 1, -1, -1) if cpu not in held]


class Lease:
    """The time in which a thread has a CPU."""

    __slots__ = ("_cookie", "_cpu", "_cpus", "_nested", "_prog")

    def __init__(self, cpus: Cpus, cpu: int, prog_number: int, cookie: int) -> None:
        self._cpus, self._cpu, self._prog, self._cookie = cpus, cpu, prog_number, cookie
        self._nested: object = None

    def __enter__(self) -> int:
        cpus = self._cpus
        held = cpus.held()
        if held:
            self._cpu = held[-1]
            memory = self._nested = (ctypes.c_char * RT_SIZE)()
            rt = ctypes.addressof(memory)
            cpus.prepare(rt, self._cpu)
        else:
            self._cpu = cpus.take(self._cpu)
            rt = cpus.rt(self._cpu)
        held.append(self._cpu)
        image = (ctypes.c_uint64 * IMAGE_WORDS).from_address(rt)
        image[RT_TAIL_CALLS // 8] = 0
        image[RT_PID_TGID // 8] = os.getpid() << 32 | threading.get_native_id()
        image[RT_UID_GID // 8] = os.getgid() << 32 | os.getuid()
        image[RT_PROG // 8] = self._prog
        image[RT_COOKIE // 8] = self._cookie
        return rt

    def __exit__(self, *exc: object) -> None:
        self._cpus.held().pop()
        if self._nested is None:
            self._cpus.give(self._cpu)
        self._nested = None
