"""Profiles: every feature has a release, and a kernel of a version answers as one that does not have what came later."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from userbpf.abi.enums import HelperId, MapType, ProgType
from userbpf.cli.app import app
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.loader import Object
from userbpf.spec import releases
from userbpf.spec.helpers import HELPERS
from userbpf.spec.profiles import BEHAVIOURS, NEWEST, PROFILES, profile, program_needs, version_of
from userbpf.syscall import Kernel
from userbpf.verifier import Rejected, VerifyRequest, verify

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
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


def test_every_helper_and_type_has_a_release() -> None:
    assert not [h.name for h in HELPERS if h is not HelperId.unspec and f"bpf_{h.name}" not in releases.HELPERS]
    assert not [t.name for t in ProgType if t is not ProgType.UNSPEC and t.c_name not in releases.PROG_TYPES]
    types = [t.c_name.removesuffix("_DEPRECATED") for t in MapType if t is not MapType.UNSPEC]
    assert not [name for name in types if name not in releases.MAP_TYPES]


def test_the_newest_profile_has_everything() -> None:
    newest = profile(PROFILES[-1])
    assert newest.newest and not newest.map_flags() and not newest.prog_flags()
    assert all(newest.has(name) for name in BEHAVIOURS) and all(row.since <= NEWEST for row in BEHAVIOURS.values())
    assert version_of("6.18.44") == NEWEST


@pytest.mark.parametrize("text", ["", "6", "latest", "6.x"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="no kernel version"):
        version_of(text)


@pytest.mark.parametrize(
    ("text", "refused", "accepted", "message"),
    [
        ("if w0 > 1 goto +0\nr0 = 0\nexit", "5.0", "5.1", "unknown opcode 26"),
        ("r0 = (s8)r1\nr0 = 0\nexit", "6.5", "6.6", "BPF_MOV uses reserved fields"),
        ("r0 = bswap64 r0\nexit", "6.5", "6.6", "BPF_END uses reserved fields"),
        (
            "r2 = 0\n*(u64 *)(r10 -8) = r2\nr2 = atomic64_fetch_add((u64 *)(r10 -8), r2)\nr0 = 0\nexit",
            "5.11",
            "5.12",
            "XADD",
        ),
        ("r1 = 0\ntop:\nr1 += 1\nif r1 < 5 goto top\nr0 = 0\nexit", "5.2", "5.3", "back-edge from insn 2 to 1"),
        ("r0 = 0\ncall bpf_ktime_get_tai_ns#208\nr0 = 0\nexit", "6.0", "6.1", "invalid func bpf_ktime_get_tai_ns#208"),
        ("r0 = *(u64 *)(r10 -8)\nr0 = 0\nexit", "6.2", "6.3", "invalid read from stack"),
    ],
)
def test_instructions_and_behaviours(text: str, refused: str, accepted: str, message: str) -> None:
    if text.startswith(("if w0", "r0 = bswap")):
        text = "r0 = 0\n" + text
    if text.startswith("r0 = (s8)"):
        text = "r1 = 0\n" + text
    insns = tuple(assemble(text))
    with pytest.raises(Rejected, match=message):
        verify(VerifyRequest(insns, ProgType.SOCKET_FILTER, kernel=refused, log_level=1))
    verify(VerifyRequest(insns, ProgType.SOCKET_FILTER, kernel=accepted))


def test_length_and_complexity() -> None:
    long = tuple(assemble("r0 = 0\n" * 5000 + "exit"))
    needs = program_needs(long, ProgType.XDP)
    assert needs[0].what == "a million instructions in place of 4,096"
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
    assert "frags on 5.4: flag BPF_F_XDP_HAS_FRAGS (since 5.18)" in text
    assert CliRunner().invoke(app, ["verify", "--kernel", "nine", str(source)]).exit_code == 2
    assert CliRunner().invoke(app, ["verify", "--kernel", "6.1", str(EXAMPLES / "xdp_flows.bpf.c")]).exit_code == 0
