"""`userbpf run`: a program, a capture, a verdict."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from userbpf.cli.entries import print_entries
from userbpf.cli.show import Out, cell, count, duration, plain, size, table
from userbpf.client.capture import CaptureResult, run_capture
from userbpf.client.capture import Progress as Where
from userbpf.client.transport import own_kernel
from userbpf.errors import ObjectError
from userbpf.loader import Object

PERF_PAGES = 4096  # of each CPU's ring: 16 MB, which cost memory only where records are written
ENTRIES = 10  # rows of a map that are shown without --entries


def choose_prog(obj: Any, name: str | None) -> Any:
    """The program to run: the one named, or the only one there is."""
    progs = obj.progs
    if name is not None:
        if name not in progs:
            raise ObjectError(f"no program {name!r}; there are: {', '.join(progs)}")
        return progs[name]
    if len(progs) != 1:
        raise ObjectError(f"the object has {len(progs)} programs, choose one with --prog: {', '.join(progs)}")
    return next(iter(progs.values()))


def set_constants(obj: Any, settings: tuple[str, ...]) -> None:
    """NAME=VALUE settings of global variables, before the object is loaded."""
    for setting in settings:
        name, eq, value = setting.partition("=")
        if not eq:
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        for section in obj.data.values():
            if name in section:
                section[name] = int(value, 0)
                break
        else:
            known = [n for section in obj.data.values() for n in section]
            raise click.BadParameter(f"no global variable {name!r}; there are: {', '.join(known)}", param_hint="--set")


def taken(codec: Any, value: Any) -> Any:
    """A key or value out of JSON: bytes stand there in hex."""
    if not isinstance(value, str):
        return value
    try:
        return codec.encode(value)
    except TypeError:
        return bytes.fromhex(value)


def fill_maps(obj: Any, settings: tuple[str, ...]) -> None:
    """MAP=FILE: entries of maps before the run, as `map dump` and `run` write them with --json."""
    for setting in settings:
        name, eq, path = setting.partition("=")
        if not eq:
            raise click.BadParameter(f"{setting!r} is not MAP=FILE", param_hint="--fill")
        if name not in obj.maps:
            raise click.BadParameter(f"no map {name!r}; there are: {', '.join(obj.maps)}", param_hint="--fill")
        try:
            entries = json.loads(Path(path).read_text())
            if isinstance(entries, dict):  # a whole result of `run`, or one map of it
                entries = entries.get("maps", {}).get(name, entries).get("entries", ())
            m = obj.maps[name]
            for entry in entries:
                m[taken(m.key_codec, entry["key"])] = taken(m.value_codec, entry["value"])
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            what = f"{path}: no list of {{key, value}} that fits {name}: {e!r}"
            raise click.BadParameter(what, param_hint="--fill") from None


def rank(pair: tuple[Any, Any], sort: str) -> float:
    """Where an entry stands when sorted by a field of the value or key (or by "value", "key"): the largest first."""
    key, value = pair
    for whole, name in ((value, "value"), (key, "key")):
        parts = whole if isinstance(whole, list) else [whole]  # one a CPU
        fields = [p if name == sort else getattr(p, sort, None) for p in parts]
        numbers = [f for f in fields if isinstance(f, (int, float))]
        if numbers and len(numbers) == len(fields):
            return -sum(numbers)
    return math.inf


def map_entries(mapping: Any, limit: int, sort: str | None) -> tuple[list[tuple[Any, Any]], bool]:
    """Up to `limit` entries that say something (an array's zeroes do not), and whether there are more."""
    entries: Iterable[tuple[Any, Any]] = (
        (k, v) for k, v in mapping.items() if not (mapping.is_array and mapping.is_zero(v))
    )
    if sort is not None:
        entries = heapq.nsmallest(limit + 1, entries, key=lambda pair: rank(pair, sort))
    some = list(itertools.islice(entries, limit + 1))
    return some[:limit], len(some) > limit


def collect(obj: Any, prog: Any, capture: str, result: CaptureResult, limit: int, sort: str | None) -> dict[str, Any]:
    """All that is shown, as data."""
    maps: dict[str, Any] = {}
    for name, mapping in obj.maps.items():
        if mapping.is_ringbuf:
            records = list(itertools.islice(mapping.ringbuf(), limit))
            maps[name] = {"type": mapping.map_type.name, "records": records}
        elif mapping.is_perf:
            buffer = mapping.perf_buffer()
            records = [{"cpu": r.cpu, "data": r.data} for r in itertools.islice(buffer.read(), limit)]
            unread = sum(1 for _ in buffer.read())
            maps[name] = {"type": mapping.map_type.name, "records": records, "unread": unread, "lost": buffer.lost}
        elif mapping.is_iterable:
            entries, more = map_entries(mapping, limit, sort)
            maps[name] = {
                "type": mapping.map_type.name,
                "entries": [{"key": k, "value": v} for k, v in entries],
                "more": more,
            }
    return {
        "program": prog.name,
        "type": prog.prog_type.name,
        "capture": capture,
        "packets": result.total_packets,
        "bytes": result.total_bytes,
        "skipped": result.skipped,
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "packets_per_second": result.total_packets / result.seconds if result.seconds else 0.0,
        "verdicts": {
            name: {"packets": packets, "bytes": result.bytes[name]} for name, packets in result.packets.items()
        },
        "variables": {section: dict(values.items()) for section, values in obj.data.items()},
        "maps": maps,
        "error": result.error,
    }


def draw_verdicts(console: Console, data: dict[str, Any]) -> None:
    rows = table(
        f"{data['program']} ({data['type']}) over {data['capture']}",
        ("verdict", "left"),
        ("packets", "right"),
        ("bytes", "right"),
        ("", "left"),
    )
    total = data["packets"] or 1
    for name, verdict in data["verdicts"].items():
        share = verdict["packets"] / total
        rows.add_row(
            name, count(verdict["packets"]), count(verdict["bytes"]), "█" * max(1, round(share * 30)) + f" {share:.1%}"
        )
    console.print(rows)
    rate = data["packets_per_second"]
    console.print(
        f"{count(data['packets'])} packets, {size(data['bytes'])} in {duration(data['seconds'])}: "
        + (f"{rate / 1e6:.2f} million" if rate >= 1e5 else count(round(rate)))
        + " packets a second"
        + (f"; compiled before in {duration(data['compile_seconds'])}" if data["compile_seconds"] else "")
        + (f"; {count(data['skipped'])} records skipped" if data["skipped"] else ""),
        soft_wrap=True,
    )


def draw_map(console: Console, name: str, shown: dict[str, Any], m: Any) -> None:
    console.print()
    title = f"{name} ({shown['type']})"
    if "records" not in shown:
        more = f"… and more (--entries, --sort); {len(shown['entries'])} shown" if shown["more"] else ""
        print_entries(console, title, m, [(e["key"], e["value"]) for e in shown["entries"]], more)
        return
    console.print(title, style="bold", markup=False)
    for record in shown["records"]:
        console.print(cell(record), markup=False, soft_wrap=True)
    if not shown["records"]:
        console.print("(empty)", style="dim")
    if shown.get("unread") or shown.get("lost"):
        console.print(f"… and {count(shown['unread'])} more (--entries); {count(shown['lost'])} lost", style="dim")


def draw(console: Console, data: dict[str, Any], maps: Mapping[str, Any]) -> None:
    draw_verdicts(console, data)
    for section, values in data["variables"].items():
        if values:
            console.print()
            shown = "  ".join(f"{k} = {cell(v)}" for k, v in values.items())
            console.print(f"[bold]{section}[/bold]  {escape(shown)}", soft_wrap=True)
    for name, entries in data["maps"].items():
        draw_map(console, name, entries, maps[name])


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False))
@click.argument("capture", type=click.Path(exists=True, dir_okay=False, allow_dash=False))
@click.option("--prog", "prog_name", metavar="NAME", help="The program to run, where the object has several.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write the packets that pass to this pcap.")
@click.option("-n", "--count", "limit", type=click.IntRange(min=0), help="Stop after so many packets.")
@click.option(
    "--entries", default=ENTRIES, show_default=True, type=click.IntRange(min=0), help="Entries shown of each map."
)
@click.option("--sort", metavar="FIELD", help="Show the entries with the largest FIELD of value or key first.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a global variable before loading.")
@click.option("--fill", "fills", multiple=True, metavar="MAP=FILE", help="Entries of a map (JSON) before the run.")
@click.option(
    "--clock",
    type=click.Choice(["capture", "machine"]),
    default="capture",
    show_default=True,
    help="What bpf_ktime_get_ns tells: the packets' time or the machine's.",
)
@click.option("--interpret", is_flag=True, help="Run in the checked interpreter instead of the JIT.")
@click.option(
    "--transport", type=click.Choice(["user", "linux"]), default="user", show_default=True, help="Whose bpf(2) runs it."
)
@click.pass_obj
def run(
    out: Out,
    source: str,
    capture: str,
    prog_name: str | None,
    output: str | None,
    limit: int | None,
    entries: int,
    sort: str | None,
    settings: tuple[str, ...],
    fills: tuple[str, ...],
    clock: str,
    interpret: bool,
    transport: str,
) -> None:
    """Run a program (C source or object) over the packets of a CAPTURE (pcap or pcapng, .gz too)."""
    obj = Object.open(source)
    set_constants(obj, settings)
    if interpret and transport != "user":
        raise click.BadParameter("needs --transport user", param_hint="--interpret")
    obj.load(transport, kernel=own_kernel(interpret_only=interpret) if transport == "user" else None)
    prog = choose_prog(obj, prog_name)
    fill_maps(obj, fills)
    for mapping in obj.maps.values():
        if mapping.is_perf:
            mapping.perf_buffer(PERF_PAGES)
    with Progress(
        TextColumn("{task.fields[packets]} packets"),
        BarColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=out.errors,
        transient=True,
        disable=out.as_json or not out.errors.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None, packets="0")

        def report(where: Where) -> None:
            bar.update(task, completed=where.bytes_read, total=where.bytes_total or None, packets=count(where.packets))

        result = run_capture(
            prog,
            capture,
            count=limit,
            out=output,
            capture_clock=clock == "capture",
            progress=report,
        )
    data = collect(obj, prog, capture, result, entries, sort)
    out.result(plain(data) if out.as_json else data, lambda console: draw(console, data, obj.maps))
    if result.error:
        out.errors.print(f"Error: {result.error}", style="red", markup=False, soft_wrap=True)
        raise SystemExit(1)
