"""Packet pointers: how many bytes are proven, and what voids the proof."""

from __future__ import annotations

from typing import Final

from userbpf.isa import opcodes as op
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.life import Event, movers
from userbpf.verifier.regs import PACKET, PACKET_END, Reg
from userbpf.verifier.rules.tools import Match, accessed, last_of
from userbpf.verifier.words import number, plural, span

MAX_OFFSET: Final = 0xFFFF  # the largest variable part of which a comparison with data_end tells anything


@rule("packet-range", r"invalid access to packet, off=(-?\d+) size=(\d+), R(\d+)\(id=(\d+),off=-?\d+,r=(-?\d+)\)")
def packet_range(case: Case, m: Match) -> None:
    off, size, regno, rid, known = (int(m[i]) for i in (1, 2, 3, 4, 5))
    known = max(0, known)
    events = case.follow(regno)
    start = "the packet's first byte" if not rid else "where its variable part was added"
    case.out.needed = f"{span(off, size)} of the packet, counted from {start}, must be proven to exist"
    case.out.known = f"{plural(known, 'byte')} {'is' if known == 1 else 'are'} proven to exist on this path"
    _why(case, events, case.reg(regno), off + size, known)
    if off < 0:
        case.out.cause = "the offset is negative: it lies before the packet's first byte"
        case.out.advice = ["begin from data; bpf_xdp_adjust_head() gives room in front of it"]


def _why(case: Case, events: list[Event], reg: Reg, end: int, known: int) -> None:
    out = case.out
    checks = case.packet_checks()
    moved = movers(case.rec, case.path)
    same = [(v, good) for v, other, good in checks if other[2] == reg[2]]
    test = f"before the access: if ((void *)p + {end} > data_end) return ...;"
    if reg[1].umax > MAX_OFFSET and reg[2]:
        grown = next((e for e in reversed(events) if e.kind == "change" and e.old and e.old[2] != reg[2]), None)
        out.cause = f"the variable offset may be {number(reg[1])}: the sum may wrap, so comparing it with data_end proves nothing"
        out.advice.append("bound the offset before it is added: if (off > 1500) return ...; or off &= 0x3ff")
        out.advice.append(f"then compare the sum: if ((void *)p + {end} > data_end) return ...;")
        if grown is not None:
            case.lose(grown.pc)
    elif known:
        proven = [v for v, good in same if good]
        where = f" at {case.at(proven[-1].pc)}" if proven else ""
        out.cause = f"the comparison with data_end{where} proves {plural(known, 'byte')}, the access ends at byte {end}"
        out.advice.append(f"compare for all that is read: if (data + {end} > data_end) return ...;")
        if proven:
            case.lose(proven[-1].pc)
        if sum(v.pc == case.pc for v in case.path) > 1:
            out.advice.append("in a loop: compare in each round, with the pointer of that round")
    elif moved and (not same or same[-1][0].number < moved[-1].number):
        where = case.at(moved[-1].pc)
        out.cause = f"the call at {where} may move the packet's data, so what was compared before it counts no more"
        out.advice.append("after that call load data and data_end from the context again, and compare again")
        case.lose(moved[-1].pc)
    elif same and not same[-1][1]:
        where = case.at(same[-1][0].pc)
        out.cause = f"on this path the comparison at {where} came out the other way: the bytes do not exist"
        out.advice.append("leave the function (or skip the access) on that branch")
        case.lose(same[-1][0].pc)
    elif same:
        out.cause = f"the comparison at {case.at(same[-1][0].pc)} proves nothing of what is read here"
        out.advice.append(test)
        case.lose(same[-1][0].pc)
    elif reg[2] and checks:
        out.cause = (
            f"the pointer got a variable offset after the comparison at {case.at(checks[-1][0].pc)}: with it the pointer is a "
            "new one, of which nothing is known yet"
        )
        out.advice.append(
            f"compare the pointer that is dereferenced, after the addition: if (p + {end} > data_end) return ...;"
        )
        grown = next((e for e in reversed(events) if e.kind == "change" and e.old and e.old[2] != reg[2]), None)
        case.lose(grown.pc if grown is not None else checks[-1][0].pc)
    else:
        _never(case, test)


def _never(case: Case, test: str) -> None:
    out = case.out
    out.cause = "no comparison with data_end was made on this path"
    for visit in case.path[:-1]:
        insn = case.rec.insns[visit.pc]
        if insn.code == op.BPF_ALU64 | op.BPF_SUB | op.BPF_X and visit.regs[insn.dst][0] == PACKET_END:
            out.cause = (
                f"the length data_end - data of {case.at(visit.pc)} is a plain number: it tells nothing of pointers"
            )
            case.lose(visit.pc)
    out.advice.append(test)


@rule("packet-end", r"R(\d+) offset is outside of the packet")
def packet_end(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = "the pointer must point into the packet"
    case.out.cause = "on this path the pointer is known to be at or behind the packet's end"
    case.out.advice.append("leave the function on the branch where the comparison with data_end fails")


@rule(
    "packet-write",
    r"cannot write into packet",
    r"helper access to the packet is not allowed",
    r"the prog does not allow writes to packet data",
)
def packet_write(case: Case, m: Match) -> None:
    case.follow(1 if "helper" in m[0] or "prog" in m[0] else accessed(case))
    case.out.needed = "the program's type must be allowed to change packets directly"
    case.out.cause = f"{case.req.prog_type.c_name} may read packets through pointers, not write them"
    if "helper" in m[0]:
        case.out.needed = "the program's type must be allowed to hand packet memory to helpers"
        case.out.cause = f"{case.req.prog_type.c_name} may not, for this helper"
    case.out.advice += ["use bpf_skb_store_bytes() where the type has it", "load the program as tc classifier or XDP"]


@rule("packet-end-math", r"R(\d+) pointer arithmetic on pkt_end prohibited")
def end_arithmetic(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = "data_end may only be compared: it is not moved"
    case.out.cause = f"{case.at(case.pc)} adds to data_end, or subtracts from it"
    case.out.advice.append("move the other side: if (p + 4 > data_end) instead of if (p > data_end - 4)")
    case.lose(case.pc)


def lost_by_move(case: Case, events: list[Event]) -> Event | None:
    """The event that voided a packet pointer, told as the cause."""
    moved = last_of(events, "moved")
    if moved is None:
        return None
    case.out.cause = f"{moved.text} ({case.at(moved.pc)})"
    case.lose(moved.pc)
    what = "load data and data_end from the context again after that call, and compare again"
    if moved.old is not None and moved.old[0] & 0xFF not in (PACKET, PACKET_END):
        what = f"take the slice again after {moved.who}: it lay in the packet"
    case.out.advice.append(what)
    return moved
