"""Arenas: pages that user space and programs share, at addresses of user space.

What lies in an arena are user space's pointers, plain numbers. `addr_space_cast` makes one a pointer of the program, and
back. Nothing of such a pointer matters but that it is one: the low half is taken within the arena's four gigabytes, and an
access where there is no page reads zero or does nothing. So any arithmetic is allowed, and no bounds are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.spec.limits import PAGE_SIZE
from userbpf.verifier.regs import ARENA_REG, NOT_INIT, UNKNOWN_REG
from userbpf.verifier.reject import EACCES, EBUSY, EINVAL, EPERM, ERANGE, Reject

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.api import MapShape
    from userbpf.verifier.check import Checker
    from userbpf.verifier.maps import MapUse

TO_PROGRAM: Final = 1  # imm: address space 1 (user space's view) to 0


def associate(ck: Checker, use: MapUse) -> None:
    """The program uses an arena: its only one, which user space knows the address of."""
    if ck.arena is not None:
        raise Reject(EBUSY, "Only one arena per program")
    if not ck.allow_ptr_leaks or not ck.bpf_capable:
        raise Reject(EPERM, "CAP_BPF and CAP_PERFMON are required to use arena")
    if not use.shape.user_start:
        raise Reject(EINVAL, "arena's user address must be set via map_extra or mmap()")
    ck.arena = use


def value_address(shape: MapShape, off: int) -> None:
    """`off` in an arena as a constant of the program: within its pages, or right behind them."""
    if off > shape.max_entries * PAGE_SIZE:
        raise Reject(ERANGE, f"invalid access to map value pointer, value_size={shape.value_size} off={off}")


def compile_cast(ck: Checker, pc: int, insn: Insn) -> Callable[[Checker], int]:
    """addr_space_cast, its fields looked at already."""
    _, d, s, _, imm = insn
    if ck.arena is None:
        raise Reject(EINVAL, "addr_space_cast insn can only be used in a program that has an associated arena")
    ck.must_read(s)
    ck.must_write(d)
    result = ARENA_REG if imm == TO_PROGRAM else UNKNOWN_REG

    def cast(ck: Checker) -> int:
        if ck.regs[s][0] == NOT_INIT:
            raise Reject(EACCES, f"R{s} !read_ok")
        ck.regs[d] = result
        return pc + 1

    return cast
