"""Fields of the context: which a program may touch, and how."""

from __future__ import annotations

import re

from userbpf.isa import opcodes as op
from userbpf.spec.ctx import ctx_fields
from userbpf.spec.profiles import profile
from userbpf.spec.profiles.fields import CTX_FIELDS
from userbpf.verifier.explain import Case, rule
from userbpf.verifier.life import TYPED
from userbpf.verifier.rules.pointers import PROBES
from userbpf.verifier.rules.tools import Match, accessed
from userbpf.verifier.words import number


@rule("context", r"invalid bpf_context access off=(-?\d+) size=(\d+)")
def context(case: Case, m: Match) -> None:
    off, size = int(m[1]), int(m[2])
    out = case.out
    write = case.insn.code & 7 != op.BPF_LDX
    verb = "written" if write else "read"
    name = case.req.prog_type.c_name
    fields = ctx_fields(case.req.prog_type, int(case.req.expected_attach_type))
    row = next((f for f in fields if f.off <= off < f.off + f.size), None)
    out.needed = f"a field of the context that {name} programs may have {verb}, whole"
    case.lose(case.pc)
    if row is not None and not profile(case.req.kernel).has_all and _later(case, row.name):
        return
    if case.req.prog_type in TYPED:
        _argument(case, off, size, write)
    elif row is None and case.req.prog_type in PROBES:
        out.cause = f"at offset {off} the context of {name} has nothing, or nothing that may be {verb}"
        out.advice.append(
            "look at the record's layout: /sys/kernel/tracing/events/*/*/format, struct pt_regs of this machine"
        )
    elif row is None:
        out.cause = f"at offset {off} the context of {name} has no field that this program may use"
        out.advice.append("other program types have other fields: see the type in the section's name")
    elif write and not row.write:
        out.cause = f"{row.name} (offset {row.off}, {row.size} bytes) may be read, not written"
        out.advice.append("change the packet or the socket with the helpers of the program's type instead")
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


def _later(case: Case, name: str) -> bool:
    """Whether a field came after the release that is asked for."""
    for (_, own), (release, _) in CTX_FIELDS.items():
        if own == name and tuple(map(int, release.split("."))) > profile(case.req.kernel).release:
            case.out.cause = f"{name} is there since Linux {release}; this is {case.req.kernel}"
            case.out.advice.append("choose by kernel at load: a const volatile flag set by the loader")
            return True
    return False


def _argument(case: Case, off: int, size: int, write: bool) -> None:
    out = case.out
    out.needed = "an argument of what the program is attached to: ctx[0] is the first, 8 bytes each"
    missing = re.search(r"func '(\S+)' doesn't have (\d+)-th argument", case.message)
    if write:
        out.cause = "arguments may be read, not written"
        out.advice.append("what a program changes it changes through helpers or its return value (fmod_ret, lsm)")
    elif missing is not None:
        out.cause = f"{missing[1]} has no argument {missing[2]}: ctx[{off // 8}] does not exist"
        out.advice.append("count the arguments of the function in this kernel's BTF: they differ between releases")
        out.advice.append("fexit has the return value behind the last argument, fentry has none")
    elif off % 8 or size != 8:
        out.cause = f"this reads {size} bytes at offset {off}, which is no whole argument"
        out.advice.append("BPF_PROG(name, type a, type b) declares them as they are")
    else:
        out.cause = f"ctx[{off // 8}] (offset {off}) does not exist, or is of a type that a program may not read"
        out.advice.append("count the arguments of the function in this kernel's BTF: they differ between releases")


@rule(
    "context-offset",
    r"dereference of modified (\w+) ptr R(\d+) off=(-?\d+) disallowed",
    r"variable (\S+) access var_off=",
    r"negative offset (\w+) ptr R(\d+) off=(-?\d+) disallowed",
)
def context_offset(case: Case, m: Match) -> None:
    regno = int(m[2] or m[6] or accessed(case))
    case.follow(regno)
    what = m[1] or m[4] or m[5]
    case.out.needed = f"a {what} pointer must be used as it was given, with the field's offset in the instruction"
    case.out.cause = "arithmetic changed it before the access"
    moved = next((e for e in reversed(case.events) if e.kind == "change"), None)
    if moved is not None:
        case.out.cause = f"arithmetic at {case.at(moved.pc)} changed it before the access: {moved.text}"
        case.lose(moved.pc)
    found = case.addend()
    if found is not None:
        case.out.cause += f" (the index is {number(found[2][1])})"
        case.out.advice.append(
            "an index into ctx->cb[], ctx->args[] and the like must be a constant: #pragma unroll, or a switch"
        )
    case.out.advice += [
        "access fields by name, with the field's offset in the instruction",
        "keep the compiler from adding the offset first: read the field before the branches that use it",
    ]


@rule("socket-field", r"R(\d+) invalid (\w+) access off=(-?\d+) size=(\d+)")
def socket_field(case: Case, m: Match) -> None:
    case.follow(int(m[1]))
    case.out.needed = f"a field of a {m[2]} that programs may access, with its own width"
    case.out.cause = f"{m[4]} bytes at offset {m[3]} are no such field, or it may not be written"
    case.lose(case.pc)
    case.out.advice += [
        "access the fields of struct bpf_sock (bpf_tcp_sock) by name",
        "bpf_sk_fullsock() and bpf_tcp_sock() give the pointer with more fields, and may return NULL",
    ]


@rule("flow-keys", r"invalid access to flow keys off=(-?\d+) size=(\d+)")
def flow_keys(case: Case, m: Match) -> None:
    case.follow(accessed(case))
    case.out.needed = "the access must lie within struct bpf_flow_keys"
    case.out.cause = f"it reaches bytes {m[1]} to {int(m[1]) + int(m[2]) - 1}"
    case.out.advice.append("access the keys by the names of struct bpf_flow_keys")
