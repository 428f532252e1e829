"""The garbage collector is the application's: verification gives it back as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify


@pytest.fixture
def collector() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("text", ["r0 = 0\nexit", "exit"], ids=["accepted", "rejected"])
def test_the_collector_is_as_it_was(collector: None, on: bool, text: str) -> None:
    (gc.enable if on else gc.disable)()
    try:
        verify(VerifyRequest(insns=tuple(assemble(text)), prog_type=ProgType.SOCKET_FILTER))
    except Rejected:
        assert text == "exit"
    assert gc.isenabled() is on
