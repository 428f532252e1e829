"""One 8-byte instruction slot and its codec.

A program is a list of `Insn`, one per slot, so that `pc` is a list index everywhere; the 16-byte lddw takes two entries,
the second with code 0. Layout: RFC 9669 section 3, little endian: code u8, dst:4 | src:4, off s16, imm s32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from userbpf.errors import AsmError

_SLOT = struct.Struct("<BBhi")


class Insn(NamedTuple):
    """One slot. `dst` and `src` are 0..15 (above 10 is never valid), `off` is s16, `imm` is s32."""

    code: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0


def decode(data: bytes | bytearray | memoryview) -> list[Insn]:
    """Decode a multiple of 8 bytes; raises AsmError for any other length."""
    if len(data) % 8:
        raise AsmError(f"instruction bytes must be a multiple of 8, not {len(data)}")
    return [Insn(code, regs & 15, regs >> 4, off, imm) for code, regs, off, imm in _SLOT.iter_unpack(data)]


def encode(insns: Iterable[Insn]) -> bytes:
    """The bytes of a program, 8 per slot."""
    return b"".join([_SLOT.pack(i.code, i.src << 4 | i.dst, i.off, i.imm) for i in insns])
