"""The scalar domain: sound, equal to its plain reference, and equal to what Linux prints."""

from __future__ import annotations

import itertools
import random

import pytest

import reference_domain as ref
from bench_verifier import golden, linux, scalars, steps
from bench_verifier.containment import Leak, walk
from userbpf.isa.insn import Insn, decode, encode
from userbpf.verifier import domain, tnum
from userbpf.verifier.domain import arith, deduce
from userbpf.verifier.domain import compare as comparing

needs_linux = pytest.mark.skipif(linux.available() is not None, reason=str(linux.available()))

ALU = {
    domain.ADD: "add", domain.SUB: "sub", domain.MUL: "mul", domain.AND: "and", domain.OR: "or", domain.XOR: "xor",
    domain.LSH: "lsh", domain.RSH: "rsh", domain.ARSH: "arsh", domain.NEG: "neg", domain.DIV: "div", domain.SMOD: "smod",
}  # fmt: skip
JMP = {
    domain.JEQ: "eq", domain.JNE: "ne", domain.JGT: "gt", domain.JGE: "ge", domain.JLT: "lt", domain.JLE: "le",
    domain.JSGT: "sgt", domain.JSGE: "sge", domain.JSLT: "slt", domain.JSLE: "sle", domain.JSET: "set",
}  # fmt: skip


# -- soundness on concrete words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_holds_concrete_results(seed: int) -> None:
    assert walk(seed, 3000) > 3000


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 400))
def test_holds_concrete_results_sweep(seed: int) -> None:
    walk(seed, 20000)


# -- the reference -----------------------------------------------------------------------------------------------------


def against_reference(seed: int, rounds: int) -> None:
    rng = random.Random(seed)
    pool = [domain.UNKNOWN] * 4
    for _ in range(rounds):
        a = rng.choice(pool)
        b = rng.choice(pool) if rng.random() < 0.6 else domain.const(scalars.edge(rng))
        wide = rng.random() < 0.5
        ra, rb = ref.from_fields(64, a.fields), ref.from_fields(64, b.fields)
        if rng.random() < 0.5:
            op = rng.choice(list(ALU))
            if ALU[op] in ("lsh", "rsh", "arsh"):
                b = domain.const(rng.randrange(66))
                rb = ref.from_fields(64, b.fields)
            new = [domain.alu(op, wide, a, b)]
            assert new[0].fields == ref.alu(ALU[op], wide, ra, rb).fields, (seed, ALU[op], wide, a, b)
        elif rng.random() < 0.1:
            new = [domain.mov32(a)]
            assert new[0].fields == ref.mov_half(ra).fields, (seed, a)
        else:
            op = rng.choice(list(JMP))
            pred, *new = domain.branch(op, not wide, a, b)
            rpred, *rnew = ref.branch(JMP[op], not wide, ra, rb)
            assert pred == rpred, (seed, JMP[op], wide, a, b)
            assert [v.fields for v in new] == [r.fields for r in rnew], (seed, JMP[op], wide, a, b)
        for v in new:
            if len(pool) < 300:
                pool.append(v)
            else:
                pool[rng.randrange(300)] = v if rng.random() < 0.9 else domain.UNKNOWN


def test_equals_reference() -> None:
    against_reference(1, 1500)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(10, 40))
def test_equals_reference_sweep(seed: int) -> None:
    against_reference(seed, 20000)


# -- the reference itself, against all words of a small width ----------------------------------------------------------


def small_values(width: int) -> list[ref.Ref]:
    """All tnums, all unsigned and all signed ranges, each with what follows from it."""
    top = ref.unknown(width)
    words = range(1 << width)
    out = [ref.from_fields(width, (v, m, *top.fields[2:])) for m in words for v in words if not v & m]
    for a, b in itertools.combinations_with_replacement(words, 2):
        out.append(ref.from_fields(width, (*top.fields[:4], a, b, *top.fields[6:])))
        sa, sb = a - (1 << width - 1), b - (1 << width - 1)
        out.append(ref.from_fields(width, (*top.fields[:2], sa, sb, *top.fields[4:])))
    return list(dict.fromkeys(ref.settle(r) for r in out))


def concrete(op: str, wide: bool, width: int, a: int, b: int) -> int:
    bits = width if wide else width // 2
    full = (1 << bits) - 1
    a, b = a & full, b & full
    out = {"add": a + b, "sub": a - b, "mul": a * b, "and": a & b, "or": a | b, "xor": a ^ b, "neg": -a}
    if op in out:
        return out[op] & full
    return {"lsh": a << b, "rsh": a >> b, "arsh": ref.signed(a, bits) >> b}[op] & full


def check_small(width: int, pairs: list[tuple[ref.Ref, ref.Ref]]) -> int:
    words = range(1 << width)
    checked = 0
    held = {r: [w for w in words if r.holds(w)] for pair in pairs for r in pair}
    for a, b in pairs:
        for op, wide in itertools.product(("add", "sub", "mul", "and", "or", "xor", "neg"), (True, False)):
            out = ref.alu(op, wide, a, b)
            for x, y in itertools.product(held[a], held[b]):
                assert out.holds(concrete(op, wide, width, x, y)), (op, wide, a.fields, b.fields, x, y, out.fields)
                checked += 1
        for op, narrow in itertools.product(JMP.values(), (True, False)):
            pred, at, bt, af, bf = ref.branch(op, narrow, a, b)
            bits = width // 2 if narrow else width
            full = (1 << bits) - 1
            for x, y in itertools.product(held[a], held[b]):
                truth = ref.HOLDS[op](x & full, y & full, bits)
                left, right = (at, bt) if truth else (af, bf)
                assert pred in (None, truth) and left.holds(x) and right.holds(y), (
                    op,
                    narrow,
                    a.fields,
                    b.fields,
                    x,
                    y,
                )
                checked += 1
    for a in held:
        for n, op, wide in itertools.product(range(width), ("lsh", "rsh", "arsh"), (True, False)):
            if n < (width if wide else width // 2):
                out = ref.alu(op, wide, a, ref.constant(width, n))
                assert all(out.holds(concrete(op, wide, width, x, n)) for x in held[a]), (op, wide, a.fields, n)
    return checked


def test_reference_is_sound_for_width_4() -> None:
    values = small_values(4)
    rng = random.Random(4)
    assert check_small(4, [(rng.choice(values), rng.choice(values)) for _ in range(120)]) > 10_000


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(16))
def test_reference_is_sound_for_width_4_all(part: int) -> None:
    values = small_values(4)
    check_small(4, [(a, b) for a in values[part::16] for b in values])


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(16))
def test_reference_is_sound_for_width_6(seed: int) -> None:
    values = small_values(6)
    rng = random.Random(seed)
    check_small(6, [(rng.choice(values), rng.choice(values)) for _ in range(500)])


# -- tnum functions that the reference has no twin of ------------------------------------------------------------------


def test_first_from_is_the_next_member() -> None:
    for mask in range(64):
        for value in (v for v in range(64) if not v & mask):
            members = [w for w in range(64) if w & ~mask == value]
            for low in range(65):
                assert tnum.first_from((value, mask), low) == next((w for w in members if w >= low), None)


def test_overlap_and_within_mean_sets() -> None:
    tnums = [(v, m) for m in range(16) for v in range(16) if not v & m]
    sets = {t: {w for w in range(16) if w & ~t[1] == t[0]} for t in tnums}
    for a, b in itertools.product(tnums, tnums):
        assert tnum.overlap(a, b) == bool(sets[a] & sets[b])
        assert tnum.within(a, b) == (sets[a] >= sets[b])


# -- Linux -------------------------------------------------------------------------------------------------------------


def compare(code: list[Insn], log: str, seed: int) -> int:
    asked = 0
    for q in steps.questions(code, log):
        for what, theirs, ours in steps.answer(domain, q):
            asked += 1
            if steps.differs(theirs, ours):
                pytest.fail(f"seed {seed}: {what} of `{q.line}`\n  before {q.before}\n  Linux {theirs}\n  here  {ours}")
    return asked


def compare_text(log: str) -> int:
    """Each printed scalar, printed again."""
    seen = 0
    for m in steps.scalars_in(log):
        fields = steps.parse_scalar(m)
        if fields is None:
            continue
        seen += 1
        if m.startswith("scalar("):
            inner = ",".join(p for p in m[7:-1].split(",") if not p.startswith("id="))
            assert domain.bounds_text(domain.make(*fields)) == inner
        else:
            assert domain.number_text(fields[0]) == m
    return seen


def test_agrees_with_recorded_linux() -> None:
    rows = golden.load(f"domain_{golden.RELEASE}")
    assert sum(compare(decode(bytes.fromhex(r["insns"])), r["log"], r["seed"]) for r in rows) > 3000
    assert sum(compare_text(r["log"]) for r in rows) > 3000


def agree_with_linux(first: int, count: int) -> None:
    oracle = linux.Oracle()
    for seed in range(first, first + count):
        code = scalars.program(seed)
        answer = oracle.load(encode(code))
        assert not answer.err, (seed, answer.log[-200:])
        if "out of sync" not in answer.log and "VIOLATION" not in answer.log:
            compare(code, answer.log, seed)  # after a contradiction the log does not tell all of a constant
            compare_text(answer.log)


@needs_linux
def test_agrees_with_linux() -> None:
    agree_with_linux(500_000, 150)


@needs_linux
@pytest.mark.sweep
@pytest.mark.parametrize("part", range(20))
def test_agrees_with_linux_sweep(part: int) -> None:
    agree_with_linux(600_000 + part * 2000, 2000)


# -- interning ---------------------------------------------------------------------------------------------------------


def test_one_content_is_one_object() -> None:
    a = domain.alu(domain.AND, True, domain.UNKNOWN, domain.const(255))
    assert domain.from_range(0, 255) is a
    assert domain.make(*a.fields) is a
    assert domain.const(-1) is domain.make(*domain.const(-1).fields)


def test_sweep_forgets_the_unused_and_keeps_identity() -> None:
    kept = [domain.from_range(7, 1 << n) for n in range(3, 60)]
    consts = [domain.const(1_000_003 * n) for n in range(50)]
    for n in range(2000):
        domain.from_range(5, 1000 + n)
    before = domain.table_sizes()
    domain.sweep()
    after = domain.table_sizes()
    assert sum(after) <= sum(before) - 2000
    assert all(domain.from_range(7, 1 << n) is v for n, v in zip(range(3, 60), kept, strict=True))
    assert all(domain.const(1_000_003 * n) is v for n, v in enumerate(consts))


def test_leq_is_an_order_of_sets() -> None:
    wide, narrow = domain.from_range(0, 255), domain.from_range(16, 31)
    assert domain.leq(domain.UNKNOWN, wide) and domain.leq(wide, narrow) and domain.leq(wide, domain.const(200))
    assert (
        not domain.leq(narrow, wide)
        and not domain.leq(narrow, domain.const(5))
        and not domain.leq(wide, domain.UNKNOWN)
    )


# -- a test of the tests: each wrong rule must be seen -------------------------------------------------------------------


def _wrong_add(a: tnum.Tnum, b: tnum.Tnum) -> tnum.Tnum:
    mask = a[1] | b[1]  # no carries
    return (a[0] + b[0]) & ~mask & tnum.U64, mask


FAULTS = {
    "tnum.add without carries": (tnum, "add", _wrong_add),
    "tnum.sub as add": (tnum, "sub", tnum.add),
    "tnum.mul keeps only known bits of one side": (tnum, "mul", lambda a, b: (a[0] * b[0] & tnum.U64 & ~b[1] & ~a[1], b[1])),
    "tnum.span one bit short": (tnum, "span", lambda lo, hi: (lo & ~((1 << max((lo ^ hi).bit_length() - 1, 0)) - 1), (1 << max((lo ^ hi).bit_length() - 1, 0)) - 1)),  # noqa: E501
    "sums never wrap": (arith, "_wrap", lambda lo, hi, ones: (max(lo, 0), min(hi, ones))),
    "signed sums never wrap": (arith, "_signed_sum", lambda lo, hi, least, most: (max(lo, least), min(hi, most))),
    "products never wrap": (arith, "_product", lambda a, b, c, d, ones: (a * c & ones, min(b * d, ones))),
    "signed products of two corners": (arith, "_signed_product", lambda a, b, c, d, least, most: (max(a * c, least), min(b * d, most)) if a * c <= b * d else (least, most)),  # noqa: E501
    "signed and unsigned exchanged past the sign": (deduce, "_circle", lambda smin, smax, umin, umax, ones, sign: (max(smin, (umin ^ sign) - sign), min(smax, (umax ^ sign) - sign), umin, umax)),  # noqa: E501
    "greater-or-equal predicted as greater": (comparing, "_predict_equal", lambda is32, a, b: a is b or None),
    "bit test of a part": (comparing, "_predict_set", lambda is32, a, b: bool(a.value & b.value)),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_rule_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    domain.sweep()
    room, name, wrong = FAULTS[fault]
    with monkeypatch.context() as patch:
        patch.setattr(room, name, wrong)
        try:
            with pytest.raises(Leak):
                for seed in range(40):
                    walk(1000 + seed, 1500)
        finally:
            domain.forget()
