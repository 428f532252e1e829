"""Cut the excerpt of the kernel's BTF and record Linux's answers: `cd tests && python -m verifier.btf_record`."""

from __future__ import annotations

import lzma

from bench_verifier import golden
from userbpf.btf.lazy import read_lazy
from verifier.btf_ask import EXCERPT, RECORDED, VMLINUX, cut_excerpt, theirs
from verifier.btf_cases import CASES


def main() -> None:
    EXCERPT.write_bytes(lzma.compress(cut_excerpt(read_lazy(VMLINUX)), preset=9))
    answers = {case.name: theirs(case) for case in CASES}
    assert len(answers) == len(CASES), "two cases of a name"
    golden.write(RECORDED, answers)
    refused = sum(1 for err, _ in answers.values() if err)
    print(f"{len(answers)} cases, {refused} refused, {EXCERPT.stat().st_size} and {RECORDED.stat().st_size} bytes")


if __name__ == "__main__":
    main()
