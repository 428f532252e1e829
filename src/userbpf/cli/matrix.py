"""`verify --kernel all`: which program loads under which kernel, and why not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from rich.console import Console

from userbpf.abi.enums import MapType
from userbpf.cli.show import Out, put, table
from userbpf.client.transport import own_kernel
from userbpf.errors import BpfError, UserbpfError
from userbpf.isa.insn import Insn
from userbpf.loader import Object
from userbpf.loader.blueprint import ObjectPlan
from userbpf.spec.profiles import PROFILES, profile
from userbpf.spec.profiles.needs import Need, program_needs

SHOWN: Final = 3  # missing features that are named


def needs_of(obj: Object, name: str) -> list[Need]:
    """What a program of an object asks of a kernel."""
    plan = obj.plan.progs[name]
    used = {ref.target for ref in plan.references}
    maps = [MapType(m.map_type) for n, m in obj.plan.maps.items() if n in used and m.map_type in set(MapType)]
    insns: list[Insn] = list(plan.insns)
    if plan.row is None:
        return []
    kfuncs = [ref.target for ref in plan.references if ref.kind.name == "KFUNC"]
    attach = plan.row.attach if not plan.row.optional else None
    return program_needs(insns, plan.row.prog_type, attach, maps, plan.row.prog_flags, kfuncs)


def program_alone(plan: ObjectPlan, name: str) -> ObjectPlan:
    """The object with one program and the maps that it names, so that another's map does not decide; content is its own."""
    prog = plan.progs[name]
    used = {ref.target for ref in prog.references}
    return replace(
        plan,
        maps={n: m for n, m in plan.maps.items() if n in used},
        data={n: replace(d, content=bytearray(d.content)) for n, d in plan.data.items()},
        progs={name: replace(prog, insns=list(prog.insns))},
    )


def verdict(plan: ObjectPlan, name: str, version: str, needs: list[Need]) -> dict[str, Any]:
    """One program under one kernel: accepted, or why not."""
    unmet = [str(need) for need in needs if need.since > profile(version).release]
    try:
        with Object(program_alone(plan, name)).load("user", kernel=own_kernel(version=version), progs=[name]):
            return {"verdict": "accepted", "needs": unmet}
    except BpfError as e:
        return {"verdict": "rejected", "errno": e.errno, "message": e.strerror, "needs": unmet}
    except UserbpfError as e:
        return {"verdict": "rejected", "errno": 0, "message": str(e), "needs": unmet}


def compare_kernels(out: Out, obj: Object, names: list[str]) -> bool:
    """Show the matrix; True if every program loads under every kernel."""
    data: dict[str, dict[str, dict[str, Any]]] = {}
    for name in names:
        needs = needs_of(obj, name)
        data[name] = {version: verdict(obj.plan, name, version, needs) for version in PROFILES}
    out.result(data, lambda console: draw(console, data))
    return all(cell["verdict"] == "accepted" for row in data.values() for cell in row.values())


def reason_of(name: str, cell: dict[str, Any]) -> str:
    """Why a cell is a refusal: the newest features that are missing, else the message without the program's name."""
    text = "; ".join(cell["needs"][:SHOWN]) or cell["message"]
    return re.sub(rf"^program {re.escape(name)} \(section [^)]*\): ", "", str(text))


def reasons(name: str, row: dict[str, dict[str, Any]]) -> list[tuple[list[str], str]]:
    """Releases that refuse a program (or take it with a doubt) for the same reason, and the reason."""
    out: list[tuple[list[str], str]] = []
    for version, cell in row.items():
        if cell["verdict"] == "accepted" and not doubts(cell):
            continue
        reason = reason_of(name, cell)
        if cell["verdict"] == "accepted":
            reason = f"* loads, but cannot be attached: {'; '.join(doubts(cell))}"
        if out and out[-1][1] == reason:
            out[-1][0].append(version)
        else:
            out.append(([version], reason))
    return out


def cell_text(cell: dict[str, Any]) -> str:
    """yes, no, or yes* for what loads although something that it names came later."""
    if cell["verdict"] != "accepted":
        return "[red]no[/red]"
    return "[yellow]yes*[/yellow]" if doubts(cell) else "[green]yes[/green]"


def doubts(cell: dict[str, Any]) -> list[str]:
    """What came later and is in the way of a program that loads: how it is attached. Helpers the loader has replaced."""
    return [text for text in cell["needs"] if text.startswith("attach type")]


def draw(console: Console, data: dict[str, dict[str, dict[str, Any]]]) -> None:
    rows = table(None, ("program", "left"), *[(version, "left") for version in PROFILES])
    for name, row in data.items():
        cells = [cell_text(cell) for cell in row.values()]
        rows.add_row(name, *cells)
    put(console, rows)
    later = profile(PROFILES[0]).lacks()
    told = ", ".join(f"{row.what} ({row.since})" for row in later)
    flat = not console.is_terminal
    for name, row in data.items():
        for versions, reason in reasons(name, row):
            where = "every release" if len(versions) == len(PROFILES) else ", ".join(versions)
            console.print(f"{name} on {where}: {reason}", markup=False, soft_wrap=flat, highlight=False)
    note = f"yes is by 6.18's deductions; an older verifier may lack: {told}"
    console.print(note, style="dim", markup=False, soft_wrap=flat, highlight=False)
