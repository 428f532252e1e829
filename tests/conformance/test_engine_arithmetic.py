"""Arithmetic and jumps over edge values: interpreter, JIT and verifier against what Linux answered."""

from __future__ import annotations

import pytest

from bench_verifier.linux import available
from conformance import arithmetic
from enginerig import ENGINES, Rig, accept
from userbpf.abi.enums import ProgType
from userbpf.isa import opcodes as op
from userbpf.isa.opcodes import FORM, Form

FORMS = arithmetic.forms()
UNTRACKED = (op.BPF_DIV, op.BPF_MOD, op.BPF_END)  # 6.18 knows nothing of their results
by_form = pytest.mark.parametrize("form", FORMS, ids=[f.name for f in FORMS])


def test_golden_results_cover_the_forms() -> None:
    assert list(arithmetic.results()) == [f.name for f in FORMS]
    assert all(len(arithmetic.results()[f.name]) == len(arithmetic.records(f)) for f in FORMS)


@by_form
def test_engines_answer_as_linux(form: Form) -> None:
    insns, packet = arithmetic.program(form)
    prog = accept(insns, ProgType.XDP)
    for name, run in ENGINES.items():
        rig = Rig(packet)
        assert run(prog, rig) == 2
        for (a, b), got, want in zip(
            arithmetic.records(form), arithmetic.read(rig.packet()), arithmetic.results()[form.name], strict=True
        ):
            assert got == want, f"{name}: {form.name} of {a:#x}, {b:#x}"


@by_form
def test_verifier_holds_the_answer(form: Form) -> None:
    """Linux's answer lies in what the verifier thinks of the result: it never decides that they differ."""
    insns, checks = arithmetic.constant_program(form, arithmetic.results()[form.name])
    prog = accept(insns)
    decided = 0
    for pc, (a, b) in zip(checks, arithmetic.records(form), strict=True):
        fact = prog.facts[pc]
        assert fact is None or fact.taken is not True, f"{form.name} of {a:#x}, {b:#x}"
        decided += fact is not None and fact.taken is False
    assert decided or form.op in UNTRACKED, "the verifier knew no result at all"
    for run in ENGINES.values():
        assert run(prog, Rig()) == 0


@by_form
def test_linux_still_answers_so(form: Form) -> None:
    if reason := available():
        pytest.skip(reason)
    assert arithmetic.ask_linux(form) == arithmetic.results()[form.name]


def test_the_table_would_catch_a_wrong_operation() -> None:
    """Two forms never have the same results, so that no row can stand in for another."""
    seen: dict[tuple[int, ...], str] = {}
    twins = {("le64", "mov64_x")}
    for form in FORMS:
        if FORM[form.name].imm is not None:
            continue
        key = (*arithmetic.results()[form.name], form.source, form.cls & 1)
        assert key not in seen or (seen[key], form.name) in twins, (seen.get(key), form.name)
        seen[key] = form.name
