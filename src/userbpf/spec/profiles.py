"""Profiles: what of all this an older kernel has. `profile("5.10").has(...)`, and what a program needs of a kernel.

A profile is a version. Releases of program types, map types, attach types, helpers, kernel functions and flags are data
(`spec.releases`, a commit each); instructions and the behaviours that decide loading in practice are the rows below, with
their source. What an instruction is refused with where it is unknown is what that kernel's verifier said, as far as it is known.

What a profile does not do: the bounds that an older verifier could deduce, its pruning and the words of its log are those of
6.18. A program that loads under an older profile may still be too much for that kernel's weaker deductions; rows marked
not `certain` say where a date is known but the exact answer is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import EINVAL
from functools import lru_cache
from typing import Final, NamedTuple

from userbpf.abi import consts, defines
from userbpf.abi.enums import AttachType, HelperId, MapType, ProgType
from userbpf.isa import opcodes as op
from userbpf.isa.insn import Insn
from userbpf.spec import releases
from userbpf.spec.limits import Limits, limits
from userbpf.spec.releases import Release

NEWEST: Final = (6, 18)
PROFILES: Final = ("5.4", "5.10", "5.15", "6.1", "6.6", "6.12", "6.18")
Version = tuple[int, int]


class Behaviour(NamedTuple):
    """Something a verifier does from a release on. `source`: where that is written."""

    name: str
    since: Version
    what: str
    source: str
    certain: bool = True


_COMMIT: Final = "commit "
BEHAVIOURS: Final[dict[str, Behaviour]] = {
    row.name: row
    for row in (
        Behaviour("bpf_calls", (4, 16), "bpf-to-bpf calls", _COMMIT + "f4d7e40a5b71"),
        Behaviour("jmp32", (5, 1), "32-bit jumps (BPF_JMP32)", _COMMIT + "092ed0968bb6"),
        Behaviour(
            "global_data", (5, 2), "global variables and constants (.data, .bss, .rodata)", _COMMIT + "d8eca5bbb2be"
        ),
        Behaviour("million_insns", (5, 2), "a million instructions in place of 4,096", _COMMIT + "c04c0d2b968a"),
        Behaviour("bounded_loops", (5, 3), "loops that end", _COMMIT + "2589726d12a1"),
        Behaviour("global_functions", (5, 6), "functions verified by themselves", _COMMIT + "51c39bb1d5d1"),
        Behaviour("ksym_btf", (5, 10), "addresses of kernel variables (__ksym with BTF)", _COMMIT + "4976b718c355"),
        Behaviour("sleepable", (5, 10), "sleepable programs", _COMMIT + "1e6c62a88215"),
        Behaviour("atomics", (5, 12), "atomic operations other than add, and fetching ones", _COMMIT + "5ffa25502b5a"),
        Behaviour("callbacks", (5, 13), "function pointers for callbacks", _COMMIT + "69c087ba6225"),
        Behaviour("kfuncs", (5, 13), "calls of kernel functions", _COMMIT + "e6ac2450d6de"),
        Behaviour("map_idx", (5, 14), "maps by index into fd_array", _COMMIT + "387544bfa291"),
        Behaviour(
            "uninit_stack", (6, 3), "privileged programs may read stack that was not written", _COMMIT + "6715df8d5d24"
        ),
        Behaviour(
            "cpuv4",
            (6, 6),
            "cpu v4: sign-extension, bswap, signed division, gotol",
            _COMMIT + "1f9a1ea821ff",
        ),
        Behaviour("may_goto", (6, 9), "may_goto (cond_break)", _COMMIT + "011832b97b31"),
        Behaviour("arena", (6, 9), "arenas and addr_space_cast", _COMMIT + "317460317a02"),
        Behaviour("load_acquire", (6, 15), "load-acquire and store-release", _COMMIT + "880442305a39", False),
    )
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a program uses, with the release that brought it."""

    what: str
    since: Version
    source: str

    def __str__(self) -> str:
        return f"{self.what} (since {self.since[0]}.{self.since[1]})"


def version_of(text: str) -> Version:
    """ "5.10", "6.18.44" as (major, minor); ValueError for anything else."""
    parts = text.split(".")
    if len(parts) < 2 or not all(p.isdigit() for p in parts):
        raise ValueError(f"{text!r} is no kernel version such as 5.10")
    return int(parts[0]), int(parts[1])


class Profile:
    """One kernel version."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.version = version_of(text)
        self.newest = self.version >= NEWEST
        self.limits: Limits = limits(text)

    def has(self, behaviour: str) -> bool:
        """Whether the kernel behaves so (a name of BEHAVIOURS)."""
        return self.version >= BEHAVIOURS[behaviour].since

    def knows(self, row: Release | None) -> bool:
        """Whether a feature is there. What no release is known of is taken to be in every kernel."""
        return self.newest or row is None or self.version >= row.since

    def helper(self, helper: HelperId) -> bool:
        return self.knows(releases.HELPERS.get(f"bpf_{helper.name}"))

    def kfunc(self, name: str) -> bool:
        return self.knows(releases.KFUNCS.get(name))

    def prog_type(self, prog_type: ProgType) -> bool:
        return self.knows(releases.PROG_TYPES.get(prog_type.c_name))

    def attach_type(self, number: int) -> bool:
        """A number that is no attach type is for others to refuse."""
        if not number or self.newest:
            return True
        try:
            return self.knows(releases.ATTACH_TYPES.get(AttachType(number).c_name))
        except ValueError:
            return True

    def map_type(self, map_type: MapType) -> bool:
        return self.knows(releases.MAP_TYPES.get(map_type.c_name.removesuffix("_DEPRECATED")))

    def map_type_number(self, number: int) -> bool:
        """The same for a number; one that is no map type is for others to refuse."""
        try:
            return self.map_type(MapType(number))
        except ValueError:
            return True

    def map_flags(self) -> int:
        """The map flags that this kernel does not know yet."""
        return sum(int(getattr(consts, name, 0)) for name in MAP_FLAGS if not self.knows(releases.FLAGS.get(name)))

    def prog_flags(self) -> int:
        """The program flags that this kernel does not know yet."""
        return sum(flag for name, flag in PROG_FLAGS.items() if not self.knows(releases.FLAGS.get(name)))


MAP_FLAGS: Final = (
    "BPF_F_NO_PREALLOC", "BPF_F_NO_COMMON_LRU", "BPF_F_NUMA_NODE", "BPF_F_RDONLY", "BPF_F_WRONLY", "BPF_F_STACK_BUILD_ID",
    "BPF_F_ZERO_SEED", "BPF_F_RDONLY_PROG", "BPF_F_WRONLY_PROG", "BPF_F_CLONE", "BPF_F_MMAPABLE", "BPF_F_PRESERVE_ELEMS",
    "BPF_F_INNER_MAP", "BPF_F_LINK", "BPF_F_PATH_FD", "BPF_F_NO_USER_CONV",
)  # fmt: skip

PROG_FLAGS: Final = {
    name: int(getattr(defines, name))
    for name in (
        "BPF_F_STRICT_ALIGNMENT", "BPF_F_ANY_ALIGNMENT", "BPF_F_TEST_RND_HI32", "BPF_F_TEST_STATE_FREQ", "BPF_F_SLEEPABLE",
        "BPF_F_XDP_HAS_FRAGS", "BPF_F_XDP_DEV_BOUND_ONLY", "BPF_F_TEST_REG_INVARIANTS",
    )
}  # fmt: skip


@lru_cache(maxsize=32)
def profile(text: str) -> Profile:
    """The profile of a version such as "5.10"."""
    return Profile(text)


# --- instructions ------------------------------------------------------------------------------------------------------------


def insn_needs(insn: Insn) -> tuple[str, int, str] | None:
    """(behaviour, errno, message of a kernel without it) of an instruction that not every kernel has."""
    code, src, off, imm = insn.code, insn.src, insn.off, insn.imm
    cls, operation = code & 7, code & 0xF0
    unknown = f"unknown opcode {code:02x}"
    if cls == op.BPF_JMP32:
        return ("cpuv4", EINVAL, unknown) if code == 0x06 else ("jmp32", EINVAL, unknown)
    if code == 0xE5:
        return "may_goto", EINVAL, unknown
    if code == 0x85:
        if src == op.BPF_PSEUDO_CALL:
            return "bpf_calls", EINVAL, "BPF_CALL uses reserved fields"
        if src == op.BPF_PSEUDO_KFUNC_CALL:
            return "kfuncs", EINVAL, "BPF_CALL uses reserved fields"
        return None
    if cls in (op.BPF_ALU, op.BPF_ALU64):
        if operation == op.BPF_MOV and code & op.BPF_X and off:
            if off == op.BPF_ADDR_SPACE_CAST:
                return "arena", EINVAL, "BPF_MOV uses reserved fields"
            return "cpuv4", EINVAL, "BPF_MOV uses reserved fields"
        if operation in (op.BPF_DIV, op.BPF_MOD) and off:
            return "cpuv4", EINVAL, "BPF_ALU uses reserved fields"
        if operation == op.BPF_END and cls == op.BPF_ALU64:
            return "cpuv4", EINVAL, "BPF_END uses reserved fields"
        return None
    if cls == op.BPF_LDX and code & 0xE0 == op.BPF_MEMSX:
        return "cpuv4", EINVAL, unknown
    if cls == op.BPF_STX and code & 0xE0 == op.BPF_ATOMIC and imm:
        if imm in (op.BPF_LOAD_ACQ, op.BPF_STORE_REL):
            return "load_acquire", EINVAL, f"BPF_ATOMIC uses invalid atomic opcode {imm & 0xFF:02x}"
        return "atomics", EINVAL, "BPF_XADD uses reserved fields"
    if code == 0x18 and src:
        return _PSEUDOS.get(src)
    return None


_PSEUDOS: Final = {
    op.BPF_PSEUDO_MAP_VALUE: ("global_data", EINVAL, "unrecognized bpf_ld_imm64 insn"),
    op.BPF_PSEUDO_BTF_ID: ("ksym_btf", EINVAL, "unrecognized bpf_ld_imm64 insn"),
    op.BPF_PSEUDO_FUNC: ("callbacks", EINVAL, "unrecognized bpf_ld_imm64 insn"),
    op.BPF_PSEUDO_MAP_IDX: ("map_idx", EINVAL, "unrecognized bpf_ld_imm64 insn"),
    op.BPF_PSEUDO_MAP_IDX_VALUE: ("map_idx", EINVAL, "unrecognized bpf_ld_imm64 insn"),
}


# --- what a program needs ----------------------------------------------------------------------------------------------------


def _released(what: str, row: Release | None) -> Iterable[Need]:
    if row is not None:
        yield Need(what, row.since, "commit " + row.commit)


def program_needs(
    insns: Sequence[Insn],
    prog_type: ProgType,
    attach: AttachType | None = None,
    map_types: Iterable[MapType] = (),
    prog_flags: int = 0,
    kfuncs: Iterable[str] = (),
) -> list[Need]:
    """What a program asks of a kernel, newest first: types, helpers, instructions, behaviours."""
    found: dict[str, Need] = {}

    def add(needs: Iterable[Need]) -> None:
        for need in needs:
            found.setdefault(need.what, need)

    add(_released(f"program type {prog_type.name.lower()}", releases.PROG_TYPES.get(prog_type.c_name)))
    if attach is not None:
        add(_released(f"attach type {attach.name.lower()}", releases.ATTACH_TYPES.get(attach.c_name)))
    for map_type in map_types:
        add(_released(f"map type {map_type.name.lower()}", releases.MAP_TYPES.get(map_type.c_name)))
    for name in kfuncs:
        add(_released(f"kernel function {name}", releases.KFUNCS.get(name)))
    names: list[str] = []
    for flag_name, flag in PROG_FLAGS.items():
        if prog_flags & flag:
            add(_released(f"flag {flag_name}", releases.FLAGS.get(flag_name)))
    second = False
    for insn in insns:
        if second:
            second = False
            continue
        second = insn.code == 0x18
        needed = insn_needs(insn)
        if needed is not None:
            names.append(needed[0])
        if insn.code == 0x85 and insn.src == 0:
            try:
                helper = f"bpf_{HelperId(insn.imm).name}"
            except ValueError:
                continue
            add(_released(f"helper {helper}", releases.HELPERS.get(helper)))
        if insn.code & 7 in (op.BPF_JMP, op.BPF_JMP32) and insn.code not in (0x85, 0x95, 0xE5):
            if (insn.imm if insn.code == 0x06 else insn.off) < 0:
                names.append("bounded_loops")
    if len(insns) > 4096:
        names.append("million_insns")
    for name in names:
        row = BEHAVIOURS[name]
        add([Need(row.what, row.since, row.source)])
    return sorted(found.values(), key=lambda need: (need.since, need.what), reverse=True)
