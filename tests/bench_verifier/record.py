"""Make the recordings of `golden` anew: `cd tests && python -m bench_verifier.record domain`."""

from __future__ import annotations

import itertools
import sys
from typing import Any

from bench_verifier import generate, golden, linux, scalars, wide
from bench_verifier import kernel_functions as calling
from bench_verifier.diff import Linux
from userbpf import linux as transport
from userbpf.isa.insn import encode
from verifier import btf_ask
from verifier.btf_cases import Case


def domain() -> list[dict[str, Any]]:
    """Scalar programs, with an eye on contradictions: half of the seeds are ones that met one."""
    oracle = linux.Oracle()
    rows: list[dict[str, Any]] = []
    rare = 0
    for seed in range(4000):
        if len(rows) >= 90 and rare >= 30:
            break
        code = encode(scalars.program(seed))
        answer = oracle.load(code)
        contradicts = "INVARIANTS" in answer.log
        if (contradicts and rare < 30) or len(rows) - rare < 60:
            rare += contradicts
            log = answer.log[answer.log.index("\n0: R1") + 1 :]
            log = "\n".join(line for line in log.splitlines() if not line.startswith(("mark_precise", "frame 0: prop")))
            rows.append({"seed": seed, "insns": code.hex(), "log": log})
    return rows


def verifier() -> list[dict[str, Any]]:
    """Whole logs of small programs, plain and mutated, up to a size."""
    kernel = Linux()
    rows: list[dict[str, Any]] = []
    for name, mutated in itertools.product(generate.PROG_TYPES, (False, True)):
        prog_type, taken, seed = generate.PROG_TYPES[name], 0, 5000
        while taken < 40:
            seed += 1
            prog = generate.program(prog_type, seed)
            if mutated:
                prog = generate.mutate(prog, seed)
            answer = kernel(prog.insns, prog_type)
            if len(answer.lines) > 400 or (mutated and not answer.err):
                continue
            taken += 1
            code = encode(prog.insns).hex()
            label = f"{name}-{seed}{'-mutated' * mutated}"
            rows.append({"id": label, "type": name, "err": answer.err, "insns": code, "lines": answer.lines})
    return rows


def with_btf() -> list[dict[str, Any]]:
    """Whole logs of programs with BTF: callbacks, global functions, may_goto, tail calls, every atomic."""
    side = wide.Side(transport.bpf)
    rows: list[dict[str, Any]] = []
    for name, mutated in itertools.product(generate.PROG_TYPES, (False, True)):
        taken, seed = 0, 8000
        while taken < (15 if mutated else 30):
            seed += 1
            prog = wide.program(generate.PROG_TYPES[name], seed)
            if mutated:
                prog = wide.mutate(prog, seed)
            answer = side(prog)
            if len(answer.lines) > 300 or (mutated and not answer.err) or "verifier bug" in answer.message:
                continue
            taken += 1
            row: dict[str, Any] = {"id": f"{name}-{seed}{'-mutated' * mutated}", "type": name, "err": answer.err}
            row |= {"insns": encode(prog.insns).hex(), "btf": prog.btf.hex(), "lines": answer.lines}
            rows.append(row | {"func_info": prog.func_info, "line_info": prog.line_info})
    return rows


def kernel_functions() -> list[dict[str, Any]]:
    """Whole logs of programs that call kernel functions, a third of them refused; one drops states within an open loop."""
    rows: list[dict[str, Any]] = []

    def take(case: Case, err: int, lines: list[str]) -> None:
        rows.append({"id": case.name, "err": err, "text": case.text, "lines": lines})

    for family in calling.TYPES:
        left, seed = {False: 40, True: 20}, 0
        while any(left.values()):
            case = calling.program(family, seed)
            seed += 1
            err, lines = btf_ask.theirs(case)
            if len(lines) <= 130 and left[bool(err)]:
                left[bool(err)] -= 1
                take(case, err, lines)
    dropping = calling.program("tc", 1026)
    take(dropping, *btf_ask.theirs(dropping))
    return rows


if __name__ == "__main__":
    reason = linux.available()
    if reason:
        sys.exit(reason)
    for name in sys.argv[1:]:
        print(name, golden.save(f"{name}_{golden.RELEASE}", globals()[name]()), "bytes")
