"""What is the same for all objects: ids, info, pins."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from userbpf.abi.attrs import GetIdAttr, ObjInfoAttr, ObjPinAttr
from userbpf.abi.consts import BPF_F_PATH_FD, BPF_F_RDONLY, BPF_F_WRONLY
from userbpf.abi.enums import Cmd
from userbpf.abi.info import BtfInfo, FuncInfo, LineInfo, LinkInfo, MapInfo, ProgInfo
from userbpf.abi.layout import Layout
from userbpf.errors import BpfError
from userbpf.isa.insn import encode
from userbpf.kernel import Kernel, bpffs
from userbpf.kernel.fds import open_mode
from userbpf.kernel.objects import BtfObj, IdTable, KernelObject, LinkObj, MapObj, ProgObj
from userbpf.kernel.usermem import read_string
from userbpf.spec.limits import PAGE_SIZE
from userbpf.syscall.attrs import UserAttr

INT_MAX: Final = (1 << 31) - 1
PATH_MAX: Final = 4096
NEXT_ID_OFF: Final = GetIdAttr.offset_of("next_id")
INFO_LEN_OFF: Final = ObjInfoAttr.offset_of("info_len")
ACCESS_FLAGS: Final = BPF_F_RDONLY | BPF_F_WRONLY

TABLES: Final[dict[Cmd, Callable[[Kernel], IdTable[Any]]]] = {
    Cmd.PROG_GET_NEXT_ID: lambda k: k.progs,
    Cmd.MAP_GET_NEXT_ID: lambda k: k.maps,
    Cmd.BTF_GET_NEXT_ID: lambda k: k.btfs,
    Cmd.LINK_GET_NEXT_ID: lambda k: k.links,
    Cmd.PROG_GET_FD_BY_ID: lambda k: k.progs,
    Cmd.MAP_GET_FD_BY_ID: lambda k: k.maps,
    Cmd.BTF_GET_FD_BY_ID: lambda k: k.btfs,
    Cmd.LINK_GET_FD_BY_ID: lambda k: k.links,
}


# --- ids ---------------------------------------------------------------------------------------------------------------


def get_next_id(table: Callable[[Kernel], IdTable[Any]]) -> Callable[[Kernel, GetIdAttr, UserAttr], int]:
    """The *_GET_NEXT_ID of one kind."""

    def handler(kernel: Kernel, attr: GetIdAttr, out: UserAttr) -> int:
        if attr.start_id >= INT_MAX:
            raise BpfError(errno.EINVAL)
        if not kernel.caps.sys_admin:
            raise BpfError(errno.EPERM)
        out.put_u32(NEXT_ID_OFF, kernel.next_id(table(kernel), attr.start_id))
        return 0

    return handler


def get_fd_by_id(table: Callable[[Kernel], IdTable[Any]]) -> Callable[[Kernel, GetIdAttr, UserAttr], int]:
    """The *_GET_FD_BY_ID of one kind; only maps take BPF_F_RDONLY and BPF_F_WRONLY."""

    def handler(kernel: Kernel, attr: GetIdAttr, out: UserAttr) -> int:
        if attr.open_flags & ~ACCESS_FLAGS:
            raise BpfError(errno.EINVAL)
        if not kernel.caps.sys_admin:
            raise BpfError(errno.EPERM)
        mode = open_mode(attr.open_flags)
        return kernel.new_fd(kernel.by_id(table(kernel), attr.start_id), mode)

    return handler


# --- info --------------------------------------------------------------------------------------------------------------


class InfoOut:
    """The info struct of the caller: read first, because it says which lists it has room for, then replaced."""

    def __init__(self, kernel: Kernel, attr: ObjInfoAttr, out: UserAttr, cls: type[Layout]) -> None:
        self.memory = kernel.memory
        self.addr = attr.info
        self.cls = cls
        self.out = out
        asked = attr.info_len
        if asked > PAGE_SIZE:
            raise BpfError(errno.E2BIG)
        raw = self.memory.read(self.addr, asked)
        if any(raw[cls.SIZE :]):
            raise BpfError(errno.E2BIG)
        self.length = min(asked, cls.SIZE)
        self.given: Any = cls.decode(raw[: cls.SIZE].ljust(cls.SIZE, b"\0"))

    def put_list(self, pointer: str, count: str, data: bytes, item: int, info: Any) -> None:
        """Copy as many items as the caller has room for, and tell how many there are. The pointer stays."""
        room = getattr(self.given, count)
        addr = getattr(self.given, pointer)
        have = len(data) // item
        setattr(info, pointer, addr)
        setattr(info, count, have)
        if room and have:
            self.memory.write(addr, data[: min(room, have) * item])

    def finish(self, info: Layout) -> None:
        self.memory.write(self.addr, info.encode()[: self.length])
        self.out.put_u32(INFO_LEN_OFF, self.length)


def map_info(kernel: Kernel, obj: MapObj, info_out: InfoOut) -> int:
    """struct bpf_map_info."""
    shape = obj.map
    info_out.finish(
        MapInfo(
            type=shape.map_type,
            id=obj.id,
            key_size=shape.key_size,
            value_size=shape.value_size,
            max_entries=shape.max_entries,
            map_flags=shape.map_flags,
            name=obj.name.encode("latin-1"),
            btf_vmlinux_value_type_id=obj.vmlinux_value_type_id,
            btf_id=obj.btf.id if obj.btf is not None else 0,
            btf_key_type_id=shape.btf_key_type_id,
            btf_value_type_id=shape.btf_value_type_id,
            map_extra=shape.map_extra,
        )
    )
    return 0


def prog_info(kernel: Kernel, obj: ProgObj, info_out: InfoOut) -> int:
    """struct bpf_prog_info. There is no machine code to be shown: jited_prog_len stays 0."""
    from userbpf.syscall.prog import xlated

    given = info_out.given
    record = obj.record
    info = ProgInfo(
        type=record.prog_type,
        id=obj.id,
        tag=obj.tag,
        load_time=obj.load_time_ns,
        created_by_uid=obj.created_by_uid,
        name=obj.name.encode("latin-1"),
        gpl_compatible=int(obj.gpl_compatible),
        btf_id=obj.btf.id if obj.btf is not None else 0,
        func_info_rec_size=FuncInfo.SIZE,
        line_info_rec_size=LineInfo.SIZE,
        jited_line_info_rec_size=8,
        run_time_ns=obj.run_time_ns,
        run_cnt=obj.run_cnt,
        verified_insns=obj.verified.stats.insns_processed,
        attach_btf_id=record.attach_btf_id,
        attach_btf_obj_id=obj.attach_btf.id if obj.attach_btf is not None else 0,
    )
    ids = b"".join(each.id.to_bytes(4, "little") for each in obj.maps)
    info_out.put_list("map_ids", "nr_map_ids", ids, 4, info)
    code = encode(xlated(obj))
    info.xlated_prog_insns = given.xlated_prog_insns
    if given.xlated_prog_len:
        kernel.memory.write(given.xlated_prog_insns, code[: given.xlated_prog_len])
    info.xlated_prog_len = len(code)
    for wanted, have in ((given.func_info_rec_size, FuncInfo.SIZE), (given.line_info_rec_size, LineInfo.SIZE)):
        listed = given.nr_func_info if have == FuncInfo.SIZE else given.nr_line_info
        if listed and wanted != have:
            raise BpfError(errno.EINVAL)
    info_out.put_list("func_info", "nr_func_info", record.func_info, FuncInfo.SIZE, info)
    info_out.put_list("line_info", "nr_line_info", record.line_info, LineInfo.SIZE, info)
    info_out.put_list("prog_tags", "nr_prog_tags", b"".join(obj.subprog_tags()), 8, info)
    info_out.finish(info)
    return 0


def btf_info(kernel: Kernel, obj: BtfObj, info_out: InfoOut) -> int:
    """struct bpf_btf_info; a name that does not fit is cut, and the call answers ENOSPC all the same."""
    given = info_out.given
    if bool(given.name) != bool(given.name_len):
        raise BpfError(errno.EINVAL)
    kernel.memory.write(given.btf, obj.data[: given.btf_size])
    name = obj.name.encode()
    short = bool(given.name_len) and given.name_len <= len(name)
    if given.name_len:
        kernel.memory.write(given.name, name[: given.name_len - 1] + b"\0")
    info_out.finish(
        BtfInfo(
            btf=given.btf,
            btf_size=len(obj.data),
            id=obj.id,
            name=given.name,
            name_len=len(name),
            kernel_btf=int(obj.kernel_btf),
        )
    )
    return errno.ENOSPC if short else 0


def link_info(kernel: Kernel, obj: LinkObj, info_out: InfoOut) -> int:
    """struct bpf_link_info."""
    info_out.finish(LinkInfo(type=obj.link_type, id=obj.id, prog_id=obj.prog.id, union_16=obj.extra))
    return 0


INFOS: Final[dict[type[KernelObject], tuple[type[Layout], Callable[[Kernel, Any, InfoOut], int]]]] = {
    MapObj: (MapInfo, map_info),
    ProgObj: (ProgInfo, prog_info),
    BtfObj: (BtfInfo, btf_info),
    LinkObj: (LinkInfo, link_info),
}


def obj_get_info_by_fd(kernel: Kernel, attr: ObjInfoAttr, out: UserAttr) -> int:
    """Fill the caller's info struct, as much of it as the caller knows."""
    try:
        obj = kernel.object_of_fd(attr.bpf_fd)
    except BpfError:
        raise BpfError(errno.EBADFD) from None
    if obj is None:
        raise BpfError(errno.EINVAL)
    cls, fill = INFOS[type(obj)]
    code = fill(kernel, obj, InfoOut(kernel, attr, out, cls))
    if code:
        raise BpfError(code)
    return 0


# --- pins --------------------------------------------------------------------------------------------------------------


def _path(kernel: Kernel, attr: ObjPinAttr) -> str:
    """The path, relative to path_fd where that is given; EFAULT, ENOENT for "", ENAMETOOLONG."""
    raw = read_string(kernel.memory, attr.pathname, PATH_MAX)
    if not raw:
        raise BpfError(errno.ENOENT)
    if len(raw) >= PATH_MAX:
        raise BpfError(errno.ENAMETOOLONG)
    text = os.fsdecode(raw)
    if not attr.file_flags & BPF_F_PATH_FD or os.path.isabs(text):
        return text
    if attr.path_fd < 0:  # AT_FDCWD
        return text
    return os.path.join(f"/proc/self/fd/{attr.path_fd}", text)


def obj_pin(kernel: Kernel, attr: ObjPinAttr, out: UserAttr) -> int:
    """Give an object a path."""
    if attr.file_flags & ~BPF_F_PATH_FD or (attr.path_fd and not attr.file_flags & BPF_F_PATH_FD):
        raise BpfError(errno.EINVAL)
    try:
        obj = kernel.object_of_fd(attr.bpf_fd)
    except BpfError:
        raise BpfError(errno.EINVAL) from None
    if obj is None or isinstance(obj, BtfObj):
        raise BpfError(errno.EINVAL)
    bpffs.pin(kernel, obj, _path(kernel, attr))
    return 0


def obj_get(kernel: Kernel, attr: ObjPinAttr, out: UserAttr) -> int:
    """An fd of the object that a path names."""
    if attr.bpf_fd or attr.file_flags & ~(ACCESS_FLAGS | BPF_F_PATH_FD):
        raise BpfError(errno.EINVAL)
    if attr.path_fd and not attr.file_flags & BPF_F_PATH_FD:
        raise BpfError(errno.EINVAL)
    mode = open_mode(attr.file_flags)
    path = _path(kernel, attr)
    found = bpffs.get(kernel, path, mode)
    if isinstance(found, int):
        return found
    from userbpf.syscall.reload import load_pinned

    return load_pinned(kernel, found, path)


HANDLERS: Final[dict[Cmd, Callable[..., int]]] = {
    **{cmd: get_next_id(table) for cmd, table in TABLES.items() if cmd.name.endswith("NEXT_ID")},
    **{cmd: get_fd_by_id(table) for cmd, table in TABLES.items() if cmd.name.endswith("BY_ID")},
    Cmd.OBJ_GET_INFO_BY_FD: obj_get_info_by_fd,
    Cmd.OBJ_PIN: obj_pin,
    Cmd.OBJ_GET: obj_get,
}
