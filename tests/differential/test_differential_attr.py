"""The attr's size rules, on both transports."""

from __future__ import annotations

import pytest

from bpfcalls import Calls
from userbpf.abi.attrs import MapCreateAttr
from userbpf.abi.enums import Cmd, MapType

CREATE = MapCreateAttr(map_type=MapType.ARRAY, key_size=4, value_size=8, max_entries=1).encode()


def sized(content: bytes, size: int) -> bytearray:
    return bytearray(content[:size].ljust(size, b"\0"))


@pytest.mark.parametrize("size", [16, 20, 28, 96, 168, 169, 4096])
def test_short_and_long_attrs_are_taken(transport: Calls, size: int) -> None:
    assert transport.fd(Cmd.MAP_CREATE, sized(CREATE, size)) > 2


def test_an_attr_cut_within_a_field_reads_as_zeroes(transport: Calls) -> None:
    assert transport.err(transport.fd, Cmd.MAP_CREATE, sized(CREATE, 12)) == "EINVAL"  # max_entries 0


@pytest.mark.parametrize(
    ("size", "at", "want"),
    [
        pytest.param(4097, None, "E2BIG", id="more than a page"),
        pytest.param(4096, 4095, "E2BIG", id="last byte of a page"),
        pytest.param(176, 168, "E2BIG", id="first byte behind the union"),
        pytest.param(168, 167, "EINVAL", id="last byte of the union"),
        pytest.param(168, 92, "EINVAL", id="padding behind the last field"),
    ],
)
def test_bytes_behind_what_is_known(transport: Calls, size: int, at: int | None, want: str) -> None:
    raw = sized(CREATE, size)
    if at is not None:
        raw[at] = 1
    assert transport.err(transport.fd, Cmd.MAP_CREATE, raw) == want


@pytest.mark.parametrize("cmd", [38, 99, 1 << 16, 0x7FFFFFFF])
def test_unknown_commands_are_einval(transport: Calls, cmd: int) -> None:
    assert transport.err(transport.bpf, cmd, bytearray(16)) == "EINVAL"


def test_null(transport: Calls) -> None:
    assert transport.err(transport.bpf, Cmd.MAP_CREATE, None, 16) == "EFAULT"
    assert transport.err(transport.bpf, 99, None, 16) == "EFAULT"
    assert transport.err(transport.bpf, 99, None, 5000) == "E2BIG"
    assert transport.err(transport.bpf, 99, None, 0) == "EINVAL"


# what each command answers to no attr at all, on 6.18; those that Linux runs and we do not are left out
EMPTY = {
    Cmd.MAP_CREATE: "EINVAL",
    Cmd.MAP_LOOKUP_ELEM: "EBADF",
    Cmd.MAP_UPDATE_ELEM: "EBADF",
    Cmd.MAP_DELETE_ELEM: "EBADF",
    Cmd.MAP_GET_NEXT_KEY: "EBADF",
    Cmd.PROG_LOAD: "E2BIG",
    Cmd.OBJ_PIN: "EINVAL",
    Cmd.OBJ_GET: "EFAULT",
    Cmd.PROG_ATTACH: "EBADF",
    Cmd.PROG_TEST_RUN: "EBADF",
    Cmd.PROG_GET_FD_BY_ID: "ENOENT",
    Cmd.MAP_GET_FD_BY_ID: "ENOENT",
    Cmd.OBJ_GET_INFO_BY_FD: "EBADFD",
    Cmd.RAW_TRACEPOINT_OPEN: "EBADF",
    Cmd.BTF_LOAD: "EINVAL",
    Cmd.BTF_GET_FD_BY_ID: "ENOENT",
    Cmd.MAP_LOOKUP_AND_DELETE_ELEM: "EBADF",
    Cmd.MAP_FREEZE: "EBADF",
    Cmd.MAP_LOOKUP_BATCH: "EBADF",
    Cmd.MAP_UPDATE_BATCH: "EBADF",
    Cmd.LINK_CREATE: "EBADF",
    Cmd.LINK_UPDATE: "EBADF",
    Cmd.LINK_GET_FD_BY_ID: "ENOENT",
    Cmd.LINK_DETACH: "EBADF",
    Cmd.PROG_BIND_MAP: "EBADF",
}


@pytest.mark.parametrize("cmd", EMPTY, ids=lambda cmd: cmd.name)
def test_fds_that_are_closed(transport: Calls, cmd: Cmd) -> None:
    """Every attr zero but the first fd, which is a number that is not open."""
    where = {Cmd.PROG_ATTACH: 4, Cmd.RAW_TRACEPOINT_OPEN: 8, Cmd.MAP_LOOKUP_BATCH: 36, Cmd.MAP_UPDATE_BATCH: 36}
    raw = bytearray(64)
    skip = (Cmd.MAP_CREATE, Cmd.PROG_LOAD, Cmd.OBJ_GET, Cmd.BTF_LOAD)
    if cmd not in skip and "BY_ID" not in cmd.name and cmd != Cmd.OBJ_PIN:
        at = where.get(cmd, 0)
        raw[at : at + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    assert transport.err(transport.bpf, cmd, raw) == EMPTY[cmd]
