"""The transports: one test, asked of userbpf and of the running Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from bpfcalls import Calls
from userbpf import linux


@pytest.fixture
def kernel() -> Any:
    """A kernel of the test's own."""
    from userbpf.kernel import Kernel

    return Kernel()


def calls_of(name: str) -> Calls:
    """Calls over a transport; skips, with the reason, where Linux does not let us."""
    if name == "linux":
        reason = linux.available()
        if reason:
            pytest.skip(reason)
        return Calls(linux.bpf, "linux")
    from userbpf.kernel import Kernel
    from userbpf.syscall import dispatch

    own = Kernel()
    return Calls(lambda cmd, attr, size=None: dispatch(own, cmd, attr, size), "user", own)


@pytest.fixture(params=["user", "linux"])
def transport(request: pytest.FixtureRequest) -> Iterator[Calls]:
    """bpf(2) over userbpf, then over Linux."""
    calls = calls_of(request.param)
    yield calls
    for fd in calls.fds:
        try:
            os.close(fd)
        except OSError:
            pass


@pytest.fixture
def user() -> Iterator[Calls]:
    """bpf(2) over userbpf alone, for what Linux has no counterpart of."""
    calls = calls_of("user")
    yield calls
    for fd in calls.fds:
        try:
            os.close(fd)
        except OSError:
            pass
