"""What an LSM program returns: the low half of r0 counts, since hooks return int and C leaves it in w0.

The rule is of Linux 6.12 ("bpf, lsm: Add check for BPF LSM return value"); where programs with trampolines may not be loaded
(EPERM before the program is looked at), it cannot be asked for.
"""

from __future__ import annotations

import errno
import functools
from pathlib import Path

import pytest

from userbpf.abi.enums import AttachType as A
from userbpf.abi.enums import ProgType as P
from userbpf.btf import Btf
from verifier.btf_ask import excerpt, mine
from verifier.btf_cases import Case

SHOULD = "should have been in [-4095, 0]"
UNKNOWN = "call bpf_get_prandom_u32#7\n"


def lsm(text: str) -> Case:
    return Case("lsm", text + "\nexit", P.LSM, "func:bpf_lsm_file_open", A.LSM_MAC)


@pytest.mark.parametrize(
    "text",
    [
        "r0 = 0",
        "r0 = -1",
        "w0 = -1",
        "r0 = -4095",
        "w0 = -4095",
        "r0 = 0xffffffff00000000 ll",
        UNKNOWN + "w0 &= 1\nw0 = -w0",
        UNKNOWN + "if w0 s> 0 goto +1\nif w0 s>= -4095 goto +1\nw0 = -13",
    ],
)
def test_accepted(text: str) -> None:
    err, log = mine(lsm(text), excerpt())
    assert err == 0, log[-3:]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("r0 = 1", "smin=1 smax=1"),
        ("w0 = -4096", "smin=4294963200 smax=4294963200"),
        ("r0 = 0x80000000 ll", "smin=2147483648 smax=2147483648"),
        (UNKNOWN, "unknown scalar value"),
        (UNKNOWN + "if w0 s> 0 goto +1\nif w0 s>= -4096 goto +1\nw0 = -13", "unknown scalar value"),
    ],
)
def test_refused(text: str, has: str) -> None:
    err, log = mine(lsm(text), excerpt())
    assert err == errno.EINVAL
    assert f"At program exit the register R0 has {has} {SHOULD}" in log


@pytest.mark.parametrize("text", ["r0 = *(u64 *)(r1 +8)", "r0 = *(u64 *)(r1 +8)\nif w0 != 0 goto +1\nw0 = 0"])
def test_what_others_returned_is_a_verdict_too(text: str) -> None:
    """The result so far follows the arguments; since 6.12 its range is the hook's, so that it may be passed on."""
    err, log = mine(lsm(text), excerpt())
    assert err == 0, log[-3:]
    assert any("R0=scalar(smin=smin32=-4095,smax=smax32=0)" in line for line in log)


def test_half_of_what_others_returned() -> None:
    err, log = mine(lsm("r0 = *(u32 *)(r1 +8)"), excerpt())
    assert err == 0, log[-3:]


VMLINUX = Path("/sys/kernel/btf/vmlinux")
VOID = "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!"


@functools.cache
def kernel_types() -> Btf:
    return Btf.parse(VMLINUX.read_bytes())


@pytest.mark.skipif(not VMLINUX.exists(), reason="no kernel's BTF to know hooks from")
@pytest.mark.parametrize(
    ("hook", "attach", "said"),
    [
        ("bpf_lsm_socket_create", A.LSM_CGROUP, ""),
        ("bpf_lsm_bdev_free_security", A.LSM_CGROUP, VOID),
        ("bpf_lsm_socket_create", A.LSM_MAC, "program of this type cannot use helper bpf_set_retval#187"),
    ],
)
def test_set_retval(hook: str, attach: A, said: str) -> None:
    case = Case("lsm", "r1 = 0\ncall bpf_set_retval#187\nr0 = 1\nexit", P.LSM, f"func:{hook}", attach)
    err, log = mine(case, kernel_types())
    assert err == (errno.EINVAL if said else 0), log[-3:]
    assert not said or said in log
