"""Records to perf events: a slot of a PERF_EVENT_ARRAY leads to the ring that they are written to (`maps.perf`).

Programs that have a packet may add its first bytes to the record: the upper half of flags says how many.
"""

from __future__ import annotations

import errno
from typing import Final

from userbpf.abi.enums import HelperId, ProgType
from userbpf.helpers.base import native_body
from userbpf.helpers.state import CLOCK_MONOTONIC, clock
from userbpf.maps.perf import EV_SAMPLE, TIME, emit, event_at, ready_on
from userbpf.native import load32, load64, memset, native, neg
from userbpf.native.rt import CTX_DATA, CTX_DATA_END, RT_CPU, RT_PID_TGID

EINVAL = errno.EINVAL
EFAULT = errno.EFAULT
EOPNOTSUPP = errno.EOPNOTSUPP
MAX_PACKET_BYTES = 0xFFFFF  # BPF_F_CTXLEN_MASK >> 32
VALUE_SIZE = 24  # struct bpf_perf_event_value

_T = ProgType
PACKET_TYPES: Final = (
    *(_T.SOCKET_FILTER, _T.SCHED_CLS, _T.SCHED_ACT, _T.XDP, _T.CGROUP_SKB, _T.SK_SKB),
    *(_T.LWT_IN, _T.LWT_OUT, _T.LWT_XMIT, _T.LWT_SEG6LOCAL),
)


@native
def output(rt: int, desc: int, flags: int, data: int, size: int, more: int, more_size: int) -> int:
    """One record to the event that flags mean."""
    cpu = load32(rt + RT_CPU)
    event = event_at(desc, flags, cpu)
    if event >> 63:
        return event
    if ready_on(event, cpu) == 0:
        return neg(EOPNOTSUPP)
    now = clock(rt, CLOCK_MONOTONIC) if load64(event + EV_SAMPLE) & TIME else 0
    return emit(event, cpu, load64(rt + RT_PID_TGID), now, data, size, more, more_size)


@native_body(HelperId.perf_event_output)
@native
def perf_event_output(rt: int, ctx: int, desc: int, flags: int, data: int, size: int) -> int:
    """0 or a negative errno."""
    if flags >> 32:
        return neg(EINVAL)
    return output(rt, desc, flags, data, size, 0, 0)


@native
def packet_output(rt: int, ctx: int, desc: int, flags: int, data: int, size: int) -> int:
    """The same for programs with a packet."""
    length = flags >> 32
    if length > MAX_PACKET_BYTES:
        return neg(EINVAL)
    start = load64(ctx + CTX_DATA)
    if length > load64(ctx + CTX_DATA_END) - start:
        return neg(EFAULT)
    return output(rt, desc, flags, data, size, start, length)


@native_body(HelperId.skb_output, HelperId.xdp_output)
@native
def traced_output(rt: int, ctx: int, desc: int, flags: int, data: int, size: int) -> int:
    """The same for traced functions that have a packet among their arguments. There is none behind the pointer here."""
    if flags >> 32 > MAX_PACKET_BYTES:
        return neg(EINVAL)
    if flags >> 32:
        return neg(EFAULT)
    return output(rt, desc, flags, data, size, 0, 0)


@native
def read_state(rt: int, desc: int, flags: int) -> int:
    """0 where flags mean an event that counts on this CPU, else a negative errno."""
    if flags >> 32:
        return neg(EINVAL)
    cpu = load32(rt + RT_CPU)
    event = event_at(desc, flags, cpu)
    if event >> 63:
        return event
    return 0 if ready_on(event, cpu) else neg(EINVAL)


@native_body(HelperId.perf_event_read)
@native
def perf_event_read(rt: int, desc: int, flags: int) -> int:
    """The counter of an event; events of records count nothing."""
    return read_state(rt, desc, flags)


@native_body(HelperId.perf_event_read_value)
@native
def perf_event_read_value(rt: int, desc: int, flags: int, buf: int, size: int) -> int:
    """Counter, time enabled, time running; zeroes where there is an error."""
    memset(buf, 0, size)
    if size != VALUE_SIZE:
        return neg(EINVAL)
    return read_state(rt, desc, flags)
