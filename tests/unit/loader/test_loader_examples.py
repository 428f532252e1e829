"""Every example on both transports: the same verdicts and the same maps over the same packets."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from userbpf import linux
from userbpf.client.capture import frames
from userbpf.errors import BpfError, ObjectError
from userbpf.loader import Object

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SOURCES = sorted(EXAMPLES.glob("*.bpf.c"))
CAPTURE = EXAMPLES / "loopback.pcap.gz"


def outcome(source: Path, transport: str) -> tuple[list[int], dict[str, Any]]:
    with Object.open(source).load(transport) as obj:
        (prog,) = obj.progs.values()
        verdicts = [r.retval for r in prog.run_many(frames(CAPTURE, 300))]
        maps: dict[str, Any] = {}
        for name, m in obj.maps.items():
            if m.is_ringbuf:
                maps[name] = len(list(m.ringbuf()))
            elif m.cpus:
                maps[name] = {
                    k: [sum(getattr(v, f) for v in values) for f in ("packets", "bytes")] for k, values in m.items()
                }
            else:
                maps[name] = {repr(k): without_times(v) for k, v in m.items()}
        maps["variables"] = {section: dict(values.items()) for section, values in obj.data.items()}
        return verdicts, maps


def without_times(value: Any) -> Any:
    """A record without what depends on the clock."""
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is None:
        return value
    return {f: getattr(value, f) for f in fields if not f.endswith("_ns") and f not in ("tokens", "passed", "dropped")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_example_runs(source: Path) -> None:
    verdicts, _ = outcome(source, "user")
    assert len(verdicts) == 300 and set(verdicts) <= {0, 1, 2}


@pytest.mark.parametrize("source", [s for s in SOURCES if "ratelimit" not in s.name], ids=lambda p: p.name)
def test_example_does_the_same_in_linux(source: Path) -> None:
    reason = linux.available()
    if reason:
        pytest.skip(reason)
    assert outcome(source, "user") == outcome(source, "linux")


def test_firewall_drops_what_is_blocked() -> None:
    with Object.open(EXAMPLES / "xdp_firewall.bpf.c").load() as obj:
        obj.maps["rules"][{"length": 8, "network": 0x7F000000}] = {"action": 1}
        obj.data[".bss"]["lengths"] = 1 << 8
        verdicts = [r.retval for r in obj.progs["firewall"].run_many(frames(CAPTURE, 50))]
        assert 0 < verdicts.count(1) == obj.data[".bss"]["packets_blocked"] < 50  # IPv6 passes


def test_constants_are_set_before_load_and_never_after() -> None:
    obj = Object.open(EXAMPLES / "xdp_ratelimit.bpf.c")
    obj.data[".rodata"]["burst"] = 1
    obj.data[".rodata"]["packets_per_second"] = 0
    with obj.load():
        verdicts = [r.retval for r in obj.progs["ratelimit"].run_many([next(iter(frames(CAPTURE, 1)))] * 3)]
        assert verdicts == [2, 1, 1]
        with pytest.raises(Exception, match="constant"):
            obj.data[".rodata"]["burst"] = 2


def test_errors_name_the_place(tmp_path: Path) -> None:
    bad = tmp_path / "bad.bpf.c"
    bad.write_text("int x = ;\n")
    with pytest.raises(ObjectError, match=r"bad\.bpf\.c:1:9"):
        Object.open(bad)
    bad.write_text(
        '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int p(struct xdp_md *c)\n'
        '{\n\treturn *(char *)(long)c->data;\n}\nchar LICENSE[] SEC("license") = "GPL";\n'
    )
    with pytest.raises(BpfError, match=r"program p \(section xdp\): R1 offset is outside of the packet") as e:
        Object.open(bad).load()
    assert "return *(char *)(long)c->data; @ bad.bpf.c:5" in e.value.log


@pytest.mark.parametrize("seed", range(3))
def test_damaged_objects_say_so(seed: int) -> None:
    from userbpf.loader.compile import compile_source

    good = compile_source(EXAMPLES / "xdp_flows.bpf.c")
    rng = random.Random(seed)
    for _ in range(120):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.choice((0, 0xFF, rng.randrange(256)))
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            Object.from_bytes(bytes(data))
        except ObjectError as e:
            assert str(e)


def test_a_line_record_that_names_no_string_says_so() -> None:
    from userbpf.btf.ext import parse_ext
    from userbpf.loader.compile import compile_source
    from userbpf.loader.elf import read_elf

    good = compile_source(EXAMPLES / "xdp_flows.bpf.c")
    btf = Object.from_bytes(good).plan.btf
    section = read_elf(good, "x").named(".BTF.ext")
    assert btf is not None and section is not None
    line = parse_ext(section.data, btf).lines["xdp"][0]
    record = struct.pack("<4I", *(getattr(line, n) for n in ("off", "file_name_off", "line_off", "line_col")))
    assert record in good
    for far in (0xFFFFFFF0, 1 << 20):
        bad = good.replace(record, record[:8] + struct.pack("<I", far) + record[12:])
        with pytest.raises(ObjectError, match="names a string outside of the strings"):
            Object.from_bytes(bad)
