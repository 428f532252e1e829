"""Ask Linux about every case of tests/data/objects: `cd tests && python -m verifier.objects_record` (root, 6.18.44)."""

from __future__ import annotations

import json
import lzma

from bpfcalls import calls_of
from verifier import fields_cases
from verifier.fields_cases import RECORDED as FIELDS
from verifier.objects_rig import APART, RECORDED, Scene, apart, cases


def main() -> None:
    scene = Scene(calls_of("linux"))
    out = {}
    for case in cases():
        err, log, _ = scene.ask(case.prog_type, case.text, **case.more)
        out[case.name] = (err, log)
    for stem in APART:
        own = {name: answer for name, answer in out.items() if name.startswith(f"{stem}-")}
        apart(stem).write_bytes(lzma.compress(json.dumps(own).encode()))
    rest = {name: answer for name, answer in out.items() if name.partition("-")[0] not in APART}
    RECORDED.write_bytes(lzma.compress(json.dumps(rest).encode()))
    FIELDS.write_text(json.dumps(fields_cases.ask(calls_of("linux")), indent=0) + "\n")
    print(f"{len(out)} cases, {sum(1 for err, _ in out.values() if err)} refused, {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
