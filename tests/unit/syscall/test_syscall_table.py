"""The command table: a handler for each row that runs, an errno for each that is absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


ALONE = """
import sys
import userbpf
from userbpf.abi.attrs import MapCreateAttr, ProgLoadAttr, ProgTestRunAttr
from bpfcalls import Buf, count_in_array, encode
bpf = userbpf.bpf
fd = bpf(0, MapCreateAttr(map_type=2, key_size=4, value_size=8, max_entries=1))
insns, licence, packet = count_in_array(fd, 2), Buf(b"GPL\\0"), Buf(bytes(64))
code = Buf(encode(insns))
before = set(sys.modules)
prog = bpf(5, ProgLoadAttr(prog_type=6, insn_cnt=len(insns), insns=code.addr, license=licence.addr))
attr = ProgTestRunAttr(prog_fd=prog, data_in=packet.addr, data_size_in=64)
bpf(10, attr)
assert attr.retval == 2
print(sorted(name for name in set(sys.modules) - before if "llvm" not in name and "encodings" not in name))
"""


def test_loading_and_running_imports_nothing() -> None:
    """`userbpf.bpf` has brought all of it, so that the first program does not wait (bench/cold.py has the times)."""
    tests = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
