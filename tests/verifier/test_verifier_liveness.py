"""Which registers are live, against a plain solution to the end, on programs whose blocks stand in any order."""

from __future__ import annotations

import random

import pytest

from userbpf.isa.insn import Insn
from userbpf.verifier.cfg import Cfg, use_def


def shuffled(seed: int) -> list[Insn]:
    """Blocks one after the other, some with a piece out of line that comes back behind the jump to it; laid out anyhow."""
    rng = random.Random(seed)
    count = rng.randrange(4, 12)
    pieces = [n for n in range(count - 1) if rng.random() < 0.6]
    names = [(n, False) for n in range(1, count)] + [(n, True) for n in pieces]
    rng.shuffle(names)
    layout = [(0, False), *names]
    at = {name: 4 * place for place, name in enumerate(layout)}
    out: list[Insn] = []
    for block, aside in layout:
        here = at[block, aside]
        code = [Insn(0xBF, rng.randrange(1, 6), rng.randrange(10)), Insn(0x07, rng.randrange(10), 0, 0, 1)]
        if aside:  # two more, and back to the jump at the end of its block
            code += [Insn(0x07, rng.randrange(10), 0, 0, 1), Insn(0x05, 0, 0, at[block, False] + 3 - (here + 3) - 1)]
        elif block == count - 1:
            code += [Insn(0xB7), Insn(0x95)]
        else:
            target = at[block, True] if block in pieces else at[rng.randrange(block + 1, count), False]
            code += [
                Insn(0x15, 0, 0, target - (here + 2) - 1, 0),
                Insn(0x05, 0, 0, at[block + 1, False] - (here + 3) - 1),
            ]
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
