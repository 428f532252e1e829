"""SOCKMAP, SOCKHASH, REUSEPORT_SOCKARRAY: sockets by index or key.

User space puts sockets in and reads their cookies; the rules of which sockets may be in are Linux's. To programs the maps
are empty: there is no kernel that would steer a packet to the socket.
"""

from __future__ import annotations

import errno
import struct
import threading
from typing import Any, ClassVar

from userbpf.abi.enums import MapType
from userbpf.maps.base import BPF_EXIST, BPF_NOEXIST, Map, fail
from userbpf.maps.owners import S32_MAX, Owner, check_reuseport, cookie_of, may_redirect, socket_of

E2BIG = errno.E2BIG
EINVAL = errno.EINVAL
ENOENT = errno.ENOENT


class SocketMap(Map):
    """What the three have in common. Entries whose socket has been closed are none."""

    def __init__(self, attr: Any, **more: Any) -> None:
        self._sockets: dict[bytes, tuple[Owner, int]] = {}  # key -> socket, cookie
        self._lock = threading.Lock()
        super().__init__(attr, **more)

    def plan(self) -> int:
        return 0

    def _at(self, key: bytes) -> tuple[Owner, int] | None:
        found = self._sockets.get(key)
        if found is not None and not found[0].open_still():
            self._forget(key)
            return None
        return found

    def _check_presence(self, key: bytes, flags: int) -> None:
        there = self._at(key) is not None
        if there and flags == BPF_NOEXIST:
            raise fail(errno.EEXIST)
        if not there and flags == BPF_EXIST:
            raise fail(ENOENT)

    def _forget(self, key: bytes) -> None:
        del self._sockets[key]

    def _index(self, key: bytes, code: int) -> bytes:
        if int.from_bytes(self._key(key), "little") >= self.max_entries:
            raise fail(code)
        return key

    def lookup(self, key: bytes) -> bytes:
        """The socket's cookie, where values have room for it."""
        self._key(key)
        if self.value_size != 8:
            raise fail(errno.ENOSPC)
        with self._lock:
            found = self._at(key)
        if found is None:
            raise fail(ENOENT)
        return struct.pack("<Q", found[1])

    def next_key(self, key: bytes | None) -> bytes:
        index = self.max_entries if key is None else int.from_bytes(self._key(key), "little")
        if index >= self.max_entries:
            return bytes(4)
        if index == self.max_entries - 1:
            raise fail(ENOENT)
        return struct.pack("<I", index + 1)


class SockMap(SocketMap):
    """SOCKMAP."""

    TYPES: ClassVar[tuple[MapType, ...]] = (MapType.SOCKMAP,)

    def _need_place(self, key: bytes, flags: int) -> None:
        self._check_presence(self._index(key, E2BIG), flags)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        fd = int.from_bytes(self._value(value), "little")
        if fd > S32_MAX:
            raise fail(EINVAL)
        owner = socket_of(fd)
        if not may_redirect(owner):
            raise fail(errno.EOPNOTSUPP)
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        with self._lock:
            self._need_place(key, flags)
            self._sockets[key] = owner, cookie_of(owner)

    def delete(self, key: bytes) -> None:
        with self._lock:
            if self._at(self._index(key, EINVAL)) is None:
                raise fail(EINVAL)
            del self._sockets[key]


class SockHash(SockMap):
    """SOCKHASH."""

    TYPES = (MapType.SOCKHASH,)

    def _need_place(self, key: bytes, flags: int) -> None:
        self._check_presence(self._key(key), flags)
        if key not in self._sockets and len(self._sockets) >= self.max_entries:
            for other in list(self._sockets):
                self._at(other)
            if len(self._sockets) >= self.max_entries:
                raise fail(E2BIG)

    def delete(self, key: bytes) -> None:
        with self._lock:
            if self._at(self._key(key)) is None:
                raise fail(ENOENT)
            del self._sockets[key]

    def next_key(self, key: bytes | None) -> bytes:
        with self._lock:
            keys = [k for k in list(self._sockets) if self._at(k) is not None]
        after = keys.index(key) + 1 if key in keys else 0
        if after == len(keys):
            raise fail(ENOENT)
        return keys[after]


class ReuseportArray(SocketMap):
    """REUSEPORT_SOCKARRAY. A socket is in one such map at most."""

    TYPES: ClassVar[tuple[MapType, ...]] = (MapType.REUSEPORT_SOCKARRAY,)
    _homes: ClassVar[set[tuple[int, int]]] = set()  # sockets that are in one

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        fd = int.from_bytes(self._value(value), "little", signed=self.value_size == 4)
        if flags > BPF_EXIST:
            raise fail(EINVAL)
        self._index(key, E2BIG)
        if fd > S32_MAX:
            raise fail(EINVAL)
        owner = socket_of(fd)
        with self._lock:
            self._check_presence(key, flags)
            check_reuseport(owner)
            if owner.identity in self._homes:
                raise fail(errno.EBUSY)
            if key in self._sockets:
                self._forget(key)
            self._sockets[key] = owner, cookie_of(owner)
            self._homes.add(owner.identity)

    def _forget(self, key: bytes) -> None:
        self._homes.discard(self._sockets.pop(key)[0].identity)

    def delete(self, key: bytes) -> None:
        with self._lock:
            if self._at(self._index(key, E2BIG)) is None:
                raise fail(ENOENT)
            self._forget(key)

    def close(self) -> None:
        for key in list(self._sockets):
            self._forget(key)
        super().close()

    def __del__(self) -> None:
        for key in list(self._sockets):
            self._forget(key)
