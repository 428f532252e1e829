"""A map type's row says `run` exactly where a family makes it."""

from __future__ import annotations

from userbpf.maps import FAMILIES
from userbpf.spec.maps import MAPS


def test_status_of_every_map_type_is_true() -> None:
    assert {t for t, row in MAPS.items() if row.status == "run"} == set(FAMILIES)
