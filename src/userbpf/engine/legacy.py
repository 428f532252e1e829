"""LD_ABS and LD_IND: loads from the packet at an offset that may be wrong, as classic BPF had them.

The value is in network byte order turned to the host's. A load outside of the packet ends the program with 0; here it is
told by a value above 32 bits. Offsets from SKF_NET_OFF and SKF_LL_OFF count from the network and the link-layer header.
"""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import ProgType
from userbpf.isa.opcodes import SKF_LL_OFF as _LL
from userbpf.isa.opcodes import SKF_NET_OFF as _NET
from userbpf.native import bswap16, bswap32, load8, load16, load32, load64, native, neg, sext32
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, CTX_HARD_START

SKF_NET_OFF: Final = _NET & 0xFFFFFFFFFFFFFFFF
SKF_LL_OFF: Final = _LL & 0xFFFFFFFFFFFFFFFF
ETH_HLEN: Final = 14
NO_VALUE: Final = 1 << 63  # not a 32-bit value
FROM_LINK_LAYER: Final = frozenset({ProgType.SCHED_CLS, ProgType.SCHED_ACT})


@native
def packet_load(ctx: int, off: int, *, size: int, mac: int, net: int) -> int:
    """`size` bytes at a 32-bit packet offset; `mac` and `net` are where the headers begin, counted from data."""
    data = load64(ctx + CTX_DATA)
    end = load64(ctx + CTX_DATA_END)
    first = data
    at = sext32(off)
    if at >> 63:
        if at >= SKF_NET_OFF:
            at = at - SKF_NET_OFF + net
        elif at >= SKF_LL_OFF:
            at = at - SKF_LL_OFF + mac
            first = load64(ctx + CTX_HARD_START)  # the link-layer header may lie before the data
        else:
            return NO_VALUE
    if data + at < first or data + at + size > end:
        return NO_VALUE
    if size == 1:
        return load8(data + at)
    if size == 2:
        return bswap16(load16(data + at))
    return bswap32(load32(data + at))


def header_offsets(prog_type: ProgType) -> dict[str, int]:
    """The constants of `packet_load` for a program type: where link-layer and network header are, from data."""
    if prog_type in FROM_LINK_LAYER:
        return {"mac": 0, "net": ETH_HLEN}
    return {"mac": neg(ETH_HLEN), "net": 0}
