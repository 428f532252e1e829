"""Native functions to LLVM IR text, one internal function for each combination of constants.

The lowering is a walk over the tree that keeps, at each point, which locals are assigned on every path and which of them
hold a known constant (`state`). That is enough to unroll loops over constants, to drop dead branches before they are
lowered, and to refuse a read before assignment. Everything else is left to LLVM: locals are i64 slots in the entry block, from
which it makes registers itself. Text is used because building IR as text is some 18 times faster than through
`llvmlite.ir`.

An address expression `p + x` becomes a getelementptr on p, so that LLVM still sees what p points into when p is the address
of a stack slot or a symbol.
"""

from __future__ import annotations

import ast
import hashlib
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Final

from userbpf.native.fold import State, compare, fold_binary, fold_unary, is_known, join
from userbpf.native.intrinsics import M64, Intrinsic
from userbpf.native.lang import MAX_UNROLL, Definition, NativeFn, Sym

# An operand: a constant (int or Sym), or the text of an i64 register.
Value = int | str

_NAME_LIMIT = 120
_lock = threading.RLock()
_names: weakref.WeakValueDictionary[str, Definition] = weakref.WeakValueDictionary()


class Spec:
    """One function for one combination of constants: the IR text and what else a module needs with it."""

    def __init__(self, name: str, defn: Definition) -> None:
        self.name = name
        self.defn = defn
        self.text = ""
        self.deps: dict[Spec, None] = {}
        self.declarations: dict[str, None] = {}
        self.hosts: dict[str, None] = {}  # C library symbols
        self.syms: dict[str, int | None] = {}  # addresses: known where the source names a global Sym


def specialise(fn: NativeFn[...], given: Mapping[str, Any]) -> Spec:
    """The lowered form of a function for its constants, made once a process."""
    with _lock:
        consts = fn.constants(given)
        key = _key(consts)
        spec = fn.defn.specs.get(key)
        if spec is None:
            spec = fn.defn.specs[key] = Spec(_mangle(fn.defn, consts), fn.defn)
            try:
                _Lowering(spec, consts).run()
            except BaseException:
                del fn.defn.specs[key]
                raise
        return spec


def named_addresses(consts: Mapping[str, Any]) -> dict[str, int]:
    """The Syms among constants, also among those bound to native functions: name -> address."""
    out: dict[str, int] = {}
    for value in consts.values():
        if isinstance(value, Sym):
            out[value.name] = int(value)
        elif isinstance(value, NativeFn):
            out |= named_addresses(value.preset)
    return out


def _key(consts: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        ("sym", v.name) if isinstance(v, Sym) else (v.defn, _key(v.preset)) if isinstance(v, NativeFn) else v
        for v in consts.values()
    )


def _word(value: Any) -> str:
    if isinstance(value, Sym):
        return value.name
    if isinstance(value, NativeFn):
        return _symbol(value.defn) + "".join(f".{k}_{_word(v)}" for k, v in value.preset.items())
    return str(value) if value < 10000 else f"{value:#x}"


def _symbol(defn: Definition) -> str:
    """The function's part of a symbol: two functions of one name (made by one factory) are told apart by a number."""
    if not defn.symbol:
        base = "".join(c if c.isalnum() or c in "._" else "_" for c in defn.name)
        defn.symbol, n = base, 1
        while _names.setdefault(defn.symbol, defn) is not defn:
            n += 1
            defn.symbol = f"{base}.{n}"
    return defn.symbol


def _mangle(defn: Definition, consts: Mapping[str, Any]) -> str:
    tail = "".join(f".{name}_{_word(value)}" for name, value in consts.items())
    if len(tail) > _NAME_LIMIT:
        tail = "." + hashlib.sha256(tail.encode()).hexdigest()[:16]
    return f"n.{_symbol(defn)}{tail}"


def operand(v: Value) -> str:
    """The text of an i64 operand."""
    if isinstance(v, Sym):
        return f"ptrtoint (ptr @{v.name} to i64)"
    if isinstance(v, int):
        return str(v - (1 << 64) if v >> 63 else v)
    return v


_BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.FloorDiv: "udiv",
    ast.Mod: "urem",
    ast.LShift: "shl",
    ast.RShift: "lshr",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}
_PREDICATE: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "ult",
    ast.LtE: "ule",
    ast.Gt: "ugt",
    ast.GtE: "uge",
}


def _has_call(parts: Iterable[ast.expr]) -> bool:
    return any(isinstance(node, ast.Call) for e in parts for node in ast.walk(e))


class _Loop:
    """Where `continue` and `break` go, and what is assigned when they do."""

    def __init__(self, on_continue: str, on_break: str, breaks: State | None = None) -> None:
        self.on_continue, self.on_break = on_continue, on_break
        self.continues: State | None = None
        self.breaks = breaks


class _Lowering:
    def __init__(self, spec: Spec, consts: Mapping[str, Any]) -> None:
        self.spec = spec
        self.defn = spec.defn
        self.consts = dict(consts)
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.slots: set[str] = set()
        self.counter = 0
        self.state: State | None = {}
        self.loops: list[_Loop] = []

    def run(self) -> None:
        defn, tree = self.defn, self.defn.tree
        assert self.state is not None
        for name in defn.params:
            self.slot(name)
            self.state[name] = None
            self.entry.append(f"  store i64 %p.{name}, ptr %{name}.s")
        self.block(tree.body)
        if self.state is not None:
            self.lines.append("  ret i64 0")
        marks = ["nounwind"]
        if defn.inline:
            marks.append("alwaysinline")
        if defn.noinline:
            marks.append("noinline")
        if defn.cold:
            marks.append("cold")
        params = ", ".join(f"i64 %p.{p}" for p in defn.params)
        head = f"define internal i64 @{self.spec.name}({params}) {' '.join(marks)} {{"
        self.spec.text = "\n".join([head, "entry:", *self.entry, "  br label %body", "body:", *self.lines, "}"])

    # --- the Builder protocol of intrinsics ---

    def emit(self, instruction: str) -> str:
        self.counter += 1
        self.lines.append(f"  %t{self.counter} = {instruction}")
        return f"%t{self.counter}"

    def do(self, instruction: str) -> None:
        self.lines.append(f"  {instruction}")

    def declare(self, declaration: str) -> None:
        self.spec.declarations[declaration] = None

    def host(self, name: str) -> str:
        self.spec.hosts[name] = None
        return f"@{name}"

    def entry_alloca(self, size: int) -> str:
        self.counter += 1
        self.entry.append(f"  %m{self.counter} = alloca [{size} x i8], align 16")
        return f"%m{self.counter}"

    # --- blocks and locals ---

    def label(self, hint: str) -> str:
        self.counter += 1
        return f"{hint}{self.counter}"

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> None:
        self.lines.append(f"  br label %{label}")

    def slot(self, name: str) -> None:
        if name not in self.slots:
            self.slots.add(name)
            self.entry.append(f"  %{name}.s = alloca i64")

    def assign(self, name: str, v: Value) -> None:
        assert self.state is not None
        self.slot(name)
        self.lines.append(f"  store i64 {operand(v)}, ptr %{name}.s")
        self.state[name] = v if isinstance(v, int) else None

    # --- statements ---

    def block(self, body: list[ast.stmt]) -> None:
        for s in body:
            if self.state is None:
                return  # unreachable
            self.statement(s)

    def statement(self, s: ast.stmt) -> None:
        match s:
            case ast.Expr(value=ast.Call() as call):
                self.call(call)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                got = [self.expr(v) for v in values]
                for t, v in zip(targets, got, strict=True):
                    assert isinstance(t, ast.Name)
                    self.assign(t.id, v)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.assign(name, self.expr(value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self.assign(name, self.expr(value))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                left = ast.copy_location(ast.Name(name, ast.Load()), target)
                self.assign(name, self.expr(ast.copy_location(ast.BinOp(left, op, value), s)))
            case ast.If():
                self.if_(s)
            case ast.While():
                self.while_(s)
            case ast.For():
                self.for_(s)
            case ast.Return(value=value):
                self.lines.append(f"  ret i64 {operand(self.tail(value)) if value else 0}")
                self.state = None
            case ast.Break():
                loop = self.loops[-1]
                loop.breaks = join(loop.breaks, self.state)
                self.jump(loop.on_break)
                self.state = None
            case ast.Continue():
                loop = self.loops[-1]
                loop.continues = join(loop.continues, self.state)
                self.jump(loop.on_continue)
                self.state = None
            case _:
                pass  # docstring, pass

    def if_(self, s: ast.If) -> None:
        known = self.truth(s.test)
        if known is not None:
            self.block(s.body if known else s.orelse)
            return
        then, other, end = self.label("then"), self.label("else"), self.label("end")
        self.branch(s.test, then, other if s.orelse else end)
        assert self.state is not None
        before = dict(self.state)
        self.start(then)
        self.block(s.body)
        after = self.state
        if after is not None:
            self.jump(end)
        self.state = before
        if s.orelse:
            self.start(other)
            self.block(s.orelse)
            if self.state is not None:
                self.jump(end)
        self.state = join(after, self.state)
        if self.state is not None:
            self.start(end)

    def while_(self, s: ast.While) -> None:
        assert self.state is not None
        for node in ast.walk(ast.Module(s.body, [])):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in self.state:
                self.state[node.id] = None
        known = self.truth(s.test)
        if known is False:
            return
        head, body, end = self.label("while"), self.label("do"), self.label("done")
        self.jump(head)
        self.start(head)
        if known is None:
            self.branch(s.test, body, end)
            self.start(body)
        loop = _Loop(head, end, breaks=dict(self.state) if known is None else None)
        self.loops.append(loop)
        self.block(s.body)
        self.loops.pop()
        if self.state is not None:
            self.jump(head)
        self.state = loop.breaks
        if self.state is not None:
            self.start(end)

    def for_(self, s: ast.For) -> None:
        assert isinstance(s.target, ast.Name) and self.state is not None
        name = s.target.id
        end = self.label("done")
        breaks: State | None = None
        for value in self.iterable(s.iter):
            if self.state is None:
                break
            after = self.label("next")
            self.assign(name, value)
            loop = _Loop(after, end)
            self.loops.append(loop)
            self.block(s.body)
            self.loops.pop()
            breaks = join(breaks, loop.breaks)
            if loop.continues is not None:
                if self.state is not None:
                    self.jump(after)
                self.start(after)
                self.state = join(loop.continues, self.state)
        if breaks is not None:
            if self.state is not None:
                self.jump(end)
            self.start(end)
            self.state = join(breaks, self.state)

    def iterable(self, it: ast.expr) -> list[int]:
        match it:
            case ast.Call(args=args):
                bounds = [self.constant(a, "a bound of range()") for a in args]
                values = range(*[b - (1 << 64) if b >> 63 else b for b in bounds])
                if len(values) > MAX_UNROLL:
                    raise self.defn.error(it, f"a loop of {len(values)} turns is too long to unroll: use while")
                return [v & M64 for v in values]
            case ast.Tuple(elts=elts):
                return [self.constant(e, "an item of the tuple") for e in elts]
            case _:
                values_ = self.defn.constant(it)
                if not isinstance(values_, tuple):
                    raise self.defn.error(it, f"{ast.unparse(it)} is no tuple of ints")
                return list(values_)

    def constant(self, e: ast.expr, what: str) -> int:
        v = self.expr(e)
        if not isinstance(v, int) or isinstance(v, Sym):
            raise self.defn.error(e, f"{what} must be a compile-time constant: {ast.unparse(e)}")
        return v

    def tail(self, e: ast.expr) -> Value:
        """The value of a return statement, where alone a tail call may stand."""
        if isinstance(e, ast.Call) and self.callee_name(e) == "tail_call_to":
            arity = len(self.defn.params)
            if len(e.args) != arity + 1:
                raise self.defn.error(e, f"tail_call_to needs as many arguments as the caller has parameters: {arity}")
            return self.call(e, tail=True)
        return self.expr(e)

    # --- conditions ---

    def truth(self, e: ast.expr) -> bool | None:
        """The truth of a condition where it is known without running anything."""
        match e:
            case ast.BoolOp(op=op, values=values):
                stop = isinstance(op, ast.Or)
                for i, v in enumerate(values):
                    known = self.truth(v)
                    if known is stop:
                        return stop
                    if known is None:
                        # A later constant still decides where those before it have no effect.
                        rest = [self.truth(w) for w in values[i + 1 :] if not _has_call(values[: i + 1])]
                        return stop if stop in rest else None
                return not stop
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                known = self.truth(inner)
                return None if known is None else not known
            case _:
                number = self.fold(e)
                return None if number is None else number != 0

    def fold(self, e: ast.expr) -> int | None:
        """The number an expression is known to have; emits nothing."""
        match e:
            case ast.Constant() | ast.Name() | ast.Attribute():
                v = self.known_name(e) if not isinstance(e, ast.Constant) else self.expr(e)
                return v if isinstance(v, int) and not isinstance(v, Sym) else None
            case ast.BinOp(left=left, op=op, right=right):
                x, y = self.fold(left), self.fold(right)
                return None if x is None or y is None else fold_binary(op, x, y)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                known = self.truth(inner)
                return None if known is None else int(not known)
            case ast.UnaryOp(op=sign, operand=inner):
                x = self.fold(inner)
                return None if x is None else fold_unary(sign, x)
            case ast.Compare(left=left, ops=[cmp], comparators=[right]):
                x, y = self.fold(left), self.fold(right)
                return None if x is None or y is None else int(compare(cmp, x, y))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                known = self.truth(test)
                return None if known is None else self.fold(body if known else orelse)
            case ast.BoolOp(op=junction, values=values):
                for part in values[:-1]:
                    known = self.truth(part)
                    if known is not isinstance(junction, ast.And):
                        return None if known is None else self.fold(part)
                return self.fold(values[-1])
        return None

    def known_name(self, e: ast.expr) -> Any:
        if isinstance(e, ast.Name) and e.id in self.defn.locals and e.id not in self.consts:
            assert self.state is not None
            return self.state.get(e.id)
        return self.name(e)

    def branch(self, e: ast.expr, then: str, other: str) -> None:
        """Jump by the truth of a condition, left to right, no further than needed."""
        match e:
            case ast.BoolOp(op=op, values=values):
                for v in values[:-1]:
                    more = self.label("more")
                    if isinstance(op, ast.And):
                        self.branch(v, more, other)
                    else:
                        self.branch(v, then, more)
                    self.start(more)
                self.branch(values[-1], then, other)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                self.branch(inner, other, then)
            case _:
                bit = self.bit(e)
                if isinstance(bit, bool):
                    self.jump(then if bit else other)
                else:
                    self.lines.append(f"  br i1 {bit}, label %{then}, label %{other}")

    def bit(self, e: ast.expr) -> bool | str:
        """The truth of an expression as an i1."""
        match e:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.icmp(op, self.expr(left), self.expr(right))
            case ast.Call(args=[arg], keywords=[]) if self.callee_name(e) in ("likely", "unlikely"):
                bit = self.bit(arg)
                if isinstance(bit, bool):
                    return bit
                self.declare("declare i1 @llvm.expect.i1(i1, i1)")
                truth = int(self.callee_name(e) == "likely")
                return self.emit(f"call i1 @llvm.expect.i1(i1 {bit}, i1 {truth})")
        v = self.expr(e)
        if isinstance(v, int) and not isinstance(v, Sym):
            return v != 0
        return self.emit(f"icmp ne i64 {operand(v)}, 0")

    def icmp(self, op: ast.cmpop, x: Value, y: Value) -> bool | str:
        if is_known(x) and is_known(y):
            return compare(op, x, y)  # type: ignore[arg-type]
        return self.emit(f"icmp {_PREDICATE[type(op)]} i64 {operand(x)}, {operand(y)}")

    # --- expressions ---

    def expr(self, e: ast.expr) -> Value:
        match e:
            case ast.Constant(value=int() as value):
                return int(value) & M64
            case ast.Name() | ast.Attribute():
                v = self.name(e)
                if isinstance(v, int | str):
                    return v
                raise self.defn.error(e, f"{ast.unparse(e)} is not a value")
            case ast.BinOp():
                return self.binary(e)
            case ast.UnaryOp():
                return self.unary(e)
            case ast.BoolOp() | ast.IfExp():
                return self.choice(e)
            case ast.Compare():
                return self.compare(e)
            case ast.Call():
                return self.call(e)
        raise self.defn.error(e, f"{ast.unparse(e)} is not a value")

    def name(self, e: ast.expr) -> Any:
        if isinstance(e, ast.Name) and e.id in self.defn.locals:
            if e.id in self.consts:
                return self.consts[e.id]
            assert self.state is not None
            if e.id not in self.state:
                raise self.defn.error(e, f"{e.id} may be read before it is assigned")
            known = self.state[e.id]
            return self.emit(f"load i64, ptr %{e.id}.s") if known is None else known
        v = self.defn.constant(e)
        if isinstance(v, Sym):
            self.spec.syms[v.name] = int(v)
        return v

    def binary(self, e: ast.BinOp) -> Value:
        x, y = self.expr(e.left), self.expr(e.right)
        if is_known(x) and is_known(y):
            folded = fold_binary(e.op, x, y)  # type: ignore[arg-type]
            if folded is None:
                raise self.defn.error(e, "division by a constant zero")
            return folded
        if isinstance(e.op, ast.LShift | ast.RShift):
            y = y & 63 if isinstance(y, int) and not isinstance(y, Sym) else self.emit(f"and i64 {operand(y)}, 63")
        if y == 0 and is_known(y) and isinstance(e.op, ast.FloorDiv | ast.Mod):
            raise self.defn.error(e, "division by a constant zero")
        return self.emit(f"{_BINARY[type(e.op)]} i64 {operand(x)}, {operand(y)}")

    def unary(self, e: ast.UnaryOp) -> Value:
        if isinstance(e.op, ast.Not):
            bit = self.bit(e.operand)
            if isinstance(bit, bool):
                return int(not bit)
            return self.emit(f"zext i1 {self.emit(f'xor i1 {bit}, true')} to i64")
        v = self.expr(e.operand)
        if isinstance(e.op, ast.UAdd):
            return v
        if is_known(v):
            return fold_unary(e.op, v)  # type: ignore[arg-type]
        return self.emit(f"sub i64 0, {operand(v)}" if isinstance(e.op, ast.USub) else f"xor i64 {operand(v)}, -1")

    def compare(self, e: ast.Compare) -> Value:
        if len(e.ops) == 1:
            bit = self.icmp(e.ops[0], self.expr(e.left), self.expr(e.comparators[0]))
            return int(bit) if isinstance(bit, bool) else self.emit(f"zext i1 {bit} to i64")
        # a < b < c: like `and`, but b is evaluated once
        end = self.label("end")
        slot = self.temporary()
        left = self.expr(e.left)
        for i, (op, right) in enumerate(zip(e.ops, e.comparators, strict=True)):
            value = self.expr(right)
            bit = self.icmp(op, left, value)
            word = int(bit) if isinstance(bit, bool) else self.emit(f"zext i1 {bit} to i64")
            self.lines.append(f"  store i64 {operand(word)}, ptr {slot}")
            if i < len(e.ops) - 1:
                more = self.label("more")
                test = ("true" if bit else "false") if isinstance(bit, bool) else bit
                self.lines.append(f"  br i1 {test}, label %{more}, label %{end}")
                self.start(more)
            left = value
        self.jump(end)
        self.start(end)
        return self.emit(f"load i64, ptr {slot}")

    def choice(self, e: ast.BoolOp | ast.IfExp) -> Value:
        """`and`, `or`, `a if c else b`: the chosen operand, the others not evaluated."""
        if isinstance(e, ast.IfExp):
            known = self.truth(e.test)
            if known is not None:
                return self.expr(e.body if known else e.orelse)
            then, other, end = self.label("then"), self.label("else"), self.label("end")
            slot = self.temporary()
            self.branch(e.test, then, other)
            for label, part in ((then, e.body), (other, e.orelse)):
                self.start(label)
                self.lines.append(f"  store i64 {operand(self.expr(part))}, ptr {slot}")
                self.jump(end)
            self.start(end)
            return self.emit(f"load i64, ptr {slot}")
        stop = isinstance(e.op, ast.Or)
        values = list(e.values)
        while len(values) > 1:  # constants at the front decide now
            known = self.truth(values[0])
            if known is None:
                break
            if known is stop:
                return self.expr(values[0])
            values.pop(0)
        if len(values) == 1:
            return self.expr(values[0])
        end, slot = self.label("end"), self.temporary()
        for i, part in enumerate(values):
            v = operand(self.expr(part))
            self.lines.append(f"  store i64 {v}, ptr {slot}")
            if i < len(values) - 1:
                more = self.label("more")
                bit = self.emit(f"icmp ne i64 {v}, 0")
                first, second = (end, more) if stop else (more, end)
                self.lines.append(f"  br i1 {bit}, label %{first}, label %{second}")
                self.start(more)
        self.jump(end)
        self.start(end)
        return self.emit(f"load i64, ptr {slot}")

    def temporary(self) -> str:
        self.counter += 1
        self.entry.append(f"  %v{self.counter} = alloca i64")
        return f"%v{self.counter}"

    def address(self, e: ast.expr) -> str:
        """An address as a ptr operand: offsets become getelementptr, so that the base keeps its identity."""
        if isinstance(e, ast.BinOp) and self.fold(e) is None:
            if isinstance(e.op, ast.Add):
                base, off = (e.right, e.left) if self.is_offset(e.left) else (e.left, e.right)
                start = self.address(base)
                return self.emit(f"getelementptr i8, ptr {start}, i64 {operand(self.expr(off))}")
            known = self.fold(e.right)
            if isinstance(e.op, ast.Sub) and known is not None:
                return self.emit(f"getelementptr i8, ptr {self.address(e.left)}, i64 {operand(-known & M64)}")
        v = self.expr(e)
        if isinstance(v, Sym):
            return f"@{v.name}"
        return self.emit(f"inttoptr i64 {operand(v)} to ptr")

    def is_offset(self, e: ast.expr) -> bool:
        """Of a sum's terms: one that is a number, a product, a shift or masked is hardly the pointer."""
        scaled = isinstance(e, ast.BinOp) and not isinstance(e.op, ast.Add | ast.Sub)
        return scaled or self.fold(e) is not None

    # --- calls ---

    def callee(self, e: ast.Call) -> Any:
        if isinstance(e.func, ast.Name) and e.func.id in self.defn.locals:
            return self.consts.get(e.func.id)
        return self.defn.constant(e.func)

    def callee_name(self, e: ast.Call) -> str:
        callee = self.callee(e)
        return callee.name if isinstance(callee, Intrinsic) else ""

    def call(self, e: ast.Call, tail: bool = False) -> Value:
        callee = self.callee(e)
        if isinstance(callee, Intrinsic):
            if callee.name == "tail_call_to" and not tail:
                raise self.defn.error(e, "tail_call_to stands in `return tail_call_to(...)` only")
            return self.intrinsic(e, callee)
        if not isinstance(callee, NativeFn):
            raise self.defn.error(e, f"{ast.unparse(e.func)} is not a function")
        if len(e.args) != len(callee.defn.params):
            raise self.defn.error(
                e, f"{ast.unparse(e.func)} takes {len(callee.defn.params)} values ({', '.join(callee.defn.params)})"
            )
        consts = {k.arg: self.keyword(k.value) for k in e.keywords if k.arg}
        args = ", ".join(f"i64 {operand(self.expr(a))}" for a in e.args)
        spec = specialise(callee, consts)
        self.spec.deps[spec] = None
        for name, addr in named_addresses(callee.constants(consts)).items():
            self.spec.syms.setdefault(name, addr if callee.preset else None)
        return self.emit(f"call i64 @{spec.name}({args})")

    def keyword(self, e: ast.expr) -> Any:
        v = self.name(e) if isinstance(e, ast.Name | ast.Attribute) else self.expr(e)
        if isinstance(v, int | NativeFn):
            return v
        raise self.defn.error(e, f"{ast.unparse(e)} is handed down as a constant, but is none")

    def intrinsic(self, e: ast.Call, row: Intrinsic) -> Value:
        if e.keywords:
            raise self.defn.error(e, f"{row.name} takes no keywords")
        fixed = row.args.removesuffix("*")
        if len(e.args) < len(fixed) or (len(e.args) > len(fixed) and not row.args.endswith("*")):
            raise self.defn.error(e, f"{row.name} takes {len(fixed)} arguments, not {len(e.args)}")
        args: list[Any] = []
        for kind, a in zip(fixed.ljust(len(e.args), "v"), e.args, strict=True):
            literal = a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else None
            if (kind == "s") != (literal is not None):
                raise self.defn.error(e, f"{row.name}: {ast.unparse(a)} is not the kind of argument it takes")
            if kind == "s":
                args.append(self.listed(e, literal))
            elif kind == "c":
                args.append(self.constant(a, f"the argument of {row.name}"))
            elif kind == "a":
                args.append(self.address(a))
            else:
                args.append(operand(self.expr(a)))
        result = row.lower(self, *args)
        return 0 if row.effect else result

    def listed(self, e: ast.Call, name: str | None) -> str:
        from userbpf.native.intrinsics import C_FUNCTIONS

        if name is None or name not in C_FUNCTIONS:
            raise self.defn.error(e, f"no C function {name!r} in the list: {', '.join(sorted(C_FUNCTIONS))}")
        return name
