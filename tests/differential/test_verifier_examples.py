"""Whole objects with BTF: the log at level 2, source lines included, is Linux's line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from userbpf import linux
from userbpf.errors import BpfError
from userbpf.loader import Object

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REASON = linux.available()
# a map's address, and the padding that its length asks for
ADDRESS = re.compile(r"(\(18\) r\d = )0x[0-9a-f]+ *")


def log_lines(path: Path, transport: str) -> list[str]:
    obj = Object.open(path).load(transport, log_level=2)
    text = "\n".join(prog.log or "" for prog in obj.progs.values())
    return [line for line in ADDRESS.sub(r"\1X ", text).splitlines() if not line.startswith("verification time")]


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.bpf.c")), ids=lambda p: p.name)
def test_log_of_an_example_is_linuxs(path: Path) -> None:
    mine = log_lines(path, "user")
    assert len(mine) > 100 and any(line.startswith("; ") and " @ " in line for line in mine)
    assert mine == log_lines(path, "linux")


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_what_is_refused_is_refused_in_the_same_words() -> None:
    path = EXAMPLES / "refused" / "xdp_mistakes.bpf.c"
    said: dict[str, dict[str, tuple[int | None, list[str]]]] = {"user": {}, "linux": {}}
    for transport, of in said.items():
        with Object.open(path).load(transport, progs=()) as obj:
            for name in obj.plan.progs:
                with pytest.raises(BpfError) as e:
                    obj.load_prog(name, 2)
                log = ADDRESS.sub(r"\1X ", e.value.log or "")
                of[name] = (
                    e.value.errno,
                    [line for line in log.splitlines() if not line.startswith("verification time")],
                )
    assert len(said["user"]) == 3 and said["user"] == said["linux"]
