"""The ELF container of a BPF object: sections, symbols and relocations as plain data (read by pyelftools)."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from userbpf.errors import ObjectError

EM_BPF: Final = 247
SHN_UNDEF: Final = 0
SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4
MAX_SECTIONS: Final = 4096
MAX_OBJECT_BYTES: Final = 256 << 20

R_BPF_64_64: Final = 1
R_BPF_64_32: Final = 10


@dataclass(slots=True)
class Symbol:
    """`section` is a section index; `kind` FUNC, OBJECT, SECTION or NOTYPE; `bind` LOCAL, GLOBAL or WEAK.

    `hidden`: not seen outside of the object (`__hidden`), whatever `bind` says.
    """

    name: str
    kind: str
    bind: str
    section: int
    value: int
    size: int
    hidden: bool = False


@dataclass(slots=True)
class Relocation:
    off: int
    kind: int
    symbol: Symbol
    addend: int = 0  # of RELA sections, as the first compilers for BPF wrote; since then it stands in the instruction


@dataclass(slots=True)
class ElfSection:
    index: int
    name: str
    kind: str
    flags: int
    data: bytes
    relocations: dict[int, Relocation] = field(default_factory=dict)

    @property
    def is_code(self) -> bool:
        return bool(self.flags & SHF_EXEC) and self.kind == "SHT_PROGBITS"


@dataclass(slots=True)
class Elf:
    sections: list[ElfSection]
    symbols: list[Symbol]

    def named(self, name: str) -> ElfSection | None:
        return next((s for s in self.sections if s.name == name), None)


def read_elf(data: bytes, name: str) -> Elf:
    """The container; ObjectError for bytes that are no little-endian BPF object."""
    if data[:4] != b"\x7fELF":
        raise ObjectError(f"{name}: not an ELF object")
    if len(data) > MAX_OBJECT_BYTES:
        raise ObjectError(f"{name}: {len(data)} bytes are too many for an object")
    try:
        return _read(data, name)
    except ObjectError:
        raise
    except Exception as e:  # pyelftools raises whatever its parsers do on malformed bytes
        raise ObjectError(f"{name}: malformed ELF: {type(e).__name__}: {e}") from e


def _read(data: bytes, name: str) -> Elf:
    file: Any = ELFFile(io.BytesIO(data))
    machine = file.header["e_machine"]
    if machine not in ("EM_BPF", EM_BPF, "EM_NONE"):  # compilers before the number was given wrote none
        raise ObjectError(f"{name}: an object for {machine}, not for BPF")
    if not file.little_endian or file.elfclass != 64:
        raise ObjectError(f"{name}: not a little-endian 64-bit object (compile for bpfel)")
    if file.num_sections() > MAX_SECTIONS:
        raise ObjectError(f"{name}: {file.num_sections()} sections")
    sections: list[ElfSection] = []
    raw: list[Any] = []
    for index in range(file.num_sections()):
        section = file.get_section(index)
        kind, size = section["sh_type"], section["sh_size"]
        if kind == "SHT_NOBITS":
            if size > MAX_OBJECT_BYTES:
                raise ObjectError(f"{name}: section {section.name} of {size} bytes")
            content = bytes(size)
        elif kind == "SHT_NULL":
            content = b""
        else:
            if section["sh_offset"] + size > len(data):
                raise ObjectError(f"{name}: section {section.name} lies outside of the file")
            content = data[section["sh_offset"] : section["sh_offset"] + size]
        sections.append(ElfSection(index, section.name, str(kind), int(section["sh_flags"]), content))
        raw.append(section)
    symbols = _symbols(raw)
    for section in raw:
        if section["sh_type"] in ("SHT_REL", "SHT_RELA") and section["sh_info"] < len(sections):
            target = sections[section["sh_info"]]
            for r in section.iter_relocations():
                if r["r_info_sym"] >= len(symbols):
                    raise ObjectError(f"{name}: {section.name}: relocation of symbol {r['r_info_sym']}")
                addend = r["r_addend"] if r.is_RELA() else 0
                target.relocations[r["r_offset"]] = Relocation(
                    r["r_offset"], r["r_info_type"], symbols[r["r_info_sym"]], addend
                )
    return Elf(sections, symbols)


def _symbols(raw: list[Any]) -> list[Symbol]:
    table = next((s for s in raw if s["sh_type"] == "SHT_SYMTAB"), None)
    if table is None:
        return []
    out = []
    for s in table.iter_symbols():
        shndx = s["st_shndx"]
        index = shndx if isinstance(shndx, int) else 0 if shndx == "SHN_UNDEF" else -1
        kind = str(s["st_info"]["type"]).removeprefix("STT_")
        bind = str(s["st_info"]["bind"]).removeprefix("STB_")
        hidden = s["st_other"]["visibility"] in ("STV_HIDDEN", "STV_INTERNAL")
        out.append(Symbol(s.name, kind, bind, index, s["st_value"], s["st_size"], hidden))
    return out
