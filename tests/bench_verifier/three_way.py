"""One accepted program, three engines: the interpreter, the JIT, and Linux by BPF_PROG_TEST_RUN.

Compared are the result, the packet and all map contents. The maps and helpers on our side are the plainest possible, in Python
dicts and ctypes buffers: here the engine is on trial, not they.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
from dataclasses import dataclass
from typing import Any

from bench_verifier import generate, linux
from bench_verifier.diff import OUR_FD, SHAPES
from userbpf.abi.enums import ProgType
from userbpf.engine import Env, HelperImpl, compile_prog, interpret
from userbpf.isa.insn import Insn, encode
from userbpf.native import rt as layout
from userbpf.verifier import MapShape, VerifiedProg, VerifyRequest, verify

U64 = (1 << 64) - 1
HEADROOM = 256


class PlainMap:
    """A map of `generate.MAPS`: an array's values in one buffer, a hash's each in its own."""

    value_base = 0

    def __init__(self, spec: generate.MapSpec) -> None:
        self.spec = spec
        self.descriptor = ctypes.create_string_buffer(layout.DESC_SIZE)
        self.desc = ctypes.addressof(self.descriptor)
        struct.pack_into("<4I", self.descriptor, layout.DESC_TYPE, *spec[:4])
        self.keep: list[Any] = []
        self.values: dict[bytes, int] = {}
        if spec.map_type == 2:
            for n in range(spec.max_entries):
                self.values[n.to_bytes(4, "little")] = self.new(spec.value_size)

    def ops(self, op: str) -> None:
        return None

    def new(self, size: int) -> int:
        # as Linux lays values out: 8 bytes aligned
        buffer = (ctypes.c_uint64 * ((size + 7) // 8))()
        self.keep.append(buffer)
        return ctypes.addressof(buffer)

    def content(self) -> dict[bytes, bytes]:
        return {k: ctypes.string_at(v, self.spec.value_size) for k, v in self.values.items()}


class World:
    """What the helper bodies know: the maps by address, the packet."""

    def __init__(self, packet: int, size: int) -> None:
        self.maps = [PlainMap(m) for m in generate.MAPS]
        self.by_desc = {m.desc: m for m in self.maps}
        self.packet, self.size = packet, size
        bodies = {1: lookup, 2: update, 3: delete, 26: skb_load_bytes, 131: reserve, 132: submit, 133: submit}
        self.helpers = {number: HelperImpl(py=body, name=body.__name__) for number, body in bodies.items()}


def lookup(world: World, rt: int, desc: int, key: int, *_: int) -> int:
    m = world.by_desc[desc]
    return m.values.get(ctypes.string_at(key, m.spec.key_size), 0)


def update(world: World, rt: int, desc: int, key: int, value: int, flags: int, *_: int) -> int:
    m = world.by_desc[desc]
    name, content = ctypes.string_at(key, m.spec.key_size), ctypes.string_at(value, m.spec.value_size)
    found = m.values.get(name, 0)
    if flags > 2:
        return -22 & U64
    if m.spec.map_type == 2:
        if not found:
            return -7 & U64
        if flags == 1:
            return -17 & U64
    elif (found and flags == 1) or (not found and flags == 2):
        return (-17 if found else -2) & U64
    elif not found and len(m.values) >= m.spec.max_entries:
        return -7 & U64
    if m.spec.map_type == 1:  # a new element takes the old one's place: what a program still holds stays as it is
        found = m.values[name] = m.new(m.spec.value_size)
    ctypes.memmove(found, content, len(content))
    return 0


def delete(world: World, rt: int, desc: int, key: int, *_: int) -> int:
    m = world.by_desc[desc]
    return 0 if m.values.pop(ctypes.string_at(key, m.spec.key_size), 0) else -2 & U64


def skb_load_bytes(world: World, rt: int, ctx: int, off: int, to: int, size: int, *_: int) -> int:
    off &= 0xFFFFFFFF
    if off > 0x7FFFFFFF or off + size > world.size:
        ctypes.memset(to, 0, size)
        return -14 & U64
    ctypes.memmove(to, world.packet + off, size)
    return 0


def reserve(world: World, rt: int, desc: int, size: int, flags: int, *_: int) -> int:
    return world.by_desc[desc].new(size)


def submit(world: World, rt: int, record: int, flags: int, *_: int) -> int:
    return 0


@dataclass(slots=True)
class Outcome:
    result: int
    packet: bytes
    maps: list[dict[bytes, bytes]]


def _resolve(fd: int) -> MapShape:
    return SHAPES[fd - OUR_FD]


def load(insns: list[Insn], prog_type: int) -> VerifiedProg:
    """Raises Rejected."""
    code = generate.bind(insns, [OUR_FD + n for n in range(len(SHAPES))])
    return verify(VerifyRequest(code, ProgType(prog_type), resolve_map=_resolve))


def run_ours(prog: VerifiedProg, data: bytes, jit: bool) -> Outcome:
    prog_type = int(prog.request.prog_type)
    frame = (
        data[14:] if prog_type == generate.SOCKET_FILTER else data
    )  # a socket filter sees the packet from layer 3 on
    packet = ctypes.create_string_buffer(HEADROOM + len(frame) + 512)
    start = ctypes.addressof(packet) + HEADROOM
    ctypes.memmove(start, frame, len(frame))
    world = World(start, len(frame))
    by_shape = {id(shape): m for shape, m in zip(SHAPES, world.maps, strict=True)}
    env = Env(maps=[by_shape[id(shape)] for shape in prog.maps], helpers=world.helpers, kernel=world)
    image = (ctypes.c_uint64 * ((layout.CTX_WORDS_SIZE + 512) // 8))()
    ctx = ctypes.addressof(image) + layout.CTX_WORDS_SIZE
    words = {layout.CTX_DATA: start, layout.CTX_DATA_END: start + len(frame), layout.CTX_DATA_META: start}
    words |= {layout.CTX_HARD_START: start - HEADROOM, layout.CTX_HARD_END: start + len(frame) + 512}
    for off, word in words.items():
        ctypes.c_uint64.from_address(ctx + off).value = word
    if prog_type != generate.XDP:
        ctypes.c_uint32.from_address(ctx).value = len(frame)
    rt = (ctypes.c_uint64 * (layout.RT_SIZE // 8))()
    at = ctypes.addressof(rt)
    result = compile_prog(prog, env).run(ctx, at) if jit else interpret(prog, env, ctx, at)
    return Outcome(result & 0xFFFFFFFF, ctypes.string_at(start, len(frame)), [m.content() for m in world.maps])


class Kernel:
    """Linux, with new maps for each program."""

    def __init__(self) -> None:
        self.oracle = linux.Oracle(1 << 16)

    def run(self, insns: list[Insn], prog_type: int, data: bytes) -> Outcome | None:
        """None where Linux refuses the program."""
        fds = [linux.create_map(*m) for m in generate.MAPS]
        try:
            answer = self.oracle.load(encode(generate.bind(insns, fds)), prog_type, 0, keep=True)
            if answer.err:
                return None
            fds.append(answer.fd)
            err, result, out = linux.run(answer.fd, data)
            assert not err, f"test run: errno {err}"
            packet = out[14:] if prog_type == generate.SOCKET_FILTER else out
            return Outcome(
                result, packet, [self.content(fd, spec) for fd, spec in zip(fds, generate.MAPS, strict=False)]
            )
        finally:
            for fd in fds:
                os.close(fd)

    def content(self, fd: int, spec: generate.MapSpec) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        if not spec.key_size:
            return found
        key = b""
        while True:
            err, key = linux.next_key(fd, key, spec.key_size)
            if err:
                return found
            err, value = linux.map_elem(1, fd, key, bytes(spec.value_size))
            assert not err
            found[key] = value[: spec.value_size]


def packet_for(seed: int) -> bytes:
    rng = random.Random(f"packet {seed}")
    return rng.randbytes(rng.choice((14, 20, 34, 60, 64, 100, 200)))


__all__ = ["Kernel", "Outcome", "load", "packet_for", "run_ours"]
