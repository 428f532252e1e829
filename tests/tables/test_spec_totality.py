"""Every member of Linux's enums has a row, and rows agree with each other."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
from pathlib import Path

import pytest

from userbpf import spec
from userbpf.abi import ctx as abi_ctx
from userbpf.abi.enums import AttachType, Cmd, HelperId, MapType, ProgType
from userbpf.native import rt
from userbpf.spec import helper_rows
from userbpf.spec.argtypes import ArgBase, RetBase, TypeFlag
from userbpf.spec.commands import COMMANDS
from userbpf.spec.ctx import CTX, POINTEE, CtxField, Parts
from userbpf.spec.helper_types import ALLOWED, ATTACH_ONLY, PERFMON
from userbpf.spec.helpers import ACQUIRES, BY_NAME, CASTS, HELPERS, RET_BOUND, RUN
from userbpf.spec.limits import limits
from userbpf.spec.maps import HELPER_MAPS, MAPS
from userbpf.spec.progs import PROGS
from userbpf.spec.sections import SECTIONS, section_of


def test_helpers_have_a_row_each() -> None:
    assert set(HELPERS) == set(HelperId) - {HelperId.unspec}
    assert [row.name for row in HELPERS.values()] == [HelperId(i).name for i in HELPERS]
    assert len(HELPERS) == 211


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(ACQUIRES, id="acquires"),
        pytest.param(CASTS, id="casts"),
        pytest.param(RET_BOUND, id="ret_bound"),
        pytest.param(RUN, id="run"),
        pytest.param(PERFMON, id="perfmon"),
        pytest.param(frozenset(helper_rows.VARIANTS), id="variants"),
        pytest.param(frozenset().union(*ALLOWED.values()), id="allowed"),
        pytest.param(frozenset(name for _, name in ATTACH_ONLY), id="attach_only"),
    ],
)
def test_helper_sets_name_helpers(names: frozenset[str]) -> None:
    assert names <= set(BY_NAME)


def test_helpers_are_called_by_some_type() -> None:
    # two that only the documentation knows: they ask for a kernel option
    nowhere = {row.name for row in HELPERS.values() if not row.prog_types}
    assert nowhere == {"probe_write_user", "override_return"}


@pytest.mark.parametrize("row", HELPERS.values(), ids=lambda row: row.name)
def test_helper_arguments_are_well_formed(row: object) -> None:
    from userbpf.spec.helpers import HelperRow

    assert isinstance(row, HelperRow)
    for args in (row.args, *(row.variants or {}).values()):
        assert len(args) <= 5
        for before, arg in zip((None, *args), args, strict=False):
            if arg.base in (ArgBase.CONST_SIZE, ArgBase.CONST_SIZE_OR_ZERO) and row.name != "ringbuf_reserve":
                assert before is not None and before.base is ArgBase.PTR_TO_MEM and not before.size
            if arg.base in (ArgBase.PTR_TO_MAP_KEY, ArgBase.PTR_TO_MAP_VALUE):
                assert ArgBase.CONST_MAP_PTR in [a.base for a in args[: args.index(arg)]]
            assert bool(arg.size) == bool(arg.flags & TypeFlag.MEM_FIXED_SIZE)
            if arg.flags & TypeFlag.MEM_UNINIT:
                assert arg.flags & TypeFlag.MEM_WRITE
            if arg.base is ArgBase.PTR_TO_MEM:
                assert bool(arg.flags & TypeFlag.MEM_RDONLY) != bool(arg.flags & TypeFlag.MEM_WRITE)
    if row.acquires or row.casts:
        assert row.ret.maybe_null and row.ret.base not in (RetBase.INTEGER, RetBase.VOID)
    assert not (row.perfmon and row.changes_pkt)


def test_allowed_has_every_program_type() -> None:
    assert set(ALLOWED) == set(ProgType)


def test_program_types_have_a_row_each() -> None:
    assert set(PROGS) == set(ProgType)
    assert set(CTX) == set(ProgType)
    for row in PROGS.values():
        assert not row.ctx_class or hasattr(abi_ctx, row.ctx_class)
        assert bool(CTX[row.prog_type]) or row.btf_target or row.prog_type is ProgType.UNSPEC
        for attach in row.ret_by_attach or {}:
            assert row.accepts(attach)


@pytest.mark.parametrize("prog_type", [t for t in ProgType if PROGS[t].ctx_class], ids=lambda t: t.name)
def test_ctx_fields_are_those_of_the_struct(prog_type: ProgType) -> None:
    layout = getattr(abi_ctx, PROGS[prog_type].ctx_class)
    known = {name: (off, size) for name, off, size in layout.fields}
    for field in CTX[prog_type]:
        assert field.off + field.size <= layout.SIZE
        if field.name in known and field.kind == "scalar":
            assert known[field.name][0] == field.off, field.name


def all_fields() -> list[CtxField]:
    return [f for table in (*CTX.values(), *POINTEE.values()) for f in table]


def test_ctx_words_are_words_of_the_run_time() -> None:
    words = {value for name, value in vars(rt).items() if name.startswith("CTX_") and value < 0}
    used = {f.word for f in all_fields() if f.word is not None}
    assert used <= words
    assert used == {rt.CTX_DATA, rt.CTX_DATA_END, rt.CTX_DATA_META, rt.CTX_SK}
    for field in all_fields():
        if field.kind in ("pkt", "pkt_end", "pkt_meta"):
            assert field.word is not None


def test_ctx_pointers_are_read_whole() -> None:
    for field in all_fields():
        if field.kind != "scalar":
            assert (field.read, field.write) == (Parts.WHOLE, Parts.NONE)


def test_map_types_have_a_row_each() -> None:
    assert set(MAPS) == set(MapType)
    assert all(row.errno for row in MAPS.values() if row.status == "absent")
    for row in MAPS.values():
        assert row.required & ~row.flags == 0


def test_map_and_helper_name_each_other() -> None:
    """A pair that one side names and the other refuses could never be called."""
    for map_type, row in MAPS.items():
        for helper in row.helpers or ():
            assert map_type in HELPER_MAPS.get(helper, {map_type}), (map_type, helper)
    for helper, types in HELPER_MAPS.items():
        assert any(a.base is ArgBase.CONST_MAP_PTR for a in HELPERS[helper].args) or "dynptr" in helper.name
        for map_type in types:
            allowed = MAPS[map_type].helpers
            assert allowed is None or helper in allowed, (map_type, helper)


def test_commands_have_a_row_each() -> None:
    assert set(COMMANDS) == set(Cmd)
    for row in COMMANDS.values():
        assert 0 < row.end <= row.attr.SIZE
        assert bool(row.errno) == (row.status == "absent")


def test_sections_cover_the_program_types() -> None:
    assert {row.prog_type for row in SECTIONS} == set(ProgType) - {ProgType.UNSPEC}
    for row in SECTIONS:
        assert section_of(row.name) == row, row.pattern
        if row.attach is not None and row.prog_type is not ProgType.STRUCT_OPS:
            assert PROGS[row.prog_type].accepts(row.attach)
        if row.sleepable:
            assert PROGS[row.prog_type].sleepable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xdp", (ProgType.XDP, AttachType.XDP)),
        ("?xdp.frags/devmap", (ProgType.XDP, AttachType.XDP_DEVMAP)),
        ("kprobe/do_nanosleep", (ProgType.KPROBE, None)),
        ("uprobe.multi.s//bin/x:f", (ProgType.KPROBE, AttachType.TRACE_UPROBE_MULTI)),
        ("fentry.s/x", (ProgType.TRACING, AttachType.TRACE_FENTRY)),
        ("cgroup/connect_unix", (ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_CONNECT)),
        ("tc/ingress", (ProgType.SCHED_CLS, AttachType.TCX_INGRESS)),
        ("xdp/nothing", None),
        ("xdpfoo", None),
        (".maps", None),
    ],
)
def test_section_of(name: str, expected: tuple[ProgType, AttachType | None] | None) -> None:
    row = section_of(name)
    assert (None if row is None else (row.prog_type, row.attach)) == expected


@pytest.mark.parametrize(
    ("version", "insns", "complexity"),
    [
        ("6.18", 1_000_000, 1_000_000),
        ("5.10.3", 1_000_000, 1_000_000),
        ("5.2", 1_000_000, 1_000_000),
        ("4.19", 4096, 131_072),
        ("3.18", 4096, 131_072),
    ],
)
def test_limits_by_version(version: str, insns: int, complexity: int) -> None:
    got = limits(version)
    assert (got.insns, got.complexity) == (insns, complexity)


def test_kfuncs_are_read_whole() -> None:
    from userbpf.spec.kfuncs import FLAGS, KFUNCS

    assert len(KFUNCS) == 199
    for row in KFUNCS.values():
        assert row.flags <= FLAGS
        assert row.prog_types
        if row.flags & {"acquire", "ret_null"}:
            assert row.ret.endswith("*") or row.name.startswith("bpf_res_spin_lock"), row.name
        if "release" in row.flags:
            assert row.params[0].is_pointer
        for before, param in zip((None, *row.params), row.params, strict=False):
            if param.suffixes & {"sz", "szk"}:
                assert before is not None and before.is_pointer
    assert KFUNCS["bpf_dynptr_slice"].params[2:] == (
        ("void *", "buffer__opt", frozenset({"opt"})),
        ("u32", "buffer__szk", frozenset({"szk"})),
    )


def test_kfuncs_are_those_of_the_running_kernel() -> None:
    """Names and parameters as the kernel's BTF has them."""
    from pathlib import Path

    from userbpf.spec.kfuncs import KFUNCS

    vmlinux = Path("/sys/kernel/btf/vmlinux")
    if not vmlinux.exists():
        pytest.skip("the running kernel shows no BTF")
    from userbpf.btf import Btf, Func, FuncProto

    btf = Btf.parse(vmlinux.read_bytes())
    funcs = {t.name: t for t in btf.types if isinstance(t, Func)}
    known = [row for row in KFUNCS.values() if row.name in funcs]
    if len(known) < 100:
        pytest.skip("an older kernel")
    for row in known:
        proto = btf.by_id(funcs[row.name].type)
        assert isinstance(proto, FuncProto)
        assert [p.name for p in proto.params] == [p.name for p in row.params], row.name


def _row_fields() -> list[tuple[str, str]]:
    """Every field of every row class of `spec`."""
    out = []
    for found in pkgutil.walk_packages(spec.__path__, "userbpf.spec."):
        module = importlib.import_module(found.name)
        for cls in vars(module).values():
            if not isinstance(cls, type) or cls.__module__ != found.name:
                continue
            if dataclasses.is_dataclass(cls):
                out += [(cls.__name__, field.name) for field in dataclasses.fields(cls)]
            elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
                out += [(cls.__name__, name) for name in cls._fields]
    return sorted(set(out))


def test_every_fact_has_a_reader() -> None:
    """A column that nothing reads is a check that nothing makes: so packet loads of cgroup programs slipped through."""
    root = Path(spec.__path__[0]).parent
    read = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
    documentation = {("Param", "suffixes")}
    assert [row for row in _row_fields() if row[1] not in read and row not in documentation] == []
