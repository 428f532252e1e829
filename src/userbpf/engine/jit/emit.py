"""One function of a program to LLVM IR.

Between blocks a register lives in a stack slot that LLVM turns into SSA form: `%r6` where it is an integer, `%p6` where `flow`
says that it is a pointer on every path. Within a block values are kept by name, so that text stays short (the time to
compile is near linear in it), and a register is written back once, at the block's end, if somebody reads it later.

Integers are i64; 32-bit instructions truncate, compute and extend. There are no overflow flags: eBPF wraps. Memory accesses
are unaligned by declaration, which costs nothing on the machines that matter. What the verifier proved (`Fact`) decides what an
access becomes: a context word, a tagged load, nothing. Constant places in the frame need no fact: every stack pointer is a chain
of getelementptr from the frame, which LLVM follows itself.
"""

from __future__ import annotations

from typing import Final

from userbpf.engine import arena
from userbpf.engine.jit.flow import (
    CALL,
    EXIT,
    FP,
    GOTOL,
    JA,
    MAY_GOTO,
    Block,
    Function,
    Pointers,
)
from userbpf.engine.jit.module import ProgramModule
from userbpf.errors import NativeError
from userbpf.isa import opcodes as op
from userbpf.isa.disasm import disasm, imm64
from userbpf.isa.insn import Insn
from userbpf.native.rt import RT_SCRATCH
from userbpf.spec.limits import BPF_MAX_LOOPS
from userbpf.verifier.api import Fact, PtrKind

M32: Final = (1 << 32) - 1
_PLAIN: Final = {
    op.BPF_ADD: "add",
    op.BPF_SUB: "sub",
    op.BPF_MUL: "mul",
    op.BPF_OR: "or",
    op.BPF_AND: "and",
    op.BPF_XOR: "xor",
}
_SHIFT: Final = {op.BPF_LSH: "shl", op.BPF_RSH: "lshr", op.BPF_ARSH: "ashr"}
_COMPARE: Final = {
    op.BPF_JEQ: "eq",
    op.BPF_JNE: "ne",
    op.BPF_JGT: "ugt",
    op.BPF_JGE: "uge",
    op.BPF_JLT: "ult",
    op.BPF_JLE: "ule",
    op.BPF_JSGT: "sgt",
    op.BPF_JSGE: "sge",
    op.BPF_JSLT: "slt",
    op.BPF_JSLE: "sle",
}
_ATOMIC: Final = {
    op.BPF_ADD: "add",
    op.BPF_AND: "and",
    op.BPF_OR: "or",
    op.BPF_XOR: "xor",
    op.BPF_XCHG & ~op.BPF_FETCH: "xchg",
}


class FunctionEmitter:
    """Writes one function."""

    def __init__(self, module: ProgramModule, func: Function, pointers: Pointers) -> None:
        self.module, self.func, self.pointers = module, func, pointers
        self.prog = module.prog
        self.lines: list[str] = []
        self.counter = 0
        self.slots: dict[str, str] = {}  # name -> type of the register slots in use
        self.may_goto = False
        self.mask = 0
        self.entry_mask = 0
        self.ints: list[str | None] = [None] * 11
        self.ptrs: list[str | None] = [None] * 11
        self.dirty = 0
        self.halves: dict[str, str] = {}  # i64 operand -> the i32 it was extended from
        self.pc = 0

    # --- text ---

    def emit(self, instruction: str) -> str:
        """Append an instruction with a result; returns the result's name."""
        self.counter += 1
        name = f"%t{self.counter}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def do(self, instruction: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, hint: str) -> str:
        """A label for a block inside an instruction."""
        self.counter += 1
        return f"{hint}{self.counter}"

    def start(self, label: str) -> None:
        """Begin a block inside an instruction."""
        self.lines.append(f"{label}:")

    def write(self) -> None:
        """Add the function to the module."""
        func = self.func
        for block in func.blocks.values():
            self._block(block)
        main = func.number == 0
        if main:
            head = "define i64 @prog(ptr noalias %ctx, ptr noalias %rt) mustprogress nounwind {"
        else:
            args = ", ".join(f"i64 %a{n}" for n in range(1, 6))
            head = f"define internal i64 @sub{func.number}(i64 %rt.i, {args}) mustprogress nounwind {{"
        body, self.lines = self.lines, []
        self._prologue(main)
        self.module.ir.add("\n".join([head, "entry:", *self.lines, f"  br label %b{func.start}", *body, "}"]))

    def _prologue(self, main: bool) -> None:
        func = self.func
        first = func.blocks[func.start]
        arguments: list[str] = []
        for reg in range(1, 2 if main else 6):
            if not first.live_in >> reg & 1:
                continue
            source = "%ctx" if main else f"%a{reg}"
            if first.ptr_in >> reg & 1:
                value = source if main else f"%a{reg}.p"
                if not main:
                    arguments.append(f"{value} = inttoptr i64 {source} to ptr")
                arguments.append(f"store ptr {value}, ptr {self.slot(reg, 'p')}")
            else:
                if main:
                    arguments.append("%ctx.i = ptrtoint ptr %ctx to i64")
                arguments.append(f"store i64 {'%ctx.i' if main else source}, ptr {self.slot(reg, 'r')}")
        self.do("%rt.i = ptrtoint ptr %rt to i64" if main else "%rt = inttoptr i64 %rt.i to ptr")
        for name, kind in self.slots.items():
            self.do(f"%{name} = alloca {kind}")
        for line in arguments:
            self.do(line)
        if self.may_goto:
            self.do("%may_goto = alloca i64")
            self.do(f"store i64 {BPF_MAX_LOOPS}, ptr %may_goto")
        if func.uses_frame:
            self._frame()

    def _frame(self) -> None:
        # Linux lets privileged programs read what they never wrote. LLVM would call that undefined, so the frame is zero.
        depth = self.func.depth
        if depth:
            self.do(f"%stack = alloca [{depth} x i8], align 16")
            self.module.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
            self.do(f"call void @llvm.memset.p0.i64(ptr align 16 %stack, i8 0, i64 {depth}, i1 false)")
            self.do(f"%fp = getelementptr i8, ptr %stack, i64 {depth}")
        else:
            self.do("%fp = inttoptr i64 16 to ptr")

    # --- blocks ---

    def _block(self, block: Block) -> None:
        self.mask = self.entry_mask = block.ptr_in | FP
        self.ints, self.ptrs = [None] * 11, [None] * 11
        self.dirty = 0
        self.halves.clear()
        self.ptrs[10] = "%fp"
        self.lines.append(f"b{block.start}:")
        done = False
        for pc in block.pcs:
            self.pc = pc
            done = self._instruction(pc, block)
            self.mask = self.pointers.after(pc, self.mask)
        if not done:
            if block.next:
                self.flush(block)
                self.do(f"br label %b{block.next[0]}")
            else:
                self.module.declare("declare void @llvm.trap()")
                self.do("call void @llvm.trap()")
                self.do("unreachable")

    def flush(self, block: Block) -> None:
        """Write back the registers that later blocks read, in the form in which they read them."""
        followers = [self.func.blocks[target] for target in block.next]
        for reg in range(10):
            bit = 1 << reg
            if not block.live_out & bit:
                continue
            readers = [f for f in followers if f.live_in & bit]
            wants_ptr = any(f.ptr_in & bit for f in readers)
            wants_int = any(not f.ptr_in & bit for f in readers)
            clean = not self.dirty & bit
            if wants_ptr and not (clean and self.entry_mask & bit):
                self.do(f"store ptr {self.pointer(reg)}, ptr {self.slot(reg, 'p')}")
            if wants_int and not (clean and not self.entry_mask & bit):
                self.do(f"store i64 {self.word(reg)}, ptr {self.slot(reg, 'r')}")

    def slot(self, reg: int, kind: str) -> str:
        """The stack slot of a register in one of its two forms."""
        self.slots[f"{kind}{reg}"] = "ptr" if kind == "p" else "i64"
        return f"%{kind}{reg}"

    # --- registers ---

    def word(self, reg: int) -> str:
        """A register as an i64 operand."""
        value = self.ints[reg]
        if value is None:
            if self.is_ptr(reg):
                value = self.emit(f"ptrtoint ptr {self.pointer(reg)} to i64")
            else:
                value = self.emit(f"load i64, ptr {self.slot(reg, 'r')}")
            self.ints[reg] = value
        return value

    def is_ptr(self, reg: int) -> bool:
        """Whether the register is known as a pointer now."""
        return reg == 10 or bool(self.mask >> reg & 1)

    def pointer(self, reg: int) -> str:
        """A register that is known as a pointer, as a ptr operand."""
        value = self.ptrs[reg]
        if value is None:
            value = self.ptrs[reg] = self.emit(f"load ptr, ptr {self.slot(reg, 'p')}")
        return value

    def set_int(self, reg: int, value: str) -> None:
        """A register becomes an integer."""
        self.ints[reg], self.ptrs[reg] = value, None
        self.dirty |= 1 << reg

    def set_ptr(self, reg: int, value: str, as_int: str | None = None) -> None:
        """A register becomes a pointer."""
        self.ints[reg], self.ptrs[reg] = as_int, value
        self.dirty |= 1 << reg

    def half(self, value: str) -> str:
        """The low 32 bits of an i64 operand as an i32 operand."""
        if _literal(value):
            number = int(value) & M32
            return str(number - (1 << 32) if number >> 31 else number)
        found = self.halves.get(value)
        if found is None:
            found = self.halves[value] = self.emit(f"trunc i64 {value} to i32")
        return found

    def set_half(self, reg: int, value: str) -> None:
        """A register becomes the zero extension of an i32."""
        if _literal(value):
            self.set_int(reg, str(int(value) & M32))
            return
        wide = self.emit(f"zext i32 {value} to i64")
        self.halves[wide] = value
        self.set_int(reg, wide)

    def address(self, reg: int, off: int) -> str:
        """A ptr operand for reg + off."""
        base = self.pointer(reg) if self.is_ptr(reg) else self.emit(f"inttoptr i64 {self.word(reg)} to ptr")
        return self.emit(f"getelementptr i8, ptr {base}, i64 {off}") if off else base

    # --- instructions ---

    def _instruction(self, pc: int, block: Block) -> bool:
        """Lower one instruction; True where it ended the block."""
        insn, fact = self.prog.insns[pc], self.prog.facts[pc]
        cls = insn.code & 7
        if fact is not None and fact.ptr is PtrKind.BTF:
            raise self.refuse(pc, "there is no memory of a kernel's here")
        if cls == op.BPF_ALU64:
            self._alu64(insn)
        elif cls == op.BPF_ALU:
            self._alu32(insn)
        elif cls == op.BPF_LDX:
            self._ldx(pc, insn, fact)
        elif cls == op.BPF_ST or (cls == op.BPF_STX and insn.code & 0xE0 == op.BPF_MEM):
            self._store(insn, fact)
        elif cls == op.BPF_STX:
            self._atomic(insn, fact)
        elif cls == op.BPF_LD:
            self._ld(pc, insn, fact)
        elif insn.code == CALL:
            from userbpf.engine.jit import calls

            calls.lower(self, pc, insn, fact)
        else:
            self._jump(pc, insn, fact, block)
            return True
        return False

    def refuse(self, pc: int, why: str) -> NativeError:
        """An instruction that has no compiled form."""
        return NativeError(f"{pc}: {disasm(self.prog.insns, pc)}: {why}")

    def _alu64(self, insn: Insn) -> None:
        d, s, operation = insn.dst, insn.src, insn.code & 0xF0
        by_register = bool(insn.code & op.BPF_X)
        if operation == op.BPF_MOV:
            self._mov64(insn, by_register)
        elif operation == op.BPF_END:
            self._swap(d, insn.imm)
        elif operation == op.BPF_NEG:
            self.set_int(d, self.emit(f"sub i64 0, {self.word(d)}"))
        elif operation in (op.BPF_ADD, op.BPF_SUB) and self._moves_pointer(insn, by_register):
            self._pointer_arithmetic(insn, by_register)
        else:
            right = self.word(s) if by_register else str(insn.imm)
            self.set_int(d, self.arithmetic(operation, insn.off, "i64", self.word(d), right))

    def _mov64(self, insn: Insn, by_register: bool) -> None:
        d, s = insn.dst, insn.src
        if not by_register:
            self.set_int(d, str(insn.imm))
        elif insn.off == op.BPF_ADDR_SPACE_CAST:
            low = self.half(self.word(s))
            self.set_half(d, low)
            if insn.imm != 1:
                self._to_user(d)
        elif insn.off:
            narrow = self.emit(f"trunc i64 {self.word(s)} to i{insn.off}")
            self.set_int(d, self.emit(f"sext i{insn.off} {narrow} to i64"))
        elif self.is_ptr(s):
            self.set_ptr(d, self.pointer(s), self.ints[s])
        else:
            self.set_int(d, self.word(s))

    def _moves_pointer(self, insn: Insn, by_register: bool) -> bool:
        if not by_register:
            return self.is_ptr(insn.dst)
        if insn.code & 0xF0 == op.BPF_ADD:
            return self.is_ptr(insn.dst) != self.is_ptr(insn.src)
        return self.is_ptr(insn.dst) and not self.is_ptr(insn.src)

    def _pointer_arithmetic(self, insn: Insn, by_register: bool) -> None:
        d, s = insn.dst, insn.src
        minus = insn.code & 0xF0 == op.BPF_SUB
        if not by_register:
            off = str(-insn.imm if minus else insn.imm)
            base = self.pointer(d)
        elif self.is_ptr(d):
            base, off = self.pointer(d), self.word(s)
            if minus:
                off = self.emit(f"sub i64 0, {off}")
        else:
            base, off = self.pointer(s), self.word(d)
        self.set_ptr(d, self.emit(f"getelementptr i8, ptr {base}, i64 {off}"))

    def _alu32(self, insn: Insn) -> None:
        d, s, operation = insn.dst, insn.src, insn.code & 0xF0
        by_register = bool(insn.code & op.BPF_X)
        if operation == op.BPF_END:
            if by_register:
                self._swap(d, insn.imm)
            elif insn.imm < 64:
                narrow = self.emit(f"trunc i64 {self.word(d)} to i{insn.imm}")
                self.set_int(d, self.emit(f"zext i{insn.imm} {narrow} to i64"))
            else:
                self.set_int(d, self.word(d))
        elif operation == op.BPF_NEG:
            self.set_half(d, self.emit(f"sub i32 0, {self.half(self.word(d))}"))
        elif operation == op.BPF_MOV:
            if not by_register:
                self.set_int(d, str(insn.imm & M32))
            elif insn.off:
                narrow = self.emit(f"trunc i64 {self.word(s)} to i{insn.off}")
                self.set_half(d, self.emit(f"sext i{insn.off} {narrow} to i32"))
            else:
                self.set_half(d, self.half(self.word(s)))
        else:
            right = self.half(self.word(s)) if by_register else str(insn.imm)
            self.set_half(d, self.arithmetic(operation, insn.off, "i32", self.half(self.word(d)), right))

    def _swap(self, reg: int, width: int) -> None:
        self.module.declare(f"declare i{width} @llvm.bswap.i{width}(i{width})")
        value = self.word(reg)
        if width < 64:
            value = self.emit(f"trunc i64 {value} to i{width}")
        value = self.emit(f"call i{width} @llvm.bswap.i{width}(i{width} {value})")
        self.set_int(reg, self.emit(f"zext i{width} {value} to i64") if width < 64 else value)

    def arithmetic(self, operation: int, off: int, kind: str, a: str, b: str) -> str:
        """The result of a two-operand operation."""
        if operation in _PLAIN:
            return self.emit(f"{_PLAIN[operation]} {kind} {a}, {b}")
        if operation in _SHIFT:
            limit = 63 if kind == "i64" else 31
            count = str(int(b) & limit) if _literal(b) else self.emit(f"and {kind} {b}, {limit}")
            return self.emit(f"{_SHIFT[operation]} {kind} {a}, {count}")
        return self._divide(operation, bool(off), kind, a, b)

    def _divide(self, operation: int, is_signed: bool, kind: str, a: str, b: str) -> str:
        """x / 0 is 0, x % 0 is x; the lowest number by -1 is itself, remainder 0."""
        remainder = operation == op.BPF_MOD
        word = ("s" if is_signed else "u") + ("rem" if remainder else "div")
        by_zero = a if remainder else "0"
        if _literal(b):
            if int(b) == 0:
                return by_zero
            if int(b) == -1 and is_signed:
                return "0" if remainder else self.emit(f"sub {kind} 0, {a}")
            return self.emit(f"{word} {kind} {a}, {b}")
        zero = self.emit(f"icmp eq {kind} {b}, 0")
        unsafe, minus = zero, ""
        if is_signed:
            minus = self.emit(f"icmp eq {kind} {b}, -1")
            unsafe = self.emit(f"or i1 {zero}, {minus}")
        safe = self.emit(f"select i1 {unsafe}, {kind} 1, {kind} {b}")
        result = self.emit(f"{word} {kind} {a}, {safe}")
        if is_signed and not remainder:
            negated = self.emit(f"sub {kind} 0, {a}")
            result = self.emit(f"select i1 {minus}, {kind} {negated}, {kind} {result}")
        return self.emit(f"select i1 {zero}, {kind} {by_zero}, {kind} {result}")

    # --- memory ---

    def _ldx(self, pc: int, insn: Insn, fact: Fact | None) -> None:
        d, size = insn.dst, op.SIZE_BYTES[insn.code & 0x18]
        bits = size * 8
        if fact is not None and fact.ptr is PtrKind.CTX and fact.off is not None:
            if self._load_field(insn, fact.off, size):
                return
        where = self._place(insn.src, insn.off, size, fact)
        tag = self.module.tag(fact.ptr, fact.map) if fact is not None else ""
        if self.pointers.after(pc, self.mask) >> d & 1 and size == 8:
            self.set_ptr(d, self.emit(f"load ptr, ptr {where}, align 1{tag}"))
            return
        value = self.emit(f"load i{bits}, ptr {where}, align 1{tag}")
        if insn.code & 0xE0 == op.BPF_MEMSX:
            self.set_int(d, self.emit(f"sext i{bits} {value} to i64"))
        elif size == 4:
            self.set_half(d, value)
        else:
            self.set_int(d, value if size == 8 else self.emit(f"zext i{bits} {value} to i64"))

    def _load_field(self, insn: Insn, off: int, size: int) -> bool:
        """A load of a context field that is not what lies at its place in the image: True where it was one."""
        row = self.module.field_at(off, size)
        if row is None:
            return False
        # The field's own place is reg + insn.off, so the context is that minus the field's offset.
        if row.word is not None:
            place = self.address(insn.src, insn.off - off + row.word)
            self.set_ptr(insn.dst, self.emit(f"load ptr, ptr {place}, align 8{self.module.word_tag()}"))
            return True
        if size > row.size and not row.wide_ok:  # 4 bytes of a field of 2: the rest is 0
            place = self.address(insn.src, insn.off)
            narrow = self.emit(f"load i{row.size * 8}, ptr {place}, align 1{self.module.tag(PtrKind.CTX)}")
            self.set_int(insn.dst, self.emit(f"zext i{row.size * 8} {narrow} to i64"))
            return True
        return False

    def _store(self, insn: Insn, fact: Fact | None) -> None:
        size = op.SIZE_BYTES[insn.code & 0x18]
        where = self._place(insn.dst, insn.off, size, fact)
        tag = self.module.tag(fact.ptr, fact.map) if fact is not None else ""
        if insn.code & 7 == op.BPF_ST:
            self.do(f"store i{size * 8} {_cut(insn.imm, size * 8)}, ptr {where}, align 1{tag}")
        elif size == 8 and self.is_ptr(insn.src):
            self.do(f"store ptr {self.pointer(insn.src)}, ptr {where}, align 1{tag}")
        else:
            self.do(f"store i{size * 8} {self.narrow(self.word(insn.src), size * 8)}, ptr {where}, align 1{tag}")

    def narrow(self, value: str, bits: int) -> str:
        """The low bits of an i64 operand."""
        if bits == 64:
            return value
        if bits == 32:
            return self.half(value)
        return str(_cut(int(value), bits)) if _literal(value) else self.emit(f"trunc i64 {value} to i{bits}")

    def _place(self, reg: int, off: int, size: int, fact: Fact | None) -> str:
        """Where an access goes."""
        if fact is None or fact.ptr is not PtrKind.ARENA:
            return self.address(reg, off)
        body = self.module.native(arena.binding(self.prog.maps, self.module.env), "")
        at = self.emit(f"add i64 {self.word(reg)}, {off}") if off else self.word(reg)
        found = self.emit(f"call i64 {body}(i64 %rt.i, i64 {at}, i64 {size})")
        return self.emit(f"inttoptr i64 {found} to ptr")

    def _to_user(self, reg: int) -> None:
        """A pointer into the arena as user space has it; NULL stays NULL."""
        value = self.word(reg)
        whole = self.emit(f"or i64 {value}, {arena.upper(self.prog.maps)}")
        null = self.emit(f"icmp eq i64 {value}, 0")
        self.set_int(reg, self.emit(f"select i1 {null}, i64 0, i64 {whole}"))

    def _unless_lost(self, where: str, fact: Fact | None, old: str, kept: str, bits: int) -> str:
        """What an atomic fetches; where there is no page the register stays as it is."""
        if fact is None or fact.ptr is not PtrKind.ARENA:
            return old
        sink = self.emit(f"add i64 %rt.i, {RT_SCRATCH}")
        lost = self.emit(f"icmp eq i64 {self.emit(f'ptrtoint ptr {where} to i64')}, {sink}")
        return self.emit(f"select i1 {lost}, i{bits} {kept}, i{bits} {old}")

    def _atomic(self, insn: Insn, fact: Fact | None) -> None:
        size = op.SIZE_BYTES[insn.code & 0x18]
        bits, imm = size * 8, insn.imm
        if imm == op.BPF_LOAD_ACQ:
            where = self._place(insn.src, insn.off, size, fact)
            value = self.emit(f"load atomic i{bits}, ptr {where} acquire, align {size}")
            self.set_int(insn.dst, value if size == 8 else self.emit(f"zext i{bits} {value} to i64"))
            return
        where = self._place(insn.dst, insn.off, size, fact)
        value = self.narrow(self.word(insn.src), bits)
        if imm == op.BPF_STORE_REL:
            self.do(f"store atomic i{bits} {value}, ptr {where} release, align {size}")
            return
        if imm == op.BPF_CMPXCHG:
            expected = self.narrow(self.word(0), bits)
            pair = self.emit(f"cmpxchg ptr {where}, i{bits} {expected}, i{bits} {value} seq_cst seq_cst, align {size}")
            old = self.emit(f"extractvalue {{ i{bits}, i1 }} {pair}, 0")
            old = self._unless_lost(where, fact, old, expected, bits)
            target = 0
        else:
            word = _ATOMIC[imm & ~op.BPF_FETCH]
            old = self.emit(f"atomicrmw {word} ptr {where}, i{bits} {value} seq_cst, align {size}")
            target = insn.src
            old = self._unless_lost(where, fact, old, value, bits)
        if imm & op.BPF_FETCH:
            self.set_half(target, old) if size == 4 else self.set_int(target, old)

    def _ld(self, pc: int, insn: Insn, fact: Fact | None) -> None:
        if insn.code != op.LDDW:
            from userbpf.engine.jit import calls

            calls.packet_load(self, insn)
            return
        d, value = insn.dst, imm64(self.prog.insns, pc)
        if insn.src == 0:
            self.set_int(d, str(value - (1 << 64) if value >> 63 else value))
        elif insn.src == op.BPF_PSEUDO_FUNC:
            start = pc + 1 + insn.imm
            number = next(n for n, sub in enumerate(self.prog.subprogs) if sub.start == start)
            self.set_int(d, f"ptrtoint (ptr @sub{number} to i64)")
        elif insn.src == op.BPF_PSEUDO_BTF_ID or fact is None or fact.map is None:
            raise self.refuse(pc, "there are no kernel variables here")
        elif fact.ptr is PtrKind.ARENA:
            self.set_int(d, str(_cut(self.prog.maps[fact.map].user_start + (value >> 32), 64)))
        elif insn.src in (op.BPF_PSEUDO_MAP_FD, op.BPF_PSEUDO_MAP_IDX):
            self.set_ptr(d, self.module.map_desc(fact.map))
        else:
            base, off = self.module.map_values(fact.map), value >> 32
            self.set_ptr(d, f"getelementptr (i8, ptr {base}, i64 {off})" if off else base)

    # --- jumps ---

    def _jump(self, pc: int, insn: Insn, fact: Fact | None, block: Block) -> None:
        code = insn.code
        if code == EXIT:
            self.do(f"ret i64 {self.word(0)}")
            return
        if len(block.next) == 1 or code in (JA, GOTOL):
            self.flush(block)
            self.do(f"br label %b{block.next[0]}")
            return
        after, target = block.next
        if code == MAY_GOTO:
            self.may_goto = True
            left = self.emit("load i64, ptr %may_goto")
            bit = self.emit(f"icmp eq i64 {left}, 0")
            self.module.declare("declare i64 @llvm.usub.sat.i64(i64, i64)")
            less = self.emit(f"call i64 @llvm.usub.sat.i64(i64 {left}, i64 1)")
            self.do(f"store i64 {less}, ptr %may_goto")
        else:
            bit = self._condition(insn)
        self.flush(block)
        self.do(f"br i1 {bit}, label %b{target}, label %b{after}")

    def _condition(self, insn: Insn) -> str:
        operation = insn.code & 0xF0
        wide = insn.code & 7 == op.BPF_JMP
        kind = "i64" if wide else "i32"
        a = self.word(insn.dst) if wide else self.half(self.word(insn.dst))
        b = str(insn.imm)
        if insn.code & op.BPF_X:
            b = self.word(insn.src) if wide else self.half(self.word(insn.src))
        if operation == op.BPF_JSET:
            return self.emit(f"icmp ne {kind} {self.emit(f'and {kind} {a}, {b}')}, 0")
        return self.emit(f"icmp {_COMPARE[operation]} {kind} {a}, {b}")


def _literal(value: str) -> bool:
    return value[0].isdigit() or value[0] == "-"


def _cut(value: int, bits: int) -> int:
    """The low bits as the signed literal that LLVM prefers."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
