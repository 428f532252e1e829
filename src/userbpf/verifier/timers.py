"""Timers in map values, and functions that the kernel calls later.

A callback that runs some time after the program has set it is checked as a program of its own, whose path begins where it is
set: no caller, no stack but its own, and only 0 to return. Its arguments are the map, the key and the value that the timer
lies in; so a timer must belong to the map it is initialised with, and with maps in maps that is told by which lookup
gave them (`uid`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from userbpf.verifier import fields
from userbpf.verifier.regs import MAP_KEY, MAP_PTR, MAP_VALUE, ZERO, Reg
from userbpf.verifier.reject import EINVAL, Reject
from userbpf.verifier.state import Frame, Sections

if TYPE_CHECKING:
    from userbpf.spec.argtypes import Arg
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call
    from userbpf.verifier.maps import MapUse

_DEFERRED: Final = frozenset((fields.TIMER, fields.WORKQUEUE, fields.TASK_WORK))


# --- which map a timer belongs to ------------------------------------------------------------------------------------------


def inner_map(use: MapUse, rid: int) -> tuple[Any, ...]:
    """`extra` of a pointer to an inner map: where its timers matter, the lookup that found it tells it from others."""
    if use.fields is not None and use.fields.kinds & _DEFERRED:
        return (use, 0, rid)
    return (use, 0)


def uid(reg: Reg) -> int:
    """The lookup that gave the map of a map pointer or value; 0 for a map known by name."""
    return int(reg[4][2]) if len(reg[4]) > 2 else 0


def where(number: int, reg: Reg, kind: str) -> MapUse:
    """A pointer to a timer, work queue ... in a map value; the map."""
    if reg[1].mask:
        raise Reject(EINVAL, f"R{number} doesn't have constant offset. {kind} has to be at the constant offset")
    use: MapUse = reg[4][0]
    if use.shape.btf is None:
        raise Reject(EINVAL, f"map '{use.shape.name}' has to have BTF in order to use {kind}")
    field = use.fields.first(kind) if use.fields is not None else None
    if field is None:
        raise Reject(EINVAL, f"map '{use.shape.name}' has no valid {kind}")
    off = reg[3] + reg[1].value
    if off != field.off:
        raise Reject(EINVAL, f"off {off} doesn't point to 'struct {kind}' that is at {field.off}")
    return use


def helper_argument(call: Call, number: int, reg: Reg, arg: Arg) -> None:
    """An argument of type PTR_TO_TIMER."""
    call.map = where(number, reg, fields.TIMER)


def same_map(call: Call, reg: Reg) -> None:
    """bpf_timer_init names the map once more: it must be that of the timer."""
    first = call.ck.regs[1]
    if call.map is not reg[4][0] or uid(first) != uid(reg):
        raise Reject(
            EINVAL,
            f"timer pointer in R1 map_uid={uid(first)} doesn't match map pointer in R2 map_uid={uid(reg)}",
        )


# --- callbacks that run later ------------------------------------------------------------------------------------------------


def set_callback(call: Call) -> None:
    """bpf_timer_set_callback: the function will be called with the timer's map, key and value."""
    value = call.ck.regs[1]

    def setup(regs: list[Reg]) -> None:
        regs[1] = (MAP_PTR, ZERO, 0, 0, value[4])
        regs[2] = (MAP_KEY, ZERO, 0, 0, value[4])
        regs[3] = (MAP_VALUE, ZERO, 0, 0, value[4])

    check_later(call.ck, call.pc, call.subprog, setup)


def check_later(
    ck: Checker,
    pc: int,
    number: int,
    setup: Callable[[list[Reg]], None],
    returns: tuple[int, int] = (0, 0),
    *,
    sleeps: bool = False,
) -> None:
    """Check subprogram `number` as a program of its own that the call at `pc` set as a callback; whether it may sleep."""
    from userbpf.verifier import callbacks

    callbacks.check_arguments(ck, number)
    ck.async_subprogs.add(number)
    frame = Frame(-1, 0, number)
    frame.in_async = True
    frame.async_entry = ck.frame.async_entry + 1
    frame.callback_ret = returns
    setup(frame.regs)
    ck.push_program(frame, pc).sections = Sections(sleeps=sleeps)
