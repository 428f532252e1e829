"""LD_ABS and LD_IND: loads from the packet at an offset that may be wrong, as classic BPF had them.

The value is in network byte order turned to the host's. A load outside of the packet ends the program with 0; here it is
told by a value above 32 bits. Offsets from SKF_NET_OFF and SKF_LL_OFF count from the network and the link-layer header.
"""

from __future__ import annotations

from typing import Final

from userbpf.isa.opcodes import SKF_LL_OFF as _LL
from userbpf.isa.opcodes import SKF_NET_OFF as _NET
from userbpf.native import bswap16, bswap32, load8, load16, load32, load64, native, sext32
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, CTX_LINK_BYTES

SKF_NET_OFF: Final = _NET & 0xFFFFFFFFFFFFFFFF
SKF_LL_OFF: Final = _LL & 0xFFFFFFFFFFFFFFFF
ETH_HLEN: Final = 14
NO_VALUE: Final = 1 << 63  # not a 32-bit value


@native
def packet_load(ctx: int, off: int, *, size: int) -> int:
    """`size` bytes at a 32-bit packet offset."""
    first = load64(ctx + CTX_DATA)
    end = load64(ctx + CTX_DATA_END)
    at = first
    off = sext32(off)
    if off >> 63:
        first = first - load64(ctx + CTX_LINK_BYTES)  # the link-layer header may lie before the data
        if off >= SKF_NET_OFF:
            at = first + ETH_HLEN + (off - SKF_NET_OFF)
        elif off >= SKF_LL_OFF:
            at = first + (off - SKF_LL_OFF)
        else:
            return NO_VALUE
    else:
        at = at + off
    if at < first or at + size > end:
        return NO_VALUE
    if size == 1:
        return load8(at)
    if size == 2:
        return bswap16(load16(at))
    return bswap32(load32(at))
