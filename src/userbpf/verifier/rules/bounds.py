"""Map values, memory, sizes and indices: numbers that are not bounded enough, and where their bound was lost."""

from __future__ import annotations

import re
from typing import Final

from userbpf.isa import opcodes as op
from userbpf.verifier.cfg import CALL
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.life import Event, life
from userbpf.verifier.record import Visit
from userbpf.verifier.regs import BASE_MASK, MAP_VALUE, SCALAR, Reg
from userbpf.verifier.rules.functions import alone
from userbpf.verifier.rules.pointers import offset_of
from userbpf.verifier.rules.tools import Match, accessed, last_of, origin
from userbpf.verifier.words import U32_MAX, number, part_of, plural, span

SIGNED: Final = (op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE)
SMALL: Final = 1 << 29  # what a bound must be below to be one
LOOKED_AT: Final = 60  # comparisons of other registers that are followed back


# --- where the access goes ---------------------------------------------------------------------------------------------------


@rule(
    "map-range",
    r"invalid access to (map value|map key|map value pointer), (?:value|key)_size=(\d+) off=(-?\d+)(?: size=(\d+))?",
)
def map_range(case: Case, m: Match) -> None:
    _range(
        case,
        f"the value's {m[2]} bytes" if "value" in m[1] else f"the key's {m[2]} bytes",
        int(m[2]),
        int(m[3]),
        int(m[4] or 1),
    )


@rule("mem-range", r"invalid access to memory, mem_size=(\d+) off=(-?\d+) size=(\d+)")
def mem_range(case: Case, m: Match) -> None:
    _range(case, f"the {m[1]} bytes that the pointer stands for", int(m[1]), int(m[2]), int(m[3]))


@rule(
    "buffer-range",
    r"R(\d+) invalid (\w+) buffer access: off=(-?\d+), size=(\d+)",
    r"R(\d+) invalid variable buffer offset",
)
def buffer_range(case: Case, m: Match) -> None:
    case.follow(int(m[1] or m[5]))
    case.out.needed = "the access must lie within the buffer, at an offset that is known"
    case.out.cause = f"it reaches {span(int(m[3]), int(m[4]))}" if m[3] else "the offset is not a constant"
    case.out.advice.append("read the buffer at constant offsets, or copy it with bpf_probe_read_kernel()")


def _range(case: Case, what: str, total: int, off: int, length: int) -> None:
    """An access that is not within so many bytes: the message has its farthest point."""
    named = re.search(r"R(\d+) (min|max) value", case.message)
    regno = int(named[1]) if named else accessed(case)
    events = case.follow(regno)
    reg = case.reg(regno)
    out = case.out
    out.needed = f"the access must lie within {what}"
    part = part_of(reg[4][0].shape, off - _slack(reg, off)) if reg[0] & BASE_MASK == MAP_VALUE else None
    if part is not None:
        out.needed += f" ({part.name}: {span(part.off, part.size)})"
    size = regno + 1 if case.insn.code == CALL and regno < 5 else None
    if size is not None and case.reg(size)[0] == SCALAR and case.reg(size)[1].umax == length and length > 1:
        _copy(case, reg, size, total, off, length)
    elif reg[1].mask:
        _index(case, reg, total, off, length)
    else:
        _constant(case, events, total, off, length)


def _slack(reg: Reg, off: int) -> int:
    """How far the reach of the message is from the place that the constant part of the offset names."""
    return max(0, off - reg[3]) if reg[1].mask else 0


def _copy(case: Case, reg: Reg, size: int, total: int, off: int, length: int) -> None:
    """A size that does not fit behind the pointer."""
    out = case.out
    val = case.reg(size)[1]
    known = out.known
    where = f"begins at byte {off}" if not reg[1].mask else f"begins at byte {off} at most ({number(reg[1])} was added)"
    out.cause = f"the copy {where} and is {length} bytes at most: it reaches byte {off + length - 1}"
    if reg[1].mask and val.mask:
        out.cause += "; the verifier takes both at their largest: how they depend on each other it does not know"
    if val.mask:
        case.follow(size)
        out.known = f"{known}; {out.known}"
        told = last_of(case.events, "compare")
        if told is not None:
            case.lose(told.pc)
        if total - off > 0:
            out.advice.append(f"bound the size by what is left behind the offset: if (n > {total - off}) return ...;")
        if reg[1].mask:
            out.advice.append("bound offset and size so that their largest values together fit, or mask each to half")
    else:
        case.lose(origin(case.events).pc if origin(case.events) else case.pc)  # type: ignore[union-attr]
        out.advice.append("pass the size of what the pointer points to: sizeof of the member, not of the whole")


def _index(case: Case, reg: Reg, total: int, off: int, length: int) -> None:
    """A variable part that is too large (or too small)."""
    out = case.out
    found = case.addend()
    out.cause = f"it can reach {span(off, length)}: {number(reg[1])} was added to the pointer"
    if found is None:
        out.advice.append("compare the variable before it is added to the pointer, or mask it: i &= SIZE - 1")
        return
    regno, visit, added = found
    case.life_of(case.path[: case.visit(visit.number) + 1], regno)
    out.known += f"; R{regno}, added to it at {case.at(visit.pc)}, is {number(added[1])}"
    stride = _stride(case.events)
    fixed = off - reg[1].umax
    if reg[0] & BASE_MASK == MAP_VALUE and (part := part_of(reg[4][0].shape, fixed)) is not None:
        total = min(total, part.off + part.size)
    most = (total - length - fixed) // stride
    told = last_of(case.events, "compare")
    unit = f" (elements of {stride} bytes)" if stride > 1 else ""
    if told is not None and told.new is not None:
        bound = told.new[1].umax
        out.cause += (
            f"; the comparison at {case.at(told.pc)} leaves {number(told.new[1])}, {most} is the most that fits{unit}"
        )
        if bound == most + 1:
            out.cause += ": one too many"
        case.lose(told.pc)
    else:
        out.cause += f"; {most} is the most that fits{unit}"
        limited = _limited(case.events)
        if limited is not None and limited.new is not None:
            out.cause += f", {case.at(limited.pc)} leaves {number(limited.new[1])}"
        case.lose(limited.pc if limited is not None else visit.pc)
    if most >= 0:
        out.advice.append(
            f"before it is used: if (i > {most}) return ...;"
            + (f"  (i &= {most})" if not most & (most + 1) and most else "")
        )
    out.advice.append(
        "where the compiler compares one register and uses another, mask the index instead: i &= SIZE - 1"
    )


def _stride(events: list[Event]) -> int:
    """By what the number was multiplied behind the last comparison or mask of it."""
    out = 1
    for event in reversed(events):
        if event.kind == "compare" or event.old is None or event.new is None:
            break
        old, new = event.old[1].umax, event.new[1].umax
        if event.kind != "change" or not old or new % old or new // old < 2:
            break
        out *= new // old
    return out


def _limited(events: list[Event]) -> Event | None:
    """The last change that made the number smaller: a mask, a shift to the right, a remainder."""
    for event in reversed(events):
        if event.kind == "change" and event.old is not None and event.new is not None:
            if event.new[1].umax < event.old[1].umax:
                return event
    return None


def _constant(case: Case, events: list[Event], total: int, off: int, length: int) -> None:
    out = case.out
    out.cause = f"it reaches {span(off, length)}"
    grown = last_of(events, "change")
    if off < 0:
        out.cause = f"it begins {-off} bytes before the value"
        out.advice.append("check the sign of the index")
    times = sum(grown is not None and e.pc == grown.pc for e in events)
    if grown is not None and times > 1:
        out.cause += f": the pointer moves on in each round of a loop ({case.at(grown.pc)}, {times} times on this path)"
        out.advice.append("bound the index inside of the loop, where it is used: if (i >= SIZE) break;")
        case.lose(grown.pc)
        return
    made = origin(events)
    case.lose(made.pc if made is not None else case.pc)
    if case.reg(case.out.register or 0)[0] & BASE_MASK == MAP_VALUE:
        out.advice.append(
            f"the value has {plural(total, 'byte')}: check its declaration (__type(value, ...)) and the type of the pointer"
        )
    else:
        out.advice.append(f"the memory has {plural(total, 'byte')}: ask for more where it comes from, or access less")


# --- numbers -----------------------------------------------------------------------------------------------------------------


@rule("unbounded", r"R(\d+) (?:unbounded memory access|max value is outside of the allowed memory range)")
def unbounded(case: Case, m: Match) -> None:
    regno = int(m[1])
    reg = _followed(case, regno)
    if reg is None:
        return
    pointer = case.reg(regno)
    case.out.needed = f"the largest number that may be added to R{regno} must be known, and small"
    part = part_of(pointer[4][0].shape, pointer[3]) if pointer[0] & BASE_MASK == MAP_VALUE else None
    if part is not None:
        case.out.needed += f" ({part.name} has {plural(part.size, 'byte')})"
    case.out.cause = f"the number added may be as large as {number(reg[1]).rpartition(' to ')[2]}"
    tell_lost_bound(case, reg)
    case.out.advice += [
        "compare the variable before it is added to the pointer: if (i >= SIZE) return ...;",
        "where the compiler compares one register and uses another, mask instead: i &= SIZE - 1 (SIZE a power of two)",
    ]


@rule("negative", r"R(\d+) min value is (?:negative|outside of the allowed memory range)")
def negative(case: Case, m: Match) -> None:
    regno = int(m[1])
    reg = _followed(case, regno)
    if reg is None:
        return
    case.out.needed = f"the smallest number that may be added to R{regno} must be proven not to be negative"
    case.out.cause = "it may be negative"
    tell_lost_bound(case, reg)
    _sign_advice(case, "i")


def _followed(case: Case, regno: int) -> Reg | None:
    """The number that was added to a pointer, followed to where it came from; None where it is a size, and told already."""
    case.follow(regno)
    reg = case.reg(regno)
    if reg[0] == SCALAR:
        _size(case, regno)
        return None
    found = case.addend()
    if found is None:
        return reg
    number_reg, visit, added = found
    case.life_of(case.path[: case.visit(visit.number) + 1], number_reg)
    case.out.known += f"; R{number_reg}, added to it at {case.at(visit.pc)}, is {number(added[1])}"
    return added


def _size(case: Case, regno: int) -> None:
    """A size argument."""
    reg = case.reg(regno)
    case.out.needed = f"the size in R{regno} must be proven to lie between 0 and the length of the memory"
    case.out.cause = (
        "it may be negative" if reg[1].smin < 0 else f"it may be as large as {number(reg[1]).rpartition(' to ')[2]}"
    )
    if reg[1].smin < 0 and reg[1].umax == (1 << 64) - 1 and reg[1].smax == (1 << 63) - 1:
        case.out.cause = "nothing is known of it"
    tell_lost_bound(case, reg)
    _sign_advice(case, "n")


def _sign_advice(case: Case, name: str) -> None:
    case.out.advice += [
        f"make the variable unsigned (__u32, __u64) and compare it: if ({name} > limit) return ...; or both ends of a signed one",
        f"mask it: {name} &= SIZE - 1 (SIZE a power of two) works whatever the sign",
    ]


@rule("size-argument", r"R(\d+) invalid zero-sized read", r"invalid zero-sized read")
def zero_size(case: Case, m: Match) -> None:
    regno = int(m[1] or 0)
    case.follow(regno)
    case.out.needed = f"the size in R{regno} must be at least 1"
    case.out.cause = "it may be 0 on this path"
    told = last_of(case.events, "compare")
    if told is not None:
        case.out.cause += f": the comparison at {case.at(told.pc)} bounds it from above only"
        case.lose(told.pc)
    made = origin(case.events)
    if made is not None and made.kind == "helper" and made.new is not None and made.new[1].smin < 0:
        case.out.cause += f"; {made.who} returns negative errors too"
        case.out.advice.append("check the result first: if (n <= 0) return ...;")
    case.out.advice.append("if (size == 0) return ...; before the call, or write: if (size - 1 < MAX) call(..., size)")


@rule("not-constant", r"R(\d+) (?:is not a known constant'|must be a known constant|is not a const\b)")
def not_constant(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow(regno)
    name = case.rec.callee(case.insn)
    case.out.needed = f"argument {regno} of {name} must be a constant that is known when the program is loaded"
    case.out.cause = f"it is {number(case.reg(regno)[1])}"
    case.out.advice.append(
        "pass sizeof or a #define; a const volatile variable works where the loader sets it (frozen .rodata)"
    )
    if name == "bpf_ringbuf_reserve":
        case.out.advice.append(
            "for a size of run time: bpf_ringbuf_output(), or bpf_ringbuf_reserve_dynptr() (from 5.19)"
        )


# --- why a bound does not hold -----------------------------------------------------------------------------------------------


def tell_lost_bound(case: Case, reg: Reg) -> None:
    """Add to the cause what became of the bound: compared as signed, in 32 bits, changed after, read anew, of a copy."""
    told = _lost_bound(case, reg)
    if told is not None:
        text, pc = told
        case.out.cause += f": {text}" if text else ""
        case.lose(pc)


def _lost_bound(case: Case, reg: Reg) -> tuple[str, int] | None:
    val, events = reg[1], case.events
    compared = [e for e in events if e.kind == "compare" and e.new is not None and e.new[0] == SCALAR]
    spoiled = _spoiled(events)
    if spoiled is not None:
        bounded, changed = spoiled
        return (
            f"it was {bounded}, and changed after that at {case.at(changed.pc)} ({case.rec.text(changed.pc)})",
            changed.pc,
        )
    for event in reversed(compared):
        code = case.rec.insns[event.pc].code
        if code & 7 == op.BPF_JMP32 and val.umax > U32_MAX:
            return (
                f"the comparison at {case.at(event.pc)} looked at the lower 32 bits only; the upper ones are unknown",
                event.pc,
            )
        if code & 0xF0 in SIGNED and val.smin < 0:
            return f"the comparison at {case.at(event.pc)} is signed and leaves negative numbers", event.pc
    narrow = _narrow_check(case)
    if narrow is not None and val.smin < 0 and case.rec.insns[narrow].code & 0xF0 in SIGNED:
        return f"the comparison at {case.at(narrow)} is signed and leaves negative numbers", narrow
    if narrow is not None and val.umax > U32_MAX:
        return f"the comparison at {case.at(narrow)} was of its lower 32 bits, the upper ones are unknown", narrow
    again = _read_again(case)
    if again is not None:
        return again
    copy = _copy_compared(case)
    if copy is not None:
        return copy
    if compared:
        last = compared[-1]
        assert last.new is not None
        return f"the comparison at {case.at(last.pc)} leaves {number(last.new[1])}", last.pc
    made = origin(events)
    name = alone(case)
    if name and made is None:
        text = f"it is an argument of {name}, a global function, which is verified by itself: what callers checked does not count"
        case.out.advice.append("check it inside of the function, or make the function static")
        return text, case.path[0].pc
    return "no comparison on this path bounds it", made.pc if made is not None else case.pc


def _spoiled(events: list[Event]) -> tuple[str, Event] | None:
    """The change after which a number that was bounded no longer is."""
    for event in reversed(events):
        if event.kind not in ("change", "copy") or event.old is None or event.new is None:
            continue
        if event.old[0] != SCALAR or not event.old[1].mask:
            continue
        old, new = event.old[1], event.new[1]
        if old.smin >= 0 and old.umax < SMALL and (new.smin < 0 or new.umax >= SMALL):
            return number(old), event
    return None


def _narrow_check(case: Case) -> int | None:
    """A comparison of the lower half of a number that is followed: after `w2 = w1`, of w2."""
    pcs = {e.number for e in case.events}
    first = min(pcs, default=0)
    for i, visit in reversed(case.branches()):
        if visit.number < first:
            break
        insn = case.rec.insns[visit.pc]
        before = life(case.rec, case.path[: i + 1], insn.dst)
        if before and any(e.number in pcs and e.kind in ("helper", "load") for e in before[:1]):
            cut = any("lower half" in e.text or "(lower" in e.text for e in before) or insn.code & 7 == op.BPF_JMP32
            if cut:
                return visit.pc
    return None


def _read_again(case: Case) -> tuple[str, int] | None:
    """The number was loaded from where another one that was compared had been loaded before."""
    made = origin(case.events)
    if made is None or made.kind != "load" or made.old is None:
        return None
    mine = case.rec.insns[made.pc]
    for i, visit in reversed(case.branches()):
        if visit.number >= made.number:
            continue
        before = life(case.rec, case.path[: i + 1], case.rec.insns[visit.pc].dst)
        if not before or before[0].kind != "load" or before[0].old is None or before[0].number == made.number:
            continue
        other = case.rec.insns[before[0].pc]
        same = (
            made.old[0] == before[0].old[0] and offset_of(made.old) + mine.off == offset_of(before[0].old) + other.off
        )
        if same and made.old[4] == before[0].old[4]:
            text = (
                f"the comparison at {case.at(visit.pc)} was of the value read at {case.at(before[0].pc)}; it was read again at "
                f"{case.at(made.pc)}, and memory may have changed between"
            )
            case.out.advice.append("read it once into a local variable, then check and use that one")
            return text, made.pc
    return None


def _copy_compared(case: Case) -> tuple[str, int] | None:
    """Another register of the same origin was compared: a copy from before or after a change."""
    made = origin(case.events)
    if made is None:
        return None
    mine = {e.number for e in case.events if e.kind == "change"}
    for i, visit in reversed(case.branches()[-LOOKED_AT:]):
        if visit.number <= made.number:
            break
        insn = case.rec.insns[visit.pc]
        for regno in (insn.dst, insn.src) if insn.code & op.BPF_X else (insn.dst,):
            if visit.regs[regno][0] != SCALAR or visit.regs[regno][1].is_const:
                continue
            other = life(case.rec, case.path[: i + 1], regno)
            if other and other[0].number == made.number:
                return _parted(case, visit, other, mine)
    return None


def _parted(case: Case, visit: Visit, other: list[Event], mine: set[int]) -> tuple[str, int]:
    apart = next((e for e in other if e.kind == "change" and e.number not in mine), None)
    own = next((e for e in case.events if e.kind == "change" and e.number not in {o.number for o in other}), None)
    what = apart or own
    text = f"the comparison at {case.at(visit.pc)} was of another register, a copy of the same number"
    if what is not None:
        text += f" that parted from it at {case.at(what.pc)} ({case.rec.text(what.pc)})"
    case.out.advice.append(
        'check the very value that is used; asm volatile("" : "+r"(i)) before the check keeps both together'
    )
    return text, what.pc if what is not None else visit.pc


@rule(
    "map-readonly",
    r"write into map forbidden",
    r"read from map forbidden",
    r"R(\d+) cannot write into (\w+)",
    r"write to change key R(\d+) not allowed",
)
def read_only(case: Case, m: Match) -> None:
    case.follow(accessed(case) if case.insn.code != CALL else int(m[1] or 1))
    case.out.needed = "the map must be writable for programs"
    case.out.cause = "it is read-only for programs (BPF_F_RDONLY_PROG): .rodata, or declared so"
    case.out.advice.append("drop const (or volatile const) from the variable, or write to another map")
    if "read from" in m[0]:
        case.out.needed = "the map must be readable for programs"
        case.out.cause = "it is write-only for programs (BPF_F_WRONLY_PROG)"
        case.out.advice = ["drop BPF_F_WRONLY_PROG from the map's flags"]
    elif m[2] or m[3]:
        case.out.needed = "memory that may be written"
        case.out.cause = f"{case.out.known.partition(' is ')[2]} is read-only"
        case.out.advice = ["copy it to the stack or to a map value, and change the copy"]
