"""Fields that the kernel keeps inside of a program's data: locks, timers, kernel pointers, roots and nodes of graphs.

A struct of the program's BTF has them where a member's type bears a known name (`struct bpf_spin_lock`) or is a pointer with
a known tag (`kptr`). `parse` finds them all, through nested structs and arrays, and refuses what Linux does not
understand; `check_structs` is what BTF_LOAD makes sure of, `check_map` what BPF_MAP_CREATE does.

Programs touch such fields through helpers only: that is asked for every access to a value (`forbid`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import E2BIG, EFAULT, EINVAL, ELOOP, ENOENT, EOPNOTSUPP
from typing import TYPE_CHECKING, Final

from userbpf.abi.consts import BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG
from userbpf.abi.enums import MapType
from userbpf.btf import Array, Btf, Composite, DataSec, Ptr, Struct, Type, TypeTag, Var
from userbpf.errors import BpfError, BtfError
from userbpf.verifier.reject import EACCES, Reject

if TYPE_CHECKING:
    from userbpf.verifier.regs import Reg

MAX_FIELDS: Final = 11
MAX_NESTING: Final = 4
WORD: Final = 8

SPIN_LOCK: Final = "bpf_spin_lock"
RES_SPIN_LOCK: Final = "bpf_res_spin_lock"
TIMER: Final = "bpf_timer"
WORKQUEUE: Final = "bpf_wq"
TASK_WORK: Final = "bpf_task_work"
LIST_HEAD: Final = "bpf_list_head"
LIST_NODE: Final = "bpf_list_node"
RB_ROOT: Final = "bpf_rb_root"
RB_NODE: Final = "bpf_rb_node"
REFCOUNT: Final = "bpf_refcount"
KPTR_UNREF: Final = "kptr_untrusted"
KPTR_REF: Final = "kptr"
KPTR_PERCPU: Final = "percpu_kptr"
UPTR: Final = "uptr"

KPTRS: Final = frozenset((KPTR_UNREF, KPTR_REF, KPTR_PERCPU))
POINTERS: Final = KPTRS | {UPTR}
ROOTS: Final = {LIST_HEAD: LIST_NODE, RB_ROOT: RB_NODE}
NODES: Final = frozenset(ROOTS.values())
UNIQUE: Final = frozenset((SPIN_LOCK, RES_SPIN_LOCK, TIMER, WORKQUEUE, TASK_WORK))
LOCKS: Final = frozenset((SPIN_LOCK, RES_SPIN_LOCK))
# name -> (size, alignment)
STRUCTS: Final[dict[str, tuple[int, int]]] = {
    SPIN_LOCK: (4, 4),
    RES_SPIN_LOCK: (4, 4),
    TIMER: (16, 8),
    WORKQUEUE: (16, 8),
    TASK_WORK: (8, 8),
    LIST_HEAD: (16, 8),
    LIST_NODE: (24, 8),
    RB_ROOT: (16, 8),
    RB_NODE: (32, 8),
    REFCOUNT: (4, 4),
}
IN_VALUES: Final = frozenset(STRUCTS) - NODES | POINTERS
IN_OBJECTS: Final = LOCKS | set(ROOTS) | NODES | {REFCOUNT} | KPTRS
# what makes BTF_LOAD look at a struct
_NOTABLE: Final = frozenset((SPIN_LOCK, LIST_HEAD, LIST_NODE, RB_ROOT, RB_NODE, REFCOUNT))

# structures of the kernel that a value may own: those that the kernel knows how to give back; asked of Linux 6.18.44
OWNABLE: Final = frozenset(
    ("bpf_cpumask", "bpf_crypto_ctx", "cgroup", "prog_test_member", "prog_test_ref_kfunc", "task_struct")
)

_M = MapType
_LOCAL_STORAGES: Final = frozenset((_M.SK_STORAGE, _M.INODE_STORAGE, _M.TASK_STORAGE, _M.CGRP_STORAGE))
_LOCK_MAPS: Final = _LOCAL_STORAGES | {_M.HASH, _M.ARRAY, _M.CGROUP_STORAGE}
_TIMER_MAPS: Final = frozenset((_M.HASH, _M.LRU_HASH, _M.ARRAY))
_KPTR_MAPS: Final = _LOCAL_STORAGES | _TIMER_MAPS | {_M.PERCPU_HASH, _M.LRU_PERCPU_HASH, _M.PERCPU_ARRAY}
_ROOT_MAPS: Final = frozenset((_M.HASH, _M.ARRAY))
MAPS_WITH: Final[dict[str, frozenset[MapType]]] = {
    SPIN_LOCK: _LOCK_MAPS,
    RES_SPIN_LOCK: _LOCK_MAPS,
    TIMER: _TIMER_MAPS,
    WORKQUEUE: _TIMER_MAPS,
    TASK_WORK: _TIMER_MAPS,
    KPTR_UNREF: _KPTR_MAPS,
    KPTR_REF: _KPTR_MAPS,
    KPTR_PERCPU: _KPTR_MAPS,
    REFCOUNT: _KPTR_MAPS,
    UPTR: frozenset((_M.TASK_STORAGE,)),
    LIST_HEAD: _ROOT_MAPS,
    RB_ROOT: _ROOT_MAPS,
}


@dataclass(slots=True, eq=False)
class Field:
    """One field: `target` is the structure that a pointer leads to, or the element of a root (its node at `node_off`)."""

    kind: str
    off: int
    target: Composite | None = None
    in_kernel: bool = False  # target is known by its name in the kernel's types
    node_off: int = 0

    @property
    def size(self) -> int:
        return WORD if self.kind in POINTERS else STRUCTS[self.kind][0]

    @property
    def title(self) -> str:
        """How messages call it."""
        return "kptr" if self.kind in (KPTR_UNREF, KPTR_REF) else self.kind


class Record:
    """The fields of one struct, by offset."""

    __slots__ = ("fields", "kinds")

    def __init__(self, fields: list[Field]) -> None:
        self.fields = sorted(fields, key=lambda f: f.off)
        self.kinds = frozenset(f.kind for f in fields)

    def at(self, off: int, kinds: frozenset[str]) -> Field | None:
        """The field of one of these kinds that begins or lies at an offset."""
        for field in self.fields:
            if field.kind in kinds and field.off <= off < field.off + field.size:
                return field
        return None

    def first(self, kind: str) -> Field | None:
        for field in self.fields:
            if field.kind == kind:
                return field
        return None


# --- finding -------------------------------------------------------------------------------------------------------------


def parse(btf: Btf, type_id: int, allowed: frozenset[str], kernel_names: KernelNames) -> Record | None:
    """The fields of a struct; None without any. Raises BpfError for what Linux does not take."""
    try:
        found = _Finder(btf, allowed, kernel_names).struct(btf.resolve(type_id), 0, 0)
    except BtfError:
        raise BpfError(EINVAL) from None
    if not found:
        return None
    if len(found) > MAX_FIELDS:
        raise BpfError(E2BIG)
    record = Record(found)
    kinds = record.kinds
    if kinds & set(ROOTS) and not kinds & LOCKS:
        raise BpfError(EINVAL)
    if kinds >= NODES and REFCOUNT not in kinds:
        raise BpfError(EINVAL)
    if kinds >= LOCKS:
        raise BpfError(EINVAL)
    return record


class KernelNames:
    """Which structures the kernel has; without its types, those that a value may own."""

    __slots__ = ("_btf",)

    def __init__(self, btf: Callable[[], Btf | None]) -> None:
        self._btf = btf

    def __contains__(self, name: str) -> bool:
        if name in OWNABLE:
            return True
        btf = self._btf()
        return btf is not None and btf.find(name, Struct) is not None


class _Finder:
    """One walk through a struct."""

    def __init__(self, btf: Btf, allowed: frozenset[str], kernel_names: KernelNames) -> None:
        self.btf = btf
        self.allowed = allowed
        self.kernel_names = kernel_names
        self.seen: set[str] = set()

    def struct(self, t: Type, base: int, depth: int) -> list[Field]:
        if isinstance(t, DataSec):
            return self._section(t)
        if not isinstance(t, Struct):
            return []
        if depth > MAX_NESTING:
            raise BpfError(E2BIG)
        out: list[Field] = []
        for number, member in enumerate(t.members):
            if member.bit_offset % 8:
                if self._named(self.btf.by_id(member.type)):
                    raise BpfError(EINVAL)
                continue
            out += self._at(t, number, member.type, base + member.offset, depth)
        return out

    def _section(self, t: DataSec) -> list[Field]:
        out: list[Field] = []
        for each in t.vars:
            var = self.btf.by_id(each.type)
            if isinstance(var, Var):
                out += self._at(var, -1, var.type, each.offset, 0)
        return out

    def _named(self, t: Type) -> str | None:
        """The kind of field that a type's name tells."""
        if isinstance(t, Struct) and t.name in STRUCTS and t.name in self.allowed and t.size == STRUCTS[t.name][0]:
            return t.name
        return None

    def _at(self, owner: Type, number: int, type_id: int, off: int, depth: int) -> list[Field]:
        t = self.btf.by_id(type_id)
        count = 1
        while isinstance(t, Array):
            count *= t.nelems
            t = self.btf.by_id(t.type)
        if not count:
            return []
        kind = self._named(t)
        if kind is not None:
            return self._struct_field(owner, number, kind, off, count)
        if isinstance(t, Ptr):
            return self._pointers(t, off, count)
        if isinstance(t, Struct):
            return self._repeated(self.struct(t, off, depth + 1), t.size, count)
        return []

    def _struct_field(self, owner: Type, number: int, kind: str, off: int, count: int) -> list[Field]:
        if count > 1 and kind not in ROOTS:
            raise BpfError(EINVAL)
        if kind in UNIQUE:
            if kind in self.seen:
                raise BpfError(E2BIG)
            self.seen.add(kind)
        if off % STRUCTS[kind][1]:
            if kind in NODES:
                return []
            raise BpfError(EFAULT)
        field = Field(kind, off)
        if kind in ROOTS:
            self._contains(owner, number, field)
        return self._repeated([field], STRUCTS[kind][0], count)

    def _pointers(self, t: Ptr, off: int, count: int) -> list[Field]:
        tag = self.btf.by_id(t.type)
        if not isinstance(tag, TypeTag):
            return []
        if tag.name not in POINTERS:
            raise BpfError(EINVAL)
        if tag.name not in self.allowed:
            return []
        below = self.btf.by_id(tag.type)
        if isinstance(below, TypeTag):
            raise BpfError(EINVAL)
        target = self.btf.resolve(tag.type)
        if not isinstance(target, Struct):
            raise BpfError(EINVAL)
        if off % WORD:
            raise BpfError(EFAULT)
        in_kernel = tag.name != UPTR and target.name in self.kernel_names
        if in_kernel and tag.name == KPTR_REF and target.name not in OWNABLE:
            raise BpfError(ENOENT)
        return self._repeated([Field(tag.name, off, target, in_kernel)], WORD, count)

    def _repeated(self, fields: list[Field], size: int, count: int) -> list[Field]:
        if count == 1 or not fields:
            return fields
        if any(f.kind not in POINTERS and f.kind not in ROOTS for f in fields):
            raise BpfError(EINVAL)
        if len(fields) * count > MAX_FIELDS:
            raise BpfError(E2BIG)
        return [replace(f, off=f.off + i * size) for i in range(count) for f in fields]

    def _contains(self, owner: Type, number: int, root: Field) -> None:
        """`contains:struct:member` tells what a root leads to."""
        tags = [t.name for t in self.btf.tags_of(owner.id) if t.component == number and t.name.startswith("contains:")]
        if len(tags) != 1 or tags[0].count(":") < 2:
            raise BpfError(EINVAL)
        _, struct_name, member_name = tags[0].split(":", 2)
        target = self.btf.find(struct_name, Struct)
        if target is None:
            raise BpfError(ENOENT)
        for member in target.members:
            if member.name != member_name:
                continue
            t = self.btf.by_id(member.type)
            wanted = ROOTS[root.kind]
            if not isinstance(t, Struct) or t.name != wanted or t.size != STRUCTS[wanted][0]:
                raise BpfError(EINVAL)
            if member.offset % STRUCTS[wanted][1]:
                raise BpfError(EINVAL)
            root.target, root.node_off = target, member.offset
            return
        raise BpfError(ENOENT)


# --- BTF_LOAD, BPF_MAP_CREATE ----------------------------------------------------------------------------------------------


def check_structs(btf: Btf, kernel_names: KernelNames) -> None:
    """What BTF_LOAD asks of structs with such fields; raises BpfError."""
    records: dict[int, Record] = {}
    for t in btf.types:
        if is_looked_at(btf, t):
            record = parse(btf, t.id, IN_OBJECTS, kernel_names)
            if record is not None:
                records[t.id] = record
    for record in records.values():
        check_ownership(record, records)


def is_looked_at(btf: Btf, t: Type) -> bool:
    """Whether such a field is a member itself: what lies deeper, or in an array, does not count for objects."""
    return isinstance(t, Struct) and any(_notable(btf, member.type) for member in t.members)


def _notable(btf: Btf, type_id: int) -> bool:
    try:
        t = btf.by_id(type_id)
        if isinstance(t, Ptr):
            tag = btf.by_id(t.type)
            return isinstance(tag, TypeTag) and tag.name == KPTR_REF and isinstance(btf.resolve(tag.type), Struct)
    except BtfError:
        return False
    return isinstance(t, Struct) and t.name in _NOTABLE


def check_ownership(record: Record, records: dict[int, Record]) -> None:
    """What roots lead to must be known; an element that itself has roots must not be an element with roots below it."""
    for root in record.fields:
        if root.kind not in ROOTS or root.target is None:
            continue
        below = records.get(root.target.id)
        if below is None:
            raise BpfError(ENOENT)
        if record.kinds & NODES and below.kinds & set(ROOTS):
            raise BpfError(ELOOP)


def of_map(btf: Btf | None, value_type_id: int, kernel_names: KernelNames) -> Record | None:
    """The fields of a map's value; None also where Linux does not understand them: then they are plain bytes."""
    if btf is None or not value_type_id:
        return None
    try:
        return parse(btf, value_type_id, IN_VALUES, kernel_names)
    except BpfError:
        return None


def check_map(record: Record | None, map_type: MapType, map_flags: int) -> None:
    """Whether a map of this type may have these fields in its values; raises BpfError."""
    if record is None:
        return
    if map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG):
        raise BpfError(EACCES)
    for field in record.fields:
        if map_type not in MAPS_WITH[field.kind]:
            raise BpfError(EOPNOTSUPP)


# --- accesses --------------------------------------------------------------------------------------------------------------


def forbid(record: Record, reg: Reg, off: int, size: int, by_helper: bool) -> None:
    """`size` bytes at `reg + off` touch no field, or are one whole kernel pointer loaded or stored by an instruction."""
    val = reg[1]
    low, high = reg[3] + off + val.smin, reg[3] + off + val.umax + size
    for field in record.fields:
        if not (low < field.off + field.size and field.off < high):
            continue
        if field.kind not in POINTERS:
            raise Reject(EACCES, f"{field.kind} cannot be accessed directly by load/store")
        name = field.title
        if by_helper:
            raise Reject(EACCES, f"{name} cannot be accessed indirectly by helper")
        if val.mask:
            raise Reject(EACCES, f"{name} access cannot have variable offset")
        at = reg[3] + off + val.value
        if at != field.off:
            raise Reject(EACCES, f"{name} access misaligned expected={field.off} off={at}")
        if size != WORD:
            raise Reject(EACCES, f"{name} access size must be BPF_DW")
