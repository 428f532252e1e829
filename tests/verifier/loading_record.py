"""Cut the excerpt of the kernel's BTF and record Linux's answers: `cd tests && python -m verifier.loading_record`."""

from __future__ import annotations

import json
import lzma

from userbpf.btf.lazy import read_lazy
from verifier.loading_ask import EXCERPT, RECORDED, cut_excerpt, linux_world
from verifier.loading_cases import CASES


def main() -> None:
    EXCERPT.write_bytes(lzma.compress(cut_excerpt(read_lazy("/sys/kernel/btf/vmlinux")), preset=9))
    world = linux_world()
    answers = {name: case(world) for name, case in CASES.items()}
    world.close()
    RECORDED.write_bytes(lzma.compress(json.dumps(answers).encode(), preset=9))
    refused = sum(1 for err, _, _ in answers.values() if err)
    print(f"{len(answers)} cases, {refused} refused, {EXCERPT.stat().st_size} and {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
