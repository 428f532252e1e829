"""BPF_PROG_TEST_RUN: what is asked and what comes back, apart from attr bytes.

`run` finds the family of the program's type and lets it lay out context and packet, run `repeat` times, and read the
results back. A family answers `BpfError` with the errno that Linux's own *_test_run answers for the same request.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError

if TYPE_CHECKING:
    from userbpf.hooks.base import Runnable


@dataclass(slots=True)
class TestRunRequest:
    """One BPF_PROG_TEST_RUN. Sizes are bytes; `ctx_in` is None where the caller passed no context."""

    __test__ = False  # the name is Linux's; pytest shall not collect it

    data_in: bytes = b""
    ctx_in: bytes | None = None
    repeat: int = 1
    flags: int = 0
    cpu: int = 0
    batch_size: int = 0


@dataclass(slots=True)
class TestRunResult:
    """retval as u32; `duration` the mean ns of one run; whole data and context, which the caller cuts to its buffers."""

    __test__ = False

    retval: int
    duration: int
    data_out: bytes
    ctx_out: bytes | None


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
