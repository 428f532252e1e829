"""Object bytes to a blueprint: functions cut out of their sections, put together to programs, references noted.

A program is a function in a section whose name says a program type; every function it calls is put behind it, once, as
Linux wants it: one piece of code with bpf-to-bpf calls. Func and line information move along.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from userbpf.abi.enums import ProgType
from userbpf.btf import Btf, DataSec, Func
from userbpf.btf.ext import BtfExt, CoreRelo, parse_ext
from userbpf.errors import AsmError, BtfError, ObjectError
from userbpf.isa.insn import Insn, decode
from userbpf.isa.opcodes import BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LDDW
from userbpf.loader.blueprint import Kind, ObjectPlan, ProgPlan, Reference
from userbpf.loader.core import CoreTarget, relocate
from userbpf.loader.elf import Elf, ElfSection, Relocation, Symbol, read_elf
from userbpf.loader.externs import KSYMS, settle_ksyms
from userbpf.loader.legacy import SECTION as LEGACY_MAPS
from userbpf.loader.maps import (
    arena_globals,
    data_sections,
    declared_maps,
    kconfig_section,
    place_variables,
    settle_functions,
)
from userbpf.spec.sections import Section, section_of

ProgTypes = Mapping[str, ProgType]
Place = Callable[["Function"], int]  # puts a function into the program, once; its first slot
CALL = 0x85
HANDLER = "exception_callback:"  # of a tag of a program: the function that runs when it throws
MAX_CALLED = 4096


@dataclass(slots=True)
class Function:
    """Code of one function: `start` and `end` are bytes in its section."""

    name: str
    section: ElfSection
    start: int
    end: int
    is_global: bool
    insns: list[Insn] = field(default_factory=list)


class _Object:
    """An object file on its way to a blueprint."""

    def __init__(self, data: bytes, name: str, target: CoreTarget | None, prog_types: ProgTypes) -> None:
        self.name = name
        self.prog_types = prog_types
        self.elf: Elf = read_elf(data, name)
        self.target = target
        self.btf: Btf | None = None
        self.ext = BtfExt()
        self.ksyms: set[str] = set()
        self._read_btf()
        self.functions = self._functions()
        self.starts = {index: [f.start for f in fs] for index, fs in self.functions.items()}
        self.maps = declared_maps(self.elf, self.btf, name)
        self.data = data_sections(self.elf, self.btf, PurePath(name).name.split(".")[0])
        shared = arena_globals(self.elf, self.btf, self.maps, name)
        if shared is not None:
            self.data[shared.section] = shared
        self.map_sections = [s for s in self.elf.sections if s.name in (".maps", LEGACY_MAPS)]
        if self.btf is not None:
            kconfig = kconfig_section(self.btf, PurePath(name).name.split(".")[0])
            if kconfig is not None:
                self.data[kconfig.section] = kconfig

    def _read_btf(self) -> None:
        section = self.elf.named(".BTF")
        if section is None:
            return
        try:
            self.btf = Btf.parse(section.data)
            externs = self.btf.find(KSYMS, DataSec)
            self.ksyms = {self.btf.by_id(v.type).name for v in externs.vars} if externs is not None else set()
            settle_ksyms(self.btf)
            settle_functions(self.elf, self.btf)
            place_variables(self.elf, self.btf)
            ext = self.elf.named(".BTF.ext")
            if ext is not None:
                self.ext = parse_ext(ext.data, self.btf)
        except BtfError as e:
            raise ObjectError(f"{self.name}: section .BTF: {e}") from e

    def _functions(self) -> dict[int, list[Function]]:
        """Functions by section, in order of place."""
        out: dict[int, list[Function]] = {}
        for section in self.elf.sections:
            if not section.is_code or not section.data:
                continue
            try:
                insns = decode(section.data)
            except AsmError as e:
                raise ObjectError(f"{self.name}: section {section.name}: {e}") from e
            symbols = [s for s in self.elf.symbols if s.section == section.index and s.kind == "FUNC"]
            for s in sorted(symbols, key=lambda s: s.value) or self._untyped(section):
                end = s.value + s.size
                if s.value % 8 or s.size % 8 or not s.size or end > len(section.data):
                    raise ObjectError(f"{self.name}: section {section.name}: function {s.name} has impossible bounds")
                out.setdefault(section.index, []).append(
                    Function(s.name, section, s.value, end, s.bind != "LOCAL", insns[s.value // 8 : end // 8])
                )
        return out

    def _untyped(self, section: ElfSection) -> list[Symbol]:
        """Functions of a compiler that gave its symbols neither type nor size: each goes up to the next."""
        found = sorted(
            (s for s in self.elf.symbols if s.section == section.index and s.kind == "NOTYPE" and s.bind != "LOCAL"),
            key=lambda s: s.value,
        )
        if not found or found[0].value:
            found.insert(0, Symbol(section.name, "NOTYPE", "GLOBAL", section.index, 0, 0))
        ends = [*(s.value for s in found[1:]), len(section.data)]
        return [replace(s, size=end - s.value) for s, end in zip(found, ends, strict=True)]

    def function_at(self, section: int, off: int, caller: Function, pc: int) -> Function:
        """The function that begins at an offset."""
        starts = self.starts.get(section, [])
        at = bisect_right(starts, off) - 1
        if at < 0 or starts[at] != off:
            raise ObjectError(f"{self.where(caller, pc)}: no function begins at byte {off} of section {section}")
        return self.functions[section][at]

    def where(self, function: Function, pc: int) -> str:
        """Section, function and source line of an instruction, for messages."""
        off = function.start + pc * 8
        text = f"{self.name}: section {function.section.name}: {function.name}+{pc}"
        lines = [r for r in self.ext.lines.get(function.section.name, []) if r.off <= off]
        if lines and self.btf is not None:
            last = max(lines, key=lambda r: r.off)
            text += f" (line {last.line}: {self.btf.string(last.line_off).strip()})"
        return text

    def row_of(self, section: str) -> Section | None:
        """What a section's name says of its programs; None where it says nothing."""
        given = self.prog_types.get(section)
        return Section(section, given) if given is not None else section_of(section)

    # --- a program ---------------------------------------------------------------------------------------------------------

    def program(self, function: Function) -> ProgPlan:
        """The function with all it calls."""
        row = self.row_of(function.section.name)
        name = function.section.name.removeprefix("?")
        plan = ProgPlan(function.name, function.section.name, row, name.partition("/")[2], [])
        plan.autoload = not function.section.name.startswith("?")
        placed: dict[tuple[int, int], int] = {}
        order: list[Function] = []

        def place(f: Function) -> int:
            key = (f.section.index, f.start)
            if key not in placed:
                if len(order) >= MAX_CALLED:
                    raise ObjectError(f"{self.name}: {function.name} calls more than {MAX_CALLED} functions")
                placed[key] = len(plan.insns)
                plan.insns.extend(f.insns)
                order.append(f)
            return placed[key]

        place(function)
        at = 0
        while at < len(order):  # `order` grows as calls are found
            self._link(order[at], placed[(order[at].section.index, order[at].start)], plan, place)
            at += 1
            if at == len(order):
                for handler in self._handlers(function):
                    place(handler)
        for f in order:
            self._information(f, placed[(f.section.index, f.start)], plan)
        return plan

    def _handlers(self, function: Function) -> list[Function]:
        """What a tag of a program says that runs when it throws; as libbpf, behind all that the program calls."""
        t = self.btf.find(function.name, Func) if self.btf is not None else None
        if self.btf is None or t is None:
            return []
        wanted = {
            tag.name.removeprefix(HANDLER)
            for tag in self.btf.tags_of(t.id)
            if tag.component < 0 and tag.name.startswith(HANDLER)
        }
        return [f for fs in self.functions.values() for f in fs if f.name in wanted]

    def _link(self, f: Function, base: int, plan: ProgPlan, place: Place) -> None:
        """Calls and references of one function that lies at slot `base` of the program."""
        second = False
        for pc, insn in enumerate(f.insns):
            if second:
                second = False
                continue
            second = insn.code == LDDW
            r = f.section.relocations.get(f.start + pc * 8)
            if insn.code == CALL and r is not None and r.symbol.section == 0 and r.symbol.name in self.ksyms:
                plan.references.append(Reference(base + pc, Kind.KFUNC, r.symbol.name, weak=r.symbol.bind == "WEAK"))
            elif insn.code == CALL and insn.src == BPF_PSEUDO_CALL:
                callee = self._callee(f, pc, insn, r)
                plan.insns[base + pc] = insn._replace(imm=place(callee) - (base + pc) - 1)
            elif r is not None and insn.code == LDDW:
                self._address(f, pc, insn, r, base, plan, place)
            elif r is not None and insn.code == CALL:
                raise ObjectError(f"{self.where(f, pc)}: call of {r.symbol.name}, which is not in the object")

    def _callee(self, f: Function, pc: int, insn: Insn, r: Relocation | None) -> Function:
        if r is None:
            return self.function_at(f.section.index, f.start + (pc + 1 + insn.imm) * 8, f, pc)
        if r.symbol.section <= 0:
            raise ObjectError(f"{self.where(f, pc)}: call of {r.symbol.name or 'a symbol'}, which is not in the object")
        return self.function_at(r.symbol.section, r.symbol.value + (insn.imm + 1) * 8 + r.addend, f, pc)

    def _address(
        self, f: Function, pc: int, insn: Insn, r: Relocation, base: int, plan: ProgPlan, place: Place
    ) -> None:
        """A lddw whose value the loader knows."""
        s = r.symbol
        kconfig = self.data.get(".kconfig")
        if s.section == 0 and kconfig is not None and s.name in kconfig.variables:
            off = kconfig.variables[s.name].off
            plan.references.append(Reference(base + pc, Kind.MAP_VALUE, ".kconfig", off))
            plan.insns[base + pc] = insn._replace(src=BPF_PSEUDO_MAP_VALUE, imm=0)
            plan.insns[base + pc + 1] = Insn(0, imm=off)
            return
        if s.section == 0 and s.name in self.ksyms:
            plan.references.append(Reference(base + pc, Kind.KSYM, s.name, weak=s.bind == "WEAK"))
            return
        if s.section == 0:
            if s.bind == "WEAK":
                plan.insns[base + pc] = insn._replace(src=0, imm=0)
                return
            raise ObjectError(f"{self.where(f, pc)}: extern {s.name} is not known here")
        section = self.elf.sections[s.section] if 0 < s.section < len(self.elf.sections) else None
        if section is None:
            raise ObjectError(f"{self.where(f, pc)}: {s.name} is in no section")
        if section in self.map_sections:
            if s.name not in self.maps:
                raise ObjectError(f"{self.where(f, pc)}: {s.name or 'the symbol'} is no map of section {section.name}")
            plan.references.append(Reference(base + pc, Kind.MAP, s.name))
            plan.insns[base + pc] = insn._replace(src=BPF_PSEUDO_MAP_FD, imm=0)
        elif section.name in self.data:
            off = (s.value + insn.imm + r.addend) & 0xFFFFFFFF
            plan.references.append(Reference(base + pc, Kind.MAP_VALUE, section.name, off))
            plan.insns[base + pc] = insn._replace(src=BPF_PSEUDO_MAP_VALUE, imm=0)
            plan.insns[base + pc + 1] = Insn(0, imm=off - (1 << 32) if off >> 31 else off)
        elif section.is_code:
            target = place(self.function_at(section.index, s.value + insn.imm + r.addend, f, pc))
            plan.insns[base + pc] = insn._replace(src=BPF_PSEUDO_FUNC, imm=target - (base + pc) - 1)
        else:
            raise ObjectError(
                f"{self.where(f, pc)}: {s.name or section.name} in section {section.name} is neither map nor data"
            )

    def _information(self, f: Function, base: int, plan: ProgPlan) -> None:
        """Func, line and CO-RE records of a function, moved to where it lies in the program."""
        name = f.section.name
        for info in self.ext.funcs.get(name, []):
            if info.off == f.start:
                plan.func_info.append((base, info.type_id))
        for line in self.ext.lines.get(name, []):
            if f.start <= line.off < f.end:
                pc = base + (line.off - f.start) // 8
                plan.line_info.append((pc, line.file_name_off, line.line_off, line.line_col))
        for relo in self.ext.relos.get(name, []):
            if f.start <= relo.off < f.end:
                self._core(f, relo, base, plan)

    def _core(self, f: Function, relo: CoreRelo, base: int, plan: ProgPlan) -> None:
        pc = (relo.off - f.start) // 8
        assert self.btf is not None
        try:
            relocate(plan.insns, base + pc, relo, self.btf, self.target)
        except BtfError as e:
            raise ObjectError(f"{self.where(f, pc)}: CO-RE relocation {relo.access}: {e}") from e


def parse_object(
    data: bytes, name: str, target: CoreTarget | None = None, prog_types: ProgTypes | None = None
) -> ObjectPlan:
    """The blueprint of an object file; ObjectError names file, section, symbol and line.

    `target`: types for CO-RE. `prog_types`: program types of sections whose names do not say them.
    """
    try:
        return _parse(data, name, target, prog_types or {})
    except BtfError as e:
        raise ObjectError(f"{name}: {e}") from e
    except RecursionError as e:
        raise ObjectError(f"{name}: malformed: nested without end") from e
    except (struct.error, OverflowError, ValueError) as e:  # a number that fits no field
        raise ObjectError(f"{name}: malformed: {e}") from e


def _parse(data: bytes, name: str, target: CoreTarget | None, prog_types: ProgTypes) -> ObjectPlan:
    obj = _Object(data, name, target, prog_types)
    progs: dict[str, ProgPlan] = {}
    for functions in obj.functions.values():
        for f in functions:
            if f.section.name == ".text" or not f.is_global:
                continue
            progs[f.name] = obj.program(f)
    licence = obj.elf.named("license")
    text = licence.data.split(b"\0")[0].decode("latin-1") if licence is not None else ""
    blob = b""
    if obj.btf is not None:
        blob = obj.btf.encode()
        shift = string_size(blob)  # line records name the object's own strings, which are put behind those of the types
        blob = with_strings(blob, obj.btf.strings_raw)
        room = len(obj.btf.strings_raw)
        for plan in progs.values():
            if any(f >= room or line >= room for _, f, line, _ in plan.line_info):
                raise ObjectError(f"{name}: .BTF.ext: a line of {plan.name} names a string outside of the strings")
            plan.line_info = [(pc, shift + f, shift + line, col) for pc, f, line, col in plan.line_info]
    return ObjectPlan(name, text, obj.btf, blob, obj.maps, obj.data, progs)


def string_size(blob: bytes) -> int:
    """Bytes of an encoded blob's string section, which is its end."""
    return int.from_bytes(blob[20:24], "little")


def with_strings(blob: bytes, strings: bytes) -> bytes:
    """The blob with more strings behind its own."""
    size = string_size(blob) + len(strings)
    return blob[:20] + size.to_bytes(4, "little") + blob[24:] + strings
