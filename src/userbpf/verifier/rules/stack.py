"""The stack: bytes never written, offsets beyond it, its size."""

from __future__ import annotations

import re

from userbpf.verifier.cfg import CALL
from userbpf.verifier.domain import s64
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.regs import SLOT_CHARS, STACK
from userbpf.verifier.rules.tools import Match, accessed
from userbpf.verifier.words import number, plural


@rule(
    "stack-uninitialised",
    r"invalid (?:indirect )?(?:read|access) (?:from|to) stack R?(\d+)? ?(?:off|var_off) (\S+?)\+(-?\d+) size (\d+)",
)
def stack_read(case: Case, m: Match) -> None:
    out = case.out
    regno = int(m[1]) if m[1] is not None else accessed(case)
    if m[1] is not None and regno < 10:
        case.follow(regno)
    out.needed = "every byte of the stack that is read must have been written on this path"
    missing = _never_written(case, regno, int(m[4])) if case.path else []
    if missing:
        first, last = missing[0], missing[-1]
        which = f"fp{first}" if len(missing) == 1 else f"{len(missing)} of fp{first} to fp{last}"
        out.cause = (
            f"of the {plural(int(m[4]), 'byte')} read {which} {'was' if len(missing) == 1 else 'were'} never written"
        )
        begin = int(first - (case.reg(regno)[3] + s64(case.reg(regno)[1].value)))
        if case.insn.code == CALL and begin > 0:
            out.cause += f": byte {begin} of what R{regno} points to, often padding between members"
    else:
        out.cause = f"of the {plural(int(m[4]), 'byte')} read some were never written"
    case.lose(case.pc)
    out.advice += [
        "initialise the whole variable, padding included: struct key k = {}; or __builtin_memset(&k, 0, sizeof k)",
        "kernels before 6.3, and loads without CAP_PERFMON, refuse this always",
    ]


def _never_written(case: Case, regno: int, size: int) -> list[int]:
    """Offsets from the frame pointer of bytes that nothing wrote, lowest first."""
    reg = case.reg(regno)
    if reg[0] != STACK or reg[1].mask:
        return []
    start = reg[3] + s64(reg[1].value) + (0 if case.insn.code == CALL else case.insn.off)
    stack = case.path[-1].stack
    out = []
    for off in range(start, start + size):
        slot, at = (-off - 1) // 8, 7 - (-off - 1) % 8
        if off < 0 and (slot >= len(stack) or SLOT_CHARS[stack[slot][0][7 - at]] == "?"):
            out.append(off)
    return out


@rule(
    "stack-bounds",
    r"invalid (?:unbounded )?(?:variable-offset )?(?:write|read|(?:indirect |unaligned )?access)(?: to| from)? stack R(\d+)(.*)",
    r"variable stack access var_off=\((\S+); (\S+)\) off=(-?\d+) size=(\d+)",
)
def stack_bounds(case: Case, m: Match) -> None:
    out = case.out
    regno = int(m[1]) if m[1] else case.insn.dst if case.insn.code & 7 != 1 else case.insn.src
    case.follow(regno)
    reg = case.reg(regno)
    out.needed = "the access must lie within the function's 512 bytes of stack (fp-512 to fp-1)"
    out.cause = f"it reaches beyond: {(m[2] or m[0]).strip()}"
    if m[1] is None:
        out.needed = "before 5.12 the stack is accessed at constant offsets only"
        out.cause = f"{number(reg[1])} was added to the frame pointer"
        out.advice.append("unroll the loop, or keep the array in a map")
    if reg[0] == STACK:
        low, high = reg[3] + reg[1].smin, reg[3] + reg[1].smax
        if case.insn.code != CALL:
            low, high = low + case.insn.off, high + case.insn.off
        far = f"fp{high:+d}" if high < 512 else "far above"
        where = f"fp{low:+d}" if low > -(1 << 32) else "far below"
        size = re.search(r"size=?\s?(\d+)", case.message)
        if m[1]:
            out.cause = f"it may begin at {where}" + (f" to {far}" if reg[1].mask else "")
        if m[1] and not reg[1].mask and size is not None:
            out.cause = (
                f"{plural(int(size[1]), 'byte')} from {where} on: the last would be fp{low + int(size[1]) - 1:+d}"
            )
            case.lose(case.pc)
            if case.insn.code == CALL:
                out.advice.append("pass the size of the variable: sizeof text, and a pointer to its start")
        found = case.addend()
        if found is not None:
            added, visit, value = found
            case.life_of(case.path[: case.visit(visit.number) + 1], added)
            out.known += f"; R{added}, added to it at {case.at(visit.pc)}, is {number(value[1])}"
            compared = [e for e in case.events if e.kind == "compare"]
            case.lose(compared[-1].pc if compared else visit.pc)
            out.cause += f"; {number(value[1])} was added at {case.at(visit.pc)}" if m[1] else ""
    out.advice += [
        "bound the index by the array's size before it is used: if (i >= sizeof text) return ...;",
        "keep large data in a map (a per-CPU array of one element)",
    ]


@rule(
    "stack-size", r"combined stack size of (\d+) calls is (\d+)\. Too large|the call stack of (\d+) frames is too deep"
)
def stack_size(case: Case, m: Match) -> None:
    out = case.out
    out.needed = "the frames of a chain of calls must fit 512 bytes together, and be 8 at most"
    depths = sorted(((s.stack_depth, s.name or f"func#{n}") for n, s in enumerate(case.ck.subprogs)), reverse=True)
    out.known = ", ".join(f"{name} {depth} bytes" for depth, name in depths[:4])
    if m[3]:
        out.cause = f"a chain of calls is {m[3]} deep: a function that calls itself, or too many in a row"
        out.advice.append("turn recursion into a loop with a bound (or bpf_loop()), inline small functions")
        case.out.place = case.out.place or case.place(0)
        return
    out.cause = f"a chain of {m[1]} functions uses {m[2]} bytes"
    out.advice += [
        "move large variables into a per-CPU array map",
        "make functions that need much stack not call each other, or let them end in a tail call",
    ]


@rule("stack-before-tail-call", r"tail_calls are not allowed when call stack of previous frames is (\d+) bytes")
def stack_before_tail_call(case: Case, m: Match) -> None:
    out = case.out
    out.needed = "the callers of a function that makes a tail call must use less than 256 bytes of stack together"
    out.cause = f"they use {m[1]} bytes, and their frames stay while the other program runs"
    out.advice += ["make the tail call in the main program", "move large variables into a per-CPU array map"]


@rule(
    "stack-spill",
    r"attempt to corrupt spilled pointer on stack|invalid size of register (?:fill|spill)|cannot spill pointers to stack",
)
def spill(case: Case, m: Match) -> None:
    case.follow(case.insn.src if case.insn.code & 7 == 3 else case.insn.dst)
    case.out.needed = "a pointer is stored and read back whole, 8 bytes, in its own function's frame"
    case.out.cause = case.last_line
    case.out.advice.append("do not overlay pointers with other data (unions, memcpy of parts)")
