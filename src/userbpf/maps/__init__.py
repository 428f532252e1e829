"""Maps: one module a family behind one protocol; algorithms in the native subset."""

from userbpf.maps.base import Map, MapAttr
from userbpf.maps.create import FAMILIES, adopt_map, create_map

__all__ = ["FAMILIES", "Map", "MapAttr", "adopt_map", "create_map"]
