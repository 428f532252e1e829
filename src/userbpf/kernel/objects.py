"""What ids and file descriptors stand for: maps, programs, BTF, links.

An object lives while Python refers to it; it is *reachable* while a user's fd, a pin or another reachable object
holds it (see `kernel.lifetime`), and only then has it an id. So a program that runs keeps its maps' memory mapped
even if its last fd is closed meanwhile.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, cast

from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from userbpf.kernel import fds
from userbpf.kernel.fds import Identity
from userbpf.maps.arena import ArenaMap
from userbpf.maps.guard import guard
from userbpf.maps.inner import Template, looks_like
from userbpf.maps.progarray import ProgArrayMap
from userbpf.spec.maps import MAPS
from userbpf.verifier.api import MapShape, VerifiedProg
from userbpf.verifier.fields import SPIN_LOCK, Record

if TYPE_CHECKING:
    from userbpf.btf import Btf
    from userbpf.engine import Executable
    from userbpf.engine.env import Env
    from userbpf.isa.insn import Insn
    from userbpf.kernel.machine import Kernel
    from userbpf.maps import Map


# A region has its descriptor, and Python's mmap object keeps a duplicate of it.
REGION_FDS = 2
BPF_F_XDP_HAS_FRAGS = 1 << 5


class KernelObject:
    """What all have in common: an id, a private descriptor with its identity, pins."""

    FD_NAME: ClassVar[str]

    def __init__(self, private_fd: int) -> None:
        self.id = 0
        self.private_fd = private_fd
        self.identity: Identity = fds.identity(private_fd)
        self.own_fds = 1  # descriptors of this identity in this process that are ours
        self.last_user_fd = -1  # where a user's descriptor is looked for first
        self.pins: dict[Identity, int] = {}  # pin file -> private descriptor of it
        self.created_by_uid = os.getuid()
        self.load_time_ns = time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def holds(self) -> Iterator[KernelObject]:
        """Objects that stay reachable because of this one."""
        return iter(())

    def close(self) -> None:
        """Give descriptors back; memory goes when Python lets go of the object."""
        for fd in (self.private_fd, *self.pins.values()):
            if fd >= 0:
                try:
                    os.close(fd)
                except OSError:
                    pass  # the user closed a number that was not theirs
        self.private_fd = -1
        self.pins.clear()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} id={self.id} {getattr(self, 'name', '')!r}>"


class BtfObj(KernelObject):
    """A BTF blob that was loaded, or the kernel's own ("vmlinux")."""

    FD_NAME = "bpf-btf"

    def __init__(self, data: bytes, btf: Btf, name: str = "", kernel_btf: bool = False) -> None:
        super().__init__(fds.name_fd(self.FD_NAME, data))
        self.data = data
        self.btf = btf
        self.name = name
        self.kernel_btf = kernel_btf


class OuterMap(Protocol):
    """What a family of *_OF_MAPS offers besides `Map`: entries are set by the kernel object, which knows the maps.

    The region holds ids (`Map.map_id`), for every process; `holder` comes back from `held_objects`.
    """

    def set_inner(self, key: bytes, inner: Map, holder: MapObj, flags: int) -> MapObj | None:
        """Make a key lead to an inner map; the holder that was there. EEXIST, ENOENT, E2BIG as an update."""
        ...


@dataclass(frozen=True, slots=True)
class InnerShape:
    """What the maps in a map of maps look like: to the family, to the verifier, and which fields are the kernel's own."""

    template: Template
    shape: MapShape
    fields: Record | None = None

    @classmethod
    def of(cls, obj: MapObj) -> InnerShape:
        """As a map that is there looks; nothing of its content."""
        return cls(Template.of(obj.map), replace(obj.shape(), peek=None, token=None, frozen=False), obj.fields)

    @classmethod
    def bare(cls, template: Template) -> InnerShape:
        """Of what stands in the memory of a map that another process made."""
        kind, key_size, value_size, max_entries, flags = astuple(template)
        return cls(template, MapShape(MapType(kind), key_size, value_size, max_entries, flags))

    def fits(self, obj: MapObj) -> bool:
        """Whether a map may be in the map of maps."""
        return looks_like(self.template, obj.map) and _places(self.fields) == _places(obj.fields)


def _places(record: Record | None) -> list[tuple[str, int, int]]:
    """Kinds and places of the kernel's fields in a value."""
    return [(f.kind, f.off, f.size) for f in record.fields] if record is not None else []


class MapObj(KernelObject):
    """A map: `map` has the memory and the operations, the rest is what the syscall side knows."""

    FD_NAME = "bpf-map"

    def __init__(self, map_: Map, btf: BtfObj | None = None) -> None:
        map_.region.fd = fds.make_private(map_.region.fd)
        super().__init__(map_.region.fd)
        self.own_fds = REGION_FDS
        self.map = map_
        self.name = map_.name
        self.btf = btf
        self.vmlinux_value_type_id = 0  # STRUCT_OPS: the kernel's type of the value
        self.inner: InnerShape | None = None  # *_OF_MAPS: what an inner map must look like
        self.fields: Record | None = None  # what in a value is the kernel's own: locks, timers, kernel pointers
        self.adopted = False  # another process made it
        self.owner: tuple[int, int, int] | None = None  # which programs may use it, see `claim`

    def set_fields(self, record: Record | None) -> None:
        """Values have these fields: updates leave them out."""
        self.fields = record
        if record is not None:
            places = [(f.off, f.size) for f in record.fields]
            in_place = self.map.map_type == MapType.ARRAY
            guard(self.map, places, self.lock_off, in_place)

    @property
    def lock_off(self) -> int | None:
        """Where in a value its bpf_spin_lock lies."""
        lock = self.fields.first(SPIN_LOCK) if self.fields is not None else None
        return lock.off if lock is not None else None

    def holds(self) -> Iterator[KernelObject]:
        if self.btf is not None:
            yield self.btf
        yield from self.map.held_objects()

    def close(self) -> None:
        """The descriptor belongs to the region, which goes with the last reference to the map."""
        self.pins.clear()
        self.private_fd = -1

    def shape(self) -> MapShape:
        """What the verifier may know."""
        m = self.map
        return MapShape(
            map_type=m.map_type,
            key_size=m.key_size,
            value_size=m.value_size,
            max_entries=m.max_entries,
            map_flags=m.map_flags,
            name=self.name,
            map_id=self.id,
            frozen=m.frozen,
            btf=self.btf.btf if self.btf is not None else None,
            btf_key_type_id=m.btf_key_type_id,
            btf_value_type_id=m.btf_value_type_id,
            inner=self.inner.shape if self.inner is not None else None,
            user_start=m.user_start if isinstance(m, ArenaMap) else 0,
            peek=self.peek if m.value_base else None,
            token=self,
        )

    def program_at(self, index: int) -> ProgObj | None:
        """PROG_ARRAY: the program at an index."""
        array = self.map
        assert isinstance(array, ProgArrayMap)
        found: ProgObj | None = array.programs.get(index)
        return found

    def put_program(self, index: int, prog: ProgObj) -> ProgObj | None:
        """PROG_ARRAY: make an index lead to a program (compiled now, for compiled tail calls); the one before."""
        array = self.map
        assert isinstance(array, ProgArrayMap)
        before = self.program_at(index)
        array.set_prog(index, prog.id, 0 if prog.interpreted else prog.code_addr(), prog, prog.mark())
        return before

    def put_inner(self, key: bytes, inner: MapObj, flags: int) -> MapObj | None:
        """*_OF_MAPS: make a key lead to a map; the one before."""
        return cast(OuterMap, self.map).set_inner(key, inner.map, inner, flags)

    def peek(self, off: int, size: int) -> bytes:
        """Content at an offset from the first value."""
        return ctypes.string_at(self.map.value_base + off, size)

    def claim(self, record: ProgRecord) -> None:
        """A program uses this map or is put into it: the first one decides which others may; EINVAL for those.

        So for maps whose row says `owned`. What must agree is the type, frags, and in a PROG_ARRAY the attach type.
        """
        if not MAPS[self.map.map_type].owned:
            return
        attach = record.expected_attach_type if self.map.map_type == MapType.PROG_ARRAY else 0
        kind = (record.prog_type, record.prog_flags & BPF_F_XDP_HAS_FRAGS, attach)
        if self.owner is None:
            self.owner = kind
        elif self.owner != kind:
            raise BpfError(errno.EINVAL)


class ProgObj(KernelObject):
    """A verified program, compiled when it first runs natively. Satisfies `hooks.base.Runnable`."""

    FD_NAME = "bpf-prog"

    def __init__(self, kernel: Kernel, verified: VerifiedProg, env: Env, record: ProgRecord) -> None:
        super().__init__(fds.name_fd(self.FD_NAME))
        self.kernel = kernel
        self.verified = verified
        self.env = env
        self.record = record
        self.maps: list[MapObj] = []  # used_maps in the verifier's order, then those bound later
        self.btf: BtfObj | None = None
        self.attach_btf: BtfObj | None = None
        self.name = record.name
        self.tag = record.tag
        self.gpl_compatible = record.gpl_compatible
        self.run_cnt = 0
        self.run_time_ns = 0
        self._executable: Executable | None = None
        self._compile_lock = threading.Lock()

    @property
    def prog_type(self) -> int:
        return self.record.prog_type

    @property
    def expected_attach_type(self) -> int:
        return self.record.expected_attach_type

    @property
    def changes_packet(self) -> bool:
        return self.verified.changes_packet

    @property
    def interpreted(self) -> bool:
        """True where the kernel runs programs in the interpreter only."""
        return self.kernel.interpret_only

    def holds(self) -> Iterator[KernelObject]:
        yield from self.maps
        for btf in (self.btf, self.attach_btf):
            if btf is not None:
                yield btf

    def mark(self) -> int:
        """What tells this program's pin from others beside it, 0 where there is no pin."""
        for fd in self.pins.values():
            st = os.fstat(fd)
            if st.st_nlink:
                return st.st_ino & 0xFFFFFFFF or 1
        return 0

    def subprog_tags(self) -> list[bytes]:
        """Tag of each function; of the program where there is but one."""
        return self.record.subprog_tags or [self.tag]

    def executable(self) -> Executable:
        """The compiled program, compiled now if it was not yet."""
        if self._executable is None:
            with self._compile_lock:
                if self._executable is None:
                    from userbpf.engine import compile_prog

                    self._executable = compile_prog(self.verified, self.env)
        return self._executable

    def code_addr(self) -> int:
        """u64 f(u64 ctx, u64 rt)."""
        return self.executable().addr

    def run_context(self, cpu: int = -1) -> AbstractContextManager[int]:
        """Lend a run context: yields rt."""
        if self.kernel.unsized_events:
            from userbpf.kernel.perf import find_sizes

            find_sizes(self.kernel)
        if self.verified.uses_arena:
            for obj in self.maps:
                if isinstance(obj.map, ArenaMap):
                    obj.map.refresh()
        return self.kernel.cpus.lend(cpu, self.id)

    def execute(self, ctx: int, rt: int) -> int:
        """One run on the kernel's chosen engine; r0 as u64."""
        if self.kernel.interpret_only:
            from userbpf.engine import interpret

            return interpret(self.verified, self.env, ctx, rt)
        result = self.executable().run(ctx, rt)
        self.env.raise_pending()
        return result

    def raise_pending(self) -> None:
        """Raise what a Python-bodied helper raised while native code ran."""
        self.env.raise_pending()


@dataclass(slots=True)
class ProgRecord:
    """What BPF_PROG_LOAD was given, as far as it must be known later: for object info, and to load it again from a pin."""

    insns: tuple[Insn, ...]  # as loaded, but maps by their number in the program's list (BPF_PSEUDO_MAP_IDX)
    prog_type: int
    expected_attach_type: int = 0
    prog_flags: int = 0
    license: bytes = b""
    name: str = ""
    tag: bytes = bytes(8)
    subprog_tags: list[bytes] = field(default_factory=list)
    gpl_compatible: bool = False
    attach_btf_id: int = 0
    func_info: bytes = b""
    func_info_rec_size: int = 8
    line_info: bytes = b""
    line_info_rec_size: int = 16


class LinkObj(KernelObject):
    """A program that is attached to something; `detach` undoes it."""

    FD_NAME = "bpf_link"

    def __init__(
        self, link_type: int, prog: ProgObj, attach_type: int, detach: Callable[[], None] | None = None
    ) -> None:
        super().__init__(fds.name_fd(self.FD_NAME))
        self.link_type = link_type
        self.prog: ProgObj = prog
        self.attach_type = attach_type
        self.detach = detach
        self.name = ""
        self.extra = b""  # the union of struct bpf_link_info

    def holds(self) -> Iterator[KernelObject]:
        yield self.prog

    def close(self) -> None:
        if self.detach is not None:
            detach, self.detach = self.detach, None
            detach()
        super().close()


Kind = TypeVar("Kind", bound=KernelObject)


class IdTable(Generic[Kind]):
    """Objects of a kind by id; ids grow from 1 and are not used again before 2^31 - 1, as Linux's cyclic allocation."""

    LIMIT = (1 << 31) - 1

    def __init__(self) -> None:
        self._by_id: dict[int, Kind] = {}
        self._last = 0

    def add(self, obj: Kind) -> Kind:
        number = self._last + 1
        while number in self._by_id or number >= self.LIMIT:
            number = 1 if number >= self.LIMIT else number + 1
        obj.id = self._last = number
        self._by_id[number] = obj
        return obj

    def remove(self, obj: Kind) -> None:
        self._by_id.pop(obj.id, None)

    def get(self, number: int) -> Kind | None:
        return self._by_id.get(number)

    def after(self, number: int) -> Kind | None:
        """The object with the smallest id above number."""
        return self._by_id[min(above)] if (above := [i for i in self._by_id if i > number]) else None

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
