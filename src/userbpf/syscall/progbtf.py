"""func_info, line_info and core_relos of BPF_PROG_LOAD: records out of user memory, checked as far as no control flow is needed.

Records may be longer than this kernel knows if the rest is zero, like an attr. What is copied and kept is the known part.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from errno import E2BIG, EINVAL, ENOMEM
from typing import Final

from userbpf.abi.attrs import ProgLoadAttr
from userbpf.abi.info import FuncInfo, LineInfo
from userbpf.btf import Func
from userbpf.errors import BpfError, BtfError
from userbpf.kernel import Kernel
from userbpf.kernel.objects import BtfObj, ProgRecord
from userbpf.syscall.attrs import UserAttr

MAX_REC_SIZE: Final = 252
CHUNK: Final = 1024  # records read at once
INT_MAX: Final = (1 << 31) - 1
RECORD: Final = LineInfo.SIZE  # a CoreRelo is as large
FUNC_REC_OFF: Final = ProgLoadAttr.offset_of("func_info_rec_size")


@dataclass(frozen=True, slots=True)
class Part:
    """Records of sixteen bytes that are read as the verifier comes to them."""

    field: str  # of attr; those of their number and size begin with the name
    name: str  # in messages

    def of(self, attr: ProgLoadAttr) -> tuple[int, int, int]:
        """(address, how many, bytes of each)."""
        prefix = self.name
        return getattr(attr, self.field), getattr(attr, f"{prefix}_cnt"), getattr(attr, f"{prefix}_rec_size")

    @property
    def size_off(self) -> int:
        return ProgLoadAttr.offset_of(f"{self.name}_rec_size")


LINES: Final = Part("line_info", "line_info")
RELOS: Final = Part("core_relos", "core_relo")


@dataclass(slots=True)
class ProgBtf:
    """What was read: the BTF object and the packed records."""

    obj: BtfObj | None = None
    func_info: bytes = b""
    lines: LazyRecords | None = None
    relos: LazyRecords | None = None

    def func_pairs(self) -> list[tuple[int, int]]:
        return list(struct.iter_unpack("<II", self.func_info))

    def keep(self, record: ProgRecord) -> None:
        record.func_info = self.func_info
        record.line_info = b"" if self.lines is None else bytes(self.lines.seen)


class LazyRecords(Collection[tuple[int, int, int, int]]):
    """line_info or core_relos as the verifier goes over it: a record that is wrong is met before a later one that cannot be
    read."""

    def __init__(self, kernel: Kernel, attr: ProgLoadAttr, out: UserAttr, part: Part) -> None:
        self._count = part.of(attr)[1]
        self._unread = _lazy_records(kernel, attr, out, part)
        self._error: BpfError | None = None
        self.seen = bytearray()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, record: object) -> bool:
        return any(record == each for each in struct.iter_unpack("<IIII", self.seen))

    def __iter__(self) -> Iterator[tuple[int, int, int, int]]:
        """What was read stays, for who goes over it again when the caller's memory is another."""
        yield from struct.iter_unpack("<IIII", bytes(self.seen))
        if self._error is not None:
            raise self._error
        try:
            for piece in self._unread:
                self.seen += piece
                yield from struct.iter_unpack("<IIII", piece)
        except BpfError as e:
            self._error = e
            raise


def read_prog_btf(kernel: Kernel, attr: ProgLoadAttr, out: UserAttr) -> ProgBtf:
    """Raises BpfError with the log text that Linux writes."""
    if not attr.func_info_cnt and not attr.line_info_cnt:
        return ProgBtf()
    obj = kernel.btf_of_fd(_signed(attr.prog_btf_fd))
    func_info = b"".join(_func_records(kernel, attr, obj, out))
    lines, relos = (LazyRecords(kernel, attr, out, part) for part in (LINES, RELOS))
    return ProgBtf(obj, func_info, lines, relos)


def _signed(fd: int) -> int:
    return fd - (1 << 32) if fd >> 31 else fd


def _func_records(kernel: Kernel, attr: ProgLoadAttr, obj: BtfObj, out: UserAttr) -> Iterator[bytes]:
    count, rec_size = attr.func_info_cnt, attr.func_info_rec_size
    if not count:
        return
    if not FuncInfo.SIZE <= rec_size <= MAX_REC_SIZE or rec_size % 4:
        raise BpfError(EINVAL, log=f"invalid func info rec size {rec_size}\n")
    if count * FuncInfo.SIZE > INT_MAX:
        raise BpfError(ENOMEM)
    previous = 0
    for number, record in enumerate(_records(kernel, attr.func_info, count, rec_size)):
        if any(record[FuncInfo.SIZE :]):
            out.put_u32(FUNC_REC_OFF, FuncInfo.SIZE)
            raise BpfError(E2BIG, log="nonzero tailing record in func info")
        insn_off, type_id = struct.unpack_from("<II", record)
        if number == 0 and insn_off:
            raise BpfError(EINVAL, log=f"nonzero insn_off {insn_off} for the first func info record")
        if number and insn_off <= previous:
            text = f"same or smaller insn offset ({insn_off}) than previous func info record ({previous})"
            raise BpfError(EINVAL, log=text)
        if not _is_func(obj, type_id):
            raise BpfError(EINVAL, log=f"invalid type id {_signed(type_id)} in func info")
        previous = insn_off
        yield record[: FuncInfo.SIZE]


def _is_func(obj: BtfObj, type_id: int) -> bool:
    try:
        return isinstance(obj.btf.by_id(type_id), Func)
    except BtfError:
        return False


def _lazy_records(kernel: Kernel, attr: ProgLoadAttr, out: UserAttr, part: Part) -> Iterator[bytes]:
    addr, count, rec_size = part.of(attr)
    if not count:
        return
    if count > INT_MAX // RECORD or not RECORD <= rec_size <= MAX_REC_SIZE or rec_size % 4:
        raise BpfError(EINVAL)
    if rec_size == RECORD:
        yield from _pieces(kernel, addr, count, rec_size)
        return
    for record in _records(kernel, addr, count, rec_size):
        if any(record[RECORD:]):
            out.put_u32(part.size_off, RECORD)
            raise BpfError(E2BIG, log=f"nonzero tailing record in {part.name}")
        yield record[:RECORD]


def _records(kernel: Kernel, addr: int, count: int, rec_size: int) -> Iterator[bytes]:
    for piece in _pieces(kernel, addr, count, rec_size):
        for at in range(0, len(piece), rec_size):
            yield piece[at : at + rec_size]


def _pieces(kernel: Kernel, addr: int, count: int, rec_size: int) -> Iterator[bytes]:
    """Whole records, so few at a time that one that cannot be read is met after those before it were looked at."""
    at = 0
    while at < count:
        n = min(CHUNK, count - at)
        try:
            piece = kernel.memory.read(addr + at * rec_size, n * rec_size)
        except BpfError:
            n = 1
            piece = kernel.memory.read(addr + at * rec_size, rec_size)
        yield piece
        at += n
