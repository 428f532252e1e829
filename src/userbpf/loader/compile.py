"""C source to BPF object: the user's clang when there is one, else the one that the `ziglang` wheel ships.

Our own headers (`userbpf/include`) come first, so that no kernel headers are needed. Objects are kept beside the machine
code in the cache, keyed by source, headers and compiler, because a cold compiler takes a second or more.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from userbpf.errors import ObjectError

INCLUDE: Final = Path(__file__).resolve().parent.parent / "include"
FLAGS: Final = ("-O2", "-g", "-Wall", "-Wno-unused-function", "-fno-stack-protector", "-c")
TIMEOUT_S: Final = 120
MAX_SOURCE_BYTES: Final = 16 << 20


@cache
def compiler() -> tuple[str, ...]:
    """The command that compiles C to little-endian BPF; ObjectError where there is none."""
    clang = os.environ.get("CLANG") or shutil.which("clang")
    if clang:
        try:
            targets = subprocess.run(
                [clang, "--print-targets"], capture_output=True, text=True, timeout=30, check=False
            ).stdout
        except OSError:
            targets = ""
        if "bpf" in targets:
            return (clang, "-target", "bpfel")
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding")
    raise ObjectError(
        "no compiler for C: neither clang with the bpf target is in PATH nor is ziglang installed (pip install 'userbpf[clang]')"
    )


@cache
def _headers_hash() -> bytes:
    digest = hashlib.sha256()
    for path in sorted(INCLUDE.rglob("*.h")):
        digest.update(str(path.relative_to(INCLUDE)).encode() + b"\0" + path.read_bytes())
    return digest.digest()


def _cache_dir() -> Path | None:
    chosen = os.environ.get("USERBPF_CACHE", "")
    if chosen == "off":
        return None
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "userbpf"
    return base / "objects"


def _key(source: bytes, path: Path, command: tuple[str, ...]) -> str:
    digest = hashlib.sha256(_headers_hash())
    # headers beside the source are part of it
    for neighbour in sorted(path.parent.glob("*.h")):
        digest.update(neighbour.name.encode() + b"\0" + neighbour.read_bytes())
    for part in (source, str(path.parent).encode(), path.name.encode(), *(c.encode() for c in command)):
        digest.update(part + b"\0")
    return digest.hexdigest()


def compile_source(path: str | os.PathLike[str]) -> bytes:
    """The object of a C source; ObjectError with the compiler's own words where it does not compile."""
    path = Path(path)
    try:
        source = path.read_bytes()
    except OSError as e:
        raise ObjectError(f"{path}: {e.strerror}") from e
    if len(source) > MAX_SOURCE_BYTES:
        raise ObjectError(f"{path}: {len(source)} bytes of source")
    command = compiler()
    store = _cache_dir()
    kept = store / f"{_key(source, path, command)}.o" if store else None
    if kept is not None:
        try:
            return kept.read_bytes()
        except OSError:
            pass
    data = _run(path, command)
    if kept is not None:
        _keep(kept, data)
    return data


def _run(path: Path, command: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="userbpf.") as room:
        out = Path(room) / "out.o"
        args = [*command, *FLAGS, "-nostdinc", f"-I{INCLUDE}", f"-I{path.parent}", str(path), "-o", str(out)]
        try:
            done = subprocess.run(args, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise ObjectError(f"{path}: {command[0]}: {e}") from e
        if done.returncode or not out.exists():
            raise ObjectError(f"{path} does not compile:\n{done.stderr.strip() or done.stdout.strip()}")
        return out.read_bytes()


def _keep(kept: Path, data: bytes) -> None:
    """Into the cache, in one piece or not at all."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
        os.replace(name, kept)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
