"""The user's log buffer: of the verifier and of BTF_LOAD alike.

Since Linux 6.4 the log is a rotating one: a buffer that is too small ends up with the tail of the text, because that is
where the reason stands; BPF_LOG_FIXED keeps the head instead. Either way the text ends with NUL, the call answers ENOSPC, and
log_true_size tells what would have been enough (NUL included).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userbpf.errors import BpfError
from userbpf.kernel.usermem import UserMemory
from userbpf.spec.limits import BPF_MAX_LOGBUF
from userbpf.syscall.attrs import UserAttr

if TYPE_CHECKING:
    from userbpf.verifier.api import Stats

BPF_LOG_LEVEL1: Final = 1
BPF_LOG_LEVEL2: Final = 2
BPF_LOG_STATS: Final = 4
BPF_LOG_FIXED: Final = 8
BPF_LOG_MASK: Final = BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2 | BPF_LOG_STATS | BPF_LOG_FIXED


@dataclass(slots=True)
class UserLog:
    """Where the log goes. A level without a buffer asks for the size alone."""

    level: int
    buf: int
    size: int

    def check(self) -> None:
        """EINVAL for a combination that makes no sense."""
        unknown = self.level & ~BPF_LOG_MASK
        half = bool(self.buf) != bool(self.size)
        if unknown or half or (self.buf and not self.level) or self.size > BPF_MAX_LOGBUF:
            raise BpfError(errno.EINVAL)

    def finish(
        self, memory: UserMemory, out: UserAttr, true_size_off: int, text: str, stats: Stats | None = None
    ) -> int:
        """Deliver the text, and its size at its longest; 0, or an errno instead of the command's own: ENOSPC, EFAULT."""
        raw = text.encode("utf-8", "surrogateescape") if self.level else b""
        longest = max(len(raw), stats.log_peak if self.level and stats is not None else 0)
        true_size = longest + 1 if longest else 0
        code = errno.ENOSPC if self.buf and true_size > self.size else 0
        try:
            if self.buf:
                memory.write(self.buf, self._cut(raw, stats.log_cuts if stats is not None else ()))
        except BpfError as e:
            code = e.errno or errno.EFAULT
        try:
            if out.covers(true_size_off, 4):
                out.put_u32(true_size_off, true_size)
        except BpfError as e:
            code = e.errno or errno.EFAULT
        return code

    def _cut(self, raw: bytes, cuts: Sequence[int]) -> bytes:
        """What the buffer holds: the head, or the tail as far as it was not overwritten before the log was cut back."""
        room = self.size - 1
        if self.level & BPF_LOG_FIXED:
            return raw[:room] + b"\0"
        start = 0
        for before, after in zip(cuts[::2], cuts[1::2], strict=True):
            start = min(max(start, before - room), after)
        return raw[max(start, len(raw) - room) :] + b"\0"
