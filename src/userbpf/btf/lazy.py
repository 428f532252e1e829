"""A kernel's BTF, read where it is asked: an index of offsets, and each type parsed when somebody wants it.

The kernel's BTF has over a hundred thousand types, of which a program meets a few dozen. Parsing all of them takes about a
second; finding where each begins takes a twentieth of that. Names are found in the string section, which holds
each but once (compilers and pahole take care of that), and then in the index by the offset of the name.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, MutableSequence
from functools import lru_cache
from pathlib import Path
from typing import Final, overload

from userbpf.btf.types import HEADER, MAGIC, Btf, T, Type, Void, read_one
from userbpf.errors import BtfError

# words of a type behind its three, and words of each of its vlen parts, by kind
_TAIL: Final = {1: 1, 3: 3, 14: 1, 17: 1}
_EACH: Final = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}


class LazyTypes(MutableSequence[Type]):
    """The types of a blob by number; nothing is ever added."""

    def __init__(self, owner: LazyBtf, starts: list[int]) -> None:
        self._owner = owner
        self._starts = starts
        self._known: dict[int, Type] = {0: Void()}

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Type: ...
    @overload
    def __getitem__(self, index: slice) -> MutableSequence[Type]: ...
    def __getitem__(self, index: int | slice) -> Type | MutableSequence[Type]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self._starts)
        found = self._known.get(index)
        if found is None:
            found = read_one(self._owner.words, self._starts[index] * 4, self._owner.string)
            found.id = index
            self._known[index] = found
        return found

    def __iter__(self) -> Iterator[Type]:
        return (self[i] for i in range(len(self._starts)))

    def __setitem__(self, index: int | slice, value: Type | Iterable[Type]) -> None:
        raise TypeError("the kernel's types do not change")

    def __delitem__(self, index: int | slice) -> None:
        raise TypeError("the kernel's types do not change")

    def insert(self, index: int, value: Type) -> None:
        raise TypeError("the kernel's types do not change")


class LazyBtf(Btf):
    """A BTF without base whose types are parsed one by one. References are checked where they are followed."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        if len(data) < HEADER.size:
            raise BtfError("shorter than a BTF header")
        magic, version, _, hdr_len, type_off, type_len, str_off, str_len = HEADER.unpack_from(data)
        if magic != MAGIC or version != 1 or type_len % 4:
            raise BtfError("not a BTF of this machine's byte order")
        if hdr_len < HEADER.size or hdr_len + max(type_off + type_len, str_off + str_len) > len(data):
            raise BtfError("a section lies outside of the blob")
        self.raw = data
        self.words = data[hdr_len + type_off : hdr_len + type_off + type_len]
        strings = data[hdr_len + str_off : hdr_len + str_off + str_len]
        if not strings or strings[0] or strings[-1]:
            raise BtfError("the string section does not begin and end with NUL")
        self.strings_raw = strings

        def string(off: int) -> str:
            if off >= len(strings):
                raise BtfError(f"name at {off} lies outside of the strings")
            return strings[off : strings.index(b"\0", off)].decode("utf-8", "surrogateescape")

        self.string = string
        starts, self._name_offs = _index(self.words)
        self.types = LazyTypes(self, starts)
        self._by_name: dict[str, list[int]] = {}

    def named(self, name: str) -> list[int]:
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = self._search(name)
        return found

    def _search(self, name: str) -> list[int]:
        if not name:
            return []
        at = self.strings_raw.find(b"\0" + name.encode("utf-8", "surrogateescape") + b"\0") + 1
        if not at:
            return []
        out: list[int] = []
        offs = self._name_offs
        start = 0
        try:
            while True:
                start = offs.index(at, start) + 1
                out.append(start - 1)
        except ValueError:
            return out

    def flavors(self, name: str) -> list[str]:
        out = []
        raw = self.strings_raw
        start = b"\0" + name.encode("utf-8", "surrogateescape") + b"___"
        at = raw.find(start)
        while at >= 0:
            out.append(raw[at + 1 : raw.index(b"\0", at + 1)].decode("utf-8", "surrogateescape"))
            at = raw.find(start, at + 1)
        return out

    def find(self, name: str, kind: type[T]) -> T | None:
        for type_id in self.named(name):
            t = self.types[type_id]
            if type(t) is kind:
                return t
        return None


def _index(types: bytes) -> tuple[list[int], array[int]]:
    """Where each type begins, in words, and the offset of its name; number 0 is void."""
    words = array("I")
    words.frombytes(types)
    if sys.byteorder != "little":
        words.byteswap()
    fixed, each = [3 + _TAIL.get(k, 0) for k in range(32)], [_EACH.get(k, 0) for k in range(32)]
    starts, names = [0], array("I", [0])
    append, append_name = starts.append, names.append
    at, end = 0, len(words)
    try:
        while at < end:
            info = words[at + 1]
            kind = info >> 24 & 31
            append(at)
            append_name(words[at])
            at += fixed[kind] + (each[kind] and each[kind] * (info & 0xFFFF))
    except IndexError:
        raise BtfError("type section ends inside a type") from None
    if at != end:
        raise BtfError("type section ends inside a type")
    return starts, names


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int]) -> LazyBtf:
    return LazyBtf(Path(path).read_bytes())


def read_lazy(path: str | Path) -> LazyBtf:
    """The BTF of a raw file such as /sys/kernel/btf/vmlinux; the same object while the file stays the same."""
    stat = Path(path).stat()
    return _read(str(path), (stat.st_mtime_ns, stat.st_size))


__all__ = ["LazyBtf", "LazyTypes", "read_lazy"]
