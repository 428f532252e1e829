"""How long objects live, and which descriptors mean them."""

from __future__ import annotations

import array
import fcntl
import gc
import mmap
import os
import socket
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from bpfcalls import Calls, count_in_array, lddw_map, ret, u32, u64
from userbpf.abi.consts import BPF_F_MMAPABLE
from userbpf.abi.enums import Cmd, MapType
from userbpf.kernel import Kernel, MapObj


def maps(user: Calls) -> list[int]:
    return user.ids(Cmd.MAP_GET_NEXT_ID)


def test_a_kernel_of_its_own(user: Calls) -> None:
    """Ids begin at 1 in each, and a descriptor of one is memory that the other may use."""
    first, second = Kernel(), Kernel()
    assert first.number != second.number
    assert len(first.maps) == len(second.maps) == 0
    assert user.map_info(user.map()).id == 1


@pytest.mark.parametrize("keep", ["dup", "mmap", "moved"])
def test_what_keeps_a_map(user: Calls, keep: str) -> None:
    fd = user.map(MapType.ARRAY, map_flags=BPF_F_MMAPABLE)
    number = user.map_info(fd).id
    holder: object = None
    if keep == "dup":
        holder = os.dup(fd)
    elif keep == "mmap":
        holder = mmap.mmap(fd, mmap.PAGESIZE)
    else:
        holder = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 500)
    user.close(fd)
    assert maps(user) == [number]
    if isinstance(holder, int):
        os.close(holder)
    else:
        del holder
    assert maps(user) == []


def test_memory_goes_with_the_map(user: Calls) -> None:
    fd = user.map()
    region = user.kernel.map_of_fd(fd).map.region
    dead = weakref.ref(user.kernel.map_of_fd(fd))
    user.close(fd)
    assert user.kernel.sweep() == 1
    gc.collect()
    assert dead() is None
    assert region.fd == -1


def test_a_program_holds_its_maps_and_a_map_its_programs(user: Calls) -> None:
    counter = user.map(MapType.ARRAY)
    table = user.map(MapType.PROG_ARRAY, 4, 4)
    prog = user.prog(count_in_array(counter))
    user.update(table, u32(0), u32(prog))
    user.close(counter, prog)
    assert (len(maps(user)), len(user.ids(Cmd.PROG_GET_NEXT_ID))) == (2, 1)
    user.close(table)
    assert (maps(user), user.ids(Cmd.PROG_GET_NEXT_ID)) == ([], [])


def test_objects_that_hold_each_other_go_together(user: Calls) -> None:
    """A program that tail-calls into an array that it stands in."""
    from userbpf.isa.insn import Insn

    table = user.map(MapType.PROG_ARRAY, 4, 4)
    call = [*lddw_map(2, table), Insn(0xB7, 3), Insn(0x85, 0, 0, 0, 12), *ret(0)]
    prog = user.prog(call)
    user.update(table, u32(0), u32(prog))
    user.close(prog, table)
    assert (maps(user), user.ids(Cmd.PROG_GET_NEXT_ID)) == ([], [])


def test_many_maps_do_not_pile_up(user: Calls) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(300):
        user.close(user.map())
    user.kernel.sweep()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_private_descriptors_are_out_of_the_way(user: Calls) -> None:
    lowest = os.dup(0)
    os.close(lowest)
    first = user.map()
    assert first <= lowest + 1
    obj = user.kernel.map_of_fd(first)
    assert obj.private_fd > 256


def test_ids_are_not_used_again(user: Calls) -> None:
    first = user.map()
    number = user.map_info(first).id
    user.close(first)
    user.kernel.sweep()
    assert user.map_info(user.map()).id == number + 1


# --- descriptors from elsewhere

SENDER = """
import array, socket, sys
sys.path.insert(0, sys.argv[1])
from bpfcalls import *
calls = calls_of("user")
fd = calls.map(n=9, map_name=b"foreign")
calls.update(fd, u32(3), u64(33))
with socket.socket(fileno=int(sys.argv[2])) as s:
    s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    s.recv(1)
    print(calls.lookup(fd, u32(4)).hex())
"""


def test_a_map_that_came_through_a_socket(user: Calls) -> None:
    ours, theirs = socket.socketpair()
    tests = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", SENDER, tests, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        theirs.close()
        ours.settimeout(30)
        _, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        fd = array.array("i", control[0][2])[0]
        user.fds.append(fd)
        info = user.map_info(fd)
        assert (info.name.rstrip(b"\0"), info.max_entries, user.lookup(fd, u32(3))) == (b"foreign", 9, u64(33))
        assert maps(user) == [info.id]
        user.update(fd, u32(4), u64(44))
        ours.send(b"x")
        assert child.stdout is not None
        assert child.stdout.read().strip() == u64(44).hex()
    assert child.returncode == 0
    ours.close()


def test_descriptors_of_other_things(user: Calls, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(16384))
    others = [os.open(tmp_path / "file", os.O_RDWR), os.open("/dev/null", os.O_RDWR), *os.pipe()]
    others += [os.memfd_create("bpf-map"), os.memfd_create("bpf-btf"), os.open(tmp_path, os.O_RDONLY)]
    for fd in others:
        assert user.err(user.lookup, fd, u32(0)) == "EINVAL"
        os.close(fd)
    assert user.kernel.objects() == []


def test_the_object_of_a_descriptor(user: Calls) -> None:
    fd = user.map()
    found = user.kernel.object_of_fd(fd)
    assert isinstance(found, MapObj)
    assert found is user.kernel.map_of_fd(os.dup(fd))


def test_close_lets_go_of_everything(user: Calls) -> None:
    fd = user.map()
    user.prog()
    user.kernel.close()
    assert user.kernel.objects() == []
    assert os.fstat(fd)  # the user's descriptor is the user's
