"""What dynptrs, locks and the like do when a program runs: compiled, interpreted, and in Linux."""

from __future__ import annotations

import pytest

from bpfcalls import calls_of
from verifier.objects_rig import Scene
from verifier.objects_runs import RUNS


@pytest.mark.parametrize("engine", ["compiled", "interpreted", "linux"])
@pytest.mark.parametrize(("name", "prog_type", "text", "expected"), RUNS, ids=[r[0] for r in RUNS])
def test_result(name: str, prog_type: int, text: str, expected: int, engine: str) -> None:
    scene = Scene(calls_of("linux" if engine == "linux" else "user"))
    if engine == "interpreted":
        scene.calls.kernel.interpret_only = True
    fd = scene.load(prog_type, text, level=0)
    assert fd >= 0
    assert scene.calls.test_run(fd)[0].retval == expected
    scene.calls.close()
