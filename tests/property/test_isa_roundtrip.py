"""Codecs and texts lose nothing; classic filters and their translation agree, in the running kernel too."""

from __future__ import annotations

import operator
import os
import random
import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfcalls import Calls
from userbpf import linux
from userbpf.isa import classic
from userbpf.isa.asm import assemble
from userbpf.isa.classic import SockFilter
from userbpf.isa.disasm import disasm, listing
from userbpf.isa.insn import Insn, decode, encode
from userbpf.isa.opcodes import FORMS, Form, form_of

S32 = st.integers(-(1 << 31), (1 << 31) - 1)
any_insn = st.builds(
    Insn, st.integers(0, 255), st.integers(0, 15), st.integers(0, 15), st.integers(-(1 << 15), (1 << 15) - 1), S32
)


@st.composite
def valid_insn(draw: st.DrawFn) -> list[Insn]:
    """One or two slots of a random form."""
    form: Form = draw(st.sampled_from(FORMS))

    def field(values: tuple[int, ...] | None, free: st.SearchStrategy[int]) -> int:
        return draw(free if values is None else st.sampled_from(values))

    reg = st.integers(0, 10)
    insn = Insn(
        form.code,
        field(form.dst, reg),
        field(form.src, reg),
        field(form.off, st.integers(-(1 << 15), (1 << 15) - 1)),
        field(form.imm, S32),
    )
    if form.name == "atomic64_cmpxchg":
        return [insn]
    if form.slots == 2:
        high = 0 if form.name in ("lddw_map_fd", "lddw_map_idx", "lddw_func") else draw(S32)
        return [insn, Insn(0, imm=high)]
    return [insn]


programs = st.lists(valid_insn(), max_size=12).map(lambda parts: [insn for part in parts for insn in part])


@given(st.lists(any_insn))
def test_bytes_round_trip(insns: list[Insn]) -> None:
    assert decode(encode(insns)) == insns


@given(programs)
@settings(max_examples=300)
def test_listing_assembles_to_itself(insns: list[Insn]) -> None:
    assert assemble(listing(insns)) == insns


@given(valid_insn())
@settings(max_examples=500)
def test_linux_text_assembles(part: list[Insn]) -> None:
    insn = part[0]
    form = form_of(insn)
    assert form is not None
    if (form.slots == 2 and insn.src) or form.name == "call_kfunc":
        return  # the text shows an address, or leaves the module's index out
    assert assemble(disasm(part, 0)) == part


@given(any_insn)
def test_disasm_of_anything_is_a_line(insn: Insn) -> None:
    text = disasm([insn, Insn(0)], 0)
    assert text and "\n" not in text


# --- classic -----------------------------------------------------------------------------------------------------
ALU: dict[int, Callable[[int, int], int]] = {
    0x00: operator.add,
    0x10: operator.sub,
    0x20: operator.mul,
    0x30: operator.floordiv,
    0x40: operator.or_,
    0x50: operator.and_,
    0x60: lambda a, src: a << (src & 31),
    0x70: lambda a, src: a >> (src & 31),
    0x80: lambda a, src: -a,
    0x90: operator.mod,
    0xA0: operator.xor,
}


class Reference:
    """A classic filter interpreted: what filter.rst says, and no more."""

    def __init__(self, packet: bytes) -> None:
        self.packet = packet

    def load(self, off: int, size: int) -> int | None:
        off = off - (1 << 32) if off >> 31 else off
        if off < 0 or off + size > len(self.packet):
            return None
        return int.from_bytes(self.packet[off : off + size], "big")

    def run(self, insns: Sequence[SockFilter]) -> int:
        a = x = pc = 0
        memory = [0] * 16
        mask = (1 << 32) - 1
        while True:
            code, jt, jf, k = insns[pc]
            pc += 1
            cls, src = code & 7, (x if code & 8 else k)
            if code in (0x06, 0x16):
                return k if code == 0x06 else a
            if cls in (0, 1) and code & 0xE0 in (0x20, 0x40, 0xA0):
                size = {0: 4, 8: 2, 0x10: 1}[code & 0x18]
                value = self.load((k + (x if code & 0xE0 == 0x40 else 0)) & mask, size)
                if value is None:
                    return 0
                if cls:
                    x = 4 * (value & 15)
                else:
                    a = value
            elif cls in (0, 1):
                value = {0x00: k, 0x60: memory[k & 15], 0x80: len(self.packet)}[code & 0xE0]
                a, x = (value, x) if cls == 0 else (a, value)
            elif cls in (2, 3):
                memory[k] = a if cls == 2 else x
            elif cls == 4:
                if code & 0xF0 in (0x30, 0x90) and src == 0:
                    return 0
                a = ALU[code & 0xF0](a, src) & mask
            elif cls == 5:
                if code & 0xF0 == 0:
                    pc += k
                else:
                    hit = {0x10: a == src, 0x20: a > src, 0x30: a >= src, 0x40: bool(a & src)}[code & 0xF0]
                    pc += jt if hit else jf
            else:
                a, x = (a, a) if code == 0x07 else (x, x)


def random_filter(rng: random.Random, length: int) -> list[SockFilter]:
    """A filter that `check` takes, mostly; the caller asks."""
    codes = sorted(classic.VALID - {0x06, 0x16})
    out = []
    for pc in range(length - 1):
        code = rng.choice(codes) if rng.random() < 0.95 else 0x06
        left = length - pc - 1
        k = rng.choice([rng.randrange(64), rng.randrange(1 << 32), 1, 4, 31])
        jt = jf = 0
        if code & 7 == 5:
            jt, jf, k = (min(rng.randrange(4), left - 1), min(rng.randrange(4), left - 1), k)
            if code == 0x05:
                k = jt
        elif code in (0x02, 0x03, 0x60, 0x61):
            k = rng.randrange(3)
        elif code & 7 in (0, 1) and code & 0xE0 in (0x20, 0x40, 0xA0):
            k = rng.randrange(80)
        elif code in (0x64, 0x74):
            k &= 31
        elif code in (0x34, 0x94):
            k |= 1
        out.append(SockFilter(code, jt, jf, k))
    out.append(SockFilter(rng.choice([0x06, 0x16]), 0, 0, rng.randrange(1 << 16)))
    return out


def taken_filters(seed: int, count: int) -> list[list[SockFilter]]:
    rng = random.Random(seed)
    out: list[list[SockFilter]] = []
    while len(out) < count:
        candidate = random_filter(rng, rng.randrange(1, 24))
        try:
            classic.check(candidate)
        except OSError:
            continue
        out.append(candidate)
    return out


def test_translation_agrees_with_the_reference_in_linux() -> None:
    reason = linux.available()
    if reason:
        pytest.skip(reason)
    calls = Calls(linux.bpf, "linux")
    frame = (
        bytes(random.Random(5).randrange(256) for _ in range(12)) + struct.pack(">H", 0x0800) + bytes(range(69, 119))
    )
    results = set()
    for insns in taken_filters(1, 150):
        fd = calls.prog(classic.convert(insns))
        # a socket filter sees the packet from its network header on
        attr, _ = calls.test_run(fd, frame)
        assert attr.retval == Reference(frame[14:]).run(insns), [classic.disasm(i, pc) for pc, i in enumerate(insns)]
        results.add(attr.retval)
        calls.fds.remove(fd)
        os.close(fd)
    assert len(results) > 20


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(0, 0x0800, id="proto"),
        pytest.param(4, 0, id="type"),
        pytest.param(8, 1, id="ifidx"),  # the loopback device of the test run
        pytest.param(20, 0, id="mark"),
        pytest.param(32, 0, id="rxhash"),
        pytest.param(40, 5 ^ 7, id="xor_x"),
        pytest.param(44, 0, id="vlan_tci"),
        pytest.param(48, 0, id="vlan_pr"),
        pytest.param(60, 0, id="vlan_tpid"),
    ],
)
def test_ancillary_loads_in_linux(number: int, expected: int) -> None:
    reason = linux.available()
    if reason:
        pytest.skip(reason)
    calls = Calls(linux.bpf, "linux")
    insns = [SockFilter(0x01, k=7), SockFilter(0x00, k=5), SockFilter(0x20, k=0xFFFFF000 + number), SockFilter(0x16)]
    fd = calls.prog(classic.convert(insns))
    attr, _ = calls.test_run(fd, bytes(12) + b"\x08\x00" + bytes(60))
    calls.close(fd)
    assert attr.retval == expected
