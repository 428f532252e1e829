"""`verify --html`: one page that holds everything, to click through a verification step by step.

Source, instructions and the state at each step stand side by side. The page (`page.html`) asks nobody for anything: style, script
and data are in it.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from typing import Any

from userbpf.cli.explained import unchanged_source


def sources(insns: list[dict[str, Any]]) -> dict[str, list[list[Any]]]:
    """Lines by file: the whole stretch that the program comes from where the file is at hand, else the lines BTF has."""
    known: dict[str, dict[int, str]] = {}
    for insn in insns:
        if insn["line"]:
            known.setdefault(insn["file"], {})[insn["line"]] = insn["source"]
    out: dict[str, list[list[Any]]] = {}
    for file, lines in known.items():
        text = unchanged_source(file, lines)
        if text:
            first, last = max(1, min(lines) - 3), min(len(text), max(lines) + 2)
            out[file] = [[n, text[n - 1].expandtabs(4)] for n in range(first, last + 1)]
        else:
            out[file] = [[n, lines[n].expandtabs(4)] for n in sorted(lines)]
    return out


def render(source: str, programs: list[dict[str, Any]]) -> str:
    """The page of all programs of an object: data of verifier.steps with `name`, `verdict`, `explanation`."""
    programs = [program | {"sources": sources(program["insns"])} for program in programs]
    data = json.dumps(programs, separators=(",", ":")).replace("<", "\\u003c")
    return (
        files("userbpf.cli")
        .joinpath("page.html")
        .read_text()
        .replace("@TITLE@", html.escape(f"{source}: verified by userbpf"))
        .replace("@SOURCE@", html.escape(source))
        .replace("@DATA@", data)
    )
