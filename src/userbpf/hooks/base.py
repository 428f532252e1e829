"""What a hook needs of a program, and the buffer that one packet lives in while programs run over it.

A `PacketSlot` is one native buffer: context words, context image, then the packet's memory with its headroom and
tailroom. Slots are reused from run to run; a thread has its own.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from userbpf.native.rt import (
    CTX_DATA,
    CTX_DATA_END,
    CTX_DATA_META,
    CTX_FLAGS,
    CTX_HARD_END,
    CTX_HARD_START,
    CTX_LINK_BYTES,
    CTX_SK,
    CTX_WORDS_SIZE,
)

IMAGE_SIZE = 256
BUFFER_AT = 1024  # offset of the packet's memory in a slot
BUFFER_SIZE = 4096 + 65536 + 4096


class Runnable(Protocol):
    """A loaded program as hooks see it; `kernel.ProgObj` is one."""

    @property
    def prog_type(self) -> int: ...

    @property
    def expected_attach_type(self) -> int: ...

    @property
    def changes_packet(self) -> bool: ...

    @property
    def interpreted(self) -> bool:
        """True where the kernel runs programs in the interpreter only."""
        ...

    def raise_pending(self) -> None:
        """Raise what a Python-bodied helper raised while native code ran."""
        ...

    def code_addr(self) -> int:
        """Address of the compiled program, compiled now if it was not yet: u64 f(u64 ctx, u64 rt)."""
        ...

    def run_context(self, cpu: int = -1) -> Any:
        """Context manager that lends a run context: yields the address rt."""
        ...

    def execute(self, ctx: int, rt: int) -> int:
        """One run on the kernel's chosen engine (JIT, or the interpreter of a kernel made so); r0 as u64."""
        ...


class PacketSlot:
    """Memory for one packet and its context. `ctx` is the image's address."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, BUFFER_AT + BUFFER_SIZE)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.ctx = self.base + CTX_WORDS_SIZE
        self.buffer = self.base + BUFFER_AT

    def clear(self) -> None:
        """Zero context words and image."""
        ctypes.memset(self.base, 0, CTX_WORDS_SIZE + IMAGE_SIZE)

    def place(self, data: bytes, headroom: int, room: int) -> None:
        """Put a packet `headroom` bytes into a buffer of `room` bytes; the rest of the buffer is zero."""
        ctypes.memset(self.buffer, 0, min(room, BUFFER_SIZE))
        start = self.buffer + headroom
        ctypes.memmove(start, data, len(data))
        self.set_word(CTX_DATA, start)
        self.set_word(CTX_DATA_META, start)
        self.set_word(CTX_DATA_END, start + len(data))
        self.set_word(CTX_HARD_START, self.buffer)
        self.set_word(CTX_HARD_END, self.buffer + room)
        self.set_word(CTX_SK, 0)
        self.set_word(CTX_FLAGS, 0)
        self.set_word(CTX_LINK_BYTES, 0)

    def set_word(self, off: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.ctx + off).value = value

    def word(self, off: int) -> int:
        return ctypes.c_uint64.from_address(self.ctx + off).value

    def set_image(self, image: bytes) -> None:
        ctypes.memmove(self.ctx, image, len(image))

    def image(self, size: int) -> bytes:
        return ctypes.string_at(self.ctx, size)

    def data(self, first: int = CTX_DATA) -> bytes:
        """Bytes from a context word's address to the packet's end."""
        start = self.word(first)
        return ctypes.string_at(start, self.word(CTX_DATA_END) - start)


_slots: list[PacketSlot] = []
_lock = threading.Lock()


@contextmanager
def packet_slot() -> Iterator[PacketSlot]:
    """Lend a slot to this thread for the time of a run."""
    with _lock:
        slot = _slots.pop() if _slots else PacketSlot()
    slot.clear()
    try:
        yield slot
    finally:
        with _lock:
            _slots.append(slot)
