"""Ask Linux for every adversary's case and record what it says: `cd tests && python -m verifier.adversary_record`."""

from __future__ import annotations

import json
from pathlib import Path

from userbpf import linux
from verifier.adversary_ask import Side
from verifier.adversary_cases import CASES

RECORDED = Path(__file__).resolve().parent.parent / "data" / "verifier_adversary_6.18.44.json"


def main() -> None:
    side = Side(linux.bpf)
    out = {}
    for name, prog_type, fields, text in CASES:
        err, said, processed, _ = side(prog_type, fields, text)
        out[name] = {"errno": err, "message": said, "processed": processed}
    side.close()
    RECORDED.write_text(json.dumps(out, indent=1) + "\n")
    print(f"{len(out)} cases, {sum(1 for row in out.values() if row['errno'])} refused")


if __name__ == "__main__":
    main()
