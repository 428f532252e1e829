"""Types that stand for the kernel's own on a machine whose kernel tells none: those that the rows of `spec.kfuncs` name.

A program calls a kernel function by its number in the kernel's BTF, so without one there is nothing to call. What the rows
know (names, prototypes, sizes of what lies on a program's stack) makes a BTF in which all of them have a number. Objects of the
kernel (task_struct, cgroup ...) are there by name only: they can be held and given back, but nothing can be read from them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from userbpf.btf import Btf
from userbpf.btf.builder import BOOL, CHAR, SIGNED, Builder
from userbpf.spec.kfuncs import KFUNCS

STATIC: Final = 0  # linkage of the kernel's functions
# name: bytes, encoding
_INTS: Final = {
    "void": (0, 0), "char": (1, SIGNED | CHAR), "bool": (1, BOOL), "int": (4, SIGNED), "unsigned int": (4, 0),
    "long int": (8, SIGNED), "unsigned long": (8, 0), "size_t": (8, 0),
    "u8": (1, 0), "u16": (2, 0), "u32": (4, 0), "u64": (8, 0), "s32": (4, SIGNED), "s64": (8, SIGNED),
    "__u32": (4, 0), "__u64": (8, 0), "__be16": (2, 0),
}  # fmt: skip
# what lies in a program's memory, in bytes (6.18)
_SIZES: Final = {
    "bpf_dynptr": 16, "bpf_iter_bits": 16, "bpf_iter_css": 24, "bpf_iter_css_task": 8, "bpf_iter_dmabuf": 8,
    "bpf_iter_kmem_cache": 8, "bpf_iter_num": 8, "bpf_iter_task": 24, "bpf_iter_task_vma": 8, "bpf_list_head": 16,
    "bpf_list_node": 24, "bpf_rb_node": 32, "bpf_rb_root": 16, "bpf_res_spin_lock": 4, "bpf_task_work": 8, "bpf_wq": 16,
    "__sk_buff": 192, "xdp_md": 24, "bpf_sock_tuple": 36, "bpf_ct_opts": 16, "bpf_tcp_req_attrs": 20,
    "bpf_xfrm_state_opts": 36, "bpf_crypto_params": 408, "nf_inet_addr": 16,
}  # fmt: skip
# what the verifier asks for by name besides: what programs see as __sk_buff and so on is these
_OBJECTS: Final = (
    "sk_buff",
    "xdp_buff",
    "bpf_dynptr_kern",
    "bpf_map",
    "sock",
    "sock_common",
    "tcp_sock",
    "task_struct",
)


class _Types:
    """C types as the declarations write them, each made once."""

    def __init__(self) -> None:
        self.b = Builder()
        self.known: dict[str, int] = {"void": 0}

    def __call__(self, text: str) -> int:
        text = " ".join(text.split())
        found = self.known.get(text)
        if found is None:
            found = self.known[text] = self._made(text)
        return found

    def _made(self, text: str) -> int:
        b = self.b
        if text.endswith("*"):
            target = text[:-1].strip()
            return b.pointer(b.proto() if target == "fn" else self(target))
        if text.startswith("const "):
            return b.const(self(text.removeprefix("const ")))
        kind, _, name = text.rpartition(" ")
        if kind in ("struct", "union"):
            return self._composite(kind, name)
        if kind == "enum":
            return b.enum(name, {})
        if text.endswith("_callback_t"):
            return b.typedef(text, b.pointer(b.proto()))
        size, encoding = _INTS[text]
        return b.integer(text, size, encoding=encoding)

    def _composite(self, kind: str, name: str) -> int:
        size = _SIZES.get(name, 0)
        # words of numbers, as far as they go, so that it is memory of nothing but numbers
        fields = [("__opaque", self.b.array(self("u8"), size))] if size else []
        return (self.b.struct if kind == "struct" else self.b.union)(name, fields, size)


@cache
def core_types() -> Btf:
    """The BTF, one object for a process."""
    types = _Types()
    for name in _OBJECTS:
        types(f"struct {name}")
    for row in KFUNCS.values():
        params = [(p.name, types(p.c_type)) for p in row.params]
        types.b.func(row.name, types.b.proto(types(row.ret), params), STATIC)
    return types.b.btf
