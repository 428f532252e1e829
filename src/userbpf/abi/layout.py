"""Fixed layouts of Linux's structs: one line a field, one `struct.Struct` a class.

    @layout
    class MapElemAttr:
        map_fd: u32 = 0
        pad_4: u32 = 0
        key: u64 = 0

Annotations give width and signedness (`u8` .. `s64`, or `Annotated[bytes, "16s"]` for characters); the decorator makes a slots
dataclass with `SIZE`, `decode`, `encode` and `fields`. Offsets are those of the C compiler; padding is a field whose name
begins with `pad_`, so that a layout is the sum of its lines.
"""

from __future__ import annotations

import inspect
import struct
import typing
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar, dataclass_transform

u8 = Annotated[int, "B"]
u16 = Annotated[int, "H"]
u32 = Annotated[int, "I"]
u64 = Annotated[int, "Q"]
s8 = Annotated[int, "b"]
s16 = Annotated[int, "h"]
s32 = Annotated[int, "i"]
s64 = Annotated[int, "q"]


class Layout:
    """What every layout class has."""

    __slots__ = ()
    SIZE: ClassVar[int]
    C_NAME: ClassVar[str] = ""
    _codec: ClassVar[struct.Struct]
    fields: ClassVar[tuple[tuple[str, int, int], ...]]  # (name, offset, size in bytes)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Self:
        """From exactly SIZE bytes or more; what lies behind is ignored."""
        return cls(*cls._codec.unpack_from(data))

    def encode(self) -> bytes:
        """SIZE bytes; struct.error for a value out of its field's range."""
        return self._codec.pack(*[getattr(self, name) for name, _, _ in self.fields])

    @classmethod
    def offset_of(cls, name: str) -> int:
        """Byte offset of a field."""
        return next(off for field, off, _ in cls.fields if field == name)


T = TypeVar("T")


@dataclass_transform()
def layout(cls: type[T]) -> type[T]:
    """Class decorator; see the module's text."""
    hints = typing.get_type_hints(cls, include_extras=True)
    codes: list[str] = []
    fields: list[tuple[str, int, int]] = []
    at = 0
    for name in inspect.get_annotations(cls):
        hint = hints[name]
        if typing.get_origin(hint) is ClassVar:
            continue
        code: str = hint.__metadata__[0]
        size = struct.calcsize("<" + code)
        codes.append(code)
        fields.append((name, at, size))
        at += size
        if name not in cls.__dict__:
            setattr(cls, name, b"" if code.endswith("s") else 0)
    out: Any = dataclass(slots=True)(cls)
    out._codec = struct.Struct("<" + "".join(codes))
    out.SIZE = out._codec.size
    out.fields = tuple(fields)
    return typing.cast(type[T], out)
