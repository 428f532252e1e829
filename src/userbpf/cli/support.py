"""`userbpf support`: what of Linux's bpf runs here, is only typed, or is absent; read from the rows that the code reads."""

from __future__ import annotations

import errno
from collections import Counter
from typing import Any, Final

import click
from rich.console import Console

from userbpf.abi.enums import HelperId
from userbpf.cli.show import Out, table
from userbpf.spec.commands import COMMANDS
from userbpf.spec.helpers import HELPERS
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
        out += ["| name | status | errno |", "|---|---|---|"]
        out += [f"| `{e['name']}` | {e['status']} | {e['errno']} |" for e in entries]
    return "\n".join(out) + "\n"


def draw(console: Console, data: dict[str, list[dict[str, Any]]]) -> None:
    styles = {"run": "green", "typed": "yellow", "absent": "red"}
    for kind, entries in data.items():
        tally = Counter(e["status"] for e in entries)
        shown = table(
            f"{kind}: " + ", ".join(f"{tally[s]} {s}" for s in MEANING if tally[s]),
            ("name", "left"),
            ("status", "left"),
            ("errno", "left"),
        )
        for e in entries:
            shown.add_row(e["name"], f"[{styles[e['status']]}]{e['status']}[/]", e["errno"])
        console.print(shown)
        console.print()


@click.command()
@click.pass_obj
def support(out: Out) -> None:
    """Show which commands, map types, program types and helpers are there."""
    data = rows()
    out.result(data, lambda console: draw(console, data))
