"""Maps over both transports: creation, elements, permissions, freezing, batches."""

from __future__ import annotations

import os
import struct

import pytest

from bpfcalls import Buf, Calls, u32, u64
from userbpf.abi.attrs import MapBatchAttr
from userbpf.abi.consts import BPF_F_RDONLY, BPF_F_WRONLY
from userbpf.abi.enums import Cmd, MapType

K0, K1, V = u32(0), u32(1), u64(7)


# --- MAP_CREATE


@pytest.mark.parametrize(
    ("name", "want"),
    [
        (b"abc", ""),
        (b"a.b_C9", ""),
        (b"a" * 15, ""),
        (b"a" * 16, "EINVAL"),
        (b"a-b", "EINVAL"),
        (b"a b", "EINVAL"),
        (b"\xff", ""),
        (b"\xd7", "EINVAL"),
        (b"a\0b c", ""),
    ],
)
def test_names(transport: Calls, name: bytes, want: str) -> None:
    assert transport.err(transport.map, map_name=name) == want


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"map_flags": BPF_F_RDONLY | BPF_F_WRONLY}, "EINVAL"),
        ({"map_flags": 1 << 31}, "EINVAL"),
        ({"map_ifindex": 5}, "EINVAL"),
        ({"map_flags": 4, "numa_node": 1 << 31}, "EINVAL"),
        ({"numa_node": 5}, "EINVAL"),
        ({"map_extra": 1}, "EINVAL"),
        ({"btf_vmlinux_value_type_id": 4}, "EINVAL"),
        ({"btf_fd": 999}, ""),  # no type ids: not looked at
        ({"btf_key_type_id": 1}, "EINVAL"),
        ({"btf_fd": 999, "btf_key_type_id": 1}, "EINVAL"),
        ({"btf_fd": 999, "btf_key_type_id": 1, "btf_value_type_id": 1}, "EBADF"),
        ({"inner_map_fd": 999}, ""),
    ],
)
def test_create_fields(transport: Calls, fields: dict[str, int], want: str) -> None:
    if fields == {"numa_node": 5}:
        want = ""  # without BPF_F_NUMA_NODE it says nothing
    assert transport.err(transport.map, **fields) == want


@pytest.mark.parametrize("map_type", [0, 34, 99, 0xFFFFFFFF])
def test_unknown_types(transport: Calls, map_type: int) -> None:
    assert transport.err(transport.map, map_type) == "EINVAL"


def test_inner_maps(transport: Calls) -> None:
    outer = MapType.HASH_OF_MAPS
    assert transport.err(transport.map, outer, 4, 4) == "EINVAL"  # fd 0 is no map
    assert transport.err(transport.map, outer, 4, 4, inner_map_fd=999) == "EBADF"
    inner = transport.map()
    nested = transport.map(outer, 4, 4, inner_map_fd=inner)
    assert transport.err(transport.map, outer, 4, 4, inner_map_fd=nested) == "EINVAL"
    assert transport.err(transport.map, outer, 4, 8, inner_map_fd=inner) == "EINVAL"
    other = transport.map(MapType.ARRAY)
    assert transport.err(transport.update, nested, K0, u32(other)) == "EINVAL"
    assert transport.err(transport.update, nested, K0, u32(0x7FFFFFF0)) == "EBADF"
    transport.update(nested, K0, u32(inner))
    assert transport.lookup(nested, K0, 4) == u32(transport.map_info(inner).id)
    transport.delete(nested, K0)
    assert transport.err(transport.lookup, nested, K0, 4) == "ENOENT"


# --- elements


def test_hash_elements(transport: Calls) -> None:
    fd = transport.map(n=2)
    assert transport.err(transport.lookup, fd, K0) == "ENOENT"
    transport.update(fd, K0, V)
    assert transport.lookup(fd, K0) == V
    assert transport.err(transport.update, fd, K0, V, 1) == "EEXIST"
    assert transport.err(transport.update, fd, K1, V, 2) == "ENOENT"
    assert transport.err(transport.update, fd, K1, V, 3) == "EINVAL"
    transport.update(fd, K1, V, 1)
    assert transport.err(transport.update, fd, u32(2), V) == "E2BIG"
    assert sorted(transport.keys(fd)) == [K0, K1]
    assert transport.pop(fd, K0) == V
    transport.delete(fd, K1)
    assert transport.err(transport.delete, fd, K1) == "ENOENT"
    assert transport.keys(fd) == []


def test_array_elements(transport: Calls) -> None:
    fd = transport.map(MapType.ARRAY)
    assert transport.lookup(fd, K0) == bytes(8)
    transport.update(fd, K1, V)
    assert transport.lookup(fd, K1) == V
    assert transport.err(transport.lookup, fd, u32(4)) == "ENOENT"
    assert transport.err(transport.update, fd, u32(4), V) == "E2BIG"
    assert transport.err(transport.update, fd, K0, V, 1) == "EEXIST"
    assert transport.err(transport.delete, fd, K0) == "EINVAL"
    assert transport.err(transport.pop, fd, K0) == "ENOTSUPP"
    assert transport.keys(fd) == [u32(i) for i in range(4)]
    assert transport.next_key(fd, u32(100)) == K0


def test_queue_has_no_keys(transport: Calls) -> None:
    fd = transport.map(MapType.QUEUE, 0, 8)
    transport.update(fd, None, V)
    assert transport.err(transport.update, fd, K0, V) == "EINVAL"
    assert transport.lookup(fd, None) == V
    assert transport.pop(fd, None) == V
    assert transport.err(transport.pop, fd, None) == "ENOENT"
    assert transport.err(transport.delete, fd, None) == "EINVAL"


def test_ringbuf_has_no_elements(transport: Calls) -> None:
    fd = transport.map(MapType.RINGBUF, 0, 0, 4096)
    assert transport.err(transport.lookup, fd, None) == "ENOTSUPP"
    assert transport.err(transport.lookup, fd, K0) == "EINVAL"


def test_order_of_checks(transport: Calls) -> None:
    """Which errno wins where two apply."""
    fd = transport.map()
    bad, nothing = 0x7FFFFFF0, 0
    elem = transport.err
    assert elem(transport.lookup, bad, K0, flags=8) == "EINVAL"  # flags before the fd
    assert elem(transport.lookup, nothing, K0) == "EINVAL"  # an fd, but of no map
    assert elem(transport.lookup, bad, None) == "EBADF"  # the fd before the key
    assert elem(transport.lookup, fd, None) == "EFAULT"
    assert elem(transport.update, fd, None, V, 9) == "EFAULT"  # the key before flags
    assert elem(transport.lookup, fd, K0, flags=4) == "EINVAL"  # BPF_F_LOCK without a lock in the value
    assert elem(transport.update, fd, K0, V, 4) == "EINVAL"


def test_pointers_to_nowhere(transport: Calls) -> None:
    fd = transport.map()
    transport.update(fd, K0, V)
    from userbpf.abi.attrs import MapElemAttr

    key, value = Buf(K0), Buf(V)
    for at in (8, (1 << 47) + 16, (1 << 64) - 8):
        for cmd in (Cmd.MAP_LOOKUP_ELEM, Cmd.MAP_UPDATE_ELEM):
            assert transport.err(transport.bpf, cmd, MapElemAttr(fd, 0, at, value.addr)) == "EFAULT"
            assert transport.err(transport.bpf, cmd, MapElemAttr(fd, 0, key.addr, at)) == "EFAULT"
        assert transport.err(transport.bpf, Cmd.MAP_GET_NEXT_KEY, MapElemAttr(fd, 0, 0, at)) == "EFAULT"
    assert transport.lookup(fd, K0) == V


def test_access_flags(transport: Calls) -> None:
    reader, writer = transport.map(map_flags=BPF_F_RDONLY), transport.map(map_flags=BPF_F_WRONLY)
    assert transport.err(transport.update, reader, K0, V) == "EPERM"
    assert transport.err(transport.update, reader, None, V, 9) == "EPERM"
    assert transport.err(transport.delete, reader, K0) == "EPERM"
    assert transport.err(transport.pop, reader, K0) == "EPERM"
    assert transport.err(transport.lookup, reader, K0) == "ENOENT"
    assert transport.err(transport.freeze, reader) == "EPERM"
    assert transport.map_info(reader).map_flags == 0  # they are the fd's
    transport.update(writer, K0, V)
    assert transport.err(transport.lookup, writer, K0) == "EPERM"
    assert transport.err(transport.next_key, writer, None) == "EPERM"
    transport.freeze(writer)


def test_access_by_id(transport: Calls) -> None:
    fd = transport.map()
    number = transport.map_info(fd).id
    reader = transport.fd_by_id(Cmd.MAP_GET_FD_BY_ID, number, BPF_F_RDONLY)
    transport.update(fd, K0, V)
    assert transport.lookup(reader, K0) == V
    assert transport.err(transport.update, reader, K0, V) == "EPERM"
    assert transport.map_info(reader).id == number
    assert transport.err(transport.fd_by_id, Cmd.MAP_GET_FD_BY_ID, number, 24) == "EINVAL"
    assert transport.err(transport.fd_by_id, Cmd.MAP_GET_FD_BY_ID, number, 1) == "EINVAL"


def test_freeze(transport: Calls) -> None:
    fd = transport.map()
    transport.update(fd, K0, V)
    transport.freeze(fd)
    assert transport.lookup(fd, K0) == V
    assert transport.err(transport.update, fd, K0, V) == "EPERM"
    assert transport.err(transport.delete, fd, K0) == "EPERM"
    assert transport.err(transport.pop, fd, K0) == "EPERM"
    assert transport.err(transport.freeze, fd) == "EPERM"


# --- descriptors


def test_descriptors_are_real(transport: Calls) -> None:
    fd = transport.map()
    twin = os.dup(fd)
    transport.update(fd, K0, V)
    os.close(fd)
    transport.fds.remove(fd)
    assert transport.lookup(twin, K0) == V
    assert not os.get_inheritable(twin)
    assert "bpf-map" in os.readlink(f"/proc/self/fd/{twin}")
    os.close(twin)
    assert transport.err(transport.lookup, twin, K0) == "EBADF"


def test_a_number_used_again_is_another_map(transport: Calls) -> None:
    first = transport.map()
    transport.update(first, K0, V)
    transport.close(first)
    second = transport.map()
    assert second == first
    assert transport.err(transport.lookup, second, K0) == "ENOENT"


def test_a_child_shares_the_map(transport: Calls) -> None:
    fd = transport.map()
    pid = os.fork()
    if not pid:
        try:
            transport.update(fd, K0, u64(42))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert transport.lookup(fd, K0) == u64(42)


# --- batches


def fill(transport: Calls, fd: int, n: int) -> None:
    keys, values = Buf(struct.pack(f"<{n}I", *range(n))), Buf(struct.pack(f"<{n}Q", *range(100, 100 + n)))
    attr = transport.batch(Cmd.MAP_UPDATE_BATCH, fd, keys=keys.addr, values=values.addr, count=n)
    assert attr.count == n


def read_all(transport: Calls, cmd: Cmd, fd: int, step: int) -> dict[int, int]:
    """Walk a map by batches, as libbpf's users do."""
    got: dict[int, int] = {}
    keys, values, batch = Buf(4 * step), Buf(8 * step), Buf(64)
    first, done = True, False
    while not done:
        attr = MapBatchAttr(
            map_fd=fd,
            in_batch=0 if first else batch.addr,
            out_batch=batch.addr,
            keys=keys.addr,
            values=values.addr,
            count=step,
        )
        done = transport.err(transport.bpf, cmd, attr) == "ENOENT"
        first = False
        for i in range(attr.count):
            key, value = struct.unpack_from("<I", keys.raw, i * 4)[0], struct.unpack_from("<Q", values.raw, i * 8)[0]
            assert key not in got
            got[key] = value
    return got


@pytest.mark.parametrize("map_type", [MapType.HASH, MapType.ARRAY, MapType.LRU_HASH])
def test_lookup_batch_sees_everything_once(transport: Calls, map_type: MapType) -> None:
    fd = transport.map(map_type, n=100)
    fill(transport, fd, 100 if map_type == MapType.ARRAY else 50)
    want = {i: 100 + i for i in range(100 if map_type == MapType.ARRAY else 50)}
    assert read_all(transport, Cmd.MAP_LOOKUP_BATCH, fd, 32) == want


def test_lookup_and_delete_batch_empties(transport: Calls) -> None:
    fd = transport.map(n=100)
    fill(transport, fd, 50)
    assert len(read_all(transport, Cmd.MAP_LOOKUP_AND_DELETE_BATCH, fd, 64)) == 50
    assert transport.keys(fd) == []


def test_update_batch_stops_at_the_first_error(transport: Calls) -> None:
    fd = transport.map(MapType.ARRAY)
    keys, values = Buf(u32(1) + u32(51) + u32(0)), Buf(bytes(24))
    attr = MapBatchAttr(map_fd=fd, keys=keys.addr, values=values.addr, count=3)
    assert transport.err(transport.bpf, Cmd.MAP_UPDATE_BATCH, attr) == "E2BIG"
    assert attr.count == 1


def test_delete_batch_stops_at_the_first_missing(transport: Calls) -> None:
    fd = transport.map(n=8)
    fill(transport, fd, 4)
    keys = Buf(u32(0) + u32(77) + u32(1))
    attr = MapBatchAttr(map_fd=fd, keys=keys.addr, count=3)
    assert transport.err(transport.bpf, Cmd.MAP_DELETE_BATCH, attr) == "ENOENT"
    assert attr.count == 1
    assert sorted(transport.keys(fd)) == [u32(1), u32(2), u32(3)]


BATCHES = (Cmd.MAP_LOOKUP_BATCH, Cmd.MAP_LOOKUP_AND_DELETE_BATCH, Cmd.MAP_UPDATE_BATCH, Cmd.MAP_DELETE_BATCH)
NO = "ENOTSUPP"


@pytest.mark.parametrize(
    ("map_type", "key", "value", "n", "want"),
    [
        (MapType.HASH, 4, 8, 4, ("", "", "", "")),
        (MapType.LRU_HASH, 4, 8, 4, ("", "", "", "")),
        (MapType.PERCPU_HASH, 4, 8, 4, ("", "", "", "")),
        (MapType.ARRAY, 4, 8, 4, ("", NO, "", NO)),
        (MapType.PERCPU_ARRAY, 4, 8, 4, ("", NO, "", NO)),
        (MapType.LPM_TRIE, 8, 8, 4, ("", NO, "", "")),
        (MapType.QUEUE, 0, 8, 4, (NO, NO, NO, NO)),
        (MapType.RINGBUF, 0, 0, 4096, (NO, NO, NO, NO)),
        (MapType.PROG_ARRAY, 4, 4, 4, (NO, NO, NO, NO)),
    ],
    ids=lambda v: v.name if isinstance(v, MapType) else "",
)
def test_which_maps_have_batches(
    transport: Calls, map_type: MapType, key: int, value: int, n: int, want: tuple[str, ...]
) -> None:
    fd = transport.map(map_type, key, value, n, map_flags=1 if map_type == MapType.LPM_TRIE else 0)
    assert tuple(transport.err(transport.batch, cmd, fd, count=0) for cmd in BATCHES) == want


def test_batch_flags_and_pointers(transport: Calls) -> None:
    fd = transport.map(n=8)
    fill(transport, fd, 4)
    batch, keys, values = Buf(64), Buf(64), Buf(64)
    whole = {"out_batch": batch.addr, "keys": keys.addr, "values": values.addr, "count": 8}
    for broken in ("out_batch", "keys", "values"):
        attr = MapBatchAttr(map_fd=fd, **{**whole, broken: 0})
        assert transport.err(transport.bpf, Cmd.MAP_LOOKUP_BATCH, attr) == "EFAULT", broken
    for flags in ({"elem_flags": 1}, {"flags": 1}, {"elem_flags": 4}):
        assert transport.err(transport.batch, Cmd.MAP_LOOKUP_BATCH, fd, **whole, **flags) == "EINVAL", flags


@pytest.mark.parametrize(
    ("template", "other", "want"),
    [
        pytest.param({}, {}, "", id="the same"),
        pytest.param({}, {"n": 8}, "", id="hash of another length"),
        pytest.param({}, {"value": 16}, "EINVAL", id="another value size"),
        pytest.param({}, {"key": 8}, "EINVAL", id="another key size"),
        pytest.param({}, {"map_flags": 1}, "EINVAL", id="another flag"),
        pytest.param({}, {"map_flags": 8}, "", id="flags of the fd"),
        pytest.param({"map_type": MapType.ARRAY}, {"map_type": MapType.ARRAY, "n": 8}, "EINVAL", id="array length"),
        pytest.param(
            {"map_type": MapType.ARRAY, "map_flags": 0x1000},
            {"map_type": MapType.ARRAY, "map_flags": 0x1000, "n": 8},
            "",
            id="array with BPF_F_INNER_MAP",
        ),
        pytest.param({}, {"map_type": MapType.ARRAY}, "EINVAL", id="another type"),
    ],
)
@pytest.mark.parametrize("outer_type", [MapType.HASH_OF_MAPS, MapType.ARRAY_OF_MAPS], ids=lambda t: t.name)
def test_which_maps_fit_inside(
    transport: Calls, outer_type: MapType, template: dict[str, int], other: dict[str, int], want: str
) -> None:
    outer = transport.map(outer_type, 4, 4, inner_map_fd=transport.map(**template))
    inner = transport.map(**other)
    assert transport.err(transport.update, outer, K0, u32(inner)) == want
    if not want:
        assert transport.lookup(outer, K0, 4) == u32(transport.map_info(inner).id)


def test_a_prog_array_is_no_inner_map(transport: Calls) -> None:
    fd = transport.map(MapType.PROG_ARRAY, 4, 4)
    assert transport.err(transport.map, MapType.HASH_OF_MAPS, 4, 4, inner_map_fd=fd) == "ENOTSUPP"
