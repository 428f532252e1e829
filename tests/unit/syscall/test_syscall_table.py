"""The command table: a handler for each row that runs, an errno for each that is absent."""

from __future__ import annotations

import pytest

from bpfcalls import Calls
from userbpf.abi.enums import Cmd
from userbpf.spec.commands import COMMANDS
from userbpf.syscall import NOUNS, handler_of

RUN = [row for row in COMMANDS.values() if row.status == "run"]
ABSENT = [row for row in COMMANDS.values() if row.status == "absent"]


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.cmd.name)
def test_a_row_that_runs_has_a_handler(row: object) -> None:
    assert callable(handler_of(row.cmd))  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", ABSENT, ids=lambda row: row.cmd.name)
def test_an_absent_row_has_none_and_answers_its_errno(user: Calls, row: object) -> None:
    cmd: Cmd = row.cmd  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        handler_of(cmd)
    with pytest.raises(OSError) as caught:
        user.bpf(cmd, bytearray(64))
    assert caught.value.errno == row.errno  # type: ignore[attr-defined]


def test_each_handler_stands_in_one_module() -> None:
    import importlib

    seen: list[Cmd] = []
    for noun in NOUNS:
        seen += importlib.import_module(f"userbpf.syscall.{noun}").HANDLERS
    assert sorted(seen) == sorted(row.cmd for row in RUN)
