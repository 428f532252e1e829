"""Typed bpf(2) calls over a transport, and objects, maps and programs on top of them."""

from userbpf.client.maps import Map
from userbpf.client.object import Object, Prog, Variables
from userbpf.client.transport import Client, RunResult, connect

__all__ = ["Client", "Map", "Object", "Prog", "RunResult", "Variables", "connect"]
