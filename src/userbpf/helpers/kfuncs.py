"""Which kernel functions run here, and how those do that mean little or nothing outside of a kernel.

A program names a kernel function by its number in the kernel's BTF, so bodies are found by name when a program is loaded.
Sections are kept by the verifier alone: a process has no preemption or interrupts to turn off, and its memory is not freed
while a program runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.engine.env import HelperImpl
from userbpf.helpers import arena, dynptr, iters, strings
from userbpf.helpers.base import KFUNC_BODIES, kfunc_body
from userbpf.native import NativeFn, native, store64
from userbpf.spec.progs import PROGS
from userbpf.verifier.api import VerifiedProg

KFUNC_CALL: Final = (0x85, 2)


@kfunc_body("bpf_rcu_read_lock", "bpf_rcu_read_unlock", "bpf_preempt_disable", "bpf_preempt_enable")
@native
def section(rt: int) -> int:
    """Only the verifier cares."""
    return 0


@kfunc_body("bpf_local_irq_save")
@native
def irq_save(rt: int, flags: int) -> int:
    """No interrupts here."""
    store64(flags, 0)
    return 0


@kfunc_body("bpf_local_irq_restore")
@native
def irq_restore(rt: int, flags: int) -> int:
    """No interrupts here."""
    return 0


@kfunc_body("bpf_cast_to_kern_ctx", "bpf_rdonly_cast")
@native
def same(rt: int, obj: int) -> int:
    """A cast is a matter of types."""
    return obj


KFUNC_BODIES.update(dynptr.KFUNCS)
OF_PACKETS: Final = {"bpf_dynptr_from_skb": dynptr.SKB, "bpf_dynptr_from_xdp": dynptr.XDP}
RUNS: Final = frozenset({*KFUNC_BODIES, *OF_PACKETS})


def impl(name: str, prog_type: ProgType) -> HelperImpl | None:
    """How a kernel function runs; None where it does not."""
    kind = OF_PACKETS.get(name)
    if kind is not None:
        consts = {"kind": kind, "rdonly": int(PROGS[prog_type].packet != "rw")}
        return HelperImpl(fn=dynptr.from_packet, consts=consts, name=name)
    body = KFUNC_BODIES.get(name)
    if body is None:
        return None
    if isinstance(body, NativeFn):
        return HelperImpl(fn=body, name=name, inline=True)
    return HelperImpl(py=body, name=name)


def of_program(verified: VerifiedProg) -> Mapping[int, HelperImpl]:
    """The bodies that a program's calls of kernel functions need, by BTF number."""
    numbers = {insn.imm for insn in verified.insns if (insn.code, insn.src) == KFUNC_CALL and not insn.off and insn.imm}
    if not numbers or verified.request.vmlinux is None:
        return {}
    prog_type = ProgType(verified.request.prog_type)
    btf = verified.request.vmlinux()
    assert btf is not None  # it was verified with it
    found = {number: impl(btf.by_id(number).name, prog_type) for number in numbers}
    return {number: each for number, each in found.items() if each is not None}


__all__ = ["RUNS", "arena", "impl", "iters", "of_program", "strings"]
