"""The checked interpreter: the living definition of what a program does.

It executes one instruction at a time on the memory of this process, with the helper bodies and maps that compiled code uses.
Before each access it asks the memory model (`engine.memory`) whether the bytes are the program's to touch, and it holds the
verifier to its word: what a `Fact` claims of an instruction (through which kind of pointer, at which offset, which branch)
must be so when the instruction runs, and an instruction that the verifier never saw must never run. Any breach raises
`InterpFault`; for a program that the verifier accepted that is a bug of the verifier by definition.

Each instruction is decoded once, into a closure that takes the machine and returns the next pc.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Final, NamedTuple

from userbpf.abi.enums import HelperId
from userbpf.engine import arena, calls
from userbpf.engine.calls import FUNC_TAG, LEAVE, POISON
from userbpf.engine.env import Env
from userbpf.engine.legacy import NO_VALUE, packet_load
from userbpf.engine.memory import ALLOWED, BTF_CTX_SIZE, LOAD, STORE, Frame, Memory, Region, frame_depth
from userbpf.engine.semantics import ALU, COMPARE, M32, M64, SIGNED_ALU, signed, swap
from userbpf.errors import InterpFault
from userbpf.isa import opcodes as op
from userbpf.isa.disasm import disasm, imm64
from userbpf.isa.insn import Insn
from userbpf.isa.opcodes import Form, form_of
from userbpf.native import (
    atomic_add32,
    atomic_add64,
    atomic_and32,
    atomic_and64,
    atomic_cmpxchg32,
    atomic_cmpxchg64,
    atomic_or32,
    atomic_or64,
    atomic_xchg32,
    atomic_xchg64,
    atomic_xor32,
    atomic_xor64,
)
from userbpf.native.intrinsics import store64
from userbpf.native.rt import RT_SCRATCH, RT_SIZE, RT_TAIL_CALLS
from userbpf.spec.ctx import ctx_fields
from userbpf.spec.limits import BPF_MAX_LOOPS, MAX_CALL_FRAMES
from userbpf.verifier.api import Fact, PtrKind, VerifiedProg

DEFAULT_BUDGET: Final = 50_000_000

READ_MODIFY_WRITE: Final = {
    4: {
        op.BPF_ADD: atomic_add32,
        op.BPF_AND: atomic_and32,
        op.BPF_OR: atomic_or32,
        op.BPF_XOR: atomic_xor32,
        op.BPF_XCHG & ~op.BPF_FETCH: atomic_xchg32,
    },
    8: {
        op.BPF_ADD: atomic_add64,
        op.BPF_AND: atomic_and64,
        op.BPF_OR: atomic_or64,
        op.BPF_XOR: atomic_xor64,
        op.BPF_XCHG & ~op.BPF_FETCH: atomic_xchg64,
    },
}


class Step(NamedTuple):
    """One executed instruction: where, and the eleven registers before it."""

    pc: int
    regs: tuple[int, ...]
    depth: int  # frames below this one


Trace = Callable[[Step], None] | MutableSequence[Step]
Op = Callable[["Machine"], int]


class Machine:
    """The state of one run of one program."""

    def __init__(self, prog: VerifiedProg, env: Env, ctx: int, rt: int, budget: Budget, trace: Trace | None) -> None:
        request = prog.request
        self.prog, self.env, self.ctx, self.rt = prog, env, ctx, rt
        self.memory = Memory(ctx, rt, ctx_fields(request.prog_type, int(request.expected_attach_type)))
        self.memory.add(Region(rt + RT_SCRATCH, RT_SIZE - RT_SCRATCH, PtrKind.MEM, "scratch of the run"))
        decoded = _decoded(prog, env)
        self.ops, self.frame_depths = decoded.ops, decoded.depths
        self.budget = budget
        self.trace = trace
        self.regs = [POISON] * 11
        self.depth = 0
        self.pc = 0
        self.frame: Frame | None = None
        self.may_goto_left = 0
        self.place: Callable[..., int] | None = None

    def run(self, entry: int, args: tuple[int, ...]) -> int:
        """Run the function at slot `entry` in a frame of its own; r0."""
        if self.depth >= MAX_CALL_FRAMES:
            raise self.fault(f"call depth above {MAX_CALL_FRAMES}")
        saved = self.regs[6:11], self.pc, self.frame, self.may_goto_left
        frame = self.frame = Frame(self.depth, self.frame_depths[entry])
        self.memory.add(frame.region)
        self.depth += 1
        self.may_goto_left = BPF_MAX_LOOPS
        regs = self.regs
        regs[0:10] = [POISON] * 10
        regs[1 : 1 + len(args)] = args
        regs[10] = frame.fp
        record = None if self.trace is None else self.trace if callable(self.trace) else self.trace.append
        ops, budget, pc = self.ops, self.budget, entry
        while pc != LEAVE:
            self.pc = pc
            budget.left -= 1
            if budget.left < 0:
                raise self.fault("the instruction budget is used up")
            if record is not None:
                record(Step(pc, tuple(regs), self.depth - 1))
            pc = ops[pc](self)
        self.memory.remove(frame.region.start)
        self.depth -= 1
        regs[6:11], self.pc, self.frame, self.may_goto_left = saved
        regs[1:6] = [POISON] * 5
        return regs[0]

    def fault(self, message: str) -> InterpFault:
        """An InterpFault at the current instruction."""
        text = disasm(self.prog.insns, self.pc) if self.pc < len(self.prog.insns) else ""
        return InterpFault(f"{self.pc}: {text}: {message}")

    def check(self, addr: int, size: int, write: bool, fact: Fact | None) -> None:
        """Raise unless the bytes are live, writable where needed, and what the verifier said they are."""
        memory = self.memory
        region = memory.find(addr, size)
        verb = "write" if write else "read"
        if region is None:
            near = memory.nearest(addr)
            beside = f"; nearest is {near.describe(addr)}" if near else ""
            raise self.fault(f"{verb} of {size} bytes at {addr:#x}{beside}")
        if write and not region.writable:
            raise self.fault(f"write to read-only {region.describe(addr)}")
        if fact is None or fact.ptr is None:
            return
        if region.kind not in ALLOWED[fact.ptr]:
            raise self.fault(f"{verb} of {region.describe(addr)} where the verifier saw {fact.ptr.name}")
        maps = self.env.maps
        if fact.map is not None and region.map is not None and maps[fact.map].desc != maps[region.map].desc:
            raise self.fault(f"{verb} of {region.describe(addr)} where the verifier saw map {fact.map}")
        if fact.off is not None and fact.ptr is PtrKind.STACK:
            assert self.frame is not None
            if addr != self.frame.fp + fact.off:
                raise self.fault(f"{verb} at {region.describe(addr)} where the verifier saw fp{fact.off:+d}")

    def in_arena(self, addr: int, size: int) -> int:
        """Where an access through a pointer into the arena goes."""
        if self.place is None:
            found = arena.binding(self.prog.maps, self.env)
            self.place = found.fn.bind(**found.consts).python
        return self.place(self.rt, addr, size)

    def load(self, addr: int, size: int, fact: Fact | None) -> int:
        """A checked load."""
        if fact is not None and fact.ptr is PtrKind.ARENA:
            return LOAD[size](self.in_arena(addr, size))
        if self.memory.in_ctx(addr):
            return self._load_ctx(addr, size, fact)
        self.check(addr, size, False, fact)
        return LOAD[size](addr)

    def store(self, addr: int, size: int, value: int, fact: Fact | None) -> None:
        """A checked store."""
        if fact is not None and fact.ptr is PtrKind.ARENA:
            STORE[size](self.in_arena(addr, size), value)
            return
        if self.memory.in_ctx(addr):
            self._check_ctx(addr, fact)
            if not self.memory.plain_ctx() and self.memory.field(addr, size, True) is None:
                raise self.fault(f"write of {size} bytes at context offset {addr - self.ctx}: no such field")
        else:
            self.check(addr, size, True, fact)
        STORE[size](addr, value)

    def _check_ctx(self, addr: int, fact: Fact | None) -> None:
        off = addr - self.ctx
        if fact is None or fact.ptr is None:
            return
        if fact.ptr is not PtrKind.CTX:
            raise self.fault(f"access at context offset {off} where the verifier saw {fact.ptr.name}")
        if fact.off is not None and fact.off != off:
            raise self.fault(f"access at context offset {off} where the verifier saw {fact.off}")

    def _load_ctx(self, addr: int, size: int, fact: Fact | None) -> int:
        self._check_ctx(addr, fact)
        off = addr - self.ctx
        if self.memory.plain_ctx():
            if size != 8 or off % 8 or off + size > BTF_CTX_SIZE:
                raise self.fault(f"read of {size} bytes at context offset {off}")
            return LOAD[8](addr)
        row = self.memory.field(addr, size, False)
        if row is None:
            raise self.fault(f"read of {size} bytes at context offset {off}: no such field")
        if row.word is not None:
            value = LOAD[8](self.ctx + row.word)
            if row.kind == "flow_keys" or "sock" in row.kind:
                calls.grant_ctx_pointer(self, row.kind, value)
            return value
        if row.kind == "flow_keys":
            value = LOAD[8](addr)
            calls.grant_ctx_pointer(self, row.kind, value)
            return value
        return LOAD[min(size, row.size)](addr)  # a 4-byte read of a 2-byte field: the rest is 0


class Budget:
    """Instructions left, shared by a run and the programs it tail-calls."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def interpret(
    prog: VerifiedProg,
    env: Env,
    ctx: int,
    rt: int,
    trace: Trace | None = None,
    budget: int = DEFAULT_BUDGET,
) -> int:
    """Run a program; r0 as u64. `trace` is called with, or appended, a `Step` before each instruction."""
    store64(rt + RT_TAIL_CALLS, 0)
    return run_program(prog, env, ctx, rt, Budget(budget), trace)


def run_program(prog: VerifiedProg, env: Env, ctx: int, rt: int, budget: Budget, trace: Trace | None) -> int:
    """One program, as the first or as the target of a tail call."""
    return Machine(prog, env, ctx, rt, budget, trace).run(0, (ctx,))


# --- decoding ------------------------------------------------------------------------------------------------------------


class Decoded(NamedTuple):
    """A program as the interpreter wants it."""

    prog: VerifiedProg
    ops: list[Op]
    depths: dict[int, int]  # start of a function -> bytes of its frame


def _decoded(prog: VerifiedProg, env: Env) -> Decoded:
    kept: Decoded | None = env.decoded
    if kept is None or kept.prog is not prog:
        ops = [decode(prog, pc) for pc in range(len(prog.insns))]
        kept = env.decoded = Decoded(prog, ops, {sub.start: frame_depth(prog, sub) for sub in prog.subprogs})
    return kept


def decode(prog: VerifiedProg, pc: int) -> Op:
    """The closure that executes the instruction at `pc`."""
    if not prog.live[pc]:
        return _dead
    insn = prog.insns[pc]
    if pc and prog.insns[pc - 1].code == op.LDDW and insn.code == 0:
        return _dead
    form = form_of(insn)
    if form is None:
        raise InterpFault(f"{pc}: {disasm(prog.insns, pc)}: no such instruction")
    return _DECODE[form.cls](prog, pc, insn, form, prog.facts[pc])


def _dead(m: Machine) -> int:
    raise m.fault("the verifier saw no path to this instruction")


def _alu(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    bits = 64 if form.cls == op.BPF_ALU64 else 32
    mask = M64 if bits == 64 else M32
    d, s, after = insn.dst, insn.src, pc + 1
    if form.op == op.BPF_END:
        return _end(insn, after)
    if form.op == op.BPF_NEG:

        def negate(m: Machine) -> int:
            m.regs[d] = -m.regs[d] & mask
            return after

        return negate
    if form.name == "addr_space_cast":
        return _cast(prog, insn, after)
    if form.op == op.BPF_MOV and insn.off:
        width = insn.off

        def move_signed(m: Machine) -> int:
            m.regs[d] = signed(m.regs[s], width) & mask
            return after

        return move_signed
    meaning = (SIGNED_ALU if insn.off == 1 else ALU)[form.op]
    if form.source == op.BPF_X:

        def with_register(m: Machine) -> int:
            r = m.regs
            r[d] = meaning(r[d] & mask, r[s] & mask, bits) & mask
            return after

        return with_register
    imm = insn.imm & mask

    def with_constant(m: Machine) -> int:
        r = m.regs
        r[d] = meaning(r[d] & mask, imm, bits) & mask
        return after

    return with_constant


def _cast(prog: VerifiedProg, insn: Insn, after: int) -> Op:
    d, s = insn.dst, insn.src
    upper = arena.upper(prog.maps) if insn.imm != 1 else 0

    def cast(m: Machine) -> int:
        low = m.regs[s] & M32
        m.regs[d] = low | upper if low else 0
        return after

    return cast


def _end(insn: Insn, after: int) -> Op:
    d, width = insn.dst, insn.imm
    keeps = insn.code == op.BPF_ALU | op.BPF_END | op.BPF_TO_LE  # little endian on a little-endian machine
    mask = (1 << width) - 1

    def convert(m: Machine) -> int:
        value = m.regs[d] & mask
        m.regs[d] = value if keeps else swap(value, width)
        return after

    return convert


def _jmp(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    after, target = pc + 1, pc + 1 + insn.off
    match form.name:
        case "ja":
            return lambda m: target
        case "gotol":
            far = pc + 1 + insn.imm
            return lambda m: far
        case "exit":
            return lambda m: LEAVE
        case "may_goto":
            return _may_goto(after, target)
        case "call_pseudo":
            return calls.subprogram(pc + 1 + insn.imm, after)
        case "call":
            return calls.helper(prog, HelperId(insn.imm), fact, after)
        case "call_kfunc":
            return calls.kfunc(insn.imm, after)
    bits = 64 if form.cls == op.BPF_JMP else 32
    mask = M64 if bits == 64 else M32
    d, s = insn.dst, insn.src
    holds = COMPARE[form.op]
    imm = insn.imm & mask
    by_register = form.source == op.BPF_X
    taken = None if fact is None else fact.taken

    def jump(m: Machine) -> int:
        r = m.regs
        goes = holds(r[d] & mask, r[s] & mask if by_register else imm, bits)
        if taken is not None and goes is not taken:
            raise m.fault(f"the jump is {'' if goes else 'not '}taken, the verifier saw it otherwise")
        return target if goes else after

    return jump


def _may_goto(after: int, target: int) -> Op:
    def may_goto(m: Machine) -> int:
        if not m.may_goto_left:
            return target
        m.may_goto_left -= 1
        return after

    return may_goto


def _ld(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    if insn.code == op.LDDW:
        return _lddw(prog, pc, insn, form, fact)
    load = packet_load.bind(size=form.size).python
    indirect, src, imm = form.op == op.BPF_IND, insn.src, insn.imm

    def load_packet(m: Machine) -> int:
        off = (m.regs[src] if indirect else 0) + imm & M32
        value = load(m.ctx, off)
        m.regs[1:6] = [POISON] * 5
        m.regs[0] = 0 if value == NO_VALUE else value
        return LEAVE if value == NO_VALUE else pc + 1

    return load_packet


def _lddw(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    d, after = insn.dst, pc + 2
    value = imm64(prog.insns, pc)
    match form.name:
        case "lddw":

            def constant(m: Machine) -> int:
                m.regs[d] = value
                return after

            return constant
        case "lddw_func":
            number = calls.subprog_at(prog, pc + 1 + insn.imm)

            def function(m: Machine) -> int:
                m.regs[d] = FUNC_TAG + number
                return after

            return function
        case "lddw_map_fd" | "lddw_map_idx":

            def map_pointer(m: Machine) -> int:
                assert fact is not None and fact.map is not None
                m.regs[d] = m.env.maps[fact.map].desc
                return after

            return map_pointer
        case "lddw_map_value" | "lddw_map_idx_value":

            def map_value(m: Machine) -> int:
                assert fact is not None and fact.map is not None
                if fact.ptr is PtrKind.ARENA:
                    m.regs[d] = prog.maps[fact.map].user_start + (value >> 32) & M64
                    return after
                m.regs[d] = calls.grant_map_values(m, fact.map) + (value >> 32)
                return after

            return map_value
    return _no_kernel_symbol


def _no_kernel_symbol(m: Machine) -> int:
    raise m.fault("there are no kernel variables here")


def _ldx(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    d, s, off, size, after = insn.dst, insn.src, insn.off, form.size, pc + 1
    if form.op == op.BPF_MEMSX:
        bits = size * 8

        def load_signed(m: Machine) -> int:
            m.regs[d] = signed(m.load(m.regs[s] + off & M64, size, fact), bits) & M64
            return after

        return load_signed

    def load(m: Machine) -> int:
        m.regs[d] = m.load(m.regs[s] + off & M64, size, fact)
        return after

    return load


def _st(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    d, off, size, imm, after = insn.dst, insn.off, form.size, insn.imm & M64, pc + 1

    def store(m: Machine) -> int:
        m.store(m.regs[d] + off & M64, size, imm, fact)
        return after

    return store


def _stx(prog: VerifiedProg, pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    if form.op == op.BPF_ATOMIC:
        return _atomic(pc, insn, form, fact)
    d, s, off, size, after = insn.dst, insn.src, insn.off, form.size, pc + 1

    def store(m: Machine) -> int:
        m.store(m.regs[d] + off & M64, size, m.regs[s], fact)
        return after

    return store


def _atomic(pc: int, insn: Insn, form: Form, fact: Fact | None) -> Op:
    d, s, off, size, imm, after = insn.dst, insn.src, insn.off, form.size, insn.imm, pc + 1

    in_arena = fact is not None and fact.ptr is PtrKind.ARENA

    def lost(m: Machine, addr: int) -> bool:
        return in_arena and addr == m.rt + RT_SCRATCH  # no page there: what is fetched stays as it is

    def load_acquire(m: Machine) -> int:
        m.regs[d] = m.load(m.regs[s] + off & M64, size, fact)
        return after

    def store_release(m: Machine) -> int:
        m.store(m.regs[d] + off & M64, size, m.regs[s], fact)
        return after

    def address(m: Machine) -> int:
        addr = m.regs[d] + off & M64
        if in_arena:
            return m.in_arena(addr, size)
        if addr % size:
            raise m.fault(f"atomic access at {addr:#x}, which is not aligned to {size} bytes")
        m.check(addr, size, True, fact)
        return addr

    exchange = atomic_cmpxchg64 if size == 8 else atomic_cmpxchg32
    mask = M64 if size == 8 else M32

    def cmpxchg(m: Machine) -> int:
        addr = address(m)
        old = exchange(addr, m.regs[0] & mask, m.regs[s] & mask)
        m.regs[0] = m.regs[0] & mask if lost(m, addr) else old
        return after

    if imm == op.BPF_LOAD_ACQ:
        return load_acquire
    if imm == op.BPF_STORE_REL:
        return store_release
    if imm == op.BPF_CMPXCHG:
        return cmpxchg
    act = READ_MODIFY_WRITE[size][imm & ~op.BPF_FETCH]
    fetches = bool(imm & op.BPF_FETCH)

    def modify(m: Machine) -> int:
        addr = address(m)
        old = act(addr, m.regs[s] & mask)
        if fetches:
            m.regs[s] = m.regs[s] & mask if lost(m, addr) else old
        return after

    return modify


_DECODE: Final[dict[int, Callable[[VerifiedProg, int, Insn, Form, Fact | None], Op]]] = {
    op.BPF_LD: _ld,
    op.BPF_LDX: _ldx,
    op.BPF_ST: _st,
    op.BPF_STX: _stx,
    op.BPF_ALU: _alu,
    op.BPF_JMP: _jmp,
    op.BPF_JMP32: _jmp,
    op.BPF_ALU64: _alu,
}
