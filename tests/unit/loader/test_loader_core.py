"""CO-RE: each question about a type, against targets that differ from the local types."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from userbpf.abi.enums import CoreReloKind as K
from userbpf.btf import Array, Btf, Enum, Enum64, FuncProto, Fwd, Int, Member, Param, Ptr, Struct, Typedef, Union
from userbpf.btf.core_match import compatible, matches
from userbpf.btf.ext import CoreRelo
from userbpf.errors import BtfError
from userbpf.isa.insn import Insn
from userbpf.loader.core import POISON, CoreTarget, answer, relocate

U32, U8, S64, U16 = 1, 2, 3, 4


def basic() -> Btf:
    btf = Btf()
    btf.add(Int(4, 0, 0, 32, name="u32"))
    btf.add(Int(1, 0, 0, 8, name="u8"))
    btf.add(Int(8, 1, 0, 64, name="s64"))
    btf.add(Int(2, 0, 0, 16, name="u16"))
    return btf


def struct(btf: Btf, name: str, size: int, *members: Member) -> int:
    return btf.add(Struct(size, list(members), any(m.bits for m in members), name=name)).id


@pytest.fixture
def local() -> Btf:
    """struct s { u32 a; u32 b; u8 list[4]; struct t inner; u32 flag:3; u32 gone }, an enum, a flavor of s."""
    btf = basic()
    inner = struct(btf, "t", 8, Member("x", U32, 0), Member("y", U32, 32))  # 5
    array = btf.add(Array(U8, U32, 4)).id  # 6
    members = (
        Member("a", U32, 0),
        Member("b", U32, 32),
        Member("list", array, 64),
        Member("inner", inner, 96),
        Member("flag", U32, 160, 3),
        Member("gone", U32, 192),
    )
    assert struct(btf, "s", 28, *members) == 7
    btf.add(Enum(4, [("ONE", 1), ("TWO___old", 2), ("NONE", 3)], name="e"))  # 8
    struct(btf, "s___old", 4, Member("b", U32, 0))  # 9
    struct(btf, "lost", 4, Member("b", U32, 0))  # 10
    return btf


@pytest.fixture
def target() -> Btf:
    """struct s { s64 new; u16 b; u32 flag:5 at bit 70; union { struct t { u32 z, y } inner }; u8 list[8]; u32 a }."""
    btf = basic()
    inner = struct(btf, "t", 12, Member("z", U32, 0), Member("w", U32, 32), Member("y", U32, 64))
    array = btf.add(Array(U8, U32, 8)).id
    either = btf.add(Union(12, [Member("inner", inner, 0)])).id
    struct(
        btf,
        "s",
        48,
        Member("new", S64, 0),
        Member("b", U16, 64),
        Member("flag", U32, 101, 5),
        Member("", either, 128),
        Member("list", array, 224),
        Member("a", S64, 320),
    )
    btf.add(Enum(4, [("ZERO", 0), ("ONE", 10), ("TWO", 20)], name="e"))
    return btf


def ask(local: Btf, target: Btf, type_id: int, access: str, kind: K) -> int | None:
    return answer(CoreRelo(0, type_id, access, kind), local, target)[0]


@pytest.mark.parametrize(
    ("access", "kind", "expected"),
    [
        ("0:0", K.FIELD_BYTE_OFFSET, 40),
        ("0:0", K.FIELD_BYTE_SIZE, 8),
        ("0:0", K.FIELD_SIGNED, 1),
        ("0:1", K.FIELD_SIGNED, 0),
        ("0:1", K.FIELD_BYTE_OFFSET, 8),
        ("0:1", K.FIELD_BYTE_SIZE, 2),
        ("0:2:3", K.FIELD_BYTE_OFFSET, 31),
        ("0:3:1", K.FIELD_BYTE_OFFSET, 24),
        ("0:3:0", K.FIELD_EXISTS, 0),
        ("0:3:0", K.FIELD_BYTE_OFFSET, None),
        ("0:4", K.FIELD_BYTE_OFFSET, 12),
        ("0:4", K.FIELD_BYTE_SIZE, 4),
        ("0:4", K.FIELD_LSHIFT_U64, 64 - (5 + 5)),
        ("0:4", K.FIELD_RSHIFT_U64, 59),
        ("0:5", K.FIELD_EXISTS, 0),
        ("0:5", K.FIELD_BYTE_OFFSET, None),
        ("0:1", K.FIELD_EXISTS, 1),
        ("2:1", K.FIELD_BYTE_OFFSET, 2 * 48 + 8),
    ],
)
def test_fields(local: Btf, target: Btf, access: str, kind: K, expected: int | None) -> None:
    assert ask(local, target, 7, access, kind) == expected


def test_flavors_are_the_same_type(local: Btf, target: Btf) -> None:
    assert ask(local, target, 9, "0:0", K.FIELD_BYTE_OFFSET) == 8


@pytest.mark.parametrize(
    ("type_id", "kind", "expected"),
    [
        (7, K.TYPE_EXISTS, 1),
        (10, K.TYPE_EXISTS, 0),
        (7, K.TYPE_SIZE, 48),
        (10, K.TYPE_SIZE, 0),
        (7, K.TYPE_ID_LOCAL, 7),
        (7, K.TYPE_ID_TARGET, 8),
        (10, K.TYPE_ID_TARGET, 0),
    ],
)
def test_types(local: Btf, target: Btf, type_id: int, kind: K, expected: int) -> None:
    assert ask(local, target, type_id, "0", kind) == expected


@pytest.mark.parametrize(
    ("access", "kind", "expected"),
    [
        ("0", K.ENUMVAL_VALUE, 10),
        ("1", K.ENUMVAL_VALUE, 20),
        ("1", K.ENUMVAL_EXISTS, 1),
        ("2", K.ENUMVAL_EXISTS, 0),
        ("2", K.ENUMVAL_VALUE, None),
    ],
)
def test_enum_values(local: Btf, target: Btf, access: str, kind: K, expected: int | None) -> None:
    assert ask(local, target, 8, access, kind) == expected


@pytest.mark.parametrize("access", ["", "x", "0:-1", "-1", "0:99", "0:0:0", "0:" * 100 + "0", "0:99999999999"])
def test_impossible_paths(local: Btf, target: Btf, access: str) -> None:
    with pytest.raises(BtfError):
        ask(local, target, 7, access, K.FIELD_BYTE_OFFSET)


def test_candidates_that_disagree(local: Btf, target: Btf) -> None:
    struct(target, "s", 8, Member("b", U32, 32))
    with pytest.raises(BtfError, match="different answers"):
        ask(local, target, 7, "0:1", K.FIELD_BYTE_OFFSET)


def adapted(insns: list[Insn], relo: CoreRelo, local: Btf, target: Btf) -> list[Insn]:
    relocate(insns, 0, relo, local, CoreTarget(lambda: Btf.parse(target.encode())))
    return insns


def test_instructions(local: Btf, target: Btf) -> None:
    offset = CoreRelo(0, 7, "0:1", K.FIELD_BYTE_OFFSET)
    # a load of the field: its offset, and its width, which is two bytes in the target
    assert adapted([Insn(0x61, 1, 2, 4)], offset, local, target) == [Insn(0x69, 1, 2, 8)]
    # an addition of the offset, a move of a size, a 64-bit constant
    assert adapted([Insn(0x07, 1, 0, 0, 4)], offset, local, target) == [Insn(0x07, 1, 0, 0, 8)]
    size = CoreRelo(0, 7, "0", K.TYPE_SIZE)
    assert adapted([Insn(0xB4, 1, 0, 0, 28)], size, local, target) == [Insn(0xB4, 1, 0, 0, 48)]
    value = CoreRelo(0, 8, "1", K.ENUMVAL_VALUE)
    wide = [Insn(0x18, 1, 0, 0, 2), Insn(0, 0, 0, 0, 0)]
    assert adapted(wide, value, local, target) == [Insn(0x18, 1, 0, 0, 20), Insn(0)]


def test_what_is_not_there_becomes_poison(local: Btf, target: Btf) -> None:
    assert adapted([Insn(0x61, 1, 2, 24)], CoreRelo(0, 7, "0:5", K.FIELD_BYTE_OFFSET), local, target) == [POISON]
    wide = [Insn(0x18, 1, 0, 0, 3), Insn(0)]
    assert adapted(wide, CoreRelo(0, 8, "2", K.ENUMVAL_VALUE), local, target) == [POISON, POISON]


@pytest.mark.parametrize(
    ("insn", "relo"),
    [
        (Insn(0x95), CoreRelo(0, 7, "0:1", K.FIELD_BYTE_OFFSET)),
        (Insn(0x61, 1, 2, 0), CoreRelo(0, 7, "0:1", 77)),
        (Insn(0x61, 1, 2, 0), CoreRelo(0, 7, "5000:1", K.FIELD_BYTE_OFFSET)),
        (Insn(0x61, 1, 2, 0), CoreRelo(0, 99, "0:1", K.FIELD_BYTE_OFFSET)),
    ],
)
def test_relocations_that_make_no_sense(local: Btf, target: Btf, insn: Insn, relo: CoreRelo) -> None:
    with pytest.raises(BtfError):
        adapted([insn], relo, local, target)


def test_no_kernel_types(local: Btf) -> None:
    def none() -> bytes:
        raise FileNotFoundError("vmlinux")

    with pytest.raises(BtfError, match="no kernel BTF"):
        relocate([Insn(0x61)], 0, CoreRelo(0, 7, "0:1", K.FIELD_BYTE_OFFSET), local, CoreTarget(none))


def test_pointers_are_no_path(local: Btf, target: Btf) -> None:
    p = local.add(Ptr(7)).id
    struct(local, "holder", 8, Member("p", p, 0))
    with pytest.raises(BtfError):
        ask(local, target, len(local.types) - 1, "0:0:1", K.FIELD_BYTE_OFFSET)


def test_structures_that_only_a_typedef_names(local: Btf, target: Btf) -> None:
    """`typedef struct { u32 val; } cap_t___new`: the typedef is what is looked for, flavor and all."""
    own = local.add(Typedef(struct(local, "", 4, Member("val", U32, 0)), name="cap_t___new")).id
    assert ask(local, target, own, "0:0", K.FIELD_EXISTS) == 0
    theirs = struct(target, "", 16, Member("more", S64, 0), Member("val", S64, 64))
    target.add(Typedef(theirs, name="cap_t"))
    struct(target, "cap_t", 4, Member("val", U32, 0))  # of the same name, but no typedef
    assert ask(local, target, own, "0:0", K.FIELD_EXISTS) == 1
    assert ask(local, target, own, "0:0", K.FIELD_BYTE_OFFSET) == 8
    assert ask(local, target, own, "0", K.TYPE_SIZE) == 16


def test_what_no_name_leads_to(local: Btf, target: Btf) -> None:
    with pytest.raises(BtfError, match="no name"):
        ask(local, target, struct(local, "", 4, Member("val", U32, 0)), "0:0", K.FIELD_EXISTS)


def pair(build: Callable[[Btf], int]) -> tuple[Btf, int]:
    btf = basic()
    return btf, build(btf)


def proto(*params: int, ret: int = U32) -> Callable[[Btf], int]:
    return lambda b: b.add(FuncProto(ret, [Param("a", p) for p in params])).id


def pointer(to: Callable[[Btf], int]) -> Callable[[Btf], int]:
    return lambda b: b.add(Ptr(to(b))).id


def record(name: str, *members: Member, size: int = 8) -> Callable[[Btf], int]:
    return lambda b: struct(b, name, size, *members)


def holder(of: Callable[[Btf], int]) -> Callable[[Btf], int]:
    return lambda b: struct(b, "h", 8, Member("m", of(b), 0))


A, B = Member("a", U32, 0), Member("b", U8, 32)


@pytest.mark.parametrize(
    ("mine", "theirs", "loosely", "strictly"),
    [
        (record("s", A), record("s", A, B), True, True),
        (record("s", A, B), record("s", A), True, False),
        (record("s___v2", A), record("s", B, A), True, True),
        (record("s", A), record("s", Member("a", S64, 0)), True, False),
        (record("s", A), record("other", A), True, False),
        (lambda b: U32, lambda b: S64, True, False),
        (lambda b: U32, lambda b: b.add(Ptr(0)).id, False, False),
        (pointer(record("s", A)), pointer(record("s", B)), True, True),
        (pointer(record("s", A)), pointer(record("t", A)), True, False),
        (pointer(record("s", A)), lambda b: b.add(Ptr(b.add(Fwd(name="s")).id)).id, False, True),
        (pointer(record("s", A)), lambda b: b.add(Ptr(b.add(Fwd(True, name="s")).id)).id, False, False),
        (lambda b: b.add(Ptr(b.add(Fwd(name="s")).id)).id, pointer(record("s", A)), False, True),
        (lambda b: b.add(Array(U8, U32, 4)).id, lambda b: b.add(Array(U8, U32, 5)).id, True, False),
        (lambda b: b.add(Array(U8, U32, 4)).id, lambda b: b.add(Array(U8, U16, 4)).id, True, True),
        (proto(U32, U8), proto(U32, U8), True, True),
        (proto(U32), proto(U32, U8), False, False),
        (proto(U32), proto(S64), True, False),
        (proto(U32), proto(U32, ret=S64), True, False),
        (proto(U32, ret=0), proto(U32, ret=0), True, True),
        (lambda b: b.add(Enum(4, [("X", 1)])).id, lambda b: b.add(Enum(4, [("Y", 1), ("X___k", 9)])).id, True, True),
        (lambda b: b.add(Enum(4, [("X", 1)])).id, lambda b: b.add(Enum(4, [("Y", 1)])).id, True, False),
        (lambda b: b.add(Enum(4, [("X", 1)])).id, lambda b: b.add(Enum64(8, [("X", 1)])).id, True, False),
        (holder(record("s", A)), holder(record("s", B)), True, False),
        (holder(pointer(record("s", A))), holder(pointer(record("s", B))), True, True),
    ],
)
def test_compatible_and_matching(
    mine: Callable[[Btf], int], theirs: Callable[[Btf], int], loosely: bool, strictly: bool
) -> None:
    local, here = pair(mine)
    target, there = pair(theirs)
    assert compatible(local, here, target, there) is loosely
    assert matches(local, here, target, there) is strictly


def test_types_that_match(local: Btf, target: Btf) -> None:
    assert ask(local, target, 7, "0", K.TYPE_EXISTS) == 1
    assert ask(local, target, 7, "0", K.TYPE_MATCHES) == 0  # `gone` is not there
    assert ask(local, target, struct(local, "s___a", 8, Member("a", S64, 0)), "0", K.TYPE_MATCHES) == 1
