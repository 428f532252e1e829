"""Fixed layouts of Linux's structs: one line a field, one `struct.Struct` a class.

    @layout
    class MapElemAttr:
        map_fd: u32 = 0
        pad_4: u32 = 0
        key: u64 = 0

Annotations give width and signedness (`u8` .. `s64`, or `Annotated[bytes, "16s"]` for characters); the decorator makes a slots
class with `SIZE`, `decode`, `encode` and `fields`. Offsets are those of the C compiler; padding is a field whose name
begins with `pad_`, so that a layout is the sum of its lines.

It is a dataclass in use but not in the making: `dataclass` compiles five functions for each class when it is imported (50 ms
for all of Linux's), here the one that differs, `__init__`, is compiled for the first object.
"""

from __future__ import annotations

import struct
import sys
import typing
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar, dataclass_transform

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
    _defaults: ClassVar[tuple[Any, ...]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        cls.__init__ = _init_of(cls)  # type: ignore[method-assign]
        cls.__init__(self, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name, _, _ in self.fields)

    __hash__ = None  # type: ignore[assignment]  # the fields may change

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name, _, _ in self.fields)})"

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
SIZES: Final = {"B": 1, "H": 2, "I": 4, "Q": 8, "b": 1, "h": 2, "i": 4, "q": 8}


@dataclass_transform()
def layout(cls: type[T]) -> type[T]:
    """Class decorator; see the module's text."""
    names = vars(sys.modules[cls.__module__])
    body = dict(cls.__dict__)
    codes: list[str] = []
    fields: list[tuple[str, int, int]] = []
    defaults: list[Any] = []
    at = 0
    for name, annotation in body.get("__annotations__", {}).items():
        if isinstance(annotation, str):
            if annotation.startswith("ClassVar"):
                continue
            annotation = names[annotation]
        elif typing.get_origin(annotation) is ClassVar:
            continue
        code: str = annotation.__metadata__[0]
        size = SIZES.get(code) or struct.calcsize("<" + code)
        codes.append(code)
        fields.append((name, at, size))
        defaults.append(body.pop(name, b"" if code.endswith("s") else 0))
        at += size
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    body["__slots__"] = tuple(name for name, _, _ in fields)
    body["__match_args__"] = body["__slots__"]
    body["_codec"] = struct.Struct("<" + "".join(codes))
    body["SIZE"] = at
    body["fields"] = tuple(fields)
    body["_defaults"] = tuple(defaults)
    return typing.cast(type[T], type(cls.__name__, cls.__bases__, body))


def _init_of(cls: type[Layout]) -> Any:
    """`def __init__(self, first=0, second=0, ...)` of a layout."""
    names = [name for name, _, _ in cls.fields]
    parameters = "".join(f", {name}=_defaults[{n}]" for n, name in enumerate(names))
    body = "".join(f"\n    self.{name} = {name}" for name in names) or "\n    pass"
    made: dict[str, Any] = {"_defaults": cls._defaults}
    exec(f"def __init__(self{parameters}) -> None:{body}", made)
    return made["__init__"]
