"""func_info and line_info that are wrong in every way, to both verifiers: errno and log as a whole."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

import pytest

from bench_verifier import diff, linux
from userbpf import linux as transport
from userbpf.abi.attrs import BtfLoadAttr, ProgLoadAttr
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError
from userbpf.isa.insn import Insn, encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch

pytestmark = pytest.mark.skipif(linux.available() is not None, reason=str(linux.available()))

b = Builder()
INT, U64 = b.integer("int", 4, True), b.integer("u64", 8)
PAIR = b.struct("s", [("a", U64)])
CTX = b.pointer(b.struct("__sk_buff", [("len", b.integer("u32", 4))]))
MAIN = b.func("main", b.proto(INT, [("c", CTX)]), 1)
SUB = b.func("sub", b.proto(INT, [("a", U64)]), 0)
GLOBAL_SUB = b.func("gsub", b.proto(INT, [("a", U64)]), 1)
VOID_SUB = b.func("vsub", b.proto(0, [("a", U64)]), 0)
GLOBAL_VOID = b.func("gv", b.proto(0, [("a", U64)]), 1)
PROTO = b.proto(INT, [])
BY_VALUE = b.func("ssub", b.proto(INT, [("a", PAIR)]), 1)
TYPEDEF = b.typedef("v", INT)


def _blob() -> tuple[bytes, int, int, int]:
    """The BTF, a file name's offset, a line's, the length of all strings."""
    raw = bytearray(b.encode())
    file = struct.unpack_from("<I", raw, 20)[0]
    raw += b"x.c\0int a;\0"
    struct.pack_into("<I", raw, 20, file + 11)
    return bytes(raw), file, file + 4, file + 11


BLOB, FILE, TEXT, STRINGS = _blob()
CODE = [
    Insn(0xB7, 1), Insn(0x18, 2), Insn(0), Insn(0x85, 0, 1, 0, 2), Insn(0xB7), Insn(0x95), Insn(0xB7), Insn(0x95),
]  # fmt: skip
FUNCS = [(0, MAIN), (6, SUB)]
LINES = [(0, FILE, TEXT, 1024), (6, FILE, TEXT, 2048)]
CALLS = [Insn(0xB7, 1), Insn(0x85, 0, 1, 0, 2), Insn(0xB7), Insn(0x95)]
CASES: dict[str, dict[str, Any]] = {"fine": {"funcs": FUNCS, "lines": LINES}}


def _case(name: str, **what: Any) -> None:
    CASES[name] = what


for n, ff in {
    "empty": [],
    "one": [(0, MAIN)],
    "three": [(0, MAIN), (6, SUB), (7, SUB)],
    "off1": [(1, MAIN), (6, SUB)],
    "second off": [(0, MAIN), (5, SUB)],
    "dup": [(0, MAIN), (0, SUB)],
    "desc": [(0, MAIN), (6, SUB), (3, SUB)],
    "bad id": [(0, 9999), (6, SUB)],
    "id 0": [(0, 0), (6, SUB)],
    "int id": [(0, INT), (6, SUB)],
    "proto id": [(0, PROTO), (6, SUB)],
    "ext": [(0, MAIN), (6, GLOBAL_SUB)],
    "global": [(0, MAIN), (6, GLOBAL_SUB)],
    "void static": [(0, MAIN), (6, VOID_SUB)],
    "void global": [(0, MAIN), (6, GLOBAL_VOID)],
    "main static": [(0, SUB), (6, SUB)],
    "main void": [(0, VOID_SUB), (6, SUB)],
    "struct arg": [(0, MAIN), (6, BY_VALUE)],
    "var": [(0, MAIN), (6, TYPEDEF)],
    "past": [(0, MAIN), (60, SUB)],
    "main gvoid": [(0, GLOBAL_VOID), (6, SUB)],
    "main ext": [(0, GLOBAL_SUB), (6, SUB)],
    "same func": [(0, MAIN), (6, MAIN)],
}.items():
    _case("func " + n, funcs=ff)
    _case("func+lines " + n, funcs=ff, lines=LINES)
for n, ll in {
    "one": [(0, FILE, TEXT, 1024)],
    "three": [*LINES, (7, FILE, TEXT, 0)],
    "off1": [(1, FILE, TEXT, 1024), (6, FILE, TEXT, 0)],
    "mid lddw": [(0, FILE, TEXT, 1), (2, FILE, TEXT, 1), (6, FILE, TEXT, 0)],
    "dup": [(0, FILE, TEXT, 1), (0, FILE, TEXT, 1), (6, FILE, TEXT, 1)],
    "desc": [(0, FILE, TEXT, 1), (4, FILE, TEXT, 1), (3, FILE, TEXT, 1), (6, FILE, TEXT, 1)],
    "past": [*LINES, (8, FILE, TEXT, 1)],
    "far": [*LINES, (80000, FILE, TEXT, 1)],
    "bad file": [(0, 99999, TEXT, 1), (6, FILE, TEXT, 1)],
    "bad line": [(0, FILE, 99999, 1), (6, FILE, TEXT, 1)],
    "zero strs": [(0, 0, 0, 0), (6, 0, 0, 0)],
    "end": [(0, STRINGS, TEXT, 1), (6, FILE, TEXT, 1)],
    "end-1": [(0, STRINGS - 1, TEXT, 1), (6, FILE, TEXT, 1)],
    "missing sub": [(0, FILE, TEXT, 1), (5, FILE, TEXT, 1), (7, FILE, TEXT, 1)],
    "none for sub": [(0, FILE, TEXT, 1), (5, FILE, TEXT, 1)],
    "middle str": [(0, FILE + 1, TEXT + 2, 1), (6, FILE, TEXT, 1)],
}.items():
    _case("line " + n, funcs=FUNCS, lines=ll)
    _case("line nofunc " + n, lines=ll)
for r in (0, 4, 7, 8, 9, 12, 16, 252, 256, 255, 1024):
    _case(f"frec {r}", funcs=FUNCS, lines=LINES, frec=r)
    _case(f"frec {r} none", funcs=[], frec=r)
for r in (0, 8, 15, 16, 17, 20, 24, 252, 256, 1024):
    _case(f"lrec {r}", funcs=FUNCS, lines=LINES, lrec=r)
    _case(f"lrec {r} none", funcs=FUNCS, lines=[], lrec=r)
_case(
    "frec12 tail nonzero",
    funcs=FUNCS,
    frec=12,
    fbytes=struct.pack("<III", 0, MAIN, 1) + struct.pack("<III", 6, SUB, 0),
)
_case(
    "frec12 tail nonzero 2",
    funcs=FUNCS,
    frec=12,
    fbytes=struct.pack("<III", 0, MAIN, 0) + struct.pack("<III", 6, SUB, 7),
)
_case(
    "lrec20 tail nonzero",
    funcs=FUNCS,
    lines=LINES,
    lrec=20,
    lbytes=b"".join(struct.pack("<IIIII", *x, 5) for x in LINES),
)
_case("null func", funcs=FUNCS, nullf=True)
_case("null line", funcs=FUNCS, lines=LINES, nulll=True)
_case("huge fcnt", funcs=FUNCS, fcnt=1 << 30)
_case("huge lcnt", funcs=FUNCS, lines=LINES, lcnt=1 << 30)
_case("lcnt max", funcs=FUNCS, lines=LINES, lcnt=0x7FFFFFFF // 16 + 1)
_case("fcnt 3 (garbage)", funcs=FUNCS, fcnt=0xFFFFFFFF)
_case("no btf", funcs=FUNCS, lines=LINES, btf=0)
_case("bad btf", funcs=FUNCS, lines=LINES, btf=987)
_case("bad btf no info", btf=987)
_case(
    "btf no info",
)
_case("bad btf none", btf=987, frec=0, lrec=0)
for n, s in (("int", SUB), ("void", VOID_SUB), ("gvoid", GLOBAL_VOID)):
    _case(f"ldabs {n}", code=[*CALLS, Insn(0x20), Insn(0x95)], funcs=[(0, MAIN), (4, s)])
    _case(f"tail {n}", code=[*CALLS, Insn(0x85, 0, 0, 0, 12), Insn(0x95)], funcs=[(0, MAIN), (4, s)])


def load(bpf: Any, level: int, case: dict[str, Any]) -> tuple[int, list[str]]:
    funcs, lines = case.get("funcs", []), case.get("lines", [])
    frec, lrec = case.get("frec", 8), case.get("lrec", 16)
    func_bytes = b"".join(struct.pack("<II", *x).ljust(frec, b"\0")[:frec] for x in funcs)
    line_bytes = b"".join(struct.pack("<IIII", *x).ljust(lrec, b"\0")[:lrec] for x in lines)
    code = encode(case.get("code", CODE))
    parts = (BLOB, code, case.get("fbytes", func_bytes), case.get("lbytes", line_bytes), b"GPL\0")
    keep = [ctypes.create_string_buffer(part, max(len(part), 1)) for part in parts]
    at = [ctypes.addressof(k) for k in keep]
    log = ctypes.create_string_buffer(1 << 16)
    fd = bpf(18, BtfLoadAttr(btf=at[0], btf_size=len(BLOB)))
    attr = ProgLoadAttr(
        prog_type=1, insn_cnt=len(code) // 8, insns=at[1], license=at[4],
        log_level=level, log_size=len(log) if level else 0, log_buf=ctypes.addressof(log) if level else 0,
        prog_btf_fd=case.get("btf", fd),
        func_info_rec_size=frec, func_info=0 if case.get("nullf") else at[2], func_info_cnt=case.get("fcnt", len(funcs)),
        line_info_rec_size=lrec, line_info=0 if case.get("nulll") else at[3], line_info_cnt=case.get("lcnt", len(lines)),
    )  # fmt: skip
    err = 0
    try:
        os.close(bpf(5, attr))
    except BpfError as e:
        err = e.errno or -1
    os.close(fd)
    return err, diff.normalise(log.value.decode("latin-1"))


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return Kernel()


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("name", CASES)
def test_as_linux(kernel: Kernel, name: str, level: int) -> None:
    case = CASES[name]
    assert load(lambda cmd, attr: dispatch(kernel, cmd, attr), level, case) == load(transport.bpf, level, case)
