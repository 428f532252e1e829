"""Which structs BTF_LOAD takes and which maps may have which fields, as Linux 6.18.44 recorded it."""

from __future__ import annotations

import pytest

from bpfcalls import calls_of
from userbpf.abi.enums import MapType
from userbpf.spec.maps import MAPS
from verifier.fields_cases import MAP_TYPES, STRUCTS, VALUES, create_errno, load_errno, recorded
from verifier.objects_rig import Scene

EXPECTED = recorded()
RUN = [t for t in MAP_TYPES if MAPS[t].status == "run"]


@pytest.mark.parametrize("name", STRUCTS)
def test_btf_load(name: str) -> None:
    assert load_errno(calls_of("user"), STRUCTS[name]) == EXPECTED[f"load {name}"]


@pytest.mark.parametrize("value", VALUES)
def test_map_create(value: str) -> None:
    scene = Scene(calls_of("user"))
    got = {f"{kind.name} {value}": create_errno(scene, kind, value) for kind in RUN}
    got[f"read-only {value}"] = create_errno(scene, MapType.HASH, value, 1 << 7)
    got[f"write-only {value}"] = create_errno(scene, MapType.HASH, value, 1 << 8)
    assert got == {name: EXPECTED[name] for name in got}
