"""Values and registers in words: what an explanation says where Linux's log has its notation."""

from __future__ import annotations

from typing import Final, NamedTuple

from userbpf.btf import Composite, DataSec
from userbpf.verifier.api import MapShape
from userbpf.verifier.domain import S64_MAX, S64_MIN, Val, s64
from userbpf.verifier.log import reg_text
from userbpf.verifier.regs import (
    BASE_MASK,
    BTF_ID,
    CTX,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    NOT_INIT,
    PACKET,
    PACKET_END,
    PACKET_META,
    RCU,
    RINGBUF,
    SCALAR,
    SOCK_COMMON,
    SOCKET,
    STACK,
    TCP_SOCK,
    TRUSTED,
    UNTRUSTED,
    XDP_SOCK,
    Reg,
)

_NAMES: Final = {
    CTX: "the context",
    PACKET: "packet",
    PACKET_META: "packet meta data",
    PACKET_END: "the packet's end",
    SOCKET: "full socket",
    SOCK_COMMON: "socket",
    TCP_SOCK: "TCP socket",
    XDP_SOCK: "XDP socket",
}
U32_MAX: Final = (1 << 32) - 1
HEX_FROM: Final = 1 << 33


def _count(value: int) -> str:
    return hex(value) if abs(value) >= HEX_FROM else str(value)


def number(val: Val) -> str:
    """A number's range: "0 to 31", "any number"."""
    if val.mask == 0:
        return _count(s64(val.value))
    if val.smin < 0:
        if val.smin == S64_MIN and val.smax == S64_MAX:
            if val.u32max < U32_MAX:
                return f"any number, its lower 32 bits {val.u32min} to {val.u32max}"
            return "any number"
        if val.smin == S64_MIN:
            return f"any number up to {_count(val.smax)}, negative ones too"
        return f"{_count(val.smin)} to {_count(val.smax) if val.smax != S64_MAX else 'any'}"
    if val.umin == 0 and val.umax == U32_MAX:
        return "any 32-bit number"
    if val.smax == S64_MAX:
        return "any number that is not negative" if not val.umin else f"{_count(val.umin)} or more"
    return f"{_count(val.umin)} to {_count(val.umax)}"


def value(reg: Reg | None, frameno: int = 0) -> str:
    """What a register holds; Linux's notation for what is seldom seen."""
    if reg is None or reg[0] == NOT_INIT:
        return "nothing"
    kind, val, _, off, _ = reg
    if kind == SCALAR:
        return number(val)
    base = kind & BASE_MASK
    name = _pointer(reg, frameno)
    if name is None:
        return reg_text(reg, frameno)
    if base != STACK and val.mask == 0:
        off += s64(val.value)
    if base != STACK and off:
        name += f" {'+' if off > 0 else '-'} {abs(off)}"
    if val.mask:
        name += f" + ({number(val)})"
    if base in (PACKET, PACKET_META):
        name += f", {max(0, reg[4])} bytes proven"
    return name + (" or NULL" if kind & MAYBE_NULL else "")


def _pointer(reg: Reg, frameno: int) -> str | None:
    kind, val, _, off, extra = reg
    base = kind & BASE_MASK
    if base == STACK:
        at = off + (s64(val.value) if val.mask == 0 else 0)
        return f"fp{at:+d}" if at and extra == frameno else f"fp[{extra}]{at:+d}" if extra != frameno else "fp"
    if base == MAP_VALUE:
        return _map_value(extra[0].shape.name)
    if base == MAP_PTR:
        return f"map {extra[0].shape.name or '(no name)'}"
    if base == BTF_ID:
        trust = next((word for flag, word in _TRUST if kind & flag), "")
        return f"{trust}pointer to {extra[0]}"
    if base == MEM:
        what = "ring buffer record" if kind & RINGBUF else "memory"
        return f"{what} of {extra[0]} bytes"
    return _NAMES.get(base)


def _map_value(name: str) -> str:
    section = name.partition(".")[2]
    if section in ("bss", "data", "rodata") or name.startswith("."):
        return f"global variables (.{section or name[1:]})"
    return f"value of map {name or '(no name)'}"


_TRUST: Final = ((TRUSTED, "trusted "), (RCU, "RCU-protected "), (UNTRUSTED, "untrusted "))


class Part(NamedTuple):
    """A variable or a member that lies at an offset of a map's value."""

    name: str
    off: int
    size: int


def part_of(shape: MapShape, off: int) -> Part | None:
    """The global variable, or the member of the value's structure, that covers an offset."""
    if shape.btf is None or not shape.btf_value_type_id:
        return None
    kind = shape.btf.types[shape.btf_value_type_id] if shape.btf_value_type_id < len(shape.btf.types) else None
    if isinstance(kind, DataSec):
        for var in kind.vars:
            if var.offset <= off < var.offset + var.size:
                return Part(shape.btf.types[var.type].name, var.offset, var.size)
    if isinstance(kind, Composite):
        return _member(kind, off)
    return None


def _member(kind: Composite, off: int) -> Part | None:
    ends = [m.bit_offset // 8 for m in kind.members[1:]] + [kind.size]
    for member, end in zip(kind.members, ends, strict=True):
        start = member.bit_offset // 8
        if member.name and start <= off < end:
            return Part(member.name, start, end - start)
    return None


def plural(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def span(first: int, size: int) -> str:
    """ "byte 8", "bytes 8 to 11"."""
    return f"byte {first}" if size == 1 else f"bytes {first} to {first + size - 1}"


def wanted(text: str) -> str:
    """Linux's list of types: memory has many, which are one thing to a person."""
    types = [t.strip() for t in text.split(",") if t.strip()]
    if len(types) > 4 and "fp" in types and "map_value" in types:
        return "a pointer to memory (stack, map value, packet, ring buffer record ...)"
    if types == ["fp"]:
        return "a pointer to the stack"
    return " or ".join({"trusted_ptr_": "trusted kernel pointer", "ptr_": "kernel pointer"}.get(t, t) for t in types)
