"""Maps that an object declares: the structs of section .maps, read from their BTF, and the data sections."""

from __future__ import annotations

import mmap
from typing import Final

from userbpf.abi.consts import BPF_F_MMAPABLE, BPF_F_RDONLY_PROG
from userbpf.abi.enums import MapType
from userbpf.btf import Array, Btf, DataSec, Enum, Func, FuncProto, Member, Ptr, Struct, Var
from userbpf.errors import BtfError, ObjectError
from userbpf.loader.blueprint import DataPlan, MapPlan, Variable
from userbpf.loader.elf import Elf, ElfSection, Symbol
from userbpf.loader.legacy import legacy_maps

NAME_LEN: Final = 15  # BPF_OBJ_NAME_LEN without the NUL
NUMBERS: Final = {
    "type": "map_type",
    "key_size": "",
    "value_size": "",
    "max_entries": "",
    "map_flags": "",
    "map_extra": "",
}
IGNORED: Final = ("numa_node",)
MAX_SLOTS: Final = 65536
STATIC: Final = 0
GLOBAL: Final = 1


def declared_maps(elf: Elf, btf: Btf | None, name: str) -> dict[str, MapPlan]:
    """All of section .maps, and of "maps" in the older form."""
    out = legacy_maps(elf, name)
    section = elf.named(".maps")
    if section is None:
        return out
    if btf is None:
        raise ObjectError(f"{name}: section .maps needs BTF; compile with -g")
    sec = btf.find(".maps", DataSec)
    if sec is None:
        raise ObjectError(f"{name}: the BTF has no section .maps; compile with -g")
    symbols = {s.name: s for s in elf.symbols if s.section == section.index and s.kind == "OBJECT"}
    for item in sec.vars:
        var = btf.resolve(item.type)
        if not isinstance(var, Var):
            raise ObjectError(f"{name}: section .maps: an entry is no variable")
        definition = btf.resolve(var.type)
        if not isinstance(definition, Struct):
            raise ObjectError(f"{name}: map {var.name}: its definition is no struct")
        try:
            plan = map_of(btf, definition, var.name)
        except BtfError as e:
            raise ObjectError(f"{name}: map {var.name}: {e}") from e
        _initial_slots(plan, definition, section, symbols.get(var.name))
        out[var.name] = plan
    return out


def number_of(btf: Btf, m: Member) -> int:
    """The n of `int (*name)[n]`, or of `enum { unique = n } name`, which holds 64 bits."""
    pointer = btf.resolve(m.type)
    if isinstance(pointer, Enum) and pointer.values:
        return pointer.values[0][1]
    target = btf.resolve(pointer.type) if isinstance(pointer, Ptr) else None
    if not isinstance(target, Array):
        raise BtfError(f"{m.name} is not declared with __uint")
    return target.nelems


def map_of(btf: Btf, definition: Struct, name: str) -> MapPlan:
    """The plan that a map's struct describes."""
    plan = MapPlan(name)
    for m in definition.members:
        if m.name in NUMBERS:
            setattr(plan, NUMBERS[m.name] or m.name, number_of(btf, m))
        elif m.name in ("key", "value"):
            pointer = btf.resolve(m.type)
            if not isinstance(pointer, Ptr):
                raise BtfError(f"{m.name} is not declared with __type")
            size = btf.size_of(pointer.type)
            setattr(plan, f"{m.name}_size", size)
            setattr(plan, f"btf_{m.name}_type_id", pointer.type)
        elif m.name == "pinning":
            plan.pin_by_name = number_of(btf, m) == 1
        elif m.name == "values":
            plan.inner = _inner(btf, m, name)
            plan.value_size = plan.value_size or 4
            plan.key_size = plan.key_size or 4
        elif m.name not in IGNORED:
            raise BtfError(f"unknown property {m.name}")
    if plan.map_type == MapType.PERF_EVENT_ARRAY and not plan.max_entries:
        plan.max_entries = 1
    if plan.map_type in (MapType.RINGBUF, MapType.USER_RINGBUF):
        plan.max_entries = ring_size(plan.max_entries)
    return plan


def ring_size(wanted: int) -> int:
    """The next size that a ring buffer can have: a power of two of pages. As it is where there is none."""
    pages = -(-wanted // mmap.PAGESIZE)
    size = mmap.PAGESIZE << max(pages - 1, 0).bit_length()
    return size if wanted and size < 1 << 32 else wanted


def _inner(btf: Btf, m: Member, name: str) -> MapPlan | None:
    """The template of `__array(values, ...)`: a map's struct, or a function for a program array."""
    array = btf.resolve(m.type)
    pointer = btf.resolve(array.type) if isinstance(array, Array) else None
    target = btf.resolve(pointer.type) if isinstance(pointer, Ptr) else None
    if isinstance(target, FuncProto):
        return None
    if not isinstance(target, Struct):
        raise BtfError("values is neither an array of maps nor of programs")
    inner = map_of(btf, target, f"{name}.inner"[:NAME_LEN])
    inner.max_entries = inner.max_entries or 1
    return inner


def _initial_slots(plan: MapPlan, definition: Struct, section: ElfSection, symbol: Symbol | None) -> None:
    """`.values = { [1] = &other }`: relocations within the map's own definition."""
    values = next((m for m in definition.members if m.name == "values"), None)
    if values is None or symbol is None:
        return
    first = symbol.value + values.bit_offset // 8
    for off, r in section.relocations.items():
        index = (off - first) // 8
        if first <= off < symbol.value + max(symbol.size, 8) and index < MAX_SLOTS:
            plan.slots.append((index, r.symbol.name))


def is_data(section: ElfSection) -> bool:
    """Whether a section holds global variables or constants."""
    stem = section.name.split(".")[1] if section.name.startswith(".") and len(section.name) > 1 else ""
    return stem in ("rodata", "data", "bss") and section.kind in ("SHT_PROGBITS", "SHT_NOBITS") and bool(section.data)


def section_map_name(object_name: str, section: str) -> str:
    """The name of a data section's map, libbpf's: eight characters of the object's, and the section's where it is usual."""
    if "." in section[1:]:
        return section[:NAME_LEN]
    return (object_name[: max(NAME_LEN - max(len(section), 7), 0)] + section)[:NAME_LEN]


def data_sections(elf: Elf, btf: Btf | None, object_name: str) -> dict[str, DataPlan]:
    """An array map of one value for each section of global data."""
    out: dict[str, DataPlan] = {}
    for section in elf.sections:
        if not is_data(section):
            continue
        read_only = section.name.startswith(".rodata")
        sec = btf.find(section.name, DataSec) if btf is not None else None
        plan = MapPlan(
            section_map_name(object_name, section.name),
            MapType.ARRAY,
            4,
            len(section.data),
            1,
            (BPF_F_MMAPABLE if _is_shared(elf, btf, section, sec) else 0) | (BPF_F_RDONLY_PROG if read_only else 0),
            btf_value_type_id=sec.id if sec is not None else 0,
        )
        data = DataPlan(section.name, plan, bytearray(section.data), read_only)
        _variables(data, btf, sec)
        out[section.name] = data
    return out


def settle_functions(elf: Elf, btf: Btf) -> None:
    """What the types say of functions, as Linux takes it: hidden ones are checked where they are called, like static ones,

    and each parameter has a name, which compilers leave out where a function has no body in C.
    """
    hidden = {s.name for s in elf.symbols if s.hidden and s.kind == "FUNC"}
    for t in btf.types:
        if not isinstance(t, Func):
            continue
        if t.name in hidden and t.linkage == GLOBAL:
            t.linkage = STATIC
        proto = btf.by_id(t.type)
        for number, param in enumerate(proto.params if isinstance(proto, FuncProto) else ()):
            param.name = param.name or (f"arg{number}" if param.type else "")


def _is_shared(elf: Elf, btf: Btf | None, section: ElfSection, sec: DataSec | None) -> bool:
    """Whether clients see the variables of a section. Those of `.data.x` whose variables are all private, they do not.

    Linux gives objects such as locks and trees no place in memory that clients write.
    """
    if btf is None or sec is None or section.name.count(".") < 2:
        return True
    seen = {s.name for s in elf.symbols if s.section == section.index and s.bind != "LOCAL" and not s.hidden}
    return any(btf.by_id(item.type).name in seen for item in sec.vars)


def place_variables(elf: Elf, btf: Btf) -> None:
    """Fill in what the compiler leaves to the loader: sizes of sections and offsets of variables in BTF."""
    for t in btf.types:
        if not isinstance(t, DataSec):
            continue
        section = elf.named(t.name)
        if section is None:
            continue
        t.size = len(section.data)
        places = {s.name: s.value for s in elf.symbols if s.section == section.index and s.kind in ("OBJECT", "FUNC")}
        for item in t.vars:
            var = btf.by_id(item.type)
            item.offset = places.get(var.name, item.offset)
            if not item.size and isinstance(var, Var):
                item.size = btf.size_of(var.type)
        t.vars.sort(key=lambda v: v.offset)


ARENA_SECTION: Final = ".addr_space.1"


def arena_globals(elf: Elf, btf: Btf | None, maps: dict[str, MapPlan], object_name: str) -> DataPlan | None:
    """Global variables in address space 1: they lie at the beginning of the object's arena."""
    section = elf.named(ARENA_SECTION)
    if section is None or not section.data:
        return None
    plan = next((p for p in maps.values() if p.map_type == MapType.ARENA), None)
    if plan is None:
        raise ObjectError(f"{object_name}: section {ARENA_SECTION} needs a map of type ARENA")
    if len(section.data) > plan.max_entries * mmap.PAGESIZE:
        raise ObjectError(f"{object_name}: section {ARENA_SECTION} is larger than the arena {plan.name}")
    data = DataPlan(ARENA_SECTION, plan, bytearray(section.data), False)
    _variables(data, btf, btf.find(ARENA_SECTION, DataSec) if btf is not None else None)
    return data


def _variables(data: DataPlan, btf: Btf | None, sec: DataSec | None) -> None:
    if btf is None or sec is None:
        return
    for item in sec.vars:
        var = btf.resolve(item.type)
        if var.name and item.offset + item.size <= len(data.content):
            type_id = var.type if isinstance(var, Var) else 0
            data.variables[var.name] = Variable(var.name, type_id, item.offset, item.size)


KERNEL_VERSION: Final = 6 << 16 | 18 << 8  # LINUX_KERNEL_VERSION of the reference


def kconfig_section(btf: Btf, object_name: str) -> DataPlan | None:
    """The externs of section .kconfig: LINUX_KERNEL_VERSION is the reference's, options are unset (no, 0, empty)."""
    sec = btf.find(".kconfig", DataSec)
    if sec is None:
        return None
    variables: dict[str, Variable] = {}
    content = bytearray()
    for item in sec.vars:
        var = btf.by_id(item.type)
        if not isinstance(var, Var):
            raise ObjectError("section .kconfig: an entry is no variable")
        size = btf.size_of(var.type)
        content += bytes(-len(content) % min(max(size, 1), 8))
        item.offset, item.size, var.linkage = len(content), size, 1
        variables[var.name] = Variable(var.name, var.type, item.offset, size)
        known = KERNEL_VERSION if var.name == "LINUX_KERNEL_VERSION" else 0
        content += known.to_bytes(max(size, 4), "little")[:size]
    sec.size = len(content)
    plan = MapPlan(
        section_map_name(object_name, ".kconfig"),
        MapType.ARRAY,
        4,
        len(content),
        1,
        BPF_F_MMAPABLE | BPF_F_RDONLY_PROG,
        btf_value_type_id=sec.id,
    )
    return DataPlan(".kconfig", plan, content, True, variables)
