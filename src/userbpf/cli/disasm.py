"""`userbpf disasm`: what the compiler made, before anything is loaded."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from userbpf.cli.show import Out
from userbpf.errors import ObjectError
from userbpf.isa.disasm import disasm as text_of
from userbpf.isa.opcodes import BPF_PSEUDO_CALL, LDDW
from userbpf.loader import Object
from userbpf.loader.blueprint import Kind, ObjectPlan, ProgPlan

CALL = 0x85


def listing(plan: ObjectPlan, prog: ProgPlan) -> list[dict[str, Any]]:
    """One entry a slot: pc, text, and where they begin the source line and the function."""
    sources: dict[int, str] = {}
    if plan.btf is not None:
        base = int.from_bytes(plan.btf_bytes[20:24], "little") - len(plan.btf.strings_raw)
        for pc, _, line_off, col in prog.line_info:
            sources.setdefault(pc, f"{plan.btf.string(line_off - base).strip()} @ line {col >> 10}")
    functions = (
        {pc: plan.btf.by_id(type_id).name for pc, type_id in prog.func_info} if plan.btf is not None else {0: prog.name}
    )
    references = {r.pc: r for r in prog.references}
    out: list[dict[str, Any]] = []
    skip = False
    for pc, insn in enumerate(prog.insns):
        if skip:
            skip = False
            continue
        skip = insn.code == LDDW
        text = text_of(prog.insns, pc)
        if pc in references:
            r = references[pc]
            where = f"map[{r.target}]" if r.kind is Kind.MAP else f"map[{r.target}][0]+{r.off}"
            text = f"({insn.code:02x}) r{insn.dst} = {where} ll"
        elif insn.code == CALL and insn.src == BPF_PSEUDO_CALL:
            target = functions.get(pc + 1 + insn.imm)
            text += f"  <{target}>" if target else ""
        entry: dict[str, Any] = {"pc": pc, "insn": text}
        if pc in functions:
            entry["function"] = functions[pc]
        if pc in sources:
            entry["source"] = sources[pc]
        out.append(entry)
    return out


def draw(console: Console, data: list[dict[str, Any]]) -> None:
    for prog in data:
        console.print(f"[bold]{prog['program']}[/bold] (section {prog['section']}, {prog['type']})")
        for entry in prog["insns"]:
            if "function" in entry:
                console.print(f"{entry['function']}:", markup=False)
            if "source" in entry:
                console.print(f"; {entry['source']}", style="dim", markup=False, soft_wrap=True)
            console.print(f"{entry['pc']:5}: {entry['insn']}", markup=False, soft_wrap=True)
        console.print()


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False))
@click.option("--prog", "prog_name", metavar="NAME", help="Only this program.")
@click.pass_obj
def disasm(out: Out, source: str, prog_name: str | None) -> None:
    """Show the programs of SOURCE (C source or object) in Linux's syntax, with source lines."""
    plan = Object.open(source).plan
    if prog_name is not None and prog_name not in plan.progs:
        raise ObjectError(f"no program {prog_name!r}; there are: {', '.join(plan.progs)}")
    data = [
        {"program": p.name, "section": p.section, "type": p.type_name, "insns": listing(plan, p)}
        for p in plan.progs.values()
        if prog_name in (None, p.name)
    ]
    out.result(data, lambda console: draw(console, data))
