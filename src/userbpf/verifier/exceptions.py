"""Exceptions: a program that throws ends at once, whichever function it is in, and its handler says what it returns.

The handler is a global function of one number, named by a tag of the main program; nothing calls it. Without one the cookie
is the result. A throw does not come back through a helper: functions that a helper calls must not throw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.btf import Btf, Func
from userbpf.verifier import btf_info
from userbpf.verifier.cfg import CALL, LDDW, PSEUDO_CALL, PSEUDO_FUNC, PSEUDO_KFUNC
from userbpf.verifier.reject import EEXIST, EINVAL, ENOENT, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

TAG: Final = "exception_callback:"
THROW: Final = "bpf_throw"


def handler_start(ck: Checker) -> int | None:
    """The first instruction of the handler that a tag of the main program names."""
    btf, info = ck.req.btf, ck.req.func_info
    if btf is None or not info or TAG.encode() not in btf.strings_raw:
        return None
    named = [t.name.removeprefix(TAG) for t in btf.tags_of(info[0][1]) if t.component == -1 and t.name.startswith(TAG)]
    if not named:
        return None
    if len(named) > 1:
        raise Reject(EEXIST, "multiple exception callback tags for main subprog")
    return _start(ck, btf, named[0])


def _start(ck: Checker, btf: Btf, name: str) -> int:
    func = btf.find(name, Func)
    if func is None:
        raise Reject(ENOENT, f"exception callback '{name}' could not be found in BTF")
    if func.linkage != btf_info.GLOBAL:
        raise Reject(EINVAL, f"exception callback '{name}' must have global linkage")
    start = next((off for off, type_id in ck.req.func_info if type_id == func.id), 0)
    if not start:
        raise Reject(EINVAL, "exception callback type id not found in func_info")
    return start


def check_arguments(func: btf_info.FuncBtf) -> None:
    """What the handler takes: the cookie."""
    if func.args is None or [arg.kind for arg in func.args] != ["scalar"]:
        raise Reject(EINVAL, "exception cb only supports single integer argument")


def check_calls(ck: Checker) -> None:
    """Nothing calls the handler, and nothing that a helper calls, or the handler, throws."""
    thrown = {key for key, kfunc in ck.kfuncs.items() if kfunc.name == THROW}
    if not thrown and ck.handler is None:
        return
    seen: set[tuple[int, bool]] = set()
    for root in sorted({0, *ck.async_subprogs} | ({ck.handler} if ck.handler is not None else set())):
        _visit(ck, root, False, thrown, seen)


def _visit(ck: Checker, number: int, inside: bool, thrown: set[tuple[int, int]], seen: set[tuple[int, bool]]) -> None:
    """One function and those it calls; chains of calls are short, which was checked before."""
    sub = ck.subprogs[number]
    inside = inside or sub.callback or number == ck.handler
    if (number, inside) in seen:
        return
    seen.add((number, inside))
    for pc in range(sub.start, sub.end):
        insn = ck.insns[pc]
        if insn.code == CALL and insn.src == PSEUDO_KFUNC:
            if inside and (insn.imm, insn.off) in thrown:
                text = f"{THROW} kfunc (insn {pc}) cannot be called from callback subprog {number}"
                raise Reject(EINVAL, text)
        elif (insn.code == CALL and insn.src == PSEUDO_CALL) or (insn.code == LDDW and insn.src == PSEUDO_FUNC):
            callee = ck.cfg.subprog_of[pc + insn.imm + 1]
            if callee == ck.handler:
                ck.log.raw(f"insn {pc} cannot call exception cb directly")
                raise Reject(EINVAL)
            if insn.code == CALL or callee not in ck.async_subprogs:
                _visit(ck, callee, inside, thrown, seen)
