"""HELPERS: one row a helper. The verifier checks calls by it, the engine binds bodies to it, the support page prints it.

The rows are assembled from the signatures (`spec.helper_rows`), the program types (`spec.helper_types`) and the few
properties below that belong to single helpers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from userbpf.abi.enums import AttachType, HelperId, ProgType
from userbpf.spec.argtypes import OBJ_RELEASE, Arg, ArgBase, Ret
from userbpf.spec.helper_rows import SIGNATURES, VARIANTS, Signature
from userbpf.spec.helper_types import ALLOWED, ATTACH_ONLY, PERFMON, names

Status = Literal["run", "typed", "absent"]


@dataclass(frozen=True, slots=True)
class HelperRow:
    """What is known of one helper.

    `args` has one entry an argument; `variadic` helpers (trace_printk) leave the registers after them unchecked.
    `acquires`: the returned pointer is a reference that must be released (for map_lookup_elem only where the map is a
    SOCKMAP or SOCKHASH; see `acquires_from`). `casts`: the result is another view of the socket in argument 1 and dies
    with it. `ret_bound`: r0 is at most the value of the size argument, and at least -4095. `attach_only`: the only expected
    attach types that may call it, for the program types listed.
    """

    id: HelperId
    name: str
    ret: Ret
    args: tuple[Arg, ...]
    gpl_only: bool = False
    pkt_access: bool = False
    might_sleep: bool = False
    changes_pkt: bool = False
    fastcall: bool = False
    variadic: bool = False
    perfmon: bool = False
    acquires: bool = False
    casts: bool = False
    ret_bound: bool = False
    prog_types: frozenset[ProgType] = frozenset()
    attach_only: Mapping[ProgType, frozenset[AttachType]] | None = None
    variants: Mapping[ProgType, tuple[Arg, ...]] | None = None
    status: Status = "typed"

    @property
    def c_name(self) -> str:
        """The name in C programs: bpf_map_lookup_elem."""
        return f"bpf_{self.name}"

    @property
    def releases(self) -> int | None:
        """Number (1..5) of the argument whose reference the call releases."""
        for number, arg in enumerate(self.args, 1):
            if arg.flags & OBJ_RELEASE:
                return number
        return None

    @property
    def callback(self) -> int | None:
        """Number (1..5) of the argument that is a function of the program."""
        for number, arg in enumerate(self.args, 1):
            if arg.base is ArgBase.PTR_TO_FUNC:
                return number
        return None

    def args_for(self, prog_type: ProgType) -> tuple[Arg, ...]:
        """The arguments as this program type's helper takes them."""
        return self.args if self.variants is None else self.variants.get(prog_type, self.args)

    def allowed(self, prog_type: ProgType, attach_type: int = 0) -> bool:
        """Whether the program type (and expected attach type) may call it; CAP_PERFMON is the caller's question."""
        if prog_type not in self.prog_types:
            return False
        only = None if self.attach_only is None else self.attach_only.get(prog_type)
        return only is None or attach_type in only


# the result is a reference of its own
ACQUIRES: Final = names("sk_lookup_tcp sk_lookup_udp skc_lookup_tcp ringbuf_reserve kptr_xchg")
# map types whose lookup acquires a reference
ACQUIRES_FROM: Final = frozenset({"SOCKMAP", "SOCKHASH"})
CASTS: Final = names(
    "tcp_sock sk_fullsock skc_to_tcp_sock skc_to_tcp6_sock skc_to_udp6_sock skc_to_mptcp_sock "
    "skc_to_tcp_timewait_sock skc_to_tcp_request_sock"
)
RET_BOUND: Final = names("get_stack get_task_stack probe_read_str probe_read_kernel_str probe_read_user_str")
# helpers that run here; the others are checked by the verifier alone
RUN: Final = names("""
    map_lookup_elem map_update_elem map_delete_elem probe_read ktime_get_ns trace_printk get_prandom_u32
    get_smp_processor_id skb_store_bytes l3_csum_replace l4_csum_replace tail_call clone_redirect
    get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid skb_vlan_push skb_vlan_pop
    redirect get_route_realm perf_event_output skb_load_bytes csum_diff skb_change_proto skb_change_type
    get_hash_recalc get_current_task skb_change_tail skb_pull_data csum_update set_hash_invalid get_numa_node_id
    skb_change_head xdp_adjust_head probe_read_str get_socket_cookie get_socket_uid set_hash skb_adjust_room
    redirect_map xdp_adjust_meta xdp_adjust_tail skb_load_bytes_relative skb_cgroup_id get_current_cgroup_id
    map_push_elem map_pop_elem map_peek_elem spin_lock spin_unlock strtol strtoul probe_read_user
    probe_read_kernel probe_read_user_str probe_read_kernel_str jiffies64 get_netns_cookie
    get_current_ancestor_cgroup_id ktime_get_boot_ns ringbuf_output ringbuf_reserve ringbuf_submit
    ringbuf_discard ringbuf_query csum_level copy_from_user skb_cgroup_classid redirect_neigh redirect_peer
    ktime_get_coarse_ns for_each_map_elem snprintf get_func_ip get_attach_cookie trace_vprintk loop strncmp
    xdp_get_buff_len xdp_load_bytes xdp_store_bytes map_lookup_percpu_elem ktime_get_tai_ns
    perf_event_read perf_event_read_value skb_output xdp_output user_ringbuf_drain get_local_storage
    dynptr_from_mem ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr
    dynptr_read dynptr_write dynptr_data timer_init timer_set_callback timer_start timer_cancel kptr_xchg
    """)


def _row(sig: Signature) -> HelperRow:
    attach = {prog_type: only for (prog_type, name), only in ATTACH_ONLY.items() if name == sig.name}
    return HelperRow(
        id=HelperId(sig.id),
        name=sig.name,
        ret=sig.ret,
        args=sig.args,
        gpl_only="G" in sig.marks,
        pkt_access="P" in sig.marks,
        might_sleep="S" in sig.marks,
        changes_pkt="C" in sig.marks,
        fastcall="F" in sig.marks,
        variadic="V" in sig.marks,
        perfmon=sig.name in PERFMON,
        acquires=sig.name in ACQUIRES,
        casts=sig.name in CASTS,
        ret_bound=sig.name in RET_BOUND,
        prog_types=frozenset(t for t, names in ALLOWED.items() if sig.name in names),
        attach_only=attach or None,
        variants=VARIANTS.get(sig.name),
        status="run" if sig.name in RUN else "typed",
    )


HELPERS: Final[dict[HelperId, HelperRow]] = {HelperId(sig.id): _row(sig) for sig in SIGNATURES}
BY_NAME: Final[dict[str, HelperRow]] = {row.name: row for row in HELPERS.values()}
