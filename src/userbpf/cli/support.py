"""`userbpf support`: what of Linux's bpf runs here, is only typed, or is absent; read from the rows that the code reads."""

from __future__ import annotations

import errno
from collections import Counter
from typing import Any, Final

import click
from rich.console import Console

from userbpf.abi.enums import HelperId, ProgType
from userbpf.cli.show import Out, table
from userbpf.spec.commands import COMMANDS
from userbpf.spec.helpers import HELPERS
from userbpf.spec.kfuncs import KFUNCS
from userbpf.spec.maps import MAPS
from userbpf.spec.progs import PROGS

MEANING: Final = {
    "run": "works",
    "typed": "the verifier knows it; it does not run here",
    "absent": "not there; calls get the errno",
}


def rows() -> dict[str, list[dict[str, Any]]]:
    """All rows, by kind."""
    return {
        "commands": [
            {"name": f"BPF_{row.cmd.name}", "status": row.status, "errno": _errno(row)} for row in COMMANDS.values()
        ],
        "maps": [{"name": t.c_name, "status": row.status, "errno": _errno(row)} for t, row in MAPS.items()],
        "programs": [{"name": t.c_name, "status": row.status, "errno": _errno(row)} for t, row in PROGS.items()],
        "helpers": [
            {"name": f"bpf_{HelperId(h).name}", "status": row.status, "errno": ""} for h, row in HELPERS.items()
        ],
        "kernel functions": [
            {
                "name": row.name,
                "status": row.status,
                "flags": sorted(row.flags),
                "programs": [t.name.lower() for t in ProgType if t in row.prog_types],
            }
            for row in sorted(KFUNCS.values(), key=lambda row: row.name)
        ],
    }


def _errno(row: Any) -> str:
    code = getattr(row, "errno", 0)
    return errno.errorcode.get(code, str(code)) if row.status == "absent" and code else ""


def markdown() -> str:
    """docs/support.md."""
    out = [
        "# What is there",
        "",
        "Printed from the rows of `userbpf.spec` by `tools/gen_docs.py`; `userbpf support` shows the same.",
        "",
        *[f"- **{status}**: {meaning}" for status, meaning in MEANING.items()],
    ]
    for kind, entries in rows().items():
        tally = Counter(e["status"] for e in entries)
        out += ["", f"## {kind.capitalize()}", "", ", ".join(f"{tally[s]} {s}" for s in MEANING if tally[s]), ""]
        columns = list(entries[0])
        out += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        out += [f"| {' | '.join(_cell(e, column) for column in columns)} |" for e in entries]
    return "\n".join(out) + "\n"


def _cell(entry: dict[str, Any], column: str) -> str:
    """A cell in text; of program types, where there are many, those that are not among them."""
    value = entry[column]
    if column == "name":
        return f"`{value}`"
    if column == "programs":
        missing = [t for t in _all_programs() if t not in value]
        if len(missing) < len(value):
            return "all" + (" but " + ", ".join(missing) if missing else "")
    return ", ".join(value) if isinstance(value, list) else str(value)


def _all_programs() -> list[str]:
    return [t.name.lower() for t in ProgType if t is not ProgType.UNSPEC]


def draw(console: Console, data: dict[str, list[dict[str, Any]]]) -> None:
    styles = {"run": "green", "typed": "yellow", "absent": "red"}
    for kind, entries in data.items():
        tally = Counter(e["status"] for e in entries)
        shown = table(
            f"{kind}: " + ", ".join(f"{tally[s]} {s}" for s in MEANING if tally[s]),
            ("name", "left"),
            ("status", "left"),
            *((column, "left") for column in list(entries[0])[2:]),
        )
        for e in entries:
            rest = [_cell(e, column) for column in list(e)[2:]]
            shown.add_row(e["name"], f"[{styles[e['status']]}]{e['status']}[/]", *rest)
        console.print(shown)
        console.print()


@click.command()
@click.pass_obj
def support(out: Out) -> None:
    """Show which commands, map types, program types, helpers and kernel functions are there."""
    data = rows()
    out.result(data, lambda console: draw(console, data))
