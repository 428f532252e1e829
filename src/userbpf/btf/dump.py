"""BTF as C source, as `bpftool btf dump format c` writes it.

A type is written when everything that it holds by value has been; a struct that is only pointed to is announced
(`struct foo;`). C has one space for struct, union and enum tags and one for typedefs and enumerators, BTF has none, so a name
that is taken gets a suffix (`foo___2`), which CO-RE ignores. Where C would lay a struct out otherwise than BTF says, gaps become
unnamed bitfields (`long: 64;`) and misplaced members `__attribute__((packed))`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from userbpf.btf.types import (
    Array,
    Btf,
    Composite,
    Const,
    Enum,
    Enum64,
    Float,
    FuncProto,
    Fwd,
    Int,
    Member,
    Ptr,
    Restrict,
    Struct,
    Type,
    Typedef,
    TypeTag,
    Volatile,
)
from userbpf.errors import BtfError

GUARD: Final = "__VMLINUX_H__"
HEAD: Final = f"""\
#ifndef {GUARD}
#define {GUARD}

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
"""
TAIL: Final = f"""\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* {GUARD} */
"""
QUALIFIERS: Final[dict[type[Type], str]] = {Const: "const", Volatile: "volatile", Restrict: "restrict"}
# typedefs that compilers know by themselves
BUILTIN: Final = frozenset({"__builtin_va_list", "_Bool"})
MAX_DEPTH: Final = 64
MAX_DECLARATIONS: Final = 100_000  # in one definition: anonymous structs are written out where they are used
MAX_FILLING: Final = 1 << 16  # bits


class CSource:
    """The C source of a BTF's types, written on demand."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.parts: list[str] = []
        self.names: dict[int, str] = {}
        self._tags: dict[str, int] = {}
        self._ordinary: dict[str, int] = {}
        self._done: set[int] = set()
        self._busy: set[int] = set()
        self._announced: set[str] = set()
        self._budget = MAX_DECLARATIONS

    # --- names -------------------------------------------------------------------------------------------------------------

    def name_of(self, t: Type) -> str:
        """The name of a type in the source."""
        if t.id not in self.names:
            space = self._ordinary if isinstance(t, Typedef) else self._tags
            self.names[t.id] = self._free(space, t.name)
        return self.names[t.id]

    def _free(self, space: dict[str, int], name: str) -> str:
        count = space[name] = space.get(name, 0) + 1
        return name if count == 1 else f"{name}___{count}"

    def tag_of(self, t: Type) -> str:
        """`struct foo`"""
        word = type(t).__name__.lower() if isinstance(t, Composite) else "enum"
        if isinstance(t, Fwd):
            # stands for the definition, where there is one
            word = "union" if t.is_union else "struct"
            full = next(
                (self.btf.types[i] for i in self.btf.named(t.name) if self._defines(self.btf.types[i], t)), None
            )
            return f"{word} {self.name_of(full) if full is not None else t.name}"
        return f"{word} {self.name_of(t)}"

    @staticmethod
    def _defines(t: Type, fwd: Fwd) -> bool:
        return isinstance(t, Composite) and isinstance(t, Struct) != fwd.is_union

    # --- declarations ------------------------------------------------------------------------------------------------------

    def declaration(self, type_id: int, name: str = "", indent: int = 0, depth: int = 0) -> str:
        """C's declaration of `name` with a type: `int (*name)[4]`."""
        self._budget -= 1
        if depth > MAX_DEPTH or self._budget < 0:
            raise BtfError(f"type {type_id} is nested too deeply to be written")
        t = self.btf.by_id(type_id)
        deeper = depth + 1
        if isinstance(t, Ptr):
            target = self._bare(t.type)
            inner = f"(*{name})" if isinstance(target, (Array, FuncProto)) else f"*{name}"
            return self.declaration(t.type, inner, indent, deeper)
        if isinstance(t, (Const, Volatile, Restrict)):
            word = QUALIFIERS[type(t)]
            if isinstance(self._bare(t.type), Ptr):
                return self.declaration(t.type, f" {word}{' ' if name else ''}{name.lstrip()}", indent, deeper)
            return f"{word} {self.declaration(t.type, name, indent, deeper)}"
        if isinstance(t, TypeTag):
            tag = f'__attribute__((btf_type_tag("{t.name}")))'
            if t.kind_flag:
                tag = f"__attribute__(({t.name}))"
            if isinstance(self._bare(t.type), Ptr):
                return self.declaration(t.type, f" {tag}{' ' if name else ''}{name.lstrip()}", indent, deeper)
            return f"{self.declaration(t.type, '', indent, deeper)} {tag}{' ' if name else ''}{name}"
        if isinstance(t, Array):
            return self.declaration(t.type, f"{name}[{t.nelems}]", indent, deeper)
        if isinstance(t, FuncProto):
            return self.declaration(t.type, f"{name}({self._params(t, indent, deeper)})", indent, deeper)
        base = self._base(t, indent, deeper)
        return f"{base} {name.lstrip()}" if name else base

    def _bare(self, type_id: int) -> Type:
        """The type behind qualifiers and tags, but not behind typedefs."""
        for _ in range(MAX_DEPTH):
            t = self.btf.by_id(type_id)
            if not isinstance(t, (Const, Volatile, Restrict, TypeTag)):
                return t
            type_id = t.type
        raise BtfError(f"type {type_id}: qualifiers without end")

    def _params(self, t: FuncProto, indent: int, depth: int) -> str:
        if not t.params:
            return "void"
        shown = [self.declaration(p.type, p.name, indent, depth) if p.type or p.name else "..." for p in t.params]
        return ", ".join(shown)

    def _base(self, t: Type, indent: int, depth: int) -> str:
        if t.id == 0:
            return "void"
        if isinstance(t, (Composite, Enum)) and not t.name:
            return self._body(t, indent, depth)
        if isinstance(t, (Composite, Enum, Fwd)):
            return self.tag_of(t)
        if isinstance(t, Typedef):
            return self.name_of(t)
        if isinstance(t, (Int, Float)):
            return t.name or f"__int{t.size * 8}"
        raise BtfError(f"type {t.id} ({type(t).__name__}) has no declaration")

    # --- bodies ------------------------------------------------------------------------------------------------------------

    def _body(self, t: Composite | Enum, indent: int, depth: int) -> str:
        """`struct foo { ... }`"""
        if isinstance(t, Enum):
            return self._enum(t, self.tag_of(t) if t.name else "enum", indent)
        head = self.tag_of(t) if t.name else type(t).__name__.lower()
        tabs = "\t" * (indent + 1)
        lines, packed = self._members(t, indent + 1, depth)
        if not lines:
            return f"{head} {{}}"
        body = "".join(f"{tabs}{line};\n" for line in lines)
        return f"{head} {{\n{body}{tabs[1:]}}}" + (" __attribute__((packed))" if packed else "")

    def _enum(self, t: Enum, head: str, indent: int) -> str:
        tabs = "\t" * (indent + 1)
        suffix = ("LL" if t.signed else "ULL") if isinstance(t, Enum64) else ""
        body = "".join(f"{tabs}{self._free(self._ordinary, n)} = {v}{suffix},\n" for n, v in t.values)
        mode = {1: " __attribute__((mode(byte)))", 8: "" if isinstance(t, Enum64) else " __attribute__((mode(word)))"}
        return f"{head} {{\n{body}{tabs[1:]}}}{mode.get(t.size, '')}"

    def _members(self, t: Composite, indent: int, depth: int) -> tuple[list[str], bool]:
        """Lines of the members and of the gaps between them; whether C's own layout must be switched off."""
        packed = self._is_packed(t)
        lines: list[str] = []
        at = 0
        for m in t.members:
            if isinstance(t, Struct):
                lines += self._gap(at, m, m.bit_offset, packed)
            text = self.declaration(m.type, m.name, indent, depth)
            lines.append(f"{text}: {m.bits}" if m.bits else text)
            at = m.bit_offset + (m.bits or self.btf.size_of(m.type) * 8)
        if isinstance(t, Struct):
            align = 8 if packed else self.btf.align_of(t.id) * 8
            if -(-at // align) * align != t.size * 8:
                lines += self._filling(at, t.size * 8)
        elif -(-max((self.btf.size_of(m.type) for m in t.members), default=0) // self.btf.align_of(t.id)) != -(
            -t.size // self.btf.align_of(t.id)
        ):
            lines.append(f"char __size[{t.size}]")
        return lines, packed

    def _is_packed(self, t: Composite) -> bool:
        align = self.btf.align_of(t.id)
        if align > 1 and t.size % align:
            return True
        return any(not m.bits and m.bit_offset % (self.btf.align_of(m.type) * 8) for m in t.members)

    def _gap(self, at: int, m: Member, off: int, packed: bool) -> list[str]:
        """Unnamed bitfields up to a member, where C would not leave the gap by itself."""
        unit = 1 if packed and m.bits else 8 if packed else self.btf.align_of(m.type) * 8
        if m.bits:
            width = self.btf.size_of(m.type) * 8 or 8
            fits = at // width == (at + m.bits - 1) // width or packed
            natural = at if fits else -(-at // width) * width
        else:
            natural = -(-at // unit) * unit
        return [] if natural == off else self._filling(at, off)

    @staticmethod
    def _filling(at: int, end: int) -> list[str]:
        """Unnamed bitfields from one bit to another; each lies within one long. A very large gap is an array."""
        out = []
        while at < end:
            if at % 64 == 0 and end - at > MAX_FILLING:
                out.append(f"char __gap_{at // 8}[{(end - at) // 8}]")
                at += (end - at) // 8 * 8
                continue
            width = min(64 - at % 64, end - at)
            out.append(f"long: {width}")
            at += width
        return out

    # --- order -------------------------------------------------------------------------------------------------------------

    def write(self, type_id: int) -> None:
        """Write a type, and before it all that its definition needs."""
        stack = [iter((type_id,))]
        pending: list[int] = []
        while stack:
            below = next(stack[-1], None)
            if below is not None:
                if below in self._done or below in self._busy:
                    continue
                self._busy.add(below)
                pending.append(below)
                stack.append(iter(self._needs(below)))
                continue
            stack.pop()
            if pending:
                done = pending.pop()
                self._busy.discard(done)
                self._done.add(done)
                self._define(self.btf.by_id(done))

    def _needs(self, type_id: int) -> list[int]:
        """Types that must be written before this one."""
        t = self.btf.by_id(type_id)
        if isinstance(t, Composite):
            return [need for m in t.members for need in (m.type, self._whole(m.type))]
        if isinstance(t, FuncProto):
            return [t.type, *(p.type for p in t.params)]
        if isinstance(t, Ptr):
            target = self._bare(t.type)
            if isinstance(target, (Composite, Enum, Fwd)) and target.name:
                self._announce(target)
                return []
            return [target.id]
        if isinstance(t, Typedef):
            target = self._bare(t.type)
            if isinstance(target, Composite) and target.name:
                self._announce(target)
                return []
            return [t.type]
        if isinstance(t, (Array, Const, Volatile, Restrict, TypeTag)):
            return [t.type]
        return []

    def _whole(self, type_id: int) -> int:
        """What a member's type comes to behind typedefs and arrays: it must be complete."""
        for _ in range(MAX_DEPTH):
            t = self.btf.resolve(type_id)
            if not isinstance(t, Array):
                return t.id
            type_id = t.type
        raise BtfError(f"type {type_id}: arrays without end")

    def _announce(self, t: Type) -> None:
        """`struct foo;` once."""
        if isinstance(t, Enum):
            return
        text = self.tag_of(t)
        if text not in self._announced and t.id not in self._done:
            self._announced.add(text)
            self.parts.append(f"{text};\n")

    def _define(self, t: Type) -> None:
        self._budget = MAX_DECLARATIONS
        if isinstance(t, Typedef):
            if t.name not in BUILTIN:
                self.parts.append(f"typedef {self.declaration(t.type, self.name_of(t))};\n")
        elif isinstance(t, (Composite, Enum)) and t.name:
            self._announced.add(self.tag_of(t))
            self.parts.append(f"{self._body(t, 0, 0)};\n")

    def write_constants(self) -> None:
        """Enums without a name that nothing else contains: constants such as BPF_ANY."""
        contained: set[int] = set()
        for t in self.btf.types:
            if isinstance(t, Composite):
                contained.update(m.type for m in t.members)
            elif isinstance(t, (Typedef, Array, Const, Volatile)):
                contained.add(t.type)
        for t in self.btf.types:
            if isinstance(t, Enum) and not t.name and t.id not in contained:
                self.parts.append(f"{self._body(t, 0, 0)};\n")

    def text(self) -> str:
        """All that has been written, one empty line between two definitions."""
        return "\n".join(self.parts)


def render_c(btf: Btf, type_ids: Iterable[int] | None = None) -> str:
    """A header with the types given, or all of them, and what they need."""
    out = CSource(btf)
    if type_ids is None:
        out.write_constants()
    for type_id in range(1, len(btf)) if type_ids is None else type_ids:
        out.write(type_id)
    return f"{HEAD}\n{out.text()}\n{TAIL}"
