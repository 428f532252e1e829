"""Programs that replace a global function of another program (BPF_PROG_TYPE_EXT, freplace).

Such a program is checked as if it were of the other one's type: its helpers, its context. Its main function takes the arguments
of the prototype, which must be that of the function it replaces, and may return any number. From documentation;
loading such programs is not permitted everywhere, so these rules were not asked.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from userbpf.btf import Btf, Composite, Enum, Func, FuncProto, Int, Ptr, Type
from userbpf.verifier.btf_info import GLOBAL
from userbpf.verifier.btfwalk import shown
from userbpf.verifier.reject import EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker


def enter(ck: Checker, btf: Btf, target: Func, proto: FuncProto) -> None:
    """The prototypes agree; from here on the program is of the other one's type."""
    from userbpf.verifier.context import CtxRules

    req = ck.req
    prog = req.attach_prog
    assert prog is not None
    if ck.prog_btf is None or not ck.prog_btf.funcs:
        raise Reject(EINVAL, "Program extension requires BTF")
    own = ck.prog_btf.funcs[0]
    same_prototype(ck.prog_btf.btf, own.name, own.linkage, own.proto, btf, target, proto)
    ck.extends = True
    ck.req = dataclasses.replace(req, prog_type=prog.prog_type, expected_attach_type=prog.expected_attach_type)
    ck.ctx_rules = CtxRules(prog.prog_type, int(prog.expected_attach_type), ck.profile)


def same_prototype(
    btf: Btf, name: str, linkage: int, proto: FuncProto, other: Btf, target: Func, wanted: FuncProto
) -> None:
    """Result and arguments of the two are of the same kind and size; structures are compared by name."""
    for each, link in ((name, linkage), (target.name, target.linkage)):
        if link != GLOBAL:
            raise Reject(EINVAL, f"{each}() is not a global function")
    mine, theirs = len(proto.params), len(wanted.params)
    if mine != theirs:
        raise Reject(EINVAL, f"{name}() has {mine} args while {target.name}() has {theirs} args")
    a, b = btf.resolve(proto.type), other.resolve(wanted.type)
    if _kind(a) != _kind(b):
        text = f"Return type {_text(a)} of {name}() doesn't match type {_text(b)} of {target.name}()"
        raise Reject(EINVAL, text)
    for number, (one, two) in enumerate(zip(proto.params, wanted.params, strict=True)):
        _argument(number, btf, btf.resolve(one.type), name, other, other.resolve(two.type), target.name)


def _argument(number: int, btf: Btf, a: Type, name: str, other: Btf, b: Type, target: str) -> None:
    if _kind(a) != _kind(b):
        raise Reject(EINVAL, f"arg{number} in {name}() is {_text(a)} while {target}() has {_text(b)}")
    if isinstance(a, (Int, Enum, Composite)) and isinstance(b, (Int, Enum, Composite)) and a.size != b.size:
        raise Reject(EINVAL, f"arg{number} in {name}() has size {a.size} while {target}() has {b.size}")
    if isinstance(a, (Int, Enum)):
        return
    if not isinstance(a, Ptr) or not isinstance(b, Ptr):
        raise Reject(EINVAL, f"arg{number} in {name}() has unrecognized type")
    to, wanted = btf.resolve(a.type), other.resolve(b.type)
    for side, each in ((name, to), (target, wanted)):
        if not isinstance(each, Composite):
            raise Reject(EINVAL, f"arg{number} in {side}() is not a pointer to context")
    if to.name != wanted.name:
        raise Reject(
            EINVAL,
            f"arg{number} {name}(struct {shown(to)} *) doesn't match {target}(struct {shown(wanted)} *)",
        )


def _kind(t: Type) -> tuple[int, int]:
    """Kind and number of parts, as BTF packs them."""
    return t.KIND, len(t.values) if isinstance(t, Enum) else len(t.members) if isinstance(t, Composite) else 0


def _text(t: Type) -> str:
    from userbpf.verifier.attach import kind_text

    return kind_text(t)
