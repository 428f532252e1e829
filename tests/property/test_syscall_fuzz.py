"""Attrs at random: whatever is asked, the answer is a result or a BpfError, and nothing that was not named is touched.

Pointers are drawn from buffers, from nothing (NULL, unmapped, kernel addresses) and from a page's last bytes; fds from live
objects, closed numbers and files. A pointer into memory of someone else's would be obeyed, here as in Linux, so there is none.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import random
from pathlib import Path

import pytest

from bpfcalls import RETURN_0, Buf, Calls, count_in_array, u32, u64
from userbpf.abi.enums import Cmd, MapType, ProgType
from userbpf.errors import BpfError
from userbpf.isa.insn import encode
from userbpf.spec.commands import COMMANDS

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    31,
    32,
    64,
    96,
    128,
    255,
    1000,
    4095,
    4096,
    4097,
    1 << 16,
    (1 << 31) - 1,
    1 << 31,
)
LOOSE = (*NUMBERS, (1 << 32) - 1)
FD_FIELDS = ("fd", "_fd")
RARE = {"map_ifindex", "map_token_fd", "map_extra", "numa_node", "excl_prog_hash", "excl_prog_hash_size", "flags"}
RARE |= {"value_type_btf_obj_fd", "btf_vmlinux_value_type_id", "btf_value_type_id", "btf_key_type_id", "prog_ifindex"}
RARE |= {"log_level", "log_size", "log_buf", "attach_btf_id", "attach_prog_fd", "elem_flags", "path_fd", "file_flags"}
RARE |= {"prog_flags", "map_flags", "open_flags", "func_info_cnt", "line_info_cnt", "signature", "fd_array_cnt"}
RARE |= {"ctx_in", "ctx_out", "ctx_size_in", "ctx_size_out", "batch_size", "cpu", "map_name", "prog_name"}
SMALL = {"repeat": 40, "insn_cnt": 12, "max_entries": 1 << 16, "key_size": 4096, "value_size": 4096, "count": 200}
ROUNDS = 20_000


class Fuzzer:
    def __init__(self, calls: Calls, folder: Path, seed: int) -> None:
        self.calls = calls
        self.random = random.Random(seed)
        self.page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.buffers = [Buf(n) for n in (8, 64, 256, 4096)] + [
            Buf(encode(RETURN_0)),
            Buf(encode(count_in_array(calls.map(MapType.ARRAY)))),
            Buf(b"GPL\0"),
            Buf(os.fsencode(folder / "pin") + b"\0"),
            Buf(b"\0"),
        ]
        self.paths = [each.addr for each in self.buffers[-2:]]
        self.big = Buf(1 << 22)  # nothing that is copied out is larger than this
        self.nowhere = (0, 1, 8, 4096, (1 << 47) + 8, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096)
        self.edge = base + 2 * mmap.PAGESIZE
        self.files = [os.open("/dev/null", os.O_RDWR), os.pipe()[0]]
        self.live: list[int] = []

    def pointer(self, name: str) -> int:
        if name == "pathname":  # files must not be made elsewhere
            return self.random.choice((*self.nowhere, *self.paths))
        pick = self.random.random()
        if pick < 0.25:
            return self.random.choice(self.nowhere)
        if pick < 0.6:
            return self.big.addr
        # small ones hold what is read; what may be written has room for everything
        return self.random.choice(self.buffers).addr if self.reading and "log" not in name else self.big.addr

    def fd(self) -> int:
        pick = self.random.random()
        if pick < 0.75 and self.live:
            return self.random.choice(self.live)
        return self.random.choice((0xFFFFFFFF, 0x7FFFFFFF, 0x7000, *self.files))

    def number(self, name: str, size: int) -> int:
        limit = SMALL.get(name, 1 << 64)
        value = self.random.choice(LOOSE)
        if name in ("key_size", "value_size") and self.random.random() < 0.6:
            value = self.random.choice((4, 8))
        if self.random.random() < 0.05:
            value = self.random.getrandbits(32)
        return min(value, limit, (1 << size * 8) - 1)

    def attr(self, cmd: Cmd) -> bytearray:
        """A random attr of a command: mostly zeroes and sensible things."""
        row = COMMANDS[cmd]
        self.reading = cmd in (Cmd.PROG_LOAD, Cmd.OBJ_PIN, Cmd.OBJ_GET, Cmd.BTF_LOAD)
        made = bytearray(row.attr.SIZE)
        for name, off, size in row.attr.fields:
            if self.random.random() < (0.9 if name in RARE else 0.3):
                continue
            if size > 8:
                text = bytes(self.random.choice(b"ab._ \0\xff") for _ in range(self.random.randrange(size)))
                made[off : off + len(text)] = text
                continue
            if name.endswith(FD_FIELDS):
                value = self.fd()
            elif size == 8 and name not in ("flags", "elem_flags", "map_extra"):
                value = self.pointer(name)
            elif name == "map_type":
                value = self.random.randrange(36)
            elif name == "prog_type":
                value = self.random.choice((1, 3, 6, self.random.randrange(34)))
            elif "id" in name:
                value = self.random.randrange(20)
            elif "flags" in name:
                value = self.random.choice((0, 0, 0, 1, 2, 3, 4, 8, 16, 64, 128, 1024, 1 << 16, 1 << 31))
            else:
                value = self.number(name, size)
            made[off : off + size] = value.to_bytes(size, "little")
        return made

    def raw(self, cmd: Cmd) -> tuple[bytearray, int | None]:
        content = self.attr(cmd)
        pick = self.random.random()
        if pick < 0.1:
            return content[: self.random.randrange(len(content) + 1)], None
        if pick < 0.2:
            content += bytes(self.random.choice((0, 8, 100, 5000)))
        if pick < 0.05 and content:
            content[-1] |= 1
        return content, None

    def one(self) -> str:
        cmd = self.random.choice(list(COMMANDS))
        content, size = self.raw(cmd)
        try:
            result = self.calls.bpf(cmd, content, size)
        except BpfError as e:
            assert e.errno and (e.errno in errno.errorcode or e.errno == 524)
            return f"{cmd.name} {errno.errorcode.get(e.errno, e.errno)}"
        assert result >= 0
        if result > 2:
            self.live.append(result)
        if len(self.live) > 60:
            os.close(self.live.pop(self.random.randrange(len(self.live))))
        return f"{cmd.name} ok"


def hidden(fd: int) -> int:
    """A descriptor at a number that the fuzzer does not draw."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3000)
    os.close(fd)
    return moved


@pytest.mark.parametrize("seed", range(3))
def test_only_errors_and_no_damage(user: Calls, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    early = [user.map() for _ in range(30)]  # ids that are drawn
    canaries = [hidden(user.map(t, n=16)) for t in (MapType.HASH, MapType.ARRAY)]
    user.close(*early)
    user.fds.clear()
    for fd in canaries:
        for i in range(8):
            user.update(fd, u32(i), u64(i * i))
    fuzzer = Fuzzer(user, tmp_path, seed)
    fuzzer.live = [user.map(), user.map(MapType.ARRAY), user.map(MapType.PROG_ARRAY, 4, 4), user.prog()]
    fuzzer.live += [user.prog(RETURN_0, ProgType.XDP), user.prog(count_in_array(fuzzer.live[1]))]
    user.fds.clear()
    seen: dict[str, int] = {}
    for _ in range(ROUNDS):
        what = fuzzer.one()
        seen[what] = seen.get(what, 0) + 1
    for fd in canaries:
        assert [user.lookup(fd, u32(i)) for i in range(8)] == [u64(i * i) for i in range(8)]
    for fd in fuzzer.live:
        os.close(fd)
    for fd in (*canaries, *fuzzer.files):
        os.close(fd)
    user.kernel.sweep()
    # the fuzzer reached more than the first check of each command
    commands = {key.split()[0] for key in seen}
    assert len(commands) == len(COMMANDS)
    assert sum(key.endswith(" ok") for key in seen) >= 12, sorted(seen)
