"""The transports: one test, asked of userbpf and of the running Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from bpfcalls import Calls, calls_of


@pytest.fixture
def kernel() -> Any:
    """A kernel of the test's own."""
    from userbpf.kernel import Kernel

    return Kernel()


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
