"""A path to a blueprint: C source is compiled, an object is read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from userbpf.errors import ObjectError
from userbpf.loader.blueprint import ObjectPlan
from userbpf.loader.core import kernel_target
from userbpf.loader.parse import ProgTypes, parse_object

SOURCES: Final = (".c", ".cc", ".cpp")


def plan_of(data: bytes, name: str, prog_types: ProgTypes | None = None) -> ObjectPlan:
    """The blueprint of an object's bytes, adapted to the running kernel's types where it asks for them."""
    return parse_object(data, name, kernel_target(), prog_types)


def open_plan(path: Path, prog_types: ProgTypes | None = None) -> ObjectPlan:
    """The blueprint of a C source or an object file; ObjectError with the cause."""
    if path.suffix in SOURCES:
        from userbpf.loader.compile import compile_source

        return plan_of(compile_source(path), path.name, prog_types)
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ObjectError(f"{path}: {e.strerror}") from e
    return plan_of(data, path.name, prog_types)
