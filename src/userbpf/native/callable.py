"""Code addresses as Python callables.

ctypes takes 400 to 900 ns a call. So a compiled function gets a small wrapper in machine code, which is a CPython
builtin: it reads its arguments by CPython's C API, releases the GIL unless told not to, calls, and makes the result: 30
to 80 ns. Interpreters without that API (PyPy, free-threaded builds, whose objects are laid out in another way) use ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable
from typing import Any, Final

M64: Final = (1 << 64) - 1


def callable_at(addr: int, arity: int, name: str, hold_gil: bool, keep: object) -> Callable[..., int]:
    """A callable of `arity` u64 arguments and a u64 result. `bytes` and `bytearray` arguments stand for their addresses."""
    if _has_c_api():
        return _builtin(addr, arity, name, hold_gil, keep)
    return _through_ctypes(addr, arity, name, hold_gil, keep)


def prepare(arity: int, hold_gil: bool) -> None:
    """Make now what the first `callable_at` of this kind would make (1 ms)."""
    if _has_c_api():
        _wrapper(arity, hold_gil)


@functools.cache
def _has_c_api() -> bool:
    if sys.implementation.name != "cpython":
        return False
    return "t" not in sys.abiflags if hasattr(sys, "abiflags") else not sysconfig.get_config_var("Py_GIL_DISABLED")


# --- ctypes ------------------------------------------------------------------------------------------------------------


def _through_ctypes(addr: int, arity: int, name: str, hold_gil: bool, keep: object) -> Callable[..., int]:
    kind = ctypes.PYFUNCTYPE if hold_gil else ctypes.CFUNCTYPE
    function: Any = kind(ctypes.c_uint64)(addr)
    function.keep = keep

    def call(*args: Any) -> int:
        if len(args) != arity:
            raise TypeError(_message(arity))
        return function(*map(_word, args))  # type: ignore[no-any-return]

    call.__name__ = name
    return call


def _word(value: Any) -> Any:
    """An argument for ctypes: ints as u64, buffers as their address."""
    if isinstance(value, int):
        return ctypes.c_uint64(value & M64)
    if isinstance(value, bytes):
        return ctypes.c_char_p(value)
    if isinstance(value, bytearray):
        return (ctypes.c_char * len(value)).from_buffer(value)
    raise TypeError(f"an int, bytes or bytearray is needed, not {type(value).__name__}")


# --- a builtin in machine code -----------------------------------------------------------------------------------------

_METH_FASTCALL: Final = 0x80
_WANTED: Final = (
    *("PyLong_AsUnsignedLongLongMask", "PyLong_FromUnsignedLongLong", "PyBytes_AsString", "PyByteArray_AsString"),
    *("PyErr_Occurred", "PyErr_SetString", "PyEval_SaveThread", "PyEval_RestoreThread"),
)
_TYPE_OFFSET: Final = 8  # of ob_type in PyObject: after the reference count


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("ml_name", ctypes.c_char_p),
        ("ml_meth", ctypes.c_void_p),
        ("ml_flags", ctypes.c_int),
        ("ml_doc", ctypes.c_char_p),
    ]


def _builtin(addr: int, arity: int, name: str, hold_gil: bool, keep: object) -> Callable[..., int]:
    wrapper, code = _wrapper(arity, hold_gil)
    holder = _Target(addr, keep, code)
    method = _MethodDef(name.encode(), wrapper, _METH_FASTCALL, None)
    holder.method = method
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    made: Callable[..., int] = new(ctypes.addressof(method), holder, None)
    return made


class _Target(bytes):
    """The `self` of a builtin: a bytes object whose content is the code address, and that keeps what the code needs alive."""

    method: _MethodDef
    keep: object

    def __new__(cls, addr: int, *keep: object) -> _Target:
        self = super().__new__(cls, addr.to_bytes(8, "little"))
        self.keep = keep
        return self


@functools.cache
def _wrapper(arity: int, hold_gil: bool) -> tuple[int, object]:
    """The wrapper for functions of this arity: PyObject *(PyObject *self, PyObject *const *args, Py_ssize_t n)."""
    from userbpf.native.code import compile_ir

    api = ctypes.pythonapi
    symbols = {n: ctypes.cast(getattr(api, n), ctypes.c_void_p).value or 0 for n in _WANTED}
    symbols |= {
        t: ctypes.addressof(ctypes.c_char.in_dll(api, t)) for t in ("PyLong_Type", "PyBytes_Type", "PyByteArray_Type")
    }
    symbols["PyExc_TypeError"] = ctypes.addressof(ctypes.c_char.in_dll(api, "PyExc_TypeError"))
    code = compile_ir(_wrapper_ir(arity, hold_gil), symbols, ["wrapper"], 0)  # 1 ms; at -O2 10 ms for 2 ns a call
    return code.addr("wrapper"), code


def _wrapper_ir(arity: int, hold_gil: bool) -> str:
    # bytes keep their content right behind the header; ob_sval's offset is a fact of this interpreter.
    content = bytes.__basicsize__ - 1
    reads = [
        f"""
  %p{i} = getelementptr ptr, ptr %args, i64 {i}
  %o{i} = load ptr, ptr %p{i}
  %w{i} = call i64 @word(ptr %o{i})
  %e{i} = icmp eq i64 %w{i}, -1
  br i1 %e{i}, label %doubt{i}, label %ok{i}
doubt{i}:
  %r{i} = call ptr @PyErr_Occurred()
  %z{i} = icmp eq ptr %r{i}, null
  br i1 %z{i}, label %ok{i}, label %fail
ok{i}:"""
        for i in range(arity)
    ]
    args = ", ".join(f"i64 %w{i}" for i in range(arity))
    run = f"%v = call i64 %target({args})"
    if not hold_gil:
        run = f"%ts = call ptr @PyEval_SaveThread()\n  {run}\n  call void @PyEval_RestoreThread(ptr %ts)"
    return f"""
@PyLong_Type = external global i8
@PyBytes_Type = external global i8
@PyByteArray_Type = external global i8
@PyExc_TypeError = external global ptr
@message = private constant [{len(_message(arity)) + 1} x i8] c"{_message(arity)}\\00"
declare i64 @PyLong_AsUnsignedLongLongMask(ptr)
declare ptr @PyLong_FromUnsignedLongLong(i64)
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyByteArray_AsString(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_SetString(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define internal i64 @word(ptr %o) {{
  %tp = getelementptr i8, ptr %o, i64 {_TYPE_OFFSET}
  %t = load ptr, ptr %tp
  %long = icmp eq ptr %t, @PyLong_Type
  br i1 %long, label %number, label %other, !prof !0
number:
  %n = tail call i64 @PyLong_AsUnsignedLongLongMask(ptr %o)
  ret i64 %n
other:
  %b = icmp eq ptr %t, @PyBytes_Type
  br i1 %b, label %bytes, label %more
bytes:
  %s = getelementptr i8, ptr %o, i64 {content}
  %si = ptrtoint ptr %s to i64
  ret i64 %si
more:
  %ba = icmp eq ptr %t, @PyByteArray_Type
  br i1 %ba, label %array, label %number
array:
  %a = call ptr @PyByteArray_AsString(ptr %o)
  %ai = ptrtoint ptr %a to i64
  ret i64 %ai
}}

define ptr @wrapper(ptr %self, ptr %args, i64 %n) {{
  %good = icmp eq i64 %n, {arity}
  br i1 %good, label %begin, label %count
count:
  %te = load ptr, ptr @PyExc_TypeError
  call void @PyErr_SetString(ptr %te, ptr @message)
  br label %fail
fail:
  ret ptr null
begin:
  %where = getelementptr i8, ptr %self, i64 {content}
  %target = load ptr, ptr %where{"".join(reads)}
  {run}
  %out = call ptr @PyLong_FromUnsignedLongLong(i64 %v)
  ret ptr %out
}}
!0 = !{{!"branch_weights", i32 100, i32 1}}
"""


def _message(arity: int) -> str:
    return f"this native function takes {arity} arguments"
