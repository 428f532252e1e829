"""Ask Linux for every case and record what it says: `cd tests && python -m verifier.verifier_record`."""

from __future__ import annotations

from bench_verifier import golden, linux
from verifier.verifier_ask import RECORDED, create_maps, message, theirs
from verifier.verifier_cases import CASES


def main() -> None:
    oracle = linux.Oracle()
    fds = create_maps()
    out = {}
    for name, prog_type, text in CASES:
        err, log = theirs(oracle, fds, prog_type, text)
        processed = next((int(line.split()[1]) for line in log if line.startswith("processed ")), 0)
        out[name] = {"errno": err, "message": message(log) if err else "", "processed": processed}
    golden.write(RECORDED, out)
    print(f"{len(out)} cases, {sum(1 for row in out.values() if row['errno'])} refused")


if __name__ == "__main__":
    main()
