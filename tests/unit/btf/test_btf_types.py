"""BTF blobs: parsed, encoded, looked up; malformed ones refused."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from btfgen import Graphs
from userbpf.btf import Array, Btf, Const, DataSec, DeclTag, Enum64, FuncProto, Int, Member, Ptr, Struct, Typedef, Union
from userbpf.btf.builder import BOOL, CHAR, SIGNED, Builder
from userbpf.btf.dump import CSource, render_c
from userbpf.errors import BtfError

VMLINUX = Path("/sys/kernel/btf/vmlinux")


def every_kind() -> Builder:
    b = Builder()
    int_ = b.integer("int", 4, signed=True)
    char = b.integer("char", 1, encoding=SIGNED | CHAR)
    b.integer("_Bool", 1, encoding=BOOL)
    u64 = b.integer("u64", 8)
    node = b.forward("node")
    link = b.pointer(node)
    b.struct("node", [("next", link), ("value", int_)])
    b.struct("flags", [("a", int_, 3), ("b", int_, 30), ("c", int_, 2)])
    b.union("either", [("n", u64), ("text", b.array(char, 8, int_))])
    b.enum("color", {"RED": 0, "GREEN": -1})
    b.enum("wide", {"HUGE": 1 << 40}, size=8)
    b.typedef("word", b.volatile(b.const(b.restrict(b.pointer(b.type_tag("user", int_))))))
    proto = b.proto(int_, [("a", int_), ("b", link)])
    b.func("main", proto)
    b.decl_tag("hot", int_ + 4 + 2)
    b.section(".data", [b.var("x", int_), b.var("y", u64)])
    b.floating("double", 8)
    b.forward("u", is_union=True)
    return b


def test_encode_and_parse_agree() -> None:
    b = every_kind()
    again = Btf.parse(b.encode())
    assert again.types == b.btf.types
    assert again.encode() == b.encode()
    assert {type(t).__name__ for t in again.types} >= {"Int", "Ptr", "Fwd", "Enum64", "DataSec", "TypeTag", "DeclTag"}


def test_split_btf_continues_its_base() -> None:
    base = Btf.parse(every_kind().encode())
    b = Builder(base)
    node = base.find("node", Struct)
    assert node is not None
    pair = b.struct("pair", [("first", node.id), ("second", node.id)])
    again = Btf.parse(b.encode(), base)
    assert pair == len(base)
    assert again.find("pair", Struct) == b.btf.by_id(pair)
    assert again.find("node", Struct) is again.by_id(node.id)
    assert again.size_of(pair) == 32


def test_lookup() -> None:
    btf = every_kind().btf
    node = btf.find("node", Struct)
    assert node is not None and node.size == 16
    assert btf.find("node", Union) is None
    assert btf.find("nothing", Struct) is None
    assert len(btf.named("node")) == 2
    word = btf.find("word", Typedef)
    assert word is not None
    assert isinstance(btf.resolve(word.id), Ptr)
    wide = btf.find("wide", Enum64)
    assert wide is not None and wide.values == [("HUGE", 1 << 40)]
    section = btf.find(".data", DataSec)
    assert section is not None and [(v.offset, v.size) for v in section.vars] == [(0, 4), (8, 8)]


@pytest.mark.parametrize(
    ("fields", "size", "offsets"),
    [
        ([("a", 1), ("b", 8)], 16, [0, 64]),
        ([("a", 8), ("b", 1)], 16, [0, 64]),
        ([("a", 1), ("b", 2), ("c", 1)], 6, [0, 16, 32]),
    ],
)
def test_builder_lays_out_as_c(fields: list[tuple[str, int]], size: int, offsets: list[int]) -> None:
    b = Builder()
    by_size = {n: b.integer(f"i{n}", n) for n in (1, 2, 4, 8)}
    t = b.btf.by_id(b.struct("s", [(n, by_size[w]) for n, w in fields]))
    assert isinstance(t, Struct)
    assert (t.size, [m.bit_offset for m in t.members]) == (size, offsets)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda b: b.typedef("a", 2) + b.typedef("b", 1), "without end"),
        (lambda b: b.btf.add(Array(1, 1, 3)), "without end"),
        (lambda b: b.proto(), "has no size"),
        (lambda b: b.forward("x"), "has no size"),
    ],
)
def test_sizeless_types_have_no_size(build: object, message: str) -> None:
    b = Builder()
    build(b)  # type: ignore[operator]
    with pytest.raises(BtfError, match=message):
        b.btf.size_of(1)


def test_size_of_nested_structs_is_bounded() -> None:
    b = Builder()
    for i in range(5000):  # each holds the next one
        b.btf.add(Struct(size=4, members=[], name=f"s{i}"))
    for i, t in enumerate(b.btf.types[1:-1]):
        assert isinstance(t, Struct)
        t.members = [Member("m", i + 2, 0)]
    with pytest.raises(BtfError, match="nested too deeply"):
        b.btf.align_of(1)


# --- malformed ---------------------------------------------------------------------------------------------------------------


def good() -> bytes:
    return every_kind().encode()


@pytest.mark.parametrize("size", range(0, len(good()), 7))
def test_cut_blobs_are_refused(size: int) -> None:
    with pytest.raises(BtfError):
        Btf.parse(good()[:size])


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, b"\x9f\xeb"[::-1], "big-endian"),
        (0, b"ab", "magic"),
        (2, b"\2", "version"),
        (4, b"\xff\xff\xff\xff", "outside"),
        (12, b"\xff\xff\xff\xff", "outside"),
        (20, b"\xff\xff\xff\xff", "outside"),
    ],
)
def test_bad_headers_are_refused(at: int, value: bytes, message: str) -> None:
    raw = bytearray(good())
    raw[at : at + len(value)] = value
    with pytest.raises(BtfError, match=message):
        Btf.parse(raw)


def use_everything(btf: Btf) -> None:
    for t in btf.types:
        for ask in (btf.size_of, btf.align_of, btf.resolve):
            try:
                ask(t.id)
            except BtfError:
                pass
    try:
        render_c(btf)
    except BtfError:
        pass
    btf.encode()


def test_changed_bytes_give_btf_or_btf_error() -> None:
    raw = good()
    parsed = 0
    for seed in range(3000):
        r = random.Random(seed)
        data = bytearray(raw)
        for _ in range(r.randint(1, 4)):
            data[r.randrange(len(data))] = r.choice([0, 1, 0xFF, r.randrange(256)])
        try:
            btf = Btf.parse(data)
        except BtfError:
            continue
        parsed += 1
        use_everything(btf)
    assert parsed > 100


def test_random_types_give_btf_or_btf_error() -> None:
    for seed in range(1500):
        try:
            btf = Btf.parse(Graphs(seed).blob())
        except BtfError:
            continue
        use_everything(btf)


# --- C -----------------------------------------------------------------------------------------------------------------------


def test_c_declarations() -> None:
    b = Builder()
    int_ = b.integer("int", 4, signed=True)
    out = CSource(b.btf)
    function = b.proto(int_, [("", int_), ("", b.pointer(b.const(int_)))])
    cases = {
        b.pointer(int_): "int *x",
        b.const(b.pointer(int_)): "int * const x",
        b.pointer(b.const(int_)): "const int *x",
        b.array(b.pointer(int_), 4): "int *x[4]",
        b.pointer(b.array(int_, 4)): "int (*x)[4]",
        b.array(b.array(int_, 3), 2): "int x[2][3]",
        b.pointer(function): "int (*x)(int, const int *)",
        b.pointer(b.proto()): "void (*x)(void)",
        b.array(b.pointer(function), 2): "int (*x[2])(int, const int *)",
        b.pointer(): "void *x",
        b.pointer(b.forward("hidden")): "struct hidden *x",
        b.pointer(b.type_tag("rcu", b.struct("s", [("a", int_)]))): 'struct s __attribute__((btf_type_tag("rcu"))) *x',
    }
    assert {t: out.declaration(t, "x") for t in cases} == cases


def test_c_source_orders_and_names() -> None:
    b = Builder()
    int_ = b.integer("int", 4, signed=True)
    outer = b.btf.add(Struct(size=8, name="outer")).id
    inner = b.struct("inner", [("n", int_)])
    alias = b.typedef("inner_t", inner)
    b.btf.by_id(outer).members = [  # type: ignore[attr-defined]
        Member("a", alias, 0)
    ]
    b.struct("inner", [("other", int_), ("more", int_, 3)])
    text = CSource(b.btf)
    text.write(outer)
    assert text.text() == (
        "struct inner;\n\ntypedef struct inner inner_t;\n\nstruct inner {\n\tint n;\n};\n\n"
        "struct outer {\n\tinner_t a;\n\tlong: 32;\n};\n"
    )
    text.write(len(b.btf) - 1)
    assert text.parts[-1] == "struct inner___2 {\n\tint other;\n\tint more: 3;\n};\n"


def compiled(source: str, tmp_path: Path) -> Btf:
    from userbpf.loader.compile import compile_source
    from userbpf.loader.elf import read_elf

    path = tmp_path / "source.c"
    path.write_text(source)
    section = read_elf(compile_source(path), "source.o").named(".BTF")
    assert section is not None
    return Btf.parse(section.data)


def layout(t: Struct) -> tuple[int, list[tuple[str, int, int]]]:
    return t.size, [(m.name, m.bit_offset, m.bits) for m in t.members]


def test_c_source_compiles_to_the_same_layout(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    b = Builder()
    char, int_, u64 = b.integer("char", 1, encoding=SIGNED | CHAR), b.integer("int", 4, True), b.integer("long", 8)
    b.struct("plain", [("a", char), ("b", u64), ("c", int_)])
    b.struct("bits", [("a", int_, 3), ("b", int_, 30), ("c", char), ("d", u64, 40)])
    packed = b.struct("packed", [("a", char), ("b", char), ("x", int_)], size=7)
    t = b.btf.by_id(packed)
    assert isinstance(t, Struct)
    t.members[2].bit_offset = 24
    gap = b.struct("gap", [("a", int_), ("b", u64)], size=64)
    t = b.btf.by_id(gap)
    assert isinstance(t, Struct)
    t.members[1].bit_offset = 192
    b.struct("holds", [("p", b.pointer(gap)), ("in", gap), ("u", b.union("", [("x", int_), ("y", packed)]))])
    names = ["plain", "bits", "packed", "gap", "holds"]
    uses = "".join(f"struct {n} *use_{n};\n" for n in names)
    again = compiled(render_c(b.btf) + uses, tmp_path)
    for name in names:
        mine, theirs = b.btf.find(name, Struct), again.find(name, Struct)
        assert mine is not None and theirs is not None
        assert layout(theirs) == layout(mine)


@pytest.mark.skipif(not VMLINUX.exists(), reason="no kernel BTF at /sys/kernel/btf/vmlinux")
def test_kernel_types_compile_to_the_same_layout(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    btf = Btf.parse(VMLINUX.read_bytes())
    names = ["task_struct", "sk_buff", "sock", "net_device", "file", "bpf_prog", "tcp_sock", "mm_struct"]
    wanted = [btf.find(n, Struct) for n in names]
    uses = "".join(f"struct {n} *use_{n};\n" for n in names)
    again = compiled(render_c(btf, [t.id for t in wanted if t]) + uses, tmp_path)
    for mine in wanted:
        assert mine is not None
        theirs = again.find(mine.name, Struct)
        assert theirs is not None
        assert layout(theirs) == layout(mine)


@pytest.mark.skipif(not VMLINUX.exists(), reason="no kernel BTF at /sys/kernel/btf/vmlinux")
def test_kernel_btf_parses_and_encodes() -> None:
    raw = VMLINUX.read_bytes()
    btf = Btf.parse(raw)
    again = Btf.parse(btf.encode())
    assert again.types == btf.types
    proto = next(t for t in btf.types if isinstance(t, FuncProto) and len(t.params) > 3)
    assert struct.unpack_from("<H", raw)[0] == 0xEB9F and proto.id < len(btf)
    assert btf.find("int", Int) is not None
    assert any(isinstance(t, DeclTag) for t in btf.types) or any(isinstance(t, Const) for t in btf.types)


def test_enums_without_a_name_are_constants() -> None:
    builder = Builder()
    builder.enum("", {"BPF_ANY": 0, "BPF_NOEXIST": 1})
    inner = builder.enum("", {"INSIDE": 5})
    builder.struct("holder", [("kind", inner)])
    text = render_c(Btf.parse(builder.encode()))
    assert "enum {\n\tBPF_ANY = 0,\n\tBPF_NOEXIST = 1,\n};" in text
    assert text.count("INSIDE") == 1
