"""The assembler: the disassembler's language, with labels.

What `disasm` prints is taken back, with or without the `(xx)` opcode byte and a leading `pc:` (so a kernel log pastes in).
On top of Linux's words:

    name:                              a label; `goto name`, `if r1 == 0 goto name`, `call name`, `may_goto name`
    ; text   // text                   comments
    call bpf_map_lookup_elem           a helper by name; also `call bpf_map_lookup_elem#1`, `call #1`
    call kfunc 65470                   a kernel function by BTF id; `call kfunc 65470 2` with an index into fd_array
    r1 = 0x1122334455667788 ll         the 16-byte load of a 64-bit number; `(18) r1 = 0x1122` means the same
    r1 = map_fd 5 ll                   a map by file descriptor
    r1 = map_value 5 + 8 ll            the address of byte 8 of the (only) value of a map
    r1 = map_idx 0 ll                  a map by its index in fd_array; `map_idx_value 0 + 8 ll`
    r1 = btf_id 17 ll                  a kernel variable
    r1 = func name ll                  the address of a subprogram, for callbacks
    .insn 0xb7 1 0 0 5                 code, dst, src, off, imm as they are: for instructions that are none

Numbers are decimal or hexadecimal. A 32-bit immediate takes -2^31 to 2^31-1; where Linux prints it as unsigned hexadecimal
(comparisons) or where only its 32 bits count (`w` registers, stores of 4 bytes and less) up to 2^32-1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from userbpf.abi.enums import HelperId
from userbpf.errors import AsmError
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<comment>;.*|//.*)
      | (?P<num>-?0[xX][0-9a-fA-F]+|-?\d+)(?![\w.])
      | (?P<sign>s>>=|s/=|s%=|s>=|s<=|s>|s<|<<=|>>=|[-+*/%&|^=!<>]=|[-+*/&()\[\]<>=,:#])
      | (?P<word>[A-Za-z_.][\w.]*)
    )""",
    re.VERBOSE,
)
_PC_PREFIX = re.compile(r"\s*\d+:(?!:)")
_CODE_PREFIX = re.compile(r"\s*\(([0-9a-f]{2})\)")
_LABEL = re.compile(r"\s*([A-Za-z_.][\w.]*)\s*:")
_REG = re.compile(r"([rw])(\d+)$")
_ALU: Final = {sign: code for code, (_, sign) in op.ALU_OPS.items()}
_SIGNED: Final = {sign: code for code, (_, sign) in op.SIGNED_OPS.items()}
_JMP: Final = {sign: code for code, (_, sign) in op.JMP_OPS.items()}
_ATOMIC: Final = {sign: code for code, (_, sign) in op.ATOMIC_OPS.items()}
_FETCH: Final = {f"fetch_{name}": code | op.BPF_FETCH for code, (name, _) in op.ATOMIC_OPS.items()}
_SIZES: Final = {name: size for size, name in op.SIZE_TYPE.items()}
_SIGNED_SIZES: Final = {"s" + name[1:]: size for size, name in op.SIZE_TYPE.items() if size != op.BPF_DW}
_SWAP: Final = re.compile(r"(be|le|bswap)(16|32|64)$")
_HELPERS: Final = {f"bpf_{helper.name}": int(helper) for helper in HelperId}
_PSEUDO: Final = {
    "map_fd": op.BPF_PSEUDO_MAP_FD,
    "map_value": op.BPF_PSEUDO_MAP_VALUE,
    "map_idx": op.BPF_PSEUDO_MAP_IDX,
    "map_idx_value": op.BPF_PSEUDO_MAP_IDX_VALUE,
    "btf_id": op.BPF_PSEUDO_BTF_ID,
}
_TAKES_OFFSET: Final = ("map_value", "map_idx_value", "btf_id")


@dataclass(slots=True)
class _Fixup:
    """A label to be resolved: which slot, which field, where it was written."""

    pc: int
    field: str
    label: str
    line: int
    column: int


@dataclass(slots=True)
class _Tok:
    kind: str  # num, word, sign, end
    text: str
    column: int


def _tokens(text: str, line: int, start: int) -> list[_Tok]:
    out: list[_Tok] = []
    pos = start
    while pos < len(text):
        found = _TOKEN.match(text, pos)
        if found is None:
            if not text[pos:].strip():
                break
            column = pos + len(text[pos:]) - len(text[pos:].lstrip()) + 1
            raise AsmError(f"line {line}, column {column}: unexpected character {text[column - 1]!r}")
        kind = found.lastgroup or ""
        if kind == "comment":
            break
        out.append(_Tok(kind, found.group(kind), found.start(kind) + 1))
        pos = found.end()
    out.append(_Tok("end", "end of line", len(text.rstrip()) + 1))
    return out


class _Line:
    """A cursor over the tokens of one line, with the statements of the language as methods."""

    def __init__(self, asm: _Assembler, number: int, tokens: list[_Tok], code: int | None) -> None:
        self.asm = asm
        self.number = number
        self.tokens = tokens
        self.at = 0
        self.code = code  # the (xx) prefix

    # --- reading ------------------------------------------------------------------------------------------------
    def fail(self, message: str, tok: _Tok | None = None) -> NoReturn:
        raise AsmError(f"line {self.number}, column {(tok or self.peek()).column}: {message}")

    def peek(self, ahead: int = 0) -> _Tok:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def next(self) -> _Tok:
        tok = self.peek()
        self.at += 1
        return tok

    def take(self, *texts: str) -> bool:
        """Step over these tokens if they come next."""
        if all(self.peek(i).text == text for i, text in enumerate(texts)):
            self.at += len(texts)
            return True
        return False

    def want(self, *texts: str) -> None:
        for text in texts:
            if self.peek().text != text:
                self.fail(f"expected {text!r}, not {self.peek().text!r}")
            self.at += 1

    def reg(self, letters: str = "rw") -> tuple[str, int]:
        """A register: its letter and number."""
        tok = self.next()
        found = _REG.match(tok.text) if tok.kind == "word" else None
        if found is None or found[1] not in letters:
            self.fail(f"expected a register, not {tok.text!r}", tok)
        number = int(found[2])
        if number > 15:
            self.fail(f"no such register: {tok.text}", tok)
        return found[1], number

    def is_reg(self) -> bool:
        return self.peek().kind == "word" and _REG.match(self.peek().text) is not None

    def number_in(self, low: int, high: int) -> int:
        tok = self.next()
        sign = 1
        if tok.text in "+-" and tok.kind == "sign":
            sign = -1 if tok.text == "-" else 1
            tok = self.next()
        if tok.kind != "num":
            self.fail(f"expected a number, not {tok.text!r}", tok)
        value = sign * int(tok.text, 0)
        if not low <= value <= high:
            self.fail(f"{value} is out of range {low} to {high}", tok)
        return value

    def imm32(self, unsigned: bool = False) -> int:
        """An s32; with `unsigned` the upper half of u32 is taken as its bits."""
        value = self.number_in(-(1 << 31), (1 << 32) - 1 if unsigned else (1 << 31) - 1)
        return value - (1 << 32) if value >> 31 > 0 else value

    def off16(self) -> int:
        return self.number_in(-(1 << 15), (1 << 15) - 1)

    def memory(self) -> tuple[str, int, int]:
        """`(u32 *)(r1 +4)`: type, register, offset."""
        self.want("(")
        tok = self.next()
        if tok.text not in _SIZES and tok.text not in _SIGNED_SIZES:
            self.fail(f"expected a type such as u32, not {tok.text!r}", tok)
        self.want("*", ")", "(")
        _, reg = self.reg("r")
        off = 0 if self.peek().text == ")" else self.off16()
        self.want(")")
        return tok.text, reg, off

    def target(self, field: str, bits: int) -> int:
        """Where a jump or call goes: `pc+3`, `+3` or a label; the slots between are filled in later for a label."""
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        tok, after = self.peek(), self.peek(1).text[:1]
        if tok.text == "pc" and after and after in "+-":
            self.at += 1
            return self.number_in(low, high)
        if tok.kind == "word":
            self.at += 1
            self.asm.fixups.append(_Fixup(len(self.asm.insns), field, tok.text, self.number, tok.column))
            return 0
        return self.number_in(low, high)

    def emit(self, *insns: Insn) -> None:
        if self.code is not None and insns[0].code != self.code:
            self.fail(f"opcode byte ({self.code:02x}) does not fit: this is ({insns[0].code:02x})", self.tokens[0])
        self.asm.insns.extend(insns)

    # --- statements ---------------------------------------------------------------------------------------------
    def statement(self) -> None:
        tok = self.peek()
        verb = _STATEMENTS.get(tok.text)
        if verb is not None:
            self.at += 1
            verb(self)
        elif tok.text == "*":
            self.at += 1
            self.store()
        elif self.is_reg():
            self.assignment()
        else:
            self.fail(f"unknown instruction {tok.text!r}")
        if self.peek().kind != "end":
            self.fail(f"unexpected {self.peek().text!r} after the instruction")

    def exit(self) -> None:
        self.emit(Insn(op.BPF_JMP | op.BPF_EXIT))

    def goto(self) -> None:
        self.emit(Insn(op.BPF_JMP | op.BPF_JA, off=self.target("off", 16)))

    def gotol(self) -> None:
        self.emit(Insn(op.BPF_JMP32 | op.BPF_JA, imm=self.target("imm", 32)))

    def may_goto(self) -> None:
        self.emit(Insn(op.BPF_JMP | op.BPF_JCOND, src=op.BPF_MAY_GOTO, off=self.target("off", 16)))

    def raw(self) -> None:
        code = self.number_in(0, 255)
        dst, src = self.number_in(0, 15), self.number_in(0, 15)
        self.emit(Insn(code, dst, src, self.off16(), self.imm32(unsigned=True)))

    def conditional(self) -> None:
        letter, dst = self.reg()
        tok = self.next()
        sign = tok.text
        if sign not in _JMP:
            self.fail(f"expected a comparison, not {sign!r}", tok)
        code = (op.BPF_JMP if letter == "r" else op.BPF_JMP32) | _JMP[sign]
        if self.is_reg():
            src = self.reg(letter)[1]
            self.want("goto")
            self.emit(Insn(code | op.BPF_X, dst, src, self.target("off", 16)))
        else:
            imm = self.imm32(unsigned=True)
            self.want("goto")
            self.emit(Insn(code, dst, 0, self.target("off", 16), imm))

    def call(self) -> None:
        code = op.BPF_JMP | op.BPF_CALL
        tok = self.peek()
        if self.take("#"):
            self.emit(Insn(code, imm=self.imm32()))
        elif self.take("kfunc"):
            imm = self.imm32()
            off = 0 if self.peek().kind == "end" else self.off16()
            self.emit(Insn(code, src=op.BPF_PSEUDO_KFUNC_CALL, off=off, imm=imm))
        elif tok.kind == "num" and not tok.text.startswith("-"):
            self.emit(Insn(code, imm=self.imm32()))
        elif tok.text in _HELPERS and tok.text not in self.asm.defined:
            self.at += 1
            imm = _HELPERS[tok.text]
            if self.take("#") and self.imm32() != imm:
                self.fail(f"{tok.text} is #{imm}", tok)
            self.emit(Insn(code, imm=imm))
        elif tok.kind == "word" and self.peek(1).text == "#":
            self.at += 2
            imm = self.imm32()
            src = 0 if tok.text == "unknown" else op.BPF_PSEUDO_KFUNC_CALL
            self.emit(Insn(code, src=src, imm=imm))
        elif tok.text.startswith("bpf_") and tok.text not in self.asm.defined:
            self.fail(f"unknown helper {tok.text}")
        else:
            self.emit(Insn(code, src=op.BPF_PSEUDO_CALL, imm=self.target("imm", 32)))

    def lock(self) -> None:
        self.want("*")
        size, dst, off = self.memory()
        tok = self.next()
        if tok.text not in _ATOMIC:
            self.fail(f"expected +=, &=, |= or ^=, not {tok.text!r}", tok)
        self.emit(Insn(self.atomic(size), dst, self.reg()[1], off, _ATOMIC[tok.text]))

    def store_release(self) -> None:
        self.want("(")
        size, dst, off = self.memory()
        self.want(",")
        src = self.reg()[1]
        self.want(")")
        self.emit(Insn(self.atomic(size), dst, src, off, op.BPF_STORE_REL))

    def atomic(self, size: str) -> int:
        if size not in _SIZES:
            self.fail(f"no atomic operation on {size}")
        return op.BPF_STX | op.BPF_ATOMIC | _SIZES[size]

    def store(self) -> None:
        size, dst, off = self.memory()
        if size not in _SIZES:
            self.fail(f"stores have no sign: {size}")
        self.want("=")
        if self.is_reg():
            self.emit(Insn(op.BPF_STX | op.BPF_MEM | _SIZES[size], dst, self.reg()[1], off))
        else:
            self.emit(Insn(op.BPF_ST | op.BPF_MEM | _SIZES[size], dst, 0, off, self.imm32(size != "u64")))

    def assignment(self) -> None:
        letter, dst = self.reg()
        cls = op.BPF_ALU64 if letter == "r" else op.BPF_ALU
        tok = self.next()
        if tok.text == "=":
            self.assign(letter, dst, cls)
            return
        off = 0
        if tok.text in _SIGNED:
            code, off = _SIGNED[tok.text], 1
        elif tok.text in _ALU:
            code = _ALU[tok.text]
        else:
            self.fail(f"expected an operator such as +=, not {tok.text!r}", tok)
        self.operand(letter, dst, cls | code, off)

    def operand(self, letter: str, dst: int, code: int, off: int) -> None:
        if self.is_reg():
            self.emit(Insn(code | op.BPF_X, dst, self.reg(letter)[1], off))
        else:
            self.emit(Insn(code, dst, 0, off, self.imm32(unsigned=letter == "w")))

    def assign(self, letter: str, dst: int, cls: int) -> None:
        """What stands behind `r1 =`."""
        tok = self.peek()
        swap = _SWAP.match(tok.text)
        if self.take("*"):
            self.load(dst)
        elif self.take("("):
            self.sign_extend(letter, dst, cls)
        elif tok.text == "-" and self.peek(1).kind == "word":
            self.at += 1
            if self.reg(letter)[1] != dst:
                self.fail("negation takes the register it sets")
            self.emit(Insn(cls | op.BPF_NEG, dst))
        elif swap:
            self.at += 1
            if self.reg()[1] != dst:
                self.fail("byte swaps take the register they set")
            kind = {"le": op.BPF_ALU, "be": op.BPF_ALU | op.BPF_TO_BE, "bswap": op.BPF_ALU64}[swap[1]]
            self.emit(Insn(kind | op.BPF_END, dst, imm=int(swap[2])))
        elif self.take("addr_space_cast", "("):
            src = self.reg("r")[1]
            self.want(",")
            to = self.number_in(0, 0xFFFF)
            self.want(",")
            imm = to << 16 | self.number_in(0, 0xFFFF)
            self.want(")")
            imm -= (imm >> 31) << 32
            self.emit(Insn(cls | op.BPF_MOV | op.BPF_X, dst, src, op.BPF_ADDR_SPACE_CAST, imm))
        elif self.take("&", "(", "void", "__percpu", "*", ")", "("):
            src = self.reg("r")[1]
            self.want(")")
            self.emit(Insn(cls | op.BPF_MOV | op.BPF_X, dst, src, op.BPF_ADDR_PERCPU))
        elif self.take("load_acquire", "("):
            size, src, off = self.memory()
            self.want(")")
            self.emit(Insn(self.atomic(size), dst, src, off, op.BPF_LOAD_ACQ))
        elif tok.text.startswith("atomic"):
            self.fetch(dst)
        elif tok.text in _PSEUDO or tok.text == "func":
            self.pseudo(dst)
        elif tok.kind == "num" and (self.peek(1).text == "ll" or self.code == op.LDDW):
            value = self.number_in(-(1 << 63), (1 << 64) - 1)
            self.take("ll")
            self.lddw(dst, 0, value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
        else:
            self.operand(letter, dst, cls | op.BPF_MOV, 0)

    def load(self, dst: int) -> None:
        if self.peek(4).text == "skb":
            self.legacy(dst)
            return
        size, src, off = self.memory()
        mode = op.BPF_MEM if size in _SIZES else op.BPF_MEMSX
        self.emit(Insn(op.BPF_LDX | mode | {**_SIZES, **_SIGNED_SIZES}[size], dst, src, off))

    def legacy(self, dst: int) -> None:
        """`r0 = *(u32 *)skb[r2 + 7]`."""
        self.want("(")
        tok = self.next()
        if tok.text not in _SIZES or tok.text == "u64":
            self.fail(f"packet loads are of u8, u16 or u32, not {tok.text!r}", tok)
        if dst:
            self.fail("packet loads set r0", self.tokens[0])
        self.want("*", ")", "skb", "[")
        if self.is_reg():
            src = self.reg("r")[1]
            self.want("+")
            insn = Insn(op.BPF_LD | op.BPF_IND | _SIZES[tok.text], 0, src, 0, self.imm32())
        else:
            insn = Insn(op.BPF_LD | op.BPF_ABS | _SIZES[tok.text], 0, 0, 0, self.imm32())
        self.want("]")
        self.emit(insn)

    def sign_extend(self, letter: str, dst: int, cls: int) -> None:
        tok = self.next()
        widths = {"s8": 8, "s16": 16, "s32": 32}
        if tok.text not in widths:
            self.fail(f"expected s8, s16 or s32, not {tok.text!r}", tok)
        self.want(")")
        self.emit(Insn(cls | op.BPF_MOV | op.BPF_X, dst, self.reg(letter)[1], widths[tok.text]))

    def fetch(self, result: int) -> None:
        tok = self.next()
        wide = tok.text.startswith("atomic64_")
        name = tok.text.removeprefix("atomic64_" if wide else "atomic_")
        imm = {**_FETCH, "xchg": op.BPF_XCHG, "cmpxchg": op.BPF_CMPXCHG}.get(name)
        if imm is None:
            self.fail(f"unknown atomic operation {tok.text!r}", tok)
        self.want("(")
        size, dst, off = self.memory()
        if wide != (size == "u64"):
            self.fail(f"{tok.text} does not fit {size}", tok)
        self.want(",")
        if imm == op.BPF_CMPXCHG:
            if self.reg()[1] != 0 or result != 0:
                self.fail("cmpxchg compares with r0 and sets r0", tok)
            self.want(",")
        src = self.reg()[1]
        self.want(")")
        if imm != op.BPF_CMPXCHG and src != result:
            self.fail(f"{tok.text} sets the register it takes", tok)
        self.emit(Insn(self.atomic(size), dst, src, off, imm))

    def pseudo(self, dst: int) -> None:
        tok = self.next()
        if tok.text == "func":
            imm = self.target("imm", 32)
            self.lddw(dst, op.BPF_PSEUDO_FUNC, imm, 0)
        else:
            imm, high = self.imm32(), 0
            if tok.text in _TAKES_OFFSET and self.take("+"):
                high = self.number_in(0, (1 << 32) - 1)
            self.lddw(dst, _PSEUDO[tok.text], imm, high)
        self.take("ll")

    def lddw(self, dst: int, src: int, low: int, high: int) -> None:
        low, high = (v - (1 << 32) if v >> 31 > 0 else v for v in (low, high))
        self.emit(Insn(op.LDDW, dst, src, 0, low), Insn(0, imm=high))


_STATEMENTS: Final[Mapping[str, Callable[[_Line], None]]] = {
    "exit": _Line.exit,
    "goto": _Line.goto,
    "gotol": _Line.gotol,
    "may_goto": _Line.may_goto,
    "if": _Line.conditional,
    "call": _Line.call,
    "lock": _Line.lock,
    "store_release": _Line.store_release,
    ".insn": _Line.raw,
}


class _Assembler:
    """Two passes: labels are collected as the lines are read, and filled in at the end."""

    def __init__(self, text: str) -> None:
        self.insns: list[Insn] = []
        self.fixups: list[_Fixup] = []
        self.lines = text.splitlines()
        self.labels: dict[str, int] = {}
        # a label wins over a helper of the same name, wherever it stands
        self.defined = {found[1] for line in self.lines if (found := _LABEL.match(line))}

    def run(self) -> list[Insn]:
        for number, line in enumerate(self.lines, 1):
            self._line(number, line)
        for fix in self.fixups:
            self._resolve(fix)
        return self.insns

    def _line(self, number: int, line: str) -> None:
        start = 0
        if found := _PC_PREFIX.match(line):
            start = found.end()
        code = None
        tokens = _tokens(line, number, start) if not _CODE_PREFIX.match(line, start) else []
        while tokens and tokens[0].kind == "word" and tokens[1].text == ":":
            name = tokens[0].text
            if name in self.labels:
                raise AsmError(f"line {number}, column {tokens[0].column}: label {name!r} is defined twice")
            self.labels[name] = len(self.insns)
            start = tokens[1].column
            tokens = tokens[2:]
        if found := _CODE_PREFIX.match(line, start):
            code = int(found[1], 16)
            tokens = _tokens(line, number, found.end())
        if tokens and tokens[0].kind != "end":
            _Line(self, number, tokens, code).statement()
        elif code is not None:
            raise AsmError(f"line {number}, column {start + 1}: an opcode byte without an instruction")

    def _resolve(self, fix: _Fixup) -> None:
        where = f"line {fix.line}, column {fix.column}"
        if fix.label not in self.labels:
            raise AsmError(f"{where}: unknown label {fix.label!r}")
        delta = self.labels[fix.label] - fix.pc - 1
        if fix.field == "off" and not -(1 << 15) <= delta < 1 << 15:
            raise AsmError(f"{where}: label {fix.label!r} is {delta} slots away, too far for 16 bits (use gotol)")
        insn = self.insns[fix.pc]
        self.insns[fix.pc] = insn._replace(off=delta) if fix.field == "off" else insn._replace(imm=delta)


def assemble(text: str) -> list[Insn]:
    """The instructions of a text, one `Insn` a slot. Raises AsmError with line and column."""
    return _Assembler(text).run()
