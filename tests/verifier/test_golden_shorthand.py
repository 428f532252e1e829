"""What is recorded from Linux stays small, and what is left out of it comes back as it was."""

from __future__ import annotations

import pytest

from bench_verifier import golden
from bench_verifier.shorthand import shorten, tell

MOST_BYTES = 400 * 1024
LOG = [
    "Live regs before insn:",
    "      0: .1........ (bf) r6 = r1",
    "  1   1: 0.....6... (7b) *(u64 *)(r10 -64) = r0",
    "0: R1=ctx() R10=fp0",
    "0: (bf) r6 = r1                       ; R1=ctx() R6=ctx()",
    "1: (7b) *(u64 *)(r10 -64) = r0 ; R0=scalar(id=1,var_off=(0x0; 0xff)) R10=fp0 fp-64=scalar(id=1,var_off=(0x0; 0xff))",
    "1: (7b) *(u64 *)(r10 -64) = r0        ; R0=scalar(id=1,var_off=(0x0; 0xff)) R10=fp0",
    "mark_precise: frame0: regs=r0 stack= before 0: (bf) r6 = r1",
    "1: (7b) *(u64 *)(r10 -64) = r0 more",
    "2: (95) exit",
    "from 1 to 0: R0=Pscalar() R10=fp0 fp-64=????rrrr",
    "",
]


def test_recordings_are_small() -> None:
    sizes = {
        str(path.relative_to(golden.DATA)): path.stat().st_size for path in golden.DATA.rglob(f"*{golden.RELEASE}*")
    }
    assert len(sizes) > 10
    assert sum(sizes.values()) < MOST_BYTES, sorted(sizes.items(), key=lambda row: -row[1])


def test_shorthand_is_undone() -> None:
    short = shorten(LOG)
    assert tell(short) == LOG
    assert len("".join(short)) < 0.75 * len("".join(LOG))


@pytest.mark.parametrize("mark", ["~", "`", "$"])
def test_marks_are_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="stand for repetitions"):
        shorten([f"a {mark}"])
