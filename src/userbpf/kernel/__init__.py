"""The machine's state: objects, ids, file descriptors, pins, CPUs, clock, capabilities, user memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from userbpf.kernel.machine import Kernel, default_kernel
    from userbpf.kernel.objects import BtfObj, LinkObj, MapObj, ProgObj
    from userbpf.kernel.usermem import UserMemory

_HOMES = {
    "BtfObj": "objects",
    "Kernel": "machine",
    "LinkObj": "objects",
    "MapObj": "objects",
    "ProgObj": "objects",
    "UserMemory": "usermem",
    "default_kernel": "machine",
}
__all__ = ["BtfObj", "Kernel", "LinkObj", "MapObj", "ProgObj", "UserMemory", "default_kernel"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"userbpf.kernel.{_HOMES[name]}"), name)
