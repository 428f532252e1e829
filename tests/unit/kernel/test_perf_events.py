"""Perf events: opening, mapping, records, what is lost, and who may write."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import userbpf
from bpfcalls import Calls, u32, u64
from userbpf.abi import perf as abi
from userbpf.abi.enums import MapType, ProgType
from userbpf.abi.perf import PerfEventAttr
from userbpf.client.maps import Map
from userbpf.client.perf import PerfRecord
from userbpf.client.transport import Client
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch

PAGE = mmap.PAGESIZE


@pytest.fixture(params=["compiled", "interpreted"])
def calls(request: pytest.FixtureRequest) -> Iterator[Calls]:
    own = Kernel(ncpu=2, interpret_only=request.param == "interpreted", clock_ns=777)
    made = Calls(lambda cmd, attr, size=None: dispatch(own, cmd, attr, size), "user", own)
    yield made
    for fd in made.fds:
        os.close(fd)


def attr(**fields: Any) -> PerfEventAttr:
    given = {"type": 1, "config": 10, "sample_type": abi.PERF_SAMPLE_RAW, "sample_period": 1, **fields}
    return PerfEventAttr(**given)


def open_event(calls: Calls, pid: int = -1, cpu: int = 0, group_fd: int = -1, flags: int = 8, **fields: Any) -> int:
    fd = userbpf.perf_event_open(attr(**fields), pid, cpu, group_fd, flags, kernel=calls.kernel)
    calls.fds.append(fd)
    return fd


class Reader:
    """A mapping of an event as a user has it."""

    def __init__(self, fd: int, pages: int) -> None:
        self.size = pages * PAGE
        self.memory = mmap.mmap(fd, PAGE + self.size)

    def word(self, off: int) -> int:
        return int(struct.unpack_from("<Q", self.memory, off)[0])

    def read(self) -> list[tuple[int, bytes]]:
        out = []
        at, head = self.word(abi.MMAP_DATA_TAIL), self.word(abi.MMAP_DATA_HEAD)
        while at < head:
            kind, _, length = struct.unpack("<IHH", self.piece(at, 8))
            out.append((kind, self.piece(at + 8, length - 8)))
            at += length
        assert at == head
        struct.pack_into("<Q", self.memory, abi.MMAP_DATA_TAIL, at)
        return out

    def piece(self, at: int, n: int) -> bytes:
        data = self.memory[PAGE:]
        return (data + data)[at % self.size :][:n]


def program(array: int, size: int = 16, flags: int = 0xFFFFFFFF, value: int = 0x1122334455667788) -> str:
    """Writes `size` bytes of a value repeated."""
    stores = "\n".join(f"*(u64 *)(r10 -{off}) = r1" for off in range(8, (size + 7) // 8 * 8 + 1, 8))
    return f"""
        r6 = r1
        r1 = {value} ll
        {stores}
        r1 = r6
        r2 = map_fd {array} ll
        r3 = {flags} ll
        r4 = r10
        r4 += -{(size + 7) // 8 * 8}
        r5 = {size}
        call bpf_perf_event_output
        exit
    """


def run(
    calls: Calls, text: str, prog_type: ProgType = ProgType.XDP, data: bytes = bytes(range(64)), **more: Any
) -> int:
    fd = calls.prog(assemble(text), prog_type)
    retval: int = calls.test_run(fd, data, **more)[0].retval
    calls.close(fd)
    return retval - (1 << 32) if retval >> 31 else retval


def array_with_event(calls: Calls, pages: int = 1, **fields: Any) -> tuple[int, int, Reader]:
    """A PERF_EVENT_ARRAY whose CPUs share one event of any CPU, mapped."""
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 4)
    event = open_event(calls, 0, -1, **fields)
    reader = Reader(event, pages)
    for cpu in range(2):
        calls.update(array, u32(cpu), u32(event))
    return array, event, reader


def test_layout_is_the_kernels() -> None:
    from userbpf.btf import Btf, Struct

    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("no BTF of a running kernel")
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        btf = Btf.parse(file.read())
    found: Any = btf.find("perf_event_attr", Struct)
    ours = {name: off for name, off, _ in PerfEventAttr.fields}
    theirs = {m.name: m.bit_offset // 8 for m in found.members}
    assert {name: theirs[name] for name in ours if name in theirs} == {n: o for n, o in ours.items() if n in theirs}
    assert len(set(ours) & set(theirs)) >= 16
    page: Any = btf.find("perf_event_mmap_page", Struct)
    offsets = {m.name: m.bit_offset // 8 for m in page.members}
    assert [offsets[f"data_{name}"] for name in ("head", "tail", "offset", "size")] == [1024, 1032, 1040, 1048]


def test_a_record_is_header_size_and_bytes(calls: Calls) -> None:
    array, _, reader = array_with_event(calls, 2)
    assert (reader.word(abi.MMAP_DATA_OFFSET), reader.word(abi.MMAP_DATA_SIZE)) == (PAGE, 2 * PAGE)
    assert run(calls, program(array)) == 0
    ((kind, body),) = reader.read()
    assert kind == abi.PERF_RECORD_SAMPLE
    assert body == u32(20) + u64(0x1122334455667788) * 2 + bytes(4)  # padded to whole words
    assert reader.read() == []


def test_a_packet_goes_with_the_record(calls: Calls) -> None:
    array, _, reader = array_with_event(calls)
    for prog_type in (ProgType.XDP, ProgType.SCHED_CLS):
        assert run(calls, program(array, 8, 0xFFFFFFFF | 30 << 32), prog_type) == 0
        ((_, body),) = reader.read()
        assert body[:4] == u32(44) and body[4:12] == u64(0x1122334455667788)
        assert body[12:42] == bytes(range(30)) and body[42:] == bytes(6)
    assert run(calls, program(array, 8, 0xFFFFFFFF | 65 << 32)) == -errno.EFAULT
    assert run(calls, program(array, 8, 1 << 52)) == -errno.EINVAL


def test_which_slot(calls: Calls) -> None:
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 2)
    assert run(calls, program(array, flags=1)) == -errno.ENOENT
    assert run(calls, program(array, flags=2)) == -errno.E2BIG
    event = open_event(calls, -1, 1)
    calls.update(array, u32(1), u32(event))
    reader = Reader(event, 1)
    outcome = {run(calls, program(array, flags=1), ProgType.XDP) for _ in range(4)}
    assert outcome <= {0, -errno.EOPNOTSUPP}  # an event of CPU 1 takes no records of CPU 0
    assert len(reader.read()) <= 4
    calls.delete(array, u32(1))
    assert run(calls, program(array, flags=1)) == -errno.ENOENT
    assert calls.err(calls.delete, array, u32(1)) == "ENOENT"


def test_nobody_reads(calls: Calls) -> None:
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 4)
    event = open_event(calls, 0, -1)
    for cpu in range(2):
        calls.update(array, u32(cpu), u32(event))
    assert run(calls, program(array)) == -errno.ENOSPC
    reader = Reader(event, 4)  # seen when the next program runs
    assert run(calls, program(array)) == 0
    assert len(reader.read()) == 1


def test_records_wrap_and_the_lost_are_counted(calls: Calls) -> None:
    array, _, reader = array_with_event(calls)
    wrote = program(array, 40)  # 56 bytes a record: does not divide a page
    kept = 0
    for _ in range(3):
        fd = calls.prog(assemble(wrote), ProgType.XDP)
        calls.test_run(fd, repeat=100)
        calls.close(fd)
        records = reader.read()
        samples = [body for kind, body in records if kind == abi.PERF_RECORD_SAMPLE]
        lost = [struct.unpack_from("<QQ", body) for kind, body in records if kind == abi.PERF_RECORD_LOST]
        assert all(body == u32(44) + u64(0x1122334455667788) * 5 + bytes(4) for body in samples)
        assert 70 <= len(samples) <= 73
        if kept:
            ((_, count),) = lost
            assert count == 100 - kept and records[0][0] == abi.PERF_RECORD_LOST
        kept = len(samples)


def test_fields_of_a_sample_come_in_order(calls: Calls) -> None:
    which = (
        abi.PERF_SAMPLE_IDENTIFIER | abi.PERF_SAMPLE_TID | abi.PERF_SAMPLE_TIME | abi.PERF_SAMPLE_CPU
        | abi.PERF_SAMPLE_PERIOD | abi.PERF_SAMPLE_RAW | abi.PERF_SAMPLE_ID
    )  # fmt: skip
    array, event, reader = array_with_event(calls, sample_type=which, sample_period=5)
    number = ctypes.c_uint64()
    userbpf.ioctl(event, abi.PERF_EVENT_IOC_ID, ctypes.addressof(number), kernel=calls.kernel)
    assert run(calls, program(array, 8)) == 0
    ((_, body),) = reader.read()
    identifier, _, time, again, cpu, period, size = struct.unpack_from("<QQQQQQI", body)
    assert (identifier, again, time, period, size) == (number.value, number.value, 777, 5, 12)
    assert cpu in (0, 1)


def test_events_are_switched(calls: Calls) -> None:
    array, event, reader = array_with_event(calls, flags=8)
    kernel = calls.kernel
    off = open_event(calls, 0, -1, flags=8)
    userbpf.ioctl(event, abi.PERF_EVENT_IOC_DISABLE, kernel=kernel)
    assert run(calls, program(array)) == -errno.EOPNOTSUPP
    userbpf.ioctl(event, abi.PERF_EVENT_IOC_ENABLE, kernel=kernel)
    assert run(calls, program(array)) == 0
    paused = ctypes.c_uint32(1)
    userbpf.ioctl(event, abi.PERF_EVENT_IOC_PAUSE_OUTPUT, paused.value, kernel=kernel)
    assert run(calls, program(array)) == -errno.ENOSPC
    userbpf.ioctl(event, abi.PERF_EVENT_IOC_PAUSE_OUTPUT, 0, kernel=kernel)
    assert run(calls, program(array)) == 0
    assert [kind for kind, _ in reader.read()] == [9, 2, 9]
    with pytest.raises(BpfError) as e:
        userbpf.ioctl(off, 0x5401, kernel=kernel)
    assert e.value.errno == errno.ENOTTY
    with pytest.raises(BpfError) as e:
        userbpf.ioctl(array, abi.PERF_EVENT_IOC_ENABLE, kernel=kernel)
    assert e.value.errno == errno.ENOTTY


def test_a_disabled_event_waits(calls: Calls) -> None:
    fd = userbpf.perf_event_open(attr(flags=abi.PERF_ATTR_DISABLED), 0, -1, kernel=calls.kernel)
    calls.fds.append(fd)
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 4)
    for cpu in range(2):
        calls.update(array, u32(cpu), u32(fd))
    reader = Reader(fd, 1)
    assert run(calls, program(array)) == -errno.EOPNOTSUPP
    userbpf.ioctl(fd, abi.PERF_EVENT_IOC_ENABLE, kernel=calls.kernel)
    assert run(calls, program(array)) == 0
    assert len(reader.read()) == 1


@pytest.mark.parametrize(
    ("fields", "place", "want"),
    [
        ({}, (-1, -1, -1, 0), errno.EINVAL),
        ({}, (-1, 0, -1, 1 << 10), errno.EINVAL),
        ({}, (-1, 2, -1, 0), errno.ENODEV),
        ({}, (-1, -2, -1, 0), errno.EINVAL),
        ({}, (1 << 30, 0, -1, 0), errno.ESRCH),
        ({}, (-1, 0, 0x7FFFFFF0, 0), errno.EBADF),
        ({"type": 0, "config": 0}, (-1, 0, -1, 0), errno.ENOENT),
        ({"type": 1, "config": 99}, (-1, 0, -1, 0), errno.ENOENT),
        ({"type": 77}, (-1, 0, -1, 0), errno.ENOENT),
        ({"size": 8}, (-1, 0, -1, 0), errno.E2BIG),
        ({"size": 5000}, (-1, 0, -1, 0), errno.E2BIG),
        ({"sample_type": 1 << 25}, (-1, 0, -1, 0), errno.EINVAL),
        ({"reserved_2": 1}, (-1, 0, -1, 0), errno.EINVAL),
        ({"flags": 1 << 40}, (-1, 0, -1, 0), errno.EINVAL),
    ],
)
def test_what_cannot_be_opened(calls: Calls, fields: dict[str, int], place: tuple[int, ...], want: int) -> None:
    with pytest.raises(BpfError) as e:
        userbpf.perf_event_open(attr(**fields), *place, kernel=calls.kernel)
    assert e.value.errno == want


def test_only_events_come_into_the_array(calls: Calls) -> None:
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 1)
    event = open_event(calls)
    assert calls.err(calls.update, array, u32(0), u32(array)) == "EBADF"
    assert calls.err(calls.update, array, u32(0), u32(0x7FFFFFF0)) == "EBADF"
    assert calls.err(calls.update, array, u32(1), u32(event)) == "E2BIG"
    assert calls.err(calls.update, array, u32(0), u32(event), 1) == "EINVAL"
    calls.update(array, u32(0), u32(event))
    assert calls.err(calls.lookup, array, u32(0), 4) == "ENOTSUPP"


def test_an_event_outlives_its_descriptor_in_the_array(calls: Calls) -> None:
    array, event, reader = array_with_event(calls)
    calls.close(event)
    assert calls.kernel.sweep() == 0
    assert run(calls, program(array)) == 0
    assert len(reader.read()) == 1
    reader.memory.close()
    calls.close(array)
    calls.kernel.sweep()
    assert len(calls.kernel.events) == len(calls.kernel.maps) == 0


def test_a_user_who_spoils_the_page_harms_nobody_else(calls: Calls) -> None:
    """Head, tail and size in the shared page may be anything: records stay within the ring."""
    array, _, reader = array_with_event(calls)
    for garbage in (1, 7, PAGE, PAGE * 100 + 3, (1 << 64) - 1, 1 << 63):
        struct.pack_into("<QQQQ", reader.memory, abi.MMAP_DATA_HEAD, garbage, garbage, garbage, garbage)
        fd = calls.prog(assemble(program(array, 40)), ProgType.XDP)
        calls.test_run(fd, repeat=50)
        calls.close(fd)
    assert len(reader.memory[PAGE:]) == PAGE


def test_the_client_reads_all_cpus(calls: Calls) -> None:
    array = calls.map(MapType.PERF_EVENT_ARRAY, 4, 4, 8)
    client = Client(calls.bpf, "user", calls.kernel)
    events = Map(client, array).perf_buffer(2)
    for value in range(5):
        assert run(calls, program(array, 8, value=value)) == 0
    records = list(events.read())
    assert sorted(int.from_bytes(r.data[:8], "little") for r in records) == list(range(5))
    assert all(isinstance(r, PerfRecord) and r.cpu in (0, 1) and len(r.data) == 12 for r in records)
    prog = calls.prog(assemble(program(array, 256)), ProgType.XDP)
    calls.test_run(prog, repeat=200)
    got = list(events.read())
    for _ in range(4):  # what was lost is told with the next record of that CPU
        calls.test_run(prog)
    got += events.read()
    assert len(got) + events.lost == 204 and events.lost > 100
    events.close()
