"""Stack depth: chains of frames, tail calls below deep ones, private stacks, spills around fastcalls, inlined loops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bpfcalls import Buf, calls_of
from userbpf.abi.enums import ProgType as T
from userbpf.isa.asm import assemble
from verifier.objects_rig import Scene, message

PER_CPU = "call #8"  # bpf_get_smp_processor_id, a fastcall


@pytest.fixture(params=["user", "linux"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    yield Scene(calls_of(request.param))


def chain(*frames: int, tail: int = -1) -> str:
    """Functions that call each other in turn, with frames of so many bytes; number `tail` calls another program, too."""
    out: list[str] = []
    for number, size in enumerate(frames):
        if number:
            out.append(f"f{number}:")
        out += ["r6 = r1", f"*(u64 *)(r10 - {size}) = 1"]
        if number == tail:
            out += ["r1 = r6", "r2 = map_fd tails ll", "r3 = 0", "call #12"]
        if number + 1 < len(frames):
            out += ["r1 = r6", f"call f{number + 1}"]
        out += ["r0 = 0", "exit"]
    return "\n".join(out)


def shown(scene: Scene, prog_type: int, text: str) -> tuple[int, str]:
    """The log's stack depth of a program that is accepted; errno and message of one that is not."""
    err, log, _ = scene.ask(prog_type, text, 4)
    if err:
        said = [line for line in log if not line.startswith(("verification time", "stack depth"))]
        return err, message(said)
    return 0, next(line for line in log if line.startswith("stack depth")).removeprefix("stack depth ")


@pytest.mark.parametrize(
    ("prog_type", "text", "expected"),
    [
        (T.XDP, chain(240, 256), (0, "240+256")),
        (T.XDP, chain(248, 264), (13, "combined stack size of 2 calls is 528. Too large")),
        (T.RAW_TRACEPOINT, chain(248, 264), (0, "248+264")),
        (T.KPROBE, chain(*[512] * 8), (0, "+".join(["512"] * 8))),
        (T.KPROBE, chain(*[8] * 9), (7, "the call stack of 9 frames is too deep")),
        (T.XDP, chain(240, 8, tail=1), (0, "240+8")),
        (
            T.XDP,
            chain(248, 8, tail=1),
            (13, "tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large"),
        ),
        (
            T.XDP,
            chain(112, 136, 8, tail=2),
            (13, "tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large"),
        ),
        (T.XDP, chain(256, 256, tail=0), (0, "256+256")),
        # a program that calls others has no private stack
        (T.RAW_TRACEPOINT, chain(248, 264, tail=0), (13, "combined stack size of 2 calls is 528. Too large")),
    ],
)
def test_chains(scene: Scene, prog_type: int, text: str, expected: tuple[int, str]) -> None:
    assert shown(scene, prog_type, text) == expected


def around(call: str, *pairs: tuple[str, int]) -> str:
    spills = [f"*(u64 *)(r10 - {off}) = {reg}" for reg, off in pairs]
    fills = [f"{reg} = *(u64 *)(r10 - {off})" for reg, off in reversed(pairs)]
    return "\n".join(["r1 = 1", "r2 = 2", "r6 = 6", *spills, call, *fills])


LOOP = "again:\nmay_goto done\ngoto again\ndone:"
CALLBACK = "r1 = 4\nr2 = func each ll\nr3 = 0\nr4 = 0\ncall #181"


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        (around(PER_CPU, ("r1", 8)), "0"),
        (around(PER_CPU, ("r1", 8), ("r2", 16)), "0"),
        (around("call #5", ("r1", 8)), "8"),  # an ordinary call
        (around(PER_CPU, ("r6", 8)), "8"),  # the call would not have clobbered it
        (around(PER_CPU, ("r2", 16), ("r1", 8)), "16"),  # out of order
        ("*(u64 *)(r10 - 8) = 1\n" + around(PER_CPU, ("r1", 16)), "8"),
        ("*(u64 *)(r10 - 8) = 1\n" + around(PER_CPU, ("r1", 8)), "8"),  # a slot that is used besides
        (around(PER_CPU, ("r1", 8)) + "\nr3 = *(u64 *)(r10 - 8)", "8"),
        (around(PER_CPU, ("r1", 8)) + "\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall #113", "8"),  # written by a helper
        (LOOP, "16"),
        ("*(u64 *)(r10 - 512) = 1\n" + LOOP, "528"),
        (around(PER_CPU, ("r1", 8)) + "\n" + LOOP, "16"),
        (CALLBACK, "24+0"),
        (LOOP + "\n" + CALLBACK, "40+0"),
    ],
)
def test_one_frame(scene: Scene, body: str, depth: str) -> None:
    text = f"{body}\nr0 = 0\nexit"
    if "each" in body:
        text += "\neach:\nr0 = 0\nexit"
    assert shown(scene, T.KPROBE, text) == (0, depth)


def test_subprograms_are_counted(scene: Scene) -> None:
    def program(count: int) -> str:
        calls = [f"call f{i}" for i in range(count)]
        return "\n".join([*calls, "r0 = 0", "exit", *[f"f{i}:\nr0 = 0\nexit" for i in range(count)]])

    log = Buf(1 << 16)
    more = {"log_level": 1, "log_buf": log.addr, "log_size": log.size}
    assert scene.calls.err(scene.calls.prog, assemble(program(255)), T.XDP) == ""
    assert scene.calls.err(scene.calls.prog, assemble(program(256)), T.XDP, **more) == "E2BIG"
    assert "too many subprograms" in log.text
