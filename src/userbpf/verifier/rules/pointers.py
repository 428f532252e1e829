"""NULL, numbers where pointers should be, registers without a value, arithmetic with pointers."""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.isa import opcodes as op
from userbpf.verifier.domain import s64
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.life import Event, kind_of
from userbpf.verifier.regs import BASE_MASK, MAP_PTR, MAP_VALUE, MAYBE_NULL, SCALAR, Reg
from userbpf.verifier.rules.functions import alone
from userbpf.verifier.rules.packets import lost_by_move
from userbpf.verifier.rules.tools import Match, accessed, last_of, origin
from userbpf.verifier.words import number

AHEAD: Final = 60  # instructions behind the use that are looked at for a check that comes too late
# their context holds the registers or arguments of what they are attached to, as numbers
PROBES: Final = frozenset(
    (
        ProgType.KPROBE,
        ProgType.TRACEPOINT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.PERF_EVENT,
    )
)


# --- null ------------------------------------------------------------------------------------------------------------------


@rule("null", r"R(\d+) invalid mem access '(\w*_or_null\w*)'")
def maybe_null(case: Case, m: Match) -> None:
    _null(case, int(m[1]))


@rule("null-argument", r"R(\d+) type=(\w+_or_null\w*) expected=(.*)")
def null_argument(case: Case, m: Match) -> None:
    _null(case, int(m[1]))
    case.out.needed = f"argument {m[1]} of {case.rec.callee(case.insn)} may not be NULL"


@rule("null-argument", r"Possibly NULL pointer passed to (?:trusted|helper) arg(\d+)")
def null_kfunc_argument(case: Case, m: Match) -> None:
    regno = int(m[1]) + ("trusted" in m[0])
    _null(case, regno)
    case.out.needed = f"argument {regno} of {case.rec.callee(case.insn)} may not be NULL"


def _null(case: Case, regno: int) -> None:
    out = case.out
    events = case.follow(regno)
    made = origin(events)
    out.needed = f"R{regno} must be compared with NULL before it is used"
    who = ""
    if made is not None:
        case.lose(made.pc)
        what = made.text.partition(":")[0].removeprefix(f"R{regno} is ")
        who = f", {what} at {case.at(made.pc)}," if made.kind in ("helper", "load") else ""
    out.cause = f"the pointer{who} may be NULL, and no comparison on this path tells that it is not"
    reg = case.reg(regno)
    checked = _checked_elsewhere(case, reg)
    late = _checked_late(case, regno)
    if checked is not None:
        out.cause += f"; the comparison at {case.at(checked)} was of another pointer"
        if reg[0] & BASE_MASK == MAP_VALUE:
            out.cause += " (each lookup gives a new one)"
        case.lose(checked)
    elif late is not None:
        out.cause += f"; the comparison at {case.at(late)} comes after this use"
        case.lose(late)
    if reg[3]:
        out.cause += f"; besides, {reg[3]} was added to it before it was compared"
    out.advice.append("if (!pointer) return ...; between the call and the use")
    name = alone(case)
    if name and made is None:
        out.cause = (
            f"it is an argument of {name}, a global function: callers may pass NULL, and nothing here compared it"
        )
        out.advice = [
            "if (!pointer) return ...; at the function's start",
            "declare the argument __arg_nonnull (from 6.8): then callers must have checked it",
            "make the function static: then it is verified together with its caller",
        ]


def _checked_elsewhere(case: Case, reg: Reg) -> int | None:
    """The last comparison with 0 of a pointer of the same type but another id."""
    out = None
    for _, visit in case.branches():
        insn = case.rec.insns[visit.pc]
        other = visit.regs[insn.dst]
        if (
            not insn.code & op.BPF_X
            and insn.imm == 0
            and other[0] & MAYBE_NULL
            and other[0] == reg[0]
            and other[2] != reg[2]
        ):
            out = visit.pc
    return out


def _checked_late(case: Case, regno: int) -> int | None:
    """A comparison of the register with 0 further down, before anything else is put into it."""
    for pc in range(case.pc + 1, min(case.pc + AHEAD, len(case.rec.insns))):
        insn = case.rec.insns[pc]
        if insn.dst == regno and insn.code in (op.BPF_JMP | op.BPF_JEQ, op.BPF_JMP | op.BPF_JNE) and not insn.imm:
            return pc
        if insn.code == (op.BPF_JMP | op.BPF_EXIT):
            return None
        if insn.dst == regno and insn.code & 7 in (op.BPF_ALU, op.BPF_ALU64, op.BPF_LDX, op.BPF_LD):
            return None
    return None


# --- what is no pointer ------------------------------------------------------------------------------------------------------


@rule("no-pointer", r"R(\d+) invalid mem access '(scalar|inv)'", r"R(\d+) type=(scalar|inv) expected=(?!fp)(.*)")
def no_pointer(case: Case, m: Match) -> None:
    regno = int(m[1] or m[3])
    events = case.follow(regno)
    case.out.needed = f"R{regno} must be a pointer that the verifier knows"
    if m[3]:
        case.out.needed = f"argument {regno} of {case.rec.callee(case.insn)} must be {m[5].replace(', ', ' or ')}"
    if lost_by_move(case, events) is None and not _released(case, events) and not _is_null(case, events, regno):
        _number(case, events)


def _released(case: Case, events: list[Event]) -> bool:
    released = last_of(events, "released")
    if released is None:
        return False
    case.out.cause = f"{released.text} ({case.at(released.pc)})"
    case.lose(released.pc)
    case.out.advice.append("use the object before it is released, or copy what is needed from it")
    return True


def _is_null(case: Case, events: list[Event], regno: int) -> bool:
    val = case.reg(regno)[1]
    if val.mask or val.value:
        return False
    made, told = origin(events), last_of(events, "compare")
    case.out.cause = "on this path it is NULL"
    if made is not None and made.kind == "helper" and told is None:
        case.out.cause = f"{made.who} returns NULL on this path ({case.at(made.pc)}), and nothing compared its result"
        case.out.advice.append("if (!pointer) return ...; between the call and the use")
        if made.who.endswith("_next"):
            case.out.cause = f"{made.who} returns NULL at its end ({case.at(made.pc)}), and nothing compared its result"
            case.out.advice = ["loop over it: while ((p = bpf_iter_..._next(&it))) { ... }"]
        case.lose(made.pc)
        return True
    if told is not None:
        case.out.cause += f": the comparison at {case.at(told.pc)} came out so"
        case.lose(told.pc)
    elif made is not None and made.kind == "constant":
        case.out.cause += f": {made.text} ({case.at(made.pc)})"
        case.lose(made.pc)
    case.out.advice.append("leave the function on the branch where the pointer is NULL")
    return True


def _number(case: Case, events: list[Event]) -> None:
    out = case.out
    made = origin(events)
    halved = next((e for e in events if e.old is not None and e.new is not None and _was_pointer(e)), None)
    if halved is not None:
        out.cause = f"arithmetic made a number of the pointer ({case.at(halved.pc)}: {case.rec.text(halved.pc)})"
        out.advice.append("keep pointers 64 bits wide: (long), (void *), never (__u32) or int")
        out.advice.append("add and subtract numbers only; masks and shifts do not work on pointers")
        case.lose(halved.pc)
    elif made is None:
        out.cause = "nothing on this path made it a pointer"
        out.advice.append("take the pointer from the context, a map lookup or another helper that returns one")
    else:
        case.lose(made.pc)
        _made_number(case, made)


def _was_pointer(event: Event) -> bool:
    return (
        event.kind in ("change", "copy")
        and event.old is not None
        and event.old[0] & BASE_MASK not in (0, SCALAR)
        and event.new is not None
        and event.new[0] == SCALAR
    )


def _made_number(case: Case, made: Event) -> None:
    out = case.out
    where = case.at(made.pc)
    kernel = "BPF_CORE_READ(p, field), or bpf_probe_read_kernel(&x, sizeof x, &p->field)"
    if made.kind == "load" and made.who == "the context":
        out.cause = f"what is {made.text.partition(' is ')[2]} ({where}) is a number in this program type, whatever it points to"
        if case.req.prog_type in PROBES:
            out.advice += [
                f"read the kernel's memory with {kernel}; bpf_probe_read_user() for user space",
                "or use a type whose arguments are typed by BTF: fentry, fexit, tp_btf, lsm",
            ]
        else:
            out.advice.append("use the fields that are pointers (data, data_end, sk ...), with their full width")
    elif made.kind == "load":
        out.cause = f"it was read from memory as a number ({where}): what memory holds is never trusted as a pointer"
        out.advice += [
            f"to follow a kernel pointer use {kernel}",
            "to keep a pointer across calls keep it in a register or on the stack, or look it up again",
        ]
    elif made.kind == "written":
        out.cause = f"{made.who} wrote it as bytes ({where}): a pointer that was copied is a number from there on"
        out.advice.append(f"read through it the same way: {kernel}")
    elif made.who in ("bpf_get_current_task", "bpf_get_current_cgroup_id"):
        out.cause = f"{made.who}() returns the address as a number ({where})"
        out.advice += [
            "bpf_get_current_task_btf() returns a pointer that can be read (fentry, tp_btf, lsm, kprobe from 5.11)",
            kernel,
        ]
    else:
        out.cause = f"{made.text} ({where})"
        out.advice.append("take the pointer from the context, a map lookup or another helper that returns one")


@rule("uninitialised", r"R(\d+) !read_ok")
def uninitialised(case: Case, m: Match) -> None:
    regno = int(m[1])
    out = case.out
    events = case.follow(regno)
    lost = last_of(events, "clobber")
    out.needed = f"R{regno} must have a value"
    out.known = f"R{regno} has none on this path"
    if regno == 0 and case.insn.code == (op.BPF_JMP | op.BPF_EXIT):
        out.cause = "the function ends without a return value on this path"
        out.advice.append("return a value on every path")
    elif lost is not None:
        out.cause = f"{lost.text} ({case.at(lost.pc)})"
        out.advice.append("keep what is needed after a call in R6 to R9 or on the stack")
        case.lose(lost.pc)
    else:
        out.cause = "nothing on this path set it; another path may"
        out.advice.append("give the variable a value where it is declared")
        branches = case.branches()
        if branches:
            out.cause += f" (the last branch was taken at {case.at(branches[-1][1].pc)})"
            case.lose(branches[-1][1].pc)


# --- arithmetic --------------------------------------------------------------------------------------------------------------


@rule(
    "pointer-math",
    r"value (-?\d+) makes (\w+) pointer be out of bounds",
    r"math between (\w+) pointer and register with unbounded min value",
    r"math between (\w+) pointer and (-?\d+) is not allowed",
    r"(\w+) pointer offset (-?\d+) is not allowed",
)
def pointer_math(case: Case, m: Match) -> None:
    from userbpf.verifier.rules.bounds import tell_lost_bound

    insn = case.insn
    regno = insn.dst
    if insn.code & op.BPF_X:
        regno = insn.src if case.reg(insn.src)[0] == SCALAR else insn.dst
    case.follow(regno)
    case.out.needed = "what is added to a pointer must be proven to be small: both its smallest and its largest value"
    if case.reg(regno)[0] != SCALAR:
        case.out.cause = f"the constant is too large for a pointer ({m[0]})"
        case.out.advice.append("pointers move by less than 2^29 bytes: check the computation of the offset")
        case.lose(case.pc)
        return
    val = case.reg(regno)[1]
    if insn.code & 0xF0 not in (op.BPF_ADD, op.BPF_SUB):
        both = {case.insn.dst, case.insn.src}
        pointer = next((r for r in both if case.reg(r)[0] not in (0, SCALAR)), insn.dst)
        case.follow(pointer)
        case.out.needed = "pointers are moved by adding and subtracting numbers, nothing else"
        case.out.cause = f"{case.rec.text(case.pc)} is another operation on {case.show(case.reg(pointer))}"
        case.out.advice.append("align and scale the offset as a number, then add it once: p = data + (off & ~3)")
        case.lose(case.pc)
        return
    if val.smin < 0:
        case.out.cause = "the number may be negative"
        case.out.advice.append(
            "make the variable unsigned (__u32, __u64), or compare both ends: if (i < 0 || i > limit) return ...;"
        )
    else:
        case.out.cause = f"the number may be too large: {number(val)}"
    tell_lost_bound(case, case.reg(regno))
    case.out.advice.append("mask it before the addition: i &= SIZE - 1 (SIZE a power of two)")


@rule(
    "arithmetic",
    r"R(\d+) (?:bitwise operator (\S+) on pointer|pointer arithmetic with (\S+) operator|32-bit pointer arithmetic|"
    r"tried to (?:add|subtract)|pointer arithmetic (?:on (\w+)|prohibited)|pointer (?:\+=|-=) pointer|"
    r"subtraction from stack pointer) ?(.*)",
    r"R(\d+) (?:pointer .* prohibited|has pointer with unsupported alu operation|partial copy of pointer)",
)
def arithmetic(case: Case, m: Match) -> None:
    regno = int(m[1] or m[6])
    case.follow(regno)
    out = case.out
    reg = case.reg(regno)
    other = case.reg(case.insn.src) if case.insn.code & op.BPF_X else None
    out.needed = "pointers may be moved by adding and subtracting numbers, in 64 bits, and only some kinds of pointers"
    out.cause = f"R{regno} is {case.show(reg)}: {case.last_line.partition(' ')[2]}"
    case.lose(case.pc)
    if reg[0] & MAYBE_NULL:
        out.cause = f"R{regno} is {case.show(reg)}: a pointer that may be NULL must be compared before it is moved"
        out.advice.append("if (!pointer) return ...; before any arithmetic with it")
    elif other is not None and other[0] & BASE_MASK not in (0, SCALAR):
        out.cause += f"; both sides are pointers (R{case.insn.src} is {case.show(other)})"
        out.advice.append("only the difference of two packet pointers is a number; compare pointers with <, > instead")
    elif reg[0] & BASE_MASK == MAP_PTR:
        out.advice.append("a map is no memory: bpf_map_lookup_elem() gives a pointer to a value")
    elif case.insn.code & 7 == op.BPF_ALU:
        out.advice.append("keep pointers 64 bits wide: (long), (void *), never (__u32) or int")
    else:
        out.advice.append("align and scale the offset as a number, then add it once: p = data + (off & ~3)")


@rule("compare-pointers", r"R(\d+) pointer comparison prohibited")
def comparison(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = "without CAP_PERFMON pointers are compared with NULL, or packet pointers with each other, only"
    case.out.cause = f"R{m[1]} is {case.show(case.reg(int(m[1])))}"
    case.out.advice.append("compare what the pointers point to, or load the program with CAP_PERFMON")


@rule("alignment", r"misaligned (\w*) ?access off (.*?) size (\d+)")
def alignment(case: Case, m: Match) -> None:
    case.follow(accessed(case))
    case.out.needed = f"the address must be a multiple of {m[3]}"
    case.out.cause = f"the offset {m[2]} is not, or cannot be told to be"
    case.out.advice.append("read smaller pieces, or copy to an aligned variable on the stack first")
    case.out.advice.append("declare the structure as the compiler lays it out: packed members are read bytewise")


@rule("leak", r"R(\d+) leaks addr into ([\w ]+)", r"leaking pointer from stack off (-?\d+)")
def leaks(case: Case, m: Match) -> None:
    if m[1]:
        case.follow(int(m[1]))
    case.out.needed = f"no pointer may be stored where user space can read it ({m[2] or 'map or packet'})"
    case.out.cause = "the value stored is a pointer"
    case.out.advice.append("store a number instead of the pointer, or load the program with CAP_PERFMON")


@rule("mixed", r"same insn cannot be used with different pointers")
def mixed(case: Case, m: Match) -> None:
    case.follow(accessed(case))
    case.out.needed = "an instruction that reads the context or a socket may do nothing else on any path"
    case.out.cause = (
        f"on this path R{accessed(case)} is {case.show(case.reg(accessed(case)))}, on another it was of another kind: "
        "two branches came to the same access (compilers merge such code)"
    )
    case.out.advice.append(
        'keep the accesses apart: asm volatile("" ::: "memory") between them, or read the field before the branch'
    )


@rule("atomic", r"BPF_ATOMIC (?:stores into|loads from|\S+) R(\d+) (\w+) is not allowed")
def atomic(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = (
        "atomic operations work on memory that the program shares: map values, the stack, memory of its own"
    )
    case.out.cause = f"R{m[1]} is {case.show(case.reg(int(m[1])))}"
    case.out.advice.append("keep the counter in a map's value or a global variable")


@rule("frame-pointer", r"frame pointer is read only")
def frame_pointer(case: Case, m: Match) -> None:
    case.out.needed = "R10 may be read and copied, never written"
    case.out.cause = f"{case.rec.text(case.pc)} writes it"
    case.out.advice.append("copy it first: r2 = r10; r2 += -8")


@rule("not-allowed-memory", r"R(\d+) invalid mem access '(\w+)'")
def other_memory(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow(regno)
    what = kind_of(case.reg(regno))
    case.out.needed = "memory that a program may read and write through a pointer"
    case.out.cause = f"R{regno} is {case.show(case.reg(regno))} ({what}), which is not accessed that way"
    if case.reg(regno)[0] & BASE_MASK == MAP_PTR:
        case.out.advice.append("a map is no memory: bpf_map_lookup_elem() gives a pointer to a value")
    elif what == "pkt_end":
        case.out.advice.append("data_end is only compared; read through data")
    else:
        case.out.advice.append("take a pointer to memory: a map value, the stack, the packet, a helper's result")


def offset_of(reg: Reg) -> int:
    """The constant part of a pointer's offset."""
    return reg[3] + (s64(reg[1].value) if not reg[1].mask else 0)
