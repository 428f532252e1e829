"""What a program may do with its context: the rows of `spec.ctx`, asked by offset and size and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import ProgType
from userbpf.spec.ctx import POINTEE, ctx_fields, find
from userbpf.spec.profiles import Profile
from userbpf.spec.progs import PROGS
from userbpf.verifier import btfptr
from userbpf.verifier.btfwalk import struct_named
from userbpf.verifier.regs import (
    FLOW_KEYS,
    MAYBE_NULL,
    PACKET,
    PACKET_END,
    PACKET_META,
    SCALAR,
    SOCK_COMMON,
    SOCKET,
    TCP_SOCK,
    TP_BUFFER,
    TRUSTED,
    UNKNOWN_REG,
    XDP_SOCK,
    ZERO,
    Reg,
)

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

KINDS: Final[dict[str, tuple[int, object]]] = {
    "scalar": (SCALAR, None),
    "pkt": (PACKET, 0),
    "pkt_meta": (PACKET_META, 0),
    "pkt_end": (PACKET_END, None),
    "flow_keys": (FLOW_KEYS, None),
    "tp_buffer": (TP_BUFFER, None),
    "sock": (SOCKET, 0),
    "sock_or_null": (SOCKET | MAYBE_NULL, 0),
    "sock_common": (SOCK_COMMON, 0),
    "sock_common_or_null": (SOCK_COMMON | MAYBE_NULL, 0),
    "tcp_sock": (TCP_SOCK, 0),
    "tcp_sock_or_null": (TCP_SOCK | MAYBE_NULL, 0),
    "xdp_sock": (XDP_SOCK, 0),
    "xdp_sock_or_null": (XDP_SOCK | MAYBE_NULL, 0),
}
_SOCK_NAME: Final = {SOCKET: "sock", SOCK_COMMON: "sock_common", TCP_SOCK: "tcp_sock", XDP_SOCK: "xdp_sock"}


class CtxRules:
    """The context of one program type and expected attach type."""

    __slots__ = ("_known", "fields")

    def __init__(self, prog_type: ProgType, attach_type: int, profile: Profile) -> None:
        self.fields = ctx_fields(prog_type, attach_type)
        if not profile.has_all:
            ctx_class = PROGS[prog_type].ctx_class
            self.fields = tuple(f for f in self.fields if profile.has_ctx_field(ctx_class, f.name))
        self._known: dict[tuple[int, int, bool], Reg | None] = {}

    def access(self, ck: Checker, off: int, size: int, write: bool, sx: bool) -> Reg | None:
        """What a read yields (for a write: anything); None where there is no such access."""
        key = (off, size, write)
        if key in self._known:
            reg = self._known[key]
        else:
            reg = self._known[key] = self._find(ck, off, size, write)
        if reg is not None and sx and reg[0] != SCALAR:
            return None
        return reg

    def _find(self, ck: Checker, off: int, size: int, write: bool) -> Reg | None:
        field = find(self.fields, off, size, write)
        if field is None:
            return None
        shape = KINDS.get(field.kind)
        if shape is None:
            return self._structure(ck, field.kind)
        if shape[0] == SCALAR:
            return UNKNOWN_REG
        return (shape[0], ZERO, 0, 0, shape[1])

    def _structure(self, ck: Checker, kind: str) -> Reg | None:
        """A pointer to a structure of the kernel: "trusted_ptr_sk_buff"."""
        btf = ck.kernel_btf()
        type_id = struct_named(btf, kind.removeprefix("trusted_ptr_"))
        if btf is None or not type_id:
            return UNKNOWN_REG
        return btfptr.pointer(btf, type_id, TRUSTED)


_sock_known: dict[tuple[int, int, int], bool] = {}


def sock_readable(kind: int, off: int, size: int) -> bool:
    """Whether a socket pointer of the kind has such a field."""
    key = (kind, off, size)
    found = _sock_known.get(key)
    if found is None:
        found = _sock_known[key] = find(POINTEE[_SOCK_NAME[kind]], off, size) is not None
    return found
