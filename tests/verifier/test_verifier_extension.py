"""freplace: checked by the type and prototype of what is replaced. The texts are from documentation, not asked of Linux."""

from __future__ import annotations

import pytest

from userbpf.abi.enums import ProgType
from userbpf.btf import Btf
from userbpf.btf.builder import Builder
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify
from userbpf.verifier.api import TargetProg


def types(name: str, context: str = "xdp_md", args: int = 1, linkage: int = 1, size: int = 4) -> tuple[Btf, int]:
    """One function of a pointer to a context, and numbers."""
    b = Builder()
    number = b.integer("int", size, signed=True)
    pointer = b.pointer(b.struct(context, [("data", b.integer("u32", 4))]))
    params = [("ctx", pointer), *((f"n{i}", number) for i in range(args - 1))]
    return b.btf, b.func(name, b.proto(number, params), linkage)


def load(text: str, own: tuple[Btf, int], target: tuple[Btf, int], kind: ProgType = ProgType.XDP) -> str:
    """The last line of a refusal, "" where it is accepted."""
    prog = TargetProg(kind, 0, target[0], [target[1]], [False])
    request = VerifyRequest(
        assemble(text), ProgType.EXT, log_level=1, btf=own[0], func_info=[(0, own[1])],
        attach_btf=target[0], attach_btf_id=target[1], attach_prog=prog,
    )  # fmt: skip
    try:
        verify(request)
    except Rejected as refusal:
        return [line for line in refusal.log.splitlines() if not line.startswith("processed")][-1]
    return ""


READ = "r0 = *(u32 *)(r1 +0)\nr0 = 7\nexit"


def test_the_context_is_that_of_the_other_program() -> None:
    assert load(READ, types("new"), types("old")) == ""
    assert "invalid bpf_context access" in load("r0 = *(u64 *)(r1 +3)\nexit", types("new"), types("old"))
    # XDP may not return 7 to the kernel in every version, but a function may return what it likes
    assert load("r0 = 12345\nexit", types("new"), types("old")) == ""


def test_arguments_are_those_of_the_prototype() -> None:
    assert load("r0 = r2\nexit", types("new", args=2), types("old", args=2)) == ""
    assert "R3 !read_ok" in load("r0 = r3\nexit", types("new", args=2), types("old", args=2))


@pytest.mark.parametrize(
    ("own", "target", "text"),
    [
        (types("new", args=2), types("old"), "new() has 2 args while old() has 1 args"),
        (types("new", linkage=0), types("old"), "new() is not a global function"),
        (types("new"), types("old", linkage=0), "old() is not a global function"),
        (types("new", "__sk_buff"), types("old"), "arg0 new(struct __sk_buff *) doesn't match old(struct xdp_md *)"),
        (types("new", args=2, size=8), types("old", args=2), "arg1 in new() has size 8 while old() has 4"),
    ],
)
def test_prototypes_differ(own: tuple[Btf, int], target: tuple[Btf, int], text: str) -> None:
    assert load(READ, own, target) == text


def test_what_cannot_be_replaced() -> None:
    assert load(READ, types("new"), types("old"), ProgType.EXT) == "Cannot recursively attach"
