"""The CPython speed: the same function with its arithmetic wrapped at 64 bits.

The tree is rewritten once and compiled by CPython. Sums, differences, products, left shifts and bit operations may leave
the u64 range inside an expression, since they agree modulo 2**64; they are masked only where the value is looked at: stored in
a local, compared, divided, shifted right, passed on. Constants from outside become literals, native callees are called as
plain functions, and most intrinsics become the expressions of their rows.
"""

from __future__ import annotations

import ast
import copy
import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

from userbpf.native.intrinsics import INLINE_NAMES, M64, Intrinsic
from userbpf.native.lang import Definition, NativeFn, Sym

_RING = (ast.Add, ast.Sub, ast.Mult, ast.LShift)  # may leave the range
_BITS = (ast.BitAnd, ast.BitOr, ast.BitXor)


_lock = threading.RLock()
_active: set[Definition] = set()


def python_form(defn: Definition) -> Callable[..., int]:
    """The function that CPython runs, made once."""
    if defn.python is None:
        with _lock:
            if defn.python is None:
                _active.add(defn)
                try:
                    defn.python = _Rewrite(defn).build()
                finally:
                    _active.discard(defn)
    return defn.python


def _callee(fn: NativeFn[...]) -> Callable[..., int]:
    """What a call of `fn` calls: its CPython form itself, or a detour where that is still in the making (recursion)."""
    return _late(fn) if fn.defn in _active else fn.python


def _late(fn: NativeFn[...]) -> Callable[..., int]:
    """Calls a function whose CPython form may still be in the making (recursion)."""

    def late(*args: int, **consts: Any) -> int:
        return fn.python(*args, **consts)

    return late


@functools.cache
def _template(row_name: str, text: str) -> ast.expr:
    return ast.parse(text.format("_0", "_1", "_2"), mode="eval").body


class _Fill(ast.NodeTransformer):
    def __init__(self, args: list[ast.expr]) -> None:
        self.args = args

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("_0", "_1", "_2"):
            return self.args[int(node.id[1])]
        return node


def _mask(e: ast.expr) -> ast.expr:
    if isinstance(e, ast.Constant) and isinstance(e.value, int):
        return ast.Constant(e.value & M64)
    return ast.BinOp(e, ast.BitAnd(), ast.Constant(M64))


class _Rewrite:
    def __init__(self, defn: Definition) -> None:
        self.defn = defn
        self.names: dict[str, Any] = dict(INLINE_NAMES)
        self.kept = 0

    def build(self) -> Callable[..., int]:
        tree = copy.deepcopy(self.defn.tree)
        tree.decorator_list = []
        tree.returns = None
        for arg in (*tree.args.args, *tree.args.kwonlyargs):
            arg.annotation = None
        for i, (arg, default) in enumerate(zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True)):
            if default is not None:
                value = self.defn.fn.__kwdefaults__[arg.arg]  # type: ignore[index]
                self.names[f"_default_{arg.arg}"] = self.defn.const_value(arg.arg, value)
                tree.args.kw_defaults[i] = ast.Name(f"_default_{arg.arg}", ast.Load())
        tree.body = [*self.block(tree.body), ast.Return(ast.Constant(0))]
        module = ast.fix_missing_locations(ast.Module([tree], []))
        exec(compile(module, self.defn.fn.__code__.co_filename, "exec"), self.names)
        result: Callable[..., int] = self.names[tree.name]
        return result

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [ast.copy_location(self.statement(s), s) for s in body]

    def statement(self, s: ast.stmt) -> ast.stmt:
        match s:
            case ast.Expr(value=ast.Call() as call):
                return ast.Expr(self.call(call, dropped=True))
            case ast.Assign(targets=[ast.Tuple() as target], value=ast.Tuple(elts=values)):
                return ast.Assign([target], ast.Tuple([self.value(v) for v in values], ast.Load()))
            case ast.Assign(targets=targets, value=value):
                return ast.Assign(targets, self.value(value))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                return ast.Assign([target], self.value(ast.BinOp(ast.Name(name, ast.Load()), op, value)))
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                return ast.Assign([target], self.value(value))
            case ast.If():
                return ast.If(self.truth(s.test), self.block(s.body), self.block(s.orelse))
            case ast.While():
                return ast.While(self.truth(s.test), self.block(s.body), [])
            case ast.For():
                return ast.For(s.target, self.iterable(s.iter), self.block(s.body), [])
            case ast.Return():
                return ast.Return(self.value(s.value) if s.value else ast.Constant(0))
            case _:
                return s

    def iterable(self, it: ast.expr) -> ast.expr:
        match it:
            case ast.Call(args=args):
                # Bounds are signed here: range(n - 1, -1, -1) counts down to 0.
                self.names["_range"], self.names["_bound"] = range, _bound
                bounds: list[ast.expr] = [ast.Call(ast.Name("_bound", ast.Load()), [self.value(a)], []) for a in args]
                return ast.Call(ast.Name("_range", ast.Load()), bounds, [])
            case ast.Tuple(elts=elts):
                return ast.Tuple([self.value(e) for e in elts], ast.Load())
            case _:
                values = self.defn.constant(it)
                return ast.Tuple([ast.Constant(v) for v in values], ast.Load())

    def truth(self, e: ast.expr) -> ast.expr:
        """An expression that is only asked for its truth."""
        match e:
            case ast.BoolOp(op=op, values=values):
                return ast.BoolOp(op, [self.truth(v) for v in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ast.UnaryOp(ast.Not(), self.truth(operand))
            case ast.Compare():
                return self.compare(e)
            case _:
                return self.value(e)

    def compare(self, e: ast.Compare) -> ast.expr:
        return ast.Compare(self.value(e.left), e.ops, [self.value(c) for c in e.comparators])

    def value(self, e: ast.expr) -> ast.expr:
        """An expression whose value is in the u64 range."""
        out, exact = self.wide(e)
        return ast.copy_location(out if exact else _mask(out), e)

    def wide(self, e: ast.expr) -> tuple[ast.expr, bool]:
        """An expression that is right modulo 2**64, and whether it is in the range."""
        match e:
            case ast.Constant(value=int() as value):
                return ast.Constant(value & M64), True
            case ast.Name() | ast.Attribute():
                return self.name(e), True
            case ast.BinOp():
                return self.binary(e)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ast.UnaryOp(ast.UAdd(), ast.UnaryOp(ast.Not(), self.truth(operand))), True
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.wide(operand)
            case ast.UnaryOp(op=op, operand=operand):
                return ast.UnaryOp(op, self.wide(operand)[0]), False
            case ast.BoolOp(op=op, values=values):
                return ast.BoolOp(op, [self.value(v) for v in values]), True
            case ast.Compare():
                return ast.UnaryOp(ast.UAdd(), self.compare(e)), True
            case ast.IfExp():
                return ast.IfExp(self.truth(e.test), self.value(e.body), self.value(e.orelse)), True
            case ast.Call():
                return self.call(e), True
        raise self.defn.error(e, f"expression {type(e).__name__} is outside the native subset")

    def binary(self, e: ast.BinOp) -> tuple[ast.expr, bool]:
        op = e.op
        if isinstance(op, ast.LShift | ast.RShift):
            count = self.value(e.right)
            if isinstance(count, ast.Constant) and isinstance(count.value, int):
                count = ast.Constant(count.value & 63)
            else:
                count = ast.BinOp(count, ast.BitAnd(), ast.Constant(63))
            return ast.BinOp(self.value(e.left), op, count), isinstance(op, ast.RShift)
        if not isinstance(op, _RING + _BITS):  # // and %
            return ast.BinOp(self.value(e.left), op, self.value(e.right)), True
        left, left_exact = self.wide(e.left)
        right, right_exact = self.wide(e.right)
        if isinstance(op, ast.Mult):  # keeps numbers small
            left, right = (left if left_exact else _mask(left)), (right if right_exact else _mask(right))
        if isinstance(op, ast.BitAnd):
            return ast.BinOp(left, op, right), left_exact or right_exact
        return ast.BinOp(left, op, right), isinstance(op, _BITS) and left_exact and right_exact

    def name(self, e: ast.expr) -> ast.expr:
        if isinstance(e, ast.Name) and e.id in self.defn.locals:
            return e
        value = self.defn.constant(e)
        if isinstance(value, NativeFn):
            return self.outside(value, _late(value))
        if isinstance(value, int):
            return ast.Constant(int(value))
        raise self.defn.error(e, f"{ast.unparse(e)} is not a value")

    def outside(self, key: Any, value: Any) -> ast.expr:
        name = f"_x{id(key):x}"
        self.names[name] = value
        self.names[f"{name}_keep"] = key
        return ast.Name(name, ast.Load())

    def call(self, e: ast.Call, dropped: bool = False) -> ast.expr:
        args = [a if isinstance(a, ast.Constant) and isinstance(a.value, str) else self.value(a) for a in e.args]
        if isinstance(e.func, ast.Name) and e.func.id in self.defn.locals:  # a constant parameter
            func: ast.expr = ast.Name(e.func.id, ast.Load())
            return ast.Call(func, args, [ast.keyword(k.arg, self.keyword(k.value)) for k in e.keywords])
        callee = self.defn.constant(e.func)
        if isinstance(callee, Intrinsic):
            return self.intrinsic(e, callee, args, dropped)
        if not isinstance(callee, NativeFn):
            raise self.defn.error(e, f"{ast.unparse(e.func)} is not a function")
        keywords = [ast.keyword(k.arg, self.keyword(k.value)) for k in e.keywords]
        return ast.Call(self.outside(callee, _callee(callee)), args, keywords)

    def keyword(self, e: ast.expr) -> ast.expr:
        """A constant handed down: natives go as they are, Syms keep their names."""
        if isinstance(e, ast.Name | ast.Attribute) and not (isinstance(e, ast.Name) and e.id in self.defn.locals):
            value = self.defn.constant(e)
            if isinstance(value, NativeFn | Sym):
                return self.outside(value, value)
        return self.value(e)

    def intrinsic(self, e: ast.Call, row: Intrinsic, args: list[ast.expr], dropped: bool) -> ast.expr:
        if e.keywords:
            raise self.defn.error(e, f"{row.name} takes no keywords")
        if row.name == "alloca":
            # A local keeps the memory for the time of the call; u64 items align it to 8.
            self.kept += 1
            self.names["_buffer"], self.names["_addressof"] = _buffer, ctypes.addressof
            made = ast.Call(ast.Name("_buffer", ast.Load()), args, [])
            kept = ast.NamedExpr(ast.Name(f"_kept{self.kept}", ast.Store()), made)
            return ast.Call(ast.Name("_addressof", ast.Load()), [kept], [])
        if row.inline and len(args) == len(row.args) and (dropped or not row.effect):
            return _Fill(args).visit(copy.deepcopy(_template(row.name, row.inline)))  # type: ignore[no-any-return]
        return ast.Call(self.outside(row, row.py), args, [])


def _bound(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _buffer(n: int) -> ctypes.Array[ctypes.c_uint64]:
    return (ctypes.c_uint64 * max(1, (n + 7) // 8))()
