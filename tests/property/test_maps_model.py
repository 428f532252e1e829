"""Hash and array maps against a dict: every answer, every errno, the set of keys, batches."""

from __future__ import annotations

import errno

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
