"""Hash and array maps against a dict: every answer, every errno, the set of keys, batches."""

from __future__ import annotations

import errno
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from userbpf.maps import Map, MapAttr, create_map

KEYS = st.integers(0, 40)
STEP = st.tuples(
    st.sampled_from(["update", "update", "delete", "take", "lookup"]), KEYS, st.integers(0, 3), st.binary(max_size=4)
)


def all_keys(m: Map) -> list[bytes]:
    out: list[bytes] = []
    key: bytes | None = None
    while True:
        try:
            key = m.next_key(key)
        except BpfError as e:
            assert e.errno == errno.ENOENT
            return out
        out.append(key)


def all_batches(m: Map, count: int) -> list[tuple[bytes, bytes]]:
    out: list[tuple[bytes, bytes]] = []
    token: bytes | None = None
    while True:
        try:
            keys, values, token = m.lookup_batch(token, count, False)
        except BpfError as e:
            assert e.errno == errno.ENOSPC  # a bucket with more entries than asked for
            count *= 2
            continue
        out += zip(keys, values, strict=True)
        if token is None:
            return out


def expected_update(model: dict[bytes, bytes], key: bytes, flags: int, room: int) -> int:
    if flags > 2:
        return errno.EINVAL
    if key in model:
        return errno.EEXIST if flags == 1 else 0
    if flags == 2:
        return errno.ENOENT
    return errno.E2BIG if len(model) >= room else 0


@pytest.mark.parametrize("map_type", [MapType.HASH, MapType.PERCPU_HASH], ids=lambda t: t.name)
@pytest.mark.parametrize("key_size", [1, 4, 7, 16, 37])
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=80), room=st.integers(1, 20))
def test_hash_is_a_dict(map_type: MapType, key_size: int, steps: list[tuple[str, int, int, bytes]], room: int) -> None:
    m = create_map(MapAttr(map_type, key_size, 12, room), ncpu=3)
    model: dict[bytes, bytes] = {}
    for op, number, flags, data in steps:
        key = bytes([number]) * key_size
        value = (
            (data or b"z").ljust(12, b".")
            if map_type == MapType.HASH
            else (data or b"z").ljust(12, b".").ljust(16, b"\0") * 3
        )
        try:
            if op == "update":
                code = expected_update(model, key, flags, room)
                m.update(key, value, flags)
                assert code == 0
                model[key] = value
            elif op == "delete":
                code = 0 if key in model else errno.ENOENT
                m.delete(key)
                model.pop(key)
            else:
                code = 0 if key in model else errno.ENOENT
                got = m.lookup_and_delete(key) if op == "take" else m.lookup(key)
                assert got == model[key]
                if op == "take":
                    del model[key]
        except BpfError as e:
            assert e.errno == code
    assert sorted(all_keys(m)) == sorted(model)
    found = all_batches(m, 3)
    assert dict(found) == model and len(found) == len(model)
    m.close()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 12), st.binary(min_size=5, max_size=5)), max_size=40))
def test_array_is_a_list(steps: list[tuple[int, bytes]]) -> None:
    m = create_map(MapAttr(MapType.ARRAY, 4, 5, 10), ncpu=2)
    model = [bytes(5)] * 10
    for index, value in steps:
        key = index.to_bytes(4, "little")
        if index < 10:
            m.update(key, value)
            model[index] = value
        else:
            with pytest.raises(BpfError):
                m.update(key, value)
    assert [v for _, v in all_batches(m, 4)] == model
    m.close()


# --- prefixes ------------------------------------------------------------------------------------------------------------


def bits_of(key: bytes) -> str:
    """The first bits that a trie's key says count."""
    return "".join(f"{byte:08b}" for byte in key[4:])[: int.from_bytes(key[:4], "little")]


def trie_order(bits: str) -> str:
    """Keys come by their bits, and longer ones before the prefixes they are within."""
    return bits + "2"


DATA = st.binary(min_size=16, max_size=16).map(lambda b: bytes(x & 0x83 for x in b))  # few bits: many share prefixes
PREFIX_STEP = st.tuples(
    st.sampled_from(["update"] * 3 + ["delete", "lookup"]), DATA, st.integers(0, 128), st.integers(0, 3)
)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 9, 16])
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(PREFIX_STEP, max_size=60), room=st.sampled_from([1, 5, 1000]))
def test_trie_finds_the_longest_prefix(size: int, steps: list[tuple[str, bytes, int, int]], room: int) -> None:
    m = create_map(MapAttr(MapType.LPM_TRIE, 4 + size, 8, room, 1), ncpu=2)
    model: dict[str, tuple[bytes, bytes]] = {}
    code = 0
    for number, (op, data, length, flags) in enumerate(steps):
        key = (length % (size * 8 + 2)).to_bytes(4, "little") + data[:size]
        bits = bits_of(key)
        too_long = int.from_bytes(key[:4], "little") > size * 8
        try:
            if op == "update":
                code = errno.EINVAL if too_long else expected_update(model, bits, flags, room)  # type: ignore[arg-type]
                m.update(key, number.to_bytes(8, "little"), flags)
                assert code == 0
                model[bits] = key, number.to_bytes(8, "little")
            elif op == "delete":
                code = errno.EINVAL if too_long else 0 if bits in model else errno.ENOENT
                m.delete(key)
                assert code == 0
                del model[bits]
            else:
                found = [other for other in model if bits.startswith(other)]
                code = 0 if found and not too_long else errno.ENOENT
                assert m.lookup(key) == model[max(found, key=len, default="")][1]
        except BpfError as e:
            assert e.errno == (errno.ENOSPC if code == errno.E2BIG else code)
    assert [bits_of(key) for key in all_keys(m)] == sorted(model, key=trie_order)
    for bits, (key, value) in model.items():
        assert m.lookup(key) == value
        m.delete(key)
        assert bits not in [bits_of(k) for k in all_keys(m)]
    m.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_large_trie_keeps_every_key_in_order(seed: int) -> None:
    """Nodes come and go: none stays behind empty, none goes with something in it."""
    rng = random.Random(seed)
    m = create_map(MapAttr(MapType.LPM_TRIE, 8, 8, 500, 1), ncpu=2)
    model: dict[str, bytes] = {}
    for number in range(4000):
        data = (rng.getrandbits(32) & 0x03010307).to_bytes(4, "little")
        key = rng.randrange(33).to_bytes(4, "little") + data
        if rng.random() < 0.55 and len(model) < 500:
            m.update(key, bytes(8))
            model[bits_of(key)] = key
        elif bits_of(key) in model:
            m.delete(key)
            del model[bits_of(key)]
        if number % 100 == 0:
            assert [bits_of(k) for k in all_keys(m)] == sorted(model, key=trie_order)
    for key in model.values():
        m.delete(key)
    assert all_keys(m) == []
    m.close()


# --- the least recently used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("map_type", [MapType.LRU_HASH, MapType.LRU_PERCPU_HASH], ids=lambda t: t.name)
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=120), room=st.integers(1, 12))
def test_lru_never_refuses(map_type: MapType, steps: list[tuple[str, int, int, bytes]], room: int) -> None:
    """A dict that may forget: what is there is right, the entry just written is there, and nothing is ever too big."""
    m = create_map(MapAttr(map_type, 4, 8, room), ncpu=2)
    written: dict[bytes, bytes] = {}
    for op, number, flags, data in steps:
        key, value = bytes([number]) * 4, (data + bytes(8))[:8] * (1 if map_type == MapType.LRU_HASH else 2)
        known = set(all_keys(m))
        try:
            if op == "update":
                m.update(key, value, flags)
                written[key] = value
                assert m.lookup(key) == value
            elif op == "delete":
                m.delete(key)
            else:
                assert (m.lookup_and_delete(key) if op == "take" else m.lookup(key)) == written[key]
        except BpfError as e:
            if op == "update":
                want = errno.EINVAL if flags > 2 else errno.EEXIST if key in known else errno.ENOENT
                assert e.errno == want and flags
            else:
                assert e.errno == errno.ENOENT and key not in known
    keys = all_keys(m)
    assert len(keys) == len(set(keys)) <= room
    assert all(m.lookup(key) == written[key] for key in keys)
    m.close()


# --- queues, stacks, filters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("map_type", [MapType.QUEUE, MapType.STACK], ids=lambda t: t.name)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("uuupk"), st.integers(0, 3)), max_size=60), room=st.integers(1, 6))
def test_queue_and_stack_are_lists(map_type: MapType, steps: list[tuple[str, int]], room: int) -> None:
    m = create_map(MapAttr(map_type, 0, 3, room), ncpu=2)
    model: list[bytes] = []
    code = 0
    for number, (op, flags) in enumerate(steps):
        value = number.to_bytes(3, "little")
        at = 0 if map_type == MapType.QUEUE else -1
        try:
            if op == "u":
                code = errno.EINVAL if flags in (1, 3) else errno.E2BIG if len(model) == room and not flags else 0
                m.update(b"", value, flags)
                model = [*model, value][-room:]
            else:
                code = 0 if model else errno.ENOENT
                assert (m.lookup_and_delete(b"") if op == "p" else m.lookup(b"")) == model[at]
                if op == "p":
                    model.pop(at)
            assert code == 0
        except BpfError as e:
            assert e.errno == code
    m.close()


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.binary(min_size=8, max_size=8), unique=True, max_size=100), bits=st.integers(0, 15))
def test_a_filter_forgets_nothing(values: list[bytes], bits: int) -> None:
    m = create_map(MapAttr(MapType.BLOOM_FILTER, 0, 8, 100, map_extra=bits), ncpu=2)
    half = len(values) // 2
    for value in values[:half]:
        m.update(b"", value)
    for value in values[:half]:
        assert m.lookup(value) == value
    wrong = 0
    for value in values[half:]:
        try:
            m.lookup(value)
            wrong += 1
        except BpfError as e:
            assert e.errno == errno.ENOENT
    assert wrong <= 3 + len(values) // 4
    m.close()
