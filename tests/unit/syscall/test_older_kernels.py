"""The door of an older kernel: errno of BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_BTF_LOAD for what a release does not know."""

from __future__ import annotations

import ctypes
import os
from errno import E2BIG, EINVAL

import pytest

from userbpf.abi import consts
from userbpf.abi.attrs import BtfLoadAttr, MapCreateAttr, ProgLoadAttr
from userbpf.abi.enums import AttachType, Cmd, MapType, ProgType
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError
from userbpf.isa.insn import Insn, encode
from userbpf.syscall import Kernel, dispatch


def answer(version: str, cmd: Cmd, attr: object) -> int:
    """0, or the errno."""
    try:
        os.close(dispatch(Kernel(version=version, vmlinux_btf=""), cmd, attr))
    except BpfError as e:
        return e.errno or 0
    return 0


def make_map(version: str, kind: MapType, entries: int = 1, key: int = 4, value: int = 4, **more: int) -> int:
    attr = MapCreateAttr(map_type=kind, key_size=key, value_size=value, max_entries=entries, **more)
    return answer(version, Cmd.MAP_CREATE, attr)


def load(version: str, prog_type: ProgType, **more: int) -> int:
    code = ctypes.create_string_buffer(encode([Insn(0xB7, imm=1), Insn(0x95)]))
    licence = ctypes.create_string_buffer(b"GPL")
    attr = ProgLoadAttr(
        prog_type=prog_type,
        insn_cnt=2,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(licence),
        **more,
    )
    return answer(version, Cmd.PROG_LOAD, attr)


def test_map_types() -> None:
    assert make_map("5.4", MapType.RINGBUF, 4096, 0, 0) == EINVAL
    assert make_map("5.10", MapType.RINGBUF, 4096, 0, 0) == 0
    assert make_map("5.15", MapType.BLOOM_FILTER, key=0) == EINVAL
    assert make_map("6.1", MapType.BLOOM_FILTER, key=0) == 0


def test_map_flags_and_fields() -> None:
    assert make_map("5.4", MapType.ARRAY, map_flags=consts.BPF_F_MMAPABLE) == EINVAL
    assert make_map("5.10", MapType.ARRAY, map_flags=consts.BPF_F_MMAPABLE) == 0
    assert make_map("5.15", MapType.BLOOM_FILTER, key=0, map_extra=3) == EINVAL
    assert make_map("6.1", MapType.BLOOM_FILTER, key=0, map_extra=3) == 0


def test_program_types_attach_types_and_flags() -> None:
    lookup = {"expected_attach_type": AttachType.SK_LOOKUP}
    assert load("5.4", ProgType.SK_LOOKUP, **lookup) == EINVAL
    assert load("5.10", ProgType.XDP) == 0
    assert load("5.15", ProgType.XDP, prog_flags=1 << 5) == EINVAL
    assert load("6.1", ProgType.XDP, prog_flags=1 << 5) == 0
    peer = {"expected_attach_type": AttachType.CGROUP_INET4_GETPEERNAME}
    assert load("5.4", ProgType.CGROUP_SOCK_ADDR, **peer) == EINVAL
    assert load("5.10", ProgType.CGROUP_SOCK_ADDR, **peer) == 0


def test_fields_behind_the_attr_of_the_release() -> None:
    assert load("5.10", ProgType.XDP, fd_array=1 << 40) == E2BIG
    assert load("5.15", ProgType.XDP, fd_array=1 << 40) == 0
    assert load("6.12", ProgType.XDP, fd_array_cnt=1) == E2BIG


def test_the_length_of_programs() -> None:
    assert Kernel(version="5.1").profile.limits.insns == 4096
    assert Kernel(version="5.4").profile.limits.insns == 1_000_000


def test_kinds_of_btf() -> None:
    builder = Builder()
    builder.floating("float", 4)
    blob = ctypes.create_string_buffer(builder.encode())
    attr = BtfLoadAttr(btf=ctypes.addressof(blob), btf_size=len(blob) - 1)
    assert answer("5.10", Cmd.BTF_LOAD, attr) == EINVAL
    assert answer("5.15", Cmd.BTF_LOAD, attr) == 0


def test_no_such_release() -> None:
    with pytest.raises(ValueError, match="no kernel release"):
        Kernel(version="latest")
