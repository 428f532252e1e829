"""A constant index below an array's size finds a value, in an inner array too: as Linux, but not where it may be smaller."""

from __future__ import annotations

import pytest

from userbpf.abi.consts import BPF_F_INNER_MAP
from userbpf.abi.enums import MapType, ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import MapShape, Rejected, VerifyRequest, verify

PROGRAM = """
    *(u32 *)(r10 -4) = 0
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    *(u32 *)(r10 -8) = {key}
    r1 = r0
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    r1 = *(u64 *)(r0 +0)
out: r0 = 0
    exit
"""


def load(key: int, flags: int = 0) -> str | None:
    """The refusal, or None."""
    inner = MapShape(MapType.ARRAY, 4, 8, 4, flags, name="template")
    outer = MapShape(MapType.ARRAY_OF_MAPS, 4, 4, 2, name="outer", inner=inner)
    text = PROGRAM.format(key=key)
    try:
        done = verify(VerifyRequest(assemble(text), ProgType.XDP, log_level=2, resolve_map=lambda fd: outer))
    except Rejected as e:
        return e.log.splitlines()[-2]
    assert "map_ptr(ks=4,vs=8)" in done.log  # the template's name is not told
    return None


@pytest.mark.parametrize(
    ("key", "flags", "found"),
    [(0, 0, True), (3, 0, True), (4, 0, False), (0, BPF_F_INNER_MAP, True), (1, BPF_F_INNER_MAP, False)],
)
def test_constant_index(key: int, flags: int, found: bool) -> None:
    assert load(key, flags) == (None if found else "R0 invalid mem access 'map_value_or_null'")
