"""What must be given back on every path: references, locks, sections."""

from __future__ import annotations

import re
from typing import Final

from userbpf.verifier.cfg import CALL
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.record import Visit
from userbpf.verifier.rules.tools import Match, calls_of, parting

RELEASES: Final = {
    "bpf_ringbuf_reserve": "bpf_ringbuf_submit() or bpf_ringbuf_discard()",
    "bpf_ringbuf_reserve_dynptr": "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()",
    "bpf_sk_lookup_tcp": "bpf_sk_release()",
    "bpf_sk_lookup_udp": "bpf_sk_release()",
    "bpf_skc_lookup_tcp": "bpf_sk_release()",
    "bpf_map_lookup_elem": "bpf_sk_release()",
    "bpf_kptr_xchg": "the release function of its type (bpf_task_release(), bpf_obj_drop() ...), or another bpf_kptr_xchg()",
    "bpf_obj_new_impl": "bpf_obj_drop(), or adding it to a list or tree",
    "bpf_percpu_obj_new_impl": "bpf_percpu_obj_drop()",
    "bpf_refcount_acquire_impl": "bpf_obj_drop(), or adding it to a list or tree",
    "bpf_list_pop_front": "bpf_obj_drop(), or adding it to a list again",
    "bpf_list_pop_back": "bpf_obj_drop(), or adding it to a list again",
    "bpf_rbtree_remove": "bpf_obj_drop(), or adding it to a tree again",
    "bpf_cpumask_create": "bpf_cpumask_release()",
    "bpf_get_task_exe_file": "bpf_put_file()",
}
LOCKS: Final = ("bpf_spin_lock", "bpf_res_spin_lock", "bpf_res_spin_lock_irqsave")


def release_of(name: str) -> str:
    """What gives back what a function acquired."""
    if name in RELEASES:
        return RELEASES[name]
    if name.startswith("bpf_iter_") and name.endswith("_new"):
        return f"{name.removesuffix('_new')}_destroy()"
    found = re.match(r"bpf_(\w+?)_(?:acquire|from|create|get)", name)
    return f"bpf_{found[1]}_release()" if found is not None else "the function made for it"


@rule("leaked-reference", r"Unreleased reference id=(\d+) alloc_insn=(\d+)")
def reference(case: Case, m: Match) -> None:
    out = case.out
    pc = int(m[2])
    name = case.rec.callee(case.rec.insns[pc]) if case.rec.insns[pc].code == CALL else case.rec.text(pc)
    made = [v for v in case.path if v.pc == pc]
    out.needed = "what was acquired must be given back on every path"
    out.known = f"what {name} returned at {case.at(pc)} is still held here"
    out.cause = "this path reaches its end without releasing it"
    case.lose(pc)
    apart = parting(case, made[-1].number) if made else None
    if name.startswith("bpf_iter_"):
        out.known = f"the iterator made by {name} at {case.at(pc)} is still there"
    if name == "bpf_ringbuf_reserve_dynptr":
        out.known = f"the dynptr made by {name} at {case.at(pc)} is still there"
    if name == "bpf_kptr_xchg":
        out.cause = "the old pointer that bpf_kptr_xchg returns belongs to the program, and is never released"
    if apart is not None:
        out.cause += f"; it left the way of the others at {case.at(apart.pc)}"
        case.lose(apart.pc)
        if name == "bpf_ringbuf_reserve_dynptr" and _result_branch(case, apart, made[-1]):
            out.cause += ", where reserving failed: the dynptr must be given back even then"
    out.advice.append(f"release on this path too: {release_of(name)}")
    if apart is not None:
        out.advice.append("one exit for all paths (goto out;) makes forgetting it hard")


def _result_branch(case: Case, branch: Visit, made: Visit) -> bool:
    """Whether a comparison is of R0, soon after the call."""
    insn = case.rec.insns[branch.pc]
    return insn.dst == 0 and branch.pc - made.pc <= 2


@rule(
    "no-reference",
    r"reference has not been acquired before",
    r"R(\d+) must be referenced when passed to release function",
    r"release kernel function (\w+) expects refcounted PTR_TO_BTF_ID",
    r"allocated object must be referenced",
    r"arg (\d+) is an unacquired reference",
)
def no_reference(case: Case, m: Match) -> None:
    regno = int(m[1] or m[3] or 1)
    case.follow(regno)
    name = case.rec.callee(case.insn)
    case.out.needed = f"{name} takes what the program itself acquired, and has not yet given back"
    case.out.cause = f"R{regno} is {case.show(case.reg(regno))}, which holds no reference on this path"
    case.out.advice.append("release once, the pointer that the acquiring function returned, and only that")
    if name == "bpf_kptr_xchg":
        case.out.advice = ["acquire it first (bpf_task_acquire() ...), check the result for NULL, and store that one"]
    elif case.events and case.events[0].kind == "load":
        case.out.advice.append("arguments and pointers read from structures are borrowed: they need no release")


@rule("offset-released", r"R(\d+) must have zero offset when passed to release func or trusted arg to kfunc")
def offset_released(case: Case, m: Match) -> None:
    regno = int(m[1])
    case.follow(regno)
    name = case.rec.callee(case.insn)
    case.out.needed = f"{name} takes the pointer as it was returned, without an offset"
    moved = next((e for e in reversed(case.events) if e.kind == "change"), None)
    case.out.cause = f"{case.reg(regno)[3]} was added to it"
    if moved is not None:
        case.out.cause += f" at {case.at(moved.pc)}"
        case.lose(moved.pc)
    case.out.advice.append("keep the first pointer in a variable of its own, and pass that one")


# --- sections ----------------------------------------------------------------------------------------------------------------


@rule("section-kept", r"(.*) cannot be used inside (bpf_\w+?)-ed region")
def section_kept(case: Case, m: Match) -> None:
    opener = {"bpf_spin_lock": LOCKS}.get(m[2], (m[2],))
    ends = m[2].replace("disable", "enable").replace("_save", "_restore").replace("read_lock", "read_unlock")
    ends = ends.replace("spin_lock", "spin_unlock")
    out = case.out
    opened = calls_of(case, *opener)
    out.needed = f"{ends}() must be called on every path before {_what(m[1])}"
    out.cause = f"the section is still open on this path: {_what(m[1])} comes before {ends}()"
    if opened:
        out.known = f"{case.rec.callee(case.rec.insns[opened[-1].pc])}() at {case.at(opened[-1].pc)} opened it"
        case.lose(opened[-1].pc)
        apart = parting(case, opened[-1].number)
        if apart is not None:
            out.cause += f"; the path left the way of the others at {case.at(apart.pc)}"
            case.lose(apart.pc)
    out.advice.append(f"call {ends}() on this path too, before it returns")


def _what(text: str) -> str:
    return "the end of the program" if "BPF_EXIT" in text else "the call" if "call" in text else text.strip()


@rule(
    "call-in-lock",
    r"function calls are not allowed while holding a lock|Acquiring the same lock again|Locking two",
)
def call_in_lock(case: Case, m: Match) -> None:
    out = case.out
    name = case.rec.callee(case.insn)
    opened = calls_of(case, *LOCKS)
    out.needed = "between lock and unlock no function may be called, but the unlock and those of lists and trees"
    out.cause = f"{name}() is called inside of it"
    if name in LOCKS:
        out.needed = "a program holds one lock at a time"
        out.cause = "a second lock is taken while the first is held"
        out.advice.append("unlock the first one before; where two values change together put both behind one lock")
    else:
        out.advice.append(f"call {name}() before the lock is taken, keep its result in a variable, and use that inside")
    if opened:
        out.known = f"the lock taken at {case.at(opened[-1].pc)} is held"
        case.lose(opened[-1].pc)


@rule("other-lock", r"\S+ of different lock$", r"unlock\S* cannot be out of order|^\S+ cannot be out of order$")
def other_lock(case: Case, m: Match) -> None:
    opened = calls_of(case, *LOCKS)
    case.follow(1)
    case.out.needed = "the lock that was taken must be the one that is given back"
    case.out.cause = "this is another lock (a value that was looked up again counts as another)"
    if opened:
        case.out.cause += f"; the one held was taken at {case.at(opened[-1].pc)}"
        case.lose(opened[-1].pc)
    case.out.advice.append("unlock through the same pointer: bpf_spin_unlock(&v->lock) with the v that was locked")


@rule("no-lock", r"\S+ without taking a lock$")
def no_lock(case: Case, m: Match) -> None:
    case.follow(1)
    case.out.needed = "a lock must be held to be unlocked"
    unlocked = calls_of(case, "bpf_spin_unlock")
    case.out.cause = "no lock is held on this path"
    case.lose(case.pc)
    if unlocked:
        case.out.cause += f": it was unlocked at {case.at(unlocked[-1].pc)} already"
        case.lose(unlocked[-1].pc)
    case.out.advice.append("call bpf_spin_lock() and bpf_spin_unlock() in pairs, on every path")


@rule("lock-touched", r"bpf_(\w+) cannot be accessed (directly by load/store|indirectly by helper)")
def touched(case: Case, m: Match) -> None:
    case.out.needed = f"struct bpf_{m[1]} is touched by its own functions only"
    case.out.cause = "the access covers it" + (
        ": the helper would read or write the whole value" if "indirectly" in m[2] else ""
    )
    case.lose(case.pc)
    case.out.advice.append("access the other members by name; copy single members, not the whole value")


@rule("lock-in-tracing", r"(tracing|socket filter) progs cannot use (.*) yet")
def lock_in_tracing(case: Case, m: Match) -> None:
    case.out.needed = f"a map whose value has no {m[2]}, for programs of this type"
    case.out.cause = f"{m[1]} programs may interrupt the holder of the lock, and would wait for ever"
    case.out.advice += [
        "use atomics: __sync_fetch_and_add(&v->count, 1), or a per-CPU map",
        "or take the lock in a program of another type (tc, xdp, fentry of kernels that allow it)",
    ]


@rule("no-section", r"unmatched (?:attempt to enable preemption|rcu read unlock) \(kernel function (\w+)\)")
def no_section(case: Case, m: Match) -> None:
    opener = m[1].replace("enable", "disable").replace("unlock", "lock")
    closed = calls_of(case, m[1])
    case.out.needed = f"{m[1]}() ends what {opener}() began"
    case.out.cause = "no such section is open on this path"
    if closed:
        case.out.cause += f": {case.at(closed[-1].pc)} has ended it already"
        case.lose(closed[-1].pc)
    case.out.advice.append(f"call {opener}() and {m[1]}() in pairs, on every path")


@rule("nested-section", r"nested rcu read lock \(kernel function (\w+)\)")
def nested_section(case: Case, m: Match) -> None:
    opened = calls_of(case, m[1])
    case.out.needed = "RCU sections do not nest in a program"
    case.out.cause = "one is open already"
    if opened:
        case.out.cause += f", since {case.at(opened[-1].pc)}"
        case.lose(opened[-1].pc)
    case.out.advice.append("one section around all that needs it, ended once on every path")


@rule(
    "sleep",
    r"helper call might sleep in a non-sleepable prog",
    r"sleepable helper (\S+) in (.*)",
    r"css_task_iter is only allowed in|Sleepable programs can only use array, hash",
    r"kernel func (\S+) is sleepable within (.*)",
    r"program must be sleepable to call sleepable kfunc (\S+)",
)
def sleeps(case: Case, m: Match) -> None:
    if not m[1] and "helper call" not in m[0] and not m[3] and not m[5]:
        case.out.needed = "what a sleepable program may use, or a program may use only if it sleeps"
        case.out.cause = case.last_line
        case.out.advice.append("load the program the other way: with or without .s in its section")
        return
    name = case.rec.callee(case.insn)
    where = m[2] or m[4]
    case.out.needed = "what may sleep is called in a sleepable program, outside of locked sections"
    if where:
        opened = calls_of(case, "bpf_rcu_read_lock", "bpf_preempt_disable", "bpf_local_irq_save")
        case.out.cause = f"{name}() may sleep, and this is a {where}"
        if opened:
            case.out.cause += f", opened at {case.at(opened[-1].pc)}"
            case.lose(opened[-1].pc)
        case.out.advice.append("call it before the section, or after; inside copy from kernel memory only")
        return
    case.out.cause = f"{name}() may sleep, and the program was not loaded as sleepable"
    case.lose(case.pc)
    case.out.advice.append('load it as sleepable: a section with .s, as in SEC("fentry.s/...") or SEC("lsm.s/...")')
    if name == "bpf_copy_from_user":
        case.out.advice.append("or bpf_probe_read_user(), which does not sleep and fails where the page is not there")


@rule("irq", r"irq flag|cannot restore irq state out of order")
def irq(case: Case, m: Match) -> None:
    found = re.search(r"arg#(\d+)", case.last_line)
    if found and case.path:
        case.follow(int(found[1]) + 1)
    case.out.needed = "interrupt flags lie on the stack, are saved once and restored once, the last one first"
    case.out.cause = case.last_line
    saved = calls_of(case, "bpf_local_irq_save", "bpf_local_irq_restore")
    if saved:
        case.lose(saved[-1].pc)
    case.out.advice.append("bpf_local_irq_save(&flags) and bpf_local_irq_restore(&flags) in pairs, on every path")
