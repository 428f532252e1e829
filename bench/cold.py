"""How long until the first result: a 20-instruction XDP program from BPF_PROG_LOAD to the end of its first test run.

    python bench/cold.py [--rounds N]

Every figure is a process of its own, begun anew. `cold`: the cache of machine code is empty; `cached`: the same program ran
once before; `new`: another program did, as when one edits. The clock starts before BPF_PROG_LOAD in a process that has
imported `userbpf.bpf` and made its map, and stops after BPF_PROG_TEST_RUN has answered. The rows `alone` are a program
without a map, whose BPF_PROG_LOAD is the first call that the process makes. Medians of processes measured in turn; CPU is
what the process and its threads used meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

BARS_MS = {"cold": 25.0, "cached": 5.0, "new": 25.0, "cold alone": 25.0, "cached alone": 5.0, "new alone": 25.0}

# The program: ports of UDP and TCP packets counted in an array.
TEXT = """
r6 = r1
r2 = *(u32 *)(r6 +0)
r3 = *(u32 *)(r6 +4)
r4 = r2
r4 += 34
if r4 > r3 goto pass
r5 = *(u8 *)(r2 +23)
*(u32 *)(r10 -4) = r5
r2 = r10
r2 += -4
r1 = map_fd {fd} ll
call bpf_map_lookup_elem
if r0 == 0 goto pass
r1 = 1
lock *(u64 *)(r0 +0) += r1
r1 = *(u64 *)(r0 +0)
r0 = 1
if r1 > 100 goto done
pass: r0 = 2
done: exit
"""

# The same length without a map: a checksum of sorts.
ALONE = """
r2 = *(u32 *)(r1 +0)
r3 = *(u32 *)(r1 +4)
r4 = r2
r4 += 34
if r4 > r3 goto pass
r5 = *(u8 *)(r2 +23)
r0 = *(u16 *)(r2 +12)
r0 = be16 r0
if r0 != 0x800 goto pass
r1 = *(u32 *)(r2 +26)
r3 = *(u32 *)(r2 +30)
r1 += r3
r1 ^= r5
r3 = r1
r3 >>= 16
r1 += r3
r1 &= 0xffff
if r1 > 100 goto drop
pass: r0 = 2
exit
drop: r0 = 1
exit
"""


def child() -> None:
    """One process: print the ms of each step."""
    import ctypes
    import time

    start = time.perf_counter()
    cpu = time.process_time()
    import userbpf

    imported, imported_cpu = time.perf_counter(), time.process_time()
    code = bytearray.fromhex(os.environ["COLD_PROGRAM"])
    packet = bytearray(60)
    packet[23] = 17
    licence = bytearray(b"GPL\0")

    def at(buffer: bytearray) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))

    def attr(*fields: tuple[int, int, int]) -> bytearray:
        raw = bytearray(128)
        for off, size, value in fields:
            raw[off : off + size] = value.to_bytes(size, "little")
        return raw

    bpf = userbpf.bpf
    if "alone" not in sys.argv:
        fd = bpf(0, attr((0, 4, 2), (4, 4, 4), (8, 4, 8), (12, 4, 256)))
        code[10 * 8 + 4 : 10 * 8 + 8] = fd.to_bytes(4, "little")
    ready, ready_cpu = time.perf_counter(), time.process_time()
    prog = bpf(5, attr((0, 4, 6), (4, 4, len(code) // 8), (8, 8, at(code)), (16, 8, at(licence))))
    loaded = time.perf_counter()
    run = attr((0, 4, prog), (8, 4, 60), (16, 8, at(packet)), (32, 4, 1))
    bpf(10, run)
    ran, ran_cpu = time.perf_counter(), time.process_time()
    assert run[4] in (2, 7), run
    bpf(10, run)
    again = time.perf_counter()
    steps = {"import": (start, imported), "bpf, map": (imported, ready), "load": (ready, loaded), "run": (loaded, ran)}
    steps |= {"result": (ready, ran), "run again": (ran, again)}
    out = {name: (b - a) * 1e3 for name, (a, b) in steps.items()}
    cpus = {"result CPU": (ran_cpu - ready_cpu) * 1e3, "import CPU": (imported_cpu - cpu) * 1e3}
    print(json.dumps(out | cpus))


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Median ms by step, cold and from the cache, in turn."""
    from userbpf.isa.asm import assemble
    from userbpf.isa.insn import Insn, encode

    programs = {"": assemble(TEXT.format(fd=0)), "alone": assemble(ALONE)}
    edited = Insn(0xB7, 0, 0, 0, 7)
    assert [len(p) for p in programs.values()] == [21, 22]
    root = tempfile.mkdtemp(prefix="userbpf-cold-")
    took: dict[str, list[dict[str, float]]] = {name: [] for name in BARS_MS}
    try:
        for n in range(rounds):
            for name in BARS_MS:
                which = name.partition(" ")[2]
                code = encode(
                    [*programs[which][:-2], edited, *programs[which][-1:]]
                    if name.startswith("new")
                    else programs[which]
                )
                env = {**os.environ, "USERBPF_CACHE": f"{root}/{n}{which}", "COLD_PROGRAM": code.hex()}
                env.pop("PYTHONDONTWRITEBYTECODE", None)
                command = [sys.executable, __file__, "--child", which]
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
                took[name].append(json.loads(done.stdout))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return {name: {k: statistics.median(t[k] for t in rows) for k in rows[0]} for name, rows in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    found = measure(args.rounds)
    names = list(found["cold"])
    print("ms, median".ljust(12), *[f"{n:>11}" for n in names])
    for name, row in found.items():
        bar = BARS_MS[name]
        verdict = "kept" if row["result"] <= bar else "MISSED"
        print(name.ljust(12), *[f"{row[n]:11.2f}" for n in names], f"   result <= {bar:.0f} ms: {verdict}")
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load > cpus:
        print(
            f"The machine is busy (load {load:.1f} on {cpus} CPUs): times contain others' work, the CPU columns do not."
        )


if __name__ == "__main__":
    child() if "--child" in sys.argv else main()
