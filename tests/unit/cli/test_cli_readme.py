"""The commands and the Python of README do what it says, from a fresh checkout's root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from userbpf import linux

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
COMMANDS = [line.strip() for line in README.splitlines() if re.match(r"    (userbpf|echo) ", line)]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_commands(tmp_path: Path) -> None:
    """One shell, as a user types them one after the other."""
    assert len(COMMANDS) > 10
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    commands = [c for c in COMMANDS if "--transport linux" not in c or linux.available() is None]
    bins = tmp_path / "bin"
    bins.mkdir()
    (bins / "userbpf").write_text(f'#!/bin/sh\nexec {sys.executable} -m userbpf "$@"\n')
    (bins / "userbpf").chmod(0o755)
    env = {**os.environ, "PATH": f"{bins}{os.pathsep}{os.environ['PATH']}"}
    script = "set -e\n" + "\n".join(f"{'! ' * ('refused' in c)}{c}\necho '--- done'" for c in commands)
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.count("--- done\n") == len(commands)
    assert "XDP_DROP" in done.stdout and "count_flows" in done.stdout
    shown = README.split("beneath Linux's own words:\n\n")[1].split("\n\n")[0]
    assert all(line.strip() in done.stdout for line in shown.splitlines())


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python(number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    packet = bytes(12) + b"\x08\x00" + bytes([0x45]) + bytes(8) + bytes([17]) + bytes(40)
    names: dict[str, object] = {"packet": packet}
    exec(PYTHON[number], names)
    if "result" in names:
        assert capsys.readouterr().out.splitlines() == ["2", "17 1 64"]
    if "fd" in names:
        os.close(names["fd"])  # type: ignore[arg-type]
