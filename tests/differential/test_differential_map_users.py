"""Which programs may use which maps: programs that sleep, and maps whose first user decides about all others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from bpfcalls import Buf, Calls, calls_of, lddw_map, ret, u32
from userbpf.abi.enums import AttachType as A
from userbpf.abi.enums import MapType
from userbpf.abi.enums import ProgType as T

SLEEPABLE, FRAGS = 1 << 4, 1 << 5
REFUSED = "Sleepable programs can only use array, hash, ringbuf and local storage maps"
_STRINGS = b"\0int\0"
_INT = struct.pack("<IIII", 1, 1 << 24, 4, 1 << 24 | 32)
INT_BTF = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(_INT), len(_INT), len(_STRINGS)) + _INT + _STRINGS
USERS = [
    (T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT, 0),
    (T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND, 0),
    (T.XDP, 0, 0),
    (T.XDP, A.XDP_DEVMAP, 0),
    (T.XDP, 0, FRAGS),
    (T.SCHED_CLS, 0, 0),
]


@pytest.fixture(params=["user", "linux"])
def calls(request: pytest.FixtureRequest) -> Iterator[Calls]:
    calls = calls_of(request.param)
    yield calls
    calls.close()


def make(calls: Calls, kind: MapType) -> int:
    """A map of a type, in the first shape that it takes."""
    shapes: list[tuple[int, int, int, dict[str, int]]]
    shapes = [(4, 8, 1, {}), (4, 4, 1, {}), (8, 4, 1, {"map_flags": 1}), (0, 4, 1, {}), (0, 0, 4096, {}), (8, 8, 0, {})]
    if kind in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
        shapes = [(4, 4, 1, {"inner_map_fd": calls.map(MapType.ARRAY, 4, 4, 1)})]
    elif kind.name.endswith(("SK_STORAGE", "INODE_STORAGE", "TASK_STORAGE", "CGRP_STORAGE")):
        types = {"btf_fd": calls.btf(INT_BTF), "btf_key_type_id": 1, "btf_value_type_id": 1}
        shapes = [(4, 4, 0, {"map_flags": 1, **types})]
    elif kind == MapType.ARENA:
        shapes = [(0, 0, 1, {"map_flags": 1 << 10, "map_extra": 1 << 44})]
    for key, value, entries, more in shapes:
        if not calls.err(calls.map, kind, key, value, entries, **more):
            return calls.fds[-1]
    raise AssertionError(f"no map of type {kind.name}")


@pytest.mark.parametrize("kind", [t for t in MapType if t not in (MapType.UNSPEC, MapType.STRUCT_OPS)], ids=str)
def test_programs_that_sleep(calls: Calls, kind: MapType) -> None:
    fd, log = make(calls, kind), Buf(1 << 16)
    more = {"prog_flags": SLEEPABLE, "log_level": 1, "log_buf": log.addr, "log_size": log.size}
    failed = calls.err(calls.prog, [*lddw_map(1, fd), *ret(0)], T.SYSCALL, **more)
    never = "PROG_ARRAY PERF_EVENT_ARRAY STACK_TRACE CGROUP_ARRAY LPM_TRIE DEVMAP DEVMAP_HASH SOCKMAP SOCKHASH CPUMAP XSKMAP"
    never += " CGROUP_STORAGE_DEPRECATED PERCPU_CGROUP_STORAGE_DEPRECATED REUSEPORT_SOCKARRAY BLOOM_FILTER"
    assert failed == ("EINVAL" if kind.name in never.split() else "")
    assert (REFUSED in log.text) == bool(failed)


def use(calls: Calls, fd: int, user: tuple[int, int, int]) -> str:
    program = [*lddw_map(1, fd), *ret(1)]
    return calls.err(calls.prog, program, user[0], expected_attach_type=int(user[1]), prog_flags=user[2])


@pytest.mark.parametrize("first", range(len(USERS)))
def test_first_user_decides(calls: Calls, first: int) -> None:
    for second, user in enumerate(USERS):
        array, dev = calls.map(MapType.PROG_ARRAY, 4, 4, 1), calls.map(MapType.DEVMAP, 4, 4, 1)
        assert use(calls, array, USERS[first]) == use(calls, dev, USERS[first]) == ""
        assert use(calls, array, user) == ("" if first == second else "EINVAL")
        alike = USERS[first][0] == user[0] and USERS[first][2] == user[2]
        assert use(calls, dev, user) == ("" if alike else "EINVAL")


def test_a_stored_program_decides(calls: Calls) -> None:
    array = calls.map(MapType.PROG_ARRAY, 4, 4, 1)
    stored = calls.prog(ret(1), T.CGROUP_SOCK_ADDR, expected_attach_type=A.CGROUP_INET4_CONNECT)
    other = calls.prog(ret(1), T.CGROUP_SOCK_ADDR, expected_attach_type=A.CGROUP_INET4_BIND)
    calls.update(array, u32(0), u32(stored))
    assert calls.err(calls.update, array, u32(0), u32(other)) == "EINVAL"
    assert use(calls, array, USERS[0]) == ""
    assert use(calls, array, USERS[1]) == "EINVAL"
