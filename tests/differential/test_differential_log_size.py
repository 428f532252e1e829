"""The log's buffer: every level and sizes around what is needed; errno, log_true_size and text are Linux's."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

import pytest

from bench_verifier import linux
from userbpf import linux as transport
from userbpf.abi.attrs import ProgLoadAttr
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch

pytestmark = pytest.mark.skipif(linux.available() is not None, reason=str(linux.available()))

TRUE_SIZE = ProgLoadAttr.offset_of("log_true_size")
PROGRAMS = {
    "accepted": "r0 = 0\n if r0 == 0 goto out\n r0 = 1\nout: exit",
    "refused": "r1 = 0\n r0 = r5\n exit",
    "two paths": "call bpf_get_prandom_u32\n if r0 == 5 goto other\n r0 = 1\n exit\nother: r0 = 2\n exit",
    "the second is wrong": "call bpf_get_prandom_u32\n if r0 == 5 goto other\n r0 = 1\n exit\nother: r0 = r5\n exit",
    "no exit": "r0 = 0",
}


def load(bpf: Any, text: str, level: int, size: int, buffer: bool = True) -> tuple[int, int, bytes]:
    """errno, log_true_size and the text up to its NUL (the times of level 4 taken out)."""
    code = encode(assemble(text))
    insns, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(8192)
    attr = ProgLoadAttr(
        prog_type=1, insn_cnt=len(code) // 8, insns=ctypes.addressof(insns), license=ctypes.addressof(licence),
        log_level=level, log_size=size, log_buf=ctypes.addressof(log) if buffer else 0,
    )  # fmt: skip
    err, raw = 0, bytearray(attr.encode())
    try:
        os.close(bpf(5, raw))
    except BpfError as e:
        err = e.errno or -1
    return err, struct.unpack_from("<I", raw, TRUE_SIZE)[0], log.value


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return Kernel()


@pytest.mark.parametrize("level", [0, 1, 2, 3, 8, 9, 10, 11, 16])
@pytest.mark.parametrize("name", PROGRAMS)
def test_size(kernel: Kernel, name: str, level: int) -> None:
    text = PROGRAMS[name]
    needed = load(transport.bpf, text, level, 8000)[1]
    near = (needed - 1, needed, needed + 1, needed - 10)
    for size in sorted({0, 1, 2, 10, 63, 64, 127, 128, 129, *near, 8000, 1 << 30} - set(range(-20, 0))):
        for buffer in (True, False):
            mine = load(lambda cmd, attr: dispatch(kernel, cmd, attr), text, level, size, buffer)
            assert mine == load(transport.bpf, text, level, size, buffer), (size, buffer)
