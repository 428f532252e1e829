"""Timers in map values: who has been set, and what happens when their time comes.

Time is the kernel's clock. With a clock that the user sets (`Kernel.clock_ns`), moving it on runs what has become due, in
order of expiry, before the setter returns: a test needs no waiting and always sees the same. With the machine's clock,
what is due runs when a program is run by BPF_PROG_TEST_RUN, and whenever `Kernel.run_timers()` is called. A thread of
our own that fires on its own was refused: callbacks would run at moments that no test can repeat, and keep an interpreter
alive that is done.

A `struct bpf_timer` holds the number of its timer. An element that was deleted or overwritten does not hold it any more, or
is not found in its map: then the timer is gone, as in Linux.
"""

from __future__ import annotations

import ctypes
import itertools
import time
import weakref
from collections.abc import Callable
from errno import EBUSY, EDEADLK, EINVAL, EPERM
from typing import TYPE_CHECKING, Any, Final

from userbpf.errors import BpfError
from userbpf.verifier.fields import TIMER

if TYPE_CHECKING:
    from userbpf.kernel.machine import Kernel
    from userbpf.kernel.objects import MapObj

CLOCKS: Final = (0, 1, 7)  # CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME
MAX_CLOCKS: Final = 16
F_ABS: Final = 1
F_CPU_PIN: Final = 2
MAX_ROUNDS: Final = 100_000  # callbacks in one go: those that set themselves at once end somewhere

Run = Callable[[int, int, int, int], int]  # (rt, map descriptor, key, value)


class Timer:
    """One timer: `run` is its callback, `keep` what that needs; due at `expires` ns, None while it is not set."""

    __slots__ = ("addr", "clock", "desc", "expires", "keep", "map", "number", "order", "run")

    def __init__(self, number: int, addr: int, obj: MapObj, clock: int) -> None:
        self.number = number
        self.addr = addr
        self.map = weakref.ref(obj)
        self.desc = obj.map.desc
        self.clock = clock
        self.run: Run | None = None
        self.keep: Any = None
        self.expires: int | None = None
        self.order = 0


class Timers:
    """All timers of a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._timers: dict[int, Timer] = {}
        self._numbers = itertools.count(1)
        self._order = itertools.count(1)
        self._firing: list[Timer] = []

    # --- what helpers do

    def init(self, addr: int, desc: int, flags: int) -> int:
        """bpf_timer_init."""
        if flags >= MAX_CLOCKS or flags not in CLOCKS:
            return -EINVAL
        if self._at(addr) is not None:
            return -EBUSY
        obj = next((m for m in self._kernel.maps if m.map.desc == desc), None)
        if obj is None:
            return -EPERM
        timer = Timer(next(self._numbers), addr, obj, flags)
        self._timers[timer.number] = timer
        _word(addr).value = timer.number
        return 0

    def set_callback(self, addr: int, run: Run, keep: Any) -> int:
        """bpf_timer_set_callback."""
        timer = self._at(addr)
        if timer is None:
            return -EINVAL
        timer.run, timer.keep = run, keep
        return 0

    def start(self, addr: int, nsecs: int, flags: int) -> int:
        """bpf_timer_start."""
        timer = self._at(addr)
        if flags & ~(F_ABS | F_CPU_PIN) or timer is None or timer.run is None:
            return -EINVAL
        timer.expires = nsecs if flags & F_ABS else self._now(timer.clock) + nsecs
        timer.order = next(self._order)
        return 0

    def cancel(self, addr: int) -> int:
        """bpf_timer_cancel: 1 where the timer was set."""
        timer = self._at(addr)
        if timer is None:
            return -EINVAL
        if timer in self._firing:
            return -EDEADLK
        was_set = timer.expires is not None
        timer.expires = None
        return int(was_set)

    def _at(self, addr: int) -> Timer | None:
        timer = self._timers.get(_word(addr).value)
        return timer if timer is not None and timer.addr == addr else None

    def _now(self, clock: int) -> int:
        fixed = self._kernel.clock_ns
        return time.clock_gettime_ns(clock) if fixed is None else fixed

    # --- firing

    def run_due(self) -> int:
        """Run the callbacks of all timers whose time has come, the earliest first; how many ran."""
        if not self._timers or self._firing:
            return 0
        for done in range(MAX_ROUNDS):
            due = [t for t in self._timers.values() if t.expires is not None and t.expires <= self._now(t.clock)]
            if not due:
                return done
            self._fire(min(due, key=lambda t: (t.expires or 0, t.order)))
        return MAX_ROUNDS

    def _fire(self, timer: Timer) -> None:
        timer.expires = None
        found = self._element(timer)
        if found is None:
            del self._timers[timer.number]
            return
        key, value = found
        run = timer.run
        assert run is not None
        self._firing.append(timer)
        try:
            with self._kernel.cpus.lend() as rt:
                run(rt, timer.desc, ctypes.addressof(key), value)
        finally:
            self._firing.pop()

    def _element(self, timer: Timer) -> tuple[Any, int] | None:
        """Key and value address of the element that the timer lies in; None where there is none any more."""
        obj = timer.map()
        if obj is None or obj.fields is None:
            return None
        field = obj.fields.first(TIMER)
        if field is None or _word(timer.addr).value != timer.number:
            return None
        value = timer.addr - field.off
        key = _key_of(obj, value)
        return (
            None if key is None else ((ctypes.c_char * max(len(key), 8)).from_buffer_copy(key.ljust(8, b"\0")), value)
        )


def _word(addr: int) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(addr)


def _key_of(obj: MapObj, value: int) -> bytes | None:
    """The key whose value lies at an address."""
    base = obj.map.value_base
    if base:
        return ((value - base) // obj.map.stride).to_bytes(4, "little")
    key: bytes | None = None
    while True:
        try:
            key = obj.map.next_key(key)
        except BpfError:
            return None
        buffer = ctypes.create_string_buffer(key, len(key))
        if obj.map.natives().lookup(0, obj.map.desc, ctypes.addressof(buffer)) == value:
            return key
