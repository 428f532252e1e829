"""Interpreter and JIT agree on r0, packet, context and maps, for random programs that the verifier accepts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_verifier import generate
from enginerig import Maps, Rig, accept, run_interp, run_jit
from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError
from userbpf.verifier.api import VerifiedProg

TYPES = [ProgType.SOCKET_FILTER, ProgType.SCHED_CLS, ProgType.XDP]


def verified(prog_type: ProgType, seed: int) -> tuple[VerifiedProg, Maps] | None:
    """A random program with maps of its own; None where the verifier refuses it."""
    maps = Maps(*generate.MAPS)
    program = generate.program(int(prog_type), seed, pure=True)
    try:
        return accept(program.insns, prog_type, maps.shapes), maps
    except BpfError:
        return None


def check(prog_type: ProgType, seed: int, opt: int | None = None) -> bool:
    """Run one program both ways, over packets of two lengths; False where there is no program."""
    rng = random.Random(seed)
    for length in (64, 14 + rng.randrange(200)):
        frame, image = rng.randbytes(length), rng.randbytes(192)
        outcomes = []
        for engine in ("interp", "jit"):
            made = verified(prog_type, seed)
            if made is None:
                return False
            prog, maps = made
            rig = Rig(frame, image)
            env = maps.env(prog)
            r0 = run_interp(prog, rig, env) if engine == "interp" else run_jit(prog, rig, env, opt)
            outcomes.append((hex(r0), rig.packet(), rig.image(), maps.content()))
        assert outcomes[0] == outcomes[1], f"{prog_type.name} {seed}"
    return True


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 1 << 32))
def test_random_programs(prog_type: ProgType, seed: int) -> None:
    check(prog_type, seed)


def test_most_random_programs_are_accepted() -> None:
    assert sum(verified(t, seed) is not None for t in TYPES for seed in range(20)) > 45


@pytest.mark.sweep
@pytest.mark.parametrize("prog_type", TYPES, ids=lambda t: t.name.lower())
@pytest.mark.parametrize("opt", [0, 1, 2, 3])
def test_many_random_programs(prog_type: ProgType, opt: int) -> None:
    ran = sum(check(prog_type, 10_000_000 * (opt + 1) + seed, opt) for seed in range(500))
    assert ran > 400
