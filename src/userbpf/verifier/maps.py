"""The maps of a program: found through the pseudo lddw, checked against the program, and what the verifier keeps of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from userbpf.abi.consts import BPF_F_RDONLY_PROG
from userbpf.abi.enums import MapType, ProgType
from userbpf.errors import BpfError
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.spec.limits import MAX_USED_MAPS
from userbpf.spec.maps import MAPS
from userbpf.verifier import arena, btfargs, fields
from userbpf.verifier.api import MapShape, VerifyRequest
from userbpf.verifier.fields import KernelNames
from userbpf.verifier.reject import E2BIG, EBADF, EFAULT, EINVAL, ENOTSUPP, Reject

if TYPE_CHECKING:
    from userbpf.btf import Btf
    from userbpf.verifier.check import Checker

FD_ARRAY_TOO_MANY: Final = ((1 << 32) - 1) // 4


class MapUse:
    """One used map: its shape, its index in the program's list, and constant content where it has some."""

    __slots__ = ("constant", "fields", "flags", "index", "inner", "shape")

    def __init__(self, shape: MapShape, index: int, kernel_names: KernelNames) -> None:
        self.shape = shape
        self.fields = fields.of_map(shape.btf, shape.btf_value_type_id, kernel_names)
        self.index = index
        self.flags = shape.map_flags
        if shape.map_type in (MapType.DEVMAP, MapType.DEVMAP_HASH):
            self.flags |= BPF_F_RDONLY_PROG  # programs only look up
        self.constant = bool(shape.map_flags & BPF_F_RDONLY_PROG) and shape.frozen and shape.peek is not None
        # what an inner map must look like has no name
        self.inner: MapUse | None = (
            MapUse(replace(shape.inner, name=""), -1, kernel_names) if shape.inner is not None else None
        )

    def peek(self, off: int, size: int) -> bytes | None:
        if self.shape.peek is None or off < 0 or off + size > self.shape.value_size * self.shape.max_entries:
            return None
        return self.shape.peek(off, size)


def resolve(ck: Checker, insns: Sequence[Insn]) -> None:
    """Walk the program once: unknown opcodes, lddw pairs, map descriptors (in this order a bad program is refused)."""
    n = len(insns)
    pc = 0
    while pc < n:
        insn = insns[pc]
        code = insn[0]
        if code & 7 == 1 and (code & 0xE0 not in (0x60, 0x80) or insn.imm):
            raise Reject(EINVAL, "BPF_LDX uses reserved fields")
        if code == 0x18:
            _pair(ck, insns, pc)
            pc += 1
        elif code not in KNOWN_OPCODES:
            raise Reject(EINVAL, f"unknown opcode {code:02x}")
        pc += 1


def _opcodes() -> frozenset[int]:
    """Opcode bytes that exist, whatever their other fields say."""
    out: set[int] = set()
    for cls in (4, 7):
        for nibble in range(0, 0xE0, 0x10):
            if nibble in (0x80,):
                out.add(cls | nibble)
            else:
                out |= {cls | nibble, cls | nibble | 8}
    out.discard(7 | 0xD0 | 8)
    for nibble in range(0x10, 0xE0, 0x10):
        if nibble in (0x80, 0x90):
            continue
        out |= {5 | nibble, 5 | nibble | 8, 6 | nibble, 6 | nibble | 8}
    out |= {0x05, 0x06, 0x85, 0x95, 0xE5}
    for size in (0x00, 0x08, 0x10, 0x18):
        out |= {0x61 | size, 0x62 | size, 0x63 | size}
        if size != 0x18:
            out |= {0x81 | size, 0x20 | size, 0x40 | size}
        out.add(0xC3 | size)
    out.add(0x18)
    return frozenset(out)


KNOWN_OPCODES: Final = _opcodes()


def _pair(ck: Checker, insns: Sequence[Insn], pc: int) -> None:
    insn = insns[pc]
    if pc + 1 == len(insns):
        raise Reject(EINVAL, "invalid bpf_ld_imm64 insn")
    high = insns[pc + 1]
    if high.code or high.dst or high.src or high.off:
        raise Reject(EINVAL, "invalid bpf_ld_imm64 insn")
    src = insn.src
    if src == 0:
        return
    if src == op.BPF_PSEUDO_BTF_ID:
        ck.ksyms[pc] = btfargs.variable(ck, insn, high.imm)
        return
    if src == op.BPF_PSEUDO_FUNC:
        return
    if src in (op.BPF_PSEUDO_MAP_FD, op.BPF_PSEUDO_MAP_IDX):
        if high.imm:
            raise Reject(EINVAL, "unrecognized bpf_ld_imm64 insn")
    elif src not in (op.BPF_PSEUDO_MAP_VALUE, op.BPF_PSEUDO_MAP_IDX_VALUE):
        raise Reject(EINVAL, "unrecognized bpf_ld_imm64 insn")
    use = _lookup(ck, insn)
    ck.lddw_maps[pc] = use
    if src in (op.BPF_PSEUDO_MAP_VALUE, op.BPF_PSEUDO_MAP_IDX_VALUE):
        off = high.imm & 0xFFFFFFFF
        if off >= 1 << 29:
            raise Reject(EINVAL, f"direct value offset of {off} is not allowed")
        shape = use.shape
        if shape.map_type == MapType.ARRAY:
            if shape.max_entries != 1:
                ck.say(f"invalid access to map value pointer, value_size={shape.value_size} off={off}")
                raise Reject(ENOTSUPP)
            if off >= shape.value_size:
                raise Reject(EINVAL, f"invalid access to map value pointer, value_size={shape.value_size} off={off}")
        elif shape.map_type == MapType.ARENA:
            arena.value_address(shape, off)
        else:
            raise Reject(EINVAL, "no direct value access support for this map type")


def _lookup(ck: Checker, insn: Insn) -> MapUse:
    fd = insn.imm
    req = ck.req
    if insn.src in (op.BPF_PSEUDO_MAP_IDX, op.BPF_PSEUDO_MAP_IDX_VALUE):
        if not req.fd_array:
            raise Reject(71, "fd_idx without fd_array is invalid")
        fd = array_fd(req, fd)
    if req.resolve_map is None:
        raise Reject(9, f"fd {fd} is not pointing to valid bpf_map")
    try:
        shape = req.resolve_map(fd)
    except BpfError as error:
        raise Reject(error.errno or EINVAL, f"fd {fd} is not pointing to valid bpf_map") from None
    return _use(ck, shape)


def _use(ck: Checker, shape: MapShape) -> MapUse:
    key = id(shape.token) if shape.token is not None else id(shape)
    use = ck.map_of_token.get(key)
    if use is None:
        if len(ck.maps) >= MAX_USED_MAPS:
            raise Reject(E2BIG, f"The total number of maps per program has reached the limit of {MAX_USED_MAPS}")
        use = ck.map_of_token[key] = MapUse(shape, len(ck.maps), ck.kernel_names)
        ck.keep_alive.append(shape)
        compatible(ck, use)
        ck.maps.append(use)
    return use


def array_fd(req: VerifyRequest, index: int) -> int:
    """A descriptor of fd_array, whose length nobody told: before its beginning there is memory, too."""
    if not -(1 << 31) <= index < len(req.fd_array):
        raise Reject(EFAULT)
    try:
        return req.fd_array[index]
    except BpfError as error:
        raise Reject(error.errno or EFAULT) from None


def btf_of_fd(req: VerifyRequest, fd: int) -> tuple[Btf | None, int]:
    """The types of a BTF object, or an errno."""
    if req.resolve_btf is None:
        return None, EBADF
    try:
        return req.resolve_btf(fd), 0
    except BpfError as error:
        return None, error.errno or EINVAL


def bind(ck: Checker) -> None:
    """fd_array with a count: all of it is looked at before anything else, and its maps are the program's first ones."""
    req = ck.req
    if req.fd_array_cnt >= FD_ARRAY_TOO_MANY:
        raise Reject(EINVAL, f"fd_array_cnt is too big ({req.fd_array_cnt})")
    for index in range(req.fd_array_cnt):
        fd = array_fd(req, index)
        try:
            shape = req.resolve_map(fd) if req.resolve_map is not None else None
        except BpfError as error:
            if btf_of_fd(req, fd)[0] is None:
                raise Reject(error.errno or EINVAL, f"fd {fd} is not pointing to valid bpf_map or btf") from None
            continue
        if shape is not None:
            _use(ck, shape)


def compatible(ck: Checker, use: MapUse) -> None:
    """Maps that this program may not use at all."""
    if use.fields is not None:
        _fields_compatible(ck, use.fields)
    if use.shape.map_type == MapType.STRUCT_OPS:
        raise Reject(EINVAL, "bpf_struct_ops map cannot be used in prog")
    if use.shape.map_type == MapType.ARENA:
        arena.associate(ck, use)
    if ck.sleepable and not MAPS[MapType(use.shape.map_type)].sleepable:
        raise Reject(EINVAL, "Sleepable programs can only use array, hash, ringbuf and local storage maps")


def _fields_compatible(ck: Checker, found: fields.Record) -> None:
    """What lies in the values of a map."""
    kinds = found.kinds
    prog_type = ck.req.prog_type
    tracing = prog_type in TRACING_TYPES
    if tracing and kinds & set(fields.ROOTS):
        raise Reject(EINVAL, "tracing progs cannot use bpf_{list_head,rb_root} yet")
    if kinds & fields.LOCKS:
        if prog_type is ProgType.SOCKET_FILTER:
            raise Reject(EINVAL, "socket filter progs cannot use bpf_spin_lock yet")
        if tracing:
            raise Reject(EINVAL, "tracing progs cannot use bpf_spin_lock yet")
    for kind in (fields.TIMER, fields.WORKQUEUE):
        if tracing and kind in kinds:
            raise Reject(EINVAL, f"tracing progs cannot use {kind} yet")


TRACING_TYPES: Final = frozenset(
    (
        ProgType.KPROBE,
        ProgType.TRACEPOINT,
        ProgType.PERF_EVENT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
    )
)
