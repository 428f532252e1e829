"""Every map type that Linux has can be made; its row says `run` where programs can use what is in it."""

from __future__ import annotations

from userbpf.abi.enums import MapType
from userbpf.maps import FAMILIES
from userbpf.spec.maps import MAPS

# their operations are helpers of their own
OF_HELPERS = {
    MapType.ARENA,
    MapType.RINGBUF,
    MapType.USER_RINGBUF,
    MapType.CGROUP_STORAGE,
    MapType.PERCPU_CGROUP_STORAGE,
}


def test_every_type_has_a_family_that_linux_has() -> None:
    assert {t for t, row in MAPS.items() if row.status != "absent"} == set(FAMILIES)


def test_a_type_that_is_only_typed_gives_programs_nothing() -> None:
    """Its family has no operation for programs: what they call finds nothing, or is refused."""
    typed = {t for t, row in MAPS.items() if row.status == "typed"}
    assert typed == {t for t, family in FAMILIES.items() if not family.GENERIC} - OF_HELPERS
