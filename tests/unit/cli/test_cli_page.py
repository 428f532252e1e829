"""The page of `verify --html`: whole in itself, and data stays data whatever names and sources say."""

from __future__ import annotations

import json
import re
from pathlib import Path

from userbpf.cli.page import render
from userbpf.cli.verify import Page, judge

HOSTILE = '</script><!-- <script>alert("1")</script> & <b>'
SOURCE = Path(__file__).parents[2] / "verifier" / "wrong.bpf.c"


def program(name: str, text: str) -> dict[str, object]:
    insn = {"pc": 0, "text": text, "file": text, "line": 1, "source": text}
    steps = [{"pc": 0, "frame": 0, "before": -1, "state": []}]
    return {
        "name": name,
        "verdict": "accepted",
        "explanation": None,
        "insns": [insn],
        "steps": steps,
        "texts": [text],
        "total": 1,
        "whole": True,
    }


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, list)
    return data


def test_hostile_texts_stay_texts() -> None:
    page = render(HOSTILE, [program(HOSTILE, HOSTILE)])
    assert page.count("<script") == 2 and page.count("</script>") == 2 and "<!--" not in page
    assert page.lower().startswith("<!doctype html>") and "<b>" not in page
    (data,) = data_of(page)
    assert data["name"] == HOSTILE and data["texts"] == [HOSTILE]


def test_the_page_asks_nobody_for_anything() -> None:
    page = render("x.o", [program("p", "exit")])
    assert not re.search(r"""(?:src|href)\s*=\s*["']|@import|url\(|https?://|fetch\(""", page)
    assert "prefers-color-scheme:dark" in page


def test_a_refusal_is_on_the_page_and_in_json() -> None:
    steps: Page = []
    out = judge(str(SOURCE), "packet_moved", "user", 0, steps)
    (data,) = data_of(render(str(SOURCE), steps))
    assert data["verdict"] == "rejected" and data["explanation"] == json.loads(json.dumps(out["explanation"]))
    found = out["explanation"]
    assert list(found) == [
        *(
            "errno",
            "message",
            "pc",
            "insn",
            "place",
            "rule",
            "register",
            "needed",
            "known",
            "cause",
            "lost",
            "life",
            "advice",
        )
    ]
    assert list(found["place"]) == ["file", "line", "text"]
    assert list(found["lost"]) == ["pc", "insn", "place"] and "bpf_xdp_adjust_head" in found["lost"]["place"]["text"]
    assert all(list(step) == ["pc", "insn", "kind", "text", "place"] for step in found["life"])
