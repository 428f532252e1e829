"""Cutting a log to the user's buffer."""

from __future__ import annotations

import errno

import pytest

from bpfcalls import Buf
from userbpf.errors import BpfError
from userbpf.kernel.usermem import own_memory
from userbpf.syscall.attrs import UserAttr
from userbpf.syscall.log import BPF_LOG_FIXED, UserLog

TEXT = "0: first\n1: second\n"


def deliver(
    level: int, size: int, text: str = TEXT, attr_size: int = 8, at: int | None = None
) -> tuple[int, bytes, int]:
    """errno, the buffer, the true size."""
    memory, buffer, raw = own_memory(), Buf(b"\xff" * 64), bytearray(attr_size)
    log = UserLog(level, buffer.addr if at is None else at, size)
    log.check()
    code = log.finish(memory, UserAttr(memory, raw, None), 4, text)
    return code, buffer.raw, int.from_bytes(raw[4:8], "little")


@pytest.mark.parametrize("size", [len(TEXT) + 1, 60])
def test_a_buffer_that_is_large_enough(size: int) -> None:
    assert deliver(1, size) == (0, (TEXT.encode() + b"\0").ljust(64, b"\xff"), len(TEXT) + 1)


@pytest.mark.parametrize("size", range(1, len(TEXT) + 1))
def test_the_tail_stays(size: int) -> None:
    want = TEXT.encode()[len(TEXT) + 1 - size :] + b"\0"
    assert deliver(1, size) == (errno.ENOSPC, want.ljust(64, b"\xff"), len(TEXT) + 1)


@pytest.mark.parametrize("size", range(1, len(TEXT) + 1))
def test_fixed_keeps_the_head(size: int) -> None:
    want = TEXT.encode()[: size - 1] + b"\0"
    assert deliver(1 | BPF_LOG_FIXED, size) == (errno.ENOSPC, want.ljust(64, b"\xff"), len(TEXT) + 1)


def test_no_level_no_log() -> None:
    assert deliver(0, 0, at=0) == (0, b"\xff" * 64, 0)


def test_an_empty_log() -> None:
    assert deliver(1, 8, "") == (0, b"\0".ljust(64, b"\xff"), 0)


def test_an_attr_that_does_not_know_the_true_size() -> None:
    assert deliver(1, 60, attr_size=4)[2] == 0


def test_a_buffer_nowhere() -> None:
    assert deliver(1, 60, at=8)[0] == errno.EFAULT


def test_text_that_is_not_utf8() -> None:
    code, raw, size = deliver(1, 60, "name \udcff\n")
    assert (code, raw[:8], size) == (0, b"name \xff\n\0", 8)


@pytest.mark.parametrize(("level", "buf", "size"), [(16, 1, 8), (1, 1, 0), (1, 0, 8), (0, 1, 8), (1, 1, 1 << 30)])
def test_combinations_that_make_no_sense(level: int, buf: int, size: int) -> None:
    with pytest.raises(BpfError) as caught:
        UserLog(level, buf, size).check()
    assert caught.value.errno == errno.EINVAL
