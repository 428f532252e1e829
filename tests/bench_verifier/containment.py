"""Operation-level containment: every abstract operation must hold the concrete result.

A pool of pairs (abstract scalar, a concrete word in it) grows by random operations, so that the abstract ones have the shapes
that programs give them. Words sit near powers of two, where carries, signs and widths go wrong.
"""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

from bench_verifier.scalars import edge
from userbpf.verifier import domain as real_domain

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1
ALU_NAMES = {0x00: "+", 0x10: "-", 0x20: "*", 0x30: "/", 0x40: "|", 0x50: "&", 0x60: "<<", 0x70: ">>", 0x80: "neg"}
ALU_NAMES |= {0x90: "%", 0xA0: "^", 0xC0: "s>>", 0x130: "s/", 0x190: "s%"}
JMP_OPS = (0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0)


def signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


def run_alu(op: int, is64: bool, a: int, b: int) -> int:
    """One instruction as RFC 9669 defines it."""
    bits = 64 if is64 else 32
    full = (1 << bits) - 1
    a, b = a & full, b & full
    sa, sb = signed(a, bits), signed(b, bits)
    quotient = abs(sa) // abs(sb) if sb else 0
    if (sa < 0) != (sb < 0):
        quotient = -quotient
    results = {
        0x00: a + b,
        0x10: a - b,
        0x20: a * b,
        0x30: a // b if b else 0,
        0x40: a | b,
        0x50: a & b,
        0x60: a << (b & bits - 1),
        0x70: a >> (b & bits - 1),
        0x80: -a,
        0x90: a % b if b else a,
        0xA0: a ^ b,
        0xC0: sa >> (b & bits - 1),
        0x130: quotient,
        0x190: sa - quotient * sb if sb else a,
    }
    return results[op] & full


def holds(op: int, is32: bool, a: int, b: int) -> bool:
    """One comparison as RFC 9669 defines it."""
    bits = 32 if is32 else 64
    a, b = a & (1 << bits) - 1, b & (1 << bits) - 1
    sa, sb = signed(a, bits), signed(b, bits)
    return {
        0x10: a == b, 0x20: a > b, 0x30: a >= b, 0x40: bool(a & b), 0x50: a != b, 0x60: sa > sb,
        0x70: sa >= sb, 0xA0: a < b, 0xB0: a <= b, 0xC0: sa < sb, 0xD0: sa <= sb,
    }[op]  # fmt: skip


class Leak(AssertionError):
    """A concrete word that its abstract scalar does not hold."""


def walk(seed: int, steps: int, dom: ModuleType | Any = real_domain) -> int:
    """Random operations on a pool; raises Leak. Returns how many results were checked."""
    rng = random.Random(seed)
    pool: list[tuple[Any, int]] = [(dom.UNKNOWN, edge(rng)) for _ in range(8)]
    checked = 0
    for _ in range(steps):
        a, wa = rng.choice(pool)
        if rng.random() < 0.5:
            wb = edge(rng)
            b = dom.const(wb)
        else:
            b, wb = rng.choice(pool)
        for what, val, word in _one(rng, dom, a, wa, b, wb):
            checked += 1
            if word not in val:
                raise Leak(f"seed {seed}: {what}: {word:#x} is not in {val}; operands {a} ({wa:#x}), {b} ({wb:#x})")
            if len(pool) < 300:
                pool.append((val, word))
            elif rng.random() < 0.9:
                pool[rng.randrange(300)] = (val, word)
            else:
                pool[rng.randrange(300)] = (dom.UNKNOWN, edge(rng))
    return checked


def _one(rng: random.Random, dom: Any, a: Any, wa: int, b: Any, wb: int) -> list[tuple[str, Any, int]]:
    kind = rng.randrange(20)
    if kind < 8:
        op, is64 = rng.choice(list(ALU_NAMES)), rng.random() < 0.5
        if op in (0x60, 0x70, 0xC0):
            wb = rng.choice((0, 1, 8, 16, 31, 32, 33, 63, rng.randrange(64))) & (63 if is64 else 31)
            b = dom.const(wb)
        return [(f"{ALU_NAMES[op]} {64 if is64 else 32}", dom.alu(op, is64, a, b), run_alu(op, is64, wa, wb))]
    if kind == 8:
        return [("mov32", dom.mov32(a), wa & U32)]
    if kind == 9:
        bits, is64 = rng.choice((8, 16, 32)), rng.random() < 0.5
        return [(f"sext {bits} {is64}", dom.sext(a, bits, is64), signed(wa, bits) & (U64 if is64 else U32))]
    if kind == 10:
        nbytes = rng.choice((1, 2, 4))
        return [(f"cast {nbytes}", dom.cast(a, nbytes), wa & (1 << 8 * nbytes) - 1)]
    if kind == 11:
        nbytes = rng.choice((2, 4, 8))
        low = wa & (1 << 8 * nbytes) - 1
        swapped = int.from_bytes(low.to_bytes(nbytes, "little"), "big")
        return [(f"bswap {nbytes}", dom.bswap(a, nbytes), swapped), (f"le {nbytes}", dom.to_le(a, nbytes), low)]
    if kind == 12:
        split = dom.sign_mask(a)
        if not split:
            return []
        return [("fork", split[0] if wa in split[0] else split[1], wa)]
    op, is32 = rng.choice(JMP_OPS), rng.random() < 0.5
    if kind == 13:
        truth = holds(op, is32, wa, wa)
        pred, at, af = dom.branch_self(op, is32, a)
        if pred is not None and pred != truth:
            raise Leak(f"self branch {op:#x} {is32}: predicted {pred} on {a} ({wa:#x})")
        return [(f"self branch {op:#x} 32={is32}", at if truth else af, wa)]
    truth = holds(op, is32, wa, wb)
    pred, at, bt, af, bf = dom.branch(op, is32, a, b)
    if pred is not None and pred != truth:
        raise Leak(f"branch {op:#x} 32={is32}: predicted {pred}; operands {a} ({wa:#x}), {b} ({wb:#x})")
    what = f"branch {op:#x} 32={is32} {truth}"
    return [(what, at if truth else af, wa), (what, bt if truth else bf, wb)]
