"""Iterators, sections and exceptions: the verifier's whole log, recorded from Linux 6.18.44 (level 2)."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from bpfcalls import Buf, Calls, calls_of
from userbpf.abi.enums import ProgType
from userbpf.btf import Func
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel

RECORDED = Path(__file__).resolve().parent.parent / "data" / "kfunc_iters_6.18.44.json.xz"
CASES: dict[str, dict[str, Any]] = json.loads(lzma.decompress(RECORDED.read_bytes()))
KFUNC = re.compile(r"kfunc ([a-z]\w*)")
NUMBER = re.compile(r"\b(bpf_\w+)#\d+")


def ask(calls: Calls, text: str, prog_type: int) -> tuple[int, list[str]]:
    """errno and log of a program, without the numbers that a kernel's BTF gives."""
    assert calls.kernel is not None
    btf = calls.kernel.vmlinux()
    code = list(assemble(KFUNC.sub(lambda m: f"kfunc {btf.find(m[1], Func).id}", text)))
    log = Buf(1 << 22)
    try:
        calls.close(calls.prog(code, prog_type, log_level=2, log_buf=log.addr, log_size=log.size))
        errno = 0
    except OSError as e:
        errno = e.errno or 0
    return errno, plain(log.text)


def plain(log: str) -> list[str]:
    return [NUMBER.sub(r"\1", line.rstrip()) for line in log.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def calls() -> Calls:
    if Kernel().symbols() is None:
        pytest.skip("needs the kernel's own BTF")
    return calls_of("user")


@pytest.mark.parametrize("name", sorted(CASES))
def test_log_is_linuxs(calls: Calls, name: str) -> None:
    case = CASES[name]
    assert ask(calls, case["text"], case["type"]) == (case["errno"], case["log"])


def test_programs_may_throw(calls: Calls) -> None:
    assert ask(calls, "r1 = 1\ncall kfunc bpf_throw\nexit", int(ProgType.XDP))[0] == 0
