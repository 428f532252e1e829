"""What tests of the engine share: memory for one run, and programs through the real verifier.

A `Rig` is context words, context image, run context and a packet with head and tail room, as a hook lays them out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

from userbpf.abi.enums import MapType, ProgType
from userbpf.engine import Env, compile_prog, interpret
from userbpf.errors import BpfError
from userbpf.helpers import bodies
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn
from userbpf.maps import MapAttr, create_map
from userbpf.native import rt as layout
from userbpf.verifier import api, verify
from userbpf.verifier.api import Fact, MapShape, Stats, Subprog, VerifiedProg, VerifyRequest

HEADROOM = 256
IMAGE_SIZE = 256
SEED = 88172645463325252


class Rig:
    """Memory of one run."""

    def __init__(self, packet: bytes = bytes(64), image: bytes = b"") -> None:
        self.memory = (ctypes.c_uint64 * (2048 + len(packet)))()
        base = ctypes.addressof(self.memory)
        self.ctx = base + layout.CTX_WORDS_SIZE
        self.rt = self.ctx + IMAGE_SIZE
        self.buffer = self.rt + layout.RT_SIZE
        self.start = self.buffer + HEADROOM
        self.hard_end = self.start + len(packet) + HEADROOM
        ctypes.memmove(self.start, packet, len(packet))
        ctypes.memmove(self.ctx, image, len(image))
        for word, value in (
            (layout.CTX_DATA, self.start),
            (layout.CTX_DATA_META, self.start),
            (layout.CTX_DATA_END, self.start + len(packet)),
            (layout.CTX_HARD_START, self.buffer),
            (layout.CTX_HARD_END, self.hard_end),
        ):
            self.set_word(word, value)
        ctypes.c_uint64.from_address(self.rt + layout.RT_PRANDOM).value = SEED

    def set_word(self, off: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.ctx + off).value = value

    def word(self, off: int) -> int:
        return ctypes.c_uint64.from_address(self.ctx + off).value

    def packet(self) -> bytes:
        start = self.word(layout.CTX_DATA)
        return ctypes.string_at(start, self.word(layout.CTX_DATA_END) - start)

    def clear_image(self) -> None:
        ctypes.memset(self.ctx, 0, IMAGE_SIZE)

    def image(self) -> bytes:
        return ctypes.string_at(self.ctx, IMAGE_SIZE)


def accept(
    program: str | Sequence[Insn],
    prog_type: ProgType = ProgType.SOCKET_FILTER,
    shapes: Sequence[MapShape] = (),
    **request: Any,
) -> VerifiedProg:
    """A program that the verifier accepts. `map_fd n` is shape number n."""
    insns = assemble(program) if isinstance(program, str) else list(program)

    def resolve(fd: int) -> MapShape:
        if not 0 <= fd < len(shapes):
            raise BpfError(9)
        return shapes[fd]

    return verify(VerifyRequest(insns, prog_type, resolve_map=resolve, **request))


def unverified(
    program: str | Sequence[Insn], prog_type: ProgType = ProgType.SOCKET_FILTER, depth: int = 512, **given: Any
) -> VerifiedProg:
    """A program as if verified, of which nothing is known: for what the verifier refuses, and for wrong facts."""
    insns = tuple(assemble(program) if isinstance(program, str) else program)
    targets = {0}
    facts: list[Fact | None] = [None] * len(insns)
    for pc, insn in enumerate(insns):
        if (insn.code, insn.src) in ((0x85, 1), (0x18, 4)):
            targets.add(pc + 1 + insn.imm)
    starts = sorted(targets)
    for pc, insn in enumerate(insns):
        if (insn.code, insn.src) == (0x18, 4):
            facts[pc] = Fact(subprog=starts.index(pc + 1 + insn.imm))
    ends = [*starts[1:], len(insns)]
    callbacks = {f.subprog for f in facts if f is not None}
    subprogs = tuple(
        Subprog(start, end, stack_depth=depth, callback=number in callbacks)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    values: dict[str, Any] = {"facts": tuple(facts), "live": b"\1" * len(insns), "maps": (), **given}
    request = VerifyRequest(insns, prog_type)
    return VerifiedProg(request, insns, subprogs=subprogs, log="", stats=Stats(), seal=api._SEAL, **values)


def run_interp(prog: VerifiedProg, rig: Rig, env: Env | None = None, **how: Any) -> int:
    """r0 in the checked interpreter."""
    return interpret(prog, env or Env(), rig.ctx, rig.rt, **how)


def run_jit(prog: VerifiedProg, rig: Rig, env: Env | None = None, opt: int | None = None) -> int:
    """r0 compiled."""
    return compile_prog(prog, env or Env(), opt).run(rig.ctx, rig.rt)


ENGINES = {"interp": run_interp, "jit": run_jit}


def words(values: Iterable[int]) -> bytes:
    """u64 values as bytes."""
    return b"".join((v & (1 << 64) - 1).to_bytes(8, "little") for v in values)


class Maps:
    """Real maps, their shapes for the verifier, and what is in them. Spec: (type, key size, value size, entries[, flags])."""

    def __init__(self, *specs: Sequence[int], ncpu: int = 2) -> None:
        self.maps = [create_map(MapAttr(*spec), ncpu=ncpu) for spec in specs]
        self.shapes = [
            MapShape(m.map_type, m.key_size, m.value_size, m.max_entries, m.map_flags, token=m) for m in self.maps
        ]

    def env(self, prog: VerifiedProg, **given: Any) -> Env:
        """The environment of a program that was verified with these shapes."""
        used = [self.maps[self.shapes.index(shape)] for shape in prog.maps]
        return Env(maps=used, **{"helpers": bodies(prog.request.prog_type), **given})

    def content(self) -> list[Any]:
        """Everything that a user could see."""
        return [
            m.region.view()[:-4096].tobytes() if m.map_type == MapType.RINGBUF else dict(self._entries(m))
            for m in self.maps
            if m.map_type != MapType.PROG_ARRAY
        ]

    @staticmethod
    def _entries(m: Any) -> Iterable[tuple[bytes, bytes]]:
        key = None
        while True:
            try:
                key = m.next_key(key)
            except BpfError:
                return
            yield key, m.lookup(key)
