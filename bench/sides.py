"""Cases through bpf(2): the same attr bytes to Linux's syscall and to userbpf's door, with no client or loader between.

The loader here does what the cases need: maps defined by BTF, one program section, static functions in .text.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from userbpf.btf import Array, Btf, DataSec, Ptr, Struct, Var

NR_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, 0)
MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, PROG_TEST_RUN = 0, 2, 5, 10
PROG_TYPE_XDP = 6
PSEUDO_CALL, PSEUDO_MAP_FD = 1, 1
ATTR_SIZE = 128
LOG_SIZE = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


def linux(cmd: int, attr: bytearray) -> int:
    """bpf(2) of the kernel; results are written into `attr`."""
    buffer = (ctypes.c_char * len(attr)).from_buffer(attr)
    result = int(_libc.syscall(NR_BPF, cmd, buffer, len(attr)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def ours(cmd: int, attr: bytearray) -> int:
    """bpf(2) of userbpf."""
    import userbpf

    return userbpf.bpf(cmd, attr)


def why_not(bpf: Callable[[int, bytearray], int]) -> str:
    """Why a side cannot be asked here; empty where it can."""
    if bpf is linux and not NR_BPF:
        return f"no bpf(2) number for {os.uname().machine}"
    try:
        os.close(Side(bpf).map_create(2, 4, 8, 1))
    except OSError as e:
        return f"bpf(2): {errno.errorcode.get(e.errno or 0, '?')}"
    except (ImportError, AttributeError) as e:
        return str(e)
    return ""


def _pointer(data: bytes | ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.cast(data if not isinstance(data, bytes) else ctypes.c_char_p(data), ctypes.c_void_p).value or 0


class Side:
    """One implementation of bpf(2)."""

    def __init__(self, bpf: Callable[[int, bytearray], int]) -> None:
        self.bpf = bpf

    def call(self, cmd: int, *fields: bytes) -> int:
        return self.bpf(cmd, bytearray(b"".join(fields).ljust(ATTR_SIZE, b"\0")))

    def map_create(self, kind: int, key: int, value: int, entries: int, flags: int = 0) -> int:
        """A map's descriptor."""
        return self.call(MAP_CREATE, struct.pack("<IIIII", kind, key, value, entries, flags))

    def map_update(self, fd: int, key: bytes, value: bytes) -> None:
        """Write one entry."""
        self.call(MAP_UPDATE_ELEM, struct.pack("<IxxxxQQQ", fd, _pointer(key), _pointer(value), 0))

    def prog_load(self, code: bytes) -> int:
        """An XDP program's descriptor; the end of the verifier's log in the error."""
        log, licence = ctypes.create_string_buffer(LOG_SIZE), b"GPL\0"
        head = struct.pack("<IIQQ", PROG_TYPE_XDP, len(code) // 8, _pointer(code), _pointer(licence))
        try:
            return self.call(PROG_LOAD, head)
        except OSError:
            try:
                return self.call(PROG_LOAD, head, struct.pack("<IIQ", 1, LOG_SIZE, _pointer(log)))
            except OSError as e:
                raise OSError(e.errno, f"{e.strerror}\n{log.value.decode()[-2000:]}") from None

    def verified(self, code: bytes, level: int = 4) -> tuple[int, str]:
        """errno (0 where it is accepted) and the verifier's log of an XDP program; nothing stays loaded."""
        log, licence, refused = ctypes.create_string_buffer(LOG_SIZE), b"GPL\0", 0
        head = struct.pack("<IIQQ", PROG_TYPE_XDP, len(code) // 8, _pointer(code), _pointer(licence))
        try:
            os.close(self.call(PROG_LOAD, head, struct.pack("<IIQ", level, LOG_SIZE, _pointer(log))))
        except OSError as e:
            refused = e.errno or 0
            if not log.value:
                raise
        return refused, log.value.decode()

    def test_run(self, fd: int, packet: bytes, repeat: int) -> tuple[int, int]:
        """(retval, mean ns of a run)."""
        out = ctypes.create_string_buffer(4096)
        sizes = (fd, 0, len(packet), len(out))
        attr = bytearray(
            struct.pack("<IIIIQQI", *sizes, _pointer(packet), _pointer(out), repeat).ljust(ATTR_SIZE, b"\0")
        )
        self.bpf(PROG_TEST_RUN, attr)
        retval, duration = struct.unpack_from("<I", attr, 4)[0], struct.unpack_from("<I", attr, 36)[0]
        return retval, duration

    def timer(self, fd: int, packet: bytes) -> Callable[[int], int]:
        """repeats -> ns of all of them. Linux tells the mean in whole ns; the time of the whole call is exact for ours.

        Linux's runs are not preempted, so ours count by the thread's CPU time: a busy machine does not favour either.
        """

        def told(repeat: int) -> int:
            return self.test_run(fd, packet, repeat)[1] * repeat

        def watched(repeat: int) -> int:
            start = time.thread_time_ns()
            self.test_run(fd, packet, repeat)
            return time.thread_time_ns() - start

        return told if self.bpf is linux else watched


@dataclass
class Loaded:
    """A program and its maps, by name."""

    prog: int
    maps: dict[str, int]

    def close(self) -> None:
        for fd in (self.prog, *self.maps.values()):
            os.close(fd)


def load(side: Side, path: Path) -> Loaded:
    """Load the one XDP program of an object file."""
    with path.open("rb") as f:
        elf = ELFFile(f)
        sections = {s.name: (i, s.data()) for i, s in enumerate(elf.iter_sections())}
        symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
        relocs = {
            name: [(r["r_offset"], symbols[r["r_info_sym"]]) for r in section.iter_relocations()]
            for name in ("xdp", ".text")
            if (section := elf.get_section_by_name(f".rel{name}")) is not None
        }
    maps = {name: side.map_create(*shape) for name, shape in _map_shapes(Btf.parse(sections[".BTF"][1])).items()}
    main, text = bytearray(sections["xdp"][1]), bytearray(sections[".text"][1])
    code = main + text
    for section, start in (("xdp", 0), (".text", len(main))):
        for offset, symbol in relocs.get(section, []):
            at = start + offset
            if code[at] == 0x18:  # lddw of a map
                code[at + 1] |= PSEUDO_MAP_FD << 4
                struct.pack_into("<i", code, at + 4, maps[symbol.name])
            elif code[at] == 0x85:  # call of a static function: symbol + addend to a distance
                (addend,) = struct.unpack_from("<i", code, at + 4)
                inside = (
                    symbol["st_value"] + (addend + 1) * 8
                    if symbol["st_info"]["type"] == "STT_SECTION"
                    else symbol["st_value"]
                )
                target = len(main) + inside
                struct.pack_into("<i", code, at + 4, (target - at) // 8 - 1)
    try:
        return Loaded(side.prog_load(bytes(code)), maps)
    except BaseException:
        for fd in maps.values():
            os.close(fd)
        raise


def _map_shapes(btf: Btf) -> dict[str, tuple[int, int, int, int, int]]:
    """name -> (type, key size, value size, entries, flags), from the BTF of `.maps`."""
    out: dict[str, tuple[int, int, int, int, int]] = {}
    section = btf.find(".maps", DataSec)
    for item in section.vars if section else ():
        var = btf.by_id(item.type)
        assert isinstance(var, Var)
        definition = btf.resolve(var.type)
        assert isinstance(definition, Struct)
        fields: dict[str, int] = {}
        for member in definition.members:
            pointer = btf.resolve(member.type)
            assert isinstance(pointer, Ptr)
            target = btf.resolve(pointer.type)
            fields[member.name] = target.nelems if isinstance(target, Array) else btf.size_of(pointer.type)
        shape = (
            fields["type"],
            fields.get("key", 0),
            fields["value"],
            fields["max_entries"],
            fields.get("map_flags", 0),
        )
        out[var.name] = shape
    return out
