"""Functions of the program: global ones are verified by themselves, so their callers are held to their prototypes."""

from __future__ import annotations

import re

from userbpf.verifier.explain import Case, rule
from userbpf.verifier.rules.tools import Match
from userbpf.verifier.words import wanted


@rule("global-arguments", r"Caller passes invalid args into func#(\d+) \('(\w+)'\)")
def global_arguments(case: Case, m: Match) -> None:
    out = case.out
    before = case.message.splitlines()[0]
    named = re.search(r"\bR(\d)\b", before)
    regno = int(named[1]) if named is not None else 0
    if regno:
        case.follow(regno)
    out.needed = f"the arguments must be what {m[2]}'s prototype promises: it is verified by itself, for all of them"
    out.cause = before if before != case.last_line else "an argument does not fit"
    expected = re.search(r"type=\S+ expected=(.*)", before)
    size = re.search(r"size[=_](\d+)\b", before)
    if regno and expected is not None:
        out.cause = f"argument {regno} is {case.show(case.reg(regno))}, where {wanted(expected[1])} is promised"
    elif regno and size is not None:
        out.cause = f"argument {regno} is {case.show(case.reg(regno))}, and has not the {size[1]} bytes of the type it points to"
    nonnull = re.search(r"arg#(\d+) is expected to be non-NULL", before)
    if nonnull is not None:
        regno = int(nonnull[1]) + 1
        case.follow(regno)
        out.cause = f"argument {regno} is {case.show(case.reg(regno))}, and is declared __arg_nonnull"
    if case.out.lost is None:
        case.lose(case.events[0].pc if nonnull is not None and case.events else case.pc)
    if "null" in before.lower():
        out.advice.append("check before the call: if (!pointer) return ...;")
    else:
        out.advice.append("a pointer argument is memory as large as its type: pass an object of that type")
    out.advice.append("make the function static: then it is verified together with its caller")


def alone(case: Case) -> str:
    """The name of the global function that is being verified by itself, "" outside of one."""
    if not case.path or case.path[0].pc == 0:
        return ""
    starts = case.ck.cfg.starts
    number = next((n for n, start in enumerate(starts) if start == case.path[0].pc), None)
    return (case.ck.subprogs[number].name or f"func#{number}") if number is not None else ""
