"""Random maps and random calls on them: both transports answer alike, errno for errno and value for value."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from bpfcalls import Calls, calls_of
from userbpf.abi.attrs import MapCreateAttr
from userbpf.abi.enums import Cmd, MapType
from userbpf.maps import FAMILIES

PERCPU = (MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH)
# what takes fds, or evicts as it likes, answers in its own tests
TYPES = [
    t
    for t in FAMILIES
    if t
    not in (MapType.PROG_ARRAY, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.HASH_OF_MAPS, MapType.ARRAY_OF_MAPS)
]
SIZES = (0, 1, 3, 4, 4, 4, 5, 8, 8, 8, 9, 16, 100, 512)
ENTRIES = (0, 1, 2, 3, 4, 8, 100, 4096, 5000, 8192)
FLAGS = (0, 0, 0, 0, 1, 2, 4, 8, 16, 24, 32, 64, 128, 256, 384, 512, 1024, 2048, 4096, 8192, 1 << 20)
NAMES = (b"", b"", b"x.1", b"a b")


class Pair:
    """Both transports."""

    def __init__(self) -> None:
        self.user, self.linux = calls_of("user"), calls_of("linux")

    @staticmethod
    def one(calls: Calls, call: Callable[..., Any], *args: Any) -> Any:
        """The result, or the name of the errno."""
        got: list[Any] = []
        return calls.err(lambda: got.append(call(calls, *args))) or got[0]


def element_calls(rng: random.Random, attr: MapCreateAttr) -> Callable[[Calls, int], Any]:
    """A random call on an element. Only keys that were never there, or the first, are asked for the next one."""
    key: bytes | None = rng.choice((bytes(attr.key_size), b"\1".ljust(attr.key_size, b"\0"), os.urandom(attr.key_size)))
    if rng.random() < 0.1 or not attr.key_size:
        key = None if attr.key_size or rng.random() < 0.9 else b"x"
    elif len(key or b"") != attr.key_size:
        key = bytes(attr.key_size)
    value, flags = os.urandom(attr.value_size), rng.choice((0, 0, 0, 1, 2, 3, 4, 8))
    if attr.map_type in PERCPU:
        value = value.ljust((attr.value_size + 7) // 8 * 8, b"\0") * possible_cpus()
    length = len(value)
    calls: list[Callable[[Calls, int], Any]] = [
        lambda c, fd: c.lookup(fd, key, length, rng_flags),
        lambda c, fd: c.pop(fd, key, length, rng_flags),
        lambda c, fd: c.update(fd, key, value, flags),
        lambda c, fd: c.update(fd, key, value, flags),
        lambda c, fd: c.delete(fd, key),
        lambda c, fd: len(c.next_key(fd, None, attr.key_size)),
    ]
    rng_flags = rng.choice((0, 0, 0, 0, 4, 1))
    return rng.choice(calls)


def possible_cpus() -> int:
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().strip().split("-")[-1]) + 1


@pytest.mark.parametrize("seed", range(2))
def test_answers_are_equal(seed: int) -> None:
    pair, rng = Pair(), random.Random(seed)
    if possible_cpus() != pair.user.kernel.ncpu:
        pytest.skip("per-CPU values have another length here: not all possible CPUs may be used")
    made = 0
    for _ in range(900):
        attr = MapCreateAttr(
            map_type=rng.choice(TYPES),
            key_size=rng.choice(SIZES),
            value_size=rng.choice(SIZES),
            max_entries=rng.choice(ENTRIES),
            map_flags=rng.choice(FLAGS),
            map_extra=rng.choice((0, 0, 0, 0, 1)),
            map_name=rng.choice(NAMES),
        )
        ours, theirs = (pair.one(calls, Calls.fd, Cmd.MAP_CREATE, attr) for calls in (pair.user, pair.linux))
        assert isinstance(ours, int) == isinstance(theirs, int), (attr, ours, theirs)
        if not isinstance(ours, int):
            assert ours == theirs, attr
            continue
        made += 1
        infos = [pair.user.map_info(ours), pair.linux.map_info(theirs)]
        for info in infos:
            info.id = 0
        assert infos[0] == infos[1]
        for _ in range(12):
            call = element_calls(rng, attr)
            answers = [pair.one(calls, call, fd) for calls, fd in ((pair.user, ours), (pair.linux, theirs))]
            assert answers[0] == answers[1], attr
        pair.user.close()
        pair.linux.close()
    assert made > 20
