"""The signatures of all 211 helpers, one row each, in the order of their ids.

A row is `(id, name, return, arguments, marks)`. Marks: `G` the program must be GPL compatible, `P` packet pointers are
taken as memory, `S` may sleep, `C` moves packet data (all packet pointers become invalid), `F` clobbers only r0 where the
compiler asks for it (fastcall), `V` takes any number of further arguments.

Where the same id has another signature for some program types, the exception stands in `VARIANTS`.

Source: man bpf-helpers(7) (include/uapi/linux/bpf.h), and the answers of Linux 6.18: every argument was probed by
programs that pass a wrong and a right type, packet pointers, read-only memory, NULL and zero sizes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from userbpf.abi.enums import ProgType
from userbpf.spec.argtypes import (
    DYNPTR_TYPE_LOCAL,
    DYNPTR_TYPE_RINGBUF,
    MEM_ALIGNED,
    MEM_FIXED_SIZE,
    MEM_RDONLY,
    MEM_RINGBUF,
    MEM_UNINIT,
    MEM_WRITE,
    OBJ_RELEASE,
    PTR_MAYBE_NULL,
    PTR_TRUSTED,
    Arg,
    ArgBase,
    Ret,
    RetBase,
)

CTX: Final = Arg(ArgBase.PTR_TO_CTX)
CTX_OR_NULL: Final = Arg(ArgBase.PTR_TO_CTX, PTR_MAYBE_NULL)
ANY: Final = Arg(ArgBase.ANYTHING)
MAP: Final = Arg(ArgBase.CONST_MAP_PTR)
KEY: Final = Arg(ArgBase.PTR_TO_MAP_KEY)
VALUE: Final = Arg(ArgBase.PTR_TO_MAP_VALUE)
VALUE_OR_NULL: Final = Arg(ArgBase.PTR_TO_MAP_VALUE, PTR_MAYBE_NULL)
UNINIT_VALUE: Final = Arg(ArgBase.PTR_TO_MAP_VALUE, MEM_UNINIT | MEM_WRITE)
RMEM: Final = Arg(ArgBase.PTR_TO_MEM, MEM_RDONLY)
RMEM_OR_NULL: Final = Arg(ArgBase.PTR_TO_MEM, MEM_RDONLY | PTR_MAYBE_NULL)
WMEM: Final = Arg(ArgBase.PTR_TO_MEM, MEM_WRITE)
WMEM_OR_NULL: Final = Arg(ArgBase.PTR_TO_MEM, MEM_WRITE | PTR_MAYBE_NULL)
UMEM: Final = Arg(ArgBase.PTR_TO_MEM, MEM_UNINIT | MEM_WRITE)
SIZE: Final = Arg(ArgBase.CONST_SIZE)
SIZE0: Final = Arg(ArgBase.CONST_SIZE_OR_ZERO)
ALLOC0: Final = Arg(ArgBase.CONST_ALLOC_SIZE_OR_ZERO)
SOCK_COMMON: Final = Arg(ArgBase.PTR_TO_SOCK_COMMON)
SOCKET_OR_NULL: Final = Arg(ArgBase.PTR_TO_SOCKET, PTR_MAYBE_NULL)
SOCK: Final = Arg(ArgBase.PTR_TO_BTF_ID_SOCK_COMMON, btf=("sock_common",))
SOCK_OR_NULL: Final = Arg(ArgBase.PTR_TO_BTF_ID_SOCK_COMMON, PTR_MAYBE_NULL, btf=("sock_common",))
SOCK_RELEASE: Final = Arg(ArgBase.PTR_TO_BTF_ID_SOCK_COMMON, OBJ_RELEASE, btf=("sock_common",))
LOCK: Final = Arg(ArgBase.PTR_TO_SPIN_LOCK)
TIMER: Final = Arg(ArgBase.PTR_TO_TIMER)
FUNC: Final = Arg(ArgBase.PTR_TO_FUNC)
STACK_OR_NULL: Final = Arg(ArgBase.PTR_TO_STACK, PTR_MAYBE_NULL)
STR: Final = Arg(ArgBase.PTR_TO_CONST_STR)
PERCPU: Final = Arg(ArgBase.PTR_TO_PERCPU_BTF_ID)
RECORD: Final = Arg(ArgBase.PTR_TO_RINGBUF_MEM, OBJ_RELEASE)
KPTR_DEST: Final = Arg(ArgBase.KPTR_XCHG_DEST)
KPTR: Final = Arg(ArgBase.PTR_TO_BTF_ID, PTR_MAYBE_NULL | OBJ_RELEASE)
DYNPTR: Final = Arg(ArgBase.PTR_TO_DYNPTR, MEM_RDONLY)
DYNPTR_NEW_LOCAL: Final = Arg(ArgBase.PTR_TO_DYNPTR, DYNPTR_TYPE_LOCAL | MEM_UNINIT | MEM_WRITE)
DYNPTR_NEW_RINGBUF: Final = Arg(ArgBase.PTR_TO_DYNPTR, DYNPTR_TYPE_RINGBUF | MEM_UNINIT | MEM_WRITE)
DYNPTR_RELEASE: Final = Arg(ArgBase.PTR_TO_DYNPTR, DYNPTR_TYPE_RINGBUF | OBJ_RELEASE)
# a number the helper writes: 8 bytes, aligned
OUT_U64: Final = Arg(ArgBase.PTR_TO_MEM, MEM_FIXED_SIZE | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED, 8)
INOUT_U32: Final = Arg(ArgBase.PTR_TO_MEM, MEM_FIXED_SIZE | MEM_WRITE | MEM_ALIGNED, 4)
IPHDR: Final = Arg(ArgBase.PTR_TO_MEM, MEM_FIXED_SIZE | MEM_RDONLY, 20)
IPV6HDR: Final = Arg(ArgBase.PTR_TO_MEM, MEM_FIXED_SIZE | MEM_RDONLY, 40)
TCPHDR: Final = Arg(ArgBase.PTR_TO_MEM, MEM_FIXED_SIZE | MEM_RDONLY, 20)


def _btf(*names: str) -> Arg:
    return Arg(ArgBase.PTR_TO_BTF_ID, btf=names)


def _btf_or_null(*names: str) -> Arg:
    return Arg(ArgBase.PTR_TO_BTF_ID, PTR_MAYBE_NULL, btf=names)


TASK: Final = _btf("task_struct")
TASK_OR_NULL: Final = _btf_or_null("task_struct")
CGROUP_OR_NULL: Final = _btf_or_null("cgroup")
INODE_OR_NULL: Final = _btf_or_null("inode")
SEQ_FILE: Final = _btf("seq_file")

INT: Final = Ret(RetBase.INTEGER)
VOID: Final = Ret(RetBase.VOID)
R_VALUE: Final = Ret(RetBase.PTR_TO_MAP_VALUE)
R_VALUE_OR_NULL: Final = Ret(RetBase.PTR_TO_MAP_VALUE, PTR_MAYBE_NULL)
R_SOCKET_OR_NULL: Final = Ret(RetBase.PTR_TO_SOCKET, PTR_MAYBE_NULL)
R_SOCK_COMMON_OR_NULL: Final = Ret(RetBase.PTR_TO_SOCK_COMMON, PTR_MAYBE_NULL)
R_TCP_SOCK_OR_NULL: Final = Ret(RetBase.PTR_TO_TCP_SOCK, PTR_MAYBE_NULL)
R_RECORD_OR_NULL: Final = Ret(RetBase.PTR_TO_MEM, PTR_MAYBE_NULL | MEM_RINGBUF)
R_DYNPTR_MEM_OR_NULL: Final = Ret(RetBase.PTR_TO_MEM, PTR_MAYBE_NULL)
R_PERCPU: Final = Ret(RetBase.PTR_TO_MEM_OR_BTF_ID, MEM_RDONLY)
R_PERCPU_OR_NULL: Final = Ret(RetBase.PTR_TO_MEM_OR_BTF_ID, MEM_RDONLY | PTR_MAYBE_NULL)
R_TASK: Final = Ret(RetBase.PTR_TO_BTF_ID, PTR_TRUSTED, ("task_struct",))
R_PT_REGS: Final = Ret(RetBase.PTR_TO_BTF_ID, btf=("pt_regs",))
R_KPTR_OR_NULL: Final = Ret(RetBase.PTR_TO_BTF_ID, PTR_MAYBE_NULL)


def _r_btf_or_null(name: str) -> Ret:
    return Ret(RetBase.PTR_TO_BTF_ID, PTR_MAYBE_NULL, (name,))


class Signature(NamedTuple):
    """A row as written here; `spec.helpers` makes a HelperRow of it."""

    id: int
    name: str
    ret: Ret
    args: tuple[Arg, ...] = ()
    marks: str = ""


SIGNATURES: Final[tuple[Signature, ...]] = (
    Signature(1, "map_lookup_elem", R_VALUE_OR_NULL, (MAP, KEY), "P"),
    Signature(2, "map_update_elem", INT, (MAP, KEY, VALUE, ANY), "P"),
    Signature(3, "map_delete_elem", INT, (MAP, KEY), "P"),
    Signature(4, "probe_read", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(5, "ktime_get_ns", INT),
    Signature(6, "trace_printk", INT, (RMEM, SIZE), "GV"),
    Signature(7, "get_prandom_u32", INT),
    Signature(8, "get_smp_processor_id", INT, (), "F"),
    Signature(9, "skb_store_bytes", INT, (CTX, ANY, RMEM, SIZE, ANY), "C"),
    Signature(10, "l3_csum_replace", INT, (CTX, ANY, ANY, ANY, ANY), "C"),
    Signature(11, "l4_csum_replace", INT, (CTX, ANY, ANY, ANY, ANY), "C"),
    Signature(12, "tail_call", VOID, (CTX, MAP, ANY)),
    Signature(13, "clone_redirect", INT, (CTX, ANY, ANY), "C"),
    Signature(14, "get_current_pid_tgid", INT),
    Signature(15, "get_current_uid_gid", INT),
    Signature(16, "get_current_comm", INT, (UMEM, SIZE)),
    Signature(17, "get_cgroup_classid", INT),
    Signature(18, "skb_vlan_push", INT, (CTX, ANY, ANY), "C"),
    Signature(19, "skb_vlan_pop", INT, (CTX,), "C"),
    Signature(20, "skb_get_tunnel_key", INT, (CTX, UMEM, SIZE, ANY)),
    Signature(21, "skb_set_tunnel_key", INT, (CTX, RMEM, SIZE, ANY)),
    Signature(22, "perf_event_read", INT, (MAP, ANY), "G"),
    Signature(23, "redirect", INT, (ANY, ANY)),
    Signature(24, "get_route_realm", INT, (CTX,)),
    Signature(25, "perf_event_output", INT, (CTX, MAP, ANY, RMEM, SIZE0), "G"),
    Signature(26, "skb_load_bytes", INT, (CTX, ANY, UMEM, SIZE)),
    Signature(27, "get_stackid", INT, (CTX, MAP, ANY), "G"),
    Signature(28, "csum_diff", INT, (RMEM_OR_NULL, SIZE0, RMEM_OR_NULL, SIZE0, ANY), "P"),
    Signature(29, "skb_get_tunnel_opt", INT, (CTX, UMEM, SIZE)),
    Signature(30, "skb_set_tunnel_opt", INT, (CTX, RMEM, SIZE)),
    Signature(31, "skb_change_proto", INT, (CTX, ANY, ANY), "C"),
    Signature(32, "skb_change_type", INT, (CTX, ANY)),
    Signature(33, "skb_under_cgroup", INT, (CTX, MAP, ANY)),
    Signature(34, "get_hash_recalc", INT, (CTX,)),
    Signature(35, "get_current_task", INT, (), "G"),
    Signature(36, "probe_write_user", INT, (ANY, RMEM, SIZE), "G"),
    Signature(37, "current_task_under_cgroup", INT, (MAP, ANY)),
    Signature(38, "skb_change_tail", INT, (CTX, ANY, ANY), "C"),
    Signature(39, "skb_pull_data", INT, (CTX, ANY), "C"),
    Signature(40, "csum_update", INT, (CTX, ANY)),
    Signature(41, "set_hash_invalid", INT, (CTX,)),
    Signature(42, "get_numa_node_id", INT),
    Signature(43, "skb_change_head", INT, (CTX, ANY, ANY), "C"),
    Signature(44, "xdp_adjust_head", INT, (CTX, ANY), "C"),
    Signature(45, "probe_read_str", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(46, "get_socket_cookie", INT, (CTX,)),
    Signature(47, "get_socket_uid", INT, (CTX,)),
    Signature(48, "set_hash", INT, (CTX, ANY)),
    Signature(49, "setsockopt", INT, (CTX, ANY, ANY, RMEM, SIZE)),
    Signature(50, "skb_adjust_room", INT, (CTX, ANY, ANY, ANY), "C"),
    Signature(51, "redirect_map", INT, (MAP, ANY, ANY)),
    Signature(52, "sk_redirect_map", INT, (CTX, MAP, ANY, ANY)),
    Signature(53, "sock_map_update", INT, (CTX, MAP, KEY, ANY), "P"),
    Signature(54, "xdp_adjust_meta", INT, (CTX, ANY), "C"),
    Signature(55, "perf_event_read_value", INT, (MAP, ANY, UMEM, SIZE), "G"),
    Signature(56, "perf_prog_read_value", INT, (CTX, UMEM, SIZE), "G"),
    Signature(57, "getsockopt", INT, (CTX, ANY, ANY, UMEM, SIZE)),
    Signature(58, "override_return", INT, (CTX, ANY), "G"),
    Signature(59, "sock_ops_cb_flags_set", INT, (CTX, ANY)),
    Signature(60, "msg_redirect_map", INT, (CTX, MAP, ANY, ANY)),
    Signature(61, "msg_apply_bytes", INT, (CTX, ANY)),
    Signature(62, "msg_cork_bytes", INT, (CTX, ANY)),
    Signature(63, "msg_pull_data", INT, (CTX, ANY, ANY, ANY), "C"),
    Signature(64, "bind", INT, (CTX, RMEM, SIZE)),
    Signature(65, "xdp_adjust_tail", INT, (CTX, ANY), "C"),
    Signature(66, "skb_get_xfrm_state", INT, (CTX, ANY, UMEM, SIZE, ANY)),
    Signature(67, "get_stack", INT, (CTX, UMEM, SIZE0, ANY), "G"),
    Signature(68, "skb_load_bytes_relative", INT, (CTX, ANY, UMEM, SIZE, ANY)),
    Signature(69, "fib_lookup", INT, (CTX, WMEM, SIZE, ANY), "G"),
    Signature(70, "sock_hash_update", INT, (CTX, MAP, KEY, ANY), "P"),
    Signature(71, "msg_redirect_hash", INT, (CTX, MAP, KEY, ANY)),
    Signature(72, "sk_redirect_hash", INT, (CTX, MAP, KEY, ANY)),
    Signature(73, "lwt_push_encap", INT, (CTX, ANY, RMEM, SIZE), "C"),
    Signature(74, "lwt_seg6_store_bytes", INT, (CTX, ANY, RMEM, SIZE), "C"),
    Signature(75, "lwt_seg6_adjust_srh", INT, (CTX, ANY, ANY), "C"),
    Signature(76, "lwt_seg6_action", INT, (CTX, ANY, RMEM, SIZE), "C"),
    Signature(77, "rc_repeat", INT, (CTX,), "G"),
    Signature(78, "rc_keydown", INT, (CTX, ANY, ANY, ANY), "G"),
    Signature(79, "skb_cgroup_id", INT, (CTX,)),
    Signature(80, "get_current_cgroup_id", INT),
    Signature(81, "get_local_storage", R_VALUE, (MAP, ANY)),
    Signature(82, "sk_select_reuseport", INT, (CTX, MAP, KEY, ANY)),
    Signature(83, "skb_ancestor_cgroup_id", INT, (CTX, ANY)),
    Signature(84, "sk_lookup_tcp", R_SOCKET_OR_NULL, (CTX, RMEM, SIZE0, ANY, ANY), "P"),
    Signature(85, "sk_lookup_udp", R_SOCKET_OR_NULL, (CTX, RMEM, SIZE0, ANY, ANY), "P"),
    Signature(86, "sk_release", INT, (SOCK_RELEASE,)),
    Signature(87, "map_push_elem", INT, (MAP, VALUE, ANY), "P"),
    Signature(88, "map_pop_elem", INT, (MAP, UNINIT_VALUE)),
    Signature(89, "map_peek_elem", INT, (MAP, UNINIT_VALUE)),
    Signature(90, "msg_push_data", INT, (CTX, ANY, ANY, ANY), "C"),
    Signature(91, "msg_pop_data", INT, (CTX, ANY, ANY, ANY), "C"),
    Signature(92, "rc_pointer_rel", INT, (CTX, ANY, ANY), "G"),
    Signature(93, "spin_lock", VOID, (LOCK,)),
    Signature(94, "spin_unlock", VOID, (LOCK,)),
    Signature(95, "sk_fullsock", R_SOCKET_OR_NULL, (SOCK_COMMON,)),
    Signature(96, "tcp_sock", R_TCP_SOCK_OR_NULL, (SOCK_COMMON,)),
    Signature(97, "skb_ecn_set_ce", INT, (CTX,)),
    Signature(98, "get_listener_sock", R_SOCKET_OR_NULL, (SOCK_COMMON,)),
    Signature(99, "skc_lookup_tcp", R_SOCK_COMMON_OR_NULL, (CTX, RMEM, SIZE0, ANY, ANY), "P"),
    Signature(100, "tcp_check_syncookie", INT, (SOCK, RMEM, SIZE, RMEM, SIZE), "GP"),
    Signature(101, "sysctl_get_name", INT, (CTX, WMEM, SIZE, ANY)),
    Signature(102, "sysctl_get_current_value", INT, (CTX, UMEM, SIZE)),
    Signature(103, "sysctl_get_new_value", INT, (CTX, UMEM, SIZE)),
    Signature(104, "sysctl_set_new_value", INT, (CTX, RMEM, SIZE)),
    Signature(105, "strtol", INT, (RMEM, SIZE, ANY, OUT_U64)),
    Signature(106, "strtoul", INT, (RMEM, SIZE, ANY, OUT_U64)),
    Signature(107, "sk_storage_get", R_VALUE_OR_NULL, (MAP, SOCK, VALUE_OR_NULL, ANY)),
    Signature(108, "sk_storage_delete", INT, (MAP, SOCK)),
    Signature(109, "send_signal", INT, (ANY,)),
    Signature(110, "tcp_gen_syncookie", INT, (SOCK, RMEM, SIZE, RMEM, SIZE), "GP"),
    Signature(111, "skb_output", INT, (_btf("sk_buff"), MAP, ANY, RMEM, SIZE0), "G"),
    Signature(112, "probe_read_user", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(113, "probe_read_kernel", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(114, "probe_read_user_str", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(115, "probe_read_kernel_str", INT, (UMEM, SIZE0, ANY), "G"),
    Signature(116, "tcp_send_ack", INT, (_btf("tcp_sock"), ANY)),
    Signature(117, "send_signal_thread", INT, (ANY,)),
    Signature(118, "jiffies64", INT),
    Signature(119, "read_branch_records", INT, (CTX, WMEM_OR_NULL, SIZE0, ANY), "G"),
    Signature(120, "get_ns_current_pid_tgid", INT, (ANY, ANY, UMEM, SIZE)),
    Signature(121, "xdp_output", INT, (_btf("xdp_buff"), MAP, ANY, RMEM, SIZE0), "G"),
    Signature(122, "get_netns_cookie", INT, (CTX_OR_NULL,)),
    Signature(123, "get_current_ancestor_cgroup_id", INT, (ANY,)),
    Signature(124, "sk_assign", INT, (CTX, SOCK, ANY)),
    Signature(125, "ktime_get_boot_ns", INT),
    Signature(126, "seq_printf", INT, (SEQ_FILE, RMEM, SIZE, RMEM_OR_NULL, SIZE0), "G"),
    Signature(127, "seq_write", INT, (SEQ_FILE, RMEM, SIZE0), "G"),
    Signature(128, "sk_cgroup_id", INT, (SOCK,)),
    Signature(129, "sk_ancestor_cgroup_id", INT, (SOCK, ANY)),
    Signature(130, "ringbuf_output", INT, (MAP, RMEM, SIZE0, ANY)),
    Signature(131, "ringbuf_reserve", R_RECORD_OR_NULL, (MAP, ALLOC0, ANY)),
    Signature(132, "ringbuf_submit", VOID, (RECORD, ANY)),
    Signature(133, "ringbuf_discard", VOID, (RECORD, ANY)),
    Signature(134, "ringbuf_query", INT, (MAP, ANY)),
    Signature(135, "csum_level", INT, (CTX, ANY)),
    Signature(136, "skc_to_tcp6_sock", _r_btf_or_null("tcp6_sock"), (SOCK,)),
    Signature(137, "skc_to_tcp_sock", _r_btf_or_null("tcp_sock"), (SOCK,)),
    Signature(138, "skc_to_tcp_timewait_sock", _r_btf_or_null("tcp_timewait_sock"), (SOCK,)),
    Signature(139, "skc_to_tcp_request_sock", _r_btf_or_null("tcp_request_sock"), (SOCK,)),
    Signature(140, "skc_to_udp6_sock", _r_btf_or_null("udp6_sock"), (SOCK,)),
    Signature(141, "get_task_stack", INT, (TASK, UMEM, SIZE0, ANY)),
    Signature(142, "load_hdr_opt", INT, (CTX, WMEM, SIZE, ANY)),
    Signature(143, "store_hdr_opt", INT, (CTX, RMEM, SIZE, ANY)),
    Signature(144, "reserve_hdr_opt", INT, (CTX, ANY, ANY)),
    Signature(145, "inode_storage_get", R_VALUE_OR_NULL, (MAP, INODE_OR_NULL, VALUE_OR_NULL, ANY)),
    Signature(146, "inode_storage_delete", INT, (MAP, INODE_OR_NULL)),
    Signature(147, "d_path", INT, (_btf("path"), WMEM, SIZE0)),
    Signature(148, "copy_from_user", INT, (UMEM, SIZE0, ANY), "S"),
    Signature(149, "snprintf_btf", INT, (WMEM, SIZE, RMEM, SIZE, ANY)),
    Signature(150, "seq_printf_btf", INT, (SEQ_FILE, RMEM, SIZE0, ANY), "G"),
    Signature(151, "skb_cgroup_classid", INT, (CTX,)),
    Signature(152, "redirect_neigh", INT, (ANY, RMEM_OR_NULL, SIZE0, ANY)),
    Signature(153, "per_cpu_ptr", R_PERCPU_OR_NULL, (PERCPU, ANY)),
    Signature(154, "this_cpu_ptr", R_PERCPU, (PERCPU,)),
    Signature(155, "redirect_peer", INT, (ANY, ANY)),
    Signature(156, "task_storage_get", R_VALUE_OR_NULL, (MAP, TASK_OR_NULL, VALUE_OR_NULL, ANY)),
    Signature(157, "task_storage_delete", INT, (MAP, TASK_OR_NULL)),
    Signature(158, "get_current_task_btf", R_TASK, (), "G"),
    Signature(159, "bprm_opts_set", INT, (_btf("linux_binprm"), ANY)),
    Signature(160, "ktime_get_coarse_ns", INT),
    Signature(161, "ima_inode_hash", INT, (_btf("inode"), UMEM, SIZE), "S"),
    Signature(162, "sock_from_file", _r_btf_or_null("socket"), (_btf("file"),)),
    Signature(163, "check_mtu", INT, (CTX, ANY, INOUT_U32, ANY, ANY), "G"),
    Signature(164, "for_each_map_elem", INT, (MAP, FUNC, STACK_OR_NULL, ANY)),
    Signature(165, "snprintf", INT, (WMEM_OR_NULL, SIZE0, STR, RMEM_OR_NULL, SIZE0), "G"),
    Signature(166, "sys_bpf", INT, (ANY, RMEM, SIZE)),
    Signature(167, "btf_find_by_name_kind", INT, (RMEM, SIZE, ANY, ANY)),
    Signature(168, "sys_close", INT, (ANY,)),
    Signature(169, "timer_init", INT, (TIMER, MAP, ANY), "G"),
    Signature(170, "timer_set_callback", INT, (TIMER, FUNC), "G"),
    Signature(171, "timer_start", INT, (TIMER, ANY, ANY), "G"),
    Signature(172, "timer_cancel", INT, (TIMER,), "G"),
    Signature(173, "get_func_ip", INT, (CTX,), "G"),
    Signature(174, "get_attach_cookie", INT, (CTX,)),
    Signature(175, "task_pt_regs", R_PT_REGS, (TASK,), "G"),
    Signature(176, "get_branch_snapshot", INT, (UMEM, SIZE0), "G"),
    Signature(177, "trace_vprintk", INT, (RMEM, SIZE, RMEM_OR_NULL, SIZE0), "G"),
    Signature(178, "skc_to_unix_sock", _r_btf_or_null("unix_sock"), (SOCK,)),
    Signature(179, "kallsyms_lookup_name", INT, (RMEM, SIZE0, ANY, OUT_U64)),
    Signature(180, "find_vma", INT, (TASK, ANY, FUNC, STACK_OR_NULL, ANY)),
    Signature(181, "loop", INT, (ANY, FUNC, STACK_OR_NULL, ANY)),
    Signature(182, "strncmp", INT, (RMEM, SIZE, STR)),
    Signature(183, "get_func_arg", INT, (CTX, ANY, OUT_U64)),
    Signature(184, "get_func_ret", INT, (CTX, OUT_U64)),
    Signature(185, "get_func_arg_cnt", INT, (CTX,)),
    Signature(186, "get_retval", INT),
    Signature(187, "set_retval", INT, (ANY,)),
    Signature(188, "xdp_get_buff_len", INT, (CTX,)),
    Signature(189, "xdp_load_bytes", INT, (CTX, ANY, UMEM, SIZE)),
    Signature(190, "xdp_store_bytes", INT, (CTX, ANY, RMEM, SIZE)),
    Signature(191, "copy_from_user_task", INT, (UMEM, SIZE0, ANY, TASK, ANY), "GS"),
    Signature(192, "skb_set_tstamp", INT, (CTX, ANY, ANY)),
    Signature(193, "ima_file_hash", INT, (_btf("file"), UMEM, SIZE), "S"),
    Signature(194, "kptr_xchg", R_KPTR_OR_NULL, (KPTR_DEST, KPTR)),
    Signature(195, "map_lookup_percpu_elem", R_VALUE_OR_NULL, (MAP, KEY, ANY), "P"),
    Signature(196, "skc_to_mptcp_sock", _r_btf_or_null("mptcp_sock"), (SOCK_COMMON,)),
    Signature(197, "dynptr_from_mem", INT, (UMEM, SIZE0, ANY, DYNPTR_NEW_LOCAL)),
    Signature(198, "ringbuf_reserve_dynptr", INT, (MAP, ANY, ANY, DYNPTR_NEW_RINGBUF)),
    Signature(199, "ringbuf_submit_dynptr", VOID, (DYNPTR_RELEASE, ANY)),
    Signature(200, "ringbuf_discard_dynptr", VOID, (DYNPTR_RELEASE, ANY)),
    Signature(201, "dynptr_read", INT, (UMEM, SIZE0, DYNPTR, ANY, ANY)),
    Signature(202, "dynptr_write", INT, (DYNPTR, ANY, RMEM, SIZE0, ANY)),
    Signature(203, "dynptr_data", R_DYNPTR_MEM_OR_NULL, (DYNPTR, ANY, ALLOC0)),
    Signature(204, "tcp_raw_gen_syncookie_ipv4", INT, (IPHDR, RMEM, SIZE0), "GP"),
    Signature(205, "tcp_raw_gen_syncookie_ipv6", INT, (IPV6HDR, RMEM, SIZE0), "GP"),
    Signature(206, "tcp_raw_check_syncookie_ipv4", INT, (IPHDR, TCPHDR), "GP"),
    Signature(207, "tcp_raw_check_syncookie_ipv6", INT, (IPV6HDR, TCPHDR), "GP"),
    Signature(208, "ktime_get_tai_ns", INT),
    Signature(209, "user_ringbuf_drain", INT, (MAP, FUNC, STACK_OR_NULL, ANY)),
    Signature(210, "cgrp_storage_get", R_VALUE_OR_NULL, (MAP, CGROUP_OR_NULL, VALUE_OR_NULL, ANY)),
    Signature(211, "cgrp_storage_delete", INT, (MAP, CGROUP_OR_NULL)),
)

_TC_AND_LWT: Final = (
    ProgType.SCHED_CLS,
    ProgType.SCHED_ACT,
    ProgType.LWT_IN,
    ProgType.LWT_OUT,
    ProgType.LWT_XMIT,
    ProgType.LWT_SEG6LOCAL,
)
_BY_SOCK: Final = (ProgType.CGROUP_SOCKOPT, ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS)
_BTF_TARGET: Final = (ProgType.TRACING, ProgType.LSM, ProgType.SYSCALL)

# helper -> the arguments it takes in these program types instead
VARIANTS: Final[dict[str, dict[ProgType, tuple[Arg, ...]]]] = {
    # everywhere else it is the current task's class
    "get_cgroup_classid": dict.fromkeys(_TC_AND_LWT, (CTX,)),
    "get_socket_cookie": dict.fromkeys((*_BTF_TARGET, ProgType.SK_REUSEPORT), (SOCK_OR_NULL,)),
    "setsockopt": dict.fromkeys(_BY_SOCK, (SOCK, ANY, ANY, RMEM, SIZE)),
    "getsockopt": dict.fromkeys(_BY_SOCK, (SOCK, ANY, ANY, UMEM, SIZE)),
    "sk_storage_get": {
        ProgType.CGROUP_SOCK: (MAP, CTX, VALUE_OR_NULL, ANY),
        ProgType.TRACING: (MAP, _btf_or_null("sock_common"), VALUE_OR_NULL, ANY),
        ProgType.LSM: (MAP, _btf_or_null("sock_common"), VALUE_OR_NULL, ANY),
    },
    "sk_storage_delete": dict.fromkeys((ProgType.TRACING, ProgType.LSM), (MAP, _btf_or_null("sock_common"))),
    "sk_assign": {ProgType.SK_LOOKUP: (CTX, SOCKET_OR_NULL, ANY)},
    "xdp_get_buff_len": dict.fromkeys(_BTF_TARGET, (_btf("xdp_buff"),)),
}
