"""`verify --kernel`: which program of an object loads under which kernel, and why not."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from userbpf.abi.enums import ProgType
from userbpf.cli.app import app
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.loader import Object
from userbpf.spec.profiles import PROFILES
from userbpf.spec.profiles.needs import program_needs
from userbpf.syscall import Kernel
from userbpf.verifier import VerifyRequest, verify

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
static int step(__u32 i, void *c) { return 0; }
SEC("xdp") int plain(struct xdp_md *c) { return 2; }
SEC("xdp") int looping(struct xdp_md *c) { return bpf_loop(10, step, 0, 0) > 0 ? 2 : 1; }
SEC("xdp") int output(struct xdp_md *c) { long v = 1; return bpf_ringbuf_output(&ring, &v, 8, 0) ? 1 : 2; }
SEC("xdp.frags") int frags(struct xdp_md *c) { return 2; }
char LICENSE[] SEC("license") = "GPL";
"""


def test_length_and_complexity() -> None:
    long = tuple(assemble("r0 = 0\n" * 5000 + "exit"))
    needs = program_needs(long, ProgType.XDP)
    assert str(needs[0]) == "programs of one million instructions, as many processed (since 5.2)"
    done = verify(VerifyRequest(tuple(assemble("r0 = 0\nexit")), ProgType.XDP, kernel="5.1", log_level=4))
    assert "(limit 131072)" in done.log


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("c") / "kernels.bpf.c"
    path.write_text(SOURCE)
    return path


def test_maps_and_programs_by_bpf(source: Path) -> None:
    with pytest.raises(BpfError) as e:
        Object.open(source).load(kernel=Kernel(version="5.7"), progs=[])
    assert e.value.errno == errno.EINVAL and "ring" in str(e.value)
    with Object.open(source).load(kernel=Kernel(version="5.10"), progs=["plain", "output"]) as obj:
        with pytest.raises(BpfError) as e:
            obj.load_prog("looping", 4)
        assert e.value.errno == errno.EINVAL


def test_the_matrix(source: Path) -> None:
    result = CliRunner().invoke(app, ["verify", "--kernel", "all", str(source), "--json"])
    assert result.exit_code == 1
    data = json.loads(result.output)
    loads = {name: [v for v, cell in row.items() if cell["verdict"] == "accepted"] for name, row in data.items()}
    assert loads["plain"] == list(PROFILES) and loads["output"] == list(PROFILES[1:])
    assert loads["looping"] == loads["frags"] == ["6.1", "6.6", "6.12", "6.18"]
    assert data["looping"]["5.15"]["needs"] == ["helper bpf_loop (since 5.17)"]
    text = CliRunner().invoke(app, ["verify", "--kernel", "all", str(source)]).output
    assert "frags on 5.4, 5.10, 5.15: flag BPF_F_XDP_HAS_FRAGS (since 5.18)" in text
    assert "yes is by 6.18's deductions" in text and "32-bit bounds" in text
    assert CliRunner().invoke(app, ["verify", "--kernel", "nine", str(source)]).exit_code == 2
    assert CliRunner().invoke(app, ["verify", "--kernel", "6.1", str(EXAMPLES / "xdp_flows.bpf.c")]).exit_code == 0


def test_sections_without_a_type(tmp_path: Path) -> None:
    source = tmp_path / "typeless.bpf.c"
    source.write_text('__attribute__((section("mine"))) int f(void *c) { return 0; }\n')
    refused = CliRunner().invoke(app, ["verify", str(source)])
    assert refused.exit_code == 1 and "no program type has sections of this name" in refused.output
    taken = CliRunner().invoke(app, ["verify", str(source), "--type", "sched_cls", "--json"])
    assert taken.exit_code == 0 and json.loads(taken.output)[0]["type"] == "SCHED_CLS"
    assert CliRunner().invoke(app, ["verify", str(source), "--type", "nothing"]).exit_code == 2
