"""bpf_conformance's instruction tests, run in place from a checkout outside of the repository.

cd tests && python -m bench_verifier.conformance DIR [--only WORD] [-v]

Each `*.data` file has a program in uBPF's notation, perhaps memory (r1 points at it, r2 is its length), and the 64 bits of r0
that it ends with. Here the text becomes a static function that an XDP program calls with its packet; the result is stored behind
the memory. Four answers a test: the verifiers of userbpf and of the running Linux (verdict, errno, message, count),
and r0 as the interpreter, the compiled program and Linux have it.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from bench_verifier.linux import XDP, Oracle, available, run
from bench_verifier.objects import PROCESSED
from enginerig import ENGINES, Rig, unverified
from userbpf.abi.enums import ProgType
from userbpf.engine import Env
from userbpf.errors import UserbpfError, messages
from userbpf.helpers import bodies
from userbpf.isa.asm import assemble
from userbpf.isa.insn import Insn, encode
from userbpf.verifier import Rejected, VerifyRequest, verify

ALU = {
    name: n << 4 for n, name in enumerate(("add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"))
}
ALU |= {"mov": 0xB0, "arsh": 0xC0}
JMP = {"ja": 0, "jeq": 0x10, "jgt": 0x20, "jge": 0x30, "jset": 0x40, "jne": 0x50, "jsgt": 0x60, "jsge": 0x70}
JMP |= {"jlt": 0xA0, "jle": 0xB0, "jslt": 0xC0, "jsle": 0xD0}
SIZE = {"w": 0, "h": 8, "b": 0x10, "dw": 0x18}
ATOMIC = {"add": 0, "or": 0x40, "and": 0x50, "xor": 0xA0, "xchg": 0xE1, "cmpxchg": 0xF1}
MEMORY = re.compile(r"\[%r(\d+)(?:\s*([+-])\s*(\w+))?\]")
REG = re.compile(r"%r(\d+)$")
MIN_PACKET = 14


@dataclass(slots=True)
class Test:
    """One file. `result` is None where the program is expected to fail."""

    name: str
    insns: list[Insn]
    memory: bytes
    result: int | None


def _imm32(text: str) -> int:
    value = int(text, 0) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _operand(text: str) -> tuple[int, int, int]:
    """(the X bit, source register, immediate)."""
    if found := REG.match(text):
        return 8, int(found[1]), 0
    return 0, 0, _imm32(text)


def _memory(text: str) -> tuple[int, int]:
    found = MEMORY.match(text)
    if found is None:
        raise ValueError(text)
    off = int(found[3] or "0", 0)
    return int(found[1]), -off if found[2] == "-" else off


def _statement(words: list[str], target: dict[str, int], at: int) -> list[Insn]:
    """The instruction at slot `at`; labels that are not known yet count as 0."""
    name, args = words[0], words[1:]

    def jump(label: str) -> int:
        return int(label, 0) if label[0] in "+-" or label.isdigit() else target.get(label, at + 1) - at - 1

    def reg(n: int) -> int:
        found = REG.match(args[n])
        if found is None:
            raise ValueError(args[n])
        return int(found[1])

    if name == "exit":
        return [Insn(0x95, 0, 0, 0, 0)]
    if name == "call":
        if args[0] == "local":
            return [Insn(0x85, 0, 1, 0, jump(args[1]))]
        found = REG.match(args[0])
        return [Insn(0x8D, int(found[1]), 0, 0, 0) if found else Insn(0x85, 0, 0, 0, int(args[0], 0))]
    if name == "lddw":
        value = int(args[1], 0) & (1 << 64) - 1
        low, high = _imm32(str(value & 0xFFFFFFFF)), _imm32(str(value >> 32))
        return [Insn(0x18, reg(0), 0, 0, low), Insn(0, 0, 0, 0, high)]
    if name == "lock":
        fetch = 1 if args[0] == "fetch" else 0
        kind, place, src = args[fetch : fetch + 3]
        size = 0 if kind.endswith("32") else 0x18
        base, off = _memory(place)
        found = REG.match(src)
        assert found is not None
        return [Insn(0xC3 | size, base, int(found[1]), off, ATOMIC[kind.removesuffix("32")] | fetch)]
    if found := re.match(r"(ldx|stx|st)(s?)(dw|w|h|b)$", name):
        size = SIZE[found[3]]
        if found[1] == "ldx":
            base, off = _memory(args[1])
            return [Insn((0x81 if found[2] else 0x61) | size, reg(0), base, off, 0)]
        base, off = _memory(args[0])
        if found[1] == "st":
            return [Insn(0x62 | size, base, 0, off, _imm32(args[1]))]
        return [Insn(0x63 | size, base, reg(1), off, 0)]
    if found := re.match(r"(le|be|bswap|swap)(16|32|64)$", name):
        code = {"le": 0xD4, "be": 0xDC}.get(found[1], 0xD7)
        return [Insn(code, reg(0), 0, 0, int(found[2]))]
    if found := re.match(r"movsx(8|16|32)(32|64)$", name):
        return [Insn(0xBC if found[2] == "32" else 0xBF, reg(0), reg(1), int(found[1]), 0)]
    wide = 0 if name.endswith("32") else 1
    stem = name.removesuffix("32")
    if stem in JMP:
        cls = 5 if wide else 6
        if stem == "ja":
            return [Insn(cls, 0, 0, *((jump(args[0]), 0) if wide else (0, jump(args[0]))))]
        x, src, imm = _operand(args[1])
        return [Insn(JMP[stem] | cls | x, reg(0), src, jump(args[2]), imm)]
    signed = int(stem in ("sdiv", "smod"))
    stem = stem[1:] if signed else stem
    cls = 7 if wide else 4
    if stem == "neg":
        return [Insn(ALU[stem] | cls, reg(0), 0, 0, 0)]
    x, src, imm = _operand(args[1])
    return [Insn(ALU[stem] | cls | x, reg(0), src, signed, imm)]


def parse_asm(lines: list[str]) -> list[Insn]:
    """Twice over the text: the first time for the labels. `exit` as a target is the last exit."""
    target: dict[str, int] = {}
    for _ in range(2):
        insns: list[Insn] = []
        for line in lines:
            text = line.partition("#")[0].strip()
            if not text:
                continue
            if text.endswith(":"):
                target[text[:-1]] = len(insns)
                continue
            words = [w for w in re.split(r"[\s,]+(?![^\[]*\])", text) if w]
            if words[0] == "exit":
                target["exit"] = len(insns)
            insns += _statement(words, target, len(insns))
    return insns


def parse_raw(lines: list[str]) -> list[Insn]:
    """An instruction a line, as a number."""
    out = []
    for line in lines:
        if text := line.partition("#")[0].strip():
            word = int(text, 16)
            off, imm = word >> 16 & 0xFFFF, word >> 32
            out.append(
                Insn(word & 0xFF, word >> 8 & 15, word >> 12 & 15, off - (off >> 15 << 16), imm - (imm >> 31 << 32))
            )
    return out


def read(path: Path) -> Test:
    """A file, by its sections."""
    sections: dict[str, list[str]] = collections.defaultdict(list)
    name = ""
    for line in path.read_text().splitlines():
        if line.startswith("-- "):
            name = line[3:].strip()
            sections[name] = []
        elif name:
            sections[name].append(line)
    insns = parse_asm(sections["asm"]) if "asm" in sections else parse_raw(sections["raw"])
    memory = bytes.fromhex("".join(line.partition("#")[0] for line in sections.get("mem", [])))
    result = next((line.strip() for line in sections.get("result", []) if line.strip()), None)
    return Test(path.stem, insns, memory, None if result is None else int(result, 0) & (1 << 64) - 1)


def wrapped(test: Test) -> tuple[list[Insn], bytes]:
    """An XDP program that calls the function and leaves r0 in the last 8 bytes of its packet; and that packet."""
    room = max(len(test.memory), MIN_PACKET - 8)
    head = assemble(
        f"""
        r6 = r1
        r1 = *(u32 *)(r6 + 0)
        r3 = *(u32 *)(r6 + 4)
        r2 = r1
        r2 += {room + 8}
        if r2 > r3 goto out
        r2 = {len(test.memory)}
        call body
        r1 = *(u32 *)(r6 + 0)
        r3 = *(u32 *)(r6 + 4)
        r2 = r1
        r2 += {room + 8}
        if r2 > r3 goto out
        *(u64 *)(r1 + {room}) = r0
    out: r0 = 2
        exit
    body: exit"""
    )[:-1]
    return [*head, *test.insns], test.memory.ljust(room, b"\0") + b"\xee" * 8


def ours(insns: list[Insn], packet: bytes) -> tuple[int, str, int, dict[str, object]]:
    """errno, message, count, and r0 by engine (or what went wrong). What is refused the interpreter runs all the same."""
    try:
        prog = verify(VerifyRequest(insns, ProgType.XDP, log_level=1))
        err, message, count = 0, "", prog.stats.insns_processed
    except Rejected as e:
        lines = messages(e.log or "")
        err, message, count = e.errno or -1, lines[-1] if lines else "", 0
        prog = unverified(insns, ProgType.XDP, depth=256)
    results: dict[str, object] = {}
    for name, engine in ENGINES.items():
        if err and name == "jit":
            continue  # it lives on what the verifier has proven
        rig = Rig(packet)
        try:
            engine(prog, rig, Env(helpers=bodies(ProgType.XDP)))
            results[name] = int.from_bytes(rig.packet()[-8:], "little")
        except (UserbpfError, KeyError, ValueError) as e:
            results[name] = f"{type(e).__name__}: {e}"
    return err, message, count, results


def theirs(oracle: Oracle, insns: list[Insn], packet: bytes) -> tuple[int, str, int, object]:
    answer = oracle.load(encode(insns), XDP, 1, keep=True)
    if answer.err:
        lines = messages(answer.log)
        return abs(answer.err), lines[-1] if lines else "", 0, None
    try:
        _, _, out = run(answer.fd, packet)
    finally:
        os.close(answer.fd)
    found = PROCESSED.search(answer.log)
    return 0, "", int(found[1]) if found else 0, int.from_bytes(out[-8:], "little")


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("where", type=Path)
    options.add_argument("--only", default="")
    options.add_argument("-v", "--verbose", action="store_true", help="show what is refused, too")
    args = options.parse_args(argv)
    oracle = None if available() else Oracle()
    kinds: collections.Counter[str] = collections.Counter()
    for path in sorted(args.where.rglob("*.data")):
        if args.only not in path.name:
            continue
        try:
            test = read(path)
        except (ValueError, KeyError, IndexError) as e:
            kinds["not read"] += 1
            print(f"{path.stem}: not read: {type(e).__name__}: {e}")
            continue
        insns, packet = wrapped(test)
        err, message, count, results = ours(insns, packet)
        kinds["tests"] += 1
        kinds["accepted" if not err else "refused"] += 1
        for engine, value in results.items():
            good = value == test.result
            kinds[f"{engine} as expected"] += good
            if not good and (not err or args.verbose):
                print(
                    f"{path.stem}: {engine} {value if isinstance(value, str) else hex(value)}, expected {test.result}"
                )
        if oracle is not None:
            linux = theirs(oracle, insns, packet)
            kinds["Linux as expected"] += linux[3] == test.result
            same = linux[:3] == (err, message, count)
            kinds["verified as in Linux"] += same
            if not same or (err and args.verbose):
                print(f"{path.stem}: Linux {linux[:3]}, userbpf {(err, message, count)}")
    print(", ".join(f"{what} {n}" for what, n in kinds.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
