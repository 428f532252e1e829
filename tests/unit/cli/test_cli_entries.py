"""Entries as people read them: columns a field, addresses and ports in the order of the wire."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from userbpf.btf import Array, Btf, Int, Member, Struct, Typedef
from userbpf.btf.values import Codecs
from userbpf.cli.app import app
from userbpf.cli.entries import columns_of, over_cpus, readable_text, shown
from userbpf.cli.run import rank
from userbpf.loader import Object


class Types:
    def __init__(self) -> None:
        self.btf = Btf()
        add: Callable[..., int] = lambda t: self.btf.add(t).id  # noqa: E731
        self.u8 = add(Int(1, 0, 0, 8, name="unsigned char"))
        self.char = add(Int(1, 1, 0, 8, name="char"))
        self.u16 = add(Int(2, 0, 0, 16, name="unsigned short"))
        self.u32 = add(Int(4, 0, 0, 32, name="unsigned int"))
        self.be16 = add(Typedef(self.u16, name="__be16"))
        self.be32 = add(Typedef(self.u32, name="__be32"))
        self.mac = add(Array(self.u8, self.u32, 6))
        self.text = add(Array(self.char, self.u32, 8))
        self.in6 = add(Struct(16, [Member("u", add(Array(self.u8, self.u32, 16)), 0)], name="in6_addr"))
        self.key = add(
            Struct(
                30,
                [
                    Member("saddr", self.in6, 0),
                    Member("dport", self.be16, 128),
                    Member("pad", self.u16, 144),
                    Member("mac", self.mac, 160),
                ],
                name="key",
            )
        )


@pytest.fixture
def types() -> Types:
    return Types()


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [
        ("be16", "dport", 0x5000, "80"),
        ("be32", "saddr", 0x0100007F, "127.0.0.1"),
        ("be32", "key", 0x0100007F, "127.0.0.1"),
        ("be32", "seq", 0x01000000, "1"),
        ("u32", "saddr", 7, "7"),
        ("mac", "h_source", bytes(range(6)), "00:01:02:03:04:05"),
        ("text", "comm", b"bash\0\0\0\0", "bash"),
        ("in6", "daddr", ipaddress.IPv6Address("::ffff:10.0.0.1"), "10.0.0.1"),
        ("in6", "daddr", ipaddress.IPv6Address("fe80::1"), "fe80::1"),
    ],
)
def test_a_value_is_written_as_its_type_asks(types: Types, kind: str, name: str, value: object, text: str) -> None:
    assert shown(types.btf, getattr(types, kind), name)(value) == text


def test_a_record_has_a_column_a_field(types: Types) -> None:
    codec = Codecs(types.btf).of(types.key)
    columns = columns_of(types.btf, types.key, codec, "key")
    assert [c.heading for c in columns] == ["saddr", "dport", "mac"]  # not what only fills
    value = codec.decode(ipaddress.IPv6Address("::1").packed + b"\x01\xbb\0\0" + bytes(range(6)) + bytes(4))
    assert [c.show(value) for c in columns] == ["::1", "443", "00:01:02:03:04:05"]
    assert value.saddr == ipaddress.IPv6Address("::1")
    assert codec.encode({"saddr": "::1", "dport": 0xBB01})[:18] == ipaddress.IPv6Address("::1").packed + b"\x01\xbb"


def test_cpus_are_added_up() -> None:
    assert over_cpus(str)([3, 0]) == "3"
    assert over_cpus(str)([3, 4]) == "7 (3+4)"
    assert over_cpus(str)([-1, 4]) == "-1 | 4"


def test_bytes_that_are_no_text_stay_bytes() -> None:
    assert readable_text(b"ab\0c") == "61 62 00 63"
    assert readable_text(b"\x1b[0m") == "1b 5b 30 6d"


def test_entries_are_ranked_by_field_or_whole() -> None:
    assert rank((1, 5), "value") == -5 and rank((1, 5), "key") == -1
    assert rank((1, [2, 3]), "value") == -5
    assert rank((1, 5), "no_such_field") > 0


def test_run_sorts_and_shows_addresses() -> None:
    examples = Path(__file__).resolve().parents[3] / "examples"
    args = ["run", str(examples / "xdp_flows.bpf.c"), str(examples / "loopback.pcap.gz"), "--sort", "bytes"]
    text = CliRunner().invoke(app, args, env={"COLUMNS": "160"}).output
    rows = [line.split() for line in text.partition("flows (HASH)")[2].splitlines()[2:12]]
    sizes = [int(row[7]) for row in rows]
    assert sizes == sorted(sizes, reverse=True) and rows[0][0] in ("127.0.0.1", "127.0.0.2", "::1")
    assert "and more" in text


def test_values_in_python_are_addresses() -> None:
    examples = Path(__file__).resolve().parents[3] / "examples"
    obj = Object.open(examples / "xdp_flows.bpf.c").load()
    frame = bytes(12) + b"\x08\x00" + bytes.fromhex("4500001c 00000000 40110000 0a000001 0a000002 0035 0035 0008 0000")
    obj.progs["count_flows"].run(frame)
    (key,) = obj.maps["flows"]
    assert key.saddr == ipaddress.IPv6Address("::ffff:10.0.0.1") and key.sport == 0x3500
    again = {"saddr": "::ffff:10.0.0.1", "daddr": "::ffff:10.0.0.2", "sport": 0x3500, "dport": 0x3500}
    assert obj.maps["flows"][again | {"proto": 17, "family": 4}].packets == 1
