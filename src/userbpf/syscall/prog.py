"""BPF_PROG_LOAD, BPF_PROG_TEST_RUN, BPF_PROG_BIND_MAP: decode, ask verifier and hooks, encode.

The order of the checks is that of Linux 6.18, asked of it pair by pair: flags, token, length, attach target, expected attach
type, licence and instructions, type, name, log, fd_array, BTF, then the verifier's own.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from errno import E2BIG, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM
from typing import Final, overload

from userbpf.abi.attrs import ProgBindMapAttr, ProgLoadAttr, ProgTestRunAttr
from userbpf.abi.enums import Cmd, ProgType
from userbpf.engine.env import HelperMissing
from userbpf.errors import BpfError
from userbpf.hooks import test_run
from userbpf.isa.insn import Insn, decode, encode
from userbpf.isa.opcodes import (
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_MAP_FD,
    BPF_PSEUDO_MAP_IDX,
    BPF_PSEUDO_MAP_IDX_VALUE,
    BPF_PSEUDO_MAP_VALUE,
    LDDW,
)
from userbpf.kernel import Kernel
from userbpf.kernel.objects import MapObj, ProgObj, ProgRecord
from userbpf.kernel.usermem import M64, read_string
from userbpf.maps.cgroup import CgroupStorage
from userbpf.maps.progarray import ProgArrayMap
from userbpf.spec import limits as lim
from userbpf.spec.progs import PROG_FLAGS, PROGS, ProgRow
from userbpf.syscall.attach import AttachTarget, attach_target
from userbpf.syscall.attrs import UserAttr
from userbpf.syscall.environment import environment
from userbpf.syscall.log import UserLog
from userbpf.syscall.names import object_name
from userbpf.syscall.progbtf import ProgBtf, read_prog_btf
from userbpf.verifier import MapShape, Rejected, VerifiedProg, VerifyRequest, verify

BPF_F_TOKEN_FD: Final = 1 << 16
LICENSE_MAX: Final = 128
SIGNATURE_MAX: Final = 8192
KEYRINGS: Final = frozenset((0, 1, 2, -3, -4, -5))  # the system's; those of session and user
CALL: Final = 0x85
MAP_PSEUDOS: Final = frozenset({BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE})
GPL_COMPATIBLE: Final = frozenset(
    (b"GPL", b"GPL v2", b"GPL and additional rights", b"Dual BSD/GPL", b"Dual MIT/GPL", b"Dual MPL/GPL")
)
LOG_TRUE_SIZE_OFF: Final = ProgLoadAttr.offset_of("log_true_size")
RUN_ENDS: Final = {name: off for name, off, _ in ProgTestRunAttr.fields}


# --- BPF_PROG_LOAD -----------------------------------------------------------------------------------------------------


def prog_load(kernel: Kernel, attr: ProgLoadAttr, out: UserAttr) -> int:
    """Verify a program and give it an fd; EACCES or EINVAL with a log where the verifier refuses it."""
    row, target = _admissible(kernel, attr)
    licence, insns = _code(kernel, attr)
    name = object_name(attr.prog_name)
    log = UserLog(attr.log_level, attr.log_buf, attr.log_size)
    log.check()
    loading = _Loading(kernel, attr)
    request = VerifyRequest(
        insns=insns,
        prog_type=row.prog_type,
        expected_attach_type=row.effective_attach(attr.expected_attach_type),
        prog_flags=attr.prog_flags,
        gpl_compatible=licence in GPL_COMPATIBLE,
        name=name,
        log_level=attr.log_level,
        resolve_map=loading.resolve_map,
        fd_array=loading.fd_array,
        fd_array_cnt=attr.fd_array_cnt,
        resolve_btf=lambda fd: kernel.btf_of_fd(fd).btf,
        read_btf=lambda request: loading.read_btf(request, out),
        caps=kernel.caps,
        kernel=kernel.version,
        attach_btf=target.btf,
        attach_btf_id=attr.attach_btf_id,
        attach_prog=target.prog,
        vmlinux=kernel.vmlinux,
        has_symbol=kernel.has_symbol,
        nr_cpus=kernel.ncpu,
    )
    verified = _verify(kernel, request, log, out)
    record = ProgRecord(
        insns=loading.numbered(verified),
        prog_type=attr.prog_type,
        expected_attach_type=request.expected_attach_type,
        prog_flags=attr.prog_flags,
        license=licence,
        name=name,
        tag=program_tag(verified.insns, kernel.version),
        subprog_tags=subprog_tags(verified.insns, verified, kernel.version),
        gpl_compatible=request.gpl_compatible,
        attach_btf_id=attr.attach_btf_id,
    )
    return kernel.new_fd(kernel.admit(loading.program(verified, record)))


def _admissible(kernel: Kernel, attr: ProgLoadAttr) -> tuple[ProgRow, AttachTarget]:
    """The checks that need no memory: flags, length, capabilities, attach target, type."""
    if attr.prog_flags & ~PROG_FLAGS:
        raise BpfError(EINVAL)
    if attr.prog_flags & BPF_F_TOKEN_FD:
        kernel.object_of_fd(attr.prog_token_fd)
        raise BpfError(EINVAL)  # there are no tokens here
    if not 0 < attr.insn_cnt <= (kernel.profile.limits.insns if kernel.caps.bpf else lim.BPF_MAXINSNS):
        raise BpfError(E2BIG)
    row: ProgRow | None = PROGS.get(attr.prog_type)  # type: ignore[call-overload]
    if not kernel.caps.bpf and attr.prog_type not in (ProgType.SOCKET_FILTER, ProgType.CGROUP_SKB):
        raise BpfError(EPERM)
    if row is not None and not _permitted(kernel, row):
        raise BpfError(EPERM)
    target = attach_target(kernel, attr)
    if row is None or row.status == "absent":
        # the type is looked at after licence and instructions have been read
        _code(kernel, attr)
        raise BpfError(EINVAL)
    if not row.accepts(attr.expected_attach_type):
        raise BpfError(row.attach_errno)
    if attr.prog_ifindex:
        _code(kernel, attr)
        raise BpfError(EINVAL)  # offload needs a device that takes programs
    return row, target


def _permitted(kernel: Kernel, row: ProgRow) -> bool:
    caps = kernel.caps
    asked = {"bpf": True, "net_admin": caps.net_admin, "perfmon": caps.perfmon}
    return asked[row.capability] or caps.sys_admin


def _code(kernel: Kernel, attr: ProgLoadAttr) -> tuple[bytes, tuple[Insn, ...]]:
    """Licence (not more than 127 bytes of it count) and instructions."""
    licence = read_string(kernel.memory, attr.license, LICENSE_MAX - 1)
    raw = kernel.memory.read(attr.insns, attr.insn_cnt * 8)
    if attr.signature:
        _check_signature(kernel, attr)
    return licence, tuple(decode(raw))


def _check_signature(kernel: Kernel, attr: ProgLoadAttr) -> None:
    """As in a Linux built without the verification of signatures: what is well formed cannot be verified."""
    if attr.signature_size > SIGNATURE_MAX or attr.keyring_id not in KEYRINGS:
        raise BpfError(EINVAL)
    try:
        kernel.memory.read(attr.signature, attr.signature_size)
    except BpfError:
        raise BpfError(ENOMEM) from None
    raise BpfError(EOPNOTSUPP)


def _verify(kernel: Kernel, request: VerifyRequest, log: UserLog, out: UserAttr) -> VerifiedProg:
    if kernel.on_verify is not None:
        with contextlib.suppress(BpfError):  # who verifies it again, later, finds the caller's memory gone
            if request.read_btf is not None:
                request.read_btf(request)
            collections.deque(request.line_info, maxlen=0)
            collections.deque(request.core_relos, maxlen=0)
        kernel.on_verify(request)
    try:
        verified = verify(request)
        text = verified.log
    except Rejected as e:
        replaced = log.finish(kernel.memory, out, LOG_TRUE_SIZE_OFF, e.log, e.stats)
        if replaced:
            raise BpfError(replaced, log=e.log) from e
        raise
    replaced = log.finish(kernel.memory, out, LOG_TRUE_SIZE_OFF, text, verified.stats)
    if replaced:
        raise BpfError(replaced, log=text)
    return verified


def program_tag(insns: Sequence[Insn], version: str = "6.18") -> bytes:
    """The 8 bytes that name a program's code: a hash over instructions whose map fds are taken out.

    SHA-256 since Linux 6.18, SHA-1 before.
    """
    plain: list[Insn] = []
    pseudo = False
    for insn in insns:
        if pseudo:
            plain.append(insn._replace(imm=0))
            pseudo = False
            continue
        pseudo = insn.code == LDDW and insn.src in (BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE)
        plain.append(insn._replace(imm=0) if pseudo else insn)
    parts = tuple(int(part) for part in version.split(".")[:2])
    digest = hashlib.sha256 if parts >= (6, 18) else hashlib.sha1
    return digest(encode(plain)).digest()[:8]


def subprog_tags(insns: Sequence[Insn], verified: VerifiedProg, version: str) -> list[bytes]:
    """The tag of each function. A call in it holds the number of the function called, as Linux has it by then."""
    if len(verified.subprogs) < 2:
        return []
    numbers = {sub.start: number for number, sub in enumerate(verified.subprogs)}
    tags = []
    for sub in verified.subprogs:
        code = list(insns[sub.start : sub.end])
        for at, insn in enumerate(code):
            if insn.code == CALL and insn.src == BPF_PSEUDO_CALL:
                code[at] = insn._replace(off=numbers[sub.start + at + 1 + insn.imm], imm=1)
        tags.append(program_tag(code, version))
    return tags


def xlated(prog: ProgObj) -> list[Insn]:
    """The instructions as bpf_prog_info shows them: maps by their id. Linux also shows what it rewrote; here is none."""
    out: list[Insn] = []
    for insn in prog.record.insns:
        if insn.code == LDDW and insn.src in (BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE):
            direct = insn.src == BPF_PSEUDO_MAP_IDX_VALUE
            src = BPF_PSEUDO_MAP_VALUE if direct else BPF_PSEUDO_MAP_FD
            insn = insn._replace(src=src, imm=prog.maps[insn.imm].id)
        out.append(insn)
    return out


class _Loading:
    """What the fds of one BPF_PROG_LOAD mean."""

    def __init__(self, kernel: Kernel, attr: ProgLoadAttr) -> None:
        self.kernel = kernel
        self.attr = attr
        self.prog_btf = ProgBtf()
        self.shapes: dict[int, MapShape] = {}
        self.by_fd: dict[int, MapShape] = {}
        given = attr.fd_array or attr.fd_array_cnt
        self.fd_array: Sequence[int] = LazyFdArray(kernel.memory.read, attr.fd_array) if given else ()

    def resolve_map(self, fd: int) -> MapShape:
        """EBADF: no fd. EINVAL: not a map's. The same map has the same shape object, whatever its fd."""
        obj = self.kernel.map_of_fd(fd)
        shape = self.shapes.get(id(obj))
        if shape is None:
            shape = self.shapes[id(obj)] = obj.shape()
        self.by_fd[fd] = shape
        return shape

    def numbered(self, verified: VerifiedProg) -> tuple[Insn, ...]:
        """The instructions with maps by their number among the program's maps, whatever fds they had."""
        numbers = {id(shape): number for number, shape in enumerate(verified.maps)}
        out = []
        for insn in verified.insns:
            if insn.code == LDDW and insn.src in MAP_PSEUDOS:
                indexed = insn.src in (BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_MAP_IDX_VALUE)
                shape = self.by_fd[self.fd_array[insn.imm] if indexed else insn.imm]
                direct = insn.src in (BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_MAP_IDX_VALUE)
                src = BPF_PSEUDO_MAP_IDX_VALUE if direct else BPF_PSEUDO_MAP_IDX
                insn = insn._replace(src=src, imm=numbers[id(shape)])
            out.append(insn)
        return tuple(out)

    def read_btf(self, request: VerifyRequest, out: UserAttr) -> None:
        """func_info, line_info and the BTF that they speak of, once: who verifies it again later has no memory to read."""
        self.prog_btf = read_prog_btf(self.kernel, self.attr, out)
        if self.prog_btf.obj is not None:
            request.btf = self.prog_btf.obj.btf
        request.func_info = self.prog_btf.func_pairs()
        request.line_info = self.prog_btf.lines or ()
        request.core_relos = self.prog_btf.relos or ()
        request.read_btf = None

    def program(self, verified: VerifiedProg, record: ProgRecord) -> ProgObj:
        """The object: references to all maps that it uses or that were bound."""
        used: list[MapObj] = [shape.token for shape in verified.maps]
        for each in used:
            each.claim(record)
            if isinstance(each.map, ProgArrayMap) and (each.pins or each.adopted):
                from userbpf.syscall.reload import find_tails

                find_tails(self.kernel, each)
        prog = ProgObj(self.kernel, verified, environment(self.kernel, verified, used), record)
        prog.maps = used
        prog.btf = self.prog_btf.obj
        self.prog_btf.keep(record)
        return prog


class LazyFdArray(Sequence[int]):
    """User memory read as i32[] where it is asked for: its length is nowhere told."""

    def __init__(self, read: Callable[[int, int], bytes], addr: int) -> None:
        self._read = read
        self._addr = addr
        self._known: dict[int, int] = {}  # read once: a caller may change it meanwhile, or be gone

    def __len__(self) -> int:
        return 1 << 32

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            raise TypeError("fd_array is read one by one")
        fd = self._known.get(index)
        if fd is None:
            fd = self._known[index] = int.from_bytes(
                self._read((self._addr + index * 4) & M64, 4), "little", signed=True
            )
        return fd


# --- BPF_PROG_TEST_RUN -------------------------------------------------------------------------------------------------


def prog_test_run(kernel: Kernel, attr: ProgTestRunAttr, out: UserAttr) -> int:
    """Run a program on data and context of the caller's; results go back into the attr."""
    if bool(attr.ctx_size_in) != bool(attr.ctx_in) or bool(attr.ctx_size_out) != bool(attr.ctx_out):
        raise BpfError(EINVAL)
    prog = kernel.prog_of_fd(attr.prog_fd)
    request = test_run.TestRunRequest(
        data_in=_given(kernel, attr.data_in, attr.data_size_in),
        ctx_in=_given(kernel, attr.ctx_in, attr.ctx_size_in),
        data_out=bool(attr.data_out),
        ctx_out=bool(attr.ctx_out),
        repeat=attr.repeat,
        flags=attr.flags,
        cpu=attr.cpu,
        batch_size=attr.batch_size,
        duration=attr.duration,
    )
    for used in prog.maps:
        if isinstance(used.map, CgroupStorage):
            used.map.begin_run()
    kernel.run_timers()
    try:
        result = test_run.run(prog, request)
    except HelperMissing as e:
        raise BpfError(EOPNOTSUPP, str(e)) from e
    if kernel.stats_on():
        prog.run_cnt += attr.repeat or 1
        prog.run_time_ns += result.duration * (attr.repeat or 1)
    short = False
    if result.data_out is not None:
        short = _copy_out(kernel, attr.data_out, attr.data_size_out, result.data_out, result.fragment_bytes)
        out.put_u32(RUN_ENDS["data_size_out"], len(result.data_out))
    out.put_u32(RUN_ENDS["retval"], result.retval)
    out.put_u32(RUN_ENDS["duration"], min(result.duration, 0xFFFFFFFF))
    if short:
        raise BpfError(ENOSPC)
    if result.ctx_out is not None and prog.prog_type == ProgType.SYSCALL:
        kernel.memory.write(attr.ctx_in, result.ctx_out)
    elif result.ctx_out is not None and attr.ctx_out:
        short = _copy_out(kernel, attr.ctx_out, attr.ctx_size_out, result.ctx_out)
        out.put_u32(RUN_ENDS["ctx_size_out"], len(result.ctx_out))
        if short:
            raise BpfError(ENOSPC)
    return 0


def _given(kernel: Kernel, addr: int, size: int) -> test_run.UserBytes:
    return test_run.UserBytes(size, bool(addr), lambda n: kernel.memory.read(addr, n))


def _copy_out(kernel: Kernel, addr: int, size: int, data: bytes, fragment_bytes: int = 0) -> bool:
    """Copy what fits (size 0 is no limit); True where something did not. A fault counts less than that."""
    short = 0 < size < len(data)
    if addr:
        if short and size < fragment_bytes:
            raise BpfError(ENOSPC)
        try:
            kernel.memory.write(addr, data[:size] if short else data)
        except BpfError:
            if short:
                raise BpfError(ENOSPC) from None
            raise
    return short


# --- BPF_PROG_BIND_MAP -------------------------------------------------------------------------------------------------


def prog_bind_map(kernel: Kernel, attr: ProgBindMapAttr, out: UserAttr) -> int:
    """Let a program hold a map that it does not use."""
    if attr.flags:
        raise BpfError(EINVAL)
    prog = kernel.prog_of_fd(attr.prog_fd)
    obj = kernel.map_of_fd(attr.map_fd)
    with kernel.lock:
        if obj not in prog.maps:
            prog.maps.append(obj)
    return 0


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {
    Cmd.PROG_LOAD: prog_load,
    Cmd.PROG_TEST_RUN: prog_test_run,
    Cmd.PROG_BIND_MAP: prog_bind_map,
}
