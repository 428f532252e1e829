"""BTF pointers, kernel functions, what a program is attached to."""

from __future__ import annotations

import re
from typing import Final

from userbpf.spec.profiles import kfunc_since, profile
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.regs import RCU, SCALAR, TRUSTED, UNTRUSTED
from userbpf.verifier.rules.packets import lost_by_move
from userbpf.verifier.rules.tools import Match, accessed, calls_of, last_of

ACQUIRE: Final = "acquire it (bpf_task_acquire(), bpf_cgroup_acquire() ...) and check the result for NULL"


# --- pointers of the kernel's types ------------------------------------------------------------------------------------------


@rule("btf-write", r"only read (?:from (\S+) )?is supported")
def btf_write(case: Case, m: Match) -> None:
    case.follow(case.insn.dst)
    case.out.needed = "the kernel's structures are read, not written"
    case.out.cause = f"{case.at(case.pc)} writes through R{case.insn.dst}, {case.show(case.reg(case.insn.dst))}"
    case.lose(case.pc)
    case.out.advice += [
        "keep what belongs to an object in a map: bpf_task_storage_get(), bpf_sk_storage_get(), or a hash by its pointer",
        "some types change fields by helpers or kernel functions of their own (bpf_setsockopt(), struct_ops)",
    ]


@rule(
    "btf-access",
    r"access beyond struct (\w+) at off (\d+) size (\d+)",
    r"access beyond the end of member (\w+)",
    r"cannot access ptr member (\w+)",
    r"struct (\w+) doesn't have field at offset (\d+)",
    r"(?:Type '\w+' is not a struct|field \w+ doesn't have size)",
)
def btf_access(case: Case, m: Match) -> None:
    regno = accessed(case)
    case.follow(regno)
    case.out.needed = "the access must be of a member of the kernel's structure, whole"
    case.out.cause = case.last_line
    moved = last_of(case.events, "change")
    case.lose(moved.pc if moved is not None else case.pc)
    if m[1] and m[2]:
        case.out.cause = f"struct {m[1]} of this kernel ends before offset {m[2]}"
        case.out.advice.append(
            "an array behind a pointer is not indexed directly: bpf_probe_read_kernel(&x, sizeof x, &p[i])"
        )
    elif m[5]:
        case.out.cause = f"member {m[5]} is a pointer and read with another size"
    case.out.advice.append(
        "compile with CO-RE (BPF_CORE_READ, preserve_access_index) against vmlinux.h: offsets differ between kernels"
    )


@rule(
    "btf-offset",
    r"R(\d+) is (?:ptr_)?(\w*) (?:invalid (?:negative access|variable offset)|access (?:percpu|user) memory): off=(-?\d+)",
)
def btf_offset(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = f"members of {m[2]} are read at constant offsets, of kernel memory"
    case.out.cause = case.last_line.partition(" is ")[2]
    moved = last_of(case.events, "change")
    if moved is not None:
        case.lose(moved.pc)
    if "variable" in m[0]:
        case.out.advice.append("an index that varies: bpf_probe_read_kernel(&x, sizeof x, &p->array[i])")
    elif "percpu" in m[0]:
        case.out.advice.append("bpf_per_cpu_ptr(p, cpu) or bpf_this_cpu_ptr(p) first")
    elif "user" in m[0]:
        case.out.advice.append("bpf_probe_read_user(), or bpf_copy_from_user() in a sleepable program")
    else:
        case.out.advice.append("container_of() backwards works by bpf_core_cast() or bpf_probe_read_kernel() only")


@rule(
    "untrusted",
    r"R(\d+) must be (referenced or trusted|a rcu pointer)",
    r"R(\d+) is (?:\w+ )?ptr_\w+ invalid",
    r"kernel func (\w+) requires RCU critical section protection",
)
def untrusted(case: Case, m: Match) -> None:
    regno = int(m[1] or m[3] or 1)
    events = case.follow(regno)
    name = case.rec.callee(case.insn)
    reg = case.reg(regno)
    out = case.out
    rcu = m[2] == "a rcu pointer"
    out.needed = f"argument {regno} of {name} must be a trusted pointer: an argument of the program, or acquired"
    if rcu:
        out.needed += ", or read inside an RCU section"
    closed = calls_of(case, "bpf_rcu_read_unlock")
    made = events[0] if events else None
    out.cause = f"it is {case.show(reg)}"
    if made is not None and made.kind == "load":
        out.cause = f"it was read from a structure ({case.at(made.pc)}): such a pointer is good for reading only"
        case.lose(made.pc)
    fell = next(
        (
            e
            for e in reversed(events)
            if e.kind == "change" and e.old and e.old[0] & RCU and e.new and not e.new[0] & RCU
        ),
        None,
    )
    if fell is not None or (closed and made is not None and closed[-1].number > made.number):
        at = fell.pc if fell is not None else closed[-1].pc
        out.cause = f"the RCU section that protected it ended at {case.at(at)}"
        out.advice.append("use it, or acquire it, before bpf_rcu_read_unlock()")
        case.lose(at)
    elif reg[0] & UNTRUSTED or (case.ck.sleepable and not calls_of(case, "bpf_rcu_read_lock")):
        out.advice.append("read the member between bpf_rcu_read_lock() and bpf_rcu_read_unlock(), and use it there")
    elif not reg[0] & (TRUSTED | RCU):
        out.advice.append(
            "few members are safe to follow (cgroups, real_parent under RCU ...); others are read by BPF_CORE_READ() only"
        )
        out.advice.append(
            "or look the object up by its number: bpf_task_from_pid(BPF_CORE_READ(p, pid)), bpf_cgroup_from_id() ..."
        )
    if "acquire" not in name:
        out.advice.append(ACQUIRE)


@rule(
    "kfunc-argument",
    r"arg#(\d+) pointer type (\w+) (\S+) must point to",
    r"kernel function (\S+) args#(\d+) expected pointer to (\w+) (\S+) but R(\d+) has a pointer to (\S+) (\S+)",
    r"arg#(\d+) expected pointer to ctx, but got (.*)",
    r"arg#(\d+) is (\S+) expected (\S+) or socket",
    r"arg(\d+) expected pointer to func",
    r"pointer in R(\d+) isn't map pointer",
    r"arg#(\d+) doesn't point to (.*)",
    r"bpf_rdonly_cast",
    r"more than one arg with ref_obj_id R(\d+)",
    r"Helper has invalid btf_id in R(\d+)",
)
def kfunc_argument(case: Case, m: Match) -> None:
    found = re.search(r"\bR(\d+)\b", m[0]) or re.search(r"arg#?(\d+)", m[0])
    regno = int(found[1]) + (not found[0].startswith("R")) if found is not None else 1
    events = case.follow(regno)
    name = case.rec.callee(case.insn)
    out = case.out
    want = f"a pointer to {m[3]}" if m[3] else f"a pointer to {m[7]}" if m[7] else "what its prototype says"
    out.needed = f"argument {regno} of {name} must be {want}"
    out.cause = f"it is {case.show(case.reg(regno))}"
    released = last_of(events, "released")
    case.lose(case.pc)
    if lost_by_move(case, events) is not None:
        return
    if released is not None:
        out.cause = f"{released.text} ({case.at(released.pc)})"
        case.lose(released.pc)
        out.advice.append("use the object before it is released, or acquire it once more before")
    elif case.reg(regno)[0] == SCALAR:
        if events:
            case.lose(events[0].pc)
        out.advice.append(
            "a number is no kernel pointer: take one from a typed argument (fentry, tp_btf, lsm), or acquire one"
        )
    else:
        out.advice.append("compare the call with the kernel function's prototype in vmlinux.h")


@rule(
    "kfunc",
    r"calling kernel function (\S+) is not allowed",
    r"kernel function (\S+) is not supported|metadata kfuncs require device-bound program",
    r"failed to find BTF for kernel function|calling kernel function is not supported without",
    r"kernel (?:btf_id|function btf_id) (\d+)",
    r"cannot find address for kernel function (\S+)|invalid kernel function call not eliminated",
)
def kfunc(case: Case, m: Match) -> None:
    out = case.out
    name = m[1] or m[2] or m[4] or "the function"
    out.needed = f"a kernel function that {case.req.prog_type.c_name} programs may call"
    if case.path:
        case.lose(case.pc)
    came = kfunc_since(name, case.req.prog_type)
    if came is not None and not profile(case.req.kernel).reaches(came):
        out.cause = f"{name} is there since Linux {came}; this is {case.req.kernel}"
        out.advice.append("declare it __weak and ask before: if (bpf_ksym_exists(f)) f(...);")
        return
    out.cause = f"{name} is not among those of this type" if m[1] else case.last_line
    out.advice.append(
        "kernel functions are allowed by program type (and some by device or attach point): see their documentation"
    )
    out.advice.append("declare it __weak and ask before: if (bpf_ksym_exists(f)) f(...);")


# --- attaching ---------------------------------------------------------------------------------------------------------------


@rule("not-sleepable", r"(\S+) is not sleepable$")
def not_sleepable(case: Case, m: Match) -> None:
    case.out.needed = "a function that a sleepable program may be attached to"
    case.out.cause = f"{m[1]} may be called where nothing may sleep"
    case.out.advice += [
        "sleepable are: system calls, functions open to error injection, most LSM hooks, uprobes, iterators, syscall programs",
        'drop the .s of the section: SEC("fentry/...")',
    ]


@rule("not-modifiable", r"(\S+)\(\) is not modifiable|can't modify return codes of BPF programs")
def not_modifiable(case: Case, m: Match) -> None:
    case.out.needed = "a function whose return value fmod_ret may change"
    case.out.cause = f"{m[1] or 'the program'} is neither open to error injection nor a security_ hook"
    case.out.advice.append('attach to the LSM hook: SEC("lsm/..."), or only look: SEC("fexit/...")')


@rule(
    "attach",
    r"attach_btf_id|Attaching .* (?:is rejected|to function)|can be sleepable|Syscall programs can only be sleepable|"
    r"The function \S+ (?:arg\d+|has|return|with)|must provide btf_id|Cannot (?:extend|recursively|replace)|"
    r"The address of function|"
    r"Subprog \S+ doesn't exist|attach to (?:invalid|unsupported) member|FENTRY/FEXIT program can only|Can attach to only JITed",
    r"func \S+ (?:not supported for program type|supported only for)|points to disabled hook|points to wrong type name",
)
def attach(case: Case, m: Match) -> None:
    case.out.needed = "something to attach to that this type of program may be attached to"
    case.out.cause = case.last_line
    case.out.advice += [
        "look whether this kernel has the function, and with these arguments: bpftool btf dump, /proc/kallsyms",
        "functions that the compiler inlined, or that are marked notrace, cannot be traced",
    ]


@rule(
    "extension",
    r"(\w+)\(\) (?:has \d+ args while|is not a global function)|arg\d+ in (\w+)\(\)|arg\d+ (\w+)\(struct",
    r"Extension program|Program extension requires BTF",
)
def extension(case: Case, m: Match) -> None:
    case.out.needed = "a function that replaces another has its prototype, and does no more than it may"
    case.out.cause = case.last_line
    case.out.advice.append("declare it as the target is declared, argument for argument; the target must be global")


@rule(
    "type-info",
    r"line_info\[|func_info|bpf_line_info for|missing btf func_info",
    r"ldimm64|pseudo btf_id|kernel is missing BTF|resolve the size of type",
)
def type_info(case: Case, m: Match) -> None:
    case.out.needed = "type and line information that fits the instructions, and the kernel's own types"
    case.out.cause = case.last_line
    case.out.advice.append(
        "compile with -g and load with a loader that moves func_info and line_info along (libbpf, cilium/ebpf)"
    )
    case.out.advice.append("variables of the kernel (__ksym) must be in this kernel's BTF and kallsyms")


@rule(
    "arena",
    r"associated arena|required to use arena|one arena per program|arena's user address",
    r"convert between address space|access to arena is not supported",
)
def arena(case: Case, m: Match) -> None:
    case.out.needed = "pointers of address space 1 belong to the program's arena, a map of type BPF_MAP_TYPE_ARENA"
    case.out.cause = case.last_line
    case.lose(case.pc)
    case.out.advice.append(
        "use the arena's map in the program (declare it, and name it in one call), and __arena for its pointers"
    )


@rule(
    "map-use",
    r"fd (-?\d+) is not pointing to valid bpf_map|The total number of maps|direct value offset of (\d+)",
    r"no direct value access support|fd_idx without fd_array|unrecognized bpf_ld_imm64",
)
def map_use(case: Case, m: Match) -> None:
    case.out.needed = "each map of the program must be open, and of a kind that the reference may mean"
    case.out.cause = case.last_line
    if case.path:
        case.lose(case.pc)
    case.out.advice.append(
        "load maps before programs and keep them open; relocate references with a loader, not by hand"
    )
    if m[1]:
        case.out.advice.append(
            "a string or constant passed where a map is meant gives this as well: check the first argument"
        )
