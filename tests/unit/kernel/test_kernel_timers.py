"""Timers fire by the kernel's clock, compiled and interpreted."""

from __future__ import annotations

import pytest

from bpfcalls import calls_of, u32
from verifier.objects_rig import TC, Scene

SET = """
    r1 = map_value atimer ll
    r1 += 8
    r2 = map_fd atimer ll
    r3 = 1
    call bpf_timer_init
    r6 = r0
    r1 = map_value atimer ll
    r1 += 8
    r2 = func cb ll
    call bpf_timer_set_callback
    r1 = map_value atimer ll
    r1 += 8
    r2 = 100
    r3 = 0
    call bpf_timer_start
    r6 += r0
    r0 = r6
    exit
cb:
    r4 = *(u64 *)(r3 +0)
    r4 += 1
    *(u64 *)(r3 +0) = r4
    r5 = *(u32 *)(r2 +0)
    r4 += r5
    if r4 > 2 goto done
    r1 = r3
    r1 += 8
    r2 = 10
    r3 = 0
    call bpf_timer_start
done:
    r0 = 0
    exit
"""
CANCEL = """
    r1 = map_value atimer ll
    r1 += 8
    call bpf_timer_cancel
    exit
"""
NEVER_MADE = """
    r1 = map_value atimer ll
    r1 += 8
    r2 = 100
    r3 = 0
    call bpf_timer_start
    exit
"""


@pytest.fixture(params=["compiled", "interpreted"])
def scene(request: pytest.FixtureRequest) -> Scene:
    made = Scene(calls_of("user"))
    made.calls.kernel.interpret_only = request.param == "interpreted"
    made.calls.kernel.clock_ns = 1000
    return made


def run(scene: Scene, text: str) -> int:
    return scene.calls.test_run(scene.load(TC, text, level=0))[0].retval


def count(scene: Scene) -> int:
    return int.from_bytes(scene.calls.lookup(scene.fd("atimer"), u32(0), 24)[:8], "little")


def test_callbacks_run_when_their_time_comes(scene: Scene) -> None:
    kernel = scene.calls.kernel
    assert run(scene, SET) == 0
    seen = []
    for now in (1099, 1100, 1109, 1110, 5000):
        kernel.clock_ns = now
        seen.append(count(scene))
    assert seen == [0, 1, 1, 2, 3]


def test_a_cancelled_timer_does_not_run(scene: Scene) -> None:
    assert run(scene, SET) == 0
    assert run(scene, CANCEL) == 1
    assert run(scene, CANCEL) == 0
    scene.calls.kernel.clock_ns = 5000
    assert count(scene) == 0


def test_a_timer_is_made_once(scene: Scene) -> None:
    assert run(scene, SET) == 0
    assert run(scene, SET) == (-16) & 0xFFFFFFFF


def test_what_was_never_made_cannot_start(scene: Scene) -> None:
    assert run(scene, NEVER_MADE) == (-22) & 0xFFFFFFFF


def test_an_overwritten_element_has_no_timer(scene: Scene) -> None:
    assert run(scene, SET) == 0
    scene.calls.update(scene.fd("atimer"), u32(0), bytes(24))
    scene.calls.kernel.clock_ns = 5000
    assert count(scene) == 0


def test_values_do_not_show_their_timer(scene: Scene) -> None:
    assert run(scene, SET) == 0
    assert scene.calls.lookup(scene.fd("atimer"), u32(0), 24)[8:] == bytes(16)
