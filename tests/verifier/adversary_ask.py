"""Both sides of an adversary's case: Linux over raw bpf(2), and userbpf; `types` makes the BTF that callbacks need."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

from userbpf.abi.attrs import BtfLoadAttr, MapCreateAttr, ProgLoadAttr
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn, encode
from verifier.verifier_ask import lines, message
from verifier.verifier_cases import MAPS

Bpf = Callable[[int, Any], int]
Answer = tuple[int, str, int, list[str]]


def _starts(insns: Sequence[Insn]) -> list[int]:
    """Where functions begin, by who calls them or takes their address."""
    calls = {n + 1 + i.imm for n, i in enumerate(insns) if (i.code, i.src) in ((0x85, 1), (0x18, 4))}
    return [0, *sorted(calls - {0})]


def types(context: str, count: int, linkage: Sequence[int] = ()) -> tuple[bytes, list[int]]:
    """A blob and the ids of `count` functions: main of a context, the others of numbers; static where not told."""
    b = Builder()
    whole, number = b.integer("int", 4, True), b.integer("u64", 8)
    main = b.proto(whole, [("ctx", b.pointer(b.struct(context, size=4)))])
    ids = [b.func("main", main, 1)]
    for n in range(1, count):
        proto = b.proto(whole, [(f"a{i}", number) for i in range(4)])
        ids.append(b.func(f"f{n}", proto, linkage[n - 1] if n <= len(linkage) else 0))
    return b.encode(), ids


class Side:
    """One transport with the maps at hand."""

    def __init__(self, bpf: Bpf) -> None:
        self.bpf = bpf
        self.fds = [
            bpf(0, MapCreateAttr(map_type=m[0], key_size=m[1], value_size=m[2], max_entries=m[3], map_flags=m[4]))
            for m in MAPS
        ]
        self.log = ctypes.create_string_buffer(1 << 20)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)

    def __call__(self, prog_type: int, fields: dict[str, Any], text: str, level: int = 2) -> Answer:
        """errno, the last line where it was refused, instructions processed, log."""
        insns = [i._replace(imm=self.fds[i.imm]) if i.code == 0x18 and i.src in (1, 2) else i for i in assemble(text)]
        more = dict(fields)
        linkage = more.pop("linkage", None)
        keep = [encode(insns), b"GPL\0"]
        btf_fd = -1
        if linkage is not None:
            starts = _starts(insns)
            blob, ids = types("xdp_md" if prog_type == 6 else "__sk_buff", len(starts), linkage)
            holder = ctypes.create_string_buffer(blob, len(blob))
            btf_fd = self.bpf(18, BtfLoadAttr(btf=ctypes.addressof(holder), btf_size=len(blob)))
            keep.append(b"".join(struct.pack("<II", *pair) for pair in zip(starts, ids, strict=True)))
            more |= {"prog_btf_fd": btf_fd, "func_info_rec_size": 8, "func_info_cnt": len(starts)}
        buffers = [ctypes.create_string_buffer(data, len(data)) for data in keep]
        at = [ctypes.addressof(b) for b in buffers]
        if linkage is not None:
            more["func_info"] = at[2]
        self.log[0] = b"\0"
        attr = ProgLoadAttr(
            prog_type=prog_type, insn_cnt=len(insns), insns=at[0], license=at[1], log_level=level,
            log_buf=ctypes.addressof(self.log) if level else 0, log_size=len(self.log) if level else 0, **more,
        )  # fmt: skip
        err = 0
        try:
            os.close(self.bpf(5, attr))
        except BpfError as e:
            err = e.errno or -1
        finally:
            if btf_fd >= 0:
                os.close(btf_fd)
        log = lines(self.log.value.decode("latin-1")) if level else []
        processed = next((int(line.split()[1]) for line in reversed(log) if line.startswith("processed ")), 0)
        return err, message(log) if err else "", processed, log
