"""The instruction table: Linux's constants, and one row for every instruction form that exists.

An eBPF instruction is not told by its opcode byte alone: `off` turns a division into a signed one, `imm` selects the
atomic operation, `src` tells a helper call from a call of a subprogram. So a row is a *form*: an opcode byte, and for
each of the four other fields either "any value" (the field is an operand) or the set of values that select this form.
A field that Linux calls reserved is a field whose only value is 0. Forms of one opcode byte never overlap, so `form_of`
finds at most one; what it does not find is no instruction.

Source: RFC 9669, `Documentation/bpf/standardization/instruction-set.rst`, include/uapi/linux/bpf.h and bpf_common.h; for
the newer forms (may_goto, load_acquire, addr_space_cast) the answers of Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from userbpf.isa.insn import Insn

# --- instruction classes: code & 7 ----------------------------------------------------------------------------------
BPF_LD: Final = 0x00
BPF_LDX: Final = 0x01
BPF_ST: Final = 0x02
BPF_STX: Final = 0x03
BPF_ALU: Final = 0x04
BPF_JMP: Final = 0x05
BPF_JMP32: Final = 0x06
BPF_ALU64: Final = 0x07
BPF_RET: Final = 0x06  # classic only
BPF_MISC: Final = 0x07  # classic only

# --- load and store: code & 0x18 is the size, code & 0xe0 the mode --------------------------------------------------
BPF_W: Final = 0x00
BPF_H: Final = 0x08
BPF_B: Final = 0x10
BPF_DW: Final = 0x18

BPF_IMM: Final = 0x00
BPF_ABS: Final = 0x20
BPF_IND: Final = 0x40
BPF_MEM: Final = 0x60
BPF_LEN: Final = 0x80  # classic only
BPF_MSH: Final = 0xA0  # classic only
BPF_MEMSX: Final = 0x80
BPF_ATOMIC: Final = 0xC0
BPF_XADD: Final = 0xC0

# --- arithmetic and jumps: code & 0xf0 is the operation, code & 8 the source ----------------------------------------
BPF_K: Final = 0x00
BPF_X: Final = 0x08
BPF_A: Final = 0x10  # classic only: return A

BPF_ADD: Final = 0x00
BPF_SUB: Final = 0x10
BPF_MUL: Final = 0x20
BPF_DIV: Final = 0x30
BPF_OR: Final = 0x40
BPF_AND: Final = 0x50
BPF_LSH: Final = 0x60
BPF_RSH: Final = 0x70
BPF_NEG: Final = 0x80
BPF_MOD: Final = 0x90
BPF_XOR: Final = 0xA0
BPF_MOV: Final = 0xB0
BPF_ARSH: Final = 0xC0
BPF_END: Final = 0xD0

BPF_TO_LE: Final = 0x00
BPF_TO_BE: Final = 0x08
BPF_FROM_LE: Final = BPF_TO_LE
BPF_FROM_BE: Final = BPF_TO_BE

BPF_JA: Final = 0x00
BPF_JEQ: Final = 0x10
BPF_JGT: Final = 0x20
BPF_JGE: Final = 0x30
BPF_JSET: Final = 0x40
BPF_JNE: Final = 0x50
BPF_JSGT: Final = 0x60
BPF_JSGE: Final = 0x70
BPF_CALL: Final = 0x80
BPF_EXIT: Final = 0x90
BPF_JLT: Final = 0xA0
BPF_JLE: Final = 0xB0
BPF_JSLT: Final = 0xC0
BPF_JSLE: Final = 0xD0
BPF_JCOND: Final = 0xE0

# classic BPF_MISC operations
BPF_TAX: Final = 0x00
BPF_TXA: Final = 0x80

# --- atomic operations: imm of BPF_ATOMIC ---------------------------------------------------------------------------
BPF_FETCH: Final = 0x01
BPF_XCHG: Final = 0xE0 | BPF_FETCH
BPF_CMPXCHG: Final = 0xF0 | BPF_FETCH
BPF_LOAD_ACQ: Final = 0x100
BPF_STORE_REL: Final = 0x110

# --- off of a 64-bit register move ----------------------------------------------------------------------------------
BPF_ADDR_SPACE_CAST: Final = 1
BPF_ADDR_PERCPU: Final = -1  # made by Linux itself after verification; refused in programs that are loaded

# --- src of BPF_JCOND -----------------------------------------------------------------------------------------------
BPF_MAY_GOTO: Final = 0

# --- src of lddw: what the 64 bits mean -----------------------------------------------------------------------------
BPF_PSEUDO_MAP_FD: Final = 1
BPF_PSEUDO_MAP_VALUE: Final = 2
BPF_PSEUDO_BTF_ID: Final = 3
BPF_PSEUDO_FUNC: Final = 4
BPF_PSEUDO_MAP_IDX: Final = 5
BPF_PSEUDO_MAP_IDX_VALUE: Final = 6

# --- src of call ----------------------------------------------------------------------------------------------------
BPF_PSEUDO_CALL: Final = 1
BPF_PSEUDO_KFUNC_CALL: Final = 2

# --- registers ------------------------------------------------------------------------------------------------------
BPF_REG_0: Final = 0
BPF_REG_1: Final = 1
BPF_REG_2: Final = 2
BPF_REG_3: Final = 3
BPF_REG_4: Final = 4
BPF_REG_5: Final = 5
BPF_REG_6: Final = 6
BPF_REG_7: Final = 7
BPF_REG_8: Final = 8
BPF_REG_9: Final = 9
BPF_REG_10: Final = 10
BPF_REG_FP: Final = BPF_REG_10
MAX_BPF_REG: Final = 11

# opcode byte of the 16-byte load of a 64-bit immediate
LDDW: Final = BPF_LD | BPF_IMM | BPF_DW

# --- classic ancillary data: absolute load offsets (include/uapi/linux/filter.h), as s32 ----------------------------
SKF_AD_OFF: Final = -0x1000
SKF_AD_PROTOCOL: Final = 0
SKF_AD_PKTTYPE: Final = 4
SKF_AD_IFINDEX: Final = 8
SKF_AD_NLATTR: Final = 12
SKF_AD_NLATTR_NEST: Final = 16
SKF_AD_MARK: Final = 20
SKF_AD_QUEUE: Final = 24
SKF_AD_HATYPE: Final = 28
SKF_AD_RXHASH: Final = 32
SKF_AD_CPU: Final = 36
SKF_AD_ALU_XOR_X: Final = 40
SKF_AD_VLAN_TAG: Final = 44
SKF_AD_VLAN_TAG_PRESENT: Final = 48
SKF_AD_PAY_OFFSET: Final = 52
SKF_AD_RANDOM: Final = 56
SKF_AD_VLAN_TPID: Final = 60
SKF_AD_MAX: Final = 64
SKF_NET_OFF: Final = -0x100000
SKF_LL_OFF: Final = -0x200000
BPF_MEMWORDS: Final = 16
BPF_MAXINSNS: Final = 4096


def BPF_CLASS(code: int) -> int:
    """The instruction class of an opcode byte."""
    return code & 0x07


def BPF_SIZE(code: int) -> int:
    """The size bits of a load or store; see SIZE_BYTES for bytes."""
    return code & 0x18


def BPF_MODE(code: int) -> int:
    """The mode bits of a load or store."""
    return code & 0xE0


def BPF_OP(code: int) -> int:
    """The operation bits of an arithmetic instruction or a jump."""
    return code & 0xF0


def BPF_SRC(code: int) -> int:
    """BPF_X where the second operand is a register, else BPF_K."""
    return code & 0x08


SIZE_BYTES: Final[dict[int, int]] = {BPF_W: 4, BPF_H: 2, BPF_B: 1, BPF_DW: 8}
SIZE_TYPE: Final[dict[int, str]] = {BPF_W: "u32", BPF_H: "u16", BPF_B: "u8", BPF_DW: "u64"}

ANY: Final = None  # a field that is an operand
ZERO: Final = (0,)  # a reserved field

Field = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Form:
    """One instruction form. A field is None where it is an operand, else the values it must have to be this form."""

    name: str  # unique: "add64_x", "lddw_map_fd"
    code: int
    mnemonic: str  # the operator or keyword as the text form shows it: "+=", "s/=", "goto"
    dst: Field = ANY
    src: Field = ANY
    off: Field = ANY
    imm: Field = ANY
    slots: int = 1
    isa: int = 1  # first ISA version (clang's -mcpu=vN) that emits it; 0: emitted by hand or by the loader only

    @property
    def cls(self) -> int:
        """The instruction class."""
        return self.code & 0x07

    @property
    def op(self) -> int:
        """Operation bits of arithmetic and jumps, mode bits of loads and stores."""
        return self.code & (0xF0 if self.cls >= BPF_ALU else 0xE0)

    @property
    def source(self) -> int:
        """BPF_X or BPF_K; of meaning in arithmetic and jumps only."""
        return self.code & 0x08

    @property
    def size(self) -> int:
        """Bytes moved by a load or store."""
        return SIZE_BYTES[self.code & 0x18]

    @property
    def reserved(self) -> tuple[str, ...]:
        """Names of the fields that must be 0."""
        return tuple(f for f in ("dst", "src", "off", "imm") if getattr(self, f) == ZERO)

    def matches(self, insn: Insn) -> bool:
        """Whether the instruction is of this form; register numbers above 10 are left to the caller."""
        return (
            insn.code == self.code
            and (self.off is None or insn.off in self.off)
            and (self.imm is None or insn.imm in self.imm)
            and (self.src is None or insn.src in self.src)
            and (self.dst is None or insn.dst in self.dst)
        )


# Arithmetic: operation -> (name, sign between the operands)
ALU_OPS: Final[dict[int, tuple[str, str]]] = {
    BPF_ADD: ("add", "+="),
    BPF_SUB: ("sub", "-="),
    BPF_MUL: ("mul", "*="),
    BPF_DIV: ("div", "/="),
    BPF_OR: ("or", "|="),
    BPF_AND: ("and", "&="),
    BPF_LSH: ("lsh", "<<="),
    BPF_RSH: ("rsh", ">>="),
    BPF_MOD: ("mod", "%="),
    BPF_XOR: ("xor", "^="),
    BPF_MOV: ("mov", "="),
    BPF_ARSH: ("arsh", "s>>="),
}
# Conditional jumps: operation -> (name, comparison)
JMP_OPS: Final[dict[int, tuple[str, str]]] = {
    BPF_JEQ: ("jeq", "=="),
    BPF_JGT: ("jgt", ">"),
    BPF_JGE: ("jge", ">="),
    BPF_JSET: ("jset", "&"),
    BPF_JNE: ("jne", "!="),
    BPF_JSGT: ("jsgt", "s>"),
    BPF_JSGE: ("jsge", "s>="),
    BPF_JLT: ("jlt", "<"),
    BPF_JLE: ("jle", "<="),
    BPF_JSLT: ("jslt", "s<"),
    BPF_JSLE: ("jsle", "s<="),
}
# Atomic read-modify-write: imm -> (name, operator for the form without fetch)
ATOMIC_OPS: Final[dict[int, tuple[str, str]]] = {
    BPF_ADD: ("add", "+="),
    BPF_AND: ("and", "&="),
    BPF_OR: ("or", "|="),
    BPF_XOR: ("xor", "^="),
}
SIGNED_OPS: Final = {BPF_DIV: ("sdiv", "s/="), BPF_MOD: ("smod", "s%=")}


def _alu_forms() -> list[Form]:
    out: list[Form] = []
    for cls, bits in ((BPF_ALU64, 64), (BPF_ALU, 32)):
        for op, (name, sign) in ALU_OPS.items():
            out.append(Form(f"{name}{bits}_k", cls | op | BPF_K, sign, src=ZERO, off=ZERO))
            out.append(Form(f"{name}{bits}_x", cls | op | BPF_X, sign, off=ZERO, imm=ZERO))
        for op, (name, sign) in SIGNED_OPS.items():
            out.append(Form(f"{name}{bits}_k", cls | op | BPF_K, sign, src=ZERO, off=(1,), isa=4))
            out.append(Form(f"{name}{bits}_x", cls | op | BPF_X, sign, off=(1,), imm=ZERO, isa=4))
        for width in (8, 16, 32):
            if width < bits:
                out.append(Form(f"movs{width}to{bits}", cls | BPF_MOV | BPF_X, "=", off=(width,), imm=ZERO, isa=4))
        out.append(Form(f"neg{bits}", cls | BPF_NEG | BPF_K, "= -", src=ZERO, off=ZERO, imm=ZERO))
    cast = BPF_ALU64 | BPF_MOV | BPF_X
    out.append(Form("addr_space_cast", cast, "addr_space_cast", off=(BPF_ADDR_SPACE_CAST,), imm=(1, 1 << 16), isa=0))
    for width in (16, 32, 64):
        for to, name in ((BPF_TO_LE, "le"), (BPF_TO_BE, "be")):
            code = BPF_ALU | BPF_END | to
            out.append(Form(f"{name}{width}", code, f"{name}{width}", src=ZERO, off=ZERO, imm=(width,)))
        code = BPF_ALU64 | BPF_END | BPF_TO_LE
        out.append(Form(f"bswap{width}", code, f"bswap{width}", src=ZERO, off=ZERO, imm=(width,), isa=4))
    return out


def _jmp_forms() -> list[Form]:
    out: list[Form] = []
    for cls, bits, isa in ((BPF_JMP, 64, 1), (BPF_JMP32, 32, 3)):
        for op, (name, sign) in JMP_OPS.items():
            first = max(isa, 2) if op in (BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE) else isa
            out.append(Form(f"{name}{bits}_k", cls | op | BPF_K, sign, src=ZERO, isa=first))
            out.append(Form(f"{name}{bits}_x", cls | op | BPF_X, sign, imm=ZERO, isa=first))
    out += [
        Form("ja", BPF_JMP | BPF_JA, "goto", dst=ZERO, src=ZERO, imm=ZERO),
        Form("gotol", BPF_JMP32 | BPF_JA, "gotol", dst=ZERO, src=ZERO, off=ZERO, isa=4),
        Form("may_goto", BPF_JMP | BPF_JCOND, "may_goto", dst=ZERO, src=(BPF_MAY_GOTO,), imm=ZERO, isa=0),
        Form("call", BPF_JMP | BPF_CALL, "call", dst=ZERO, src=ZERO, off=ZERO),
        Form("call_pseudo", BPF_JMP | BPF_CALL, "call", dst=ZERO, src=(BPF_PSEUDO_CALL,), off=ZERO),
        # off selects the module's BTF in fd_array, 0 is the kernel's own
        Form("call_kfunc", BPF_JMP | BPF_CALL, "call", dst=ZERO, src=(BPF_PSEUDO_KFUNC_CALL,), isa=0),
        Form("exit", BPF_JMP | BPF_EXIT, "exit", dst=ZERO, src=ZERO, off=ZERO, imm=ZERO),
    ]
    return out


def _memory_forms() -> list[Form]:
    out: list[Form] = []
    for size, nbytes in SIZE_BYTES.items():
        bits = nbytes * 8
        out.append(Form(f"ldx{bits}", BPF_LDX | BPF_MEM | size, "=", imm=ZERO))
        out.append(Form(f"stx{bits}", BPF_STX | BPF_MEM | size, "=", imm=ZERO))
        out.append(Form(f"st{bits}", BPF_ST | BPF_MEM | size, "=", src=ZERO))
        atomic = BPF_STX | BPF_ATOMIC | size
        out.append(Form(f"load_acquire{bits}", atomic, "load_acquire", imm=(BPF_LOAD_ACQ,), isa=4))
        out.append(Form(f"store_release{bits}", atomic, "store_release", imm=(BPF_STORE_REL,), isa=4))
        if size != BPF_DW:
            out.append(Form(f"ldxs{bits}", BPF_LDX | BPF_MEMSX | size, "=", imm=ZERO, isa=4))
            out.append(Form(f"ld_abs{bits}", BPF_LD | BPF_ABS | size, "skb", dst=ZERO, src=ZERO, off=ZERO, isa=0))
            out.append(Form(f"ld_ind{bits}", BPF_LD | BPF_IND | size, "skb", dst=ZERO, off=ZERO, isa=0))
        if nbytes < 4:
            continue
        for op, (name, sign) in ATOMIC_OPS.items():
            first = 1 if op == BPF_ADD else 3
            out.append(Form(f"atomic{bits}_{name}", atomic, sign, imm=(op,), isa=first))
            out.append(Form(f"atomic{bits}_fetch_{name}", atomic, f"fetch_{name}", imm=(op | BPF_FETCH,), isa=3))
        out.append(Form(f"atomic{bits}_xchg", atomic, "xchg", imm=(BPF_XCHG,), isa=3))
        out.append(Form(f"atomic{bits}_cmpxchg", atomic, "cmpxchg", imm=(BPF_CMPXCHG,), isa=3))
    for src, name in (
        (0, "lddw"),
        (BPF_PSEUDO_MAP_FD, "lddw_map_fd"),
        (BPF_PSEUDO_MAP_VALUE, "lddw_map_value"),
        (BPF_PSEUDO_BTF_ID, "lddw_btf_id"),
        (BPF_PSEUDO_FUNC, "lddw_func"),
        (BPF_PSEUDO_MAP_IDX, "lddw_map_idx"),
        (BPF_PSEUDO_MAP_IDX_VALUE, "lddw_map_idx_value"),
    ):
        out.append(Form(name, LDDW, "=", src=(src,), off=ZERO, slots=2))
    return out


FORMS: Final[tuple[Form, ...]] = (*_alu_forms(), *_jmp_forms(), *_memory_forms())
FORM: Final[dict[str, Form]] = {form.name: form for form in FORMS}


def _by_code() -> dict[int, tuple[Form, ...]]:
    out: dict[int, tuple[Form, ...]] = {}
    for form in FORMS:
        out[form.code] = (*out.get(form.code, ()), form)
    return out


BY_CODE: Final[dict[int, tuple[Form, ...]]] = _by_code()


def form_of(insn: Insn) -> Form | None:
    """The form of an instruction, or None where it is none: unknown opcode, or a reserved field in use."""
    for form in BY_CODE.get(insn.code, ()):
        if form.matches(insn):
            return form
    return None
