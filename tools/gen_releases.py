"""Turn the release data of ebpf-docs into the rows of `userbpf.spec.profiles.releases`.

    python tools/gen_releases.py EBPF_DOCS/data COMMIT > src/userbpf/spec/profiles/releases.py

Source: https://github.com/isovalent/ebpf-docs, data/*.yaml (BSD 2-Clause, Isovalent and contributors): the release and the
commit in which each program type, map type, attach type, command, flag, helper and kernel function came. What is read are
facts; the form of the rows is ours. The files are a small part of YAML, so a small reader does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final, NamedTuple

ITEM: Final = re.compile(r"^(?P<pad> *)- (?P<key>name|group|exclude): *(?P<value>[\w.]+)")
FIELD: Final = re.compile(r"^ +(?P<key>version|commit): *\"?v?(?P<value>[\w.]+)")
OLDEST: Final = (5, 4)  # of the profiles: what was there before needs no row of its own


class Since(NamedTuple):
    name: str
    version: str
    commit: str


def release(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(re.match(r"\d+", minor)[0])  # type: ignore[index]


def features(text: str) -> dict[str, list[Since]]:
    """feature-versions.yaml: lists of name, version, commit by kind."""
    out: dict[str, list[Since]] = {}
    kind, name, version = "", "", ""
    for line in text.splitlines():
        item = ITEM.match(line)
        if item and not item["pad"]:
            kind = item["value"]
            out[kind] = []
        elif item:
            name = item["value"]
        elif found := FIELD.match(line):
            if found["key"] == "version":
                version = found["value"]
            else:
                out[kind].append(Since(name, version, found["value"]))
    return out


def helper_types(text: str) -> list[tuple[str, Since]]:
    """helpers-functions.yaml: (program type, helper) that came later than the helper itself."""
    groups: dict[str, list[tuple[str, str, str, str]]] = {}
    section, owner = "", ""
    for line in text.splitlines():
        if re.match(r"^\w+:", line):
            section = line.split(":")[0]
        elif (head := re.match(r"^  (\w+):", line)) is not None:
            owner = head[1]
            groups[f"{section}/{owner}"] = []
        elif (item := ITEM.match(line)) is not None:
            groups[f"{section}/{owner}"].append((item["key"], item["value"], "", ""))
        elif (found := FIELD.match(line)) is not None:
            key, value, version, commit = groups[f"{section}/{owner}"][-1]
            version, commit = (found["value"], commit) if found["key"] == "version" else (version, found["value"])
            groups[f"{section}/{owner}"][-1] = (key, value, version, commit)

    def flat(name: str, version: str, commit: str) -> list[tuple[str, str, str]]:
        out = []
        for key, value, own_version, own_commit in groups.get(name, []):
            since = (own_version or version, own_commit or commit)
            if key == "group":
                out += flat(f"groups/{value}", *since)
            elif key == "name":
                out.append((value, *since))
        return out

    rows: list[tuple[str, Since]] = []
    for name in groups:
        if not name.startswith("programs/"):
            continue
        best: dict[str, Since] = {}
        for helper, version, commit in flat(name, "", ""):
            since = Since(helper, version, commit)
            if helper not in best or release(version or "0.0") < release(best[helper].version or "0.0"):
                best[helper] = since
        rows += [(name.partition("/")[2], s) for s in best.values() if s.version and release(s.version) > OLDEST]
    return rows


def kfunc_types(text: str) -> list[tuple[str, Since]]:
    """kfuncs.yaml: (program type, function) that came later than the function itself."""
    rows: list[tuple[str, Since]] = []
    funcs: list[str] = []
    part, prog, version = "", "", ""
    for line in text.splitlines():
        if re.match(r"^  \w+:", line):
            funcs = []
        elif (head := re.match(r"^    (funcs|program_types):", line)) is not None:
            part = head[1]
        elif (item := ITEM.match(line)) is not None and part == "funcs":
            funcs.append(item["value"])
        elif item is not None:
            prog = item["value"]
        elif (found := FIELD.match(line)) is not None and part == "program_types":
            if found["key"] == "version":
                version = found["value"]
            else:
                rows += [(prog, Since(func, version, found["value"])) for func in funcs]
    return rows


def block(name: str, what: str, rows: list[tuple[str, ...]]) -> str:
    lines = "\n".join(" ".join(row) for row in rows)
    return f'# {what}\n{name}: Final = """\n{lines}\n"""\n'


def main(folder: Path, commit: str) -> None:
    kinds = features((folder / "feature-versions.yaml").read_text())
    own = {s.name: release(s.version) for rows in kinds.values() for s in rows}

    def plain(kind: str, prefix: str) -> list[tuple[str, ...]]:
        return [(s.name.removeprefix(prefix), s.version, s.commit[:12]) for s in kinds[kind]]

    def later(rows: list[tuple[str, Since]]) -> list[tuple[str, ...]]:
        return sorted(
            {
                (prog.removeprefix("BPF_PROG_TYPE_"), s.name.removeprefix("bpf_"), s.version, s.commit[:12])
                for prog, s in rows
                if s.name in own and release(s.version) > own[s.name]
            }
        )

    kfuncs = [(prog, s._replace(name="bpf_" + s.name)) for prog, s in kfunc_types((folder / "kfuncs.yaml").read_text())]
    own |= {"bpf_" + name: value for name, value in list(own.items())}
    parts = [
        ("PROG_TYPES", "program types", plain("program_types", "BPF_PROG_TYPE_")),
        ("MAP_TYPES", "map types", plain("map_types", "BPF_MAP_TYPE_")),
        ("ATTACH_TYPES", "attach types", plain("attach_types", "BPF_")),
        ("COMMANDS", "commands of bpf(2)", plain("syscall_commands", "BPF_")),
        ("FLAGS", "flags of loading, maps and helpers", plain("flags", "")),
        ("HELPERS", "helpers", plain("helpers", "bpf_")),
        (
            "HELPER_TYPES",
            "helpers that a program type got later",
            later(helper_types((folder / "helpers-functions.yaml").read_text())),
        ),
        ("KFUNCS", "kernel functions", plain("kfuncs", "")),
        ("KFUNC_TYPES", "kernel functions that a program type got later", later(kfuncs)),
    ]
    print(f'''"""In which release what came: one line a fact, "name release commit of Linux".

Written by tools/gen_releases.py from ebpf-docs (https://github.com/isovalent/ebpf-docs, data/*.yaml at {commit[:12]}),
which is under the BSD 2-Clause licence, Copyright (c) 2023 The eBPF-Docs Authors. Corrections go into `corrections.py`.
"""

from __future__ import annotations

from typing import Final
''')
    print("\n".join(block(*part) for part in parts), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
