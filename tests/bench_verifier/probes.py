"""What the default run compares with Linux's recorded answers, as probes by name: a test of the tests asks them one at a time.

A probe runs userbpf's verifier on one program and raises `Noticed` where the answer is not the recorded one (or, for `follow`
and `cover`, where a concrete run is not described). None of them needs bpf(2).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from unittest.mock import patch

from bench_verifier import diff, generate, golden, runs
from bench_verifier.follow import Leak
from bench_verifier.machine import Fault
from bpfcalls import Calls, calls_of
from userbpf.isa.insn import decode
from userbpf.kernel import Kernel
from userbpf.verifier import check
from verifier import btf_ask, btf_cases, fault_cases, objects_rig, verifier_ask, verifier_cases

Probe = Callable[[], None]


class Noticed(AssertionError):
    """The answer is another one than that of Linux."""


def _case(prog_type: int, text: str, row: dict[str, object]) -> None:
    err, log, processed = verifier_ask.mine(prog_type, text)
    mine = (err, verifier_ask.message(log) if err else "", processed)
    _same(mine, (row["errno"], row["message"], row["processed"]))


def _hole(prog_type: int, text: str, errno: int) -> None:
    _same(verifier_ask.mine(prog_type, text)[0], errno)


def _log(code: str, prog_type: int, err: int, lines: list[str]) -> None:
    with patch.object(check, "mirror_holes", True):  # what Linux recorded has its known holes
        mine = diff.ours(decode(bytes.fromhex(code)), prog_type)
    _same((mine.err, mine.lines), (err, lines))


def _btf(case: btf_cases.Case, answer: list[object]) -> None:
    _same(list(btf_ask.mine(case, btf_ask.excerpt())), answer)


@cache
def _scene() -> objects_rig.Scene:
    return objects_rig.Scene(calls_of("user"))


def _object(case: objects_rig.Case, answer: tuple[int, list[str]]) -> None:
    err, log, _ = _scene().ask(case.prog_type, case.text, **case.more)
    _same((err, log), tuple(answer))


@cache
def _calls() -> Calls:
    return calls_of("user")


def _iter(case: dict[str, object]) -> None:
    from verifier.test_kfunc_iters_log import ask

    _same(ask(_calls(), str(case["text"]), int(str(case["type"]))), (case["errno"], case["log"]))


def _follow(name: str, seed: int) -> None:
    _along(lambda: runs.followed(runs.program(name, seed), 3))


def _cover(name: str, seed: int) -> None:
    _along(lambda: runs.covered(runs.program(name, seed), 3))


def _along(check: Callable[[], object]) -> None:
    try:
        check()
    except (Leak, Fault) as e:
        raise Noticed(str(e)) from e


def _same(mine: object, theirs: object) -> None:
    if mine != theirs:
        raise Noticed(f"Linux {str(theirs)[-200:]}, here {str(mine)[-200:]}")


@cache
def has_kernel_types() -> bool:
    """Whether the running kernel's own BTF is there: some probes name its functions by number."""
    return Kernel().symbols() is not None


@cache
def followed() -> dict[str, Probe]:
    """Accepted programs, each along three runs, without pruning and with it."""
    found: dict[str, Probe] = {}
    for seed in range(150):
        for name in runs.FAMILIES:
            if runs.is_accepted(runs.program(name, seed)):
                found[f"follow:{name}-{seed}"] = partial(_follow, name, seed)
                found[f"cover:{name}-{seed}"] = partial(_cover, name, seed)
    return found


@cache
def recorded() -> dict[str, Probe]:
    """Every program that Linux's answer is recorded of."""
    found: dict[str, Probe] = {}
    answers = verifier_ask.recorded()
    for name, prog_type, text in verifier_cases.CASES:
        found[f"case:{name}"] = partial(_case, prog_type, text, answers[name])
    for name, prog_type, text, errno in fault_cases.LINUX_HOLES:
        found[f"hole:{name}"] = partial(_hole, prog_type, text, errno)
    for row in golden.load(f"verifier_{golden.RELEASE}"):
        prog_type = generate.PROG_TYPES[row["type"]]
        found[f"log:{row['id']}"] = partial(_log, row["insns"], prog_type, row["err"], row["lines"])
    more = btf_ask.recorded()
    for case in btf_cases.CASES:
        found[f"btf:{case.name}"] = partial(_btf, case, more[case.name])
    objects = objects_rig.recorded()
    for each in objects_rig.cases():
        if has_kernel_types() or not re.search(r"kfunc [a-z]", each.text):
            found[f"object:{each.name}"] = partial(_object, each, objects[each.name])
    if has_kernel_types():
        from verifier.test_kfunc_iters_log import CASES

        found |= {f"iter:{name}": partial(_iter, case) for name, case in CASES.items()}
    return found


def find(name: str) -> Probe | None:
    """A probe by name, None where this machine cannot ask it."""
    how, _, which = name.partition(":")
    if how in ("follow", "cover"):
        family, seed = which.split("-")
        return partial(_follow if how == "follow" else _cover, family, int(seed))
    return recorded().get(name)


def everything() -> Iterator[tuple[str, Probe]]:
    yield from recorded().items()
    yield from followed().items()


def notices(probe: Probe) -> bool:
    """Whether a probe finds something wrong; a verifier that falls over is wrong."""
    with contextlib.suppress(KeyboardInterrupt):
        try:
            probe()
        except Exception:
            return True
    return False
