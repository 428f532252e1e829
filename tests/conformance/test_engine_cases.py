"""The cases of `conformance.cases` in the interpreter, compiled, and in Linux where that is permitted."""

from __future__ import annotations

import os

import pytest

from bench_verifier.linux import Oracle, available, run
from conformance.arithmetic import forms
from conformance.cases import CASES, Case
from enginerig import ENGINES, Rig, accept, unverified
from userbpf.isa.asm import assemble
from userbpf.isa.insn import encode
from userbpf.isa.opcodes import FORMS, form_of

by_case = pytest.mark.parametrize("case", CASES, ids=[c.name.replace(" ", "-") for c in CASES])
ELSEWHERE = {
    "addr_space_cast",
    "lddw_map_fd",
    "lddw_map_value",
    "lddw_map_idx",
    "lddw_map_idx_value",
    "lddw_btf_id",
    "call_kfunc",
}


@by_case
def test_engines(case: Case) -> None:
    prog = (accept if case.verified else unverified)(case.source, case.prog_type)
    for name, engine in ENGINES.items():
        rig = Rig(case.packet)
        assert (name, hex(engine(prog, rig) & 0xFFFFFFFF)) == (name, hex(case.r0))
        assert rig.packet() == (case.packet if case.after is None else case.after), name


@pytest.mark.parametrize("opt", [0, 1, 3])
def test_every_level_of_optimisation(opt: int) -> None:
    for case in CASES[::3]:
        prog = (accept if case.verified else unverified)(case.source, case.prog_type)
        rig = Rig(case.packet)
        assert hex(ENGINES["jit"](prog, rig, opt=opt) & 0xFFFFFFFF) == hex(case.r0), case.name
        assert rig.packet() == (case.packet if case.after is None else case.after), case.name


@by_case
def test_linux(case: Case) -> None:
    if reason := available():
        pytest.skip(reason)
    if not case.linux or not case.verified:
        pytest.skip("Linux leaves it open, or wants BTF")
    answer = Oracle().load(encode(assemble(case.source)), int(case.prog_type), keep=True)
    assert answer.err == 0, answer.log
    try:
        error, retval, out = run(answer.fd, case.packet)
    finally:
        os.close(answer.fd)
    assert (error, hex(retval)) == (0, hex(case.r0))
    assert out == (case.packet if case.after is None else case.after)


def test_every_form_has_a_case() -> None:
    seen = {form.name for form in forms()} | ELSEWHERE
    for case in CASES:
        insns = assemble(case.source)
        seen |= {form.name for insn in insns if (form := form_of(insn))}
    assert {form.name for form in FORMS} - seen == set()
