"""`verify --kernel all`: which program loads under which kernel, and why not."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from userbpf.abi.enums import MapType
from userbpf.cli.show import Out, table
from userbpf.client.transport import own_kernel
from userbpf.errors import BpfError, UserbpfError
from userbpf.isa.insn import Insn
from userbpf.loader import Object
from userbpf.spec.profiles import PROFILES, profile
from userbpf.spec.profiles.needs import Need, program_needs


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


def verdict(source: str, name: str, version: str) -> dict[str, Any]:
    """One program under one kernel: accepted, or why not."""
    obj = Object.open(source)
    unmet = [str(need) for need in needs_of(obj, name) if need.since > profile(version).release]
    obj.plan.maps = {n: m for n, m in obj.plan.maps.items() if n in {r.target for r in obj.plan.progs[name].references}}
    try:
        with obj.load("user", kernel=own_kernel(version=version), progs=[name]):
            return {"verdict": "accepted", "needs": unmet}
    except BpfError as e:
        return {"verdict": "rejected", "errno": e.errno, "message": e.strerror, "needs": unmet}
    except UserbpfError as e:
        return {"verdict": "rejected", "errno": 0, "message": str(e), "needs": unmet}


def compare_kernels(out: Out, source: str, names: list[str]) -> bool:
    """Show the matrix; True if every program loads under every kernel."""
    data = {name: {version: verdict(source, name, version) for version in PROFILES} for name in names}
    out.result(data, lambda console: draw(console, data))
    return all(cell["verdict"] == "accepted" for row in data.values() for cell in row.values())


def reason_of(cell: dict[str, Any]) -> str:
    """Why a cell is a refusal: the newest feature that is missing, else the message."""
    return "; ".join(cell["needs"][:3]) or cell["message"]


def draw(console: Console, data: dict[str, dict[str, dict[str, Any]]]) -> None:
    rows = table(None, ("program", "left"), *[(version, "left") for version in PROFILES])
    for name, row in data.items():
        cells = ["[green]yes[/green]" if c["verdict"] == "accepted" else "[red]no[/red]" for c in row.values()]
        rows.add_row(name, *cells)
    console.print(rows)
    later = profile(PROFILES[0]).lacks()
    told = ", ".join(f"{row.what} ({row.since})" for row in later)
    console.print(f"yes is by 6.18's deductions; an older verifier may lack: {told}", style="dim", markup=False)
    for name, row in data.items():
        last = ""
        for version, cell in row.items():
            if cell["verdict"] == "accepted":
                continue
            reason = reason_of(cell)
            if reason != last:
                console.print(f"{name} on {version}: {reason}", markup=False, soft_wrap=True)
            last = reason
