"""Programs with objects on the stack and in values that say in r0 what became of them.

Each is (name, program type, assembly, what Linux 6.18.44 returned for 64 zero bytes, as u32).
"""

from __future__ import annotations

from typing import Final

from verifier.objects_rig import TC, XDP

_FROM_MEM: Final = """
    r1 = map_value arr1 ll
    r2 = 16
    r3 = {flags}
    r4 = r10
    r4 += -16
    call bpf_dynptr_from_mem
    r6 = r0
"""
_RESERVE: Final = """
    r1 = map_fd ring ll
    r2 = {size}
    r3 = 0
    r4 = r10
    r4 += -16
    call bpf_ringbuf_reserve_dynptr
    r6 = r0
    r1 = r10
    r1 += -16
    r2 = 8
    r3 = 8
    call bpf_dynptr_data
    if r0 == 0 goto done
    *(u64 *)(r0 +0) = 77
    r6 += 1000
done:
    r1 = r10
    r1 += -16
    r2 = 0
    call bpf_ringbuf_{end}_dynptr
    r0 = r6
    exit
"""
_READ: Final = """
    r1 = r10
    r1 += -40
    r2 = {size}
    r3 = r10
    r3 += -16
    r4 = {off}
    r5 = 0
    call bpf_dynptr_read
    r6 *= 100
    r6 += r0
"""
_WRITE: Final = """
    *(u64 *)(r10 -32) = 0x1234
    r1 = r10
    r1 += -16
    r2 = {off}
    r3 = r10
    r3 += -32
    r4 = 8
    r5 = {flags}
    call bpf_dynptr_write
    r6 *= 100
    r6 += r0
"""
_DATA: Final = """
    r1 = r10
    r1 += -16
    r2 = {off}
    r3 = 4
    call bpf_dynptr_data
    if r0 == 0 goto none
    r6 += 7
none:
"""
_RESULT: Final = """
    r0 = r6
    exit
"""
_READ_BACK: Final = """
    r0 = *(u32 *)(r10 -40)
    r0 += r6
    exit
"""
_LOCKED: Final = """
    r6 = map_value alock ll
    r7 = 0
again:
    r1 = r6
    r1 += 4
    call bpf_spin_lock
    r1 = *(u32 *)(r6 +0)
    r1 += 3
    *(u32 *)(r6 +0) = r1
    r1 = r6
    r1 += 4
    call bpf_spin_unlock
    r7 += 1
    if r7 != 10 goto again
    r0 = *(u32 *)(r6 +0)
    exit
"""
_UPDATE: Final = """
    *(u64 *)(r10 -16) = -1
    *(u64 *)(r10 -8) = -1
    *(u32 *)(r10 -20) = 1
    r2 = r10
    r2 += -20
    r3 = r10
    r3 += -16
    r1 = map_fd lock ll
    r4 = {flags}
    call bpf_map_update_elem
    r6 = r0
    r2 = r10
    r2 += -20
    r1 = map_fd lock ll
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r7 = r0
    r1 = r7
    r1 += 4
    call bpf_spin_lock
    r8 = *(u32 *)(r7 +0)
    r1 = r7
    r1 += 4
    call bpf_spin_unlock
    r6 += r8
none:
    r0 = r6
    exit
"""

RUNS: Final = (
    (
        "local",
        XDP,
        _FROM_MEM.format(flags=0) + _WRITE.format(off=4, flags=0) + _READ.format(off=4, size=4) + _READ_BACK,
        0x1234,
    ),
    (
        "local_data",
        XDP,
        _FROM_MEM.format(flags=0) + _DATA.format(off=12) + _RESULT,
        7,
    ),
    (
        "local_outside",
        XDP,
        _FROM_MEM.format(flags=0)
        + _WRITE.format(off=9, flags=0)
        + _READ.format(off=-1, size=8)
        + _DATA.format(off=13)
        + _RESULT,
        0xFFFFFD3D,
    ),
    ("local_flags", XDP, _FROM_MEM.format(flags=1) + _READ.format(off=0, size=8) + _RESULT, 0xFFFFF752),
    ("write_flags", XDP, _FROM_MEM.format(flags=0) + _WRITE.format(off=0, flags=1) + _RESULT, 0xFFFFFFEA),
    ("ring", XDP, _RESERVE.format(size=16, end="submit"), 1000),
    ("ring_full", XDP, _RESERVE.format(size=5000, end="discard"), 0xFFFFFFEA),
    ("lock", TC, _LOCKED, 30),
    ("update_leaves_the_lock", TC, _UPDATE.format(flags=0), 0xFFFFFFFF),
    ("update_locked", TC, _UPDATE.format(flags=4), 0xFFFFFFFF),
)
