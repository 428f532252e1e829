"""Helpers over fields of map values: timers and kernel pointers."""

from __future__ import annotations

import ctypes
from typing import Any

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import M64, native_body, python_body
from userbpf.native import atomic_xchg64, load64, native
from userbpf.native.rt import RT_PROG, RT_TAIL_CALLS

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 6)


@python_body(HelperId.timer_init)
def timer_init(kernel: Any, rt: int, timer: int, desc: int, flags: int, *_: int) -> int:
    """Make a timer of a struct bpf_timer: -EBUSY where it is one."""
    return int(kernel.timers.init(timer, desc, flags))


@python_body(HelperId.timer_set_callback)
def timer_set_callback(kernel: Any, rt: int, timer: int, callback: int, *_: int) -> int:
    """Compiled code: the callback is an address. The interpreter has its own form."""
    prog = None if load64(rt + RT_TAIL_CALLS) else kernel.progs.get(load64(rt + RT_PROG))
    keep = [prog] if prog is not None else list(kernel.progs)  # after a tail call any of them may be meant
    function = _CALLBACK(callback)

    def run(rt: int, desc: int, key: int, value: int) -> int:
        result = int(function(rt, desc, key, value, 0, 0))
        for each in keep[:1]:
            each.raise_pending()
        return result

    return int(kernel.timers.set_callback(timer, run, keep))


@python_body(HelperId.timer_start)
def timer_start(kernel: Any, rt: int, timer: int, nsecs: int, flags: int, *_: int) -> int:
    """Due in `nsecs`, or at that time with BPF_F_TIMER_ABS."""
    return int(kernel.timers.start(timer, nsecs & M64, flags))


@python_body(HelperId.timer_cancel)
def timer_cancel(kernel: Any, rt: int, timer: int, *_: int) -> int:
    """1 where it was set; -EDEADLK from its own callback."""
    return int(kernel.timers.cancel(timer))


@native_body(HelperId.kptr_xchg)
@native
def kptr_xchg(rt: int, field: int, pointer: int) -> int:
    """What was in the field."""
    return atomic_xchg64(field, pointer)
