"""What a program asks of a kernel: the rows that its instructions, type, maps and calls touch, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from userbpf.abi.enums import AttachType, HelperId, MapType, ProgType
from userbpf.isa.insn import Insn
from userbpf.spec.profiles import (
    Release,
    Since,
    behaviour,
    helper_since,
    kfunc_since,
    parse_release,
    release_text,
    since,
)

CALL: Final = 0x85
ADD: Final = 0x00
ACQUIRE_RELEASE: Final = frozenset((0x100, 0x110))
OLD_LENGTH: Final = 4096
# pseudo sources of lddw and of calls -> the behaviour that brought them
LDDW_SOURCES: Final = {2: "global_data", 3: "lddw_btf_id", 4: "callbacks", 5: "lddw_map_idx", 6: "lddw_map_idx"}
CALL_SOURCES: Final = {1: "bpf_calls", 2: "kfuncs"}
PROG_FLAGS: Final = {
    1 << 0: "BPF_F_STRICT_ALIGNMENT",
    1 << 1: "BPF_F_ANY_ALIGNMENT",
    1 << 2: "BPF_F_TEST_RND_HI32",
    1 << 3: "BPF_F_TEST_STATE_FREQ",
    1 << 4: "BPF_F_SLEEPABLE",
    1 << 5: "BPF_F_XDP_HAS_FRAGS",
    1 << 6: "BPF_F_XDP_DEV_BOUND_ONLY",
    1 << 7: "BPF_F_TEST_REG_INVARIANTS",
    1 << 16: "BPF_F_TOKEN_FD",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a program uses, with the release that brought it and where that stands."""

    what: str
    since: Release
    cite: str
    sure: bool = True

    def __str__(self) -> str:
        return f"{self.what} (since {release_text(self.since)}{'' if self.sure else ', uncertain'})"


def insn_needs(insn: Insn) -> str | None:
    """The behaviour that brought an instruction; None for what has always been there."""
    code, _, src, off, imm = insn
    cls, op = code & 7, code & 0xF0
    if cls in (4, 7):
        if code == 0xD7 or (op in (0x30, 0x90) and off):
            return "isa_v4"
        if op == 0xB0 and off:
            return "addr_space_cast" if off == 1 else "isa_v4"
    elif code == 0x06 or (cls == 1 and code & 0xE0 == 0x80):
        return "isa_v4"
    elif cls == 6:
        return "jmp32"
    elif code == 0xE5:
        return "may_goto"
    elif code == 0x18:
        return LDDW_SOURCES.get(src)
    elif cls == 3 and code & 0xE0 == 0xC0 and imm != ADD:
        return "acquire_release" if imm in ACQUIRE_RELEASE else "atomics"
    elif code == CALL:
        return CALL_SOURCES.get(src)
    return None


def behaviours_of(insns: Sequence[Insn]) -> set[str]:
    """Names of the behaviours that a program lives on."""
    found = {"million_insns"} if len(insns) > OLD_LENGTH else set()
    second = False
    for insn in insns:
        if second:
            second = False
            continue
        code = insn.code
        second = code == 0x18
        needed = insn_needs(insn)
        if needed is not None:
            found.add(needed)
        if code & 7 in (5, 6) and code not in (CALL, 0x95, 0xE5) and (insn.imm if code == 0x06 else insn.off) < 0:
            found.add("bounded_loops")
    return found


def program_needs(
    insns: Sequence[Insn],
    prog_type: ProgType,
    attach: AttachType | None = None,
    map_types: Iterable[MapType] = (),
    prog_flags: int = 0,
    kfuncs: Iterable[str] = (),
) -> list[Need]:
    """What a program asks of a kernel, newest first: types, helpers, kernel functions, flags, behaviours."""
    found: dict[str, Need] = {}

    def add(what: str, came: Since | None) -> None:
        if came is not None:
            found[what] = Need(what, came.release, came.cite, came.sure)

    add(f"program type {prog_type.name.lower()}", since("prog_type", prog_type.name))
    if attach is not None:
        add(f"attach type {attach.name.lower()}", since("attach_type", attach.name))
    for map_type in map_types:
        add(f"map type {map_type.name.lower()}", since("map_type", map_type.name))
    for name in kfuncs:
        add(f"kernel function {name}", kfunc_since(name, prog_type))
    for flag, name in PROG_FLAGS.items():
        if prog_flags & flag:
            add(f"flag {name}", since("flag", name))
    for number in {insn.imm for insn in insns if insn.code == CALL and insn.src == 0}:
        try:
            name = HelperId(number).name
        except ValueError:
            continue
        came = helper_since(name, prog_type)
        later = came != since("helper", name)
        add(f"helper bpf_{name}" + (f" in {prog_type.name.lower()} programs" if later else ""), came)
    for name in behaviours_of(insns):
        row = behaviour(name)
        found[row.what] = Need(row.what, parse_release(row.since), row.cite, row.sure)
    return sorted(found.values(), key=lambda need: (need.since, need.what), reverse=True)
