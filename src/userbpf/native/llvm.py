"""LLVM as a function: IR text in, machine code out, through llvmlite's shared library.

`import llvmlite.binding` takes 45 ms, nearly all of it Python (`importlib.resources`, a class for each kind of IR value): more
than loading the library (7 ms) and compiling a small program (7 ms) together, and of its 300 functions 20 are needed here. So
those are called directly, with signatures that a test compares with llvmlite's own. The library promises nothing from one
version to the next: versions other than those of `KNOWN`, and processes that have imported llvmlite.binding anyway, go
through it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_void_p
from typing import Any, Final

from userbpf.errors import NativeError

KNOWN: Final = ("0.50.",)
TEXT: Final = POINTER(c_char_p)  # a string that LLVM makes

# name without LLVMPY_: (result, arguments)
FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "InitializeNativeTarget": (c_int, ()),
    "InitializeNativeAsmPrinter": (c_int, ()),
    "InitializeNativeAsmParser": (c_int, ()),
    "DisposeString": (None, (c_char_p,)),
    "GetDefaultTargetTriple": (None, (TEXT,)),
    "GetHostCPUName": (None, (TEXT,)),
    "GetHostCPUFeatures": (c_int, (TEXT,)),
    "GetTargetFromTriple": (c_void_p, (c_char_p, TEXT)),
    "CreateTargetMachine": (
        c_void_p,
        (c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_char_p, c_char_p, c_int, c_int, c_char_p),
    ),
    "ContextCreate": (c_void_p, ()),
    "ContextDispose": (None, (c_void_p,)),
    "ParseAssembly": (c_void_p, (c_void_p, c_char_p, TEXT)),
    "DisposeModule": (None, (c_void_p,)),
    "VerifyModule": (c_bool, (c_void_p, TEXT)),
    "CreatePipelineTuningOptions": (c_void_p, ()),
    "PTOSetLoopVectorization": (None, (c_void_p, c_bool)),
    "PTOSetSLPVectorization": (None, (c_void_p, c_bool)),
    "DisposePipelineTuningOptions": (None, (c_void_p,)),
    "CreatePassBuilder": (c_void_p, (c_void_p, c_void_p)),
    "DisposePassBuilder": (None, (c_void_p,)),
    "buildPerModuleDefaultPipeline": (c_void_p, (c_void_p, c_int)),
    "RunNewModulePassManager": (None, (c_void_p, c_void_p, c_void_p)),
    "DisposeNewModulePassManger": (None, (c_void_p,)),
    "TargetMachineEmitToMemory": (c_void_p, (c_void_p, c_void_p, c_int, TEXT)),
    "GetBufferStart": (c_void_p, (c_void_p,)),
    "GetBufferSize": (c_size_t, (c_void_p,)),
    "DisposeMemoryBuffer": (None, (c_void_p,)),
}


class Compiler:
    """The library's functions by name, and what is made of them once. One thread at a time."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        self.call: dict[str, Any] = {}
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, arguments
            self.call[name] = function
        for part in ("Target", "AsmPrinter", "AsmParser"):  # pause() is inline assembly
            self.call[f"InitializeNative{part}"]()
        self.machines: dict[int, int] = {}

    @contextmanager
    def _text(self) -> Iterator[Any]:
        """Where LLVM puts a string; gives it back."""
        out = c_char_p()
        try:
            yield out
        finally:
            if out:
                self.call["DisposeString"](out)

    def _asked(self, name: str) -> bytes:
        with self._text() as out:
            self.call[name](ctypes.byref(out))
            return out.value or b""

    def _made(self, name: str, *args: Any) -> int:
        """An object that a function makes; NativeError, with LLVM's words, where it makes none."""
        with self._text() as words:
            made = self.call[name](*args, ctypes.byref(words))
            if not made:
                raise NativeError((words.value or b"LLVM gives no reason").decode("utf-8", "replace"))
            return int(made)

    def machine(self, opt: int) -> int:
        """A target machine of this processor for position-independent code."""
        if opt not in self.machines:
            triple = self._asked("GetDefaultTargetTriple")
            target = self._made("GetTargetFromTriple", triple)
            features = ",".join(sorted(self._asked("GetHostCPUFeatures").decode().split(","), key=_name_of)).encode()
            cpu = self._asked("GetHostCPUName")
            made = self.call["CreateTargetMachine"](target, triple, cpu, features, opt, b"pic", b"small", 0, 0, b"")
            if not made:
                raise NativeError(f"LLVM has no target machine for {triple.decode()}")
            self.machines[opt] = made
        return self.machines[opt]

    def compile(self, text: str, opt: int, assembly: bool = False) -> bytes:
        """A relocatable object file (or assembly text) of a module; NativeError where LLVM refuses the IR."""
        call, machine = self.call, self.machine(opt)
        with ExitStack() as stack:
            context = call["ContextCreate"]()
            stack.callback(call["ContextDispose"], context)
            module = self._made("ParseAssembly", context, text.encode())
            stack.callback(call["DisposeModule"], module)
            with self._text() as words:
                if call["VerifyModule"](module, ctypes.byref(words)):
                    raise NativeError((words.value or b"").decode("utf-8", "replace"))
            if opt:
                self._optimise(module, machine, opt)
            buffer = self._made("TargetMachineEmitToMemory", machine, module, int(not assembly))
            stack.callback(call["DisposeMemoryBuffer"], buffer)
            return ctypes.string_at(call["GetBufferStart"](buffer), call["GetBufferSize"](buffer))

    def _optimise(self, module: int, machine: int, opt: int) -> None:
        call = self.call
        with ExitStack() as stack:
            tuning = call["CreatePipelineTuningOptions"]()
            stack.callback(call["DisposePipelineTuningOptions"], tuning)
            for what in ("Loop", "SLP"):
                call[f"PTOSet{what}Vectorization"](tuning, opt > 1)
            builder = call["CreatePassBuilder"](machine, tuning)
            stack.callback(call["DisposePassBuilder"], builder)
            passes = call["buildPerModuleDefaultPipeline"](builder, opt)
            stack.callback(call["DisposeNewModulePassManger"], passes)
            call["RunNewModulePassManager"](passes, module, builder)


def _name_of(feature: str) -> str:
    """A feature without its + or -."""
    return feature[1:]


def library_path() -> str | None:
    """The file of llvmlite's library, found without importing it."""
    try:
        spec = importlib.util.find_spec("llvmlite")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin:
        return None
    name = {"darwin": "libllvmlite.dylib", "win32": "llvmlite.dll"}.get(sys.platform, "libllvmlite.so")
    path = os.path.join(os.path.dirname(spec.origin), "binding", name)
    return path if os.path.exists(path) else None


@functools.cache
def compiler() -> Compiler | None:
    """LLVM without llvmlite's Python; None where it must be asked through that."""
    path = library_path()
    if path is None or "llvmlite.binding" in sys.modules:
        return None
    import llvmlite

    if not llvmlite.__version__.startswith(KNOWN):
        return None
    try:
        return Compiler(path)
    except (OSError, AttributeError):  # a build that has other functions
        return None
