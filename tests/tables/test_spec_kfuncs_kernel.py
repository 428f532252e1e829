"""Which program types may call which kernel functions: every cell of the table against the running kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench_verifier import linux
from bpfcalls import Buf, Calls, calls_of
from userbpf.abi.enums import ProgType
from userbpf.btf import Btf, Func
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel
from userbpf.spec.kfuncs import KFUNCS
from userbpf.spec.progs import PROGS

pytestmark = pytest.mark.skipif(linux.available() is not None, reason=str(linux.available()))
# types whose programs have a target in the kernel, by which functions may be told apart, too; and what says more than yes or no
ATTACHED = {ProgType.UNSPEC, ProgType.EXT, ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS}
TYPES = [t for t in ProgType if t not in ATTACHED]
SLEEPABLE = 1 << 4
OTHERWISE = ("bpf_xdp_metadata_", "bpf_session_")


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    yield calls_of("linux")


@pytest.fixture(scope="module")
def types() -> Btf:
    found = Kernel().vmlinux()
    assert found is not None
    return found


def refusal(calls: Calls, number: int, prog_type: ProgType, log: Buf) -> str:
    """What Linux logs of a program that calls it without arguments."""
    insns = list(assemble(f"call kfunc {number}\nr0 = 0\nexit"))
    row = PROGS[prog_type]
    more = {"expected_attach_type": int((row.attach or (0,))[0]), "prog_flags": SLEEPABLE if row.must_sleep else 0}
    try:
        calls.close(calls.prog(insns, prog_type, log_level=1, log_buf=log.addr, log_size=log.size, **more))
    except OSError:
        if not log.text:
            pytest.skip("this kernel has no programs of the type")
        return log.text
    return ""


@pytest.mark.sweep
@pytest.mark.parametrize("prog_type", TYPES, ids=lambda t: t.name)
def test_kfuncs_by_type_are_linux(calls: Calls, types: Btf, prog_type: ProgType) -> None:
    log = Buf(1 << 16)
    wrong = []
    for name, row in KFUNCS.items():
        func = types.find(name, Func)
        if func is None or name.startswith(OTHERWISE):
            continue
        text = refusal(calls, func.id, prog_type, log)
        allowed = f"calling kernel function {name} is not allowed" not in text
        if "cannot find address" in text or f"kernel function {name}" not in text + f"kernel function {name}" * allowed:
            continue  # not in this kernel, or refused for another reason before that
        if allowed != (prog_type in row.prog_types):
            wrong.append((name, allowed, text.strip().splitlines()[-2:]))
    assert not wrong
