"""Reading what programs write with bpf_perf_event_output: one ring a CPU behind a PERF_EVENT_ARRAY, through any transport.

    with PerfBuffer(obj.maps["events"]) as events:
        ...
        for record in events.read():
            print(record.cpu, record.data)

`data` is padded by the kernel so that the next record is aligned to 8 bytes: what the program wrote, then up to 7 zeroes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userbpf.abi import perf as abi
from userbpf.client.transport import Client

if TYPE_CHECKING:
    from userbpf.client.maps import Map

PAGE: Final = mmap.PAGESIZE
DEFAULT_PAGES: Final = 64
HEADER: Final = struct.Struct("<IHH")  # type, misc, size


@dataclass(frozen=True, slots=True)
class PerfRecord:
    """One record: of which CPU, and its bytes. `lost`: how many were lost before it (then it has no bytes)."""

    cpu: int
    data: bytes
    lost: int = 0


class PerfRing:
    """One CPU's ring, mapped."""

    def __init__(self, client: Client, cpu: int, pages: int) -> None:
        self.cpu = cpu
        self.size = pages * PAGE
        attr = abi.PerfEventAttr(
            type=abi.PERF_TYPE_SOFTWARE,
            config=abi.PERF_COUNT_SW_BPF_OUTPUT,
            sample_type=abi.PERF_SAMPLE_RAW,
            sample_period=1,
            wakeup_events=1,
        )
        self.fd = client.perf_event_open(attr, -1, cpu)
        try:
            self.memory = mmap.mmap(self.fd, PAGE + self.size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except BaseException:
            os.close(self.fd)
            raise
        self.tail = ctypes.c_uint64.from_buffer(self.memory, abi.MMAP_DATA_TAIL)

    def records(self) -> Iterator[PerfRecord]:
        """What has been written and not yet read; reading makes room."""
        while True:
            at = self.tail.value
            (head,) = struct.unpack_from("<Q", self.memory, abi.MMAP_DATA_HEAD)
            if at == head:
                return
            kind, _, length = HEADER.unpack(self._bytes(at, HEADER.size))
            if length < HEADER.size:
                raise ValueError(f"a perf record of {length} bytes on CPU {self.cpu}")
            body = self._bytes(at + HEADER.size, length - HEADER.size)
            self.tail.value = at + length
            if kind == abi.PERF_RECORD_SAMPLE:
                size = int.from_bytes(body[:4], "little")
                yield PerfRecord(self.cpu, body[4 : 4 + size])
            elif kind == abi.PERF_RECORD_LOST:
                yield PerfRecord(self.cpu, b"", int.from_bytes(body[8:16], "little"))

    def _bytes(self, at: int, n: int) -> bytes:
        off = at % self.size
        first = self.memory[PAGE + off : PAGE + min(off + n, self.size)]
        return first + self.memory[PAGE : PAGE + n - len(first)]

    def close(self) -> None:
        del self.tail
        self.memory.close()
        os.close(self.fd)


class PerfBuffer:
    """The rings of all CPUs that the map has slots for. `pages`: of data a CPU, a power of two."""

    def __init__(self, m: Map, pages: int = DEFAULT_PAGES) -> None:
        if pages < 1 or pages & (pages - 1):
            raise ValueError(f"{pages} pages: the data of a perf buffer is a power of two of pages")
        from userbpf.client.maps import possible_cpus

        self.lost = 0
        self.rings: list[PerfRing] = []
        try:
            for cpu in range(min(possible_cpus(m.client), m.max_entries)):
                ring = PerfRing(m.client, cpu, pages)
                self.rings.append(ring)
                m.client.map_update_elem(m.fd, struct.pack("<I", cpu), struct.pack("<i", ring.fd))
        except BaseException:
            self.close()
            raise

    def read(self) -> Iterator[PerfRecord]:
        """The records of all CPUs, one CPU after the other; `lost` counts those for which there was no room."""
        for ring in self.rings:
            for record in ring.records():
                self.lost += record.lost
                if not record.lost:
                    yield record

    def close(self) -> None:
        for ring in self.rings:
            ring.close()
        self.rings.clear()

    def __enter__(self) -> PerfBuffer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
