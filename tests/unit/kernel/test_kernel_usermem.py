"""User memory: exact copies or EFAULT, never a signal, in every one of its ways."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading

import pytest

from userbpf.errors import BpfError
from userbpf.kernel.usermem import OwnMemory, PipeMemory, UserMemory, own_memory, read_string

PAGE = mmap.PAGESIZE
WAYS = {"vm": OwnMemory, "pipe": PipeMemory}
NOWHERE = (0, 1, 4095, 1 << 47, 1 << 63, (1 << 64) - 1, (1 << 64) - 8)


@pytest.fixture(params=list(WAYS))
def memory(request: pytest.FixtureRequest) -> UserMemory:
    return WAYS[request.param]()


class Pages:
    """Two pages with nothing behind them."""

    def __init__(self) -> None:
        self.map = mmap.mmap(-1, 3 * PAGE)
        self.addr = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.end = self.addr + 2 * PAGE
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self.protect = protect
        assert protect(self.end, PAGE, mmap.PROT_READ * 0) == 0


def errno_of(fn: object, *args: object) -> int:
    with pytest.raises(BpfError) as caught:
        fn(*args)  # type: ignore[operator]
    return caught.value.errno or 0


@pytest.mark.parametrize("size", [0, 1, 7, 8, 4096, 65536, 100_000])
def test_round_trip(memory: UserMemory, size: int) -> None:
    data = os.urandom(size)
    buffer = ctypes.create_string_buffer(size + 1)
    memory.write(ctypes.addressof(buffer), data)
    assert buffer.raw == data + b"\0"
    assert memory.read(ctypes.addressof(buffer), size) == data


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytearray"), memoryview(b"view of bytes")[2:6]])
def test_what_may_be_written(memory: UserMemory, data: bytes) -> None:
    buffer = ctypes.create_string_buffer(16)
    memory.write(ctypes.addressof(buffer), data)
    assert buffer.raw[: len(data)] == bytes(data)


@pytest.mark.parametrize("addr", NOWHERE)
def test_nowhere_is_efault(memory: UserMemory, addr: int) -> None:
    assert errno_of(memory.read, addr, 8) == errno.EFAULT
    assert errno_of(memory.write, addr, b"12345678") == errno.EFAULT


@pytest.mark.parametrize("addr", NOWHERE)
def test_zero_bytes_are_always_there(memory: UserMemory, addr: int) -> None:
    assert memory.read(addr, 0) == b""
    memory.write(addr, b"")


def test_a_copy_that_runs_out_of_memory_is_efault(memory: UserMemory) -> None:
    pages = Pages()
    assert memory.read(pages.end - 8, 8) == bytes(8)
    assert errno_of(memory.read, pages.end - 8, 9) == errno.EFAULT
    assert errno_of(memory.write, pages.end - 8, b"123456789") == errno.EFAULT
    assert errno_of(memory.read, pages.end - PAGE, 2 * PAGE) == errno.EFAULT


def test_read_only_memory_is_not_written(memory: UserMemory) -> None:
    pages = Pages()
    assert pages.protect(pages.addr, PAGE, mmap.PROT_READ) == 0
    assert errno_of(memory.write, pages.addr, b"x") == errno.EFAULT
    assert memory.read(pages.addr, 1) == b"\0"


def test_a_child_reads_its_own_memory(memory: UserMemory) -> None:
    buffer = ctypes.create_string_buffer(b"parent", 8)
    memory.read(ctypes.addressof(buffer), 1)
    pid = os.fork()
    if not pid:
        buffer.value = b"child"
        os._exit(0 if memory.read(ctypes.addressof(buffer), 5) == b"child" else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_threads_do_not_disturb_each_other(memory: UserMemory) -> None:
    wrong: list[bytes] = []

    def work(letter: bytes) -> None:
        buffer = ctypes.create_string_buffer(letter * 64, 64)
        for _ in range(300):
            got = memory.read(ctypes.addressof(buffer), 64)
            if got != letter * 64:
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(bytes([65 + i]),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_strings(memory: UserMemory) -> None:
    pages = Pages()
    ctypes.memmove(pages.end - 6, b"hello\0", 6)
    assert read_string(memory, pages.end - 6, 100) == b"hello"  # does not look behind its NUL
    assert read_string(memory, pages.end - 6, 3) == b"hel"
    ctypes.memmove(pages.end - 1, b"!", 1)
    assert errno_of(read_string, memory, pages.end - 6, 100) == errno.EFAULT
    ctypes.memmove(pages.end - PAGE - 2, b"abcd\0", 5)  # across a page
    assert read_string(memory, pages.end - PAGE - 2, 100) == b"abcd"


def test_the_best_way_is_taken() -> None:
    assert isinstance(own_memory(), OwnMemory | PipeMemory)
