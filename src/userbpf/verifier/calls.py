"""Calls: which helper or subprogram is meant, the way into a subprogram and back, and the classic packet loads.

What one call of a helper demands and does stands in `helper_call`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.spec.helpers import HELPERS, HelperRow
from userbpf.spec.progs import PROGS
from userbpf.verifier import access, attach, callbacks, kfuncs, locks, older, sections
from userbpf.verifier.api import Fact
from userbpf.verifier.cfg import CALL, PSEUDO_CALL, PSEUDO_KFUNC
from userbpf.verifier.helper_call import Call
from userbpf.verifier.log import picture
from userbpf.verifier.references import clear_packet_pointers, leak
from userbpf.verifier.regs import (
    CTX,
    NOT_INIT,
    STACK,
    UNINIT,
    UNKNOWN_REG,
    Reg,
    known,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker, Step

DONE: Final = -1
PACKET_MOVERS: Final = frozenset(int(helper) for helper, row in HELPERS.items() if row.changes_pkt)
_SLEEPERS: Final = frozenset(int(helper) for helper, row in HELPERS.items() if row.might_sleep)
# what a tail call leads to may do anything to the packet
_MOVERS: Final = PACKET_MOVERS | {int(HelperId.tail_call)}


def packet_writable(ck: Checker) -> bool:
    return PROGS[ck.req.prog_type].packet == "rw"


def arg_count(ck: Checker, insn: Insn) -> int:
    """How many argument registers a call reads, for liveness."""
    req = ck.req
    if insn.src == PSEUDO_KFUNC:
        kfunc = ck.kfuncs.get((insn.imm, insn.off))
        return len(kfunc.params) if kfunc is not None and kfunc.allowed(ck) else 5
    if insn.src == 0:
        try:
            row = HELPERS.get(HelperId(insn.imm))
        except ValueError:
            return 5
        if row is None or not row.allowed(req.prog_type, int(req.expected_attach_type)):
            return 5
        if not attach.has_helper(req, row.name):
            return 5
        return len(row.args_for(req.prog_type))
    return 5


# --- compilation -----------------------------------------------------------------------------------------------------------


def compile_call(ck: Checker, pc: int, insn: Insn) -> Step:
    _, dst, src, off, imm = insn
    if dst or src not in (0, PSEUDO_CALL, PSEUDO_KFUNC) or (off and src != PSEUDO_KFUNC):
        raise Reject(EINVAL, "BPF_CALL uses reserved fields")
    if src == PSEUDO_CALL:
        number = ck.cfg.subprog_of[pc + imm + 1]
        ck.facts[pc] = Fact(subprog=number)

        def call(ck: Checker) -> int:
            return call_subprog(ck, pc, number)

        return call
    if src == PSEUDO_KFUNC:
        from userbpf.verifier import graph_calls, kfunc_more, kfunc_objects  # noqa: F401  # enter what they know

        return kfuncs.compile_kfunc(ck, pc, insn)
    name = f"{helper_name(imm)}#{imm}"
    locks.no_helper(ck, imm)
    try:
        row = HELPERS.get(HelperId(imm))
    except ValueError:
        row = None
    if row is None and imm != 0:
        raise Reject(EINVAL, f"invalid func {name}")
    if ck.older:
        older.check_helper(ck, row, imm)
    if row is None or not row.allowed(ck.req.prog_type, int(ck.req.expected_attach_type)):
        raise Reject(EINVAL, f"program of this type cannot use helper {name}")
    if not attach.has_helper(ck.req, row.name):
        raise Reject(EINVAL, f"program of this type cannot use helper {name}")
    if row.perfmon and not ck.req.caps.perfmon:
        raise Reject(EINVAL, f"program of this type cannot use helper {name}")
    if row.gpl_only and not ck.req.gpl_compatible:
        raise Reject(EINVAL, "cannot call GPL-restricted function from non-GPL compatible program")
    _sleep_allowed(ck, row)
    if not attach.may_call(ck, int(row.id)):
        raise Reject(EINVAL, "helper call is not allowed in probe")
    args = row.args_for(ck.req.prog_type)
    helper = row

    def call_helper(ck: Checker) -> int:
        locks.no_helper(ck, imm)
        _sleep_allowed(ck, helper)
        return Call(ck, pc, helper, args).check()

    return call_helper


def _sleep_allowed(ck: Checker, row: HelperRow) -> None:
    """Asked on every path: a function that runs later may be let sleep where its program is not, and the other way."""
    if row.might_sleep and not sections.sleepable(ck):
        raise Reject(EINVAL, "helper call might sleep in a non-sleepable prog")


def helper_name(number: int) -> str:
    try:
        helper = HelperId(number)
    except ValueError:
        return "unknown"
    return f"bpf_{helper.name}"


def compile_ld_abs(ck: Checker, pc: int, insn: Insn) -> Step:
    """The classic packet loads: R6 is the context, R0 the result, out of bounds ends the program."""
    code, dst, src, off, _ = insn
    mode = code & 0xE0
    if not PROGS[ck.req.prog_type].ld_abs:
        raise Reject(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type")
    if dst or off or code & 0x18 == 0x18 or (mode == 0x20 and src):
        raise Reject(EINVAL, "BPF_LD_[ABS|IND] uses reserved fields")

    def load(ck: Checker) -> int:
        regs = ck.regs
        if regs[6][0] == NOT_INIT:
            raise Reject(EACCES, "R6 !read_ok")
        if ck.st.refs or ck.st.sections.held:
            leak(ck, "BPF_LD_[ABS|IND]")
        if regs[6][0] != CTX:
            raise Reject(EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb")
        if mode == 0x40:
            ck.must_read(src)
        access.fixed_offset(ck, 6, regs[6])
        for i in range(6):
            regs[i] = UNINIT
        regs[0] = UNKNOWN_REG
        if len(ck.st.frames) == 1:
            return pc + 1
        # out of bounds a subprogram returns 0 to its caller, which goes on
        return leave_early(ck, pc, known(0))

    return load


def packet_movers(ck: Checker) -> set[int]:
    """Subprograms that may move packet data, themselves or through others."""
    return _spread(ck, _MOVERS, "packet")


def sleepers(ck: Checker) -> set[int]:
    """Subprograms that may sleep, themselves or through others."""
    return _spread(ck, _SLEEPERS, "sleep")


def _spread(ck: Checker, helpers: frozenset[int], flag: str) -> set[int]:
    """Subprograms with a call of one of the helpers, or of a kernel function with the flag, and all that call them."""
    cfg = ck.cfg
    found: set[int] = set()
    callers: dict[int, set[int]] = {}
    for pc, insn in enumerate(ck.insns):
        if insn.code != CALL:
            continue
        number = cfg.subprog_of[pc]
        if insn.src == PSEUDO_CALL:
            callers.setdefault(cfg.subprog_of[pc + insn.imm + 1], set()).add(number)
        elif insn.src == PSEUDO_KFUNC:
            kfunc = ck.kfuncs.get((insn.imm, insn.off))
            if kfunc is not None and kfunc.has(flag):
                found.add(number)
        elif insn.src == 0 and insn.imm in helpers:
            found.add(number)
    todo = list(found)
    while todo:
        new = callers.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def leave_early(ck: Checker, pc: int, result: Reg, moves_packet: bool = False) -> int:
    """A subprogram may return to its caller here, with `result` in R0, or go on: the way on is taken up later."""
    ck.push(pc + 1, pc)
    if moves_packet:
        clear_packet_pointers(ck)
    ck.regs[0] = result
    nxt = _return(ck, pc)
    ck.print_from = False
    return nxt


def tail_called(ck: Checker, pc: int) -> int:
    """A tail call of a subprogram that comes off: another program has run to its end, and the caller goes on.

    It may have done anything to the packet and returned anything.
    """
    return leave_early(ck, pc, UNKNOWN_REG, True)


# --- subprograms -------------------------------------------------------------------------------------------------------------


def call_subprog(ck: Checker, pc: int, number: int) -> int:
    if number in ck.globals:
        return callbacks.call_global(ck, pc, number)
    callbacks.check_arguments(ck, number)
    if ck.live_stack.pending:  # a dynptr was looked at
        ck.live_stack.commit(ck.frame.instance, pc)
    callee = ck.enter_frame(pc, number)
    caller = ck.frame
    for i in range(1, 6):
        callee.regs[i] = caller.regs[i]
    for i in range(6):
        caller.regs[i] = UNINIT
    ck.st.frames.append(callee)
    ck.set_state(ck.st)
    ck.scratch_all()
    if ck.log.on:
        ck.log.put("caller:")
        ck.log.state("", picture(caller, ck.st.refs))
        ck.log.put("callee:")
        ck.log.state("", picture(callee, ck.st.refs))
    return ck.cfg.starts[number]


def exit_step(pc: int) -> Step:
    def leave(ck: Checker) -> int:
        st = ck.st
        if len(st.frames) > 1:
            return _return(ck, pc)
        if st.refs or st.sections.held:
            leak(ck, "BPF_EXIT instruction in main prog")
        from userbpf.verifier import results

        if st.frames[0].in_async:
            results.check_async_return(ck)
        elif st.frames[0].subprog and st.frames[0].subprog != ck.handler:
            results.check_subprog_return(ck)
        else:
            results.check_return(ck)
        return DONE

    return leave


def _return(ck: Checker, pc: int) -> int:
    st = ck.st
    callee = st.frames[-1]
    caller = st.frames[-2]
    result = callee.regs[0]
    if result[0] == STACK:
        raise Reject(EINVAL, "cannot return stack pointer to the caller")
    if callee.in_callback:
        return callbacks.leave(ck)
    ck.live_stack.update(callee.instance)
    caller.regs[0] = result
    if ck.log.on:
        ck.log.put("returning from callee:")
        ck.log.state("", picture(callee, st.refs))
        ck.log.put(f"to caller at {callee.callsite + 1}:")
        ck.log.state("", picture(caller, st.refs))
    st.frames.pop()
    ck.set_state(st)
    ck.print_from = True
    return callee.callsite + 1
