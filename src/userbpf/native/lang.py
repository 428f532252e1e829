"""The subset itself: the decorator, how a function's syntax tree is found and checked, and what its names mean.

Nothing is parsed when a module is imported: the decorator only remembers the function. The first use, at either speed,
reads the function's own lines (not the whole file: 0.1 ms against 5), parses and checks them.
"""

from __future__ import annotations

import ast
import builtins
import functools
import linecache
import textwrap
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, Final, Generic, NoReturn, ParamSpec, overload

from userbpf.errors import NativeError
from userbpf.native.intrinsics import BY_FUNCTION, M64

P = ParamSpec("P")
MAX_UNROLL: Final = 4096


class Sym(int):
    """An address with a name. Machine code refers to the name, which is bound at link; CPython uses the number."""

    name: str

    def __new__(cls, name: str, addr: int = 0) -> Sym:
        if not name or not all(c.isalnum() or c in "._" for c in name):
            raise NativeError(f"symbol name {name!r}: letters, digits, '.' and '_' only")
        self = super().__new__(cls, addr)
        self.name = name
        return self

    def __repr__(self) -> str:
        return f"Sym({self.name!r}, {int(self):#x})"

    def __reduce__(self) -> tuple[type[Sym], tuple[str, int]]:
        return Sym, (self.name, int(self))


class Definition:
    """One decorated function: its source, parsed at first use, and what was made of it."""

    def __init__(self, fn: FunctionType, *, inline: bool, noinline: bool, cold: bool) -> None:
        self.fn = fn
        self.inline, self.noinline, self.cold = inline, noinline, cold
        self.python: Callable[..., int] | None = None  # the CPython form, see cpython.py
        self.specs: dict[Any, Any] = {}  # constants -> lower.Spec
        self.symbol = ""  # its part of a symbol name, given by lower.py
        _definitions.add(self)

    @property
    def name(self) -> str:
        """Name for symbols: module without the package, qualified name."""
        module = self.fn.__module__ or "_"
        return f"{module.removeprefix('userbpf.')}.{self.fn.__qualname__.replace('<locals>.', '')}"

    def error(self, node: ast.AST | None, message: str) -> NativeError:
        """A NativeError at a node of this function."""
        code = self.fn.__code__
        line = getattr(node, "lineno", code.co_firstlineno)
        text = linecache.getline(code.co_filename, line, self.fn.__globals__).strip()
        where = f"{code.co_filename}:{line}: in {self.fn.__qualname__}: "
        return NativeError(f"{where}{message}" + (f"\n    {text}" if text else ""))

    @functools.cached_property
    def tree(self) -> ast.FunctionDef:
        """The checked syntax tree, with the line numbers of the file."""
        tree = _parse(self)
        Checker(self).check(tree)
        return tree

    @functools.cached_property
    def params(self) -> tuple[str, ...]:
        """Names of the positional parameters."""
        return tuple(a.arg for a in self.tree.args.args)

    @functools.cached_property
    def const_params(self) -> tuple[str, ...]:
        """Names of the compile-time constants."""
        return tuple(a.arg for a in self.tree.args.kwonlyargs)

    @functools.cached_property
    def locals(self) -> frozenset[str]:
        """All names bound in the function."""
        bound = {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        return frozenset(bound.union(self.params, self.const_params))

    def outside(self, node: ast.Name) -> Any:
        """What a name that is not a local means: closure, module, builtin."""
        code = self.fn.__code__
        if node.id in code.co_freevars and self.fn.__closure__:
            cell = self.fn.__closure__[code.co_freevars.index(node.id)]
            try:
                return cell.cell_contents
            except ValueError:
                raise self.error(node, f"{node.id} is not defined yet") from None
        if node.id in self.fn.__globals__:
            return self.fn.__globals__[node.id]
        if hasattr(builtins, node.id):
            return getattr(builtins, node.id)
        raise self.error(node, f"name {node.id} is not defined")

    def constant(self, node: ast.expr) -> Any:
        """What a Name or Attribute chain from outside means: int, Sym, tuple of ints, NativeFn or Intrinsic."""
        value = self._follow(node)
        if isinstance(value, NativeFn | Sym):
            return value
        if isinstance(value, int):
            return int(value) & M64
        if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
            return tuple(int(v) & M64 for v in value)
        if callable(value) and value in BY_FUNCTION:
            return BY_FUNCTION[value]
        what = ast.unparse(node)
        raise self.error(node, f"{what} is neither an int nor a native function nor an intrinsic but {value!r:.60}")

    def const_value(self, name: str, value: Any) -> Any:
        """A value given for a compile-time constant: ints as u64, Syms and native functions as they are."""
        if isinstance(value, Sym | NativeFn):
            return value
        if isinstance(value, int):
            return int(value) & M64
        raise self.error(None, f"constant {name} must be an int, a Sym or a native function, not {value!r:.60}")

    def _follow(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self.outside(node)
        if isinstance(node, ast.Attribute):
            holder = self._follow(node.value)
            if isinstance(holder, NativeFn) or (isinstance(holder, int) and not isinstance(holder, type)):
                raise self.error(node, f"attribute {node.attr} of a value")
            try:
                return getattr(holder, node.attr)
            except AttributeError:
                raise self.error(node, f"{ast.unparse(node)} is not defined") from None
        raise self.error(node, f"{ast.unparse(node)} is not a name")


_definitions: weakref.WeakSet[Definition] = weakref.WeakSet()


def definitions() -> Iterator[Definition]:
    """All native functions of the process, for tests that go over every one."""
    return iter(sorted(_definitions, key=lambda d: d.name))


class NativeFn(Generic[P]):
    """A native function, with some of its constants given or none. Calling it runs it in CPython."""

    def __init__(self, defn: Definition, preset: Mapping[str, Any]) -> None:
        self.defn = defn
        self.preset = dict(preset)
        self._py: Callable[..., int] | None = None
        self.__wrapped__ = defn.fn
        self.__name__ = defn.fn.__name__
        self.__qualname__ = defn.fn.__qualname__
        self.__module__ = defn.fn.__module__
        self.__doc__ = defn.fn.__doc__

    def __call__(self, *args: P.args, **consts: P.kwargs) -> int:
        if consts:
            values = {k: self.defn.const_value(k, v) for k, v in consts.items()}
            return self.python(*[a & M64 for a in args], **values)  # type: ignore[operator]
        return self.python(*[a & M64 for a in args])  # type: ignore[operator]

    @property
    def python(self) -> Callable[..., int]:
        """The CPython form: takes u64 arguments (not masked again) and the constants by keyword."""
        if self._py is None:
            from userbpf.native.cpython import python_form

            form = python_form(self.defn)
            self._py = functools.partial(form, **self.preset) if self.preset else form
        return self._py

    def bind(self, **consts: Any) -> NativeFn[...]:
        """This function with some constants given."""
        unknown = [name for name in consts if name not in self.defn.const_params]
        if unknown:
            raise self.defn.error(None, f"no constant {unknown[0]} in the signature")
        return NativeFn(self.defn, {**self.preset, **consts})

    def constants(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All constants in the order of the signature: given, preset or default; ints as u64."""
        values = {**self.preset, **given}
        args = self.defn.tree.args
        out: dict[str, Any] = {}
        for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            if arg.arg in values:
                value = values.pop(arg.arg)
            elif default is not None:
                value = self.defn.fn.__kwdefaults__[arg.arg]  # type: ignore[index]
            else:
                raise self.defn.error(None, f"constant {arg.arg} is not given")
            out[arg.arg] = self.defn.const_value(arg.arg, value)
        if values:
            raise self.defn.error(None, f"no constant {next(iter(values))} in the signature")
        return out

    def __repr__(self) -> str:
        preset = ", ".join(f"{k}={v!r}" for k, v in self.preset.items())
        return f"<native {self.__module__}.{self.__qualname__}({preset})>"


@overload
def native(fn: Callable[P, int], /) -> NativeFn[P]: ...
@overload
def native(
    *, inline: bool = False, noinline: bool = False, cold: bool = False
) -> Callable[[Callable[P, int]], NativeFn[P]]: ...
def native(fn: Any = None, /, *, inline: bool = False, noinline: bool = False, cold: bool = False) -> Any:
    """Make a function native: `inline` always inlines it where it is compiled, `cold` says that it seldom runs."""
    if fn is None:
        return functools.partial(native, inline=inline, noinline=noinline, cold=cold)
    if not isinstance(fn, FunctionType):
        raise NativeError(f"@native needs a plain function, not {fn!r}")
    return NativeFn(Definition(fn, inline=inline, noinline=noinline, cold=cold), {})


# --- from a function to its checked tree -------------------------------------------------------------------------------


def _parse(defn: Definition) -> ast.FunctionDef:
    code = defn.fn.__code__
    lines = linecache.getlines(code.co_filename, defn.fn.__globals__)
    first = code.co_firstlineno - 1
    if first >= len(lines):
        raise defn.error(None, "its source is not available")
    indent = len(lines[first]) - len(lines[first].lstrip())
    last = max(p[1] or 0 for p in code.co_positions())
    while last < len(lines) and _continues(lines[last], indent):
        last += 1
    while True:
        try:
            module = ast.parse(textwrap.dedent("".join(lines[first:last])))
            break
        except SyntaxError as e:
            # A bracket or a string that ends on a line without code of its own.
            last += 1
            if last > len(lines):
                raise defn.error(None, f"its source cannot be parsed: {e}") from None
    tree = module.body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise defn.error(None, "only plain `def` functions can be native")
    ast.increment_lineno(tree, first)
    return tree


def _continues(line: str, indent: int) -> bool:
    """Does a line after the last one with code still belong to the function?"""
    body = line.strip()
    return not body or body[0] in "#)]}" or len(line) - len(line.lstrip()) > indent


_EXPRESSIONS: Final = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Constant, ast.Name, ast.Attribute,
)  # fmt: skip
_BINARY: Final = (
    ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor,
)  # fmt: skip
_COMPARE: Final = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Checker:
    """Refuses every construct outside the subset, so that both speeds may take the tree as well-formed."""

    def __init__(self, defn: Definition) -> None:
        self.defn = defn
        self.loops: list[ast.stmt] = []

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        raise self.defn.error(node, message)

    def check(self, tree: ast.FunctionDef) -> None:
        args = tree.args
        if args.vararg or args.kwarg:
            self.fail(tree, "*args and **kwargs are outside the native subset")
        if args.posonlyargs:
            self.fail(tree, "positional-only parameters are outside the native subset")
        if args.defaults:
            self.fail(tree, "only keyword-only parameters (constants) may have defaults")
        self.consts = {a.arg for a in args.kwonlyargs}
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if not name.isascii() or name.startswith("_x"):
                self.fail(node, f"{name}: names are ASCII and do not begin with _x here")
        self.block(tree.body)

    def block(self, body: list[ast.stmt]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, s: ast.stmt) -> None:
        match s:
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                pass
            case ast.Expr(value=ast.Call() as call):
                self.expression(call)
            case ast.Expr():
                self.fail(s, "an expression as a statement must be a call")
            case ast.Assign(targets=[target], value=value):
                self.assign(target, value)
            case ast.AugAssign(target=target, op=op, value=value):
                self.operator(s, op)
                self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.If(test=test, body=body, orelse=orelse):
                self.expression(test)
                self.block(body)
                self.block(orelse)
            case ast.While(test=test, body=body, orelse=[]):
                self.expression(test)
                self.loop(s, body)
            case ast.For(target=ast.Name() as target, iter=it, body=body, orelse=[]):
                self.iterable(it)
                self.target(target)
                self.loop(s, body)
            case ast.Return(value=None):
                pass
            case ast.Return(value=ast.expr() as value):
                self.expression(value)
            case ast.Break() | ast.Continue():
                if not self.loops:
                    self.fail(s, "outside a loop")
            case ast.While() | ast.For():
                self.fail(s, "`else` of a loop, or a loop target other than a name, is outside the native subset")
            case _:
                self.fail(s, f"statement {type(s).__name__} is outside the native subset")

    def loop(self, s: ast.stmt, body: list[ast.stmt]) -> None:
        self.loops.append(s)
        self.block(body)
        self.loops.pop()

    def iterable(self, it: ast.expr) -> None:
        match it:
            case ast.Call(func=ast.Name(id="range"), args=args, keywords=[]) if 1 <= len(args) <= 3:
                for a in args:
                    self.expression(a)
            case ast.Tuple(elts=elts):
                for e in elts:
                    self.expression(e)
            case ast.Name() | ast.Attribute():
                self.expression(it)
            case _:
                self.fail(it, "`for` goes over range(...) or a tuple of constants only")

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                for t, v in zip(targets, values, strict=True):
                    self.assign(t, v)
            case ast.Name(), _:
                self.target(target)
                self.expression(value)
            case _:
                self.fail(
                    target, f"assignment to {ast.unparse(target)} is outside the native subset (memory: store64 ...)"
                )

    def target(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name) and target.id in self.consts:
            self.fail(target, f"{target.id} is a compile-time constant and cannot be assigned")

    def operator(self, node: ast.AST, op: ast.operator) -> None:
        if not isinstance(op, _BINARY):
            self.fail(node, f"operator {type(op).__name__} is outside the native subset")

    def expression(self, e: ast.expr) -> None:
        match e:
            case ast.Constant(value=value):
                if not isinstance(value, int):
                    self.fail(e, f"constant {value!r}: only integers are values")
                if not -(1 << 64) < value < 1 << 64:
                    self.fail(e, f"{value} does not fit 64 bits")
            case ast.Name() | ast.Attribute():
                pass
            case ast.BinOp(op=op):
                self.operator(e, op)
                self.expression(e.left)
                self.expression(e.right)
            case ast.UnaryOp():
                self.expression(e.operand)
            case ast.BoolOp():
                for v in e.values:
                    self.expression(v)
            case ast.Compare():
                for cmp in e.ops:
                    if not isinstance(cmp, _COMPARE):
                        self.fail(e, f"comparison {type(cmp).__name__} is outside the native subset")
                self.expression(e.left)
                for v in e.comparators:
                    self.expression(v)
            case ast.IfExp():
                self.expression(e.test)
                self.expression(e.body)
                self.expression(e.orelse)
            case ast.Call():
                self.call(e)
            case _:
                self.fail(e, f"expression {type(e).__name__} is outside the native subset: {ast.unparse(e):.60}")

    def call(self, e: ast.Call) -> None:
        if not isinstance(e.func, ast.Name | ast.Attribute):
            self.fail(e, "only a named function can be called (code addresses: call(addr, ...))")
        name = ast.unparse(e.func)
        for a in e.args:
            if isinstance(a, ast.Starred):
                self.fail(a, "* in a call is outside the native subset")
            if isinstance(a, ast.Constant) and isinstance(a.value, str):
                continue  # the lowering of the row that takes it will say if it may
            self.expression(a)
        for k in e.keywords:
            if k.arg is None:
                self.fail(e, "** in a call is outside the native subset")
            self.expression(k.value)
        if name.endswith("alloca") and self.loops:
            self.fail(e, "alloca in a loop: memory lives until the function returns")
