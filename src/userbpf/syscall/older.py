"""The door of an older kernel: what BPF_MAP_CREATE, BPF_PROG_LOAD and BPF_BTF_LOAD answer to what it does not know yet.

Asked before the handler of a command, where the kernel's profile is not the reference's. A field that the release has not is
E2BIG where its attr was the longest of the union (BPF_PROG_LOAD), else EINVAL; an unknown command, flag, type or attach type
is EINVAL, an unknown kind of BTF too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from errno import E2BIG, EINVAL
from typing import Any, Final

from userbpf.abi import consts
from userbpf.abi.attrs import BtfLoadAttr, MapCreateAttr, ProgLoadAttr
from userbpf.abi.defines import BTF_MAGIC, BtfKind
from userbpf.abi.enums import AttachType, Cmd, MapType, ProgType
from userbpf.errors import BpfError
from userbpf.kernel import Kernel
from userbpf.spec.profiles import Profile
from userbpf.spec.profiles.needs import PROG_FLAGS
from userbpf.spec.progs import PROGS, ProgRow

_MAP_FLAG_NAMES: Final = (
    *("BPF_F_NO_PREALLOC", "BPF_F_NO_COMMON_LRU", "BPF_F_NUMA_NODE", "BPF_F_RDONLY", "BPF_F_WRONLY"),
    *("BPF_F_STACK_BUILD_ID", "BPF_F_ZERO_SEED", "BPF_F_RDONLY_PROG", "BPF_F_WRONLY_PROG", "BPF_F_CLONE"),
    *("BPF_F_MMAPABLE", "BPF_F_PRESERVE_ELEMS", "BPF_F_INNER_MAP", "BPF_F_LINK", "BPF_F_PATH_FD"),
    *("BPF_F_VTYPE_BTF_OBJ_FD", "BPF_F_TOKEN_FD", "BPF_F_SEGV_ON_FAULT", "BPF_F_NO_USER_CONV"),
)
MAP_FLAGS: Final[Mapping[int, str]] = {getattr(consts, name): name for name in _MAP_FLAG_NAMES}
KINDS: Final[Mapping[BtfKind, str]] = {
    BtfKind.FLOAT: "btf_float",
    BtfKind.DECL_TAG: "btf_decl_tag",
    BtfKind.TYPE_TAG: "btf_type_tag",
    BtfKind.ENUM64: "btf_enum64",
}


def check(kernel: Kernel, cmd: Cmd, attr: Any) -> None:
    """Raise what the kernel's release answers to a command that its successors would take."""
    profile = kernel.profile
    if not profile.knows("command", cmd.name):
        raise BpfError(EINVAL)
    for name in profile.new_attr_fields(cmd.name):
        if any(value) if isinstance(value := getattr(attr, name), bytes) else value:
            raise BpfError(E2BIG if cmd is Cmd.PROG_LOAD else EINVAL)
    asked = CHECKS.get(cmd)
    if asked is not None:
        asked(kernel, profile, attr)


def check_map(kernel: Kernel, profile: Profile, attr: MapCreateAttr) -> None:
    """Type and flags of a map."""
    if not _known(profile, "map_type", MapType, attr.map_type):
        raise BpfError(EINVAL)
    if _unknown_flags(profile, MAP_FLAGS, attr.map_flags):
        raise BpfError(EINVAL)


def check_prog(kernel: Kernel, profile: Profile, attr: ProgLoadAttr) -> None:
    """Flags, type and expected attach type of a program."""
    if _unknown_flags(profile, PROG_FLAGS, attr.prog_flags):
        raise BpfError(EINVAL)
    if not _known(profile, "prog_type", ProgType, attr.prog_type):
        raise BpfError(EINVAL)
    row: ProgRow | None = PROGS.get(attr.prog_type)  # type: ignore[call-overload]
    if row is None or (row.attach is None and not row.btf_target):
        return  # the type does not look at it
    if not _known(profile, "attach_type", AttachType, attr.expected_attach_type):
        raise BpfError(EINVAL)


def check_btf(kernel: Kernel, profile: Profile, attr: BtfLoadAttr) -> None:
    """Kinds of types."""
    if attr.btf_size > 1 << 24:
        return
    wrong = unknown_type(profile, kernel.memory.read(attr.btf, attr.btf_size))
    if wrong is not None:
        raise BpfError(EINVAL, wrong, log=wrong)


CHECKS: Final[dict[Cmd, Callable[[Kernel, Profile, Any], None]]] = {
    Cmd.MAP_CREATE: check_map,
    Cmd.PROG_LOAD: check_prog,
    Cmd.BTF_LOAD: check_btf,
}


def _known(profile: Profile, kind: Any, enum: Any, number: int) -> bool:
    """Numbers that no release knows are left to the handler."""
    try:
        name: str = enum(number).name
    except ValueError:
        return True
    return profile.knows(kind, name)


def _unknown_flags(profile: Profile, names: Mapping[int, str], flags: int) -> bool:
    return any(flags & value and not profile.knows("flag", name) for value, name in names.items())


# --- BTF -------------------------------------------------------------------------------------------------------------------

EXTRA: Final = {BtfKind.INT: 4, BtfKind.ARRAY: 12, BtfKind.VAR: 4, BtfKind.DECL_TAG: 4}
PER_ITEM: Final = {
    BtfKind.STRUCT: 12,
    BtfKind.UNION: 12,
    BtfKind.ENUM: 8,
    BtfKind.FUNC_PROTO: 8,
    BtfKind.DATASEC: 12,
    BtfKind.ENUM64: 12,
}


def unknown_type(profile: Profile, data: bytes) -> str | None:
    """What an older kernel says of the first type that it does not know; None where it knows all, or cannot read it."""
    if len(data) < 24:
        return None
    magic, _, _, hdr_len, type_off, type_len, _, _ = struct.unpack_from("<HBBIIIII", data)
    if magic != BTF_MAGIC or hdr_len + type_off + type_len > len(data):
        return None
    at, end, number = hdr_len + type_off, hdr_len + type_off + type_len, 0
    while at + 12 <= end:
        number += 1
        _, info, _ = struct.unpack_from("<III", data, at)
        try:
            kind = BtfKind(info >> 24 & 31)
        except ValueError:
            return None
        if kind in KINDS and not profile.has(KINDS[kind]):
            return f"[{number}] Invalid kind:{int(kind)}"
        if kind is BtfKind.FUNC and info & 0xFFFF and not profile.has("btf_func_global"):
            return f"[{number}] vlen != 0"
        at += 12 + EXTRA.get(kind, 0) + PER_ITEM.get(kind, 0) * (info & 0xFFFF)
    return None
