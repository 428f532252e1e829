"""Calls that are more than a call: callbacks of helpers, global functions, constant strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userbpf.verifier import precision
from userbpf.verifier.regs import Reg
from userbpf.verifier.reject import EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.calls import Call
    from userbpf.verifier.check import Checker
    from userbpf.verifier.state import Frame


def call(the_call: Call) -> int | None:
    raise Reject(EINVAL, f"callbacks of {the_call.name} are not supported")


def leave(ck: Checker, pc: int) -> int:
    raise Reject(EINVAL, "callbacks are not supported")


def call_global(ck: Checker, pc: int, number: int) -> int:
    raise Reject(EINVAL, "global functions are not supported")


def constant_string(the_call: Call, number: int, reg: Reg) -> None:
    raise Reject(EINVAL, "constant strings are not supported")


def mark_slot_precise(ck: Checker, frame: Frame, index: int) -> None:
    """The content of a stack slot matters."""
    wanted = precision.Wanted(len(ck.st.frames) - 1)
    wanted.slots[frame.frameno] = 1 << index
    precision.trace(ck, ck.st, wanted, ck.pc)
