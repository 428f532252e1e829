"""Profiles: what a kernel of a given release has, asked by name.

    profile("5.10").has("bounded_loops")          a named behaviour
    profile("5.10").knows("helper", "loop")       a helper, map type, program type, attach type, command, flag, kfunc
    since("helper", "loop")                       when it came, and where that stands

Rows: `releases` (from ebpf-docs), `corrections` (ours), `behaviours`, `fields`. A release between two profiles works as well:
rows are compared by number. Point releases are not told apart: each stands for the newest of its release.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple

from userbpf.abi.enums import ProgType
from userbpf.spec.limits import Limits, limits
from userbpf.spec.profiles import corrections, releases
from userbpf.spec.profiles.behaviours import BEHAVIOURS, Behaviour
from userbpf.spec.profiles.fields import ATTR_FIELDS, CTX_FIELDS

Release = tuple[int, int]
Kind = Literal["prog_type", "map_type", "attach_type", "command", "flag", "helper", "kfunc"]
PROFILES: Final = ("5.4", "5.10", "5.15", "6.1", "6.6", "6.12", "6.18")  # the long-term ones
REFERENCE: Final[Release] = (6, 18)
_TABLES: Final[dict[Kind, str]] = {
    "prog_type": "PROG_TYPES",
    "map_type": "MAP_TYPES",
    "attach_type": "ATTACH_TYPES",
    "command": "COMMANDS",
    "flag": "FLAGS",
    "helper": "HELPERS",
    "kfunc": "KFUNCS",
}


class Since(NamedTuple):
    """When something came. `cite`: a commit of Linux, or see `corrections`."""

    release: Release
    cite: str
    sure: bool = True

    def __str__(self) -> str:
        return release_text(self.release) + ("" if self.sure else " (uncertain)")


def parse_release(text: str) -> Release:
    """ "5.10" or "5.10.3" as numbers; ValueError for anything else."""
    parts = text.split(".")
    if not 2 <= len(parts) <= 3 or not all(part.isdigit() for part in parts):
        raise ValueError(f"no kernel release: {text!r}")
    return int(parts[0]), int(parts[1])


def release_text(release: Release) -> str:
    return f"{release[0]}.{release[1]}"


def _since(version: str, cite: str) -> Since:
    return Since(parse_release(version.rstrip("?")), cite, not version.endswith("?"))


@cache
def table(kind: Kind) -> Mapping[str, Since]:
    """All rows of a kind, by name."""
    out: dict[str, Since] = {}
    for module in (releases, corrections):
        for line in getattr(module, _TABLES[kind], "").strip().splitlines():
            name, version, cite = line.split()
            out[name] = _since(version, cite)
    return out


@cache
def _later(name: str) -> Mapping[tuple[str, str], Since]:
    rows = (line.split() for line in getattr(releases, name).strip().splitlines())
    return {(prog_type, func): _since(version, cite) for prog_type, func, version, cite in rows}


_BEHAVIOURS: Final[Mapping[str, Behaviour]] = {row.name: row for row in BEHAVIOURS}


def since(kind: Kind, name: str) -> Since | None:
    """When it came; None where no row says so."""
    return table(kind).get(name)


def helper_since(name: str, prog_type: ProgType) -> Since | None:
    """When programs of a type got a helper (the later of the two)."""
    return _later("HELPER_TYPES").get((prog_type.name, name)) or since("helper", name)


def kfunc_since(name: str, prog_type: ProgType) -> Since | None:
    """The same for a kernel function."""
    return _later("KFUNC_TYPES").get((prog_type.name, name)) or since("kfunc", name)


def behaviour(name: str) -> Behaviour:
    return _BEHAVIOURS[name]


class Profile:
    """One release."""

    __slots__ = ("_has", "has_all", "limits", "release", "text")

    def __init__(self, release: Release) -> None:
        self.release = release
        self.text = release_text(release)
        self.limits: Limits = limits(self.text)
        self.has_all = release >= REFERENCE  # nothing needs to be asked
        self._has = {row.name: release >= parse_release(row.since) for row in BEHAVIOURS}

    def has(self, name: str) -> bool:
        """Whether a behaviour of `behaviours` is there; KeyError for a name that has no row."""
        return self._has[name]

    def reaches(self, came: Since | None) -> bool:
        """Whether something is there that came then; what has no row is taken to be there."""
        return came is None or self.release >= came.release

    def knows(self, kind: Kind, name: str) -> bool:
        return self.has_all or self.reaches(since(kind, name))

    def has_helper(self, name: str, prog_type: ProgType) -> bool:
        return self.has_all or self.reaches(helper_since(name, prog_type))

    def has_kfunc(self, name: str, prog_type: ProgType) -> bool:
        return self.has_all or self.reaches(kfunc_since(name, prog_type))

    def has_ctx_field(self, ctx_class: str, name: str) -> bool:
        came = CTX_FIELDS.get((ctx_class, name))
        return self.has_all or came is None or self.release >= parse_release(came[0])

    def new_attr_fields(self, command: str) -> tuple[str, ...]:
        """Fields of a command's attr that this release has not: a value in them is E2BIG."""
        if self.has_all:
            return ()
        return tuple(f for cmd, f, first, _ in ATTR_FIELDS if cmd == command and self.release < parse_release(first))

    def known_flags(self, flags: Mapping[int, str]) -> int:
        """The mask of those flags (by value) that this release knows."""
        return sum(value for value, name in flags.items() if self.knows("flag", name))

    def lacks(self) -> list[Behaviour]:
        """Behaviours that came later and are not modelled: how far a verdict for this release is too kind."""
        return [row for row in BEHAVIOURS if not row.modelled and not self._has[row.name]]

    def __repr__(self) -> str:
        return f"<Profile {self.text}>"


@cache
def _profile(release: Release) -> Profile:
    return Profile(release)


@cache
def profile(version: str = "6.18") -> Profile:
    """The profile of a release such as "5.10" (a point release counts as its release)."""
    return _profile(parse_release(version))


__all__ = [
    "BEHAVIOURS",
    "PROFILES",
    "Behaviour",
    "Profile",
    "Since",
    "behaviour",
    "helper_since",
    "kfunc_since",
    "parse_release",
    "profile",
    "release_text",
    "since",
    "table",
]
