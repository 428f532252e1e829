"""The house rule: a package imports from the packages above it in the design's table, and from nothing below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import userbpf

ROOT = Path(userbpf.__file__).parent

# package -> what it may import besides itself, abi and errors
LAW: dict[str, set[str]] = {
    "errors": set(),
    "abi": set(),
    "linux": set(),  # the running kernel's bpf(2)
    "isa": set(),
    "btf": set(),
    "spec": {"isa", "btf"},
    "native": set(),
    "verifier": {"isa", "btf", "spec"},
    "maps": {"spec", "native", "btf"},
    "engine": {"isa", "spec", "native", "maps", "btf", "verifier"},
    "helpers": {"isa", "btf", "spec", "native", "maps", "engine"},
    "kernel": {"isa", "btf", "spec", "native", "maps", "engine", "verifier", "helpers"},
    "hooks": {"isa", "btf", "spec", "native", "maps", "engine", "verifier", "helpers", "kernel"},
    "syscall": {"isa", "btf", "spec", "native", "maps", "engine", "verifier", "helpers", "kernel", "hooks"},
    "client": {"linux", "isa", "btf", "spec", "syscall"},
    "loader": {"client", "btf", "isa", "spec"},
    "cli": {"loader", "client", "btf", "isa", "spec"},
}
ALWAYS = {"abi", "errors"}
# single modules that are open to packages whose table row does not name their package
OPEN_MODULES = {
    "userbpf.native.rt",  # layouts only: constants that import nothing
    "userbpf.verifier.api",  # result types only
}
HEAVY = ("llvmlite", "numpy", "click", "rich", "elftools")


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of userbpf that a file imports at run time, with their lines."""
    tree = ast.parse(path.read_text())
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing_only.update(inner for stmt in node.body for inner in ast.walk(stmt))
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.startswith("userbpf"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("userbpf"):
            if node.module == "userbpf":
                yield from ((f"userbpf.{alias.name}", node.lineno) for alias in node.names)
            else:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                opened = [name for name in names if name in OPEN_MODULES]
                yield from ((name, node.lineno) for name in opened or [node.module])


def test_every_package_stands_in_the_table() -> None:
    rooms = {p.name for p in ROOT.iterdir() if any(p.glob("*.py"))}
    assert rooms <= set(LAW), rooms - set(LAW)


@pytest.mark.parametrize("package", sorted(LAW))
def test_imports_go_upward(package: str) -> None:
    wrong = []
    for path in modules():
        if package_of(path) != package:
            continue
        for module, line in imported(path):
            room = module.split(".")[1] if "." in module else ""
            if room == package or room in ALWAYS or room in LAW[package] or module in OPEN_MODULES:
                continue
            wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert wrong == []


def test_law_has_no_cycle() -> None:
    order = list(LAW)
    for package, allowed in LAW.items():
        for other in allowed:
            # loader and cli reach the kernel through the client alone, so rows order the rest
            assert order.index(other) < order.index(package), f"{package} may import {other}, which stands below it"


def test_rows_are_light() -> None:
    """Reading the tables needs no compiler."""
    import subprocess
    import sys

    code = (
        "import sys, userbpf.spec.helpers, userbpf.spec.ctx, userbpf.spec.maps, userbpf.isa.asm; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
