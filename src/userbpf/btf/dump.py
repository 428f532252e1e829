"""BTF as C: declarations in an order that compiles, as `btf dump ... format c` prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from userbpf.btf.types import (
    Array,
    Btf,
    Composite,
    Const,
    Enum,
    Float,
    Func,
    FuncProto,
    Fwd,
    Int,
    Ptr,
    Ref,
    Restrict,
    Type,
    Typedef,
    TypeTag,
    Union,
    Void,
    Volatile,
)
from userbpf.errors import BtfError

QUALIFIERS: Final = {Const: "const", Volatile: "volatile", Restrict: "restrict"}
MAX_DEPTH: Final = 64


def keyword(t: Composite) -> str:
    return "union" if isinstance(t, Union) else "struct"


def declare(btf: Btf, type_id: int, name: str, depth: int = 0, indent: int = 0) -> str:
    """A C declaration of `name` with a type."""
    if depth > MAX_DEPTH:
        raise BtfError(f"type {type_id} is nested too deeply")
    t = btf.by_id(type_id)
    if isinstance(t, Ptr):
        target = btf.by_id(t.type)
        inner = f"*{name}"
        return declare(
            btf, t.type, f"({inner})" if isinstance(target, (Array, FuncProto)) else inner, depth + 1, indent
        )
    if isinstance(t, Array):
        return declare(btf, t.type, f"{name}[{t.nelems}]", depth + 1, indent)
    if isinstance(t, FuncProto):
        params = (
            ", ".join("..." if not p.type else declare(btf, p.type, p.name, depth + 1, indent) for p in t.params)
            or "void"
        )
        return declare(btf, t.type, f"{name}({params})", depth + 1, indent)
    if type(t) in QUALIFIERS and isinstance(t, Ref):
        word = QUALIFIERS[type(t)]
        target = btf.by_id(t.type)
        if isinstance(target, Ptr):
            return declare(btf, t.type, f"{word} {name}".rstrip(), depth + 1, indent)
        return f"{word} {declare(btf, t.type, name, depth + 1, indent)}"
    if isinstance(t, TypeTag):
        return declare(btf, t.type, name, depth + 1, indent)
    return f"{specifier(btf, t, depth, indent)} {name}".rstrip()


def specifier(btf: Btf, t: Type, depth: int = 0, indent: int = 0) -> str:
    """The type's own words: its name, or its whole body where it has none."""
    if isinstance(t, Void):
        return "void"
    if isinstance(t, Composite):
        return f"{keyword(t)} {t.name}" if t.name else body(btf, t, depth, indent)
    if isinstance(t, Enum):
        return f"enum {t.name}" if t.name else enum_body(t, indent)
    if isinstance(t, Fwd):
        return f"{'union' if t.is_union else 'struct'} {t.name}"
    return t.name or "void"


def body(btf: Btf, t: Composite, depth: int = 0, indent: int = 0) -> str:
    """A struct or union with its members."""
    pad = "\t" * indent
    lines = []
    for m in t.members:
        bits = f": {m.bits}" if m.bits else ""
        lines.append(f"{pad}\t{declare(btf, m.type, m.name, depth + 1, indent + 1)}{bits};")
    return f"{keyword(t)}{' ' + t.name if t.name else ''} {{\n" + "\n".join(lines) + f"\n{pad}}}"


def enum_body(t: Enum, indent: int = 0) -> str:
    pad = "\t" * indent
    lines = "".join(f"{pad}\t{n} = {v},\n" for n, v in t.values)
    return f"enum{' ' + t.name if t.name else ''} {{\n{lines}{pad}}}"


def needs(btf: Btf, type_id: int, whole: bool, seen: set[int], depth: int = 0) -> Iterator[int]:
    """Types that must be declared before one that mentions this; `whole`: their bodies, not just their names."""
    t = btf.by_id(type_id)
    if depth > MAX_DEPTH or type_id in seen:
        return
    if isinstance(t, Ptr):
        yield from needs(btf, t.type, False, seen, depth + 1)
    elif isinstance(t, Array):
        yield from needs(btf, t.type, True, seen, depth + 1)
    elif isinstance(t, FuncProto):
        for each in (t.type, *(p.type for p in t.params)):
            yield from needs(btf, each, False, seen, depth + 1)
    elif isinstance(t, Typedef) or (isinstance(t, (Composite, Enum)) and t.name and whole):
        yield type_id
    elif isinstance(t, (Composite,)) and not t.name:
        for m in t.members:
            yield from needs(btf, m.type, True, seen, depth + 1)
    elif isinstance(t, Ref):
        yield from needs(btf, t.type, whole, seen, depth + 1)


def c_text(btf: Btf) -> str:
    """All named types as C."""
    out: list[str] = []
    done: set[int] = set()
    for t in btf.types[1:]:
        _emit(btf, t.id, out, done, ())
    return "\n\n".join(out) + "\n"


def _emit(btf: Btf, type_id: int, out: list[str], done: set[int], way: tuple[int, ...]) -> None:
    t = btf.by_id(type_id)
    if type_id in done or type_id in way or len(way) > MAX_DEPTH:
        return
    first: list[int] = []
    if isinstance(t, Typedef):
        first = list(needs(btf, t.type, True, set()))
    elif isinstance(t, Composite) and t.name:
        first = [n for m in t.members for n in needs(btf, m.type, True, set())]
    elif not (isinstance(t, Enum) and t.name):
        return
    for each in first:
        _emit(btf, each, out, done, (*way, type_id))
    done.add(type_id)
    if isinstance(t, Typedef):
        out.append(f"typedef {declare(btf, t.type, t.name)};")
    elif isinstance(t, Composite):
        out.append(body(btf, t) + ";")
    elif isinstance(t, Enum):
        out.append(enum_body(t) + ";")


def raw_lines(btf: Btf) -> Iterator[str]:
    """One line a type (and one a member), in the manner of `bpftool btf dump`."""
    for t in btf.types[btf.first_id :]:
        kind = type(t).__name__.upper()
        name = f"'{t.name}'" if t.name else "'(anon)'"
        if isinstance(t, Int):
            encoding = "SIGNED" if t.signed else "(none)"
            yield f"[{t.id}] {kind} {name} size={t.size} bits_offset={t.offset} nr_bits={t.bits} encoding={encoding}"
        elif isinstance(t, Composite):
            yield f"[{t.id}] {kind} {name} size={t.size} vlen={len(t.members)}"
            for m in t.members:
                bits = f" bitfield_size={m.bits}" if m.bits else ""
                yield f"\t'{m.name or '(anon)'}' type_id={m.type} bits_offset={m.bit_offset}{bits}"
        elif isinstance(t, Enum):
            yield f"[{t.id}] {kind} {name} size={t.size} vlen={len(t.values)}"
            for n, v in t.values:
                yield f"\t'{n}' val={v}"
        elif isinstance(t, Array):
            yield f"[{t.id}] {kind} {name} type_id={t.type} index_type_id={t.index_type} nr_elems={t.nelems}"
        elif isinstance(t, FuncProto):
            yield f"[{t.id}] {kind.replace('FUNCPROTO', 'FUNC_PROTO')} {name} ret_type_id={t.type} vlen={len(t.params)}"
            for p in t.params:
                yield f"\t'{p.name or '(anon)'}' type_id={p.type}"
        elif isinstance(t, Func):
            yield f"[{t.id}] {kind} {name} type_id={t.type} linkage={('static', 'global', 'extern')[min(t.linkage, 2)]}"
        elif isinstance(t, Ref):
            yield f"[{t.id}] {kind} {name} type_id={t.type}"
        elif isinstance(t, Float):
            yield f"[{t.id}] {kind} {name} size={t.size}"
        else:
            yield f"[{t.id}] {kind} {name}"
