"""Stack depth, asked of Linux: the cases of `depth_cases`; and how many functions there may be."""

from __future__ import annotations

import pytest

from bpfcalls import Buf, calls_of
from userbpf.abi.enums import ProgType as T
from userbpf.isa.asm import assemble
from verifier.depth_cases import BY_NAME, asked
from verifier.objects_rig import Scene


@BY_NAME
def test_linux_says_so(prog_type: int, text: str, errno: int, said: str, depth: str) -> None:
    assert asked(Scene(calls_of("linux")), prog_type, text) == (errno, said, depth)


@pytest.mark.parametrize("transport", ["user", "linux"])
def test_subprograms_are_counted(transport: str) -> None:
    def program(count: int) -> str:
        calls = [f"call f{i}" for i in range(count)]
        return "\n".join([*calls, "r0 = 0", "exit", *[f"f{i}:\nr0 = 0\nexit" for i in range(count)]])

    calls = calls_of(transport)
    log = Buf(1 << 16)
    more = {"log_level": 1, "log_buf": log.addr, "log_size": log.size}
    assert calls.err(calls.prog, assemble(program(255)), T.XDP) == ""
    assert calls.err(calls.prog, assemble(program(256)), T.XDP, **more) == "E2BIG"
    assert "too many subprograms" in log.text
