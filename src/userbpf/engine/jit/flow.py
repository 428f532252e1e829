"""What the JIT wants to know of a function before it writes a line: blocks, live registers, and which registers hold pointers.

*Blocks*: only slots that the verifier reached, and of a decided jump only the way it goes.

*Live registers* (backward): a register is carried from block to block only where somebody reads it. One bit a register.

*Pointers* (forward): LLVM optimises memory well when it sees addresses as `ptr` values moved by getelementptr, and poorly when
they are integers turned into addresses at each access (a checksum loop is 5 times slower: nothing is vectorised). eBPF
registers have no types, but pointers come from few places (the context, the frame, loads of pointer fields, map addresses,
results of helpers) and survive moves, additions and spills. A bit says: on every path this register holds a pointer that
LLVM knows as one. Where paths disagree the register is an integer, which is never wrong, only slower. Spilled registers
have bits too, one for each of the 64 slots of the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from userbpf.abi.enums import HelperId
from userbpf.engine.memory import frame_depth
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.spec.argtypes import RetBase
from userbpf.spec.ctx import CtxField
from userbpf.spec.helpers import HELPERS
from userbpf.verifier.api import Fact, PtrKind, VerifiedProg

ALL_REGS: Final = (1 << 10) - 1  # r0..r9; r10 is the frame, always a pointer
ARGS: Final = 0b11_1110  # r1..r5
CALL_CLOBBERS: Final = 0b11_1111  # r0..r5
FP: Final = 1 << 10
SLOT_BIT: Final = 11  # bit of the slot at fp-8
STACK_SLOTS: Final = 64
EVERYTHING: Final = (1 << (SLOT_BIT + STACK_SLOTS)) - 1
POINTER_RETURNS: Final = frozenset(RetBase) - {RetBase.INTEGER, RetBase.VOID}

CALL: Final = op.BPF_JMP | op.BPF_CALL
EXIT: Final = op.BPF_JMP | op.BPF_EXIT
JA: Final = op.BPF_JMP | op.BPF_JA
GOTOL: Final = op.BPF_JMP32 | op.BPF_JA
MAY_GOTO: Final = op.BPF_JMP | op.BPF_JCOND
MOV64_X: Final = op.BPF_ALU64 | op.BPF_MOV | op.BPF_X


@dataclass(slots=True)
class Block:
    """Slots executed one after another. `next` are the pcs that may follow the last one."""

    start: int
    pcs: list[int]
    next: tuple[int, ...]
    live_in: int = 0
    live_out: int = 0
    ptr_in: int = EVERYTHING
    before: list[int] = field(default_factory=list)  # starts of the blocks that lead here


@dataclass(slots=True)
class Function:
    """One subprogram as the JIT sees it."""

    number: int
    start: int
    blocks: dict[int, Block]
    uses_frame: bool
    depth: int  # bytes of the frame
    calls: dict[int, int]  # pc -> subprogram called there
    reads: dict[int, int] = field(default_factory=dict)  # subprogram called -> argument registers it reads


def successors(insn: Insn, pc: int, fact: Fact | None) -> tuple[int, ...] | None:
    """Where a jump or exit may lead; None for every other instruction."""
    cls, code = insn.code & 7, insn.code
    if cls not in (op.BPF_JMP, op.BPF_JMP32) or code == CALL:
        return None
    if code == EXIT:
        return ()
    if code == JA:
        return (pc + 1 + insn.off,)
    if code == GOTOL:
        return (pc + 1 + insn.imm,)
    after, target = pc + 1, pc + 1 + insn.off
    if fact is not None and fact.taken is not None:
        return (target if fact.taken else after,)
    return (after, target) if after != target else (after,)


def function(prog: VerifiedProg, number: int) -> Function:
    """The blocks of one subprogram."""
    sub = prog.subprogs[number]
    insns, facts, live = prog.insns, prog.facts, prog.live
    starts_of = {s.start: n for n, s in enumerate(prog.subprogs)}
    leaders = {sub.start}
    calls: dict[int, int] = {}
    uses_frame = False
    pc = sub.start
    ends: dict[int, tuple[int, ...]] = {}
    while pc < sub.end:
        insn = insns[pc]
        if live[pc]:
            follow = successors(insn, pc, facts[pc])
            if follow is not None:
                ends[pc] = follow
                leaders.update(follow)
                leaders.add(pc + 1)
            elif insn.code == CALL and insn.src == op.BPF_PSEUDO_CALL:
                calls[pc] = starts_of[pc + 1 + insn.imm]
            if insn.src == 10 or insn.dst == 10:
                uses_frame = True
        pc += 2 if insn.code == op.LDDW else 1
    blocks: dict[int, Block] = {}
    work = [sub.start]
    while work:
        start = work.pop()
        if start in blocks:
            continue
        block = blocks[start] = _block(insns, live, leaders, ends, start, sub.end)
        work += block.next
    for block in blocks.values():
        for target in block.next:
            blocks[target].before.append(block.start)
    ordered = dict(sorted(blocks.items()))
    depth = frame_depth(prog, sub) if uses_frame else 0
    return Function(number, sub.start, ordered, uses_frame, depth, calls)


def _block(
    insns: Sequence[Insn], live: bytes, leaders: set[int], ends: dict[int, tuple[int, ...]], start: int, end: int
) -> Block:
    pcs: list[int] = []
    pc = start
    while pc < end and live[pc]:
        pcs.append(pc)
        if pc in ends:
            return Block(start, pcs, ends[pc])
        pc += 2 if insns[pc].code == op.LDDW else 1
        if pc in leaders:
            return Block(start, pcs, (pc,))
    return Block(start, pcs, ())  # runs into what the verifier never saw


# --- live registers ------------------------------------------------------------------------------------------------------


def uses_defs(insn: Insn, arguments: int) -> tuple[int, int]:
    """(registers read, registers written) as bits. `arguments` are the registers that a call reads."""
    cls, code = insn.code & 7, insn.code
    d, s = 1 << insn.dst, 1 << insn.src
    if cls in (op.BPF_ALU, op.BPF_ALU64):
        operation = code & 0xF0
        if operation == op.BPF_END or operation == op.BPF_NEG:
            return d, d
        reads = 0 if operation == op.BPF_MOV else d
        return (reads | s if code & op.BPF_X else reads), d
    if cls == op.BPF_LDX:
        return s, d
    if cls == op.BPF_ST:
        return d, 0
    if cls == op.BPF_STX:
        if code & 0xE0 != op.BPF_ATOMIC:
            return d | s, 0
        if insn.imm == op.BPF_LOAD_ACQ:
            return s, d
        if insn.imm == op.BPF_CMPXCHG:
            return d | s | 1, 1
        return d | s, s if insn.imm != op.BPF_STORE_REL and insn.imm & op.BPF_FETCH else 0
    if cls == op.BPF_LD:
        if code == op.LDDW:
            return 0, d
        reads = 1 << 6 | (s if code & 0xE0 == op.BPF_IND else 0)
        return reads, CALL_CLOBBERS
    if code == CALL:
        return arguments, CALL_CLOBBERS
    if code == EXIT:
        return 1, 0
    if code in (JA, GOTOL, MAY_GOTO):
        return 0, 0
    return (d | s if code & op.BPF_X else d), 0


def call_arity(insn: Insn) -> int:
    """How many argument registers a call reads."""
    if insn.code != CALL or insn.src:
        return 5
    row = HELPERS.get(HelperId(insn.imm))
    if row is None or row.variadic:
        return 5
    longest = max((len(args) for args in (row.variants or {}).values()), default=0)
    return max(len(row.args), longest)


def _arguments(func: Function, insn: Insn, pc: int) -> int:
    callee = func.calls.get(pc)
    if callee is not None:
        return func.reads.get(callee, ARGS)
    return ((1 << call_arity(insn)) - 1) << 1


def find_live(prog: VerifiedProg, func: Function) -> None:
    """Fill in live_in and live_out of all blocks."""
    summary: dict[int, tuple[int, int]] = {}
    for block in func.blocks.values():
        reads = writes = 0
        for pc in reversed(block.pcs):
            insn = prog.insns[pc]
            r, w = uses_defs(insn, _arguments(func, insn, pc) if insn.code == CALL else 0)
            reads = reads & ~w | r
            writes |= w
        summary[block.start] = reads & ALL_REGS, writes
    work = list(reversed(func.blocks.values()))
    queued = set(func.blocks)
    while work:
        block = work.pop(0)
        queued.discard(block.start)
        out = 0
        for target in block.next:
            out |= func.blocks[target].live_in
        reads, writes = summary[block.start]
        block.live_out = out
        new = reads | out & ~writes
        if new != block.live_in:
            block.live_in = new
            for start in block.before:
                if start not in queued:
                    queued.add(start)
                    work.append(func.blocks[start])


# --- pointers ------------------------------------------------------------------------------------------------------------


def slot_bit(off: int) -> int:
    """The bit of the 8-byte slot at fp+off, 0 where off is no slot."""
    return 1 << SLOT_BIT + (-off >> 3) - 1 if off % 8 == 0 and -512 <= off < 0 else 0


def overlapped(off: int, size: int) -> int:
    """The bits of the slots that a store of `size` bytes at fp+off touches."""
    first, last = -(off // 8), -((off + size - 1) // 8)
    bits = 0
    for slot in range(last, first + 1):
        if 1 <= slot <= STACK_SLOTS:
            bits |= 1 << SLOT_BIT + slot - 1
    return bits


class Pointers:
    """The transfer function: which registers and slots hold pointers after an instruction."""

    def __init__(self, prog: VerifiedProg, ctx_pointers: Mapping[int, CtxField]) -> None:
        self.prog = prog
        self.ctx_pointers = ctx_pointers  # context offset -> field that yields a pointer

    def after(self, pc: int, mask: int) -> int:
        """The bits after the instruction at pc, given those before."""
        insn, fact = self.prog.insns[pc], self.prog.facts[pc]
        code, cls = insn.code, insn.code & 7
        d, s = 1 << insn.dst, 1 << insn.src
        if cls == op.BPF_ALU64:
            return self._alu64(insn, mask, d, s)
        if cls == op.BPF_ALU:
            return mask & ~d
        if cls == op.BPF_LDX:
            return mask | d if self._loads_pointer(insn, fact, mask) else mask & ~d
        if cls in (op.BPF_ST, op.BPF_STX):
            return self._store(insn, fact, mask, d, s)
        if code == op.LDDW:
            number = not insn.src or insn.src == op.BPF_PSEUDO_FUNC or (fact is not None and fact.ptr is PtrKind.ARENA)
            return mask & ~d if number else mask | d
        if code == CALL:
            mask &= ~CALL_CLOBBERS
            if not insn.src and HELPERS[HelperId(insn.imm)].ret.base in POINTER_RETURNS:
                mask |= 1
            return mask
        if cls == op.BPF_LD:
            return mask & ~CALL_CLOBBERS
        return mask

    def _alu64(self, insn: Insn, mask: int, d: int, s: int) -> int:
        operation, by_register = insn.code & 0xF0, insn.code & op.BPF_X
        if operation == op.BPF_MOV:
            return mask | d if by_register and insn.off == 0 and mask & s else mask & ~d
        if operation == op.BPF_ADD:
            if not by_register:
                return mask
            pointers = bool(mask & d) + bool(mask & s)
            return mask | d if pointers == 1 else mask & ~d
        if operation == op.BPF_SUB:
            if not by_register or not mask & s:
                return mask
            return mask & ~d
        return mask & ~d

    def _loads_pointer(self, insn: Insn, fact: Fact | None, mask: int) -> bool:
        if fact is None or fact.off is None or insn.code & 0xE0 != op.BPF_MEM:
            return False
        if fact.ptr is PtrKind.CTX:
            return fact.off in self.ctx_pointers
        if fact.ptr is PtrKind.STACK and insn.code & 0x18 == op.BPF_DW:
            return bool(mask & slot_bit(fact.off))
        return False

    def _store(self, insn: Insn, fact: Fact | None, mask: int, d: int, s: int) -> int:
        if insn.code & 0xE0 == op.BPF_ATOMIC:
            _, written = uses_defs(insn, 0)
            mask &= ~written
        if fact is None or fact.ptr is not PtrKind.STACK or fact.off is None:
            return mask
        size = op.SIZE_BYTES[insn.code & 0x18]
        pointer = insn.code & 7 == op.BPF_STX and insn.code & 0xE0 == op.BPF_MEM and size == 8 and mask & s
        mask &= ~overlapped(fact.off, size)
        return mask | slot_bit(fact.off) if pointer else mask


def find_pointers(func: Function, pointers: Pointers, entry: int) -> None:
    """Fill in ptr_in of all blocks: what holds on every path."""
    for block in func.blocks.values():
        block.ptr_in = EVERYTHING
    first = func.blocks[func.start]
    first.ptr_in = entry | FP
    work = [func.start]
    seen: set[int] = set()
    while work:
        start = work.pop()
        seen.add(start)
        block = func.blocks[start]
        mask = block.ptr_in
        for pc in block.pcs:
            mask = pointers.after(pc, mask)
        for target in block.next:
            follower = func.blocks[target]
            new = follower.ptr_in & mask
            if new != follower.ptr_in or target not in seen:
                follower.ptr_in = new
                work.append(target)
