"""Rows against Linux: context access as recorded, the rest by asking the running kernel where bpf(2) is permitted."""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpfcalls import ENAMES, Calls
from userbpf import linux
from userbpf.abi.consts import BPF_F_STACK_BUILD_ID
from userbpf.abi.enums import AttachType, MapType, ProgType
from userbpf.isa.asm import assemble
from userbpf.spec.ctx import ctx_fields, find
from userbpf.spec.helpers import HELPERS
from userbpf.spec.maps import MAPS, Bounds
from userbpf.spec.progs import PROGS

RECORDED = Path(__file__).parents[1] / "data" / "ctx_6.18.44.txt.xz"
Access = set[tuple[int, int, str, str]]
SLEEPABLE = 1 << 4


def recorded() -> dict[tuple[ProgType, int], Access]:
    out: dict[tuple[ProgType, int], Access] = {}
    access: Access = set()
    for line in lzma.decompress(RECORDED.read_bytes()).decode().splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            access = set()
            for name in line.split():
                prog_type, attach = name.split("/")
                out[ProgType[prog_type], int(attach)] = access
            continue
        direction, kind, *offsets = line.split()
        for token in offsets:
            off, sizes = token.split(":")
            access |= {(int(off), int(size), direction, kind) for size in sizes}
    return out


@pytest.mark.parametrize(
    ("key", "expected"), recorded().items(), ids=lambda v: f"{v[0].name}-{v[1]}" if isinstance(v, tuple) else ""
)
def test_ctx_access_is_linux(key: tuple[ProgType, int], expected: Access) -> None:
    fields = ctx_fields(*key)
    end = 280 if key[0] is ProgType.TRACEPOINT else 400
    got: Access = set()
    for off in range(end):
        for size in (1, 2, 4, 8):
            field = find(fields, off, size)
            if field is not None:
                got.add((off, size, "r", field.kind))
            if find(fields, off, size, write=True) is not None:
                got.add((off, size, "w", "-"))
    assert sorted(got ^ expected) == []


@pytest.fixture
def calls() -> Iterator[Calls]:
    reason = linux.available()
    if reason:
        pytest.skip(reason)
    yield Calls(linux.bpf, "linux")


# types that ask for a BTF target, or that the kernel at hand does not have
UNASKED = {
    ProgType.UNSPEC,
    ProgType.LIRC_MODE2,
    ProgType.TRACING,
    ProgType.STRUCT_OPS,
    ProgType.EXT,
    ProgType.LSM,
}
ASKED = [t for t in ProgType if t not in UNASKED]


# of types that take any attach type: a packet's, and the ones that some of them are attached with
LAX = (0, AttachType.CGROUP_SOCK_OPS, AttachType.CGROUP_DEVICE, AttachType.CGROUP_SYSCTL)


def attach_types(prog_type: ProgType) -> tuple[int, ...]:
    row = PROGS[prog_type]
    return LAX if row.attach is None else row.attach


@pytest.mark.parametrize("prog_type", ASKED, ids=lambda t: t.name)
def test_helpers_by_type_are_linux(calls: Calls, prog_type: ProgType) -> None:
    flags = SLEEPABLE if PROGS[prog_type].must_sleep else 0
    wrong = []
    for attach in attach_types(prog_type):
        for row in HELPERS.values():
            log = load_log(calls, f"r0 = 0\ncall #{int(row.id)}\nexit", prog_type, attach, flags)
            may = not any(words in log for words in ("cannot use helper", "unknown func"))
            if may != row.allowed(prog_type, attach):
                wrong.append((AttachType(attach).name, row.name, may))
    assert wrong == []


def load_log(calls: Calls, text: str, prog_type: ProgType, attach: int, flags: int) -> str:
    from bpfcalls import Buf

    log = Buf(1 << 16)
    try:
        fd = calls.prog(
            assemble(text),
            prog_type,
            expected_attach_type=attach,
            prog_flags=flags,
            log_level=1,
            log_size=log.size,
            log_buf=log.addr,
        )
        calls.close(fd)
    except OSError as e:
        assert log.text or e.errno, e
    return log.text


@pytest.mark.parametrize("prog_type", ASKED, ids=lambda t: t.name)
def test_attach_types_and_return_ranges_are_linux(calls: Calls, prog_type: ProgType) -> None:
    row = PROGS[prog_type]
    flags = SLEEPABLE if row.must_sleep else 0
    for attach in [*AttachType, 1000]:
        error = calls.err(
            calls.prog, assemble("r0 = 1\nexit"), prog_type, expected_attach_type=attach, prog_flags=flags
        )
        assert error == ("" if row.accepts(attach) else ENAMES[row.attach_errno]), attach
        calls.close()
        if row.accepts(attach):
            log = load_log(calls, "call bpf_ktime_get_ns\nexit", prog_type, attach, flags)
            bounds = row.ret_range(row.effective_attach(attach))
            words = f"should have been in [{bounds[0]}, {bounds[1]}]" if bounds else ""
            assert (words in log) if words else ("should have been" not in log), attach


# shapes that are taken, one a map type: key, value, entries
SHAPES = {
    MapType.QUEUE: (0, 8, 4),
    MapType.STACK: (0, 8, 4),
    MapType.BLOOM_FILTER: (0, 8, 4),
    MapType.RINGBUF: (0, 0, 4096),
    MapType.USER_RINGBUF: (0, 0, 4096),
    MapType.ARENA: (0, 0, 4),
    MapType.LPM_TRIE: (8, 8, 4),
    MapType.CGROUP_STORAGE: (16, 8, 0),
    MapType.PERCPU_CGROUP_STORAGE: (16, 8, 0),
    MapType.STACK_TRACE: (4, 32, 4),
}
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 255, 260, 264, 512, 513, 1016, 1024, 32768, 32769)


@pytest.mark.parametrize(
    "map_type",
    [t for t, row in MAPS.items() if row.status != "absent" and not row.needs_btf and t != MapType.STRUCT_OPS],
    ids=lambda t: t.name,
)
def test_map_shapes_are_linux(calls: Calls, map_type: MapType) -> None:
    row = MAPS[map_type]
    usual = 4 if row.value.check(4) == 0 and row.value.check(8) else 8
    key, value, entries = SHAPES.get(map_type, (4, usual, 4))
    inner = calls.map(MapType.ARRAY) if row.needs_inner else 0

    def create(flags: int = row.required, key: int = key, value: int = value, entries: int = entries) -> str:
        made = calls.err(calls.map, map_type, key, value, entries, map_flags=flags, inner_map_fd=inner)
        if not made:
            os.close(calls.fds.pop())
        return made

    def name(bounds: Bounds, size: int) -> str:
        return ENAMES[bounds.check(size)] if bounds.check(size) else ""

    try:
        for size in SIZES:
            assert create(key=size) == name(row.key, size), f"key_size {size}"
            assert create(value=size) == name(row.value, size), f"value_size {size}"
        for n in (0, 1, 3, 4, 256, 257, 4095, 4096, 4097, 8192, 12288):
            bad = row.pow2_pages and bool(n & (n - 1) or n % 4096)
            assert create(entries=n) == (name(row.entries, n) or ("EINVAL" if bad else "")), f"max_entries {n}"
        for bit in (1 << i for i in range(19) if i not in (14, 16)):  # PATH_FD, TOKEN_FD: not of MAP_CREATE alone
            flags = row.required ^ bit
            expected = dict(row.flag_errno).get(bit)
            if expected is None:
                ok = not flags & ~row.flags and not row.required & ~flags
                expected = 0 if ok else 22
            got = create(flags=flags)
            assert got == (ENAMES[expected] if expected else ""), f"map_flags {flags:#x}"
            assert bit != BPF_F_STACK_BUILD_ID or (got == "") == (map_type is MapType.STACK_TRACE)
    finally:
        if inner:
            calls.close(inner)


@pytest.mark.parametrize("prog_type", ASKED, ids=lambda t: t.name)
def test_classic_packet_loads_by_type_are_linux(calls: Calls, prog_type: ProgType) -> None:
    flags = SLEEPABLE if PROGS[prog_type].must_sleep else 0
    log = load_log(calls, "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit", prog_type, attach_types(prog_type)[0], flags)
    assert ("not allowed for this program type" not in log) == PROGS[prog_type].ld_abs
