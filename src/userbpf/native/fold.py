"""What is known of values while a native function is lowered: operations on constants, and what two ways agree on."""

from __future__ import annotations

import ast

from userbpf.native.intrinsics import M64
from userbpf.native.lang import Sym

State = dict[str, int | None]  # assigned locals; an int (or Sym) where the value is known


def fold_binary(op: ast.operator, x: int, y: int) -> int | None:
    """The u64 result of an operation on constants; None where it has none."""
    match op:
        case ast.Add():
            return (x + y) & M64
        case ast.Sub():
            return (x - y) & M64
        case ast.Mult():
            return (x * y) & M64
        case ast.FloorDiv():
            return x // y if y else None
        case ast.Mod():
            return x % y if y else None
        case ast.LShift():
            return (x << (y & 63)) & M64
        case ast.RShift():
            return x >> (y & 63)
        case ast.BitAnd():
            return x & y
        case ast.BitOr():
            return x | y
        case _:
            return x ^ y


def fold_unary(op: ast.unaryop, x: int) -> int:
    return (-x if isinstance(op, ast.USub) else ~x if isinstance(op, ast.Invert) else x) & M64


def compare(op: ast.cmpop, x: int, y: int) -> bool:
    match op:
        case ast.Eq():
            return x == y
        case ast.NotEq():
            return x != y
        case ast.Lt():
            return x < y
        case ast.LtE():
            return x <= y
        case ast.Gt():
            return x > y
        case _:
            return x >= y


def is_known(v: object) -> bool:
    """A number known now: a Sym is constant, but its number is not known before the link."""
    return isinstance(v, int) and not isinstance(v, Sym)


def join(a: State | None, b: State | None) -> State | None:
    if a is None or b is None:
        return a if b is None else b
    return {n: (v if same(v, b[n]) else None) for n, v in a.items() if n in b}


def same(a: int | None, b: int | None) -> bool:
    if isinstance(a, Sym) or isinstance(b, Sym):
        return isinstance(a, Sym) and isinstance(b, Sym) and a.name == b.name
    return a == b
