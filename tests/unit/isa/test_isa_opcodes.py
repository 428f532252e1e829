"""The instruction table."""

from __future__ import annotations

import itertools

import pytest

from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn, decode, encode
from userbpf.isa.opcodes import BY_CODE, FORM, FORMS, form_of


def test_forms_have_names_of_their_own() -> None:
    assert len(FORM) == len(FORMS)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_forms_of_a_code_do_not_overlap(code: int) -> None:
    def values(forms: tuple[op.Form, ...], field: str) -> set[int]:
        out = {0, 77}
        for form in forms:
            out.update(getattr(form, field) or ())
        return out

    forms = BY_CODE[code]
    fields = [values(forms, f) for f in ("src", "off", "imm")]
    for src, off, imm in itertools.product(*fields):
        assert sum(form.matches(Insn(code, 0, src & 15, off, imm)) for form in forms) <= 1


@pytest.mark.parametrize(
    ("insn", "name"),
    [
        (Insn(0xB7, 1, 0, 0, 5), "mov64_k"),
        (Insn(0xB7, 1, 0, 8, 5), None),
        (Insn(0xBF, 1, 2, 8), "movs8to64"),
        (Insn(0xBC, 1, 2, 32), None),
        (Insn(0xBF, 1, 2, 1, 1), "addr_space_cast"),
        (Insn(0xBF, 1, 2, 1, 5), None),
        (Insn(0x37, 1, 0, 1, 5), "sdiv64_k"),
        (Insn(0xDB, 1, 2, 0, 0x100), "load_acquire64"),
        (Insn(0xD3, 1, 2, 0, 0), None),
        (Insn(0xDB, 1, 2, 0, 3), None),
        (Insn(0x85, 0, 2, 1, 5), "call_kfunc"),
        (Insn(0x85, 0, 0, 1, 5), None),
        (Insn(0x18, 1, 6, 0, 5), "lddw_map_idx_value"),
        (Insn(0x18, 1, 7, 0, 5), None),
        (Insn(0xE5, 0, 1, 1), None),
        (Insn(0x8D, 0, 1), None),
        (Insn(0xDF, 1, 0, 0, 16), None),
        (Insn(0x38, 0, 0, 0, 0), None),
        (Insn(0x95, 0, 0, 0, 0), "exit"),
    ],
    ids=lambda v: str(v) if isinstance(v, str) else "",
)
def test_form_of(insn: Insn, name: str | None) -> None:
    form = form_of(insn)
    assert (form.name if form else None) == name


def test_codec_layout() -> None:
    data = encode([Insn(0x61, 2, 10, -8, 0), Insn(0x18, 1, 4, 0, -1)])
    assert data.hex() == "61a2f8ff00000000" + "18410000ffffffff"
    assert decode(data) == [Insn(0x61, 2, 10, -8, 0), Insn(0x18, 1, 4, 0, -1)]
