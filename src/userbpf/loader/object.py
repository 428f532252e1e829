"""`Object.open(path).load()`: an object file's maps and programs behind file descriptors of a transport."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from userbpf.abi.attrs import MapCreateAttr, ProgLoadAttr
from userbpf.abi.consts import BPF_F_MMAPABLE
from userbpf.abi.enums import MapType, ProgType
from userbpf.btf.values import Codecs
from userbpf.client.arena import ArenaMemory
from userbpf.client.maps import Map
from userbpf.client.progs import Prog
from userbpf.client.transport import Buffer, Client, connect
from userbpf.errors import BpfError, ObjectError, UserbpfError
from userbpf.isa.insn import encode
from userbpf.loader import older
from userbpf.loader.blueprint import DataPlan, Kind, MapPlan, ObjectPlan, Variable
from userbpf.loader.externs import attach_target, kernel_types, link
from userbpf.loader.open import open_plan
from userbpf.spec.profiles import Profile, profile
from userbpf.spec.sections import Section

if TYPE_CHECKING:
    from userbpf.syscall import Kernel

NAME_BYTES: Final = 15
FUNC_INFO_SIZE: Final = 8
LINE_INFO_SIZE: Final = 16
# libbpf leaves out the BTF types of these maps' keys and values: Linux does not take them
NO_BTF: Final = frozenset(
    {
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.STACK_TRACE,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.QUEUE,
        MapType.STACK,
        MapType.ARENA,
        MapType.PROG_ARRAY,
        MapType.RINGBUF,
    }
)


def c_name(name: str) -> bytes:
    """A name as Linux takes it: 15 characters of letters, digits, `_` and `.`."""
    return "".join(ch if ch.isalnum() or ch in "_." else "_" for ch in name)[:NAME_BYTES].encode("ascii", "replace")


class Variables(MutableMapping[str, Any]):
    """The global variables of a data section; written before `load` they are the initial content."""

    def __init__(self, data: DataPlan, codecs: Codecs | None) -> None:
        self._data = data
        self._codecs = codecs
        self._memory: mmap.mmap | None = None
        self._private = False
        self._arena: ArenaMemory | None = None

    def attach(self, fd: int) -> None:
        """From now on the variables are those in the map, which is mapped as libbpf does: each is written by itself."""
        if not self._data.plan.map_flags & BPF_F_MMAPABLE:
            self._private = True
            return
        size = -(-self._data.plan.value_size // mmap.PAGESIZE) * mmap.PAGESIZE
        access = mmap.PROT_READ if self._data.read_only else mmap.PROT_READ | mmap.PROT_WRITE
        self._memory = mmap.mmap(fd, size, mmap.MAP_SHARED, access)

    def attach_arena(self, memory: ArenaMemory) -> None:
        """From now on the variables are those at the beginning of the arena."""
        memory.bytes[: len(self._data.content)] = self._data.content
        self._arena = memory

    def detach(self) -> None:
        """Keep the last values and let go of the map."""
        self._private = False
        if self._arena is not None:
            self._data.content[:] = self._arena.bytes[: len(self._data.content)]
            self._arena = None
        if self._memory is not None:
            self._data.content[:] = self._memory[: len(self._data.content)]
            self._memory.close()
            self._memory = None

    def __getitem__(self, name: str) -> Any:
        v = self._variable(name)
        content = bytes(self._bytes()[v.off : v.off + v.size])
        return self._codecs.of(v.type_id).decode(content) if self._codecs and v.type_id else content

    def _bytes(self) -> mmap.mmap | memoryview | bytearray:
        if self._arena is not None:
            return self._arena.bytes
        return self._data.content if self._memory is None else self._memory

    def _variable(self, name: str) -> Variable:
        if self._private:
            raise UserbpfError(f"{name} belongs to the programs alone: all of section {self._data.section} is private")
        return self._data.variables[name]

    def __setitem__(self, name: str, value: Any) -> None:
        v = self._variable(name)
        new = self._codecs.of(v.type_id).encode(value) if self._codecs and v.type_id else bytes(value)
        if len(new) != v.size:
            raise ValueError(f"{name}: {len(new)} bytes for {v.size}")
        if self._memory is None:
            self._bytes()[v.off : v.off + v.size] = new
        elif self._data.read_only:
            raise UserbpfError(f"{name} is constant: set it before load()")
        else:
            self._memory[v.off : v.off + v.size] = new

    def __delitem__(self, name: str) -> None:
        raise TypeError("a variable cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._data.variables)

    def __len__(self) -> int:
        return len(self._data.variables)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._data.variables:
            raise AttributeError(name)
        return self[name]


class Object:
    """An object file. `open` reads it, `load` makes its maps and programs; a context manager closes them.

    `data` is the variables by section (".bss", ".rodata" ...), `maps` the maps that the source declares, `progs` the
    programs, by name.
    """

    def __init__(self, plan: ObjectPlan) -> None:
        self.plan = plan
        self.name = plan.name
        codecs = Codecs(plan.btf) if plan.btf is not None else None
        self.data: dict[str, Variables] = {name: Variables(data, codecs) for name, data in plan.data.items()}
        self.maps: dict[str, Map] = {}
        self.progs: dict[str, Prog] = {}
        self._fds: list[int] = []
        self._map_fds: dict[str, int] = {}
        self.arenas: dict[str, ArenaMemory] = {}  # the pages of arenas, by name
        self.client: Client | None = None
        self.btf_fd = 0

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, prog_types: Mapping[str, ProgType] | None = None) -> Object:
        """Read a C source (compiled on the way) or an object file; ObjectError where it is neither or malformed.

        `prog_types` gives the type of programs in sections whose names do not say it: {"tc/tail": ProgType.SCHED_CLS}.
        """
        return cls(open_plan(Path(path), prog_types))

    @classmethod
    def from_bytes(
        cls, data: bytes, name: str = "object.o", *, prog_types: Mapping[str, ProgType] | None = None
    ) -> Object:
        """Read an object from memory."""
        from userbpf.loader.open import plan_of

        return cls(plan_of(data, name, prog_types))

    def load(
        self,
        transport: str = "user",
        *,
        kernel: Kernel | None = None,
        log_level: int = 0,
        progs: Iterable[str] | None = None,
    ) -> Object:
        """Create maps, load BTF and programs (those named, or all). A refusal raises BpfError with the verifier's log."""
        if self.client is not None:
            raise UserbpfError(f"{self.name} is loaded already")
        self.client = connect(transport, kernel)
        try:
            self._load_btf()
            for data in self.plan.data.values():
                self._load_data(data)
            for plan in self.plan.maps.values():
                self._load_map(plan)
            wanted = set(progs) if progs is not None else {n for n, p in self.plan.progs.items() if p.autoload}
            for name in self.plan.progs:
                if name in wanted:
                    self.load_prog(name, log_level)
            self._fill_slots()
        except BaseException:
            self.close()
            raise
        return self

    def _own(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _load_btf(self) -> None:
        assert self.client is not None
        if self.plan.btf_bytes:
            self.btf_fd = self._own(self.client.btf_load(older.fit_btf(self._profile(), self.plan.btf_bytes)))

    def _create(self, plan: MapPlan) -> int:
        assert self.client is not None
        inner_fd = self._create(plan.inner) if plan.inner is not None else 0
        typed = self.btf_fd and plan.map_type not in NO_BTF and (plan.btf_value_type_id or plan.btf_key_type_id)
        attr = MapCreateAttr(
            map_type=plan.map_type,
            key_size=plan.key_size,
            value_size=plan.value_size,
            max_entries=plan.max_entries,
            map_flags=plan.map_flags & ~self._unknown_flags(plan),
            inner_map_fd=inner_fd,
            map_name=c_name(plan.name),
            btf_fd=self.btf_fd if typed else 0,
            btf_key_type_id=plan.btf_key_type_id if typed else 0,
            btf_value_type_id=plan.btf_value_type_id if typed else 0,
            map_extra=plan.map_extra,
        )
        try:
            try:
                return self._own(self.client.map_create(attr))
            except BpfError:
                if not typed:
                    raise
                # as libbpf: types that the kernel does not take (a key's without a value's, say) are left out
                attr.btf_fd = attr.btf_key_type_id = attr.btf_value_type_id = 0
                return self._own(self.client.map_create(attr))
        except BpfError as e:
            raise BpfError(
                e.errno or 0, f"map {plan.name} ({_type_name(plan.map_type)}): {os.strerror(e.errno or 0)}"
            ) from e

    def _profile(self) -> Profile:
        """What the kernel has that the object goes into; the real one is taken to have everything."""
        kernel = self.client.kernel if self.client is not None else None
        return kernel.profile if kernel is not None else profile()

    def _content(self, data: DataPlan) -> bytes:
        """The initial value of a section; LINUX_KERNEL_VERSION is that of the kernel, unless the user has set another."""
        content = bytearray(data.content)
        version = data.variables.get("LINUX_KERNEL_VERSION") if data.section == ".kconfig" else None
        if version is not None and not self._profile().has_all:
            own = int.from_bytes(content[version.off : version.off + 4], "little")
            if own == older.version_code(profile()):
                content[version.off : version.off + 4] = older.version_code(self._profile()).to_bytes(4, "little")
        return bytes(content)

    def _unknown_flags(self, plan: MapPlan) -> int:
        """BPF_F_MMAPABLE of data sections is for convenience: a kernel older than the flag does without."""
        kernel = self.client.kernel if self.client is not None else None
        if kernel is None or plan.btf_key_type_id or kernel.profile.knows("flag", "BPF_F_MMAPABLE"):
            return 0
        return BPF_F_MMAPABLE

    def _load_data(self, data: DataPlan) -> None:
        assert self.client is not None
        if data.plan.map_type == MapType.ARENA:
            return  # comes with the map
        fd = self._map_fds[data.section] = self._create(data.plan)
        content = self._content(data)
        if any(content):
            self.client.map_update_elem(fd, bytes(4), content)
        if data.read_only:
            self.client.map_freeze(fd)
        if not self._unknown_flags(data.plan):
            self.data[data.section].attach(fd)

    def _load_map(self, plan: MapPlan) -> None:
        assert self.client is not None
        fd = self._map_fds[plan.name] = self._create(plan)
        self.maps[plan.name] = Map(self.client, fd, plan.name, self.plan.btf)
        # maps without BTF at the syscall still have their types in the object
        if not self.maps[plan.name].info.btf_value_type_id and plan.btf_value_type_id and self.plan.btf is not None:
            self.maps[plan.name].value_codec = Codecs(self.plan.btf).of(plan.btf_value_type_id)
        if plan.map_type == MapType.ARENA:
            self._map_arena(plan, fd)

    def _map_arena(self, plan: MapPlan, fd: int) -> None:
        """An arena is mapped at once: programs need its address."""
        assert self.client is not None
        try:
            memory = ArenaMemory(fd, plan.max_entries, plan.map_extra, self.client.kernel is not None)
            self.arenas[plan.name] = memory
        except OSError as e:
            raise BpfError(e.errno or 0, f"map {plan.name} (ARENA): cannot be mapped: {e.strerror}") from e
        for data in self.plan.data.values():
            if data.plan is plan:
                self._map_fds[data.section] = fd
                self.data[data.section].attach_arena(memory)

    def load_prog(self, name: str, log_level: int = 0, prog_flags: int = 0) -> Prog:
        """Load one more program of an object that is loaded (with `progs=()`, say). A refusal carries the log.

        `prog_flags` (BPF_F_STRICT_ALIGNMENT ...) come on top of those of the section.
        """
        if self.client is None:
            raise UserbpfError(f"{self.name} is not loaded")
        plan = self.plan.progs[name]
        where = f"{self.name}: program {plan.name} (section {plan.section})"
        if plan.row is None:
            raise ObjectError(
                f"{where}: no program type has sections of this name; say it with prog_types, or --type of verify"
            )
        kernel = kernel_types(self.client.kernel)
        target = attach_target(plan, plan.row, kernel, where)
        insns = older.fit_insns(self._profile(), plan.insns)
        for ref in plan.references:
            if ref.kind in (Kind.KFUNC, Kind.KSYM):
                link(insns, ref, kernel, where, self._profile())
            else:
                insns[ref.pc] = insns[ref.pc]._replace(imm=self._map_fds[ref.target])
        code, licence = Buffer(encode(insns)), Buffer(self.plan.license.encode("latin-1") + b"\0")
        funcs = Buffer(b"".join(a.to_bytes(4, "little") + b.to_bytes(4, "little") for a, b in plan.func_info))
        lines = Buffer(b"".join(b"".join(n.to_bytes(4, "little") for n in line) for line in plan.line_info))
        attr = ProgLoadAttr(
            prog_type=plan.row.prog_type,
            insn_cnt=len(insns),
            insns=code.addr,
            license=licence.addr,
            prog_flags=plan.row.prog_flags | prog_flags,
            prog_name=c_name(plan.name),
            expected_attach_type=self._attach_type(plan.row),
            attach_btf_id=target,
        )
        if self.btf_fd and plan.func_info:
            attr.prog_btf_fd = self.btf_fd
            attr.func_info_rec_size, attr.func_info, attr.func_info_cnt = (
                FUNC_INFO_SIZE,
                funcs.addr,
                len(plan.func_info),
            )
            attr.line_info_rec_size, attr.line_info, attr.line_info_cnt = (
                LINE_INFO_SIZE,
                lines.addr,
                len(plan.line_info),
            )
        try:
            fd, log = self.client.prog_load(attr, log_level)
        except BpfError as e:
            reason = e.strerror or ""
            raise BpfError(e.errno or 0, f"program {plan.name} (section {plan.section}): {reason}", log=e.log) from None
        prog = self.progs[name] = Prog(self.client, self._own(fd), name, plan.row.prog_type, plan.section, log)
        return prog

    def _attach_type(self, row: Section) -> int:
        """The expected attach type; 0 where that is as good and the kernel is older than the type."""
        attach = int(row.attach or 0)
        kernel = self.client.kernel if self.client is not None else None
        if row.optional and row.attach and kernel is not None:
            return attach if kernel.profile.knows("attach_type", row.attach.name) else 0
        return attach

    def _fill_slots(self) -> None:
        """The initial content of maps of maps and program arrays."""
        assert self.client is not None
        for plan in self.plan.maps.values():
            for index, name in plan.slots:
                target = self._map_fds.get(name) or (self.progs[name].fd if name in self.progs else 0)
                if target:
                    self.client.map_update_elem(
                        self._map_fds[plan.name], index.to_bytes(4, "little"), target.to_bytes(4, "little")
                    )

    def close(self) -> None:
        """Close all descriptors; maps and programs that nothing else holds are gone then."""
        for m in self.maps.values():
            m.close()
        for variables in self.data.values():
            variables.detach()
        for memory in self.arenas.values():
            memory.close()
        for fd in self._fds:
            try:
                os.close(fd)
            except OSError:
                pass
        self._fds.clear()

    def __enter__(self) -> Object:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Object {self.name!r}: {len(self.plan.maps)} maps, {len(self.plan.progs)} programs>"


def _type_name(number: int) -> str:
    try:
        return MapType(number).c_name
    except ValueError:
        return f"map type {number}"
