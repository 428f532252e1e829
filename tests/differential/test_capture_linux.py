"""`userbpf run` over a capture against Linux over the same packets: each verdict, each byte that goes on, all map contents.

Linux runs every packet by BPF_PROG_TEST_RUN. Its clock cannot be set, but what it told the program can be read: the program
leaves the time in a map or an event, where it is looked up after each packet. A second capture with these times goes to
`userbpf run`, whose clock is the packets' time: then times, token buckets and verdicts must be equal to the last bit, and the
capture that `-o` writes must be, byte for byte, the one that Linux's verdicts make.
"""

from __future__ import annotations

import ctypes
import filecmp
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from userbpf import linux
from userbpf.abi.attrs import ProgTestRunAttr
from userbpf.abi.enums import Cmd, ProgType
from userbpf.cli.app import app
from userbpf.cli.run import map_entries
from userbpf.cli.show import plain
from userbpf.client.capture import packets, verdict_name
from userbpf.client.maps import Ring
from userbpf.loader import Object

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CAPTURE = EXAMPLES / "loopback.pcap.gz"
PCAP = struct.Struct("<IHHiIII")
RECORD = struct.Struct("<IIII")
GO_ON = {ProgType.XDP: {2}, ProgType.SCHED_CLS: {0xFFFFFFFF, 0, 1, 3}}  # PASS; UNSPEC, OK, RECLASSIFY, PIPE
ALL = 1 << 24
Times = Callable[[Object, bytes], "int | None"]


# --- when did Linux run this packet? ---------------------------------------------------------------------------------------


def bucket_time(obj: Object, frame: bytes) -> int | None:
    """The rate limiter leaves it in the source's bucket."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return None
    value = obj.client.map_lookup_elem(obj.maps["buckets"].fd, frame[26:30], 32)  # type: ignore[union-attr]
    return int.from_bytes(value[8:16], "little")


def flow_time(obj: Object, frame: bytes) -> int | None:
    """The flow counter leaves it in the flow, unless there was no room for it."""
    kind, size = frame[12:14], len(frame)
    if kind == b"\x08\x00" and size >= 34:
        mapped = bytes(10) + b"\xff\xff"
        proto, at, family = frame[23], 14 + 4 * (frame[14] & 15), 4
        saddr, daddr = mapped + frame[26:30], mapped + frame[30:34]
        first = not int.from_bytes(frame[20:22], "big") & 0x1FFF
    elif kind == b"\x86\xdd" and size >= 54:
        proto, at, family, first = frame[20], 54, 6, True
        saddr, daddr = frame[22:38], frame[38:54]
    else:
        return None
    ports = frame[at : at + 4] if first and proto in (6, 17) and at + 4 <= size else bytes(4)
    m = obj.maps["flows"]
    try:
        value = obj.client.map_lookup_elem(m.fd, saddr + daddr + ports + bytes([proto, family, 0, 0]), 32)  # type: ignore[union-attr]
    except OSError:
        return None
    return int.from_bytes(value[24:32], "little")


@dataclass
class EventTime:
    """The SYN counter leaves it in the event, if there is one. The records stay where they are."""

    rings: dict[int, tuple[Ring, list[int]]] = field(default_factory=dict)

    def __call__(self, obj: Object, frame: bytes) -> int | None:
        m = obj.maps["events"]
        ring, seen = self.rings.setdefault(id(obj), (Ring(m.fd, m.max_entries), [0]))
        (produced,) = struct.unpack_from("<Q", ring.shared)
        if produced == seen[0]:
            return None
        (time_ns,) = struct.unpack_from("<Q", ring.shared, 4096 + seen[0] % ring.size + 8)
        seen[0] = produced
        return int(time_ns)


@dataclass
class Scene:
    """An example, what is set before it runs, and where its clock can be read."""

    source: str
    settings: dict[str, int] = field(default_factory=dict)
    fill: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    time_of: Times = lambda obj, frame: None


RULES = [
    (0, 0x00000000, 0),
    (12, 0x7F000000, 1),
    (29, 0x7F000008, 0),
    (32, 0x7F000002, 0),
    (16, 0x7F200000, 1),
    (32, 0x7F200001, 0),
]
SCENES = {
    "flows": Scene("xdp_flows.bpf.c", time_of=flow_time),
    "firewall": Scene(
        "xdp_firewall.bpf.c",
        {"lengths": sum({1 << length for length, _, _ in RULES})},
        {"rules": [{"key": {"length": n, "network": a}, "value": {"action": x}} for n, a, x in RULES]},
    ),
    "ratelimit": Scene("xdp_ratelimit.bpf.c", {"burst": 4}, time_of=bucket_time),
    "synflood": Scene("xdp_synflood.bpf.c", {"threshold": 1}, time_of=EventTime()),
    "classify": Scene(
        "tc_classify.bpf.c",
        {},
        {"ports": [{"key": p, "value": c} for p, c in ((3389, 2), (445, 3), (53433, 0), (443, 1))]},
    ),
}


# --- Linux -----------------------------------------------------------------------------------------------------------------


class Runner:
    """BPF_PROG_TEST_RUN again and again with one attr and one pair of buffers."""

    ROOM = 1 << 16

    def __init__(self, fd: int) -> None:
        self.given, self.out = ctypes.create_string_buffer(self.ROOM), ctypes.create_string_buffer(self.ROOM)
        self.addr = ctypes.addressof(self.given)
        raw = ProgTestRunAttr(
            prog_fd=fd, data_in=self.addr, data_out=ctypes.addressof(self.out), data_size_out=self.ROOM, repeat=1
        ).encode()
        self.attr = ctypes.create_string_buffer(raw, len(raw))

    def run(self, frame: bytes) -> tuple[int, bytes]:
        ctypes.memmove(self.addr, frame, len(frame))
        struct.pack_into("<III", self.attr, 4, 0, len(frame), self.ROOM)
        linux.bpf(Cmd.PROG_TEST_RUN, ctypes.addressof(self.attr), len(self.attr))
        retval, _, size = struct.unpack_from("<III", self.attr, 4)
        return retval, ctypes.string_at(self.out, size)


@contextmanager
def on_first_cpu() -> Iterator[None]:
    """Where `userbpf run` counts, too."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def in_linux(scene: Scene, capture: Path, count: int | None, retimed: Path, passed: Path) -> dict[str, Any]:
    """Verdicts, variables and maps of Linux; `retimed`: the capture with Linux's times; `passed`: what went on."""
    obj = Object.open(EXAMPLES / scene.source)
    for name, value in scene.settings.items():
        section = next(s for s in obj.data.values() if name in s)
        section[name] = value
    verdicts: dict[str, dict[str, int]] = {}
    header = PCAP.pack(0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    with obj.load("linux"), retimed.open("wb") as again, passed.open("wb") as out, on_first_cpu():
        for name, entries in scene.fill.items():
            for entry in entries:
                obj.maps[name][entry["key"]] = entry["value"]
        (prog,) = obj.progs.values()
        runner = Runner(prog.fd)
        again.write(header)
        out.write(header)
        now = 0
        for packet in packets(capture, count):
            retval, data = runner.run(packet.data)
            now = scene.time_of(obj, packet.data) or now
            times = divmod(now, 10**9)
            again.write(RECORD.pack(*times, len(packet.data), packet.wire_bytes) + packet.data)
            verdict = verdicts.setdefault(verdict_name(prog.prog_type, retval), {"packets": 0, "bytes": 0})
            verdict["packets"] += 1
            verdict["bytes"] += packet.wire_bytes
            if retval in GO_ON[prog.prog_type]:
                wire = packet.wire_bytes + len(data) - len(packet.data)
                out.write(RECORD.pack(*times, len(data), wire) + data)
        found: dict[str, Any] = {}
        for name, m in obj.maps.items():
            if m.is_ringbuf:
                found[name] = plain(list(m.ringbuf()))
            else:
                found[name] = entries_of([{"key": k, "value": v} for k, v in map_entries(m, ALL, None)[0]])
        variables = {section: plain(dict(values.items())) for section, values in obj.data.items()}
    return {"verdicts": verdicts, "variables": variables, "maps": found}


def entries_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {json.dumps(plain(e["key"])): plain(e["value"]) for e in entries}


# --- here ------------------------------------------------------------------------------------------------------------------


def here(scene: Scene, capture: Path, passed: Path, *options: str) -> dict[str, Any]:
    """The same of `userbpf run`."""
    args = ["--json", "run", str(EXAMPLES / scene.source), str(capture), "-o", str(passed), "--entries", str(ALL)]
    args += [word for name, value in scene.settings.items() for word in ("--set", f"{name}={value}")]
    for name, entries in scene.fill.items():
        file = passed.with_name(f"{name}.json")
        file.write_text(json.dumps(entries))
        args += ["--fill", f"{name}={file}"]
    result = CliRunner().invoke(app, [*args, *options])
    assert result.exit_code == 0, result.output
    data = json.loads(result.output)
    assert data["skipped"] == 0 and data["error"] is None
    maps = {n: m["records"] if "records" in m else entries_of(m["entries"]) for n, m in data["maps"].items()}
    return {"verdicts": data["verdicts"], "variables": data["variables"], "maps": maps}


def compare(
    name: str, capture: Path, tmp_path: Path, *engines: tuple[str, ...], count: int | None = None
) -> dict[str, Any]:
    if reason := linux.available():
        pytest.skip(reason)
    scene = SCENES[name]
    retimed, theirs, ours = (tmp_path / f"{n}.pcap" for n in ("retimed", "theirs", "ours"))
    expected = in_linux(scene, capture, count, retimed, theirs)
    for options in engines:
        got = here(scene, retimed, ours, *options)
        for what in expected:
            assert got[what] == expected[what], what
        assert filecmp.cmp(ours, theirs, shallow=False), "other packets went on, or other bytes of them"
    return expected


@pytest.mark.parametrize("name", SCENES)
def test_run_is_as_linux(name: str, tmp_path: Path) -> None:
    expected = compare(name, CAPTURE, tmp_path, (), ("--interpret",), count=1000)
    assert sum(v["packets"] for v in expected["verdicts"].values()) == 1000


def test_the_scenes_have_something_to_say(tmp_path: Path) -> None:
    """A comparison of empty maps and a single verdict would say nothing."""
    got = {name: here(scene, CAPTURE, tmp_path / "o.pcap") for name, scene in SCENES.items()}
    for name in ("firewall", "ratelimit", "classify"):
        assert len(got[name]["verdicts"]) > 1, name
    assert len(got["synflood"]["maps"]["events"]) > 3
    assert len(got["flows"]["maps"]["flows"]) > 50
    assert sum(rule["packets"] > 0 for rule in got["firewall"]["maps"]["rules"].values()) > 2
    assert len(got["classify"]["maps"]["classes"]) > 2


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "million.pcap"
    subprocess.run([sys.executable, ROOT / "tools" / "make_capture.py", CAPTURE, path], check=True)
    return path


@pytest.mark.sweep
@pytest.mark.parametrize("name", SCENES)
def test_a_million_packets_are_as_in_linux(name: str, million: Path, tmp_path: Path) -> None:
    expected = compare(name, million, tmp_path, ())
    assert sum(v["packets"] for v in expected["verdicts"].values()) == 1_000_000
