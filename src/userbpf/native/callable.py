"""Code addresses as Python callables."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


def callable_at(addr: int, arity: int, name: str, hold_gil: bool, keep: object) -> Callable[..., int]:
    """A callable of `arity` u64 arguments and a u64 result. `bytes` and `bytearray` arguments stand for their addresses."""
    kind = ctypes.PYFUNCTYPE if hold_gil else ctypes.CFUNCTYPE
    function: Any = kind(ctypes.c_uint64, *[_Word] * arity)(addr)
    function.__name__ = name
    function.keep = keep
    return function  # type: ignore[no-any-return]


class _Word:
    """Argument conversion: ints as u64, buffers as their address."""

    @classmethod
    def from_param(cls, value: Any) -> Any:
        if isinstance(value, int):
            return ctypes.c_uint64(value & 0xFFFFFFFFFFFFFFFF)
        if isinstance(value, bytes):
            return ctypes.c_char_p(value)
        return (ctypes.c_char * len(value)).from_buffer(value)
