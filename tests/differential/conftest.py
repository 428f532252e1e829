"""Comparisons with Linux line by line leave out what Linux gets wrong: see `userbpf.verifier.check.mirror_holes`."""

from __future__ import annotations

import pytest

from userbpf.verifier import check


@pytest.fixture(autouse=True)
def holes_mirrored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.path.name in ("test_verifier_log.py", "test_verifier_wide.py"):
        monkeypatch.setattr(check, "mirror_holes", True)
