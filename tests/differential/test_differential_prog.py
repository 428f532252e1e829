"""BPF_PROG_LOAD, BPF_PROG_TEST_RUN and what the programs do to maps, over both transports and in the interpreter."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest

from bpfcalls import RETURN_0, Buf, Calls, count_in_array, lddw_map, ret, u32, u64
from userbpf.abi.attrs import EnableStatsAttr, ProgBindMapAttr, ProgTestRunAttr
from userbpf.abi.enums import Cmd, MapType, ProgType
from userbpf.isa.insn import Insn

BAD = [Insn(0xB7, 1), Insn(0x95)]  # r0 is not set
NOWHERE = 0x7FFFFFF0


# --- PROG_LOAD


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"prog_flags": 1 << 31}, "EINVAL"),
        ({"insn_cnt": 0}, "E2BIG"),
        ({"insn_cnt": 1_000_001}, "E2BIG"),
        ({"license": 0}, "EFAULT"),
        ({"license": 8}, "EFAULT"),
        ({"insns": 0}, "EFAULT"),
        ({"prog_type": 77}, "EINVAL"),
        ({"prog_type": 0}, "EINVAL"),
        ({"prog_name": b"a b"}, "EINVAL"),
        ({"prog_name": b"a" * 16}, "EINVAL"),
        ({"prog_name": b"a.b_9"}, ""),
        ({"prog_type": ProgType.CGROUP_SKB, "expected_attach_type": 40}, "EINVAL"),
        ({"prog_type": ProgType.CGROUP_SKB, "expected_attach_type": 1}, ""),
        ({"attach_btf_id": 1}, "EINVAL"),
        ({"attach_prog_fd": NOWHERE}, "EINVAL"),
        ({"prog_ifindex": 9999}, "EINVAL"),
        ({"prog_token_fd": NOWHERE, "prog_flags": 1 << 16}, "EBADF"),
        ({"prog_token_fd": 4}, ""),
        ({"prog_btf_fd": NOWHERE}, ""),
        ({"prog_btf_fd": NOWHERE, "func_info_cnt": 1, "func_info_rec_size": 8}, "EBADF"),
        ({"func_info_rec_size": 9}, ""),
        ({"kern_version": 5}, ""),
        ({"fd_array_cnt": 3}, "EFAULT"),
        # which one wins
        ({"prog_flags": 1 << 31, "insn_cnt": 0}, "EINVAL"),
        ({"insn_cnt": 0, "license": 0}, "E2BIG"),
        ({"insn_cnt": 0, "prog_type": 77}, "E2BIG"),
        ({"license": 0, "prog_type": 77}, "EFAULT"),
        ({"license": 0, "prog_name": b"a b"}, "EFAULT"),
        ({"license": 0, "prog_type": ProgType.CGROUP_SKB, "expected_attach_type": 40}, "EINVAL"),
        ({"license": 0, "prog_ifindex": 9999}, "EFAULT"),
        ({"license": 0, "log_level": 1, "log_size": 16}, "EFAULT"),
        ({"prog_btf_fd": NOWHERE, "func_info_cnt": 1, "func_info_rec_size": 8, "prog_name": b"a b"}, "EINVAL"),
        ({"prog_btf_fd": NOWHERE, "func_info_cnt": 1, "func_info_rec_size": 8, "fd_array_cnt": 3}, "EFAULT"),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, dict) else "",
)
def test_load_fields(transport: Calls, fields: dict[str, Any], want: str) -> None:
    fields = {"prog_type": ProgType.SOCKET_FILTER, **fields}
    assert transport.err(transport.prog, RETURN_0, **fields) == want


def test_a_program_of_a_million_and_one_is_too_big_and_4097_is_not(transport: Calls) -> None:
    assert transport.prog([Insn(0xB7)] * 5000 + [Insn(0x95)]) > 2


# --- the log


def load_with_log(calls: Calls, insns: list[Insn], size: int, level: int = 1, **more: Any) -> tuple[str, int, bytes]:
    log = Buf(b"\xff" * (size + 1))
    attr = calls.load_attr(insns, ProgType.SOCKET_FILTER, log_level=level, log_buf=log.addr, log_size=size, **more)
    code = calls.err(calls.fd, Cmd.PROG_LOAD, attr)
    assert log.raw[size] == 0xFF
    return code, attr.log_true_size, log.raw[:size]


@pytest.mark.parametrize(
    ("level", "size", "with_buf", "want"),
    [
        (0, 64, True, "EINVAL"),
        (1, 0, True, "EINVAL"),
        (1, 64, False, "EINVAL"),
        (1, 0, False, ""),
        (16, 4096, True, "EINVAL"),
        (15, 4096, True, ""),
        (1, 1 << 30, True, "EINVAL"),
        (1, (1 << 30) - 1, True, ""),
    ],
)
def test_log_arguments(transport: Calls, level: int, size: int, with_buf: bool, want: str) -> None:
    buf = Buf(4096)
    fields = {"log_level": level, "log_size": size, "log_buf": buf.addr if with_buf else 0}
    assert transport.err(transport.prog, RETURN_0, **fields) == want


@pytest.mark.parametrize("insns", [RETURN_0, BAD], ids=["accepted", "refused"])
def test_a_small_buffer_keeps_the_tail_or_with_fixed_the_head(transport: Calls, insns: list[Insn]) -> None:
    answer, true_size, whole = load_with_log(transport, insns, 4096)
    text = whole[: whole.index(b"\0")]
    assert answer == ("EACCES" if insns is BAD else "")
    assert true_size == len(text) + 1
    for size in (1, 2, 20, true_size - 1):
        assert load_with_log(transport, insns, size) == ("ENOSPC", true_size, text[len(text) - size + 1 :] + b"\0")
        assert load_with_log(transport, insns, size, 1 | 8) == ("ENOSPC", true_size, text[: size - 1] + b"\0")
    code, size, log = load_with_log(transport, insns, true_size)
    assert (code, size, log) == (answer, true_size, text + b"\0")


def test_the_words_of_a_refusal(transport: Calls) -> None:
    _, _, log = load_with_log(transport, BAD, 4096)
    assert log.split(b"\0")[0].decode() == (
        "0: R1=ctx() R10=fp0\n"
        "0: (b7) r1 = 0                        ; R1=0\n"
        "1: (95) exit\n"
        "R0 !read_ok\n"
        "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    )


def test_log_true_size_without_a_buffer(transport: Calls) -> None:
    attr = transport.load_attr(BAD, ProgType.SOCKET_FILTER, log_level=1)
    assert transport.err(transport.fd, Cmd.PROG_LOAD, attr) == "EACCES"
    assert attr.log_true_size == 188


@pytest.mark.parametrize("size", [140, 144, 168])
def test_log_true_size_only_where_the_attr_reaches(transport: Calls, size: int) -> None:
    raw = bytearray(transport.load_attr(RETURN_0, ProgType.SOCKET_FILTER, log_level=1).encode())
    transport.fd(Cmd.PROG_LOAD, raw, size)
    assert bool(struct.unpack_from("<I", raw, 140)[0]) is (size >= 144)


def test_a_log_buffer_nowhere(transport: Calls) -> None:
    fields = {"log_level": 1, "log_size": 4096, "log_buf": 8}
    assert transport.err(transport.prog, RETURN_0, **fields) == "EFAULT"


@pytest.mark.parametrize(
    ("licence", "gpl"),
    [(b"GPL\0", 1), (b"GPL v2\0", 1), (b"Dual BSD/GPL\0", 1), (b"gpl\0", 0), (b"\0", 0), (b"x" * 200, 0)],
)
def test_licences(transport: Calls, licence: bytes, gpl: int) -> None:
    text = Buf(licence)
    fd = transport.prog(RETURN_0, license=text.addr)
    assert transport.prog_info(fd).gpl_compatible == gpl


# --- maps of a program


def test_map_fds_in_a_program(transport: Calls) -> None:
    def load(fd: int) -> str:
        return transport.err(transport.prog, [*lddw_map(1, fd), *RETURN_0])

    assert load(NOWHERE) == "EBADF"
    assert load(transport.prog()) == "EINVAL"
    assert load(transport.map()) == ""


def test_fd_array(transport: Calls) -> None:
    hash_map, array = transport.map(), transport.map(MapType.ARRAY)
    by_index = [Insn(0x18, 1, 5, 0, 0), Insn(0), *RETURN_0]
    fds = Buf(struct.pack("<2i", hash_map, array))
    used = transport.prog(by_index, fd_array=fds.addr)
    bound = transport.prog(by_index, fd_array=fds.addr, fd_array_cnt=2)
    direct = transport.prog([*lddw_map(1, hash_map), *RETURN_0])
    assert [transport.prog_info(fd).nr_map_ids for fd in (used, bound, direct)] == [1, 2, 1]
    assert transport.prog_info(used).tag == transport.prog_info(bound).tag != transport.prog_info(direct).tag
    broken = Buf(struct.pack("<2i", hash_map, NOWHERE))
    assert transport.err(transport.prog, by_index, fd_array=broken.addr, fd_array_cnt=2) == "EBADF"
    assert transport.err(transport.prog, by_index, fd_array=broken.addr) == ""
    foreign = Buf(struct.pack("<2i", hash_map, used))
    assert transport.err(transport.prog, by_index, fd_array=foreign.addr, fd_array_cnt=2) == "EINVAL"
    assert transport.err(transport.prog, by_index, fd_array=8) == "EFAULT"
    assert transport.err(transport.prog, by_index) == "EPROTO"


def test_bind_map(transport: Calls) -> None:
    prog, fd = transport.prog(), transport.map()
    transport.bpf(Cmd.PROG_BIND_MAP, ProgBindMapAttr(prog, fd))
    transport.bpf(Cmd.PROG_BIND_MAP, ProgBindMapAttr(prog, fd))
    assert transport.prog_info(prog).nr_map_ids == 1
    for attr, want in (
        (ProgBindMapAttr(prog, NOWHERE), "EBADF"),
        (ProgBindMapAttr(fd, fd), "EINVAL"),
        (ProgBindMapAttr(prog, prog), "EINVAL"),
        (ProgBindMapAttr(prog, fd, 1), "EINVAL"),
    ):
        assert transport.err(transport.bpf, Cmd.PROG_BIND_MAP, attr) == want


def test_a_program_keeps_its_map(engine: Calls) -> None:
    fd = engine.map(MapType.ARRAY)
    number = engine.map_info(fd).id
    prog = engine.prog(count_in_array(fd))
    engine.close(fd)
    engine.test_run(prog)
    again = engine.fd_by_id(Cmd.MAP_GET_FD_BY_ID, number)
    assert engine.lookup(again, u32(0)) == u64(1)
    engine.close(again, prog)
    if engine.name == "user":  # Linux frees it a little later
        assert engine.err(engine.fd_by_id, Cmd.MAP_GET_FD_BY_ID, number) == "ENOENT"


# --- TEST_RUN

PACKET = bytes(range(64))


def test_run_counts(engine: Calls) -> None:
    fd = engine.map(MapType.ARRAY)
    prog = engine.prog(count_in_array(fd, 2), ProgType.XDP)
    attr, out = engine.test_run(prog, PACKET, 100)
    assert (attr.retval, attr.data_size_out, out[:64]) == (2, 64, PACKET)
    engine.test_run(prog, PACKET, repeat=9)
    assert engine.lookup(fd, u32(0)) == u64(10)


@pytest.mark.parametrize("prog_type", [ProgType.XDP, ProgType.SCHED_CLS])
def test_run_output_that_does_not_fit(engine: Calls, prog_type: ProgType) -> None:
    prog = engine.prog(ret(2), prog_type)
    given, got = Buf(PACKET), Buf(b"\xff" * 64)
    attr = ProgTestRunAttr(prog, data_in=given.addr, data_size_in=64, data_out=got.addr, data_size_out=10)
    assert engine.err(engine.bpf, Cmd.PROG_TEST_RUN, attr) == "ENOSPC"
    assert (attr.retval, attr.data_size_out) == (2, 64)
    assert got.raw == PACKET[:10] + b"\xff" * 54
    unlimited = ProgTestRunAttr(prog, data_in=given.addr, data_size_in=64, data_out=got.addr)
    engine.bpf(Cmd.PROG_TEST_RUN, unlimited)
    assert got.raw == PACKET
    no_room = ProgTestRunAttr(prog, data_in=given.addr, data_size_in=64, data_size_out=10)
    assert engine.err(engine.bpf, Cmd.PROG_TEST_RUN, no_room) == "ENOSPC"


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"data_size_in": 13}, "EINVAL"),
        ({"data_in": 0}, "EFAULT"),
        ({"data_in": 8}, "EFAULT"),
        ({"data_size_in": 0, "data_in": 0}, "EINVAL"),
        ({"data_out": 8, "data_size_out": 64}, "EFAULT"),
        ({"ctx_in": 8}, "EINVAL"),
        ({"ctx_size_in": 10}, "EINVAL"),
        ({"ctx_out": 8}, "EINVAL"),
        ({"ctx_size_out": 10}, "EINVAL"),
        ({"ctx_in": 8, "ctx_size_in": 24}, "EFAULT"),
        ({"flags": 1}, "EINVAL"),
        ({"batch_size": 1}, "EINVAL"),
        ({"prog_fd": NOWHERE}, "EBADF"),
        ({"prog_fd": NOWHERE, "ctx_in": 8}, "EINVAL"),
        ({"prog_fd": 0}, "EINVAL"),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, dict) else "",
)
@pytest.mark.parametrize("prog_type", [ProgType.XDP, ProgType.SOCKET_FILTER])
def test_run_fields(engine: Calls, prog_type: ProgType, fields: dict[str, Any], want: str) -> None:
    prog, given = engine.prog(ret(2), prog_type), Buf(PACKET)
    attr = ProgTestRunAttr(**{"prog_fd": prog, "data_in": given.addr, "data_size_in": 64, **fields})
    assert engine.err(engine.bpf, Cmd.PROG_TEST_RUN, attr) == want


def test_run_with_context(engine: Calls) -> None:
    prog, given, got = engine.prog(ret(2), ProgType.XDP), Buf(PACKET), Buf(b"\xff" * 40)
    ctx = Buf(struct.pack("<6I", 0, 64, 0, 0, 0, 0))
    whole = {"prog_fd": prog, "data_in": given.addr, "data_size_in": 64, "ctx_in": ctx.addr, "ctx_size_in": 24}
    attr = ProgTestRunAttr(**whole, ctx_out=got.addr, ctx_size_out=40)
    engine.bpf(Cmd.PROG_TEST_RUN, attr)
    assert (attr.ctx_size_out, got.raw[:24]) == (24, struct.pack("<6I", 0, 64, 0, 0, 0, 0))
    attr = ProgTestRunAttr(**whole, ctx_out=got.addr, ctx_size_out=10)
    assert engine.err(engine.bpf, Cmd.PROG_TEST_RUN, attr) == "ENOSPC"
    assert attr.ctx_size_out == 24


def test_types_without_test_run(engine: Calls) -> None:
    prog = engine.prog(RETURN_0, ProgType.KPROBE)
    assert engine.err(engine.bpf, Cmd.PROG_TEST_RUN, ProgTestRunAttr(prog)) == "ENOTSUPP"


def test_run_statistics(engine: Calls) -> None:
    prog = engine.prog()
    counting = engine.fd(Cmd.ENABLE_STATS, EnableStatsAttr())
    engine.test_run(prog, repeat=3)
    info = engine.prog_info(prog)
    assert (info.run_cnt, info.run_time_ns > 0) == (3, True)
    engine.close(counting)
    engine.test_run(prog)
    assert engine.prog_info(prog).run_cnt == 3
    assert engine.err(engine.fd, Cmd.ENABLE_STATS, EnableStatsAttr(1)) == "EINVAL"


# --- tail calls


def tail_call(fd: int, index: int) -> list[Insn]:
    """Call the program at an index, else return 99. r1 is the context still."""
    return [*lddw_map(2, fd), Insn(0xB7, 3, 0, 0, index), Insn(0x85, 0, 0, 0, 12), *ret(99)]


def test_tail_calls(engine: Calls) -> None:
    array = engine.map(MapType.PROG_ARRAY, 4, 4)
    target, caller = engine.prog(ret(7)), engine.prog(tail_call(array, 1))
    assert engine.test_run(caller)[0].retval == 99
    engine.update(array, u32(1), u32(target))
    assert engine.lookup(array, u32(1), 4) == u32(engine.prog_info(target).id)
    assert engine.test_run(caller)[0].retval == 7
    engine.close(target)
    assert engine.test_run(caller)[0].retval == 7
    engine.delete(array, u32(1))
    assert engine.test_run(caller)[0].retval == 99


def test_which_programs_may_stand_in_a_prog_array(transport: Calls) -> None:
    filters, xdp = transport.prog(), transport.prog(RETURN_0, ProgType.XDP)
    by_update, by_load = transport.map(MapType.PROG_ARRAY, 4, 4), transport.map(MapType.PROG_ARRAY, 4, 4)
    transport.update(by_update, u32(0), u32(filters))
    assert transport.err(transport.update, by_update, u32(1), u32(xdp)) == "EINVAL"
    assert transport.err(transport.prog, tail_call(by_update, 0), ProgType.XDP) == "EINVAL"
    transport.prog(tail_call(by_load, 0), ProgType.XDP)
    assert transport.err(transport.update, by_load, u32(0), u32(filters)) == "EINVAL"
    transport.update(by_load, u32(0), u32(xdp))
    for flags in (1, 2, 4):
        assert transport.err(transport.update, by_load, u32(0), u32(xdp), flags) == "EINVAL"
    assert transport.err(transport.update, by_load, u32(0), u32(by_load)) == "EINVAL"
    assert transport.err(transport.update, by_load, u32(0), u32(NOWHERE)) == "EBADF"
    assert transport.err(transport.update, by_load, u32(9), u32(xdp)) == "E2BIG"
    assert transport.err(transport.delete, by_load, u32(9)) == "E2BIG"
    assert transport.err(transport.delete, by_load, u32(3)) == "ENOENT"


def test_prog_descriptors(transport: Calls) -> None:
    fd = transport.prog()
    assert "bpf-prog" in os.readlink(f"/proc/self/fd/{fd}")
    assert not os.get_inheritable(fd)
    twin = os.dup(fd)
    transport.close(fd)
    assert transport.prog_info(twin).type == ProgType.SOCKET_FILTER
    os.close(twin)
