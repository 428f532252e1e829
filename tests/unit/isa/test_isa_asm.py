"""The assembler: every form, labels, and errors with their place."""

from __future__ import annotations

import pytest

from userbpf.errors import AsmError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn


@pytest.mark.parametrize(
    ("text", "insn"),
    [
        ("r1 = 7", Insn(0xB7, 1, 0, 0, 7)),
        ("w1 = 0xffffffff", Insn(0xB4, 1, 0, 0, -1)),
        ("r1 = r2", Insn(0xBF, 1, 2)),
        ("r1 = (s8)r2", Insn(0xBF, 1, 2, 8)),
        ("w1 = (s16)w2", Insn(0xBC, 1, 2, 16)),
        ("r1 = -r1", Insn(0x87, 1)),
        ("r1 -= -5", Insn(0x17, 1, 0, 0, -5)),
        ("r3 s>>= 32", Insn(0xC7, 3, 0, 0, 32)),
        ("w3 s/= w4", Insn(0x3C, 3, 4, 1)),
        ("r3 s%= 4", Insn(0x97, 3, 0, 1, 4)),
        ("r1 = be16 r1", Insn(0xDC, 1, 0, 0, 16)),
        ("r1 = bswap64 r1", Insn(0xD7, 1, 0, 0, 64)),
        ("r1 = addr_space_cast(r2, 1, 0)", Insn(0xBF, 1, 2, 1, 0x10000)),
        ("r1 = &(void __percpu *)(r2)", Insn(0xBF, 1, 2, -1)),
        ("r2 = *(u16 *)(r1 +4)", Insn(0x69, 2, 1, 4)),
        ("r2 = *(u16*)(r1 - 4)", Insn(0x69, 2, 1, -4)),
        ("r2 = *(s32 *)(r1 +0)", Insn(0x81, 2, 1)),
        ("*(u64 *)(r10 -8) = r2", Insn(0x7B, 10, 2, -8)),
        ("*(u8 *)(r10 -8) = 255", Insn(0x72, 10, 0, -8, 255)),
        ("lock *(u32 *)(r1 +0) ^= r2", Insn(0xC3, 1, 2, 0, 0xA0)),
        ("r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)", Insn(0xDB, 1, 2, 0, 1)),
        ("r2 = atomic_xchg((u32 *)(r1 +0), r2)", Insn(0xC3, 1, 2, 0, 0xE1)),
        ("r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)", Insn(0xDB, 1, 2, 0, 0xF1)),
        ("r1 = load_acquire((u8 *)(r2 +1))", Insn(0xD3, 1, 2, 1, 0x100)),
        ("store_release((u16 *)(r1 +2), r2)", Insn(0xCB, 1, 2, 2, 0x110)),
        ("r0 = *(u16 *)skb[12]", Insn(0x28, 0, 0, 0, 12)),
        ("r0 = *(u8 *)skb[r2 + 7]", Insn(0x50, 0, 2, 0, 7)),
        ("if r1 == 0x7 goto +1", Insn(0x15, 1, 0, 1, 7)),
        ("if w1 s>= w2 goto pc-3", Insn(0x7E, 1, 2, -3)),
        ("if r1 & 0xffffffff goto pc+0", Insn(0x45, 1, 0, 0, -1)),
        ("goto pc+2", Insn(0x05, 0, 0, 2)),
        ("gotol pc-2", Insn(0x06, 0, 0, 0, -2)),
        ("may_goto pc+3", Insn(0xE5, 0, 0, 3)),
        ("call bpf_map_lookup_elem", Insn(0x85, 0, 0, 0, 1)),
        ("call bpf_map_lookup_elem#1", Insn(0x85, 0, 0, 0, 1)),
        ("call #5", Insn(0x85, 0, 0, 0, 5)),
        ("call unknown#999", Insn(0x85, 0, 0, 0, 999)),
        ("call pc+2", Insn(0x85, 0, 1, 0, 2)),
        ("call kfunc 65470 2", Insn(0x85, 0, 2, 2, 65470)),
        ("call bpf_rcu_read_lock#65470", Insn(0x85, 0, 2, 0, 65470)),
        ("exit", Insn(0x95)),
        ("  12: (b7) r0 = 0      ; R0=0", Insn(0xB7)),
        (".insn 0xff 15 1 -2 0x80000000", Insn(0xFF, 15, 1, -2, -(1 << 31))),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_asm_one(text: str, insn: Insn) -> None:
    assert assemble(text) == [insn]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("r1 = 0x1122334455667788 ll", Insn(0x18, 1, 0, 0, 0x55667788), 0x11223344),
        ("r1 = -1 ll", Insn(0x18, 1, 0, 0, -1), -1),
        ("(18) r1 = 0x5", Insn(0x18, 1, 0, 0, 5), 0),
        ("r1 = map_fd 5 ll", Insn(0x18, 1, 1, 0, 5), 0),
        ("r1 = map_value 5 + 8 ll", Insn(0x18, 1, 2, 0, 5), 8),
        ("r1 = btf_id 17 ll", Insn(0x18, 1, 3, 0, 17), 0),
        ("r1 = func pc+4 ll", Insn(0x18, 1, 4, 0, 4), 0),
        ("r1 = map_idx 3 ll", Insn(0x18, 1, 5, 0, 3), 0),
        ("r1 = map_idx_value 3 + 4 ll", Insn(0x18, 1, 6, 0, 3), 4),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_asm_lddw(text: str, low: Insn, high: int) -> None:
    assert assemble(text) == [low, Insn(0, imm=high)]


def test_asm_labels_count_slots() -> None:
    prog = assemble(
        """
        start:                  // comments of both kinds
            r1 = 0 ll           ; takes two slots
            if r1 == 0 goto out
            r1 = func cb ll
            call cb
            goto start
        out: exit
        cb: r0 = 1
            exit
        """
    )
    assert [i.off for i in prog if i.code in (0x15, 0x05)] == [4, -7]
    assert [i.imm for i in prog if i.src in (1, 4)] == [4, 2]


def test_asm_a_label_wins_over_a_helper() -> None:
    assert assemble("call bpf_loop\nexit\nbpf_loop: exit")[0] == Insn(0x85, 0, 1, 0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1 =", "line 1, column 5: expected a number, not 'end of line'"),
        ("\nr1 += r99", "line 2, column 7: no such register: r99"),
        ("goto nowhere", "line 1, column 6: unknown label 'nowhere'"),
        ("r1 = 5 6", "line 1, column 8: unexpected '6' after the instruction"),
        ("if r1 ~ 5 goto x", "line 1, column 7: unexpected character '~'"),
        ("call bpf_nope", "line 1, column 6: unknown helper bpf_nope"),
        ("call bpf_loop#1", "line 1, column 6: bpf_loop is #181"),
        ("(b7) r1 += 5", "line 1, column 6: opcode byte (b7) does not fit: this is (07)"),
        ("x: x: exit", "line 1, column 4: label 'x' is defined twice"),
        ("r1 = w2", "line 1, column 6: expected a register, not 'w2'"),
        ("r1 = 0xffffffff", "line 1, column 6: 4294967295 is out of range -2147483648 to 2147483647"),
        ("*(u8 *)(r1 -40000) = 5", "line 1, column 12: -40000 is out of range -32768 to 32767"),
        ("frob r1", "line 1, column 1: unknown instruction 'frob'"),
        ("r2 = atomic_fetch_add((u64 *)(r1 +0), r2)", "line 1, column 6: atomic_fetch_add does not fit u64"),
        ("r3 = atomic_xchg((u32 *)(r1 +0), r2)", "line 1, column 6: atomic_xchg sets the register it takes"),
        ("lock *(s32 *)(r1 +0) += r2", "line 1, column 25: no atomic operation on s32"),
        ("a: goto b\n" + "exit\n" * 40000 + "b: exit", "line 1, column 9: label 'b' is 40000 slots away, "
         "too far for 16 bits (use gotol)"),
    ],
    ids=lambda v: v.strip()[:20],
)  # fmt: skip
def test_asm_errors_name_their_place(text: str, message: str) -> None:
    with pytest.raises(AsmError) as failed:
        assemble(text)
    assert str(failed.value) == message
