"""CTX: what a program may read and write of its context, field by field.

A context is a pointer to a structure of user space's making (`struct xdp_md`, `struct __sk_buff`, ...) that the kernel
never builds: it rewrites each access. So only certain offsets and sizes exist, and they differ by program type and now
and then by expected attach type. A row is one field of one structure as one program type sees it.

Which parts of a field may be accessed is told by `Parts`. Most fields take the whole (`WHOLE`) or any aligned part
(`NARROW`); the other flags are the odd ones that Linux answers with, each for a few fields.

Source: include/uapi/linux/bpf.h for names, offsets and sizes; every offset, size and direction was asked of Linux 6.18 by
loading one program each.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, NamedTuple

from userbpf.abi.enums import AttachType, ProgType
from userbpf.native import rt


class Parts(enum.IntFlag):
    """Which parts of a field an access may touch. The unit is the field, or one element of an array field."""

    NONE = 0
    WHOLE = 1  # one unit
    NARROW = 2  # any smaller aligned part of a unit
    LOW = 4  # a smaller part at the start of a unit
    HALVES = 8  # 2-byte parts of a unit, but no single bytes
    WIDE = 16  # 8 bytes at a multiple of 8 that lie in the field
    OVER = 32  # 4 bytes at the start, though the field is smaller: the rest reads as 0


NONE: Final = Parts.NONE
WHOLE: Final = Parts.WHOLE
NARROW: Final = Parts.WHOLE | Parts.NARROW
LOW: Final = Parts.WHOLE | Parts.LOW
HALVES: Final = Parts.WHOLE | Parts.HALVES
WIDE: Final = Parts.WIDE
OVER: Final = Parts.OVER


class CtxField(NamedTuple):
    """One field. `off`, `size` and `unit` are bytes.

    `kind` is what a read yields: "scalar", or the verifier's name of the pointer ("pkt", "pkt_end", "pkt_meta", "sock",
    "sock_or_null", "sock_common_or_null", "flow_keys", "tp_buffer", "trusted_ptr_sk_buff" ...). `word` is the offset
    from the context (native.rt, CTX_*) where the 64-bit pointer behind the field is found, None where the image of the
    context holds the value itself or there is nothing to load. `attach` restricts the row to expected attach types.
    """

    name: str
    off: int
    size: int
    unit: int = 0  # 0: the whole field
    read: Parts = NARROW
    write: Parts = NONE
    kind: str = "scalar"
    word: int | None = None
    attach: frozenset[AttachType] | None = None

    @property
    def readable(self) -> bool:
        """Some part may be read."""
        return self.read != NONE

    @property
    def writable(self) -> bool:
        """Some part may be written."""
        return self.write != NONE

    @property
    def narrow_ok(self) -> bool:
        """A part smaller than the unit may be read."""
        return bool(self.read & (Parts.NARROW | Parts.LOW | Parts.HALVES))

    @property
    def wide_ok(self) -> bool:
        """8 bytes over two units may be read."""
        return bool(self.read & Parts.WIDE)

    def allows(self, off: int, size: int, write: bool) -> bool:
        """Whether `size` bytes at context offset `off` may be accessed as (part of) this field."""
        parts = self.write if write else self.read
        rel = off - self.off
        if rel < 0 or rel >= self.size:
            return False
        if size == 8 and parts & Parts.WIDE and off % 8 == 0 and rel + 8 <= self.size:
            return True
        if size == 4 and parts & Parts.OVER and rel == 0:
            return True
        unit = self.unit or self.size
        inside = rel % unit
        if size == unit:
            return bool(parts & Parts.WHOLE) and inside == 0
        if size > unit:
            return False
        if parts & Parts.NARROW:
            return inside % size == 0
        if parts & Parts.HALVES:
            return size == 2 and inside % 2 == 0
        return bool(parts & Parts.LOW) and inside == 0


def _word(name: str, off: int, size: int, kind: str, word: int | None) -> CtxField:
    return CtxField(name, off, size, read=WHOLE, kind=kind, word=word)


def _data(off: int, size: int, name: str = "data", end: str = "data_end") -> tuple[CtxField, CtxField]:
    return (
        _word(name, off, size, "pkt", rt.CTX_DATA),
        _word(end, off + size, size, "pkt_end", rt.CTX_DATA_END),
    )


def _u32s(names: str, off: int, read: Parts = NARROW, write: Parts = NONE) -> tuple[CtxField, ...]:
    """Consecutive 4-byte fields from an offset."""
    return tuple(CtxField(name, off + 4 * i, 4, read=read, write=write) for i, name in enumerate(names.split()))


def _on(attach: Iterable[AttachType], *fields: CtxField) -> tuple[CtxField, ...]:
    """The fields, for these expected attach types only."""
    only = frozenset(attach)
    return tuple(field._replace(attach=only) for field in fields)


# --- struct __sk_buff --------------------------------------------------------------------------------------------
_CB: Final = CtxField("cb", 48, 20, 4, read=NARROW | WIDE, write=NARROW | WIDE)
_SKB_ALL: Final = (
    *_u32s("len pkt_type mark queue_mapping protocol vlan_present vlan_tci vlan_proto", 0),
    *_u32s("priority ingress_ifindex ifindex tc_index", 32),
    _CB,
    *_u32s("hash tc_classid", 68),
    *_data(76, 4),
    *_u32s("napi_id family", 84),
    *_u32s("remote_ip4 local_ip4", 92, read=WHOLE),
    CtxField("remote_ip6", 100, 16, 4, read=WHOLE),
    CtxField("local_ip6", 116, 16, 4, read=WHOLE),
    *_u32s("remote_port local_port", 132),
    _word("data_meta", 140, 4, "pkt_meta", rt.CTX_DATA_META),
    _word("flow_keys", 144, 8, "flow_keys", None),
    CtxField("tstamp", 152, 8, read=WHOLE),
    *_u32s("wire_len gso_segs", 160),
    _word("sk", 168, 8, "sock_common_or_null", rt.CTX_SK),
    CtxField("gso_size", 176, 4),
    CtxField("tstamp_type", 180, 1),
    CtxField("hwtstamp", 184, 8, read=WHOLE),
)
_SKB_BASE: Final = (
    "len pkt_type mark queue_mapping protocol vlan_present vlan_tci vlan_proto priority ingress_ifindex ifindex "
    "tc_index cb hash napi_id gso_segs sk gso_size "
)
_SKB_FLOW: Final = "family remote_ip4 local_ip4 remote_ip6 local_ip6 remote_port local_port "


def _skb(more: str = "", write: str = "", without: str = "", base: str = _SKB_BASE) -> tuple[CtxField, ...]:
    """The fields of __sk_buff by name; `write` names those that may be written as a whole."""
    wanted = set((base + more).split()) - set(without.split())
    writable = set(write.split())
    return tuple(
        f._replace(write=(f.write or WHOLE) if f.name in writable else NONE) for f in _SKB_ALL if f.name in wanted
    )


_TC: Final = _skb(
    "tc_classid data data_end data_meta tstamp wire_len tstamp_type hwtstamp",
    write="mark queue_mapping priority tc_index cb tc_classid tstamp",
)
_LWT: Final = _skb("data data_end", write="mark priority cb")

# --- struct bpf_sock ---------------------------------------------------------------------------------------------
_SOCK_NAMES: Final = _u32s("family type protocol", 4, read=LOW)
_SOCK_SRC_IP4: Final = CtxField("src_ip4", 24, 4)
_SOCK_SRC_IP6: Final = CtxField("src_ip6", 28, 16, 4)
_SOCK_SRC_PORT: Final = CtxField("src_port", 44, 4, read=LOW)
_SOCK_DST: Final = (
    CtxField("dst_port", 48, 2, read=NARROW | OVER),
    CtxField("dst_ip4", 52, 4),
    CtxField("dst_ip6", 56, 16, 4),
    *_u32s("state rx_queue_mapping", 72, read=LOW),
)
_CREATE: Final = (AttachType.CGROUP_INET_SOCK_CREATE, AttachType.CGROUP_INET_SOCK_RELEASE)
_BIND4: Final = AttachType.CGROUP_INET4_POST_BIND
_BIND6: Final = AttachType.CGROUP_INET6_POST_BIND
_CGROUP_SOCK: Final = (
    *_on(_CREATE, CtxField("bound_dev_if", 0, 4, read=WHOLE, write=WHOLE)),
    *_SOCK_NAMES,
    *_on(_CREATE, *_u32s("mark priority", 16, read=WHOLE, write=WHOLE)),
    *_on((_BIND4,), _SOCK_SRC_IP4),
    *_on((_BIND6,), _SOCK_SRC_IP6),
    *_on((_BIND4, _BIND6), _SOCK_SRC_PORT),
    *_SOCK_DST,
)

# --- struct bpf_sock_addr ----------------------------------------------------------------------------------------
_INET4: Final = (
    AttachType.CGROUP_INET4_BIND,
    AttachType.CGROUP_INET4_CONNECT,
    AttachType.CGROUP_UDP4_SENDMSG,
    AttachType.CGROUP_UDP4_RECVMSG,
    AttachType.CGROUP_INET4_GETPEERNAME,
    AttachType.CGROUP_INET4_GETSOCKNAME,
)
_INET6: Final = (
    AttachType.CGROUP_INET6_BIND,
    AttachType.CGROUP_INET6_CONNECT,
    AttachType.CGROUP_UDP6_SENDMSG,
    AttachType.CGROUP_UDP6_RECVMSG,
    AttachType.CGROUP_INET6_GETPEERNAME,
    AttachType.CGROUP_INET6_GETSOCKNAME,
)
_IP6: Final = NARROW | WIDE
_SOCK_ADDR: Final = (
    CtxField("user_family", 0, 4, read=WHOLE),
    *_on(_INET4, CtxField("user_ip4", 4, 4, write=WHOLE)),
    *_on(_INET6, CtxField("user_ip6", 8, 16, 4, read=_IP6, write=WHOLE | WIDE)),
    CtxField("user_port", 24, 4, write=WHOLE),
    *_u32s("family type protocol", 28, read=WHOLE),
    *_on((AttachType.CGROUP_UDP4_SENDMSG,), CtxField("msg_src_ip4", 40, 4, write=WHOLE)),
    *_on((AttachType.CGROUP_UDP6_SENDMSG,), CtxField("msg_src_ip6", 44, 16, 4, read=_IP6, write=WHOLE | WIDE)),
    _word("sk", 64, 8, "sock", rt.CTX_SK),
)

# --- struct bpf_sock_ops -----------------------------------------------------------------------------------------
_SOCK_OPS: Final = (
    CtxField("op", 0, 4, read=WHOLE),
    CtxField("reply", 4, 4, read=WHOLE, write=WHOLE),
    CtxField("replylong", 8, 12, 4, read=WHOLE),
    *_u32s("family remote_ip4 local_ip4", 20, read=WHOLE),
    CtxField("remote_ip6", 32, 16, 4, read=WHOLE),
    CtxField("local_ip6", 48, 16, 4, read=WHOLE),
    *_u32s(
        "remote_port local_port is_fullsock snd_cwnd srtt_us bpf_sock_ops_cb_flags state rtt_min snd_ssthresh rcv_nxt "
        "snd_nxt snd_una mss_cache ecn_flags rate_delivered rate_interval_us packets_out retrans_out total_retrans "
        "segs_in data_segs_in segs_out data_segs_out lost_out sacked_out",
        64,
        read=WHOLE,
    ),
    CtxField("sk_txhash", 164, 4, read=WHOLE, write=WHOLE),
    CtxField("bytes_received", 168, 8, read=WHOLE),
    CtxField("bytes_acked", 176, 8, read=WHOLE),
    _word("sk", 184, 8, "sock_or_null", rt.CTX_SK),
    *_data(192, 8, "skb_data", "skb_data_end"),
    CtxField("skb_len", 208, 4, read=WHOLE),
    CtxField("skb_tcp_flags", 212, 4, read=LOW),
    CtxField("skb_hwtstamp", 216, 8, read=WHOLE),
)

# --- the small ones ----------------------------------------------------------------------------------------------
_SK_MSG: Final = (
    *_data(0, 8),
    *_u32s("family remote_ip4 local_ip4", 16, read=WHOLE),
    CtxField("remote_ip6", 28, 16, 4, read=WHOLE),
    CtxField("local_ip6", 44, 16, 4, read=WHOLE),
    *_u32s("remote_port local_port size", 60, read=WHOLE),
    _word("sk", 72, 8, "sock", rt.CTX_SK),
)
_SK_REUSEPORT: Final = (
    *_data(0, 8),
    CtxField("len", 16, 4),
    CtxField("eth_protocol", 20, 4, read=HALVES),
    *_u32s("ip_protocol bind_inany", 24),
    CtxField("hash", 32, 4, read=WHOLE),
    _word("sk", 40, 8, "sock", rt.CTX_SK),
    _word("migrating_sk", 48, 8, "sock_common_or_null", None),
)
_SK_LOOKUP: Final = (
    _word("sk", 0, 8, "sock_or_null", rt.CTX_SK),
    *_u32s("family protocol remote_ip4", 8),
    CtxField("remote_ip6", 20, 16, 4),
    CtxField("remote_port", 36, 4),  # the port is 2 bytes, the other 2 read as 0
    CtxField("local_ip4", 40, 4),
    CtxField("local_ip6", 44, 16, 4),
    *_u32s("local_port ingress_ifindex", 60),
)
_GETSOCKOPT: Final = (AttachType.CGROUP_GETSOCKOPT,)
_SETSOCKOPT: Final = (AttachType.CGROUP_SETSOCKOPT,)
_SOCKOPT: Final = (
    _word("sk", 0, 8, "sock", rt.CTX_SK),
    *_data(8, 8, "optval", "optval_end"),
    *_on(_GETSOCKOPT, *_u32s("level optname", 24, read=WHOLE)),
    *_on(_SETSOCKOPT, *_u32s("level optname", 24, read=WHOLE, write=WHOLE)),
    CtxField("optlen", 32, 4, read=WHOLE, write=WHOLE),
    *_on(_GETSOCKOPT, CtxField("retval", 36, 4, read=WHOLE, write=WHOLE)),
)
_XDP: Final = (
    *_data(0, 4),
    _word("data_meta", 8, 4, "pkt_meta", rt.CTX_DATA_META),
    *_u32s("ingress_ifindex rx_queue_index", 12, read=WHOLE),
    *_on((AttachType.XDP_DEVMAP,), CtxField("egress_ifindex", 20, 4, read=WHOLE)),
)
# x86-64: struct pt_regs
_X86_REGS: Final = "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss"
_PT_REGS: Final = tuple(CtxField(name, 8 * i, 8) for i, name in enumerate(_X86_REGS.split()))
_RAW_TP_ARGS: Final = CtxField("args", 0, 96, 8)  # at most 12 arguments

CTX: Final[dict[ProgType, tuple[CtxField, ...]]] = {
    ProgType.UNSPEC: (),
    ProgType.SOCKET_FILTER: _skb(write="cb"),
    ProgType.KPROBE: _PT_REGS,
    ProgType.SCHED_CLS: _TC,
    ProgType.SCHED_ACT: _TC,
    ProgType.TRACEPOINT: (CtxField("record", 8, 8184, 8),),  # the first word belongs to the kernel
    ProgType.XDP: _XDP,
    ProgType.PERF_EVENT: (
        CtxField("regs", 0, 168, 8, read=WHOLE),
        CtxField("sample_period", 168, 8),
        CtxField("addr", 176, 8),
    ),
    ProgType.CGROUP_SKB: _skb(_SKB_FLOW + "data data_end tstamp hwtstamp", write="mark priority cb tstamp"),
    ProgType.CGROUP_SOCK: _CGROUP_SOCK,
    ProgType.LWT_IN: _LWT,
    ProgType.LWT_OUT: _LWT,
    ProgType.LWT_XMIT: _LWT,
    ProgType.SOCK_OPS: _SOCK_OPS,
    ProgType.SK_SKB: _skb(_SKB_FLOW + "data data_end", write="priority tc_index", without="mark"),
    ProgType.CGROUP_DEVICE: (
        CtxField("access_type", 0, 4),
        CtxField("major", 4, 4, read=WHOLE),
        CtxField("minor", 8, 4, read=WHOLE),
    ),
    ProgType.SK_MSG: _SK_MSG,
    ProgType.RAW_TRACEPOINT: (_RAW_TP_ARGS,),
    ProgType.CGROUP_SOCK_ADDR: _SOCK_ADDR,
    ProgType.LWT_SEG6LOCAL: _LWT,
    ProgType.LIRC_MODE2: (CtxField("sample", 0, 4, read=WHOLE),),
    ProgType.SK_REUSEPORT: _SK_REUSEPORT,
    ProgType.FLOW_DISSECTOR: _skb("data data_end flow_keys", base=""),
    ProgType.CGROUP_SYSCTL: (CtxField("write", 0, 4), CtxField("file_pos", 4, 4, write=WHOLE)),
    ProgType.RAW_TRACEPOINT_WRITABLE: (_word("buffer", 0, 8, "tp_buffer", None), _RAW_TP_ARGS),
    ProgType.CGROUP_SOCKOPT: _SOCKOPT,
    # the contexts of these four are told by the BTF of their target
    ProgType.TRACING: (),
    ProgType.STRUCT_OPS: (),
    ProgType.EXT: (),
    ProgType.LSM: (),
    ProgType.SK_LOOKUP: _SK_LOOKUP,
    ProgType.SYSCALL: (CtxField("args", 0, 65536, 8, write=NARROW),),
    ProgType.NETFILTER: (
        _word("state", 0, 8, "trusted_ptr_nf_hook_state", None),
        _word("skb", 8, 8, "trusted_ptr_sk_buff", None),
    ),
}

# sizes of memory that context pointers lead to and that is accessed byte by byte, at any alignment
FLOW_KEYS_SIZE: Final = 56  # struct bpf_flow_keys, read and write

# --- what a program may read behind a pointer to a socket (struct bpf_sock, bpf_tcp_sock, bpf_xdp_sock) ----------
_SOCK_TAIL: Final = (_SOCK_SRC_IP4, _SOCK_SRC_IP6, _SOCK_SRC_PORT, *_SOCK_DST)
POINTEE: Final[dict[str, tuple[CtxField, ...]]] = {
    "sock_common": (
        CtxField("bound_dev_if", 0, 4, read=WHOLE),
        CtxField("family", 4, 4, read=LOW),
        *_SOCK_TAIL,
    ),
    "sock": (
        CtxField("bound_dev_if", 0, 4, read=WHOLE),
        *_SOCK_NAMES,
        *_u32s("mark priority", 16, read=WHOLE),
        *_SOCK_TAIL,
    ),
    "tcp_sock": (
        *_u32s(
            "snd_cwnd srtt_us rtt_min snd_ssthresh rcv_nxt snd_nxt snd_una mss_cache ecn_flags rate_delivered "
            "rate_interval_us packets_out retrans_out total_retrans segs_in data_segs_in segs_out data_segs_out "
            "lost_out sacked_out",
            0,
            read=WHOLE,
        ),
        CtxField("bytes_received", 80, 8, read=WHOLE),
        CtxField("bytes_acked", 88, 8, read=WHOLE),
        *_u32s("dsack_dups delivered delivered_ce icsk_retransmits", 96, read=WHOLE),
    ),
    "xdp_sock": (CtxField("queue_id", 0, 4, read=WHOLE),),
}

# an expected attach type of 0 (BPF_CGROUP_INET_INGRESS) that stands for another one
_ATTACH_DEFAULT: Final = {ProgType.CGROUP_SOCK: AttachType.CGROUP_INET_SOCK_CREATE}


def ctx_fields(prog_type: ProgType, attach_type: int = 0) -> tuple[CtxField, ...]:
    """The fields that a program of this type and expected attach type sees."""
    if not attach_type:
        attach_type = _ATTACH_DEFAULT.get(prog_type, attach_type)
    return tuple(f for f in CTX[prog_type] if f.attach is None or attach_type in f.attach)


def find(fields: Iterable[CtxField], off: int, size: int, write: bool = False) -> CtxField | None:
    """The field that an access belongs to; None where Linux answers "invalid bpf_context access".

    An access that starts where a pointer starts means the pointer, or nothing.
    """
    for field in fields:
        if field.kind != "scalar" and field.off == off:
            return field if field.allows(off, size, write) else None
        if field.allows(off, size, write):
            return field
    return None
