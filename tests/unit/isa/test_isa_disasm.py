"""The disassembler against the recorded words of Linux, and its own additions."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from userbpf.isa.disasm import disasm, imm64, jump_target, listing
from userbpf.isa.insn import Insn

RECORDED = Path(__file__).parents[2] / "data" / "isa_text_6.18.44.txt.xz"


def recorded() -> list[tuple[Insn, str]]:
    out = []
    for line in lzma.decompress(RECORDED.read_bytes()).decode().splitlines():
        if not line.startswith("#"):
            fields, text = line.split("\t")
            code, *rest = fields.split()
            out.append((Insn(int(code, 16), *map(int, rest)), text))
    return out


def test_disasm_speaks_as_linux() -> None:
    rows = recorded()
    assert len(rows) > 600
    wrong = [(insn, text, disasm([insn, Insn(0, imm=5)], 0)) for insn, text in rows]
    assert [row for row in wrong if row[1] != row[2]] == []


@pytest.mark.parametrize(
    ("insn", "text"),
    [
        pytest.param(Insn(0xDB, 1, 2, 0, 3), "BUG_db", id="atomic"),
        pytest.param(Insn(0x41, 1, 2), "BUG_ldx_41", id="ldx"),
        pytest.param(Insn(0x02, 1, 2), "BUG_st_02", id="st"),
        pytest.param(Insn(0x00, 1, 2), "BUG_ld_00", id="ld"),
        pytest.param(Insn(0xE7, 1, 2), "BUG_alu_e7", id="alu"),
    ],
)
def test_disasm_of_no_instruction(insn: Insn, text: str) -> None:
    assert disasm([insn], 0) == text


def test_disasm_resolver_names_maps_and_calls() -> None:
    seen: list[tuple[int, int]] = []

    def name(insn: Insn, value: int) -> str | None:
        seen.append((insn.code, value))
        return "map[id:7]+8" if insn.code == 0x18 else None

    prog = [Insn(0x18, 1, 2, 0, 7), Insn(0, imm=8), Insn(0x85, 0, 0, 0, 1)]
    assert disasm(prog, 0, name) == "(18) r1 = map[id:7]+8"
    assert disasm(prog, 2, name) == "(85) call bpf_map_lookup_elem#1"
    assert seen == [(0x18, 8 << 32 | 7), (0x85, 1)]


def test_imm64_is_unsigned() -> None:
    assert imm64([Insn(0x18, 1, 0, 0, -1), Insn(0, imm=-2)], 0) == 0xFFFFFFFE_FFFFFFFF


@pytest.mark.parametrize(
    ("insn", "target"),
    [
        pytest.param(Insn(0x05, off=3), 14, id="goto"),
        pytest.param(Insn(0x06, imm=-1), 10, id="gotol"),
        pytest.param(Insn(0x1D, 1, 2, -2), 9, id="if"),
        pytest.param(Insn(0xE5, off=1), 12, id="may_goto"),
        pytest.param(Insn(0x85, 0, 1, 0, 5), 16, id="call"),
        pytest.param(Insn(0x85, 0, 0, 0, 5), None, id="helper"),
        pytest.param(Insn(0x85, 0, 2, 0, 5), None, id="kfunc"),
        pytest.param(Insn(0x18, 1, 4, 0, 5), 16, id="func"),
        pytest.param(Insn(0x18, 1, 0, 0, 5), None, id="lddw"),
        pytest.param(Insn(0x95), None, id="exit"),
        pytest.param(Insn(0x07, 1, 0, 0, 5), None, id="add"),
    ],
)
def test_jump_target(insn: Insn, target: int | None) -> None:
    assert jump_target(insn, 10) == target


def test_listing_has_labels() -> None:
    prog = [Insn(0x15, 1, 0, 2, 0), Insn(0x18, 1, 1, 0, 4), Insn(0), Insn(0xB7, 0), Insn(0x95)]
    assert listing(prog) == ("    if r1 == 0x0 goto l0\n    r1 = map_fd 4 ll\nl0:\n    r0 = 0\n    exit\n")
