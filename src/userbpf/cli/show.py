"""What the commands print: tables and colours for people, JSON for programs, one place for both.

A command collects plain data and hands it to `Out`: with --json the data goes out as it is, without it a renderer of the
command's own draws it with rich.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

MAX_WIDTH = 4000


def plain(value: Any) -> Any:
    """A value as JSON types: bytes as hex, addresses as text, records as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex(" ")
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def cell(value: Any) -> str:
    """A value in a table: records as `name=value`, numbers with thin grouping left to the caller."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return " ".join(f"{f.name}={cell(getattr(value, f.name))}" for f in dataclasses.fields(value))
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex(" ")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(cell(v) for v in value) + "]"
    return str(value)


class Out:
    """Where a command's result goes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        self.errors = Console(stderr=True, highlight=False)

    def result(self, data: Any, draw: Callable[[Console], None]) -> None:
        """Print `data` as JSON, or let `draw` show it."""
        if self.as_json:
            print(json.dumps(plain(data), indent=2))
        else:
            draw(self.console)

    def fail(self, message: str, **more: Any) -> None:
        """Print an error: to stderr, or as a JSON object on stdout as bpftool does."""
        if self.as_json:
            print(json.dumps({"error": message, **plain(more)}, indent=2))
        else:
            self.errors.print(f"Error: {message}", style="red", markup=False, soft_wrap=True)


def table(title: str | None, *columns: tuple[str, str]) -> Table:
    """A table with (heading, justification) columns."""
    out = Table(
        title=escape(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for name, justify in columns:
        out.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    return out


def put(console: Console, rows: Table, empty: str = "(empty)") -> None:
    """Print a table in its own width: what a terminal is too narrow for is better broken by it than in every cell."""
    if not rows.row_count:
        console.print(empty, style="dim", markup=False)
        return
    before = console.width
    wanted = Measurement.get(console, console.options.update(max_width=MAX_WIDTH), rows).maximum
    console.width = max(before, wanted)
    try:
        console.print(rows, crop=False)
    finally:
        console.width = before


def count(n: int) -> str:
    """1,234,567."""
    return f"{n:,}"


def size(n: float) -> str:
    """Bytes with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(n) < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return ""


def duration(seconds: float) -> str:
    """Seconds with a fitting unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"
