"""Pins: the same object by its path, in this process and in another."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bpfcalls import Calls, count_in_array, lddw_map, ret, u32, u64
from userbpf.abi.consts import BPF_F_MMAPABLE, BPF_F_RDONLY
from userbpf.abi.enums import Cmd, MapType, ProgType
from userbpf.isa.insn import Insn

HELP = """
import sys
sys.path.insert(0, {tests!r})
from bpfcalls import *
calls = calls_of("user")
"""


def elsewhere(code: str, *args: str) -> str:
    """Run code in a process of its own; what it prints."""
    tests = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", HELP.format(tests=tests) + code, *args], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "pin")


def test_a_pinned_map_is_the_same_map(user: Calls, path: str) -> None:
    fd = user.map(map_name=b"flows")
    user.update(fd, u32(1), u64(5))
    user.pin(fd, path)
    again = user.get(path)
    assert user.lookup(again, u32(1)) == u64(5)
    user.update(again, u32(1), u64(6))
    assert user.lookup(fd, u32(1)) == u64(6)
    assert user.map_info(again) == user.map_info(fd)
    assert user.err(user.pin, fd, path) == "EEXIST"


def test_descriptors_from_before_the_pin_go_on(user: Calls, path: str) -> None:
    fd = user.map(MapType.ARRAY, map_flags=BPF_F_MMAPABLE)
    twin = os.dup(fd)
    reader = user.fd_by_id(Cmd.MAP_GET_FD_BY_ID, user.map_info(fd).id, BPF_F_RDONLY)
    mapped = mmap.mmap(fd, mmap.PAGESIZE)
    prog = user.prog(count_in_array(fd))
    user.test_run(prog)
    user.pin(fd, path)
    user.test_run(prog)
    for each in (fd, twin, reader, user.get(path)):
        assert user.lookup(each, u32(0)) == u64(2)
        assert not os.get_inheritable(each)
    assert mapped[:8] == u64(2)
    mapped[:8] = u64(40)
    user.test_run(prog)
    assert user.lookup(reader, u32(0)) == u64(41)
    assert user.err(user.update, reader, u32(0), u64(1)) == "EPERM"
    os.close(twin)


def test_a_pin_keeps_the_map(user: Calls, path: str) -> None:
    fd = user.map()
    user.update(fd, u32(1), u64(5))
    number = user.map_info(fd).id
    user.pin(fd, path)
    user.close(fd)
    assert user.ids(Cmd.MAP_GET_NEXT_ID) == [number]
    fd = user.get(path)
    assert (user.map_info(fd).id, user.lookup(fd, u32(1))) == (number, u64(5))
    user.close(fd)
    os.unlink(path)
    assert user.ids(Cmd.MAP_GET_NEXT_ID) == []
    assert user.err(user.get, path) == "ENOENT"


def test_several_pins_and_other_names(user: Calls, tmp_path: Path) -> None:
    fd = user.map()
    number = user.map_info(fd).id
    first, second, moved = (str(tmp_path / n) for n in ("a", "b", "c"))
    user.pin(fd, first)
    user.pin(fd, second)
    os.rename(second, moved)
    os.unlink(first)
    user.close(fd)
    assert user.map_info(user.get(moved)).id == number


def test_pinned_again_after_its_pin_was_removed(user: Calls, path: str) -> None:
    fd = user.map()
    user.update(fd, u32(1), u64(5))
    user.pin(fd, path)
    os.unlink(path)
    user.pin(fd, path)
    assert user.lookup(user.get(path), u32(1)) == u64(5)


def test_nothing_is_left_beside_a_pin(user: Calls, path: str) -> None:
    user.pin(user.map(), path)
    assert os.listdir(os.path.dirname(path)) == ["pin"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_open_flags_of_a_pin(user: Calls, path: str) -> None:
    user.pin(user.map(), path)
    reader = user.get(path, BPF_F_RDONLY)
    assert user.err(user.update, reader, u32(1), u64(1)) == "EPERM"


@pytest.mark.parametrize("map_type", [MapType.HASH, MapType.ARRAY])
def test_another_process_shares_the_memory(user: Calls, path: str, map_type: MapType) -> None:
    fd = user.map(map_type, map_name=b"shared")
    user.update(fd, u32(1), u64(5))
    user.pin(fd, path)
    code = """
fd = calls.get(sys.argv[1])
print(calls.lookup(fd, u32(1)).hex(), calls.map_info(fd).name.rstrip(b"\\0").decode())
calls.update(fd, u32(2), u64(77))
"""
    assert elsewhere(code, path) == f"{u64(5).hex()} shared"
    assert user.lookup(fd, u32(2)) == u64(77)


def test_a_map_outlives_the_process_that_made_it(user: Calls, path: str) -> None:
    elsewhere("fd = calls.map(map_name=b'left'); calls.update(fd, u32(1), u64(9)); calls.pin(fd, sys.argv[1])", path)
    assert user.lookup(user.get(path), u32(1)) == u64(9)


def test_a_frozen_map_stays_frozen(user: Calls, path: str) -> None:
    elsewhere("fd = calls.map(); calls.freeze(fd); calls.pin(fd, sys.argv[1])", path)
    assert user.err(user.update, user.get(path), u32(1), u64(9)) == "EPERM"


# --- programs


def test_a_pinned_program_is_the_same_program(user: Calls, path: str) -> None:
    fd = user.prog(ret(7), prog_name=b"seven")
    number = user.prog_info(fd).id
    user.pin(fd, path)
    again = user.get(path)
    assert user.prog_info(again) == user.prog_info(fd)
    user.close(fd, again)
    assert user.ids(Cmd.PROG_GET_NEXT_ID) == [number]
    os.unlink(path)
    assert user.ids(Cmd.PROG_GET_NEXT_ID) == []


def test_another_process_runs_a_pinned_program(user: Calls, path: str) -> None:
    array = user.map(MapType.ARRAY, map_name=b"counts")
    fd = user.prog(count_in_array(array, 2), ProgType.XDP, prog_name=b"counter")
    info = user.prog_info(fd)
    user.pin(fd, path)
    code = """
fd = calls.get(sys.argv[1])
info = calls.prog_info(fd)
print(calls.test_run(fd)[0].retval, info.name.rstrip(b"\\0").decode(), info.tag.hex(), info.nr_map_ids)
"""
    assert elsewhere(code, path) == f"2 counter {info.tag.hex()} 1"
    assert user.lookup(array, u32(0)) == u64(1)  # the map is shared: it got a hidden pin


def test_a_program_finds_its_pinned_maps(user: Calls, tmp_path: Path) -> None:
    code = """
array = calls.map(MapType.ARRAY)
calls.pin(array, sys.argv[1] + "/counts")
calls.pin(calls.prog(count_in_array(array)), sys.argv[1] + "/prog")
"""
    elsewhere(code, str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["counts", "prog"]
    user.test_run(user.get(str(tmp_path / "prog")))
    assert user.lookup(user.get(str(tmp_path / "counts")), u32(0)) == u64(1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b'{"magic": "userbpf-prog"}\n',
        b'{"magic": "userbpf-prog", "version": 1, "prog_type": "x", "sizes": [], "maps": []}\n',
        bytes(8192),
    ],
)
def test_files_that_are_no_pins(user: Calls, path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert user.err(user.get, path) == "EACCES"


def test_a_record_is_verified_again(user: Calls, path: str) -> None:
    """Someone changes the pinned instructions: r0 = 7 becomes r9 = 7."""
    user.pin(user.prog(ret(7)), path)
    content = Path(path).read_bytes()
    os.unlink(path)
    Path(path).write_bytes(content.replace(b"\xb7\x00\x00\x00\x07", b"\xb7\x09\x00\x00\x07"))
    assert user.err(user.get, path) == "EACCES"
    Path(path).write_bytes(content)
    assert user.test_run(user.get(path))[0].retval == 7


def test_a_map_is_pinned_while_programs_run(user: Calls, path: str) -> None:
    """Not one run is lost when the memory moves."""
    array = user.map(MapType.ARRAY)
    prog = user.prog(count_in_array(array, 2), ProgType.XDP)
    user.test_run(prog)
    runs, stop = 1, threading.Event()

    def work() -> None:
        nonlocal runs
        while not stop.is_set():
            user.test_run(prog, repeat=1000)
            runs += 1000

    thread = threading.Thread(target=work)
    thread.start()
    while runs < 20_000:
        time.sleep(0.001)
    user.pin(array, path)
    before = runs
    while runs < before + 20_000:
        time.sleep(0.001)
    stop.set()
    thread.join()
    assert user.lookup(user.get(path), u32(0)) == u64(runs)


# --- program arrays in other processes

CALLER = """
from userbpf.isa.insn import Insn
def caller(fd, index):
    call = [Insn(0xB7, 3, 0, 0, index), Insn(0x85, 0, 0, 0, 12)]
    return [*lddw_map(2, fd), *call, *ret(99)]
"""


def tail_caller(fd: int, index: int) -> list[Insn]:
    """Call the program at an index, else return 99."""
    return [*lddw_map(2, fd), Insn(0xB7, 3, 0, 0, index), Insn(0x85, 0, 0, 0, 12), *ret(99)]


def filled_array(user: Calls) -> tuple[int, int]:
    """A PROG_ARRAY whose entry 1 leads to a program, and a caller of that entry."""
    array = user.map(MapType.PROG_ARRAY, 4, 4)
    caller = user.prog(tail_caller(array, 1))
    user.update(array, u32(1), u32(user.prog(ret(7))))
    return array, caller


@pytest.mark.parametrize("first", ["array", "program"])
def test_tail_calls_lead_on_in_another_process(user: Calls, tmp_path: Path, first: str) -> None:
    array, caller = filled_array(user)
    if first == "array":
        user.pin(array, str(tmp_path / "array"))
    user.pin(caller, str(tmp_path / "caller"))  # pins the array beside it where it has no pin
    run = "calls.test_run(calls.get(sys.argv[1]))[0].retval"
    assert elsewhere(f"print({run})", str(tmp_path / "caller")) == "7"
    assert elsewhere(f"calls = calls_of('interpreter'); print({run})", str(tmp_path / "caller")) == "7"


def test_another_process_fills_a_pinned_array(user: Calls, tmp_path: Path) -> None:
    array, target = user.map(MapType.PROG_ARRAY, 4, 4), user.prog(ret(5))
    user.pin(array, str(tmp_path / "array"))
    user.pin(target, str(tmp_path / "target"))
    fill = "calls.update(calls.get(sys.argv[1]), u32(2), u32(calls.get(sys.argv[2])))"
    elsewhere(fill, str(tmp_path / "array"), str(tmp_path / "target"))
    elsewhere(
        fill.replace("u32(2)", "u32(3)").replace("calls.get(sys.argv[2])", "calls.prog(ret(6))"),
        str(tmp_path / "array"),
    )
    run = (
        CALLER
        + "fd = calls.get(sys.argv[1]); print([calls.test_run(calls.prog(caller(fd, i)))[0].retval for i in range(4)])"
    )
    assert elsewhere(run, str(tmp_path / "array")) == "[99, 99, 5, 6]"
    assert user.test_run(user.prog(tail_caller(array, 2)))[0].retval == 5  # and this one learns of it as well


def test_a_program_without_a_pin_is_said_to_be_of_another_process(user: Calls, tmp_path: Path) -> None:
    array, _ = filled_array(user)
    user.pin(array, str(tmp_path / "array"))
    for pin in tmp_path.glob(".array.prog*"):
        pin.unlink()
    load = (
        CALLER + "fd = calls.get(sys.argv[1])\ntry: calls.prog(caller(fd, 1))\nexcept OSError as e: print(e.errno, e)"
    )
    answer = elsewhere(load, str(tmp_path / "array"))
    assert answer.startswith("95 ") and "[1] is a program of another process and has no pin beside the map" in answer


def test_a_program_that_calls_itself_comes_back_from_its_pin(user: Calls, tmp_path: Path) -> None:
    array = user.map(MapType.PROG_ARRAY, 4, 4)
    itself = user.prog(tail_caller(array, 0))
    user.update(array, u32(0), u32(itself))
    user.pin(itself, str(tmp_path / "itself"))
    assert user.test_run(itself)[0].retval == 99  # after 33 calls
    assert elsewhere("print(calls.test_run(calls.get(sys.argv[1]))[0].retval)", str(tmp_path / "itself")) == "99"
