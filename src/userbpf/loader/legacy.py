"""The map definitions of before BTF: structs of plain numbers in section "maps".

libbpf took them until 1.0, and so do iproute2 and many objects that are still in use. The first five words are the same
everywhere; what follows is told by the size of a definition and only matters where a map holds maps:

    20 bytes  struct bpf_map_def: map_type, key_size, value_size, max_entries, map_flags
    28 bytes  the kernel samples': inner_map_idx (which definition is the template), numa_node
    36 bytes  iproute2's: id, pinning, inner_id (the id of the template), inner_idx
"""

from __future__ import annotations

import struct
from typing import Final

from userbpf.abi.enums import MapType
from userbpf.errors import ObjectError
from userbpf.loader.blueprint import MapPlan
from userbpf.loader.elf import Elf

SECTION: Final = "maps"
SMALLEST: Final = 20
IPROUTE2: Final = 36
OF_MAPS: Final = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)


def legacy_maps(elf: Elf, name: str) -> dict[str, MapPlan]:
    """All of section "maps", by symbol; empty where there is none."""
    section = elf.named(SECTION)
    if section is None:
        return {}
    symbols = sorted(
        (s for s in elf.symbols if s.section == section.index and s.name and s.bind != "LOCAL"), key=lambda s: s.value
    )
    if not symbols or len(section.data) % len(symbols):
        raise ObjectError(f"{name}: section maps: {len(section.data)} bytes are no definitions of {len(symbols)} maps")
    size = len(section.data) // len(symbols)
    if size < SMALLEST or size % 4:
        raise ObjectError(f"{name}: section maps: definitions of {size} bytes")
    words = []
    plans: dict[str, MapPlan] = {}
    for s in symbols:
        if s.value % size or s.value + size > len(section.data):
            raise ObjectError(
                f"{name}: section maps: {s.name} lies at byte {s.value}, between definitions of {size} bytes"
            )
        fields = struct.unpack_from(f"<{size // 4}I", section.data, s.value)
        words.append(fields)
        plans[s.name] = MapPlan(s.name, *fields[:5])
    for fields, plan in zip(words, plans.values(), strict=True):
        if plan.map_type in OF_MAPS:
            plan.inner = _template(name, plan, fields, words, list(plans.values()))
    return plans


def _template(
    name: str, plan: MapPlan, fields: tuple[int, ...], words: list[tuple[int, ...]], plans: list[MapPlan]
) -> MapPlan:
    """The definition that an outer map names as its inner one."""
    if len(fields) * 4 >= IPROUTE2:
        found = [p for p, w in zip(plans, words, strict=True) if w[5] == fields[7] and p is not plan]
    elif len(fields) > 5 and fields[5] < len(plans):
        found = [plans[fields[5]]]
    else:
        found = []
    if not found or found[0].map_type in OF_MAPS:
        raise ObjectError(f"{name}: map {plan.name}: its inner map is not defined")
    inner = found[0]
    return MapPlan(inner.name, inner.map_type, inner.key_size, inner.value_size, inner.max_entries, inner.map_flags)
