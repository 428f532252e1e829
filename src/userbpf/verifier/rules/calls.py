"""Helpers, arguments, functions, return values."""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import HelperId, MapType
from userbpf.spec.helpers import HELPERS, HelperRow
from userbpf.spec.profiles import helper_since, profile, since
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.regs import BASE_MASK, CTX, MAP_PTR, PACKET, SCALAR
from userbpf.verifier.rules.packets import lost_by_move
from userbpf.verifier.rules.tools import Match, last_of
from userbpf.verifier.words import number, wanted

TYPES_SHOWN: Final = 6
# calls that loaders (libbpf and ours) put where they found nothing to put
POISONS: Final = frozenset((0x0BAD2310,))
POISON_MAPS: Final = 2_001_000_000
POISON_KFUNCS: Final = 2_002_000_000


@rule(
    "helper",
    r"(?:program of this type cannot use helper|unknown func|invalid func) (\w+)#(-?\d+)",
    r"helper call is not allowed in probe",
)
def helper(case: Case, m: Match) -> None:
    out = case.out
    number = int(m[2]) if m[2] else case.insn.imm
    out.needed = f"a helper that {case.req.prog_type.c_name} programs may call"
    case.lose(case.pc)
    try:
        row = HELPERS.get(HelperId(number))
    except ValueError:
        row = None
    if number in POISONS or number >= POISON_MAPS:
        _poisoned(case, number)
        return
    if row is None:
        out.cause = f"6.18 has no helper of number {number}"
        out.advice.append("a kernel function (kfunc) has no number: declare it extern with __ksym, and compile with -g")
        out.advice.append("compile against headers of the kernel that is meant")
        return
    came = helper_since(row.name, case.req.prog_type)
    if came is not None and not profile(case.req.kernel).reaches(came):
        own = since("helper", row.name)
        whose = "" if own == came else f"programs of type {case.req.prog_type.c_name} have "
        out.cause = f"{whose}{row.c_name} is there since Linux {came}; this is {case.req.kernel}"
        out.advice.append(
            "choose by kernel at load: a const volatile flag set by the loader, or bpf_core_enum_value_exists"
        )
        return
    _of_types(case, row)


def _poisoned(case: Case, number: int) -> None:
    """A call that stands for a relocation that found nothing."""
    out = case.out
    out.needed = "what the program names must be there in this kernel"
    out.advice = [
        "ask before it is used, so that the code is dead where it is missing: if (bpf_core_field_exists(p->field))"
    ]
    if number in POISONS:
        out.cause = (
            "a CO-RE relocation found nothing: this kernel's types have no such field, type or value, or another shape"
        )
    elif number >= POISON_KFUNCS:
        out.cause = "a weak kernel function is not there in this kernel"
        out.advice = ["ask before it is called: if (bpf_ksym_exists(f)) f(...);"]
    else:
        out.cause = "a map of the object was not created"
        out.advice = ["create the map, or do not use it where autocreate is off"]


def _of_types(case: Case, row: HelperRow) -> None:
    out = case.out
    types = sorted(t.name.lower() for t in row.prog_types)
    shown = ", ".join(types[:TYPES_SHOWN])
    if len(types) > TYPES_SHOWN:
        shown += f" and {len(types) - TYPES_SHOWN} more"
    out.cause = f"{row.c_name} is for programs of type {shown}" if types else f"{row.c_name} is for no program here"
    if case.req.prog_type in row.prog_types and row.perfmon:
        out.cause = f"{row.c_name} asks for CAP_PERFMON"
    elif case.req.prog_type in row.prog_types:
        out.cause = f"{row.c_name} is not for this attach type of {case.req.prog_type.c_name}"
    out.advice.append("move the call into a program of such a type, or find the type's own way to the same fact")
    if "skb" in row.name and "skb" not in case.req.prog_type.name.lower():
        out.advice.append(
            "XDP reads packets through data and data_end, or bpf_xdp_load_bytes(); tracing through BPF_CORE_READ()"
        )


@rule(
    "argument",
    r"R(\d+) type=(\S+) expected=(.*)",
    r"R(\d+) is of type (\S+) but (\S+) is expected",
    r"R(\d+) is not a scalar",
    r"(\w+)\(\) may write into memory pointed by R(\d+) type=(\S+)",
)
def argument(case: Case, m: Match) -> None:
    regno = int(m[1] or m[4] or m[7] or m[9])
    have, want = m[2] or m[5] or m[10] or "", m[3] or m[6] or ("memory that it may write" if m[9] else "a number")
    events = case.follow(regno)
    out = case.out
    reg = case.reg(regno)
    name = case.rec.callee(case.insn)
    out.needed = f"argument {regno} of {name} must be {wanted(want)}"
    out.cause = f"it is {case.show(reg)}" + (f" ({have})" if have and have not in case.show(reg) else "")
    released = last_of(events, "released")
    case.lose(case.pc)
    if lost_by_move(case, events) is not None:
        return
    if released is not None:
        out.cause += f": {released.text} ({case.at(released.pc)})"
        case.lose(released.pc)
    if regno == 1 and "map_ptr" in want and case.reg(2)[0] & BASE_MASK == MAP_PTR:
        out.cause += "; R2 is the map: the arguments are swapped"
        out.advice.append("the map comes first: bpf_map_lookup_elem(&map, &key)")
    elif reg[0] & BASE_MASK == MAP_PTR:
        out.advice.append("pass the address of a variable, not of the map: check the order of the arguments")
    elif reg[0] == SCALAR and "fp" in want:
        out.advice.append("pass the address of a variable: helper(&map, &key) with key on the stack")
    elif reg[0] == CTX:
        out.advice.append("the context is no memory for helpers: copy the field to a variable and pass its address")
    elif reg[0] & BASE_MASK == PACKET:
        out.advice.append("copy it from the packet to a variable on the stack and pass its address")
    elif m[9]:
        out.advice.append("copy it to the stack first: bpf_probe_read_kernel(&x, sizeof x, p), and pass &x")
    elif want == "map_value":
        out.advice.append(
            "timers, locks and kptrs live in values of maps: declare it a member, and pass &value->member"
        )
    elif "ctx" in want:
        out.advice.append("pass the ctx that the program was called with, unchanged")
    else:
        out.advice.append("compare the call with the helper's prototype: order of arguments, pointers against values")


@rule("flags", r"get_local_storage\(\) doesn't support non-zero flags")
def flags(case: Case, m: Match) -> None:
    case.follow(2)
    case.out.needed = "the flags of bpf_get_local_storage() must be the constant 0"
    case.out.cause = case.out.known
    case.out.advice.append("bpf_get_local_storage(&map, 0)")


@rule(
    "ld-abs",
    r"LD_(?:ABS|\[ABS\|IND\]|ABS\|IND)|R6 != pointer to skb|tail_call is (?:only|not) allowed in|tail_calls are not allowed",
)
def legacy(case: Case, m: Match) -> None:
    case.out.needed = (
        "old packet loads and tail calls may end the program, so they need functions that return int, and the skb in R6"
    )
    case.out.cause = case.last_line
    if "tail_calls" in m[0]:
        case.out.needed = "before 5.10 a program has either tail calls or functions of its own"
        case.out.advice.append("inline the functions: static __always_inline")
    case.out.advice += [
        "let functions that tail call, or load with LD_ABS, return int, and compile with -g",
        "read packets by bpf_skb_load_bytes() or through data and data_end instead of LD_ABS",
    ]


@rule("gpl", r"cannot call GPL-restricted function|from non-GPL compatible program|must have a GPL compatible license")
def gpl(case: Case, m: Match) -> None:
    name = case.rec.callee(case.insn) if case.path else "this"
    case.out.needed = f"the program's licence must be compatible with the GPL to use {name}"
    case.out.cause = "its licence section is missing or says another"
    if case.path:
        case.lose(case.pc)
    case.out.advice.append('char LICENSE[] SEC("license") = "GPL"; (or "Dual MIT/GPL", "Dual BSD/GPL" ...)')


@rule("map-helper", r"cannot pass map_type (\d+) into func (\w+)#")
def map_helper(case: Case, m: Match) -> None:
    case.follow(next((r for r in range(1, 6) if case.reg(r)[0] & BASE_MASK == MAP_PTR), 1))
    kind = int(m[1])
    label = MapType(kind).name.lower() if kind in set(MapType) else m[1]
    case.out.needed = f"a map of a type that {m[2]} works on"
    case.out.cause = f"{m[2]} does not take maps of type {label}"
    case.lose(case.pc)
    case.out.advice.append(
        "use the helper made for the map's type: bpf_ringbuf_*, bpf_perf_event_output, bpf_map_push_elem, bpf_redirect_map, "
        "bpf_tail_call ..."
    )


# --- return values -----------------------------------------------------------------------------------------------------------


@rule(
    "return",
    r"(At [\w ]+?) the register R(\d+) has(.*?) should have been in \[(-?\d+), (-?\d+)\]",
    r"(At [\w ]+?) the register R(\d+) is not a (?:known|scalar) value \((.*)\)",
    r"R0 not a scalar value",
)
def returns(case: Case, m: Match) -> None:
    case.follow(int(m[2] or m[7] or 0))
    out = case.out
    where = (m[1] or m[6] or "").removeprefix("At ")
    out.needed = "the return value must be a number"
    if m[4]:
        out.needed = f"the return value must be proven to lie in [{m[4]}, {m[5]}]"
    if "callback" in where:
        out.needed += f" ({where.removesuffix(' return')})"
    reg = case.reg(int(m[2] or m[7] or 0))
    out.cause = f"R0 is {number(reg[1]) if reg[0] == SCALAR else case.show(reg)} on this path"
    if case.events:
        first = case.events[0]
        out.cause += f": {first.text} ({case.at(first.pc)})"
        case.lose(first.pc)
    allowed = ", ".join(str(n) for n in range(int(m[4]), int(m[5]) + 1)) if m[4] and int(m[5]) - int(m[4]) < 4 else None
    out.advice.append(
        f"return constants on each path: {allowed or (m[4] + ' to ' + m[5])}"
        if m[4]
        else "return constants on each path"
    )
    out.advice.append("a value that varies: compare it before, or return cond ? 1 : 0")


@rule("return-pointer", r"R0 leaks addr as return value|cannot return stack pointer to the caller")
def return_pointer(case: Case, m: Match) -> None:
    case.follow(0)
    case.out.needed = "the return value must be a number"
    case.out.cause = f"it is {case.show(case.reg(0))} on this path"
    if "stack" in m[0]:
        case.out.cause += ", a variable of the function that ends"
    case.out.advice.append("return a number; write results through an argument or into a map")


@rule(
    "format",
    r"Invalid format string|string is not zero-terminated",
    r"R(\d+) (?:does not point to a readonly map'|is not a constant address')",
)
def format_string(case: Case, m: Match) -> None:
    case.out.needed = "the format is a constant string in read-only memory, of conversions that the kernel knows"
    case.out.cause = case.last_line
    case.lose(case.pc)
    case.out.advice.append(
        'static const char fmt[] = "..."; %d %u %x %lld %llu %llx %s %p and a few %p.. forms are known'
    )
