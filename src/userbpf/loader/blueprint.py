"""What an object file says, before anything is loaded: maps, data sections, programs and what in them is to be filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from userbpf.btf import Btf
from userbpf.isa.insn import Insn
from userbpf.spec.sections import Section


@dataclass(slots=True)
class MapPlan:
    """A map to create. `inner` is the template of a map of maps."""

    name: str
    map_type: int = 0
    key_size: int = 0
    value_size: int = 0
    max_entries: int = 0
    map_flags: int = 0
    map_extra: int = 0
    btf_key_type_id: int = 0
    btf_value_type_id: int = 0
    pin_by_name: bool = False
    inner: MapPlan | None = None
    slots: list[tuple[int, str]] = field(default_factory=list)  # initial content: index -> map or program name


@dataclass(slots=True)
class Variable:
    """A global variable: where it lies in its section."""

    name: str
    type_id: int
    off: int
    size: int


@dataclass(slots=True)
class DataPlan:
    """A data section, which becomes an array map of one value."""

    section: str
    plan: MapPlan
    content: bytearray
    read_only: bool
    variables: dict[str, Variable] = field(default_factory=dict)


class Kind(Enum):
    """What an instruction refers to."""

    MAP = auto()
    MAP_VALUE = auto()
    KFUNC = auto()
    KSYM = auto()


@dataclass(slots=True)
class Reference:
    """The lddw at `pc` is the address of a map, of `off` in a data section's map, or of a kernel symbol; or a call of one."""

    pc: int
    kind: Kind
    target: str
    off: int = 0
    weak: bool = False


@dataclass(slots=True)
class ProgPlan:
    """A program to load: its own function and all it calls, one after the other."""

    name: str
    section: str
    row: Section | None  # None where the section's name is no program type's
    target: str  # what follows the slash in the section's name
    insns: list[Insn]
    references: list[Reference] = field(default_factory=list)
    func_info: list[tuple[int, int]] = field(default_factory=list)  # (pc, type id)
    line_info: list[tuple[int, int, int, int]] = field(default_factory=list)
    autoload: bool = True

    @property
    def type_name(self) -> str:
        """The program type's name; UNSPEC where the section does not say it."""
        return self.row.prog_type.name if self.row is not None else "UNSPEC"


@dataclass(slots=True)
class ObjectPlan:
    """A whole object file."""

    name: str
    license: str
    btf: Btf | None
    btf_bytes: bytes
    maps: dict[str, MapPlan]
    data: dict[str, DataPlan]
    progs: dict[str, ProgPlan]
