"""What arithmetic, comparisons and atomic operations mean, as functions of unsigned integers.

Values are u64, or u32 where `bits` is 32; the caller cuts the operands and the result to `bits`. These rows are the
reference that interpreter, JIT and verifier are tested against, so they are written to be read, not to be fast. Source:
RFC 9669 sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from userbpf.isa import opcodes as op

M64: Final = (1 << 64) - 1
M32: Final = (1 << 32) - 1


def signed(value: int, bits: int) -> int:
    """The low `bits` bits as a two's complement number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def sdiv(a: int, b: int, bits: int) -> int:
    """Signed quotient, rounded towards zero; by zero it is 0, and the lowest number by -1 is itself."""
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        return 0
    quotient = abs(x) // abs(y)
    return -quotient if (x < 0) != (y < 0) else quotient


def smod(a: int, b: int, bits: int) -> int:
    """Signed remainder, with the sign of the dividend; by zero it is the dividend."""
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        return a
    remainder = abs(x) % abs(y)
    return -remainder if x < 0 else remainder


Alu = Callable[[int, int, int], int]  # (dst, src, bits) -> any integer, right modulo 2**bits

ALU: Final[dict[int, Alu]] = {
    op.BPF_ADD: lambda a, b, bits: a + b,
    op.BPF_SUB: lambda a, b, bits: a - b,
    op.BPF_MUL: lambda a, b, bits: a * b,
    op.BPF_DIV: lambda a, b, bits: a // b if b else 0,
    op.BPF_OR: lambda a, b, bits: a | b,
    op.BPF_AND: lambda a, b, bits: a & b,
    op.BPF_LSH: lambda a, b, bits: a << (b & (bits - 1)),
    op.BPF_RSH: lambda a, b, bits: a >> (b & (bits - 1)),
    op.BPF_MOD: lambda a, b, bits: a % b if b else a,
    op.BPF_XOR: lambda a, b, bits: a ^ b,
    op.BPF_MOV: lambda a, b, bits: b,
    op.BPF_ARSH: lambda a, b, bits: signed(a, bits) >> (b & (bits - 1)),
}
SIGNED_ALU: Final[dict[int, Alu]] = {op.BPF_DIV: sdiv, op.BPF_MOD: smod}


def swap(value: int, bits: int) -> int:
    """The low `bits` bits with their bytes reversed."""
    return int.from_bytes((value & ((1 << bits) - 1)).to_bytes(bits // 8, "little"), "big")


Comparison = Callable[[int, int, int], bool]  # (dst, src, bits), operands already cut to bits

COMPARE: Final[dict[int, Comparison]] = {
    op.BPF_JEQ: lambda a, b, bits: a == b,
    op.BPF_JGT: lambda a, b, bits: a > b,
    op.BPF_JGE: lambda a, b, bits: a >= b,
    op.BPF_JSET: lambda a, b, bits: a & b != 0,
    op.BPF_JNE: lambda a, b, bits: a != b,
    op.BPF_JSGT: lambda a, b, bits: signed(a, bits) > signed(b, bits),
    op.BPF_JSGE: lambda a, b, bits: signed(a, bits) >= signed(b, bits),
    op.BPF_JLT: lambda a, b, bits: a < b,
    op.BPF_JLE: lambda a, b, bits: a <= b,
    op.BPF_JSLT: lambda a, b, bits: signed(a, bits) < signed(b, bits),
    op.BPF_JSLE: lambda a, b, bits: signed(a, bits) <= signed(b, bits),
}
