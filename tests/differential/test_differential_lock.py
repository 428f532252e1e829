"""Values with a bpf_spin_lock, over both transports: the lock is not user space's."""

from __future__ import annotations

import struct

import pytest

from bpfcalls import Calls, u32
from userbpf.abi.enums import MapType

STRINGS = b"\0int\0bpf_spin_lock\0val\0value\0cnt\0lock\0"
F_LOCK = 4


def name(text: str) -> int:
    return STRINGS.index(b"\0" + text.encode() + b"\0") + 1


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


TYPES = (
    words(name("int"), 1 << 24, 4, 32)
    + words(name("bpf_spin_lock"), 4 << 24 | 1, 4, name("val"), 1, 0)
    + words(name("value"), 4 << 24 | 2, 8, name("cnt"), 1, 0, name("lock"), 2, 32)
)
BTF = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(TYPES), len(TYPES), len(STRINGS)) + TYPES + STRINGS
KEY, VALUE = 1, 3


@pytest.fixture(params=[MapType.HASH, MapType.ARRAY], ids=lambda t: t.name)
def locked(request: pytest.FixtureRequest, transport: Calls) -> int:
    """A map of struct value { int cnt; struct bpf_spin_lock lock; }."""
    ids = {"btf_key_type_id": KEY, "btf_value_type_id": VALUE}
    return transport.map(request.param, 4, 8, btf_fd=transport.btf(BTF), **ids)


def value(cnt: int, lock: int = 0) -> bytes:
    return words(cnt, lock)


@pytest.mark.parametrize("flags", [0, F_LOCK])
def test_the_lock_is_neither_written_nor_shown(transport: Calls, locked: int, flags: int) -> None:
    transport.update(locked, u32(1), value(5, 0xFFFFFFFF), 0)
    assert transport.lookup(locked, u32(1)) == value(5)
    transport.update(locked, u32(1), value(6, 1), flags)
    assert transport.lookup(locked, u32(1), flags=flags) == value(6)
    transport.update(locked, u32(1), value(7, 1), flags)  # it was not left taken
    assert transport.lookup(locked, u32(1), flags=F_LOCK) == value(7)


def test_flags_with_a_lock(transport: Calls, locked: int) -> None:
    transport.update(locked, u32(1), value(5))
    assert transport.err(transport.update, locked, u32(1), value(6), F_LOCK | 1) == "EEXIST"
    transport.update(locked, u32(1), value(6), F_LOCK | 2)
    assert transport.lookup(locked, u32(1)) == value(6)
    assert transport.err(transport.update, locked, u32(1), value(6), F_LOCK | 3) == "EINVAL"
    assert transport.err(transport.update, locked, u32(1), value(6), 8) == "EINVAL"
    assert transport.err(transport.lookup, locked, u32(9), flags=F_LOCK) == "ENOENT"
