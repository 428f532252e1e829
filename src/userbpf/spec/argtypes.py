"""What a helper takes and returns: the kinds that Linux's verifier distinguishes.

A kind is a base (`ArgBase`, `RetBase`) and flags (`TypeFlag`), under the names and numbers of Linux's `enum
bpf_arg_type`, `enum bpf_return_type` and `enum bpf_type_flag` (6.18). Linux packs both in one number; here they are two
fields, because every consumer wants them apart. `size` is the fixed size of a memory argument, `btf` names the kernel
structures that a BTF pointer may point at.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple


class ArgBase(enum.IntEnum):
    """enum bpf_arg_type."""

    DONTCARE = 0
    CONST_MAP_PTR = 1  # a map pointer known at verification
    PTR_TO_MAP_KEY = 2  # memory of key_size bytes of the map in an earlier argument
    PTR_TO_MAP_VALUE = 3  # memory of value_size bytes of the map in an earlier argument
    PTR_TO_MEM = 4  # memory whose size is fixed, or is the next argument
    PTR_TO_ARENA = 5
    CONST_SIZE = 6  # bytes of the memory in the argument before, at least 1
    CONST_SIZE_OR_ZERO = 7
    PTR_TO_CTX = 8
    ANYTHING = 9  # any initialised value
    PTR_TO_SPIN_LOCK = 10
    PTR_TO_SOCK_COMMON = 11
    PTR_TO_SOCKET = 12
    PTR_TO_BTF_ID = 13
    PTR_TO_RINGBUF_MEM = 14
    CONST_ALLOC_SIZE_OR_ZERO = 15  # a constant: bytes of the memory that is returned
    PTR_TO_BTF_ID_SOCK_COMMON = 16
    PTR_TO_PERCPU_BTF_ID = 17
    PTR_TO_FUNC = 18
    PTR_TO_STACK = 19
    PTR_TO_CONST_STR = 20
    PTR_TO_TIMER = 21
    KPTR_XCHG_DEST = 22
    PTR_TO_DYNPTR = 23

    @property
    def c_name(self) -> str:
        """Linux's name."""
        return self.name if self is ArgBase.KPTR_XCHG_DEST else f"ARG_{self.name}"


class RetBase(enum.IntEnum):
    """enum bpf_return_type."""

    INTEGER = 0
    VOID = 1
    PTR_TO_MAP_VALUE = 2
    PTR_TO_SOCKET = 3
    PTR_TO_TCP_SOCK = 4
    PTR_TO_SOCK_COMMON = 5
    PTR_TO_MEM = 6
    PTR_TO_MEM_OR_BTF_ID = 7
    PTR_TO_BTF_ID = 8

    @property
    def c_name(self) -> str:
        """Linux's name."""
        return f"RET_{self.name}"


class TypeFlag(enum.IntFlag):
    """enum bpf_type_flag."""

    PTR_MAYBE_NULL = 1 << 8
    MEM_RDONLY = 1 << 9
    MEM_RINGBUF = 1 << 10
    MEM_USER = 1 << 11
    MEM_PERCPU = 1 << 12
    OBJ_RELEASE = 1 << 13
    PTR_UNTRUSTED = 1 << 14
    MEM_UNINIT = 1 << 15
    DYNPTR_TYPE_LOCAL = 1 << 16
    DYNPTR_TYPE_RINGBUF = 1 << 17
    MEM_FIXED_SIZE = 1 << 18
    MEM_ALLOC = 1 << 19
    PTR_TRUSTED = 1 << 20
    MEM_RCU = 1 << 21
    NON_OWN_REF = 1 << 22
    DYNPTR_TYPE_SKB = 1 << 23
    DYNPTR_TYPE_XDP = 1 << 24
    MEM_ALIGNED = 1 << 25
    MEM_WRITE = 1 << 26
    DYNPTR_TYPE_SKB_META = 1 << 27


# plain ints: the verifier asks for them with every call, and an IntFlag's & takes a microsecond
NO_FLAGS: Final = 0
PTR_MAYBE_NULL: Final = int(TypeFlag.PTR_MAYBE_NULL)
MEM_RDONLY: Final = int(TypeFlag.MEM_RDONLY)
MEM_RINGBUF: Final = int(TypeFlag.MEM_RINGBUF)
OBJ_RELEASE: Final = int(TypeFlag.OBJ_RELEASE)
PTR_TRUSTED: Final = int(TypeFlag.PTR_TRUSTED)
MEM_UNINIT: Final = int(TypeFlag.MEM_UNINIT)
MEM_FIXED_SIZE: Final = int(TypeFlag.MEM_FIXED_SIZE)
MEM_ALIGNED: Final = int(TypeFlag.MEM_ALIGNED)
MEM_WRITE: Final = int(TypeFlag.MEM_WRITE)
DYNPTR_TYPE_LOCAL: Final = int(TypeFlag.DYNPTR_TYPE_LOCAL)
DYNPTR_TYPE_RINGBUF: Final = int(TypeFlag.DYNPTR_TYPE_RINGBUF)


class Arg(NamedTuple):
    """One argument of a helper."""

    base: ArgBase
    flags: int = NO_FLAGS
    size: int = 0  # bytes, where MEM_FIXED_SIZE
    btf: tuple[str, ...] = ()  # kernel structures, where a BTF pointer

    @property
    def maybe_null(self) -> bool:
        """A constant 0 is taken too."""
        return bool(self.flags & PTR_MAYBE_NULL)

    def __str__(self) -> str:
        text = " | ".join([self.base.c_name, *(f.name or "" for f in TypeFlag if f & self.flags)])
        return text + (f" [{self.size}]" if self.size else "") + (f" {'/'.join(self.btf)}" if self.btf else "")


class Ret(NamedTuple):
    """What a helper returns in r0."""

    base: RetBase = RetBase.INTEGER
    flags: int = NO_FLAGS
    btf: tuple[str, ...] = ()

    @property
    def maybe_null(self) -> bool:
        """The pointer must be checked before use."""
        return bool(self.flags & PTR_MAYBE_NULL)

    def __str__(self) -> str:
        text = " | ".join([self.base.c_name, *(f.name or "" for f in TypeFlag if f & self.flags)])
        return text + (f" {'/'.join(self.btf)}" if self.btf else "")
