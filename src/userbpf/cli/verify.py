"""`userbpf verify`: would Linux load it, and if not, why."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from userbpf.abi.enums import ProgType
from userbpf.cli.explained import draw_explanation
from userbpf.cli.matrix import compare_kernels
from userbpf.cli.page import render
from userbpf.cli.show import Out, count, table
from userbpf.client.explain import watching
from userbpf.client.transport import own_kernel
from userbpf.errors import BpfError
from userbpf.loader import Object
from userbpf.loader.blueprint import ObjectPlan
from userbpf.spec.profiles import PROFILES, profile

STATS = re.compile(
    r"processed (\d+) insns \(limit \d+\) max_states_per_insn (\d+) total_states (\d+) peak_states (\d+) mark_read (\d+)"
)
TIME = re.compile(r"verification time (\d+) usec")
STATS_LEVEL = 4
Page = list[dict[str, Any]]  # what --html shows, by program


def read_object(source: str, type_name: str | None = None) -> Object:
    """The object, read once; `type_name` for programs in sections whose names say no type."""
    obj = Object.open(source)
    nameless = [plan.section for plan in obj.plan.progs.values() if plan.row is None]
    if type_name is None or not nameless:
        return obj
    return Object.open(source, prog_types=dict.fromkeys(nameless, ProgType[type_name.upper()]))


def judge(
    source: str | ObjectPlan,
    name: str,
    transport: str,
    level: int,
    page: Page | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """Load one program of an object (its file, or what was read of it) and say what came of it; its steps go to `page`."""
    obj = Object.open(source) if isinstance(source, str) else Object(source)
    plan = obj.plan.progs[name]
    out: dict[str, Any] = {
        "program": name,
        "section": plan.section,
        "type": plan.type_name,
        "insns": len(plan.insns),
    }
    kernel = own_kernel(version=version) if transport == "user" else None
    try:
        obj.load(transport, kernel=kernel, progs=())
        log = load(obj, name, level | STATS_LEVEL, kernel, out, page)
    except BpfError as e:
        log = e.log
        out |= {"verdict": "rejected", "errno": e.errno, "message": e.strerror}
    finally:
        obj.close()
    found = STATS.search(log)
    if found is not None:
        keys = ("processed", "max_states_per_insn", "total_states", "peak_states", "mark_read")
        out["stats"] = dict(zip(keys, map(int, found.groups()), strict=True))
    spent = TIME.search(log)
    if spent is not None:
        out["verification_time_us"] = int(spent.group(1))
    out["log"] = log
    return out


def load(obj: Object, name: str, level: int, kernel: Any, out: dict[str, Any], page: Page | None) -> str:
    """Load one program of an object whose maps are there; verdict and explanation go to `out`, the log is returned."""
    with watching(kernel) if kernel is not None else nullcontext() as watched:
        try:
            log = obj.load_prog(name, level).log
            out |= {"verdict": "accepted"}
        except BpfError as e:
            log = e.log
            out |= {"verdict": "rejected", "errno": e.errno, "message": e.strerror}
            found = watched.explanation() if watched is not None else None
            if found is not None:
                out["explanation"] = found.to_dict()
        if page is not None and watched is not None and (steps := watched.steps()) is not None:
            page.append(steps | {"name": name, "verdict": out["verdict"], "explanation": out.get("explanation")})
    return log


def draw(console: Console, results: list[dict[str, Any]], show_log: bool) -> None:
    rows = table(
        None,
        ("program", "left"),
        ("type", "left"),
        ("verdict", "left"),
        ("insns", "right"),
        ("processed", "right"),
        ("states", "right"),
        ("time", "right"),
    )
    for r in results:
        stats = r.get("stats", {})
        style = "green" if r["verdict"] == "accepted" else "red"
        rows.add_row(
            r["program"],
            r["type"],
            f"[{style}]{r['verdict']}[/{style}]",
            count(r["insns"]),
            count(stats["processed"]) if stats else "",
            count(stats["total_states"]) if stats else "",
            f"{r['verification_time_us'] / 1000:.1f} ms" if "verification_time_us" in r else "",
        )
    console.print(rows)
    for r in results:
        if show_log or r["verdict"] == "rejected":
            console.print(f"\n[bold]{r['program']}[/bold] (section {r['section']})")
            if r["verdict"] == "rejected" and ("explanation" not in r or show_log):
                console.print(f"errno {r['errno']}: {r['message']}", style="red", markup=False, soft_wrap=True)
            if "explanation" in r and not show_log:
                draw_explanation(console, r["explanation"])
            else:
                console.print(r["log"].rstrip() or "(no log)", markup=False, soft_wrap=True)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False))
@click.option("--prog", "prog_name", metavar="NAME", help="Only this program.")
@click.option(
    "--log-level",
    type=click.IntRange(0, 7),
    default=0,
    show_default=True,
    help="Bits: 1 brief, 2 every instruction, 4 statistics.",
)
@click.option(
    "--log",
    "show_log",
    is_flag=True,
    help="Show Linux's log of every program, refused or not (level 2 unless --log-level says another).",
)
@click.option(
    "--transport",
    type=click.Choice(["user", "linux"]),
    default="user",
    show_default=True,
    help="Whose verifier to ask.",
)
@click.option(
    "--html",
    "html_path",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a page to click through the steps.",
)
@click.option(
    "--kernel",
    "version",
    metavar="VERSION",
    help=f"Verify as an older kernel: {', '.join(PROFILES)} or any between; all: each.",
)
@click.option(
    "--type",
    "type_name",
    metavar="TYPE",
    type=click.Choice([t.name.lower() for t in ProgType if t], case_sensitive=False),
    help="Program type of sections whose names say none, as in sched_cls.",
)
@click.pass_obj
def verify(
    out: Out,
    source: str,
    prog_name: str | None,
    log_level: int,
    show_log: bool,
    transport: str,
    html_path: str | None,
    version: str | None,
    type_name: str | None,
) -> None:
    """Load each program of SOURCE (C source or object) and show verdict, statistics and, if refused, why: the line of
    source, what was needed, where it was lost, and what usually mends it.

    With --json the same as data. Ends with status 1 if a program is refused.
    """
    obj = read_object(source, type_name)
    names = list(obj.plan.progs)
    if prog_name is not None:
        if prog_name not in names:
            raise click.BadParameter(f"no program {prog_name!r}; there are: {', '.join(names)}", param_hint="--prog")
        names = [prog_name]
    level = log_level or (2 if show_log else 0)
    for option, given in (("--html", html_path), ("--kernel", version)):
        if given is not None and transport != "user":
            raise click.BadParameter("needs --transport user", param_hint=option)
    if version == "all":
        if not compare_kernels(out, obj, names):
            raise SystemExit(1)
        return
    if version is not None:
        try:
            profile(version)
        except ValueError as e:
            raise click.BadParameter(str(e), param_hint="--kernel") from None
    page: Page | None = [] if html_path is not None else None
    results = [judge(obj.plan, name, transport, level, page, version) for name in names]
    if html_path is not None and page is not None:
        Path(html_path).write_text(render(source, page))
    out.result(results, lambda console: draw(console, results, bool(show_log or log_level)))
    if any(r["verdict"] == "rejected" for r in results):
        raise SystemExit(1)
