"""Programs in C: errno, message and count as Linux 6.18.44 recorded them (see `c_rig`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from userbpf.loader import Object
from verifier.c_rig import SOURCES, Answer, ask, recorded

CASES = [(source, name) for source, answers in recorded().items() for name in answers]


@pytest.fixture(scope="module")
def objects() -> Iterator[dict[str, Object]]:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("the programs name types of the kernel, and it has no BTF")
    found = {source: Object.open(SOURCES / source).load(progs=()) for source in recorded()}
    yield found
    for obj in found.values():
        obj.close()


@pytest.mark.parametrize(("source", "name"), CASES, ids=[f"{s.split('.')[0]}-{n}" for s, n in CASES])
def test_as_linux(objects: dict[str, Object], source: str, name: str) -> None:
    want: Answer = recorded()[source][name]
    assert ask(objects[source], name) == want


def test_all_programs_are_recorded(objects: dict[str, Object]) -> None:
    assert {path.name for path in SOURCES.glob("*.bpf.c")} == set(recorded())
    assert all(set(obj.plan.progs) == set(recorded()[source]) for source, obj in objects.items())
