"""Accept and refuse with Linux's errno and words, one behaviour a case."""

from __future__ import annotations

from collections.abc import Iterator
from os import close

import pytest

from bench_verifier import linux
from verifier.fault_cases import LINUX_HOLES
from verifier.verifier_ask import create_maps, message, mine, recorded, theirs
from verifier.verifier_cases import CASES

REASON = linux.available()
EXPECTED = recorded()
BY_ID = pytest.mark.parametrize(("name", "prog_type", "text"), CASES, ids=[c[0] for c in CASES])


@BY_ID
def test_case(name: str, prog_type: int, text: str) -> None:
    err, log, processed = mine(prog_type, text)
    row = EXPECTED[name]
    assert (err, message(log) if err else "", processed) == (row["errno"], row["message"], row["processed"])


@BY_ID
def test_log_level_does_not_change_the_verdict(name: str, prog_type: int, text: str) -> None:
    quiet = mine(prog_type, text, 0)
    brief = mine(prog_type, text, 1)
    row = EXPECTED[name]
    assert (quiet[0], quiet[2]) == (brief[0], brief[2]) == (row["errno"], row["processed"])
    assert quiet[1] == []
    if row["errno"]:
        assert message(brief[1]) == row["message"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[linux.Oracle, list[int]]]:
    if REASON is not None:
        pytest.skip(REASON)
    fds = create_maps()
    yield linux.Oracle(), fds
    for fd in fds:
        close(fd)


@BY_ID
def test_case_is_what_linux_says(kernel: tuple[linux.Oracle, list[int]], name: str, prog_type: int, text: str) -> None:
    err, log = theirs(*kernel, prog_type, text)
    my_err, my_log, _ = mine(prog_type, text)
    assert (my_err, my_log) == (err, log)


@pytest.mark.parametrize(("name", "prog_type", "text", "errno"), LINUX_HOLES, ids=[c[0] for c in LINUX_HOLES])
def test_what_linux_wrongly_accepts_is_refused(name: str, prog_type: int, text: str, errno: int) -> None:
    assert mine(prog_type, text)[0] == errno
