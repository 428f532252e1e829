"""The verifier's door: what it is asked and what it hands down.

The verifier is pure. It knows shapes of maps, never maps; file descriptors are resolved by a callback of the caller, because
the order of Linux's checks (and so errno and log) needs the resolution in the middle of verification.

`verify` returns a `VerifiedProg`, or raises `Rejected`. Both carry the whole log; cutting it to a user's buffer is the
syscall's work.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from userbpf.abi.enums import AttachType, MapType, ProgType
from userbpf.errors import BpfError, messages
from userbpf.isa.insn import Insn

if TYPE_CHECKING:
    from userbpf.btf import Btf


@dataclass(slots=True, eq=False)
class MapShape:
    """What the verifier knows of a map. `token` is the caller's own and comes back untouched."""

    map_type: MapType
    key_size: int
    value_size: int
    max_entries: int
    map_flags: int = 0
    name: str = ""
    map_id: int = 0
    frozen: bool = False
    btf: Btf | None = None
    btf_key_type_id: int = 0
    btf_value_type_id: int = 0
    inner: MapShape | None = None
    user_start: int = 0  # ARENA: where user space sees its first page; 0: nowhere yet
    # constant content of a frozen read-only map: peek(off, size) -> bytes; None where the content may change
    peek: Callable[[int, int], bytes] | None = None
    token: Any = None


@dataclass(slots=True)
class Caps:
    """Capabilities of the loader, as Linux's verifier asks for them."""

    bpf: bool = True
    perfmon: bool = True
    net_admin: bool = True
    sys_admin: bool = True


@dataclass(slots=True)
class TargetProg:
    """A loaded program that another one replaces a function of (EXT) or traces (fentry, fexit)."""

    prog_type: ProgType
    expected_attach_type: int = 0
    btf: Btf | None = None
    funcs: Sequence[int] = ()  # the BTF ids of its functions, by number
    static: Sequence[bool] = ()  # ... which of them are static
    may_sleep: bool = False
    changes_packet: bool = False
    jited: bool = True


@dataclass(slots=True)
class VerifyRequest:
    """One BPF_PROG_LOAD. `insns` is as loaded, with map fds still in the pseudo lddw."""

    insns: Sequence[Insn]
    prog_type: ProgType
    expected_attach_type: AttachType | int = 0
    prog_flags: int = 0
    gpl_compatible: bool = True
    name: str = ""
    log_level: int = 0  # bits: 1 brief, 2 every instruction, 4 statistics
    # fd -> shape; raises BpfError(EBADF) for no fd, BpfError(EINVAL) for an fd that is no map
    resolve_map: Callable[[int], MapShape] | None = None
    fd_array: Sequence[int] = ()
    fd_array_cnt: int = 0  # so many of them are looked at, used or not: maps (which are bound) and BTF objects
    resolve_btf: Callable[[int], Btf] | None = None  # fd -> types; raises BpfError as resolve_map does
    # what fills in btf, func_info, line_info and core_relos when it is their turn; raises BpfError, whose log is told
    read_btf: Callable[[VerifyRequest], None] | None = None
    btf: Btf | None = None
    func_info: Sequence[tuple[int, int]] = ()  # (insn_off, type_id)
    # (insn_off, file_name_off, line_off, line_col); going over it may raise BpfError
    line_info: Collection[tuple[int, int, int, int]] = ()
    core_relos: Collection[tuple[int, int, int, int]] = ()  # (insn_off, type_id, access_str_off, kind), likewise
    attach_btf: Btf | None = None  # where attach_btf_id is a type: the kernel's, or that of attach_prog
    attach_btf_id: int = 0
    attach_prog: TargetProg | None = None
    vmlinux: Callable[[], Btf | None] | None = None  # the kernel's own types, asked where they are needed
    has_symbol: Callable[[str], bool] | None = None  # whether the kernel tells a variable's address; None: of all
    caps: Caps = field(default_factory=Caps)
    kernel: str = "6.18"  # profile
    nr_cpus: int = 0  # possible CPUs, the bound of get_smp_processor_id; 0: not told


class PtrKind(enum.IntEnum):
    """Through what an instruction's memory access goes, over all paths."""

    CTX = 1
    STACK = 2
    PACKET = 3  # packet or packet meta data
    MAP_VALUE = 4
    MEM = 5  # ring-buffer record, global data handed as memory, dynptr slice ...
    BTF = 6  # trusted kernel memory, reads may fail
    SOCK = 7
    FLOW_KEYS = 8
    ARENA = 9
    MIXED = 15  # different kinds on different paths (all of them plain memory, never CTX)


@dataclass(slots=True)
class Fact:
    """What the verifier proved of one instruction. Only the fields that fit the instruction are set.

    load, store, atomic: `ptr` and, where it is the same on all paths, `map` (index into maps) and `off` (STACK: the
        constant offset from the frame pointer; CTX: the one in the context; MAP_VALUE: the one in the value).
    lddw: `map` for a map address or a map value (`off` then is the offset in the value), `subprog` for a callback address.
    call of a helper: `helper` id; `map` where one and the same map is meant on all paths; `key` where the key of an
        array lookup, or the index of a tail call, is one constant on all paths; `arg_size` the constant size argument
        where it is one.
    call of a subprogram or kfunc: `subprog` / `kfunc` (BTF id).
    conditional jump: `taken` True or False where only one way is ever possible.
    """

    ptr: PtrKind | None = None
    map: int | None = None
    off: int | None = None
    helper: int | None = None
    key: int | None = None
    arg_size: int | None = None
    subprog: int | None = None
    kfunc: int | None = None
    taken: bool | None = None


@dataclass(slots=True)
class Subprog:
    """One function: slots [start, end), its own frame of `stack_depth` bytes; `callback` where a helper calls it."""

    start: int
    end: int
    name: str = ""
    stack_depth: int = 0
    callback: bool = False
    is_global: bool = False


@dataclass(slots=True)
class Stats:
    """The last line of the log at level 4."""

    insns_processed: int = 0
    max_states_per_insn: int = 0
    total_states: int = 0
    peak_states: int = 0
    mark_read: int = 0
    verification_time_us: int = 0
    log_peak: int = 0  # bytes that the log once had, where more than at the end
    log_cuts: Sequence[int] = ()  # its bytes before and after it was cut back, each time


_SEAL = object()


@dataclass(slots=True, eq=False)
class VerifiedProg:
    """A program that may run. Only `verify` makes one: the engine takes nothing else."""

    request: VerifyRequest
    insns: tuple[Insn, ...]
    facts: tuple[Fact | None, ...]  # one per slot; None for slots that need none or are dead
    live: bytes  # one byte per slot: 1 where some path reaches it
    subprogs: tuple[Subprog, ...]  # [0] is the main program; ordered by start
    maps: tuple[MapShape, ...]  # used_maps, in order of first use
    log: str
    stats: Stats
    changes_packet: bool = False  # some reachable call may move packet data
    may_sleep: bool = False
    uses_arena: bool = False
    seal: object = None

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("VerifiedProg is made by verifier.verify alone")


class Rejected(BpfError):
    """The verifier refused the program: Linux's errno, and the log up to the refusal."""

    def __init__(self, errno: int, log: str, stats: Stats | None = None, pc: int | None = None) -> None:
        last = messages(log)
        super().__init__(errno, last[-1] if last else "", log)
        self.stats = stats
        self.pc = pc
