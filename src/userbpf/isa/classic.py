"""Classic BPF, the language of tcpdump and SO_ATTACH_FILTER, and its translation to eBPF.

A classic filter has an accumulator A, an index X, sixteen words M[], loads from the packet that end the filter with 0 when
they miss it, and jumps forward only. `check` applies the rules under which Linux takes a filter; `convert` makes an eBPF
socket filter of it.

The translation keeps A in r0, where eBPF's own packet loads leave their value, X in r7, the context in r6 (the packet
loads want it there) and M[] on the stack. All arithmetic is 32 bits wide. Code that no path reaches is left out, because
the verifier refuses what Linux's classic checker lets pass.

Source: Documentation/networking/filter.rst; McCanne and Jacobson, "The BSD Packet Filter", 1993.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from errno import EINVAL, EOPNOTSUPP
from typing import Final, NamedTuple

from userbpf.abi.enums import HelperId
from userbpf.errors import AsmError, BpfError
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn

_SLOT = struct.Struct("<HBBI")
_U32: Final = 0xFFFFFFFF


class SockFilter(NamedTuple):
    """struct sock_filter: `jt` and `jf` are slots to skip, `k` is unsigned."""

    code: int
    jt: int = 0
    jf: int = 0
    k: int = 0


def decode(data: bytes | bytearray | memoryview) -> list[SockFilter]:
    """An array of struct sock_filter, little endian; raises AsmError for a length that is no multiple of 8."""
    if len(data) % 8:
        raise AsmError(f"filter bytes must be a multiple of 8, not {len(data)}")
    return [SockFilter(*fields) for fields in _SLOT.iter_unpack(data)]


def encode(insns: Iterable[SockFilter]) -> bytes:
    """The bytes of a filter."""
    return b"".join([_SLOT.pack(*insn) for insn in insns])


_ALU_NAMES: Final = {
    op.BPF_ADD: "add",
    op.BPF_SUB: "sub",
    op.BPF_MUL: "mul",
    op.BPF_DIV: "div",
    op.BPF_OR: "or",
    op.BPF_AND: "and",
    op.BPF_LSH: "lsh",
    op.BPF_RSH: "rsh",
    op.BPF_MOD: "mod",
    op.BPF_XOR: "xor",
}
_JMP_NAMES: Final = {op.BPF_JEQ: "jeq", op.BPF_JGT: "jgt", op.BPF_JGE: "jge", op.BPF_JSET: "jset"}
_LOADS: Final = {op.BPF_W: "ld", op.BPF_H: "ldh", op.BPF_B: "ldb"}

LD_LEN: Final = op.BPF_LD | op.BPF_W | op.BPF_LEN
LD_IMM: Final = op.BPF_LD | op.BPF_IMM
LD_MEM: Final = op.BPF_LD | op.BPF_MEM
LDX_IMM: Final = op.BPF_LDX | op.BPF_IMM
LDX_LEN: Final = op.BPF_LDX | op.BPF_W | op.BPF_LEN
LDX_MEM: Final = op.BPF_LDX | op.BPF_MEM
LDX_MSH: Final = op.BPF_LDX | op.BPF_B | op.BPF_MSH
ST: Final = op.BPF_ST
STX: Final = op.BPF_STX
NEG: Final = op.BPF_ALU | op.BPF_NEG
JA: Final = op.BPF_JMP | op.BPF_JA
RET_K: Final = op.BPF_RET | op.BPF_K
RET_A: Final = op.BPF_RET | op.BPF_A
TAX: Final = op.BPF_MISC | op.BPF_TAX
TXA: Final = op.BPF_MISC | op.BPF_TXA

_ABS: Final = {op.BPF_LD | op.BPF_ABS | size: size for size in _LOADS}
_IND: Final = {op.BPF_LD | op.BPF_IND | size: size for size in _LOADS}
_ALU: Final = {op.BPF_ALU | code | src: (code, src) for code in _ALU_NAMES for src in (op.BPF_K, op.BPF_X)}
_JMP: Final = {op.BPF_JMP | code | src: (code, src) for code in _JMP_NAMES for src in (op.BPF_K, op.BPF_X)}
_MEM: Final = (LD_MEM, LDX_MEM, ST, STX)
_OTHER: Final = (LD_LEN, LD_IMM, LDX_IMM, LDX_LEN, LDX_MSH, NEG, JA, RET_K, RET_A, TAX, TXA)
VALID: Final = frozenset({*_ABS, *_IND, *_ALU, *_JMP, *_MEM, *_OTHER})

# ancillary data: what an absolute load at SKF_AD_OFF + n means
ANCILLARY: Final = {
    op.SKF_AD_PROTOCOL: "proto",
    op.SKF_AD_PKTTYPE: "type",
    op.SKF_AD_IFINDEX: "ifidx",
    op.SKF_AD_NLATTR: "nla",
    op.SKF_AD_NLATTR_NEST: "nlan",
    op.SKF_AD_MARK: "mark",
    op.SKF_AD_QUEUE: "queue",
    op.SKF_AD_HATYPE: "hatype",
    op.SKF_AD_RXHASH: "rxhash",
    op.SKF_AD_CPU: "cpu",
    op.SKF_AD_ALU_XOR_X: "xor_x",
    op.SKF_AD_VLAN_TAG: "vlan_tci",
    op.SKF_AD_VLAN_TAG_PRESENT: "vlan_pr",
    op.SKF_AD_PAY_OFFSET: "poff",
    op.SKF_AD_RANDOM: "rand",
    op.SKF_AD_VLAN_TPID: "vlan_tpid",
}
_AD_BASE: Final = op.SKF_AD_OFF & _U32


def ancillary(insn: SockFilter) -> int | None:
    """The SKF_AD_* number where the instruction loads ancillary data, else None."""
    if insn.code in _ABS and insn.k >= _AD_BASE:
        return insn.k - _AD_BASE
    return None


def _refuse(pc: int, why: str) -> BpfError:
    return BpfError(EINVAL, f"classic filter, instruction {pc}: {why}")


def check(insns: Sequence[SockFilter]) -> None:
    """Raise BpfError(EINVAL) for a filter that Linux refuses."""
    if not 0 < len(insns) <= op.BPF_MAXINSNS:
        raise BpfError(EINVAL, f"classic filter of {len(insns)} instructions, not 1 to {op.BPF_MAXINSNS}")
    for pc, insn in enumerate(insns):
        _check_insn(insns, pc, insn)
    if insns[-1].code not in (RET_K, RET_A):
        raise _refuse(len(insns) - 1, "the last one must return")
    _check_memory(insns)


def _check_insn(insns: Sequence[SockFilter], pc: int, insn: SockFilter) -> None:
    code, k = insn.code, insn.k
    left = len(insns) - pc - 1
    if code not in VALID:
        raise _refuse(pc, f"unknown opcode {code:#04x}")
    if code in _ALU and _ALU[code][1] == op.BPF_K:
        if _ALU[code][0] in (op.BPF_DIV, op.BPF_MOD) and k == 0:
            raise _refuse(pc, "division by 0")
        if _ALU[code][0] in (op.BPF_LSH, op.BPF_RSH) and k >= 32:
            raise _refuse(pc, f"shift by {k}")
    elif code in _MEM and k >= op.BPF_MEMWORDS:
        raise _refuse(pc, f"M[{k}] does not exist")
    elif (code == JA and k >= left) or (code in _JMP and max(insn.jt, insn.jf) >= left):
        raise _refuse(pc, "jump out of the filter")
    number = ancillary(insn)
    if number is not None and number not in ANCILLARY:
        raise _refuse(pc, f"unknown ancillary load {number}")


def _successors(insn: SockFilter, pc: int) -> tuple[int, ...]:
    if insn.code in (RET_K, RET_A):
        return ()
    if insn.code == JA:
        return (pc + 1 + insn.k,)
    if insn.code in _JMP:
        return (pc + 1 + insn.jt, pc + 1 + insn.jf)
    return (pc + 1,)


def _check_memory(insns: Sequence[SockFilter]) -> None:
    """Every word of M[] is stored on all paths before it is loaded."""
    everything = (1 << op.BPF_MEMWORDS) - 1
    known = [everything] * (len(insns) + 1)  # words stored on all paths that jump here
    stored = 0
    falls = True  # whether the instruction before falls through
    for pc, insn in enumerate(insns):
        stored = (stored if falls else everything) & known[pc]
        falls = True
        if insn.code in (ST, STX):
            stored |= 1 << insn.k
        elif insn.code in (LD_MEM, LDX_MEM):
            if not stored >> insn.k & 1:
                raise _refuse(pc, f"M[{insn.k}] is loaded before it is stored")
        elif insn.code in _JMP or insn.code == JA:
            for target in _successors(insn, pc):
                known[target] &= stored
            falls = False
        elif insn.code in (RET_K, RET_A):
            falls = False


def disasm(insn: SockFilter, pc: int) -> str:
    """The instruction in the syntax of `tcpdump -d` and bpf_asm, without its number."""
    code, jt, jf, k = insn
    number = ancillary(insn)
    if number in ANCILLARY:
        return f"{_LOADS[_ABS[code]]} {ANCILLARY[number]}"
    if code in _ABS:
        return f"{_LOADS[_ABS[code]]} [{k}]"
    if code in _IND:
        return f"{_LOADS[_IND[code]]} [x + {k}]"
    if code in _ALU:
        operation, src = _ALU[code]
        return f"{_ALU_NAMES[operation]} {'x' if src else f'#{k:#x}'}"
    if code in _JMP:
        operation, src = _JMP[code]
        return f"{_JMP_NAMES[operation]} {'x' if src else f'#{k:#x}'} jt {pc + 1 + jt} jf {pc + 1 + jf}"
    fixed = {
        LD_LEN: "ld #pktlen",
        LD_IMM: f"ld #{k:#x}",
        LD_MEM: f"ld M[{k}]",
        LDX_IMM: f"ldx #{k:#x}",
        LDX_LEN: "ldx #pktlen",
        LDX_MEM: f"ldx M[{k}]",
        LDX_MSH: f"ldxb 4*([{k}]&0xf)",
        ST: f"st M[{k}]",
        STX: f"stx M[{k}]",
        NEG: "neg",
        JA: f"ja {pc + 1 + k}",
        RET_K: f"ret #{k}",
        RET_A: "ret a",
        TAX: "tax",
        TXA: "txa",
    }
    return fixed.get(code, f"unimp {code:#x}")


# --- translation -------------------------------------------------------------------------------------------------
_A, _CTX, _X, _TMP, _FP = 0, 6, 7, 8, 10
_MOV_K: Final = op.BPF_ALU | op.BPF_MOV | op.BPF_K
_MOV_X: Final = op.BPF_ALU | op.BPF_MOV | op.BPF_X
_LDX_W: Final = op.BPF_LDX | op.BPF_MEM | op.BPF_W
_EXIT: Final = Insn(op.BPF_JMP | op.BPF_EXIT)
_BE16: Final = Insn(op.BPF_ALU | op.BPF_END | op.BPF_TO_BE, _A, 0, 0, 16)
# offsets in struct __sk_buff
_SKB_LEN: Final = 0
_SKB_IFINDEX: Final = 40
_FIELDS: Final = {
    op.SKF_AD_PROTOCOL: 16,
    op.SKF_AD_PKTTYPE: 4,
    op.SKF_AD_MARK: 8,
    op.SKF_AD_QUEUE: 12,
    op.SKF_AD_RXHASH: 68,
    op.SKF_AD_VLAN_TAG: 24,
    op.SKF_AD_VLAN_TAG_PRESENT: 20,
    op.SKF_AD_VLAN_TPID: 28,
}
_INVERSE: Final = {op.BPF_JEQ: op.BPF_JNE, op.BPF_JGT: op.BPF_JLE, op.BPF_JGE: op.BPF_JLT}


def _s32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _slot(word: int) -> int:
    return -4 * (op.BPF_MEMWORDS - word)


def _field(dst: int, off: int) -> Insn:
    return Insn(_LDX_W, dst, _CTX, off)


def _load_ancillary(number: int) -> list[Insn]:
    if number in _FIELDS:
        load = [_field(_A, _FIELDS[number])]
        # the context has these two in network order
        return [*load, _BE16] if number in (op.SKF_AD_PROTOCOL, op.SKF_AD_VLAN_TPID) else load
    if number == op.SKF_AD_IFINDEX:
        # a packet without a device ends the filter with 0
        return [_field(_A, _SKB_IFINDEX), Insn(op.BPF_JMP32 | op.BPF_JNE, _A, 0, 1, 0), _EXIT]
    if number == op.SKF_AD_ALU_XOR_X:
        return [Insn(op.BPF_ALU | op.BPF_XOR | op.BPF_X, _A, _X)]
    if number == op.SKF_AD_CPU:
        return [Insn(op.BPF_JMP | op.BPF_CALL, imm=HelperId.get_smp_processor_id)]
    if number == op.SKF_AD_RANDOM:
        return [Insn(op.BPF_JMP | op.BPF_CALL, imm=HelperId.get_prandom_u32)]
    raise BpfError(EOPNOTSUPP, f"classic filter: the ancillary load {ANCILLARY[number]!r} is absent")


def _alu(code: int, k: int) -> list[Insn]:
    operation, src = _ALU[code]
    if not src:
        return [Insn(op.BPF_ALU | operation, _A, 0, 0, _s32(k))]
    out = [Insn(op.BPF_ALU | operation | op.BPF_X, _A, _X)]
    if operation in (op.BPF_DIV, op.BPF_MOD):
        # division by 0 ends the filter with 0
        out = [Insn(op.BPF_JMP32 | op.BPF_JNE, _X, 0, 2, 0), Insn(_MOV_K, _A), _EXIT, *out]
    return out


def _straight(insn: SockFilter) -> list[Insn]:
    """One instruction that is no jump."""
    code, k = insn.code, insn.k
    number = ancillary(insn)
    if number is not None:
        return _load_ancillary(number)
    if code in _ABS:
        return [Insn(op.BPF_LD | op.BPF_ABS | _ABS[code], imm=_s32(k))]
    if code in _IND:
        return [Insn(op.BPF_LD | op.BPF_IND | _IND[code], src=_X, imm=_s32(k))]
    if code in _ALU:
        return _alu(code, k)
    if code == LDX_MSH:
        return [
            Insn(_MOV_X, _TMP, _A),
            Insn(op.BPF_LD | op.BPF_ABS | op.BPF_B, imm=_s32(k)),
            Insn(op.BPF_ALU | op.BPF_AND, _A, imm=0xF),
            Insn(op.BPF_ALU | op.BPF_LSH, _A, imm=2),
            Insn(_MOV_X, _X, _A),
            Insn(_MOV_X, _A, _TMP),
        ]
    store = op.BPF_STX | op.BPF_MEM | op.BPF_W
    return {
        LD_LEN: [_field(_A, _SKB_LEN)],
        LDX_LEN: [_field(_X, _SKB_LEN)],
        LD_IMM: [Insn(_MOV_K, _A, imm=_s32(k))],
        LDX_IMM: [Insn(_MOV_K, _X, imm=_s32(k))],
        LD_MEM: [Insn(_LDX_W, _A, _FP, _slot(k & 15))],
        LDX_MEM: [Insn(_LDX_W, _X, _FP, _slot(k & 15))],
        ST: [Insn(store, _FP, _A, _slot(k & 15))],
        STX: [Insn(store, _FP, _X, _slot(k & 15))],
        NEG: [Insn(op.BPF_ALU | op.BPF_NEG, _A)],
        RET_K: [Insn(_MOV_K, _A, imm=_s32(k)), _EXIT],
        RET_A: [_EXIT],
        TAX: [Insn(_MOV_X, _X, _A)],
        TXA: [Insn(_MOV_X, _A, _X)],
    }[code]


def convert(insns: Sequence[SockFilter]) -> list[Insn]:
    """An eBPF program of type SOCKET_FILTER that returns what the filter returns.

    Raises BpfError(EINVAL) for a filter that `check` refuses and BpfError(EOPNOTSUPP) for the ancillary loads "nla",
    "nlan", "hatype" and "poff", which no eBPF context offers.
    """
    check(insns)
    reached = {0}
    for pc, insn in enumerate(insns):  # jumps go forward, so one pass finds everything
        if pc in reached:
            reached.update(_successors(insn, pc))
    out = [
        Insn(op.BPF_ALU64 | op.BPF_MOV | op.BPF_X, _CTX, op.BPF_REG_1),
        Insn(_MOV_K, _A),
        Insn(_MOV_K, _X),
    ]
    at: dict[int, int] = {}  # classic pc -> eBPF pc
    jumps: list[tuple[int, int]] = []  # (eBPF pc of a jump, classic target)
    for pc in sorted(reached):
        insn = insns[pc]
        at[pc] = len(out)
        if insn.code == JA:
            jumps.append((len(out), pc + 1 + insn.k))
            out.append(Insn(JA))
        elif insn.code in _JMP:
            _branch(insn, pc, out, jumps)
        else:
            out += _straight(insn)
    for pc, target in jumps:
        out[pc] = out[pc]._replace(off=at[target] - pc - 1)
    return out


def _branch(insn: SockFilter, pc: int, out: list[Insn], jumps: list[tuple[int, int]]) -> None:
    operation, src = _JMP[insn.code]
    yes, no = pc + 1 + insn.jt, pc + 1 + insn.jf
    if yes == pc + 1 and operation in _INVERSE:
        operation, yes, no = _INVERSE[operation], no, yes
    jumps.append((len(out), yes))
    if src:
        out.append(Insn(op.BPF_JMP32 | operation | op.BPF_X, _A, _X))
    else:
        out.append(Insn(op.BPF_JMP32 | operation, _A, 0, 0, _s32(insn.k)))
    if no != pc + 1:
        jumps.append((len(out), no))
        out.append(Insn(JA))
