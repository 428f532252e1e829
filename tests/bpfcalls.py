"""bpf(2) calls for tests, over either transport: pointers are made and kept, errors are errno names.

`Calls(bpf)` wraps one transport's `bpf(cmd, attr, size=None)`. A test that asks for an errno writes
`calls.err(calls.lookup, fd, key)` and compares with "ENOENT".
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from userbpf import linux
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
from userbpf.abi.enums import Cmd, MapType, ProgType
from userbpf.abi.info import BtfInfo, MapInfo, ProgInfo
from userbpf.isa.insn import Insn, encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch

RETURN_0 = [Insn(0xB7), Insn(0x95)]
ENAMES = {**errno.errorcode, 524: "ENOTSUPP"}


def ret(value: int) -> list[Insn]:
    """A program that returns a constant."""
    return [Insn(0xB7, 0, 0, 0, value), Insn(0x95)]


def lddw_map(dst: int, fd: int) -> list[Insn]:
    return [Insn(0x18, dst, 1, 0, fd), Insn(0)]


def count_in_array(fd: int, result: int = 0) -> list[Insn]:
    """Adds 1 to the u64 at index 0 of an array."""
    return [
        Insn(0x62, 10, 0, -4, 0),  # *(u32 *)(r10 - 4) = 0
        Insn(0xBF, 2, 10),  # r2 = r10
        Insn(0x07, 2, 0, 0, -4),  # r2 += -4
        *lddw_map(1, fd),
        Insn(0x85, 0, 0, 0, 1),  # call bpf_map_lookup_elem
        Insn(0x15, 0, 0, 2, 0),  # if r0 == 0 goto +2
        Insn(0xB7, 1, 0, 0, 1),  # r1 = 1
        Insn(0xDB, 0, 1, 0, 0),  # lock *(u64 *)(r0 + 0) += r1
        *ret(result),
    ]


class Buf:
    """Bytes with an address."""

    def __init__(self, content: bytes | int) -> None:
        raw = bytes(content)
        self.size = len(raw)
        self._memory = ctypes.create_string_buffer(raw, max(len(raw), 1))
        self.addr = ctypes.addressof(self._memory)

    @property
    def raw(self) -> bytes:
        return self._memory.raw[: self.size]

    @property
    def text(self) -> str:
        return self.raw.split(b"\0")[0].decode()


class Calls:
    def __init__(self, bpf: Callable[..., int], name: str, kernel: Any = None) -> None:
        self.bpf = bpf
        self.name = name
        self.kernel = kernel
        self.fds: list[int] = []

    def err(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """The errno name of a call that must fail; "" where it succeeds."""
        try:
            fn(*args, **kwargs)
        except OSError as e:
            return ENAMES.get(e.errno or 0, str(e.errno))
        return ""

    def fd(self, cmd: Cmd, attr: Any, size: int | None = None) -> int:
        fd = self.bpf(cmd, attr, size)
        self.fds.append(fd)
        return fd

    def close(self, *fds: int) -> None:
        for fd in fds or list(self.fds):
            self.fds.remove(fd)
            os.close(fd)

    # --- maps
    def map(self, map_type: int = MapType.HASH, key: int = 4, value: int = 8, n: int = 4, **more: Any) -> int:
        attr = MapCreateAttr(map_type=map_type, key_size=key, value_size=value, max_entries=n, **more)
        return self.fd(Cmd.MAP_CREATE, attr)

    def lookup(
        self, fd: int, key: bytes | None, value_size: int = 8, flags: int = 0, cmd: Cmd = Cmd.MAP_LOOKUP_ELEM
    ) -> bytes:
        k, v = Buf(key or b""), Buf(value_size)
        self.bpf(cmd, MapElemAttr(map_fd=fd, key=k.addr if key is not None else 0, value=v.addr, flags=flags))
        return v.raw

    def pop(self, fd: int, key: bytes | None, value_size: int = 8, flags: int = 0) -> bytes:
        return self.lookup(fd, key, value_size, flags, Cmd.MAP_LOOKUP_AND_DELETE_ELEM)

    def update(self, fd: int, key: bytes | None, value: bytes, flags: int = 0) -> None:
        k, v = Buf(key or b""), Buf(value)
        attr = MapElemAttr(map_fd=fd, key=k.addr if key is not None else 0, value=v.addr, flags=flags)
        self.bpf(Cmd.MAP_UPDATE_ELEM, attr)

    def delete(self, fd: int, key: bytes | None) -> None:
        k = Buf(key or b"")
        self.bpf(Cmd.MAP_DELETE_ELEM, MapElemAttr(map_fd=fd, key=k.addr if key is not None else 0))

    def next_key(self, fd: int, key: bytes | None, key_size: int = 4) -> bytes:
        k, out = Buf(key or b""), Buf(key_size)
        attr = MapElemAttr(map_fd=fd, key=k.addr if key is not None else 0, value=out.addr)
        self.bpf(Cmd.MAP_GET_NEXT_KEY, attr)
        return out.raw

    def keys(self, fd: int, key_size: int = 4) -> list[bytes]:
        out: list[bytes] = []
        key: bytes | None = None
        while True:
            try:
                key = self.next_key(fd, key, key_size)
            except OSError as e:
                assert e.errno == errno.ENOENT
                return out
            out.append(key)

    def freeze(self, fd: int) -> None:
        self.bpf(Cmd.MAP_FREEZE, MapElemAttr(map_fd=fd))

    def batch(self, cmd: Cmd, fd: int, **fields: Any) -> MapBatchAttr:
        attr = MapBatchAttr(map_fd=fd, **fields)
        self.bpf(cmd, attr)
        return attr

    # --- programs
    def load_attr(self, program: Sequence[Insn], prog_type: int, **more: Any) -> ProgLoadAttr:
        code, licence = Buf(encode(program)), Buf(b"GPL\0")
        self._kept = (code, licence)
        fields = {"insn_cnt": len(program), "insns": code.addr, "license": licence.addr, **more}
        return ProgLoadAttr(prog_type=prog_type, **fields)

    def prog(self, program: Sequence[Insn] = RETURN_0, prog_type: int = ProgType.SOCKET_FILTER, **more: Any) -> int:
        return self.fd(Cmd.PROG_LOAD, self.load_attr(program, prog_type, **more))

    def test_run(self, fd: int, data: bytes = bytes(64), out: int = 0, **more: Any) -> tuple[ProgTestRunAttr, bytes]:
        given, got = Buf(data), Buf(out)
        fields = {"data_in": given.addr, "data_size_in": len(data), **more}
        if out:
            fields |= {"data_out": got.addr, "data_size_out": out}
        attr = ProgTestRunAttr(prog_fd=fd, **fields)
        self.bpf(Cmd.PROG_TEST_RUN, attr)
        return attr, got.raw

    # --- BTF
    def btf(self, data: bytes, **more: Any) -> int:
        blob = Buf(data)
        return self.fd(Cmd.BTF_LOAD, BtfLoadAttr(btf=blob.addr, btf_size=len(data), **more))

    # --- objects
    def info(self, fd: int, info: Any, length: int | None = None) -> Any:
        """Fill an info object (MapInfo(), ProgInfo(map_ids=addr, nr_map_ids=n) ...); attr's info_len comes back as .len."""
        raw = Buf(info.encode())
        attr = ObjInfoAttr(bpf_fd=fd, info_len=raw.size if length is None else length, info=raw.addr)
        self.bpf(Cmd.OBJ_GET_INFO_BY_FD, attr)
        self.info_len = attr.info_len
        return type(info).decode(raw.raw)

    def map_info(self, fd: int) -> MapInfo:
        return self.info(fd, MapInfo())  # type: ignore[no-any-return]

    def prog_info(self, fd: int) -> ProgInfo:
        return self.info(fd, ProgInfo())  # type: ignore[no-any-return]

    def btf_info(self, fd: int) -> BtfInfo:
        return self.info(fd, BtfInfo())  # type: ignore[no-any-return]

    def next_id(self, cmd: Cmd, start: int) -> int:
        attr = GetIdAttr(start_id=start)
        self.bpf(cmd, attr)
        return attr.next_id

    def ids(self, cmd: Cmd) -> list[int]:
        out: list[int] = []
        at = 0
        while True:
            try:
                at = self.next_id(cmd, at)
            except OSError as e:
                assert e.errno == errno.ENOENT
                return out
            out.append(at)

    def fd_by_id(self, cmd: Cmd, number: int, flags: int = 0) -> int:
        return self.fd(cmd, GetIdAttr(start_id=number, open_flags=flags))

    def pin(self, fd: int, path: str) -> None:
        text = Buf(os.fsencode(path) + b"\0")
        self.bpf(Cmd.OBJ_PIN, ObjPinAttr(pathname=text.addr, bpf_fd=fd))

    def get(self, path: str, flags: int = 0) -> int:
        text = Buf(os.fsencode(path) + b"\0")
        return self.fd(Cmd.OBJ_GET, ObjPinAttr(pathname=text.addr, file_flags=flags))


def calls_of(name: str) -> Calls:
    """Calls over a transport: linux (skips, with the reason, where it is not permitted), user, or interpreter.

    The last one is userbpf with every program run in the checked interpreter.
    """
    if name == "linux":
        reason = linux.available()
        if reason:
            pytest.skip(reason)
        return Calls(linux.bpf, "linux")
    own = Kernel(interpret_only=name == "interpreter")
    return Calls(lambda cmd, attr, size=None: dispatch(own, cmd, attr, size), "user", own)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)
