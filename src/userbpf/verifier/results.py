"""The frame around the checker: which functions are checked in which order, what a program may return, stack depth over
calls, line info, statistics, and the `VerifiedProg` at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.isa.opcodes import BPF_PSEUDO_FUNC
from userbpf.spec.progs import PROGS
from userbpf.verifier import btf_info, callbacks, depth, exceptions
from userbpf.verifier.api import _SEAL, Fact, PtrKind, Stats, VerifiedProg
from userbpf.verifier.cfg import CALL, LDDW
from userbpf.verifier.log import STATS
from userbpf.verifier.regs import (
    ARENA,
    BASE_MASK,
    BTF_ID,
    CTX,
    CTX_REG,
    MEM,
    NOT_INIT,
    SCALAR,
    SOCK_COMMON,
    SOCKET,
    TCP_SOCK,
    UNTRUSTED,
    XDP_SOCK,
    Reg,
    type_name,
)
from userbpf.verifier.reject import EACCES, EFAULT, EINVAL, ENOTSUPP, Reject
from userbpf.verifier.state import Frame

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

LDX: Final = 1


def check_all(ck: Checker) -> None:
    """The main program, then the global functions that something calls, then the stack over all of them."""

    def setup(frame: Frame) -> None:
        if ck.extends:
            callbacks.global_arguments(ck, 0, frame)
            return
        frame.regs[1] = CTX_REG
        # a prototype that could not be called is remarked upon, though nobody calls the main program
        main = btf_info.prepare(ck, 0)
        if main is not None and main.wrong and main.linkage == btf_info.GLOBAL:
            ck.say(main.wrong)

    ck.check_function(0, setup)
    _check_globals(ck)
    depth.check_depth(ck)
    prog = ck.req.attach_prog
    if ck.extends and prog is not None:
        if ck.changes_packet and not prog.changes_packet:
            raise Reject(EINVAL, "Extension program changes packet data, while original does not")
        if ck.may_sleep and not prog.may_sleep:
            raise Reject(EINVAL, "Extension program may sleep, while original does not")
    if not ck.older:
        _dead_callback(ck)
    if ck.absent_kfunc:
        raise Reject(EINVAL, "invalid kernel function call not eliminated in verifier pass")


def _dead_callback(ck: Checker) -> None:
    """Linux takes dead code out, and then misses a function at the very end whose address is still taken (a callback of a
    loop of no rounds), if there is any other function but the main program."""
    if len(ck.subprogs) < 3:
        return
    seen = ck.seen
    last = max(pc for pc, was in enumerate(seen) if was)
    if sum(any(seen[sub.start : sub.end]) for sub in ck.subprogs) < 2:
        return
    for pc, insn in enumerate(ck.insns):
        if insn.code == LDDW and insn.src == BPF_PSEUDO_FUNC and seen[pc] and pc + insn.imm + 1 > last:
            kept = sum(seen) + sum(seen[i] for i, each in enumerate(ck.insns) if each.code == LDDW)
            raise Reject(EFAULT, f"verifier bug: No program to jit at insn {kept} (subprog < 0)")


def _check_globals(ck: Checker) -> None:
    """Global functions that something calls, each for any arguments of its prototype."""
    if ck.prog_btf is None:
        return
    if ck.handler is not None:
        ck.prog_btf.funcs[ck.handler].called = True
    again = True
    while again:
        again = False
        for number in sorted(ck.globals):
            func = ck.prog_btf.funcs[number]
            if func.verified or not func.called:
                continue
            if ck.log.on:
                ck.say(f"Validating {func.name}() func#{number}...")

            def setup(frame: Frame, number: int = number, func: btf_info.FuncBtf = func) -> None:
                callbacks.global_arguments(ck, number, frame)
                if number == ck.handler:
                    exceptions.check_arguments(func)

            ck.check_function(number, setup)
            func.verified = again = True
            if ck.log.on:
                ck.say(f"Func#{number} ('{func.name}') is safe for any args that match its prototype")


def check_subprog_return(ck: Checker) -> None:
    """r0 at the end of a global function."""
    reg = ck.regs[0]
    if reg[0] == NOT_INIT:
        raise Reject(EACCES, "R0 !read_ok")
    if ck.log.on:
        ck.scratch_regs |= 1
    if reg[0] != SCALAR:
        raise Reject(EINVAL, f"At subprogram exit the register R0 is not a scalar value ({type_name(reg[0])})")


# --- return values -----------------------------------------------------------------------------------------------------------


def check_return(ck: Checker) -> None:
    """r0 at the end of the main program."""
    if ck.target is not None and ck.target.void:
        return
    reg = ck.regs[0]
    if reg[0] == NOT_INIT:
        raise Reject(EACCES, "R0 !read_ok")
    if ck.log.on:
        ck.scratch_regs |= 1
    if reg[0] != SCALAR and not ck.allow_ptr_leaks:
        raise Reject(EACCES, "R0 leaks addr as return value")
    allowed = _allowed(ck)
    if allowed is not None:
        require_range(ck, reg, allowed, "At program exit", low=ck.target is not None and ck.target.ret_is_32)


def _allowed(ck: Checker) -> tuple[int, int] | None:
    if ck.extends:
        return None
    if ck.target is not None:
        if ck.target.no_exit:
            raise Reject(ENOTSUPP)
        return ck.target.ret
    row = PROGS[ck.req.prog_type]
    return row.ret_range(row.effective_attach(int(ck.req.expected_attach_type)))


def check_thrown(ck: Checker) -> None:
    """r1 of bpf_throw: what the program returns."""
    if ck.target is not None and ck.target.void:
        return
    allowed = _allowed(ck)
    if allowed is not None:
        low = ck.target is not None and ck.target.ret_is_32
        require_range(ck, ck.regs[1], allowed, "At program exit", 1, low=low)


def check_async_return(ck: Checker) -> None:
    """r0 at the end of a function that the kernel calls later."""
    reg = ck.regs[0]
    if reg[0] == NOT_INIT:
        raise Reject(EACCES, "R0 !read_ok")
    if ck.log.on:
        ck.scratch_regs |= 1
    allowed = ck.frame.callback_ret
    assert allowed is not None
    require_range(ck, reg, allowed, "At async callback return")


def require_range(
    ck: Checker, reg: Reg, allowed: tuple[int, int], when: str, number: int = 0, *, low: bool = False
) -> None:
    """A number within bounds; `low`: its low half is what its reader takes (an `int` that C left in w0)."""
    if reg[0] != SCALAR:
        raise Reject(EINVAL, f"{when} the register R{number} is not a known value ({type_name(reg[0])})")
    ck.mark_precise(number)
    val = reg[1]
    smin, smax = (val.s32min, val.s32max) if low else (val.smin, val.smax)
    if allowed[0] <= smin and smax <= allowed[1]:
        return
    shown = ""
    if val.smin > -(1 << 63):
        shown += f" smin={val.smin}"
    if val.smax < (1 << 63) - 1:
        shown += f" smax={val.smax}"
    if not shown:
        shown = " unknown scalar value"
    raise Reject(EINVAL, f"{when} the register R{number} has{shown} should have been in [{allowed[0]}, {allowed[1]}]")


# --- facts -----------------------------------------------------------------------------------------------------------------

_REWRITTEN: Final = frozenset((CTX, SOCKET, SOCK_COMMON, TCP_SOCK, XDP_SOCK, BTF_ID, ARENA))


def mix(fact: Fact, kind: PtrKind) -> None:
    """Another kind of memory at the same instruction; a load that may fail on one path may fail."""
    fact.ptr = PtrKind.BTF if PtrKind.BTF in (kind, fact.ptr) else PtrKind.MIXED
    fact.map = fact.off = None


def another_pointer(ck: Checker, pc: int, before: int, kind: int) -> int:
    """One instruction cannot be rewritten for two kinds of structures, or for one and for memory."""
    if before & BASE_MASK not in _REWRITTEN and kind & BASE_MASK not in _REWRITTEN:
        return before
    both = (before & BASE_MASK, kind & BASE_MASK)
    if ck.insns[pc].code & 7 == LDX and both[0] in (BTF_ID, MEM) and both[1] in (BTF_ID, MEM):
        return BTF_ID | UNTRUSTED
    raise Reject(EINVAL, "same insn cannot be used with different pointers")


# --- BTF -------------------------------------------------------------------------------------------------------------------


def check_btf_info(ck: Checker, starts: Sequence[int]) -> None:
    """func_info and line_info, where given."""
    if not ck.req.func_info:
        _abnormal_returns(ck, starts)
    btf_info.check(ck, starts)
    found = ck.source
    if found is None:
        return
    if ck.profile.has("global_functions"):
        ck.globals = {n for n, func in enumerate(found.funcs) if n and func.linkage == btf_info.GLOBAL}
    if found.lines:
        firsts = list(found.lines)
        for first, end in zip([-1, *firsts], [*firsts, len(ck.insns)], strict=True):
            ck.line_of += [first] * (end - max(first, 0))


def _abnormal_returns(ck: Checker, starts: Sequence[int]) -> None:
    """What may leave a subprogram without returning needs to be known by type."""
    if len(starts) == 1:
        return
    for insn in ck.insns[starts[1] :]:
        if insn.code & 7 == 0 and insn.code & 0xE0 in (0x20, 0x40):
            raise Reject(EINVAL, "LD_ABS is not allowed in subprogs without BTF")
        if insn.code == CALL and insn.src == 0 and insn.imm == HelperId.tail_call:
            raise Reject(EINVAL, "tail_call is not allowed in subprogs without BTF")


def name_subprogs(ck: Checker) -> None:
    """Names and linkage from BTF."""
    if ck.prog_btf is None:
        return
    for number, (sub, func) in enumerate(zip(ck.subprogs, ck.prog_btf.funcs, strict=True)):
        sub.name = func.name
        sub.is_global = number in ck.globals


def print_line_info(ck: Checker, pc: int) -> None:
    """The source line, where its file or number changes: another record of the same line is not shown again."""
    line = ck.line_of[pc]
    last = ck.last_line
    if line == last or line < 0 or ck.source is None:
        return
    ck.last_line = line
    places = ck.source.places
    if last < 0 or places[line] != places[last]:
        ck.log.put("; " + btf_info.line_text(ck.source.lines[line]))


# --- the end ---------------------------------------------------------------------------------------------------------------


def print_stats(ck: Checker, stats: Stats, accepted: bool) -> None:
    log = ck.log
    if log.level & STATS:
        log.put(f"verification time {stats.verification_time_us} usec")
        log.put(f"stack depth {depth.shown(ck, accepted)}")
    if log.level:
        log.put(
            f"processed {stats.insns_processed} insns (limit {ck.max_insns}) "
            f"max_states_per_insn {stats.max_states_per_insn} total_states {stats.total_states} "
            f"peak_states {stats.peak_states} mark_read {stats.mark_read}"
        )


def verified(ck: Checker, stats: Stats) -> VerifiedProg:
    live = bytearray(ck.seen)
    for pc in [pc for pc, insn in enumerate(ck.insns) if insn[0] == LDDW]:
        live[pc + 1] = live[pc]
    return VerifiedProg(
        request=ck.req,
        insns=ck.insns,
        facts=tuple(ck.facts),
        live=bytes(live),
        subprogs=tuple(ck.subprogs),
        maps=tuple(use.shape for use in ck.maps),
        log=ck.log.render(),
        stats=stats,
        changes_packet=ck.changes_packet,
        may_sleep=ck.may_sleep,
        uses_arena=ck.arena is not None,
        seal=_SEAL,
    )
