"""Plain Python functions over u64 and raw memory, run by CPython or compiled by LLVM: one source, two speeds.

The language
------------
::

    @native                                      # or @native(inline=True), @native(cold=True), @native(noinline=True)
    def slot_of(key: int, *, base: int, mask: int, hash: NativeFn) -> int:
        '''Address of the slot of a key.'''
        h = hash(load64(key))
        return base + (h & mask) * 16

- *Values* are u64 and wrap around. `+ - * // % << >> & | ^ ~`, unary minus, and comparisons (also chained) are unsigned.
  A comparison and `not` give 0 or 1; `and`, `or` and `a if c else b` are Python's. `/`, `**`, floats, strings: refused.
  Shift counts are taken modulo 64, as in BPF. Division by zero is undefined (CPython raises, compiled code traps or
  worse): the caller guards.
- *Positional parameters* are values. *Keyword-only parameters are compile-time constants*: an int, a `Sym` (an address
  that is bound when the code is linked, so that one machine code serves many maps), or another native function. They may
  have defaults. A branch on a constant condition is dropped before lowering, so it may hold code that makes no sense for
  these constants.
- *Statements*: `x = e`, `a, b = e, f`, `x += e`, annotated assignment, `if/elif/else`, `while`, `break`, `continue`, `return`,
  `pass`, calls. `for i in range(...)` and `for i in (1, 2, 5)` take constants and are unrolled: `i` is a constant in each turn.
  A local whose value is constant on all paths counts as a constant. A name must be assigned on every path before it is
  read. A function that ends without `return` returns 0.
- *Names* from outside (module, closure, `errno.EINVAL`, `MapType.HASH`) must be ints, tuples of ints, `Sym`s, native functions or
  intrinsics; they are read once, at the first use of the function, so the order in a module does not matter.
- *Calls*: other native functions (recursion is allowed), the intrinsics below, and `min`, `max`. Constants are handed down
  by keyword; everything else is positional.
- Anything else raises `NativeError` with file and line, at the first use of the function.

Intrinsics (addresses and values are u64, results too)
    load8 load16 load32 load64 (a)                        any alignment, little endian, zero-extended
    store8 store16 store32 store64 (a, v)                 truncates v
    memcpy(dst, src, n)  memmove(dst, src, n)  memset(dst, byte, n)  memeq(a, b, n) -> 0|1
    alloca(n)                                             n constant, not in a loop: memory until the function returns, 8-aligned
    atomic_load32/64(a)  atomic_store32/64(a, v)          acquire, release; a naturally aligned
    atomic_add32/64 atomic_and32/64 atomic_or32/64 atomic_xor32/64 atomic_xchg32/64 (a, v) -> old value; seq_cst
    atomic_cmpxchg32/64(a, expected, new) -> old value    seq_cst
    fence()                                               seq_cst
    neg(v)                                                two's complement: `return neg(EINVAL)`
    slt64 sle64 slt32 sle32 (a, b) -> 0|1                 signed comparison
    sdiv64 smod64 (a, b)   sar64 sar32 (a, n)   sext8 sext16 sext32 (v)
    bswap16 bswap32 bswap64 (v)  rotl32 rotl64 (v, n)  mulhi64(a, b)  ctz64 clz64 popcount64 (v)   ctz64(0) = clz64(0) = 64
    likely(c) unlikely(c) -> 0|1                          branch weight
    call(addr, *args)                                     call of a code address, u64 arguments and result
    return tail_call_to(addr, *args)                      the same as a guaranteed tail call: as many arguments as the caller has
    pause()                                               in spin loops
    clock_ns(clock_id)                                    clock_gettime in ns
    extern_call("sched_yield")                            a C function of a small list: see `intrinsics.C_FUNCTIONS`

Atomics in CPython are the hardware's too (a compiled function each), so both speeds may work on the same memory at once.

Two speeds
----------
`f(a, b, size=8)` runs f in CPython. To compile::

    m = IrModule()                       # a module of LLVM IR text
    name = m.use(f, size=8, base=Sym("map0", addr))   # an internal LLVM function `i64 @name(i64, ...)`, specialised
    sym = m.extern("helper7", addr)      # declares a symbol; call it or take its address: ptrtoint (ptr @helper7 to i64)
    m.export("prog", f, size=8)          # or: an exported function
    m.add("define i64 @main(i64 %ctx, i64 %rt) { ... }")
    code = m.compile(["main", "prog"])   # = compile_ir(m.text(), m.symbols, exports, opt=2)
    code.addr("main")                    # address; `code` keeps it alive

`compile_ir(text, symbols, exports, opt=2) -> LoadedCode`: optimises and compiles IR text. Machine code comes from a cache on disk
where it is there (USERBPF_CACHE=dir or off, default XDG cache); then LLVM is not even imported. C library symbols that LLVM
or intrinsics need are bound without being asked for.

`compiled(f, size=8) -> callable`: the compiled f as a Python callable, made once. It takes ints, and `bytes` or
`bytearray` objects for addresses of their content. `compile_natives(lookup=(f, {...}), update=(g, {...})) -> NativeSet`
compiles several into one code: `set.lookup(...)` calls, `set.addr("lookup")` is the code address. The GIL is released
during a call (spin locks!), unless `hold_gil=True`.

`f.bind(size=8)` is f with some constants given, itself a native function. `Region` is memory behind a file descriptor.
"""

from userbpf.errors import NativeError
from userbpf.native.code import IrModule, LoadedCode, NativeSet, compile_ir, compile_natives, compiled
from userbpf.native.intrinsics import (
    alloca,
    atomic_add32,
    atomic_add64,
    atomic_and32,
    atomic_and64,
    atomic_cmpxchg32,
    atomic_cmpxchg64,
    atomic_load32,
    atomic_load64,
    atomic_or32,
    atomic_or64,
    atomic_store32,
    atomic_store64,
    atomic_xchg32,
    atomic_xchg64,
    atomic_xor32,
    atomic_xor64,
    bswap16,
    bswap32,
    bswap64,
    call,
    clock_ns,
    clz64,
    ctz64,
    extern_call,
    fence,
    likely,
    load8,
    load16,
    load32,
    load64,
    memcpy,
    memeq,
    memmove,
    memset,
    mulhi64,
    neg,
    pause,
    popcount64,
    rotl32,
    rotl64,
    sar32,
    sar64,
    sdiv64,
    sext8,
    sext16,
    sext32,
    sle32,
    sle64,
    slt32,
    slt64,
    smod64,
    store8,
    store16,
    store32,
    store64,
    tail_call_to,
    unlikely,
)
from userbpf.native.lang import NativeFn, Sym, native
from userbpf.native.region import Region

__all__ = [
    "IrModule",
    "LoadedCode",
    "NativeError",
    "NativeFn",
    "NativeSet",
    "Region",
    "Sym",
    "alloca",
    "atomic_add32",
    "atomic_add64",
    "atomic_and32",
    "atomic_and64",
    "atomic_cmpxchg32",
    "atomic_cmpxchg64",
    "atomic_load32",
    "atomic_load64",
    "atomic_or32",
    "atomic_or64",
    "atomic_store32",
    "atomic_store64",
    "atomic_xchg32",
    "atomic_xchg64",
    "atomic_xor32",
    "atomic_xor64",
    "bswap16",
    "bswap32",
    "bswap64",
    "call",
    "clock_ns",
    "clz64",
    "compile_ir",
    "compile_natives",
    "compiled",
    "ctz64",
    "extern_call",
    "fence",
    "likely",
    "load8",
    "load16",
    "load32",
    "load64",
    "memcpy",
    "memeq",
    "memmove",
    "memset",
    "mulhi64",
    "native",
    "neg",
    "pause",
    "popcount64",
    "rotl32",
    "rotl64",
    "sar32",
    "sar64",
    "sdiv64",
    "sext8",
    "sext16",
    "sext32",
    "sle32",
    "sle64",
    "slt32",
    "slt64",
    "smod64",
    "store8",
    "store16",
    "store32",
    "store64",
    "tail_call_to",
    "unlikely",
]
