"""Instructions as text: the words that Linux's verifier prints.

`disasm` gives what the kernel's log shows of one instruction, opcode byte included: `(61) r2 = *(u32 *)(r1 +16)`. It also
prints what the kernel prints of instructions that will be refused (`(d4) r1 = le17 r1`), because the log shows the
instruction before the refusal; opcodes that the kernel refuses unseen come out as `BUG_xx`.

`listing` gives a whole program in the assembler's superset of that language, with labels, so that it assembles again.
Every form was compared with the log of Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from userbpf.abi.enums import HelperId
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn

# (instruction, its 64-bit immediate or 32-bit call target) -> text for it, or None for the plain number
Resolver = Callable[[Insn, int], str | None]

_ATOMIC_SIGN = {code: sign for code, (_, sign) in op.ATOMIC_OPS.items()}
_ATOMIC_FETCH = {code | op.BPF_FETCH: name for code, (name, _) in op.ATOMIC_OPS.items()}
_HELPER_NAME = {int(helper): f"bpf_{helper.name}" for helper in HelperId}


def imm64(insns: Sequence[Insn], pc: int) -> int:
    """The unsigned 64-bit immediate of the lddw at `pc`; a missing second slot counts as 0."""
    high = insns[pc + 1].imm if pc + 1 < len(insns) else 0
    return (high & 0xFFFFFFFF) << 32 | (insns[pc].imm & 0xFFFFFFFF)


def helper_name(number: int) -> str:
    """The name the log prints for a helper id: "bpf_map_lookup_elem", or "unknown"."""
    return _HELPER_NAME.get(number, "unknown")


def _alu(insn: Insn) -> str:
    code, dst, src, off, imm = insn
    wide = code & 7 == op.BPF_ALU64
    reg = "r" if wide else "w"
    operation = code & 0xF0
    if operation == op.BPF_END:
        if wide:
            name = "bswap"
        else:
            name = "be" if code & op.BPF_X else "le"
        return f"({code:02x}) r{dst} = {name}{imm} r{dst}"
    if operation == op.BPF_NEG:
        return f"({code:02x}) {reg}{dst} = -{reg}{dst}"
    if operation not in op.ALU_OPS:
        return f"BUG_alu_{code:02x}"
    sign = op.ALU_OPS[operation][1]
    if operation in op.SIGNED_OPS and off == 1:
        sign = op.SIGNED_OPS[operation][1]
    if not code & op.BPF_X:
        return f"({code:02x}) {reg}{dst} {sign} {imm}"
    if operation == op.BPF_MOV:
        if wide and off == op.BPF_ADDR_SPACE_CAST:
            return f"({code:02x}) r{dst} = addr_space_cast(r{src}, {imm >> 16 & 0xFFFF}, {imm & 0xFFFF})"
        if wide and off == op.BPF_ADDR_PERCPU:
            return f"({code:02x}) r{dst} = &(void __percpu *)(r{src})"
        if off in (8, 16, 32):
            return f"({code:02x}) {reg}{dst} = (s{off}){reg}{src}"
    return f"({code:02x}) {reg}{dst} {sign} {reg}{src}"


def _stx(insn: Insn) -> str:
    code, dst, src, off, imm = insn
    size = op.SIZE_TYPE[code & 0x18]
    mem = f"({size} *)(r{dst} {off:+d})"
    mode = code & 0xE0
    if mode == op.BPF_MEM:
        return f"({code:02x}) *{mem} = r{src}"
    if mode != op.BPF_ATOMIC:
        return f"BUG_{code:02x}"
    wide = "64" if code & 0x18 == op.BPF_DW else ""
    if imm in _ATOMIC_SIGN:
        return f"({code:02x}) lock *{mem} {_ATOMIC_SIGN[imm]} r{src}"
    if imm in _ATOMIC_FETCH:
        return f"({code:02x}) r{src} = atomic{wide}_fetch_{_ATOMIC_FETCH[imm]}({mem}, r{src})"
    if imm == op.BPF_XCHG:
        return f"({code:02x}) r{src} = atomic{wide}_xchg({mem}, r{src})"
    if imm == op.BPF_CMPXCHG:
        return f"({code:02x}) r0 = atomic{wide}_cmpxchg({mem}, r0, r{src})"
    if imm == op.BPF_LOAD_ACQ:
        return f"({code:02x}) r{dst} = load_acquire(({size} *)(r{src} {off:+d}))"
    if imm == op.BPF_STORE_REL:
        return f"({code:02x}) store_release({mem}, r{src})"
    return f"BUG_{code:02x}"


def _ld(insns: Sequence[Insn], pc: int, resolver: Resolver | None) -> str:
    insn = insns[pc]
    code, dst, src, _, imm = insn
    size = op.SIZE_TYPE[code & 0x18]
    mode = code & 0xE0
    if mode == op.BPF_ABS:
        return f"({code:02x}) r0 = *({size} *)skb[{imm}]"
    if mode == op.BPF_IND:
        return f"({code:02x}) r0 = *({size} *)skb[r{src} + {imm}]"
    if code == op.LDDW:
        value = imm64(insns, pc)
        text = resolver(insn, value) if resolver else None
        return f"({code:02x}) r{dst} = {text or hex(value)}"
    return f"BUG_ld_{code:02x}"


def _jmp(insn: Insn, resolver: Resolver | None) -> str:
    code, dst, src, off, imm = insn
    wide = code & 7 == op.BPF_JMP
    reg = "r" if wide else "w"
    operation = code & 0xF0
    if operation == op.BPF_CALL:
        if src == op.BPF_PSEUDO_CALL:
            text = resolver(insn, imm) if resolver else None
            return f"({code:02x}) call {text or f'pc{imm:+d}'}"
        text = resolver(insn, imm) if resolver else None
        return f"({code:02x}) call {text or f'{_call_name(src, imm)}#{imm}'}"
    if operation == op.BPF_JA:
        return f"({code:02x}) goto pc{off:+d}" if wide else f"({code:02x}) gotol pc{imm:+d}"
    if operation == op.BPF_JCOND and src == op.BPF_MAY_GOTO:
        return f"({code:02x}) may_goto pc{off:+d}"
    if operation == op.BPF_EXIT:
        return f"({code:02x}) exit"
    sign = op.JMP_OPS[operation][1] if operation in op.JMP_OPS else "(null)"
    if code & op.BPF_X:
        return f"({code:02x}) if {reg}{dst} {sign} {reg}{src} goto pc{off:+d}"
    return f"({code:02x}) if {reg}{dst} {sign} 0x{imm & 0xFFFFFFFF:x} goto pc{off:+d}"


def _call_name(src: int, imm: int) -> str:
    if src == op.BPF_PSEUDO_KFUNC_CALL:
        return "kernel-function"
    return "unknown" if src else helper_name(imm)


def disasm(insns: Sequence[Insn], pc: int, resolver: Resolver | None = None) -> str:
    """Linux's text of the instruction at `pc`, without the pc.

    `resolver` names what stands behind a 64-bit immediate or a call; where it answers None the number is shown, which is
    what the kernel's log does for maps (their address) and what it does for helpers (name and number).
    """
    insn = insns[pc]
    cls = insn.code & 7
    if cls in (op.BPF_ALU64, op.BPF_ALU):
        return _alu(insn)
    if cls in (op.BPF_JMP, op.BPF_JMP32):
        return _jmp(insn, resolver)
    code, dst, src, off, imm = insn
    mode = code & 0xE0
    size = op.SIZE_TYPE[code & 0x18]
    if cls == op.BPF_LDX:
        if mode == op.BPF_MEMSX:
            size = "s" + size[1:]
        elif mode != op.BPF_MEM:
            return f"BUG_ldx_{code:02x}"
        return f"({code:02x}) r{dst} = *({size} *)(r{src} {off:+d})"
    if cls == op.BPF_STX:
        return _stx(insn)
    if cls == op.BPF_ST:
        if mode != op.BPF_MEM:
            return f"BUG_st_{code:02x}"
        return f"({code:02x}) *({size} *)(r{dst} {off:+d}) = {imm}"
    return _ld(insns, pc, resolver)


def slots(insns: Sequence[Insn], pc: int) -> int:
    """How many slots the instruction at `pc` takes: 2 for lddw, else 1."""
    return 2 if insns[pc].code == op.LDDW and pc + 1 < len(insns) else 1


def jump_target(insn: Insn, pc: int) -> int | None:
    """The pc that a jump, a call of a subprogram or a callback address leads to; None for everything else."""
    if insn.code == op.LDDW:
        return pc + 1 + insn.imm if insn.src == op.BPF_PSEUDO_FUNC else None
    if insn.code & 7 not in (op.BPF_JMP, op.BPF_JMP32):
        return None
    operation = insn.code & 0xF0
    if operation == op.BPF_EXIT:
        return None
    if operation == op.BPF_CALL:
        return pc + 1 + insn.imm if insn.src == op.BPF_PSEUDO_CALL else None
    if insn.code == op.BPF_JMP32 | op.BPF_JA:
        return pc + 1 + insn.imm
    return pc + 1 + insn.off


def _asm_names(insn: Insn, value: int) -> str | None:
    """The assembler's spelling of pseudo sources and of kernel functions."""
    low, high = value & 0xFFFFFFFF, value >> 32
    signed = low - (1 << 32) if low >> 31 else low
    if insn.code == op.LDDW:
        match insn.src:
            case op.BPF_PSEUDO_MAP_FD:
                return f"map_fd {signed} ll" if not high else None
            case op.BPF_PSEUDO_MAP_VALUE:
                return f"map_value {signed} + {high} ll"
            case op.BPF_PSEUDO_MAP_IDX:
                return f"map_idx {signed} ll" if not high else None
            case op.BPF_PSEUDO_MAP_IDX_VALUE:
                return f"map_idx_value {signed} + {high} ll"
            case op.BPF_PSEUDO_BTF_ID:
                return f"btf_id {signed} ll" if not high else f"btf_id {signed} + {high} ll"
            case op.BPF_PSEUDO_FUNC:
                return f"func pc{signed:+d} ll" if not high else None
        return f"{value:#x} ll"
    if insn.src == op.BPF_PSEUDO_KFUNC_CALL:
        return f"kfunc {value}" + (f" {insn.off}" if insn.off else "")
    return None


def listing(insns: Sequence[Insn]) -> str:
    """The program as assembler text, one instruction a line; `assemble(listing(p))` is `p` for every valid program."""
    targets: dict[int, str] = {}
    pc = 0
    starts: set[int] = set()
    while pc < len(insns):
        starts.add(pc)
        target = jump_target(insns[pc], pc)
        if target is not None:
            targets[target] = ""
        pc += slots(insns, pc)
    for number, target in enumerate(sorted(t for t in targets if t in starts)):
        targets[target] = f"l{number}"
    lines: list[str] = []
    for pc in sorted(starts):
        if targets.get(pc):
            lines.append(f"{targets[pc]}:")
        text = disasm(insns, pc, _asm_names)
        if text.startswith("("):
            text = text[5:]
        target = jump_target(insns[pc], pc)
        if target is not None and targets.get(target):
            head, _, tail = text.rpartition("pc")
            text = head + targets[target] + (" ll" if tail.endswith(" ll") else "")
        lines.append(f"    {text}")
    return "\n".join(lines) + "\n"
