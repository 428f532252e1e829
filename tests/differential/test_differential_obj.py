"""Ids, object info and BTF over both transports."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from bpfcalls import RETURN_0, Buf, Calls, count_in_array, lddw_map, ret
from userbpf.abi.attrs import BtfLoadAttr, GetIdAttr, LinkCreateAttr, ObjInfoAttr, ObjPinAttr
from userbpf.abi.enums import Cmd, MapType, ProgType
from userbpf.abi.info import BtfInfo, MapInfo, ProgInfo
from userbpf.isa.insn import Insn, decode

NOWHERE = 0x7FFFFFF0
NEXT = {"map": Cmd.MAP_GET_NEXT_ID, "prog": Cmd.PROG_GET_NEXT_ID, "btf": Cmd.BTF_GET_NEXT_ID}
BY_ID = {"map": Cmd.MAP_GET_FD_BY_ID, "prog": Cmd.PROG_GET_FD_BY_ID, "btf": Cmd.BTF_GET_FD_BY_ID}


# --- BTF by hand


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


STRINGS = b"\0int\0main\0sub\0file.c\0return 0;\0"


def name(text: bytes) -> int:
    return STRINGS.index(b"\0" + text + b"\0") + 1


def blob(types: bytes, strings: bytes = STRINGS) -> bytes:
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


INT = words(name(b"int"), 1 << 24, 4, 32 | 1 << 24)
FUNCS = words(0, 13 << 24, 1) + words(name(b"main"), 12 << 24 | 1, 2) + words(name(b"sub"), 12 << 24, 2)
BTF = blob(INT + FUNCS)
MAIN, SUB = 3, 4
LINE0 = words(0, name(b"file.c"), name(b"return 0;"), 1 << 10)


# --- ids


@pytest.fixture(params=list(NEXT))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(calls: Calls, kind: str) -> int:
    return {"map": calls.map, "prog": calls.prog, "btf": lambda: calls.btf(BTF)}[kind]()


def number_of(calls: Calls, kind: str, fd: int) -> int:
    return int({"map": calls.map_info, "prog": calls.prog_info, "btf": calls.btf_info}[kind](fd).id)


def test_ids_grow_and_are_enumerated(transport: Calls, kind: str) -> None:
    fds = [make(transport, kind) for _ in range(3)]
    numbers = [number_of(transport, kind, fd) for fd in fds]
    assert numbers == sorted(numbers)
    assert [n for n in transport.ids(NEXT[kind]) if n in numbers] == numbers
    again = transport.fd_by_id(BY_ID[kind], numbers[1])
    assert number_of(transport, kind, again) == numbers[1]
    if transport.name == "user":
        transport.close(fds[1], again)
        assert transport.ids(NEXT[kind]) == [numbers[0], numbers[2]]
        assert transport.err(transport.fd_by_id, BY_ID[kind], numbers[1]) == "ENOENT"


def test_id_arguments(transport: Calls, kind: str) -> None:
    fd = make(transport, kind)
    number = number_of(transport, kind, fd)
    bpf, err = transport.bpf, transport.err
    assert err(transport.next_id, NEXT[kind], 0x7FFFFFFE) == "ENOENT"
    for start in (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        assert err(transport.next_id, NEXT[kind], start) == "EINVAL"
    assert err(bpf, NEXT[kind], GetIdAttr(0, 0, 1)) == "EINVAL"
    assert err(bpf, NEXT[kind], GetIdAttr(0, 5)) == ""
    for missing in (0, 0x7FFFFFFF, 0xFFFFFFFF):
        assert err(transport.fd_by_id, BY_ID[kind], missing) == "ENOENT"
    if kind == "prog":
        assert err(transport.fd_by_id, BY_ID[kind], number, 8) == "EINVAL"


# --- info


def test_info_lengths(transport: Calls) -> None:
    fd = transport.map(map_name=b"foo")
    for length, want in ((0, 0), (4, 4), (100, 100), (104, 104), (105, 104), (4096, 104)):
        buffer = Buf(max(length, 104))
        attr = ObjInfoAttr(fd, length, buffer.addr)
        transport.bpf(Cmd.OBJ_GET_INFO_BY_FD, attr)
        assert attr.info_len == want
        assert not any(buffer.raw[want:])
    large, odd = Buf(4097), Buf(bytes(104) + b"\1" + bytes(95))
    attr = ObjInfoAttr(fd, 4097, large.addr)
    assert transport.err(transport.bpf, Cmd.OBJ_GET_INFO_BY_FD, attr) == "E2BIG"
    attr = ObjInfoAttr(fd, 200, odd.addr)
    assert transport.err(transport.bpf, Cmd.OBJ_GET_INFO_BY_FD, attr) == "E2BIG"
    assert transport.err(transport.bpf, Cmd.OBJ_GET_INFO_BY_FD, ObjInfoAttr(fd, 104, 0)) == "EFAULT"
    assert transport.err(transport.bpf, Cmd.OBJ_GET_INFO_BY_FD, ObjInfoAttr(NOWHERE, 104, 0)) == "EBADFD"
    assert transport.err(transport.bpf, Cmd.OBJ_GET_INFO_BY_FD, ObjInfoAttr(0, 104, 0)) == "EINVAL"


def test_map_info(transport: Calls) -> None:
    btf = transport.btf(BTF)
    fd = (
        transport.map(4, 4, 4, 9)
        if False
        else transport.map(
            MapType.HASH, 4, 4, 9, map_name=b"foo.1", map_flags=1, btf_fd=btf, btf_key_type_id=1, btf_value_type_id=1
        )
    )
    info = transport.map_info(fd)
    assert info == MapInfo(
        type=MapType.HASH,
        id=info.id,
        key_size=4,
        value_size=4,
        max_entries=9,
        map_flags=1,
        name=b"foo.1".ljust(16, b"\0"),
        btf_id=transport.btf_info(btf).id,
        btf_key_type_id=1,
        btf_value_type_id=1,
    )


@pytest.mark.parametrize(
    ("map_type", "ids", "sizes", "want"),
    [
        (MapType.HASH, (1, 1), (4, 4), ""),
        (MapType.HASH, (0, 1), (4, 4), "EINVAL"),
        (MapType.HASH, (1, 0), (4, 4), "EINVAL"),
        (MapType.HASH, (1, 1), (8, 4), "EINVAL"),
        (MapType.HASH, (1, 1), (4, 8), "EINVAL"),
        (MapType.HASH, (1, 99), (4, 4), "EINVAL"),
        (MapType.HASH, (1, MAIN), (4, 4), "EINVAL"),
        (MapType.ARRAY, (1, 1), (4, 4), ""),
        (MapType.ARRAY, (0, 1), (4, 4), "EINVAL"),
        (MapType.PROG_ARRAY, (1, 1), (4, 4), ""),
        (MapType.LPM_TRIE, (1, 1), (4, 4), "EINVAL"),
    ],
    ids=lambda v: v.name if isinstance(v, MapType) else "",
)
def test_btf_of_maps(
    transport: Calls, map_type: MapType, ids: tuple[int, int], sizes: tuple[int, int], want: str
) -> None:
    btf = transport.btf(BTF)
    fields = {"btf_fd": btf, "btf_key_type_id": ids[0], "btf_value_type_id": ids[1]}
    assert transport.err(transport.map, map_type, *sizes, **fields) == want


def test_prog_info(transport: Calls) -> None:
    array = transport.map(MapType.ARRAY)
    fd = transport.prog(count_in_array(array), prog_name=b"hey")
    info = transport.prog_info(fd)
    assert info.name == b"hey".ljust(16, b"\0")
    assert (info.type, info.gpl_compatible, info.nr_map_ids, info.verified_insns) == (ProgType.SOCKET_FILTER, 1, 1, 10)
    assert (info.func_info_rec_size, info.line_info_rec_size, info.nr_prog_tags) == (8, 16, 1)
    assert info.load_time > 0
    number = transport.map_info(array).id
    for room, want in ((0, ()), (1, (number,)), (5, (number,))):
        ids = Buf(b"\xff" * 20)
        got = transport.info(fd, ProgInfo(map_ids=ids.addr, nr_map_ids=room))
        assert got.nr_map_ids == 1
        assert ids.raw == words(*want).ljust(20, b"\xff")
    for pointer in (0, 8):
        assert transport.err(transport.info, fd, ProgInfo(map_ids=pointer, nr_map_ids=1)) == "EFAULT"


def test_tags_are_those_of_linux(transport: Calls) -> None:
    """Written down from 6.18: a tag depends on the code alone, not on fds."""
    first, second = transport.map(MapType.ARRAY), transport.map(MapType.ARRAY)
    tags = {transport.prog_info(transport.prog(count_in_array(fd))).tag.hex() for fd in (first, second)}
    assert tags == {"cb72398717d03cb1"}
    assert transport.prog_info(transport.prog(RETURN_0)).tag.hex() == "59f4a931744dcdc6"


def test_xlated_instructions(transport: Calls) -> None:
    fd = transport.map()
    code = [*lddw_map(1, fd), *ret(5)]
    prog = transport.prog(code)
    length = transport.prog_info(prog).xlated_prog_len
    assert length == 32
    for room in (8, 12, 32, 100):
        buffer = Buf(b"\xff" * 104)
        got = transport.info(prog, ProgInfo(xlated_prog_insns=buffer.addr, xlated_prog_len=room))
        assert got.xlated_prog_len == 32
        assert set(buffer.raw[min(room, 32) :]) <= {0xFF}
    insns = decode(buffer.raw[:32])
    assert insns[0] == Insn(0x18, 1, 1, 0, transport.map_info(fd).id)
    assert insns[2:] == ret(5)
    assert transport.err(transport.info, prog, ProgInfo(xlated_prog_insns=8, xlated_prog_len=8)) == "EFAULT"


# --- func_info and line_info

CALLS = [Insn(0x85, 0, 1, 0, 1), Insn(0x95), *RETURN_0]


def load(calls: Calls, code: list[Insn], func: bytes = b"", line: bytes = b"", **more: Any) -> tuple[str, str, Any]:
    """errno, log, attr."""
    log, func_buf, line_buf = Buf(4096), Buf(func), Buf(line)
    fields = {"prog_btf_fd": calls.btf(BTF), "log_level": 1, "log_size": 4096, "log_buf": log.addr}
    if func:
        size = more.get("func_info_rec_size", 8)
        fields |= {"func_info": func_buf.addr, "func_info_cnt": len(func) // size, "func_info_rec_size": size}
    if line:
        size = more.get("line_info_rec_size", 16)
        fields |= {"line_info": line_buf.addr, "line_info_cnt": len(line) // size, "line_info_rec_size": size}
    attr = calls.load_attr(code, ProgType.SOCKET_FILTER, **{**fields, **more})
    answer = calls.err(calls.fd, Cmd.PROG_LOAD, attr)
    return answer, log.text.split("processed ")[0], attr


@pytest.mark.parametrize(
    ("code", "func", "line", "more", "want", "text"),
    [
        pytest.param(RETURN_0, words(0, MAIN), LINE0, {}, "", "", id="good"),
        pytest.param(RETURN_0, b"", LINE0, {}, "", "", id="lines alone"),
        pytest.param(
            RETURN_0, words(0, MAIN), b"", {"func_info_rec_size": 4}, "EINVAL", "invalid func info rec size 4\n", id="4"
        ),
        pytest.param(RETURN_0, words(0, MAIN, 0), b"", {"func_info_rec_size": 12}, "", "", id="longer records"),
        pytest.param(
            RETURN_0,
            words(0, MAIN, 1),
            b"",
            {"func_info_rec_size": 12},
            "E2BIG",
            "nonzero tailing record in func info",
            id="longer records that say something",
        ),
        pytest.param(
            RETURN_0, words(1, MAIN), b"", {}, "EINVAL", "nonzero insn_off 1 for the first func info record", id="off 1"
        ),
        pytest.param(
            CALLS,
            words(0, MAIN, 0, SUB),
            b"",
            {},
            "EINVAL",
            "same or smaller insn offset (0) than previous func info record (0)",
            id="order",
        ),
        pytest.param(RETURN_0, words(0, 1), b"", {}, "EINVAL", "invalid type id 1 in func info", id="an int"),
        pytest.param(RETURN_0, words(0, 99), b"", {}, "EINVAL", "invalid type id 99 in func info", id="no type"),
        pytest.param(
            RETURN_0,
            words(0, MAIN, 1, SUB),
            b"",
            {},
            "EINVAL",
            "number of funcs in func_info doesn't match number of subprogs\n",
            id="too many",
        ),
        pytest.param(
            CALLS,
            words(0, MAIN, 3, SUB),
            b"",
            {},
            "EINVAL",
            "func_info BTF section doesn't match subprog layout in BPF program\n",
            id="not where a function begins",
        ),
        pytest.param(RETURN_0, words(0, MAIN), b"", {"func_info": 8}, "EFAULT", "", id="nowhere"),
        pytest.param(RETURN_0, words(0, MAIN), b"", {"prog_btf_fd": NOWHERE}, "EBADF", "", id="no BTF"),
        pytest.param(
            RETURN_0,
            words(0, MAIN),
            words(5, 1, 1, 1),
            {},
            "EINVAL",
            "Invalid line_info[0].insn_off:5 (prev_offset:0 prog->len:2)\n",
            id="line behind the end",
        ),
        pytest.param(
            RETURN_0,
            words(0, MAIN),
            words(0, 9999, 1, 1),
            {},
            "EINVAL",
            "Invalid line_info[0].line_off or .file_name_off\n",
            id="line without a name",
        ),
        pytest.param(
            RETURN_0,
            words(0, MAIN),
            words(1, 1, 1, 1),
            {},
            "EINVAL",
            "missing bpf_line_info for func#0\n",
            id="function without a line",
        ),
        pytest.param(RETURN_0, words(0, MAIN), words(0, 1, 1, 1), {"line_info_rec_size": 12}, "EINVAL", "", id="12"),
        pytest.param(
            RETURN_0,
            words(0, MAIN),
            words(0, 1, 1, 1, 9),
            {"line_info_rec_size": 20},
            "E2BIG",
            "nonzero tailing record in line_info",
            id="longer lines that say something",
        ),
    ],
)
def test_func_and_line_info(
    transport: Calls, code: list[Insn], func: bytes, line: bytes, more: dict[str, int], want: str, text: str
) -> None:
    answer, log, attr = load(transport, code, func, line, **more)
    assert (answer, log) == (want, text)
    if want == "E2BIG":  # the size that the kernel knows
        assert (attr.func_info_rec_size, attr.line_info_rec_size) == (8, 16 if line else 0)


def test_func_and_line_info_come_back(transport: Calls) -> None:
    lines = LINE0 + words(2, 1, 1, 2 << 10)
    load(transport, CALLS, words(0, MAIN, 2, SUB), lines)
    fd = transport.fds[-1]
    info = transport.prog_info(fd)
    assert (info.nr_func_info, info.nr_line_info, info.nr_prog_tags) == (2, 2, 2)
    assert info.btf_id
    func, line, tags = Buf(16), Buf(32), Buf(16)
    transport.info(fd, ProgInfo(func_info=func.addr, nr_func_info=5, func_info_rec_size=8))
    transport.info(fd, ProgInfo(line_info=line.addr, nr_line_info=5, line_info_rec_size=16))
    transport.info(fd, ProgInfo(prog_tags=tags.addr, nr_prog_tags=5))
    assert (func.raw, line.raw) == (words(0, MAIN, 2, SUB), lines)
    assert tags.raw.hex() == "3765c04ba09fff2859f4a931744dcdc6"
    wrong = ProgInfo(func_info=func.addr, nr_func_info=2, func_info_rec_size=16)
    assert transport.err(transport.info, fd, wrong) == "EINVAL"


# --- BTF_LOAD


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({}, ""),
        ({"btf_size": 0}, "EINVAL"),
        ({"btf_size": 10}, "EINVAL"),
        ({"btf": 0}, "EFAULT"),
        ({"btf_size": (1 << 24) + 1}, "E2BIG"),
        ({"btf_size": 1 << 25, "btf_log_level": 16}, "E2BIG"),
        ({"btf_flags": 1}, "EINVAL"),
        ({"btf_flags": 1 << 16, "btf_token_fd": NOWHERE}, "EBADF"),
        ({"btf_token_fd": 9}, ""),
        ({"btf_log_level": 16}, "EINVAL"),
        ({"btf_log_level": 1}, ""),
        ({"btf_log_level": 1, "btf_log_size": 16}, "EINVAL"),
        ({"btf": 0, "btf_log_level": 16}, "EINVAL"),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, dict) else "",
)
def test_btf_load_fields(transport: Calls, fields: dict[str, int], want: str) -> None:
    data = Buf(BTF)
    attr = BtfLoadAttr(**{"btf": data.addr, "btf_size": len(BTF), **fields})
    assert transport.err(transport.fd, Cmd.BTF_LOAD, attr) == want


@pytest.mark.parametrize(
    "data",
    [
        bytes(100),
        blob(b"", b""),
        blob(b""),
        BTF[:23],
        blob(INT + words(0, 8 << 24, 1)),
        blob(INT + words(0, 2 << 24, 99)),
    ],
    ids=["zeroes", "no data", "no types", "no header", "a typedef without a name", "a pointer to nothing"],
)
def test_bad_btf(transport: Calls, data: bytes) -> None:
    assert transport.err(transport.btf, data) == "EINVAL"


def test_btf_info(transport: Calls) -> None:
    fd = transport.btf(BTF)
    out = Buf(b"\xff" * 256)
    for room in (0, 8, len(BTF), 256):
        got = transport.info(fd, BtfInfo(btf=out.addr, btf_size=room))
        assert got.btf_size == len(BTF)
        assert out.raw[:room] == BTF[:room].ljust(room, b"\xff")
    text = Buf(b"\xff" * 8)
    got = transport.info(fd, BtfInfo(name=text.addr, name_len=8))
    assert (got.name_len, got.kernel_btf, text.raw[:1]) == (0, 0, b"\0")
    assert transport.err(transport.info, fd, BtfInfo(name=text.addr)) == "EINVAL"
    assert transport.err(transport.info, fd, BtfInfo(name_len=5)) == "EINVAL"
    assert transport.err(transport.info, fd, BtfInfo(btf=8, btf_size=4)) == "EFAULT"


# --- pins without a bpffs, links without a target


def test_pin_arguments(transport: Calls, tmp_path: Any) -> None:
    fd = transport.map()
    path = Buf(str(tmp_path / "x").encode() + b"\0")

    def pin(where: int | str, *fields: int) -> str:
        text = Buf(where.encode() + b"\0") if isinstance(where, str) else None
        at = text.addr if text is not None else where
        return transport.err(transport.bpf, Cmd.OBJ_PIN, ObjPinAttr(at, *fields))

    assert pin(path.addr, NOWHERE) == "EINVAL"
    assert pin(path.addr, 0) == "EINVAL"
    assert pin(0, NOWHERE) == "EINVAL"
    assert pin(0, fd) == "EFAULT"
    assert pin(8, fd) == "EFAULT"
    assert pin(path.addr, fd, 8) == "EINVAL"
    assert pin("", fd) == "ENOENT"
    assert pin(str(tmp_path / "no" / "x"), fd) == "ENOENT"
    assert pin("a" * 5000, fd) == "ENAMETOOLONG"
    assert pin(f"{tmp_path}/{'a' * 256}", fd) == "ENAMETOOLONG"
    assert pin(str(tmp_path), fd) == "EEXIST"


def test_get_arguments(transport: Calls, tmp_path: Any) -> None:
    path = Buf(str(tmp_path / "x").encode() + b"\0")
    folder, file = Buf(str(tmp_path).encode() + b"\0"), Buf(b"/etc/passwd\0")

    def get(*fields: int) -> str:
        return transport.err(transport.fd, Cmd.OBJ_GET, ObjPinAttr(*fields))

    assert get(path.addr) == "ENOENT"
    assert get(folder.addr) == "EACCES"
    assert get(file.addr) == "EACCES"
    assert get(0) == "EFAULT"
    for wrong in ((path.addr, 0, 24), (path.addr, 0, 1), (path.addr, 5), (path.addr, 0, 0, 7)):
        assert get(*wrong) == "EINVAL"


def test_what_libbpf_asks_of_links(transport: Calls) -> None:
    def create(**fields: int) -> str:
        return transport.err(transport.fd, Cmd.LINK_CREATE, LinkCreateAttr(**fields))

    assert create(prog_fd=0xFFFFFFFF) == "EBADF"
    assert create(prog_fd=transport.map()) == "EINVAL"
    assert create(prog_fd=transport.prog(RETURN_0, ProgType.XDP), target_fd=9999, attach_type=37) == "EINVAL"
