"""The ABI: layouts against ctypes structs written by hand from the headers, and against the running kernel's BTF."""

from __future__ import annotations

import ctypes as c
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from userbpf.abi import attrs, consts, ctx, defines, enums, info
from userbpf.abi.layout import Layout
from userbpf.btf import Btf, Composite, Enum, Struct, Union

ROOT = Path(__file__).resolve().parents[2]
VMLINUX = Path("/sys/kernel/btf/vmlinux")
U8, U16, U32, U64, S32 = c.c_uint8, c.c_uint16, c.c_uint32, c.c_uint64, c.c_int32
MODULES = (attrs, info, ctx)
LAYOUTS = sorted(
    {v for m in MODULES for v in vars(m).values() if isinstance(v, type) and issubclass(v, Layout) and v is not Layout},
    key=lambda v: v.__name__,
)


def words(text: str, kind: type = U32) -> list[tuple[str, type]]:
    return [(name, kind) for name in text.split()]


# class, C fields in order; the C compiler's padding is ctypes' affair
C_STRUCTS: dict[type[Layout], list[tuple[str, type]]] = {
    attrs.MapCreateAttr: [
        *words("map_type key_size value_size max_entries map_flags inner_map_fd numa_node"),
        ("map_name", c.c_char * 16),
        *words("map_ifindex btf_fd btf_key_type_id btf_value_type_id btf_vmlinux_value_type_id"),
        ("map_extra", U64),
        ("value_type_btf_obj_fd", S32),
        ("map_token_fd", S32),
        ("excl_prog_hash", U64),
        ("excl_prog_hash_size", U32),
    ],
    attrs.MapElemAttr: [("map_fd", U32), *words("key value flags", U64)],
    attrs.MapBatchAttr: [
        *words("in_batch out_batch keys values", U64),
        *words("count map_fd"),
        *words("elem_flags flags", U64),
    ],
    attrs.ProgLoadAttr: [
        *words("prog_type insn_cnt"),
        *words("insns license", U64),
        *words("log_level log_size"),
        ("log_buf", U64),
        *words("kern_version prog_flags"),
        ("prog_name", c.c_char * 16),
        *words("prog_ifindex expected_attach_type prog_btf_fd func_info_rec_size"),
        ("func_info", U64),
        *words("func_info_cnt line_info_rec_size"),
        ("line_info", U64),
        *words("line_info_cnt attach_btf_id attach_prog_fd core_relo_cnt"),
        *words("fd_array core_relos", U64),
        *words("core_relo_rec_size log_true_size"),
        ("prog_token_fd", S32),
        ("fd_array_cnt", U32),
        ("signature", U64),
        ("signature_size", U32),
        ("keyring_id", S32),
    ],
    attrs.ProgTestRunAttr: [
        *words("prog_fd retval data_size_in data_size_out"),
        *words("data_in data_out", U64),
        *words("repeat duration ctx_size_in ctx_size_out"),
        *words("ctx_in ctx_out", U64),
        *words("flags cpu batch_size"),
    ],
    attrs.ObjPinAttr: [("pathname", U64), *words("bpf_fd file_flags"), ("path_fd", S32)],
    attrs.GetIdAttr: [*words("start_id next_id open_flags"), ("fd_by_id_token_fd", S32)],
    attrs.ObjInfoAttr: [*words("bpf_fd info_len"), ("info", U64)],
    attrs.BtfLoadAttr: [
        *words("btf btf_log_buf", U64),
        *words("btf_size btf_log_size btf_log_level btf_log_true_size btf_flags"),
        ("btf_token_fd", S32),
    ],
    attrs.RawTracepointAttr: [("name", U64), ("prog_fd", U32), ("cookie", U64)],
    info.MapInfo: [
        *words("type id key_size value_size max_entries map_flags"),
        ("name", c.c_char * 16),
        *words("ifindex btf_vmlinux_value_type_id"),
        *words("netns_dev netns_ino", U64),
        *words("btf_id btf_key_type_id btf_value_type_id btf_vmlinux_id"),
        *words("map_extra hash", U64),
        ("hash_size", U32),
    ],
    info.BtfInfo: [("btf", U64), *words("btf_size id"), ("name", U64), *words("name_len kernel_btf")],
    info.FuncInfo: words("insn_off type_id"),
    info.LineInfo: words("insn_off file_name_off line_off line_col"),
    info.CoreRelo: words("insn_off type_id access_str_off kind"),
    ctx.XdpMd: words("data data_end data_meta ingress_ifindex rx_queue_index egress_ifindex"),
    ctx.CgroupDevCtx: words("access_type major minor"),
    ctx.Sysctl: words("write file_pos"),
}


@pytest.mark.parametrize("cls", C_STRUCTS, ids=lambda cls: cls.__name__)
def test_layout_is_that_of_ctypes(cls: type[Layout]) -> None:
    oracle = type("Oracle", (c.Structure,), {"_fields_": C_STRUCTS[cls]})
    own = {name: (off, size) for name, off, size in cls.fields if not name.startswith("pad_")}
    assert own == {n: (getattr(oracle, n).offset, getattr(oracle, n).size) for n, _ in C_STRUCTS[cls]}
    # attrs end with their last field, as the union goes on behind them; other structs with C's padding
    last = max(off + size for off, size in own.values())
    assert (last if cls.__name__.endswith("Attr") else c.sizeof(oracle)) == cls.SIZE


def attr_samples() -> list[type[Layout]]:
    return LAYOUTS


@pytest.mark.parametrize("cls", attr_samples(), ids=lambda cls: cls.__name__)
def test_encode_and_decode_agree(cls: type[Layout]) -> None:
    raw = bytes((i * 7 + 1) & 0xFF for i in range(cls.SIZE))
    value = cls.decode(raw + b"behind")
    assert value.encode() == raw
    for name, off, size in cls.fields:
        part = getattr(value, name)
        assert (part if isinstance(part, bytes) else part.to_bytes(size, "little", signed=part < 0)) == raw[
            off : off + size
        ]
    assert cls().encode() == bytes(cls.SIZE)
    assert sum(size for _, _, size in cls.fields) == cls.SIZE


def test_other_names_of_a_union_read_the_same_bytes() -> None:
    assert attrs.MapElemAttr(value=5).next_key == 5
    by_id = attrs.GetIdAttr(start_id=7)
    assert (by_id.prog_id, by_id.map_id, by_id.btf_id, by_id.link_id) == (7, 7, 7, 7)
    assert ctx.FibLookup(flowinfo=0x1234).tos == 0x34
    assert ctx.SockOps(args_0=9).reply == 9


# --- the running kernel ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vmlinux() -> Btf:
    if not VMLINUX.exists():
        pytest.skip("no kernel BTF at /sys/kernel/btf/vmlinux")
    return Btf.parse(VMLINUX.read_bytes())


def c_fields(btf: Btf, t: Composite, base: int = 0, prefix: str = "") -> dict[str, tuple[int, int]]:
    """name -> (byte offset, bytes) of every field, those within anonymous members too."""
    out: dict[str, tuple[int, int]] = {}
    for m in t.members:
        inner = btf.resolve(m.type)
        off = base + m.bit_offset // 8
        if isinstance(inner, Composite):
            for name, place in c_fields(btf, inner, off).items():
                out.setdefault(name, place)
        if m.name and not m.bits:
            out[m.name] = (off, btf.size_of(m.type))
    return out


def struct_of(btf: Btf, cls: type[Layout]) -> Composite:
    """The C type that a layout's docstring names."""
    doc = cls.__doc__ or ""
    found = re.match(r"struct (\w+): (\d+) bytes", doc)
    if found:
        t = btf.find(found[1], Struct)
        assert t is not None
        assert t.size == int(found[2])
        return t
    union = btf.find("bpf_attr", Union)
    assert union is not None
    if first := re.match(r"union bpf_attr, the struct of (\w+)", doc):
        return next(
            t
            for m in union.members
            if not m.name and isinstance(t := btf.resolve(m.type), Composite) and first[1] in list(c_fields(btf, t))[:1]
        )
    member = re.match(r"union bpf_attr, (\w+)", doc)
    assert member is not None
    t = btf.resolve(next(m.type for m in union.members if m.name == member[1]))
    assert isinstance(t, Composite)
    return t


@pytest.mark.parametrize("cls", LAYOUTS, ids=lambda cls: cls.__name__)
def test_layout_is_that_of_the_running_kernel(cls: type[Layout], vmlinux: Btf) -> None:
    known = c_fields(vmlinux, struct_of(vmlinux, cls))
    compared = 0
    for name, off, size in cls.fields:
        if name in known:
            assert known[name] == (off, size), name
            compared += 1
        elif array := re.fullmatch(r"(\w+)_(\d+)", name):
            place = known.get(array[1]) or known.get(f"__{array[1]}")
            if place is not None:
                assert place[0] + int(array[2]) * size == off, name
                compared += 1
    assert compared


@pytest.mark.parametrize(
    "cls", [v for v in vars(enums).values() if isinstance(v, type) and v.__module__ == enums.__name__]
)
def test_enum_is_that_of_the_running_kernel(cls: type[enums.Cmd], vmlinux: Btf) -> None:
    t = vmlinux.find((cls.__doc__ or "").removeprefix("enum "), Enum)
    assert t is not None
    theirs = {name: value for name, value in t.values if not name.startswith("__")}
    assert {theirs[m.c_name] for m in cls} == set(theirs.values())
    assert all(theirs[m.c_name] == m for m in cls)


def test_constants_are_those_of_the_running_kernel(vmlinux: Btf) -> None:
    theirs = {n: v for t in vmlinux.types if isinstance(t, Enum) for n, v in t.values}
    own = {n: v for n, v in vars(consts).items() if n.startswith("BPF_")}
    assert own
    assert own == {n: theirs[n] for n in own}


def test_generated_modules_are_up_to_date(vmlinux: Btf) -> None:
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/gen_abi.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- by hand ---------------------------------------------------------------------------------------------------------------


def test_c_names() -> None:
    assert enums.MapType.HASH.c_name == "BPF_MAP_TYPE_HASH"
    assert enums.HelperId.map_lookup_elem.c_name == "BPF_FUNC_map_lookup_elem"
    assert enums.AttachType.CGROUP_INET_INGRESS.c_name == "BPF_CGROUP_INET_INGRESS"
    assert defines.TcAction(-1).c_name == "TC_ACT_UNSPEC"
    assert defines.BtfKind.ENUM64.c_name == "BTF_KIND_ENUM64"


def test_kinds_have_a_class_each() -> None:
    from userbpf.btf.types import KINDS

    assert set(KINDS) == set(defines.BtfKind) - {defines.BtfKind.UNKN}
    for kind, cls in KINDS.items():
        assert cls.__name__.upper() == defines.BtfKind(kind).name.replace("_", "")
