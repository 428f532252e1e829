"""What BPF_PROG_LOAD says of wrong attrs, one or several at once: errno, log and attr as recorded from Linux 6.18.44."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from typing import Any

import pytest

from verifier.loading_ask import RECORDED, World, own_world
from verifier.loading_cases import CASES

EXPECTED: dict[str, list[Any]] = json.loads(lzma.decompress(RECORDED.read_bytes()))
GROUP = 100
GROUPS = [list(CASES)[i : i + GROUP] for i in range(0, len(CASES), GROUP)]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = own_world()
    yield made
    made.close()


@pytest.mark.parametrize("names", GROUPS, ids=[f"{i * GROUP}" for i in range(len(GROUPS))])
def test_answers(world: World, names: list[str]) -> None:
    got = {name: list(CASES[name](world)) for name in names}
    assert {name: answer for name, answer in got.items() if answer != EXPECTED[name]} == {}


def test_every_case_is_recorded() -> None:
    assert set(EXPECTED) == set(CASES)
