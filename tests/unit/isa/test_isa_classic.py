"""Classic BPF: Linux's rules for a filter, tcpdump's text, and the translation's shape."""

from __future__ import annotations

import errno

import pytest

from userbpf.errors import AsmError, BpfError
from userbpf.isa.classic import (
    JA,
    LD_MEM,
    LDX_MSH,
    RET_A,
    RET_K,
    ST,
    SockFilter,
    check,
    convert,
    decode,
    disasm,
    encode,
)
from userbpf.isa.insn import Insn

RET = SockFilter(RET_K)
LDH, LD_ABS, JEQ = 0x28, 0x20, 0x15
IPV4_TCP = [  # tcpdump -dd "ip and tcp"
    SockFilter(0x28, 0, 0, 12),
    SockFilter(0x15, 0, 3, 0x800),
    SockFilter(0x30, 0, 0, 23),
    SockFilter(0x15, 0, 1, 6),
    SockFilter(0x6, 0, 0, 262144),
    SockFilter(0x6, 0, 0, 0),
]


@pytest.mark.parametrize(
    "insns",
    [
        pytest.param([RET], id="shortest"),
        pytest.param(IPV4_TCP, id="tcpdump"),
        pytest.param([RET] * 4096, id="longest"),
        pytest.param([SockFilter(ST, k=3), SockFilter(LD_MEM, k=3), SockFilter(RET_A)], id="memory"),
        pytest.param([SockFilter(LD_ABS, k=0xFFFFF000 + 20), RET], id="mark"),
        pytest.param([SockFilter(JA, k=1), SockFilter(LD_MEM, k=9), RET], id="dead load"),
        pytest.param([SockFilter(0x6C), RET], id="shift by X"),
    ],
)
def test_check_takes(insns: list[SockFilter]) -> None:
    check(insns)


@pytest.mark.parametrize(
    ("insns", "why"),
    [
        pytest.param([], "0 instructions", id="empty"),
        pytest.param([RET] * 4097, "4097 instructions", id="too long"),
        pytest.param([SockFilter(0x17), RET], "unknown opcode", id="no opcode"),
        pytest.param([SockFilter(0x0E)], "unknown opcode", id="ret x"),
        pytest.param([SockFilter(0x8007), RET], "unknown opcode", id="high bits"),
        pytest.param([SockFilter(0x34), RET], "division by 0", id="div"),
        pytest.param([SockFilter(0x94), RET], "division by 0", id="mod"),
        pytest.param([SockFilter(0x64, k=32), RET], "shift by 32", id="shift"),
        pytest.param([SockFilter(ST, k=16), RET], "M[16]", id="memory"),
        pytest.param([SockFilter(JA, k=1), RET], "jump out", id="ja"),
        pytest.param([SockFilter(JEQ, 1, 0), RET], "jump out", id="jt"),
        pytest.param([SockFilter(JEQ, 0, 1), RET], "jump out", id="jf"),
        pytest.param([SockFilter(LD_ABS, k=0xFFFFF000 + 64), RET], "ancillary", id="ancillary"),
        pytest.param([SockFilter(LDH)], "must return", id="no return"),
        pytest.param([SockFilter(LD_MEM, k=1), RET], "before it is stored", id="unstored"),
        pytest.param(
            [SockFilter(JEQ, 0, 1, 5), SockFilter(ST, k=1), SockFilter(LD_MEM, k=1), RET],
            "before it is stored",
            id="stored on one path",
        ),
    ],
)
def test_check_refuses(insns: list[SockFilter], why: str) -> None:
    with pytest.raises(BpfError, match="classic filter") as failed:
        check(insns)
    assert failed.value.errno == errno.EINVAL
    assert why in str(failed.value)


@pytest.mark.parametrize(
    ("insn", "text"),
    [
        (SockFilter(0x28, 0, 0, 12), "ldh [12]"),
        (SockFilter(0x15, 0, 3, 0x800), "jeq #0x800 jt 8 jf 11"),
        (SockFilter(0x1D, 1, 0), "jeq x jt 9 jf 8"),
        (SockFilter(0x50, 0, 0, 2), "ldb [x + 2]"),
        (SockFilter(LDX_MSH, 0, 0, 14), "ldxb 4*([14]&0xf)"),
        (SockFilter(0x20, 0, 0, 0xFFFFF000 + 36), "ld cpu"),
        (SockFilter(0x54, 0, 0, 0xF0), "and #0xf0"),
        (SockFilter(0x0C), "add x"),
        (SockFilter(0x84), "neg"),
        (SockFilter(JA, k=2), "ja 10"),
        (SockFilter(RET_K, k=96), "ret #96"),
        (SockFilter(0x80), "ld #pktlen"),
        (SockFilter(0x61, k=3), "ldx M[3]"),
        (SockFilter(0xFF), "unimp 0xff"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_disasm(insn: SockFilter, text: str) -> None:
    assert disasm(insn, 7) == text


def test_codec() -> None:
    assert encode(IPV4_TCP[:2]).hex() == "280000000c000000" + "1500000300080000"
    assert decode(encode(IPV4_TCP)) == IPV4_TCP
    with pytest.raises(AsmError):
        decode(b"1234")


def test_convert_leaves_dead_code_out() -> None:
    prog = convert([SockFilter(JA, k=1), SockFilter(LDH, k=12), RET])
    assert Insn(0x28, imm=12) not in prog
    assert prog[-3:] == [Insn(0x05, off=0), Insn(0xB4, 0), Insn(0x95)]


@pytest.mark.parametrize("number", [12, 16, 28, 52], ids=["nla", "nlan", "hatype", "poff"])
def test_convert_refuses_what_no_context_offers(number: int) -> None:
    with pytest.raises(BpfError) as failed:
        convert([SockFilter(LD_ABS, k=0xFFFFF000 + number), RET])
    assert failed.value.errno == errno.EOPNOTSUPP
