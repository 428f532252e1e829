"""userbpf: Linux's bpf(2) inside an ordinary process.

    fd = userbpf.bpf(cmd, attr)         the syscall; attr is laid out as Linux's union bpf_attr
    kernel = userbpf.Kernel(...)        a machine of one's own: clock, seed, CPUs, capabilities, version
    obj = userbpf.Object.open(path)     an object file or C source: load it, run its programs, read its maps
    fd = userbpf.perf_event_open(attr, pid, cpu, group_fd, flags)    an event that programs write records to
    userbpf.linux.bpf(cmd, attr)        the same call, to the running Linux

Names are imported when they are first used: `import userbpf` itself costs nothing, `userbpf.bpf` 0.1 s.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from userbpf import linux
    from userbpf.client import Client, Map, Prog
    from userbpf.errors import (
        AsmError,
        BpfError,
        BtfError,
        CaptureError,
        InterpFault,
        NativeError,
        ObjectError,
        UserbpfError,
    )
    from userbpf.kernel import Kernel, default_kernel
    from userbpf.loader import Object
    from userbpf.syscall import bpf, ioctl, perf_event_open

__version__ = "0.1.0"

_HOMES = {
    "AsmError": "errors",
    "BpfError": "errors",
    "BtfError": "errors",
    "CaptureError": "errors",
    "Client": "client",
    "InterpFault": "errors",
    "Kernel": "kernel",
    "Map": "client",
    "NativeError": "errors",
    "Object": "loader",
    "ObjectError": "errors",
    "Prog": "client",
    "UserbpfError": "errors",
    "bpf": "syscall",
    "default_kernel": "kernel",
    "ioctl": "syscall",
    "perf_event_open": "syscall",
}
_DOORS = ("bpf", "Kernel", "Object", "default_kernel")  # who asks for these means to run programs
__all__ = [
    "AsmError",
    "BpfError",
    "BtfError",
    "CaptureError",
    "Client",
    "InterpFault",
    "Kernel",
    "Map",
    "NativeError",
    "Object",
    "ObjectError",
    "Prog",
    "UserbpfError",
    "__version__",
    "bpf",
    "default_kernel",
    "ioctl",
    "linux",
    "perf_event_open",
]


def __getattr__(name: str) -> Any:
    if name == "linux":
        return importlib.import_module("userbpf.linux")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'userbpf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"userbpf.{home}"), name)
    if name in _DOORS:
        importlib.import_module("userbpf.syscall").ready()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
