"""Which programs may ask to sleep: those of a cgroup's security hooks are called from where nothing may."""

from __future__ import annotations

import pytest

from userbpf.abi.defines import BPF_F_SLEEPABLE
from userbpf.abi.enums import AttachType, ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify


@pytest.mark.parametrize(("attach", "refused"), [(AttachType.LSM_MAC, False), (AttachType.LSM_CGROUP, True)])
def test_lsm(attach: AttachType, refused: bool) -> None:
    req = VerifyRequest(assemble("r0 = 0\nexit"), ProgType.LSM, attach, log_level=1, prog_flags=BPF_F_SLEEPABLE)
    with pytest.raises(Rejected) as e:
        verify(req)  # no hook is named, so neither gets far
    assert ("programs can be sleepable" in e.value.log) == refused
