"""The older half of Linux's verifier selftests, tables of instructions in C, on both verifiers.

cd tests && python -m bench_verifier.tables CHECKOUT [--only WORD] [--json FILE] [-v]

CHECKOUT is a Linux tree outside of the repository (or its folder tools/testing/selftests/bpf). `table_journal.c` is compiled
around its test_verifier.c by the system's C compiler; run once, it writes down which maps, types and programs each test
would make. That journal is replayed on userbpf and on the running Linux, and compared as `selftests` does.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_verifier.objects import Outcome, last_message, outcome_of
from bench_verifier.selftests import HEAD, Answer, Expectation, compare, summary, tell
from bpfcalls import Buf, Calls, calls_of
from userbpf.abi.enums import AttachType
from userbpf.btf import Btf, Func, Typedef
from userbpf.errors import BpfError
from userbpf.isa.insn import decode

HERE = Path(__file__).resolve().parent
LOG = (ctypes.c_char * (1 << 24))()
RESULTS = ("", "accept", "reject", "verbose accept")
TARGETS: dict[int, tuple[str, type[Func | Typedef]]] = {
    AttachType.TRACE_RAW_TP: ("btf_trace_", Typedef),
    AttachType.LSM_MAC: ("bpf_lsm_", Func),
    AttachType.TRACE_ITER: ("bpf_iter_", Func),
}


def journal(checkout: Path) -> list[list[dict[str, Any]]]:
    """What each test asks for, in order; the first entry of a test tells its name and what it expects."""
    tests = next(p for p in (checkout / "tools/testing/selftests/bpf", checkout) if (p / "test_verifier.c").exists())
    tools = tests.parents[2]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "bpf").symlink_to(tools / "lib/bpf")
        (work / "verifier").mkdir()
        tables = [f'#include "{p}"\n' for p in sorted((tests / "verifier").glob("*.c"))]
        (work / "verifier/tests.h").write_text("".join(["#ifdef FILL_ARRAY\n", *tables, "#endif\n"]))
        where = [f"-I{p}" for p in (work, tests, tools / "include", tools / "include/uapi", tools / "lib")]
        tidy = ["-w", "-ffunction-sections", "-Wl,--gc-sections"]
        command = ["cc", *where, *tidy, "-o", str(work / "journal"), str(HERE / "table_journal.c")]
        subprocess.run(command, check=True)
        subprocess.run([work / "journal", work / "out"], check=True, stdout=subprocess.DEVNULL)
        out: list[list[dict[str, Any]]] = []
        for line in (work / "out").read_text().splitlines():
            entry = json.loads(line)
            if entry["call"] == "test":
                out.append([])
            out[-1].append(entry)
        return out


@functools.cache
def kernel_types() -> Btf:
    return Btf.parse(Path("/sys/kernel/btf/vmlinux").read_bytes())


def type_id(name: str, kind: type[Func | Typedef]) -> int:
    found = kernel_types().find(name, kind)
    return found.id if found is not None else 0


class Replay:
    """One test on one bpf(2): the journal's descriptors and numbers are bound to real ones."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.real = {0: 0}
        self.values: dict[int, int] = {}
        self.kfuncs: dict[int, int] = {}

    def play(self, entries: list[dict[str, Any]]) -> Answer:
        for entry in entries[1:-1]:
            getattr(self, entry["call"])(entry)
        refused: int | None = None
        LOG[0] = b"\0"
        try:
            self.prog(entries[-1], log_level=2, log_buf=ctypes.addressof(LOG), log_size=len(LOG))
        except OSError as e:
            refused = e.errno or -1
        text = ctypes.string_at(LOG).decode("latin-1")
        if refused is None:
            return Answer(outcome_of(text, Outcome()), text)
        return Answer(outcome_of(text, Outcome("prog", refused, last_message(BpfError(refused, log=text)))), text)

    def map(self, e: dict[str, Any]) -> None:
        types = {"btf_fd": self.real[e["btf"]], "btf_key_type_id": e["btf_key"], "btf_value_type_id": e["btf_value"]}
        more = {"map_flags": e["flags"], "inner_map_fd": self.real[e["inner"]], **types}
        self.real[e["fd"]] = self.calls.map(e["type"], e["key"], e["value"], e["entries"], **more)
        self.values[e["fd"]] = e["value"]

    def update(self, e: dict[str, Any]) -> None:
        value = bytes.fromhex(e["value"])
        number = int.from_bytes(value, "little")
        if number in self.real and number:
            value = self.real[number].to_bytes(4, "little")
        size = self.values[e["fd"]]
        self.calls.update(self.real[e["fd"]], bytes.fromhex(e["key"]), value[:size].ljust(size, b"\0"))

    def btf(self, e: dict[str, Any]) -> None:
        self.real[e["fd"]] = self.calls.btf(bytes.fromhex(e["data"]))

    def kfunc(self, e: dict[str, Any]) -> None:
        self.kfuncs[e["id"]] = type_id(e["name"], Func)

    def prog(self, e: dict[str, Any], **more: Any) -> None:
        insns = []
        for insn in decode(bytes.fromhex(e["insns"])):
            if insn.code == 0x18 and insn.imm in self.real and insn.imm:
                insn = insn._replace(imm=self.real[insn.imm])
            elif insn.code == 0x85 and insn.imm in self.kfuncs:
                insn = insn._replace(imm=self.kfuncs[insn.imm])
            insns.append(insn)
        infos = Buf(bytes.fromhex(e["func_info"]))
        if infos.size:
            more |= {"func_info": infos.addr, "func_info_cnt": infos.size // 8, "func_info_rec_size": 8}
        if e["attach"]:
            prefix, kind = TARGETS.get(e["attach_type"], ("", Func))
            more["attach_btf_id"] = type_id(prefix + e["attach"], kind)
        fields = {"prog_flags": e["flags"], "prog_btf_fd": self.real[e["btf"]], **more}
        fd = self.calls.prog(insns, e["type"], expected_attach_type=e["attach_type"], **fields)
        self.real[e["fd"]] = fd


@contextlib.contextmanager
def replay(name: str) -> Iterator[Replay]:
    calls = calls_of(name)
    try:
        yield Replay(calls)
    finally:
        calls.close()


def judge(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of one test."""
    test = entries[0]
    want = Expectation(True, [m for m in test["message"].split("\t") if m])
    answers = []
    for transport in ("linux", "user"):
        with replay(transport) as one:
            answers.append(one.play(entries))
    return {"program": test["name"], "wanted": RESULTS[test["result"]]} | compare(answers[0], answers[1], want)


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("checkout", type=Path)
    options.add_argument("--only", default="", help="tests whose name has this word")
    options.add_argument("--json", dest="json_path")
    options.add_argument("-v", "--verbose", action="store_true", help="show each difference")
    args = options.parse_args(argv)
    rows = [judge(entries) for entries in journal(args.checkout) if args.only in entries[0]["name"]]
    print(HEAD)
    tell("verifier/*.c", rows, args.verbose)
    summary(rows, args.json_path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
