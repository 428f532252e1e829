"""MAPS: one row a map type: the shapes BPF_MAP_CREATE takes, and which helpers may be handed the map.

Shapes, flags and errno were asked of Linux 6.18 by creating maps, the pairs of map and helper by loading programs.
Sizes are bytes. Where a size is outside its bounds the answer is EINVAL, unless the row says that too much is E2BIG.

The pairs of map type and helper are checked in both directions: most map types name the helpers that may take them
(`helpers`; None: any), and some helpers name the map types they take (`HELPER_MAPS`). A call is refused unless both agree
("cannot pass map_type %d into func %s#%d").
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import E2BIG, EINVAL
from typing import Final, Literal, NamedTuple

from userbpf.abi import consts as c
from userbpf.abi.enums import AttachType, HelperId, MapType, ProgType

Status = Literal["run", "typed", "absent"]

ENOTSUPP: Final = 524  # Linux's own, not in errno.h
U32_MAX: Final = (1 << 32) - 1
KMALLOC_MAX: Final = 1 << 22
PERCPU_MAX: Final = 32768  # PCPU_MIN_UNIT_SIZE: a larger value of a per-CPU map is E2BIG
NR_CPUS: Final = 256  # a CPUMAP of more is E2BIG; a matter of the build


class Bounds(NamedTuple):
    """Which sizes are taken: low to high in steps, or the listed ones. Above high the answer is `too_big`."""

    low: int
    high: int = U32_MAX
    step: int = 1
    too_big: int = EINVAL
    listed: tuple[int, ...] = ()

    def check(self, value: int) -> int:
        """0, or the errno."""
        if self.listed:
            return 0 if value in self.listed else EINVAL
        if value > self.high:
            return self.too_big
        return EINVAL if value < self.low or value % self.step else 0


NONE: Final = Bounds(0, 0)
SOME: Final = Bounds(1)
INDEX: Final = Bounds(4, 4)
FD: Final = Bounds(4, 4)
FD_OR_STRUCT: Final = Bounds(0, listed=(4, 8))
CGROUP_KEY: Final = Bounds(0, listed=(8, 16))
STORAGE_VALUE: Final = Bounds(1, 65407, too_big=E2BIG)
PERCPU_VALUE: Final = Bounds(1, PERCPU_MAX, too_big=E2BIG)
HASH_KEY: Final = Bounds(1, KMALLOC_MAX - 1, too_big=E2BIG)

_RDWR: Final = c.BPF_F_RDONLY | c.BPF_F_WRONLY  # from the syscall side; not both
_PROG: Final = c.BPF_F_RDONLY_PROG | c.BPF_F_WRONLY_PROG  # from programs; not both
_ACCESS: Final = _RDWR | _PROG
_NUMA: Final = c.BPF_F_NUMA_NODE
_HASH: Final = _ACCESS | c.BPF_F_NO_PREALLOC | c.BPF_F_ZERO_SEED
_LRU: Final = _ACCESS | c.BPF_F_NO_COMMON_LRU | c.BPF_F_ZERO_SEED


def _h(text: str) -> frozenset[HelperId]:
    return frozenset(HelperId[name] for name in text.split())


@dataclass(frozen=True, slots=True)
class MapRow:
    """What is known of one map type.

    `required`: flags that must be set; `flags`: flags that may be. `build_ids`: bounds of the value with
    BPF_F_STACK_BUILD_ID. `implied`: flags the map has without being asked.
    `flag_errno`: errno of a certain flag where it is not EINVAL. `pow2_pages`: max_entries is a power of two and a
    multiple of the page size. `extra_max`: largest map_extra; `value_first`: a value that is too big is told before
    anything else, or than all but a wrong key. `needs_btf`: key and value types must be given.
    `owned`: the first program that uses it fixes the program type. `sleepable`: programs that sleep may use it. Which
    fields of the kernel's own (locks, timers ...) values may have stands in `verifier.fields`.
    """

    map_type: MapType
    key: Bounds = INDEX
    value: Bounds = SOME
    entries: Bounds = SOME
    build_ids: Bounds | None = None
    flags: int = 0
    required: int = 0
    implied: int = 0
    flag_errno: tuple[tuple[int, int], ...] = ()
    extra_max: int = 0
    value_first: Literal["", "always", "after key"] = ""
    pow2_pages: bool = False
    needs_btf: bool = False
    needs_inner: bool = False
    percpu: bool = False
    helpers: frozenset[HelperId] | None = None
    owned: bool = False
    sleepable: bool = False
    for_each: bool = False
    status: Status = "typed"
    errno: int = 0  # what BPF_MAP_CREATE answers where absent


_DEV_HELPERS: Final = _h("redirect_map map_lookup_elem")
_QUEUE_HELPERS: Final = _h("map_peek_elem map_pop_elem map_push_elem")
_RINGBUF_HELPERS: Final = _h(
    "ringbuf_output ringbuf_reserve ringbuf_query ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr"
)
_PERF_HELPERS: Final = _h("perf_event_read perf_event_output skb_output perf_event_read_value xdp_output")
_CGROUP_HELPERS: Final = _h("skb_under_cgroup current_task_under_cgroup")
# map_update_elem and map_delete_elem only from some program types, see SOCKMAP_UPDATE
_SOCKMAP_HELPERS: Final = _h(
    "sk_redirect_map sock_map_update map_delete_elem map_update_elem msg_redirect_map sk_select_reuseport "
    "map_lookup_elem"
)
_SOCKHASH_HELPERS: Final = _h(
    "sk_redirect_hash sock_hash_update map_delete_elem map_update_elem msg_redirect_hash sk_select_reuseport "
    "map_lookup_elem"
)

_T = MapType
_ROWS: Final = (
    MapRow(_T.UNSPEC, status="absent", errno=EINVAL),
    MapRow(
        _T.HASH,
        key=HASH_KEY,
        flags=_HASH | _NUMA,
        sleepable=True,
        for_each=True,
        status="run",
    ),
    MapRow(
        _T.ARRAY,
        value=Bounds(1, (1 << 31) - 1, too_big=E2BIG),
        flags=_ACCESS | _NUMA | c.BPF_F_MMAPABLE | c.BPF_F_INNER_MAP,
        sleepable=True,
        for_each=True,
        status="run",
    ),
    MapRow(
        _T.PROG_ARRAY,
        value=FD,
        flags=_RDWR | _NUMA,
        helpers=_h("tail_call"),
        owned=True,
        status="run",
    ),
    MapRow(
        _T.PERF_EVENT_ARRAY,
        value=FD,
        flags=_RDWR | _NUMA | c.BPF_F_PRESERVE_ELEMS,
        helpers=_PERF_HELPERS,
        status="run",
    ),
    MapRow(
        _T.PERCPU_HASH,
        key=HASH_KEY,
        value=PERCPU_VALUE,
        flags=_HASH,
        percpu=True,
        sleepable=True,
        for_each=True,
        status="run",
    ),
    MapRow(
        _T.PERCPU_ARRAY,
        value=PERCPU_VALUE,
        flags=_ACCESS,
        percpu=True,
        sleepable=True,
        for_each=True,
        status="run",
    ),
    # 8 bytes an address and at most 127 of them (perf_event_max_stack); with BPF_F_STACK_BUILD_ID 32 bytes each
    MapRow(
        _T.STACK_TRACE,
        value=Bounds(8, 127 * 8, 8),
        build_ids=Bounds(32, 127 * 32, 32),
        flags=_RDWR | _NUMA | c.BPF_F_STACK_BUILD_ID,
        helpers=_h("get_stackid"),
    ),
    MapRow(_T.CGROUP_ARRAY, value=FD, flags=_RDWR | _NUMA, helpers=_CGROUP_HELPERS),
    MapRow(
        _T.LRU_HASH,
        key=HASH_KEY,
        flags=_LRU | _NUMA,
        flag_errno=((c.BPF_F_NO_PREALLOC, ENOTSUPP),),
        sleepable=True,
        for_each=True,
        status="run",
    ),
    MapRow(
        _T.LRU_PERCPU_HASH,
        key=HASH_KEY,
        value=PERCPU_VALUE,
        flags=_LRU,
        flag_errno=((c.BPF_F_NO_PREALLOC, ENOTSUPP),),
        percpu=True,
        sleepable=True,
        for_each=True,
        status="run",
    ),
    # 4 bytes of prefix length and up to 256 bytes of data
    MapRow(
        _T.LPM_TRIE,
        key=Bounds(5, 260),
        value=Bounds(1, KMALLOC_MAX - 280),
        flags=_ACCESS | _NUMA | c.BPF_F_NO_PREALLOC,
        required=c.BPF_F_NO_PREALLOC,
        status="run",
    ),
    MapRow(
        _T.ARRAY_OF_MAPS,
        value=FD,
        flags=_RDWR | _NUMA,
        needs_inner=True,
        helpers=_h("map_lookup_elem"),
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.HASH_OF_MAPS,
        key=HASH_KEY,
        value=FD,
        flags=_HASH | _NUMA,
        needs_inner=True,
        helpers=_h("map_lookup_elem"),
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.DEVMAP,
        value=FD_OR_STRUCT,
        flags=_RDWR | _NUMA,
        implied=c.BPF_F_RDONLY_PROG,
        helpers=_DEV_HELPERS,
        owned=True,
        status="run",
    ),
    MapRow(_T.SOCKMAP, value=FD_OR_STRUCT, flags=_RDWR | _NUMA, helpers=_SOCKMAP_HELPERS),
    MapRow(
        _T.CPUMAP,
        value=FD_OR_STRUCT,
        entries=Bounds(1, NR_CPUS, too_big=E2BIG),
        flags=_NUMA,
        helpers=_h("redirect_map"),
        owned=True,
        status="run",
    ),
    MapRow(_T.XSKMAP, value=FD, flags=_RDWR | _NUMA, helpers=_DEV_HELPERS, status="run"),
    MapRow(
        _T.SOCKHASH,
        key=Bounds(1, 512, too_big=E2BIG),
        value=FD_OR_STRUCT,
        flags=_RDWR | _NUMA,
        helpers=_SOCKHASH_HELPERS,
    ),
    MapRow(
        _T.CGROUP_STORAGE,
        key=CGROUP_KEY,
        value_first="after key",
        value=STORAGE_VALUE,
        entries=NONE,
        flags=_ACCESS | _NUMA,
        helpers=_h("get_local_storage"),
        status="run",
    ),
    MapRow(
        _T.REUSEPORT_SOCKARRAY,
        value=FD_OR_STRUCT,
        flags=_ACCESS | _NUMA,
        helpers=_h("sk_select_reuseport"),
    ),
    MapRow(
        _T.PERCPU_CGROUP_STORAGE,
        key=CGROUP_KEY,
        value_first="after key",
        value=PERCPU_VALUE,
        entries=NONE,
        flags=_ACCESS | _NUMA,
        percpu=True,
        helpers=_h("get_local_storage"),
        status="run",
    ),
    MapRow(
        _T.QUEUE,
        key=NONE,
        flags=_ACCESS | _NUMA,
        helpers=_QUEUE_HELPERS,
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.STACK,
        key=NONE,
        flags=_ACCESS | _NUMA,
        helpers=_QUEUE_HELPERS,
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.SK_STORAGE,
        value=STORAGE_VALUE,
        entries=NONE,
        flags=c.BPF_F_NO_PREALLOC | c.BPF_F_CLONE,
        required=c.BPF_F_NO_PREALLOC,
        needs_btf=True,
        helpers=_h("sk_storage_get sk_storage_delete kptr_xchg"),
        sleepable=True,
    ),
    MapRow(
        _T.DEVMAP_HASH,
        value=FD_OR_STRUCT,
        flags=_RDWR | _NUMA,
        implied=c.BPF_F_RDONLY_PROG,
        helpers=_DEV_HELPERS,
        status="run",
    ),
    MapRow(_T.STRUCT_OPS, entries=Bounds(1, 1), flags=c.BPF_F_LINK | c.BPF_F_VTYPE_BTF_OBJ_FD),
    MapRow(
        _T.RINGBUF,
        key=NONE,
        value=NONE,
        entries=Bounds(4096, 1 << 31),
        flags=_NUMA,
        pow2_pages=True,
        helpers=_RINGBUF_HELPERS,
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.INODE_STORAGE,
        value=STORAGE_VALUE,
        entries=NONE,
        flags=c.BPF_F_NO_PREALLOC | c.BPF_F_CLONE,
        required=c.BPF_F_NO_PREALLOC,
        needs_btf=True,
        helpers=_h("inode_storage_get inode_storage_delete kptr_xchg"),
        sleepable=True,
    ),
    MapRow(
        _T.TASK_STORAGE,
        value=STORAGE_VALUE,
        entries=NONE,
        flags=c.BPF_F_NO_PREALLOC | c.BPF_F_CLONE,
        required=c.BPF_F_NO_PREALLOC,
        needs_btf=True,
        helpers=_h("task_storage_get task_storage_delete kptr_xchg"),
        sleepable=True,
    ),
    # map_extra: number of hash functions, 0 is 5
    MapRow(
        _T.BLOOM_FILTER,
        key=NONE,
        value=Bounds(1, KMALLOC_MAX, too_big=E2BIG),
        value_first="always",
        flags=_ACCESS | _NUMA | c.BPF_F_ZERO_SEED,
        extra_max=15,
        helpers=_h("map_peek_elem map_push_elem"),
        status="run",
    ),
    MapRow(
        _T.USER_RINGBUF,
        key=NONE,
        value=NONE,
        entries=Bounds(4096, 1 << 31),
        flags=_NUMA,
        pow2_pages=True,
        helpers=_h("user_ringbuf_drain"),
        sleepable=True,
        status="run",
    ),
    MapRow(
        _T.CGRP_STORAGE,
        value=STORAGE_VALUE,
        entries=NONE,
        flags=c.BPF_F_NO_PREALLOC | c.BPF_F_CLONE,
        required=c.BPF_F_NO_PREALLOC,
        needs_btf=True,
        helpers=_h("cgrp_storage_get cgrp_storage_delete kptr_xchg"),
        sleepable=True,
    ),
    # max_entries counts pages; map_extra is the user address, page aligned
    MapRow(
        _T.ARENA,
        key=NONE,
        value=NONE,
        entries=Bounds(1, 1 << 20, too_big=E2BIG),
        flags=c.BPF_F_MMAPABLE | c.BPF_F_SEGV_ON_FAULT | c.BPF_F_NO_USER_CONV,
        required=c.BPF_F_MMAPABLE,
        extra_max=(1 << 64) - 1,
        sleepable=True,
        status="run",
    ),
)

MAPS: Final[dict[MapType, MapRow]] = {row.map_type: row for row in _ROWS}


def _types(text: str) -> frozenset[MapType]:
    return frozenset(MapType[name] for name in text.split())


_PERF: Final = _types("PERF_EVENT_ARRAY")
_RINGBUF: Final = _types("RINGBUF")
_CGROUPS: Final = _types("CGROUP_ARRAY")
_QUEUES: Final = _types("QUEUE STACK")
_PERCPU: Final = _types("PERCPU_ARRAY PERCPU_HASH LRU_PERCPU_HASH")

# helper -> the map types it takes; a helper that is not listed takes what the map's own row allows
HELPER_MAPS: Final[dict[HelperId, frozenset[MapType]]] = {
    HelperId.tail_call: _types("PROG_ARRAY"),
    HelperId.perf_event_read: _PERF,
    HelperId.perf_event_output: _PERF,
    HelperId.perf_event_read_value: _PERF,
    HelperId.skb_output: _PERF,
    HelperId.xdp_output: _PERF,
    HelperId.ringbuf_output: _RINGBUF,
    HelperId.ringbuf_reserve: _RINGBUF,
    HelperId.ringbuf_query: _RINGBUF,
    HelperId.ringbuf_reserve_dynptr: _RINGBUF,
    HelperId.ringbuf_submit_dynptr: _RINGBUF,
    HelperId.ringbuf_discard_dynptr: _RINGBUF,
    HelperId.user_ringbuf_drain: _types("USER_RINGBUF"),
    HelperId.get_stackid: _types("STACK_TRACE"),
    HelperId.skb_under_cgroup: _CGROUPS,
    HelperId.current_task_under_cgroup: _CGROUPS,
    HelperId.redirect_map: _types("DEVMAP DEVMAP_HASH CPUMAP XSKMAP"),
    HelperId.sk_redirect_map: _types("SOCKMAP"),
    HelperId.msg_redirect_map: _types("SOCKMAP"),
    HelperId.sock_map_update: _types("SOCKMAP"),
    HelperId.sk_redirect_hash: _types("SOCKHASH"),
    HelperId.msg_redirect_hash: _types("SOCKHASH"),
    HelperId.sock_hash_update: _types("SOCKHASH"),
    HelperId.get_local_storage: _types("CGROUP_STORAGE PERCPU_CGROUP_STORAGE"),
    HelperId.sk_select_reuseport: _types("REUSEPORT_SOCKARRAY SOCKMAP SOCKHASH"),
    HelperId.map_pop_elem: _QUEUES,
    HelperId.map_peek_elem: _QUEUES | {MapType.BLOOM_FILTER},
    HelperId.map_push_elem: _QUEUES | {MapType.BLOOM_FILTER},
    HelperId.map_lookup_percpu_elem: _PERCPU,
    HelperId.sk_storage_get: _types("SK_STORAGE"),
    HelperId.sk_storage_delete: _types("SK_STORAGE"),
    HelperId.inode_storage_get: _types("INODE_STORAGE"),
    HelperId.inode_storage_delete: _types("INODE_STORAGE"),
    HelperId.task_storage_get: _types("TASK_STORAGE"),
    HelperId.task_storage_delete: _types("TASK_STORAGE"),
    HelperId.cgrp_storage_get: _types("CGRP_STORAGE"),
    HelperId.cgrp_storage_delete: _types("CGRP_STORAGE"),
}

# program types that may update and delete elements of SOCKMAP and SOCKHASH through the generic helpers
SOCKMAP_UPDATE: Final = frozenset(
    {
        ProgType.SOCKET_FILTER,
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.XDP,
        ProgType.SK_REUSEPORT,
        ProgType.FLOW_DISSECTOR,
        ProgType.SK_LOOKUP,
    }
)
SOCKMAP_DELETE: Final = SOCKMAP_UPDATE | {ProgType.SOCK_OPS}


def may_pass(map_type: MapType, helper: HelperId, prog_type: ProgType, attach_type: int = 0) -> bool:
    """Whether a map of this type may be handed to this helper (not: whether the program may call the helper)."""
    row = MAPS[map_type]
    if row.helpers is not None and helper not in row.helpers:
        return False
    only = HELPER_MAPS.get(helper)
    if only is not None and map_type not in only:
        return False
    if map_type in (MapType.SOCKMAP, MapType.SOCKHASH):
        if prog_type == ProgType.TRACING and helper in (HelperId.map_update_elem, HelperId.map_delete_elem):
            return attach_type == AttachType.TRACE_ITER
        if helper == HelperId.map_update_elem:
            return prog_type in SOCKMAP_UPDATE
        if helper == HelperId.map_delete_elem:
            return prog_type in SOCKMAP_DELETE
    return True
