"""Maps used by several threads and several processes at once, and ring buffers that wrap."""

from __future__ import annotations

import ctypes
import os
import random
import struct
import threading
from typing import Any

import pytest

from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from userbpf.maps import Map, MapAttr, adopt_map, create_map
from userbpf.native import NativeFn, compiled, load64, native, store64
from userbpf.native.rt import RT_SIZE


@native
def hammer(
    rt: int, seed: int, rounds: int, out: int, *, lookup: NativeFn[Any], update: NativeFn[Any], delete: NativeFn[Any]
) -> int:
    """Updates, looks up and deletes keys 0..63 with values (k, ~k); counts values that are not whole."""
    key = out + 8
    value = out + 16
    bad = 0
    i = 0
    while i < rounds:
        seed = seed * 6364136223846793005 + 1442695040888963407
        k = (seed >> 40) & 63
        store64(key, k)
        what = (seed >> 33) & 3
        if what == 0:
            delete(rt, key)
        elif what == 1:
            store64(value, seed)
            store64(value + 8, ~seed)
            update(rt, key, value, 0)
        else:
            found = lookup(rt, key)
            if found:
                a = load64(found)
                b = load64(found + 8)
                if (a ^ b) != 0xFFFFFFFFFFFFFFFF:
                    bad = bad + 1
        i = i + 1
    return bad


def bound(m: Map, op: str) -> Any:
    found = m.ops(op)
    assert found is not None
    return found[0].bind(**found[1])


def test_threads_on_one_hash_leave_it_whole() -> None:
    m = create_map(MapAttr(MapType.HASH, 8, 16, 48), ncpu=4)
    work = compiled(hammer, lookup=bound(m, "lookup"), update=bound(m, "update"), delete=bound(m, "delete"))
    rts = [ctypes.create_string_buffer(RT_SIZE) for _ in range(4)]
    outs = [ctypes.create_string_buffer(64) for _ in range(4)]

    def run(i: int) -> None:
        work(ctypes.addressof(rts[i]), i * 977 + 1, 300_000, ctypes.addressof(outs[i]))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for _ in range(300):  # the syscall side at the same time
        k = struct.pack("<Q", random.randrange(64))
        try:
            a, b = struct.unpack("<QQ", m.lookup(k))
        except BpfError:
            continue
        del a, b
    for t in threads:
        t.join()
    keys = set()
    k: bytes | None = None
    while True:
        try:
            k = m.next_key(k)
        except BpfError:
            break
        assert k not in keys
        keys.add(k)
        a, b = struct.unpack("<QQ", m.lookup(k))
        assert a ^ b == (1 << 64) - 1
    assert len(m) == len(keys) <= 48  # type: ignore[arg-type]
    for k in keys:
        m.delete(k)
    for i in range(48):  # every element can be had again
        m.update(struct.pack("<Q", i), bytes(16))
    with pytest.raises(BpfError):
        m.update(struct.pack("<Q", 1000), bytes(16))


def test_another_process_adopts_the_descriptor() -> None:
    m = create_map(MapAttr(MapType.HASH, 4, 8, 10, map_name=b"shared"), ncpu=2)
    m.update(b"aaaa", b"original")
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            theirs = adopt_map(m.region.fd)
            assert theirs is not None
            theirs.update(b"bbbb", b"theirs!!")
            os.write(write, theirs.name.encode() + theirs.lookup(b"aaaa"))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert os.read(read, 100) == b"sharedoriginal"
    os.close(read)
    assert m.lookup(b"bbbb") == b"theirs!!"


def test_what_is_no_map_is_not_adopted() -> None:
    fd = os.memfd_create("x")
    os.ftruncate(fd, 3 * 4096)
    assert adopt_map(fd) is None
    os.ftruncate(fd, 10)
    assert adopt_map(fd) is None
    os.close(fd)


def ring_ops(m: Map) -> dict[str, Any]:
    out = {}
    for op in ("reserve", "submit", "discard", "output", "query"):
        found = m.ops(op)
        assert found is not None
        out[op] = compiled(found[0], **found[1])
    return out


def consume(m: Map) -> list[bytes]:
    """Read all that is there, as a client of libbpf's does."""
    base = m.region.addr
    consumer, producer = (ctypes.c_uint64.from_address(base + off) for off in (0, 4096))
    out = []
    while consumer.value < producer.value:
        header = base + 8192 + consumer.value % m.max_entries
        length = ctypes.c_uint32.from_address(header).value
        if length & 1 << 31:
            break
        size = length & 0x3FFFFFFF
        if not length & 1 << 30:
            out.append(ctypes.string_at(header + 8, size))
        consumer.value += size + 8 + 7 & ~7
    return out


def test_ring_records_wrap_in_one_piece() -> None:
    m = create_map(MapAttr(MapType.RINGBUF, 0, 0, 4096), ncpu=2)
    ops = ring_ops(m)
    rng = random.Random(5)
    waiting: list[bytes] = []
    seen = 0
    for _ in range(5000):
        data = rng.randbytes(rng.randrange(1, 600))
        if ops["output"](0, data, len(data), 0):
            got = consume(m)
            assert got == waiting
            seen += len(got)
            waiting = []
        else:
            waiting.append(data)
    assert seen > 4000


def test_ring_reserve_submit_discard_and_query() -> None:
    m = create_map(MapAttr(MapType.RINGBUF, 0, 0, 4096), ncpu=2)
    ops = ring_ops(m)
    first, second = ops["reserve"](0, 16, 0), ops["reserve"](0, 24, 0)
    assert m.owns(first, 16) and ops["reserve"](0, 16, 1) == 0 and ops["reserve"](0, 4096, 0) == 0
    assert [ops["query"](0, i) for i in range(5)] == [56, 4096, 0, 56, 0]
    ctypes.memmove(second, b"second" * 4, 24)
    ops["submit"](0, second, 0)
    assert consume(m) == []  # the first is still busy
    ops["discard"](0, first, 0)
    assert consume(m) == [b"second" * 4]
    assert (1 << 64) - ops["output"](0, b"x", 1, 7) == 22
