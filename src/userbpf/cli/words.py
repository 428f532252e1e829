"""bpftool's grammar: words that name things, and bytes written in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

import click

from userbpf.abi.enums import Cmd
from userbpf.btf import Btf
from userbpf.client import Client, Map
from userbpf.errors import BpfError


class Words:
    """The words behind a verb, taken from the front."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)

    def __bool__(self) -> bool:
        return bool(self.words)

    def peek(self) -> str:
        return self.words[0] if self.words else ""

    def take(self, what: str) -> str:
        """The next word; an error that says what is missing."""
        if not self.words:
            raise click.UsageError(f"expected {what}")
        return self.words.pop(0)

    def expect(self, *keywords: str) -> str:
        """The next word, which must be one of these (or an unambiguous beginning of one, as in bpftool)."""
        word = self.take(" or ".join(keywords))
        fits = [k for k in keywords if k == word] or [k for k in keywords if k.startswith(word)]
        if len(fits) != 1:
            raise click.UsageError(f"expected {' or '.join(keywords)}, got {word!r}")
        return fits[0]

    def number(self, what: str) -> int:
        word = self.take(what)
        try:
            return int(word, 0)
        except ValueError:
            raise click.UsageError(f"{what}: {word!r} is no number") from None

    def end(self) -> None:
        if self.words:
            raise click.UsageError(f"unexpected {' '.join(self.words)!r}")

    def data(self, size: int, stop: Sequence[str] = ()) -> bytes:
        """`size` bytes as words: `hex 0a 1b ..`, `0x0a ..` or decimal."""
        base = 0
        if self.peek() == "hex":
            self.take("hex")
            base = 16
        out = bytearray()
        while len(out) < size:
            if not self.words or self.peek() in stop:
                raise click.UsageError(f"expected {size} bytes, got {len(out)}")
            word = self.take("a byte")
            try:
                out.append(int(word, base))
            except ValueError:
                raise click.UsageError(f"{word!r} is no byte") from None
        return bytes(out)


def unpin(client: Client, path: str, what: str) -> int:
    """The fd of a pinned object."""
    try:
        return client.obj_get(path)
    except BpfError as e:
        raise BpfError(e.errno or 0, f"{what} pinned {path}: {os.strerror(e.errno or 0)}") from None


def named_fd(client: Client, words: Words, what: str, by_id: Cmd) -> int:
    """`pinned PATH` or `id N`."""
    if words.expect("pinned", "id") == "pinned":
        return unpin(client, words.take("a path"), what)
    number = words.number(f"{what} id")
    try:
        return client.fd_by_id(by_id, number)
    except BpfError as e:
        raise BpfError(e.errno or 0, f"{what} id {number}: {os.strerror(e.errno or 0)}") from None


def btf_of(client: Client, btf_id: int) -> Btf | None:
    """The types behind a BTF id; None for id 0 or one that is gone."""
    if not btf_id:
        return None
    try:
        fd = client.fd_by_id(Cmd.BTF_GET_FD_BY_ID, btf_id)
    except BpfError as e:
        if e.errno in (errno.ENOENT, errno.EPERM):
            return None
        raise
    try:
        return Btf.parse(client.btf_data(fd))
    finally:
        os.close(fd)


def open_map(client: Client, words: Words) -> Map:
    """The map that the words name, typed where it has BTF."""
    fd = named_fd(client, words, "map", Cmd.MAP_GET_FD_BY_ID)
    return Map(client, fd, btf=btf_of(client, client.map_info(fd).btf_id))


def text(name: Any) -> str:
    """A fixed-size C string."""
    return bytes(name).split(b"\0")[0].decode("latin-1")
