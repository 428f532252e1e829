"""C sources whose programs are loaded one by one, and what Linux 6.18.44 said of each.

The sources are tests/data/c/*.bpf.c; `cd tests && python -m verifier.c_rig` asks Linux again (root, 6.18.44) and writes the
answers beside them: errno, last message and processed instructions of each program.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bench_verifier import golden
from userbpf.errors import BpfError
from userbpf.loader import Object

SOURCES: Final = Path(__file__).resolve().parent.parent / "data" / "c"
RECORDED: Final = SOURCES / "linux_6.18.44.json.xz"
_PROCESSED: Final = re.compile(r"processed (\d+) insns")
Answer = list[int | str]


def ask(obj: Object, name: str) -> Answer:
    """errno, the last message of a refusal, instructions processed."""
    try:
        log, err = obj.load_prog(name, 1).log or "", 0
    except BpfError as e:
        log, err = e.log or "", e.errno or 0
    count = _PROCESSED.findall(log)
    said = [
        line for line in _PROCESSED.sub("\nprocessed", log).splitlines() if line and not line.startswith("processed")
    ]
    return [err, said[-1] if err and said else "", int(count[-1]) if count else -1]


def recorded() -> dict[str, dict[str, Answer]]:
    """By source and program."""
    found: dict[str, dict[str, Answer]] = golden.read(RECORDED)
    return found


def main() -> None:
    out: dict[str, dict[str, Answer]] = {}
    for path in sorted(SOURCES.glob("*.bpf.c")):
        with Object.open(path).load("linux", progs=()) as obj:
            out[path.name] = {name: ask(obj, name) for name in obj.plan.progs}
    golden.write(RECORDED, out)
    print(f"{sum(map(len, out.values()))} programs")


if __name__ == "__main__":
    main()
