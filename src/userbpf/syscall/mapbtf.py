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
        MapType.STACK_TRACE,
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
STORAGES: Final = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})
OF_CGROUPS: Final = frozenset({MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE})
STRUCT_OPS_PREFIX: Final = "bpf_struct_ops_"
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
    if kind in STORAGES and not _is_u32(key):
        raise BpfError(EINVAL)
    if kind in OF_CGROUPS and not _is_cgroup_key(obj.btf, key):
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
    return _is_u32(key)


def _is_u32(key: Type | None) -> bool:
    return isinstance(key, Int) and key.bits == 32 and key.offset == 0


def _is_cgroup_key(btf: Btf, key: Type | None) -> bool:
    """A number of 64 bits, or struct bpf_cgroup_storage_key: such a number and one of 32."""
    if isinstance(key, Int):
        return key.bits == 64 and key.offset == 0
    if not isinstance(key, Struct) or len(key.members) != 2:
        return False
    kinds = [btf.resolve(m.type) for m in key.members]
    return [(m.bit_offset, k.bits) for m, k in zip(key.members, kinds, strict=True) if isinstance(k, Int)] == [
        (0, 64),
        (64, 32),
    ]


def check_struct_ops(kernel: Kernel, attr: MapCreateAttr) -> BtfObj:
    """The BTF object of a STRUCT_OPS map; its value is a type of the kernel's: ENOTSUPP for one that is no such table."""
    if not attr.btf_vmlinux_value_type_id or attr.btf_value_type_id or attr.btf_key_type_id:
        raise BpfError(EINVAL)
    vmlinux = kernel.vmlinux()
    try:
        found = vmlinux.by_id(attr.btf_vmlinux_value_type_id) if vmlinux is not None else None
    except BtfError:
        found = None
    if vmlinux is None or not isinstance(found, Struct) or not _is_table(vmlinux, found):
        raise BpfError(ENOTSUPP)
    if attr.value_size != vmlinux.size_of(found.id):
        raise BpfError(EINVAL)
    return kernel.btf_of_fd(attr.btf_fd)


def _is_table(vmlinux: Btf, value: Struct) -> bool:
    """struct bpf_struct_ops_X with members common and data, the latter a struct X."""
    if not value.name.startswith(STRUCT_OPS_PREFIX) or [m.name for m in value.members] != ["common", "data"]:
        return False
    data = vmlinux.resolve(value.members[1].type)
    return isinstance(data, Struct) and data.name == value.name.removeprefix(STRUCT_OPS_PREFIX)
