"""Calls in the interpreter: helpers with their arguments checked, subprograms, callbacks, tail calls.

A helper's body is trusted, its arguments are not: before the body runs, every argument that the helper's row calls memory
must be live for as many bytes as the row says. What the helper returns becomes a live region of its kind, so that the
program may use exactly that.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId, MapType
from userbpf.engine.env import HelperImpl, HelperMissing
from userbpf.engine.memory import Region
from userbpf.engine.walk import E2BIG, EINVAL, LOCAL_DYNPTR, WALK_ENTRY
from userbpf.maps.ringbuf import MAX_SAMPLES, WAKEUP_FLAGS, begin_drain, end_drain, next_sample, pass_sample
from userbpf.native.intrinsics import call, load32, load64, store64
from userbpf.native.rt import (
    DESC_FLAGS,
    DESC_KEY_SIZE,
    DESC_MAX_ENTRIES,
    DESC_NEXT,
    DESC_TYPE,
    DESC_VALUE_SIZE,
    RT_TAIL_CALLS,
    TAIL_CALL_LIMIT,
)
from userbpf.spec.argtypes import MEM_FIXED_SIZE, MEM_WRITE, Arg, ArgBase, RetBase
from userbpf.spec.ctx import FLOW_KEYS_SIZE, POINTEE
from userbpf.spec.helpers import HELPERS, HelperRow
from userbpf.spec.limits import BPF_MAX_LOOPS
from userbpf.verifier.api import Fact, PtrKind, VerifiedProg

if TYPE_CHECKING:
    from userbpf.engine.interp import Machine, Op

M64: Final = (1 << 64) - 1
POISON: Final = 0xDEAD_BEEF_DEAD_BEEF  # what a call leaves in r1..r5
FUNC_TAG: Final = 0x7BF0_0000_0000_0000  # a callback "address" is this plus the subprogram's number
LEAVE: Final = -1  # the next pc after an exit
BPF_F_RDONLY_PROG: Final = 1 << 7
BPF_SOCK_SIZE: Final = 80

_HOLDS_NO_VALUES: Final = frozenset(
    {MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.SOCKMAP, MapType.SOCKHASH, MapType.XSKMAP}
)
_SIZES: Final = (ArgBase.CONST_SIZE, ArgBase.CONST_SIZE_OR_ZERO)


def subprog_at(prog: VerifiedProg, start: int) -> int:
    """The number of the subprogram that begins at a slot."""
    for number, sub in enumerate(prog.subprogs):
        if sub.start == start:
            return number
    raise KeyError(start)


def subprogram(target: int, after: int) -> Op:
    """call pc+n."""

    def call(m: Machine) -> int:
        m.run(target, tuple(m.regs[1:6]))
        return after

    return call


# --- helpers -------------------------------------------------------------------------------------------------------------


def helper(prog: VerifiedProg, number: HelperId, fact: Fact | None, after: int) -> Op:
    """call bpf_x: one of the engine's own, or the environment's body."""
    row = HELPERS[number]
    args = row.args_for(prog.request.prog_type)
    own = _OWN.get(number)

    def call(m: Machine) -> int:
        values = m.regs[1:6]
        check_arguments(m, args, values, fact)
        if own is not None:
            result = own(m, values)
            if result is None:
                return LEAVE
        else:
            result = body(m, m.env.helpers.get(number), row.c_name, len(args) if not row.variadic else 5, values, fact)
        m.regs[0] = result & M64
        m.regs[1:6] = [POISON] * 5
        grant(m, row, result & M64, values)
        return after

    return call


def body(m: Machine, impl: HelperImpl | None, name: str, arity: int, values: Sequence[int], fact: Fact | None) -> int:
    """Run a helper's native body at CPython speed, or its Python body."""
    if impl is None:
        raise HelperMissing(f"{m.pc}: {name} does not run here")
    binding = impl.binding(m.env, fact, arity)
    if binding is not None:
        return binding.fn(m.rt, *[values[i - 1] for i in binding.args], **binding.consts)
    if impl.py is None:
        raise HelperMissing(f"{m.pc}: {name} does not run here")
    return impl.py(m.env.kernel, m.rt, *values)


def kfunc(number: int, after: int) -> Op:
    """call kernel-function."""

    def call(m: Machine) -> int:
        impl = m.env.kfuncs.get(number)
        values = m.regs[1:6]
        result = body(m, impl, f"kernel function {number}", 5, values, None) & M64
        if result and impl is not None and impl.name.startswith("bpf_dynptr_slice"):
            m.memory.add(Region(result, values[3] & 0xFFFFFFFF, PtrKind.MEM, "slice of a dynptr"))
        m.regs[0] = result
        m.regs[1:6] = [POISON] * 5
        return after

    return call


def check_arguments(m: Machine, args: Sequence[Arg], values: Sequence[int], fact: Fact | None) -> None:
    """Every argument that is memory must be live."""
    desc = 0
    for number, arg in enumerate(args):
        value = values[number]
        size = 0
        match arg.base:
            case ArgBase.CONST_MAP_PTR:
                desc = value
                if fact is not None and fact.map is not None and m.env.maps[fact.map].desc != desc:
                    raise m.fault(f"r{number + 1} is not the map that the verifier saw")
            case ArgBase.PTR_TO_MAP_KEY:
                size = load32(desc + DESC_KEY_SIZE)
            case ArgBase.PTR_TO_MAP_VALUE:
                size = load32(desc + DESC_VALUE_SIZE)
            case ArgBase.PTR_TO_MEM if arg.flags & MEM_FIXED_SIZE:
                size = arg.size
            case ArgBase.PTR_TO_MEM if number + 1 < len(args) and args[number + 1].base in _SIZES:
                size = values[number + 1] & 0xFFFFFFFF
            case ArgBase.PTR_TO_DYNPTR:
                size = 16
            case ArgBase.PTR_TO_CTX:
                if value != m.ctx and not (arg.maybe_null and value == 0):
                    raise m.fault(f"r{number + 1} is not the context")
        if size and not (arg.maybe_null and value == 0):
            m.check(value, size, bool(arg.flags & MEM_WRITE), None)
        if arg.base is ArgBase.PTR_TO_MAP_KEY and fact is not None and fact.key is not None:
            if load32(value) != fact.key:
                raise m.fault(f"the key is {load32(value)} where the verifier saw {fact.key}")


# --- what a program may touch afterwards ---------------------------------------------------------------------------------


def grant(m: Machine, row: HelperRow, result: int, values: Sequence[int]) -> None:
    """Make live what a helper returned, and end what it released."""
    if row.id in (HelperId.ringbuf_submit, HelperId.ringbuf_discard):
        m.memory.remove(values[0])
    if not result:
        return
    match row.ret.base:
        case RetBase.PTR_TO_MAP_VALUE:
            grant_value(m, values[0], result)
        case RetBase.PTR_TO_SOCKET | RetBase.PTR_TO_SOCK_COMMON | RetBase.PTR_TO_TCP_SOCK:
            size = max(f.off + f.size for f in POINTEE["tcp_sock"]) if "tcp" in row.name else BPF_SOCK_SIZE
            m.memory.add(Region(result, size, PtrKind.SOCK, "socket", writable=False))
        case RetBase.PTR_TO_MEM:
            size = values[2] if row.id == HelperId.dynptr_data else values[1]
            m.memory.add(Region(result, size, PtrKind.MEM, "ring buffer record" if size == values[1] else "memory"))


def grant_value(m: Machine, desc: int, addr: int) -> None:
    """A value of a map is live from now on."""
    if load32(desc + DESC_TYPE) in _HOLDS_NO_VALUES:
        return
    index = m.env.map_index(desc)
    name = "value of an inner map" if index is None else f"value of map {index}"
    writable = not load32(desc + DESC_FLAGS) & BPF_F_RDONLY_PROG
    m.memory.add(Region(addr, load32(desc + DESC_VALUE_SIZE), PtrKind.MAP_VALUE, name, writable, index))


def grant_map_values(m: Machine, index: int) -> int:
    """The only value of an array map is live; its address."""
    base = m.env.maps[index].value_base
    grant_value(m, m.env.maps[index].desc, base)
    return base


def grant_ctx_pointer(m: Machine, kind: str, addr: int) -> None:
    """What a pointer in the context leads to is live."""
    if not addr:
        return
    if kind == "flow_keys":
        m.memory.add(Region(addr, FLOW_KEYS_SIZE, PtrKind.FLOW_KEYS, "flow keys"))
    else:
        m.memory.add(Region(addr, BPF_SOCK_SIZE, PtrKind.SOCK, "socket", writable=False))


# --- the engine's own helpers --------------------------------------------------------------------------------------------


def _tail_call(m: Machine, values: Sequence[int]) -> int | None:
    """Become another program: its r0 is the result of the function that called. Where there is none, go on."""
    _, desc, index, *_rest = values
    index &= 0xFFFFFFFF
    made = load64(m.rt + RT_TAIL_CALLS)
    if index >= load32(desc + DESC_MAX_ENTRIES) or made >= TAIL_CALL_LIMIT or m.env.tail_target is None:
        return POISON
    found = m.env.tail_target(desc, index)
    if found is None:
        return POISON
    store64(m.rt + RT_TAIL_CALLS, made + 1)
    from userbpf.engine.interp import run_program

    prog, env = found
    m.regs[0] = run_program(prog, env, m.ctx, m.rt, m.budget, m.trace)
    return None


def _callback(m: Machine, address: int) -> Callable[..., int]:
    number = address - FUNC_TAG
    if not 0 <= number < len(m.prog.subprogs):
        raise m.fault(f"{address:#x} is no function")
    start = m.prog.subprogs[number].start
    return lambda *args: m.run(start, args)


def _loop(m: Machine, values: Sequence[int]) -> int:
    """bpf_loop(nr_loops, callback_fn, callback_ctx, flags)."""
    count, address, data, flags, _rest = values
    count &= 0xFFFFFFFF
    if flags:
        return -EINVAL
    if count > BPF_MAX_LOOPS:
        return -E2BIG
    callback = _callback(m, address)
    for i in range(count):
        if callback(i, data):
            return i + 1
    return count


def _for_each(m: Machine, values: Sequence[int]) -> int:
    """bpf_for_each_map_elem(map, callback_fn, callback_ctx, flags)."""
    desc, address, data, flags, _rest = values
    if flags:
        return -EINVAL
    callback = _callback(m, address)
    cells = (ctypes.c_uint64 * (1 + WALK_ENTRY // 8))()
    cursor = ctypes.addressof(cells)
    entry = cursor + 8
    step = load64(desc + DESC_NEXT)
    count = 0
    while call(step, m.rt, desc, cursor, entry):
        count += 1
        key, value = load64(entry), load64(entry + 8)
        m.memory.add(Region(key, load32(desc + DESC_KEY_SIZE), PtrKind.MEM, "map key", writable=False))
        grant_value(m, desc, value)
        if callback(desc, key, value, data):
            break
    m.memory.remove(entry + 16)
    return count


def _drain(m: Machine, values: Sequence[int]) -> int:
    """bpf_user_ringbuf_drain(map, callback_fn, callback_ctx, flags)."""
    desc, address, data, flags, _rest = values
    if flags & ~WAKEUP_FLAGS:
        return -EINVAL
    callback = _callback(m, address)
    if busy := begin_drain(desc):
        return busy
    cells = (ctypes.c_uint64 * 4)()
    sample = ctypes.addressof(cells)
    ptr = sample + 16
    m.memory.add(Region(ptr, 16, PtrKind.MEM, "dynptr of a record", writable=False))
    result = 0
    try:
        for _ in range(MAX_SAMPLES):
            total = next_sample(desc, sample)
            if total >> 63:
                return total
            if not total:
                break
            stop = 0
            if cells[0]:
                cells[2], cells[3] = cells[0], cells[1] | LOCAL_DYNPTR
                result += 1
                stop = callback(ptr, data)
                m.memory.remove(cells[0])
            pass_sample(desc, total)
            if stop:
                break
    finally:
        m.memory.remove(ptr)
        end_drain(desc)
    return result


def _timer_set_callback(m: Machine, values: Sequence[int]) -> int:
    """bpf_timer_set_callback(timer, callback_fn): what runs later is this program in this environment."""
    timer, address, *_rest = values
    number = address - FUNC_TAG
    if not 0 <= number < len(m.prog.subprogs):
        raise m.fault(f"{address:#x} is no function")
    prog, env, budget = m.prog, m.env, type(m.budget)

    def run(rt: int, desc: int, key: int, value: int) -> int:
        from userbpf.engine.interp import DEFAULT_BUDGET, Machine

        later = Machine(prog, env, 0, rt, budget(DEFAULT_BUDGET), None)
        later.memory.add(Region(key, load32(desc + DESC_KEY_SIZE), PtrKind.MEM, "map key", writable=False))
        grant_value(later, desc, value)
        return later.run(prog.subprogs[number].start, (desc, key, value))

    return int(m.env.kernel.timers.set_callback(timer, run, (prog, env)))


_OWN: Final[dict[HelperId, Callable[[Machine, Sequence[int]], int | None]]] = {
    HelperId.tail_call: _tail_call,
    HelperId.timer_set_callback: _timer_set_callback,
    HelperId.loop: _loop,
    HelperId.for_each_map_elem: _for_each,
    HelperId.user_ringbuf_drain: _drain,
}
