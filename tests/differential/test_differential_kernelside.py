"""Maps of sockets, cgroups, inodes, tasks, stacks, arenas and tables of functions: creation and elements, errno by errno."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bpfcalls import Calls, calls_of, u32
from userbpf.abi.enums import Cmd, MapType
from userbpf.btf.builder import Builder

T = MapType
BATCHES = (Cmd.MAP_LOOKUP_BATCH, Cmd.MAP_LOOKUP_AND_DELETE_BATCH, Cmd.MAP_UPDATE_BATCH, Cmd.MAP_DELETE_BATCH)
STORAGES = (T.SK_STORAGE, T.INODE_STORAGE, T.TASK_STORAGE, T.CGRP_STORAGE)
OTHERS = (
    (T.CGROUP_STORAGE, 8, 8, 0), (T.CGROUP_STORAGE, 16, 8, 0), (T.PERCPU_CGROUP_STORAGE, 8, 8, 0),
    (T.CGROUP_ARRAY, 4, 4, 3), (T.STACK_TRACE, 4, 80, 3), (T.SOCKMAP, 4, 4, 3), (T.SOCKMAP, 4, 8, 3),
    (T.SOCKHASH, 4, 4, 3), (T.SOCKHASH, 4, 8, 3), (T.REUSEPORT_SOCKARRAY, 4, 4, 3), (T.REUSEPORT_SOCKARRAY, 4, 8, 3),
    (T.USER_RINGBUF, 0, 0, 4096), (T.ARENA, 0, 0, 4),
)  # fmt: skip


class Types:
    """BTF of keys and values."""

    def __init__(self, calls: Calls) -> None:
        b = Builder()
        self.int = b.integer("int", 4, signed=True)
        self.u32 = b.integer("unsigned int", 4)
        self.u64 = b.integer("unsigned long long", 8)
        self.struct = b.struct("k", [("x", self.int)])
        self.cgroup_key = b.struct("bpf_cgroup_storage_key", [("cgroup_inode_id", self.u64), ("attach_type", self.u32)])
        self.two = b.struct("two", [("a", self.u64), ("b", self.u64)])
        byte = b.integer("unsigned char", 1)
        self.bytes = {n: b.array(byte, n) for n in (65406, 65407, 65408)}
        self.fd = calls.btf(b.encode())
        self.calls = calls

    def storage(self, map_type: MapType, key: int = 4, value: int = 8, n: int = 0, **more: int) -> int:
        fields = {"map_flags": 1, "btf_fd": self.fd, "btf_key_type_id": self.int, "btf_value_type_id": self.u64, **more}
        return self.calls.map(map_type, key, value, n, **fields)


@pytest.fixture
def things() -> Iterator[dict[str, int]]:
    """Descriptors of all kinds, by name."""
    sockets = {
        "closed": socket.socket(),
        "listening": socket.create_server(("127.0.0.1", 0)),
        "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "bound": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "shared": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix": socket.socket(socket.AF_UNIX),
    }
    sockets["bound"].bind(("127.0.0.1", 0))
    sockets["shared"].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sockets["shared"].bind(("127.0.0.1", 0))
    sockets["connected"] = socket.create_connection(sockets["listening"].getsockname())
    fds = {name: each.fileno() for name, each in sockets.items()}
    own = [os.open("/", os.O_RDONLY), os.memfd_create("x"), os.pidfd_open(os.getpid())]
    yield {**fds, "folder": own[0], "file": own[1], "pidfd": own[2], "none": 0x7FFFFFF0, "minus one": 0xFFFFFFFF}
    for each in sockets.values():
        each.close()
    for fd in own:
        os.close(fd)


def make(calls: Calls, map_type: MapType, key: int, value: int, n: int) -> int:
    if map_type in STORAGES:
        return Types(calls).storage(map_type)
    return calls.map(map_type, key, value, n, map_flags=1 << 10 if map_type == T.ARENA else 0)


def answers(calls: Calls, fd: int, key: int, value: int, things: dict[str, int]) -> list[object]:
    """What every operation says, one after the other."""
    first, last = (bytes(key), b"\xff" * key) if key else (None, None)
    room = 256
    out: list[object] = []

    def ask(call: Callable[..., object], *args: object) -> None:
        out.append(calls.err(call, *args))

    for at in (first, last):
        for flags in (0, 4):
            ask(calls.lookup, fd, at, room, flags)
        for flags in (0, 1, 2, 3, 4):
            ask(calls.update, fd, at, bytes(room), flags)
        ask(calls.delete, fd, at)
        ask(calls.pop, fd, at, room)
    for at in (None, first, last):
        ask(calls.next_key, fd, at, max(key, 4))
    for cmd in BATCHES:
        ask(lambda cmd=cmd: calls.batch(cmd, fd, count=0))
    for number in things.values():
        if key == 4 and value in (4, 8):
            for flags in (1, 2, 0, 3):
                ask(calls.update, fd, first, u32(number).ljust(room, b"\0"), flags)
            ask(calls.lookup, fd, first, room)
            ask(calls.delete, fd, first)
            at = u32(number)
            for flags in (2, 1, 1, 3):
                ask(calls.update, fd, at, bytes(room), flags)
            ask(calls.lookup, fd, at, room)
            ask(calls.delete, fd, at)
            ask(calls.delete, fd, at)
    ask(calls.freeze, fd)
    return out


SHAPES = [*((t, 4, 8, 0) for t in STORAGES), *OTHERS]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0].name}-{s[1]}-{s[2]}")
def test_every_answer_is_linuxs(shape: tuple[MapType, int, int, int], things: dict[str, int]) -> None:
    got = []
    for name in ("user", "linux"):
        calls = calls_of(name)
        fd = make(calls, *shape)
        info = calls.map_info(fd)
        got.append([info.map_flags, info.max_entries, *answers(calls, fd, *shape[1:3], things)])
        calls.close()
    assert got[0] == got[1]


@pytest.mark.parametrize("map_type", STORAGES, ids=lambda t: t.name)
def test_storages_need_types(transport: Calls, map_type: MapType) -> None:
    t = Types(transport)

    def answer(**fields: int) -> str:
        return transport.err(t.storage, map_type, **fields)

    assert answer(btf_key_type_id=0, btf_value_type_id=0) == "EINVAL"
    assert answer(btf_key_type_id=0) == "EINVAL"
    assert answer(btf_key_type_id=t.struct) == "EINVAL"
    assert answer(btf_key_type_id=t.u32) == ""
    assert answer(n=1) == "EINVAL"
    assert answer(map_flags=0) == "EINVAL"
    assert answer(map_flags=1 | 1 << 9) == ""
    assert answer(map_flags=1 | 1 << 2) == "EINVAL"
    for size, want in ((65406, ""), (65407, ""), (65408, "E2BIG")):
        assert answer(value=size, btf_value_type_id=t.bytes[size]) == want


def test_storages_of_cgroups(transport: Calls) -> None:
    t = Types(transport)
    for map_type, largest in ((T.CGROUP_STORAGE, 65407), (T.PERCPU_CGROUP_STORAGE, 32768)):

        def answer(key: int = 8, value: int = 8, n: int = 0, map_type: MapType = map_type, **fields: int) -> str:
            return transport.err(transport.map, map_type, key, value, n, **fields)

        assert answer() == answer(16) == answer(value=largest) == ""
        assert answer(value=largest + 1) == answer(value=largest + 1, map_flags=1) == "E2BIG"
        assert answer(key=4) == answer(n=1) == answer(map_flags=1) == answer(value=0) == "EINVAL"
        typed = {"btf_fd": t.fd, "btf_value_type_id": t.u64}
        assert answer(btf_key_type_id=t.u64, **typed) == answer(16, btf_key_type_id=t.cgroup_key, **typed) == ""
        assert answer(16, btf_key_type_id=t.two, **typed) == answer(**typed) == "EINVAL"


def test_values_of_inodes_are_kept(transport: Calls, tmp_path: Path) -> None:
    fd = Types(transport).storage(T.INODE_STORAGE)
    path = tmp_path / "x"
    path.write_text("")
    one, other = os.open(path, os.O_RDONLY), os.open(path, os.O_RDONLY)
    transport.update(fd, u32(one), b"12345678")
    assert transport.lookup(fd, u32(other)) == b"12345678"  # the file's, not the descriptor's
    transport.delete(fd, u32(other))
    assert transport.err(transport.lookup, fd, u32(one)) == "ENOENT"
    os.close(one)
    os.close(other)


def test_values_of_sockets_go_with_them(transport: Calls) -> None:
    storage, array = Types(transport).storage(T.SK_STORAGE), transport.map(T.SOCKMAP, 4, 8, 2)
    sock = socket.create_server(("127.0.0.1", 0))
    transport.update(storage, u32(sock.fileno()), b"12345678")
    transport.update(array, u32(1), struct.pack("<Q", sock.fileno()))
    cookie = sock.getsockopt(socket.SOL_SOCKET, 57, 8)
    assert transport.lookup(array, u32(1)) == cookie
    assert transport.lookup(storage, u32(sock.fileno())) == b"12345678"
    sock.close()
    assert transport.err(transport.lookup, array, u32(1)) == "ENOENT"


def test_a_socket_hash_fills_up(transport: Calls) -> None:
    fd = transport.map(T.SOCKHASH, 4, 8, 1)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        value = struct.pack("<Q", sock.fileno())
        transport.update(fd, u32(7), value)
        assert transport.err(transport.update, fd, u32(8), value) == "E2BIG"
        assert transport.err(transport.update, fd, u32(7), value, 1) == "EEXIST"
        assert transport.err(transport.update, fd, u32(8), value, 2) == "ENOENT"
        assert transport.keys(fd) == [u32(7)]
        transport.delete(fd, u32(7))
        assert transport.keys(fd) == []


def test_a_socket_is_in_one_group_array(transport: Calls) -> None:
    fd = transport.map(T.REUSEPORT_SOCKARRAY, 4, 8, 4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        value = struct.pack("<Q", sock.fileno())
        assert transport.err(transport.update, fd, u32(0), value) == "EINVAL"
        sock.bind(("127.0.0.1", 0))
        transport.update(fd, u32(0), value)
        assert transport.err(transport.update, fd, u32(1), value) == "EBUSY"
        assert transport.lookup(fd, u32(0)) == sock.getsockopt(socket.SOL_SOCKET, 57, 8)
        transport.delete(fd, u32(0))
        transport.update(fd, u32(1), value)


@pytest.mark.parametrize(
    ("pages", "start", "flags", "want"),
    [
        (1, 0, 1 << 10, ""),
        (1 << 20, 0, 1 << 10, ""),
        ((1 << 20) + 1, 0, 1 << 10, "E2BIG"),
        (4, 1, 1 << 10, "EINVAL"),
        (4, 4096, 1 << 10, ""),
        (4, 0xFFFFE000, 1 << 10, "ERANGE"),
        (2, 0xFFFFE000, 1 << 10, ""),
        (1 << 20, 1 << 32, 1 << 10, ""),
        (4, 0, 0, "EINVAL"),
        (4, 0, 1 << 10 | 1 << 17, ""),
        (4, 0, 1 << 10 | 1 << 18, ""),
        (4, 0, 1 << 10 | 1 << 2, "EINVAL"),
    ],
)
def test_arenas(transport: Calls, pages: int, start: int, flags: int, want: str) -> None:
    assert transport.err(transport.map, T.ARENA, 0, 0, pages, map_flags=flags, map_extra=start) == want


def test_an_arena_is_mapped(user: Calls) -> None:
    fd = user.map(T.ARENA, 0, 0, 4, map_flags=1 << 10)
    with mmap.mmap(fd, 4 * mmap.PAGESIZE) as one, mmap.mmap(fd, 4 * mmap.PAGESIZE) as other:
        one[8192:8195] = b"abc"
        assert other[8192:8195] == b"abc"


def test_a_users_ring_is_mapped(transport: Calls) -> None:
    """Page 0 is the reader's, page 1 and the data are the user's to write."""
    fd = transport.map(T.USER_RINGBUF, 0, 0, 4096)
    page = mmap.PAGESIZE
    with mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ) as reader:
        assert reader[:8] == bytes(8)
    with mmap.mmap(fd, page + 2 * 4096, mmap.MAP_SHARED, offset=page) as writer:
        ctypes.c_uint64.from_buffer(writer).value = 0
        writer[page : page + 4] = b"abcd"


def table_types() -> dict[str, tuple[int, int]]:
    """STRUCT_OPS values of the running kernel: name to (type, bytes)."""
    from userbpf.btf import Btf, Struct

    path = Path("/sys/kernel/btf/vmlinux")
    if not path.exists():
        pytest.skip("no BTF of a running kernel")
    btf = Btf.parse(path.read_bytes())
    names = ("bpf_struct_ops_tcp_congestion_ops", "bpf_struct_ops_link", "task_struct")
    found = {name: btf.find(name, Struct) for name in names}
    return {name: (t.id, t.size) for name, t in found.items() if t is not None}


def test_tables_of_functions(transport: Calls) -> None:
    types, btf = table_types(), Types(transport).fd
    if "bpf_struct_ops_tcp_congestion_ops" not in types:
        pytest.skip("this kernel has no table that may be a map")
    number, size = types["bpf_struct_ops_tcp_congestion_ops"]

    def answer(key: int = 4, value: int = size, n: int = 1, **fields: int) -> str:
        given = {"btf_vmlinux_value_type_id": number, "btf_fd": btf, **fields}
        return transport.err(transport.map, T.STRUCT_OPS, key, value, n, **given)

    assert answer() == answer(map_flags=1 << 13) == ""
    assert answer(value=size + 8) == answer(n=2) == answer(key=8) == answer(map_flags=1) == "EINVAL"
    assert answer(btf_vmlinux_value_type_id=0) == answer(btf_value_type_id=1) == answer(btf_fd=0) == "EINVAL"
    assert answer(btf_fd=0x7FFFFFF0) == "EBADF"
    for other in ("bpf_struct_ops_link", "task_struct"):
        assert answer(btf_vmlinux_value_type_id=types[other][0]) == "ENOTSUPP"
    fd = transport.map(T.STRUCT_OPS, 4, size, 1, btf_vmlinux_value_type_id=number, btf_fd=btf)
    assert transport.map_info(fd).btf_vmlinux_value_type_id == number
    assert transport.lookup(fd, u32(0), size) == bytes(size)
    assert transport.err(transport.lookup, fd, u32(1), size) == "ENOENT"
    assert transport.err(transport.delete, fd, u32(0)) == "ENOENT"
    assert transport.next_key(fd, None) == u32(0)
    assert transport.err(transport.next_key, fd, u32(0)) == "ENOENT"
