"""What `bpf` takes for an attr, and where results go."""

from __future__ import annotations

import array
import ctypes
import os
import subprocess
import sys

import pytest

import userbpf
from bpfcalls import Buf, u32
from userbpf.abi.attrs import GetIdAttr, MapCreateAttr
from userbpf.abi.enums import Cmd, MapType
from userbpf.errors import BpfError, UserbpfError
from userbpf.kernel import Kernel

CREATE = MapCreateAttr(map_type=MapType.ARRAY, key_size=4, value_size=8, max_entries=2)


class NextId(ctypes.Structure):
    _fields_ = [("start_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32)]


@pytest.fixture
def kernel() -> Kernel:
    made = Kernel()
    userbpf.bpf(Cmd.MAP_CREATE, CREATE, kernel=made)
    return made


def test_bytearray(kernel: Kernel) -> None:
    attr = bytearray(12)
    assert userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr, kernel=kernel) == 0
    assert attr[4:8] == u32(1)


def test_memoryview_of_other_items(kernel: Kernel) -> None:
    attr = array.array("I", [0, 0, 0])
    userbpf.bpf(Cmd.MAP_GET_NEXT_ID, memoryview(attr), kernel=kernel)
    assert attr[1] == 1


def test_ctypes(kernel: Kernel) -> None:
    attr = NextId()
    userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr, kernel=kernel)
    assert attr.next_id == 1


def test_attr_object(kernel: Kernel) -> None:
    attr = GetIdAttr()
    userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr, kernel=kernel)
    assert attr.next_id == 1


def test_address(kernel: Kernel) -> None:
    attr = Buf(12)
    userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr.addr, 12, kernel=kernel)
    assert attr.raw[4:8] == u32(1)
    with pytest.raises(BpfError, match="Bad address"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, 8, 12, kernel=kernel)


def test_bytes_cannot_be_written(kernel: Kernel) -> None:
    with pytest.raises(TypeError, match="writable buffer"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, bytes(12), kernel=kernel)


def test_a_size_beyond_the_buffer_is_efault(kernel: Kernel) -> None:
    with pytest.raises(BpfError, match="Bad address"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, bytearray(8), 12, kernel=kernel)


def test_a_size_within_the_buffer_cuts_what_is_read(kernel: Kernel) -> None:
    attr = bytearray(u32(1) + u32(0) + u32(99))  # open_flags would be EINVAL
    with pytest.raises(BpfError, match="Invalid argument"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr, kernel=kernel)
    with pytest.raises(BpfError, match="No such file"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, attr, 8, kernel=kernel)


def test_a_result_that_has_no_room_is_efault(kernel: Kernel) -> None:
    with pytest.raises(BpfError, match="Bad address"):
        userbpf.bpf(Cmd.MAP_GET_NEXT_ID, bytearray(4), kernel=kernel)


def test_errors_are_oserrors(kernel: Kernel) -> None:
    with pytest.raises(OSError, match="Invalid argument") as caught:
        userbpf.bpf(99, bytearray(4), kernel=kernel)
    assert isinstance(caught.value, UserbpfError)
    assert caught.value.errno == 22


def test_the_default_kernel() -> None:
    fd = userbpf.bpf(Cmd.MAP_CREATE, CREATE)
    assert userbpf.default_kernel().map_of_fd(fd).map.max_entries == 2
    os.close(fd)


def test_import_is_light() -> None:
    """The package, and its exceptions, bring nothing heavy with them; names are there all the same."""
    code = (
        "import sys, userbpf; userbpf.BpfError; dir(userbpf)\n"
        "heavy = {'llvmlite', 'numpy', 'click', 'rich', 'elftools', 'ctypes'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert set(userbpf.__all__) <= set(dir(userbpf))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        userbpf.nonsense  # noqa: B018
