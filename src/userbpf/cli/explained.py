"""An explanation as a person reads it: the source line, what was needed and known, the register's life, what mends it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

CONTEXT: Final = 2  # source lines before and after
MAX_LIFE: Final = 14


def unchanged_source(file: str, known: Mapping[int, str]) -> list[str]:
    """The lines of a file; empty where it is gone, or where a line is no longer the one that BTF knows."""
    try:
        lines = Path(file).read_text(errors="replace").splitlines()
    except OSError:
        return []
    same = all(0 < n <= len(lines) and lines[n - 1].strip() == text.strip() for n, text in known.items())
    return lines if same else []


def source_lines(place: dict[str, Any]) -> list[tuple[int, str]]:
    """The line and those around it, from the file where it is still there and unchanged, else the line alone."""
    number = place["line"]
    lines = unchanged_source(place["file"], {number: place["text"]})
    if not lines:
        return [(number, place["text"])]
    first = max(1, number - CONTEXT)
    return [(n, lines[n - 1].expandtabs(4)) for n in range(first, min(len(lines), number + CONTEXT) + 1)]


def draw_source(console: Console, place: dict[str, Any]) -> None:
    console.print(f"  {place['file']}:{place['line']}", style="dim", markup=False, soft_wrap=True)
    for number, text in source_lines(place):
        here = number == place["line"]
        line = Text(f"{'>' if here else ' '} {number:5} | {text}", style="bold" if here else "dim")
        console.print(line, soft_wrap=True)


def draw_explanation(console: Console, found: dict[str, Any]) -> None:
    """Print Explanation.to_dict()."""
    name = errno.errorcode.get(found["errno"], str(found["errno"]))
    console.print(f"{name}: {found['message']}", style="red", markup=False, soft_wrap=True)
    if found["place"]:
        draw_source(console, found["place"])
    console.print(f"\n  instruction {found['pc']}: {found['insn']}", markup=False, soft_wrap=True)
    for label, key in (("needed", "needed"), ("known", "known"), ("cause", "cause")):
        if found[key]:
            console.print(Text.assemble((f"  {label:7} ", "bold"), found[key]), soft_wrap=True)
    if found["life"]:
        console.print(f"\n  the life of R{found['register']} on this path", style="bold", markup=False)
        steps = found["life"]
        if len(steps) > MAX_LIFE:
            console.print(f"    ... {len(steps) - MAX_LIFE} events before", style="dim")
        for step in steps[-MAX_LIFE:]:
            where = f"line {step['place']['line']}" if step["place"] else ""
            console.print(
                Text.assemble((f"    {where:9} ", "dim"), f"{step['pc']:4}: {step['insn']}  ", (step["text"], "cyan")),
                soft_wrap=True,
            )
    for n, text in enumerate(found["advice"]):
        console.print(
            Text.assemble((f"\n  {'mend':7} " if not n else "          ", "bold green"), text), soft_wrap=True
        )
    console.print("\n  Linux's whole log: --log", style="dim", markup=False)
