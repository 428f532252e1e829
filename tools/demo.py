"""`make demo`: compile the flow counter and run it over a recording of real loopback traffic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
COMMANDS = [
    ["verify", "xdp_flows.bpf.c"],
    ["run", "xdp_flows.bpf.c", "loopback.pcap.gz", "--entries", "5"],
]


def main() -> None:
    for command in COMMANDS:
        print(f"\n$ userbpf {' '.join(command)}", flush=True)
        done = subprocess.run([sys.executable, "-m", "userbpf", *command], cwd=EXAMPLES, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
