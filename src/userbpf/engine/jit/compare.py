"""Comparison of memory of a constant size, spelt out.

Natives compare keys by memcmp. LLVM expands a call of memcmp late, after it has decided what lives in registers, so a key that
the program puts together on its stack would have to lie in memory, written in pieces and read as one: each lookup then waits
for the stores (17 ns against 5 for a hash lookup). A module with its own memcmp, which is plain loads where the size is a
constant and bcmp where it is not, lets the key dissolve into registers.
"""

from __future__ import annotations

from typing import Final

LARGEST: Final = 64  # bytes that are compared in line


def _tail(size: int, before: str, after: str) -> str:
    """Compare `size` more bytes where that bit of n is set. Block `before` to block `after`; i and d are carried along."""
    bits = size * 8
    return f"""
{before}:
  %i{size} = phi i64 {_from(size, "i")}
  %d{size} = phi i64 {_from(size, "d")}
  %bit{size} = and i64 %n, {size}
  %has{size} = icmp ne i64 %bit{size}, 0
  br i1 %has{size}, label %take{size}, label %{after}
take{size}:
  %pa{size} = getelementptr i8, ptr %a, i64 %i{size}
  %pb{size} = getelementptr i8, ptr %b, i64 %i{size}
  %x{size} = load i{bits}, ptr %pa{size}, align 1
  %y{size} = load i{bits}, ptr %pb{size}, align 1
  %z{size} = xor i{bits} %x{size}, %y{size}
  %w{size} = zext i{bits} %z{size} to i64
  %dn{size} = or i64 %d{size}, %w{size}
  %in{size} = add i64 %i{size}, {size}
  br label %{after}"""


def _from(size: int, name: str) -> str:
    if size == 4:
        return f"[0, %begin], [%{name}n8, %words]"
    return f"[%{name}{size * 2}, %tail{size * 2}], [%{name}n{size * 2}, %take{size * 2}]"


MEMCMP: Final = f"""declare i1 @llvm.is.constant.i64(i64)
declare i32 @bcmp(ptr, ptr, i64) nounwind willreturn memory(argmem: read)
define internal i32 @memcmp(ptr %a, ptr %b, i64 %n) alwaysinline nounwind willreturn {{
entry:
  %known = call i1 @llvm.is.constant.i64(i64 %n)
  %small = icmp ule i64 %n, {LARGEST}
  %inline = and i1 %known, %small
  br i1 %inline, label %begin, label %other
other:
  %r = call i32 @bcmp(ptr %a, ptr %b, i64 %n)
  ret i32 %r
begin:
  %some = icmp uge i64 %n, 8
  br i1 %some, label %words, label %tail4
words:
  %i8 = phi i64 [0, %begin], [%in8, %words]
  %d8 = phi i64 [0, %begin], [%dn8, %words]
  %pa8 = getelementptr i8, ptr %a, i64 %i8
  %pb8 = getelementptr i8, ptr %b, i64 %i8
  %x8 = load i64, ptr %pa8, align 1
  %y8 = load i64, ptr %pb8, align 1
  %z8 = xor i64 %x8, %y8
  %dn8 = or i64 %d8, %z8
  %in8 = add i64 %i8, 8
  %next = add i64 %in8, 8
  %more = icmp ule i64 %next, %n
  br i1 %more, label %words, label %tail4{_tail(4, "tail4", "tail2")}{_tail(2, "tail2", "tail1")}{_tail(1, "tail1", "done")}
done:
  %d = phi i64 [%d1, %tail1], [%dn1, %take1]
  %differ = icmp ne i64 %d, 0
  %result = zext i1 %differ to i32
  ret i32 %result
}}"""
