"""The same cases, asked of the running kernel and its own BTF."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_verifier import linux
from userbpf.btf.lazy import read_lazy
from verifier.btf_ask import VMLINUX, mine, theirs
from verifier.btf_cases import CASES


def test_all_cases() -> None:
    why = linux.available()
    if why is not None or not Path(VMLINUX).is_file():
        pytest.skip(why or "no BTF of the kernel")
    btf = read_lazy(VMLINUX)
    wrong = [case.name for case in CASES if mine(case, btf) != theirs(case)]
    assert not wrong
