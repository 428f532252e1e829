"""Memory: every load, store and atomic goes through `access`, by the type of the pointer.

The rules of one kind of pointer stand together: first what makes the access wrong, in Linux's order and words, then what a
load yields. Helpers hand their buffers to `helper_region`, which is the same question without a register to load into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.consts import BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG
from userbpf.spec.limits import BPF_MAX_VAR_OFF
from userbpf.verifier import btfptr, fields, kptr, stack
from userbpf.verifier.api import PtrKind
from userbpf.verifier.context import sock_readable
from userbpf.verifier.domain import S64_MIN, UNKNOWN, Val, cast, const, sext, unsigned_text
from userbpf.verifier.regs import (
    ALLOC,
    ARENA,
    BASE_MASK,
    BORROWED,
    BTF_ID,
    BUF,
    CTX,
    FLOW_KEYS,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    PACKET,
    PACKET_END,
    PACKET_META,
    RCU,
    RDONLY,
    SCALAR,
    SOCK_TYPES,
    STACK,
    TP_BUFFER,
    TRUSTED,
    UNKNOWN_REG,
    UNTRUSTED,
    Reg,
    scalar,
    type_name,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker
    from userbpf.verifier.maps import MapUse

PACKET_SKEW: Final = 2  # a packet begins so many bytes behind an aligned address, so that the IP header is aligned
FLOW_KEYS_SIZE: Final = 56
# how messages about alignment call a kind of memory
ALIGNED: Final = {
    STACK: "stack ",
    PACKET: "packet ",
    PACKET_META: "packet ",
    MAP_VALUE: "value ",
    MAP_KEY: "key ",
    CTX: "context ",
    FLOW_KEYS: "flow keys ",
} | {kind: f"{type_name(kind)} " for kind in SOCK_TYPES}
# pointers that may be handed to a function at any offset; all others at a fixed one of zero
PLAIN_OFFSET: Final = frozenset((STACK, PACKET, PACKET_META, MAP_KEY, MAP_VALUE, MEM, BUF, SCALAR))

_LOADED: Final[dict[int, Reg]] = {n: scalar(cast(UNKNOWN_REG[1], n)) for n in (1, 2, 4)} | {8: UNKNOWN_REG}
_LOADED_SX: Final[dict[int, Reg]] = {n: scalar(sext(UNKNOWN_REG[1], n * 8, True)) for n in (1, 2, 4)}


def loaded(size: int, sx: bool) -> Reg:
    """What a load of unknown memory yields."""
    return _LOADED_SX[size] if sx else _LOADED[size]


def narrowed(val: Val, size: int, sx: bool) -> Val:
    """A known value as loaded with the given size."""
    if size == 8:
        return val
    return sext(val, size * 8, True) if sx else cast(val, size)


def tnum_text(val: Val) -> str:
    """A tnum as messages show it."""
    if val.mask == 0:
        return unsigned_text(val.value)
    return f"({val.value:#x}; {val.mask:#x})"


def access(
    ck: Checker,
    pc: int,
    regno: int,
    reg: Reg,
    off: int,
    size: int,
    write: bool,
    value: int = -1,
    strict: bool = False,
    sx: bool = False,
) -> None:
    """Check one access of `size` bytes at `reg + off`.

    `value` is the register stored or loaded into; -1 stores a constant or an unknown value, or loads nothing.
    """
    kind = reg[0]
    if size > 1 and (kind == STACK or strict or ck.strict_alignment):  # x86 takes any other offset
        _align(reg, off, size)
    if kind == STACK:
        stack.access(ck, pc, regno, reg, off, size, write, value, sx)
        return
    if kind in (PACKET, PACKET_META):
        _packet(ck, pc, regno, reg, off, size, write, value)
    elif kind == MAP_VALUE:
        if _map_value(ck, pc, regno, reg, off, size, write, value, strict, sx):
            return
    elif kind == CTX:
        _ctx(ck, pc, regno, reg, off, size, write, value, sx)
        return
    elif kind & BASE_MASK == MEM and not kind & MAYBE_NULL:
        _mem(ck, pc, regno, reg, off, size, write, value)
    elif kind == MAP_KEY:
        if write:
            raise Reject(EACCES, f"write to change key R{regno} not allowed")
        region(ck, regno, reg, reg[3] + off, size, reg[4][0].shape.key_size, False)
        ck.fact_access(pc, PtrKind.MEM, None, None)
    elif kind in SOCK_TYPES:
        if write:
            raise Reject(EACCES, f"R{regno} cannot write into {type_name(kind)}")
        _sock(ck, pc, regno, reg, off, size)
    elif kind == FLOW_KEYS:
        _flow_keys(ck, pc, regno, reg, off, size, write, value)
    elif kind == MAP_PTR:
        btfptr.check_map_access(ck, pc, regno, reg, off, size, write, value, sx)
        return
    elif kind & BASE_MASK == BTF_ID and not kind & MAYBE_NULL:
        btfptr.check_access(ck, pc, regno, reg, off, size, write, value, sx)
        return
    elif kind & BASE_MASK == BUF and not kind & MAYBE_NULL:
        if write and kind & RDONLY:
            raise Reject(EACCES, f"R{regno} cannot write into {type_name(kind)}")
        buffer(ck, regno, reg, off + reg[3], size, "rdonly" if kind & RDONLY else "rdwr")
        ck.fact_access(pc, PtrKind.BTF, None, None)
    elif kind == TP_BUFFER:
        buffer(ck, regno, reg, off + reg[3], size, "tracepoint")
        ck.fact_access(pc, PtrKind.BTF, None, None)
    elif kind == ARENA:
        ck.fact_access(pc, PtrKind.ARENA, None, None)  # any offset: outside of the pages it reads zero
    else:
        raise Reject(EACCES, f"R{regno} invalid mem access '{type_name(kind)}'")
    if not write and value >= 0:
        ck.regs[value] = loaded(size, sx)


# --- what all kinds share ------------------------------------------------------------------------------------------------


def _align(reg: Reg, off: int, size: int) -> None:
    """Every offset that the register may have is a multiple of the size."""
    kind, val = reg[0], reg[1]
    if kind == ARENA:
        return
    head = f"{PACKET_SKEW}+" if kind in (PACKET, PACKET_META) else ""
    mask = size - 1
    total = (val.value + reg[3] + off + (PACKET_SKEW if head else 0)) & mask
    if total or val.mask & mask:
        raise Reject(
            EACCES,
            f"misaligned {ALIGNED.get(kind, '')}access off {head}{tnum_text(val)}+{reg[3]}+{off} size {size}",
        )


def region(ck: Checker, regno: int, reg: Reg, off: int, size: int, limit: int, zero_ok: bool) -> None:
    """`reg`'s variable part plus `off`, `size` bytes, within [0, limit)."""
    val = reg[1]
    smin = val.smin
    if smin < 0:
        low = off + smin
        if smin == S64_MIN or not -(1 << 31) <= low < 1 << 31 or low < 0:
            raise Reject(
                EACCES,
                f"R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.",
            )
    if not within(smin + off, size, limit, zero_ok):
        _outside(ck, regno, reg, smin + off, size, limit)
        raise Reject(EACCES, f"R{regno} min value is outside of the allowed memory range")
    umax = val.umax
    if umax >= BPF_MAX_VAR_OFF:
        raise Reject(EACCES, f"R{regno} unbounded memory access, make sure to bounds check any such access")
    if not within(umax + off, size, limit, zero_ok):
        _outside(ck, regno, reg, umax + off, size, limit)
        raise Reject(EACCES, f"R{regno} max value is outside of the allowed memory range")


def within(off: int, size: int, limit: int, zero_ok: bool) -> bool:
    return off >= 0 and (size > 0 or (size == 0 and zero_ok)) and off + size <= limit


def _outside(ck: Checker, regno: int, reg: Reg, off: int, size: int, limit: int) -> None:
    kind = reg[0]
    if kind == MAP_KEY:
        ck.say(f"invalid access to map key, key_size={limit} off={off} size={size}")
    elif kind == MAP_VALUE:
        ck.say(f"invalid access to map value, value_size={limit} off={off} size={size}")
    elif kind in (PACKET, PACKET_META, PACKET_END):
        ck.say(f"invalid access to packet, off={off} size={size}, R{regno}(id={reg[2]},off={off},r={limit})")
    else:
        ck.say(f"invalid access to memory, mem_size={limit & 0xFFFFFFFF} off={off} size={size}")


def _no_leak(ck: Checker, value: int, where: str) -> None:
    if value >= 0 and not ck.allow_ptr_leaks and ck.regs[value][0] != SCALAR:
        raise Reject(EACCES, f"R{value} leaks addr into {where}")


# --- packets -----------------------------------------------------------------------------------------------------------


def _packet(ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int) -> None:
    if write and not ck.packet_writable():
        raise Reject(EACCES, "cannot write into packet")
    if write:
        _no_leak(ck, value, "packet")
    packet_range(ck, regno, reg, reg[3] + off, size, False)
    ck.fact_access(pc, PtrKind.PACKET, None, None)


def packet_range(ck: Checker, regno: int, reg: Reg, off: int, size: int, zero_ok: bool) -> None:
    """The bytes lie in what a comparison with the end has shown to exist."""
    if reg[1].smin < 0:
        raise Reject(EACCES, f"R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.")
    limit = reg[4]
    if limit < 0:
        raise Reject(EINVAL, f"R{regno} offset is outside of the packet")
    if not within(off, size, limit, zero_ok):
        _outside(ck, regno, reg, off, size, limit)
        raise Reject(EACCES, f"R{regno} offset is outside of the packet")


# --- maps --------------------------------------------------------------------------------------------------------------


def _map_value(
    ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int, strict: bool, sx: bool
) -> bool:
    """True if the value loaded is known already."""
    use: MapUse = reg[4][0]
    if write:
        _no_leak(ck, value, "map")
    map_permission(use, reg[3] + reg[1].value + off if not reg[1].mask else reg[3] + off, size, write)
    region(ck, regno, reg, reg[3] + off, size, use.shape.value_size, False)
    ck.check_special_fields(use, reg, off, size, False)
    val = reg[1]
    at = None if val.mask else reg[3] + val.value + off
    ck.fact_access(pc, PtrKind.MAP_VALUE, use, at)
    if use.fields is not None and at is not None and use.shape.btf is not None:
        field = use.fields.at(at, fields.POINTERS)
        if field is not None:
            return kptr.access(ck, pc, field, use.shape.btf, write, value, not strict and not sx)
    if write or value < 0:
        return False
    if at is not None and use.constant:
        data = use.peek(at, size)
        if data is not None:
            number = int.from_bytes(data, "little", signed=sx)
            ck.regs[value] = scalar(const(number))
            return True
    return False


def map_permission(use: MapUse, off: int, size: int, write: bool) -> None:
    flags = use.flags
    if write and flags & BPF_F_RDONLY_PROG:
        raise Reject(EACCES, f"write into map forbidden, value_size={use.shape.value_size} off={off} size={size}")
    if not write and flags & BPF_F_WRONLY_PROG:
        raise Reject(EACCES, f"read from map forbidden, value_size={use.shape.value_size} off={off} size={size}")


# --- context -----------------------------------------------------------------------------------------------------------


def fixed_offset(ck: Checker, regno: int, reg: Reg, fixed_ok: bool = False) -> None:
    """A pointer that may carry no offset (or only a constant one)."""
    name = type_name(reg[0])
    if reg[3] < 0:
        raise Reject(EACCES, f"negative offset {name} ptr R{regno} off={reg[3]} disallowed")
    if not fixed_ok and reg[3]:
        raise Reject(EACCES, f"dereference of modified {name} ptr R{regno} off={reg[3]} disallowed")
    if reg[1].mask or reg[1].value:
        raise Reject(EACCES, f"variable {name} access var_off={tnum_text(reg[1])} disallowed")


def released_whole(ck: Checker, regno: int, reg: Reg) -> None:
    """What is given back is the very pointer that was taken: neither a constant nor a variable may have been added."""
    if reg[3]:
        raise Reject(EINVAL, f"R{regno} must have zero offset when passed to release func or trusted arg to kfunc")
    fixed_offset(ck, regno, reg)


# structures that may be passed on from a constant offset on: what is known to be there, and not another CPU's
_PASSED_ON: Final = frozenset(
    BTF_ID | flags for flags in (0, ALLOC, TRUSTED, RCU, ALLOC | BORROWED, ALLOC | BORROWED | RCU)
)


def argument_offset(ck: Checker, regno: int, reg: Reg) -> None:
    """The offset of a pointer that is passed to a function: to memory any, to structures a constant one, else none."""
    if reg[0] & BASE_MASK not in PLAIN_OFFSET:
        fixed_offset(ck, regno, reg, reg[0] in _PASSED_ON)


def _ctx(
    ck: Checker,
    pc: int,
    regno: int,
    reg: Reg,
    off: int,
    size: int,
    write: bool,
    value: int,
    sx: bool,
) -> None:
    if write:
        _no_leak(ck, value, "ctx")
    fixed_offset(ck, regno, reg)
    result = ck.ctx_rules.access(ck, off, size, write, sx)
    if result is None:
        ck.say(f"invalid bpf_context access off={off} size={size}")
        ck.line_info(pc)
        raise Reject(EACCES)
    ck.fact_access(pc, PtrKind.CTX, None, off)
    if write or value < 0:
        return
    if result[0] == SCALAR:
        known = result[1]
        ck.regs[value] = loaded(size, sx) if known is UNKNOWN else scalar(narrowed(known, size, sx))
    elif result[0] & MAYBE_NULL:
        ck.regs[value] = (result[0], result[1], ck.new_id(), result[3], result[4])
    else:
        ck.regs[value] = result


# --- sockets, flow keys, memory ------------------------------------------------------------------------------------------


def _sock(ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int) -> None:
    kind = reg[0]
    if reg[1].smin < 0:
        raise Reject(EACCES, f"R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.")
    total = off + reg[3]
    if reg[1].mask or not sock_readable(kind, total, size):
        raise Reject(EACCES, f"R{regno} invalid {type_name(kind)} access off={off} size={size}")
    ck.fact_access(pc, PtrKind.SOCK, None, total)


def _flow_keys(ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int) -> None:
    if write:
        _no_leak(ck, value, "flow keys")
    off += reg[3] + reg[1].value  # arithmetic with anything but constants is refused
    if size <= 0 or off < 0 or off + size > FLOW_KEYS_SIZE:
        raise Reject(EACCES, f"invalid access to flow keys off={off} size={size}")
    ck.fact_access(pc, PtrKind.FLOW_KEYS, None, None)


def _mem(ck: Checker, pc: int, regno: int, reg: Reg, off: int, size: int, write: bool, value: int) -> None:
    if write and reg[0] & RDONLY:
        raise Reject(EACCES, f"R{regno} cannot write into {type_name(reg[0])}")
    if reg[0] & UNTRUSTED:
        ck.fact_access(pc, PtrKind.BTF, None, None)
        return
    if write:
        _no_leak(ck, value, "mem")
    region(ck, regno, reg, reg[3] + off, size, reg[4][0], False)
    ck.fact_access(pc, PtrKind.MEM, None, None)


def buffer(ck: Checker, regno: int, reg: Reg, off: int, size: int, what: str) -> None:
    """Memory whose size is asked when the program is attached; here only the offset must be a constant."""
    if off < 0:
        raise Reject(EACCES, f"R{regno} invalid {what} buffer access: off={off}, size={size}")
    if reg[1].mask or reg[1].value:
        raise Reject(EACCES, f"R{regno} invalid variable buffer offset: off={off}, var_off={tnum_text(reg[1])}")


def align_argument(reg: Reg, size: int) -> None:
    """A helper's number in memory must be aligned whatever the machine."""
    _align(reg, 0, size)
