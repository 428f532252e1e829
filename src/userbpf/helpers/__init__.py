"""Bodies of helpers, one module a family, bound to their rows by id."""

from __future__ import annotations

from functools import cache
from typing import Any

from userbpf.abi.enums import HelperId, ProgType
from userbpf.engine.env import HelperImpl
from userbpf.helpers import dynptr, maps, objects, packet, perf, skb, state, text
from userbpf.helpers.base import NATIVE_BODIES, PYTHON_BODIES
from userbpf.helpers.maps import BINDS

__all__ = ["bodies", "dynptr", "maps", "objects", "packet", "perf", "skb", "state", "text"]

_OF_TYPE: dict[ProgType, dict[HelperId, Any]] = {
    prog_type: {HelperId.perf_event_output: perf.packet_output} for prog_type in perf.PACKET_TYPES
}
# bpf_redirect and its like answer with an action, and XDP's actions are not tc's
_OF_TYPE[ProgType.XDP][HelperId.redirect] = skb.xdp_redirect


@cache
def bodies(prog_type: ProgType) -> dict[int, HelperImpl]:
    """How each helper that has a body runs in programs of a type."""
    own = _OF_TYPE.get(prog_type, {})
    out: dict[int, HelperImpl] = {}
    for helper in sorted({*NATIVE_BODIES, *PYTHON_BODIES}):
        fn = own.get(helper) or NATIVE_BODIES.get(helper)
        out[int(helper)] = HelperImpl(
            fn=fn, py=PYTHON_BODIES.get(helper), bind=BINDS.get(helper), name=f"bpf_{helper.name}"
        )
    return out
