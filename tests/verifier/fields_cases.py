"""Structs with the kernel's fields in them, good and bad: what BTF_LOAD and BPF_MAP_CREATE say of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench_verifier import golden
from bpfcalls import Calls
from userbpf.abi.enums import MapType
from userbpf.errors import BpfError
from verifier.objects_rig import MapOf, Scene, Types

RECORDED: Final = Path(__file__).resolve().parent.parent / "data" / "objects" / "fields_6.18.44.json.xz"
_T = MapType
MAP_TYPES: Final = {
    _T.HASH: ("int", 4, 0),
    _T.ARRAY: ("int", 4, 0),
    _T.LRU_HASH: ("int", 4, 0),
    _T.PERCPU_HASH: ("int", 4, 0),
    _T.PERCPU_ARRAY: ("int", 4, 0),
    _T.LRU_PERCPU_HASH: ("int", 4, 0),
    _T.LPM_TRIE: ("lpm", 4, 1),
    _T.SK_STORAGE: ("int", 0, 1),
    _T.TASK_STORAGE: ("int", 0, 1),
    _T.CGROUP_STORAGE: ("u64", 0, 0),
    _T.BLOOM_FILTER: ("", 4, 0),
    _T.STACK_TRACE: ("int", 4, 0),
}
VALUES: Final = (
    *("lock_val", "timer_val", "wq_val", "both_val", "kptr_val", "mask_val", "own_val", "percpu_val", "graph_val"),
    *("res_val", "tw_val", "ref_val", "nodev", "uptr_val", "two_res", "two_ref", "two_timer", "arr_timer"),
    *("arr2_timer", "nested", "misal", "unionv", "kptr_bad", "arr_kptr", "deep", "uval", "twokptr", "kptr_int"),
    *("kptr_other", "plain"),
)


def _struct(*members: str, tags: tuple[tuple[str, int], ...] = (), move: int = 0) -> Callable[[Types], None]:
    """`kind`, `tag:target` for a pointer, `kind*3` for an array; `move` is the offset of the last member."""

    def build(t: Types) -> None:
        b, ids = t.builder, t.ids
        fields = []
        for number, member in enumerate(members):
            kind, _, count = member.partition("*")
            if ":" in kind:
                tag, _, target = kind.partition(":")
                ids[kind] = b.pointer(b.type_tag(tag, ids[target]))
            if count:
                ids[member] = b.array(ids[kind], int(count))
            fields.append((f"m{number}", member))
        made = t.value("odd", *fields)
        if move:
            b.btf.by_id(made).members[-1].bit_offset = move * 8  # type: ignore[attr-defined]
        for text, member_number in tags:
            b.decl_tag(text, made, member_number)

    return build


def _chain(t: Types) -> None:
    first = t.value("first", ("l", "list_node"), ("lock", "spin"), ("head", "list_head"))
    t.builder.decl_tag("contains:own_node:list", first, 2)
    second = t.value("second", ("l", "list_node"), ("lock", "spin"), ("head", "list_head"))
    t.builder.decl_tag("contains:first:l", second, 2)


def _chain_of_two(t: Types) -> None:
    first = t.value("first", ("l", "list_node"), ("lock", "spin"), ("head", "list_head"))
    t.builder.decl_tag("contains:own_node:list", first, 2)
    second = t.value("second", ("lock", "spin"), ("head", "list_head"))
    t.builder.decl_tag("contains:first:l", second, 1)


_LIST = "contains:own_node:list"
_TREE = "contains:own_node:tree"
STRUCTS: Final[dict[str, Callable[[Types], None]]] = {
    "two locks": _struct("spin", "spin"),
    "both locks": _struct("spin", "res_spin"),
    "two resilient locks": _struct("res_spin", "res_spin"),
    "node, two resilient locks": _struct("list_node", "res_spin", "res_spin"),
    "node, two timers": _struct("list_node", "timer", "timer"),
    "node, kptr to int": _struct("list_node", "kptr:int"),
    "node, kptr to void": _struct("list_node", "kptr:void"),
    "node, uptr to int": _struct("list_node", "uptr:int"),
    "node, other tag": _struct("list_node", "weird:int"),
    "node, kptr": _struct("list_node", "kptr:task_struct"),
    "node, kptr to node": _struct("list_node", "kptr:own_node"),
    "percpu kptr": _struct("u64", "percpu_kptr:own_node"),
    "kptr to int": _struct("kptr:int"),
    "list node and tree node": _struct("list_node", "rb_node"),
    "list node, tree node and count": _struct("list_node", "rb_node", "refcount"),
    "two list nodes": _struct("list_node", "list_node"),
    "node, two counts": _struct("list_node", "refcount", "refcount"),
    "node, array of nodes": _struct("list_node", "list_node*10"),
    "node, two locks as an array": _struct("list_node", "spin*2"),
    "node, one lock as an array": _struct("list_node", "spin*1"),
    "11 kptrs": _struct("kptr:task_struct", "kptr:task_struct*10"),
    "12 kptrs": _struct("kptr:task_struct", "kptr:task_struct*11"),
    "misplaced lock": _struct("u64", "u64", "u64", "spin", move=18),
    "nested": _struct("own_node"),
    "head": _struct("spin", "list_head", tags=((_LIST, 1),)),
    "head without lock": _struct("u64", "list_head", tags=((_LIST, 1),)),
    "head without tag": _struct("spin", "list_head"),
    "root without tag": _struct("spin", "rb_root"),
    "head, resilient lock": _struct("res_spin", "list_head", tags=((_LIST, 1),)),
    "head of tree nodes": _struct("spin", "list_head", tags=((_TREE, 1),)),
    "root of list nodes": _struct("spin", "rb_root", tags=((_LIST, 1),)),
    "root": _struct("spin", "rb_root", tags=((_TREE, 1),)),
    "tag names no member": _struct("spin", "list_head", tags=(("contains:own_node:nope", 1),)),
    "tag names no struct": _struct("spin", "list_head", tags=(("contains:none:list", 1),)),
    "tag names a number": _struct("spin", "list_head", tags=(("contains:plain:a", 1),)),
    "tag without member": _struct("spin", "list_head", tags=(("contains:own_node", 1),)),
    "tag on the lock": _struct("spin", "list_head", tags=((_LIST, 0),)),
    "two tags": _struct("spin", "list_head", tags=((_LIST, 1), (_TREE, 1))),
    "the same tag twice": _struct("spin", "list_head", tags=((_LIST, 1), (_LIST, 1))),
    "other tag on head": _struct("spin", "list_head", tags=(("has:own_node:list", 1),)),
    "owns itself": _struct("list_node", "spin", "list_head", tags=(("contains:odd:m0", 2),)),
    "element that owns": _struct("list_node", "spin", "list_head", tags=((_LIST, 2),)),
    "element that owns an owner": _chain,
    "owner of an owner": _chain_of_two,
}


def load_errno(calls: Calls, build: Callable[[Types], None]) -> int:
    """BTF_LOAD's answer."""
    try:
        calls.close(calls.btf(Types(build).builder.encode()))
    except (OSError, BpfError) as e:
        return e.errno or 0
    return 0


def create_errno(scene: Scene, map_type: MapType, value: str, flags: int = 0) -> int:
    """BPF_MAP_CREATE's answer."""
    key, entries, own_flags = MAP_TYPES[map_type]
    try:
        scene.calls.close(scene.create(MapOf(map_type, value, entries, flags | own_flags, key)))
    except (OSError, BpfError) as e:
        return e.errno or 0
    return 0


def ask(calls: Calls) -> dict[str, int]:
    """Every answer of a transport."""
    out = {f"load {name}": load_errno(calls, build) for name, build in STRUCTS.items()}
    scene = Scene(calls)
    for value in VALUES:
        out |= {f"{kind.name} {value}": create_errno(scene, kind, value) for kind in MAP_TYPES}
        out[f"read-only {value}"] = create_errno(scene, MapType.HASH, value, 1 << 7)
        out[f"write-only {value}"] = create_errno(scene, MapType.HASH, value, 1 << 8)
    return out


def recorded() -> dict[str, int]:
    data: dict[str, int] = golden.read(RECORDED)
    return data
