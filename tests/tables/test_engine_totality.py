"""Every instruction form has a meaning in the interpreter and in the JIT, or is refused by name."""

from __future__ import annotations

import pytest

from enginerig import Maps, unverified
from userbpf.engine.interp import decode
from userbpf.engine.jit.program import ir_text
from userbpf.engine.semantics import ALU, COMPARE, SIGNED_ALU
from userbpf.errors import NativeError
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.isa.opcodes import FORMS, Form
from userbpf.verifier.api import Fact

ABSENT = {"lddw_btf_id"}


def one(form: Form) -> list[Insn]:
    """A program around one instruction."""

    def value(field: tuple[int, ...] | None, default: int) -> int:
        return default if field is None else field[0]

    imm = 1 if form.name in ("call", "lddw_func") else 3
    insn = Insn(form.code, value(form.dst, 1), value(form.src, 2), value(form.off, 0), value(form.imm, imm))
    if form.name == "gotol":
        insn = insn._replace(imm=0)
    if form.name == "call_pseudo":
        insn = insn._replace(imm=1)
    tail = [Insn(op.BPF_JMP | op.BPF_EXIT)] * 2
    return [insn, *([Insn(0)] if form.slots == 2 else []), *tail, *tail]


@pytest.mark.parametrize("form", FORMS, ids=[f.name for f in FORMS])
def test_both_engines_know_it(form: Form) -> None:
    maps = Maps((2, 4, 8, 1))
    insns = one(form)
    given = [Fact(map=0, subprog=1 if form.name == "lddw_func" else None), *[None] * (len(insns) - 1)]
    prog = unverified(insns, maps=tuple(maps.shapes), facts=tuple(given))
    assert decode(prog, 0) is not None
    if form.name in ABSENT:
        with pytest.raises(NativeError, match="there are no"):
            ir_text(prog, maps.env(prog))
    else:
        assert "define" in ir_text(prog, maps.env(prog))


def test_operations_have_one_meaning_each() -> None:
    assert set(ALU) == set(op.ALU_OPS)
    assert set(SIGNED_ALU) == set(op.SIGNED_OPS)
    assert set(COMPARE) == set(op.JMP_OPS)
