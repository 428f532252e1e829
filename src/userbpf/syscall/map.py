"""BPF_MAP_*: creation, elements, freezing. Batches are in `syscall.batch`.

Linux's order for an element command: flags, fd, access (by how the fd was opened, and whether the map is frozen), key, value,
then the map's own answer.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, EPERM
from typing import Final

from userbpf.abi.attrs import MapCreateAttr, MapElemAttr
from userbpf.abi.consts import BPF_F_LOCK, BPF_F_RDONLY, BPF_F_TOKEN_FD, BPF_F_VTYPE_BTF_OBJ_FD, BPF_F_WRONLY
from userbpf.abi.enums import Cmd, MapType
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.kernel.fds import open_mode
from userbpf.kernel.objects import BtfObj, InnerShape, MapObj
from userbpf.maps import create_map
from userbpf.maps.create import check_attr
from userbpf.spec.maps import MAPS
from userbpf.syscall import element, mapbtf
from userbpf.syscall.attrs import UserAttr
from userbpf.syscall.names import object_name
from userbpf.verifier import fields

ENOTSUPP: Final = 524
NUMA_NO_NODE: Final = 0xFFFFFFFF
BPF_F_NUMA_NODE: Final = 4
TAKES_OUT: Final = frozenset(
    {
        MapType.QUEUE,
        MapType.STACK,
        MapType.HASH,
        MapType.PERCPU_HASH,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.STACK_TRACE,
    }
)


# --- BPF_MAP_CREATE ----------------------------------------------------------------------------------------------------


def map_create(kernel: Kernel, attr: MapCreateAttr, out: UserAttr) -> int:
    """A new map and its fd."""
    _check_create(kernel, attr)
    mode = open_mode(attr.map_flags)
    name = object_name(attr.map_name)
    inner = _inner_template(kernel, attr)
    if attr.map_type == MapType.STRUCT_OPS:
        btf: BtfObj | None = mapbtf.check_struct_ops(kernel, attr)
    else:
        btf = mapbtf.check(kernel, attr)
    attr.map_name = name.encode("latin-1")
    attr.map_flags &= ~(BPF_F_RDONLY | BPF_F_WRONLY)  # of the fd, not of the map
    made = MapObj(create_map(attr, ncpu=kernel.ncpu, inner=inner.template if inner is not None else None), btf)
    made.inner = inner
    made.vmlinux_value_type_id = attr.btf_vmlinux_value_type_id
    if btf is not None and attr.btf_value_type_id:
        made.set_fields(fields.of_map(btf.btf, attr.btf_value_type_id, fields.KernelNames(kernel.vmlinux)))
    return kernel.new_fd(kernel.admit(made), mode)


def _check_create(kernel: Kernel, attr: MapCreateAttr) -> None:
    """What is refused whatever the type's own rules say, then those."""
    if attr.btf_vmlinux_value_type_id and attr.map_type != MapType.STRUCT_OPS:
        raise BpfError(EINVAL)
    if attr.map_flags & BPF_F_VTYPE_BTF_OBJ_FD or attr.excl_prog_hash or attr.excl_prog_hash_size:
        raise BpfError(EINVAL)
    if attr.map_flags & BPF_F_NUMA_NODE and attr.numa_node not in (0, NUMA_NO_NODE):
        raise BpfError(EINVAL)
    if attr.map_ifindex:
        raise BpfError(EINVAL)
    token = attr.map_flags & BPF_F_TOKEN_FD
    attr.map_flags &= ~BPF_F_TOKEN_FD
    check_attr(attr)
    if token:
        kernel.object_of_fd(attr.map_token_fd)
        raise BpfError(EINVAL)  # there are no tokens here
    if not kernel.caps.bpf:
        raise BpfError(EPERM)


def _inner_template(kernel: Kernel, attr: MapCreateAttr) -> InnerShape | None:
    """The map that all inner maps must look like; a map of maps cannot be one."""
    if not MAPS[MapType(attr.map_type)].needs_inner:
        return None
    inner = kernel.map_of_fd(attr.inner_map_fd)
    if inner.map.map_type == MapType.PROG_ARRAY:
        raise BpfError(ENOTSUPP)
    if inner.inner is not None:
        raise BpfError(EINVAL)
    return InnerShape.of(inner)


# --- elements ----------------------------------------------------------------------------------------------------------


def map_lookup_elem(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """Copy a value to the user."""
    if attr.flags & ~BPF_F_LOCK:
        raise BpfError(EINVAL)
    obj = element.reader(kernel, attr.map_fd)
    if attr.flags:
        element.need_lock(obj)
    key = element.key_at(kernel, obj, attr.key)
    if obj.map.map_type == MapType.BLOOM_FILTER:  # the value is the question
        obj.map.lookup(kernel.memory.read(attr.value, obj.map.value_size))
        return 0
    kernel.memory.write(attr.value, element.fetch(obj, key, locked=bool(attr.flags)))
    return 0


def map_update_elem(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """Set a value from the user."""
    obj = element.writer(kernel, attr.map_fd)
    if attr.flags & BPF_F_LOCK:
        element.need_lock(obj)
    key = element.key_at(kernel, obj, attr.key)
    element.store(kernel, obj, key, kernel.memory.read(attr.value, obj.map.value_len), attr.flags)
    return 0


def map_delete_elem(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """Remove an entry."""
    obj = element.writer(kernel, attr.map_fd)
    element.remove(kernel, obj, element.key_at(kernel, obj, attr.key))
    return 0


def map_get_next_key(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """The key behind a key; the first for NULL."""
    obj = element.reader(kernel, attr.map_fd)
    key = element.key_at(kernel, obj, attr.key) if attr.key else None
    kernel.memory.write(attr.next_key, obj.map.next_key(key))
    return 0


def map_lookup_and_delete_elem(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """Take an entry out and copy it to the user."""
    if attr.flags & ~BPF_F_LOCK:
        raise BpfError(EINVAL)
    obj = element.reader(kernel, attr.map_fd)
    element.writer(kernel, attr.map_fd)
    if attr.flags:
        element.need_lock(obj)
    key = element.key_at(kernel, obj, attr.key)
    if obj.map.map_type not in TAKES_OUT:
        raise BpfError(ENOTSUPP)
    kernel.memory.write(attr.value, element.shown(obj, obj.map.lookup_and_delete(key)))
    return 0


def map_freeze(kernel: Kernel, attr: MapElemAttr, out: UserAttr) -> int:
    """No more writes from the syscall side."""
    element.writer(kernel, attr.map_fd).map.freeze()
    return 0


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {
    Cmd.MAP_CREATE: map_create,
    Cmd.MAP_LOOKUP_ELEM: map_lookup_elem,
    Cmd.MAP_UPDATE_ELEM: map_update_elem,
    Cmd.MAP_DELETE_ELEM: map_delete_elem,
    Cmd.MAP_GET_NEXT_KEY: map_get_next_key,
    Cmd.MAP_LOOKUP_AND_DELETE_ELEM: map_lookup_and_delete_elem,
    Cmd.MAP_FREEZE: map_freeze,
}
