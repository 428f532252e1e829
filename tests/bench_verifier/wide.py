"""More of what real programs are made of, on top of `generate`: what needs BTF, callbacks and maps of maps of functions.

Variable offsets proven by comparison, may_goto and counted loops over map values, global functions, callbacks (bpf_loop,
for_each_map_elem), tail calls, atomics of all kinds and sizes, ring-buffer output, loads that sign-extend, pointers spilled and
filled, arithmetic between packet pointers, the packet's meta data, classic packet loads, far jumps. Each program has a BTF blob
with func_info and line_info.

cd tests && python -m bench_verifier.wide xdp 0 500 [SHOW] [--mutated] [--mirror]     compares as `bench_verifier.diff` does
"""

from __future__ import annotations

import collections
import ctypes
import difflib
import os
import random
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench_verifier import diff, generate
from bench_verifier.generate import (
    ARRAY,
    BIG_ARRAY,
    HASH,
    MAPS,
    PKT_DATA,
    PKT_META,
    XDP,
    Frame,
    Generator,
    MapSpec,
    Program,
)
from userbpf import linux
from userbpf.abi.attrs import BtfLoadAttr, MapCreateAttr, ProgLoadAttr
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError
from userbpf.isa.insn import Insn, encode
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from userbpf.verifier import check

PROG_ARRAY = 4
WIDE_MAPS = (*MAPS, MapSpec(3, 4, 4, 8))
STATIC, GLOBAL = 0, 1
LOADS = {8: (0x79,), 4: (0x61, 0x81), 2: (0x69, 0x89), 1: (0x71, 0x91)}
STORES = {8: 0x7B, 4: 0x63, 2: 0x6B, 1: 0x73}
FETCHING = (0x00, 0x40, 0x50, 0xA0, 0x01, 0x41, 0x51, 0xA1, 0xE1, 0xF1)


@dataclass
class Func:
    """A function that the program brings: "static" with scalars, "global" with a kind for each argument, "loop", "each"."""

    kind: str
    args: tuple[str, ...]


@dataclass
class WideProgram(Program):
    func_info: list[tuple[int, int]]
    line_info: list[tuple[int, int, int, int]]
    btf: bytes
    global_funcs: dict[int, tuple[str, ...]] = field(default_factory=dict)  # arguments, by first instruction


class Wide(Generator):
    def __init__(self, prog_type: int, seed: int) -> None:
        super().__init__(prog_type, seed)
        self.rng = random.Random(f"wide:{prog_type}:{seed}")
        self.funcs: list[Func] = []
        self.targets: list[tuple[int, int]] = []  # (pc of a call or lddw, function)
        self.current = -1  # the function being written

    # -- pieces --------------------------------------------------------------------------------------------------------

    def map_fd(self, reg: int, which: int) -> None:
        self.out += [Insn(0x18, reg, 1, 0, which), Insn(0)]

    def any_load(self, ptr: int, off: int, width: int) -> None:
        dst = self.target()
        self.emit(self.rng.choice(LOADS[width]), dst, ptr, off)
        self.frame.live.add(dst)

    def touch(self, ptr: int, room: int, aligned: bool = True) -> None:
        """One access somewhere in `room` bytes."""
        rng = self.rng
        width = rng.choice((8, 4, 2, 1))
        at = rng.randrange(0, max(room - width, 0) + 1) // width * width
        live = sorted(self.frame.live - {ptr})
        kind = rng.random()
        if kind < 0.5 or not live or (kind > 0.7 and not aligned and rng.random() < 0.9):
            self.any_load(ptr, at, width)
        elif kind < 0.7:
            self.emit(STORES[width], ptr, rng.choice(live), at)
        else:
            self.any_atomic(ptr, at, width, rng.choice(live))

    def any_atomic(self, ptr: int, off: int, width: int, reg: int) -> None:
        rng = self.rng
        if rng.random() < 0.4:
            if rng.random() < 0.5:
                dst = self.target()
                self.emit({8: 0xDB, 4: 0xC3, 2: 0xCB, 1: 0xD3}[width], dst, ptr, off, 0x100)
                self.frame.live.add(dst)
            else:
                self.emit({8: 0xDB, 4: 0xC3, 2: 0xCB, 1: 0xD3}[width], ptr, reg, off, 0x110)
            return
        width = max(width, 4)
        op = rng.choice(FETCHING)
        if op == 0xF1 and 0 not in self.frame.live:
            self.const(0)
        self.emit(0xDB if width == 8 else 0xC3, ptr, reg, off // width * width, op)

    def look_up(self, which: int) -> int:
        """The value's address in r9 and r0, checked; the jump to land."""
        rng = self.rng
        spec = MAPS[which]
        key = -8 * rng.randrange(1, 9)
        self.emit(0x7A, 10, 0, key, rng.randrange(5))
        self.frame.slots[key] = 8
        self.frame.written |= set(range(key, key + 8))
        self.map_fd(1, which)
        self.emit(0xBF, 2, 10)
        self.emit(0x07, 2, 0, 0, key)
        self.frame.live -= {1, 2}
        self.call_helper(1)
        self.frame.live.discard(0)
        assert spec.value_size
        skip = self.emit(0x15, 0, 0, 0, 0)
        self.emit(0xBF, 9, 0)
        return skip

    # -- constructs ----------------------------------------------------------------------------------------------------

    def value_bounded(self) -> None:
        """An index into a value that a comparison, not a mask, makes safe."""
        rng = self.rng
        which = rng.choice((ARRAY, HASH, BIG_ARRAY))
        idx = rng.choice((7, 8))
        if idx not in self.frame.live:
            self.random_word()
            self.emit(0xBF, idx, self.scalar())
            self.frame.live.add(idx)
        skip = self.look_up(which)
        before = self.frame.copy()
        room = MAPS[which].value_size
        shift = rng.choice((1, 2, 3)) if rng.random() < 0.4 else 0
        top = rng.choice((3, 4)) if shift else rng.choice((4, 8, room // 2, room - 8))
        code = rng.choice((0x25, 0x26, 0x65, 0x35))
        out = self.emit(code, idx, 0, 0, top)
        signed_skip = self.emit(0xC5, idx, 0, 0, rng.choice((0, 1))) if code == 0x65 or rng.random() < 0.2 else None
        if code == 0x26:
            self.emit(0xBC, idx, idx)
        if shift:
            self.emit(0x67, idx, 0, 0, shift)
        room -= top << shift
        moved = rng.choice((1, 2, 3, 4, 5))
        self.emit(0xBF, moved, 9)
        self.emit(0x0F, moved, idx)
        self.frame.live.discard(moved)
        for _ in range(rng.randrange(1, 3)):
            self.touch(moved, room, False)
            if moved in self.frame.live:
                break
        self.frame.live.discard(moved)
        self.frame.meet(before)
        self.land(out)
        if signed_skip is not None:
            self.land(signed_skip)
        self.land(skip)
        self.frame.live -= {1, 2, 3, 4, 5}
        self.const(0, rng.randrange(4))

    def packet_walk(self) -> None:
        """Headers of variable length, one after the other, each checked before it is read."""
        if self.type not in PKT_DATA or not self.frame.has_ctx:
            self.ctx_read()
            return
        rng = self.rng
        data, end = PKT_DATA[self.type]
        self.frame.live -= {1, 2, 3, 4, 5}
        self.emit(0x61, 2, 6, data)
        self.emit(0x61, 3, 6, end)
        out: list[int] = []
        before = self.frame.copy()
        for _ in range(rng.randrange(1, 4)):
            reach = rng.choice((1, 4, 14, 20, 40))
            self.emit(0xBF, 1, 2)
            self.emit(0x07, 1, 0, 0, reach)
            code, dst, src = rng.choice(((0x2D, 1, 3), (0xAD, 3, 1)))
            out.append(self.emit(code, dst, src))
            width = rng.choice((1, 1, 2, 4))
            off = rng.randrange(0, max(reach - width, 0) + 1)
            if width > reach:
                width = 1
            self.emit(rng.choice(LOADS[width]), 4, 2, off)
            self.frame.live.add(4)
            if rng.random() < 0.5:
                self.emit(rng.choice((0x57, 0x54)), 4, 0, 0, rng.choice((15, 60, 0xFF, 0xFFFF)))
            else:
                out.append(self.emit(0x25, 4, 0, 0, rng.choice((60, 255, 1500, 0xFFFF))))
                if rng.random() < 0.6:
                    out.append(self.emit(0xC5, 4, 0, 0, 0))
            kind = rng.random()
            if kind < 0.6:
                self.emit(0x0F, 2, 4)
            elif kind < 0.8:
                self.emit(0x07, 2, 0, 0, rng.choice((reach, 4, 14, -1)))
            else:  # the distance of two packet pointers
                self.emit(0xBF, 5, 3)
                self.emit(0x1F, 5, 2)
                self.frame.live.add(5)
        self.frame.meet(before)
        for pc in out:
            self.land(pc)

    def meta_data(self) -> None:
        """What stands before the packet, up to its beginning."""
        if self.type not in PKT_META or not self.frame.has_ctx:
            self.classic_load()
            return
        rng = self.rng
        self.frame.live -= {1, 2, 3, 4, 5}
        self.emit(0x61, 2, 6, PKT_META[self.type])
        self.emit(0x61, 3, 6, PKT_DATA[self.type][0])
        reach = rng.choice((4, 8, 8, 12, 32))
        if rng.random() < 0.4:
            idx = self.scalar()
            self.emit(0x57, idx, 0, 0, rng.choice((4, 12, 15)))
            self.emit(0x0F, 2, idx)
            self.frame.live -= {2, 3}
        self.emit(0xBF, 1, 2)
        self.emit(0x07, 1, 0, 0, reach)
        code, dst, src = rng.choice(((0x2D, 1, 3), (0xAD, 3, 1), (0x3D, 1, 3), (0xBD, 3, 1)))
        skip = self.emit(code, dst, src)
        before = self.frame.copy()
        self.frame.live -= {1, 2, 3}
        for _ in range(rng.randrange(1, 3)):
            width = rng.choice([w for w in (1, 2, 4, 8) if w <= reach])
            off = rng.choice((0, reach - width, rng.randrange(reach - width + 1)))
            if rng.random() < 0.7 or not self.frame.live:
                reg = rng.choice((0, 4, 5, 7, 8))
                self.emit(rng.choice(LOADS[width]), reg, 2, off)
                self.frame.live.add(reg)
            else:
                self.emit(STORES[width], 2, rng.choice(sorted(self.frame.live)), off)
        self.frame.meet(before)
        self.land(skip)

    def classic_load(self) -> None:
        """A byte, two or four of the packet; where it is too short, the function ends."""
        if self.type == XDP or not self.frame.has_ctx:
            self.alu()
            return
        rng = self.rng
        if rng.random() < 0.6:
            self.emit(rng.choice((0x20, 0x28, 0x30)), 0, 0, 0, rng.choice((0, 8, 12, 14, 23, 60)))
        else:
            self.emit(rng.choice((0x40, 0x48, 0x50)), 0, self.scalar(), 0, rng.choice((0, 2, 14)))
        self.clobber()

    def may_goto_loop(self) -> None:
        rng = self.rng
        if self.loops >= 2 or self.frame.depth > 1:
            self.branch()
            return
        self.loops += 1
        before = self.frame.copy()
        self.frame.depth += 1
        start = len(self.out)
        leave = self.emit(0xE5, 0, 0, 0, 0)
        kept = set(self.frame.live)
        for _ in range(rng.randrange(1, 3)):
            rng.choice((self.alu, self.bound, self.spill, self.fill, self.ctx_read))()
            self.frame.live &= kept | {0, 1, 2, 3, 4, 5, 7, 8}
        back = self.emit(0x05)
        self.out[back] = self.out[back]._replace(off=start - back - 1)
        self.land(leave)
        self.frame.meet(before)
        self.frame.depth = before.depth

    def index_loop(self) -> None:
        """Walk over a map value by a counter in a register."""
        rng = self.rng
        if self.loops >= 2 or self.frame.depth > 1:
            self.branch()
            return
        self.loops += 1
        which = rng.choice((ARRAY, BIG_ARRAY))
        skip = self.look_up(which)
        before = self.frame.copy()
        step = rng.choice((1, 2, 4, 8))
        times = rng.choice((2, 4, 8, MAPS[which].value_size // 8))
        variable = rng.random() < 0.3 and sorted(self.frame.live & {8})
        self.emit(0xB7, 7, 0, 0, 0)
        if variable:
            self.emit(0x57, 8, 0, 0, times - 1 | 1)
        self.frame.live -= {1, 2, 3, 4, 5, 7}
        start = len(self.out)
        self.emit(0xBF, 1, 9)
        self.emit(0xBF, 2, 7)
        self.emit(0x27, 2, 0, 0, step)
        self.emit(0x0F, 1, 2)
        width = rng.choice([w for w in (1, 2, 4, 8) if w <= step])
        if rng.random() < 0.5:
            self.emit(rng.choice(LOADS[width]), 3, 1, 0)
            if rng.random() < 0.5:
                self.emit(0x15, 3, 0, 1, rng.randrange(3))
                self.emit(0x07, 3, 0, 0, 1)
        else:
            self.emit(STORES[width], 1, 7, 0)
        self.emit(0x07, 7, 0, 0, 1)
        if variable:
            back = self.emit(0xAD, 7, 8)
        else:
            back = self.emit(rng.choice((0xA5, 0x55, 0xC5, 0xA6)), 7, 0, 0, times)
        self.out[back] = self.out[back]._replace(off=start - back - 1)
        self.frame.meet(before)
        self.land(skip)
        self.frame.live -= {1, 2, 3, 4, 5, 7}
        self.const(0)

    def tail_call(self) -> None:
        if not self.frame.has_ctx:
            self.alu()
            return
        self.emit(0xBF, 1, 6)
        self.map_fd(2, PROG_ARRAY)
        if self.rng.random() < 0.6:
            self.emit(0xB7, 3, 0, 0, self.rng.choice((0, 1, 7, 8)))
        else:
            self.emit(0xBF, 3, self.scalar() if 3 not in self.frame.live else 3)
        self.frame.live -= {1, 2}
        self.call_helper(12)
        self.frame.live.discard(0)

    def ringbuf_output(self) -> None:
        rng = self.rng
        size, at = rng.choice((8, 16, 32)), -64
        for off in range(at, at + size, 8):
            self.emit(0x7A, 10, 0, off, 1)
            self.frame.slots[off] = 8
        self.frame.written |= set(range(at, at + size))
        idx = self.scalar()
        if rng.random() < 0.4 and idx not in (1, 2, 4):
            self.emit(0xBF, 3, idx)
            self.emit(0x57, 3, 0, 0, size - 1)
        else:
            self.emit(0xB7, 3, 0, 0, size)
        self.map_fd(1, generate.RINGBUF)
        self.emit(0xBF, 2, 10)
        self.emit(0x07, 2, 0, 0, at)
        self.emit(0xB7, 4, 0, 0, 0)
        self.frame.live -= {1, 2, 3, 4}
        self.call_helper(130)

    def pointer_spill(self) -> None:
        """Pointers to stack and context on the stack, filled whole or in part."""
        rng = self.rng
        off = -8 * rng.randrange(9, 12)
        ptr = 6 if self.frame.has_ctx and rng.random() < 0.6 else 10
        self.emit(0x7B, 10, ptr, off)
        reg = rng.choice((1, 2, 3, 4, 5))
        if rng.random() < 0.96:
            self.emit(0x79, reg, 10, off)
            self.frame.live.discard(reg)
            if ptr == 6:
                self.emit(0x61, reg, reg, self.rng.choice(generate.CTX_READ[self.type]))
                self.frame.live.add(reg)
            else:
                self.emit(0x7A, reg, 0, -8, 3)
                self.frame.written |= set(range(-8, 0))
                self.frame.slots[-8] = 8
        else:
            width = rng.choice((4, 2, 1))
            self.emit(rng.choice(LOADS[width]), reg, 10, off)
            self.frame.live.add(reg)
        if rng.random() < 0.5:
            self.emit(0x7A, 10, 0, off, 0)
            self.frame.slots[off] = 8
            self.frame.written |= set(range(off, off + 8))

    def far_jump(self) -> None:
        """gotol, or a jump over dead code."""
        before = self.frame.copy()
        jump = self.emit(0x25, self.scalar(), 0, 0, self.rng.randrange(100))
        self.emit(0x06, 0, 0, 0, 0) if self.rng.random() < 0.5 else self.emit(0x05)
        self.block(1)
        self.land(jump)
        self.frame.meet(before)

    def subset_helper(self) -> None:
        self.call_helper(8)  # the CPU: bounded by how many there are

    def wide_call(self) -> None:
        rng = self.rng
        if self.frame.depth > 2:
            self.alu()
            return
        usable = [
            n for n in range(self.current + 1, len(self.funcs))  # never back: no recursion
            if self.frame.has_ctx or "ctx" not in self.funcs[n].args
        ]  # fmt: skip
        if len(self.funcs) < 4 and (not usable or rng.random() < 0.6):
            kind = rng.choice(("static", "global", "global", "loop", "each"))
            if kind == "loop":
                args: tuple[str, ...] = ("u32", "ptr")
            elif kind == "each":
                args = ("ptr", "ptr", "ptr", "ptr")
            else:
                words = ("int", "u64", "int", "u64")
                if kind == "global":
                    words = ("int", "u64", "mem", "ctx" if self.frame.has_ctx else "mem")
                args = tuple(rng.choice(words) for _ in range(rng.randrange(1, 4)))
            self.funcs.append(Func(kind, args))
            usable = [len(self.funcs) - 1]
        if not usable:
            self.alu()
            return
        number = rng.choice(usable)
        func = self.funcs[number]
        if func.kind in ("loop", "each"):
            self.call_back(number, func)
            return
        for n, arg in enumerate(func.args, 1):
            if arg == "ctx":
                self.emit(0xBF, n, 6)
                self.frame.live.discard(n)
            elif arg == "mem":
                for off in (-16, -8):
                    self.emit(0x7A, 10, 0, off, rng.randrange(5))
                    self.frame.slots[off] = 8
                self.frame.written |= set(range(-16, 0))
                if rng.random() < 0.9:
                    self.emit(0xBF, n, 10)
                    self.emit(0x07, n, 0, 0, -16)
                else:
                    self.emit(0xB7, n)
                self.frame.live.discard(n)
            elif n not in self.frame.live:
                self.const(n)
        self.targets.append((self.emit(0x85, 0, 1, 0, 0), number))
        self.clobber()

    def call_back(self, number: int, func: Func) -> None:
        rng = self.rng
        self.emit(0x7A, 10, 0, -8, rng.randrange(5))
        self.emit(0x7A, 10, 0, -16, 0)
        for off in (-16, -8):
            self.frame.slots[off] = 8
        self.frame.written |= set(range(-16, 0))
        if func.kind == "loop":
            if rng.random() < 0.5:
                self.emit(0xB7, 1, 0, 0, rng.choice((0, 1, 3, 10, 100)))
            elif 1 not in self.frame.live:
                self.emit(0xBF, 1, self.scalar())
        else:
            self.map_fd(1, ARRAY)
        self.targets.append((len(self.out), number))
        self.out += [Insn(0x18, 2, 4, 0, 0), Insn(0)]
        self.emit(0xBF, 3, 10)
        self.emit(0x07, 3, 0, 0, -16)
        self.emit(0xB7, 4, 0, 0, 0)
        self.frame.live -= {1, 2, 3, 4}
        self.call_helper(181 if func.kind == "loop" else 164)
        for off in (-16, -8):  # the callback may have changed them, they stay numbers
            self.frame.slots[off] = 8

    # -- the whole -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        rng = self.rng
        more: list[tuple[Callable[[], None], int]] = [
            (super().step, 50), (self.value_bounded, 8), (self.packet_walk, 8), (self.may_goto_loop, 4), (self.index_loop, 4),
            (self.tail_call, 2), (self.ringbuf_output, 2), (self.pointer_spill, 5), (self.far_jump, 2),
            (self.subset_helper, 3), (self.wide_call, 12), (self.stack_atomic, 4),
            (self.meta_data, 4),
        ]  # fmt: skip
        steps, weights = zip(*more, strict=True)
        rng.choices(steps, weights)[0]()
        self.frame.live -= {6, 9, 10}

    def stack_atomic(self) -> None:
        off = -8 * self.rng.randrange(1, 9)
        reg = self.scalar()
        self.emit(0x7B, 10, reg, off)
        self.frame.slots[off] = 8
        self.frame.written |= set(range(off, off + 8))
        self.any_atomic(10, off, self.rng.choice((8, 4, 2, 1)), self.scalar())

    def call(self) -> None:
        self.wide_call()

    def body(self, func: Func) -> None:
        rng = self.rng
        self.frame = Frame(has_ctx=False, depth=2)
        self.loops = 2
        if func.kind == "loop":
            self.frame.live = {1}
            self.emit(0x79, 7, 2, rng.choice((0, 8)))
            self.frame.live.add(7)
            if rng.random() < 0.5:
                self.emit(0x07, 7, 0, 0, 1)
                self.emit(0x7B, 2, 7, 8)
            self.budget = rng.randrange(0, 3)
            self.block(self.budget)
            self.bounded_result()
            return
        if func.kind == "each":
            self.emit(0x79, 7, 3, rng.choice((0, 8, 56)))
            self.emit(0x61, 8, 2, 0)
            self.frame.live = {7, 8}
            if rng.random() < 0.5:
                self.emit(0x7B, 4, 7, 8)
            self.budget = rng.randrange(0, 3)
            self.block(self.budget)
            self.bounded_result()
            return
        self.frame.live = {n for n, arg in enumerate(func.args, 1) if arg in ("int", "u64")}
        out: list[int] = []
        for n, arg in enumerate(func.args, 1):
            if arg == "ctx" and not self.frame.has_ctx:
                self.emit(0xBF, 6, n)
                self.frame.has_ctx = True
            elif arg == "mem":
                before = self.frame.copy()
                out.append(self.emit(0x15, n, 0, 0, 0))
                self.emit(0x79, 7, n, rng.choice((0, 8)))
                if rng.random() < 0.5:
                    self.emit(0x7B, n, 7, 8)
                self.frame.meet(before)
                self.land(out.pop())
        self.budget = rng.randrange(1, 6)
        self.block(self.budget)
        self.leave()

    def bounded_result(self) -> None:
        self.emit(0xB7, 0, 0, 0, self.rng.choice((0, 0, 0, 1)))
        if self.rng.random() < 0.3:
            self.emit(0xBF, 0, self.scalar())
            self.emit(0x57, 0, 0, 0, 1)
        self.emit(0x95)

    def wide_program(self) -> WideProgram:
        rng = self.rng
        self.emit(0xBF, 6, 1)
        self.budget = rng.choice((4, 8, 12, 18))
        self.random_word()
        self.block(self.budget)
        self.leave()
        starts: list[int] = []
        while len(starts) < len(self.funcs):
            starts.append(len(self.out))
            self.current = len(starts) - 1
            self.body(self.funcs[self.current])
        for pc, number in self.targets:
            self.out[pc] = self.out[pc]._replace(imm=starts[number] - pc - 1)
        btf, ids, texts = self.types()
        func_info = list(zip((0, *starts), ids, strict=True))
        line_info = []
        for pc, insn in enumerate(self.out):
            if pc in (0, *starts) or (insn.code and self.out[pc - 1].code != 0x18 and rng.random() < 0.3):
                line_info.append((pc, texts[0], rng.choice(texts[1:]), rng.randrange(1, 4) << 10 | rng.randrange(4)))
        called = {start: func.args for start, func in zip(starts, self.funcs, strict=True) if func.kind == "global"}
        return WideProgram(self.type, self.seed, self.pure, self.out, func_info, line_info, btf, called)

    def types(self) -> tuple[bytes, list[int], list[int]]:
        """A blob, the ids of the functions, offsets of a file name and of lines."""
        b = Builder()
        words = {"int": b.integer("int", 4, True), "u64": b.integer("u64", 8), "u32": b.integer("u32", 4)}
        ctx = b.pointer(b.struct("xdp_md" if self.type == XDP else "__sk_buff", size=4))
        pair = b.struct("pair", [("a", words["u64"]), ("b", words["u64"])])
        words |= {"ctx": ctx, "mem": b.pointer(pair), "ptr": b.pointer(0)}
        ids = [b.func("main", b.proto(words["int"], [("ctx", ctx)]), GLOBAL)]
        for n, f in enumerate(self.funcs):
            result = words["int"]
            proto = b.proto(result, [(f"a{i}", words[arg]) for i, arg in enumerate(f.args)])
            ids.append(b.func(f"{f.kind}_{n}", proto, GLOBAL if f.kind == "global" else STATIC))
        names = ("prog.c", "a = 1;", "  b = a;", "return b;")
        blob = bytearray(b.encode())
        at = struct.unpack_from("<I", blob, 20)[0]
        offs = []
        for name in names:
            offs.append(at)
            blob += name.encode() + b"\0"
            at += len(name) + 1
        struct.pack_into("<I", blob, 20, at)
        return bytes(blob), ids, offs


def program(prog_type: int, seed: int) -> WideProgram:
    return Wide(prog_type, seed).wide_program()


def mutate(prog: WideProgram, seed: int) -> WideProgram:
    """Instructions changed as `generate.mutate` does; the rest stays."""
    other = generate.mutate(prog, seed)
    code = [
        i._replace(src=a.src) if a.code == 0x18 and a.src == 4 and i.code == 0x18 else i
        for i, a in zip(other.insns, prog.insns, strict=True)
    ]
    infos = prog.func_info, prog.line_info, prog.btf, prog.global_funcs
    return WideProgram(prog.prog_type, prog.seed, prog.pure, code, *infos)


# -- both sides --------------------------------------------------------------------------------------------------------------

_WIDE_LOAD = re.compile(r"(\b(\d+): (?:[.\d]{10} )?\(18\) r\d+ = )0x[0-9a-f]+ *")


class Side:
    """One transport with the maps at hand."""

    def __init__(self, bpf: Callable[[int, Any], int]) -> None:
        self.bpf = bpf
        self.fds = [self._map(m) for m in WIDE_MAPS]
        self.log = ctypes.create_string_buffer(1 << 24)

    def _map(self, m: MapSpec) -> int:
        return self.bpf(0, MapCreateAttr(map_type=m[0], key_size=m[1], value_size=m[2], max_entries=m[3]))

    def __call__(self, prog: WideProgram, level: int = 2) -> diff.Verdict:
        # the first program that uses an array of programs decides about all later ones, so each program gets its own
        os.close(self.fds[-1])
        self.fds[-1] = self._map(WIDE_MAPS[-1])
        keep = [ctypes.create_string_buffer(prog.btf, len(prog.btf))]
        btf_fd = self.bpf(18, BtfLoadAttr(btf=ctypes.addressof(keep[0]), btf_size=len(prog.btf)))
        code = encode(generate.bind(prog.insns, self.fds))
        funcs = b"".join(struct.pack("<II", *f) for f in prog.func_info)
        lines = b"".join(struct.pack("<IIII", *f) for f in prog.line_info)
        for data in (code, funcs, lines, b"GPL\0"):
            keep.append(ctypes.create_string_buffer(data, len(data)))
        at = [ctypes.addressof(k) for k in keep]
        self.log[0] = b"\0"
        attr = ProgLoadAttr(
            prog_type=prog.prog_type, insn_cnt=len(code) // 8, insns=at[1], license=at[4], log_level=level,
            log_size=len(self.log), log_buf=ctypes.addressof(self.log), prog_btf_fd=btf_fd,
            func_info_rec_size=8, func_info=at[2], func_info_cnt=len(prog.func_info),
            line_info_rec_size=16, line_info=at[3], line_info_cnt=len(prog.line_info),
        )  # fmt: skip
        err = 0
        try:
            os.close(self.bpf(5, attr))
        except BpfError as e:
            err = e.errno or -1
        finally:
            os.close(btf_fd)
        maps = {pc for pc, i in enumerate(prog.insns) if i.code == 0x18 and i.src == 1}
        text = _WIDE_LOAD.sub(
            lambda m: f"{m[1]}<map> " if int(m[2]) in maps else m[0], self.log.value.decode("latin-1")
        )
        return diff.Verdict(err, diff.normalise(text))


def main(args: list[str]) -> None:
    numbers = [a for a in args if not a.startswith("-")]
    check.mirror_holes = "--mirror" in args
    prog_type = generate.PROG_TYPES[numbers[0]]
    kernel = Kernel()
    ours, theirs = Side(lambda cmd, attr: dispatch(kernel, cmd, attr)), Side(linux.bpf)
    make = (lambda n: mutate(program(prog_type, n), n)) if "--mutated" in args else (lambda n: program(prog_type, n))
    first = int(numbers[1])
    if len(numbers) == 2:
        prog = make(first)
        a, b = theirs(prog), ours(prog)
        print(
            "\n".join(a.lines if "--linux" in args else difflib.unified_diff(a.lines, b.lines, "Linux", "userbpf", n=8))
        )
        return
    show = int(numbers[3]) if len(numbers) > 3 else 5
    seen: collections.Counter[str] = collections.Counter()
    for seed in range(first, first + int(numbers[2])):
        prog = make(seed)
        a, b = theirs(prog), ours(prog)
        if a.err == 28:
            seen["log too long"] += 1
            continue
        what = diff.kind(a, b)
        seen["refused"] += bool(a.err)
        seen[what] += 1
        if what != "same" and show:
            show -= 1
            print(f"--- {numbers[0]} {seed}: {what}")
            print(diff.report(a, b))
    total = seen.total() - seen["refused"] - seen["log too long"]
    print(f"{numbers[0]}: {total} programs, {dict(seen)}, same {seen['same'] / total:.2%}")


if __name__ == "__main__":
    main(sys.argv[1:])
