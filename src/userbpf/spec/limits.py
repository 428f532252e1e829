"""The verifier's and the run time's limits, of 6.18 and of the versions before.

Names are Linux's where it has them. `limits(version)` gives the set that a kernel profile selects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_BPF_STACK: Final = 512  # bytes of one frame, and of all frames of a call chain together
MAX_CALL_FRAMES: Final = 8
MAX_TAIL_CALL_CNT: Final = 33
MAX_BPF_FUNC_ARGS: Final = 12
MAX_BPF_FUNC_REG_ARGS: Final = 5
BPF_MAX_SUBPROGS: Final = 256
BPF_COMPLEXITY_LIMIT_INSNS: Final = 1_000_000  # instructions processed
BPF_COMPLEXITY_LIMIT_JMP_SEQ: Final = 8192  # branches waiting
BPF_MAXINSNS: Final = 4096  # program length without CAP_BPF, and of classic filters
BPF_MAX_VAR_OFF: Final = 1 << 29
BPF_MAX_VAR_SIZ: Final = 1 << 29
BPF_MAX_LOOPS: Final = 8 * 1024 * 1024  # of bpf_loop, and of may_goto
MAX_USED_MAPS: Final = 64
MAX_KFUNC_DESCS: Final = 256
MAX_PACKET_OFF: Final = 0xFFFF
BPF_OBJ_NAME_LEN: Final = 16
BPF_TAG_SIZE: Final = 8
BPF_MAX_LOGBUF: Final = (1 << 32) - 1 >> 2  # UINT_MAX / 4; larger log_size is EINVAL
BPF_LOG_MASK: Final = 7  # log levels 1, 2 and 4; any other bit is EINVAL
PAGE_SIZE: Final = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kernel version lets a program be."""

    insns: int = BPF_COMPLEXITY_LIMIT_INSNS  # program length with CAP_BPF
    complexity: int = BPF_COMPLEXITY_LIMIT_INSNS
    jmp_seq: int = BPF_COMPLEXITY_LIMIT_JMP_SEQ


_NEWEST: Final = Limits()
# (first version with these limits, limits), newest first
_HISTORY: Final[tuple[tuple[tuple[int, int], Limits], ...]] = (
    ((5, 2), _NEWEST),
    ((4, 14), Limits(insns=4096, complexity=131072, jmp_seq=1024)),
)


def limits(version: str = "6.18") -> Limits:
    """The limits of a kernel version such as "5.10"; the oldest known ones for anything older."""
    parts = version.split(".")
    wanted = (int(parts[0]), int(parts[1]) if len(parts) > 1 else 0)
    for first, value in _HISTORY:
        if wanted >= first:
            return value
    return _HISTORY[-1][1]
