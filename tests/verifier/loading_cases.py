"""Loads that are wrong in one way or in several: fd_array, core_relos, func_info, signatures, small logs. By name."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import Any

from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn
from verifier.loading_ask import ARRAY, BTF, CLOSED, FILE, HASH, MANY, PROG, TRUE_SIZE, TYPES, Answer, World

Case = Callable[[World], Answer]
RETURN_0 = [Insn(0xB7), Insn(0x95)]
MOVE = [Insn(0xB7, 1), *RETURN_0]
FUNCS = {
    "prog_btf_fd": BTF,
    "func_info_cnt": 1,
    "func_info_rec_size": 8,
    "func_info": struct.pack("<II", 0, TYPES.main),
}
LINES = {
    "prog_btf_fd": BTF,
    "line_info_cnt": 1,
    "line_info_rec_size": 16,
    "line_info": struct.pack("<IIII", 0, 1, 1, 1024),
}


def fds(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}i", *numbers)


def wide(imm: int, src: int, high: int = 0) -> list[Insn]:
    return [Insn(0x18, 1, src, 0, imm), Insn(0, imm=high), *RETURN_0]


def _fd_array() -> dict[str, Case]:
    lists: dict[str, tuple[int, ...]] = {
        "maps": (ARRAY, HASH),
        "twice": (ARRAY, ARRAY),
        "btf": (BTF, ARRAY),
        "prog": (ARRAY, PROG),
        "file": (FILE, ARRAY),
        "closed": (ARRAY, CLOSED),
        "-1": (-1, ARRAY),
        "64": tuple(range(MANY, MANY + 64)),
        "65": tuple(range(MANY, MANY + 65)),
        "65, 2 same": (*range(MANY, MANY + 64), MANY),
    }
    out: dict[str, Case] = {}
    for name, numbers in lists.items():
        for count, index in itertools.product(
            (0, 1, 2, len(numbers), 1 << 30, 0xFFFFFFFF), (None, 0, 1, len(numbers) - 1)
        ):
            if len(numbers) < count < 1 << 20:
                continue
            code = RETURN_0 if index is None else wide(index, 5)
            fields = {"fd_array": fds(*numbers), "fd_array_cnt": count}
            out[f"fd_array {name} of {count} at {index}"] = lambda w, c=code, f=fields: w.load(c, **f)  # type: ignore[misc]
    for name, fields in {"no": {}, "an unreadable": {"fd_array": 8}}.items():
        for count in (0, 1):
            for code in (RETURN_0, wide(0, 5), wide(0, 6, 4), [Insn(0x85, 0, 2, 1, 1), *RETURN_0]):
                every = {**fields, "fd_array_cnt": count}
                out[f"{name} fd_array of {count}, {code[0]}"] = lambda w, c=code, f=every: w.load(c, **f)  # type: ignore[misc]
    for at, off in itertools.product((ARRAY, BTF, CLOSED, FILE, -1), (1, -1, 2)):
        code = [Insn(0x85, 0, 2, off, 1), *RETURN_0]
        out[f"a function of module {at} at {off}"] = lambda w, c=code, at=at: w.load(c, fd_array=fds(ARRAY, at, BTF))  # type: ignore[misc]
    for fd, type_id in itertools.product((ARRAY, BTF, CLOSED, -1), (1, 0, 9999, -1)):
        out[f"variable {type_id} of {fd}"] = lambda w, c=wide(type_id, 3, fd): w.load(c)  # type: ignore[misc]
    return out


WRONG: dict[str, dict[str, Any]] = {
    "flags": {"prog_flags": 1 << 31},
    "no instructions": {"insn_cnt": 0},
    "no licence": {"license": 0},
    "type": {"prog_type": 99},
    "name": {"prog_name": b"a b"},
    "device": {"prog_ifindex": 9999},
    "level": {"log_level": 16},
    "log nowhere": {"log_buf": 8},
    "log tiny": {"log_size": 1},
    "fd_array": {"fd_array": fds(-1), "fd_array_cnt": 1},
    "fd_array null": {"fd_array_cnt": 1},
    "func_info": {**FUNCS, "func_info_rec_size": 7},
    "func_info type": {**FUNCS, "func_info": struct.pack("<II", 0, 0xFFFFFFFF)},
    "no BTF": {**FUNCS, "prog_btf_fd": CLOSED},
    "line_info": {**LINES, "line_info_rec_size": 15},
    "relos": {"core_relo_cnt": 1, "core_relo_rec_size": 16, "core_relos": bytes(16)},
    "relos null": {"core_relo_cnt": 1, "core_relo_rec_size": 16},
    "relos' size": {"core_relo_cnt": 1, "core_relo_rec_size": 12},
    "signature": {"signature": bytes(16), "signature_size": 16},
    "signature nowhere": {"signature": 8, "signature_size": 16},
    "signature's key": {"signature": 8, "keyring_id": 77},
    "signature's size": {"signature": 8, "signature_size": 8193},
    "true size": {"log_true_size": 77},
    "short attr": {"size": 139},
}


def _orders() -> dict[str, Case]:
    out: dict[str, Case] = {name: lambda w, f=f: w.load(RETURN_0, **f) for name, f in WRONG.items()}  # type: ignore[misc]
    for (a, first), (b, second) in itertools.combinations(WRONG.items(), 2):
        if any(first[key] != second[key] for key in set(first) & set(second)):
            continue
        out[f"{a} and {b}"] = lambda w, f={**first, **second}: w.load(RETURN_0, **f)  # type: ignore[misc]
    for level in (0, 1):
        out[f"true size at level {level}"] = lambda w, n=level: w.load(RETURN_0, level=n, log_true_size=77)  # type: ignore[misc]
    return out


def relocated(w: World, insns: list[Insn], *relos: tuple[int, str, str, int], level: int = 2, **fields: Any) -> Answer:
    """(offset of the instruction, type, access path, kind) each."""
    blob, at = TYPES.blob(*(access for _, _, access, _ in relos))
    w.btf(blob)
    rows = zip(relos, at, strict=True)
    raw = b"".join(struct.pack("<IIII", off, TYPES.ids[name], where, kind) for (off, name, _, kind), where in rows)
    more = {"core_relos": raw, "core_relo_cnt": len(relos), "core_relo_rec_size": 16, **FUNCS, **fields}
    err, text, written = w.load(insns, level, **more)
    return err, text, [each for each in written if each[0] != TRUE_SIZE]  # as long as the numbers of the kernel's types


PATHS = ("0", "0:0", "0:1", "0:2", "0:3", "0:3:1", "0:3:16", "0:4", "0:5", "1:0", "0:9", "0:0:0")
TEXTS = (
    *("", ":0", "0:", "0::1", " 0", "0: 1", "0 1", "-1", "0:-1", "a", "00:01", "4294967296:0", "2147483648:0"),
    *(":".join("0" * 64), ":".join("0" * 65)),
)
ACCESSES = {
    f"{code:02x} {off}": [Insn(code, 1, 10, off), *RETURN_0]
    for code in (0x61, 0x69, 0x79, 0x7B, 0x7A)
    for off in (0, 4, -8)
}
OTHERS = {
    "wide": [Insn(0x18, 1), Insn(0), *RETURN_0],
    "wide of a map": [Insn(0x18, 1, 1), Insn(0), *RETURN_0],
    "register": [Insn(0xBF, 1, 10), *RETURN_0],
    "jump": [Insn(0x05), *RETURN_0],
    "32 bits": [Insn(0xB4, 1), *RETURN_0],
}


def _relocations() -> dict[str, Case]:
    out: dict[str, Case] = {}

    def add(name: str, insns: list[Insn], *relos: tuple[int, str, str, int], **more: Any) -> None:
        out[f"relo {name}"] = lambda w: relocated(w, insns, *relos, **more)

    for name in TYPES.ids:
        for kind in (*range(14), 255):
            if kind == 7 and name in ("task", "widths", "packet", "list", "wrong list", "typedef", "enum", "int"):
                continue  # the answer is a number of the kernel's BTF
            for path in PATHS if kind == 0 and name in ("task", "widths", "packet") else ("0", "0:0", "0:4"):
                add(f"{name} {path} {kind}", MOVE, (0, name, path, kind))
    for text in TEXTS:
        add(f"path {text!r}", MOVE, (0, "task", text, 0))
    for what, insns in (ACCESSES | OTHERS).items():
        for name, path in (("task", "0:0"), ("widths", "0:0"), ("widths", "0:2"), ("widths", "0:3"), ("none", "0:0")):
            add(f"{what} {name} {path}", insns, (0, name, path, 0))
    for value, kind, path in itertools.product((1, 4, 12, 61, -1), (1, 2, 3, 4, 5, 8, 9, 10, 11), ("0", "0:0", "0:4")):
        for name in ("task", "packet", "enum"):
            add(f"{value} {name} {path} {kind}", [Insn(0xB7, 1, 0, 0, value), *RETURN_0], (0, name, path, kind))
    for off in (1, 4, 24, 0xFFFFFFFF):
        add(f"at {off}", MOVE, (off, "task", "0:0", 0))
    two = [Insn(0xB7, 1), Insn(0xB7, 2), *RETURN_0]
    add("two", two, (0, "task", "0:0", 0), (8, "packet", "0:1", 0))
    add("twice the same", two, (0, "task", "0:0", 0), (0, "task", "0:0", 0))
    add("the second is wrong", two, (0, "task", "0:0", 0), (80, "task", "0:0", 0))
    dead = [*RETURN_0[:1], Insn(0x55, 0, 0, 1), Insn(0x95), Insn(0xB7, 1), Insn(0x95)]
    add("in dead code", dead, (24, "none", "0:0", 0))
    for level in range(8):
        for name, path in (("task", "0:0"), ("task", "0:9"), ("none", "0:0"), ("beyond", "0")):
            add(f"level {level} {name} {path}", MOVE, (0, name, path, 0), level=level)
    for size, count in itertools.product((0, 8, 15, 17, 20, 252, 256), (1, 2, 1 << 27)):
        raw = struct.pack("<IIII", 0, TYPES.ids["task"], 0, 6) + bytes(236)
        for tail in (raw, raw[:16] + b"\1" * 4 + raw[20:]):
            fields = {"core_relo_rec_size": size, "core_relo_cnt": count, "core_relos": tail * 2}
            add(f"records of {size}, {count}, {tail[16]}", MOVE, **fields)
    return out


BRANCHES = """
call bpf_get_prandom_u32
if r0 > 5 goto a
r1 = r0
if r1 == 2 goto a
r0 = 1
exit
a: r0 = 2
exit
"""


def _logs() -> dict[str, Case]:
    """Paths that end are cut out of a level-1 log; what a small buffer has lost by then is lost."""
    out: dict[str, Case] = {}
    wrong = assemble(BRANCHES.replace("r0 = 2", "r0 = r9"))
    for level, insns in itertools.product((1, 2, 9, 10), (assemble(BRANCHES), wrong)):
        for size in (
            1,
            2,
            64,
            95,
            96,
            97,
            98,
            128,
            129,
            255,
            256,
            299,
            300,
            330,
            360,
            400,
            450,
            501,
            502,
            550,
            596,
            599,
        ):
            name = f"log of {size} at level {level}, {'refused' if insns is wrong else 'accepted'}"
            out[name] = lambda w, i=insns, n=level, s=size: w.load(i, n, s)  # type: ignore[misc]
    return out


def _jumps() -> dict[str, Case]:
    """Far targets wrap around as 32 bits do."""
    far = (0x7FFFFFFF, -0x80000000, 0x7FFFFFF0, 100, -100)
    return {f"goto {imm}": lambda w, i=imm: w.load([Insn(0xB7), Insn(0x06, imm=i), Insn(0x95)]) for imm in far}  # type: ignore[misc]


def _dead_callbacks() -> dict[str, Case]:
    """A callback that no path enters, though its address is taken: Linux takes it out, and misses it at the end."""
    take, leave = [Insn(0x18, 2, 4), Insn(0)], [*RETURN_0]
    shapes = {
        "alone": ([*take, *leave], {0: 4}, (TYPES.main, TYPES.callback)),
        "behind another": (
            [*take, Insn(0x85, src=1), *leave],
            {2: 5, 0: 7},
            (TYPES.main, TYPES.static, TYPES.callback),
        ),
        "before another": (
            [*take, Insn(0x85, src=1), *leave],
            {0: 5, 2: 7},
            (TYPES.main, TYPES.callback, TYPES.static),
        ),
    }
    out: dict[str, Case] = {}
    for name, (main, targets, types) in shapes.items():
        code = [i._replace(imm=targets[pc] - pc - 1) if pc in targets else i for pc, i in enumerate(main)]
        starts = (0, *sorted(targets.values()))
        infos = b"".join(struct.pack("<II", *each) for each in zip(starts, types, strict=True))
        fields = {"prog_btf_fd": BTF, "func_info": infos, "func_info_cnt": len(starts), "func_info_rec_size": 8}
        code += RETURN_0 * (len(starts) - 1)
        out[f"dead callback {name}"] = lambda w, c=code, f=fields: w.load(c, **f)  # type: ignore[misc]
    return out


CASES: dict[str, Case] = {**_fd_array(), **_orders(), **_relocations(), **_logs(), **_jumps(), **_dead_callbacks()}
