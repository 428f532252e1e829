"""PROGS: one row a program type: who may load it, with which expected attach type, and what it may return.

Every fact but those marked was asked of Linux 6.18: attach types and errno by loading a program with each of them, return
ranges by programs that return an unknown number, capabilities from processes that have dropped the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EINVAL
from typing import Final, Literal

from userbpf.abi.enums import AttachType, ProgType

Capability = Literal["bpf", "net_admin", "perfmon"]
PacketAccess = Literal["", "r", "rw"]
Status = Literal["run", "typed", "absent"]
Range = tuple[int, int]

ANYTHING: Final = None  # a return value that is not checked


@dataclass(frozen=True, slots=True)
class ProgRow:
    """What is known of one program type.

    `attach`: the expected attach types that BPF_PROG_LOAD takes (0 is BPF_CGROUP_INET_INGRESS and stands for "none");
    None where it takes any number and ignores it. `attach_default` replaces an expected attach type of 0.
    `ret`: the range of r0 at exit, or None; `ret_by_attach` refines it. `packet`: direct access through the context's data
    pointers. `capability`: what is asked besides CAP_BPF ("bpf": nothing). `btf_target`: attach_btf_id or attach_prog_fd
    is asked for, and the context is described by BTF. `ctx_class` names the class in `abi.ctx`.
    """

    prog_type: ProgType
    ctx_class: str = ""
    capability: Capability = "net_admin"
    attach: tuple[AttachType, ...] | None = None
    attach_default: AttachType | None = None
    attach_errno: int = EINVAL
    ret: Range | None = ANYTHING
    ret_by_attach: dict[AttachType, Range | None] | None = None
    packet: PacketAccess = ""
    ld_abs: bool = False
    btf_target: bool = False
    sleepable: bool = False
    must_sleep: bool = False
    gpl_only: bool = False
    status: Status = "typed"

    @property
    def plain_ctx(self) -> bool:
        """The context is plain memory of the kernel's, whose accesses are not rewritten."""
        return self.prog_type in _PLAIN_CTX

    def accepts(self, attach_type: int) -> bool:
        """Whether BPF_PROG_LOAD takes this expected attach type; else it answers `attach_errno`."""
        return (
            self.attach is None or attach_type in self.attach or (not attach_type and self.attach_default is not None)
        )

    def effective_attach(self, attach_type: int) -> int:
        """The expected attach type after Linux's defaults."""
        return self.attach_default if not attach_type and self.attach_default is not None else attach_type

    def ret_range(self, attach_type: int = 0) -> Range | None:
        """What r0 may be at exit of the main program, both ends included; None where anything may."""
        if self.ret_by_attach:
            for attach, bounds in self.ret_by_attach.items():
                if attach == attach_type:
                    return bounds
        return self.ret


_PLAIN_CTX: Final = frozenset(
    (
        ProgType.KPROBE,
        ProgType.TRACEPOINT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.TRACING,
        ProgType.LSM,
        ProgType.STRUCT_OPS,
        ProgType.SYSCALL,
        ProgType.NETFILTER,
        ProgType.CGROUP_DEVICE,
    )
)
_A = AttachType
_BOOL: Final = (0, 1)
_ONE: Final = (1, 1)
_SOCK_ADDR_RET: Final[dict[AttachType, Range | None]] = {
    # bits: 1 allow, 2 the bind may skip the check for privileged ports
    _A.CGROUP_INET4_BIND: (0, 3),
    _A.CGROUP_INET6_BIND: (0, 3),
    _A.CGROUP_INET4_CONNECT: _BOOL,
    _A.CGROUP_INET6_CONNECT: _BOOL,
    _A.CGROUP_UDP4_SENDMSG: _BOOL,
    _A.CGROUP_UDP6_SENDMSG: _BOOL,
    _A.CGROUP_UNIX_CONNECT: _BOOL,
    _A.CGROUP_UNIX_SENDMSG: _BOOL,
    # what has happened cannot be refused
    _A.CGROUP_UDP4_RECVMSG: _ONE,
    _A.CGROUP_UDP6_RECVMSG: _ONE,
    _A.CGROUP_INET4_GETPEERNAME: _ONE,
    _A.CGROUP_INET6_GETPEERNAME: _ONE,
    _A.CGROUP_INET4_GETSOCKNAME: _ONE,
    _A.CGROUP_INET6_GETSOCKNAME: _ONE,
    _A.CGROUP_UNIX_RECVMSG: _ONE,
    _A.CGROUP_UNIX_GETPEERNAME: _ONE,
    _A.CGROUP_UNIX_GETSOCKNAME: _ONE,
}
_TRACING_RET: Final[dict[AttachType, Range | None]] = {
    _A.TRACE_RAW_TP: ANYTHING,
    _A.TRACE_FENTRY: (0, 0),  # not asked
    _A.TRACE_FEXIT: (0, 0),  # not asked
    _A.MODIFY_RETURN: ANYTHING,  # not asked
    _A.TRACE_ITER: _BOOL,
}
_SESSIONS: Final[dict[AttachType, Range | None]] = {
    _A.TRACE_KPROBE_SESSION: _BOOL,
    _A.TRACE_UPROBE_SESSION: _BOOL,
}

_ROWS: Final = (
    ProgRow(ProgType.UNSPEC, status="absent"),
    ProgRow(ProgType.SOCKET_FILTER, "SkBuff", "bpf", ld_abs=True, status="run"),
    # sleepable where it is attached to user space
    ProgRow(ProgType.KPROBE, "", "perfmon", ret_by_attach=_SESSIONS, sleepable=True),
    ProgRow(ProgType.SCHED_CLS, "SkBuff", packet="rw", ld_abs=True, status="run"),
    ProgRow(ProgType.SCHED_ACT, "SkBuff", packet="rw", ld_abs=True, status="run"),
    ProgRow(ProgType.TRACEPOINT, "", "perfmon"),
    ProgRow(ProgType.XDP, "XdpMd", packet="rw", status="run"),
    ProgRow(ProgType.PERF_EVENT, "PerfEventData", "perfmon"),
    ProgRow(
        ProgType.CGROUP_SKB,
        "SkBuff",
        "bpf",
        attach=(_A.CGROUP_INET_INGRESS, _A.CGROUP_INET_EGRESS),
        ret=_BOOL,
        # bits: 1 allow, 2 congestion
        ret_by_attach={_A.CGROUP_INET_EGRESS: (0, 3)},
        packet="r",
        status="run",
    ),
    ProgRow(
        ProgType.CGROUP_SOCK,
        "BpfSock",
        attach=(
            _A.CGROUP_INET_SOCK_CREATE,
            _A.CGROUP_INET_SOCK_RELEASE,
            _A.CGROUP_INET4_POST_BIND,
            _A.CGROUP_INET6_POST_BIND,
        ),
        attach_default=_A.CGROUP_INET_SOCK_CREATE,
        ret=_BOOL,
    ),
    ProgRow(ProgType.LWT_IN, "SkBuff", packet="r", status="run"),
    ProgRow(ProgType.LWT_OUT, "SkBuff", packet="r", status="run"),
    ProgRow(ProgType.LWT_XMIT, "SkBuff", packet="rw", status="run"),
    ProgRow(ProgType.SOCK_OPS, "SockOps", ret=_BOOL, packet="r"),
    ProgRow(ProgType.SK_SKB, "SkBuff", packet="rw"),
    ProgRow(ProgType.CGROUP_DEVICE, "CgroupDevCtx", ret=_BOOL),
    ProgRow(ProgType.SK_MSG, "SkMsgMd", packet="rw"),
    ProgRow(ProgType.RAW_TRACEPOINT, "", "perfmon", status="run"),
    ProgRow(
        ProgType.CGROUP_SOCK_ADDR,
        "SockAddr",
        attach=tuple(_SOCK_ADDR_RET),
        ret=_BOOL,
        ret_by_attach=_SOCK_ADDR_RET,
    ),
    ProgRow(ProgType.LWT_SEG6LOCAL, "SkBuff", packet="r", status="run"),
    ProgRow(ProgType.LIRC_MODE2, "", status="absent"),  # not asked
    ProgRow(
        ProgType.SK_REUSEPORT,
        "SkReuseportMd",
        "bpf",
        attach=(_A.SK_REUSEPORT_SELECT, _A.SK_REUSEPORT_SELECT_OR_MIGRATE),
        attach_default=_A.SK_REUSEPORT_SELECT,
        packet="r",
    ),
    ProgRow(ProgType.FLOW_DISSECTOR, "SkBuff", packet="r"),
    ProgRow(ProgType.CGROUP_SYSCTL, "Sysctl", ret=_BOOL),
    ProgRow(ProgType.RAW_TRACEPOINT_WRITABLE, "", "perfmon"),
    ProgRow(
        ProgType.CGROUP_SOCKOPT,
        "Sockopt",
        attach=(_A.CGROUP_GETSOCKOPT, _A.CGROUP_SETSOCKOPT),
        ret=_BOOL,
        packet="rw",
    ),
    ProgRow(
        ProgType.TRACING,
        capability="perfmon",
        ret=ANYTHING,
        ret_by_attach=_TRACING_RET,
        btf_target=True,
        sleepable=True,
    ),
    # the expected attach type is the number of the member of the structure
    ProgRow(ProgType.STRUCT_OPS, capability="perfmon", btf_target=True, sleepable=True, gpl_only=True),
    ProgRow(ProgType.EXT, capability="perfmon", attach=(_A.CGROUP_INET_INGRESS,), btf_target=True),  # not asked
    ProgRow(
        ProgType.LSM,
        capability="perfmon",
        ret=(-4095, 0),
        ret_by_attach={_A.LSM_CGROUP: _BOOL},
        btf_target=True,
        sleepable=True,
        gpl_only=True,
    ),  # not asked
    ProgRow(ProgType.SK_LOOKUP, "SkLookup", "bpf", attach=(_A.SK_LOOKUP,), ret=_BOOL),
    ProgRow(
        ProgType.SYSCALL,
        "",
        "bpf",
        attach=(_A.CGROUP_INET_INGRESS,),
        sleepable=True,
        must_sleep=True,
        status="run",
    ),
    ProgRow(ProgType.NETFILTER, "", attach=(_A.NETFILTER,), ret=_BOOL),
)

PROGS: Final[dict[ProgType, ProgRow]] = {row.prog_type: row for row in _ROWS}

# BPF_PROG_LOAD's prog_flags that 6.18 knows; any other bit is EINVAL
PROG_FLAGS: Final = 0x100FF  # STRICT_ALIGNMENT .. TEST_REG_INVARIANTS, TOKEN_FD
