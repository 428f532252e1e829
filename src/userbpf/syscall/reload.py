"""A program out of another process' pin: opened maps, BTF, and then BPF_PROG_LOAD like any other."""

from __future__ import annotations

import ctypes
import os
from errno import EINVAL, EOPNOTSUPP

from userbpf.abi.attrs import ProgLoadAttr
from userbpf.btf import check
from userbpf.errors import BpfError
from userbpf.kernel import Kernel, bpffs
from userbpf.kernel.objects import BtfObj, MapObj
from userbpf.kernel.progfile import ProgFile
from userbpf.maps.progarray import ProgArrayMap
from userbpf.syscall.attrs import UserAttr
from userbpf.syscall.prog import prog_load


def load_pinned(kernel: Kernel, record: ProgFile, path: str) -> int:
    """Load a program from its pin's record as PROG_LOAD would: nothing in the file is trusted."""
    held: list[int] = []
    folder = os.path.dirname(os.path.abspath(path))
    try:
        for name in record.maps:
            fd = bpffs.get(kernel, os.path.join(folder, name), os.O_RDWR)
            if not isinstance(fd, int):
                raise BpfError(EINVAL)
            held.append(fd)
        if record.blobs["btf"]:
            btf = kernel.admit(BtfObj(record.blobs["btf"], check.load(record.blobs["btf"])[0]))
            held.append(kernel.new_fd(btf))
        fd = _load_record(kernel, record, held)
    finally:
        for each in held:
            os.close(each)
    prog = kernel.prog_of_fd(fd)
    prog.tag = prog.record.tag = bytes.fromhex(record.fields["tag"])
    bpffs.settle(kernel, prog, path)
    return fd


def find_tails(kernel: Kernel, obj: MapObj) -> None:
    """Load what another process put into a PROG_ARRAY, from the programs' pins; EOPNOTSUPP where one has none."""
    array = obj.map
    if not isinstance(array, ProgArrayMap) or obj in kernel.finding_tails:
        return
    kernel.finding_tails.append(obj)
    try:
        for index, mark in list(array.unknown()):
            path = bpffs.tail_pin(obj, mark)
            if path is None:
                what = (
                    f"{obj.name or 'prog array'}[{index}] is a program of another process and has no pin beside the map"
                )
                raise BpfError(EOPNOTSUPP, what)
            found = bpffs.get(kernel, path, os.O_RDWR)
            fd = found if isinstance(found, int) else load_pinned(kernel, found, path)
            try:
                prog = kernel.prog_of_fd(fd)
                array.set_here(index, 0 if prog.interpreted else prog.code_addr(), prog)
            finally:
                os.close(fd)
    finally:
        kernel.finding_tails.remove(obj)


def _load_record(kernel: Kernel, record: ProgFile, held: list[int]) -> int:
    """PROG_LOAD with an attr whose pointers are into buffers of ours."""
    array = b"".join(fd.to_bytes(4, "little") for fd in held)
    fields, blobs = record.fields, record.blobs
    contents = (
        blobs["insns"],
        fields["license"].encode("latin-1") + b"\0",
        blobs["func_info"],
        blobs["line_info"],
        array,
    )
    insns, licence, func_info, line_info, fd_array = buffers = [bytearray(content or b"\0") for content in contents]
    where = {id(b): ctypes.addressof((ctypes.c_char * len(b)).from_buffer(b)) for b in buffers}
    attr = ProgLoadAttr(
        prog_type=fields["prog_type"],
        insn_cnt=len(blobs["insns"]) // 8,
        insns=where[id(insns)],
        license=where[id(licence)],
        prog_flags=fields["prog_flags"],
        prog_name=fields["name"].encode("latin-1").ljust(16, b"\0"),
        expected_attach_type=fields["expected_attach_type"],
        prog_btf_fd=held[-1] if blobs["btf"] else 0,
        func_info_rec_size=8,
        func_info=where[id(func_info)],
        func_info_cnt=len(blobs["func_info"]) // 8,
        line_info_rec_size=16,
        line_info=where[id(line_info)],
        line_info_cnt=len(blobs["line_info"]) // 16,
        fd_array=where[id(fd_array)],
        fd_array_cnt=len(held),
    )
    return prog_load(kernel, attr, UserAttr(kernel.memory, bytearray(ProgLoadAttr.SIZE), None))
