"""BPF_MAP_*_BATCH: many elements in one call.

Hash maps walk whole buckets, and in_batch and out_batch are bucket numbers; other maps walk keys, and the batch is the last
key. `count` comes back as the number of elements done, also with an error; ENOENT means: done, and there is no more.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EFAULT, EINVAL, ENOENT
from typing import Final

from userbpf.abi.attrs import MapBatchAttr
from userbpf.abi.consts import BPF_F_LOCK
from userbpf.abi.enums import Cmd, MapType
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.kernel.objects import MapObj
from userbpf.syscall import element
from userbpf.syscall.attrs import UserAttr

ENOTSUPP: Final = 524
COUNT_OFF: Final = MapBatchAttr.offset_of("count")
HASHES: Final = frozenset(
    {MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.HASH_OF_MAPS}
)
ARRAYS: Final = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.ARRAY_OF_MAPS})
# which types have which batch, asked of Linux 6.18
LOOKUP: Final = HASHES | ARRAYS | {MapType.LPM_TRIE}
UPDATE: Final = LOOKUP
LOOKUP_AND_DELETE: Final = HASHES
DELETE: Final = HASHES | {MapType.LPM_TRIE}
WRITE_CHUNK: Final = 256  # elements read from user memory at once


def _checked(obj: MapObj, types: frozenset[MapType], elem_flags: int) -> None:
    if obj.map.map_type not in types:
        raise BpfError(ENOTSUPP)
    if elem_flags & ~BPF_F_LOCK:
        raise BpfError(EINVAL)
    if elem_flags:
        element.need_lock(obj)


# --- reading -----------------------------------------------------------------------------------------------------------


def map_lookup_batch(kernel: Kernel, attr: MapBatchAttr, out: UserAttr) -> int:
    """Copy elements to the user."""
    obj = element.reader(kernel, attr.map_fd)
    _checked(obj, LOOKUP, attr.elem_flags)
    return _read(kernel, obj, attr, out, delete=False)


def map_lookup_and_delete_batch(kernel: Kernel, attr: MapBatchAttr, out: UserAttr) -> int:
    """Copy elements to the user and remove them."""
    obj = element.reader(kernel, attr.map_fd)
    element.writer(kernel, attr.map_fd)
    _checked(obj, LOOKUP_AND_DELETE, attr.elem_flags)
    return _read(kernel, obj, attr, out, delete=True)


def _read(kernel: Kernel, obj: MapObj, attr: MapBatchAttr, out: UserAttr, delete: bool) -> int:
    hashed = obj.map.map_type in HASHES
    if hashed and attr.flags:
        raise BpfError(EINVAL)
    if not attr.count:
        return 0
    out.put_u32(COUNT_OFF, 0)
    token = kernel.memory.read(attr.in_batch, 4 if hashed else obj.map.key_size) if attr.in_batch else None
    walk = _buckets if hashed else _keys
    keys, values, after = walk(kernel, obj, attr, token, delete)
    kernel.memory.write(attr.keys, b"".join(keys))
    kernel.memory.write(attr.values, b"".join(values))
    if after or not hashed:
        kernel.memory.write(attr.out_batch, after or b"")
    elif not attr.out_batch:
        raise BpfError(EFAULT)
    out.put_u32(COUNT_OFF, len(keys))
    if after is None or (not hashed and len(keys) < attr.count):
        raise BpfError(ENOENT)
    return 0


Walked = tuple[list[bytes], list[bytes], bytes | None]


def _buckets(kernel: Kernel, obj: MapObj, attr: MapBatchAttr, token: bytes | None, delete: bool) -> Walked:
    """A hash: the map knows its buckets. Nothing is deleted before the user's memory is known to be there."""
    if delete:
        keys, values, _ = obj.map.lookup_batch(token, attr.count, False)
        kernel.memory.write(attr.keys, bytes(sum(map(len, keys))))
        kernel.memory.write(attr.values, bytes(sum(map(len, values))))
    if not attr.out_batch:
        raise BpfError(EFAULT)
    held = list(obj.map.held_objects()) if delete else []
    keys, values, after = obj.map.lookup_batch(token, attr.count, delete)
    for each in held:
        kernel.retire(each)
    return keys, [element.shown(obj, value) for value in values], after


def _keys(kernel: Kernel, obj: MapObj, attr: MapBatchAttr, token: bytes | None, delete: bool) -> Walked:
    """Everything else: key after key. The last key is the batch to go on from."""
    keys: list[bytes] = []
    values: list[bytes] = []
    key = token
    while len(keys) < attr.count:
        try:
            key = obj.map.next_key(key)
        except BpfError as e:
            if e.errno == ENOENT:
                break
            raise
        try:
            value = obj.map.lookup(key)
        except BpfError as e:
            if e.errno == ENOENT:
                continue
            raise
        keys.append(key)
        values.append(element.shown(obj, value))
    return keys, values, keys[-1] if keys else b""


# --- writing -----------------------------------------------------------------------------------------------------------


def map_update_batch(kernel: Kernel, attr: MapBatchAttr, out: UserAttr) -> int:
    """Set elements one by one up to the first that fails."""
    obj = element.writer(kernel, attr.map_fd)
    _checked(obj, UPDATE, attr.elem_flags)

    def update(key: bytes, value: bytes) -> None:
        element.store(kernel, obj, key, value, attr.elem_flags)

    return _write(kernel, attr, out, obj.map.key_size, obj.map.value_len, update)


def map_delete_batch(kernel: Kernel, attr: MapBatchAttr, out: UserAttr) -> int:
    """Remove elements one by one up to the first that is not there."""
    obj = element.writer(kernel, attr.map_fd)
    _checked(obj, DELETE, attr.elem_flags)
    return _write(kernel, attr, out, obj.map.key_size, 0, lambda key, _: element.remove(kernel, obj, key))


def _write(
    kernel: Kernel,
    attr: MapBatchAttr,
    out: UserAttr,
    key_size: int,
    value_size: int,
    one: Callable[[bytes, bytes], None],
) -> int:
    done = 0
    try:
        while done < attr.count:
            n = min(WRITE_CHUNK, attr.count - done)
            n, keys, values = _piece(kernel, attr, done, n, key_size, value_size)
            for i in range(n):
                one(keys[i * key_size : (i + 1) * key_size], values[i * value_size : (i + 1) * value_size])
                done += 1
    finally:
        out.put_u32(COUNT_OFF, done)
    return 0


def _piece(kernel: Kernel, attr: MapBatchAttr, at: int, n: int, ks: int, vs: int) -> tuple[int, bytes, bytes]:
    """n elements from number `at` on, or one where so many cannot be read."""
    for count in (n, 1):
        try:
            keys = kernel.memory.read(attr.keys + at * ks, count * ks)
            return count, keys, kernel.memory.read(attr.values + at * vs, count * vs)
        except BpfError:
            if count == 1:
                raise
    raise BpfError(EFAULT)


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {
    Cmd.MAP_LOOKUP_BATCH: map_lookup_batch,
    Cmd.MAP_LOOKUP_AND_DELETE_BATCH: map_lookup_and_delete_batch,
    Cmd.MAP_UPDATE_BATCH: map_update_batch,
    Cmd.MAP_DELETE_BATCH: map_delete_batch,
}
