"""BTF of a map's key and value: which types a map may be given, and what lies in its values."""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from userbpf.abi.attrs import MapCreateAttr
from userbpf.abi.enums import MapType
from userbpf.btf import Btf, DataSec, Int, Struct, Type
from userbpf.errors import BpfError, BtfError
from userbpf.kernel import Kernel
from userbpf.kernel.objects import BtfObj
from userbpf.verifier import fields

ENOTSUPP: Final = 524
# map types whose keys and values are not described by BTF; asked of Linux 6.18
NO_BTF: Final = frozenset(
    {
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
    }
)
INDEXED: Final = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
KEYLESS: Final = frozenset({MapType.BLOOM_FILTER})


def check(kernel: Kernel, attr: MapCreateAttr) -> BtfObj | None:
    """The BTF object of a new map, if it has type ids; EINVAL where sizes or kinds do not fit."""
    key_id, value_id = attr.btf_key_type_id, attr.btf_value_type_id
    if not key_id and not value_id:
        return None
    if not value_id:
        raise BpfError(EINVAL)
    obj = kernel.btf_of_fd(attr.btf_fd)
    kind = MapType(attr.map_type)
    key = _sized(obj.btf, key_id, attr.key_size) if key_id else None
    if key is None and kind not in (NO_BTF | INDEXED | KEYLESS):
        raise BpfError(EINVAL)
    value = _sized(obj.btf, value_id, attr.value_size)
    fields.check_map(fields.of_map(obj.btf, value_id, fields.KernelNames(kernel.vmlinux)), kind, attr.map_flags)
    if kind in NO_BTF:
        raise BpfError(ENOTSUPP)
    if kind in INDEXED and not _is_index(obj.btf, key, value, attr):
        raise BpfError(EINVAL)
    if kind == MapType.LPM_TRIE and not isinstance(key, Struct):
        raise BpfError(EINVAL)
    if kind in KEYLESS and key is not None:
        raise BpfError(EINVAL)
    return obj


def _sized(btf: Btf, type_id: int, size: int) -> Type:
    """The type, of just this size; EINVAL for what has no size."""
    try:
        found = btf.resolve(type_id)
        if btf.size_of(type_id) == size:
            return found
    except BtfError:
        pass
    raise BpfError(EINVAL)


def _is_index(btf: Btf, key: Type | None, value: Type, attr: MapCreateAttr) -> bool:
    """A 32-bit integer; or no key at all, for the one value that is a data section."""
    if key is None:
        return attr.map_type == MapType.ARRAY and attr.max_entries == 1 and isinstance(value, DataSec)
    return isinstance(key, Int) and key.bits == 32 and key.offset == 0
