"""perf_event_open(2): its attr, and the layout of the memory that an event's descriptor is mapped to.

By hand, checked against the kernel's BTF by a test. Source: perf_event_open(2) and linux/perf_event.h of 6.18.
"""

from __future__ import annotations

from typing import Final

from userbpf.abi.layout import Layout, layout, s32, u16, u32, u64


@layout
class PerfEventAttr(Layout):
    """struct perf_event_attr: 136 bytes. `flags` holds the single bits from `disabled` on."""

    type: u32 = 0
    size: u32 = 136
    config: u64 = 0
    sample_period: u64 = 0
    sample_type: u64 = 0
    read_format: u64 = 0
    flags: u64 = 0
    wakeup_events: u32 = 0
    bp_type: u32 = 0
    config1: u64 = 0
    config2: u64 = 0
    branch_sample_type: u64 = 0
    sample_regs_user: u64 = 0
    sample_stack_user: u32 = 0
    clockid: s32 = 0
    sample_regs_intr: u64 = 0
    aux_watermark: u32 = 0
    sample_max_stack: u16 = 0
    reserved_2: u16 = 0
    aux_sample_size: u32 = 0
    aux_action: u32 = 0
    sig_data: u64 = 0
    config3: u64 = 0


PERF_ATTR_SIZE_VER0: Final = 64

PERF_TYPE_SOFTWARE: Final = 1
PERF_COUNT_SW_BPF_OUTPUT: Final = 10

# bits of PerfEventAttr.flags
PERF_ATTR_DISABLED: Final = 1 << 0
PERF_ATTR_INHERIT: Final = 1 << 1
PERF_ATTR_FREQ: Final = 1 << 10
PERF_ATTR_WATERMARK: Final = 1 << 14
PERF_ATTR_SAMPLE_ID_ALL: Final = 1 << 18
PERF_ATTR_WRITE_BACKWARD: Final = 1 << 27
PERF_ATTR_FLAGS: Final = (1 << 38) - 1  # the bits there are

PERF_SAMPLE_IP: Final = 1 << 0
PERF_SAMPLE_TID: Final = 1 << 1
PERF_SAMPLE_TIME: Final = 1 << 2
PERF_SAMPLE_ADDR: Final = 1 << 3
PERF_SAMPLE_ID: Final = 1 << 6
PERF_SAMPLE_CPU: Final = 1 << 7
PERF_SAMPLE_PERIOD: Final = 1 << 8
PERF_SAMPLE_STREAM_ID: Final = 1 << 9
PERF_SAMPLE_RAW: Final = 1 << 10
PERF_SAMPLE_IDENTIFIER: Final = 1 << 16
PERF_SAMPLE_MAX: Final = 1 << 25

PERF_FLAG_FD_NO_GROUP: Final = 1 << 0
PERF_FLAG_FD_OUTPUT: Final = 1 << 1
PERF_FLAG_PID_CGROUP: Final = 1 << 2
PERF_FLAG_FD_CLOEXEC: Final = 1 << 3

PERF_EVENT_IOC_ENABLE: Final = 0x2400
PERF_EVENT_IOC_DISABLE: Final = 0x2401
PERF_EVENT_IOC_RESET: Final = 0x2403
PERF_EVENT_IOC_ID: Final = 0x80082407
PERF_EVENT_IOC_PAUSE_OUTPUT: Final = 0x40042409

PERF_RECORD_LOST: Final = 2
PERF_RECORD_SAMPLE: Final = 9
PERF_RECORD_MISC_KERNEL: Final = 1

# struct perf_event_mmap_page: byte offsets
MMAP_VERSION: Final = 0
MMAP_COMPAT_VERSION: Final = 4
MMAP_SIZE: Final = 72
MMAP_DATA_HEAD: Final = 1024
MMAP_DATA_TAIL: Final = 1032
MMAP_DATA_OFFSET: Final = 1040
MMAP_DATA_SIZE: Final = 1048
