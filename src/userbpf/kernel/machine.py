"""`Kernel`: one machine's whole state. Nothing of it is global, so a test makes its own.

Clock, seed, number of CPUs, capabilities and version are parameters: what a program can observe is what the test chose.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from errno import EINVAL, ENOENT
from pathlib import Path
from typing import Any, Final, TypeVar

from userbpf.btf import Btf
from userbpf.btf.lazy import read_lazy
from userbpf.errors import BpfError, BtfError
from userbpf.kernel import fds, lifetime
from userbpf.kernel.cpus import Cpus
from userbpf.kernel.fds import Identity
from userbpf.kernel.objects import BtfObj, IdTable, KernelObject, LinkObj, MapObj, ProgObj
from userbpf.kernel.perf import PerfEventObj
from userbpf.kernel.timers import Timers
from userbpf.kernel.usermem import UserMemory, own_memory
from userbpf.spec.kernel_types import core_types
from userbpf.spec.profiles import profile
from userbpf.verifier.api import Caps, VerifyRequest

DEFAULT_VERSION: Final = "6.18"
VMLINUX_BTF: Final = "/sys/kernel/btf/vmlinux"
KALLSYMS: Final = "/proc/kallsyms"
SWEEP_EVERY: Final = 64  # creations between two sweeps
TRACE_LINES: Final = 4096

KINDS: Final = (MapObj, ProgObj, BtfObj, LinkObj, PerfEventObj)
K = TypeVar("K", bound=KernelObject)

_numbers = itertools.count(1)
_kernels: weakref.WeakSet[Kernel] = weakref.WeakSet()


class Kernel:
    """Objects, ids, CPUs, credentials, clock, user memory.

    `ncpu`: CPUs that programs run on, which is also the number of possible CPUs of per-CPU values; default what this process
    may use. `clock_ns`: a fixed clock for programs, None for the real one. `seed`: of bpf_get_prandom_u32, None for a
    random one. `caps`: what the loader may do; default everything. `version`: the release ("5.10") whose limits,
    types, helpers and answers it has; ValueError where it names none. `interpret_only`: run programs in the checked
    interpreter. `trace`: receives bpf_printk's lines.
    `vmlinux_btf`: the types that stand for the kernel's own, or a raw BTF file of them (BtfError if it is none); default the
    file that USERBPF_VMLINUX_BTF names, else the running kernel's, else the few that the rows of `spec.kfuncs` make up. An
    empty path is a kernel without BTF.
    """

    def __init__(
        self,
        *,
        ncpu: int | None = None,
        clock_ns: int | None = None,
        seed: int | None = None,
        caps: Caps | None = None,
        version: str = DEFAULT_VERSION,
        interpret_only: bool = False,
        memory: UserMemory | None = None,
        trace: Callable[[str], None] | None = None,
        vmlinux_btf: str | os.PathLike[str] | Btf | None = None,
    ) -> None:
        self.number = next(_numbers)
        self.ncpu = ncpu if ncpu is not None else len(os.sched_getaffinity(0))
        self.caps = caps or Caps()
        self.version = version
        self.profile = profile(version)
        self.interpret_only = interpret_only
        self.memory: UserMemory = memory or own_memory()
        self.cpus = Cpus(self.ncpu, int.from_bytes(os.urandom(8), "little") if seed is None else seed, self.number)
        if clock_ns is not None:
            self.cpus.set_clock(clock_ns)
        self.timers = Timers(self)
        self.maps: IdTable[MapObj] = IdTable()
        self.progs: IdTable[ProgObj] = IdTable()
        self.btfs: IdTable[BtfObj] = IdTable()
        self.links: IdTable[LinkObj] = IdTable()
        self.events: IdTable[PerfEventObj] = IdTable()
        self.unsized_events: weakref.WeakSet[PerfEventObj] = weakref.WeakSet()  # nobody has mapped them yet
        self.lock = threading.RLock()
        self.trace_lines: deque[str] = deque(maxlen=TRACE_LINES)
        self._trace = trace
        self.on_verify: Callable[[VerifyRequest], None] | None = None  # looks on at every program that is verified
        self._vmlinux_btf: Btf | str | None = vmlinux_btf if isinstance(vmlinux_btf, Btf) else None
        if vmlinux_btf is not None and not isinstance(vmlinux_btf, Btf):
            self._vmlinux_btf = named_btf(os.fspath(vmlinux_btf)) or ""
        self._vmlinux: Btf | None = None
        self._vmlinux_asked = False
        self._by_identity: dict[Identity, KernelObject] = {}
        self._created = 0
        self._retired: list[KernelObject] = []
        self.finding_tails: list[MapObj] = []  # PROG_ARRAYs whose programs are being loaded from pins
        self._stats_fd = -1
        self._stats_identity: Identity | None = None
        _kernels.add(self)

    # --- objects and their descriptors

    def tables(self) -> tuple[IdTable[Any], ...]:
        """In the order of KINDS."""
        return self.maps, self.progs, self.btfs, self.links, self.events

    def table_of(self, obj: KernelObject) -> IdTable[KernelObject]:
        for kind, table in zip(KINDS, self.tables(), strict=True):
            if isinstance(obj, kind):
                return table
        raise TypeError(type(obj).__name__)

    def objects(self) -> list[KernelObject]:
        """All that have an id."""
        return [obj for table in self.tables() for obj in table]

    def admit(self, obj: K) -> K:
        """Give a new object its id, and make its descriptors known."""
        with self.lock:
            self._created += 1
            if self._created % SWEEP_EVERY == 0:
                self.sweep()
            self.table_of(obj).add(obj)
            if isinstance(obj, MapObj):
                obj.map.map_id = obj.id
            self._by_identity[obj.identity] = obj
        return obj

    def forget(self, obj: KernelObject) -> None:
        """An object that nothing holds any more: no id, no descriptor."""
        self.table_of(obj).remove(obj)
        for identity in (obj.identity, *obj.pins):
            self._by_identity.pop(identity, None)
        obj.close()

    def alias(self, identity: Identity, obj: KernelObject) -> None:
        """Make another inode stand for an object."""
        self._by_identity[identity] = obj

    def rename(self, obj: KernelObject, identity: Identity) -> None:
        """The memory of an object has moved to another inode."""
        self._by_identity.pop(obj.identity, None)
        obj.identity = identity
        self._by_identity[identity] = obj

    def object_at(self, identity: Identity) -> KernelObject | None:
        """The object that an inode stands for, if it is known."""
        return self._by_identity.get(identity)

    def new_fd(self, obj: KernelObject, mode: int = os.O_RDWR) -> int:
        """A descriptor for the user."""
        try:
            fd = fds.hand_out(obj.private_fd, mode)
        except BpfError:
            self.sweep()
            fd = fds.hand_out(obj.private_fd, mode)
        obj.last_user_fd = fd
        return fd

    def object_of_fd(self, fd: int) -> KernelObject | None:
        """What an fd stands for, None where it is an fd of something else; EBADF where it is none."""
        identity = fds.identity(fd)
        found = self._by_identity.get(identity)
        if found is None:
            from userbpf.kernel.adopt import adopt

            found = adopt(self, fd)
        return found

    def map_of_fd(self, fd: int) -> MapObj:
        """EBADF: no fd. EINVAL: an fd of something else."""
        return _want(self.object_of_fd(fd), MapObj)

    def prog_of_fd(self, fd: int) -> ProgObj:
        return _want(self.object_of_fd(fd), ProgObj)

    def btf_of_fd(self, fd: int) -> BtfObj:
        return _want(self.object_of_fd(fd), BtfObj)

    def link_of_fd(self, fd: int) -> LinkObj:
        return _want(self.object_of_fd(fd), LinkObj)

    def by_id(self, table: IdTable[K], number: int) -> K:
        """The object with an id; ENOENT where there is none, or none any more."""
        obj = table.get(number)
        if obj is None or not self.reachable(obj):
            raise BpfError(ENOENT)
        return obj

    def next_id(self, table: IdTable[K], number: int) -> int:
        """The smallest id above number of an object that is still held; ENOENT behind the last."""
        while (obj := table.after(number)) is not None:
            if self.reachable(obj):
                return obj.id
            number = obj.id
        raise BpfError(ENOENT)

    def reachable(self, obj: KernelObject) -> bool:
        """Whether an fd, a pin or another object holds this one; sweeps where that is not seen at once."""
        if lifetime.has_user_fd_at_hint(obj):
            return True
        self.sweep()
        return self.table_of(obj).get(obj.id) is obj

    def sweep(self) -> int:
        """Let go of what nothing holds any more; how many objects went."""
        with self.lock:
            gone = lifetime.unreachable(self.objects())
            for obj in gone:
                self.forget(obj)
        return len(gone)

    def retire(self, obj: KernelObject | None) -> None:
        """Something that a running program may still be in the middle of: it stays until no program runs."""
        if obj is not None:
            self._retired.append(obj)
            if self.cpus.idle():
                self._retired.clear()

    # --- the kernel's own types

    def vmlinux(self) -> Btf | None:
        """The kernel's BTF, read when it is first asked for; None where there is none."""
        if not self._vmlinux_asked:
            self._vmlinux_asked = True
            source = self._vmlinux_btf
            if source is None:
                source = os.environ.get("USERBPF_VMLINUX_BTF")
            if source is None:
                self._vmlinux = _read_btf(VMLINUX_BTF) or core_types()
            else:
                self._vmlinux = source if isinstance(source, Btf) else named_btf(source)
        return self._vmlinux

    def symbols(self) -> frozenset[str] | None:
        """Functions and variables whose address the running kernel tells; None where its BTF is not in use: all then."""
        if self.vmlinux() is None or self._vmlinux is not _read_btf(VMLINUX_BTF):
            return None
        return _read_symbols(KALLSYMS)

    def has_symbol(self, name: str) -> bool:
        """Whether programs may name a function or variable of the kernel's."""
        known = self.symbols()
        return known is None or name in known

    # --- statistics

    def stats_fd(self) -> int:
        """A descriptor that has runs counted while it is open."""
        private = fds.name_fd("bpf-stats")
        try:
            self._stats_identity = fds.identity(private)
            self._stats_fd = fds.hand_out(private)
        finally:
            os.close(private)
        return self._stats_fd

    def stats_on(self) -> bool:
        """Whether runs are counted."""
        if self._stats_identity is None:
            return False
        try:
            if fds.identity(self._stats_fd) == self._stats_identity:
                return True
        except BpfError:
            pass
        if fds.census()[self._stats_identity]:
            return True
        self._stats_identity = None
        return False

    # --- what programs see of the machine

    @property
    def clock_ns(self) -> int | None:
        """The fixed clock, None where programs see the real one."""
        return self.cpus.clock_ns

    @clock_ns.setter
    def clock_ns(self, now_ns: int | None) -> None:
        self.cpus.set_clock(now_ns)
        self.timers.run_due()

    def run_timers(self) -> int:
        """Run the callbacks of all timers whose time has come; how many there were."""
        return self.timers.run_due()

    def trace(self, text: str, cpu: int = 0) -> None:
        """One line of bpf_trace_printk."""
        self.trace_lines.append(text)
        if self._trace is not None:
            self._trace(text)

    def close(self) -> None:
        """Let go of every object now. Descriptors that the user has stay open, and mean nothing any more."""
        with self.lock:
            for obj in self.objects():
                self.forget(obj)

    def __repr__(self) -> str:
        counts = [
            (len(self.maps), "maps"),
            (len(self.progs), "progs"),
            (len(self.btfs), "btfs"),
            (len(self.links), "links"),
        ]
        return f"<Kernel {self.version} {', '.join(f'{n} {what}' for n, what in counts if n)}>"


def _want(obj: KernelObject | None, kind: type[K]) -> K:
    if not isinstance(obj, kind):
        raise BpfError(EINVAL)
    return obj


_default: Kernel | None = None
_default_lock = threading.Lock()


def default_kernel() -> Kernel:
    """The kernel that `userbpf.bpf` speaks to when none is named."""
    global _default
    if _default is None:
        with _default_lock:
            if _default is None:
                _default = Kernel()
    return _default


def _after_fork() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for kernel in _kernels:
        kernel.lock = threading.RLock()
        kernel.cpus.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _read_btf(path: str) -> Btf | None:
    """A raw BTF file; None where there is none that can be read."""
    try:
        return read_lazy(path)
    except (OSError, BtfError):
        return None


def named_btf(name: str) -> Btf | None:
    """The raw BTF file that somebody named: None for an empty path, BtfError where it is none."""
    try:
        return read_lazy(name) if name else None
    except OSError as e:
        raise BtfError(f"{name}: {e.strerror}") from e
    except BtfError as e:
        raise BtfError(f"{name} is no raw BTF: {e}") from e


@functools.lru_cache(maxsize=1)
def _read_symbols(path: str) -> frozenset[str] | None:
    """The names in a list of symbols, without those of modules."""
    try:
        data = Path(path).read_text()
    except OSError:
        return None
    names = frozenset(line.split(" ", 2)[2] for line in data.splitlines() if line and "[" not in line)
    return names or None
