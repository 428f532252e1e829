"""The master test: userbpf's verifier and Linux's, the same verdict, errno and log at level 2, line by line."""

from __future__ import annotations

import itertools

import pytest

from bench_verifier import generate, golden, linux
from bench_verifier.diff import CPUS, Linux, Verdict, kind, ours, report
from userbpf.isa.insn import Insn, decode

REASON = linux.available()
needs_linux = pytest.mark.skipif(REASON is not None, reason=str(REASON))
TYPES = pytest.mark.parametrize("name", generate.PROG_TYPES)


@pytest.fixture(scope="module")
def kernel() -> Linux:
    return Linux()


def listing(insns: list[Insn]) -> str:
    return "\n".join(f"{pc:4}: {tuple(i)}" for pc, i in enumerate(insns))


def check(theirs: Verdict, insns: list[Insn], prog_type: int, what: str, nr_cpus: int = CPUS) -> None:
    mine = ours(insns, prog_type, nr_cpus=nr_cpus)
    if kind(theirs, mine) != "same":
        pytest.fail(f"{what}: {kind(theirs, mine)}\n{report(theirs, mine)}\n{listing(insns)}")


def compare(kernel: Linux, name: str, seeds: range, mutated: bool) -> None:
    prog_type = generate.PROG_TYPES[name]
    for seed in seeds:
        prog = generate.program(prog_type, seed)
        if mutated:
            prog = generate.mutate(prog, seed)
        theirs = kernel(prog.insns, prog_type)
        if theirs.err != 28:  # ENOSPC: more log than the buffer holds
            check(theirs, prog.insns, prog_type, f"{name} seed {seed}{' mutated' * mutated}")


@needs_linux
@TYPES
@pytest.mark.parametrize("mutated", [False, True], ids=["plain", "mutated"])
def test_log_is_that_of_linux(kernel: Linux, name: str, mutated: bool) -> None:
    compare(kernel, name, range(60), mutated)


@needs_linux
@pytest.mark.sweep
@TYPES
@pytest.mark.parametrize("mutated", [False, True], ids=["plain", "mutated"])
@pytest.mark.parametrize("part", range(10))
def test_log_is_that_of_linux_sweep(kernel: Linux, name: str, mutated: bool, part: int) -> None:
    compare(kernel, name, range(10_000 + part * 1000, 10_600 + part * 1000), mutated)


@pytest.mark.parametrize("row", golden.load(f"verifier_{golden.RELEASE}"), ids=lambda r: r["id"])
def test_log_is_the_recorded_one(row: dict[str, object]) -> None:
    lines, insns = row["lines"], row["insns"]
    assert isinstance(lines, list) and isinstance(insns, str) and isinstance(row["err"], int)
    check(
        Verdict(row["err"], lines),
        decode(bytes.fromhex(insns)),
        generate.PROG_TYPES[str(row["type"])],
        str(row["id"]),
        0,
    )


# -- every opcode with every field off its mark -------------------------------------------------------------------------


def one_instruction(code: int, fields: itertools.product[tuple[int, ...]]) -> list[list[Insn]]:
    before = [*(Insn(0xB7, r, 0, 0, 1) for r in (0, 1, 2)), Insn(0x7A, 10, 0, -8, 0)]
    second = [Insn(0)] if code == 0x18 else []
    return [[*before, Insn(code, *f), *second, Insn(0xB7), Insn(0x95)] for f in fields]


@needs_linux
@pytest.mark.parametrize("high", range(16))
def test_reserved_fields(kernel: Linux, high: int) -> None:
    for code in range(high * 16, high * 16 + 16):
        for insns in one_instruction(code, itertools.product((0, 1, 10), (0, 1), (0, 1, -8), (0, 16))):
            if not (code == 0x85 and insns[4].imm == 8):
                check(kernel(insns, generate.SOCKET_FILTER), insns, generate.SOCKET_FILTER, f"{insns[4]}")


@needs_linux
@pytest.mark.sweep
@pytest.mark.parametrize("code", range(256))
def test_reserved_fields_sweep(kernel: Linux, code: int) -> None:
    fields = itertools.product((0, 1, 10), (0, 1, 2, 10), (0, 1, -8), (0, 1, 2, 8, 16, 32, -1))
    for insns in one_instruction(code, fields):
        if not (code == 0x85 and (insns[4].imm == 8 or insns[4].src == 2)):
            check(kernel(insns, generate.SOCKET_FILTER), insns, generate.SOCKET_FILTER, f"{insns[4]}")
