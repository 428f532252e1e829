"""A buffer that may be NULL, of some size: Linux 6.18.44 lets it pass to helpers that take NULL, and the helper follows it."""

from __future__ import annotations

import pytest

from verifier.verifier_ask import message, mine

LOOKUP = """
    *(u64 *)(r10 -8) = 77
    r1 = map_fd 1 ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    r1 = r0
    {check}
    r2 = {size}
    r3 = 0
    r4 = 0
    r5 = 0
    call bpf_csum_diff
out:
    r0 = 0
    exit
"""


@pytest.mark.parametrize(("check", "size", "errno"), [("", 0, 0), ("", 64, 13), ("if r1 == 0 goto out", 64, 0)])
def test_only_what_is_surely_there_is_summed(check: str, size: int, errno: int) -> None:
    err, log, _ = mine(3, LOOKUP.format(check=check, size=size))
    assert err == errno
    if errno:
        assert message(log) == "R1 type=map_value_or_null expected=fp"
