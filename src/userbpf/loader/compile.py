"""C source to BPF object: the user's clang when there is one, else the one that the `ziglang` wheel ships.

Our own headers (`userbpf/include`) come first, so that no kernel headers are needed. Objects are kept beside the machine
code in the cache, because a cold compiler takes a second or more: `<key>.deps` of a source, our headers and the compiler
names the headers that were read and their hashes; as long as these agree the object beside it is good.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from userbpf.errors import ObjectError

INCLUDE: Final = Path(__file__).resolve().parent.parent / "include"
FLAGS: Final = ("-O2", "-g", "-Wall", "-Wno-unused-function", "-fno-stack-protector", "-nostdlibinc", "-c")
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
            return (clang, "-target", "bpfel", "-mcpu=v3")
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
    for part in (source, str(path.absolute()).encode(), *(c.encode() for c in (*command, *FLAGS))):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    kept = store / _key(source, path, command) if store else None
    if kept is not None:
        found = _recall(kept)
        if found is not None:
            return found
    data, headers = _run(path, command)
    if kept is not None:
        _keep(kept, data, headers)
    return data


def _recall(kept: Path) -> bytes | None:
    """The object in the cache, None where there is none or a header has changed since."""
    try:
        listed = kept.with_suffix(".deps").read_text("utf-8", "surrogateescape")
        for line in listed.splitlines():
            known, _, header = line.partition(" ")
            if known == "object":
                data = kept.with_suffix(".o").read_bytes()
                return data if hashlib.sha256(data).hexdigest() == header else None
            if _hash_of(Path(header)) != known:
                return None
    except (OSError, ValueError):
        pass
    return None


def _run(path: Path, command: tuple[str, ...]) -> tuple[bytes, list[Path]]:
    """(object, headers that were read)."""
    with tempfile.TemporaryDirectory(prefix="userbpf.") as room:
        out, rule = Path(room) / "out.o", Path(room) / "out.d"
        args = [
            *command,
            *FLAGS,
            "-MD",
            "-MF",
            str(rule),
            f"-I{INCLUDE}",
            f"-I{path.parent}",
            str(path),
            "-o",
            str(out),
        ]
        try:
            done = subprocess.run(
                args, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, errors="replace"
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as e:
            raise ObjectError(f"{path}: {command[0]}: {e}") from e
        if done.returncode or not out.exists():
            raise ObjectError(f"{path} does not compile:\n{done.stderr.strip() or done.stdout.strip()}")
        return out.read_bytes(), _headers(rule)


def _headers(rule: Path) -> list[Path]:
    """What a make rule depends on, but for the source (which comes first) and our own headers (which are in the key)."""
    try:
        text = rule.read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    words = re.findall(r"(?:\\.|[^\s\\])+", text.partition(": ")[2].replace("\\\n", " "))
    found = [Path(re.sub(r"\\(.)", r"\1", word)).absolute() for word in words[1:]]
    return [header for header in found if not header.is_relative_to(INCLUDE)]


def _keep(kept: Path, data: bytes, headers: list[Path]) -> None:
    """Into the cache, each file in one piece or not at all, the list last."""
    try:
        lines = [f"{_hash_of(header)} {header}\n" for header in headers]
        lines.append(f"object {hashlib.sha256(data).hexdigest()}\n")
        kept.parent.mkdir(parents=True, exist_ok=True)
        _write(kept.with_suffix(".o"), data)
        _write(kept.with_suffix(".deps"), "".join(lines).encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else


def _write(path: Path, data: bytes) -> None:
    fd, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(data)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
