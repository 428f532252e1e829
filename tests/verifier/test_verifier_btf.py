"""What BTF adds: callbacks, global functions, names and source lines in the log. Expectations are Linux 6.18.44's."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest

from userbpf.abi.enums import MapType, ProgType
from userbpf.btf import Btf
from userbpf.isa.asm import assemble
from userbpf.verifier import MapShape, Rejected, VerifiedProg, VerifyRequest, verify

STATIC, GLOBAL = 0, 1


@dataclass
class Blob:
    """A BTF blob, type by type."""

    types: bytes = b""
    strings: bytes = b"\0"
    count: int = 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        off = len(self.strings)
        self.strings += text.encode() + b"\0"
        return off

    def add(self, name: str, kind: int, vlen: int, size: int, extra: bytes = b"") -> int:
        self.types += struct.pack("<III", self.name(name), kind << 24 | vlen, size) + extra
        self.count += 1
        return self.count

    def func(self, name: str, linkage: int, result: int, *params: int) -> int:
        proto = self.add("", 13, len(params), result, b"".join(struct.pack("<II", self.name("a"), p) for p in params))
        return self.add(name, 12, linkage, proto)

    def parse(self) -> Btf:
        sizes = (0, len(self.types), len(self.types), len(self.strings))
        return Btf.parse(struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.strings)


@dataclass
class Rig:
    blob: Blob = field(default_factory=Blob)

    def __post_init__(self) -> None:
        b = self.blob
        self.int = b.add("int", 1, 0, 4, struct.pack("<I", 1 << 24 | 32))
        self.u64 = b.add("u64", 1, 0, 8, struct.pack("<I", 64))
        members = struct.pack("<IIIIII", b.name("a"), self.u64, 0, b.name("b"), self.u64, 64)
        self.struct = b.add("", 2, 0, b.add("s", 4, 2, 16, members))
        self.ctx = b.add("", 2, 0, b.add("__sk_buff", 4, 0, 0))
        self.void = b.add("", 2, 0, 0)
        self.main = b.func("main", GLOBAL, self.int, self.ctx)

    def verify(
        self,
        text: str,
        funcs: list[tuple[int, int]],
        lines: list[tuple[int, int, int, int]] | None = None,
        level: int = 2,
    ) -> VerifiedProg:
        shape = MapShape(MapType.HASH, 4, 64, 10, name="m")
        return verify(
            VerifyRequest(
                assemble(text),
                ProgType.SOCKET_FILTER,
                log_level=level,
                resolve_map=lambda fd: shape,
                btf=self.blob.parse(),
                func_info=[(0, self.main), *funcs],
                line_info=lines or [],
            )
        )

    def refused(self, text: str, funcs: list[tuple[int, int]]) -> tuple[int, str]:
        with pytest.raises(Rejected) as e:
            self.verify(text, funcs)
        log = [line for line in e.value.log.splitlines() if not line.startswith("processed ")]
        assert e.value.errno is not None
        return e.value.errno, log[-1]


LOOP = """
    *(u64 *)(r10 -8) = 0
    r1 = {n}
    r2 = func cb ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 = *(u64 *)(r10 -8)
    exit
cb: {body}
    exit
"""
COUNT = "r1 = *(u64 *)(r2 +0)\n r1 += 1\n *(u64 *)(r2 +0) = r1\n r0 = 0"


@pytest.mark.parametrize("n", [0, 1, 1000, 1 << 30])
def test_loop_converges_without_counting(n: int) -> None:
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    prog = rig.verify(LOOP.format(n=n, body=COUNT), [(10, cb)])
    assert prog.stats.insns_processed < 40
    assert prog.subprogs[1].callback and prog.subprogs[1].name == "cb"


def test_loop_counter_that_matters_is_counted() -> None:
    """The address behind the loop makes the counter precise, so rounds are told apart until one leaves the stack."""
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    text = LOOP.format(n=100, body=COUNT).replace(
        "r0 = *(u64 *)(r10 -8)\n", "r0 = *(u64 *)(r10 -8)\n r1 = r10\n r1 += r0\n *(u8 *)(r1 -64) = 1\n r0 = 0\n"
    )
    err, message = rig.refused(text, [(14, cb)])
    assert (err, message) == (13, "invalid write to stack R1 off=0 size=1")


def test_what_the_next_round_reads_is_not_forgotten() -> None:
    """A slot that only the next call of the callback reads was once taken for dead, and a wild index accepted."""
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    text = """
        *(u64 *)(r10 -8) = 0
        r1 = 4
        r2 = func cb ll
        r3 = r10
        r3 += -8
        r4 = 0
        call bpf_loop
        r0 = 0
        exit
    cb: r3 = *(u64 *)(r2 +0)
        r6 = r2
        *(u64 *)(r10 -64) = 0
        r4 = r10
        r4 += -64
        r4 += r3
        *(u8 *)(r4 +0) = 0
        call bpf_get_prandom_u32
        if r0 == 0 goto wild
        *(u64 *)(r6 +0) = 0
        goto both
    wild: *(u64 *)(r6 +0) = 100
    both: call bpf_get_prandom_u32
        if r0 == 0 goto last
    last: r0 = 0
        exit
    """
    assert rig.refused(text, [(10, cb)]) == (13, "invalid write to stack R4 off=36 size=1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("r0 = 2", "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]"),
        ("r0 = r2", "cannot return stack pointer to the caller"),
        ("r0 = r3", "R3 !read_ok"),
    ],
)
def test_callback_return(body: str, message: str) -> None:
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    assert rig.refused(LOOP.format(n=5, body=body), [(10, cb)])[1] == message


def test_for_each() -> None:
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.u64, rig.void, rig.void, rig.void, rig.void)
    text = """
        r1 = map_fd 1 ll
        r2 = func cb ll
        r3 = 0
        r4 = 0
        call bpf_for_each_map_elem
        r0 = 0
        exit
    cb: r1 = *(u32 *)(r2 +0)
        *(u64 *)(r3 +56) = r1
        r0 = 0
        exit
    """
    prog = rig.verify(text, [(9, cb)])
    assert prog.facts[9] is not None and prog.subprogs[1].callback
    outside = rig.refused(text.replace("r3 +56", "r3 +57"), [(9, cb)])
    assert outside == (13, "R3 min value is outside of the allowed memory range")


def test_func_needs_func_info() -> None:
    with pytest.raises(Rejected, match="missing btf func_info"):
        verify(VerifyRequest(assemble(LOOP.format(n=1, body="r0 = 0")), ProgType.SOCKET_FILTER, log_level=1))


GLOBALS = """
    *(u64 *)(r10 -8) = 0
    *(u64 *)(r10 -16) = 0
    r1 = r10
    r1 += {off}
    r2 = 3
    call g
    exit
g:  {body}
    exit
"""


def test_global_function_is_checked_for_any_arguments() -> None:
    rig = Rig()
    g = rig.blob.func("g", GLOBAL, rig.int, rig.struct, rig.int)
    body = "if r1 != 0 goto some\n r0 = 0\n exit\nsome: r0 = *(u64 *)(r1 +8)"
    prog = rig.verify(GLOBALS.format(off=-16, body=body), [(7, g)])
    assert prog.subprogs[1].is_global
    assert "Func#1 ('g') is global and assumed valid." in prog.log
    assert "7: R1=mem_or_null(id=1,sz=16) R2=scalar() R10=fp0" in prog.log
    assert "Func#1 ('g') is safe for any args that match its prototype" in prog.log
    assert rig.refused(GLOBALS.format(off=-16, body="r0 = *(u64 *)(r1 +8)"), [(7, g)]) == (
        13,
        "R1 invalid mem access 'mem_or_null'",
    )


def test_global_function_arguments() -> None:
    rig = Rig()
    g = rig.blob.func("g", GLOBAL, rig.int, rig.struct, rig.int)
    assert rig.refused(GLOBALS.format(off=-8, body="r0 = 0"), [(7, g)]) == (
        22,
        "Caller passes invalid args into func#1 ('g')",
    )


def test_global_function_returns_a_number() -> None:
    rig = Rig()
    g = rig.blob.func("g", GLOBAL, 0, rig.int)
    with pytest.raises(Rejected) as e:
        rig.verify("r1 = 1\n call g\n exit\ng: r0 = 0\n exit", [(3, g)])
    assert "Global function g() doesn't return scalar. Only those are supported." in e.value.log


def test_source_lines() -> None:
    rig = Rig()
    file = rig.blob.name("/src/dir/x.c")
    one, two = rig.blob.name("  int a = 1;"), rig.blob.name("\treturn 0;")
    prog = rig.verify("r2 = 5\n r3 = 0\n r0 = 0\n exit", [], [(0, file, one, 5 << 10 | 3), (2, file, two, 7 << 10 | 1)])
    at = prog.log.index("; int a = 1; @ x.c:5\n0: (b7) r2 = 5")
    assert prog.log.index("; return 0; @ x.c:7\n2: (b7) r0 = 0") > at


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(1, 1, 1, 0)], "missing bpf_line_info for func#0"),
        ([(0, 1, 1, 0), (0, 1, 1, 0)], "Invalid line_info[1].insn_off:0 (prev_offset:0 prog->len:2)"),
        ([(0, 1, 9999, 0)], "Invalid line_info[0].line_off or .file_name_off"),
    ],
)
def test_bad_lines(lines: list[tuple[int, int, int, int]], message: str) -> None:
    rig = Rig()
    with pytest.raises(Rejected) as e:
        rig.verify("r0 = 0\n exit", [], lines)
    assert message in e.value.log


@pytest.mark.parametrize(
    ("funcs", "message"),
    [
        ([], "number of funcs in func_info doesn't match number of subprogs"),
        ([(1, 0)], "func_info BTF section doesn't match subprog layout in BPF program"),
    ],
)
def test_func_info_layout(funcs: list[tuple[int, int]], message: str) -> None:
    rig = Rig()
    f = rig.blob.func("f", STATIC, rig.int)
    with pytest.raises(Rejected) as e:
        rig.verify("call f\n exit\nf: r0 = 0\n exit", [(off, f) for off, _ in funcs])
    assert message in e.value.log
