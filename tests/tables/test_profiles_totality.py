"""Every name that the kernel's tables have has a row that says since when."""

from __future__ import annotations

import pytest

from userbpf.abi import attrs
from userbpf.abi.enums import AttachType, Cmd, HelperId, MapType, ProgType
from userbpf.spec.commands import COMMANDS
from userbpf.spec.ctx import CTX
from userbpf.spec.kfuncs import KFUNCS
from userbpf.spec.profiles import Kind, needs, table
from userbpf.spec.profiles.fields import ATTR_FIELDS, CTX_FIELDS
from userbpf.spec.progs import PROGS
from userbpf.syscall import older
from userbpf.syscall.prog import PROG_FLAGS

NAMES: dict[Kind, set[str]] = {
    "prog_type": {t.name for t in ProgType} - {"UNSPEC"},
    "map_type": {t.name for t in MapType} - {"UNSPEC"},
    "attach_type": {t.name for t in AttachType},
    "command": {c.name for c in Cmd},
    "helper": {h.name for h in HelperId} - {"unspec"},
    "kfunc": set(KFUNCS),
    "flag": {*older.MAP_FLAGS.values(), *needs.PROG_FLAGS.values()},
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_has_a_release(kind: Kind) -> None:
    assert NAMES[kind] - set(table(kind)) == set()


def test_every_flag_of_programs_has_a_name() -> None:
    assert sum(needs.PROG_FLAGS) == PROG_FLAGS


def test_fields_are_fields() -> None:
    for cmd, name, _, _ in ATTR_FIELDS:
        cls = getattr(attrs, COMMANDS[Cmd[cmd]].attr_class)
        assert name in {field for field, _, _ in cls.fields}, name
    for ctx_class, name in CTX_FIELDS:
        types = [t for t, row in PROGS.items() if row.ctx_class == ctx_class]
        assert any(field.name == name for t in types for field in CTX.get(t, ())), (ctx_class, name)
