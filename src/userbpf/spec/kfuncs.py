"""KFUNCS: one row a core kernel function, read from the declarations of `spec.kfunc_rows`.

None runs here yet: `status` is "typed", so a program that calls one is verified, but not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from errno import EINVAL
from typing import Final, Literal, NamedTuple

from userbpf.abi.enums import ProgType
from userbpf.spec.helper_types import names
from userbpf.spec.kfunc_rows import DECLARATIONS

Status = Literal["run", "typed", "absent"]
FLAGS: Final = names(
    "acquire release ret_null rcu trusted sleep rcu_protected iter_new iter_next iter_destroy fastcall"
)
_SUFFIXES: Final = ("sz", "szk", "k", "ign", "uninit", "nullable", "opt", "str", "map", "prog", "alloc", "irq_flag")
_DECLARATION: Final = re.compile(r"(?P<ret>.*?[ *])(?P<name>\w+)\((?P<params>.*)\);$")


class Param(NamedTuple):
    """One parameter: C type, name, and the suffixes of the name that the kernel gives a meaning."""

    c_type: str
    name: str
    suffixes: frozenset[str] = frozenset()

    @property
    def is_pointer(self) -> bool:
        """A pointer of some kind."""
        return self.c_type.endswith("*")


@dataclass(frozen=True, slots=True)
class KfuncRow:
    """What is known of one kernel function."""

    name: str
    ret: str
    params: tuple[Param, ...]
    flags: frozenset[str]
    prog_types: frozenset[ProgType]
    declaration: str
    status: Status = "typed"
    errno: int = EINVAL


def _param(text: str) -> Param:
    c_type, star, name = text.rpartition("*")
    if star:
        c_type += "*"
    else:
        c_type, _, name = text.rpartition(" ")
    found = frozenset(s for s in _SUFFIXES if name.endswith(f"__{s}"))
    return Param(c_type.strip(), name.strip(), found)


def parse(text: str, prog_types: frozenset[ProgType]) -> KfuncRow:
    """One of DECLARATIONS: flags, then the C declaration."""
    words, declaration = " ".join(text.split()).split(maxsplit=1)
    found = _DECLARATION.match(declaration)
    if found is None:
        raise ValueError(f"no declaration: {text!r}")
    params = tuple(_param(p) for p in found["params"].split(", ") if p)
    flags = frozenset() if words == "-" else frozenset(words.split(","))
    return KfuncRow(found["name"], found["ret"].strip(), params, flags, prog_types, declaration)


KFUNCS: Final[dict[str, KfuncRow]] = {
    row.name: row
    for prog_types, text in DECLARATIONS
    for row in (parse(part + ";", prog_types) for part in text.split(";") if part.strip())
}
