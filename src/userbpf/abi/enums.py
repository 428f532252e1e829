"""Enums, generated from the BTF of Linux 6.18 by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from enum import IntEnum


class Cmd(IntEnum):
    """enum bpf_cmd"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return CMD_C_NAMES[self]

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_ATTACH = 8
    PROG_DETACH = 9
    PROG_TEST_RUN = 10
    PROG_RUN = 10
    PROG_GET_NEXT_ID = 11
    MAP_GET_NEXT_ID = 12
    PROG_GET_FD_BY_ID = 13
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO_BY_FD = 15
    PROG_QUERY = 16
    RAW_TRACEPOINT_OPEN = 17
    BTF_LOAD = 18
    BTF_GET_FD_BY_ID = 19
    TASK_FD_QUERY = 20
    MAP_LOOKUP_AND_DELETE_ELEM = 21
    MAP_FREEZE = 22
    BTF_GET_NEXT_ID = 23
    MAP_LOOKUP_BATCH = 24
    MAP_LOOKUP_AND_DELETE_BATCH = 25
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    LINK_CREATE = 28
    LINK_UPDATE = 29
    LINK_GET_FD_BY_ID = 30
    LINK_GET_NEXT_ID = 31
    ENABLE_STATS = 32
    ITER_CREATE = 33
    LINK_DETACH = 34
    PROG_BIND_MAP = 35
    TOKEN_CREATE = 36
    PROG_STREAM_READ_BY_FD = 37


CMD_C_NAMES = {
    Cmd.MAP_CREATE: "BPF_MAP_CREATE",
    Cmd.MAP_LOOKUP_ELEM: "BPF_MAP_LOOKUP_ELEM",
    Cmd.MAP_UPDATE_ELEM: "BPF_MAP_UPDATE_ELEM",
    Cmd.MAP_DELETE_ELEM: "BPF_MAP_DELETE_ELEM",
    Cmd.MAP_GET_NEXT_KEY: "BPF_MAP_GET_NEXT_KEY",
    Cmd.PROG_LOAD: "BPF_PROG_LOAD",
    Cmd.OBJ_PIN: "BPF_OBJ_PIN",
    Cmd.OBJ_GET: "BPF_OBJ_GET",
    Cmd.PROG_ATTACH: "BPF_PROG_ATTACH",
    Cmd.PROG_DETACH: "BPF_PROG_DETACH",
    Cmd.PROG_TEST_RUN: "BPF_PROG_TEST_RUN",
    Cmd.PROG_GET_NEXT_ID: "BPF_PROG_GET_NEXT_ID",
    Cmd.MAP_GET_NEXT_ID: "BPF_MAP_GET_NEXT_ID",
    Cmd.PROG_GET_FD_BY_ID: "BPF_PROG_GET_FD_BY_ID",
    Cmd.MAP_GET_FD_BY_ID: "BPF_MAP_GET_FD_BY_ID",
    Cmd.OBJ_GET_INFO_BY_FD: "BPF_OBJ_GET_INFO_BY_FD",
    Cmd.PROG_QUERY: "BPF_PROG_QUERY",
    Cmd.RAW_TRACEPOINT_OPEN: "BPF_RAW_TRACEPOINT_OPEN",
    Cmd.BTF_LOAD: "BPF_BTF_LOAD",
    Cmd.BTF_GET_FD_BY_ID: "BPF_BTF_GET_FD_BY_ID",
    Cmd.TASK_FD_QUERY: "BPF_TASK_FD_QUERY",
    Cmd.MAP_LOOKUP_AND_DELETE_ELEM: "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    Cmd.MAP_FREEZE: "BPF_MAP_FREEZE",
    Cmd.BTF_GET_NEXT_ID: "BPF_BTF_GET_NEXT_ID",
    Cmd.MAP_LOOKUP_BATCH: "BPF_MAP_LOOKUP_BATCH",
    Cmd.MAP_LOOKUP_AND_DELETE_BATCH: "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    Cmd.MAP_UPDATE_BATCH: "BPF_MAP_UPDATE_BATCH",
    Cmd.MAP_DELETE_BATCH: "BPF_MAP_DELETE_BATCH",
    Cmd.LINK_CREATE: "BPF_LINK_CREATE",
    Cmd.LINK_UPDATE: "BPF_LINK_UPDATE",
    Cmd.LINK_GET_FD_BY_ID: "BPF_LINK_GET_FD_BY_ID",
    Cmd.LINK_GET_NEXT_ID: "BPF_LINK_GET_NEXT_ID",
    Cmd.ENABLE_STATS: "BPF_ENABLE_STATS",
    Cmd.ITER_CREATE: "BPF_ITER_CREATE",
    Cmd.LINK_DETACH: "BPF_LINK_DETACH",
    Cmd.PROG_BIND_MAP: "BPF_PROG_BIND_MAP",
    Cmd.TOKEN_CREATE: "BPF_TOKEN_CREATE",
    Cmd.PROG_STREAM_READ_BY_FD: "BPF_PROG_STREAM_READ_BY_FD",
}


class MapType(IntEnum):
    """enum bpf_map_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return MAPTYPE_C_NAMES[self]

    UNSPEC = 0
    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    STACK_TRACE = 7
    CGROUP_ARRAY = 8
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    HASH_OF_MAPS = 13
    DEVMAP = 14
    SOCKMAP = 15
    CPUMAP = 16
    XSKMAP = 17
    SOCKHASH = 18
    CGROUP_STORAGE_DEPRECATED = 19
    CGROUP_STORAGE = 19
    REUSEPORT_SOCKARRAY = 20
    PERCPU_CGROUP_STORAGE_DEPRECATED = 21
    PERCPU_CGROUP_STORAGE = 21
    QUEUE = 22
    STACK = 23
    SK_STORAGE = 24
    DEVMAP_HASH = 25
    STRUCT_OPS = 26
    RINGBUF = 27
    INODE_STORAGE = 28
    TASK_STORAGE = 29
    BLOOM_FILTER = 30
    USER_RINGBUF = 31
    CGRP_STORAGE = 32
    ARENA = 33


MAPTYPE_C_NAMES = {
    MapType.UNSPEC: "BPF_MAP_TYPE_UNSPEC",
    MapType.HASH: "BPF_MAP_TYPE_HASH",
    MapType.ARRAY: "BPF_MAP_TYPE_ARRAY",
    MapType.PROG_ARRAY: "BPF_MAP_TYPE_PROG_ARRAY",
    MapType.PERF_EVENT_ARRAY: "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    MapType.PERCPU_HASH: "BPF_MAP_TYPE_PERCPU_HASH",
    MapType.PERCPU_ARRAY: "BPF_MAP_TYPE_PERCPU_ARRAY",
    MapType.STACK_TRACE: "BPF_MAP_TYPE_STACK_TRACE",
    MapType.CGROUP_ARRAY: "BPF_MAP_TYPE_CGROUP_ARRAY",
    MapType.LRU_HASH: "BPF_MAP_TYPE_LRU_HASH",
    MapType.LRU_PERCPU_HASH: "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    MapType.LPM_TRIE: "BPF_MAP_TYPE_LPM_TRIE",
    MapType.ARRAY_OF_MAPS: "BPF_MAP_TYPE_ARRAY_OF_MAPS",
    MapType.HASH_OF_MAPS: "BPF_MAP_TYPE_HASH_OF_MAPS",
    MapType.DEVMAP: "BPF_MAP_TYPE_DEVMAP",
    MapType.SOCKMAP: "BPF_MAP_TYPE_SOCKMAP",
    MapType.CPUMAP: "BPF_MAP_TYPE_CPUMAP",
    MapType.XSKMAP: "BPF_MAP_TYPE_XSKMAP",
    MapType.SOCKHASH: "BPF_MAP_TYPE_SOCKHASH",
    MapType.CGROUP_STORAGE_DEPRECATED: "BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED",
    MapType.REUSEPORT_SOCKARRAY: "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
    MapType.PERCPU_CGROUP_STORAGE_DEPRECATED: "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED",
    MapType.QUEUE: "BPF_MAP_TYPE_QUEUE",
    MapType.STACK: "BPF_MAP_TYPE_STACK",
    MapType.SK_STORAGE: "BPF_MAP_TYPE_SK_STORAGE",
    MapType.DEVMAP_HASH: "BPF_MAP_TYPE_DEVMAP_HASH",
    MapType.STRUCT_OPS: "BPF_MAP_TYPE_STRUCT_OPS",
    MapType.RINGBUF: "BPF_MAP_TYPE_RINGBUF",
    MapType.INODE_STORAGE: "BPF_MAP_TYPE_INODE_STORAGE",
    MapType.TASK_STORAGE: "BPF_MAP_TYPE_TASK_STORAGE",
    MapType.BLOOM_FILTER: "BPF_MAP_TYPE_BLOOM_FILTER",
    MapType.USER_RINGBUF: "BPF_MAP_TYPE_USER_RINGBUF",
    MapType.CGRP_STORAGE: "BPF_MAP_TYPE_CGRP_STORAGE",
    MapType.ARENA: "BPF_MAP_TYPE_ARENA",
}


class ProgType(IntEnum):
    """enum bpf_prog_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return PROGTYPE_C_NAMES[self]

    UNSPEC = 0
    SOCKET_FILTER = 1
    KPROBE = 2
    SCHED_CLS = 3
    SCHED_ACT = 4
    TRACEPOINT = 5
    XDP = 6
    PERF_EVENT = 7
    CGROUP_SKB = 8
    CGROUP_SOCK = 9
    LWT_IN = 10
    LWT_OUT = 11
    LWT_XMIT = 12
    SOCK_OPS = 13
    SK_SKB = 14
    CGROUP_DEVICE = 15
    SK_MSG = 16
    RAW_TRACEPOINT = 17
    CGROUP_SOCK_ADDR = 18
    LWT_SEG6LOCAL = 19
    LIRC_MODE2 = 20
    SK_REUSEPORT = 21
    FLOW_DISSECTOR = 22
    CGROUP_SYSCTL = 23
    RAW_TRACEPOINT_WRITABLE = 24
    CGROUP_SOCKOPT = 25
    TRACING = 26
    STRUCT_OPS = 27
    EXT = 28
    LSM = 29
    SK_LOOKUP = 30
    SYSCALL = 31
    NETFILTER = 32


PROGTYPE_C_NAMES = {
    ProgType.UNSPEC: "BPF_PROG_TYPE_UNSPEC",
    ProgType.SOCKET_FILTER: "BPF_PROG_TYPE_SOCKET_FILTER",
    ProgType.KPROBE: "BPF_PROG_TYPE_KPROBE",
    ProgType.SCHED_CLS: "BPF_PROG_TYPE_SCHED_CLS",
    ProgType.SCHED_ACT: "BPF_PROG_TYPE_SCHED_ACT",
    ProgType.TRACEPOINT: "BPF_PROG_TYPE_TRACEPOINT",
    ProgType.XDP: "BPF_PROG_TYPE_XDP",
    ProgType.PERF_EVENT: "BPF_PROG_TYPE_PERF_EVENT",
    ProgType.CGROUP_SKB: "BPF_PROG_TYPE_CGROUP_SKB",
    ProgType.CGROUP_SOCK: "BPF_PROG_TYPE_CGROUP_SOCK",
    ProgType.LWT_IN: "BPF_PROG_TYPE_LWT_IN",
    ProgType.LWT_OUT: "BPF_PROG_TYPE_LWT_OUT",
    ProgType.LWT_XMIT: "BPF_PROG_TYPE_LWT_XMIT",
    ProgType.SOCK_OPS: "BPF_PROG_TYPE_SOCK_OPS",
    ProgType.SK_SKB: "BPF_PROG_TYPE_SK_SKB",
    ProgType.CGROUP_DEVICE: "BPF_PROG_TYPE_CGROUP_DEVICE",
    ProgType.SK_MSG: "BPF_PROG_TYPE_SK_MSG",
    ProgType.RAW_TRACEPOINT: "BPF_PROG_TYPE_RAW_TRACEPOINT",
    ProgType.CGROUP_SOCK_ADDR: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
    ProgType.LWT_SEG6LOCAL: "BPF_PROG_TYPE_LWT_SEG6LOCAL",
    ProgType.LIRC_MODE2: "BPF_PROG_TYPE_LIRC_MODE2",
    ProgType.SK_REUSEPORT: "BPF_PROG_TYPE_SK_REUSEPORT",
    ProgType.FLOW_DISSECTOR: "BPF_PROG_TYPE_FLOW_DISSECTOR",
    ProgType.CGROUP_SYSCTL: "BPF_PROG_TYPE_CGROUP_SYSCTL",
    ProgType.RAW_TRACEPOINT_WRITABLE: "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
    ProgType.CGROUP_SOCKOPT: "BPF_PROG_TYPE_CGROUP_SOCKOPT",
    ProgType.TRACING: "BPF_PROG_TYPE_TRACING",
    ProgType.STRUCT_OPS: "BPF_PROG_TYPE_STRUCT_OPS",
    ProgType.EXT: "BPF_PROG_TYPE_EXT",
    ProgType.LSM: "BPF_PROG_TYPE_LSM",
    ProgType.SK_LOOKUP: "BPF_PROG_TYPE_SK_LOOKUP",
    ProgType.SYSCALL: "BPF_PROG_TYPE_SYSCALL",
    ProgType.NETFILTER: "BPF_PROG_TYPE_NETFILTER",
}


class AttachType(IntEnum):
    """enum bpf_attach_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return ATTACHTYPE_C_NAMES[self]

    CGROUP_INET_INGRESS = 0
    CGROUP_INET_EGRESS = 1
    CGROUP_INET_SOCK_CREATE = 2
    CGROUP_SOCK_OPS = 3
    SK_SKB_STREAM_PARSER = 4
    SK_SKB_STREAM_VERDICT = 5
    CGROUP_DEVICE = 6
    SK_MSG_VERDICT = 7
    CGROUP_INET4_BIND = 8
    CGROUP_INET6_BIND = 9
    CGROUP_INET4_CONNECT = 10
    CGROUP_INET6_CONNECT = 11
    CGROUP_INET4_POST_BIND = 12
    CGROUP_INET6_POST_BIND = 13
    CGROUP_UDP4_SENDMSG = 14
    CGROUP_UDP6_SENDMSG = 15
    LIRC_MODE2 = 16
    FLOW_DISSECTOR = 17
    CGROUP_SYSCTL = 18
    CGROUP_UDP4_RECVMSG = 19
    CGROUP_UDP6_RECVMSG = 20
    CGROUP_GETSOCKOPT = 21
    CGROUP_SETSOCKOPT = 22
    TRACE_RAW_TP = 23
    TRACE_FENTRY = 24
    TRACE_FEXIT = 25
    MODIFY_RETURN = 26
    LSM_MAC = 27
    TRACE_ITER = 28
    CGROUP_INET4_GETPEERNAME = 29
    CGROUP_INET6_GETPEERNAME = 30
    CGROUP_INET4_GETSOCKNAME = 31
    CGROUP_INET6_GETSOCKNAME = 32
    XDP_DEVMAP = 33
    CGROUP_INET_SOCK_RELEASE = 34
    XDP_CPUMAP = 35
    SK_LOOKUP = 36
    XDP = 37
    SK_SKB_VERDICT = 38
    SK_REUSEPORT_SELECT = 39
    SK_REUSEPORT_SELECT_OR_MIGRATE = 40
    PERF_EVENT = 41
    TRACE_KPROBE_MULTI = 42
    LSM_CGROUP = 43
    STRUCT_OPS = 44
    NETFILTER = 45
    TCX_INGRESS = 46
    TCX_EGRESS = 47
    TRACE_UPROBE_MULTI = 48
    CGROUP_UNIX_CONNECT = 49
    CGROUP_UNIX_SENDMSG = 50
    CGROUP_UNIX_RECVMSG = 51
    CGROUP_UNIX_GETPEERNAME = 52
    CGROUP_UNIX_GETSOCKNAME = 53
    NETKIT_PRIMARY = 54
    NETKIT_PEER = 55
    TRACE_KPROBE_SESSION = 56
    TRACE_UPROBE_SESSION = 57


ATTACHTYPE_C_NAMES = {
    AttachType.CGROUP_INET_INGRESS: "BPF_CGROUP_INET_INGRESS",
    AttachType.CGROUP_INET_EGRESS: "BPF_CGROUP_INET_EGRESS",
    AttachType.CGROUP_INET_SOCK_CREATE: "BPF_CGROUP_INET_SOCK_CREATE",
    AttachType.CGROUP_SOCK_OPS: "BPF_CGROUP_SOCK_OPS",
    AttachType.SK_SKB_STREAM_PARSER: "BPF_SK_SKB_STREAM_PARSER",
    AttachType.SK_SKB_STREAM_VERDICT: "BPF_SK_SKB_STREAM_VERDICT",
    AttachType.CGROUP_DEVICE: "BPF_CGROUP_DEVICE",
    AttachType.SK_MSG_VERDICT: "BPF_SK_MSG_VERDICT",
    AttachType.CGROUP_INET4_BIND: "BPF_CGROUP_INET4_BIND",
    AttachType.CGROUP_INET6_BIND: "BPF_CGROUP_INET6_BIND",
    AttachType.CGROUP_INET4_CONNECT: "BPF_CGROUP_INET4_CONNECT",
    AttachType.CGROUP_INET6_CONNECT: "BPF_CGROUP_INET6_CONNECT",
    AttachType.CGROUP_INET4_POST_BIND: "BPF_CGROUP_INET4_POST_BIND",
    AttachType.CGROUP_INET6_POST_BIND: "BPF_CGROUP_INET6_POST_BIND",
    AttachType.CGROUP_UDP4_SENDMSG: "BPF_CGROUP_UDP4_SENDMSG",
    AttachType.CGROUP_UDP6_SENDMSG: "BPF_CGROUP_UDP6_SENDMSG",
    AttachType.LIRC_MODE2: "BPF_LIRC_MODE2",
    AttachType.FLOW_DISSECTOR: "BPF_FLOW_DISSECTOR",
    AttachType.CGROUP_SYSCTL: "BPF_CGROUP_SYSCTL",
    AttachType.CGROUP_UDP4_RECVMSG: "BPF_CGROUP_UDP4_RECVMSG",
    AttachType.CGROUP_UDP6_RECVMSG: "BPF_CGROUP_UDP6_RECVMSG",
    AttachType.CGROUP_GETSOCKOPT: "BPF_CGROUP_GETSOCKOPT",
    AttachType.CGROUP_SETSOCKOPT: "BPF_CGROUP_SETSOCKOPT",
    AttachType.TRACE_RAW_TP: "BPF_TRACE_RAW_TP",
    AttachType.TRACE_FENTRY: "BPF_TRACE_FENTRY",
    AttachType.TRACE_FEXIT: "BPF_TRACE_FEXIT",
    AttachType.MODIFY_RETURN: "BPF_MODIFY_RETURN",
    AttachType.LSM_MAC: "BPF_LSM_MAC",
    AttachType.TRACE_ITER: "BPF_TRACE_ITER",
    AttachType.CGROUP_INET4_GETPEERNAME: "BPF_CGROUP_INET4_GETPEERNAME",
    AttachType.CGROUP_INET6_GETPEERNAME: "BPF_CGROUP_INET6_GETPEERNAME",
    AttachType.CGROUP_INET4_GETSOCKNAME: "BPF_CGROUP_INET4_GETSOCKNAME",
    AttachType.CGROUP_INET6_GETSOCKNAME: "BPF_CGROUP_INET6_GETSOCKNAME",
    AttachType.XDP_DEVMAP: "BPF_XDP_DEVMAP",
    AttachType.CGROUP_INET_SOCK_RELEASE: "BPF_CGROUP_INET_SOCK_RELEASE",
    AttachType.XDP_CPUMAP: "BPF_XDP_CPUMAP",
    AttachType.SK_LOOKUP: "BPF_SK_LOOKUP",
    AttachType.XDP: "BPF_XDP",
    AttachType.SK_SKB_VERDICT: "BPF_SK_SKB_VERDICT",
    AttachType.SK_REUSEPORT_SELECT: "BPF_SK_REUSEPORT_SELECT",
    AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE: "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE",
    AttachType.PERF_EVENT: "BPF_PERF_EVENT",
    AttachType.TRACE_KPROBE_MULTI: "BPF_TRACE_KPROBE_MULTI",
    AttachType.LSM_CGROUP: "BPF_LSM_CGROUP",
    AttachType.STRUCT_OPS: "BPF_STRUCT_OPS",
    AttachType.NETFILTER: "BPF_NETFILTER",
    AttachType.TCX_INGRESS: "BPF_TCX_INGRESS",
    AttachType.TCX_EGRESS: "BPF_TCX_EGRESS",
    AttachType.TRACE_UPROBE_MULTI: "BPF_TRACE_UPROBE_MULTI",
    AttachType.CGROUP_UNIX_CONNECT: "BPF_CGROUP_UNIX_CONNECT",
    AttachType.CGROUP_UNIX_SENDMSG: "BPF_CGROUP_UNIX_SENDMSG",
    AttachType.CGROUP_UNIX_RECVMSG: "BPF_CGROUP_UNIX_RECVMSG",
    AttachType.CGROUP_UNIX_GETPEERNAME: "BPF_CGROUP_UNIX_GETPEERNAME",
    AttachType.CGROUP_UNIX_GETSOCKNAME: "BPF_CGROUP_UNIX_GETSOCKNAME",
    AttachType.NETKIT_PRIMARY: "BPF_NETKIT_PRIMARY",
    AttachType.NETKIT_PEER: "BPF_NETKIT_PEER",
    AttachType.TRACE_KPROBE_SESSION: "BPF_TRACE_KPROBE_SESSION",
    AttachType.TRACE_UPROBE_SESSION: "BPF_TRACE_UPROBE_SESSION",
}


class LinkType(IntEnum):
    """enum bpf_link_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return LINKTYPE_C_NAMES[self]

    UNSPEC = 0
    RAW_TRACEPOINT = 1
    TRACING = 2
    CGROUP = 3
    ITER = 4
    NETNS = 5
    XDP = 6
    PERF_EVENT = 7
    KPROBE_MULTI = 8
    STRUCT_OPS = 9
    NETFILTER = 10
    TCX = 11
    UPROBE_MULTI = 12
    NETKIT = 13
    SOCKMAP = 14


LINKTYPE_C_NAMES = {
    LinkType.UNSPEC: "BPF_LINK_TYPE_UNSPEC",
    LinkType.RAW_TRACEPOINT: "BPF_LINK_TYPE_RAW_TRACEPOINT",
    LinkType.TRACING: "BPF_LINK_TYPE_TRACING",
    LinkType.CGROUP: "BPF_LINK_TYPE_CGROUP",
    LinkType.ITER: "BPF_LINK_TYPE_ITER",
    LinkType.NETNS: "BPF_LINK_TYPE_NETNS",
    LinkType.XDP: "BPF_LINK_TYPE_XDP",
    LinkType.PERF_EVENT: "BPF_LINK_TYPE_PERF_EVENT",
    LinkType.KPROBE_MULTI: "BPF_LINK_TYPE_KPROBE_MULTI",
    LinkType.STRUCT_OPS: "BPF_LINK_TYPE_STRUCT_OPS",
    LinkType.NETFILTER: "BPF_LINK_TYPE_NETFILTER",
    LinkType.TCX: "BPF_LINK_TYPE_TCX",
    LinkType.UPROBE_MULTI: "BPF_LINK_TYPE_UPROBE_MULTI",
    LinkType.NETKIT: "BPF_LINK_TYPE_NETKIT",
    LinkType.SOCKMAP: "BPF_LINK_TYPE_SOCKMAP",
}


class HelperId(IntEnum):
    """enum bpf_func_id"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return HELPERID_C_NAMES[self]

    unspec = 0
    map_lookup_elem = 1
    map_update_elem = 2
    map_delete_elem = 3
    probe_read = 4
    ktime_get_ns = 5
    trace_printk = 6
    get_prandom_u32 = 7
    get_smp_processor_id = 8
    skb_store_bytes = 9
    l3_csum_replace = 10
    l4_csum_replace = 11
    tail_call = 12
    clone_redirect = 13
    get_current_pid_tgid = 14
    get_current_uid_gid = 15
    get_current_comm = 16
    get_cgroup_classid = 17
    skb_vlan_push = 18
    skb_vlan_pop = 19
    skb_get_tunnel_key = 20
    skb_set_tunnel_key = 21
    perf_event_read = 22
    redirect = 23
    get_route_realm = 24
    perf_event_output = 25
    skb_load_bytes = 26
    get_stackid = 27
    csum_diff = 28
    skb_get_tunnel_opt = 29
    skb_set_tunnel_opt = 30
    skb_change_proto = 31
    skb_change_type = 32
    skb_under_cgroup = 33
    get_hash_recalc = 34
    get_current_task = 35
    probe_write_user = 36
    current_task_under_cgroup = 37
    skb_change_tail = 38
    skb_pull_data = 39
    csum_update = 40
    set_hash_invalid = 41
    get_numa_node_id = 42
    skb_change_head = 43
    xdp_adjust_head = 44
    probe_read_str = 45
    get_socket_cookie = 46
    get_socket_uid = 47
    set_hash = 48
    setsockopt = 49
    skb_adjust_room = 50
    redirect_map = 51
    sk_redirect_map = 52
    sock_map_update = 53
    xdp_adjust_meta = 54
    perf_event_read_value = 55
    perf_prog_read_value = 56
    getsockopt = 57
    override_return = 58
    sock_ops_cb_flags_set = 59
    msg_redirect_map = 60
    msg_apply_bytes = 61
    msg_cork_bytes = 62
    msg_pull_data = 63
    bind = 64
    xdp_adjust_tail = 65
    skb_get_xfrm_state = 66
    get_stack = 67
    skb_load_bytes_relative = 68
    fib_lookup = 69
    sock_hash_update = 70
    msg_redirect_hash = 71
    sk_redirect_hash = 72
    lwt_push_encap = 73
    lwt_seg6_store_bytes = 74
    lwt_seg6_adjust_srh = 75
    lwt_seg6_action = 76
    rc_repeat = 77
    rc_keydown = 78
    skb_cgroup_id = 79
    get_current_cgroup_id = 80
    get_local_storage = 81
    sk_select_reuseport = 82
    skb_ancestor_cgroup_id = 83
    sk_lookup_tcp = 84
    sk_lookup_udp = 85
    sk_release = 86
    map_push_elem = 87
    map_pop_elem = 88
    map_peek_elem = 89
    msg_push_data = 90
    msg_pop_data = 91
    rc_pointer_rel = 92
    spin_lock = 93
    spin_unlock = 94
    sk_fullsock = 95
    tcp_sock = 96
    skb_ecn_set_ce = 97
    get_listener_sock = 98
    skc_lookup_tcp = 99
    tcp_check_syncookie = 100
    sysctl_get_name = 101
    sysctl_get_current_value = 102
    sysctl_get_new_value = 103
    sysctl_set_new_value = 104
    strtol = 105
    strtoul = 106
    sk_storage_get = 107
    sk_storage_delete = 108
    send_signal = 109
    tcp_gen_syncookie = 110
    skb_output = 111
    probe_read_user = 112
    probe_read_kernel = 113
    probe_read_user_str = 114
    probe_read_kernel_str = 115
    tcp_send_ack = 116
    send_signal_thread = 117
    jiffies64 = 118
    read_branch_records = 119
    get_ns_current_pid_tgid = 120
    xdp_output = 121
    get_netns_cookie = 122
    get_current_ancestor_cgroup_id = 123
    sk_assign = 124
    ktime_get_boot_ns = 125
    seq_printf = 126
    seq_write = 127
    sk_cgroup_id = 128
    sk_ancestor_cgroup_id = 129
    ringbuf_output = 130
    ringbuf_reserve = 131
    ringbuf_submit = 132
    ringbuf_discard = 133
    ringbuf_query = 134
    csum_level = 135
    skc_to_tcp6_sock = 136
    skc_to_tcp_sock = 137
    skc_to_tcp_timewait_sock = 138
    skc_to_tcp_request_sock = 139
    skc_to_udp6_sock = 140
    get_task_stack = 141
    load_hdr_opt = 142
    store_hdr_opt = 143
    reserve_hdr_opt = 144
    inode_storage_get = 145
    inode_storage_delete = 146
    d_path = 147
    copy_from_user = 148
    snprintf_btf = 149
    seq_printf_btf = 150
    skb_cgroup_classid = 151
    redirect_neigh = 152
    per_cpu_ptr = 153
    this_cpu_ptr = 154
    redirect_peer = 155
    task_storage_get = 156
    task_storage_delete = 157
    get_current_task_btf = 158
    bprm_opts_set = 159
    ktime_get_coarse_ns = 160
    ima_inode_hash = 161
    sock_from_file = 162
    check_mtu = 163
    for_each_map_elem = 164
    snprintf = 165
    sys_bpf = 166
    btf_find_by_name_kind = 167
    sys_close = 168
    timer_init = 169
    timer_set_callback = 170
    timer_start = 171
    timer_cancel = 172
    get_func_ip = 173
    get_attach_cookie = 174
    task_pt_regs = 175
    get_branch_snapshot = 176
    trace_vprintk = 177
    skc_to_unix_sock = 178
    kallsyms_lookup_name = 179
    find_vma = 180
    loop = 181
    strncmp = 182
    get_func_arg = 183
    get_func_ret = 184
    get_func_arg_cnt = 185
    get_retval = 186
    set_retval = 187
    xdp_get_buff_len = 188
    xdp_load_bytes = 189
    xdp_store_bytes = 190
    copy_from_user_task = 191
    skb_set_tstamp = 192
    ima_file_hash = 193
    kptr_xchg = 194
    map_lookup_percpu_elem = 195
    skc_to_mptcp_sock = 196
    dynptr_from_mem = 197
    ringbuf_reserve_dynptr = 198
    ringbuf_submit_dynptr = 199
    ringbuf_discard_dynptr = 200
    dynptr_read = 201
    dynptr_write = 202
    dynptr_data = 203
    tcp_raw_gen_syncookie_ipv4 = 204
    tcp_raw_gen_syncookie_ipv6 = 205
    tcp_raw_check_syncookie_ipv4 = 206
    tcp_raw_check_syncookie_ipv6 = 207
    ktime_get_tai_ns = 208
    user_ringbuf_drain = 209
    cgrp_storage_get = 210
    cgrp_storage_delete = 211


HELPERID_C_NAMES = {
    HelperId.unspec: "BPF_FUNC_unspec",
    HelperId.map_lookup_elem: "BPF_FUNC_map_lookup_elem",
    HelperId.map_update_elem: "BPF_FUNC_map_update_elem",
    HelperId.map_delete_elem: "BPF_FUNC_map_delete_elem",
    HelperId.probe_read: "BPF_FUNC_probe_read",
    HelperId.ktime_get_ns: "BPF_FUNC_ktime_get_ns",
    HelperId.trace_printk: "BPF_FUNC_trace_printk",
    HelperId.get_prandom_u32: "BPF_FUNC_get_prandom_u32",
    HelperId.get_smp_processor_id: "BPF_FUNC_get_smp_processor_id",
    HelperId.skb_store_bytes: "BPF_FUNC_skb_store_bytes",
    HelperId.l3_csum_replace: "BPF_FUNC_l3_csum_replace",
    HelperId.l4_csum_replace: "BPF_FUNC_l4_csum_replace",
    HelperId.tail_call: "BPF_FUNC_tail_call",
    HelperId.clone_redirect: "BPF_FUNC_clone_redirect",
    HelperId.get_current_pid_tgid: "BPF_FUNC_get_current_pid_tgid",
    HelperId.get_current_uid_gid: "BPF_FUNC_get_current_uid_gid",
    HelperId.get_current_comm: "BPF_FUNC_get_current_comm",
    HelperId.get_cgroup_classid: "BPF_FUNC_get_cgroup_classid",
    HelperId.skb_vlan_push: "BPF_FUNC_skb_vlan_push",
    HelperId.skb_vlan_pop: "BPF_FUNC_skb_vlan_pop",
    HelperId.skb_get_tunnel_key: "BPF_FUNC_skb_get_tunnel_key",
    HelperId.skb_set_tunnel_key: "BPF_FUNC_skb_set_tunnel_key",
    HelperId.perf_event_read: "BPF_FUNC_perf_event_read",
    HelperId.redirect: "BPF_FUNC_redirect",
    HelperId.get_route_realm: "BPF_FUNC_get_route_realm",
    HelperId.perf_event_output: "BPF_FUNC_perf_event_output",
    HelperId.skb_load_bytes: "BPF_FUNC_skb_load_bytes",
    HelperId.get_stackid: "BPF_FUNC_get_stackid",
    HelperId.csum_diff: "BPF_FUNC_csum_diff",
    HelperId.skb_get_tunnel_opt: "BPF_FUNC_skb_get_tunnel_opt",
    HelperId.skb_set_tunnel_opt: "BPF_FUNC_skb_set_tunnel_opt",
    HelperId.skb_change_proto: "BPF_FUNC_skb_change_proto",
    HelperId.skb_change_type: "BPF_FUNC_skb_change_type",
    HelperId.skb_under_cgroup: "BPF_FUNC_skb_under_cgroup",
    HelperId.get_hash_recalc: "BPF_FUNC_get_hash_recalc",
    HelperId.get_current_task: "BPF_FUNC_get_current_task",
    HelperId.probe_write_user: "BPF_FUNC_probe_write_user",
    HelperId.current_task_under_cgroup: "BPF_FUNC_current_task_under_cgroup",
    HelperId.skb_change_tail: "BPF_FUNC_skb_change_tail",
    HelperId.skb_pull_data: "BPF_FUNC_skb_pull_data",
    HelperId.csum_update: "BPF_FUNC_csum_update",
    HelperId.set_hash_invalid: "BPF_FUNC_set_hash_invalid",
    HelperId.get_numa_node_id: "BPF_FUNC_get_numa_node_id",
    HelperId.skb_change_head: "BPF_FUNC_skb_change_head",
    HelperId.xdp_adjust_head: "BPF_FUNC_xdp_adjust_head",
    HelperId.probe_read_str: "BPF_FUNC_probe_read_str",
    HelperId.get_socket_cookie: "BPF_FUNC_get_socket_cookie",
    HelperId.get_socket_uid: "BPF_FUNC_get_socket_uid",
    HelperId.set_hash: "BPF_FUNC_set_hash",
    HelperId.setsockopt: "BPF_FUNC_setsockopt",
    HelperId.skb_adjust_room: "BPF_FUNC_skb_adjust_room",
    HelperId.redirect_map: "BPF_FUNC_redirect_map",
    HelperId.sk_redirect_map: "BPF_FUNC_sk_redirect_map",
    HelperId.sock_map_update: "BPF_FUNC_sock_map_update",
    HelperId.xdp_adjust_meta: "BPF_FUNC_xdp_adjust_meta",
    HelperId.perf_event_read_value: "BPF_FUNC_perf_event_read_value",
    HelperId.perf_prog_read_value: "BPF_FUNC_perf_prog_read_value",
    HelperId.getsockopt: "BPF_FUNC_getsockopt",
    HelperId.override_return: "BPF_FUNC_override_return",
    HelperId.sock_ops_cb_flags_set: "BPF_FUNC_sock_ops_cb_flags_set",
    HelperId.msg_redirect_map: "BPF_FUNC_msg_redirect_map",
    HelperId.msg_apply_bytes: "BPF_FUNC_msg_apply_bytes",
    HelperId.msg_cork_bytes: "BPF_FUNC_msg_cork_bytes",
    HelperId.msg_pull_data: "BPF_FUNC_msg_pull_data",
    HelperId.bind: "BPF_FUNC_bind",
    HelperId.xdp_adjust_tail: "BPF_FUNC_xdp_adjust_tail",
    HelperId.skb_get_xfrm_state: "BPF_FUNC_skb_get_xfrm_state",
    HelperId.get_stack: "BPF_FUNC_get_stack",
    HelperId.skb_load_bytes_relative: "BPF_FUNC_skb_load_bytes_relative",
    HelperId.fib_lookup: "BPF_FUNC_fib_lookup",
    HelperId.sock_hash_update: "BPF_FUNC_sock_hash_update",
    HelperId.msg_redirect_hash: "BPF_FUNC_msg_redirect_hash",
    HelperId.sk_redirect_hash: "BPF_FUNC_sk_redirect_hash",
    HelperId.lwt_push_encap: "BPF_FUNC_lwt_push_encap",
    HelperId.lwt_seg6_store_bytes: "BPF_FUNC_lwt_seg6_store_bytes",
    HelperId.lwt_seg6_adjust_srh: "BPF_FUNC_lwt_seg6_adjust_srh",
    HelperId.lwt_seg6_action: "BPF_FUNC_lwt_seg6_action",
    HelperId.rc_repeat: "BPF_FUNC_rc_repeat",
    HelperId.rc_keydown: "BPF_FUNC_rc_keydown",
    HelperId.skb_cgroup_id: "BPF_FUNC_skb_cgroup_id",
    HelperId.get_current_cgroup_id: "BPF_FUNC_get_current_cgroup_id",
    HelperId.get_local_storage: "BPF_FUNC_get_local_storage",
    HelperId.sk_select_reuseport: "BPF_FUNC_sk_select_reuseport",
    HelperId.skb_ancestor_cgroup_id: "BPF_FUNC_skb_ancestor_cgroup_id",
    HelperId.sk_lookup_tcp: "BPF_FUNC_sk_lookup_tcp",
    HelperId.sk_lookup_udp: "BPF_FUNC_sk_lookup_udp",
    HelperId.sk_release: "BPF_FUNC_sk_release",
    HelperId.map_push_elem: "BPF_FUNC_map_push_elem",
    HelperId.map_pop_elem: "BPF_FUNC_map_pop_elem",
    HelperId.map_peek_elem: "BPF_FUNC_map_peek_elem",
    HelperId.msg_push_data: "BPF_FUNC_msg_push_data",
    HelperId.msg_pop_data: "BPF_FUNC_msg_pop_data",
    HelperId.rc_pointer_rel: "BPF_FUNC_rc_pointer_rel",
    HelperId.spin_lock: "BPF_FUNC_spin_lock",
    HelperId.spin_unlock: "BPF_FUNC_spin_unlock",
    HelperId.sk_fullsock: "BPF_FUNC_sk_fullsock",
    HelperId.tcp_sock: "BPF_FUNC_tcp_sock",
    HelperId.skb_ecn_set_ce: "BPF_FUNC_skb_ecn_set_ce",
    HelperId.get_listener_sock: "BPF_FUNC_get_listener_sock",
    HelperId.skc_lookup_tcp: "BPF_FUNC_skc_lookup_tcp",
    HelperId.tcp_check_syncookie: "BPF_FUNC_tcp_check_syncookie",
    HelperId.sysctl_get_name: "BPF_FUNC_sysctl_get_name",
    HelperId.sysctl_get_current_value: "BPF_FUNC_sysctl_get_current_value",
    HelperId.sysctl_get_new_value: "BPF_FUNC_sysctl_get_new_value",
    HelperId.sysctl_set_new_value: "BPF_FUNC_sysctl_set_new_value",
    HelperId.strtol: "BPF_FUNC_strtol",
    HelperId.strtoul: "BPF_FUNC_strtoul",
    HelperId.sk_storage_get: "BPF_FUNC_sk_storage_get",
    HelperId.sk_storage_delete: "BPF_FUNC_sk_storage_delete",
    HelperId.send_signal: "BPF_FUNC_send_signal",
    HelperId.tcp_gen_syncookie: "BPF_FUNC_tcp_gen_syncookie",
    HelperId.skb_output: "BPF_FUNC_skb_output",
    HelperId.probe_read_user: "BPF_FUNC_probe_read_user",
    HelperId.probe_read_kernel: "BPF_FUNC_probe_read_kernel",
    HelperId.probe_read_user_str: "BPF_FUNC_probe_read_user_str",
    HelperId.probe_read_kernel_str: "BPF_FUNC_probe_read_kernel_str",
    HelperId.tcp_send_ack: "BPF_FUNC_tcp_send_ack",
    HelperId.send_signal_thread: "BPF_FUNC_send_signal_thread",
    HelperId.jiffies64: "BPF_FUNC_jiffies64",
    HelperId.read_branch_records: "BPF_FUNC_read_branch_records",
    HelperId.get_ns_current_pid_tgid: "BPF_FUNC_get_ns_current_pid_tgid",
    HelperId.xdp_output: "BPF_FUNC_xdp_output",
    HelperId.get_netns_cookie: "BPF_FUNC_get_netns_cookie",
    HelperId.get_current_ancestor_cgroup_id: "BPF_FUNC_get_current_ancestor_cgroup_id",
    HelperId.sk_assign: "BPF_FUNC_sk_assign",
    HelperId.ktime_get_boot_ns: "BPF_FUNC_ktime_get_boot_ns",
    HelperId.seq_printf: "BPF_FUNC_seq_printf",
    HelperId.seq_write: "BPF_FUNC_seq_write",
    HelperId.sk_cgroup_id: "BPF_FUNC_sk_cgroup_id",
    HelperId.sk_ancestor_cgroup_id: "BPF_FUNC_sk_ancestor_cgroup_id",
    HelperId.ringbuf_output: "BPF_FUNC_ringbuf_output",
    HelperId.ringbuf_reserve: "BPF_FUNC_ringbuf_reserve",
    HelperId.ringbuf_submit: "BPF_FUNC_ringbuf_submit",
    HelperId.ringbuf_discard: "BPF_FUNC_ringbuf_discard",
    HelperId.ringbuf_query: "BPF_FUNC_ringbuf_query",
    HelperId.csum_level: "BPF_FUNC_csum_level",
    HelperId.skc_to_tcp6_sock: "BPF_FUNC_skc_to_tcp6_sock",
    HelperId.skc_to_tcp_sock: "BPF_FUNC_skc_to_tcp_sock",
    HelperId.skc_to_tcp_timewait_sock: "BPF_FUNC_skc_to_tcp_timewait_sock",
    HelperId.skc_to_tcp_request_sock: "BPF_FUNC_skc_to_tcp_request_sock",
    HelperId.skc_to_udp6_sock: "BPF_FUNC_skc_to_udp6_sock",
    HelperId.get_task_stack: "BPF_FUNC_get_task_stack",
    HelperId.load_hdr_opt: "BPF_FUNC_load_hdr_opt",
    HelperId.store_hdr_opt: "BPF_FUNC_store_hdr_opt",
    HelperId.reserve_hdr_opt: "BPF_FUNC_reserve_hdr_opt",
    HelperId.inode_storage_get: "BPF_FUNC_inode_storage_get",
    HelperId.inode_storage_delete: "BPF_FUNC_inode_storage_delete",
    HelperId.d_path: "BPF_FUNC_d_path",
    HelperId.copy_from_user: "BPF_FUNC_copy_from_user",
    HelperId.snprintf_btf: "BPF_FUNC_snprintf_btf",
    HelperId.seq_printf_btf: "BPF_FUNC_seq_printf_btf",
    HelperId.skb_cgroup_classid: "BPF_FUNC_skb_cgroup_classid",
    HelperId.redirect_neigh: "BPF_FUNC_redirect_neigh",
    HelperId.per_cpu_ptr: "BPF_FUNC_per_cpu_ptr",
    HelperId.this_cpu_ptr: "BPF_FUNC_this_cpu_ptr",
    HelperId.redirect_peer: "BPF_FUNC_redirect_peer",
    HelperId.task_storage_get: "BPF_FUNC_task_storage_get",
    HelperId.task_storage_delete: "BPF_FUNC_task_storage_delete",
    HelperId.get_current_task_btf: "BPF_FUNC_get_current_task_btf",
    HelperId.bprm_opts_set: "BPF_FUNC_bprm_opts_set",
    HelperId.ktime_get_coarse_ns: "BPF_FUNC_ktime_get_coarse_ns",
    HelperId.ima_inode_hash: "BPF_FUNC_ima_inode_hash",
    HelperId.sock_from_file: "BPF_FUNC_sock_from_file",
    HelperId.check_mtu: "BPF_FUNC_check_mtu",
    HelperId.for_each_map_elem: "BPF_FUNC_for_each_map_elem",
    HelperId.snprintf: "BPF_FUNC_snprintf",
    HelperId.sys_bpf: "BPF_FUNC_sys_bpf",
    HelperId.btf_find_by_name_kind: "BPF_FUNC_btf_find_by_name_kind",
    HelperId.sys_close: "BPF_FUNC_sys_close",
    HelperId.timer_init: "BPF_FUNC_timer_init",
    HelperId.timer_set_callback: "BPF_FUNC_timer_set_callback",
    HelperId.timer_start: "BPF_FUNC_timer_start",
    HelperId.timer_cancel: "BPF_FUNC_timer_cancel",
    HelperId.get_func_ip: "BPF_FUNC_get_func_ip",
    HelperId.get_attach_cookie: "BPF_FUNC_get_attach_cookie",
    HelperId.task_pt_regs: "BPF_FUNC_task_pt_regs",
    HelperId.get_branch_snapshot: "BPF_FUNC_get_branch_snapshot",
    HelperId.trace_vprintk: "BPF_FUNC_trace_vprintk",
    HelperId.skc_to_unix_sock: "BPF_FUNC_skc_to_unix_sock",
    HelperId.kallsyms_lookup_name: "BPF_FUNC_kallsyms_lookup_name",
    HelperId.find_vma: "BPF_FUNC_find_vma",
    HelperId.loop: "BPF_FUNC_loop",
    HelperId.strncmp: "BPF_FUNC_strncmp",
    HelperId.get_func_arg: "BPF_FUNC_get_func_arg",
    HelperId.get_func_ret: "BPF_FUNC_get_func_ret",
    HelperId.get_func_arg_cnt: "BPF_FUNC_get_func_arg_cnt",
    HelperId.get_retval: "BPF_FUNC_get_retval",
    HelperId.set_retval: "BPF_FUNC_set_retval",
    HelperId.xdp_get_buff_len: "BPF_FUNC_xdp_get_buff_len",
    HelperId.xdp_load_bytes: "BPF_FUNC_xdp_load_bytes",
    HelperId.xdp_store_bytes: "BPF_FUNC_xdp_store_bytes",
    HelperId.copy_from_user_task: "BPF_FUNC_copy_from_user_task",
    HelperId.skb_set_tstamp: "BPF_FUNC_skb_set_tstamp",
    HelperId.ima_file_hash: "BPF_FUNC_ima_file_hash",
    HelperId.kptr_xchg: "BPF_FUNC_kptr_xchg",
    HelperId.map_lookup_percpu_elem: "BPF_FUNC_map_lookup_percpu_elem",
    HelperId.skc_to_mptcp_sock: "BPF_FUNC_skc_to_mptcp_sock",
    HelperId.dynptr_from_mem: "BPF_FUNC_dynptr_from_mem",
    HelperId.ringbuf_reserve_dynptr: "BPF_FUNC_ringbuf_reserve_dynptr",
    HelperId.ringbuf_submit_dynptr: "BPF_FUNC_ringbuf_submit_dynptr",
    HelperId.ringbuf_discard_dynptr: "BPF_FUNC_ringbuf_discard_dynptr",
    HelperId.dynptr_read: "BPF_FUNC_dynptr_read",
    HelperId.dynptr_write: "BPF_FUNC_dynptr_write",
    HelperId.dynptr_data: "BPF_FUNC_dynptr_data",
    HelperId.tcp_raw_gen_syncookie_ipv4: "BPF_FUNC_tcp_raw_gen_syncookie_ipv4",
    HelperId.tcp_raw_gen_syncookie_ipv6: "BPF_FUNC_tcp_raw_gen_syncookie_ipv6",
    HelperId.tcp_raw_check_syncookie_ipv4: "BPF_FUNC_tcp_raw_check_syncookie_ipv4",
    HelperId.tcp_raw_check_syncookie_ipv6: "BPF_FUNC_tcp_raw_check_syncookie_ipv6",
    HelperId.ktime_get_tai_ns: "BPF_FUNC_ktime_get_tai_ns",
    HelperId.user_ringbuf_drain: "BPF_FUNC_user_ringbuf_drain",
    HelperId.cgrp_storage_get: "BPF_FUNC_cgrp_storage_get",
    HelperId.cgrp_storage_delete: "BPF_FUNC_cgrp_storage_delete",
}


class StatsType(IntEnum):
    """enum bpf_stats_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return STATSTYPE_C_NAMES[self]

    RUN_TIME = 0


STATSTYPE_C_NAMES = {StatsType.RUN_TIME: "BPF_STATS_RUN_TIME"}


class TaskFdType(IntEnum):
    """enum bpf_task_fd_type"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return TASKFDTYPE_C_NAMES[self]

    RAW_TRACEPOINT = 0
    TRACEPOINT = 1
    KPROBE = 2
    KRETPROBE = 3
    UPROBE = 4
    URETPROBE = 5


TASKFDTYPE_C_NAMES = {
    TaskFdType.RAW_TRACEPOINT: "BPF_FD_TYPE_RAW_TRACEPOINT",
    TaskFdType.TRACEPOINT: "BPF_FD_TYPE_TRACEPOINT",
    TaskFdType.KPROBE: "BPF_FD_TYPE_KPROBE",
    TaskFdType.KRETPROBE: "BPF_FD_TYPE_KRETPROBE",
    TaskFdType.UPROBE: "BPF_FD_TYPE_UPROBE",
    TaskFdType.URETPROBE: "BPF_FD_TYPE_URETPROBE",
}


class CoreReloKind(IntEnum):
    """enum bpf_core_relo_kind"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return CORERELOKIND_C_NAMES[self]

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


CORERELOKIND_C_NAMES = {
    CoreReloKind.FIELD_BYTE_OFFSET: "BPF_CORE_FIELD_BYTE_OFFSET",
    CoreReloKind.FIELD_BYTE_SIZE: "BPF_CORE_FIELD_BYTE_SIZE",
    CoreReloKind.FIELD_EXISTS: "BPF_CORE_FIELD_EXISTS",
    CoreReloKind.FIELD_SIGNED: "BPF_CORE_FIELD_SIGNED",
    CoreReloKind.FIELD_LSHIFT_U64: "BPF_CORE_FIELD_LSHIFT_U64",
    CoreReloKind.FIELD_RSHIFT_U64: "BPF_CORE_FIELD_RSHIFT_U64",
    CoreReloKind.TYPE_ID_LOCAL: "BPF_CORE_TYPE_ID_LOCAL",
    CoreReloKind.TYPE_ID_TARGET: "BPF_CORE_TYPE_ID_TARGET",
    CoreReloKind.TYPE_EXISTS: "BPF_CORE_TYPE_EXISTS",
    CoreReloKind.TYPE_SIZE: "BPF_CORE_TYPE_SIZE",
    CoreReloKind.ENUMVAL_EXISTS: "BPF_CORE_ENUMVAL_EXISTS",
    CoreReloKind.ENUMVAL_VALUE: "BPF_CORE_ENUMVAL_VALUE",
    CoreReloKind.TYPE_MATCHES: "BPF_CORE_TYPE_MATCHES",
}


class XdpAction(IntEnum):
    """enum xdp_action"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return XDPACTION_C_NAMES[self]

    ABORTED = 0
    DROP = 1
    PASS = 2
    TX = 3
    REDIRECT = 4


XDPACTION_C_NAMES = {
    XdpAction.ABORTED: "XDP_ABORTED",
    XdpAction.DROP: "XDP_DROP",
    XdpAction.PASS: "XDP_PASS",
    XdpAction.TX: "XDP_TX",
    XdpAction.REDIRECT: "XDP_REDIRECT",
}


class RetCode(IntEnum):
    """enum bpf_ret_code"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return RETCODE_C_NAMES[self]

    OK = 0
    DROP = 2
    REDIRECT = 7
    LWT_REROUTE = 128
    FLOW_DISSECTOR_CONTINUE = 129


RETCODE_C_NAMES = {
    RetCode.OK: "BPF_OK",
    RetCode.DROP: "BPF_DROP",
    RetCode.REDIRECT: "BPF_REDIRECT",
    RetCode.LWT_REROUTE: "BPF_LWT_REROUTE",
    RetCode.FLOW_DISSECTOR_CONTINUE: "BPF_FLOW_DISSECTOR_CONTINUE",
}


class AdjRoomMode(IntEnum):
    """enum bpf_adj_room_mode"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return ADJROOMMODE_C_NAMES[self]

    NET = 0
    MAC = 1


ADJROOMMODE_C_NAMES = {AdjRoomMode.NET: "BPF_ADJ_ROOM_NET", AdjRoomMode.MAC: "BPF_ADJ_ROOM_MAC"}


class HdrStartOff(IntEnum):
    """enum bpf_hdr_start_off"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return HDRSTARTOFF_C_NAMES[self]

    MAC = 0
    NET = 1


HDRSTARTOFF_C_NAMES = {HdrStartOff.MAC: "BPF_HDR_START_MAC", HdrStartOff.NET: "BPF_HDR_START_NET"}


class LwtEncapMode(IntEnum):
    """enum bpf_lwt_encap_mode"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return LWTENCAPMODE_C_NAMES[self]

    SEG6 = 0
    SEG6_INLINE = 1
    IP = 2


LWTENCAPMODE_C_NAMES = {
    LwtEncapMode.SEG6: "BPF_LWT_ENCAP_SEG6",
    LwtEncapMode.SEG6_INLINE: "BPF_LWT_ENCAP_SEG6_INLINE",
    LwtEncapMode.IP: "BPF_LWT_ENCAP_IP",
}


class IterOrder(IntEnum):
    """enum bpf_cgroup_iter_order"""

    @property
    def c_name(self) -> str:
        """The name in C."""
        return ITERORDER_C_NAMES[self]

    ORDER_UNSPEC = 0
    SELF_ONLY = 1
    DESCENDANTS_PRE = 2
    DESCENDANTS_POST = 3
    ANCESTORS_UP = 4


ITERORDER_C_NAMES = {
    IterOrder.ORDER_UNSPEC: "BPF_CGROUP_ITER_ORDER_UNSPEC",
    IterOrder.SELF_ONLY: "BPF_CGROUP_ITER_SELF_ONLY",
    IterOrder.DESCENDANTS_PRE: "BPF_CGROUP_ITER_DESCENDANTS_PRE",
    IterOrder.DESCENDANTS_POST: "BPF_CGROUP_ITER_DESCENDANTS_POST",
    IterOrder.ANCESTORS_UP: "BPF_CGROUP_ITER_ANCESTORS_UP",
}
