"""Run a program `repeat` times over one packet, in native code, and measure the mean.

Linux does not restore packet or context between repeats, so neither does this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from userbpf.native import call, clock_ns, compiled, load64, native, store64
from userbpf.native.rt import RT_TAIL_CALLS

if TYPE_CHECKING:
    from userbpf.hooks.base import PacketSlot, Runnable

NATIVE_FROM = 16  # below this many repeats the loop is not worth its ctypes call
CHUNK = 1 << 16  # repeats between two chances for Ctrl-C
CLOCK_MONOTONIC = 1


@native
def repeat_loop(prog: int, ctx: int, rt: int, count: int, spent: int) -> int:
    """Run `count` times; add the ns it took to *spent; the last r0."""
    start = clock_ns(CLOCK_MONOTONIC)
    result = 0
    i = 0
    while i < count:
        store64(rt + RT_TAIL_CALLS, 0)
        result = call(prog, ctx, rt)
        i = i + 1
    store64(spent, load64(spent) + clock_ns(CLOCK_MONOTONIC) - start)
    return result


def run_repeatedly(prog: Runnable, slot: PacketSlot, repeat: int, lay_out: Callable[[], None]) -> tuple[int, int]:
    """(retval as u32, mean ns of a run). repeat 0 means 1."""
    count = repeat or 1
    lay_out()
    if not prog.interpreted:
        prog.code_addr()  # compiling is no part of the duration
    with prog.run_context() as rt:
        if count < NATIVE_FROM or prog.interpreted:
            spent = 0
            result = 0
            for _ in range(count):
                start = time.perf_counter_ns()
                result = prog.execute(slot.ctx, rt)
                spent += time.perf_counter_ns() - start
        else:
            loop = compiled(repeat_loop)
            cell = slot.base  # the lowest context word is unused by programs
            slot.set_word(cell - slot.ctx, 0)
            addr = prog.code_addr()
            left = count
            result = 0
            while left:
                step = min(left, CHUNK)
                result = loop(addr, slot.ctx, rt, step, cell)
                left -= step
            spent = slot.word(cell - slot.ctx)
            prog.raise_pending()
    return result & 0xFFFFFFFF, spent // count
