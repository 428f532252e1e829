"""KFUNCS: one row a core kernel function, read from the declarations of `spec.kfunc_rows`.

`status` "run" has a body in `helpers`; "typed" means that a program that calls it is verified, but does not run.
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
    "acquire release ret_null rcu trusted sleep rcu_protected iter_new iter_next iter_destroy fastcall packet"
)
RUN: Final = names(
    "bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy bpf_iter_bits_new bpf_iter_bits_next bpf_iter_bits_destroy"
    " bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable bpf_preempt_enable bpf_local_irq_save bpf_local_irq_restore"
    " bpf_cast_to_kern_ctx bpf_rdonly_cast bpf_strcmp bpf_strcasecmp bpf_strlen bpf_strnlen bpf_strchr bpf_strnchr"
    " bpf_strchrnul bpf_strrchr bpf_strspn bpf_strcspn bpf_strstr bpf_strnstr bpf_dynptr_from_skb bpf_dynptr_from_xdp"
    " bpf_dynptr_from_skb_meta bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_dynptr_adjust bpf_dynptr_is_null"
    " bpf_arena_alloc_pages bpf_arena_free_pages bpf_arena_reserve_pages"
    " bpf_dynptr_is_rdonly bpf_dynptr_size bpf_dynptr_clone bpf_dynptr_copy bpf_dynptr_memset"
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
    status: Status = "run" if found["name"] in RUN else "typed"
    return KfuncRow(found["name"], found["ret"].strip(), params, flags, prog_types, declaration, status)


KFUNCS: Final[dict[str, KfuncRow]] = {
    row.name: row
    for prog_types, text in DECLARATIONS
    for row in (parse(part + ";", prog_types) for part in text.split(";") if part.strip())
}
