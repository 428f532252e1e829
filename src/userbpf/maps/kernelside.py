"""STACK_TRACE, STRUCT_OPS: maps whose content a kernel makes or uses. They can be made, so that programs load."""

from __future__ import annotations

import errno

from userbpf.abi.enums import MapType
from userbpf.maps.base import Map, fail

EINVAL = errno.EINVAL
ENOENT = errno.ENOENT
EOPNOTSUPP = errno.EOPNOTSUPP


class StackTraceMap(Map):
    """STACK_TRACE: stacks by their number. Nobody takes one here."""

    TYPES = (MapType.STACK_TRACE,)

    def plan(self) -> int:
        return 0

    def lookup(self, key: bytes) -> bytes:
        raise fail(ENOENT)

    def lookup_and_delete(self, key: bytes) -> bytes:
        raise fail(ENOENT)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EINVAL)

    def delete(self, key: bytes) -> None:
        buckets = 1 << (self.max_entries - 1).bit_length()
        raise fail(errno.E2BIG if int.from_bytes(self._key(key), "little") >= buckets else ENOENT)

    def next_key(self, key: bytes | None) -> bytes:
        raise fail(ENOENT)


class StructOpsMap(Map):
    """STRUCT_OPS: the one value is a table of functions that a kernel would call. It stays as it is made, all zero."""

    TYPES = (MapType.STRUCT_OPS,)

    def plan(self) -> int:
        return self.value_size

    def lookup(self, key: bytes) -> bytes:
        if any(self._key(key)):
            raise fail(ENOENT)
        return bytes(self.value_size)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise fail(EOPNOTSUPP)  # no kernel would call the functions

    def delete(self, key: bytes) -> None:
        raise fail(ENOENT)

    def next_key(self, key: bytes | None) -> bytes:
        if key is not None and not any(self._key(key)):
            raise fail(ENOENT)
        return bytes(4)
