"""What a program may ask of the machine it runs on: clocks, CPU, random numbers, identities, and small string helpers."""

from __future__ import annotations

import errno

from userbpf.abi.enums import HelperId
from userbpf.helpers.base import native_body
from userbpf.native import (
    atomic_cmpxchg32,
    atomic_store32,
    clock_ns,
    load8,
    load32,
    load64,
    native,
    neg,
    pause,
    store8,
    store64,
)
from userbpf.native.rt import (
    RT_CLOCK_MODE,
    RT_CLOCK_NS,
    RT_COOKIE,
    RT_CPU,
    RT_NUMA,
    RT_PID_TGID,
    RT_PRANDOM,
    RT_UID_GID,
)

EINVAL = errno.EINVAL
ERANGE = errno.ERANGE
CLOCK_MONOTONIC = 1
CLOCK_MONOTONIC_COARSE = 6
CLOCK_BOOTTIME = 7
CLOCK_TAI = 11
JIFFIES_START = 0xFFFEDB08  # Linux starts its counter five minutes before it wraps, at 250 Hz
NS_PER_JIFFY = 4_000_000


@native
def clock(rt: int, clock_id: int) -> int:
    """The clock, or the fixed time of a kernel that was given one."""
    if load64(rt + RT_CLOCK_MODE):
        return load64(rt + RT_CLOCK_NS)
    return clock_ns(clock_id)


@native_body(HelperId.ktime_get_ns)
@native
def ktime_get_ns(rt: int) -> int:
    """Nanoseconds since boot without suspend."""
    return clock(rt, CLOCK_MONOTONIC)


@native_body(HelperId.ktime_get_boot_ns)
@native
def ktime_get_boot_ns(rt: int) -> int:
    """Nanoseconds since boot with suspend."""
    return clock(rt, CLOCK_BOOTTIME)


@native_body(HelperId.ktime_get_coarse_ns)
@native
def ktime_get_coarse_ns(rt: int) -> int:
    """As ktime_get_ns at the resolution of a tick."""
    return clock(rt, CLOCK_MONOTONIC_COARSE)


@native_body(HelperId.ktime_get_tai_ns)
@native
def ktime_get_tai_ns(rt: int) -> int:
    """International atomic time in nanoseconds."""
    return clock(rt, CLOCK_TAI)


@native_body(HelperId.jiffies64)
@native
def jiffies64(rt: int) -> int:
    """The 64-bit tick counter at 250 Hz."""
    return JIFFIES_START + clock(rt, CLOCK_MONOTONIC) // NS_PER_JIFFY


@native_body(HelperId.get_prandom_u32)
@native
def get_prandom_u32(rt: int) -> int:
    """A pseudo random number of the run's own generator (xorshift64*)."""
    x = load64(rt + RT_PRANDOM)
    x = x ^ (x >> 12)
    x = x ^ (x << 25)
    x = x ^ (x >> 27)
    store64(rt + RT_PRANDOM, x)
    return ((x * 0x2545F4914F6CDD1D) >> 32) & 0xFFFFFFFF


@native_body(HelperId.get_smp_processor_id)
@native
def get_smp_processor_id(rt: int) -> int:
    """The CPU of this run."""
    return load32(rt + RT_CPU)


@native_body(HelperId.get_numa_node_id)
@native
def get_numa_node_id(rt: int) -> int:
    """The NUMA node of this run."""
    return load32(rt + RT_NUMA)


@native_body(HelperId.get_current_pid_tgid)
@native
def get_current_pid_tgid(rt: int) -> int:
    """tgid << 32 | pid."""
    return load64(rt + RT_PID_TGID)


@native_body(HelperId.get_current_uid_gid)
@native
def get_current_uid_gid(rt: int) -> int:
    """gid << 32 | uid."""
    return load64(rt + RT_UID_GID)


@native_body(HelperId.get_attach_cookie)
@native
def get_attach_cookie(rt: int, ctx: int) -> int:
    """The cookie of the attachment."""
    return load64(rt + RT_COOKIE)


@native_body(HelperId.get_socket_cookie)
@native
def get_socket_cookie(rt: int, ctx: int) -> int:
    """No socket belongs to a packet of a capture."""
    return 0


@native_body(HelperId.get_socket_uid)
@native
def get_socket_uid(rt: int, ctx: int) -> int:
    """overflowuid, as for a packet without a full socket."""
    return 65534


@native_body(HelperId.get_netns_cookie)
@native
def get_netns_cookie(rt: int, ctx: int) -> int:
    """The initial network namespace's cookie."""
    return 1


@native_body(HelperId.spin_lock)
@native
def spin_lock(rt: int, lock: int) -> int:
    """Take a struct bpf_spin_lock."""
    while atomic_cmpxchg32(lock, 0, 1) != 0:
        pause()
    return 0


@native_body(HelperId.spin_unlock)
@native
def spin_unlock(rt: int, lock: int) -> int:
    """Release a struct bpf_spin_lock."""
    atomic_store32(lock, 0)
    return 0


@native_body(HelperId.strncmp)
@native
def strncmp(rt: int, s1: int, s1_size: int, s2: int) -> int:
    """Compare s1 (s1_size bytes at most) with s2; -1, 0, 1 as Linux's strncmp."""
    s1_size = s1_size & 0xFFFFFFFF
    i = 0
    while i < s1_size:
        a = load8(s1 + i)
        b = load8(s2 + i)
        if a != b:
            if a < b:
                return neg(1)
            return 1
        if a == 0:
            return 0
        i = i + 1
    return 0


@native
def digit_of(ch: int) -> int:
    """Value of an ASCII digit or letter, 255 for anything else."""
    if ch >= 48 and ch <= 57:
        return ch - 48
    low = ch | 32
    if low >= 97 and low <= 122:
        return low - 87
    return 255


@native
def is_space(ch: int) -> int:
    """Linux's isspace for ASCII and the no-break space of Latin-1."""
    return ch == 32 or (ch >= 9 and ch <= 13) or ch == 160


@native
def parse_number(buf: int, size: int, flags: int, res: int, signed: int) -> int:
    """Digits of `buf` to *res; the number of bytes taken or a negative errno."""
    base = flags & 31
    if base != 0 and base != 8 and base != 10 and base != 16:
        return neg(EINVAL)
    if flags & 0xFFFFFFFFFFFFFFE0:
        return neg(EINVAL)
    if size == 0:
        return neg(EINVAL)
    i = 0
    while i < size and is_space(load8(buf + i)):
        i = i + 1
    negative = 0
    if i < size and load8(buf + i) == 45:
        negative = 1
        i = i + 1
    if i >= size:
        return neg(EINVAL)
    zero_x = i + 1 < size and load8(buf + i) == 48 and (load8(buf + i + 1) | 32) == 120
    if base == 0:
        base = 10
        if load8(buf + i) == 48:
            base = 8
            if zero_x and i + 2 < size and digit_of(load8(buf + i + 2)) < 16:
                base = 16
    if base == 16 and zero_x:
        i = i + 2
    first = i
    value = 0
    over = 0
    while i < size:
        digit = digit_of(load8(buf + i))
        if digit >= base:
            break
        if value > (0xFFFFFFFFFFFFFFFF - digit) // base:
            over = 1
        value = value * base + digit
        i = i + 1
    if i == first:
        return neg(EINVAL)
    if over:
        return neg(ERANGE)
    if negative and signed == 0:
        return neg(EINVAL)
    if signed:
        if negative and value > 0x8000000000000000:
            return neg(ERANGE)
        if negative == 0 and value > 0x7FFFFFFFFFFFFFFF:
            return neg(ERANGE)
        if negative:
            value = 0 - value
    store64(res, value)
    return i


@native_body(HelperId.strtol)
@native
def strtol(rt: int, buf: int, size: int, flags: int, res: int) -> int:
    """Parse a signed number: bytes taken, or -EINVAL, -ERANGE."""
    return parse_number(buf, size, flags, res, 1)


@native_body(HelperId.strtoul)
@native
def strtoul(rt: int, buf: int, size: int, flags: int, res: int) -> int:
    """Parse an unsigned number: bytes taken, or -EINVAL, -ERANGE."""
    return parse_number(buf, size, flags, res, 0)


@native_body(HelperId.get_current_comm)
@native
def get_current_comm(rt: int, buf: int, size: int) -> int:
    """The name of the running program's host: a NUL-padded "userbpf"."""
    if size == 0:
        return neg(EINVAL)
    name = 0x66706272657375  # "userbpf", little endian
    i = 0
    while i < size:
        ch = 0
        if i < 7 and i + 1 < size:
            ch = (name >> (i * 8)) & 255
        store8(buf + i, ch)
        i = i + 1
    return 0


@native_body(
    HelperId.get_current_cgroup_id,
    HelperId.get_current_task,
    HelperId.get_func_ip,
)
@native
def nothing_known(rt: int) -> int:
    """There is no cgroup, task or traced function behind a test run."""
    return 0


@native_body(HelperId.get_current_ancestor_cgroup_id)
@native
def no_ancestor(rt: int, level: int) -> int:
    """No cgroup, no ancestor."""
    return 0
