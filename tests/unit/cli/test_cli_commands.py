"""The commands as a user types them: text, --json, exit status, errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from userbpf.cli.app import app

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FLOWS = str(EXAMPLES / "xdp_flows.bpf.c")
CAPTURE = str(EXAMPLES / "loopback.pcap.gz")


def call(*args: str, status: int = 0) -> Result:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == status, result.output
    return result


def test_run_shows_verdicts_and_maps() -> None:
    text = call("run", FLOWS, CAPTURE).output
    assert "XDP_PASS" in text and "2,370" in text and "protocols (ARRAY)" in text


@pytest.mark.parametrize("engine", [[], ["--interpret"]], ids=["jit", "interpreter"])
def test_run_as_json(engine: list[str]) -> None:
    data = json.loads(call("run", FLOWS, CAPTURE, "-n", "200", "--json", *engine).output)
    assert data["seconds"] > 0 and data["compile_seconds"] > 0
    assert data["packets"] == 200 and data["verdicts"]["XDP_PASS"]["packets"] == 200
    assert sum(e["value"]["packets"] for e in data["maps"]["protocols"]["entries"]) == 200


def test_run_writes_what_passes(tmp_path: Path) -> None:
    out = tmp_path / "o.pcap"
    call("run", FLOWS, CAPTURE, "-n", "50", "-o", str(out))
    again = json.loads(call("run", FLOWS, str(out), "--json").output)
    assert again["packets"] == 50


def test_verify_accepts_and_refuses(tmp_path: Path) -> None:
    (good,) = json.loads(call("--json", "verify", FLOWS).output)
    assert good["verdict"] == "accepted" and good["stats"]["processed"] > 100
    bad = tmp_path / "bad.bpf.c"
    bad.write_text(
        '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nSEC("xdp") int p(struct xdp_md *c)\n'
        '{\n\treturn *(char *)(long)c->data;\n}\nchar LICENSE[] SEC("license") = "GPL";\n'
    )
    text = call("verify", str(bad), status=1).output
    assert "rejected" in text and "invalid access to packet" in text


def test_disasm_has_instructions_and_sources() -> None:
    text = call("disasm", FLOWS).output
    assert "call bpf_map_lookup_elem#1" in text and "map[flows]" in text and "@ line" in text


def test_pins_go_through_the_nouns(tmp_path: Path) -> None:
    where = tmp_path / "pins"
    call("prog", "loadall", FLOWS, str(where))
    assert call("map", "dump", "pinned", str(where / "flows")).output.startswith("Found 0 elements")
    assert (
        json.loads(call("-j", "prog", "show", "pinned", str(where / "count_flows")).output)[0]["name"] == "count_flows"
    )
    assert "r0" in call("prog", "dump", "xlated", "pinned", str(where / "count_flows")).output
    packet = tmp_path / "packet"
    packet.write_bytes(bytes(64))
    assert "Return value: 2" in call("prog", "run", "pinned", str(where / "count_flows"), "data_in", str(packet)).output
    m = str(where / "m")
    call("map", "create", m, "type", "hash", "key", "4", "value", "8", "entries", "10", "name", "foo")
    call(
        "map",
        "update",
        "pinned",
        m,
        "key",
        "1",
        "0",
        "0",
        "0",
        "value",
        "hex",
        *[f"{i:02x}" for i in range(1, 9)],
    )
    assert json.loads(call("map", "dump", "pinned", m, "--json").output)[0]["value"] == "01 02 03 04 05 06 07 08"
    call("map", "delete", "pinned", m, "key", "1", "0", "0", "0")
    assert "Found 0" in call("map", "dump", "pinned", m).output


def test_btf_as_c_and_support() -> None:
    assert "struct flow_key {" in call("btf", "dump", "file", FLOWS, "format", "c").output
    assert any(e["name"] == "BPF_MAP_CREATE" for e in json.loads(call("support", "--json").output)["commands"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run", CAPTURE, CAPTURE), "not an ELF object"),
        (("run", FLOWS, FLOWS), "neither pcap nor pcapng"),
        (("map", "dump", "pinned", "/nowhere"), "No such file"),
        (("verify", FLOWS, "--prog", "nobody"), "no program 'nobody'"),
    ],
    ids=["no object", "no capture", "no pin", "no program"],
)
def test_errors_are_one_line(args: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, args)
    assert result.exit_code and message in result.output and "Traceback" not in result.output


def test_run_fills_maps_first(tmp_path: Path) -> None:
    firewall = str(EXAMPLES / "xdp_firewall.bpf.c")
    rules = tmp_path / "rules.json"
    rules.write_text('[{"key": {"length": 8, "network": 2130706432}, "value": {"action": 1}}]')
    args = ("run", firewall, CAPTURE, "--json", "--set", "lengths=256", "--fill", f"rules={rules}")
    data = json.loads(call(*args).output)
    dropped = data["verdicts"]["XDP_DROP"]["packets"]
    assert dropped == data["variables"][".bss"]["packets_blocked"] > 1000
    rules.write_text(json.dumps(data))  # a result is taken again: the counters go on
    again = json.loads(call(*args).output)
    assert again["maps"]["rules"]["entries"][0]["value"]["packets"] == 2 * dropped
    rules.write_text('[{"key": {"length": 8, "nothing": 1}, "value": 1}]')
    assert "rules.json: no list of {key, value} that fits rules" in call(*args, status=2).output
    assert "no map 'x'; there are: rules" in call("run", firewall, CAPTURE, "--fill", "x=y", status=2).output


def test_verify_writes_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    call("verify", FLOWS, "--html", str(page))
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "").split("<script type")[0]  # nothing is fetched
    (data,) = json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])
    assert data["verdict"] == "accepted" and data["whole"] and data["explanation"] is None
    steps, texts = data["steps"], data["texts"]
    assert len(steps) > 100 and all(-1 <= step["before"] < n for n, step in enumerate(steps))
    first = {texts[name]: texts[value] for name, value in steps[0]["state"]}
    assert first == {"R1": "ctx()", "R10": "fp0"}
    (lines,) = data["sources"].values()
    assert any("count_flows" in line for _, line in lines)
    call("verify", FLOWS, "--html", str(page), "--transport", "linux", status=2)
