"""SECTIONS: what the name of an ELF section says of the program in it.

The names are a convention of libbpf that users of every BPF compiler know: `SEC("xdp")`, `SEC("fentry/do_nanosleep")`.
A pattern that ends in `+` matches the bare name, or the name, a slash and a target; any other matches the whole name only.
The first row that matches counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from userbpf.abi.enums import AttachType, ProgType

BPF_F_SLEEPABLE: Final = 1 << 4
BPF_F_XDP_HAS_FRAGS: Final = 1 << 5


class Section(NamedTuple):
    """One pattern. `attach` is the expected attach type, None where there is none to expect.

    `optional`: kernels that do not know the attach type take 0. `target`: what follows the slash names a function,
    tracepoint or hook. `btf`: the target is looked up in the kernel's BTF at load.
    """

    pattern: str
    prog_type: ProgType
    attach: AttachType | None = None
    optional: bool = False
    sleepable: bool = False
    frags: bool = False
    btf: bool = False

    @property
    def name(self) -> str:
        """The pattern without its `+`."""
        return self.pattern.removesuffix("+")

    @property
    def target(self) -> bool:
        """Something may follow behind a slash."""
        return self.pattern.endswith("+")

    @property
    def prog_flags(self) -> int:
        """prog_flags for BPF_PROG_LOAD."""
        return (BPF_F_SLEEPABLE if self.sleepable else 0) | (BPF_F_XDP_HAS_FRAGS if self.frags else 0)

    def matches(self, section: str) -> bool:
        """Whether the section's name is of this pattern."""
        return section == self.name or (self.target and section.startswith(self.name + "/"))


_P = ProgType
_A = AttachType


def _plain(*names: str, prog_type: ProgType, attach: AttachType | None = None) -> list[Section]:
    return [Section(name, prog_type, attach) for name in names]


def _probe(*names: str, attach: AttachType | None = None, sleepable: bool = False) -> list[Section]:
    return [Section(f"{name}+", _P.KPROBE, attach, sleepable=sleepable) for name in names]


def _traced(name: str, attach: AttachType, prog_type: ProgType = _P.TRACING, sleepable: bool = True) -> list[Section]:
    """A name and its sleeping sister."""
    plain = Section(f"{name}+", prog_type, attach, btf=True)
    sleeping = plain._replace(pattern=f"{name}.s+", sleepable=True)
    return [plain, sleeping] if sleepable else [plain]


def _cgroup(prog_type: ProgType, **hooks: AttachType) -> list[Section]:
    return [Section(f"cgroup/{name}", prog_type, attach) for name, attach in hooks.items()]


SECTIONS: Final[tuple[Section, ...]] = (
    Section("socket", _P.SOCKET_FILTER),
    Section("sk_reuseport/migrate", _P.SK_REUSEPORT, _A.SK_REUSEPORT_SELECT_OR_MIGRATE),
    Section("sk_reuseport", _P.SK_REUSEPORT, _A.SK_REUSEPORT_SELECT),
    *_probe("kprobe", "uprobe", "kretprobe", "uretprobe", "ksyscall", "kretsyscall", "usdt"),
    *_probe("uprobe.s", "uretprobe.s", "usdt.s", sleepable=True),
    *_probe("kprobe.multi", "kretprobe.multi", attach=_A.TRACE_KPROBE_MULTI),
    *_probe("kprobe.session", attach=_A.TRACE_KPROBE_SESSION),
    *_probe("uprobe.multi", "uretprobe.multi", attach=_A.TRACE_UPROBE_MULTI),
    *_probe("uprobe.multi.s", "uretprobe.multi.s", attach=_A.TRACE_UPROBE_MULTI, sleepable=True),
    *_probe("uprobe.session", attach=_A.TRACE_UPROBE_SESSION),
    *_probe("uprobe.session.s", attach=_A.TRACE_UPROBE_SESSION, sleepable=True),
    # "tc/ingress" and "tc/egress" may be attached in the old way too, so kernels without TCX take 0
    Section("tc/ingress", _P.SCHED_CLS, _A.TCX_INGRESS, optional=True),
    Section("tc/egress", _P.SCHED_CLS, _A.TCX_EGRESS, optional=True),
    Section("tcx/ingress", _P.SCHED_CLS, _A.TCX_INGRESS, optional=True),
    Section("tcx/egress", _P.SCHED_CLS, _A.TCX_EGRESS, optional=True),
    *_plain("tc", "classifier", prog_type=_P.SCHED_CLS),
    Section("action", _P.SCHED_ACT),
    Section("netkit/primary", _P.SCHED_CLS, _A.NETKIT_PRIMARY, optional=True),
    Section("netkit/peer", _P.SCHED_CLS, _A.NETKIT_PEER, optional=True),
    Section("tracepoint+", _P.TRACEPOINT),
    Section("tp+", _P.TRACEPOINT),
    Section("raw_tracepoint+", _P.RAW_TRACEPOINT),
    Section("raw_tp+", _P.RAW_TRACEPOINT),
    Section("raw_tracepoint.w+", _P.RAW_TRACEPOINT_WRITABLE),
    Section("raw_tp.w+", _P.RAW_TRACEPOINT_WRITABLE),
    *_traced("tp_btf", _A.TRACE_RAW_TP, sleepable=False),
    *_traced("fentry", _A.TRACE_FENTRY),
    *_traced("fmod_ret", _A.MODIFY_RETURN),
    *_traced("fexit", _A.TRACE_FEXIT),
    Section("freplace+", _P.EXT, btf=True),
    *_traced("lsm", _A.LSM_MAC, _P.LSM),
    Section("lsm_cgroup+", _P.LSM, _A.LSM_CGROUP, btf=True),
    *_traced("iter", _A.TRACE_ITER),
    Section("syscall", _P.SYSCALL, sleepable=True),
    Section("xdp.frags/devmap", _P.XDP, _A.XDP_DEVMAP, frags=True),
    Section("xdp/devmap", _P.XDP, _A.XDP_DEVMAP),
    Section("xdp.frags/cpumap", _P.XDP, _A.XDP_CPUMAP, frags=True),
    Section("xdp/cpumap", _P.XDP, _A.XDP_CPUMAP),
    Section("xdp.frags", _P.XDP, _A.XDP, optional=True, frags=True),
    Section("xdp", _P.XDP, _A.XDP, optional=True),
    Section("perf_event", _P.PERF_EVENT),
    Section("lwt_in", _P.LWT_IN),
    Section("lwt_out", _P.LWT_OUT),
    Section("lwt_xmit", _P.LWT_XMIT),
    Section("lwt_seg6local", _P.LWT_SEG6LOCAL),
    Section("sockops", _P.SOCK_OPS, _A.CGROUP_SOCK_OPS, optional=True),
    Section("sk_skb/stream_parser", _P.SK_SKB, _A.SK_SKB_STREAM_PARSER, optional=True),
    Section("sk_skb/stream_verdict", _P.SK_SKB, _A.SK_SKB_STREAM_VERDICT, optional=True),
    Section("sk_skb/verdict", _P.SK_SKB, _A.SK_SKB_VERDICT, optional=True),
    Section("sk_skb", _P.SK_SKB),
    Section("sk_msg", _P.SK_MSG, _A.SK_MSG_VERDICT, optional=True),
    Section("lirc_mode2", _P.LIRC_MODE2, _A.LIRC_MODE2, optional=True),
    Section("flow_dissector", _P.FLOW_DISSECTOR, _A.FLOW_DISSECTOR, optional=True),
    Section("cgroup_skb/ingress", _P.CGROUP_SKB, _A.CGROUP_INET_INGRESS, optional=True),
    Section("cgroup_skb/egress", _P.CGROUP_SKB, _A.CGROUP_INET_EGRESS, optional=True),
    Section("cgroup/skb", _P.CGROUP_SKB),
    Section("cgroup/sock", _P.CGROUP_SOCK, _A.CGROUP_INET_SOCK_CREATE, optional=True),
    *_cgroup(
        _P.CGROUP_SOCK,
        sock_create=_A.CGROUP_INET_SOCK_CREATE,
        sock_release=_A.CGROUP_INET_SOCK_RELEASE,
        post_bind4=_A.CGROUP_INET4_POST_BIND,
        post_bind6=_A.CGROUP_INET6_POST_BIND,
    ),
    *_cgroup(
        _P.CGROUP_SOCK_ADDR,
        bind4=_A.CGROUP_INET4_BIND,
        bind6=_A.CGROUP_INET6_BIND,
        connect4=_A.CGROUP_INET4_CONNECT,
        connect6=_A.CGROUP_INET6_CONNECT,
        connect_unix=_A.CGROUP_UNIX_CONNECT,
        sendmsg4=_A.CGROUP_UDP4_SENDMSG,
        sendmsg6=_A.CGROUP_UDP6_SENDMSG,
        sendmsg_unix=_A.CGROUP_UNIX_SENDMSG,
        recvmsg4=_A.CGROUP_UDP4_RECVMSG,
        recvmsg6=_A.CGROUP_UDP6_RECVMSG,
        recvmsg_unix=_A.CGROUP_UNIX_RECVMSG,
        getpeername4=_A.CGROUP_INET4_GETPEERNAME,
        getpeername6=_A.CGROUP_INET6_GETPEERNAME,
        getpeername_unix=_A.CGROUP_UNIX_GETPEERNAME,
        getsockname4=_A.CGROUP_INET4_GETSOCKNAME,
        getsockname6=_A.CGROUP_INET6_GETSOCKNAME,
        getsockname_unix=_A.CGROUP_UNIX_GETSOCKNAME,
    ),
    Section("cgroup/sysctl", _P.CGROUP_SYSCTL, _A.CGROUP_SYSCTL),
    Section("cgroup/getsockopt", _P.CGROUP_SOCKOPT, _A.CGROUP_GETSOCKOPT),
    Section("cgroup/setsockopt", _P.CGROUP_SOCKOPT, _A.CGROUP_SETSOCKOPT),
    Section("cgroup/dev", _P.CGROUP_DEVICE, _A.CGROUP_DEVICE, optional=True),
    Section("struct_ops+", _P.STRUCT_OPS, _A.STRUCT_OPS),
    Section("struct_ops.s+", _P.STRUCT_OPS, _A.STRUCT_OPS, sleepable=True),
    Section("sk_lookup", _P.SK_LOOKUP, _A.SK_LOOKUP),
    Section("netfilter", _P.NETFILTER, _A.NETFILTER),
)


def section_of(name: str) -> Section | None:
    """The row for a section's name, or None where the name is no program's. A leading `?` (not loaded by default) is no part."""
    name = name.removeprefix("?")
    for row in SECTIONS:
        if row.matches(name):
            return row
    return None
