"""Calls that are more than a call: callbacks of helpers, global functions, constant strings.

A callback that runs within the helper is checked as if the call instruction were a loop: one path goes on behind the call,
another goes into the callback and comes back to the call itself. What the loop changed and nothing relied on is
widened on the way back, so that the second time round usually finds the state it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId, MapType
from userbpf.spec.maps import MAPS
from userbpf.verifier import access, btf_info, contracts, dynptr, locks, precision, sections, timers
from userbpf.verifier.btfptr import pointer
from userbpf.verifier.btfwalk import struct_named
from userbpf.verifier.domain import s64
from userbpf.verifier.log import picture
from userbpf.verifier.regs import (
    CTX,
    DYNPTR,
    MAP_KEY,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    NOT_INIT,
    SCALAR,
    UNINIT,
    UNKNOWN_REG,
    ZERO,
    Reg,
)
from userbpf.verifier.reject import EACCES, EFAULT, EINVAL, ENOTSUPP, Reject
from userbpf.verifier.state import Frame
from userbpf.verifier.widen import previous, widen

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.helper_call import Call

Setup = Callable[["Call", list[Reg], Frame], None]


# --- callbacks of helpers ------------------------------------------------------------------------------------------------


def _setup_loop(call: Call, caller: list[Reg], callee: Frame) -> None:
    callee.regs[1] = UNKNOWN_REG
    callee.regs[2] = caller[3]


def _setup_each(call: Call, caller: list[Reg], callee: Frame) -> None:
    map_reg = caller[1]
    assert call.map is not None
    if not MAPS[MapType(call.map.shape.map_type)].for_each:
        raise Reject(ENOTSUPP, "callback function not allowed for map")
    callee.regs[1] = map_reg
    callee.regs[2] = (MAP_KEY, ZERO, 0, 0, map_reg[4])
    callee.regs[3] = (MAP_VALUE, ZERO, 0, 0, map_reg[4])
    callee.regs[4] = caller[3]


def _setup_drain(call: Call, caller: list[Reg], callee: Frame) -> None:
    callee.regs[1] = (DYNPTR, ZERO, call.ck.new_id(), 0, dynptr.Dyn(dynptr.LOCAL, 0, True))
    callee.regs[2] = caller[3]


def _setup_find_vma(call: Call, caller: list[Reg], callee: Frame) -> None:
    kernel = call.ck.kernel_btf()
    assert kernel is not None  # the task came from there
    callee.regs[1] = caller[1]
    callee.regs[2] = pointer(kernel, struct_named(kernel, "vm_area_struct"), 0)
    callee.regs[3] = caller[4]


_SETUPS: Final[dict[HelperId, Setup]] = {
    HelperId.find_vma: _setup_find_vma,
    HelperId.loop: _setup_loop,
    HelperId.for_each_map_elem: _setup_each,
    HelperId.user_ringbuf_drain: _setup_drain,
}


def call(the_call: Call) -> int | None:
    """The helper runs a function of the program before it returns; None: go on behind the call too."""
    ck = the_call.ck
    helper = the_call.row.id
    if helper == HelperId.timer_set_callback:
        timers.set_callback(the_call)
        return None
    setup = _SETUPS.get(helper)
    if setup is None:
        raise Reject(EINVAL, f"callbacks of {the_call.name} are not supported")
    frame = ck.frame
    if helper == HelperId.loop:
        _loop_flags(ck, the_call.pc)
        if ck.regs[1][0] != SCALAR and ck.bpf_capable:
            raise Reject(EFAULT, "verifier bug: backtracking misuse")
        ck.mark_precise(1)
        if frame.callback_depth >= ck.regs[1][1].umax:
            frame.callback_depth = 0
            if ck.log.level2:
                ck.log.put(f"frame{frame.frameno} bpf_loop iteration limit reached")
            return None
    _push(the_call, setup)
    return None


def _loop_flags(ck: Checker, pc: int) -> None:
    """Zero flags let the helper be inlined; Linux then relies on them at every visit."""
    fits = ck.loop_inline.get(pc, True)
    reg = ck.regs[4]
    zero = reg[0] == SCALAR and reg[1] is ZERO
    if fits and zero:
        ck.mark_precise(4)
    ck.loop_inline[pc] = fits and zero


def _push(the_call: Call, setup: Setup) -> None:
    caller = the_call.ck.frame.regs
    push(the_call.ck, the_call.pc, the_call.subprog, lambda callee: setup(the_call, caller, callee))


def push(ck: Checker, pc: int, number: int, setup: Callable[[Frame], None]) -> None:
    """Check the callback later, as a function that is called at `pc` and comes back there."""
    check_arguments(ck, number)
    callee = ck.enter_frame(pc, number)
    callee.in_callback = True
    callee.callback_ret = (0, 1)
    setup(callee)
    other = ck.push(ck.cfg.starts[number], pc)
    other.callback_unroll_depth += 1
    other.frames[-1].callback_depth += 1
    other.frames.append(callee)
    ck.frame.callback_depth = 0


def leave(ck: Checker) -> int:
    """A callback returns: back to the call itself."""
    st = ck.st
    callee, caller = st.frames[-1], st.frames[-2]
    ck.live_stack.update(callee.instance)
    reg = callee.regs[0]
    if reg[0] != SCALAR:
        raise Reject(EACCES, "R0 not a scalar value")
    from userbpf.verifier import results

    assert callee.callback_ret is not None
    results.require_range(ck, reg, callee.callback_ret, "At callback return")
    if ck.log.on:
        ck.log.put("returning from callee:")
        ck.log.state("", picture(callee, st.refs))
        ck.log.put(f"to caller at {callee.callsite}:")
        ck.log.state("", picture(caller, st.refs))
    st.frames.pop()
    ck.set_state(st)
    before = previous(st.parent, st, callee.callsite)
    if before is not None:
        widen(before, st)
    ck.print_from = True
    return callee.callsite


# --- arguments by prototype ------------------------------------------------------------------------------------------------


def check_arguments(ck: Checker, number: int) -> int:
    """Registers against the function's prototype: 0, or an errno; what is wrong stands in the log."""
    func = btf_info.prepare(ck, number)
    if func is None:
        return EINVAL
    wrong = _arguments(ck, func)
    if wrong and func.linkage == btf_info.STATIC:
        func.args = func.wrong = None  # its BTF is not believed any more, and not spoken of again
    return wrong


def _arguments(ck: Checker, func: btf_info.FuncBtf) -> int:
    if func.args is None:
        if func.wrong:
            ck.say(func.wrong)
        return func.errno
    for i, arg in enumerate(func.args, 1):
        reg = ck.regs[i]
        if arg.kind == "scalar":
            if reg[0] != SCALAR:
                ck.say(f"R{i} is not a scalar")
                return EINVAL
        elif arg.kind == "ctx":
            wrong = _offset(ck, i, reg)
            if wrong:
                return wrong
            if reg[0] != CTX:
                ck.say(f"arg#{i - 1} expects pointer to ctx")
                return EINVAL
        elif arg.kind in contracts.KINDS:
            try:
                contracts.given(ck, i, reg, arg)
            except Reject as unfit:
                ck.say(unfit.text)
                return unfit.errno
        else:
            wrong = _offset(ck, i, reg)
            if wrong:
                return wrong
            refusal = _memory_argument(ck, i, reg, arg.size)
            if refusal is not None:
                ck.say(refusal.text)
                return refusal.errno if reg[0] == NOT_INIT else EINVAL
            if not arg.nullable and _may_be_null(ck, reg):
                ck.say(f"arg#{i - 1} is expected to be non-NULL")
                return EINVAL
    return 0


def _offset(ck: Checker, number: int, reg: Reg) -> int:
    """0, or the errno of an offset that such a pointer may not have."""
    try:
        access.argument_offset(ck, number, reg)
    except Reject as refusal:
        ck.say(refusal.text)
        return refusal.errno
    return 0


def _may_be_null(ck: Checker, reg: Reg) -> bool:
    """Linux lets a constant NULL pass for an argument that is declared __arg_nonnull, and the function reads through it."""
    return bool(reg[0] & MAYBE_NULL) or (reg[0] == SCALAR and not ck.mirror)


def _memory_argument(ck: Checker, number: int, reg: Reg, size: int) -> Reject | None:
    from userbpf.verifier.helper_call import check_memory

    if reg[0] == NOT_INIT:
        return Reject(EACCES, "variable ? access var_off=(0x0; 0xffffffffffffffff) disallowed")
    if reg[0] == SCALAR and reg[1] is ZERO:
        return None
    try:
        saved = ck.regs[number]
        if reg[0] & MAYBE_NULL:
            ck.regs[number] = (reg[0] & ~MAYBE_NULL, *reg[1:])
        try:
            check_memory(ck, number, size)
        finally:
            ck.regs[number] = saved
    except Reject as refusal:
        return refusal
    return None


# --- global functions ------------------------------------------------------------------------------------------------------


def call_global(ck: Checker, pc: int, number: int) -> int:
    """Checked once elsewhere; here only the arguments count, and r0 is any number."""
    wrong = check_arguments(ck, number)
    locks.no_global(ck)
    if ck.sleeps(number) and not sections.may_sleep(ck):
        ck.say("global functions that may sleep are not allowed in non-sleepable context,")
        ck.say("i.e., in a RCU/IRQ/preempt-disabled section, or in")
        raise Reject(EINVAL, "a non-sleepable BPF program context")
    assert ck.prog_btf is not None
    func = ck.prog_btf.funcs[number]
    if wrong:
        raise Reject(wrong, f"Caller passes invalid args into func#{number} ('{func.name}')")
    ck.live_stack.commit(ck.frame.instance, pc)
    func.called = True
    ck.say(f"Func#{number} ('{func.name}') is global and assumed valid.")
    if ck.moves_packet(number):
        from userbpf.verifier.references import clear_packet_pointers

        clear_packet_pointers(ck)
    regs = ck.regs
    for i in range(6):
        regs[i] = UNINIT
    regs[0] = UNKNOWN_REG
    return pc + 1


def global_arguments(ck: Checker, number: int, frame: Frame) -> None:
    """Any arguments that fit the prototype."""
    func = btf_info.prepare(ck, number)
    assert func is not None
    if func.args is None:
        raise Reject(func.errno, func.wrong or "")
    for i, arg in enumerate(func.args, 1):
        if arg.kind == "scalar":
            frame.regs[i] = UNKNOWN_REG
        elif arg.kind == "ctx":
            frame.regs[i] = (CTX, ZERO, 0, 0, None)
        elif arg.kind in contracts.KINDS:
            frame.regs[i] = contracts.assumed(ck, arg)
        elif arg.nullable:
            frame.regs[i] = (MEM | MAYBE_NULL, ZERO, ck.new_id(), 0, (arg.size, 0))
        else:
            frame.regs[i] = (MEM, ZERO, 0, 0, (arg.size, 0))


# --- constant strings, slots -----------------------------------------------------------------------------------------------


def constant_string(the_call: Call, number: int, reg: Reg) -> None:
    """A zero-terminated string in a frozen read-only map."""
    ck = the_call.ck
    use = reg[4][0]
    if not use.constant:
        raise Reject(EACCES, f"R{number} does not point to a readonly map'")
    if reg[1].mask:
        raise Reject(EACCES, f"R{number} is not a constant address'")
    access.region(ck, number, reg, reg[3], 1, use.shape.value_size, False)
    off = reg[3] + s64(reg[1].value)
    data = use.peek(off, use.shape.value_size - off)
    if data is None or b"\0" not in data:
        raise Reject(EINVAL, "string is not zero-terminated")


# what follows %p is a kind of pointer, or nothing that could be taken for one
_SPECIFIER: Final = re.compile(
    rb"%(?:%|[-0 +]*\d*(?:(?:ll|l)?[diuxX]|c|s|p(?:[KxsSB]|[iI][46]|(?=$|[\s!-/:-@\[-`{-~]))|[pP][ku]s))", re.DOTALL
)


def format_fits(the_call: Call) -> None:
    """bpf_snprintf's format is known: it must be well formed, and there must be a word of data for each specifier."""
    ck = the_call.ck
    size = ck.regs[5][1].value
    if size % 8:
        raise Reject(EINVAL)
    reg = ck.regs[3]
    use = reg[4][0]
    off = reg[3] + s64(reg[1].value)
    text = (use.peek(off, use.shape.value_size - off) or b"").split(b"\0")[0]
    wanted = at = 0
    while (at := text.find(b"%", at)) >= 0:
        found = _SPECIFIER.match(text, at)
        if found is None:
            raise Reject(EINVAL, "Invalid format string")
        wanted += found.group() != b"%%"
        at = found.end()
    if wanted > size // 8 or any((byte < 0x20 and byte not in b"\t\n\r\f\v") for byte in text):
        raise Reject(EINVAL, "Invalid format string")


def mark_slot_precise(ck: Checker, frame: Frame, index: int) -> None:
    """The content of a stack slot matters."""
    wanted = precision.Wanted(len(ck.st.frames) - 1)
    wanted.slots[frame.frameno] = 1 << index
    precision.trace(ck, ck.st, wanted, ck.pc)
