"""`userbpf prog`: bpftool's verbs on programs, by pin or id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from userbpf.abi.enums import Cmd, ProgType
from userbpf.cli.show import Out, put, table
from userbpf.cli.words import Words, named_fd, text
from userbpf.client import Client, connect
from userbpf.isa.disasm import disasm
from userbpf.isa.insn import decode
from userbpf.isa.opcodes import LDDW
from userbpf.loader import Object

GRAMMAR = """\b
PROG := pinned PATH | id N

\b
userbpf prog show [PROG]
userbpf prog load OBJ PATH
userbpf prog loadall OBJ DIR [pinmaps DIR]
userbpf prog dump xlated PROG
userbpf prog pin PROG PATH
userbpf prog run PROG data_in FILE [data_out FILE] [repeat N]"""


def describe(client: Client, fd: int) -> dict[str, Any]:
    """What `show` says of a program."""
    info = client.prog_info(fd)
    return {
        "id": info.id,
        "type": ProgType(info.type).name.lower(),
        "name": text(info.name),
        "tag": bytes(info.tag).hex(),
        "bytes_xlated": info.xlated_prog_len,
        "verified_insns": info.verified_insns,
        "map_ids": list(client.prog_map_ids(fd)),
        "btf_id": info.btf_id,
    }


def show(client: Client, words: Words, out: Out) -> None:
    if words:
        found = [describe(client, named_fd(client, words, "program", Cmd.PROG_GET_FD_BY_ID))]
        words.end()
    else:
        found = [describe(client, client.fd_by_id(Cmd.PROG_GET_FD_BY_ID, n)) for n in client.ids(Cmd.PROG_GET_NEXT_ID)]

    def draw(console: Console) -> None:
        rows = table(
            None, *[(k, "left" if k in ("type", "name", "tag") else "right") for k in found[0]] if found else []
        )
        for p in found:
            rows.add_row(*[",".join(map(str, v)) if isinstance(v, list) else str(v) for v in p.values()])
        put(console, rows, "(no programs)")

    out.result(found, draw)


def load(client: Client, words: Words, out: Out) -> None:
    obj = Object.open(words.take("an object"))
    path = words.take("a path")
    words.end()
    obj.load(client.name, kernel=client.kernel)
    prog = next(iter(obj.progs.values()), None)
    if prog is None:
        raise click.ClickException(f"{obj.name} has no program")
    prog.pin(path)
    out.result({"pinned": path}, lambda console: None)


def loadall(client: Client, words: Words, out: Out) -> None:
    obj = Object.open(words.take("an object"))
    where = Path(words.take("a directory"))
    maps = where
    if words:
        words.expect("pinmaps")
        maps = Path(words.take("a directory"))
    words.end()
    obj.load(client.name, kernel=client.kernel)
    pinned = []
    for folder in {where, maps}:
        folder.mkdir(parents=True, exist_ok=True)
    for m in obj.maps.values():
        client.obj_pin(m.fd, maps / m.name)
        pinned.append(str(maps / m.name))
    for prog in obj.progs.values():
        prog.pin(where / prog.name)
        pinned.append(str(where / prog.name))
    out.result({"pinned": pinned}, lambda console: console.print("\n".join(pinned), markup=False))


def dump(client: Client, words: Words, out: Out) -> None:
    words.expect("xlated")
    fd = named_fd(client, words, "program", Cmd.PROG_GET_FD_BY_ID)
    words.end()
    insns = decode(client.prog_xlated(fd))
    lines: list[dict[str, Any]] = []
    pc = 0
    while pc < len(insns):
        lines.append({"pc": pc, "insn": disasm(insns, pc)})
        pc += 2 if insns[pc].code == LDDW else 1
    listing = "\n".join(f"{e['pc']:4}: {e['insn']}" for e in lines)
    out.result(lines, lambda console: console.print(listing, markup=False, soft_wrap=True))


def pin(client: Client, words: Words, out: Out) -> None:
    fd = named_fd(client, words, "program", Cmd.PROG_GET_FD_BY_ID)
    client.obj_pin(fd, words.take("a path"))
    words.end()
    out.result({}, lambda console: None)


def run(client: Client, words: Words, out: Out) -> None:
    fd = named_fd(client, words, "program", Cmd.PROG_GET_FD_BY_ID)
    data, target, repeat = b"", "", 1
    while words:
        word = words.expect("data_in", "data_out", "repeat")
        if word == "data_in":
            data = Path(words.take("a file")).read_bytes()
        elif word == "data_out":
            target = words.take("a file")
        else:
            repeat = words.number("repeat")
    result = client.prog_test_run(fd, data, repeat=repeat)
    if target:
        Path(target).write_bytes(result.data_out)
    shown = {"retval": result.retval, "duration": result.duration_ns}
    out.result(
        shown,
        lambda console: console.print(f"Return value: {result.retval}, duration (average): {result.duration_ns}ns"),
    )


VERBS = {"show": show, "list": show, "load": load, "loadall": loadall, "dump": dump, "pin": pin, "run": run}


@click.command(
    help=f"Load, pin, show, dump and run programs.\n\n{GRAMMAR}", context_settings={"ignore_unknown_options": True}
)
@click.argument("words", nargs=-1)
@click.pass_obj
def prog(out: Out, words: tuple[str, ...]) -> None:
    rest = Words(words)
    verb = rest.expect(*VERBS) if rest else "show"
    VERBS[verb](connect(), rest, out)
