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


def lent(name: str) -> Iterator[Calls]:
    """bpf(2) over a transport; what the test leaves open is closed."""
    calls = calls_of(name)
    yield calls
    for fd in calls.fds:
        try:
            os.close(fd)
        except OSError:
            pass


@pytest.fixture(params=["user", "linux"])
def transport(request: pytest.FixtureRequest) -> Iterator[Calls]:
    """bpf(2) over userbpf, then over Linux."""
    yield from lent(request.param)


@pytest.fixture(params=["user", "interpreter", "linux"])
def engine(request: pytest.FixtureRequest) -> Iterator[Calls]:
    """bpf(2) over userbpf, over userbpf with programs interpreted, then over Linux: for tests that run programs."""
    yield from lent(request.param)


@pytest.fixture
def user() -> Iterator[Calls]:
    """bpf(2) over userbpf alone, for what Linux has no counterpart of."""
    yield from lent("user")
