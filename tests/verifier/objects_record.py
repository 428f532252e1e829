"""Ask Linux about every case of tests/data/objects: `cd tests && python -m verifier.objects_record` (root, 6.18.44)."""

from __future__ import annotations

from bench_verifier import golden
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
        golden.write(apart(stem), own)
    rest = {name: answer for name, answer in out.items() if name.partition("-")[0] not in APART}
    golden.write(RECORDED, rest)
    golden.write(FIELDS, fields_cases.ask(calls_of("linux")))
    print(f"{len(out)} cases, {sum(1 for err, _ in out.values() if err)} refused, {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
