"""Which registers are live, against a plain solution to the end, on programs whose blocks stand in any order."""

from __future__ import annotations

import random

import pytest

from userbpf.isa.insn import Insn
from userbpf.verifier.cfg import Cfg, use_def


def shuffled(seed: int) -> list[Insn]:
    """A graph of blocks without a loop, laid out so that jumps lead back as often as on."""
    rng = random.Random(seed)
    count = rng.randrange(4, 12)
    layout = [0, *rng.sample(range(1, count), count - 1)]
    at = {block: 4 * place for place, block in enumerate(layout)}
    out: list[Insn] = []
    for block in layout:
        later = range(block + 1, count)
        code = [Insn(0xBF, rng.randrange(1, 6), rng.randrange(10)), Insn(0x07, rng.randrange(10), 0, 0, 1)]
        if not later:
            code += [Insn(0xB7), Insn(0x95)]
        else:
            # the next block is always reached, so none is dead
            for jump, target in ((0x15, rng.choice(later)), (0x05, block + 1)):
                pc = at[block] + len(code)
                code.append(Insn(jump, 0, 0, at[target] - pc - 1, 0))
        out += code
    return out


def solved(cfg: Cfg) -> list[int]:
    """No order, no shortcut: until nothing changes."""
    live = [0] * len(cfg.insns)
    while True:
        before = list(live)
        for pc, insn in enumerate(cfg.insns):
            uses, defines = use_def(insn, lambda _: 5)
            after = 0
            for target in cfg.succ[pc]:
                after |= live[target]
            live[pc] = after & ~defines | uses
        if live == before:
            return live


@pytest.mark.parametrize("seed", range(60))
def test_liveness_is_complete(seed: int) -> None:
    cfg = Cfg(shuffled(seed), [0], True, lambda _: 5)
    assert not cfg.loops
    assert list(cfg.live) == solved(cfg)
