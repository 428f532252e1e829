"""The stack: spills that remember registers, bytes that remember zeros, and reads and writes at offsets that are not known.

A slot is 8 bytes: eight types (the byte at the highest address first) and the register that was spilled there, if any. Slot
`i` covers offsets `-8(i+1) .. -8i-1`. A spill of fewer than 8 bytes keeps the whole register: the load narrows it.

Where a slot's content takes part in what is proved about a register, the way back from the register to what was stored must be
found again when precision is asked for: such accesses are noted in the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.spec.limits import BPF_MAX_VAR_OFF, MAX_BPF_STACK
from userbpf.verifier.api import PtrKind
from userbpf.verifier.domain import cast, s64, sext
from userbpf.verifier.regs import (
    BASE_MASK,
    DYNPTR,
    NOT_INIT,
    SCALAR,
    SPILLED,
    ST_DYNPTR,
    ST_INVALID,
    ST_IRQ,
    ST_ITER,
    ST_MISC,
    ST_SPILL,
    ST_ZERO,
    STACK,
    UNKNOWN_REG,
    ZERO_REG,
    Reg,
    Slot,
    known,
    scalar,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.state import Frame


READ: Final = "read from"
WRITE: Final = "write to"

STORE_IMM: Final = -2  # value "register" of a store of a constant
NO_VALUE: Final = -1


def access(ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int, sx: bool) -> None:
    """One load or store through a stack pointer."""
    bounds(ck, regno, reg, off, size, WRITE if write else READ)
    frame = ck.st.frames[reg[4]]
    val = reg[1]
    if val.mask == 0:
        at = off + reg[3] + s64(val.value)
        ck.fact_access(pc, PtrKind.STACK, None, at if frame is ck.frame else None)
        if write:
            store(ck, pc, frame, at, size, value)
        else:
            load(ck, pc, frame, at, size, value, sx)
        return
    ck.fact_access(pc, PtrKind.STACK, None, None)
    if not ck.var_stack:
        raise Reject(
            EACCES,
            f"variable stack access var_off=({val.value:#x}; {val.mask:#x}) off={off + reg[3]} size={size}",
        )
    if write:
        store_var(ck, pc, frame, reg, off, size, value)
    else:
        load_var(ck, regno, reg, off, size, value, sx)


def bounds(ck: Checker, regno: int, reg: Reg, off: int, size: int, what: str, direct: bool = True) -> None:
    """The access lies in the frame; the frame grows to it. `direct`: it is the instruction's own, or as good as that."""
    val = reg[1]
    if val.mask == 0:
        low = reg[3] + s64(val.value) + off
        high = low + size
        text = f"invalid {what} stack R{regno} off={low} size={size}"
    else:
        if val.smax >= BPF_MAX_VAR_OFF or val.smin <= -BPF_MAX_VAR_OFF:
            raise Reject(EACCES, f"invalid unbounded variable-offset {what} stack R{regno}")
        low = reg[3] + val.smin + off
        high = reg[3] + val.smax + off + size
        text = (
            f"invalid variable-offset {what} stack R{regno} "
            f"var_off=({val.value:#x}; {val.mask:#x}) off={reg[3] + off} size={size}"
        )
    frame = ck.st.frames[reg[4]]
    if low < -MAX_BPF_STACK or low >= 0:
        raise Reject(EACCES, text)
    if high > 0:
        raise Reject(EINVAL, text)
    if ck.fastcall is not None and direct:
        ck.fastcall.touch(ck.pc, frame, low)
    slots = (-low + 7) // 8
    if slots > len(frame.stack):
        frame.grow(slots)
        ck.grow_stack(frame, slots * 8)


def is_spill(slot: Slot) -> bool:
    return slot[0][7] == ST_SPILL


def is_special(slot: Slot) -> bool:
    return slot[0][7] in (ST_DYNPTR, ST_ITER, ST_IRQ)


def is_scalar_spill(slot: Slot) -> bool:
    return slot[0][7] == ST_SPILL and slot[1] is not None and slot[1][0] == SCALAR


def is_full_scalar(slot: Slot) -> bool:
    return slot[0] == SPILLED and slot[1] is not None and slot[1][0] == SCALAR


# --- stores at a constant offset -----------------------------------------------------------------------------------------


def store(ck: Checker, pc: int, frame: Frame, off: int, size: int, value: int) -> None:
    """Store register `value`, the constant of the instruction (STORE_IMM) or something unknown (NO_VALUE)."""
    first = -off - 1
    index = first >> 3
    stack = frame.stack
    slot = stack[index]
    types, _ = slot
    regs = ck.regs
    reg = regs[value] if value >= 0 else None
    if not ck.allow_ptr_leaks and is_spill(slot) and not is_full_scalar(slot) and size != 8:
        raise Reject(EACCES, "attempt to corrupt spilled pointer on stack")
    if is_special(slot):
        ck.destroy_special(frame, index)
        types, _ = stack[index]
    ck.scratch_slots |= 1 << index
    if size == 8:
        ck.live_stack.write(frame.frameno, 1 << index)
    note = True
    if reg is not None and reg[0] == SCALAR and not off % 8 and ck.bpf_capable and (size == 8 or ck.narrow_spills):
        fits = reg[1].umax >> (8 * size) == 0
        if fits:
            reg = ck.link_before_copy(value)
        if not fits and reg[2]:
            reg = (SCALAR, reg[1], 0, 0, None)
        stack[index] = _spilled(types, reg, size, ck.allow_ptr_leaks)
    elif value == STORE_IMM and not off % 8 and ck.bpf_capable and ck.imm_spills:
        stack[index] = _spilled(types, known(ck.insns[pc].imm & 0xFFFFFFFFFFFFFFFF), size, ck.allow_ptr_leaks)
    elif reg is not None and reg[0] != SCALAR and reg[0] & BASE_MASK not in (NOT_INIT, DYNPTR):
        if size != 8:
            raise Reject(EACCES, "invalid size of register spill")
        if frame is not ck.frame and reg[0] == STACK:
            raise Reject(EINVAL, "cannot spill pointers to stack into stack frame of the caller")
        stack[index] = (SPILLED, reg)
    else:
        note = False
        new = bytearray(types)
        if types[7] == ST_SPILL:
            for i in range(8):
                if new[i] != ST_INVALID:
                    new[i] = ST_MISC
        kind = ST_MISC
        if (reg is not None and reg[0] == SCALAR and not reg[1].mask and not reg[1].value) or (
            value == STORE_IMM and ck.insns[pc].imm == 0
        ):
            if reg is not None:
                ck.mark_precise(value)
            kind = ST_ZERO
        for i in range(size):
            new[(first - i) & 7] = kind
        stack[index] = (bytes(new), None)
    if note:
        ck.note_stack(frame.frameno, index)


def _spilled(types: bytes, reg: Reg, size: int, leaks_ok: bool) -> Slot:
    if size == 8:
        return SPILLED, reg
    new = bytearray(8)
    for i in range(8):
        if i >= 8 - size:
            new[i] = ST_SPILL
        elif types[i] == ST_ZERO or (types[i] == ST_INVALID and leaks_ok):
            new[i] = types[i]
        else:
            new[i] = ST_MISC
    return bytes(new), reg


# --- stores at a variable offset -----------------------------------------------------------------------------------------


def store_var(ck: Checker, pc: int, frame: Frame, reg: Reg, off: int, size: int, value: int) -> None:
    """Any byte in the range may be overwritten, none must be."""
    low = reg[3] + reg[1].smin + off
    high = reg[3] + reg[1].smax + off + size
    source = ck.regs[value] if value >= 0 else None
    zero = (source is not None and source[0] == SCALAR and not source[1].mask and not source[1].value) or (
        value == STORE_IMM and ck.insns[pc].imm == 0
    )
    zero_used = False
    stack = frame.stack
    for at in range(low, high):
        index = (-at - 1) >> 3
        if is_special(stack[index]):
            ck.destroy_special(frame, index)
    for at in range(low, high):
        first = -at - 1
        index = first >> 3
        byte = first & 7
        types, spill = stack[index]
        kind = types[byte]
        ck.scratch_slots |= 1 << index
        if not ck.allow_ptr_leaks and kind not in (ST_MISC, ST_ZERO):
            raise Reject(EINVAL, f"spilled ptr in range of var-offset stack write; insn {pc}, ptr off: {at}")
        if zero and kind == ST_SPILL and spill is not None and spill[0] == SCALAR:
            if not spill[1].mask and not spill[1].value:
                zero_used = True
                continue
        new = bytearray(types)
        if types[7] == ST_SPILL:
            for i in range(8):
                if new[i] == ST_SPILL:
                    new[i] = ST_MISC
        new_kind = ST_MISC
        if zero and kind == ST_ZERO:
            new_kind = ST_ZERO
            zero_used = True
        if kind == ST_INVALID and not ck.req.caps.perfmon:
            raise Reject(
                EINVAL, f"uninit stack in range of var-offset write prohibited for !root; insn {pc}, off: {at}"
            )
        new[byte] = new_kind
        stack[index] = (bytes(new), None)
    if zero_used and value >= 0:
        ck.mark_precise(value)


# --- loads ---------------------------------------------------------------------------------------------------------------


def load(ck: Checker, pc: int, frame: Frame, off: int, size: int, dst: int, sx: bool) -> None:
    """Load into register `dst` (-1: only check) from a constant offset."""
    first = -off - 1
    index = first >> 3
    stack = frame.stack
    types, spill = stack[index]
    ck.scratch_slots |= 1 << index
    ck.live_stack.read(frame.frameno, 1 << index)
    note = True
    if types[7] == ST_SPILL and spill is not None:
        spill_size = 1
        while spill_size < 8 and types[7 - spill_size] == ST_SPILL:
            spill_size += 1
        if size != 8 or spill_size != 8:
            if spill[0] != SCALAR:
                raise Reject(EACCES, "invalid size of register fill")
            if dst < 0:
                return
            if size <= spill_size and off % 8 == 0:
                _fill_part(ck, frame, index, size, dst, sx)
            else:
                note = _read_bytes(ck, types, spill, first, off, size, dst, sx)
        elif dst >= 0:
            ck.regs[dst] = spill
        elif not ck.allow_ptr_leaks and spill[0] != SCALAR:
            raise Reject(EACCES, f"leaking pointer from stack off {off}")
    else:
        note = False
        for i in range(size):
            kind = types[(first - i) & 7]
            if kind == ST_MISC or kind == ST_ZERO or (kind == ST_INVALID and ck.allow_uninit_stack):
                continue
            raise Reject(EACCES, f"invalid read from stack off {off}+{i} size {size}")
        if dst >= 0:
            zeros = sum(1 for i in range(size) if types[(first - i) & 7] == ST_ZERO)
            _load_unknown(ck, dst, size, zeros == size, sx)
    if note:
        ck.note_stack(frame.frameno, index)


def _fill_part(ck: Checker, frame: Frame, index: int, size: int, dst: int, sx: bool) -> None:
    """The low bytes of a spilled scalar."""
    spill = frame.stack[index][1]
    assert spill is not None
    rid, delta = spill[2], spill[3]
    # a sign that gets extended makes another number of it, which Linux 6.18.44 forgets: it keeps the id then
    if spill[1].umax >> (8 * size - 1 if sx and not ck.mirror else 8 * size):
        rid = delta = 0
    val = spill[1]
    if size < 8:
        val = sext(val, 8 * size, True) if sx else cast(val, size)
    ck.regs[dst] = (SCALAR, val, rid, delta, None)


def _read_bytes(ck: Checker, types: bytes, spill: Reg, first: int, off: int, size: int, dst: int, sx: bool) -> bool:
    """Bytes across or inside a spill: only zeros stay known."""
    spills = zeros = 0
    for i in range(size):
        kind = types[(first - i) & 7]
        if kind == ST_SPILL:
            spills += 1
        elif kind == ST_MISC:
            pass
        elif kind == ST_ZERO:
            zeros += 1
        elif kind == ST_INVALID and ck.allow_uninit_stack:
            pass
        else:
            raise Reject(EACCES, f"invalid read from stack off {off}+{i} size {size}")
    if spills == size and not spill[1].mask and not spill[1].value:
        ck.regs[dst] = ZERO_REG
        return True
    _load_unknown(ck, dst, size, zeros == size, sx)
    return False


def _load_unknown(ck: Checker, dst: int, size: int, zero: bool, sx: bool) -> None:
    if zero:
        ck.regs[dst] = ZERO_REG
    elif size == 8:
        ck.regs[dst] = UNKNOWN_REG
    else:
        val = UNKNOWN_REG[1]
        ck.regs[dst] = scalar(sext(val, size * 8, True) if sx else cast(val, size))


def load_var(ck: Checker, regno: int, reg: Reg, off: int, size: int, dst: int, sx: bool) -> None:
    """Load from somewhere in a range: every byte of it must be readable."""
    initialised(ck, regno, reg, off, size, False)
    low = reg[3] + reg[1].smin + off
    high = reg[3] + reg[1].smax + off + size
    stack = ck.st.frames[reg[4]].stack
    zeros = 0
    for at in range(low, high):
        first = -at - 1
        index = first >> 3
        ck.scratch_slots |= 1 << index
        if stack[index][0][first & 7] != ST_ZERO:
            break
        zeros += 1
    if dst >= 0:
        _load_unknown(ck, dst, size, zeros == high - low, sx)


def initialised(ck: Checker, regno: int, reg: Reg, off: int, size: int, clobber: bool) -> None:
    """Every byte that may be read is readable; `clobber`: it may be overwritten too, so nothing stays known of it."""
    frame = ck.st.frames[reg[4]]
    val = reg[1]
    if val.mask == 0:
        low = high = reg[3] + s64(val.value) + off
    else:
        low = reg[3] + val.smin + off
        high = reg[3] + val.smax + off
    stack = frame.stack
    read = 0
    for at in range(low, high + size):
        first = -at - 1
        index = first >> 3
        types, spill = stack[index]
        kind = types[first & 7]
        if kind == ST_SPILL and spill is not None and (spill[0] == SCALAR or ck.allow_ptr_leaks):
            if clobber:
                new = bytes(ST_MISC if t == ST_SPILL else t for t in types)
                stack[index] = (new, None)
        elif kind == ST_MISC:
            pass
        elif kind == ST_ZERO or (kind == ST_INVALID and ck.allow_uninit_stack):
            if clobber:
                changed = bytearray(types)
                changed[first & 7] = ST_MISC
                stack[index] = (bytes(changed), spill)
        elif val.mask == 0:
            raise Reject(EACCES, f"invalid read from stack R{regno} off {low}+{at - low} size {size}")
        else:
            raise Reject(
                EACCES,
                f"invalid read from stack R{regno} var_off ({val.value:#x}; {val.mask:#x})+{at - low} size {size}",
            )
        read |= 1 << index
    ck.live_stack.read(frame.frameno, read)
