"""Relocatable objects to runnable code.

On x86-64 this is a linker of its own: it reads the ELF file that LLVM made, lays the sections out in one anonymous mapping,
binds symbols and seals the code pages read-execute. That takes 0.1 ms and no LLVM, so a program whose object is in the
cache starts without importing llvmlite (65 ms). Everything else (another processor, a relocation that is not in the
table) goes through LLVM's own linker (0.5 ms).

Objects are compiled position-independent for the small code model: calls and constants inside the object are relative,
and every outside symbol is reached through a table of addresses (GOT) that the linker appends to the code.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import mmap
import os
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from userbpf.errors import NativeError
from userbpf.native.objects import llvm, target_machine

# What LLVM may call by itself, and what intrinsics lower to.
HOST_SYMBOLS: Final = frozenset(
    (
        *("memcpy", "memmove", "memset", "memcmp", "bcmp", "clock_gettime", "sched_yield", "getpid"),
        *("__udivti3", "__umodti3", "__divti3", "__modti3", "__multi3"),
    )
)


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


def link(code: bytes, symbols: Mapping[str, int], exports: Sequence[str]) -> tuple[dict[str, int], object]:
    """Bind an object's symbols; returns the exports' addresses and what keeps the code alive."""
    if os.uname().machine == "x86_64" and sys.platform == "linux":
        try:
            return _Image(code).load(symbols, exports)
        except _NotOurs:
            pass
    return link_by_llvm(code, symbols, exports)


_numbers = itertools.count()
_lock = threading.Lock()


@functools.cache
def _jit() -> Any:
    return llvm().create_lljit_compiler(target_machine(2))


def link_by_llvm(code: bytes, symbols: Mapping[str, int], exports: Sequence[str]) -> tuple[dict[str, int], object]:
    """The same through LLVM's linker."""
    builder = llvm().JITLibraryBuilder().add_object_img(code)
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


# --- x86-64 ELF --------------------------------------------------------------------------------------------------------

_SHDR: Final = struct.Struct("<IIQQQQIIQQ")
_SYM: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QIIq")
SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_WRITE, SHF_ALLOC = 1, 2
SHN_UNDEF, SHN_ABS = 0, 0xFFF1
R_64, R_PC32, R_PLT32, R_GOTPCREL, R_32, R_32S, R_GOTPCRELX, R_REX_GOTPCRELX, R_PC64 = 1, 2, 4, 9, 10, 11, 41, 42, 24
_IN_GOT: Final = frozenset((R_GOTPCREL, R_GOTPCRELX, R_REX_GOTPCRELX))
_STUB: Final = 16  # bytes of `jmp *slot(%rip)`, padded

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _NotOurs(Exception):
    """Something this linker does not do."""


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


class _Reloc(NamedTuple):
    section: int
    offset: int
    kind: int
    symbol: int
    addend: int


class _Mapping:
    """Executable memory; unmapped when nothing refers to it any more."""

    def __init__(self, size: int) -> None:
        self.map = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE)
        self.addr = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def seal(self, size: int) -> None:
        """The first `size` bytes become read-execute."""
        if _libc.mprotect(ctypes.c_void_p(self.addr), ctypes.c_size_t(size), 5):
            raise NativeError(f"mprotect: errno {ctypes.get_errno()}: this process may not make memory executable")


@dataclass(slots=True)
class _Layout:
    places: dict[int, int]  # section -> offset in the mapping
    got: dict[int, int]  # symbol -> offset of its address slot
    stubs: dict[int, int]  # symbol -> offset of its jump
    code_size: int
    size: int


class _Image:
    """A parsed object file."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        if code[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", code, 18)[0] != 62:
            raise _NotOurs("no ELF file for x86-64")
        shoff = struct.unpack_from("<Q", code, 40)[0]
        count, names_at = struct.unpack_from("<HH", code, 60)
        raw = [_SHDR.unpack_from(code, shoff + 64 * i) for i in range(count)]
        names = raw[names_at][4]
        self.sections = [
            _Section(self._text(names + s[0]), s[1], s[2], s[4], s[5], s[6], s[7], max(1, s[8])) for s in raw
        ]
        self.symbols: list[_Symbol] = []
        for s in self.sections:
            if s.kind == SHT_SYMTAB:
                strings = self.sections[s.link].offset
                self.symbols = [
                    _Symbol(self._text(strings + name), section, value)
                    for name, _, _, section, value, _ in _SYM.iter_unpack(code[s.offset : s.offset + s.size])
                ]
        kept = {i for i, s in enumerate(self.sections) if s.flags & SHF_ALLOC and s.name != ".eh_frame"}
        self.kept = sorted(kept, key=lambda i: bool(self.sections[i].flags & SHF_WRITE))
        self.relocs = [
            _Reloc(s.info, offset, kind, symbol, addend)
            for s in self.sections
            if s.kind == SHT_RELA and s.info in kept
            for offset, kind, symbol, addend in _RELA.iter_unpack(code[s.offset : s.offset + s.size])
        ]

    def _text(self, at: int) -> str:
        return self.code[at : self.code.index(b"\0", at)].decode()

    def layout(self) -> _Layout:
        """Code and constants, stubs, address table; then, on pages of their own, what is writable."""
        places: dict[int, int] = {}
        at = 0
        writable = [i for i in self.kept if self.sections[i].flags & SHF_WRITE]
        for i in self.kept:
            if i not in writable:
                at = places[i] = _up(at, self.sections[i].align)
                at += self.sections[i].size
        at = _up(at, 16)
        stubs: dict[int, int] = {}
        got: dict[int, int] = {}
        for r in self.relocs:
            outside = self.symbols[r.symbol].section == SHN_UNDEF
            if r.kind in _IN_GOT or (r.kind == R_PLT32 and outside):
                got.setdefault(r.symbol, 0)
            if r.kind == R_PLT32 and outside and r.symbol not in stubs:
                stubs[r.symbol] = at
                at += _STUB
        for symbol in got:
            got[symbol] = at
            at += 8
        code_size = at = _up(at, mmap.PAGESIZE)
        for i in writable:
            at = places[i] = _up(at, self.sections[i].align)
            at += self.sections[i].size
        return _Layout(places, got, stubs, code_size, max(at, 1))

    def load(self, symbols: Mapping[str, int], exports: Sequence[str]) -> tuple[dict[str, int], object]:
        lay = self.layout()
        memory = bytearray(lay.size)
        for i, at in lay.places.items():
            s = self.sections[i]
            if s.kind != SHT_NOBITS:
                memory[at : at + s.size] = self.code[s.offset : s.offset + s.size]
        mapping = _Mapping(lay.size)
        addresses = [self._address(s, lay, mapping.addr, symbols) for s in self.symbols]
        for symbol, at in lay.got.items():
            struct.pack_into("<Q", memory, at, self._known(addresses, symbol))
        for symbol, at in lay.stubs.items():
            struct.pack_into("<HiH", memory, at, 0x25FF, lay.got[symbol] - (at + 6), 0x0B0F)  # jmp *slot(%rip); ud2
        for r in self.relocs:
            self._apply(r, memory, lay, mapping.addr, addresses)
        mapping.map[:] = bytes(memory)
        mapping.seal(lay.code_size)
        by_name = {s.name: a for s, a in zip(self.symbols, addresses, strict=True) if s.section != SHN_UNDEF and a}
        missing = [name for name in exports if name not in by_name]
        if missing:
            raise NativeError(f"the module defines no function {missing[0]}")
        return {name: by_name[name] for name in exports}, mapping

    def _address(self, s: _Symbol, lay: _Layout, base: int, symbols: Mapping[str, int]) -> int | None:
        if s.section == SHN_UNDEF:
            return symbols[s.name] if s.name in symbols else (host_symbol(s.name) or None)
        if s.section == SHN_ABS:
            return s.value
        place = lay.places.get(s.section)
        return None if place is None else base + place + s.value

    def _known(self, addresses: list[int | None], symbol: int) -> int:
        addr = addresses[symbol]
        if addr is None:
            raise NativeError(f"symbol {self.symbols[symbol].name} has no address")
        return addr

    def _apply(self, r: _Reloc, memory: bytearray, lay: _Layout, base: int, addresses: list[int | None]) -> None:
        at = lay.places[r.section] + r.offset
        if r.kind in _IN_GOT:
            value = lay.got[r.symbol] + r.addend - at
        elif r.kind == R_PLT32 and r.symbol in lay.stubs:
            value = lay.stubs[r.symbol] + r.addend - at
        elif r.kind in (R_PC32, R_PLT32, R_PC64):
            value = self._known(addresses, r.symbol) + r.addend - (base + at)
        elif r.kind in (R_64, R_32, R_32S):
            value = self._known(addresses, r.symbol) + r.addend
        else:
            raise _NotOurs(f"relocation type {r.kind}")
        try:
            if r.kind in (R_64, R_PC64):
                struct.pack_into("<Q", memory, at, value & 0xFFFFFFFFFFFFFFFF)
            else:
                struct.pack_into("<I" if r.kind == R_32 else "<i", memory, at, value)
        except struct.error:
            raise _NotOurs(f"relocation type {r.kind} out of reach") from None


def _up(n: int, align: int) -> int:
    return (n + align - 1) & -align
