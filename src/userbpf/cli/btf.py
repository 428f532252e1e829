"""`userbpf btf`: types of object files and loaded BTF."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from userbpf.abi.enums import Cmd
from userbpf.abi.info import BtfInfo
from userbpf.btf import Btf
from userbpf.btf.dump import render_c
from userbpf.btf.raw import raw_lines
from userbpf.cli.show import Out, put, table
from userbpf.cli.words import Words
from userbpf.client import Client, connect
from userbpf.errors import BtfError
from userbpf.loader import Object

GRAMMAR = """\b
userbpf btf show
userbpf btf dump file PATH [format c|raw]      an object, a C source, or raw BTF such as /sys/kernel/btf/vmlinux
userbpf btf dump id N [format c|raw]"""
RAW_MAGIC = b"\x9f\xeb"


def show(client: Client, words: Words, out: Out) -> None:
    words.end()
    found = []
    for number in client.ids(Cmd.BTF_GET_NEXT_ID):
        info: BtfInfo = client.info(client.fd_by_id(Cmd.BTF_GET_FD_BY_ID, number), BtfInfo())
        found.append({"id": info.id, "size": info.btf_size})

    def draw(console: Console) -> None:
        rows = table(None, ("id", "right"), ("size", "right"))
        for b in found:
            rows.add_row(str(b["id"]), f"{b['size']}B")
        put(console, rows, "(no BTF)")

    out.result(found, draw)


def types_of(client: Client, words: Words) -> Btf:
    if words.expect("file", "id") == "id":
        return Btf.parse(client.btf_data(client.fd_by_id(Cmd.BTF_GET_FD_BY_ID, words.number("BTF id"))))
    path = Path(words.take("a path"))
    with path.open("rb") as f:
        if f.read(2) == RAW_MAGIC:
            return Btf.parse(path.read_bytes())
    btf = Object.open(path).plan.btf
    if btf is None:
        raise BtfError(f"{path} has no BTF; compile with -g")
    return btf


def dump(client: Client, words: Words, out: Out) -> None:
    btf = types_of(client, words)
    as_c = False
    if words:
        words.expect("format")
        as_c = words.expect("c", "raw") == "c"
    words.end()
    if as_c and not out.as_json:
        click.echo(render_c(btf), nl=False)
        return
    lines = list(raw_lines(btf))
    out.result({"types": lines}, lambda console: click.echo("\n".join(lines)))


VERBS = {"show": show, "list": show, "dump": dump}


@click.command(help=f"Show and dump types.\n\n{GRAMMAR}", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1)
@click.pass_obj
def btf(out: Out, words: tuple[str, ...]) -> None:
    rest = Words(words)
    verb = rest.expect(*VERBS) if rest else "show"
    VERBS[verb](connect(), rest, out)
