"""Entries of a map as people read them: one column a field, and a field as its type and name ask for.

BTF tells sizes and names, and by convention more than that: `__be16` and `__be32` are numbers in network order (the second one an
address where the field is called so), six bytes are a hardware address, `char[]` is text. This is for eyes alone: --json
and the Python API give the values as they are.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape

from userbpf.btf import Btf
from userbpf.btf.types import MODIFIERS, Array, Int, Typedef
from userbpf.btf.values import Codec, Codecs
from userbpf.cli.show import cell, put, table
from userbpf.client import Map

Show = Callable[[Any], str]
MAX_COLUMNS: Final = 16
ADDRESS_NAME: Final = re.compile(r"(^|_|[sd])(addr|ip|ip4|ipv4|src|dst|network|prefix|gateway|vip|host)(_|\d*$)|^key$")
PADDING_NAME: Final = re.compile(r"_*(pad|padding|reserved|unused)\d*$")


class Column(NamedTuple):
    """A heading, whether numbers stand under it, and how a whole key or value becomes the cell."""

    heading: str
    right: bool
    show: Show


def entry_columns(m: Map) -> list[Column]:
    """The columns of keys and values; each `show` takes a pair (key, value)."""
    keys = columns_of(m.btf, m.info.btf_key_type_id, m.key_codec, "key")
    values = columns_of(m.btf, m.info.btf_value_type_id, m.value_codec, "value")
    if len(keys) + len(values) > MAX_COLUMNS:
        keys, values = [Column("key", False, cell)], [Column("value", False, cell)]
    out = [Column(c.heading, c.right, lambda pair, c=c: c.show(pair[0])) for c in keys]  # type: ignore[misc]
    if m.cpus:
        values = [Column(c.heading, c.right, over_cpus(c.show)) for c in values]
    return out + [Column(c.heading, c.right, lambda pair, c=c: c.show(pair[1])) for c in values]  # type: ignore[misc]


def columns_of(btf: Btf | None, type_id: int, codec: Codec, heading: str) -> list[Column]:
    """One column, or for a record one a field (without fields that only fill)."""
    if btf is None or not type_id or (codec.python is None and not typed_as(btf, type_id, codec)):
        return [Column(heading, codec.python is None and codec.size <= 8, cell)]
    if not codec.members:
        return [Column(heading, is_number(codec), shown(btf, type_id, heading))]
    out = []
    codecs = Codecs(btf)
    for name, member in codec.members:
        if PADDING_NAME.match(name):
            continue
        show = shown(btf, member, name)
        out.append(
            Column(name, is_number(codecs.of(member)), lambda v, n=name, show=show: show(getattr(v, n)))  # type: ignore[misc]
        )
    return out or [Column(heading, False, cell)]


def typed_as(btf: Btf, type_id: int, codec: Codec) -> bool:
    """Whether the map's codec was made from the type (an index key or descriptor is not)."""
    return Codecs(btf).of(type_id).size == codec.size and codec.size > 0


def is_number(codec: Codec) -> bool:
    """Whether values are plain integers."""
    return codec.python is None and isinstance(codec.decode(bytes(codec.size)), int)


def over_cpus(show: Show) -> Show:
    """A per-CPU value: the sum of numbers, and what each CPU has where several have something."""

    def shown_values(values: Sequence[Any]) -> str:
        cells = [show(v) for v in values]
        if not all(c.isdecimal() for c in cells):
            return " | ".join(cells)
        some = [c for c in cells if c != "0"]
        total = str(sum(map(int, cells)))
        return f"{total} ({'+'.join(some)})" if len(some) > 1 else total

    return shown_values


def shown(btf: Btf, type_id: int, name: str) -> Show:
    """How a value of a type under a name is written."""
    alias = ""
    while isinstance(t := btf.by_id(type_id), MODIFIERS):
        if isinstance(t, Typedef) and t.name in ("__be16", "__be32", "__be64"):
            alias = t.name
        type_id = t.type
    if alias == "__be32" and ADDRESS_NAME.search(name):
        return lambda v: str(ipaddress.IPv4Address(int(v).to_bytes(4, "little")))
    if alias:
        size = int(alias[4:]) // 8
        return lambda v: str(int.from_bytes(int(v).to_bytes(size, "little"), "big"))
    if isinstance(t, Array):
        element = btf.resolve(t.type)
        if isinstance(element, Int) and element.size == 1:
            if t.nelems == 6:
                return lambda v: bytes(v).hex(":")
            if element.name == "char":
                return readable_text
    return readable


def readable_text(value: bytes) -> str:
    """A C string where it is one, else bytes."""
    text, _, rest = bytes(value).partition(b"\0")
    if any(rest) or not text.isascii() or not text.decode("latin-1").isprintable():
        return cell(value)
    return text.decode()


def readable(value: Any) -> str:
    """A value that its type says all about; an address mapped into IPv6 is shown as the one it is."""
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped:
        return str(value.ipv4_mapped)
    return value.name if isinstance(value, IntEnum) else cell(value)


def print_entries(
    console: Console, title: str | None, m: Map, entries: Sequence[tuple[Any, Any]], more: str = ""
) -> None:
    """A table of (key, value) pairs; `more` says what is not shown."""
    columns = entry_columns(m)
    if title:
        console.print(title, style="bold", markup=False)
    rows = table(None, *[(c.heading, "right" if c.right else "left") for c in columns])
    for pair in entries:
        rows.add_row(*[escape(c.show(pair)) for c in columns])
    put(console, rows)
    if more:
        console.print(more, style="dim")
