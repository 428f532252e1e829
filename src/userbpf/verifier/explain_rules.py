"""The rules of `explain`, one a kind of refusal: what was needed, where it was lost, what mends it."""

from __future__ import annotations

import re
from typing import Final

from userbpf.abi.enums import HelperId
from userbpf.isa import opcodes as op
from userbpf.spec.ctx import ctx_fields
from userbpf.spec.helpers import HELPERS
from userbpf.spec.profiles import helper_since, profile, since
from userbpf.verifier.cfg import CALL
from userbpf.verifier.explain import Case, kind_of, movers, rule
from userbpf.verifier.life import Event
from userbpf.verifier.record import Visit
from userbpf.verifier.regs import MAYBE_NULL, SCALAR, Reg

Match = re.Match[str]
TYPES_SHOWN: Final = 6


def last_of(events: list[Event], *kinds: str) -> Event | None:
    """The latest event of some kinds."""
    return next((e for e in reversed(events) if e.kind in kinds), None)


def origin(events: list[Event]) -> Event | None:
    """Where the value was made."""
    return events[0] if events and events[0].kind in ("constant", "load", "helper", "packet-load", "clobber") else None


# --- packets ---------------------------------------------------------------------------------------------------------------


@rule("packet-range", r"invalid access to packet, off=(-?\d+) size=(\d+), R(\d+)\(id=(\d+),off=-?\d+,r=(-?\d+)\)")
def packet_range(case: Case, m: Match) -> None:
    off, size, regno, rid, known = (int(m[i]) for i in (1, 2, 3, 4, 5))
    out = case.out
    events = case.follow(regno)
    out.needed = (
        f"bytes {off} to {off + size - 1} of the packet, counted from where R{regno} began, must be proven to exist"
    )
    out.known = f"{known} bytes are" if known != 1 else "1 byte is"
    out.known += " proven to exist behind it on this path"
    end = off + size
    checks = case.packet_checks()
    moved = movers(case.rec, case.path)
    same = [v for v, reg in checks if reg[2] == rid]
    advice = f"before the access: if (data + {end} > data_end) return ...;"
    if off < 0:
        out.cause = "the offset is negative: it lies before the packet's first byte"
        advice = "begin from data, or move the packet's start with bpf_xdp_adjust_head first"
    elif known:
        out.cause = (
            f"the comparison with data_end {_at_last(case, same)} proves {known} bytes, the access ends at byte {end}"
        )
        advice = f"compare for all that is read: if (data + {end} > data_end) return ...;"
    elif moved and (not same or same[-1].number < moved[-1].number):
        where = case.at(moved[-1].pc)
        out.cause = f"the call at {where} may move the packet's data, so what was compared before it counts no more"
        advice = "after that call load data and data_end from the context again, and compare again"
    elif rid and checks and not same:
        out.cause = (
            f"the pointer got a variable offset after the comparison at {case.at(checks[-1][0].pc)}: with it the pointer is a "
            "new one, of which nothing is known yet"
        )
        advice = "compare the pointer that is dereferenced, after the variable was added to it"
    elif same:
        where = case.at(same[-1].pc)
        out.cause = f"on this path the comparison at {where} came out the other way: the bytes do not exist"
        advice = "leave the function (or skip the access) on that branch"
    else:
        out.cause = "no comparison with data_end was made on this path"
    out.advice.append(advice)
    if rid:
        out.advice.append("bound the variable part first (for example offset &= 0xff) so that the sum cannot overflow")
    if last_of(events, "moved"):
        out.advice.append("pointers of before the call are void; derive them again")


def _at_last(case: Case, visits: list[Visit]) -> str:
    return f"at {case.at(visits[-1].pc)}" if visits else "on this path"


@rule("packet-end", r"R(\d+) offset is outside of the packet")
def packet_end(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = "the pointer must point into the packet"
    case.out.cause = "on this path the pointer is known to be at or behind the packet's end"
    case.out.advice.append("leave the function on the branch where the comparison with data_end fails")


@rule("packet-write", r"cannot write into packet")
def packet_write(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    case.follow(insn.dst)
    case.out.needed = "the program's type must be allowed to change packets directly"
    case.out.cause = f"{case.req.prog_type.c_name} may read packets through pointers, not write them"
    case.out.advice += ["use bpf_skb_store_bytes() where the type has it", "load the program as tc classifier or XDP"]


# --- null ------------------------------------------------------------------------------------------------------------------


@rule("null", r"R(\d+) invalid mem access '(\w*_or_null\w*)'")
def maybe_null(case: Case, m: Match) -> None:
    _null(case, int(m[1]))


@rule("null-argument", r"R(\d+) type=(\w+_or_null\w*) expected=(.*)")
def null_argument(case: Case, m: Match) -> None:
    _null(case, int(m[1]))
    case.out.needed = f"the helper takes {m[3]}, never NULL, in R{m[1]}"


def _null(case: Case, regno: int) -> None:
    out = case.out
    events = case.follow(regno)
    made = origin(events)
    out.needed = f"R{regno} must be compared with NULL before it is used"
    who = f", {made.text.partition(':')[0]} at {case.at(made.pc)}," if made and made.kind == "helper" else ""
    out.cause = f"the pointer{who} may be NULL, and no comparison on this path tells that it is not"
    reg = case.reg(regno)
    checked = _null_checks(case, reg)
    if checked:
        out.cause += f"; the comparison at {case.at(checked[-1])} was of another pointer (each lookup gives a new one)"
    out.advice.append("if (!pointer) return ...; between the call and the use")


def _null_checks(case: Case, reg: Reg) -> list[int]:
    """Comparisons with 0 of pointers of the same type but another id."""
    out = []
    for visit in case.path[:-1]:
        insn = case.rec.insns[visit.pc]
        if insn.code in (0x15, 0x55) and insn.imm == 0:
            other = visit.regs[insn.dst]
            if other[0] & MAYBE_NULL and other[0] == reg[0] and other[2] != reg[2]:
                out.append(visit.pc)
    return out


# --- what is no pointer ------------------------------------------------------------------------------------------------------


@rule("no-pointer", r"R(\d+) invalid mem access '(scalar|inv)'")
def no_pointer(case: Case, m: Match) -> None:
    regno = int(m[1])
    out = case.out
    events = case.follow(regno)
    out.needed = f"R{regno} must be a pointer that the verifier knows"
    value = case.reg(regno)
    made = origin(events)
    moved, released = last_of(events, "moved"), last_of(events, "released")
    turned = next((e for e in reversed(events) if e.kind == "change" and "becomes" in e.text), None)
    if moved is not None:
        out.cause = f"{moved.text} ({case.at(moved.pc)})"
        out.advice.append("load data and data_end from the context again after that call, and compare again")
    elif released is not None:
        out.cause = f"{released.text} ({case.at(released.pc)})"
        out.advice.append("use the object before it is released, or copy what is needed from it")
    elif value[1].mask == 0 and value[1].value == 0:
        out.cause = "on this path it is NULL: the comparison with 0 came out so"
        out.advice.append("leave the function on the branch where the pointer is NULL")
    elif made is not None and made.kind == "load" and not _context_load(made):
        out.cause = (
            f"it was read from memory as a number ({case.at(made.pc)}): what memory holds is never trusted as a pointer"
        )
        out.advice += [
            "to follow a kernel pointer use bpf_probe_read_kernel(), or a program type whose context has BTF",
            "to keep a pointer across calls keep it in a register or on the stack, or look it up again",
        ]
    elif made is not None and made.kind == "load":
        out.cause = f"the context's field ({case.at(made.pc)}) is a number, no pointer, in this program type"
        out.advice.append("use the fields that are pointers (data, data_end, sk ...), with their full width of 4 bytes")
    elif turned is not None and "map_value" in turned.text + out.known:
        out.cause = f"arithmetic made a number of the pointer ({case.at(turned.pc)})"
        out.advice.append("add and subtract numbers only; 32-bit arithmetic cuts a pointer in half")
    else:
        what = made.text if made is not None else "nothing on this path made it a pointer"
        out.cause = what + (f" ({case.at(made.pc)})" if made is not None else "")
        out.advice.append("take the pointer from the context, a map lookup or another helper that returns one")


def _context_load(event: Event) -> bool:
    return "a ctx()" in event.text


@rule("uninitialised", r"R(\d+) !read_ok")
def uninitialised(case: Case, m: Match) -> None:
    regno = int(m[1])
    out = case.out
    events = case.follow(regno)
    lost = last_of(events, "clobber")
    out.needed = f"R{regno} must have a value"
    out.known = f"R{regno} has none on this path"
    if lost is not None:
        out.cause = f"{lost.text} ({case.at(lost.pc)})"
        out.advice.append("keep what is needed after a call in R6 to R9 or on the stack")
    elif regno == 0 and case.rec.insns[case.pc].code == 0x95:
        out.cause = "the function ends without a return value on this path"
        out.advice.append("return a value on every path")
    else:
        out.cause = "nothing on this path set it; another path may"
        out.advice.append("give the variable a value where it is declared")


@rule(
    "pointer-math",
    r"value (-?\d+) makes (\w+) pointer be out of bounds",
    r"math between (\w+) pointer and register with unbounded min value",
    r"(\w+) pointer offset (-?\d+) is not allowed",
)
def pointer_math(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    regno = insn.dst
    if insn.code & op.BPF_X:
        regno = insn.src if case.reg(insn.src)[0] == SCALAR else insn.dst
        case.follow(regno)
    case.out.needed = "what is added to a pointer must be proven to be small: both its smallest and its largest value"
    low = case.reg(regno)[1].smin
    lost = _lost_bound(case, regno)
    case.out.cause = f"the number may be as small as {low}" if low < 0 else "the number may be too large"
    case.out.cause += f": {lost}" if lost else ""
    if low < 0:
        case.out.advice.append(
            "make the variable unsigned (__u32, __u64), or compare both ends: if (i < 0 || i > limit)"
        )
    case.out.advice.append("mask it before the addition: i &= SIZE - 1 (SIZE a power of two)")


# --- stack -------------------------------------------------------------------------------------------------------------------


@rule(
    "stack-uninitialised",
    r"invalid (?:indirect )?(?:read|access) (?:from|to) stack R?(\d+)? ?(?:off|var_off) (\S+?)\+(-?\d+) size (\d+)",
)
def stack_read(case: Case, m: Match) -> None:
    out = case.out
    if m[1] is not None and int(m[1]) < 11:
        case.follow(int(m[1]))
    out.needed = "every byte of the stack that is read must have been written on this path"
    out.cause = f"of the {m[4]} bytes read some were never written"
    out.advice += [
        "initialise the whole variable, padding included: struct key k = {}; or __builtin_memset(&k, 0, sizeof k)",
        "on kernels before 6.3, and without CAP_PERFMON, this is refused always",
    ]


@rule(
    "stack-bounds",
    r"invalid (?:variable-offset )?(?:write|read|indirect access|(?:unaligned )?access) (?:to|from) stack R(\d+) (.*)",
)
def stack_bounds(case: Case, m: Match) -> None:
    out = case.out
    case.follow(int(m[1]))
    out.needed = "the access must lie within the function's 512 bytes of stack (fp-512 to fp-1)"
    out.cause = f"it reaches beyond: {m[2]}"
    out.advice += [
        "bound the index with a comparison or a mask before it is used",
        "keep large data in a map (a per-CPU array of one element)",
    ]


@rule("stack-size", r"(?:combined stack size of (\d+) calls is (\d+)\. Too large|stack size .* exceeds)")
def stack_size(case: Case, m: Match) -> None:
    out = case.out
    out.needed = "the frames of a chain of calls must fit 512 bytes together"
    depths = sorted(((s.stack_depth, s.name or f"func#{n}") for n, s in enumerate(case.ck.subprogs)), reverse=True)
    out.known = ", ".join(f"{name} {depth} bytes" for depth, name in depths[:4])
    out.cause = f"{m[2] or 'more'} bytes are used"
    out.advice += [
        "move large variables into a per-CPU array map",
        "make functions that need much stack not call each other",
    ]


@rule("stack-before-tail-call", r"tail_calls are not allowed when call stack of previous frames is (\d+) bytes")
def stack_before_tail_call(case: Case, m: Match) -> None:
    out = case.out
    out.needed = "the callers of a function that makes a tail call must use less than 256 bytes of stack together"
    out.cause = f"they use {m[1]} bytes, and their frames stay while the other program runs"
    out.advice += ["make the tail call in the main program", "move large variables into a per-CPU array map"]


# --- ranges ----------------------------------------------------------------------------------------------------------------


@rule(
    "map-range",
    r"invalid access to map value, value_size=(\d+) off=(-?\d+) size=(\d+)",
)
def map_range(case: Case, m: Match) -> None:
    size, off, length = (int(m[i]) for i in (1, 2, 3))
    named = re.search(r"R(\d+) (min|max) value", case.message)
    regno = int(named[1]) if named else case.rec.insns[case.pc].src
    case.follow_addend(regno)
    out = case.out
    out.needed = f"the access must lie within the value's {size} bytes"
    reach = f"bytes {off} to {off + length - 1}"
    out.cause = f"it can reach {reach}" + (
        "" if case.reg(regno)[1].mask == 0 else ", at the largest (or smallest) value of the variable part"
    )
    _bounds_advice(case, regno, size)


@rule("mem-range", r"invalid access to memory, mem_size=(\d+) off=(-?\d+) size=(\d+)")
def mem_range(case: Case, m: Match) -> None:
    named = re.search(r"R(\d+) (min|max) value", case.message)
    regno = int(named[1]) if named else case.rec.insns[case.pc].src
    case.follow_addend(regno)
    case.out.needed = f"the access must lie within the {m[1]} bytes that the pointer stands for"
    case.out.cause = f"it can reach bytes {m[2]} to {int(m[2]) + int(m[3]) - 1}"
    _bounds_advice(case, regno, int(m[1]))


@rule("unbounded", r"R(\d+) unbounded memory access")
def unbounded(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow_addend(regno)
    case.out.needed = f"the largest value of R{regno}'s variable part must be known, and small"
    case.out.cause = _lost_bound(case, regno)
    _bounds_advice(case, regno, None)


@rule("negative", r"R(\d+) min value is (?:negative|outside of the allowed memory range)")
def negative(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow_addend(regno)
    low = (case.number or case.reg(regno))[1].smin
    case.out.needed = f"R{regno} must be proven not to be negative"
    case.out.cause = f"its smallest value is {low}" + (": signed variables need two comparisons" if low < 0 else "")
    other = _lost_bound(case, regno)
    if other:
        case.out.cause += f"; {other}"
    case.out.advice += [
        "make the variable unsigned (__u32, __u64), or compare both ends: if (n < 0 || n > limit) return ...;",
        "mask it: n &= 0xff; works whatever the sign",
    ]


@rule("too-large", r"R(\d+) max value is outside of the allowed memory range")
def too_large(case: Case, m: Match) -> None:
    unbounded(case, m)


def _bounds_advice(case: Case, regno: int, size: int | None) -> None:
    limit = "limit" if size is None else f"{size} - sizeof access"
    case.out.advice += [
        f"compare the variable before it is added to the pointer: if (i > {limit}) return ...;",
        "where the compiler compares one register and uses another, mask instead: i &= SIZE - 1 (SIZE a power of two)",
    ]


def _lost_bound(case: Case, regno: int) -> str:
    """Whether the number was compared somewhere on the path, and why that does not help."""
    val = (case.number or case.reg(regno))[1]
    visits = [v for v in case.path[:-1] if case.rec.insns[v.pc].code & 7 in (op.BPF_JMP, op.BPF_JMP32)]
    life = {s.pc for s in case.out.life}
    signed = [v for v in visits if case.rec.insns[v.pc].code & 0xF0 in (0x60, 0x70, 0xC0, 0xD0) and v.pc in life]
    if signed and val.smin < 0:
        return f"the comparison at {case.at(signed[-1].pc)} is signed and leaves negative numbers"
    narrow = [v for v in visits if case.rec.insns[v.pc].code & 7 == op.BPF_JMP32 and v.pc in life]
    if narrow and val.umax >> 32:
        return (
            f"the comparison at {case.at(narrow[-1].pc)} looked at the lower 32 bits only; the upper ones are unknown"
        )
    compared = [s for s in case.out.life if s.kind == "compare" and "_or_null" not in s.text]
    changed = [s for s in case.out.life if s.kind == "change"]
    if compared and changed and case.out.life.index(changed[-1]) > case.out.life.index(compared[-1]):
        return f"it was compared at {case.at(compared[-1].pc)}, and changed after that at {case.at(changed[-1].pc)}"
    if not compared:
        return "no comparison on this path bounds it (one of a copy made before counts only while both hold the same value)"
    return ""


@rule("size-argument", r"R(\d+) invalid zero-sized read")
def zero_size(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow(regno)
    case.out.needed = f"the size in R{regno} must be at least 1"
    case.out.cause = "it may be 0 on this path"
    case.out.advice.append("if (size == 0) return ...; before the call, or write: if (size - 1 < MAX) call(..., size)")


@rule("map-readonly", r"write into map forbidden")
def read_only(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    case.follow(insn.dst if insn.code != CALL else 1)
    case.out.needed = "the map must be writable for programs"
    case.out.cause = "it is read-only for programs (BPF_F_RDONLY_PROG): .rodata, or declared so"
    case.out.advice.append("drop const (or volatile const) from the variable, or write to another map")


# --- context ---------------------------------------------------------------------------------------------------------------


@rule("context", r"invalid bpf_context access off=(\d+) size=(\d+)")
def context(case: Case, m: Match) -> None:
    off, size = int(m[1]), int(m[2])
    out = case.out
    insn = case.rec.insns[case.pc]
    write = insn.code & 7 != op.BPF_LDX
    verb = "written" if write else "read"
    row = next(
        (
            f
            for f in ctx_fields(case.req.prog_type, int(case.req.expected_attach_type))
            if f.off <= off < f.off + f.size
        ),
        None,
    )
    out.needed = f"a field of the context that {case.req.prog_type.c_name} programs may have {verb}, whole"
    if row is None:
        out.cause = f"at offset {off} the context of {case.req.prog_type.c_name} has no field that this program may use"
        out.advice.append("other program types have other fields: see the type in the section's name")
    elif write and not row.write:
        out.cause = f"{row.name} (offset {row.off}, {row.size} bytes) may be read, not written"
    elif size != row.size and row.kind != "scalar":
        out.cause = (
            f"{row.name} is a pointer and must be read whole, as {row.size} bytes; this reads {size} at offset {off}"
        )
        out.advice.append(f"read it once into a variable: void *p = (void *)(long)ctx->{row.name};")
    else:
        out.cause = (
            f"{row.name} (offset {row.off}, {row.size} bytes) may not be {verb} with {size} bytes at offset {off}"
        )
        out.advice.append("access the field by its name and with its own type")


@rule(
    "context-offset", r"dereference of modified (\w+) ptr R(\d+) off=(-?\d+) disallowed|variable (\w+) access var_off="
)
def context_offset(case: Case, m: Match) -> None:
    regno = int(m[2]) if m[2] else case.rec.insns[case.pc].src
    case.follow(regno)
    what = m[1] or m[4]
    case.out.needed = f"a {what} pointer must be used as it was given, with the field's offset in the instruction"
    case.out.cause = "arithmetic changed it before the access"
    case.out.advice += [
        "access fields by name; an index into ctx->cb[] and the like must be a constant (unroll the loop)",
        "keep the compiler from adding the offset first: read the field before the branches that use it",
    ]


# --- calls -----------------------------------------------------------------------------------------------------------------


@rule("helper", r"(?:program of this type cannot use helper|unknown func|invalid func) (\w+)#(-?\d+)")
def helper(case: Case, m: Match) -> None:
    out = case.out
    number = int(m[2])
    try:
        row = HELPERS.get(HelperId(number))
    except ValueError:
        row = None
    out.needed = f"a helper that {case.req.prog_type.c_name} programs may call"
    if row is None:
        out.cause = f"6.18 has no helper of number {number}"
        out.advice.append("compile against headers of the kernel that is meant")
        return
    types = sorted(t.name.lower() for t in row.prog_types)
    came = helper_since(row.name, case.req.prog_type)
    if came is not None and not profile(case.req.kernel).reaches(came):
        own = since("helper", row.name)
        whose = "" if own == came else f"programs of type {case.req.prog_type.c_name} have "
        out.cause = f"{whose}{row.c_name} is there since Linux {came}; this is {case.req.kernel}"
        out.advice.append(
            "choose by kernel at load: a const volatile flag set by the loader, or bpf_core_enum_value_exists"
        )
        return
    shown = ", ".join(types[:TYPES_SHOWN]) + (
        f" and {len(types) - TYPES_SHOWN} more" if len(types) > TYPES_SHOWN else ""
    )
    out.cause = f"{m[1]} is for programs of type {shown}" if types else f"{m[1]} is for no program here"
    if case.req.prog_type in row.prog_types and row.perfmon:
        out.cause = f"{m[1]} asks for CAP_PERFMON"
    out.advice.append("move the call into a program of such a type, or find the type's own way to the same fact")


@rule("argument", r"R(\d+) type=(\S+) expected=(.*)")
def argument(case: Case, m: Match) -> None:
    regno = int(m[1])
    events = case.follow(regno)
    out = case.out
    out.needed = f"argument {regno} of the call must be {m[3].replace(', ', ' or ')}"
    out.cause = f"it is {m[2]}"
    lost = last_of(events, "moved", "released")
    if lost is not None:
        out.cause += f": {lost.text} ({case.at(lost.pc)})"
    if m[2] in ("scalar", "inv") and "fp" in m[3]:
        out.advice.append("pass the address of a variable: helper(&map, &key) with key on the stack")
    elif m[2] == "ctx":
        out.advice.append("the context is no memory for helpers: copy the field to a variable and pass its address")
    else:
        out.advice.append("compare the call with the helper's prototype: order of arguments, pointers against values")


@rule("gpl", r"cannot call GPL-restricted function")
def gpl(case: Case, m: Match) -> None:
    case.out.needed = "the program's licence must be compatible with the GPL to call this function"
    case.out.cause = "its licence section is missing or says another"
    case.out.advice.append('char LICENSE[] SEC("license") = "GPL"; (or "Dual MIT/GPL", "Dual BSD/GPL" ...)')


@rule(
    "sleep",
    r"helper call might sleep in a non-sleepable prog",
    r"sleepable helper .* called in atomic context",
    r"kernel func \S+ is sleepable",
)
def sleeps(case: Case, m: Match) -> None:
    case.out.needed = "calls that may sleep need a sleepable program, outside of locked sections"
    case.out.cause = "this one does not sleep"
    case.out.advice.append('load it as sleepable: a section with .s, as in SEC("fentry.s/...") or SEC("lsm.s/...")')


@rule("map-helper", r"cannot pass map_type (\d+) into func (\w+)#")
def map_helper(case: Case, m: Match) -> None:
    case.follow(1)
    case.out.needed = "a map of a type that the helper works on"
    case.out.cause = f"{m[2]} does not take maps of type {m[1]}"
    case.out.advice.append(
        "use the helper made for the map's type (bpf_ringbuf_*, bpf_map_push_elem, bpf_redirect_map ...)"
    )


@rule("global-arguments", r"Caller passes invalid args into func#(\d+) \('(\w+)'\)")
def global_arguments(case: Case, m: Match) -> None:
    out = case.out
    out.needed = f"the arguments must be what {m[2]}'s prototype promises: it is verified by itself, for all of them"
    before = case.message.splitlines()[0]
    out.cause = before if before != case.last_line else "an argument does not fit"
    out.advice += [
        "a pointer argument of a global function is memory of its type's size, or NULL: check it inside",
        "make the function static: then it is verified together with its caller",
    ]


# --- control flow ------------------------------------------------------------------------------------------------------------


@rule("endless", r"infinite loop detected at insn (\d+)")
def endless(case: Case, m: Match) -> None:
    pc = int(m[1])
    out = case.out
    out.needed = "every round of a loop must change something that makes it end"
    out.cause = f"at {case.at(pc)} the state is what it was a round before: registers and stack are the same"
    out.known = _loop_counter(case, pc)
    out.advice += [
        "count with a variable that the condition tests: for (int i = 0; i < 100; i++)",
        "loops that end for a reason the verifier cannot see: bpf_loop(), or may_goto / cond_break",
    ]


def _loop_counter(case: Case, pc: int) -> str:
    insn = case.rec.insns[pc]
    if insn.code & 7 in (op.BPF_JMP, op.BPF_JMP32):
        return f"the condition looks at R{insn.dst}" + (
            f" and R{insn.src}" if insn.code & op.BPF_X else f" and {insn.imm}"
        )
    return ""


@rule("too-complex", r"BPF program is too large\. Processed (\d+) insn|The sequence of (\d+) jumps is too complex")
def too_complex(case: Case, m: Match) -> None:
    out = case.out
    out.needed = "all paths together must stay within a million processed instructions (and 8192 pending branches)"
    counts: dict[int, int] = {}
    for visit in case.path:
        counts[visit.pc] = counts.get(visit.pc, 0) + 1
    if counts:
        hot, times = max(counts.items(), key=lambda item: item[1])
        out.cause = f"on the last path {case.at(hot)} (instruction {hot}) is visited {times} times"
        apart = _kept_apart(case, hot)
        if apart:
            out.cause += f"; from round to round these differ: {apart}"
    out.advice += [
        "make rounds alike: what a branch learns about a variable keeps states apart; reset or mask it at the loop's head",
        "move the body into a callback of bpf_loop(), which is verified once, or into a global function",
        "use smaller bounds, or break the program up with tail calls",
    ]


def _kept_apart(case: Case, pc: int) -> str:
    """Registers that differ between the last two visits of an instruction."""
    visits = [v for v in case.path if v.pc == pc]
    if len(visits) < 2:
        return ""
    a, b = visits[-2], visits[-1]
    regs = [f"R{i}" for i in range(10) if a.regs[i] != b.regs[i]]
    slots = [f"fp{-(i + 1) * 8}" for i, (x, y) in enumerate(zip(a.stack, b.stack, strict=False)) if x != y]
    return ", ".join(regs + slots)


@rule(
    "unreachable",
    r"unreachable insn (\d+)|jump out of range from insn (\d+) to (-?\d+)|last insn is not an exit or jmp",
)
def unreachable(case: Case, m: Match) -> None:
    case.out.needed = "every instruction must be reached, and every jump stay inside its function"
    case.out.cause = case.last_line
    case.out.advice.append(
        "compilers do not write such code: look at hand-written assembly, or at an object cut by hand"
    )


@rule(
    "return",
    r"At (program exit|callback return|async callback return|subprogram exit) the register R0 has (.*?) "
    r"should have been in \[(-?\d+), (-?\d+)\]",
)
def returns(case: Case, m: Match) -> None:
    case.follow(0)
    out = case.out
    out.needed = f"the return value must be proven to lie in [{m[3]}, {m[4]}]"
    out.cause = f"R0 is known as{' ' + m[2].strip() if m[2].strip() else ' anything'}"
    out.advice.append("return constants (0, 1, ...) on each path, or compare the value before it is returned")


@rule("return-pointer", r"R0 leaks addr as return value|cannot return stack pointer to the caller")
def return_pointer(case: Case, m: Match) -> None:
    case.follow(0)
    case.out.needed = "the return value must be a number"
    case.out.cause = "it is a pointer on this path"
    case.out.advice.append("return a number; write results through an argument or into a map")


# --- pointers --------------------------------------------------------------------------------------------------------------


@rule(
    "arithmetic",
    r"R(\d+) (?:bitwise operator (\S+) on pointer|pointer arithmetic with (\S+) operator|32-bit pointer arithmetic|"
    r"tried to (?:add|subtract)|pointer arithmetic on (\w+)|pointer (?:\+=|-=) pointer) ?(.*)",
    r"R(\d+) pointer (.*) prohibited",
)
def arithmetic(case: Case, m: Match) -> None:
    regno = int(m[1] or m[6])
    case.follow(regno)
    out = case.out
    kind = kind_of(case.reg(regno))
    out.needed = "pointers may be moved by adding and subtracting numbers, in 64 bits, and only some kinds of pointers"
    out.cause = f"R{regno} is {kind}: {case.last_line}"
    if kind.endswith("or_null"):
        out.cause += "; a pointer that may be NULL must be compared first"
        out.advice.append("if (!pointer) return ...; before any arithmetic with it")
    out.advice.append("compute the offset as a number first, then add it once")


@rule("alignment", r"misaligned (\w+ )?access off (.*?) size (\d+)")
def alignment(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    case.follow(insn.src if insn.code & 7 == op.BPF_LDX else insn.dst)
    case.out.needed = f"the address must be a multiple of {m[3]}"
    case.out.cause = f"the offset {m[2]} is not, or cannot be told to be"
    case.out.advice.append("read smaller pieces, or copy to an aligned variable on the stack first")


@rule("leak", r"R(\d+) leaks addr into (\w+)")
def leaks(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = f"without CAP_PERFMON no pointer may be stored where user space can read it ({m[2]})"
    case.out.cause = "the value stored is a pointer"
    case.out.advice.append("store a number instead of the pointer, or load the program with CAP_PERFMON")


@rule("mixed", r"same insn cannot be used with different pointers")
def mixed(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    case.follow(insn.src if insn.code & 7 == op.BPF_LDX else insn.dst)
    case.out.needed = "an instruction that reads the context or a socket may do nothing else on any path"
    case.out.cause = "two branches came to the same access with pointers of different kinds (compilers merge such code)"
    case.out.advice.append(
        'keep the accesses apart: asm volatile("" ::: "memory") between them, or read the field before the branch'
    )


# --- references, locks -------------------------------------------------------------------------------------------------------


@rule("leaked-reference", r"Unreleased reference id=(\d+) alloc_insn=(\d+)")
def reference(case: Case, m: Match) -> None:
    out = case.out
    pc = int(m[2])
    out.needed = "what was acquired must be given back on every path"
    out.known = f"the reference taken at {case.at(pc)} ({case.rec.text(pc)}) is still held here"
    branches = [v.pc for v in case.path if v.pc > pc and case.rec.insns[v.pc].code & 7 in (op.BPF_JMP, op.BPF_JMP32)]
    out.cause = "this path reaches its end without releasing it" + (
        f"; it left the way of the others at {case.at(branches[-1])}" if branches else ""
    )
    out.advice.append(
        "release on this path too: bpf_ringbuf_submit() or bpf_ringbuf_discard(), bpf_sk_release(), bpf_obj_drop() ..."
    )


@rule("no-reference", r"reference has not been acquired before|must be referenced when passed to release function")
def no_reference(case: Case, m: Match) -> None:
    case.follow(1)
    case.out.needed = "only what was acquired, and not yet released, can be given back"
    case.out.cause = "the pointer holds no reference on this path"
    case.out.advice.append("release once, and the pointer that the acquiring helper returned, without an offset")


@rule(
    "locked",
    r"bpf_spin_lock|inside bpf_spin_lock",
    r"function calls are not allowed while holding a lock",
    r"bpf_rcu_read_(?:un)?lock|preempt",
)
def locked(case: Case, m: Match) -> None:
    case.out.needed = "between lock and unlock a program may do little: no calls but a few, no second lock, no way out"
    case.out.cause = case.last_line
    case.out.advice.append("keep locked sections short: copy what is needed, unlock on every path, then call")


@rule("stack-object", r"dynptr|iterator|iter_|irq flag")
def stack_object(case: Case, m: Match) -> None:
    found = re.search(r"R(\d+)|[Aa]rg#(\d+)", case.last_line)
    if found and case.path:
        case.follow(int(found[1]) if found[1] else int(found[2]) + 1)
    case.out.needed = (
        "objects on the stack (dynptrs, iterators) are made, used and given up only by their own functions"
    )
    case.out.cause = case.last_line
    case.out.advice.append(
        "use the variable as the function's prototype says, initialise it once, destroy or submit it on every path"
    )


# --- BTF -------------------------------------------------------------------------------------------------------------------


@rule("btf-access", r"access beyond struct (\w+) at off (\d+) size (\d+)|access beyond the end of member (\w+)")
def btf_access(case: Case, m: Match) -> None:
    insn = case.rec.insns[case.pc]
    case.follow(insn.src)
    case.out.needed = "the access must lie in a member of the kernel's structure"
    case.out.cause = case.last_line
    case.out.advice.append(
        "compile with CO-RE (BPF_CORE_READ, preserve_access_index) against vmlinux.h of the kernel that is meant"
    )


@rule("untrusted", r"R(\d+) must be (?:referenced or trusted|a rcu pointer)|R(\d+) is (?:\w+ )?ptr_\w+ invalid")
def untrusted(case: Case, m: Match) -> None:
    case.follow(int(m[1] or m[2]))
    case.out.needed = (
        "a pointer that the kernel vouches for: an argument, one acquired, or one read under bpf_rcu_read_lock()"
    )
    case.out.cause = "a pointer found by walking structures is only good for reading"
    case.out.advice.append("acquire it (bpf_task_acquire(), bpf_cgroup_acquire() ...), or stay within one rcu section")
