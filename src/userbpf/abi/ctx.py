"""Contexts and other structs that programs see, generated from the BTF of Linux 6.18 by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from typing import Annotated

from userbpf.abi.layout import Layout, layout, s32, u8, u16, u32, u64

chars3 = Annotated[bytes, "3s"]
chars6 = Annotated[bytes, "6s"]


@layout
class XdpMd(Layout):
    """struct xdp_md: 24 bytes."""

    data: u32 = 0
    data_end: u32 = 0
    data_meta: u32 = 0
    ingress_ifindex: u32 = 0
    rx_queue_index: u32 = 0
    egress_ifindex: u32 = 0


@layout
class SkBuff(Layout):
    """struct __sk_buff: 192 bytes."""

    len: u32 = 0
    pkt_type: u32 = 0
    mark: u32 = 0
    queue_mapping: u32 = 0
    protocol: u32 = 0
    vlan_present: u32 = 0
    vlan_tci: u32 = 0
    vlan_proto: u32 = 0
    priority: u32 = 0
    ingress_ifindex: u32 = 0
    ifindex: u32 = 0
    tc_index: u32 = 0
    cb_0: u32 = 0
    cb_1: u32 = 0
    cb_2: u32 = 0
    cb_3: u32 = 0
    cb_4: u32 = 0
    hash: u32 = 0
    tc_classid: u32 = 0
    data: u32 = 0
    data_end: u32 = 0
    napi_id: u32 = 0
    family: u32 = 0
    remote_ip4: u32 = 0
    local_ip4: u32 = 0
    remote_ip6_0: u32 = 0
    remote_ip6_1: u32 = 0
    remote_ip6_2: u32 = 0
    remote_ip6_3: u32 = 0
    local_ip6_0: u32 = 0
    local_ip6_1: u32 = 0
    local_ip6_2: u32 = 0
    local_ip6_3: u32 = 0
    remote_port: u32 = 0
    local_port: u32 = 0
    data_meta: u32 = 0
    flow_keys: u64 = 0
    tstamp: u64 = 0
    wire_len: u32 = 0
    gso_segs: u32 = 0
    sk: u64 = 0
    gso_size: u32 = 0
    tstamp_type: u8 = 0
    pad_181: chars3 = b""
    hwtstamp: u64 = 0


@layout
class BpfSock(Layout):
    """struct bpf_sock: 80 bytes."""

    bound_dev_if: u32 = 0
    family: u32 = 0
    type: u32 = 0
    protocol: u32 = 0
    mark: u32 = 0
    priority: u32 = 0
    src_ip4: u32 = 0
    src_ip6_0: u32 = 0
    src_ip6_1: u32 = 0
    src_ip6_2: u32 = 0
    src_ip6_3: u32 = 0
    src_port: u32 = 0
    dst_port: u16 = 0
    pad_50: u16 = 0
    dst_ip4: u32 = 0
    dst_ip6_0: u32 = 0
    dst_ip6_1: u32 = 0
    dst_ip6_2: u32 = 0
    dst_ip6_3: u32 = 0
    state: u32 = 0
    rx_queue_mapping: s32 = 0


@layout
class BpfTcpSock(Layout):
    """struct bpf_tcp_sock: 112 bytes."""

    snd_cwnd: u32 = 0
    srtt_us: u32 = 0
    rtt_min: u32 = 0
    snd_ssthresh: u32 = 0
    rcv_nxt: u32 = 0
    snd_nxt: u32 = 0
    snd_una: u32 = 0
    mss_cache: u32 = 0
    ecn_flags: u32 = 0
    rate_delivered: u32 = 0
    rate_interval_us: u32 = 0
    packets_out: u32 = 0
    retrans_out: u32 = 0
    total_retrans: u32 = 0
    segs_in: u32 = 0
    data_segs_in: u32 = 0
    segs_out: u32 = 0
    data_segs_out: u32 = 0
    lost_out: u32 = 0
    sacked_out: u32 = 0
    bytes_received: u64 = 0
    bytes_acked: u64 = 0
    dsack_dups: u32 = 0
    delivered: u32 = 0
    delivered_ce: u32 = 0
    icsk_retransmits: u32 = 0


@layout
class SkMsgMd(Layout):
    """struct sk_msg_md: 80 bytes."""

    data: u64 = 0
    data_end: u64 = 0
    family: u32 = 0
    remote_ip4: u32 = 0
    local_ip4: u32 = 0
    remote_ip6_0: u32 = 0
    remote_ip6_1: u32 = 0
    remote_ip6_2: u32 = 0
    remote_ip6_3: u32 = 0
    local_ip6_0: u32 = 0
    local_ip6_1: u32 = 0
    local_ip6_2: u32 = 0
    local_ip6_3: u32 = 0
    remote_port: u32 = 0
    local_port: u32 = 0
    size: u32 = 0
    sk: u64 = 0


@layout
class SkReuseportMd(Layout):
    """struct sk_reuseport_md: 56 bytes."""

    data: u64 = 0
    data_end: u64 = 0
    len: u32 = 0
    eth_protocol: u32 = 0
    ip_protocol: u32 = 0
    bind_inany: u32 = 0
    hash: u32 = 0
    pad_36: u32 = 0
    sk: u64 = 0
    migrating_sk: u64 = 0


@layout
class SockAddr(Layout):
    """struct bpf_sock_addr: 72 bytes."""

    user_family: u32 = 0
    user_ip4: u32 = 0
    user_ip6_0: u32 = 0
    user_ip6_1: u32 = 0
    user_ip6_2: u32 = 0
    user_ip6_3: u32 = 0
    user_port: u32 = 0
    family: u32 = 0
    type: u32 = 0
    protocol: u32 = 0
    msg_src_ip4: u32 = 0
    msg_src_ip6_0: u32 = 0
    msg_src_ip6_1: u32 = 0
    msg_src_ip6_2: u32 = 0
    msg_src_ip6_3: u32 = 0
    pad_60: u32 = 0
    sk: u64 = 0


@layout
class SockOps(Layout):
    """struct bpf_sock_ops: 224 bytes."""

    op: u32 = 0
    args_0: u32 = 0
    args_1: u32 = 0
    args_2: u32 = 0
    args_3: u32 = 0
    family: u32 = 0
    remote_ip4: u32 = 0
    local_ip4: u32 = 0
    remote_ip6_0: u32 = 0
    remote_ip6_1: u32 = 0
    remote_ip6_2: u32 = 0
    remote_ip6_3: u32 = 0
    local_ip6_0: u32 = 0
    local_ip6_1: u32 = 0
    local_ip6_2: u32 = 0
    local_ip6_3: u32 = 0
    remote_port: u32 = 0
    local_port: u32 = 0
    is_fullsock: u32 = 0
    snd_cwnd: u32 = 0
    srtt_us: u32 = 0
    bpf_sock_ops_cb_flags: u32 = 0
    state: u32 = 0
    rtt_min: u32 = 0
    snd_ssthresh: u32 = 0
    rcv_nxt: u32 = 0
    snd_nxt: u32 = 0
    snd_una: u32 = 0
    mss_cache: u32 = 0
    ecn_flags: u32 = 0
    rate_delivered: u32 = 0
    rate_interval_us: u32 = 0
    packets_out: u32 = 0
    retrans_out: u32 = 0
    total_retrans: u32 = 0
    segs_in: u32 = 0
    data_segs_in: u32 = 0
    segs_out: u32 = 0
    data_segs_out: u32 = 0
    lost_out: u32 = 0
    sacked_out: u32 = 0
    sk_txhash: u32 = 0
    bytes_received: u64 = 0
    bytes_acked: u64 = 0
    sk: u64 = 0
    skb_data: u64 = 0
    skb_data_end: u64 = 0
    skb_len: u32 = 0
    skb_tcp_flags: u32 = 0
    skb_hwtstamp: u64 = 0

    @property
    def reply(self) -> int:
        return self.args_0

    @property
    def replylong_0(self) -> int:
        return self.args_0

    @property
    def replylong_1(self) -> int:
        return self.args_1

    @property
    def replylong_2(self) -> int:
        return self.args_2

    @property
    def replylong_3(self) -> int:
        return self.args_3


@layout
class CgroupDevCtx(Layout):
    """struct bpf_cgroup_dev_ctx: 12 bytes."""

    access_type: u32 = 0
    major: u32 = 0
    minor: u32 = 0


@layout
class Sysctl(Layout):
    """struct bpf_sysctl: 8 bytes."""

    write: u32 = 0
    file_pos: u32 = 0


@layout
class Sockopt(Layout):
    """struct bpf_sockopt: 40 bytes."""

    sk: u64 = 0
    optval: u64 = 0
    optval_end: u64 = 0
    level: s32 = 0
    optname: s32 = 0
    optlen: s32 = 0
    retval: s32 = 0


@layout
class SkLookup(Layout):
    """struct bpf_sk_lookup: 72 bytes."""

    sk: u64 = 0
    family: u32 = 0
    protocol: u32 = 0
    remote_ip4: u32 = 0
    remote_ip6_0: u32 = 0
    remote_ip6_1: u32 = 0
    remote_ip6_2: u32 = 0
    remote_ip6_3: u32 = 0
    remote_port: u16 = 0
    pad_38: u16 = 0
    local_ip4: u32 = 0
    local_ip6_0: u32 = 0
    local_ip6_1: u32 = 0
    local_ip6_2: u32 = 0
    local_ip6_3: u32 = 0
    local_port: u32 = 0
    ingress_ifindex: u32 = 0
    pad_68: u32 = 0

    @property
    def cookie(self) -> int:
        return self.sk


@layout
class PerfEventData(Layout):
    """struct bpf_perf_event_data: 184 bytes."""

    r15: u64 = 0
    r14: u64 = 0
    r13: u64 = 0
    r12: u64 = 0
    bp: u64 = 0
    bx: u64 = 0
    r11: u64 = 0
    r10: u64 = 0
    r9: u64 = 0
    r8: u64 = 0
    ax: u64 = 0
    cx: u64 = 0
    dx: u64 = 0
    si: u64 = 0
    di: u64 = 0
    orig_ax: u64 = 0
    ip: u64 = 0
    csx: u64 = 0
    flags: u64 = 0
    sp: u64 = 0
    ssx: u64 = 0
    sample_period: u64 = 0
    addr: u64 = 0

    @property
    def cs(self) -> int:
        return self.csx & 0xFFFF

    @property
    def ss(self) -> int:
        return self.ssx & 0xFFFF


@layout
class FlowKeys(Layout):
    """struct bpf_flow_keys: 56 bytes."""

    nhoff: u16 = 0
    thoff: u16 = 0
    addr_proto: u16 = 0
    is_frag: u8 = 0
    is_first_frag: u8 = 0
    is_encap: u8 = 0
    ip_proto: u8 = 0
    n_proto: u16 = 0
    sport: u16 = 0
    dport: u16 = 0
    ipv6_src_0: u32 = 0
    ipv6_src_1: u32 = 0
    ipv6_src_2: u32 = 0
    ipv6_src_3: u32 = 0
    ipv6_dst_0: u32 = 0
    ipv6_dst_1: u32 = 0
    ipv6_dst_2: u32 = 0
    ipv6_dst_3: u32 = 0
    flags: u32 = 0
    flow_label: u32 = 0

    @property
    def ipv4_src(self) -> int:
        return self.ipv6_src_0

    @property
    def ipv4_dst(self) -> int:
        return self.ipv6_src_1


@layout
class FibLookup(Layout):
    """struct bpf_fib_lookup: 64 bytes."""

    family: u8 = 0
    l4_protocol: u8 = 0
    sport: u16 = 0
    dport: u16 = 0
    tot_len: u16 = 0
    ifindex: u32 = 0
    flowinfo: u32 = 0
    ipv6_src_0: u32 = 0
    ipv6_src_1: u32 = 0
    ipv6_src_2: u32 = 0
    ipv6_src_3: u32 = 0
    ipv6_dst_0: u32 = 0
    ipv6_dst_1: u32 = 0
    ipv6_dst_2: u32 = 0
    ipv6_dst_3: u32 = 0
    h_vlan_proto: u16 = 0
    h_vlan_TCI: u16 = 0
    smac: chars6 = b""
    dmac: chars6 = b""

    @property
    def mtu_result(self) -> int:
        return self.tot_len

    @property
    def tos(self) -> int:
        return self.flowinfo & 0xFF

    @property
    def rt_metric(self) -> int:
        return self.flowinfo

    @property
    def ipv4_src(self) -> int:
        return self.ipv6_src_0

    @property
    def ipv4_dst(self) -> int:
        return self.ipv6_dst_0


@layout
class Dynptr(Layout):
    """struct bpf_dynptr: 16 bytes."""

    opaque_0: u64 = 0
    opaque_1: u64 = 0


@layout
class SpinLock(Layout):
    """struct bpf_spin_lock: 4 bytes."""

    val: u32 = 0


@layout
class Timer(Layout):
    """struct bpf_timer: 16 bytes."""

    opaque_0: u64 = 0
    opaque_1: u64 = 0


@layout
class PidnsInfo(Layout):
    """struct bpf_pidns_info: 8 bytes."""

    pid: u32 = 0
    tgid: u32 = 0


@layout
class PtRegs(Layout):
    """struct pt_regs: 168 bytes."""

    r15: u64 = 0
    r14: u64 = 0
    r13: u64 = 0
    r12: u64 = 0
    bp: u64 = 0
    bx: u64 = 0
    r11: u64 = 0
    r10: u64 = 0
    r9: u64 = 0
    r8: u64 = 0
    ax: u64 = 0
    cx: u64 = 0
    dx: u64 = 0
    si: u64 = 0
    di: u64 = 0
    orig_ax: u64 = 0
    ip: u64 = 0
    csx: u64 = 0
    flags: u64 = 0
    sp: u64 = 0
    ssx: u64 = 0

    @property
    def cs(self) -> int:
        return self.csx & 0xFFFF

    @property
    def ss(self) -> int:
        return self.ssx & 0xFFFF
