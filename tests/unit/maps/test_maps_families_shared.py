"""Tries, LRU tables, queues and maps of maps under threads, and in another process."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bpfcalls import Calls, u32, u64
from userbpf.abi.enums import MapType, ProgType
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel
from userbpf.maps import Map, MapAttr, adopt_map, create_map
from userbpf.maps import lpm as trie
from userbpf.native import NativeFn, compiled, load64, native, store32, store64
from userbpf.native.rt import RT_SIZE
from userbpf.syscall import dispatch

ROUNDS = 150_000


@native
def hammer_trie(seed: int, rounds: int, out: int, desc: int, *, lookup: NativeFn[Any]) -> int:
    """Updates, deletes and looks up prefixes; the value's upper half is the complement of its lower one."""
    key = out
    value = out + 16
    bad = 0
    i = 0
    while i < rounds:
        seed = seed * 6364136223846793005 + 1442695040888963407
        store32(key, (seed >> 58) % 33)
        store32(key + 4, (seed >> 20) & 0x03010307)
        what = (seed >> 33) & 3
        if what == 0:
            trie.any_delete(0, desc, key)
        elif what == 1:
            store64(value, seed)
            store64(value + 8, ~seed)
            trie.any_update(0, desc, key, value, 0)
        else:
            store32(key, 32)
            found = lookup(0, key)
            if found:
                if (load64(found) ^ load64(found + 8)) != 0xFFFFFFFFFFFFFFFF:
                    bad = bad + 1
        i = i + 1
    return bad


def bound(m: Map, op: str) -> Any:
    found = m.ops(op)
    assert found is not None
    return found[0].bind(**found[1])


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def keys_of(m: Map) -> list[bytes]:
    out: list[bytes] = []
    key: bytes | None = None
    while True:
        try:
            key = m.next_key(key)
        except BpfError:
            return out
        out.append(key)


def test_threads_on_one_trie_leave_it_whole() -> None:
    m = create_map(MapAttr(MapType.LPM_TRIE, 8, 16, 500, 1), ncpu=4)
    work = compiled(hammer_trie, lookup=bound(m, "lookup"))
    outs = [ctypes.create_string_buffer(64) for _ in range(4)]
    in_threads(4, lambda i: work(i * 977 + 1, ROUNDS, ctypes.addressof(outs[i]), m.desc))
    keys = keys_of(m)
    assert len(keys) == len(set(keys)) == len(m)  # type: ignore[arg-type]
    for key in keys:
        low, high = struct.unpack("<QQ", m.lookup(key))
        assert low ^ high == (1 << 64) - 1
        m.delete(key)
    assert keys_of(m) == []
    for i in range(500):  # every element and node can be had again
        m.update(u32(32) + i.to_bytes(4, "big"), bytes(16))
    with pytest.raises(BpfError):
        m.update(u32(32) + b"\xff" * 4, bytes(16))


@native
def hammer_lru(
    rt: int, seed: int, rounds: int, out: int, *, lookup: NativeFn[Any], update: NativeFn[Any], delete: NativeFn[Any]
) -> int:
    """Keys 0..255 in a table of far fewer; counts updates that were refused."""
    key = out
    value = out + 16
    bad = 0
    i = 0
    while i < rounds:
        seed = seed * 6364136223846793005 + 1442695040888963407
        store64(key, (seed >> 40) & 255)
        what = (seed >> 33) & 7
        if what == 0:
            delete(rt, key)
        elif what < 4:
            store64(value, (seed >> 40) & 255)
            if update(rt, key, value, 0):
                bad = bad + 1
        else:
            lookup(rt, key)
        i = i + 1
    return bad


@pytest.mark.parametrize("entries", [1, 16, 100])
def test_threads_on_one_lru_are_never_refused(entries: int) -> None:
    m = create_map(MapAttr(MapType.LRU_HASH, 8, 8, entries), ncpu=4)
    work = compiled(hammer_lru, lookup=bound(m, "lookup"), update=bound(m, "update"), delete=bound(m, "delete"))
    rts = [ctypes.create_string_buffer(RT_SIZE) for _ in range(4)]
    outs = [ctypes.create_string_buffer(64) for _ in range(4)]
    refused = [-1] * 4

    def run(i: int) -> None:
        refused[i] = work(ctypes.addressof(rts[i]), i * 977 + 1, ROUNDS, ctypes.addressof(outs[i]))

    in_threads(4, run)
    assert refused == [0] * 4
    keys = keys_of(m)
    assert len(keys) == len(set(keys)) == len(m) <= entries  # type: ignore[arg-type]
    assert all(m.lookup(key) == key for key in keys)


def test_threads_on_one_queue_lose_nothing() -> None:
    m = create_map(MapAttr(MapType.QUEUE, 0, 8, 64), ncpu=4)
    taken: list[list[int]] = [[], []]

    def work(i: int) -> None:
        done = 0
        while done < 1500:
            try:
                if i < 2:
                    m.update(b"", u64(i * 1500 + done))
                else:
                    taken[i - 2].append(struct.unpack("<Q", m.lookup_and_delete(b""))[0])
                done += 1
            except BpfError:
                pass  # full, or empty

    in_threads(4, work)
    assert sorted(taken[0] + taken[1]) == list(range(3000))
    for got in taken:  # in the order of each writer
        for first in (0, 1500):
            mine = [n for n in got if first <= n < first + 1500]
            assert mine == sorted(mine)


WALK = """
    r6 = 0
    r7 = 0
again:
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map_fd {outer} ll
    call bpf_map_lookup_elem
    if r0 == 0 goto next
    r1 = r0
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto next
    r1 = *(u64 *)(r0 +0)
    r7 |= r1
next:
    r6 += 1
    if r6 < 2000 goto again
    r0 = r7
    exit
"""


@pytest.mark.parametrize("outer_type", [MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS], ids=lambda t: t.name)
def test_an_inner_map_may_go_while_programs_run(user: Calls, outer_type: MapType) -> None:
    template = user.map(MapType.ARRAY)
    outer = user.map(outer_type, 4, 4, inner_map_fd=template)
    prog = user.prog(assemble(WALK.format(outer=outer)), ProgType.SOCKET_FILTER)
    stop = threading.Event()
    results: set[int] = set()

    def run() -> None:
        while not stop.is_set():
            results.add(user.test_run(prog, repeat=20)[0].retval)

    runner = threading.Thread(target=run)
    runner.start()
    try:
        for i in range(120):
            inner = user.map(MapType.ARRAY)
            user.update(inner, u32(0), u64(1))
            user.update(outer, u32(0), u32(inner))
            user.close(inner)
            if i % 7 == 2:
                user.delete(outer, u32(0))
    finally:
        stop.set()
        runner.join()
    assert results <= {0, 1}
    assert user.test_run(prog)[0].retval == 1


@pytest.mark.parametrize(
    ("shape", "key", "value"),
    [
        ((MapType.LPM_TRIE, 8, 8, 10, 1), u32(8) + b"\x0a\0\0\0", u64(5)),
        ((MapType.LRU_HASH, 4, 8, 10), u32(3), u64(5)),
        ((MapType.QUEUE, 0, 8, 10), b"", u64(5)),
        ((MapType.DEVMAP, 4, 4, 10), u32(3), u32(1)),
        ((MapType.CPUMAP, 4, 4, 10), u32(1), u32(100)),
    ],
    ids=lambda v: v[0].name if isinstance(v, tuple) else "",
)
def test_another_process_adopts(shape: tuple[int, ...], key: bytes, value: bytes) -> None:
    m = create_map(MapAttr(*shape), ncpu=2)
    pid = os.fork()
    if not pid:
        try:
            theirs = adopt_map(m.region.fd)
            assert theirs is not None
            theirs.update(key, value)
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert m.lookup(key) == value


def test_a_map_of_maps_is_adopted_with_its_rules(user: Calls) -> None:
    """The ids of what is in it are there for all to see; what may be in it is known, too."""
    inner, other = user.map(MapType.ARRAY), user.map(MapType.HASH)
    outer = user.map(MapType.HASH_OF_MAPS, 4, 4, inner_map_fd=inner)
    user.update(outer, u32(1), u32(inner))
    apart = Kernel()
    calls = Calls(lambda cmd, attr, size=None: dispatch(apart, cmd, attr, size), "user", apart)
    assert calls.lookup(outer, u32(1), 4) == u32(user.map_info(inner).id)
    assert calls.err(calls.update, outer, u32(2), u32(other)) == "EINVAL"
    calls.update(outer, u32(2), u32(inner))
    text = WALK.format(outer=outer).replace("(r10 -4) = 0", "(r10 -4) = 2")
    calls.update(inner, u32(2), u64(9))
    assert calls.test_run(calls.prog(assemble(text)))[0].retval == 9


@pytest.mark.parametrize(
    ("shape", "key", "value"),
    [
        ((MapType.LPM_TRIE, 8, 8, 10, 1), u32(8) + b"\x0a\0\0\0", u64(5)),
        ((MapType.LRU_HASH, 4, 8, 10, 0), u32(3), u64(5)),
        ((MapType.STACK, 0, 8, 10, 0), None, u64(5)),
        ((MapType.DEVMAP_HASH, 4, 4, 10, 0), u32(3), u32(1)),
    ],
    ids=lambda v: v[0].name if isinstance(v, tuple) else "",
)
def test_a_pin_leads_to_the_same_content(
    user: Calls, tmp_path: Path, shape: tuple[int, ...], key: bytes | None, value: bytes
) -> None:
    """Before and after the memory moves into the pin's file, here and in another kernel."""
    fd = user.map(*shape[:4], map_flags=shape[4])
    user.update(fd, key, value)
    user.pin(fd, str(tmp_path / "m"))
    apart = Kernel()
    calls = Calls(lambda cmd, attr, size=None: dispatch(apart, cmd, attr, size), "user", apart)
    other = calls.get(str(tmp_path / "m"))
    assert calls.lookup(other, key, len(value)) == value
    assert calls.map_info(other).type == shape[0]
    if key is not None:
        calls.delete(other, key)
        assert user.err(user.lookup, fd, key, len(value)) == "ENOENT"
    else:
        calls.update(other, None, u64(6))
        assert user.pop(fd, None) == u64(6)
    calls.close()


def test_programs_go_on_while_their_map_of_maps_is_pinned(user: Calls, tmp_path: Path) -> None:
    inner = user.map(MapType.ARRAY)
    outer = user.map(MapType.HASH_OF_MAPS, 4, 4, inner_map_fd=inner)
    user.update(outer, u32(0), u32(inner))
    user.update(inner, u32(0), u64(3))
    prog = user.prog(assemble(WALK.format(outer=outer)))
    assert user.test_run(prog)[0].retval == 3
    user.pin(outer, str(tmp_path / "outer"))
    user.pin(inner, str(tmp_path / "inner"))
    assert user.test_run(prog)[0].retval == 3
    user.update(inner, u32(0), u64(12))
    assert user.test_run(prog)[0].retval == 12
    user.delete(outer, u32(0))
    assert user.test_run(prog)[0].retval == 0
