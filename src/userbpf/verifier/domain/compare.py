"""Comparisons: which ways of `if a op b` are open, and what is known of a and b on each."""

from __future__ import annotations

from typing import Final

from userbpf.isa import opcodes
from userbpf.verifier import tnum
from userbpf.verifier.domain.deduce import met, report, settle, sync
from userbpf.verifier.domain.val import HIGH, U32, U64, UNKNOWN, Fields, Val, memo, s32, s64

JEQ: Final = opcodes.BPF_JEQ
JGT: Final = opcodes.BPF_JGT
JGE: Final = opcodes.BPF_JGE
JSET: Final = opcodes.BPF_JSET
JNE: Final = opcodes.BPF_JNE
JSGT: Final = opcodes.BPF_JSGT
JSGE: Final = opcodes.BPF_JSGE
JLT: Final = opcodes.BPF_JLT
JLE: Final = opcodes.BPF_JLE
JSLT: Final = opcodes.BPF_JSLT
JSLE: Final = opcodes.BPF_JSLE

Branch = tuple[bool | None, Val, Val, Val, Val]
Pair = tuple[Fields, Fields]

_JMP_OPS: Final = (JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, JLT, JLE, JSLT, JSLE)
_branch64: Final[dict[int, dict[tuple[Val, Val], Branch]]] = {op: memo({}) for op in _JMP_OPS}
_branch32: Final[dict[int, dict[tuple[Val, Val], Branch]]] = {op: memo({}) for op in _JMP_OPS}
_self: Final[dict[tuple[int, bool, Val], tuple[bool | None, Val, Val]]] = memo({})
# what Linux logs (behind `verifier bug: `) of branches whose operands' bounds contradict each other
branch_reports: Final[dict[tuple[int, bool, Val, Val], tuple[str, ...]]] = memo({})
self_reports: Final[dict[tuple[int, bool, Val], tuple[str, ...]]] = memo({})

# the comparison that holds where this one does not
_INVERSE: Final = {
    JEQ: JNE,
    JNE: JEQ,
    JGT: JLE,
    JLE: JGT,
    JGE: JLT,
    JLT: JGE,
    JSGT: JSLE,
    JSLE: JSGT,
    JSGE: JSLT,
    JSLT: JSGE,
}
# the same comparison with its sides exchanged
_MIRROR: Final = {JGT: JLT, JGE: JLE, JSGT: JSLT, JSGE: JSLE}
_NOT_SET: Final = 0x140


def branch(op: int, is32: bool, a: Val, b: Val) -> Branch:
    """`if a op b`: (prediction, a and b where it jumps, a and b where it falls through).

    The prediction is None where both ways are open; with a prediction the operands come back unrefined.
    """
    known = (_branch32 if is32 else _branch64)[op]
    key = (a, b)
    result = known.get(key)
    if result is None:
        pred = _predict(op, is32, a, b)
        if pred is not None:
            result = (pred, a, b, a, b)
        else:
            inverse = _NOT_SET if op == JSET else _INVERSE[op]
            jump, fall = _refine(op, is32, a, b), _refine(inverse, is32, a, b)
            met.clear()
            result = (
                None,
                settle(jump[0], "true_reg1"),
                settle(jump[1], "true_reg2"),
                settle(fall[0], "false_reg1"),
                settle(fall[1], "false_reg2"),
            )
            if met:
                branch_reports[op, is32, a, b] = tuple(met)
        known[key] = result
    return result


def branch_self(op: int, is32: bool, a: Val) -> tuple[bool | None, Val, Val]:
    """`if r op r`, one register on both sides: (prediction, the register where it jumps, where it falls through).

    Linux predicts it no better than two registers of the same content, and then refines the one register as both sides
    in turn, so that `r < r` leaves it narrower by one at each end.
    """
    key = (op, is32, a)
    result = _self.get(key)
    if result is None:
        pred = _predict(op, is32, a, a)
        if pred is not None:
            return pred, a, a
        inverse = _NOT_SET if op == JSET else _INVERSE[op]
        met.clear()
        result = (None, _refine_self(op, is32, a, "true"), _refine_self(inverse, is32, a, "false"))
        if met:
            self_reports[op, is32, a] = tuple(met)
        _self[key] = result
    return result


def _refine_self(op: int, is32: bool, a: Val, side: str) -> Val:
    op = _MIRROR.get(op, op)
    if op in (JLT, JSLT):
        f = list(a.fields)
        at = (6 if op == JSLT else 8) if is32 else (2 if op == JSLT else 4)
        f[at + 1] -= 1
        f[at] += 1
        fields = _pair(f, f)[0]
    else:
        fields = _refine(op, is32, a, a)[0]
    reports = len(met)
    val = settle(sync(fields), side + "_reg1")
    if len(met) > reports:
        report(val.fields, side + "_reg2")
    return val


def _predict(op: int, is32: bool, a: Val, b: Val) -> bool | None:
    if op == JSET:
        return _predict_set(is32, a, b)
    if op in (JEQ, JNE):
        equal = _predict_equal(is32, a, b)
        return equal if op == JEQ or equal is None else not equal
    if op in (JLT, JLE, JSLT, JSLE):
        greater = {JLT: JGE, JLE: JGT, JSLT: JSGE, JSLE: JSGT}[op]
        pred = _predict(greater, is32, a, b)
        return None if pred is None else not pred
    if op in (JGT, JGE):
        amin, amax, bmin, bmax = (a.u32min, a.u32max, b.u32min, b.u32max) if is32 else (a.umin, a.umax, b.umin, b.umax)
    else:
        amin, amax, bmin, bmax = (a.s32min, a.s32max, b.s32min, b.s32max) if is32 else (a.smin, a.smax, b.smin, b.smax)
    if op in (JGT, JSGT):
        return True if amin > bmax else False if amax <= bmin else None
    return True if amin >= bmax else False if amax < bmin else None


def _predict_equal(is32: bool, a: Val, b: Val) -> bool | None:
    if is32:
        at, bt = (a.value & U32, a.mask & U32), (b.value & U32, b.mask & U32)
    else:
        at, bt = (a.value, a.mask), (b.value, b.mask)
    if not at[1] and not bt[1]:
        return at[0] == bt[0]
    if not tnum.overlap(at, bt):
        return False
    if not is32 and (a.umin > b.umax or a.umax < b.umin or a.smin > b.smax or a.smax < b.smin):
        return False
    if a.u32min > b.u32max or a.u32max < b.u32min or a.s32min > b.s32max or a.s32max < b.s32min:
        return False
    return None


def _predict_set(is32: bool, a: Val, b: Val) -> bool | None:
    every = U32 if is32 else U64
    if b.mask & every:
        a, b = b, a
    if b.mask & every:
        return None
    bits = b.value & every
    if a.value & bits:
        return True
    if not (a.value | a.mask) & bits:
        return False
    return None


def _refine(op: int, is32: bool, a: Val, b: Val) -> Pair:
    """Both operands where the comparison holds."""
    if op in _MIRROR:
        return _swap(_refine(_MIRROR[op], is32, b, a))
    if op in (JSET, _NOT_SET):
        return _refine_set(op, is32, a, b)
    if op == JEQ:
        return _refine_equal(is32, a, b)
    if op == JNE:
        return _refine_unequal(is32, a, b)
    fa, fb = list(a.fields), list(b.fields)
    signed = op in (JSLT, JSLE)
    # where the minimum of the pair of bounds in question lies in Fields
    at = (6 if signed else 8) if is32 else (2 if signed else 4)
    gap = 1 if op in (JLT, JSLT) else 0
    amin, bmax = fa[at], fb[at + 1]
    fa[at + 1] = min(fa[at + 1], bmax - gap)
    fb[at] = max(fb[at], amin + gap)
    return _pair(fa, fb)


def _swap(pair: Pair) -> Pair:
    return pair[1], pair[0]


def _pair(fa: list[int], fb: list[int]) -> Pair:
    return (
        (fa[0], fa[1], fa[2], fa[3], fa[4], fa[5], fa[6], fa[7], fa[8], fa[9]),
        (fb[0], fb[1], fb[2], fb[3], fb[4], fb[5], fb[6], fb[7], fb[8], fb[9]),
    )


def _refine_equal(is32: bool, a: Val, b: Val) -> Pair:
    fa, fb = a.fields, b.fields
    first = 6 if is32 else 2
    met = list(fa)
    for i in range(first, first + 4):
        met[i] = min(fa[i], fb[i]) if i & 1 else max(fa[i], fb[i])
    other = list(fb)
    other[first : first + 4] = met[first : first + 4]
    if is32:
        low = tnum.meet((a.value & U32, a.mask & U32), (b.value & U32, b.mask & U32))
        met[0], met[1] = a.value & HIGH | low[0], a.mask & HIGH | low[1]
        other[0], other[1] = b.value & HIGH | low[0], b.mask & HIGH | low[1]
    else:
        met[0], met[1] = tnum.meet((a.value, a.mask), (b.value, b.mask))
        other[0], other[1] = met[0], met[1]
    return _pair(met, other)


def _refine_unequal(is32: bool, a: Val, b: Val) -> Pair:
    every = U32 if is32 else U64
    f = list(a.fields)
    if b.mask & every:
        if not a.mask & every:
            return _swap(_refine_unequal(is32, b, a))
    else:
        first = 6 if is32 else 2
        signed = s32(b.value & U32) if is32 else s64(b.value)
        for i, word in ((first, signed), (first + 2, b.value & every)):
            if f[i] == word:
                f[i] += 1
            if f[i + 1] == word:
                f[i + 1] -= 1
    return _pair(f, list(b.fields))


def _refine_set(op: int, is32: bool, a: Val, b: Val) -> Pair:
    every = U32 if is32 else U64
    f = list(a.fields)
    if b.mask & every:
        if not a.mask & every:
            return _swap(_refine_set(op, is32, b, a))
    else:
        bits = b.value & every
        if op == _NOT_SET:
            # Linux starts over from the tnum here
            f = [a.value & ~bits, a.mask & ~bits, *UNKNOWN.fields[2:]]
        elif not bits & (bits - 1):
            f[0], f[1] = f[0] | bits, f[1] & ~bits
    return _pair(f, list(b.fields))
