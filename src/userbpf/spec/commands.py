"""COMMANDS: one row a bpf(2) command: which attr it reads, up to which field, and whether it runs here.

The last field matters: a byte behind it that is not 0 is EINVAL, so it is how Linux tells an old kernel from a new client.
Commands that Linux does not know are EINVAL. Ends of attrs were asked of 6.18 by setting one byte at a time (commands that
attach excepted).
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EINVAL
from typing import Final, Literal

from userbpf.abi import attrs
from userbpf.abi.enums import Cmd
from userbpf.abi.layout import Layout

Status = Literal["run", "absent"]
UNKNOWN_CMD_ERRNO: Final = EINVAL


@dataclass(frozen=True, slots=True)
class CmdRow:
    """What is known of one command. `errno` is the answer where it is absent."""

    cmd: Cmd
    attr_class: str
    last_field: str
    status: Status = "run"
    errno: int = 0

    @property
    def attr(self) -> type[Layout]:
        """The attr class."""
        found: type[Layout] = getattr(attrs, self.attr_class)
        return found

    @property
    def end(self) -> int:
        """First byte behind the last field."""
        for name, off, size in self.attr.fields:
            if name == self.last_field:
                return off + size
        raise KeyError(self.last_field)


def _run(cmd: Cmd, attr_class: str, last_field: str) -> CmdRow:
    return CmdRow(cmd, attr_class, last_field)


def _absent(cmd: Cmd, attr_class: str, last_field: str) -> CmdRow:
    return CmdRow(cmd, attr_class, last_field, "absent", EINVAL)


_ROWS: Final = (
    _run(Cmd.MAP_CREATE, "MapCreateAttr", "excl_prog_hash_size"),
    _run(Cmd.MAP_LOOKUP_ELEM, "MapLookupElemAttr", "flags"),
    _run(Cmd.MAP_UPDATE_ELEM, "MapUpdateElemAttr", "flags"),
    _run(Cmd.MAP_DELETE_ELEM, "MapDeleteElemAttr", "key"),
    _run(Cmd.MAP_GET_NEXT_KEY, "MapGetNextKeyAttr", "value"),  # next_key shares its place
    _run(Cmd.PROG_LOAD, "ProgLoadAttr", "keyring_id"),
    _run(Cmd.OBJ_PIN, "ObjPinAttr", "path_fd"),
    _run(Cmd.OBJ_GET, "ObjGetAttr", "path_fd"),
    _run(Cmd.PROG_ATTACH, "ProgAttachAttr", "expected_revision"),
    _run(Cmd.PROG_DETACH, "ProgDetachAttr", "expected_revision"),
    _run(Cmd.PROG_TEST_RUN, "ProgTestRunAttr", "batch_size"),
    _run(Cmd.PROG_GET_NEXT_ID, "ProgGetNextIdAttr", "next_id"),
    _run(Cmd.MAP_GET_NEXT_ID, "MapGetNextIdAttr", "next_id"),
    _run(Cmd.PROG_GET_FD_BY_ID, "ProgGetFdByIdAttr", "start_id"),  # prog_id shares its place
    _run(Cmd.MAP_GET_FD_BY_ID, "MapGetFdByIdAttr", "open_flags"),
    _run(Cmd.OBJ_GET_INFO_BY_FD, "ObjGetInfoByFdAttr", "info"),
    _run(Cmd.PROG_QUERY, "ProgQueryAttr", "revision"),
    _run(Cmd.RAW_TRACEPOINT_OPEN, "RawTracepointAttr", "cookie"),
    _run(Cmd.BTF_LOAD, "BtfLoadAttr", "btf_token_fd"),
    _run(Cmd.BTF_GET_FD_BY_ID, "BtfGetFdByIdAttr", "fd_by_id_token_fd"),
    _absent(Cmd.TASK_FD_QUERY, "TaskFdQueryAttr", "probe_addr"),
    _run(Cmd.MAP_LOOKUP_AND_DELETE_ELEM, "MapLookupAndDeleteElemAttr", "flags"),
    _run(Cmd.MAP_FREEZE, "MapFreezeAttr", "map_fd"),
    _run(Cmd.BTF_GET_NEXT_ID, "BtfGetNextIdAttr", "next_id"),
    _run(Cmd.MAP_LOOKUP_BATCH, "MapLookupBatchAttr", "flags"),
    _run(Cmd.MAP_LOOKUP_AND_DELETE_BATCH, "MapLookupAndDeleteBatchAttr", "flags"),
    _run(Cmd.MAP_UPDATE_BATCH, "MapUpdateBatchAttr", "flags"),
    _run(Cmd.MAP_DELETE_BATCH, "MapDeleteBatchAttr", "flags"),
    _run(Cmd.LINK_CREATE, "LinkCreateAttr", "union_16"),  # up to uprobe_multi.pid
    _run(Cmd.LINK_UPDATE, "LinkUpdateAttr", "old_prog_fd"),
    _run(Cmd.LINK_GET_FD_BY_ID, "LinkGetFdByIdAttr", "start_id"),  # link_id shares its place
    _run(Cmd.LINK_GET_NEXT_ID, "LinkGetNextIdAttr", "next_id"),
    _run(Cmd.ENABLE_STATS, "EnableStatsAttr", "type"),
    _absent(Cmd.ITER_CREATE, "IterCreateAttr", "flags"),
    _run(Cmd.LINK_DETACH, "LinkDetachAttr", "link_fd"),
    _run(Cmd.PROG_BIND_MAP, "ProgBindMapAttr", "flags"),
    _absent(Cmd.TOKEN_CREATE, "TokenCreateAttr", "bpffs_fd"),
    _absent(Cmd.PROG_STREAM_READ_BY_FD, "ProgStreamReadAttr", "prog_fd"),
)

COMMANDS: Final[dict[Cmd, CmdRow]] = {row.cmd: row for row in _ROWS}
