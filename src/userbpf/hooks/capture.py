"""A capture file as the place where a program runs: pcap and pcapng, plain or .gz, read in pieces of constant size.

`run_capture` feeds the native loop of `packet_loop`. Memory does not grow with the file: one read buffer, one output
buffer, one packet slot. While a capture runs, the programs' clock is the packets' time (or the machine's, on request), so
that a rate limiter judges the traffic as it was and two runs give the same result.

A file that is cut off or malformed is an error that says where; what ran before it counts and stays in the result.
"""

from __future__ import annotations

import ctypes
import gzip
import io
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

from userbpf.abi.enums import ProgType
from userbpf.errors import CaptureError
from userbpf.hooks import packet_loop as loop
from userbpf.hooks.base import Runnable, packet_slot
from userbpf.native import compiled
from userbpf.native.rt import RT_CLOCK_MODE, RT_SIZE

CHUNK = 1 << 20
OUT_BYTES = 4 << 20
PCAP_MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # ns of one fraction unit
PCAPNG_SHB = 0x0A0D0D0A
PCAPNG_ORDER = 0x1A2B3C4D
MAX_INTERFACES = 4096
LINK_TYPES = {
    loop.LINK_NULL,
    loop.LINK_ETHERNET,
    loop.LINK_RAW,
    loop.LINK_LOOP,
    loop.LINK_SLL,
    loop.LINK_IPV4,
    loop.LINK_IPV6,
    loop.LINK_SLL2,
}
RAW_ALIASES = {12: loop.LINK_RAW, 14: loop.LINK_RAW}  # DLT_RAW of some systems


@dataclass(frozen=True, slots=True)
class HookKind:
    """How a family of programs sees a capture: native parts, and the names of the verdict rows."""

    prepare: Any
    verdict: Any
    trims: bool
    may_run_in_place: bool
    rows: tuple[str, ...]


XDP = HookKind(
    loop.prepare_xdp,
    loop.verdict_xdp,
    False,
    True,
    ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT", "unknown action"),
)
TC = HookKind(
    loop.prepare_skb,
    loop.verdict_tc,
    False,
    False,
    (
        "TC_ACT_UNSPEC",
        "TC_ACT_OK",
        "TC_ACT_RECLASSIFY",
        "TC_ACT_SHOT",
        "TC_ACT_PIPE",
        "TC_ACT_STOLEN",
        "TC_ACT_QUEUED",
        "TC_ACT_REPEAT",
        "TC_ACT_REDIRECT",
        "TC_ACT_TRAP",
        "other",
    ),
)
SOCKET = HookKind(loop.prepare_skb, loop.verdict_socket, True, False, ("drop", "pass"))

HOOKS = {
    ProgType.XDP: XDP,
    ProgType.SCHED_CLS: TC,
    ProgType.SCHED_ACT: TC,
    ProgType.SOCKET_FILTER: SOCKET,
}


@dataclass(slots=True)
class Progress:
    """Where a run is: bytes of the file (as stored) read and in all (0 if unknown), packets run."""

    bytes_read: int
    bytes_total: int
    packets: int


@dataclass(slots=True)
class CaptureResult:
    """`packets` and `bytes` (on the wire) by verdict; `skipped` records were too short or long to be a packet.

    `seconds` is the whole run, file reading included, without the `compile_seconds` before it. `error` says why the run
    ended before the file did.
    """

    packets: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    total_packets: int = 0
    total_bytes: int = 0
    skipped: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    written: int = 0
    error: str | None = None


class Packet(NamedTuple):
    """One record of a capture: the Ethernet frame as far as it was captured, its length on the wire, when it came."""

    data: bytes
    wire_bytes: int
    time_ns: int


class _Input:
    """The file, its decompression, and the native buffer over it that `packet_loop` walks."""

    def __init__(self, path: str | os.PathLike[str] | IO[bytes], state: int) -> None:
        self.name = str(path) if isinstance(path, (str, os.PathLike)) else getattr(path, "name", "capture")
        self.raw: Any = open(path, "rb", buffering=0) if isinstance(path, (str, os.PathLike)) else path  # noqa: SIM115
        self.owned = isinstance(path, (str, os.PathLike))
        self.state = state
        self.buffer = mmap.mmap(-1, CHUNK)
        self.view = memoryview(self.buffer)
        self.addr = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        self.base_off = 0  # offset in the (decompressed) file of the buffer's first byte
        self.eof = False
        try:
            self.total = os.fstat(self.raw.fileno()).st_size
        except (OSError, AttributeError, io.UnsupportedOperation):
            self.total = 0
        self.stream: Any = self.raw
        self.set(loop.CUR, self.addr)
        self.set(loop.END, self.addr)
        self.fill()
        if self.bytes_at(0, 2) == b"\x1f\x8b":
            head = bytes(self.view[: self.get(loop.END) - self.addr])
            self.stream = gzip.GzipFile(fileobj=_Prefixed(head, self.raw))
            self.set(loop.END, self.addr)
            self.eof = False
            self.fill()

    def get(self, off: int) -> int:
        return ctypes.c_uint64.from_address(self.state + off).value

    def set(self, off: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.state + off).value = value

    def bytes_at(self, ahead: int, n: int) -> bytes:
        """Up to n unread bytes, `ahead` of the cursor."""
        first = self.get(loop.CUR) - self.addr + ahead
        return bytes(self.view[first : min(first + n, self.get(loop.END) - self.addr)])

    def skip(self, n: int) -> None:
        self.set(loop.CUR, self.get(loop.CUR) + n)

    def offset(self, off: int = loop.CUR) -> int:
        """The cursor as an offset in the (decompressed) file."""
        return self.base_off + self.get(off) - self.addr

    def fill(self) -> bool:
        """Keep the unread bytes, read on behind them; False at the end of the file."""
        if self.eof:
            return False
        cur, end = self.get(loop.CUR) - self.addr, self.get(loop.END) - self.addr
        left = end - cur
        if left == len(self.buffer):
            raise CaptureError(f"{self.name}: a record at byte {self.offset()} is larger than {left} bytes")
        self.view[:left] = self.view[cur:end]
        self.base_off += cur
        try:
            got = self.stream.readinto(self.view[left:])
        except (OSError, EOFError, zlib.error) as e:
            raise CaptureError(f"{self.name}: reading on after byte {self.base_off + left}: {e}") from e
        self.set(loop.CUR, self.addr)
        self.set(loop.END, self.addr + left + (got or 0))
        self.eof = not got
        return bool(got)

    def need(self, n: int) -> bool:
        """Make n unread bytes available; False where the file ends before."""
        while self.get(loop.END) - self.get(loop.CUR) < n:
            if not self.fill():
                return False
        return True

    def position(self) -> int:
        """Bytes of the stored file read so far."""
        try:
            return int(self.raw.tell())
        except (OSError, ValueError, AttributeError):
            return self.offset()

    def close(self) -> None:
        if self.owned:
            self.raw.close()


class _Prefixed(io.RawIOBase):
    """A stream with bytes put back before it."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self.head = head
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if self.head:
            n = min(len(into), len(self.head))
            into[:n] = self.head[:n]
            self.head = self.head[n:]
            return n
        return int(self.rest.readinto(into) or 0)

    def read(self, n: int = -1) -> bytes:
        buf = bytearray(65536 if n is None or n < 0 else n)
        got = self.readinto(memoryview(buf))
        return bytes(buf[:got])


class _Format:
    """Which reader fits the file, and for pcapng what its describing blocks say."""

    def __init__(self, source: _Input) -> None:
        self.source = source
        self.table = mmap.mmap(-1, MAX_INTERFACES * 32)
        source.set(loop.INTERFACES, ctypes.addressof(ctypes.c_char.from_buffer(self.table)))
        source.set(loop.INTERFACE_CNT, 0)
        source.set(loop.IFINDEX, 1)
        self.swap = False
        if not source.need(4):
            raise CaptureError(f"{source.name}: too short for a capture")
        magic = source.bytes_at(0, 4)
        little, big = (int.from_bytes(magic, order) for order in ("little", "big"))
        self.pcapng = little == PCAPNG_SHB
        if self.pcapng:
            self.section()
            return
        if little not in PCAP_MAGIC and big not in PCAP_MAGIC:
            raise CaptureError(f"{source.name}: neither pcap nor pcapng (it begins with {magic.hex(' ')})")
        if not source.need(24):
            raise CaptureError(f"{source.name}: the pcap header is cut off")
        self.swap = big in PCAP_MAGIC
        order = ">" if self.swap else "<"
        _, _, _, _, _, link = struct.unpack(order + "HHiIII", source.bytes_at(4, 20))
        source.set(loop.TIME_MULT, PCAP_MAGIC[big if self.swap else little])
        source.set(loop.LINK, self.link_type(link & 0x0FFFFFFF))
        source.skip(24)

    def link_type(self, link: int) -> int:
        link = RAW_ALIASES.get(link, link)
        if link not in LINK_TYPES:
            raise CaptureError(f"{self.source.name}: link type {link} carries no network packets that userbpf knows")
        return link

    def control(self) -> None:
        """Take a section header or an interface description at the cursor."""
        order = ">" if self.swap else "<"
        kind = struct.unpack(order + "I", self.source.bytes_at(0, 4))[0]
        if kind == PCAPNG_SHB:
            self.section()
            return
        body = self.block()
        if len(body) < 8:
            raise CaptureError(f"{self.source.name}: interface block at byte {self.source.offset()} is too short")
        link = struct.unpack_from(order + "H", body)[0]
        cnt = self.source.get(loop.INTERFACE_CNT)
        if cnt >= MAX_INTERFACES:
            raise CaptureError(f"{self.source.name}: more than {MAX_INTERFACES} interfaces")
        mult, div, offset = self.resolution(body[8:], order)
        struct.pack_into("<QQQQ", self.table, cnt * 32, self.link_type(link), mult, div, offset)
        self.source.set(loop.INTERFACE_CNT, cnt + 1)

    @staticmethod
    def resolution(options: bytes, order: str) -> tuple[int, int, int]:
        """ns = ticks * mult // div + offset, from if_tsresol (9) and if_tsoffset (14)."""
        mult, div, offset = 1000, 1, 0
        at = 0
        while at + 4 <= len(options):
            code, size = struct.unpack_from(order + "HH", options, at)
            value = options[at + 4 : at + 4 + size]
            at += 4 + (size + 3 & ~3)
            if code == 0:
                break
            if code == 9 and len(value) == 1:
                exp = value[0] & 0x7F
                if value[0] & 0x80:
                    mult, div = 1_000_000_000, 1 << min(exp, 30)
                else:
                    mult, div = (10 ** (9 - exp), 1) if exp <= 9 else (1, 10 ** min(exp - 9, 18))
            if code == 14 and len(value) == 8:
                offset = struct.unpack(order + "q", value)[0] * 1_000_000_000 & (1 << 64) - 1
        return mult, div, offset

    def section(self) -> None:
        """A section begins: its byte order counts from here, its interfaces are numbered anew."""
        if not self.source.need(28):
            raise CaptureError(f"{self.source.name}: section header at byte {self.source.offset()} is cut off")
        marker = self.source.bytes_at(8, 4)
        if int.from_bytes(marker, "little") == PCAPNG_ORDER:
            self.swap = False
        elif int.from_bytes(marker, "big") == PCAPNG_ORDER:
            self.swap = True
        else:
            raise CaptureError(f"{self.source.name}: section header at byte {self.source.offset()} has no byte order")
        self.block()
        self.source.set(loop.INTERFACE_CNT, 0)

    def block(self) -> bytes:
        """The body of the block at the cursor; moves past it."""
        order = ">" if self.swap else "<"
        where = f"{self.source.name}: block at byte {self.source.offset()}"
        total = struct.unpack(order + "I", self.source.bytes_at(4, 4))[0]
        if total < 12 or total & 3 or total > CHUNK:
            raise CaptureError(f"{where} has an impossible length of {total} bytes")
        if not self.source.need(total):
            raise CaptureError(f"{where} is cut off")
        body = self.source.bytes_at(8, total - 12)
        self.source.skip(total)
        return body


class _Output:
    """The packets that go on, as a classic pcap with ns times and Ethernet frames."""

    def __init__(self, path: str | os.PathLike[str] | None, source: _Input) -> None:
        self.source = source
        self.file = open(path, "wb", buffering=0) if path is not None else None  # noqa: SIM115
        self.written = 0
        if self.file is not None:
            self.buffer = mmap.mmap(-1, OUT_BYTES)
            self.addr = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
            self.file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, loop.MAX_RECORD, loop.LINK_ETHERNET))
            source.set(loop.OUT, self.addr)
            source.set(loop.OUT_END, self.addr + OUT_BYTES)

    def flush(self) -> None:
        if self.file is None:
            return
        size = self.source.get(loop.OUT) - self.addr
        view = memoryview(self.buffer)[:size]
        while view:
            view = view[self.file.write(view) :]
        self.written += size
        self.source.set(loop.OUT, self.addr)

    def close(self) -> None:
        if self.file is not None:
            self.flush()
            self.file.close()


def hook_of(prog: Runnable) -> HookKind:
    """The row of a program's type; CaptureError where that type does not run over packets of a capture."""
    kind = HOOKS.get(ProgType(prog.prog_type))
    if kind is None:
        raise CaptureError(f"{ProgType(prog.prog_type).c_name} programs do not run over a capture")
    return kind


def run_capture(
    prog: Runnable,
    path: str | os.PathLike[str] | IO[bytes],
    *,
    count: int | None = None,
    out: str | os.PathLike[str] | None = None,
    capture_clock: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> CaptureResult:
    """Run `prog` over the packets of a capture, `count` of them at most; those that pass are written to `out`.

    Raises CaptureError where nothing could be run at all (no capture, unknown link type); a fault further on is the
    result's `error`.
    """
    kind = hook_of(prog)
    state_map = mmap.mmap(-1, max(loop.STATE_SIZE, mmap.PAGESIZE))
    state = ctypes.addressof(ctypes.c_char.from_buffer(state_map))
    began = time.perf_counter()
    source = _Input(path, state)
    result = CaptureResult()
    try:
        form = _Format(source)
        output = _Output(out, source)
        with packet_slot() as slot, prog.run_context() as rt:
            source.set(loop.CTX, slot.ctx)
            source.set(loop.BUFFER, slot.buffer)
            source.set(loop.RT, rt)
            source.set(loop.LEFT, count if count is not None else (1 << 64) - 1)
            clock_mode = ctypes.c_uint64.from_address(rt + RT_CLOCK_MODE)
            saved = clock_mode.value
            clock_mode.value = 1 if capture_clock else saved
            try:
                for _ in _steps(prog, kind, source, form, output, result):
                    if progress is not None:
                        progress(Progress(source.position(), source.total, source.get(loop.SEEN)))
            finally:
                clock_mode.value = saved
                output.close()
                result.written = output.written
                _read_counters(source, kind, result)
    finally:
        source.close()
        result.seconds = time.perf_counter() - began - result.compile_seconds
    return result


def _steps(
    prog: Runnable, kind: HookKind, source: _Input, form: _Format, output: _Output, result: CaptureResult
) -> Iterator[None]:
    """Run from refill to refill until the file or the count ends."""
    step = _stepper(prog, kind, source, form, result)
    swap = form.swap
    while True:
        why = step()
        try:
            if why == loop.FLUSH:
                output.flush()
            elif why == loop.GOT:
                pass  # the interpreter's share of packets between two reports is done
            elif not _go_on(source, form, why):
                return
            elif form.swap != swap:
                swap = form.swap
                step = _stepper(prog, kind, source, form, result)
        except CaptureError as e:
            result.error = str(e)
            return
        yield


def _stepper(prog: Runnable, kind: HookKind, source: _Input, form: _Format, result: CaptureResult) -> Callable[[], int]:
    """A function that runs on until something needs Python; the reason is its result."""
    began = time.perf_counter()
    step = _compile(prog, kind, source, form)
    result.compile_seconds += time.perf_counter() - began
    return step


def _compile(prog: Runnable, kind: HookKind, source: _Input, form: _Format) -> Callable[[], int]:
    reader = loop.READERS[form.pcapng, form.swap]
    in_place = int(kind.may_run_in_place and not prog.changes_packet)
    if prog.interpreted:
        advance = compiled(loop.next_packet, reader=reader, prepare=kind.prepare, in_place=in_place)
        count = compiled(loop.account, verdict=kind.verdict, trims=int(kind.trims))

        def step() -> int:
            why = int(advance(source.state))
            if why == loop.GOT:
                count(source.state, prog.execute(source.get(loop.CTX), source.get(loop.RT)))
            return why

        def run() -> int:
            for _ in range(1024):
                why = step()
                if why != loop.GOT:
                    return why
            return loop.GOT

        return run
    source.set(loop.PROG, prog.code_addr())
    whole = compiled(
        loop.packet_loop,
        reader=reader,
        prepare=kind.prepare,
        verdict=kind.verdict,
        trims=int(kind.trims),
        in_place=in_place,
    )

    def native_run() -> int:
        why = int(whole(source.state))
        prog.raise_pending()
        return why

    return native_run


def _read_counters(source: _Input, kind: HookKind, result: CaptureResult) -> None:
    for i, name in enumerate(kind.rows):
        packets = source.get(loop.FRAMES + i * 8)
        if packets:
            result.packets[name] = packets
            result.bytes[name] = source.get(loop.BYTES + i * 8)
    result.total_packets = source.get(loop.SEEN)
    result.total_bytes = sum(result.bytes.values())
    result.skipped = source.get(loop.SHORT)


def packets(path: str | os.PathLike[str], count: int | None = None) -> Iterator[Packet]:
    """The packets of a capture one by one, as Ethernet frames; CaptureError where the file is malformed."""
    state_map = mmap.mmap(-1, max(loop.STATE_SIZE, mmap.PAGESIZE))
    source = _Input(path, ctypes.addressof(ctypes.c_char.from_buffer(state_map)))
    try:
        form = _Format(source)
        with packet_slot() as slot:
            rt = ctypes.create_string_buffer(RT_SIZE)
            source.set(loop.CTX, slot.ctx)
            source.set(loop.BUFFER, slot.buffer)
            source.set(loop.RT, ctypes.addressof(rt))
            source.set(loop.LEFT, count if count is not None else (1 << 64) - 1)
            advance = {
                swap: compiled(loop.next_packet, reader=reader, prepare=loop.prepare_xdp, in_place=0)
                for (pcapng, swap), reader in loop.READERS.items()
                if pcapng == form.pcapng
            }
            while True:
                why = advance[form.swap](source.state)
                if why == loop.GOT:
                    source.set(loop.LEFT, source.get(loop.LEFT) - 1)
                    source.set(loop.SEEN, source.get(loop.SEEN) + 1)
                    yield Packet(slot.data(), source.get(loop.WIRELEN), source.get(loop.TIME_NS))
                elif not _go_on(source, form, why):
                    return
    finally:
        source.close()


def _go_on(source: _Input, form: _Format, why: int) -> bool:
    """Do what the loop needs Python for; False at the end, CaptureError where the file is malformed."""
    if why == loop.DONE:
        return False
    if why == loop.CONTROL:
        form.control()
        return True
    where = f"{source.name}: packet {source.get(loop.SEEN) + 1}"
    if why == loop.BAD:
        raise CaptureError(f"{where}: malformed record at byte {source.offset(loop.RECORD)}")
    if source.fill():
        return True
    left = source.get(loop.END) - source.get(loop.CUR)
    if left:
        raise CaptureError(f"{where}: cut off: {left} bytes at byte {source.offset()}")
    return False
