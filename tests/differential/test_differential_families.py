"""Elements of tries, LRU tables, queues, filters and slots over both transports."""

from __future__ import annotations

import random
import socket

import pytest

from bpfcalls import Buf, Calls, calls_of, u32, u64
from userbpf.abi.attrs import MapBatchAttr
from userbpf.abi.enums import Cmd, MapType

T = MapType


def answer(calls: Calls, fd: int, op: str, key: bytes, flags: int) -> object:
    if op == "lookup":
        got: list[bytes] = []
        return calls.err(lambda: got.append(calls.lookup(fd, key))) or got[0]
    if op == "update":
        return calls.err(calls.update, fd, key, key[:4].ljust(8, b"v"), flags)
    return calls.err(calls.delete, fd, key)


@pytest.mark.parametrize(("size", "seed"), [(1, 0), (2, 1), (3, 2), (4, 3), (8, 4), (13, 5), (16, 6), (256, 7)])
def test_tries_agree_and_so_does_their_order(size: int, seed: int) -> None:
    rng = random.Random(seed)
    pair = [calls_of(name) for name in ("user", "linux")]
    fds = [calls.map(T.LPM_TRIE, 4 + size, 8, 60, map_flags=1) for calls in pair]
    for number in range(600):
        bits = rng.choice((size * 8, rng.randrange(size * 8 + 2)))
        key = u32(bits) + bytes(rng.getrandbits(8) & 0xC1 for _ in range(size))
        op, flags = rng.choice(("update", "update", "delete", "lookup")), rng.choice((0, 0, 0, 1, 2, 3))
        ours, theirs = (answer(calls, fd, op, key, flags) for calls, fd in zip(pair, fds, strict=True))
        assert ours == theirs, (number, op, key, flags)
        if number % 50 == 0:
            ours, theirs = (calls.keys(fd, 4 + size) for calls, fd in zip(pair, fds, strict=True))
            assert ours == theirs
    for calls in pair:
        calls.close()


def test_tries_have_batches(transport: Calls) -> None:
    fd = transport.map(T.LPM_TRIE, 8, 8, 10, map_flags=1)
    keys = b"".join(u32(8 * n) + bytes((10, 1, 2, 3)) for n in range(5))
    k, v = Buf(keys), Buf(b"".join(u64(n) for n in range(5)))
    transport.batch(Cmd.MAP_UPDATE_BATCH, fd, keys=k.addr, values=v.addr, count=5)
    out_keys, out_values, token = Buf(80), Buf(80), Buf(8)
    attr = MapBatchAttr(map_fd=fd, out_batch=token.addr, keys=out_keys.addr, values=out_values.addr, count=3)
    transport.bpf(Cmd.MAP_LOOKUP_BATCH, attr)
    assert attr.count == 3 and [out_keys.raw[i * 8] for i in range(3)] == [32, 24, 16]
    attr.in_batch, attr.count = token.addr, 10
    assert transport.err(transport.bpf, Cmd.MAP_LOOKUP_BATCH, attr) == "ENOENT"
    assert attr.count == 2 and out_values.raw[:16] == u64(1) + u64(0)
    transport.batch(Cmd.MAP_DELETE_BATCH, fd, keys=k.addr, count=5)
    assert transport.keys(fd, 8) == []


def test_maps_of_maps_have_batches(transport: Calls) -> None:
    inner = [transport.map(T.ARRAY) for _ in range(3)]
    ids = {transport.map_info(fd).id for fd in inner}
    fd = transport.map(T.HASH_OF_MAPS, 4, 4, 8, inner_map_fd=inner[0])
    k, v = Buf(b"".join(map(u32, range(3)))), Buf(b"".join(map(u32, inner)))
    transport.batch(Cmd.MAP_UPDATE_BATCH, fd, keys=k.addr, values=v.addr, count=3)
    out_keys, out_values, token = Buf(32), Buf(32), Buf(8)
    for cmd in (Cmd.MAP_LOOKUP_BATCH, Cmd.MAP_LOOKUP_AND_DELETE_BATCH):
        attr = MapBatchAttr(map_fd=fd, out_batch=token.addr, keys=out_keys.addr, values=out_values.addr, count=8)
        assert transport.err(transport.bpf, cmd, attr) == "ENOENT"
        assert attr.count == 3 and {int.from_bytes(out_values.raw[i : i + 4], "little") for i in (0, 4, 8)} == ids
    assert transport.keys(fd) == []


@pytest.mark.parametrize("map_type", [T.LRU_HASH, T.LRU_PERCPU_HASH], ids=lambda t: t.name)
@pytest.mark.parametrize("flags", [0, 2])
def test_lru_makes_room(transport: Calls, map_type: MapType, flags: int) -> None:
    """A full table takes whatever comes, and what just came is there."""
    fd = transport.map(map_type, 4, 8, 300, map_flags=flags)
    length = 8 * 64
    info = transport.map_info(fd)
    assert info.max_entries >= 300
    for n in range(2000):
        transport.update(fd, u32(n), u64(n) * 64)
        assert transport.lookup(fd, u32(n), length)[:8] == u64(n)
    keys = transport.keys(fd)
    assert len(set(keys)) == len(keys) <= info.max_entries
    assert len(keys) > 100


@pytest.mark.parametrize("map_type", [T.DEVMAP, T.DEVMAP_HASH], ids=lambda t: t.name)
@pytest.mark.parametrize("value_size", [4, 8])
def test_devices(transport: Calls, map_type: MapType, value_size: int) -> None:
    fd = transport.map(map_type, 4, value_size, 4)
    lo, gone = (u32(n).ljust(value_size, b"\0") for n in (socket.if_nametoindex("lo"), 1 << 20))
    assert transport.err(transport.update, fd, u32(1), gone) == "EINVAL"
    transport.update(fd, u32(1), lo)
    assert transport.lookup(fd, u32(1), value_size) == lo
    assert transport.err(transport.update, fd, u32(1), lo, 1) == "EEXIST"
    assert transport.err(transport.update, fd, u32(1), lo, 3) == "EINVAL"
    if value_size == 8:
        prog = transport.prog()
        assert transport.err(transport.update, fd, u32(2), u32(1) + u32(prog)) == "EINVAL"  # not a program for devices
        assert transport.err(transport.update, fd, u32(2), u32(1) + u32(0x7FFFFFF0)) == "EINVAL"
    transport.delete(fd, u32(1))
    assert transport.err(transport.lookup, fd, u32(1), value_size) == "ENOENT"


def test_processors(transport: Calls) -> None:
    fd = transport.map(T.CPUMAP, 4, 4, 64)
    transport.update(fd, u32(0), u32(192))
    assert transport.lookup(fd, u32(0), 4) == u32(192)
    assert transport.err(transport.update, fd, u32(63), u32(192)) == "ENODEV"
    assert transport.err(transport.update, fd, u32(64), u32(192)) == "E2BIG"
    assert transport.err(transport.update, fd, u32(0), u32(16385)) == "EOVERFLOW"
    assert transport.err(transport.update, fd, u32(0), u32(192), 1) == "EEXIST"
    transport.update(fd, u32(0), u32(0))  # none
    assert transport.err(transport.lookup, fd, u32(0), 4) == "ENOENT"


def test_sockets_that_are_none(transport: Calls) -> None:
    fd = transport.map(T.XSKMAP, 4, 4, 4)
    with socket.socket() as tcp:
        assert transport.err(transport.update, fd, u32(0), u32(tcp.fileno())) == "ENOTSUP"
    assert transport.err(transport.update, fd, u32(0), u32(fd)) == "ENOTSOCK"
    assert transport.err(transport.update, fd, u32(0), u32(0x7FFFFFF0)) == "EBADF"
    assert transport.err(transport.update, fd, u32(4), u32(fd)) == "E2BIG"
    assert transport.err(transport.update, fd, u32(0), u32(fd), 3) == "EINVAL"
    assert transport.err(transport.lookup, fd, u32(0), 4) == "ENOTSUP"
    transport.delete(fd, u32(0))


def test_a_filter_is_asked_by_value(transport: Calls) -> None:
    fd = transport.map(T.BLOOM_FILTER, 0, 8, 50)
    value = Buf(u64(5))
    from userbpf.abi.attrs import MapElemAttr

    ask = MapElemAttr(map_fd=fd, value=value.addr)
    assert transport.err(transport.bpf, Cmd.MAP_LOOKUP_ELEM, ask) == "ENOENT"
    transport.update(fd, None, u64(5))
    transport.bpf(Cmd.MAP_LOOKUP_ELEM, ask)
    assert transport.err(transport.update, fd, None, u64(5), 1) == "EINVAL"
    assert transport.err(transport.delete, fd, None) == "ENOTSUP"
    assert transport.err(transport.next_key, fd, None) == "ENOTSUP"
    assert transport.err(transport.pop, fd, None) == "ENOTSUPP"
