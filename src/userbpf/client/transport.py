"""bpf(2) as typed calls over a transport: `user` (a Kernel of this process) or `linux` (the real syscall).

A client method is one command: pointers are made from bytes, results come back as bytes and records. Everything above the
syscall goes through here, so what runs on one transport runs on the other.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from userbpf.abi.attrs import (
    BtfLoadAttr,
    GetIdAttr,
    MapBatchAttr,
    MapCreateAttr,
    MapElemAttr,
    ObjInfoAttr,
    ObjPinAttr,
    ProgLoadAttr,
    ProgTestRunAttr,
)
from userbpf.abi.enums import Cmd
from userbpf.abi.info import BtfInfo, MapInfo, ProgInfo
from userbpf.abi.perf import PERF_FLAG_FD_CLOEXEC
from userbpf.errors import BpfError, UserbpfError, messages

if TYPE_CHECKING:
    from userbpf.syscall import Kernel

Bpf = Callable[..., int]
LOG_BYTES: Final = 1 << 20
MAX_LOG_BYTES: Final = 1 << 28
NAME_BYTES: Final = 16
OUT_BYTES: Final = 1 << 16


class Buffer:
    """Bytes with an address, as attr pointers want them."""

    def __init__(self, content: bytes | bytearray | int) -> None:
        self.size = content if isinstance(content, int) else len(content)
        self.memory = ctypes.create_string_buffer(
            b"" if isinstance(content, int) else bytes(content), max(self.size, 1)
        )
        self.addr = ctypes.addressof(self.memory)

    def bytes(self, size: int | None = None) -> bytes:
        return ctypes.string_at(self.addr, self.size if size is None else min(size, self.size))


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one BPF_PROG_TEST_RUN gave: retval as u32, packet and context afterwards, mean ns of a run."""

    retval: int
    data_out: bytes
    ctx_out: bytes
    duration_ns: int


class Client:
    """Typed bpf(2) calls. `kernel` is the Kernel behind the user transport, None for the real Linux."""

    def __init__(self, bpf: Bpf, name: str, kernel: Kernel | None = None) -> None:
        self.bpf = bpf
        self.name = name
        self.kernel = kernel

    # --- maps --------------------------------------------------------------------------------------------------------------

    def map_create(self, attr: MapCreateAttr) -> int:
        return self.bpf(Cmd.MAP_CREATE, attr)

    def map_lookup_elem(self, fd: int, key: bytes, size: int, flags: int = 0, cmd: Cmd = Cmd.MAP_LOOKUP_ELEM) -> bytes:
        k, out = Buffer(key), Buffer(size)
        self.bpf(cmd, MapElemAttr(map_fd=fd, key=k.addr if key else 0, value=out.addr, flags=flags))
        return out.bytes()

    def map_lookup_and_delete_elem(self, fd: int, key: bytes, size: int) -> bytes:
        return self.map_lookup_elem(fd, key, size, 0, Cmd.MAP_LOOKUP_AND_DELETE_ELEM)

    def map_update_elem(self, fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
        k, v = Buffer(key), Buffer(value)
        self.bpf(Cmd.MAP_UPDATE_ELEM, MapElemAttr(map_fd=fd, key=k.addr if key else 0, value=v.addr, flags=flags))

    def map_delete_elem(self, fd: int, key: bytes) -> None:
        k = Buffer(key)
        self.bpf(Cmd.MAP_DELETE_ELEM, MapElemAttr(map_fd=fd, key=k.addr))

    def map_get_next_key(self, fd: int, key: bytes | None, size: int) -> bytes | None:
        """The next key, None at the end."""
        k, out = Buffer(key or b""), Buffer(size)
        try:
            self.bpf(Cmd.MAP_GET_NEXT_KEY, MapElemAttr(map_fd=fd, key=k.addr if key is not None else 0, value=out.addr))
        except BpfError as e:
            if e.errno == errno.ENOENT:
                return None
            raise
        return out.bytes()

    def map_keys(self, fd: int, size: int) -> Iterator[bytes]:
        """All keys, by BPF_MAP_GET_NEXT_KEY."""
        key = self.map_get_next_key(fd, None, size)
        while key is not None:
            yield key
            key = self.map_get_next_key(fd, key, size)

    def map_freeze(self, fd: int) -> None:
        self.bpf(Cmd.MAP_FREEZE, MapElemAttr(map_fd=fd))

    def map_lookup_batch(
        self, fd: int, key_size: int, value_len: int, count: int
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """(entries, their keys, their values), by BPF_MAP_LOOKUP_BATCH from the first to the last."""
        token = Buffer(max(key_size, 8))
        first = True
        while True:
            keys, values = Buffer(key_size * count), Buffer(value_len * count)
            attr = MapBatchAttr(
                in_batch=0 if first else token.addr,
                out_batch=token.addr,
                keys=keys.addr,
                values=values.addr,
                count=count,
                map_fd=fd,
            )
            ended = False
            try:
                self.bpf(Cmd.MAP_LOOKUP_BATCH, attr)
            except BpfError as e:
                if e.errno == errno.ENOSPC and count < 1 << 24:
                    count *= 2
                    continue
                if e.errno != errno.ENOENT:
                    raise
                ended = True
            yield attr.count, keys.bytes(attr.count * key_size), values.bytes(attr.count * value_len)
            if ended:
                return
            first = False

    def map_update_batch(self, fd: int, keys: bytes, values: bytes, count: int) -> None:
        k, v = Buffer(keys), Buffer(values)
        self.bpf(Cmd.MAP_UPDATE_BATCH, MapBatchAttr(keys=k.addr, values=v.addr, count=count, map_fd=fd))

    def perf_event_open(self, attr: Any, pid: int, cpu: int) -> int:
        """An event that programs write records to, enabled."""
        if self.kernel is None:
            from userbpf import linux

            return linux.perf_event_open(attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)
        from userbpf.syscall import perf_event_open

        return perf_event_open(attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC, kernel=self.kernel)

    # --- programs ----------------------------------------------------------------------------------------------------------

    def prog_load(self, attr: ProgLoadAttr, log_level: int = 0) -> tuple[int, str]:
        """(fd, log). Where the verifier refuses and no log was asked for, it is asked again with one, as libbpf does."""
        level = log_level
        size = LOG_BYTES
        while True:
            log = Buffer(size if level else 0)
            attr.log_level, attr.log_buf, attr.log_size = level, log.addr if level else 0, size if level else 0
            try:
                fd = self.bpf(Cmd.PROG_LOAD, attr)
                return fd, _text(log)
            except BpfError as e:
                if e.errno == errno.ENOSPC and level and size < MAX_LOG_BYTES:
                    size *= 8
                    continue
                if not level and e.errno not in (errno.EPERM, errno.E2BIG):
                    level = 1
                    continue
                text = _text(log) if level else ""
                raise BpfError(e.errno or 0, _last_line(text), log=text) from None

    def prog_test_run(self, fd: int, data: bytes, ctx: bytes = b"", repeat: int = 1, flags: int = 0) -> RunResult:
        given, out = Buffer(data), Buffer(max(OUT_BYTES, len(data) + 4096) if data else 0)
        context, context_out = Buffer(ctx), Buffer(max(len(ctx), 256) if ctx else 0)
        attr = ProgTestRunAttr(
            prog_fd=fd,
            data_size_in=len(data),
            data_size_out=out.size,
            data_in=given.addr if data else 0,
            data_out=out.addr if data else 0,
            repeat=repeat,
            ctx_size_in=len(ctx),
            ctx_size_out=context_out.size,
            ctx_in=context.addr if ctx else 0,
            ctx_out=context_out.addr if ctx else 0,
            flags=flags,
        )
        self.bpf(Cmd.PROG_TEST_RUN, attr)
        return RunResult(
            attr.retval, out.bytes(attr.data_size_out), context_out.bytes(attr.ctx_size_out), attr.duration
        )

    def prog_test_run_context(self, fd: int, ctx: bytes = b"") -> RunResult:
        """One run over a context alone, which the program may change (where Linux says what became of it)."""
        context = Buffer(ctx)
        attr = ProgTestRunAttr(prog_fd=fd, ctx_size_in=len(ctx), ctx_in=context.addr if ctx else 0)
        self.bpf(Cmd.PROG_TEST_RUN, attr)
        return RunResult(attr.retval, b"", context.bytes(), attr.duration)

    # --- BTF and objects -----------------------------------------------------------------------------------------------------

    def btf_load(self, data: bytes) -> int:
        blob, log = Buffer(data), Buffer(LOG_BYTES)
        try:
            return self.bpf(Cmd.BTF_LOAD, BtfLoadAttr(btf=blob.addr, btf_size=len(data)))
        except BpfError as e:
            code = e.errno or 0
        try:
            return self.bpf(
                Cmd.BTF_LOAD,
                BtfLoadAttr(
                    btf=blob.addr, btf_size=len(data), btf_log_buf=log.addr, btf_log_size=LOG_BYTES, btf_log_level=1
                ),
            )
        except BpfError:
            text = _text(log)
            raise BpfError(code, _last_line(text), log=text) from None

    def info(self, fd: int, record: Any) -> Any:
        """OBJ_GET_INFO_BY_FD into a record of abi.info; pointers that it holds are filled."""
        raw = Buffer(record.encode())
        self.bpf(Cmd.OBJ_GET_INFO_BY_FD, ObjInfoAttr(bpf_fd=fd, info_len=raw.size, info=raw.addr))
        return type(record).decode(raw.bytes())

    def map_info(self, fd: int) -> MapInfo:
        found: MapInfo = self.info(fd, MapInfo())
        return found

    def prog_info(self, fd: int) -> ProgInfo:
        found: ProgInfo = self.info(fd, ProgInfo())
        return found

    def prog_xlated(self, fd: int) -> bytes:
        """The instructions of a loaded program."""
        size = self.prog_info(fd).xlated_prog_len
        room = Buffer(size)
        self.info(fd, ProgInfo(xlated_prog_len=size, xlated_prog_insns=room.addr))
        return room.bytes()

    def prog_map_ids(self, fd: int) -> Sequence[int]:
        """Ids of the maps that a program uses."""
        n = self.prog_info(fd).nr_map_ids
        room = Buffer(n * 4)
        self.info(fd, ProgInfo(nr_map_ids=n, map_ids=room.addr))
        return [int.from_bytes(room.bytes()[i * 4 : i * 4 + 4], "little") for i in range(n)]

    def btf_data(self, fd: int) -> bytes:
        """The blob behind a BTF fd."""
        first: BtfInfo = self.info(fd, BtfInfo())
        room = Buffer(first.btf_size)
        self.info(fd, BtfInfo(btf=room.addr, btf_size=first.btf_size))
        return room.bytes()

    def ids(self, cmd: Cmd) -> Iterator[int]:
        """All ids of a *_GET_NEXT_ID family."""
        at = 0
        while True:
            attr = GetIdAttr(start_id=at)
            try:
                self.bpf(cmd, attr)
            except BpfError as e:
                if e.errno == errno.ENOENT:
                    return
                raise
            at = attr.next_id
            yield at

    def fd_by_id(self, cmd: Cmd, number: int) -> int:
        return self.bpf(cmd, GetIdAttr(start_id=number))

    def obj_pin(self, fd: int, path: str | os.PathLike[str]) -> None:
        name = Buffer(os.fsencode(path) + b"\0")
        self.bpf(Cmd.OBJ_PIN, ObjPinAttr(pathname=name.addr, bpf_fd=fd))

    def obj_get(self, path: str | os.PathLike[str]) -> int:
        name = Buffer(os.fsencode(path) + b"\0")
        return self.bpf(Cmd.OBJ_GET, ObjPinAttr(pathname=name.addr))


def _text(log: Buffer) -> str:
    return log.bytes().split(b"\0", 1)[0].decode("utf-8", "replace")


def _last_line(text: str) -> str:
    lines = messages(text)
    return lines[-1] if lines else ""


def connect(transport: str = "user", kernel: Kernel | None = None) -> Client:
    """A client of a transport: "user" (of `kernel`, or the default one) or "linux"."""
    if transport == "user":
        from userbpf.syscall import default_kernel, dispatch

        own = kernel or default_kernel()
        return Client(lambda cmd, attr, size=None: dispatch(own, cmd, attr, size), "user", own)
    if transport == "linux":
        from userbpf import linux

        reason = linux.available()
        if reason:
            raise UserbpfError(f"the linux transport needs bpf(2): {reason}")
        return Client(linux.bpf, "linux")
    raise UserbpfError(f"no transport {transport!r}: there are user and linux")


def own_kernel(*, interpret_only: bool = False, version: str | None = None) -> Kernel:
    """A kernel of the caller's own, apart from the process' default one.

    `interpret_only`: programs are never compiled. `version`: it answers as that kernel does, see spec.profiles.
    """
    from userbpf.syscall import Kernel

    return Kernel(interpret_only=interpret_only, version=version) if version else Kernel(interpret_only=interpret_only)
