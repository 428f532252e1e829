"""Which maps may be made and what each operation answers: errnos of Linux 6.18.44, asked of it again where it can be asked."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Any

import pytest

from userbpf.abi.attrs import MapCreateAttr, MapElemAttr
from userbpf.abi.enums import Cmd, MapType
from userbpf.errors import BpfError
from userbpf.maps import Map, MapAttr, create_map

NCPU = 2
ENOTSUPP = 524
H, PH, A, PA, PROG, RB = (
    MapType.HASH,
    MapType.PERCPU_HASH,
    MapType.ARRAY,
    MapType.PERCPU_ARRAY,
    MapType.PROG_ARRAY,
    MapType.RINGBUF,
)

# (type, key_size, value_size, max_entries, flags) -> errno, 0 for a map
CREATE = [
    *[
        ((t, k, v, n, 0), errno.EINVAL)
        for t in (A, PA, PROG)
        for k, v, n in ((0, 4, 1), (4, 0, 1), (4, 4, 0), (8, 4, 1))
    ],
    *[((t, k, v, n, 0), errno.EINVAL) for t in (H, PH) for k, v, n in ((0, 4, 1), (4, 0, 1), (4, 4, 0))],
    *[((t, 4, 8, 1, 0), 0) for t in (A, PA, H, PH)],
    ((PROG, 4, 8, 1, 0), errno.EINVAL),
    *[((A, 4, 4, 1, 1 << b), 0 if b in (2, 3, 4, 7, 8, 10, 12) else errno.EINVAL) for b in range(19)],
    *[((PA, 4, 4, 1, 1 << b), 0 if b in (3, 4, 7, 8) else errno.EINVAL) for b in range(19)],
    *[((H, 4, 4, 1, 1 << b), 0 if b in (0, 2, 3, 4, 6, 7, 8) else errno.EINVAL) for b in range(19)],
    *[((PH, 4, 4, 1, 1 << b), 0 if b in (0, 3, 4, 6, 7, 8) else errno.EINVAL) for b in range(19)],
    *[((PROG, 4, 4, 1, 1 << b), 0 if b in (2, 3, 4) else errno.EINVAL) for b in range(19)],
    *[((t, 4, 4, 1, both), errno.EINVAL) for t in (A, H) for both in (0x18, 0x180)],
    *[((t, 4, 32768, 1, 0), 0) for t in (A, PA, H, PH)],
    ((PA, 4, 32769, 1, 0), errno.E2BIG),
    ((PH, 4, 32769, 1, 0), errno.E2BIG),
    ((H, 4, 64 << 20, 1, 0), errno.E2BIG),
    ((A, 4, 1 << 31, 1, 0), errno.E2BIG),
    ((H, 513, 4, 1, 0), 0),
    *[((RB, 0, 0, n, 0), 0) for n in (4096, 8192, 65536)],
    *[((RB, 0, 0, n, 0), errno.EINVAL) for n in (0, 2048, 4095, 12288)],
    ((RB, 4, 0, 4096, 0), errno.EINVAL),
    ((RB, 0, 4, 4096, 0), errno.EINVAL),
    ((RB, 0, 0, 4096, 1 << 10), errno.EINVAL),
    ((RB, 0, 0, 4096, 1 << 2), 0),
]
IDS = [f"{s[0].name}-{s[1]}-{s[2]}-{s[3]}-{s[4]:#x}" for s, _ in CREATE]


@pytest.mark.parametrize(("shape", "expected"), CREATE, ids=IDS)
def test_create(shape: tuple[int, ...], expected: int) -> None:
    if expected:
        with pytest.raises(BpfError) as e:
            create_map(MapAttr(*shape), ncpu=NCPU)
        assert e.value.errno == expected
    else:
        create_map(MapAttr(*shape), ncpu=NCPU).close()


V = bytes(range(8))


def key(i: int) -> bytes:
    return struct.pack("<I", i)


def value(m: Any) -> bytes:
    return (V * 4)[: m.value_len]


# what is done to a fresh map of two entries, in this order; then the errno by family
STEPS: list[tuple[str, int, int]] = [
    ("lookup", 0, 0),
    ("lookup", 9, 0),
    ("update", 0, 0),
    ("update", 9, 0),
    ("update", 0, 1),
    ("update", 1, 2),
    ("update", 0, 3),
    ("update", 1, 0),
    ("update", 9, 1),
    ("delete", 5, 0),
    ("take", 0, 0),
    ("take", 7, 0),
]
ANSWERS = {
    A: [
        0,
        errno.ENOENT,
        0,
        errno.E2BIG,
        errno.EEXIST,
        0,
        errno.EINVAL,
        0,
        errno.E2BIG,
        errno.EINVAL,
        ENOTSUPP,
        ENOTSUPP,
    ],
    H: [2, 2, 0, 0, errno.EEXIST, errno.ENOENT, errno.EINVAL, errno.E2BIG, errno.EEXIST, errno.ENOENT, 0, errno.ENOENT],
}
ANSWERS[PA], ANSWERS[PH] = ANSWERS[A], ANSWERS[H]


def run_steps(do: Any) -> list[int]:
    out = []
    for op, index, flags in STEPS:
        try:
            do(op, key(index), flags)
            out.append(0)
        except OSError as e:
            out.append(e.errno or 0)
    return out


def on_map(m: Map) -> Any:
    def do(op: str, k: bytes, flags: int) -> None:
        match op:
            case "lookup":
                m.lookup(k)
            case "update":
                m.update(k, value(m), flags)
            case "delete":
                m.delete(k)
            case "take":
                m.lookup_and_delete(k)

    return do


@pytest.mark.parametrize("map_type", [A, PA, H, PH], ids=lambda t: t.name)
def test_operations(map_type: MapType) -> None:
    m = create_map(MapAttr(map_type, 4, 8, 2), ncpu=NCPU)
    assert run_steps(on_map(m)) == ANSWERS[map_type]


def linux_bpf() -> Any:
    """The real bpf(2); skips with its reason where there is none."""
    from userbpf import linux

    reason = linux.available()
    if reason is not None:
        pytest.skip(f"no bpf(2) here: {reason}")
    return linux.bpf


@pytest.mark.parametrize(("shape", "expected"), CREATE, ids=IDS)
def test_create_in_linux(shape: tuple[int, ...], expected: int) -> None:
    import os

    bpf = linux_bpf()
    attr = bytearray(MapCreateAttr(*shape).encode())
    try:
        os.close(bpf(Cmd.MAP_CREATE, attr))
        answer = 0
    except OSError as e:
        answer = e.errno or 0
    assert answer == expected


@pytest.mark.parametrize("map_type", [A, PA, H, PH], ids=lambda t: t.name)
def test_operations_in_linux(map_type: MapType) -> None:
    import os

    bpf = linux_bpf()
    fd = bpf(Cmd.MAP_CREATE, bytearray(MapCreateAttr(map_type, 4, 8, 2).encode()))
    room = ctypes.create_string_buffer(8 * 1024)
    cmds = {
        "lookup": Cmd.MAP_LOOKUP_ELEM,
        "update": Cmd.MAP_UPDATE_ELEM,
        "delete": Cmd.MAP_DELETE_ELEM,
        "take": Cmd.MAP_LOOKUP_AND_DELETE_ELEM,
    }

    def do(op: str, k: bytes, flags: int) -> None:
        buf = ctypes.create_string_buffer(k, 4)
        value_ptr = 0 if op == "delete" else ctypes.addressof(room)
        bpf(cmds[op], bytearray(MapElemAttr(fd, 0, ctypes.addressof(buf), value_ptr, flags).encode()))

    try:
        assert run_steps(do) == ANSWERS[map_type]
    finally:
        os.close(fd)


def test_next_key_of_an_array_goes_through_all_indices() -> None:
    m = create_map(MapAttr(A, 4, 8, 3), ncpu=NCPU)
    assert [m.next_key(None), m.next_key(key(0)), m.next_key(key(1)), m.next_key(key(9))] == [
        key(0),
        key(1),
        key(2),
        key(0),
    ]
    with pytest.raises(BpfError) as e:
        m.next_key(key(2))
    assert e.value.errno == errno.ENOENT
