"""Programs that use maps of every family: compiled, interpreted, and in Linux, with one result."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest

from bpfcalls import Buf, Calls, calls_of, u32, u64
from userbpf.abi.enums import MapType, ProgType
from userbpf.btf.builder import Builder
from userbpf.client.maps import Map
from userbpf.client.transport import Client
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from userbpf.verifier.cfg import find_subprogs

T = MapType
SF, XDP = ProgType.SOCKET_FILTER, ProgType.XDP


@pytest.fixture(params=["compiled", "interpreted", "linux"])
def machine(request: pytest.FixtureRequest) -> Iterator[Calls]:
    if request.param == "interpreted":
        own = Kernel(interpret_only=True)
        calls = Calls(lambda cmd, attr, size=None: dispatch(own, cmd, attr, size), "user", own)
    else:
        calls = calls_of("linux" if request.param == "linux" else "user")
    yield calls
    for fd in calls.fds:
        os.close(fd)


def types() -> tuple[bytes, int, int]:
    """BTF with a global and a static function: callbacks must be static."""
    b = Builder()
    proto = b.proto(b.integer("int", 4, signed=True), [])
    ids = [b.func(name, proto, linkage) for name, linkage in (("main", 1), ("add", 0))]
    return b.encode(), ids[0], ids[1]


def load_with_callback(calls: Calls, text: str, prog_type: ProgType = SF) -> int:
    """A program whose functions but the first are callbacks."""
    blob, main, static = types()
    insns = assemble(text)
    starts = find_subprogs(insns)
    info = Buf(b"".join(struct.pack("<II", at, static if at else main) for at in starts))
    fields = {"func_info": info.addr, "func_info_rec_size": 8, "func_info_cnt": len(starts)}
    return calls.prog(insns, prog_type, prog_btf_fd=calls.btf(blob), **fields)


def run(calls: Calls, text: str, prog_type: ProgType = SF, data: bytes = bytes(64)) -> int:
    """The program's result as a signed number of 32 bits."""
    fd = load_with_callback(calls, text) if "func add" in text else calls.prog(assemble(text), prog_type)
    retval: int = calls.test_run(fd, data)[0].retval
    calls.close(fd)
    return retval - (1 << 32) if retval >> 31 else retval


def with_key(fd: int, helper: str, key: int = 0, size: int = 4, then: str = "") -> str:
    """Call a helper with the map and a key on the stack; `then` goes on with r0."""
    store = f"*(u32 *)(r10 -16) = {key}" if size == 4 else f"r1 = {key} ll\n*(u64 *)(r10 -16) = r1"
    return f"""
        {store}
        r2 = r10
        r2 += -16
        r1 = map_fd {fd} ll
        call bpf_{helper}
        {then}
        exit
    """


READ = "if r0 == 0 goto +2\nr0 = *(u64 *)(r0 +0)\nexit\nr0 = -7"


@pytest.mark.parametrize("map_type", [T.HASH, T.LRU_HASH, T.PERCPU_HASH, T.LRU_PERCPU_HASH], ids=lambda t: t.name)
def test_hashes_are_looked_up_updated_and_deleted(machine: Calls, map_type: MapType) -> None:
    fd = machine.map(map_type, 4, 8, 64)
    look = with_key(fd, "map_lookup_elem", 5, then=READ)
    put = with_key(fd, "map_update_elem", 5).replace("call", "r3 = r10\nr3 += -8\n*(u64 *)(r10 -8) = 77\nr4 = 0\ncall")
    assert run(machine, look) == -7
    assert run(machine, put) == 0
    if map_type in (T.HASH, T.LRU_HASH):
        assert run(machine, look) == 77
        assert machine.lookup(fd, u32(5)) == u64(77)
    assert run(machine, put.replace("r4 = 0", "r4 = 1")) == -17
    assert run(machine, with_key(fd, "map_delete_elem", 5)) == 0
    assert run(machine, with_key(fd, "map_delete_elem", 5)) == -2


@pytest.mark.parametrize("map_type", [T.PERCPU_ARRAY, T.PERCPU_HASH, T.LRU_PERCPU_HASH], ids=lambda t: t.name)
def test_values_of_other_cpus(machine: Calls, map_type: MapType) -> None:
    fd = machine.map(map_type, 4, 8, 4)
    cpus = machine.kernel.ncpu if machine.kernel is not None else possible_cpus()
    machine.update(fd, u32(1), b"".join(u64(100 + cpu) for cpu in range(cpus)))
    for cpu, want in ((0, 100), (cpus - 1, 99 + cpus), (cpus, -7), (1 << 20, -7)):
        text = with_key(fd, "map_lookup_percpu_elem", 1, then=READ).replace("call", f"r3 = {cpu}\ncall")
        assert run(machine, text) == want


def possible_cpus() -> int:
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().strip().split("-")[-1]) + 1


def prefix(bits: int, address: str) -> bytes:
    return u32(bits) + bytes(int(part) for part in address.split("."))


def test_longest_prefixes(machine: Calls) -> None:
    fd = machine.map(T.LPM_TRIE, 8, 8, 16, map_flags=1)
    for n, (bits, address) in enumerate(((8, "10.0.0.0"), (16, "10.1.0.0"), (32, "10.1.2.3"), (24, "10.1.2.0"))):
        machine.update(fd, prefix(bits, address), u64(n))
    for bits, address, want in ((32, "10.1.2.3", 2), (32, "10.1.2.4", 3), (32, "10.9.9.9", 0), (32, "11.0.0.0", -7)):
        key = int.from_bytes(prefix(bits, address), "little")
        assert run(machine, with_key(fd, "map_lookup_elem", key, 8, READ)) == want
    key = int.from_bytes(prefix(16, "10.1.9.9"), "little")
    assert run(machine, with_key(fd, "map_lookup_elem", key, 8, READ)) == 1
    assert run(machine, with_key(fd, "map_delete_elem", key, 8)) == 0
    assert run(machine, with_key(fd, "map_lookup_elem", key, 8, READ)) == 0
    put = with_key(fd, "map_update_elem", key, 8).replace(
        "call", "r3 = r10\nr3 += -8\n*(u64 *)(r10 -8) = 9\nr4 = 0\ncall"
    )
    assert run(machine, put) == 0
    assert machine.lookup(fd, prefix(32, "10.1.7.7")) == u64(9)


def with_value(fd: int, helper: str, value: int = 0, flags: int | None = None) -> str:
    return f"""
        r1 = {value} ll
        *(u64 *)(r10 -8) = r1
        r2 = r10
        r2 += -8
        {"" if flags is None else f"r3 = {flags}"}
        r1 = map_fd {fd} ll
        call bpf_{helper}
    """


@pytest.mark.parametrize("map_type", [T.QUEUE, T.STACK], ids=lambda t: t.name)
def test_queues_and_stacks(machine: Calls, map_type: MapType) -> None:
    fd = machine.map(map_type, 0, 8, 3)
    first = 1 if map_type == T.QUEUE else 3
    got = "if r0 s< 0 goto +1\nr0 = *(u64 *)(r10 -8)\nexit"
    assert run(machine, with_value(fd, "map_pop_elem") + got) == -2
    for n in (1, 2, 3):
        assert run(machine, with_value(fd, "map_push_elem", n, 0) + "exit") == 0
    assert run(machine, with_value(fd, "map_push_elem", 4, 0) + "exit") == -7  # E2BIG
    assert run(machine, with_value(fd, "map_push_elem", 4, 1) + "exit") == -22
    assert run(machine, with_value(fd, "map_peek_elem") + got) == first
    assert run(machine, with_value(fd, "map_pop_elem") + got) == first
    assert run(machine, with_value(fd, "map_push_elem", 8, 0) + "exit") == 0
    assert run(machine, with_value(fd, "map_push_elem", 9, 2) + "exit") == 0  # BPF_EXIST pushes the oldest out
    left = [run(machine, with_value(fd, "map_pop_elem") + got) for _ in range(4)]
    assert left == ([3, 8, 9, -2] if map_type == T.QUEUE else [9, 8, 2, -2])
    assert run(machine, with_value(fd, "map_pop_elem", 55) + "r0 = *(u64 *)(r10 -8)\nexit") == 0  # zeros


def test_bloom_filters(machine: Calls) -> None:
    fd = machine.map(T.BLOOM_FILTER, 0, 8, 100)
    assert run(machine, with_value(fd, "map_peek_elem", 5) + "exit") == -2
    assert run(machine, with_value(fd, "map_push_elem", 5, 0) + "exit") == 0
    assert run(machine, with_value(fd, "map_peek_elem", 5) + "exit") == 0
    assert run(machine, with_value(fd, "map_push_elem", 5, 1) + "exit") == -22
    assert machine.err(machine.lookup, fd, None, 8) == "ENOENT"  # nobody put a zero in


INNER = "if r0 == 0 goto none\nr1 = r0\nr2 = r10\nr2 += -16\n{store}\ncall bpf_map_lookup_elem\n" + READ.replace(
    "r0 = -7", "r0 = -7\nexit\nnone:\nr0 = -9"
)


@pytest.mark.parametrize("outer_type", [T.ARRAY_OF_MAPS, T.HASH_OF_MAPS], ids=lambda t: t.name)
@pytest.mark.parametrize("inner_type", [T.ARRAY, T.HASH, T.LRU_HASH], ids=lambda t: t.name)
def test_maps_in_maps(machine: Calls, outer_type: MapType, inner_type: MapType) -> None:
    one, two = machine.map(inner_type), machine.map(inner_type)
    outer = machine.map(outer_type, 4, 4, inner_map_fd=one)
    machine.update(one, u32(3), u64(31))
    machine.update(two, u32(3), u64(32))
    text = with_key(outer, "map_lookup_elem", 1, then=INNER.format(store="*(u32 *)(r10 -16) = 3"))
    assert run(machine, text) == -9
    machine.update(outer, u32(1), u32(one))
    assert run(machine, text) == 31
    machine.update(outer, u32(1), u32(two))
    assert run(machine, text) == 32
    write = text.replace("r0 = *(u64 *)(r0 +0)", "r1 = 44\n*(u64 *)(r0 +0) = r1\nr0 = 0").replace("+2", "+4")
    assert run(machine, write) == 0
    assert machine.lookup(two, u32(3)) == u64(44)
    machine.close(two)  # the outer map holds it
    assert run(machine, text) == 44
    machine.delete(outer, u32(1))
    assert run(machine, text) == -9


REDIRECT = "r1 = map_fd {fd} ll\nr2 = {index}\nr3 = {flags}\ncall bpf_redirect_map\nexit"


@pytest.mark.parametrize(
    ("map_type", "entry"), [(T.DEVMAP, 1), (T.DEVMAP_HASH, 1), (T.CPUMAP, 64)], ids=lambda t: getattr(t, "name", "")
)
def test_redirects(machine: Calls, map_type: MapType, entry: int) -> None:
    fd = machine.map(map_type, 4, 4, 4)
    assert machine.err(machine.update, fd, u32(0), u32(entry)) == ""
    for index, flags, want in ((1, 0, 0), (1, 2, 2), (9, 1, 1), (1, 4, 0), (0, 0, 4)):
        assert run(machine, REDIRECT.format(fd=fd, index=index, flags=flags), XDP) == want
    if map_type != T.CPUMAP:
        look = with_key(fd, "map_lookup_elem", 0, then=READ.replace("u64", "u32"))
        assert run(machine, look, XDP) == entry
        assert run(machine, look.replace("(r10 -16) = 0", "(r10 -16) = 1"), XDP) == -7


def test_redirects_to_sockets_that_are_not_there(machine: Calls) -> None:
    fd = machine.map(T.XSKMAP, 4, 4, 4)
    for index, flags, want in ((0, 0, 0), (1, 2, 2), (9, 1, 1)):
        assert run(machine, REDIRECT.format(fd=fd, index=index, flags=flags), XDP) == want
    assert run(machine, with_key(fd, "map_lookup_elem", then="if r0 == 0 goto +1\nr0 = 1\nr0 += 5"), XDP) == 5


SUM = """
    r1 = map_fd {fd} ll
    r2 = func add ll
    r3 = r10
    r3 += -8
    r4 = 0
    *(u64 *)(r10 -8) = r4
    call bpf_for_each_map_elem
    r0 <<= 16
    r1 = *(u64 *)(r10 -8)
    r0 += r1
    exit
add:
    r1 = *(u64 *)(r3 +0)
    r2 = *(u64 *)(r4 +0)
    r2 += r1
    *(u64 *)(r4 +0) = r2
    r0 = 0
    exit
"""


@pytest.mark.parametrize("map_type", [T.HASH, T.ARRAY, T.LRU_HASH], ids=lambda t: t.name)
def test_every_element(machine: Calls, map_type: MapType) -> None:
    fd = machine.map(map_type, 4, 8, 8)
    for n in range(5):
        machine.update(fd, u32(n), u64(10 + n))
    count = 8 if map_type == T.ARRAY else 5
    assert run(machine, SUM.format(fd=fd)) == count << 16 | 60


@pytest.mark.parametrize("map_type", [T.PERCPU_HASH, T.PERCPU_ARRAY, T.LRU_PERCPU_HASH], ids=lambda t: t.name)
def test_every_element_of_this_cpu(machine: Calls, map_type: MapType) -> None:
    fd = machine.map(map_type, 4, 8, 8)
    cpus = machine.kernel.ncpu if machine.kernel is not None else possible_cpus()
    for n in range(5):
        machine.update(fd, u32(n), u64(10 + n) * cpus)
    count = 8 if map_type == T.PERCPU_ARRAY else 5
    assert run(machine, SUM.format(fd=fd)) == count << 16 | 60


@pytest.mark.parametrize(
    ("map_type", "key", "value", "flags"),
    [(T.LPM_TRIE, 8, 8, 1), (T.QUEUE, 0, 8, 0), (T.DEVMAP, 4, 4, 0), (T.PROG_ARRAY, 4, 4, 0)],
    ids=lambda t: getattr(t, "name", ""),
)
def test_which_maps_have_no_walk(machine: Calls, map_type: MapType, key: int, value: int, flags: int) -> None:
    fd = machine.map(map_type, key, value, 8, map_flags=flags)
    assert machine.err(load_with_callback, machine, SUM.format(fd=fd), XDP) == "ENOTSUPP"


@pytest.mark.parametrize("inner_type", [T.HASH, T.ARRAY, T.LRU_HASH], ids=lambda t: t.name)
def test_every_element_of_an_inner_map(machine: Calls, inner_type: MapType) -> None:
    inner = machine.map(inner_type)
    outer = machine.map(T.HASH_OF_MAPS, 4, 4, inner_map_fd=inner)
    for n in range(4):
        machine.update(inner, u32(n), u64(20 + n))
    machine.update(outer, u32(0), u32(inner))
    walk = (
        SUM.format(fd=0)
        .replace("r1 = map_fd 0 ll", "if r0 == 0 goto none\nr1 = r0")
        .replace("add:", "none:\nexit\nadd:")
    )
    assert run(machine, with_key(outer, "map_lookup_elem", then=walk.rstrip().removesuffix("exit"))) == 4 << 16 | 86


def test_a_lookup_of_lru_counts_as_use(machine: Calls) -> None:
    """What a program looks up again and again stays, whatever else comes in."""
    fd = machine.map(T.LRU_HASH, 4, 8, 512)
    prog = machine.prog(assemble(with_key(fd, "map_lookup_elem", 7, then=READ)), SF)
    machine.update(fd, u32(7), u64(70))
    for n in range(100, 3000):
        machine.update(fd, u32(n), u64(n))
        assert machine.lookup(fd, u32(n)) == u64(n)  # never the entry just inserted
        if n % 16 == 0:
            assert machine.test_run(prog)[0].retval == 70
    keys = [struct.unpack("<I", key)[0] for key in machine.keys(fd)]
    assert 7 in keys and 256 <= len(keys) <= 512
    assert len(set(keys) & set(range(2700, 3000))) > 200


DRAIN = """
    *(u64 *)(r10 -8) = 0
    *(u64 *)(r10 -16) = 0
    r1 = map_fd {fd} ll
    r2 = func add ll
    r3 = r10
    r3 += -8
    r4 = {flags}
    call bpf_user_ringbuf_drain
    r7 = r0
    r1 = map_fd {sums} ll
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_map_update_elem
    r0 = r7
    exit
add:
    r6 = r2
    r3 = r1
    r4 = 0
    r5 = 0
    r1 = r10
    r1 += -8
    r2 = 8
    *(u64 *)(r10 -8) = 0
    call bpf_dynptr_read
    if r0 != 0 goto long
    r1 = *(u64 *)(r10 -8)
    r2 = *(u64 *)(r6 +0)
    r2 *= 3
    r2 += r1
    *(u64 *)(r6 +0) = r2
    r0 = 0
    if r1 != 99 goto on
    r0 = 1
on:
    exit
long:
    r2 = 1000
    *(u64 *)(r6 +0) = r2
    r0 = 0
    exit
"""


def drained(calls: Calls, ring: int, flags: int = 0) -> tuple[int, int]:
    """What bpf_user_ringbuf_drain returns, and what the callback made of the records."""
    sums = calls.map(T.ARRAY, 4, 8, 1)
    prog = load_with_callback(calls, DRAIN.format(fd=ring, sums=sums, flags=flags))
    retval = calls.test_run(prog)[0].retval
    calls.close(prog)
    total = int.from_bytes(calls.lookup(sums, u32(0)), "little")
    calls.close(sums)
    return retval - (1 << 32) if retval >> 31 else retval, total


class Writer:
    """The user's side of a user ring buffer, by hand."""

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self.size = size
        self.consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ)
        self.shared = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, offset=page)
        self.at = 0

    def put(self, record: bytes, length: int | None = None, flags: int = 0) -> None:
        header = mmap.PAGESIZE + self.at % self.size
        self.shared[header : header + 8] = struct.pack("<II", flags | (len(record) if length is None else length), 0)
        self.shared[header + 8 : header + 8 + len(record)] = record
        self.move(len(record) + 8 + 7 & ~7)

    def move(self, count: int) -> None:
        self.at += count
        self.shared[:8] = u64(self.at)

    def read_so_far(self) -> int:
        return int.from_bytes(self.consumer[:8], "little")


def test_records_from_user_space(machine: Calls) -> None:
    ring = machine.map(T.USER_RINGBUF, 0, 0, 4096)
    writer = Writer(ring, 4096)
    assert drained(machine, ring) == (0, 0)
    for n in (1, 2, 3):
        writer.put(u64(n))
    assert drained(machine, ring) == (3, 18)
    assert writer.read_so_far() == writer.at == 48
    assert drained(machine, ring, 4) == (-22, 0)
    writer.put(u64(5))
    writer.put(u64(6), flags=1 << 30)  # discarded
    writer.put(u64(7))
    writer.put(u64(8), flags=1 << 31)  # not finished
    writer.put(u64(9))
    assert drained(machine, ring) == (2, 22)
    assert writer.read_so_far() == 96
    writer.shared[mmap.PAGESIZE + 96 : mmap.PAGESIZE + 100] = u32(8)  # now it is
    assert drained(machine, ring, 3) == (2, 33)
    for n in (99, 4):
        writer.put(u64(n))
    assert drained(machine, ring) == (1, 99)  # the callback may stop
    assert drained(machine, ring) == (1, 4)
    writer.put(b"abc")
    assert drained(machine, ring) == (1, 1000)  # shorter than what is read


def test_user_records_wrap(machine: Calls) -> None:
    ring = machine.map(T.USER_RINGBUF, 0, 0, 4096)
    writer = Writer(ring, 4096)
    for n in range(40):
        writer.put(u64(n) + bytes(400))
        assert drained(machine, ring) == (1, n)


@pytest.mark.parametrize(
    ("length", "moved", "want"), [(8, 12, -22), (64, 16, -22), (5000, 5008, -7), (1 << 29, 16, -22), (0, 8, 1)]
)
def test_spoilt_records_from_user_space(machine: Calls, length: int, moved: int, want: int) -> None:
    ring = machine.map(T.USER_RINGBUF, 0, 0, 4096)
    writer = Writer(ring, 4096)
    writer.shared[mmap.PAGESIZE : mmap.PAGESIZE + 8] = struct.pack("<II", length, 0)
    writer.move(moved)
    assert drained(machine, ring)[0] == want


def test_a_client_writes_records(machine: Calls) -> None:
    fd = machine.map(T.USER_RINGBUF, 0, 0, 4096)
    ring = Map(Client(machine.bpf, machine.name, machine.kernel), fd).user_ring()
    written = 0
    while ring.write(u64(written) + bytes(392)):
        written += 1
    assert written == 10
    assert drained(machine, fd)[0] == 10
    for n in range(15):
        assert ring.write(u64(n) + bytes(100 + n))
        assert drained(machine, fd) == (1, n)
    with pytest.raises(ValueError, match="does not fit"):
        ring.write(bytes(4096))
    ring.close()


@pytest.mark.parametrize("map_type", [T.CGROUP_STORAGE, T.PERCPU_CGROUP_STORAGE], ids=lambda t: t.name)
def test_local_storage_lives_as_long_as_a_test_run(machine: Calls, map_type: MapType) -> None:
    fd, seen = machine.map(map_type, 8, 8, 0), machine.map(T.ARRAY, 4, 8, 1)
    prog = machine.prog(
        assemble(f"""
            r1 = map_fd {fd} ll
            r2 = 0
            call bpf_get_local_storage
            r1 = *(u64 *)(r0 +0)
            r1 += 1
            *(u64 *)(r0 +0) = r1
            *(u64 *)(r10 -8) = r1
            *(u32 *)(r10 -12) = 0
            r1 = map_fd {seen} ll
            r2 = r10
            r2 += -12
            r3 = r10
            r3 += -8
            r4 = 0
            call bpf_map_update_elem
            r0 = 1
            exit
        """),
        ProgType.CGROUP_SKB,
    )
    for repeat in (1, 5, 2):
        assert machine.test_run(prog, repeat=repeat)[0].retval == 1
        assert machine.lookup(seen, u32(0)) == u64(repeat)  # zero at the beginning, kept between the runs
