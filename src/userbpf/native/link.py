"""Relocatable objects to runnable code."""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from userbpf.errors import NativeError
from userbpf.native.objects import llvm, target_machine

# What LLVM may call by itself, and what intrinsics lower to.
HOST_SYMBOLS: Final = (
    "memcpy memmove memset memcmp bcmp clock_gettime sched_yield getpid __udivti3 __umodti3 __divti3 __modti3 __multi3"
).split()
_numbers = itertools.count()
_lock = threading.Lock()


@functools.cache
def host_symbol(name: str) -> int:
    """The address of a C library symbol of the list, 0 where there is none."""
    if name not in HOST_SYMBOLS:
        return 0
    for library in (None, "libgcc_s.so.1"):
        try:
            return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value or 0
        except (AttributeError, OSError):
            continue
    return 0


@functools.cache
def _jit() -> Any:
    return llvm().create_lljit_compiler(target_machine(2))


def link(code: bytes, symbols: Mapping[str, int], exports: Sequence[str]) -> tuple[dict[str, int], object]:
    """Bind an object's symbols; returns the exports' addresses and what keeps the code alive."""
    binding = llvm()
    builder = binding.JITLibraryBuilder().add_object_img(code)
    bound = {name: addr for name in HOST_SYMBOLS if (addr := host_symbol(name))} | dict(symbols)
    for name, addr in bound.items():
        builder.import_symbol(name, addr)
    for name in exports:
        builder.export_symbol(name)
    with _lock:
        try:
            library = builder.link(_jit(), f"userbpf.{next(_numbers)}")
        except RuntimeError as e:
            raise NativeError(f"cannot link: {e}") from e
    return {name: library[name] for name in exports}, library
