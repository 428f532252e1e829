"""BPF_PROG_TEST_RUN: what is asked and what comes back, apart from attr bytes.

`run` finds the family of the program's type and lets it lay out context and packet, run `repeat` times, and read the
results back. A family answers `BpfError` with the errno that Linux's own *_test_run answers for the same request.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError

if TYPE_CHECKING:
    from userbpf.hooks.base import Runnable


CTX_IN_MAX = 4096


@dataclass(slots=True)
class UserBytes:
    """Bytes in the caller's memory: `read(n)` gives the first n, EFAULT where they cannot be read.

    Families read them where Linux does, for the errno of a request with several faults is that of the first check.
    """

    size: int = 0
    given: bool = False  # the pointer is not NULL
    read: Callable[[int], bytes] = bytes


@dataclass(slots=True)
class TestRunRequest:
    """One BPF_PROG_TEST_RUN. Sizes are bytes; of the out pointers only counts here whether there is one."""

    __test__ = False  # the name is Linux's; pytest shall not collect it

    data_in: UserBytes = field(default_factory=UserBytes)
    ctx_in: UserBytes = field(default_factory=UserBytes)
    data_out: bool = False
    ctx_out: bool = False
    repeat: int = 1
    flags: int = 0
    cpu: int = 0
    batch_size: int = 0
    duration: int = 0

    def context(self, size: int) -> bytes | None:
        """The context as `size` bytes, zeroes where only ctx_out is given; None without both. E2BIG past `size`."""
        if not self.ctx_in.given:
            return bytes(size) if self.ctx_out else None
        if self.ctx_in.size > CTX_IN_MAX:
            raise refuse(errno.E2BIG)
        raw = self.ctx_in.read(self.ctx_in.size)
        if any(raw[size:]):
            raise refuse(errno.E2BIG)
        return raw[:size].ljust(size, b"\0")


@dataclass(slots=True)
class TestRunResult:
    """retval as u32; `duration` the mean ns of one run; whole data and context, which the caller cuts to its buffers.

    The last `fragment_bytes` of the data lie in fragments in Linux, which tells how it cuts them.
    """

    __test__ = False

    retval: int
    duration: int
    data_out: bytes | None
    ctx_out: bytes | None
    fragment_bytes: int = 0


def run(prog: Runnable, request: TestRunRequest) -> TestRunResult:
    """Run one program as BPF_PROG_TEST_RUN does; raises BpfError(ENOTSUPP = 524) for types that have no test run."""
    from userbpf.hooks import raw, skb, xdp

    if prog.prog_type == ProgType.XDP:
        return xdp.test_run(prog, request)
    if prog.prog_type in skb.FAMILY:
        return skb.test_run(prog, request)
    if prog.prog_type in raw.FAMILY:
        return raw.test_run(prog, request)
    raise BpfError(524, "Unknown error 524")


def refuse(code: int = errno.EINVAL) -> BpfError:
    """The plain errno of a request that a family refuses."""
    return BpfError(code)
