"""Programs with objects on the stack and in map values, over either transport.

A scene is a BTF blob with the value types below, maps over them, and one program in assembly:

    map_fd NAME        the map NAME of MAPS (its fd is put in)
    func label         a callback; every function but the first is static
    @NAME              the number of a type of the scene
    ### x TC funcs=a,b the functions behind the first one are of these types (default: cb, which is static)
    kfunc NAME         the number that the kernel's BTF gives the function

`ask` loads it through bpf(2) at log level 2 and gives errno and log.
"""

from __future__ import annotations

import functools
import json
import lzma
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from bpfcalls import Buf, Calls
from userbpf.abi.enums import MapType, ProgType
from userbpf.btf import Btf, Func
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn
from userbpf.spec.maps import MAPS as ROWS
from userbpf.verifier import MapShape, Rejected, VerifyRequest, verify
from userbpf.verifier.cfg import find_subprogs

FILTER: Final = int(ProgType.SOCKET_FILTER)
TC: Final = int(ProgType.SCHED_CLS)
XDP: Final = int(ProgType.XDP)
SYSCALL: Final = int(ProgType.SYSCALL)
TRACEPOINT: Final = int(ProgType.TRACEPOINT)
KPROBE: Final = int(ProgType.KPROBE)
CGROUP_SKB: Final = int(ProgType.CGROUP_SKB)
RDONLY_PROG: Final = 1 << 7
RDONLY: Final = 1 << 3
MMAPABLE: Final = 1 << 10


class Types:
    """The BTF of a scene: types of keys, values and functions by name."""

    def __init__(self, with_type: Callable[[Types], object] | None = None) -> None:
        self.with_type = with_type
        b = self.builder = Builder()
        self.ids: dict[str, int] = {"void": 0}
        put = self.ids.__setitem__
        put("int", b.integer("int", 4, signed=True))
        put("u32", b.integer("unsigned int", 4))
        put("u64", b.integer("unsigned long long", 8))
        i32, u64 = self.ids["int"], self.ids["u64"]
        put("spin", b.struct("bpf_spin_lock", [("val", self.ids["u32"])]))
        put("timer", b.struct("bpf_timer", [("__opaque", b.array(u64, 2))]))
        put("wq", b.struct("bpf_wq", [("__opaque", b.array(u64, 2))]))
        put("task_work", b.struct("bpf_task_work", [("__opaque", u64)]))
        put("res_spin", b.struct("bpf_res_spin_lock", [("val", self.ids["u32"])]))
        put("refcount", b.struct("bpf_refcount", [("__opaque", b.array(self.ids["u32"], 1))], size=4))
        put("list_head", b.struct("bpf_list_head", [("__opaque", b.array(u64, 2))]))
        put("list_node", b.struct("bpf_list_node", [("__opaque", b.array(u64, 3))]))
        put("rb_root", b.struct("bpf_rb_root", [("__opaque", b.array(u64, 2))]))
        put("rb_node", b.struct("bpf_rb_node", [("__opaque", b.array(u64, 4))]))
        for name in ("task_struct", "cgroup", "prog_test_ref_kfunc", "cpumask", "bpf_cpumask", "no_such_struct"):
            put(name, b.struct(name, [("x", i32)]))
        put("lock_val", b.struct("lock_val", [("cnt", i32), ("lock", self.ids["spin"]), ("more", u64)]))
        put("timer_val", b.struct("timer_val", [("cnt", u64), ("timer", self.ids["timer"])]))
        put("wq_val", b.struct("wq_val", [("cnt", u64), ("wq", self.ids["wq"])]))
        put(
            "both_val",
            b.struct("both_val", [("lock", self.ids["spin"]), ("cnt", i32), ("timer", self.ids["timer"]), ("n", u64)]),
        )
        kptr = b.pointer(b.type_tag("kptr", self.ids["task_struct"]))
        untrusted = b.pointer(b.type_tag("kptr_untrusted", self.ids["task_struct"]))
        put("kptr_val", b.struct("kptr_val", [("cnt", u64), ("task", kptr), ("old", untrusted)]))
        mask = b.pointer(b.type_tag("kptr", self.ids["bpf_cpumask"]))
        put("mask_val", b.struct("mask_val", [("cnt", u64), ("mask", mask)]))
        # an object of the program's own, on lists and trees
        put(
            "own_node",
            b.struct(
                "own_node",
                [
                    ("key", u64),
                    ("list", self.ids["list_node"]),
                    ("tree", self.ids["rb_node"]),
                    ("ref", self.ids["refcount"]),
                    ("data", u64),
                ],
            ),
        )
        put("plain", b.struct("plain", [("a", u64), ("b", u64)]))
        own = b.pointer(b.type_tag("kptr", self.ids["plain"]))
        put("own_val", b.struct("own_val", [("cnt", u64), ("own", own)]))
        percpu = b.pointer(b.type_tag("percpu_kptr", self.ids["plain"]))
        put("percpu_val", b.struct("percpu_val", [("cnt", u64), ("per", percpu)]))
        graph = b.struct(
            "graph_val",
            [("lock", self.ids["spin"]), ("head", self.ids["list_head"]), ("root", self.ids["rb_root"]), ("n", u64)],
        )
        b.decl_tag("contains:own_node:list", graph, 1)
        b.decl_tag("contains:own_node:tree", graph, 2)
        put("graph_val", graph)
        heads = b.struct("heads_val", [("lock", self.ids["spin"]), ("heads", b.array(self.ids["list_head"], 2))])
        b.decl_tag("contains:own_node:list", heads, 1)
        put("heads_val", heads)
        node = b.pointer(b.type_tag("kptr", self.ids["own_node"]))
        put("node_val", b.struct("node_val", [("cnt", u64), ("node", node)]))
        put("pairs_val", b.struct("pairs_val", [("n", u64), ("pair", heads)]))
        put(
            "holder", b.struct("holder", [("number", b.pointer(i32)), ("any", b.pointer(0)), ("own", b.pointer(heads))])
        )
        self._odd_values()
        no_proto = b.proto(i32, [])
        put("main", b.func("main", no_proto, 1))
        put("cb", b.func("cb", b.proto(i32, []), 0))
        for name, struct_name in (("g_skb", "__sk_buff"), ("g_xdp", "xdp_md"), ("g_mem", "plain")):
            to = self.ids.get(struct_name) or b.struct(struct_name, [("x", i32)])
            put(name, b.func(name, b.proto(i32, [("arg", b.pointer(to))]), 1))
        put("g_int", b.func("g_int", b.proto(i32, [("arg", i32)]), 1))

    def _odd_values(self) -> None:
        """Values that maps of some types, or all, refuse, or whose fields do not count."""
        b, ids = self.builder, self.ids
        u64, u32 = ids["u64"], ids["u32"]
        ids["lpm"] = b.struct("lpm", [("len", u32), ("data", u32)])

        value = self.value
        value("res_val", ("n", "u64"), ("lock", "res_spin"))
        value("tw_val", ("n", "u64"), ("tw", "task_work"))
        value("two_ref", ("a", "refcount"), ("b", "refcount"))
        value("ref_val", ("n", "u64"), ("ref", "refcount"))
        value("nodev", ("n", "u64"), ("list", "list_node"))
        value("two_res", ("a", "res_spin"), ("b", "res_spin"))
        value("two_timer", ("a", "timer"), ("b", "timer"))
        ids["timers"] = b.array(ids["timer"], 1)
        ids["timers2"] = b.array(ids["timer"], 2)
        value("arr_timer", ("n", "u64"), ("a", "timers"))
        value("arr2_timer", ("n", "u64"), ("a", "timers2"))
        value("nested", ("n", "u64"), ("in", "lock_val"))
        value("deep", ("n", "u64"), ("in", "nested"), ("t", "timer_val"))
        packed = b.struct("misal", [("a", u32), ("t", ids["timer"])], 32)
        b.btf.by_id(packed).members[1].bit_offset = 32  # type: ignore[attr-defined]
        ids["misal"] = packed
        ids["unionv"] = b.union("unionv", [("l", ids["spin"]), ("n", u64)])
        value("uval", ("n", "u64"), ("u", "unionv"))
        ids["uptr"] = b.pointer(b.type_tag("uptr", ids["plain"]))
        value("uptr_val", ("n", "u64"), ("u", "uptr"))
        ids["badk"] = b.pointer(b.type_tag("kptr", ids["no_such_struct"]))
        value("kptr_bad", ("n", "u64"), ("k", "badk"))
        ids["taskp"] = b.pointer(b.type_tag("kptr", ids["task_struct"]))
        ids["taskps"] = b.array(ids["taskp"], 3)
        value("arr_kptr", ("n", "u64"), ("k", "taskps"))
        value("twokptr", ("k", "taskp"), ("l", "taskp"))
        ids["intp"] = b.pointer(b.type_tag("kptr", ids["int"]))
        value("kptr_int", ("k", "intp"))
        ids["othertag"] = b.pointer(b.type_tag("user", ids["task_struct"]))
        value("kptr_other", ("k", "othertag"))
        if self.with_type is not None:
            self.with_type(self)

    def value(self, name: str, *fields: tuple[str, str], size: int | None = None) -> int:
        """A struct of fields (name, type)."""
        self.ids[name] = self.builder.struct(name, [(field, self.ids[kind]) for field, kind in fields], size)
        return self.ids[name]

    def __getitem__(self, name: str) -> int:
        return self.ids[name]


@dataclass(frozen=True)
class MapOf:
    """A map by its type and the names of its types."""

    map_type: int
    value: str = "u64"
    entries: int = 4
    flags: int = 0
    key: str = "int"
    plain: tuple[int, int] | None = None  # key and value sizes of a map without BTF
    inner: str = ""  # what a map of maps holds
    extra: int = 0  # map_extra


MAPS: Final[dict[str, MapOf]] = {
    "hash": MapOf(MapType.HASH, "plain"),
    "array": MapOf(MapType.ARRAY, "plain"),
    "arr1": MapOf(MapType.ARRAY, "plain", 1),
    "lock": MapOf(MapType.HASH, "lock_val"),
    "lock2": MapOf(MapType.HASH, "lock_val"),
    "alock": MapOf(MapType.ARRAY, "lock_val", 1),
    "timer": MapOf(MapType.HASH, "timer_val"),
    "timer2": MapOf(MapType.HASH, "timer_val"),
    "atimer": MapOf(MapType.ARRAY, "timer_val", 1),
    "wq": MapOf(MapType.ARRAY, "wq_val", 1),
    "both": MapOf(MapType.ARRAY, "both_val", 1),
    "kptr": MapOf(MapType.ARRAY, "kptr_val", 1),
    "hkptr": MapOf(MapType.HASH, "kptr_val"),
    "mask": MapOf(MapType.ARRAY, "mask_val", 1),
    "own": MapOf(MapType.ARRAY, "own_val", 1),
    "percpu": MapOf(MapType.ARRAY, "percpu_val", 1),
    "graph": MapOf(MapType.ARRAY, "graph_val", 1),
    "heads": MapOf(MapType.ARRAY, "heads_val", 1),
    "nodes": MapOf(MapType.ARRAY, "node_val", 1),
    "pairs": MapOf(MapType.ARRAY, "pairs_val", 1),
    "ring": MapOf(MapType.RINGBUF, plain=(0, 0), entries=4096),
    "ring2": MapOf(MapType.RINGBUF, plain=(0, 0), entries=4096),
    "tmaps": MapOf(MapType.ARRAY_OF_MAPS, plain=(4, 4), inner="timer"),
    "lmaps": MapOf(MapType.HASH_OF_MAPS, plain=(4, 4), inner="lock"),
    "nobtf": MapOf(MapType.HASH, plain=(4, 24)),
    "uring": MapOf(MapType.USER_RINGBUF, plain=(0, 0), entries=4096),
    "res": MapOf(MapType.ARRAY, "res_val", 1),
    "res2": MapOf(MapType.ARRAY, "res_val", 1),
    "hres": MapOf(MapType.HASH, "res_val"),
    "tw": MapOf(MapType.ARRAY, "tw_val", 1),
    "htw": MapOf(MapType.HASH, "tw_val"),
    "arena": MapOf(MapType.ARENA, plain=(0, 0), entries=100, flags=MMAPABLE, extra=1 << 44),
    "arena2": MapOf(MapType.ARENA, plain=(0, 0), entries=10, flags=MMAPABLE, extra=3 << 43),
    "nowhere": MapOf(MapType.ARENA, plain=(0, 0), entries=10, flags=MMAPABLE),
    "tails": MapOf(MapType.PROG_ARRAY, plain=(4, 4)),
}

_MAP = re.compile(r"\b(map_fd|map_value) ([a-z]\w*)")
_TYPE = re.compile(r"@(\w+)")
_KFUNC = re.compile(r"\bkfunc ([a-z_]\w*)")
_ADDRESS = re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *")
_NUMBER = re.compile(r"(?<=\w)#\d{4,} *(?=;|\n)|(?<=\w)#\d{4,}")  # of a kernel function, and the padding that it causes
_LDDW = re.compile(r"\(18\) (r\d+) = (?:0x[0-9a-f]+|map_\w+ \d+(?: \+ \d+)? ll|map\[.*?\]\S*) *")


@dataclass
class Scene:
    """One transport with the scene's BTF and, as they are asked for, its maps."""

    calls: Calls
    types: Types = field(default_factory=Types)
    fds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.btf_fd = self.calls.btf(self.types.builder.encode())

    def create(self, spec: MapOf, **more: Any) -> int:
        """BPF_MAP_CREATE."""
        if spec.inner:
            more["inner_map_fd"] = self.fd(spec.inner)
        if spec.plain is not None:
            more |= {"map_flags": spec.flags, "map_extra": spec.extra}
            return self.calls.map(spec.map_type, *spec.plain, n=spec.entries, **more)
        btf = self.types.builder.btf
        value = self.types[spec.value]
        key = self.types[spec.key] if spec.key else 0
        return self.calls.map(
            spec.map_type,
            btf.size_of(key) if key else 0,
            btf.size_of(value),
            n=spec.entries,
            map_flags=spec.flags,
            btf_fd=self.btf_fd,
            btf_key_type_id=key,
            btf_value_type_id=value,
            **more,
        )

    def fd(self, name: str) -> int:
        if name not in self.fds:
            self.fds[name] = self.create(MAPS[name])
        return self.fds[name]

    def insns(self, text: str) -> list[Insn]:
        text = _MAP.sub(lambda m: f"{m[1]} {self.fd(m[2])}", text)
        text = _TYPE.sub(lambda m: str(self.types[m[1]]), text)
        text = _KFUNC.sub(lambda m: f"kfunc {kfunc_id(m[1])}", text)
        return list(assemble(text))

    def load(self, prog_type: int, text: str, **more: Any) -> int:
        """The program's fd."""
        return self.ask(prog_type, text, keep=True, **more)[2]

    def ask(
        self, prog_type: int, text: str, level: int = 2, keep: bool = False, funcs: str = "", **more: Any
    ) -> tuple[int, list[str], int]:
        """errno, log lines, fd (-1 unless kept)."""
        if self.calls.name == "user" and any(not runs(name) for _, name in _MAP.findall(text)):
            return *self._verify(prog_type, text, level, more), -1
        insns = self.insns(text)
        starts = find_subprogs(insns)
        kinds = ["main", *(funcs.split(",") if funcs else ["cb"] * (len(starts) - 1))]
        records = b"".join(struct.pack("<II", at, self.types[kind]) for at, kind in zip(starts, kinds, strict=True))
        info, log = Buf(records), Buf(1 << 20 if level else 1)
        fields: dict[str, Any] = dict(more)
        fields |= {"prog_btf_fd": self.btf_fd, "func_info": info.addr}
        fields |= {"func_info_rec_size": 8, "func_info_cnt": len(starts)}
        if level:
            fields |= {"log_level": level, "log_buf": log.addr, "log_size": log.size}
        try:
            fd = self.calls.prog(insns, prog_type, **fields)
        except (OSError, BpfError) as e:
            return e.errno or 0, lines(log.text), -1
        if not keep:
            self.calls.close(fd)
            fd = -1
        return 0, lines(log.text), fd

    def _verify(self, prog_type: int, text: str, level: int, more: dict[str, Any]) -> tuple[int, list[str]]:
        """The verifier by itself, where a map's type is known but cannot be made."""
        names = sorted({name for _, name in _MAP.findall(text)})
        text = _MAP.sub(lambda m: f"{m[1]} {names.index(m[2])}", text)
        shapes = [self.shape(MAPS[name]) for name in names]
        insns = list(assemble(text))
        btf = Btf.parse(self.types.builder.encode())
        funcs = [(0, self.types["main"]), *((start, self.types["cb"]) for start in find_subprogs(insns)[1:])]
        request = VerifyRequest(insns, ProgType(prog_type), log_level=level, btf=btf, func_info=funcs)
        for name, value in more.items():
            setattr(request, name, value)
        request.resolve_map = shapes.__getitem__
        assert self.calls.kernel is not None
        request.vmlinux = self.calls.kernel.vmlinux
        try:
            return 0, lines(verify(request).log)
        except Rejected as e:
            return e.errno or 0, lines(e.log)

    def shape(self, spec: MapOf) -> MapShape:
        """What the verifier is told of a map."""
        if spec.plain is not None:
            shape = MapShape(MapType(spec.map_type), *spec.plain, spec.entries)
            shape.inner = self.shape(MAPS[spec.inner]) if spec.inner else None
            shape.user_start = spec.extra
            return shape
        btf = Btf.parse(self.types.builder.encode())
        key, value = self.types[spec.key], self.types[spec.value]
        sizes = btf.size_of(key), btf.size_of(value)
        return MapShape(
            MapType(spec.map_type), *sizes, spec.entries, btf=btf, btf_key_type_id=key, btf_value_type_id=value
        )


@functools.cache
def _vmlinux() -> Btf | None:
    path = Path("/sys/kernel/btf/vmlinux")
    return Btf.parse(path.read_bytes()) if path.exists() else None


def kfunc_id(name: str) -> int:
    """A kernel function's number in the running kernel's BTF."""
    btf = _vmlinux()
    found = btf.find(name, Func) if btf is not None else None
    if found is None:
        pytest.skip(f"the kernel's BTF has no {name}")
    return found.id


def runs(name: str) -> bool:
    """Whether userbpf makes such maps."""
    return ROWS[MapType(MAPS[name].map_type)].status == "run"


def lines(log: str) -> list[str]:
    """Without what differs by nature: fds and addresses, and how the disassembler shows a map."""
    log = _NUMBER.sub("", log)
    return [_LDDW.sub(r"(18) \1 = <map> ", line.rstrip()) for line in log.splitlines() if line.strip()]


def message(log: list[str]) -> str:
    """The last line that is no statistics, where the program was refused."""
    return next((line for line in reversed(log) if not line.startswith("processed ")), "")


# --- cases -----------------------------------------------------------------------------------------------------------------

CASES_DIR: Final = Path(__file__).resolve().parent.parent / "data" / "objects"
RECORDED: Final = CASES_DIR / "linux_6.18.44.json.xz"
APART: Final = ("arena", "res_locks", "task_work")  # files of cases whose answers stand in a file of their own
_HEAD = re.compile(r"### *(\w+) +(\w+)(.*)")


@dataclass(frozen=True)
class Case:
    """One program of a file of cases: `### name PROG_TYPE attr=value`, then its assembly."""

    name: str
    prog_type: int
    text: str
    more: dict[str, Any]


def cases(path: Path | None = None) -> list[Case]:
    """All cases of a file, or of all files."""
    if path is None:
        return [case for each in sorted(CASES_DIR.glob("*.txt")) for case in cases(each)]
    out = []
    for block in re.split(r"(?m)^(?=###)", path.read_text()):
        head = _HEAD.match(block)
        if head is None:
            continue
        words = (word.split("=") for word in head[3].split())
        more = {key: value if key == "funcs" else int(value, 0) for key, value in words}
        out.append(Case(f"{path.stem}-{head[1]}", globals()[head[2]], block[head.end() :], more))
    return out


def recorded() -> dict[str, tuple[int, list[str]]]:
    """What Linux 6.18.44 answered: errno and log by case."""
    data: dict[str, tuple[int, list[str]]] = {}
    for path in (RECORDED, *map(apart, APART)):
        data |= json.loads(lzma.decompress(path.read_bytes()))
    return data


def apart(stem: str) -> Path:
    """The answers to the cases of one file, where they are kept by themselves."""
    return CASES_DIR / f"{stem}_6.18.44.json.xz"
