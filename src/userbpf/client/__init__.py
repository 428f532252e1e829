"""Typed bpf(2) calls over a transport; maps and programs behind descriptors."""

from userbpf.client.maps import Map
from userbpf.client.progs import Prog
from userbpf.client.transport import Client, RunResult, connect

__all__ = ["Client", "Map", "Prog", "RunResult", "connect"]
