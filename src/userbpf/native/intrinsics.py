"""What a native function can ask of the machine: one row an intrinsic, with its meaning in CPython and in LLVM IR.

A row's `args` says how an argument is handed to the lowering: `v` a value (an i64 operand), `a` an address (a ptr operand),
`c` an int constant, `s` a string literal, `*` any number of values. `inline`, where given, is the CPython expression that
stands for a call, with `{0}`, `{1}` for the arguments: it saves the cost of a Python call.

CPython reaches memory through one memoryview over the whole address space: 25 to 80 ns an access, against 110 for
`c_uint64.from_address`. Addresses are not checked; that is the caller's work at both speeds.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from userbpf.errors import NativeError

if sys.byteorder != "little":  # pragma: no cover
    raise NativeError("userbpf needs a little-endian host: programs, maps and native code share memory byte by byte")

M64: Final = (1 << 64) - 1
M32: Final = (1 << 32) - 1

MEMORY: Final = memoryview((ctypes.c_uint8 * (1 << 62)).from_address(0)).cast("B")
_get16 = struct.Struct("<H").unpack_from
_get32 = struct.Struct("<I").unpack_from
_get64 = struct.Struct("<Q").unpack_from
_put16 = struct.Struct("<H").pack_into
_put32 = struct.Struct("<I").pack_into
_put64 = struct.Struct("<Q").pack_into

# What the inline expressions below may name.
INLINE_NAMES: Final[dict[str, Any]] = {
    "_mem": MEMORY,
    "_get16": _get16,
    "_get32": _get32,
    "_get64": _get64,
    "_put16": _put16,
    "_put32": _put32,
    "_put64": _put64,
    "_memmove": ctypes.memmove,
    "_memset": ctypes.memset,
}


class Builder(Protocol):
    """What a row's lowering may do: emit instructions, declare symbols, add a helper function to the module."""

    def emit(self, instruction: str) -> str:
        """Append `%t = instruction` and return `%t`."""
        ...

    def do(self, instruction: str) -> None:
        """Append an instruction without a result."""
        ...

    def declare(self, declaration: str) -> None:
        """Add a `declare` line to the module, once."""
        ...

    def host(self, name: str) -> str:
        """Declare a symbol of the C library; returns its operand."""
        ...

    def entry_alloca(self, size: int) -> str:
        """A stack slot made in the entry block; returns a ptr operand."""
        ...


Lower = Callable[..., str]


class Intrinsic(NamedTuple):
    name: str
    args: str
    py: Callable[..., int]
    lower: Lower
    inline: str = ""
    effect: bool = False  # the result is not a value worth having; lower returns "0"


ROWS: Final[dict[str, Intrinsic]] = {}
BY_FUNCTION: Final[dict[Callable[..., Any], Intrinsic]] = {}


def _row(py: Callable[..., int], args: str, lower: Lower, inline: str = "", effect: bool = False) -> None:
    row = Intrinsic(py.__name__, args, py, lower, inline, effect)
    ROWS[row.name] = row
    BY_FUNCTION[py] = row


# --- memory ------------------------------------------------------------------------------------------------------------


def load8(a: int) -> int:
    """The byte at a."""
    return MEMORY[a]


def load16(a: int) -> int:
    """The 16-bit little-endian value at a."""
    return _get16(MEMORY, a)[0]  # type: ignore[no-any-return]


def load32(a: int) -> int:
    """The 32-bit little-endian value at a."""
    return _get32(MEMORY, a)[0]  # type: ignore[no-any-return]


def load64(a: int) -> int:
    """The 64-bit little-endian value at a."""
    return _get64(MEMORY, a)[0]  # type: ignore[no-any-return]


def store8(a: int, v: int) -> int:
    """Write the low byte of v."""
    MEMORY[a] = v & 255
    return 0


def store16(a: int, v: int) -> int:
    """Write the low 16 bits of v."""
    _put16(MEMORY, a, v & 0xFFFF)
    return 0


def store32(a: int, v: int) -> int:
    """Write the low 32 bits of v."""
    _put32(MEMORY, a, v & M32)
    return 0


def store64(a: int, v: int) -> int:
    """Write v."""
    _put64(MEMORY, a, v & M64)
    return 0


def _ir_load(bits: int) -> Lower:
    def lower(b: Builder, a: str) -> str:
        t = b.emit(f"load i{bits}, ptr {a}, align 1")
        return t if bits == 64 else b.emit(f"zext i{bits} {t} to i64")

    return lower


def _trunc(b: Builder, v: str, bits: int) -> str:
    return v if bits == 64 else b.emit(f"trunc i64 {v} to i{bits}")


def _ir_store(bits: int) -> Lower:
    def lower(b: Builder, a: str, v: str) -> str:
        b.do(f"store i{bits} {_trunc(b, v, bits)}, ptr {a}, align 1")
        return "0"

    return lower


_row(load8, "a", _ir_load(8), "_mem[{0}]")
_row(load16, "a", _ir_load(16), "_get16(_mem, {0})[0]")
_row(load32, "a", _ir_load(32), "_get32(_mem, {0})[0]")
_row(load64, "a", _ir_load(64), "_get64(_mem, {0})[0]")
_row(store8, "av", _ir_store(8), effect=True)
_row(store16, "av", _ir_store(16), "_put16(_mem, {0}, {1} & 0xFFFF)", effect=True)
_row(store32, "av", _ir_store(32), "_put32(_mem, {0}, {1} & 0xFFFFFFFF)", effect=True)
_row(store64, "av", _ir_store(64), "_put64(_mem, {0}, {1})", effect=True)


def memcpy(dst: int, src: int, n: int) -> int:
    """Copy n bytes between areas that do not overlap."""
    ctypes.memmove(dst, src, n)
    return 0


def memmove(dst: int, src: int, n: int) -> int:
    """Copy n bytes; the areas may overlap."""
    ctypes.memmove(dst, src, n)
    return 0


def memset(dst: int, byte: int, n: int) -> int:
    """Fill n bytes with the low byte of `byte`."""
    ctypes.memset(dst, byte & 255, n)
    return 0


def memeq(a: int, b: int, n: int) -> int:
    """1 where n bytes are equal."""
    return int(ctypes.string_at(a, n) == ctypes.string_at(b, n))


def _ir_copy(name: str) -> Lower:
    def lower(b: Builder, dst: str, src: str, n: str) -> str:
        b.declare(f"declare void @llvm.{name}.p0.p0.i64(ptr, ptr, i64, i1)")
        b.do(f"call void @llvm.{name}.p0.p0.i64(ptr {dst}, ptr {src}, i64 {n}, i1 false)")
        return "0"

    return lower


def _ir_memset(b: Builder, dst: str, byte: str, n: str) -> str:
    b.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    b.do(f"call void @llvm.memset.p0.i64(ptr {dst}, i8 {_trunc(b, byte, 8)}, i64 {n}, i1 false)")
    return "0"


def _ir_memeq(b: Builder, x: str, y: str, n: str) -> str:
    # Declared under its C name, so that LLVM expands it for constant sizes.
    b.declare("declare i32 @memcmp(ptr, ptr, i64) nounwind willreturn memory(argmem: read)")
    t = b.emit(f"call i32 @memcmp(ptr {x}, ptr {y}, i64 {n})")
    return b.emit(f"zext i1 {b.emit(f'icmp eq i32 {t}, 0')} to i64")


_row(memcpy, "aav", _ir_copy("memcpy"), "_memmove({0}, {1}, {2})", effect=True)
_row(memmove, "aav", _ir_copy("memmove"), "_memmove({0}, {1}, {2})", effect=True)
_row(memset, "avv", _ir_memset, "_memset({0}, {1} & 255, {2})", effect=True)
_row(memeq, "aav", _ir_memeq)


def alloca(n: int) -> int:
    """n bytes until the native function returns. Outside of one there is nothing to bind the memory to."""
    raise NativeError(f"alloca({n}) outside of a native function")


def _ir_alloca(b: Builder, n: int) -> str:
    return b.emit(f"ptrtoint ptr {b.entry_alloca(n)} to i64")


_row(alloca, "c", _ir_alloca)


# --- atomics -----------------------------------------------------------------------------------------------------------


@functools.cache
def _hardware(name: str) -> Callable[..., int]:
    """The compiled form of one atomic intrinsic, so that CPython uses the same instruction as native threads."""
    from userbpf.native.code import compile_row

    return compile_row(ROWS[name])


def _rmw(name: str, doc: str) -> Callable[[int, int], int]:
    def atomic(a: int, v: int) -> int:
        return _hardware(name)(a, v)

    atomic.__name__ = atomic.__qualname__ = name
    atomic.__doc__ = doc
    return atomic


def _cas(name: str) -> Callable[[int, int, int], int]:
    def atomic(a: int, expected: int, new: int) -> int:
        return _hardware(name)(a, expected, new)

    atomic.__name__ = atomic.__qualname__ = name
    atomic.__doc__ = "Write `new` where the memory holds `expected`; the old value."
    return atomic


def atomic_load32(a: int) -> int:
    """Load with acquire order."""
    return _get32(MEMORY, a)[0]  # type: ignore[no-any-return]


def atomic_load64(a: int) -> int:
    """Load with acquire order."""
    return _get64(MEMORY, a)[0]  # type: ignore[no-any-return]


def atomic_store32(a: int, v: int) -> int:
    """Store with release order."""
    return _hardware("atomic_store32")(a, v)


def atomic_store64(a: int, v: int) -> int:
    """Store with release order."""
    return _hardware("atomic_store64")(a, v)


atomic_add32 = _rmw("atomic_add32", "Add; the old value.")
atomic_add64 = _rmw("atomic_add64", "Add; the old value.")
atomic_and32 = _rmw("atomic_and32", "And; the old value.")
atomic_and64 = _rmw("atomic_and64", "And; the old value.")
atomic_or32 = _rmw("atomic_or32", "Or; the old value.")
atomic_or64 = _rmw("atomic_or64", "Or; the old value.")
atomic_xor32 = _rmw("atomic_xor32", "Exclusive or; the old value.")
atomic_xor64 = _rmw("atomic_xor64", "Exclusive or; the old value.")
atomic_xchg32 = _rmw("atomic_xchg32", "Exchange; the old value.")
atomic_xchg64 = _rmw("atomic_xchg64", "Exchange; the old value.")
atomic_cmpxchg32 = _cas("atomic_cmpxchg32")
atomic_cmpxchg64 = _cas("atomic_cmpxchg64")


def fence() -> int:
    """A full memory fence."""
    return _hardware("fence")()


def _zext(b: Builder, v: str, bits: int) -> str:
    return v if bits == 64 else b.emit(f"zext i{bits} {v} to i64")


def _ir_atomic_load(bits: int) -> Lower:
    def lower(b: Builder, a: str) -> str:
        return _zext(b, b.emit(f"load atomic i{bits}, ptr {a} acquire, align {bits // 8}"), bits)

    return lower


def _ir_atomic_store(bits: int) -> Lower:
    def lower(b: Builder, a: str, v: str) -> str:
        b.do(f"store atomic i{bits} {_trunc(b, v, bits)}, ptr {a} release, align {bits // 8}")
        return "0"

    return lower


def _ir_rmw(op: str, bits: int) -> Lower:
    def lower(b: Builder, a: str, v: str) -> str:
        return _zext(b, b.emit(f"atomicrmw {op} ptr {a}, i{bits} {_trunc(b, v, bits)} seq_cst"), bits)

    return lower


def _ir_cas(bits: int) -> Lower:
    def lower(b: Builder, a: str, expected: str, new: str) -> str:
        expected, new = _trunc(b, expected, bits), _trunc(b, new, bits)
        pair = b.emit(f"cmpxchg ptr {a}, i{bits} {expected}, i{bits} {new} seq_cst seq_cst")
        return _zext(b, b.emit(f"extractvalue {{ i{bits}, i1 }} {pair}, 0"), bits)

    return lower


def _ir_fence(b: Builder) -> str:
    b.do("fence seq_cst")
    return "0"


_row(atomic_load32, "a", _ir_atomic_load(32), "_get32(_mem, {0})[0]")
_row(atomic_load64, "a", _ir_atomic_load(64), "_get64(_mem, {0})[0]")
_row(atomic_store32, "av", _ir_atomic_store(32), effect=True)
_row(atomic_store64, "av", _ir_atomic_store(64), effect=True)
for _py32, _py64, _op in (
    (atomic_add32, atomic_add64, "add"),
    (atomic_and32, atomic_and64, "and"),
    (atomic_or32, atomic_or64, "or"),
    (atomic_xor32, atomic_xor64, "xor"),
    (atomic_xchg32, atomic_xchg64, "xchg"),
):
    _row(_py32, "av", _ir_rmw(_op, 32))
    _row(_py64, "av", _ir_rmw(_op, 64))
_row(atomic_cmpxchg32, "avv", _ir_cas(32))
_row(atomic_cmpxchg64, "avv", _ir_cas(64))
_row(fence, "", _ir_fence, effect=True)


# --- arithmetic --------------------------------------------------------------------------------------------------------


def neg(v: int) -> int:
    """Two's complement: -v as u64."""
    return -v & M64


def _signed(v: int, bits: int = 64) -> int:
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> (bits - 1) else v


def slt64(a: int, b: int) -> int:
    """Signed a < b."""
    return int(_signed(a) < _signed(b))


def sle64(a: int, b: int) -> int:
    """Signed a <= b."""
    return int(_signed(a) <= _signed(b))


def slt32(a: int, b: int) -> int:
    """Signed a < b of the low 32 bits."""
    return int(_signed(a, 32) < _signed(b, 32))


def sle32(a: int, b: int) -> int:
    """Signed a <= b of the low 32 bits."""
    return int(_signed(a, 32) <= _signed(b, 32))


def sdiv64(a: int, b: int) -> int:
    """Signed division towards zero; undefined for b = 0 and for the smallest number by -1."""
    x, y = _signed(a), _signed(b)
    q = abs(x) // abs(y)
    return (q if (x < 0) == (y < 0) else -q) & M64


def smod64(a: int, b: int) -> int:
    """Signed remainder with the sign of a; undefined where sdiv64 is."""
    x, y = _signed(a), _signed(b)
    r = abs(x) % abs(y)
    return (-r if x < 0 else r) & M64


def sar64(a: int, n: int) -> int:
    """Arithmetic shift right by n modulo 64."""
    return (_signed(a) >> (n & 63)) & M64


def sar32(a: int, n: int) -> int:
    """Arithmetic shift right of the low 32 bits by n modulo 32; zero-extended."""
    return (_signed(a, 32) >> (n & 31)) & M32


def sext8(v: int) -> int:
    """Sign-extend the low byte."""
    return _signed(v, 8) & M64


def sext16(v: int) -> int:
    """Sign-extend the low 16 bits."""
    return _signed(v, 16) & M64


def sext32(v: int) -> int:
    """Sign-extend the low 32 bits."""
    return _signed(v, 32) & M64


def bswap16(v: int) -> int:
    """Swap the low two bytes; the rest of the result is 0."""
    return (v & 0xFF) << 8 | (v >> 8) & 0xFF


def bswap32(v: int) -> int:
    """Swap the low four bytes; the rest of the result is 0."""
    return int.from_bytes((v & M32).to_bytes(4, "little"), "big")


def bswap64(v: int) -> int:
    """Swap eight bytes."""
    return int.from_bytes((v & M64).to_bytes(8, "little"), "big")


def rotl32(v: int, n: int) -> int:
    """Rotate the low 32 bits left by n modulo 32; zero-extended."""
    v, n = v & M32, n & 31
    return (v << n | v >> (32 - n)) & M32


def rotl64(v: int, n: int) -> int:
    """Rotate left by n modulo 64."""
    n &= 63
    return (v << n | v >> (64 - n)) & M64


def mulhi64(a: int, b: int) -> int:
    """The upper half of the unsigned 128-bit product."""
    return a * b >> 64


def ctz64(v: int) -> int:
    """Number of zero bits below the lowest one bit; 64 for 0."""
    return (v & -v).bit_length() - 1 if v else 64


def clz64(v: int) -> int:
    """Number of zero bits above the highest one bit; 64 for 0."""
    return 64 - v.bit_length()


def popcount64(v: int) -> int:
    """Number of one bits."""
    return v.bit_count()


def umin(a: int, b: int) -> int:
    """Unsigned minimum: the builtin `min` of two."""
    return min(a, b)


def umax(a: int, b: int) -> int:
    """Unsigned maximum: the builtin `max` of two."""
    return max(a, b)


def _ir_neg(b: Builder, v: str) -> str:
    return b.emit(f"sub i64 0, {v}")


def _ir_icmp(pred: str, bits: int) -> Lower:
    def lower(b: Builder, x: str, y: str) -> str:
        x, y = _trunc(b, x, bits), _trunc(b, y, bits)
        return b.emit(f"zext i1 {b.emit(f'icmp {pred} i{bits} {x}, {y}')} to i64")

    return lower


def _ir_binary(op: str) -> Lower:
    return lambda b, x, y: b.emit(f"{op} i64 {x}, {y}")


def _ir_sar(bits: int) -> Lower:
    def lower(b: Builder, x: str, n: str) -> str:
        x, n = _trunc(b, x, bits), _trunc(b, n, bits)
        n = b.emit(f"and i{bits} {n}, {bits - 1}")
        return _zext(b, b.emit(f"ashr i{bits} {x}, {n}"), bits)

    return lower


def _ir_sext(bits: int) -> Lower:
    return lambda b, v: b.emit(f"sext i{bits} {_trunc(b, v, bits)} to i64")


def _ir_unary(name: str, bits: int, tail: str = "") -> Lower:
    def lower(b: Builder, v: str) -> str:
        b.declare(f"declare i{bits} @llvm.{name}.i{bits}(i{bits}{', i1' if tail else ''})")
        return _zext(b, b.emit(f"call i{bits} @llvm.{name}.i{bits}(i{bits} {_trunc(b, v, bits)}{tail})"), bits)

    return lower


def _ir_rotl(bits: int) -> Lower:
    def lower(b: Builder, v: str, n: str) -> str:
        b.declare(f"declare i{bits} @llvm.fshl.i{bits}(i{bits}, i{bits}, i{bits})")
        v, n = _trunc(b, v, bits), _trunc(b, n, bits)
        return _zext(b, b.emit(f"call i{bits} @llvm.fshl.i{bits}(i{bits} {v}, i{bits} {v}, i{bits} {n})"), bits)

    return lower


def _ir_mulhi(b: Builder, x: str, y: str) -> str:
    wide = b.emit(f"mul nuw i128 {b.emit(f'zext i64 {x} to i128')}, {b.emit(f'zext i64 {y} to i128')}")
    return b.emit(f"trunc i128 {b.emit(f'lshr i128 {wide}, 64')} to i64")


def _ir_minmax(name: str) -> Lower:
    def lower(b: Builder, x: str, y: str) -> str:
        b.declare(f"declare i64 @llvm.{name}.i64(i64, i64)")
        return b.emit(f"call i64 @llvm.{name}.i64(i64 {x}, i64 {y})")

    return lower


_row(neg, "v", _ir_neg, "-{0} & 0xFFFFFFFFFFFFFFFF")
_row(slt64, "vv", _ir_icmp("slt", 64), "+(({0} ^ 0x8000000000000000) < ({1} ^ 0x8000000000000000))")
_row(sle64, "vv", _ir_icmp("sle", 64), "+(({0} ^ 0x8000000000000000) <= ({1} ^ 0x8000000000000000))")
_row(slt32, "vv", _ir_icmp("slt", 32))
_row(sle32, "vv", _ir_icmp("sle", 32))
_row(sdiv64, "vv", _ir_binary("sdiv"))
_row(smod64, "vv", _ir_binary("srem"))
_row(sar64, "vv", _ir_sar(64))
_row(sar32, "vv", _ir_sar(32))
_row(sext8, "v", _ir_sext(8))
_row(sext16, "v", _ir_sext(16))
_row(sext32, "v", _ir_sext(32))
_row(bswap16, "v", _ir_unary("bswap", 16))
_row(bswap32, "v", _ir_unary("bswap", 32))
_row(bswap64, "v", _ir_unary("bswap", 64))
_row(rotl32, "vv", _ir_rotl(32))
_row(rotl64, "vv", _ir_rotl(64))
_row(mulhi64, "vv", _ir_mulhi, "{0} * {1} >> 64")
_row(ctz64, "v", _ir_unary("cttz", 64, ", i1 false"))
_row(clz64, "v", _ir_unary("ctlz", 64, ", i1 false"), "64 - {0}.bit_length()")
_row(popcount64, "v", _ir_unary("ctpop", 64), "{0}.bit_count()")
_row(umin, "vv", _ir_minmax("umin"))
_row(umax, "vv", _ir_minmax("umax"))
BY_FUNCTION[min] = ROWS["umin"]
BY_FUNCTION[max] = ROWS["umax"]


# --- control and the machine -------------------------------------------------------------------------------------------


def likely(c: int) -> int:
    """The truth of c, expected to be 1."""
    return int(c != 0)


def unlikely(c: int) -> int:
    """The truth of c, expected to be 0."""
    return int(c != 0)


def _ir_expect(truth: int) -> Lower:
    def lower(b: Builder, c: str) -> str:
        b.declare("declare i1 @llvm.expect.i1(i1, i1)")
        bit = b.emit(f"icmp ne i64 {c}, 0")
        return b.emit(f"zext i1 {b.emit(f'call i1 @llvm.expect.i1(i1 {bit}, i1 {truth})')} to i64")

    return lower


@functools.lru_cache(maxsize=4096)
def _callable(addr: int, arity: int) -> Callable[..., int]:
    return ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * arity)(addr)


def call(addr: int, *args: int) -> int:
    """Call the code at addr with u64 arguments; its u64 result."""
    return _callable(addr, len(args))(*args)


def tail_call_to(addr: int, *args: int) -> int:
    """`return tail_call_to(addr, ...)`: a call that takes the caller's place."""
    return _callable(addr, len(args))(*args)


def _ir_call(b: Builder, addr: str, *args: str) -> str:
    target = b.emit(f"inttoptr i64 {addr} to ptr")
    return b.emit(f"call i64 {target}({', '.join(f'i64 {a}' for a in args)})")


def _ir_tail_call(b: Builder, addr: str, *args: str) -> str:
    target = b.emit(f"inttoptr i64 {addr} to ptr")
    return b.emit(f"musttail call i64 {target}({', '.join(f'i64 {a}' for a in args)})")


def pause() -> int:
    """Tell the processor that this is a spin loop; in CPython let other threads run."""
    time.sleep(0)
    return 0


def _ir_pause(b: Builder) -> str:
    machine = os.uname().machine
    if machine in ("x86_64",):
        b.do('call void asm sideeffect "pause", "~{memory},~{dirflag},~{fpsr},~{flags}"()')
    elif machine in ("aarch64", "arm64"):
        b.do('call void asm sideeffect "yield", "~{memory}"()')
    else:
        b.do('call void asm sideeffect "", "~{memory}"()')
    return "0"


def clock_ns(clock_id: int) -> int:
    """clock_gettime(clock_id) in nanoseconds."""
    return time.clock_gettime_ns(clock_id)


def _ir_clock_ns(b: Builder, clock_id: str) -> str:
    ts = b.entry_alloca(16)
    b.do(f"call i32 {b.host('clock_gettime')}(i32 {_trunc(b, clock_id, 32)}, ptr {ts})")
    sec = b.emit(f"load i64, ptr {ts}, align 8")
    nsec = b.emit(f"load i64, ptr {b.emit(f'getelementptr i8, ptr {ts}, i64 8')}, align 8")
    return b.emit(f"add i64 {b.emit(f'mul i64 {sec}, 1000000000')}, {nsec}")


def _sched_yield() -> int:
    os.sched_yield()
    return 0


# C functions without arguments that return an int, by name: what CPython does for them. All exist in every libc.
C_FUNCTIONS: Final[dict[str, Callable[[], int]]] = {
    "sched_yield": _sched_yield,
    "getpid": os.getpid,
}


def extern_call(name: str) -> int:
    """Call a C function of `C_FUNCTIONS`; its int result sign-extended to u64."""
    if name not in C_FUNCTIONS:
        raise NativeError(f"extern_call: no C function {name!r} in the list {', '.join(sorted(C_FUNCTIONS))}")
    return C_FUNCTIONS[name]() & M64


def _ir_extern_call(b: Builder, name: str) -> str:
    return b.emit(f"sext i32 {b.emit(f'call i32 {b.host(name)}()')} to i64")


_row(likely, "v", _ir_expect(1), "+({0} != 0)")
_row(unlikely, "v", _ir_expect(0), "+({0} != 0)")
_row(call, "v*", _ir_call)
_row(tail_call_to, "v*", _ir_tail_call)
_row(pause, "", _ir_pause, effect=True)
_row(clock_ns, "v", _ir_clock_ns)
_row(extern_call, "s", _ir_extern_call)
