"""docs/support.md is what the rows say."""

from __future__ import annotations

import re
from pathlib import Path

from userbpf import verifier
from userbpf.abi.enums import HelperId
from userbpf.cli.support import markdown, rows
from userbpf.helpers import kfuncs
from userbpf.spec.helpers import HELPERS
from userbpf.spec.kfuncs import KFUNCS

VERIFIER = Path(__file__).resolve().parent.parent.parent / "docs" / "verifier.md"
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "support.md"


def test_every_module_of_the_verifier_is_on_its_map() -> None:
    prose = re.sub(r"```.*?```", "", VERIFIER.read_text(), flags=re.DOTALL)
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", prose))))
    modules = {path.stem for path in Path(verifier.__file__).parent.glob("**/*.py") if path.parent.name != "rules"}
    assert modules - {"__init__", "collector"} <= words


def test_docs_are_the_tables() -> None:
    assert DOCS.read_text() == markdown(), "run python tools/gen_docs.py"


def test_every_row_is_listed() -> None:
    data = rows()
    assert {e["name"] for e in data["kernel functions"]} == set(KFUNCS)
    assert {e["name"] for e in data["helpers"]} == {f"bpf_{HelperId(h).name}" for h in HELPERS}


def test_what_runs_has_a_body() -> None:
    runs = {name for name, row in KFUNCS.items() if row.status == "run"}
    assert runs == kfuncs.RUNS
