"""Conditional jumps: which ways are open, and what is known on each.

A way that is impossible is not taken; then the operands mattered. Where both are open, the jump is pushed for later
and the checker goes on behind the jump. What a comparison tells about one register holds for all that are linked to
it: scalars of one id, pointers of one null check, packet pointers of one base.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import MapType
from userbpf.spec.limits import MAX_PACKET_OFF
from userbpf.verifier import btfptr, locks, timers
from userbpf.verifier.domain import (
    ADD,
    JEQ,
    JGE,
    JGT,
    JLE,
    JLT,
    JNE,
    U32,
    U64,
    Branch,
    Val,
    alu,
    branch,
    branch_reports,
    branch_self,
    const,
    self_reports,
)
from userbpf.verifier.regs import (
    ADD_CONST,
    ADD_CONST32,
    ALLOC,
    AT_PKT_END,
    BASE_MASK,
    BEYOND_PKT_END,
    BTF_ID,
    ID_MASK,
    MAP_PTR,
    MAP_VALUE,
    MAYBE_NULL,
    MEM,
    NEVER_NULL,
    NOT_INIT,
    PACKET,
    PACKET_END,
    PACKET_META,
    SCALAR,
    SOCKET,
    ST_SPILL,
    STACK,
    UNTRUSTED,
    XDP_SOCK,
    ZERO,
    ZERO_REG,
    Reg,
    ref_of,
)
from userbpf.verifier.reject import EACCES, EINVAL, Reject
from userbpf.verifier.state import NO_NUMBER, State
from userbpf.verifier.widen import previous, widen

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.verifier.check import Checker, Step
    from userbpf.verifier.maps import MapUse

MAX_LINKED: Final = 6


def compile_jump(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    is32 = code & 7 == 6
    op = code & 0xF0
    if op == 0xE0:
        return _compile_may_goto(ck, pc, insn)
    ck.must_read(d)
    if code & 8:
        if imm:
            raise Reject(EINVAL, "BPF_JMP/JMP32 uses reserved fields")
        ck.must_read(s)
    elif s:
        raise Reject(EINVAL, "BPF_JMP/JMP32 uses reserved fields")
    target = pc + off + 1
    by_reg = bool(code & 8)
    constant: Reg = (SCALAR, const(imm & U64), 0, 0, None)

    def step(ck: Checker) -> int:
        regs = ck.regs
        dst = regs[d]
        src = regs[s] if by_reg else constant
        if dst[0] == NOT_INIT:
            raise Reject(EACCES, f"R{d} !read_ok")
        if src[0] == NOT_INIT:
            raise Reject(EACCES, f"R{s} !read_ok")
        if by_reg and src[0] != SCALAR and not ck.allow_ptr_leaks and not _pkt_pair(dst, src):
            raise Reject(EACCES, f"R{s} pointer comparison prohibited")
        result = None
        reports = None
        if dst[0] == SCALAR and src[0] == SCALAR:
            if by_reg and d == s:
                pred, jumps, falls = branch_self(op, is32, dst[1])
                result = (pred, jumps, jumps, falls, falls)
                if pred is None and self_reports:
                    reports = self_reports.get((op, is32, dst[1]))
            else:
                result = branch(op, is32, dst[1], src[1])
                pred = result[0]
                if pred is None and branch_reports:
                    reports = branch_reports.get((op, is32, dst[1], src[1]))
        else:
            if dst[0] == STACK or src[0] == STACK:
                ck.note_stack(NO_NUMBER, (dst[0] == STACK) << d | (src[0] == STACK) << s)
            pred = _predict_pointer(dst, src, op, is32 and not ck.mirror)
        if pred is not None:
            if dst[0] == SCALAR:
                ck.mark_precise(d)
            if by_reg and src[0] == SCALAR:
                ck.mark_precise(s)
            ck.fact_taken(pc, pred)
            ck.print_state_now()
            return target if pred else pc + 1
        ck.fact_taken(pc, None)
        _both_ways(ck, pc, target, d, s if by_reg else -1, dst, src, op, is32, result, reports)
        return pc + 1

    return step


def _both_ways(
    ck: Checker,
    pc: int,
    target: int,
    d: int,
    s: int,
    dst: Reg,
    src: Reg,
    op: int,
    is32: bool,
    result: Branch | None,
    reports: tuple[str, ...] | None,
) -> None:
    """The path goes on behind the jump, and later at its target, each with what the comparison tells; `s`: -1 for a constant."""
    regs = ck.regs
    linked = None
    if s >= 0 and src[0] == SCALAR and src[2]:
        linked = _collect(ck, src[2], [])
    if dst[0] == SCALAR and dst[2]:
        linked = _collect(ck, dst[2], linked or [])
    if linked:
        dst = regs[d]
        if s >= 0:
            src = regs[s]
        if len(linked) > 1:
            ck.note_linked(tuple(linked))
        else:
            linked = None
    other = ck.push(target, pc)
    if reports:
        for text in reports:
            ck.contradiction(text)
    _split(ck, ck.st, other, d, s, dst, src, op, is32, result)
    if linked:
        if s >= 0 and src[0] == SCALAR and src[2]:
            _sync(ck.st, regs[s], linked, ck)
            _sync(other, other.frames[-1].regs[s], linked, ck)
        if dst[0] == SCALAR and dst[2]:
            _sync(ck.st, regs[d], linked, ck)
            _sync(other, other.frames[-1].regs[d], linked, ck)
    ck.print_state_now()


def _pkt_pair(a: Reg, b: Reg) -> bool:
    kinds = {a[0], b[0]}
    return kinds in ({PACKET, PACKET_END}, {PACKET_META, PACKET})


# --- predictions -----------------------------------------------------------------------------------------------------------


def _predict_pointer(dst: Reg, src: Reg, op: int, is32: bool) -> bool | None:
    if is32:
        return None
    if dst[0] != SCALAR and src[0] != SCALAR:
        return _predict_packet(dst, src, op)
    ptr, number = (dst, src) if dst[0] != SCALAR else (src, dst)
    if number[1] is not ZERO or not _never_null(ptr):
        return None
    if op == JEQ:
        return False
    if op == JNE:
        return True
    return None


def _never_null(reg: Reg) -> bool:
    kind = reg[0]
    if kind & MAYBE_NULL:
        return False
    base = kind & BASE_MASK
    if base == BTF_ID:
        return btfptr.is_trusted(reg)
    return kind in NEVER_NULL or (base == MEM and not kind & UNTRUSTED)


def _predict_packet(dst: Reg, src: Reg, op: int) -> bool | None:
    """A packet pointer that is known to be at or beyond the end."""
    if src[0] == PACKET_END:
        pkt = dst
    elif dst[0] == PACKET_END:
        pkt = src
        op = {JGT: JLT, JLT: JGT, JGE: JLE, JLE: JGE}.get(op, op)
    else:
        return None
    if pkt[0] not in (PACKET, PACKET_META) or pkt[4] >= 0:
        return None
    beyond = pkt[4] == BEYOND_PKT_END
    if op == JLE:
        # pkt <= end
        return False if beyond else None
    if op == JGT:
        return True if beyond else None
    if op == JLT:
        return False if pkt[4] in (BEYOND_PKT_END, AT_PKT_END) else None
    if op == JGE:
        return True if pkt[4] in (BEYOND_PKT_END, AT_PKT_END) else None
    return None


# --- both ways -----------------------------------------------------------------------------------------------------------


def _split(
    ck: Checker,
    here: State,
    other: State,
    d: int,
    s: int,
    dst: Reg,
    src: Reg,
    op: int,
    is32: bool,
    result: tuple[bool | None, Val, Val, Val, Val] | None,
) -> None:
    """Refine both states: `other` jumps, `here` falls through."""
    regs, oregs = here.frames[-1].regs, other.frames[-1].regs
    if result is not None:
        _, dst_true, src_true, dst_false, src_false = result
        regs[d] = _with(dst, dst_false)
        oregs[d] = _with(dst, dst_true)
        if s >= 0:
            regs[s] = _with(src, src_false)
            oregs[s] = _with(src, src_true)
        return
    if s >= 0 and not is32 and op in (JEQ, JNE) and dst[0] != SCALAR and src[0] != SCALAR:
        if _equal_pointers(ck, here, other, d, s, dst, src, op):
            return
    if s < 0 and not is32 and op in (JEQ, JNE) and src[1] is ZERO and dst[0] & MAYBE_NULL:
        null_state, good_state = (other, here) if op == JEQ else (here, other)
        mark_null(ck, null_state, dst, True)
        mark_null(ck, good_state, dst, False)
        return
    if s >= 0 and not is32 and _compare_packets(here, other, d, s, dst, src, op):
        return
    if dst[0] != SCALAR and not ck.allow_ptr_leaks:
        raise Reject(EACCES, f"R{d} pointer comparison prohibited")


def _with(reg: Reg, val: Val) -> Reg:
    if reg[1] is val:
        return reg
    return (reg[0], val, reg[2], reg[3], reg[4])


def _equal_pointers(ck: Checker, here: State, other: State, d: int, s: int, dst: Reg, src: Reg, op: int) -> bool:
    """Equal to a pointer that is not null means not null."""
    eq = other if op == JEQ else here
    if src[0] & MAYBE_NULL and not dst[0] & MAYBE_NULL and dst[0] & BASE_MASK != BTF_ID:
        eq.frames[-1].regs[s] = _known_good(ck, src)
        return True
    if dst[0] & MAYBE_NULL and not src[0] & MAYBE_NULL and src[0] & BASE_MASK != BTF_ID:
        eq.frames[-1].regs[d] = _known_good(ck, dst)
        return True
    return False


def _known_good(ck: Checker, reg: Reg) -> Reg:
    """Only this register, and it keeps its id: its copies are not looked for."""
    good = not_null(ck, reg)
    return (good[0], good[1], reg[2], good[3], good[4])


# --- null checks ---------------------------------------------------------------------------------------------------------


def mark_null(ck: Checker, st: State, ptr: Reg, is_null: bool) -> None:
    """All copies of a checked pointer become a null or a pointer."""
    rid = ptr[2]
    ref = ref_of(ptr)
    if ref and ref == rid and is_null:
        st.refs = tuple(r for r in st.refs if r.id != rid)

    def change(reg: Reg) -> Reg:
        if reg[2] != rid or not reg[0] & MAYBE_NULL:
            return reg
        if reg[1] is not ZERO or reg[3]:
            if reg[0] & BASE_MASK != BTF_ID:
                return reg
        return ZERO_REG if is_null else not_null(ck, reg)

    map_regs(st, change)


def map_value_found(reg: Reg) -> Reg:
    """A looked up value that is not null: what the map holds."""
    use: MapUse = reg[4][0]
    kind = use.shape.map_type
    if use.inner is not None:
        return (MAP_PTR, ZERO, 0, 0, timers.inner_map(use.inner, reg[2]))
    # a socket keeps the map that it came from: paths that got theirs elsewhere are not the same, as in Linux
    if kind == MapType.XSKMAP:
        return (XDP_SOCK, ZERO, 0, 0, reg[4])
    if kind in (MapType.SOCKMAP, MapType.SOCKHASH):
        return (SOCKET, ZERO, 0, 0, reg[4])
    return (MAP_VALUE, reg[1], reg[2] if locks.in_value(use) else 0, reg[3], reg[4])


def not_null(ck: Checker, reg: Reg) -> Reg:
    kind = reg[0] & ~MAYBE_NULL
    base = kind & BASE_MASK
    if base == MAP_VALUE:
        return map_value_found(reg)
    if kind & ALLOC and base == BTF_ID:
        from userbpf.verifier import graph

        return (kind, reg[1], reg[2] if graph.keeps_id(ck, reg) else 0, reg[3], reg[4])
    return (kind, reg[1], 0, reg[3], reg[4])


def map_regs(st: State, change: Callable[[Reg], Reg]) -> None:
    """Apply a change to every register and every spilled register of a state."""
    for frame in st.frames:
        regs = frame.regs
        for i in range(11):
            reg = regs[i]
            if reg[0] != NOT_INIT:
                new = change(reg)
                if new is not reg:
                    regs[i] = new
        stack = frame.stack
        for i, slot in enumerate(stack):
            spill = slot[1]
            if spill is not None and slot[0][7] == ST_SPILL:
                new = change(spill)
                if new is not spill:
                    stack[i] = (slot[0], new)


# --- packets -------------------------------------------------------------------------------------------------------------


def _compare_packets(here: State, other: State, d: int, s: int, dst: Reg, src: Reg, op: int) -> bool:
    """Packet pointer against the end (or meta data against the packet): how many bytes exist."""
    if (dst[0] == PACKET and src[0] == PACKET_END) or (dst[0] == PACKET_META and _is_start(src)):
        pkt, regno = dst, d
    elif (dst[0] == PACKET_END and src[0] == PACKET) or (_is_start(dst) and src[0] == PACKET_META):
        pkt, regno = src, s
        op = {JGT: JLT, JLT: JGT, JGE: JLE, JLE: JGE}.get(op, op)
    else:
        return False
    # now: pkt op end
    if op == JGT:
        _found(here, pkt, False)
        _mark_end(other, regno, pkt, True)
    elif op == JLT:
        _found(other, pkt, True)
        _mark_end(here, regno, pkt, False)
    elif op == JGE:
        _found(here, pkt, True)
        _mark_end(other, regno, pkt, False)
    elif op == JLE:
        _found(other, pkt, False)
        _mark_end(here, regno, pkt, True)
    else:
        return False
    return True


def _is_start(reg: Reg) -> bool:
    return reg[0] == PACKET and reg[1] is ZERO and not reg[3] and not reg[2]


def _found(st: State, pkt: Reg, open_end: bool) -> None:
    """`pkt` is at (or, open, before) the end: so many bytes before it exist, for every pointer of its base."""
    if pkt[3] < 0 or (pkt[3] == 0 and open_end):
        return
    if pkt[1].umax > MAX_PACKET_OFF or pkt[1].umax + pkt[3] > MAX_PACKET_OFF:
        return
    new_range = pkt[3] + 1 if open_end else pkt[3]
    kind, rid = pkt[0], pkt[2]

    def change(reg: Reg) -> Reg:
        if reg[0] == kind and reg[2] == rid:
            if reg[4] < new_range:
                return (kind, reg[1], rid, reg[3], new_range)
        return reg

    map_regs(st, change)


def _mark_end(st: State, regno: int, pkt: Reg, beyond: bool) -> None:
    """On this way the register itself points at the end or beyond it."""
    if pkt[0] != PACKET:
        return
    mark = BEYOND_PKT_END if beyond else AT_PKT_END
    st.frames[-1].regs[regno] = (pkt[0], pkt[1], pkt[2], pkt[3], mark)


# --- linked scalars --------------------------------------------------------------------------------------------------------


def _collect(ck: Checker, rid: int, found: list[tuple[int, bool, int]]) -> list[tuple[int, bool, int]]:
    """Live registers and spills linked by the id; those that do not fit are unlinked."""
    rid &= ID_MASK
    st = ck.st
    last = len(st.frames) - 1
    for number in range(last, -1, -1):
        frame = st.frames[number]
        pc = ck.pc if number == last else st.frames[number + 1].callsite
        live = ck.cfg.live[pc]
        for i in range(10):
            reg = frame.regs[i]
            if live >> i & 1 and reg[0] == SCALAR and reg[2] & ID_MASK == rid:
                if len(found) < MAX_LINKED:
                    found.append((number, True, i))
                else:
                    frame.regs[i] = (SCALAR, reg[1], 0, 0, None)
        for i, slot in enumerate(frame.stack):
            spill = slot[1]
            if spill is None or slot[0][7] != ST_SPILL:
                continue
            if spill[0] == SCALAR and spill[2] & ID_MASK == rid:
                if len(found) < MAX_LINKED:
                    found.append((number, False, i))
                else:
                    frame.stack[i] = (slot[0], (SCALAR, spill[1], 0, 0, None))
    return found


def _sync(st: State, source: Reg, linked: list[tuple[int, bool, int]], ck: Checker) -> None:
    """Carry what is known of `source` to the others of its id."""
    rid = source[2]
    for number, is_reg, index in linked:
        frame = st.frames[number]
        if is_reg:
            reg = frame.regs[index]
        else:
            spill = frame.stack[index][1]
            if spill is None:
                continue
            reg = spill
        if reg[0] != SCALAR or reg is source or (reg[2] ^ rid) & ID_MASK:
            continue
        new = _carried(source, reg)
        if new is reg:
            continue
        if is_reg:
            frame.regs[index] = new
        else:
            frame.stack[index] = (frame.stack[index][0], new)


def _carried(source: Reg, reg: Reg) -> Reg:
    mine, other = reg[2] & ADD_CONST, source[2] & ADD_CONST
    if mine and other and mine != other:
        return reg  # 64-bit and 32-bit distances say nothing of each other
    if reg[3] == source[3] or not (mine or other):
        return source
    is64 = not (mine | other) & ADD_CONST32
    delta = reg[3] - source[3]
    return (SCALAR, alu(ADD, is64, source[1], const(delta & (U64 if is64 else U32))), reg[2], reg[3], None)


# --- may_goto --------------------------------------------------------------------------------------------------------------


def _compile_may_goto(ck: Checker, pc: int, insn: Insn) -> Step:
    code, d, s, off, imm = insn
    if code != 0xE5 or s or d or imm:
        raise Reject(EINVAL, f"invalid may_goto imm {imm}")
    target = pc + off + 1

    def step(ck: Checker) -> int:
        # the way on is taken later and widened, the way out now
        st = ck.st
        onward = ck.push(pc + 1, pc)
        onward.may_goto_depth += 1
        before = previous(st.parent.parent if st.parent is not None else None, st, pc)
        if before is not None:
            widen(before, onward)
        return target

    return step
