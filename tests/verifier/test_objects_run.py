"""What dynptrs, locks and the like do when a program runs: compiled, interpreted, and in Linux."""

from __future__ import annotations

import pytest

from bpfcalls import calls_of
from verifier.objects_kfunc_runs import KFUNC_RUNS
from verifier.objects_rig import TC, Scene
from verifier.objects_runs import RUNS


@pytest.mark.parametrize("engine", ["compiled", "interpreted", "linux"])
@pytest.mark.parametrize(
    ("name", "prog_type", "text", "expected"), RUNS + KFUNC_RUNS, ids=[r[0] for r in RUNS + KFUNC_RUNS]
)
def test_result(name: str, prog_type: int, text: str, expected: int, engine: str) -> None:
    scene = Scene(calls_of("linux" if engine == "linux" else "user"))
    if engine == "interpreted":
        scene.calls.kernel.interpret_only = True
    fd = scene.load(prog_type, text, level=0)
    assert fd >= 0
    assert scene.calls.test_run(fd, bytes(range(64)))[0].retval == expected
    scene.calls.close()


@pytest.mark.parametrize("interpreted", [False, True])
def test_what_does_not_run_says_so(interpreted: bool) -> None:
    scene = Scene(calls_of("user"))
    scene.calls.kernel.interpret_only = interpreted
    fd = scene.load(TC, "r1 = map_value wq ll\nr1 += 8\nr2 = 0\ncall kfunc bpf_wq_start\nr0 = 0\nexit", level=0)
    if fd >= 0:
        assert scene.calls.err(scene.calls.test_run, fd) in ("EOPNOTSUPP", "ENOTSUP")  # two names of one number
    scene.calls.close()
