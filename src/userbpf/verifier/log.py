"""The verifier's log, in Linux's layout and words.

The log is a list of entries, and most entries are not text yet: they keep references to immutable registers and are formatted
when the log is asked for, so that what a successful path logged at level 1, and Linux drops, is never formatted.

Linux writes the registers that an instruction changed behind the instruction, but only at the next instruction, and only if
nothing else was logged in between; else they get a line of their own. `insn` and `after` model exactly that.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from userbpf.isa.insn import Insn
from userbpf.verifier.cfg import CALL, EXIT, JA, JA32, LDDW
from userbpf.verifier.domain import bounds_text, number_text, s64
from userbpf.verifier.regs import (
    ADD_CONST,
    ARENA,
    BASE_MASK,
    BORROWED,
    BTF_ID,
    BUF,
    DYNPTR,
    ID_MASK,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MEM,
    NOT_INIT,
    PACKET,
    PACKET_META,
    SCALAR,
    SLOT_CHARS,
    SOCK_TYPES,
    ST_DYNPTR,
    ST_ITER,
    ST_SPILL,
    STACK,
    Reg,
    Slot,
    ref_of,
    type_name,
)
from userbpf.verifier.state import Frame, Ref

STATS: Final = 4

# what a state line shows: frame number, registers, slots, references, in callback, in async callback, precise masks
Picture: TypeAlias = tuple[
    int, tuple[tuple[int, Reg], ...], tuple[tuple[int, Slot], ...], tuple[Ref, ...], bool, bool, int, int
]


def reg_text(reg: Reg, frameno: int, precise: bool = False) -> str:
    """One register as Linux prints it in a state of the given frame."""
    kind, val, rid, off, extra = reg
    if kind == SCALAR:
        head = "P" if precise else ""
        if val.mask == 0:
            return head + number_text(s64(val.value))
        return head + f"scalar({_join(_id_part(rid, off), bounds_text(val))})"
    if kind == STACK:
        head = "fp" if extra == frameno else f"fp[{extra}]"
        if val.mask == 0:
            return head + number_text(s64((val.value + off) & 0xFFFFFFFFFFFFFFFF))
        return f"{head}({_join(f'off={number_text(off)}' if off else '', bounds_text(val))})"
    base = kind & BASE_MASK
    name = type_name(kind)
    if base == ARENA:
        return name
    parts: list[str] = []
    if rid:
        parts.append(f"id={rid & ID_MASK}")
    if base == BTF_ID:
        name += extra[0]
        if extra[3]:
            parts.append(f"ref_obj_id={extra[3]}")
        if kind & BORROWED:
            parts.append("non_own_ref")
    elif base in SOCK_TYPES:
        if ref := ref_of(reg):
            parts.append(f"ref_obj_id={ref}")
    elif base in (MEM, BUF):
        if extra[1]:
            parts.append(f"ref_obj_id={extra[1]}")
    elif base in (MAP_PTR, MAP_VALUE, MAP_KEY):
        shape = extra[0].shape
        label = f"map={shape.name}," if shape.name else ""
        if extra[1]:
            parts.append(f"ref_obj_id={extra[1]}")
        parts.append(f"{label}ks={shape.key_size},vs={shape.value_size}")
    if off:
        parts.append(f"off={number_text(off)}")
    if base in (PACKET, PACKET_META):
        parts.append(f"r={extra if extra >= 0 else hex(extra & 0xFFFFFFFFFFFFFFFF)}")
    if base == DYNPTR:
        parts.append(f"type={extra.kind}")
    if base == MEM:
        parts.append(f"sz={number_text(extra[0])}")
    if val.mask == 0:
        if val.value:
            parts.append(f"imm={number_text(s64(val.value))}")
    else:
        text = bounds_text(val)
        if text:
            parts.append(text)
    return f"{name}({','.join(parts)})"


def _id_part(rid: int, off: int) -> str:
    if not rid:
        return ""
    if rid & ADD_CONST:
        return f"id={rid & ID_MASK}{off:+d}"
    return f"id={rid}"


def _join(*parts: str) -> str:
    return ",".join(p for p in parts if p)


def picture(
    frame: Frame, refs: tuple[Ref, ...], regs_mask: int = -1, slots_mask: int = -1, precise: bool = False
) -> Picture:
    """What to show of a frame: what the masks select, -1 for everything."""
    regs = tuple((i, r) for i, r in enumerate(frame.regs) if r[0] != NOT_INIT and regs_mask >> i & 1)
    slots = tuple((i, s) for i, s in enumerate(frame.stack) if slots_mask >> i & 1)
    return (
        frame.frameno,
        regs,
        slots,
        refs,
        frame.in_callback,
        frame.in_async,
        frame.precise_regs if precise else 0,
        frame.precise_slots if precise else 0,
    )


def picture_text(pic: Picture) -> str:
    """The state line, from the blank before the first word on."""
    frameno, regs, slots, refs, in_callback, in_async, precise_regs, precise_slots = pic
    out = [f" frame{frameno}:"] if frameno else []
    for i, reg in regs:
        out.append(f" R{i}={reg_text(reg, frameno, bool(precise_regs >> i & 1))}")
    for i, (types, spill) in slots:
        if not any(types):
            continue
        chars = "".join(SLOT_CHARS[t] for t in types)
        last = types[7]
        if last == ST_SPILL and spill is not None:
            head = chars[: chars.index("r")]
            out.append(f" fp{-(i + 1) * 8}={head}{reg_text(spill, frameno, bool(precise_slots >> i & 1))}")
        elif last in (ST_DYNPTR, ST_ITER):
            out.append(_special_slot(i, spill))
        else:
            out.append(f" fp{-(i + 1) * 8}={chars}")
    held = [str(r.id) for r in refs if r.id]
    if held and refs[0].id:
        out.append(" refs=" + ",".join(held))
    if in_callback:
        out.append(" cb")
    if in_async:
        out.append(" async_cb")
    return "".join(out)


def _special_slot(i: int, spill: Reg | None) -> str:
    if spill is not None and spill[0] & BASE_MASK != DYNPTR:
        it = spill[4]
        if not it.ref:
            return ""
        return f" fp{-(i + 1) * 8}={it.name}(ref_id={it.ref},state={it.state},depth={it.depth})"
    if spill is not None:
        if not spill[4].first:
            return ""
        ref = f",ref_id={spill[4].ref}" if spill[4].ref else ""
        return f" fp{-(i + 1) * 8}=dynptr_{spill[4].kind}(id={spill[2]}{ref},dynptr_id=1)"
    return ""


class Log:
    """Entries so far. `level` 0 keeps nothing."""

    __slots__ = ("_insn_end", "_measured", "cuts", "disasm", "entries", "level", "level2", "on", "peak", "text_cache")

    def __init__(self, level: int, disasm: Callable[[int], str]) -> None:
        self.level = level
        self.on = bool(level & 3)
        self.level2 = bool(level & 2)
        self.entries: list[Any] = []
        self.disasm = disasm
        self._insn_end = -1
        self.text_cache: dict[int, str] = {}
        self.peak = 0  # bytes of the longest that the log ever was: Linux asks a buffer for so many
        self.cuts = array("Q")  # bytes before and after each cut: what a small buffer lost meanwhile does not come back
        self._measured: list[tuple[int, int]] = [(0, 0)]  # (entries, their bytes), growing

    def mark(self) -> int:
        """A position to cut back to; negative behind an instruction whose state is not shown yet."""
        entries = self.entries
        return -len(entries) if entries and type(entries[-1]) is int else len(entries)

    def cut(self, mark: int) -> None:
        """Back to a mark; what goes is formatted once, for its length only."""
        entries = self.entries
        before = self._bytes(len(entries))
        self.peak = max(self.peak, before)
        shown = mark < 0 and type(entries[-mark - 1]) is not int
        mark = abs(mark)
        self._insn_end = -1
        del entries[mark:]
        if shown:  # Linux cuts where the line ended before the state went behind it: a blank, and no new line
            pc = entries[-1][0]
            self._bytes(mark - 1)
            entries[-1] = f"{self.insn_text(pc)} "
        after = self._bytes(mark)
        if after < before:
            self.cuts.extend((before, after))

    def _bytes(self, count: int) -> int:
        """The length of the first entries; longer measures are forgotten."""
        measured = self._measured
        while measured[-1][0] > count:
            measured.pop()
        at, size = measured[-1]
        if at < count:
            size += sum(len(_encoded(self._text(entry))) for entry in self.entries[at:count])
            measured.append((count, size))
        return size

    def put(self, text: str) -> None:
        """A line (or several) of text, without the last newline."""
        if self.level:
            self.entries.append(text + "\n")

    def raw(self, text: str) -> None:
        """Text as it is."""
        if self.level:
            self.entries.append(text)

    def state(self, head: str, pic: Picture) -> None:
        """`head` and a state line."""
        if self.level:
            self.entries.append((head, pic))

    def insn(self, pc: int) -> None:
        self.entries.append(pc)
        self._insn_end = len(self.entries)

    def after(self, pc: int, pic: Picture) -> None:
        """The state changed before pc: behind the last instruction if nothing was logged since, else on a line of its own."""
        entries = self.entries
        if entries and self._insn_end == len(entries) and type(entries[-1]) is int:
            entries[-1] = (entries[-1], pic)
        else:
            entries.append((f"{pc}:", pic))

    def insn_text(self, pc: int) -> str:
        text = self.text_cache.get(pc)
        if text is None:
            text = self.text_cache[pc] = f"{pc}: {self.disasm(pc)}"
        return text

    def _text(self, entry: Any) -> str:
        if type(entry) is str:
            return entry
        if type(entry) is int:
            return self.insn_text(entry) + "\n"
        head, pic = entry
        if type(head) is not int:
            return f"{head}{picture_text(pic)}\n"
        text = self.insn_text(head)
        end = len(text) + 1
        pad = max((end + 4 + 7) // 8 * 8, 40) - end - 1
        return f"{text}{' ' * pad};{picture_text(pic)}\n"

    def render(self) -> str:
        return "".join(map(self._text, self.entries))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def slots_list(mask: int) -> str:
    return ",".join(str(-(i + 1) * 8) for i in range(64) if mask >> i & 1)


def shown_regs(insns: Sequence[Insn]) -> list[int]:
    """Registers that each instruction names, as a mask: those the log shows behind it."""
    out = []
    for insn in insns:
        cls = insn.code & 7
        mask = 0
        if cls in (4, 7, 5, 6) and insn.code not in (CALL, EXIT, JA, JA32, 0xE5):
            mask = 1 << insn.dst | (1 << insn.src if insn.code & 8 else 0)
            if insn.code & 0xF0 == 0xD0 and cls in (4, 7):
                mask = 1 << insn.dst
        elif cls in (1, 3):
            mask = 1 << insn.dst | 1 << insn.src
            if insn.code & 0xE0 == 0xC0 and insn.imm == 0xF1:
                mask |= 1
        elif cls == 2 or insn.code == LDDW:
            mask = 1 << insn.dst
        elif cls == 0:
            mask = 0b1000001 | (1 << insn.src if insn.code & 0xE0 == 0x40 else 0)
        elif insn.code == CALL:
            mask = 1
        out.append(mask)
    return out
