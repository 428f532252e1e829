"""What an adversary of the verifier found: Linux's errno, words and count, recorded from Linux 6.18.44 (`adversary_record`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from userbpf import linux
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from verifier.adversary_ask import Side
from verifier.adversary_cases import CASES
from verifier.adversary_record import RECORDED

EXPECTED: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text())
BY_ID = pytest.mark.parametrize(("name", "prog_type", "fields", "text"), CASES, ids=[c[0] for c in CASES])


@pytest.fixture(scope="module")
def own() -> Iterator[Side]:
    kernel = Kernel()
    side = Side(lambda cmd, attr: dispatch(kernel, cmd, attr))
    yield side
    side.close()


@pytest.fixture(scope="module")
def theirs() -> Iterator[Side]:
    reason = linux.available()
    if reason is not None:
        pytest.skip(reason)
    side = Side(linux.bpf)
    yield side
    side.close()


@BY_ID
def test_answer(own: Side, name: str, prog_type: int, fields: dict[str, Any], text: str) -> None:
    row = EXPECTED[name]
    assert own(prog_type, fields, text)[:3] == (row["errno"], row["message"], row["processed"])


@BY_ID
def test_log_is_what_linux_says(
    own: Side, theirs: Side, name: str, prog_type: int, fields: dict[str, Any], text: str
) -> None:
    assert own(prog_type, fields, text) == theirs(prog_type, fields, text)
