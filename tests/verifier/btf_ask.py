"""Both sides of a case over the kernel's types. Numbers of types differ between a kernel and an excerpt, so logs lose them."""

from __future__ import annotations

import ctypes
import json
import lzma
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from userbpf import linux
from userbpf.abi.attrs import MapCreateAttr, ProgLoadAttr
from userbpf.btf import Btf, Func, Struct, Typedef, Var
from userbpf.btf.lazy import LazyBtf, read_lazy
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from verifier.btf_cases import FUNCS, KFUNCS, MAPS, STRUCTS, TYPEDEFS, VARS, WHOLE, Case, resolved, target_id
from verifier.btf_excerpt import Excerpt

DATA = Path(__file__).resolve().parent.parent / "data"
EXCERPT = DATA / "vmlinux_6.18.44.btf.xz"
RECORDED = DATA / "btf_cases_6.18.44.json.xz"
VMLINUX = "/sys/kernel/btf/vmlinux"
_NUMBER = re.compile(r"(btf_id |attach_btf_id |type id )(?!0\b)\d{1,5}\b")
_CALL = re.compile(r"((?:call|kfunc) bpf_\w+#)\d{3,}( *)")
_POINTER = re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *")


@cache
def excerpt() -> Btf:
    return LazyBtf(lzma.decompress(EXCERPT.read_bytes()))


def cut_excerpt(source: Btf) -> bytes:
    """The bytes of the excerpt of a whole kernel's BTF."""
    out = Excerpt(source, WHOLE)
    for kind, names in ((Typedef, TYPEDEFS), (Func, [*FUNCS, *KFUNCS]), (Struct, STRUCTS), (Var, VARS)):
        for name in names:
            out.take(name, kind)
    return out.out.encode()


def lines(log: str) -> list[str]:
    return [
        _POINTER.sub(r"\1<address> ", _CALL.sub(r"\1N ", _NUMBER.sub(r"\1N", line.rstrip())))
        for line in log.splitlines()
        if line.strip()
    ]


def load(bpf: Any, case: Case, btf: Btf, level: int = 2) -> tuple[int, list[str]]:
    """errno (0: accepted) and log over one transport."""
    maps: list[int] = []

    def create(match: re.Match[str]) -> str:
        kind, key, value, entries = MAPS[match[1]]
        maps.append(bpf(0, MapCreateAttr(map_type=kind, key_size=key, value_size=value, max_entries=entries)))
        return str(maps[-1])

    code = encode(assemble(resolved(re.sub(r"\{map:(\w+)\}", create, case.text), btf)))
    insns = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(case.licence.encode())
    log = ctypes.create_string_buffer(1 << 18)
    attr = ProgLoadAttr(
        prog_type=int(case.prog_type),
        insn_cnt=len(code) // 8,
        insns=ctypes.addressof(insns),
        license=ctypes.addressof(licence),
        log_level=level,
        log_size=len(log),
        log_buf=ctypes.addressof(log),
        prog_flags=case.flags,
        expected_attach_type=int(case.attach),
        attach_btf_id=target_id(case, btf),
    )
    err = 0
    try:
        fd = bpf(5, attr)
        maps.append(fd)
    except BpfError as e:
        err = e.errno or 0
    for fd in maps:
        os.close(fd)
    return err, lines(log.value.decode("latin-1"))


def mine(case: Case, btf: Btf) -> tuple[int, list[str]]:
    kernel = Kernel(vmlinux_btf=btf)
    return load(lambda cmd, attr: dispatch(kernel, cmd, attr), case, btf)


def theirs(case: Case) -> tuple[int, list[str]]:
    return load(linux.bpf, case, read_lazy(VMLINUX))


def recorded() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(lzma.decompress(RECORDED.read_bytes()))
    return data
