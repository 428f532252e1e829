"""What is outside the subset is refused with the file, the line and the words of the reason."""

from __future__ import annotations

import linecache
import re
from typing import Any

import pytest

from userbpf.native import IrModule, NativeError, Sym, native
from userbpf.native import intrinsics as it

SYNTAX = {
    "float": ("def f(a):\n    return 1.5", 2, "only integers are values"),
    "true division": ("def f(a):\n    return a / 2", 2, "operator Div"),
    "power": ("def f(a):\n    return a ** 2", 2, "operator Pow"),
    "too wide": ("def f(a):\n    return 1 << 3 + 0x10000000000000000", 2, "does not fit 64 bits"),
    "list": ("def f(a):\n    x = [a]\n    return 0", 2, "expression List"),
    "subscript": ("def f(a):\n    return a[0]", 2, "expression Subscript"),
    "store subscript": ("def f(a):\n    a[0] = 1", 2, "assignment to a[0]"),
    "attribute store": ("def f(a):\n    a.b = 1", 2, "assignment to a.b"),
    "try": ("def f(a):\n    try:\n        pass\n    finally:\n        pass", 2, "statement Try"),
    "with": ("def f(a):\n    with a:\n        pass", 2, "statement With"),
    "nested def": ("def f(a):\n    def g():\n        pass", 2, "statement FunctionDef"),
    "lambda": ("def f(a):\n    return (lambda: a)()", 2, "only a named function"),
    "loop else": ("def f(a):\n    while a:\n        pass\n    else:\n        pass", 2, "`else` of a loop"),
    "star args": ("def f(*a):\n    return 0", 1, "*args"),
    "default": ("def f(a=1):\n    return a", 1, "only keyword-only parameters"),
    "assign constant": ("def f(a, *, k):\n    k = a\n    return k", 2, "compile-time constant"),
    "for over list": ("def f(a):\n    for i in [1, 2]:\n        pass", 2, "goes over range"),
    "in": ("def f(a):\n    return a in (1, 2)", 2, "comparison In"),
    "bare expression": ("def f(a):\n    a + 1", 2, "must be a call"),
    "alloca in loop": ("def f(a):\n    while a:\n        alloca(8)", 3, "alloca in a loop"),
    "no ASCII": ("def f(a):\n    größe = a\n    return 0", 2, "names are ASCII"),
    "global": ("def f(a):\n    global x\n    x = 1", 2, "statement Global"),
}
NAMES = {
    "unknown name": ("def f(a):\n    return missing", 2, "name missing is not defined"),
    "no int": ("def f(a):\n    return text", 2, "text is neither an int nor"),
    "not callable": ("def f(a):\n    return number(a)", 2, "number is not a function"),
    "builtin": ("def f(a):\n    return sorted(a)", 2, "sorted is neither an int nor"),
    "unread attribute": ("def f(a):\n    return errno.ENOSUCH", 2, "errno.ENOSUCH is not defined"),
}
LOWERING = {
    "dynamic range": ("def f(a):\n    for i in range(a):\n        pass", 2, "must be a compile-time constant"),
    "long range": ("def f(a):\n    for i in range(1 << 20):\n        pass", 2, "too long to unroll"),
    "maybe unassigned": ("def f(a):\n    if a:\n        x = 1\n    return x", 4, "x may be read before it is assigned"),
    "unassigned after while": (
        "def f(a):\n    while a:\n        x = 1\n        a -= 1\n    return x",
        5,
        "x may be read",
    ),
    "argument count": ("def f(a):\n    return load8(a, 1)", 2, "load8 takes 1 arguments"),
    "string": ("def f(a):\n    return neg('x')", 2, "not the kind of argument"),
    "dynamic keyword": ("def f(a):\n    return g(a, k=a)", 2, "handed down as a constant"),
    "missing constant": ("def f(a):\n    return g(a)", None, "constant k is not given"),
    "callee arity": ("def f(a):\n    return g(a, a, k=1)", 2, "takes 1 values (a)"),
    "zero division": ("def f(a):\n    return a // 0", 2, "division by a constant zero"),
    "c function": ("def f(a):\n    return extern_call('system')", 2, "no C function 'system'"),
    "tail call as value": ("def f(a):\n    x = tail_call_to(a, a)\n    return x", 2, "stands in `return"),
    "tail call arity": ("def f(a):\n    return tail_call_to(a)", 2, "as many arguments as the caller"),
    "dynamic alloca": ("def f(a):\n    return alloca(a)", 2, "must be a compile-time constant"),
}


def loaded(source: str, label: str) -> Any:
    filename = f"<{label}>"
    linecache.cache[filename] = (len(source), None, [line + "\n" for line in source.splitlines()], filename)
    import errno

    scope: dict[str, Any] = {name: row.py for name, row in it.ROWS.items()}
    scope |= {"text": "words", "number": 7, "errno": errno, "g": native(_g)}
    exec(compile(source, filename, "exec"), scope)
    return native(scope["f"])


def _g(a: int, *, k: int) -> int:
    return a + k


def refused(label: str, source: str, line: int | None, words: str, act: Any) -> None:
    with pytest.raises(NativeError) as e:
        act()
    text = str(e.value)
    assert words in text
    if line is not None:
        assert text.startswith(f"<{label}>:{line}: in f: ")
        assert source.splitlines()[line - 1].strip() in text


@pytest.mark.parametrize("label", [*SYNTAX, *NAMES])
def test_refused_at_both_speeds(label: str) -> None:
    source, line, words = {**SYNTAX, **NAMES}[label]
    refused(label, source, line, words, lambda: loaded(source, label)(1))
    refused(
        label, source, line, words, lambda: IrModule().use(loaded(source, label), **({"k": 1} if "k" in source else {}))
    )


@pytest.mark.parametrize("label", LOWERING)
def test_refused_by_the_compiler(label: str) -> None:
    source, line, words = LOWERING[label]
    refused(label, source, line, words, lambda: IrModule().use(loaded(source, label)))


def test_not_refused_where_a_constant_excludes_it() -> None:
    source = "def f(a, *, k):\n    if k == 3:\n        return missing\n    return a"
    fn = loaded(source, "dead branch")
    IrModule().use(fn, k=2)
    with pytest.raises(NativeError, match="name missing is not defined"):
        IrModule().use(fn, k=3)


def test_constants_of_the_wrong_kind() -> None:
    g = native(_g)
    for consts, words in (({}, "k is not given"), ({"k": 1, "j": 2}, "no constant j"), ({"k": "x"}, "must be an int")):
        with pytest.raises(NativeError, match=words):
            IrModule().use(g, **consts)
    with pytest.raises(NativeError, match="no constant z"):
        g.bind(z=1)


def test_symbols() -> None:
    with pytest.raises(NativeError, match="symbol name"):
        Sym("a b")
    m = IrModule()
    m.extern("there", 1)
    with pytest.raises(NativeError, match="two addresses"):
        m.extern("there", 2)
    m.add("define i64 @f() {\n  %x = call i64 @there()\n  %y = call i64 @nowhere()\n  ret i64 %y\n}")
    m.extern("nowhere")
    with pytest.raises(NativeError, match="nowhere has no address"):
        m.compile(["f"])
    with pytest.raises(NativeError, match="defines no function"):
        m.compile(["g"], {"nowhere": 1})


def test_ir_errors_show_the_place() -> None:
    m = IrModule()
    m.add("define i64 @f() {\n  ret i64 %nothing\n}")
    with pytest.raises(NativeError, match=re.escape("ret i64 %nothing")):
        m.compile(["f"])


def test_only_plain_functions() -> None:
    with pytest.raises(NativeError, match="plain function"):
        native(print)  # type: ignore[arg-type]
