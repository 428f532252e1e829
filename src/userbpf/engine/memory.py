"""The memory model of the checked interpreter: which addresses a program may touch right now, and why.

Registers hold real addresses of this process, so the interpreter's checks are the only thing between a wrong program and
a crash. Every access must lie within one live *region*: a stack frame, a map value that a lookup handed out, a ring-buffer
record until it is submitted, ... Two kinds are found by asking rather than by listing: the packet, whose bounds are the
context words of this moment, and the context itself, which is a set of fields and no plain memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from userbpf.native.intrinsics import load8, load16, load32, load64, store8, store16, store32, store64
from userbpf.native.rt import CTX_DATA_END, CTX_DATA_META
from userbpf.spec.ctx import CtxField, find
from userbpf.verifier.api import PtrKind, Subprog, VerifiedProg

LOAD: Final = {1: load8, 2: load16, 4: load32, 8: load64}
STORE: Final = {1: store8, 2: store16, 4: store32, 8: store64}
STACK_SIZE: Final = 512
MAX_CTX: Final = 1 << 16
BTF_CTX_SIZE: Final = 12 * 8  # the arguments of a traced function

# What a fact of the verifier allows a region to be. MEM is memory of any kind that was handed on as plain bytes.
_PLAIN: Final = frozenset(
    {PtrKind.STACK, PtrKind.PACKET, PtrKind.MAP_VALUE, PtrKind.MEM, PtrKind.SOCK, PtrKind.FLOW_KEYS, PtrKind.BTF}
)
ALLOWED: Final[dict[PtrKind, frozenset[PtrKind]]] = {
    **{kind: frozenset({kind}) for kind in PtrKind},
    PtrKind.MEM: _PLAIN,
    PtrKind.MIXED: _PLAIN,
}


@dataclass(slots=True, eq=False)
class Region:
    """`size` bytes at `start`."""

    start: int
    size: int
    kind: PtrKind
    name: str
    writable: bool = True
    map: int | None = None  # index of the map a value belongs to

    def holds(self, addr: int, size: int) -> bool:
        """Whether all `size` bytes at `addr` belong to it."""
        return self.start <= addr and addr + size <= self.start + self.size

    def distance(self, addr: int) -> int:
        """Bytes between the address and the region."""
        return max(self.start - addr, addr - (self.start + self.size - 1), 0)

    def describe(self, addr: int) -> str:
        """The address as seen from the region."""
        off = addr - self.start
        where = f"{off:+d}" if off < 0 or off >= self.size else f"byte {off}"
        return f"{self.name} ({self.size} bytes, {where})"


def frame_depth(prog: VerifiedProg, sub: Subprog) -> int:
    """Bytes of frame that a function has, a multiple of 8: in compiled code there are no more."""
    depth = sub.stack_depth
    for pc in range(sub.start, sub.end):
        fact = prog.facts[pc]
        if prog.live[pc] and fact is not None and fact.ptr is PtrKind.STACK and fact.off is not None:
            depth = max(depth, -fact.off)
    return min((depth + 7) & ~7, STACK_SIZE)


class Frame:
    """A stack frame: zero bytes of real memory, as many as compiled code would have."""

    def __init__(self, number: int, depth: int) -> None:
        self.buffer = (ctypes.c_uint64 * (STACK_SIZE // 8))()
        self.fp = ctypes.addressof(self.buffer) + STACK_SIZE
        self.region = Region(self.fp - depth, depth, PtrKind.STACK, f"stack of frame {number}")


class Memory:
    """The live regions of one run."""

    def __init__(self, ctx: int, rt: int, fields: Sequence[CtxField]) -> None:
        self.ctx, self.rt = ctx, rt
        self.fields = fields
        self.has_packet = any(f.kind in ("pkt", "pkt_meta") for f in fields)
        self.regions: list[Region] = []
        self._known: dict[tuple[int, int, PtrKind], Region] = {}

    def add(self, region: Region) -> Region:
        """Make a region live; one that is there already stays as it is."""
        key = (region.start, region.size, region.kind)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = region
            self.regions.append(region)
        return found

    def remove(self, start: int) -> None:
        """End the life of all regions that begin at an address."""
        kept = [r for r in self.regions if r.start != start]
        if len(kept) != len(self.regions):
            self.regions = kept
            self._known = {(r.start, r.size, r.kind): r for r in kept}

    def packet(self) -> Region:
        """The packet as it is now, meta data included."""
        start = load64(self.ctx + CTX_DATA_META)
        size = load64(self.ctx + CTX_DATA_END) - start
        return Region(start, max(size, 0), PtrKind.PACKET, "packet")

    def find(self, addr: int, size: int) -> Region | None:
        """The region that holds the bytes; newest first, so that inner regions hide outer ones."""
        for region in reversed(self.regions):
            if region.start <= addr and addr + size <= region.start + region.size:
                return region
        if self.has_packet and (packet := self.packet()).holds(addr, size):
            return packet
        return None

    def nearest(self, addr: int) -> Region | None:
        """The live region closest to an address, for messages."""
        regions = [*self.regions, self.packet()] if self.has_packet else list(self.regions)
        regions.append(Region(self.ctx, self._ctx_size(), PtrKind.CTX, "context"))
        return min(regions, key=lambda r: r.distance(addr), default=None)

    def _ctx_size(self) -> int:
        return max((f.off + f.size for f in self.fields), default=BTF_CTX_SIZE)

    def in_ctx(self, addr: int) -> bool:
        """Whether the address is one of the context's image."""
        return 0 <= addr - self.ctx < min(self._ctx_size(), MAX_CTX)

    def field(self, addr: int, size: int, write: bool) -> CtxField | None:
        """The context field behind an access; None where there is none."""
        return find(self.fields, addr - self.ctx, size, write)

    def plain_ctx(self) -> bool:
        """Whether the context's layout is told by BTF alone: an array of u64."""
        return not self.fields
