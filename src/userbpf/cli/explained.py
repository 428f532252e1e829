"""An explanation as a person reads it: the source line, what was needed and known, the register's life, what mends it."""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

CONTEXT: Final = 2  # source lines before and after
MAX_LIFE: Final = 14
INDENT: Final = 10  # of prose behind its label
LIFE_INDENT: Final = 14
MAX_INSN: Final = 44
MIN_FOLD: Final = 30


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


def draw_prose(console: Console, label: str, text: str, style: str = "bold") -> None:
    """A labelled sentence: folded under itself on a terminal, one line where the output goes elsewhere."""
    width = max(MIN_FOLD, console.width - INDENT - 1)
    lines = textwrap.wrap(text, width, break_long_words=False) if console.is_terminal else [text]
    for n, line in enumerate(lines or [""]):
        console.print(Text.assemble((f"  {'' if n else label:7} ", style), line), soft_wrap=True)


def draw_life(console: Console, found: dict[str, Any]) -> None:
    """The events of the register's life, the instruction before each; on a narrow terminal the sentence below it."""
    steps = found["life"]
    console.print(f"\n  the life of R{found['register']} on this path", style="bold", markup=False)
    if len(steps) > MAX_LIFE:
        console.print(f"    ... {len(steps) - MAX_LIFE} events before", style="dim")
    steps = steps[-MAX_LIFE:]
    wide = min(MAX_INSN, max(len(s["insn"]) for s in steps))
    for step in steps:
        where = f"line {step['place']['line']}" if step["place"] else ""
        head = f"{step['pc']:4}: {step['insn']:{wide}}  "
        if console.is_terminal and LIFE_INDENT + len(head) + len(step["text"]) >= console.width:
            console.print(Text.assemble((f"    {where:9} ", "dim"), head.rstrip()), soft_wrap=True)
            for line in textwrap.wrap(step["text"], max(MIN_FOLD, console.width - LIFE_INDENT - 7)):
                console.print(Text.assemble(" " * (LIFE_INDENT + 6), (line, "cyan")), soft_wrap=True)
            continue
        console.print(Text.assemble((f"    {where:9} ", "dim"), head, (step["text"], "cyan")), soft_wrap=True)


def draw_explanation(console: Console, found: dict[str, Any]) -> None:
    """Print Explanation.to_dict()."""
    name = errno.errorcode.get(found["errno"], str(found["errno"]))
    console.print(f"{name}: {found['message']}", style="red", markup=False, soft_wrap=True)
    if found["place"]:
        draw_source(console, found["place"])
    console.print(f"\n  instruction {found['pc']}: {found['insn']}", markup=False, soft_wrap=True)
    for label in ("needed", "known", "cause"):
        if found[label]:
            draw_prose(console, label, found[label])
    lost = found["lost"]
    if lost and lost["place"] and lost["place"] != found["place"]:
        draw_prose(console, "lost", f"line {lost['place']['line']}: {lost['place']['text']}")
    if found["life"]:
        draw_life(console, found)
    for n, text in enumerate(found["advice"]):
        if not n:
            console.print()
        draw_prose(console, "" if n else "mend", text, "bold green")
    console.print("\n  Linux's whole log: --log", style="dim", markup=False)
