"""One BPF_PROG_LOAD on both sides: errno, log, and what is written back into the attr.

Descriptors stand at fixed numbers, so that a log names the same ones everywhere. Numbers of the kernel's types differ between a
kernel and an excerpt of its BTF, and what Linux keeps of earlier loads differs from run to run: logs lose both.
"""

from __future__ import annotations

import lzma
import os
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bpfcalls import ENAMES, Buf
from userbpf import linux
from userbpf.abi.attrs import BtfLoadAttr, MapCreateAttr, ProgLoadAttr
from userbpf.abi.enums import Cmd, MapType
from userbpf.btf import Btf, Enum, Struct, Typedef
from userbpf.btf.builder import Builder
from userbpf.btf.lazy import LazyBtf
from userbpf.isa.insn import Insn, encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from verifier.btf_excerpt import Excerpt

DATA = Path(__file__).resolve().parent.parent / "data"
EXCERPT = DATA / "vmlinux_core_6.18.44.btf.xz"
RECORDED = DATA / "loading_6.18.44.json.xz"
TRUE_SIZE = ProgLoadAttr.offset_of("log_true_size")
ARRAY, HASH, BTF, PROG, FILE, CLOSED = 900, 901, 902, 903, 904, 899
MANY = 910  # and 69 more
Answer = tuple[str, str, list[list[Any]]]
_MASKS = (
    (re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *"), r"\1<address> "),
    (re.compile(r"((?:vmlinux|module)_cand_cache:).*"), r"\1"),
    (re.compile(r"(candidate (?:#\d+ <\w+> )?\[)\d+"), r"\1N"),
    (re.compile(r"verification time \d+ usec"), "verification time"),
)


class Types:
    """The program's own types: of CO-RE relocations, and functions."""

    def __init__(self) -> None:
        b = Builder()
        word = b.integer("int", 4, signed=True)
        unsigned = b.integer("unsigned int", 4)
        long = b.integer("unsigned long long", 8)
        char = b.integer("char", 1, signed=True)
        half = b.integer("unsigned short", 2)
        byte = b.integer("unsigned char", 1)
        pointer = b.pointer(0)
        bitfields = [("pkt_type", byte, 3), ("ip_summed", byte, 2)]
        task = [("pid", word), ("tgid", word), ("nope", word), ("comm", b.array(char, 16))]
        widths = [("pid", long), ("flags", long), ("mm", pointer), ("stack", unsigned), ("start_time", unsigned)]
        within = b.union("", [("dev", pointer), ("q", long)])
        packet = [("", within), ("len", unsigned), ("data", pointer), *bitfields, ("protocol", half), ("mark", long)]
        self.main = b.func("main", b.proto(word), 1)
        self.static = b.func("other", b.proto(word), 0)
        self.callback = b.func("back", b.proto(word, [("i", unsigned), ("ctx", pointer)]), 0)
        self.ids = {
            "void": 0,
            "beyond": 9999,
            "task": b.struct("task_struct___x", task),
            "widths": b.struct("task_struct", widths),
            "packet": b.struct("sk_buff", packet),
            "list": b.struct("list_head", [("next", pointer)]),
            "wrong list": b.struct("list_head", [("next", word)]),
            "none": b.struct("no_such_here", [("a", word)]),
            "anonymous": b.struct("", [("a", word)]),
            "typedef": b.typedef("pid_t", word),
            "enum": b.enum("bpf_map_type", {"BPF_MAP_TYPE_HASH": 7, "NOPE": 5}),
            "int": word,
            "main": self.main,
        }
        self._blob = b.encode()

    def blob(self, *strings: str) -> tuple[bytes, list[int]]:
        """The BTF with more strings at its end, and where they are."""
        raw = self._blob
        size = struct.unpack_from("<I", raw, 20)[0]
        more, at = b"", []
        for text in strings:
            at.append(size + len(more))
            more += text.encode() + b"\0"
        return raw[:20] + struct.pack("<I", size + len(more)) + raw[24:] + more, at


TYPES = Types()


class World:
    """A transport with descriptors at their places."""

    def __init__(self, bpf: Callable[..., int]) -> None:
        self.bpf = bpf
        self.taken: list[int] = []
        array = MapCreateAttr(map_type=MapType.ARRAY, key_size=4, value_size=8, max_entries=1)
        self.place(bpf(Cmd.MAP_CREATE, array), ARRAY)
        self.place(
            bpf(Cmd.MAP_CREATE, MapCreateAttr(map_type=MapType.HASH, key_size=4, value_size=8, max_entries=4)), HASH
        )
        for number in range(70):
            self.place(bpf(Cmd.MAP_CREATE, array), MANY + number)
        self.btf(TYPES.blob()[0])
        self.place(os.memfd_create("x"), FILE)
        code, licence = Buf(encode([Insn(0xB7), Insn(0x95)])), Buf(b"GPL\0")
        fields = {"prog_type": 1, "insn_cnt": 2, "insns": code.addr, "license": licence.addr}
        self.place(bpf(Cmd.PROG_LOAD, ProgLoadAttr(**fields)), PROG)

    def place(self, fd: int, number: int) -> None:
        os.dup2(fd, number, False)
        os.close(fd)
        if number not in self.taken:
            self.taken.append(number)

    def btf(self, data: bytes) -> None:
        blob = Buf(data)
        self.place(self.bpf(Cmd.BTF_LOAD, BtfLoadAttr(btf=blob.addr, btf_size=len(data))), BTF)

    def close(self) -> None:
        for fd in self.taken:
            os.close(fd)

    def load(
        self, insns: list[Insn], level: int = 2, log_size: int = 1 << 16, size: int | None = None, **fields: Any
    ) -> Answer:
        """Fields that are bytes become pointers to them."""
        log = Buf(b"\xaa" * log_size)
        code, kept = Buf(encode(insns)), [Buf(b"GPL\0")]
        base: dict[str, Any] = {"prog_type": 1, "insn_cnt": len(insns), "insns": code.addr, "license": kept[0].addr}
        if level:
            base |= {"log_level": level, "log_buf": log.addr, "log_size": log_size}
        for name, value in fields.items():
            if isinstance(value, bytes) and name != "prog_name":
                kept.append(Buf(value))
                value = kept[-1].addr
            base[name] = value
        raw = bytearray(ProgLoadAttr(**base).encode())
        raw += bytes(max((size or 0) - len(raw), 0))
        before, err = bytes(raw), ""
        try:
            os.close(self.bpf(Cmd.PROG_LOAD, raw, size))
        except OSError as e:
            err = ENAMES.get(e.errno or 0, str(e.errno))
        text = log.raw.split(b"\0")[0].decode("latin-1")
        masked = "" if text == "\xaa" * log_size else text
        for mask, instead in _MASKS:
            masked = mask.sub(instead, masked)
        written = [[i, raw[i : i + 4].hex()] for i in range(0, len(raw), 4) if raw[i : i + 4] != before[i : i + 4]]
        if level & 4 or masked != text or "_cand_cache:" in text:
            written = [each for each in written if each[0] != TRUE_SIZE]
        return err, masked, written


def cut_excerpt(source: Btf) -> bytes:
    """What the relocations of the cases look for."""
    out = Excerpt(source, {"task_struct", "sk_buff", "list_head"})
    for name in ("task_struct", "sk_buff", "list_head"):
        out.take(name, Struct)
    out.take("pid_t", Typedef)
    out.take("bpf_map_type", Enum)
    out.take("int", type(source.by_id(source.named("int")[0])))
    return out.out.encode()


@cache
def own_kernel() -> Kernel:
    return Kernel(vmlinux_btf=LazyBtf(lzma.decompress(EXCERPT.read_bytes())))


def own_world() -> World:
    return World(lambda cmd, attr, size=None: dispatch(own_kernel(), cmd, attr, size))


def linux_world() -> World:
    return World(linux.bpf)
