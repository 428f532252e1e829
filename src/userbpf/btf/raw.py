"""BTF as a list: one line a type and one a member, in the manner of `bpftool btf dump ... format raw`."""

from __future__ import annotations

from collections.abc import Iterator

from userbpf.btf.types import Array, Btf, Composite, Enum, Float, Func, FuncProto, Int, Ref


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
