"""From native functions to code in memory: a module of IR text, its compilation, and Python callables of the result."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from userbpf.errors import NativeError
from userbpf.native.intrinsics import Intrinsic
from userbpf.native.lang import NativeFn, Sym
from userbpf.native.link import HOST_SYMBOLS, link
from userbpf.native.lower import Spec, named_addresses, specialise
from userbpf.native.objects import object_code

_DECLARE: Final = re.compile(r"^declare\b[^@\n]*@([\w.$]+)[^\n]*$", re.MULTILINE)
_DEFINE: Final = re.compile(r"^(?:define\b[^@\n]*@([\w.$]+)|@([\w.$]+)\s*=)", re.MULTILINE)


class IrModule:
    """LLVM IR text in the making: native functions asked for, symbols, and text of one's own.

    `symbols` maps the names of addresses to the addresses that are known here; what is missing is given at the link.
    """

    def __init__(self) -> None:
        self.symbols: dict[str, int] = {}
        self._specs: dict[Spec, None] = {}
        self._externs: dict[str, None] = {}
        self._texts: list[str] = []
        self._exports: list[str] = []

    def use(self, fn: NativeFn[...], **consts: Any) -> str:
        """The name of the internal LLVM function (i64, ...) -> i64 that is `fn` specialised for the constants."""
        spec = specialise(fn, consts)
        self._take(spec)
        for name, addr in named_addresses(fn.constants(consts)).items():
            self.extern(name, addr or None)
        return spec.name

    def _take(self, spec: Spec) -> None:
        if spec in self._specs:
            return
        self._specs[spec] = None
        for dep in spec.deps:
            self._take(dep)
        for name, addr in spec.syms.items():
            self.extern(name, addr or None)
        for name in spec.hosts:
            self._externs[name] = None

    def extern(self, name: str, addr: int | None = None) -> str:
        """Declare a symbol, whose address may be known now or be given at the link; returns the name."""
        self._externs[name] = None
        if addr is not None and self.symbols.setdefault(name, addr) != addr:
            raise NativeError(f"symbol {name} has two addresses: {self.symbols[name]:#x} and {addr:#x}")
        return name

    def export(self, name: str, fn: NativeFn[...], **consts: Any) -> None:
        """A function that the linked code offers by name."""
        if name in HOST_SYMBOLS:
            raise NativeError(f"{name} is a C function that compiled code calls: export under another name")
        inner = self.use(fn, **consts)
        params = [f"i64 %a{i}" for i in range(len(fn.defn.params))]
        args = ", ".join(params)
        self._exports.append(name)
        self.add(
            f"define i64 @{name}({args}) nounwind {{\n  %r = tail call i64 @{inner}({args})\n  ret i64 %r\n}}",
        )

    def add(self, text: str) -> None:
        """Add IR text. A `declare` in it may repeat one that is already there."""
        self._texts.append(text)

    def text(self) -> str:
        """The whole module. The same uses in the same order give the same text: it is the key of the cache."""
        added = "\n".join(self._texts)
        declared = {m[1]: m[0] for m in _DECLARE.finditer(added)}
        for spec in self._specs:
            for line in spec.declarations:
                m = _DECLARE.match(line)
                declared.setdefault(m[1] if m else line, line)
        added = _DECLARE.sub("", added)
        defined = {m[1] or m[2] for m in _DEFINE.finditer(added)}
        taken = defined | declared.keys()
        return "\n".join(
            [
                *(f"@{name} = external global i8" for name in self._externs if name not in taken),
                *(line for name, line in declared.items() if name not in defined),
                *(spec.text for spec in self._specs),
                added,
                "",
            ]
        )

    def compile(
        self, exports: Sequence[str] = (), symbols: Mapping[str, int] | None = None, opt: int = 2
    ) -> LoadedCode:
        """compile_ir of this module with the symbols known here and those given."""
        return compile_ir(self.text(), {**self.symbols, **(symbols or {})}, [*self._exports, *exports], opt)


class LoadedCode:
    """Machine code in memory, for as long as this object lives."""

    def __init__(self, addresses: Mapping[str, int], keep: object) -> None:
        self._addresses = dict(addresses)
        self._keep = keep

    def addr(self, name: str) -> int:
        """The address of an exported function."""
        try:
            return self._addresses[name]
        except KeyError:
            raise NativeError(f"the code exports no {name!r}, only {', '.join(self._addresses)}") from None

    @property
    def names(self) -> Iterable[str]:
        """The exported functions."""
        return self._addresses.keys()


def compile_ir(text: str, symbols: Mapping[str, int], exports: Sequence[str], opt: int = 2) -> LoadedCode:
    """Compile LLVM IR text (or take it from the cache), bind its symbols and make it runnable.

    `opt` is LLVM's level 0 to 3. Symbols that are neither in `symbols` nor defined in the text are looked for among the
    functions of the C library that LLVM may call; what is left is a NativeError.
    """
    code = object_code(text, opt)
    addresses, keep = link(code, symbols, exports)
    return LoadedCode(addresses, keep)


class NativeSet:
    """Several native functions compiled into one code: attributes are Python callables, `addr(name)` is a code address."""

    def __init__(self, code: LoadedCode, arities: Mapping[str, int], hold_gil: bool) -> None:
        from userbpf.native.callable import callable_at

        self.code = code
        for name, arity in arities.items():
            setattr(self, name, callable_at(code.addr(name), arity, name, hold_gil, keep=code))

    def addr(self, name: str) -> int:
        """The code address of one of the functions."""
        return self.code.addr(name)

    def __getattr__(self, name: str) -> Callable[..., int]:
        raise AttributeError(f"no native function {name!r} in this set")


def compile_natives(
    hold_gil: bool = False, opt: int = 2, /, **functions: tuple[NativeFn[...], Mapping[str, Any]]
) -> NativeSet:
    """Compile `name=(fn, constants)`, ... into one code."""
    module = IrModule()
    for name, (fn, consts) in functions.items():
        module.export(name, fn, **consts)
    arities = {name: len(fn.defn.params) for name, (fn, _) in functions.items()}
    return NativeSet(module.compile(opt=opt), arities, hold_gil)


_lock = threading.Lock()
_compiled: dict[Any, Callable[..., int]] = {}


def compiled(fn: NativeFn[...], *, hold_gil: bool = False, **consts: Any) -> Callable[..., int]:
    """The compiled form of a native function as a Python callable; made once for the same constants."""
    key = (fn.defn, hold_gil, *((n, _identity(v)) for n, v in fn.constants(consts).items()))
    with _lock:
        found = _compiled.get(key)
    if found is None:
        made = compile_natives(hold_gil, f=(fn, consts)).f
        with _lock:
            found = _compiled.setdefault(key, made)
    return found


def _identity(value: Any) -> Any:
    if isinstance(value, Sym):
        return value.name, int(value)
    if isinstance(value, NativeFn):
        return value.defn, tuple((n, _identity(v)) for n, v in value.preset.items())
    return value


def compile_row(row: Intrinsic) -> Callable[..., int]:
    """An intrinsic by itself, compiled: what CPython calls for an atomic. Holds the GIL: it never waits."""
    lines: list[str] = []

    class Emitter:
        def emit(self, instruction: str) -> str:
            lines.append(f"  %t{len(lines)} = {instruction}")
            return f"%t{len(lines) - 1}"

        def do(self, instruction: str) -> None:
            lines.append(f"  {instruction}")

        def declare(self, declaration: str) -> None:
            module.add(declaration)

        def host(self, name: str) -> str:
            return f"@{module.extern(name)}"

        def entry_alloca(self, size: int) -> str:
            raise NativeError(f"{row.name} has no frame here ({size} bytes)")

    module, emitter = IrModule(), Emitter()
    args = [emitter.emit(f"inttoptr i64 %a{i} to ptr") if kind == "a" else f"%a{i}" for i, kind in enumerate(row.args)]
    result = row.lower(emitter, *args)
    params = ", ".join(f"i64 %a{i}" for i in range(len(row.args)))
    module.add("\n".join([f"define i64 @f({params}) nounwind {{", *lines, f"  ret i64 {result}", "}"]))
    return NativeSet(module.compile(["f"]), {"f": len(row.args)}, True).f
