"""What every map is: a region, a descriptor, and the operations of the syscall and of programs.

A map is one `Region`: its values or elements at file offset 0 (so that a client's mmap sees what Linux would show), private
structures behind them, and a trailer page that says what it is, so that another process which got the descriptor can use
it too. Inside are only offsets. The *descriptor* (`native.rt` DESC_*) is private to the process: it holds the region's
address and code addresses, and its own address is what a map pointer in a register is.

Algorithms are native functions that take the map's layout as values. A program that uses a known map gets them with
constants (`ops`), and LLVM folds the rest; the syscall side and generic helpers use one compiled set a family, which reads
the layout from the descriptor, so that creating a map compiles nothing.
"""

from __future__ import annotations

import ctypes
import errno
import struct
import weakref
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Final

from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from userbpf.native import NativeFn, NativeSet, Region, compile_natives, native, neg
from userbpf.native.region import PAGE, page_up
from userbpf.native.rt import (
    DESC_BASE,
    DESC_DELETE,
    DESC_FLAGS,
    DESC_ID,
    DESC_KEY_SIZE,
    DESC_LOOKUP,
    DESC_LOOKUP_PERCPU,
    DESC_MAX_ENTRIES,
    DESC_NEXT,
    DESC_PEEK,
    DESC_POP,
    DESC_PUSH,
    DESC_SIZE,
    DESC_TYPE,
    DESC_UPDATE,
    DESC_VALUE_SIZE,
)
from userbpf.spec.maps import MAPS

MAGIC: Final = b"userbpf\0"
TRAILER: Final = struct.Struct("<8sIIIIIIIIIIIQ16s5I")
TRAILER_VERSION: Final = 2
DESC_PRIVATE: Final = 104  # address of the family's private structures in the region
DESC_NCPU: Final = 112  # u32 slots of a per-CPU value; 0 where the value is shared
DESC_STRIDE: Final = 116  # u32 bytes from one CPU's value to the next, or of one value
ENOTSUPP: Final = 524
MAX_REGION: Final = 1 << 40

BPF_ANY: Final = 0
BPF_NOEXIST: Final = 1
BPF_EXIST: Final = 2
BPF_F_LOCK: Final = 4

OPS: Final = {
    "lookup": DESC_LOOKUP,
    "update": DESC_UPDATE,
    "delete": DESC_DELETE,
    "lookup_percpu": DESC_LOOKUP_PERCPU,
    "push": DESC_PUSH,
    "pop": DESC_POP,
    "peek": DESC_PEEK,
    "next": DESC_NEXT,
}

FINDS: Final = frozenset({"lookup", "lookup_percpu", "next"})  # 0: nothing there
EOPNOTSUPP = errno.EOPNOTSUPP

Consts = Mapping[str, Any]


def round8(n: int) -> int:
    """n rounded up to a multiple of 8."""
    return n + 7 & ~7


def fail(code: int) -> BpfError:
    """Linux's errno as an exception."""
    return BpfError(code, "Unknown error 524" if code == ENOTSUPP else "")


@native
def nothing(rt: int, desc: int) -> int:
    """The answer of a map that programs find nothing in; further arguments are not looked at."""
    return 0


@native
def refused(rt: int, desc: int) -> int:
    """The answer of a map that programs change nothing in."""
    return neg(EOPNOTSUPP)


@cache
def _stubs() -> NativeSet:
    """What stands in a descriptor for an operation that the family has not."""
    return compile_natives(nothing=(nothing, {}), refused=(refused, {}))


class MapAttr:
    """The sizes a map is made of; `abi.attrs.MapCreateAttr` fits too."""

    def __init__(
        self,
        map_type: int,
        key_size: int,
        value_size: int,
        max_entries: int,
        map_flags: int = 0,
        map_name: bytes = b"",
        map_extra: int = 0,
        btf_key_type_id: int = 0,
        btf_value_type_id: int = 0,
    ) -> None:
        self.map_type = map_type
        self.key_size = key_size
        self.value_size = value_size
        self.max_entries = max_entries
        self.map_flags = map_flags
        self.map_name = map_name
        self.map_extra = map_extra
        self.btf_key_type_id = btf_key_type_id
        self.btf_value_type_id = btf_value_type_id


class Map:
    """Base of all families. Sizes are bytes; operations raise BpfError with Linux's errno."""

    TYPES: ClassVar[tuple[MapType, ...]] = ()
    GENERIC: ClassVar[dict[str, NativeFn[...]]] = {}  # op -> native(rt, desc, ...)
    _sets: ClassVar[dict[type, NativeSet]] = {}

    def __init__(self, attr: Any, *, ncpu: int, region: Region | None = None) -> None:
        self.map_type = MapType(attr.map_type)
        self.key_size: int = attr.key_size
        self.value_size: int = attr.value_size
        self.max_entries: int = self.entries_of(attr, ncpu)
        self.map_flags: int = attr.map_flags | MAPS[self.map_type].implied
        self.map_extra: int = attr.map_extra
        self.name = bytes(attr.map_name).split(b"\0", 1)[0].decode("latin-1")
        self.btf_key_type_id: int = attr.btf_key_type_id
        self.btf_value_type_id: int = attr.btf_value_type_id
        self.ncpu = ncpu
        self.frozen = False
        self._map_id = 0
        self.fields_table: Any = None  # where values have fields of the kernel's: maps.guard
        used = page_up(max(self.plan(), 1))
        if used > MAX_REGION:
            raise fail(errno.E2BIG)
        if region is not None and region.size != used + PAGE:
            region.close()
            raise fail(errno.EINVAL)  # the trailer lies: what it promises is not there
        self.region = region or self._create(used + PAGE)
        self._desc = (ctypes.c_uint64 * (DESC_SIZE // 8))()
        self.desc = ctypes.addressof(self._desc)
        self._fill_descriptor()
        if region is None:
            self.prepare()
            self._write_trailer()
        self._finalizer = weakref.finalize(self, Region.close, self.region)

    def _create(self, size: int) -> Region:
        try:
            return Region.create("bpf-map", size)
        except (OSError, ValueError, OverflowError) as e:
            raise fail(errno.ENOMEM) from e

    # --- what a family says of itself ------------------------------------------------------------------------------------

    @classmethod
    def entries_of(cls, attr: Any, ncpu: int) -> int:
        """max_entries as the map has it and object info shows it."""
        return int(attr.max_entries)

    @property
    def guarded(self) -> bool:
        """Whether values have fields of the kernel's, which an update must not copy."""
        return self.fields_table is not None

    @property
    def percpu(self) -> bool:
        """Whether each CPU has a value of its own."""
        return False

    @property
    def stride(self) -> int:
        """Bytes from one value to the next."""
        return round8(self.value_size)

    @property
    def value_len(self) -> int:
        """Bytes of a value at the syscall."""
        return self.stride * self.ncpu if self.percpu else self.value_size

    @property
    def private_off(self) -> int:
        """Offset in the region of the family's private structures."""
        return 0

    def plan(self) -> int:
        """Bytes the region needs."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Initialise a new region; zero memory is the usual beginning."""

    def ops(self, op: str) -> tuple[NativeFn[...], Consts] | None:
        """The body of an operation for programs that know this map, with its constants."""
        return None

    @property
    def value_base(self) -> int:
        """Address of the first value where values lie at fixed places, else 0."""
        return 0

    def owns(self, addr: int, size: int) -> bool:
        """Whether [addr, addr + size) lies within one value (or record) of the map."""
        return False

    # --- descriptor and trailer ------------------------------------------------------------------------------------------

    @classmethod
    def natives(cls) -> NativeSet:
        """The compiled operations of the family, generic over its maps."""
        found = Map._sets.get(cls)
        if found is None:
            found = Map._sets[cls] = compile_natives(**{op: (fn, {}) for op, fn in cls.GENERIC.items()})
        return found

    def _fill_descriptor(self) -> None:
        self._set64(DESC_BASE, self.region.addr)
        self._set64(DESC_PRIVATE, self.region.addr + self.private_off)
        for off, value in (
            (DESC_TYPE, self.map_type),
            (DESC_KEY_SIZE, self.key_size),
            (DESC_VALUE_SIZE, self.value_size),
            (DESC_MAX_ENTRIES, self.max_entries),
            (DESC_FLAGS, self.map_flags),
            (DESC_NCPU, self.ncpu if self.percpu else 0),
            (DESC_STRIDE, self.stride),
        ):
            ctypes.c_uint32.from_address(self.desc + off).value = value
        stubs = _stubs()
        natives = self.natives() if self.GENERIC else stubs
        for op, off in OPS.items():
            if op in self.GENERIC:
                self._set64(off, natives.addr(op))
            else:
                self._set64(off, stubs.addr("nothing" if op in FINDS else "refused"))

    def _set64(self, off: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.desc + off).value = value

    @property
    def map_id(self) -> int:
        """The id that the kernel object gave."""
        return self._map_id

    @map_id.setter
    def map_id(self, value: int) -> None:
        self._map_id = value
        ctypes.c_uint32.from_address(self.desc + DESC_ID).value = value

    def _write_trailer(self) -> None:
        self.region.map[self.region.size - PAGE : self.region.size - PAGE + TRAILER.size] = TRAILER.pack(
            MAGIC,
            TRAILER_VERSION,
            self.map_type,
            self.key_size,
            self.value_size,
            self.max_entries,
            self.map_flags,
            self.ncpu,
            self.btf_key_type_id,
            self.btf_value_type_id,
            int(self.frozen),
            0,
            self.map_extra,
            self.name.encode("latin-1"),
            *self.template_fields(),
        )

    def template_fields(self) -> tuple[int, int, int, int, int]:
        """Of a map of maps: type, key size, value size, entries and flags of what may be in it."""
        return 0, 0, 0, 0, 0

    def freeze(self) -> None:
        """No more writes from the syscall side; kept in the region for every process."""
        self.frozen = True
        self._write_trailer()

    def close(self) -> None:
        """Unmap; the descriptor of the region is closed with it."""
        self._finalizer()

    def held_objects(self) -> Iterator[Any]:
        """Kernel objects that this map's content refers to."""
        return iter(())

    # --- the syscall side ------------------------------------------------------------------------------------------------

    def _key(self, key: bytes) -> bytes:
        if len(key) != self.key_size:
            raise fail(errno.EINVAL)
        return key

    def _value(self, value: bytes) -> bytes:
        if len(value) != self.value_len:
            raise fail(errno.EINVAL)
        return value

    def lookup(self, key: bytes) -> bytes:
        """The value (all CPUs' values one after the other for a per-CPU map); ENOENT."""
        raise fail(ENOTSUPP)

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        """Set a value; EEXIST, ENOENT, E2BIG, EINVAL."""
        raise fail(ENOTSUPP)

    def delete(self, key: bytes) -> None:
        """Remove an entry; ENOENT."""
        raise fail(errno.EINVAL)

    def next_key(self, key: bytes | None) -> bytes:
        """The key after `key`, the first for None or a key that is not there; ENOENT at the end."""
        raise fail(ENOTSUPP)

    def lookup_and_delete(self, key: bytes) -> bytes:
        """Take an entry out; ENOTSUPP where the family has no such operation."""
        raise fail(ENOTSUPP)

    def lookup_batch(
        self, token: bytes | None, count: int, delete: bool
    ) -> tuple[list[bytes], list[bytes], bytes | None]:
        """Up to `count` entries from a token on: keys, values, and the token to go on with, None at the end."""
        raise fail(ENOTSUPP)


def check_flags(flags: int) -> None:
    """Flags of an update: one of ANY, NOEXIST, EXIST; BPF_F_LOCK needs a spin lock in the value."""
    if flags > BPF_EXIST:
        raise fail(errno.EINVAL)


def checked(result: int) -> int:
    """A native's result: a negative errno raises."""
    if result >> 63:
        raise fail((1 << 64) - result)
    return result
