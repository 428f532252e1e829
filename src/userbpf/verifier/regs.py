"""Registers as immutable tuples.

A register is `(type, val, id, off, extra)`:

- `type` is one of the ints below, perhaps with flag bits (MAYBE_NULL, RDONLY ...);
- `val` is the scalar value, or of a pointer the variable part of its offset (constant 0 where there is none);
- `id` links copies: scalars that are equal up to a constant, pointers that share a null check or a packet range, 0 for none.
  On a scalar the ADD_CONST bits say that `off` is the distance from the other registers of the id;
- `off` is the constant part of a pointer's offset;
- `extra` is what the type needs besides: see the table.

| type | extra |
|---|---|
| STACK | frame number |
| PACKET, PACKET_META | range: so many bytes from the id's base are known to exist; negative: AT or BEYOND the packet's end |
| MAP_PTR, MAP_VALUE, MAP_KEY | `(map, reference id)`: values of socket maps are references until they are null-checked |
| sockets | id of the reference that the register holds or derives from, 0 for none; found in a map: as MAP_VALUE |
| MEM, BUF | `(size, reference id)`; of a dynptr's slice `dynptr.Slice` |
| BTF_ID | `(type name, btf, type id, reference id)` |
| FUNC | subprogram number |
| DYNPTR | `dynptr.Dyn`; `id` is the dynptr's |

Equality of two registers is tuple equality, and unchanged registers are the same object, so that states compare fast. The
refused alternative, mutable objects with copies, ran at half the speed.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from userbpf.verifier.domain import UNKNOWN, Val, const

Reg: TypeAlias = tuple[int, Val, int, int, Any]
# (eight slot types, highest address first; register where the slot holds a spill)
Slot: TypeAlias = tuple[bytes, Reg | None]

NOT_INIT: Final = 0
SCALAR: Final = 1
CTX: Final = 2
MAP_PTR: Final = 3
MAP_VALUE: Final = 4
MAP_KEY: Final = 5
STACK: Final = 6
PACKET_META: Final = 7
PACKET: Final = 8
PACKET_END: Final = 9
FLOW_KEYS: Final = 10
SOCKET: Final = 11
SOCK_COMMON: Final = 12
TCP_SOCK: Final = 13
XDP_SOCK: Final = 14
TP_BUFFER: Final = 15
BTF_ID: Final = 16
MEM: Final = 17
BUF: Final = 18
FUNC: Final = 19
DYNPTR: Final = 20
ARENA: Final = 21
BASE_MASK: Final = 0xFF

MAYBE_NULL: Final = 0x100
RDONLY: Final = 0x200
RINGBUF: Final = 0x400
TRUSTED: Final = 0x800
UNTRUSTED: Final = 0x1000
RCU: Final = 0x2000
PERCPU: Final = 0x4000
USER: Final = 0x8000
ALLOC: Final = 0x10000  # an object of the program's own
BORROWED: Final = 0x20000  # ... that is on a list or tree: good while the lock is held

# flags of a scalar's id: `off` is its distance from the id, built by 64-bit or by 32-bit additions
ADD_CONST64: Final = 1 << 31
ADD_CONST32: Final = 1 << 30
ADD_CONST: Final = ADD_CONST64 | ADD_CONST32
ID_MASK: Final = ADD_CONST32 - 1

# range of a packet pointer: facts about the end
AT_PKT_END: Final = -1
BEYOND_PKT_END: Final = -2

SOCK_TYPES: Final = frozenset((SOCKET, SOCK_COMMON, TCP_SOCK, XDP_SOCK))
# pointers whose comparison with 0 is predicted; Linux leaves context, stack and packet out
NEVER_NULL: Final = frozenset((MAP_PTR, MAP_VALUE, MAP_KEY, SOCKET, SOCK_COMMON, TCP_SOCK))

NAMES: Final[dict[int, str]] = {
    NOT_INIT: "?",
    SCALAR: "scalar",
    CTX: "ctx",
    MAP_PTR: "map_ptr",
    MAP_VALUE: "map_value",
    MAP_KEY: "map_key",
    STACK: "fp",
    PACKET_META: "pkt_meta",
    PACKET: "pkt",
    PACKET_END: "pkt_end",
    FLOW_KEYS: "flow_keys",
    SOCKET: "sock",
    SOCK_COMMON: "sock_common",
    TCP_SOCK: "tcp_sock",
    XDP_SOCK: "xdp_sock",
    TP_BUFFER: "tp_buffer",
    BTF_ID: "ptr_",
    MEM: "mem",
    BUF: "buf",
    FUNC: "func",
    DYNPTR: "dynptr_ptr",
    ARENA: "arena",
}

# stack slot types, one a byte
ST_INVALID: Final = 0
ST_SPILL: Final = 1
ST_MISC: Final = 2
ST_ZERO: Final = 3
ST_DYNPTR: Final = 4
ST_ITER: Final = 5
ST_IRQ: Final = 6
SLOT_CHARS: Final = "?rm0dif"

ZERO: Final = const(0)
UNINIT: Final[Reg] = (NOT_INIT, UNKNOWN, 0, 0, None)
UNKNOWN_REG: Final[Reg] = (SCALAR, UNKNOWN, 0, 0, None)
ZERO_REG: Final[Reg] = (SCALAR, ZERO, 0, 0, None)
ARENA_REG: Final[Reg] = (ARENA, ZERO, 0, 0, 0)  # somewhere in the arena: where does not matter
CTX_REG: Final[Reg] = (CTX, ZERO, 0, 0, None)
EMPTY_SLOT: Final[Slot] = (bytes(8), None)
SPILLED: Final = bytes([ST_SPILL]) * 8

_CONSTS: Final[dict[int, Reg]] = {}


def scalar(val: Val) -> Reg:
    """A scalar of no id."""
    return UNKNOWN_REG if val is UNKNOWN else (SCALAR, val, 0, 0, None)


def known(value: int) -> Reg:
    """The scalar constant `value` (any u64)."""
    reg = _CONSTS.get(value)
    if reg is None:
        reg = (SCALAR, const(value), 0, 0, None)
        if len(_CONSTS) < 4096:
            _CONSTS[value] = reg
    return reg


def type_name(kind: int) -> str:
    """The type as Linux prints it: `map_value_or_null`, `rdonly_mem` ..."""
    base = kind & BASE_MASK
    prefix = ""
    if kind & RDONLY:
        prefix += "rdonly_"
    if kind & RINGBUF:
        prefix += "ringbuf_"
    if kind & USER:
        prefix += "user_"
    if kind & PERCPU:
        prefix += "percpu_"
    if kind & UNTRUSTED:
        prefix += "untrusted_"
    if kind & TRUSTED:
        prefix += "trusted_"
    if kind & RCU:
        prefix += "rcu_"
    suffix = ""
    if kind & MAYBE_NULL:
        suffix = "or_null_" if base == BTF_ID else "_or_null"
    return f"{prefix}{NAMES[base]}{suffix}"


def ref_of(reg: Reg) -> int:
    """Id of the reference a register holds or derives from; 0 for none."""
    base = reg[0] & BASE_MASK
    if base in SOCK_TYPES:
        found = reg[4]
        return found if isinstance(found, int) else int(found[1])
    if base in (MEM, MAP_VALUE):
        return int(reg[4][1])
    if base == BTF_ID:
        return int(reg[4][3])
    if base == DYNPTR:
        return int(reg[4].ref)
    return 0
