"""Write src/userbpf/spec/releases.py: with which release of Linux each program type, map type, helper ... came.

    python tools/gen_releases.py feature-versions.yaml

The facts are those of `data/feature-versions.yaml` in https://github.com/isovalent/ebpf-docs (BSD-2-Clause);
each names the commit that brought the feature, and so does each row here. The file is a list of groups of `name`, `version`,
`commit`; no more of YAML is read than that.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "src" / "userbpf" / "spec" / "releases.py"
GROUPS = {
    "program_types": "PROG_TYPES",
    "map_types": "MAP_TYPES",
    "attach_types": "ATTACH_TYPES",
    "syscall_commands": "COMMANDS",
    "helpers": "HELPERS",
    "flags": "FLAGS",
    "kfuncs": "KFUNCS",
}
HEAD = '''"""With which release of Linux each feature came, and by which commit.

Written by tools/gen_releases.py from data/feature-versions.yaml of https://github.com/isovalent/ebpf-docs
(BSD-2-Clause, (c) Isovalent).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Release(NamedTuple):
    """First version that has the feature, as (major, minor), and the commit that brought it."""

    since: tuple[int, int]
    commit: str


R = Release
'''


def groups(text: str) -> dict[str, list[tuple[str, tuple[int, int], str]]]:
    out: dict[str, list[tuple[str, tuple[int, int], str]]] = {}
    group, name, version = "", "", (0, 0)
    for line in text.splitlines():
        if found := re.match(r"- name: (\S+)", line):
            group = found[1]
            out[group] = []
        elif found := re.match(r"\s+- name: (\S+)", line):
            name, version = found[1], (0, 0)
        elif found := re.match(r"\s+version: ['\"]?v?(\d+)\.(\d+)", line):
            version = int(found[1]), int(found[2])
        elif (found := re.match(r"\s+commit: (\w+)", line)) and version != (0, 0):
            out[group].append((name, version, found[1][:12]))
    return out


def main() -> None:
    found = groups(Path(sys.argv[1]).read_text())
    parts = [HEAD]
    for group, constant in GROUPS.items():
        rows = sorted(set(found[group]), key=lambda row: (row[1], row[0]))
        first: dict[str, tuple[tuple[int, int], str]] = {}
        for name, version, commit in rows:
            first.setdefault(name, (version, commit))
        lines = "".join(f'    "{name}": R({version}, "{commit}"),\n' for name, (version, commit) in first.items())
        parts.append(f"\n{constant}: Final[dict[str, Release]] = {{\n{lines}}}\n")
    OUT.write_text("".join(parts))


if __name__ == "__main__":
    main()
