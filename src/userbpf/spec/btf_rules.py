"""What Linux promises of pointers to its own structures, beyond what BTF says: which fields may be trusted, which
arguments may be NULL, what iterators and structures of functions hand to programs.

Asked of Linux 6.18 unless a row says otherwise: fields and arguments by loading a program that reads each of them. The rows
of LSM hooks are from documentation, since they cannot be asked everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from userbpf.abi.enums import MapType, ProgType


def _fields(text: str) -> frozenset[tuple[str, str]]:
    """(structure, member) of words "structure.member"."""
    return frozenset((word.partition(".")[0], word.partition(".")[2]) for word in text.split())


# a trusted parent gives a trusted child
SAFE_TRUSTED: Final = _fields("""
    bpf_iter_meta.seq bpf_iter__task.meta bpf_iter__task.task linux_binprm.file file.f_inode
    """)
SAFE_TRUSTED_OR_NULL: Final = _fields("socket.sk dentry.d_inode vm_area_struct.vm_mm vm_area_struct.vm_file")
# inside of a read-side critical section, a trusted or RCU parent gives an RCU child
SAFE_RCU: Final = _fields("""
    task_struct.cpus_ptr task_struct.cgroups task_struct.real_parent task_struct.group_leader
    cgroup.kn css_set.dfl_cgrp cgroup_subsys_state.cgroup
    """)
SAFE_RCU_OR_NULL: Final = _fields("mm_struct.exe_file sk_buff.sk request_sock.sk")


def _null(text: str, *numbers: int) -> dict[str, frozenset[int]]:
    return {name: frozenset(numbers) for name in text.split()}


# tracepoint -> numbers of the arguments that may be NULL (Linux knows more, of subsystems that were not built)
RAW_TP_NULL: Final[dict[str, frozenset[int]]] = {
    **_null(
        """
        mm_collapse_huge_page_isolate mm_page_alloc mm_page_alloc_zone_locked mm_page_pcpu_drain tmigr_update_events
        xfs_blockgc_flush_all xfs_blockgc_start xfs_blockgc_stop xfs_blockgc_worker xfs_defer_add_item
        xfs_defer_cancel_item xfs_defer_cancel_list xfs_defer_create_intent xfs_defer_finish_item
        xfs_defer_isolate_paused xfs_defer_item_pause xfs_defer_item_unpause xfs_defer_pending_abort
        xfs_defer_pending_finish xfs_defer_relog_intent xfs_fs_sync_fs xfs_inodegc_flush xfs_inodegc_push
        xfs_inodegc_queue xfs_inodegc_start xfs_inodegc_stop xfs_inodegc_throttle
        """,
        0,
    ),
    **_null("tcp_send_reset", 0, 1),
    **_null(
        """
        break_lease_block break_lease_noblock break_lease_unblock ext4_mballoc_discard ext4_mballoc_free fcntl_setlk
        flock_lock_inode folio_wait_writeback generic_delete_lease hugetlbfs_alloc_inode locks_remove_posix
        mm_khugepaged_collapse_file mm_khugepaged_scan_file mm_khugepaged_scan_pmd posix_lock_inode sched_pi_setprio
        time_out_leases writeback_dirty_folio xfs_blockgc_free_space xfs_ioc_free_eofblocks
        """,
        1,
    ),
    **_null(
        """
        fib_table_lookup sched_stick_numa sched_swap_numa tcp_sendmsg_locked xfs_btree_overlapped_query_range
        xfs_btree_updkeys
        """,
        2,
    ),
    **_null("kfree_skb qdisc_dequeue", 3),
    **_null("xfs_map_blocks_alloc xfs_map_blocks_found", 4),
}

# iterator -> argument number -> what the program gets; arguments that are not named are trusted pointers
ITERATORS: Final[dict[str, dict[int, str]]] = {
    "bpf_link": {1: "ptr_or_null"},
    "bpf_map": {1: "trusted_ptr_or_null"},
    "bpf_map_elem": {2: "rdonly_buf_or_null", 3: "buf_or_null"},
    "bpf_prog": {1: "ptr_or_null"},
    "bpf_sk_storage_map": {2: "ptr_or_null", 3: "buf_or_null"},
    "cgroup": {1: "trusted_ptr_or_null"},
    "dmabuf": {1: "ptr_or_null"},
    "ipv6_route": {1: "ptr_or_null"},
    "kmem_cache": {1: "trusted_ptr_or_null"},
    "ksym": {1: "ptr_or_null"},
    "netlink": {1: "ptr_or_null"},
    "sockmap": {2: "rdonly_buf_or_null", 3: "ptr_or_null"},
    "task": {1: "trusted_ptr_or_null"},
    "task_file": {1: "ptr_or_null", 3: "ptr_or_null"},
    "task_vma": {1: "ptr_or_null", 2: "ptr_or_null"},
    "tcp": {1: "trusted_ptr_or_null"},
    "udp": {1: "trusted_ptr_or_null"},
    "unix": {1: "ptr_or_null"},
}


# the structure behind a pointer to a map: programs may read its fields
_MAP_STRUCTS: Final[dict[str, str]] = {
    "bpf_array": "ARRAY PERCPU_ARRAY PROG_ARRAY PERF_EVENT_ARRAY CGROUP_ARRAY ARRAY_OF_MAPS",
    "bpf_htab": "HASH PERCPU_HASH LRU_HASH LRU_PERCPU_HASH HASH_OF_MAPS",
    "bpf_local_storage_map": "TASK_STORAGE INODE_STORAGE SK_STORAGE CGRP_STORAGE",
    "bpf_ringbuf_map": "RINGBUF USER_RINGBUF",
    "bpf_queue_stack": "QUEUE STACK",
    "bpf_dtab": "DEVMAP DEVMAP_HASH",
    "bpf_cgroup_storage_map": "CGROUP_STORAGE PERCPU_CGROUP_STORAGE",
    "bpf_stack_map": "STACK_TRACE",
    "bpf_stab": "SOCKMAP",
    "bpf_shtab": "SOCKHASH",
    "lpm_trie": "LPM_TRIE",
    "xsk_map": "XSKMAP",
    "bpf_cpu_map": "CPUMAP",
    "bpf_bloom_filter": "BLOOM_FILTER",
    "reuseport_array": "REUSEPORT_SOCKARRAY",
    "bpf_struct_ops_map": "STRUCT_OPS",
    "bpf_arena": "ARENA",
}
MAP_STRUCTS: Final = {MapType[name]: struct for struct, names in _MAP_STRUCTS.items() for name in names.split()}

# helpers that only some iterators may call
ITERATOR_ONLY: Final[dict[str, frozenset[str]]] = {
    "setsockopt": frozenset({"tcp", "unix"}),
    "getsockopt": frozenset({"tcp", "unix"}),
}


@dataclass(frozen=True, slots=True)
class Writable:
    """What a program may store to in one structure.

    `fields` are paths of members that take a store at their start, `ranges` those that take one anywhere inside.
    `first` instead allows any store within so many bytes from the start. `refusal` says what another store is told.
    """

    fields: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    first: int = 0
    refusal: str = "only read is supported"
    beyond: str = ""


@dataclass(frozen=True, slots=True)
class StructOps:
    """A structure of functions that programs may stand in for.

    `unsupported` members may not be replaced at all; only `sleepable` ones may sleep (None: all). `null` arguments are
    (member, number). `narrowed`: programs get another structure than the prototype's. `writable` by structure.
    """

    name: str
    unsupported: frozenset[str] = frozenset()
    sleepable: frozenset[str] | None = None
    null: frozenset[tuple[str, int]] = frozenset()
    narrowed: tuple[tuple[str, str], ...] = ()
    writable: tuple[tuple[str, Writable], ...] = ()
    helpers: bool = True  # whether its programs may call helpers at all
    no_helper: frozenset[tuple[str, str]] = frozenset()  # (member, helper)


STRUCT_OPS: Final[dict[str, StructOps]] = {
    row.name: row
    for row in (
        StructOps(
            "tcp_congestion_ops",
            unsupported=frozenset({"get_info"}),
            narrowed=(("sock", "tcp_sock"),),
            no_helper=frozenset({("release", "setsockopt"), ("release", "getsockopt")}),
            writable=(
                (
                    "tcp_sock",
                    Writable(
                        fields=(
                            "inet_conn.icsk_inet.sk.sk_pacing_rate",
                            "inet_conn.icsk_inet.sk.sk_pacing_status",
                            "inet_conn.icsk_ack.pending",
                            "snd_cwnd",
                            "snd_cwnd_cnt",
                            "snd_cwnd_stamp",
                            "snd_ssthresh",
                            "ecn_flags",
                            "app_limited",
                        ),
                        ranges=("inet_conn.icsk_ca_priv",),
                        refusal="no write support to tcp_sock at off {off}",
                        beyond="write access at off {off} with size {size} beyond the member of tcp_sock ended at {end}",
                    ),
                ),
            ),
        ),
        StructOps(
            "bpf_dummy_ops",
            sleepable=frozenset({"test_sleepable"}),
            null=frozenset({("test_1", 0)}),
            helpers=False,
            writable=(
                ("bpf_dummy_ops_state", Writable(first=4, refusal="write access at off {off} with size {size}")),
            ),
        ),
    )
}

# what programs of a type may write besides: the mark that they put on a connection
_CONNECTIONS: Final = {
    name: Writable(
        fields=(path,),
        refusal="no write support to nf_conn at off {off}",
        beyond="write access at off {off} with size {size} beyond the member of nf_conn ended at {end}",
    )
    for name, path in (("nf_conn", "mark"), ("nf_conn___init", "ct.mark"))
}
WRITABLE: Final[dict[tuple[ProgType, str], Writable]] = {
    (prog_type, name): row
    for prog_type in (ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.XDP)
    for name, row in _CONNECTIONS.items()
}
