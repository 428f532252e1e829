"""What Linux's headers #define, so that BTF does not have it: by hand, under the C names. Source: uapi headers of 6.18."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

# linux/bpf.h
BPF_OBJ_NAME_LEN: Final = 16
BPF_TAG_SIZE: Final = 8
BPF_BUILD_ID_SIZE: Final = 20
MAX_BPF_REG: Final = 11
XDP_PACKET_HEADROOM: Final = 256

# prog_flags of BPF_PROG_LOAD
BPF_F_STRICT_ALIGNMENT: Final = 1 << 0
BPF_F_ANY_ALIGNMENT: Final = 1 << 1
BPF_F_TEST_RND_HI32: Final = 1 << 2
BPF_F_TEST_STATE_FREQ: Final = 1 << 3
BPF_F_SLEEPABLE: Final = 1 << 4
BPF_F_XDP_HAS_FRAGS: Final = 1 << 5
BPF_F_XDP_DEV_BOUND_ONLY: Final = 1 << 6
BPF_F_TEST_REG_INVARIANTS: Final = 1 << 7

# attach_flags of BPF_PROG_ATTACH, query_flags of BPF_PROG_QUERY
BPF_F_ALLOW_OVERRIDE: Final = 1 << 0
BPF_F_ALLOW_MULTI: Final = 1 << 1
BPF_F_REPLACE: Final = 1 << 2
BPF_F_BEFORE: Final = 1 << 3
BPF_F_AFTER: Final = 1 << 4
BPF_F_ID: Final = 1 << 5
BPF_F_PREORDER: Final = 1 << 6
BPF_F_LINK_ATTACH: Final = 1 << 13
BPF_F_QUERY_EFFECTIVE: Final = 1 << 0

# flags of BPF_PROG_TEST_RUN
BPF_F_TEST_RUN_ON_CPU: Final = 1 << 0
BPF_F_TEST_XDP_LIVE_FRAMES: Final = 1 << 1
BPF_F_TEST_SKB_CHECKSUM_COMPLETE: Final = 1 << 2

# log_level of BPF_PROG_LOAD and BPF_BTF_LOAD
BPF_LOG_LEVEL1: Final = 1
BPF_LOG_LEVEL2: Final = 2
BPF_LOG_STATS: Final = 4
BPF_LOG_FIXED: Final = 8

# linux/btf.h
BTF_MAGIC: Final = 0xEB9F
BTF_VERSION: Final = 1
BTF_MAX_TYPE: Final = 0x000FFFFF
BTF_MAX_NAME_OFFSET: Final = 0x00FFFFFF
BTF_MAX_VLEN: Final = 0xFFFF
BTF_MAX_SIZE: Final = 16 << 20
BTF_INT_SIGNED: Final = 1 << 0
BTF_INT_CHAR: Final = 1 << 1
BTF_INT_BOOL: Final = 1 << 2


class BtfKind(IntEnum):
    """BTF_KIND_*"""

    UNKN = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19

    @property
    def c_name(self) -> str:
        """The name in C."""
        return f"BTF_KIND_{self.name}"


class TcAction(IntEnum):
    """TC_ACT_* of linux/pkt_cls.h: what a tc program returns."""

    UNSPEC = -1
    OK = 0
    RECLASSIFY = 1
    SHOT = 2
    PIPE = 3
    STOLEN = 4
    QUEUED = 5
    REPEAT = 6
    REDIRECT = 7
    TRAP = 8

    @property
    def c_name(self) -> str:
        """The name in C."""
        return f"TC_ACT_{self.name}"
