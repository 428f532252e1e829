"""What the loader may do is a parameter of the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from bpfcalls import RETURN_0, Calls
from userbpf.abi.enums import Cmd, ProgType
from userbpf.kernel import Kernel
from userbpf.syscall import dispatch
from userbpf.verifier.api import Caps


def calls_with(**caps: bool) -> Calls:
    kernel = Kernel(caps=Caps(**caps))
    return Calls(lambda cmd, attr, size=None: dispatch(kernel, cmd, attr, size), "user", kernel)


def without(**missing: bool) -> Calls:
    return calls_with(**{"sys_admin": False, **missing})


def test_all_by_default(user: Calls) -> None:
    assert user.kernel.caps == Caps()


@pytest.mark.parametrize(
    ("prog_type", "needs"),
    [
        (ProgType.XDP, "net_admin"),
        (ProgType.SCHED_CLS, "net_admin"),
        (ProgType.KPROBE, "perfmon"),
        (ProgType.RAW_TRACEPOINT, "perfmon"),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_types_ask_for_a_capability(prog_type: ProgType, needs: str) -> None:
    poor, rich = without(**{needs: False}), without()
    assert poor.err(poor.prog, RETURN_0, prog_type) == "EPERM"
    assert rich.err(rich.prog, RETURN_0, prog_type) == ""


def test_maps_ask_for_cap_bpf() -> None:
    poor = without(bpf=False)
    assert poor.err(poor.map) == "EPERM"
    assert poor.err(poor.map, 99) == "EINVAL"  # what cannot be is told first


def test_ids_ask_for_sys_admin() -> None:
    poor = without()
    fd: Any = poor.map()
    number = poor.map_info(fd).id
    assert poor.err(poor.next_id, Cmd.MAP_GET_NEXT_ID, 0) == "EPERM"
    assert poor.err(poor.fd_by_id, Cmd.MAP_GET_FD_BY_ID, number) == "EPERM"
