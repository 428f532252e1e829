"""An object made fit for an older kernel, as far as that changes nothing for its programs.

A loader knows what its kernel lacks and hands over less: kinds of BTF types become older ones of the same size, so that the
numbers of all types stay; the readers of kernel and user memory become the one reader from before them. What a program really
needs stays in it, and the kernel refuses it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from userbpf.abi.defines import BtfKind
from userbpf.abi.enums import HelperId
from userbpf.isa.insn import Insn
from userbpf.spec.profiles import Profile

TYPE: Final = struct.Struct("<III")
EXTRA: Final = {BtfKind.INT: 4, BtfKind.ARRAY: 12, BtfKind.VAR: 4, BtfKind.DECL_TAG: 4}
PER_ITEM: Final = {
    BtfKind.STRUCT: 12,
    BtfKind.UNION: 12,
    BtfKind.ENUM: 8,
    BtfKind.FUNC_PROTO: 8,
    BtfKind.DATASEC: 12,
    BtfKind.ENUM64: 12,
}
KNOWN: Final = frozenset(map(int, BtfKind)) - {0}
BYTE: Final = 8  # what follows an INT: no encoding, offset 0, 8 bits
READERS: Final = {
    HelperId.probe_read_kernel: HelperId.probe_read,
    HelperId.probe_read_user: HelperId.probe_read,
    HelperId.probe_read_kernel_str: HelperId.probe_read_str,
    HelperId.probe_read_user_str: HelperId.probe_read_str,
}
CALL: Final = 0x85


def fit_btf(profile: Profile, data: bytes) -> bytes:
    """BTF without the kinds that the kernel does not know; the same bytes where it knows all."""
    if profile.has("btf_enum64") or len(data) < 24:
        return data
    out = bytearray(data)
    _, _, _, hdr_len, type_off, type_len, _, _ = struct.unpack_from("<HBBIIIII", data)
    starts: list[int] = []
    at, end = hdr_len + type_off, min(hdr_len + type_off + type_len, len(data))
    while at + TYPE.size <= end:
        starts.append(at)
        _, info, _ = TYPE.unpack_from(data, at)
        kind = info >> 24 & 31
        if kind not in KNOWN:
            return data  # for the kernel to refuse
        at += TYPE.size + EXTRA.get(BtfKind(kind), 0) + PER_ITEM.get(BtfKind(kind), 0) * (info & 0xFFFF)
    heads = (TYPE.unpack_from(data, at) for at in starts)
    name = next((n for n, info, _ in heads if info >> 24 & 31 == BtfKind.INT), 0)
    for number, at in enumerate(starts, 1):
        _fit_type(profile, out, at, number, starts, name)
    return bytes(out)


def _fit_type(profile: Profile, out: bytearray, at: int, number: int, starts: list[int], int_name: int) -> None:
    name, info, size = TYPE.unpack_from(out, at)
    kind, vlen = BtfKind(info >> 24 & 31), info & 0xFFFF
    if kind is BtfKind.FUNC and not profile.has("btf_func_global"):
        TYPE.pack_into(out, at, name, info & ~0xFFFF, size)
    elif kind is BtfKind.FLOAT and not profile.has("btf_float"):
        TYPE.pack_into(out, at, 0, BtfKind.STRUCT << 24, size)
    elif kind is BtfKind.TYPE_TAG and not profile.has("btf_type_tag"):
        TYPE.pack_into(out, at, 0, BtfKind.CONST << 24, size)
    elif kind is BtfKind.DECL_TAG and not profile.has("btf_decl_tag"):
        TYPE.pack_into(out, at, int_name, BtfKind.INT << 24, 1)
        struct.pack_into("<I", out, at + TYPE.size, BYTE)
    elif kind is BtfKind.ENUM and info >> 31 and not profile.has("btf_enum64"):
        TYPE.pack_into(out, at, name, info & 0x7FFFFFFF, size)
    elif kind is BtfKind.ENUM64 and not profile.has("btf_enum64"):
        member = _int_within(out, starts, size)
        TYPE.pack_into(out, at, name, BtfKind.UNION << 24 | vlen, size)
        for item in range(vlen):
            struct.pack_into("<II", out, at + TYPE.size + item * 12 + 4, member, 0)


def _int_within(out: bytearray, starts: list[int], size: int) -> int:
    """Some INT that fits; 0 (which the kernel then refuses) where there is none."""
    for number, at in enumerate(starts, 1):
        _, info, own = TYPE.unpack_from(out, at)
        if info >> 24 & 31 == BtfKind.INT and own <= size:
            return number
    return 0


def fit_insns(profile: Profile, insns: Sequence[Insn]) -> list[Insn]:
    """Calls of readers of memory that the kernel does not have yet."""
    if profile.knows("helper", HelperId.probe_read_kernel.name):
        return list(insns)
    out = []
    second = False
    for insn in insns:
        if not second and insn.code == CALL and insn.src == 0 and insn.imm in READERS:
            insn = insn._replace(imm=int(READERS[HelperId(insn.imm)]))
        second = not second and insn.code == 0x18
        out.append(insn)
    return out


def version_code(profile: Profile) -> int:
    """LINUX_KERNEL_VERSION of a release."""
    return profile.release[0] << 16 | profile.release[1] << 8
