"""Random XDP programs run by Linux, by the interpreter and compiled: the same result, packet and maps."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from bench_verifier import generate, linux
from enginerig import ENGINES, Maps, Rig, accept
from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError
from userbpf.isa.insn import encode

INGRESS_IFINDEX = 12  # offsets in struct xdp_md; Linux's test run says that the frame came from the loopback device
HASH = generate.MAPS[generate.HASH]
CHUNK = 25


class LinuxMaps:
    """The generator's maps in Linux."""

    def __init__(self) -> None:
        self.fds = [linux.create_map(*spec) for spec in generate.MAPS]

    def content(self) -> list[Any]:
        out = []
        for fd, spec in zip(self.fds, generate.MAPS, strict=True):
            if spec.map_type == 27:  # a ring buffer is read by mmap alone
                continue
            keys = [n.to_bytes(4, "little") for n in range(spec.max_entries)] if spec.map_type == 2 else self._keys(fd)
            out.append({k: linux.map_elem(1, fd, k, bytes(spec.value_size))[1][: spec.value_size] for k in keys})
        return out

    @staticmethod
    def _keys(fd: int) -> list[bytes]:
        keys: list[bytes] = []
        error, key = linux.map_elem(4, fd, bytes(range(8)), bytes(8))
        while error == 0 and key[:8] not in keys:
            keys.append(key[:8])
            error, key = linux.map_elem(4, fd, key[:8], bytes(8))
        return keys

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


def in_linux(insns: list[Any], frame: bytes) -> tuple[int, bytes, list[Any]] | None:
    """retval, packet and maps; None where the program is refused."""
    maps = LinuxMaps()
    try:
        answer = linux.Oracle(1 << 12).load(encode(generate.bind(insns, maps.fds)), linux.XDP, level=0, keep=True)
        if answer.err:
            return None
        try:
            error, retval, out = linux.run(answer.fd, frame)
        finally:
            os.close(answer.fd)
        assert error == 0
        return retval, out, maps.content()
    finally:
        maps.close()


def ours(engine: str, insns: list[Any], frame: bytes) -> tuple[int, bytes, list[Any]]:
    maps = Maps(*generate.MAPS)
    prog = accept(insns, ProgType.XDP, maps.shapes)
    rig = Rig(frame, bytes(INGRESS_IFINDEX) + (1).to_bytes(4, "little"))
    r0 = ENGINES[engine](prog, rig, maps.env(prog))
    return r0 & 0xFFFFFFFF, rig.packet(), [c for c in maps.content() if isinstance(c, dict)]


def compare(seed: int) -> bool:
    """False where Linux or our verifier refuses the program."""
    insns = generate.program(generate.XDP, seed, pure=True).insns
    frame = random.Random(seed).randbytes(14 + seed % 120)
    expected = in_linux(insns, frame)
    if expected is None:
        return False
    for engine in ENGINES:
        try:
            assert ours(engine, insns, frame) == expected, f"xdp {seed}: {engine}"
        except BpfError:
            return False
    return True


@pytest.mark.parametrize("first", range(0, 4 * CHUNK, CHUNK))
def test_random_programs_run_as_in_linux(first: int) -> None:
    if reason := linux.available():
        pytest.skip(reason)
    assert sum(compare(seed) for seed in range(first, first + CHUNK)) > CHUNK // 2


@pytest.mark.sweep
def test_many_random_programs_run_as_in_linux() -> None:
    if reason := linux.available():
        pytest.skip(reason)
    assert sum(compare(seed) for seed in range(1000, 3000)) > 1000
