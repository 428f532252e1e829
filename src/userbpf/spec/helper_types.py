"""Which helpers a program type may call, as Linux 6.18 decides it.

Written as base sets and what a type has besides. Every cell was asked of the running kernel by loading one program
(32 types and 211 helpers); `tests/tables` asks again where bpf(2) is permitted.

Three finer rules stand beside: helpers that only some attach types may call, helpers that ask for CAP_PERFMON, and
helpers a program may call only from certain targets.
"""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import AttachType, ProgType


def names(text: str) -> frozenset[str]:
    """The words of a text: tables of names read better so."""
    return frozenset(text.split())


# what every program type may call, given the capabilities
BASE: Final = names("""
    map_lookup_elem map_update_elem map_delete_elem ktime_get_ns trace_printk get_prandom_u32
    get_smp_processor_id tail_call get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid
    perf_event_read get_current_task current_task_under_cgroup get_numa_node_id perf_event_read_value
    get_current_cgroup_id map_push_elem map_pop_elem map_peek_elem spin_lock spin_unlock strtol strtoul
    send_signal probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str send_signal_thread
    jiffies64 get_ns_current_pid_tgid get_current_ancestor_cgroup_id ktime_get_boot_ns ringbuf_output
    ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query get_task_stack copy_from_user snprintf_btf
    per_cpu_ptr this_cpu_ptr task_storage_get task_storage_delete get_current_task_btf for_each_map_elem
    snprintf timer_init timer_set_callback timer_start timer_cancel task_pt_regs get_branch_snapshot
    trace_vprintk find_vma loop strncmp copy_from_user_task kptr_xchg map_lookup_percpu_elem dynptr_from_mem
    ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data
    ktime_get_tai_ns user_ringbuf_drain cgrp_storage_get cgrp_storage_delete
""")

# casts of a socket to its kernel structure
SKC_TO: Final = names("""
    skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock
    skc_to_unix_sock skc_to_mptcp_sock
""")

# programs on events: kprobes, tracepoints, perf events
PERF: Final = names("""
    probe_read perf_event_output get_stackid probe_read_str get_stack get_func_ip get_attach_cookie
""")

# programs with a BTF target besides
TRACE: Final = names("""
    probe_read perf_event_output get_stackid probe_read_str get_socket_cookie get_stack skb_output xdp_output
    sock_from_file get_func_ip xdp_get_buff_len
""")

# light-weight tunnels
LWT: Final = names("""
    get_route_realm perf_event_output skb_load_bytes csum_diff skb_under_cgroup get_hash_recalc skb_pull_data
    ktime_get_coarse_ns
""")

# finding sockets
LOOKUP: Final = names("""
    sk_lookup_tcp sk_lookup_udp sk_release skc_lookup_tcp
""")

# SYN cookies
SYNCOOKIE: Final = names("""
    tcp_check_syncookie tcp_gen_syncookie tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6
    tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6
""")

# traffic control
TC: Final = names("""
    skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_vlan_push skb_vlan_pop skb_get_tunnel_key
    skb_set_tunnel_key redirect get_route_realm perf_event_output skb_load_bytes csum_diff skb_get_tunnel_opt
    skb_set_tunnel_opt skb_change_proto skb_change_type skb_under_cgroup get_hash_recalc skb_change_tail
    skb_pull_data csum_update set_hash_invalid skb_change_head get_socket_cookie get_socket_uid set_hash
    skb_adjust_room skb_get_xfrm_state skb_load_bytes_relative fib_lookup skb_cgroup_id skb_ancestor_cgroup_id
    sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock sk_storage_get sk_storage_delete get_netns_cookie
    sk_assign csum_level skb_cgroup_classid redirect_neigh redirect_peer ktime_get_coarse_ns check_mtu
    skb_set_tstamp
""")

ALLOWED: Final[dict[ProgType, frozenset[str]]] = {
    ProgType.UNSPEC: frozenset(),
    ProgType.SOCKET_FILTER: BASE
    | SKC_TO
    | names("""
        perf_event_output skb_load_bytes get_socket_cookie get_socket_uid skb_load_bytes_relative
        get_netns_cookie ktime_get_coarse_ns
    """),
    ProgType.KPROBE: BASE | PERF,
    ProgType.SCHED_CLS: BASE | SKC_TO | LOOKUP | SYNCOOKIE | TC,
    ProgType.SCHED_ACT: BASE | SKC_TO | LOOKUP | SYNCOOKIE | TC,
    ProgType.TRACEPOINT: BASE | PERF,
    ProgType.XDP: BASE
    | SKC_TO
    | LOOKUP
    | SYNCOOKIE
    | names("""
        redirect perf_event_output csum_diff xdp_adjust_head redirect_map xdp_adjust_meta xdp_adjust_tail
        fib_lookup ktime_get_coarse_ns check_mtu xdp_get_buff_len xdp_load_bytes xdp_store_bytes
    """),
    ProgType.PERF_EVENT: BASE
    | PERF
    | names("""
        perf_prog_read_value read_branch_records
    """),
    ProgType.CGROUP_SKB: BASE
    | SKC_TO
    | LOOKUP
    | names("""
        perf_event_output skb_load_bytes get_socket_cookie get_socket_uid skb_load_bytes_relative
        skb_cgroup_id get_local_storage skb_ancestor_cgroup_id sk_fullsock tcp_sock skb_ecn_set_ce
        get_listener_sock sk_storage_get sk_storage_delete get_netns_cookie sk_cgroup_id
        sk_ancestor_cgroup_id ktime_get_coarse_ns
    """),
    ProgType.CGROUP_SOCK: BASE
    | names("""
        perf_event_output get_socket_cookie get_local_storage sk_storage_get get_netns_cookie
        ktime_get_coarse_ns get_retval set_retval
    """),
    ProgType.LWT_IN: BASE | SKC_TO | LWT | names("lwt_push_encap"),
    ProgType.LWT_OUT: BASE | SKC_TO | LWT,
    ProgType.LWT_XMIT: BASE
    | SKC_TO
    | LWT
    | names("""
        skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_get_tunnel_key skb_set_tunnel_key
        redirect skb_get_tunnel_opt skb_set_tunnel_opt skb_change_tail csum_update set_hash_invalid
        skb_change_head lwt_push_encap csum_level
    """),
    ProgType.SOCK_OPS: BASE
    | SKC_TO
    | names("""
        perf_event_output get_socket_cookie setsockopt sock_map_update getsockopt sock_ops_cb_flags_set
        sock_hash_update get_local_storage tcp_sock sk_storage_get sk_storage_delete get_netns_cookie
        load_hdr_opt store_hdr_opt reserve_hdr_opt ktime_get_coarse_ns get_retval set_retval
    """),
    ProgType.SK_SKB: BASE
    | SKC_TO
    | LOOKUP
    | names("""
        skb_store_bytes perf_event_output skb_load_bytes skb_change_tail skb_pull_data skb_change_head
        get_socket_cookie get_socket_uid skb_adjust_room sk_redirect_map sk_redirect_hash
        ktime_get_coarse_ns
    """),
    ProgType.CGROUP_DEVICE: BASE
    | names("""
        perf_event_output get_local_storage get_retval set_retval
    """),
    ProgType.SK_MSG: BASE
    | SKC_TO
    | names("""
        perf_event_output msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data msg_redirect_hash
        msg_push_data msg_pop_data sk_storage_get sk_storage_delete get_netns_cookie ktime_get_coarse_ns
    """),
    ProgType.RAW_TRACEPOINT: BASE | PERF,
    ProgType.CGROUP_SOCK_ADDR: BASE
    | SKC_TO
    | LOOKUP
    | names("""
        perf_event_output get_socket_cookie setsockopt getsockopt bind get_local_storage sk_storage_get
        sk_storage_delete get_netns_cookie ktime_get_coarse_ns get_retval set_retval
    """),
    ProgType.LWT_SEG6LOCAL: BASE
    | SKC_TO
    | LWT
    | names("""
        lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action
    """),
    ProgType.SK_REUSEPORT: BASE
    | names("""
        skb_load_bytes get_socket_cookie skb_load_bytes_relative sk_select_reuseport ktime_get_coarse_ns
    """),
    ProgType.FLOW_DISSECTOR: BASE
    | SKC_TO
    | names("""
        skb_load_bytes ktime_get_coarse_ns
    """),
    ProgType.CGROUP_SYSCTL: BASE
    | names("""
        perf_event_output get_local_storage sysctl_get_name sysctl_get_current_value sysctl_get_new_value
        sysctl_set_new_value ktime_get_coarse_ns get_retval set_retval
    """),
    ProgType.RAW_TRACEPOINT_WRITABLE: BASE | PERF,
    ProgType.CGROUP_SOCKOPT: BASE
    | names("""
        perf_event_output setsockopt getsockopt get_local_storage tcp_sock sk_storage_get sk_storage_delete
        get_netns_cookie get_retval set_retval
    """),
    ProgType.TRACING: BASE
    | SKC_TO
    | PERF
    | TRACE
    | names("""
        setsockopt getsockopt sk_storage_get sk_storage_delete seq_printf seq_write d_path seq_printf_btf
        get_func_arg get_func_ret get_func_arg_cnt
    """),
    ProgType.STRUCT_OPS: BASE
    | names("""
        setsockopt getsockopt sk_storage_get sk_storage_delete tcp_send_ack ktime_get_coarse_ns
    """),
    ProgType.SK_LOOKUP: BASE
    | SKC_TO
    | names("""
        perf_event_output sk_release sk_assign ktime_get_coarse_ns
    """),
    # d_path and sk_storage_* are refused where they are called (verifier.attach.may_call)
    ProgType.SYSCALL: BASE
    | SKC_TO
    | TRACE
    | names("""
        sys_bpf btf_find_by_name_kind sys_close kallsyms_lookup_name d_path sk_storage_get sk_storage_delete
    """),
    ProgType.NETFILTER: BASE,
    # not asked (the kernel at hand has no such device): the list of Linux's documentation
    ProgType.LIRC_MODE2: names("""
        rc_repeat rc_keydown rc_pointer_rel map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem
        map_peek_elem ktime_get_ns ktime_get_boot_ns tail_call get_prandom_u32 trace_printk
    """),
    # not asked (the kernel at hand answers EPERM to every LSM program)
    ProgType.LSM: BASE
    | SKC_TO
    | PERF
    | TRACE
    | names("""
        inode_storage_get inode_storage_delete sk_storage_get sk_storage_delete bprm_opts_set ima_inode_hash
        ima_file_hash d_path setsockopt getsockopt get_retval set_retval get_func_arg get_func_ret get_func_arg_cnt
    """),
    # an extension calls what the program it replaces may call
    ProgType.EXT: frozenset(),
}

# helpers that ask for CAP_PERFMON besides what the program type asks for
PERFMON: Final = SKC_TO | names("""
    trace_printk get_current_comm perf_event_read get_current_task perf_event_read_value send_signal probe_read_user
    probe_read_kernel probe_read_user_str probe_read_kernel_str send_signal_thread get_task_stack copy_from_user
    snprintf_btf get_current_task_btf snprintf task_pt_regs get_branch_snapshot trace_vprintk find_vma
    copy_from_user_task
""")

# where a program's result is the call's: all but packets, events of sockets, and addresses that are only looked at
_RETVAL_HOOKS: Final = frozenset(AttachType) - {
    AttachType.CGROUP_INET_INGRESS,
    AttachType.CGROUP_INET_EGRESS,
    AttachType.CGROUP_SOCK_OPS,
    AttachType.CGROUP_UDP4_RECVMSG,
    AttachType.CGROUP_UDP6_RECVMSG,
    AttachType.CGROUP_INET4_GETPEERNAME,
    AttachType.CGROUP_INET6_GETPEERNAME,
    AttachType.CGROUP_INET4_GETSOCKNAME,
    AttachType.CGROUP_INET6_GETSOCKNAME,
    AttachType.CGROUP_UNIX_RECVMSG,
    AttachType.CGROUP_UNIX_GETPEERNAME,
    AttachType.CGROUP_UNIX_GETSOCKNAME,
}
_TRAMPOLINES: Final = frozenset({AttachType.TRACE_FENTRY, AttachType.TRACE_FEXIT, AttachType.MODIFY_RETURN})
_ITER: Final = frozenset({AttachType.TRACE_ITER})

# (program type, helper) -> the only expected attach types that may call it
ATTACH_ONLY: Final[dict[tuple[ProgType, str], frozenset[AttachType]]] = {
    (ProgType.CGROUP_SOCK_ADDR, "bind"): frozenset({AttachType.CGROUP_INET4_CONNECT, AttachType.CGROUP_INET6_CONNECT}),
    (ProgType.CGROUP_SOCKOPT, "setsockopt"): frozenset({AttachType.CGROUP_SETSOCKOPT}),
    (ProgType.CGROUP_SOCKOPT, "getsockopt"): frozenset({AttachType.CGROUP_SETSOCKOPT}),
    (ProgType.TRACING, "get_func_arg"): _TRAMPOLINES,
    (ProgType.TRACING, "get_func_ret"): _TRAMPOLINES - {AttachType.TRACE_FENTRY},
    (ProgType.TRACING, "get_func_arg_cnt"): _TRAMPOLINES,
    (ProgType.TRACING, "get_attach_cookie"): _TRAMPOLINES | {AttachType.TRACE_RAW_TP},
    (ProgType.TRACING, "seq_printf"): _ITER,
    (ProgType.TRACING, "seq_write"): _ITER,
    (ProgType.TRACING, "seq_printf_btf"): _ITER,
    # of the iterators only those over TCP and unix sockets
    (ProgType.TRACING, "setsockopt"): _ITER,
    (ProgType.TRACING, "getsockopt"): _ITER,
    **{
        (prog_type, helper): _RETVAL_HOOKS
        for prog_type in (
            ProgType.CGROUP_SOCK_ADDR,
            ProgType.CGROUP_DEVICE,
            ProgType.CGROUP_SYSCTL,
            ProgType.SOCK_OPS,
        )
        for helper in ("get_retval", "set_retval")
    },
    # LSM programs have a socket, and a result to change, where they belong to a cgroup
    **{
        (ProgType.LSM, helper): frozenset({AttachType.LSM_CGROUP})
        for helper in ("get_retval", "set_retval", "setsockopt", "getsockopt")
    },
}
