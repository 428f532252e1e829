"""Programs that write to a perf buffer, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from userbpf.cli.app import app
from userbpf.loader import Object

CAPTURE = str(Path(__file__).resolve().parents[3] / "examples" / "loopback.pcap.gz")
SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} events SEC(".maps");
SEC("xdp") int record(struct xdp_md *ctx)
{
    __u32 length = ctx->data_end - ctx->data;
    __u64 flags = BPF_F_CURRENT_CPU | (length < 20 ? (__u64)length : 20) << 32;
    bpf_perf_event_output(ctx, &events, flags, &length, sizeof(length));
    return XDP_PASS;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "record.bpf.c"
    path.write_text(SOURCE)
    return str(path)


@pytest.mark.parametrize("engine", [[], ["--interpret"]], ids=["jit", "interpreter"])
def test_run_shows_records(source: str, engine: list[str]) -> None:
    result = CliRunner().invoke(app, ["run", source, CAPTURE, "-n", "100", "--entries", "7", "--json", *engine])
    assert result.exit_code == 0, result.output
    events = json.loads(result.output)["maps"]["events"]
    assert (len(events["records"]), events["unread"], events["lost"]) == (7, 93, 0)
    text = CliRunner().invoke(app, ["run", source, CAPTURE, "-n", "100", *engine]).output
    assert "events (PERF_EVENT_ARRAY)" in text and "90 more" in text


def test_an_object_reads_records(source: str) -> None:
    with Object.open(source).load() as obj:
        events = obj.maps["events"].perf_buffer(4)
        packet = bytes(range(60))
        for size in (60, 14, 40):
            obj.progs["record"].run(packet[:size])
        records = list(events.read())
        assert sorted(int.from_bytes(r.data[:4], "little") for r in records) == [14, 40, 60]
        assert all(r.data[4:].startswith(packet[:14]) for r in records)
        assert not list(events.read()) and events.lost == 0
