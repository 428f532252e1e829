"""The table: each case on Linux's JIT, userbpf's JIT and as native code, measured in turn in one run.

    python bench/run.py [--rounds N] [--only TEXT] [--no-native]

Ratios are userbpf / Linux; "net" subtracts each engine's own time for `return 2`, which is its loop and call.
"""

from __future__ import annotations

import argparse
import ctypes
import sys

import harness
import sides
from harness import geometric_mean, medians, native_libraries, ns
from table import TABLE, Case


def prepared(side: sides.Side, case: Case) -> sides.Loaded:
    """The case loaded, its maps filled."""
    loaded = sides.load(side, harness.bpf_object(case.path))
    for name, key, value in case.entries():
        side.map_update(loaded.maps[name], key, value)
    if case.itself:
        side.map_update(loaded.maps[case.itself], bytes(4), loaded.prog.to_bytes(4, "little"))
    return loaded


def measure(case: Case, engines: dict[str, sides.Side], with_native: bool, rounds: int) -> dict[str, float | str]:
    """ns a run by engine; a string says why there is none. Every engine must return the same."""
    out: dict[str, float | str] = {}
    timers: dict[str, harness.Timer] = {}
    results: dict[str, int] = {}
    loads: list[sides.Loaded] = []
    contexts: list[harness.NativeContext] = []
    for name, side in engines.items():
        try:
            loaded = prepared(side, case)
        except OSError as e:
            out[name] = str(e)
            continue
        loads.append(loaded)
        results[name] = side.test_run(loaded.prog, case.packet, 1)[0]
        timers[name] = side.timer(loaded.prog, case.packet)
    if with_native and case.native:
        for compiler, library in native_libraries(case.path).items():
            function = getattr(library, case.path.stem)
            context = harness.NativeContext(case.packet)
            contexts.append(context)
            function.restype, function.argtypes = ctypes.c_uint32, [ctypes.c_uint64, ctypes.c_uint64]
            results[compiler] = function(context.ctx, context.rt)
            addr = ctypes.cast(function, ctypes.c_void_p).value or 0
            timers[compiler] = harness.native_timer(addr, context.ctx, context.rt)
    if len(set(results.values())) > 1:
        raise SystemExit(f"{case.name}: the engines disagree: {results}")
    out |= medians(timers, rounds)
    natives = [v for k, v in out.items() if k not in engines and isinstance(v, float)]
    if natives:
        out["native"] = min(natives)
    for loaded in loads:
        loaded.close()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--no-native", action="store_true")
    args = parser.parse_args()
    engines: dict[str, sides.Side] = {}
    for name, bpf in (("linux", sides.linux), ("userbpf", sides.ours)):
        reason = sides.why_not(bpf)
        if reason:
            print(f"{name}: {reason}", file=sys.stderr)
        else:
            engines[name] = sides.Side(bpf)
    cases = [c for c in TABLE if args.only in c.name or c is TABLE[0]]
    rows, ratios, base = [], {"gross": [], "net": []}, {}  # type: ignore[var-annotated]
    for case in cases:
        got = measure(case, engines, not args.no_native, args.rounds)
        base = base or got
        rows.append([case.name, *columns(case, got, base, ratios)])
    head = ["ns a run", "Linux JIT", "net", "userbpf JIT", "net", "ratio", "net", "best native -O2", "bar"]
    harness.print_table(head, rows)
    if ratios["gross"]:
        gross, net = (geometric_mean(ratios[k]) for k in ("gross", "net"))
        print(f"\ncompute cases, geometric mean of userbpf / Linux: {gross:.2f}, net of the loop {net:.2f}")
    reasons = sorted({r for row in rows for r in row[1:] if len(r) > 24})
    for reason in reasons:
        print(reason)


def columns(
    case: Case, got: dict[str, float | str], base: dict[str, float | str], ratios: dict[str, list[float]]
) -> list[str]:
    """A row's cells after its name; ratios of compute cases are added to `ratios`."""

    def number(name: str, of: dict[str, float | str] = got) -> float | None:
        value = of.get(name)
        return value if isinstance(value, float) else None

    def net(name: str) -> float | None:
        gross, loop = number(name), number(name, base)
        return None if gross is None or loop is None or got is base else max(gross - loop, 0.05)

    cells = []
    for name in ("linux", "userbpf"):
        value = got.get(name)
        cells += [value.splitlines()[0][:20] if isinstance(value, str) else ns(number(name)), ns(net(name))]
    pairs = {"gross": (number("userbpf"), number("linux")), "net": (net("userbpf"), net("linux"))}
    for kind, (mine, theirs) in pairs.items():
        if mine is None or theirs is None:
            cells.append("-")
            continue
        cells.append(f"{mine / theirs:.2f}")
        if case.compute:
            ratios[kind].append(mine / theirs)
    mine = net("userbpf")
    kept = "" if not case.bar_ns or mine is None else (" kept" if mine <= case.bar_ns else " MISSED")
    return [*cells, ns(number("native")), f"<= {case.bar_ns:.0f}{kept}" if case.bar_ns else ""]


if __name__ == "__main__":
    main()
