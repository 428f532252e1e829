"""`userbpf map`: bpftool's verbs on maps, by pin or id."""

from __future__ import annotations

import os
from typing import Any

import click
from rich.console import Console

from userbpf.abi.attrs import MapCreateAttr
from userbpf.abi.consts import BPF_ANY, BPF_EXIST, BPF_NOEXIST
from userbpf.abi.enums import Cmd, MapType
from userbpf.cli.entries import print_entries
from userbpf.cli.show import Out, cell, put, table
from userbpf.cli.words import Words, open_map, text
from userbpf.client import Client, Map, connect
from userbpf.loader.object import c_name

GRAMMAR = """\b
MAP  := pinned PATH | id N
DATA := bytes in decimal or 0x.., or `hex 0a 1b ..`

\b
userbpf map show [MAP]
userbpf map create PATH type TYPE key BYTES value BYTES entries N name NAME [flags N]
userbpf map dump MAP
userbpf map lookup MAP key DATA
userbpf map update MAP key DATA value DATA [any|exist|noexist]
userbpf map delete MAP key DATA
userbpf map getnext MAP [key DATA]
userbpf map freeze MAP
userbpf map pin MAP PATH"""

FLAGS = {"any": BPF_ANY, "exist": BPF_EXIST, "noexist": BPF_NOEXIST}


def describe(m: Map) -> dict[str, Any]:
    """What `show` says of a map."""
    info = m.info
    return {
        "id": info.id,
        "type": m.map_type.name.lower(),
        "name": text(info.name),
        "flags": info.map_flags,
        "bytes_key": m.key_size,
        "bytes_value": m.value_size,
        "max_entries": m.max_entries,
        "btf_id": info.btf_id,
    }


def show(client: Client, words: Words, out: Out) -> None:
    if words:
        found = [describe(open_map(client, words))]
        words.end()
    else:
        found = [
            describe(Map(client, client.fd_by_id(Cmd.MAP_GET_FD_BY_ID, n))) for n in client.ids(Cmd.MAP_GET_NEXT_ID)
        ]

    def draw(console: Console) -> None:
        rows = table(None, *[(k, "right" if k not in ("type", "name") else "left") for k in found[0]] if found else [])
        for m in found:
            rows.add_row(*[str(v) for v in m.values()])
        put(console, rows, "(no maps)")

    out.result(found, draw)


def create(client: Client, words: Words, out: Out) -> None:
    path = words.take("a path")
    sizes = {"key": 0, "value": 0, "entries": 0, "flags": 0}
    kind, name = "", ""
    while words:
        word = words.expect("type", "name", *sizes)
        if word == "type":
            kind = words.take("a map type")
        elif word == "name":
            name = words.take("a name")
        else:
            sizes[word] = words.number(word)
    try:
        map_type = MapType[kind.upper()]
    except KeyError:
        known = ", ".join(t.name.lower() for t in MapType)
        raise click.UsageError(f"unknown map type {kind!r}; there are: {known}") from None
    fd = client.map_create(
        MapCreateAttr(
            map_type=map_type,
            key_size=sizes["key"],
            value_size=sizes["value"],
            max_entries=sizes["entries"],
            map_flags=sizes["flags"],
            map_name=c_name(name),
        )
    )
    client.obj_pin(fd, path)
    os.close(fd)
    out.result({"pinned": path}, lambda console: None)


def dump(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    words.end()
    entries: list[dict[str, Any]]
    if m.is_ringbuf:
        entries = [{"record": r} for r in m.ringbuf()]
    else:
        entries = [{"key": k, "value": v} for k, v in m.items()]

    def draw(console: Console) -> None:
        if m.is_ringbuf:
            for e in entries:
                console.print(cell(e["record"]))
        elif entries:
            print_entries(console, None, m, [(e["key"], e["value"]) for e in entries])
        console.print(f"Found {len(entries)} element{'' if len(entries) == 1 else 's'}")

    out.result(entries, draw)


def key_of(words: Words, m: Map) -> bytes:
    words.expect("key")
    return words.data(m.key_size, ("value",))


def lookup(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    raw = key_of(words, m)
    words.end()
    key = m.key_codec.decode(raw)
    value = m[key]
    out.result(
        {"key": key, "value": value},
        lambda console: console.print(f"key: {cell(key)}\nvalue: {cell(value)}", markup=False),
    )


def update(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    key = key_of(words, m)
    words.expect("value")
    value = words.data(m.value_size)
    flags = FLAGS[words.expect(*FLAGS)] if words else BPF_ANY
    words.end()
    client.map_update_elem(m.fd, key, m._value_out(value) if m.cpus else value, flags)
    out.result({}, lambda console: None)


def delete(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    key = key_of(words, m)
    words.end()
    client.map_delete_elem(m.fd, key)
    out.result({}, lambda console: None)


def getnext(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    key = key_of(words, m) if words else None
    words.end()
    found = client.map_get_next_key(m.fd, key, m.key_size)
    if found is None:
        raise click.ClickException("no next key")
    value = m.key_codec.decode(found)
    out.result({"next_key": value}, lambda console: console.print(f"next key: {cell(value)}", markup=False))


def freeze(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    words.end()
    client.map_freeze(m.fd)
    out.result({}, lambda console: None)


def pin(client: Client, words: Words, out: Out) -> None:
    m = open_map(client, words)
    client.obj_pin(m.fd, words.take("a path"))
    words.end()
    out.result({}, lambda console: None)


VERBS = {
    "show": show,
    "list": show,
    "create": create,
    "dump": dump,
    "lookup": lookup,
    "update": update,
    "delete": delete,
    "getnext": getnext,
    "freeze": freeze,
    "pin": pin,
}


@click.command(
    "map", help=f"Create, show, dump and change maps.\n\n{GRAMMAR}", context_settings={"ignore_unknown_options": True}
)
@click.argument("words", nargs=-1)
@click.pass_obj
def map_(out: Out, words: tuple[str, ...]) -> None:
    rest = Words(words)
    verb = rest.expect(*VERBS) if rest else "show"
    try:
        VERBS[verb](connect(), rest, out)
    except KeyError as e:
        raise click.ClickException(f"no entry of key {cell(e.args[0])}") from None
