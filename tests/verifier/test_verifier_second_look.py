"""What matters only in a later round of a callback: the paths that were pruned before it was known are looked at again.

Linux 6.18.44 accepts the wild program (its answers and counts stand in LINUX); run, it reads beyond its stack.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifiedProg, VerifyRequest, check, verify
from verifier.test_verifier_btf import STATIC, Rig

# the first round's way through `use` is walked last, after `big` was pruned at `join` against what r7 = 0 had kept there
ROUNDS = """
    *(u64 *)(r10 - 8) = 0
    *(u64 *)(r10 - 16) = 0
    *(u64 *)(r10 - 24) = 0
    *(u64 *)(r10 - 32) = 0
    r1 = 8
    r2 = func cb ll
    r3 = r10
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
cb: r6 = r2
    call bpf_get_prandom_u32
    if r0 == 77 goto use
    call bpf_get_prandom_u32
    r7 = 0
    if r0 == 5 goto big
    r0 = 1
    r0 = 2
    r0 = 3
    r0 = 4
    goto join
big: r7 = {big}
join: r0 = 1
    r0 = 2
    r0 = 3
    r0 = 4
    r0 = 5
    r0 = 6
    r0 = 7
    r0 = 8
    r0 = 9
    if r0 == 10 goto end
    if r0 == 11 goto end
    *(u64 *)(r6 - 8) = r7
end: r0 = 0
    exit
use: r1 = *(u64 *)(r6 - 8)
    r2 = r6
    r2 += -32
    r2 += r1
    r0 = *(u8 *)(r2 + 0)
    r0 = 0
    exit
"""
FREQ = 8  # BPF_F_TEST_STATE_FREQ
LINUX = {0: 56, FREQ: 47}  # flags -> processed; accepted


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(check, "mirror_holes", True)
    yield


def loaded(text: str, flags: int = 0) -> VerifiedProg:
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    insns = assemble(text)
    pc = next(pc for pc, insn in enumerate(insns) if (insn.code, insn.src) == (0x18, 4))
    return verify(
        VerifyRequest(
            insns,
            ProgType.SOCKET_FILTER,
            prog_flags=flags,
            log_level=2,
            btf=rig.blob.parse(),
            func_info=[(0, rig.main), (pc + insns[pc].imm + 1, cb)],
        )
    )


@pytest.mark.parametrize("flags", [0, FREQ])
def test_a_wild_second_round_is_refused(flags: int) -> None:
    with pytest.raises(Rejected) as refused:
        loaded(ROUNDS.format(big=100), flags)
    assert refused.value.errno == errno.EACCES
    assert "\ninvalid read from stack R2 off=68 size=1\n" in refused.value.log


@pytest.mark.parametrize("flags", [0, FREQ])
@pytest.mark.usefixtures("mirror")
def test_linux_accepts_it(flags: int) -> None:
    assert loaded(ROUNDS.format(big=100), flags).stats.insns_processed == LINUX[flags]


@pytest.mark.parametrize("big", [8, 31])
def test_a_tame_second_round_is_walked_and_accepted(big: int) -> None:
    """The index differs where it matters, so the path is taken up again, and is safe."""
    assert loaded(ROUNDS.format(big=big)).stats.insns_processed > LINUX[0]


def test_nothing_is_taken_up_where_both_are_alike() -> None:
    assert loaded(ROUNDS.format(big=0)).stats.insns_processed == LINUX[0]


def test_nothing_is_taken_up_where_the_value_never_matters() -> None:
    text = ROUNDS.format(big=100).replace("r2 += r1\n", "r2 += 0\n")
    assert loaded(text).stats.insns_processed <= LINUX[0]


def test_two_callbacks_deep() -> None:
    """The wild round is that of the outer callback; the inner one, with a loop of its own, comes to its end before."""
    text = ROUNDS.format(big=100).replace(
        "join: r0 = 1\n",
        """join: *(u64 *)(r10 - 8) = r6
    *(u64 *)(r10 - 16) = r7
    r1 = 4
    r2 = func inner ll
    r3 = r10
    r4 = 0
    call bpf_loop
    r7 = *(u64 *)(r10 - 16)
    r0 = 1
    """,
    )
    text += "\ninner: r0 = 0\n r0 = 0\n exit\n"
    rig = Rig()
    cb = rig.blob.func("cb", STATIC, rig.int, rig.u64, rig.void)
    inner = rig.blob.func("inner", STATIC, rig.int, rig.u64, rig.void)
    insns = assemble(text)
    starts = [pc + insn.imm + 1 for pc, insn in enumerate(insns) if (insn.code, insn.src) == (0x18, 4)]
    with pytest.raises((Rejected, BpfError)) as refused:
        verify(
            VerifyRequest(
                insns,
                ProgType.SOCKET_FILTER,
                log_level=2,
                btf=rig.blob.parse(),
                func_info=[(0, rig.main), (starts[0], cb), (starts[1], inner)],
            )
        )
    assert "invalid read from stack R2 off=68 size=1" in refused.value.log
