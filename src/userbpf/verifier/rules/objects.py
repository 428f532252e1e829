"""Objects of their own functions: dynptrs, iterators, timers, kptrs, lists and trees."""

from __future__ import annotations

import re

from userbpf.verifier.domain import s64
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.regs import ST_DYNPTR, STACK
from userbpf.verifier.rules.tools import Match, calls_of

# --- dynptrs -----------------------------------------------------------------------------------------------------------------


@rule("dynptr-uninitialised", r"Expected an initialized dynptr as arg #(\d+)")
def dynptr_uninitialised(case: Case, m: Match) -> None:
    regno = int(m[1]) + 1
    case.follow(regno)
    name = case.rec.callee(case.insn)
    case.out.needed = f"argument {regno} of {name} must be a dynptr that is there"
    ended = calls_of(
        case,
        "bpf_ringbuf_submit_dynptr",
        "bpf_ringbuf_discard_dynptr",
    )
    case.out.cause = "the variable holds none on this path: nothing made it"
    case.lose(case.pc)
    if ended:
        case.out.cause = f"{case.rec.callee(case.rec.insns[ended[-1].pc])}() at {case.at(ended[-1].pc)} has ended it"
        case.lose(ended[-1].pc)
    elif _gone_by_write(case, regno):
        case.out.cause = "the variable was overwritten, and the dynptr is gone"
    case.out.advice.append(
        "make it first: bpf_dynptr_from_mem(), bpf_dynptr_from_skb(), bpf_ringbuf_reserve_dynptr() ..., and not by = {}"
    )


def _gone_by_write(case: Case, regno: int) -> bool:
    """Whether the slot was a dynptr at some step before."""
    reg = case.reg(regno)
    if reg[0] != STACK or reg[1].mask:
        return False
    slot = (-(reg[3] + s64(reg[1].value)) - 1) // 8
    for visit in reversed(case.path):
        if visit.frameno == reg[4] and slot < len(visit.stack) and ST_DYNPTR in visit.stack[slot][0]:
            later = case.path[min(case.visit(visit.number), len(case.path) - 1)]
            case.lose(later.pc)
            return True
    return False


@rule("dynptr-overwritten", r"cannot overwrite referenced dynptr|potential write to dynptr at off=(-?\d+) disallowed")
def dynptr_overwritten(case: Case, m: Match) -> None:
    case.out.needed = "a dynptr that holds a record is not overwritten before it is submitted or discarded"
    case.out.cause = f"{case.rec.text(case.pc)} writes into the variable that holds it"
    made = calls_of(case, "bpf_ringbuf_reserve_dynptr")
    if made:
        case.out.known = f"the dynptr was made at {case.at(made[-1].pc)}"
    case.lose(case.pc)
    case.out.advice.append("write through bpf_dynptr_write() or bpf_dynptr_data(), not into struct bpf_dynptr itself")
    case.out.advice.append("use another variable for the second dynptr")


@rule(
    "dynptr",
    r"Dynptr has to be an uninitialized dynptr",
    r"Expected a dynptr of type (\w+) as arg #(\d+)",
    r"cannot pass pointer to const bpf_dynptr",
    r"arg#(\d+) expected pointer to stack or const struct bpf_dynptr",
    r"Unsupported reg type (\w+) for bpf_dynptr_from_mem data",
    r"const dynptr with an offset|cannot release unowned const bpf_dynptr",
)
def dynptr(case: Case, m: Match) -> None:
    number = m[2] or m[3]
    if case.path:
        case.follow(int(number) + 1 if number else 1)
    case.out.needed = "a dynptr is a variable of its own on the stack, of the kind that the function takes"
    case.out.cause = case.last_line
    if "uninitialized" in m[0]:
        made = next((v for v in reversed(case.path[:-1]) if "dynptr" in case.rec.text(v.pc)), None)
        case.out.cause = "the variable holds a dynptr already"
        if made is not None:
            case.out.cause += f", made at {case.at(made.pc)}"
            case.lose(made.pc)
        case.out.advice.append("one variable for each dynptr")
    elif m[1]:
        case.out.cause = f"the function takes a dynptr of type {m[1]}, this one is of another"
        case.out.advice.append("submit and discard take ring buffer dynptrs; others end by themselves")
    elif m[4]:
        case.out.cause = f"bpf_dynptr_from_mem() takes memory of a map value, not {m[4]}"
        case.out.advice.append("give it memory of a map value (a per-CPU array of one element)")
    else:
        case.out.advice.append("pass the address of the struct bpf_dynptr on the stack as it is")


# --- iterators ---------------------------------------------------------------------------------------------------------------


@rule(
    "iterator",
    r"expected an (un)?initialized (iter_\w+) as arg #(\d+)",
    r"expected (un)initialized (iter_\w+) as arg #(\d+)",
)
def iterator(case: Case, m: Match) -> None:
    kind = m[2] or m[5]
    regno = int(m[3] or m[6]) + 1
    case.follow(regno)
    name = case.rec.callee(case.insn)
    made, ended = calls_of(case, f"bpf_{kind}_new"), calls_of(case, f"bpf_{kind}_destroy")
    if m[4] or m[1]:
        case.out.needed = f"{name}() makes an iterator in a variable that holds none"
        case.out.cause = "the variable holds one already"
        if made:
            case.out.cause += f", made at {case.at(made[-1].pc)} and never destroyed"
            case.lose(made[-1].pc)
        case.out.advice.append(f"bpf_{kind}_destroy(&it) before it is made again, or a variable of its own")
        return
    case.out.needed = f"{name}() works on an iterator that is there: made by bpf_{kind}_new(), not yet destroyed"
    case.out.cause = f"nothing made it on this path: bpf_{kind}_new() was not called"
    case.lose(case.pc)
    if ended:
        case.out.cause = f"bpf_{kind}_destroy() at {case.at(ended[-1].pc)} has ended it"
        case.lose(ended[-1].pc)
    elif made:
        case.out.cause = f"the variable was written over after bpf_{kind}_new() at {case.at(made[-1].pc)}"
        case.lose(made[-1].pc)
    case.out.advice.append(
        "new, then next in a loop, then destroy once; or the macros bpf_for() and bpf_for_each(), which do that"
    )


@rule("iterator-place", r"arg#(\d+) expected pointer to an iterator on stack", r"expected an RCU CS when using (\S+)")
def iterator_place(case: Case, m: Match) -> None:
    case.follow(int(m[1] or 0) + 1)
    case.out.needed = "an iterator lies on the stack of the program"
    case.out.cause = case.out.known
    case.out.advice.append("declare it as a local variable and pass its address")
    if m[2]:
        case.out.needed = f"{m[2]} is used inside an RCU section"
        case.out.cause = "none is open here: the program may sleep, so RCU does not protect it by itself"
        case.out.advice = [
            "bpf_rcu_read_lock() before the iterator is made, bpf_rcu_read_unlock() after it is destroyed"
        ]


# --- timers, work queues -----------------------------------------------------------------------------------------------------


@rule("timer-map", r"(\w+) pointer in R1 map_uid=\d+ doesn't match map pointer in R2")
def timer_map(case: Case, m: Match) -> None:
    case.follow(1)
    case.out.needed = f"the map given must be the one that the {m[1]} lies in"
    case.out.cause = f"the {m[1]} is in a {case.show(case.reg(1))}, R2 is {case.show(case.reg(2))}"
    case.lose(case.pc)
    case.out.advice.append(f"bpf_{m[1]}_init(&v->{m[1]}, &the_map_that_v_is_of, ...)")


@rule(
    "object-place",
    r"R(\d+) doesn't have constant offset\. (\S+) has to be at the constant offset",
    r"map '(\w*)' has (?:no valid|to have BTF in order to use) (\S+)",
    r"off (-?\d+) doesn't point to 'struct (\w+)' that is at (-?\d+)",
    r"off=(-?\d+) doesn't point to kptr|off=(-?\d+) kptr isn't referenced kptr|R(\d+) has no valid kptr",
    r"\S+ has no valid \w+_lock",
    r"BPF_ST imm must be 0 when storing to kptr",
    r"(\S+) access cannot have variable offset|(\S+) access misaligned|(\S+) access size must be BPF_DW",
)
def object_place(case: Case, m: Match) -> None:
    if case.path and case.insn.code == 0x85:
        case.follow(1)
    elif case.path:
        case.follow(case.insn.src if case.insn.code & 7 == 1 else case.insn.dst)
    case.out.needed = "the object must be a member of the map's value, known by BTF, and pointed to exactly"
    case.out.cause = case.last_line
    case.out.advice += [
        "declare the value's structure with the member and __type(value, struct ...), compile with -g",
        "pass &value->member of the value that was looked up, without an index that varies",
    ]


# --- kptrs -------------------------------------------------------------------------------------------------------------------


@rule(
    "kptr-store",
    r"store to referenced kptr disallowed|store to uptr disallowed|(\S+) in map can only be accessed using BPF_MEM",
)
def kptr_store(case: Case, m: Match) -> None:
    case.out.needed = "a __kptr member is exchanged by bpf_kptr_xchg(), never assigned"
    case.out.cause = "the member of the map's value is written like a plain variable"
    case.lose(case.pc)
    case.out.advice += [
        "old = bpf_kptr_xchg(&v->member, acquired); if (old) release(old);",
        "the pointer that is put in must be acquired first (bpf_task_acquire() ...)",
    ]


# --- lists and trees ---------------------------------------------------------------------------------------------------------


@rule("graph-lock", r"bpf_spin_lock at off=(-?\d+) must be held for (\S+)")
def graph_lock(case: Case, m: Match) -> None:
    case.out.needed = f"the lock beside {m[2]} must be held while the list or tree is changed"
    case.out.cause = "it is not held here"
    unlocked = calls_of(case, "bpf_spin_unlock")
    if unlocked:
        case.out.cause += f": it was given back at {case.at(unlocked[-1].pc)}"
        case.lose(unlocked[-1].pc)
    case.out.advice.append("bpf_spin_lock() of the same value (or of the same global section) before, unlock after")


@rule(
    "graph",
    r"arg#\d+ offset=.* but expected|operation on \S+ expects arg#1|can only take non-owning or refcounted bpf_rb_node",
    r"arg#\d+ is neither owning or non-owning ref|arg#\d+ expected pointer to (?:allocated object|map value or allocated object)",
    r"\S+ not allowed in rbtree cb|can't spin_\{lock,unlock\} in rbtree cb|direct access to \S+ is disallowed",
    r"bpf_(?:percpu_)?obj_new|local type ID argument must be",
    r"doesn't point to a type with bpf_refcount field|arg#\d+ expected for bpf_(?:percpu_)?obj_drop_impl",
    r"\S+ not found at offset=|\S+ without a root",
)
def graph(case: Case, m: Match) -> None:
    found = re.search(r"[Aa]rg#(\d+)", case.last_line)
    if found and case.path:
        case.follow(int(found[1]) + 1)
    case.out.needed = (
        "objects of lists and trees come from bpf_obj_new(), are held by the program, and fit the root's type"
    )
    case.out.cause = case.last_line
    case.out.advice += [
        "the root's __contains(type, member) names the structure and its node; pass &object->member",
        "after an object was added it belongs to the list or tree: use it under the lock only",
    ]
