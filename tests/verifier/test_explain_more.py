"""A hundred more wrong programs, by subject, and what is said of each: line, place where the fact was lost, fact, remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from userbpf import linux
from userbpf.client.explain import Explanation, watching
from userbpf.errors import BpfError
from userbpf.loader import Object
from userbpf.syscall import Kernel
from userbpf.verifier.explain import RULES
from verifier.explain_told import TOLD, Told

HERE = Path(__file__).parent
CASES = [(subject, name) for subject, cases in TOLD.items() for name in cases]
EPERM = 1


def source(subject: str) -> Path:
    return HERE / f"wrong_{subject}.bpf.c"


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, tuple[Kernel, Object]]]:
    out = {}
    if Kernel().vmlinux() is None:
        pytest.skip("no types of a kernel are at hand")
    for subject in TOLD:
        kernel = Kernel()
        out[subject] = kernel, Object.open(source(subject)).load(kernel=kernel, progs=())
    yield out
    for _, obj in out.values():
        obj.close()


def explained(kernel: Kernel, obj: Object, name: str) -> Explanation:
    with watching(kernel) as watched:
        with pytest.raises(BpfError):
            obj.load_prog(name)
        found = watched.explanation()
    assert found is not None
    return found


@pytest.mark.parametrize("subject", TOLD)
def test_each_wrong_program_is_in_the_table(opened: dict[str, tuple[Kernel, Object]], subject: str) -> None:
    assert set(opened[subject][1].plan.progs) == set(TOLD[subject])


@pytest.mark.parametrize(("subject", "name"), CASES)
def test_told(opened: dict[str, tuple[Kernel, Object]], subject: str, name: str) -> None:
    told: Told = TOLD[subject][name]
    found = explained(*opened[subject], name)
    assert found.rule == told.rule, found
    assert (found.place.text if found.place else "").startswith(told.line) and bool(found.place) == bool(told.line)
    lost = found.lost.place.text if found.lost and found.lost.place else ""
    assert lost.startswith(told.lost) and bool(lost) == bool(told.lost), lost
    assert told.cause in found.cause, found.cause
    assert any(told.advice in text for text in found.advice), found.advice
    assert found.needed and len(found.needed) < 200 and len(found.cause) < 330
    assert len(found.life) < 40 and all(len(text) < 170 for text in found.advice)


@pytest.mark.parametrize("subject", TOLD)
def test_linux_refuses_them_with_the_same_words(subject: str) -> None:
    reason = linux.available()
    if reason is not None:
        pytest.skip(reason)
    for name in TOLD[subject]:
        said = []
        for transport in ("user", "linux"):
            with Object.open(source(subject)).load(transport, progs=()) as loaded, pytest.raises(BpfError) as e:
                loaded.load_prog(name)
            said.append((e.value.errno, e.value.strerror))
        if said[1][0] != EPERM:  # Linux may not be asked about what is attached by BTF here
            assert said[0] == said[1], name


def test_a_rule_is_there_for_every_name_of_the_table() -> None:
    assert {told.rule for cases in TOLD.values() for told in cases.values()} <= {rule.name for rule in RULES}
