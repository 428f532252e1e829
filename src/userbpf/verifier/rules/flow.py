"""Loops, complexity, code that is not reached."""

from __future__ import annotations

from userbpf.isa import opcodes as op
from userbpf.verifier.cfg import CALL
from userbpf.verifier.explain import Case, is_branch, rule
from userbpf.verifier.record import Visit
from userbpf.verifier.regs import PACKET, SCALAR
from userbpf.verifier.rules.tools import Match
from userbpf.verifier.words import value


@rule("endless", r"infinite loop detected at insn (\d+)")
def endless(case: Case, m: Match) -> None:
    pc = int(m[1])
    out = case.out
    out.needed = "every round of a loop must change something that makes it end"
    out.cause = f"at {case.at(pc)} the state is what it was a round before: registers and stack are the same"
    out.known = _condition(case, pc)
    head = _branch_of_loop(case)
    case.lose(head.pc if head is not None else pc)
    out.advice += [
        "count with a variable that the condition tests: for (int i = 0; i < 100; i++)",
        "loops that end for a reason the verifier cannot see: bpf_loop(), bpf_repeat(), or cond_break (from 6.9)",
    ]


def _branch_of_loop(case: Case) -> Visit | None:
    """The last comparison of the round that repeats."""
    last = [v for _, v in case.branches()]
    return last[-1] if last else None


def _condition(case: Case, pc: int) -> str:
    insn = case.rec.insns[pc]
    if not is_branch(insn):
        return "no condition ends the loop"
    visit = case.path[-1] if case.path else None
    text = f"the condition looks at R{insn.dst}" + (f" and R{insn.src}" if insn.code & op.BPF_X else f" and {insn.imm}")
    if visit is not None:
        text += f", R{insn.dst} is {value(visit.regs[insn.dst], visit.frameno)} in each round"
    return text


@rule("back-edge", r"back-edge from insn (\d+) to (\d+)")
def back_edge(case: Case, m: Match) -> None:
    pc = int(m[1])
    out = case.out
    out.place, out.pc, out.insn = case.place(pc), pc, case.rec.text(pc)
    out.needed = "no jump may go back: kernels before 5.3 know no loops, nor do loads without CAP_BPF"
    out.cause = f"the loop at {case.at(int(m[2]))} jumps back at {case.at(pc)}"
    case.lose(pc)
    out.advice += [
        "#pragma clang loop unroll(full), or #pragma unroll, with a number of rounds that is known when compiling",
        "split the work by tail calls; on 5.17 and later bpf_loop()",
    ]


@rule(
    "too-complex",
    r"BPF program is too large\. Processed (\d+) insn",
    r"The sequence of (\d+) jumps is too complex",
    r"bpf_loop iteration limit reached",
)
def too_complex(case: Case, m: Match) -> None:
    out = case.out
    limits = case.ck.profile.limits
    out.needed = (
        f"all paths together must stay within {limits.complexity} instructions, and {limits.jmp_seq} pending branches"
    )
    counts: dict[int, int] = {}
    for visit in case.path:
        counts[visit.pc] = counts.get(visit.pc, 0) + 1
    branches = {pc: n for pc, n in counts.items() if is_branch(case.rec.insns[pc])}
    if counts:
        hot, times = max((branches or counts).items(), key=lambda item: item[1])
        out.cause = f"on the last path {case.at(hot)} (instruction {hot}) is visited {times} times"
        case.lose(hot)
        apart = _kept_apart(case, hot)
        if apart:
            out.cause += f"; from round to round these differ: {apart}"
        if times > 1 and _packet_walk(case, hot):
            out.advice.append(
                "a pointer that walks through a packet needs a bound of its own: for (i = 0; i < 64; i++) ... p++"
            )
    out.advice += [
        "make rounds alike: what a branch learns about a variable keeps states apart; reset or mask it at the loop's head",
        "move the body into a callback of bpf_loop(), which is verified once, or into a global function",
        "use smaller bounds, or break the program up with tail calls",
    ]


def _packet_walk(case: Case, pc: int) -> bool:
    """Whether a packet pointer moves from round to round."""
    visits = [v for v in case.path if v.pc == pc][-2:]
    if len(visits) < 2:
        return False
    return any(a[0] == b[0] == PACKET and a[3] != b[3] for a, b in zip(visits[0].regs, visits[1].regs, strict=True))


def _kept_apart(case: Case, pc: int) -> str:
    """What differs between the last two visits of an instruction."""
    visits = [v for v in case.path if v.pc == pc]
    if len(visits) < 2:
        return ""
    a, b = visits[-2], visits[-1]
    out = [f"R{i} ({value(b.regs[i], b.frameno)})" for i in range(10) if _differs(a, b, i)]
    out += [f"fp{-(i + 1) * 8}" for i, (x, y) in enumerate(zip(a.stack, b.stack, strict=False)) if x != y]
    return ", ".join(out[:5])


def _differs(a: Visit, b: Visit, i: int) -> bool:
    """Whether a register is another for the verifier; ids of numbers alone do not count."""
    x, y = a.regs[i], b.regs[i]
    return x[1] is not y[1] if x[0] == y[0] == SCALAR else x != y


@rule(
    "unreachable",
    r"unreachable insn (\d+)",
    r"jump out of range from insn (\d+) to (-?\d+)",
    r"last insn is not an exit or jmp",
    r"jump into the middle of ldimm64 insn (\d+)",
    r"invalid insn idx",
    r"call to invalid destination",
)
def unreachable(case: Case, m: Match) -> None:
    pc = next((int(g) for g in m.groups() if g is not None), None)
    if pc is not None and pc < len(case.rec.insns):
        case.out.place, case.out.pc, case.out.insn = case.place(pc), pc, case.rec.text(pc)
        case.lose(pc)
    case.out.needed = "every instruction must be reached, and every jump stay inside its function"
    case.out.cause = case.last_line
    if "unreachable" in m[0] and pc:
        before = case.rec.insns[pc - 1]
        if before.code == op.BPF_JMP | op.BPF_EXIT or before.code == CALL:
            case.out.cause += f": the instruction before it ({case.rec.text(pc - 1)}) does not lead there"
    case.out.advice.append("compilers do not write such code: look at inline assembly, or at an object cut by hand")


@rule(
    "instruction",
    r"uses reserved fields|uses invalid atomic opcode \w+|unknown opcode \w+",
    r"invalid (?:BPF_ALU opcode|shift|bpf_ld_imm64 insn|may_goto imm|atomic operand size)|div by zero",
)
def instruction(case: Case, m: Match) -> None:
    case.out.needed = f"an instruction that Linux {case.req.kernel} knows"
    case.out.cause = f"{case.last_line}: {case.out.insn}"
    if case.path or case.out.pc:
        case.lose(case.out.pc)
    case.out.advice += [
        "compile for an older instruction set: -mcpu=v3 (5.1 with 32-bit jumps, 5.12 with atomics), v2, v1; v4 needs 6.6",
        "atomic operations that return the old value need 5.12: without, __sync_fetch_and_add() whose result is not used",
    ]
