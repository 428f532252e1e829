"""Tags of a global function's arguments, and offsets of what is passed: Linux 6.18.44's words, and three of its holes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bpfcalls import calls_of
from userbpf.abi.enums import ProgType
from userbpf.btf import Btf
from userbpf.btf.builder import Builder
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, check, verify
from verifier.objects_rig import SYSCALL, TC, Scene, Types, message

CONTEXT = "r1 = r1"
STACK = "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8"


def log_of(caller: str, build: Callable[[Builder, int], tuple[int, int]], linkage: int = 1, body: str = "") -> str:
    """What is said of a classifier that passes r1 to a function; `build` makes the parameter's type and its tags."""
    b = Builder()
    number = b.integer("int", 4, signed=True)
    main = b.func("main", b.proto(number, []), 1)
    parameter, tag = build(b, number)
    func = b.func("g", b.proto(number, [("a", parameter)]), linkage)
    for name in ("ctx", "nonnull", "nullable", "trusted"):
        if tag and name in TAGS[tag]:
            b.decl_tag(f"arg:{name}", func, 0)
    text = f"{caller}\ncall g\nr0 = 0\nexit\ng:\n{body}\nr0 = 0\nexit\n"
    insns = assemble(text)
    start = next(i for i, insn in enumerate(insns) if insn.code == 0x95) + 1
    infos = [(0, main), (start, func)]
    request = VerifyRequest(insns, ProgType.SCHED_CLS, log_level=2, btf=Btf.parse(b.encode()), func_info=infos)
    try:
        return verify(request).log
    except Rejected as refused:
        return f"{refused.log}\nerrno {refused.errno}"


TAGS = {1: ("nullable",), 2: ("nonnull", "nullable"), 3: ("ctx",), 4: ("nonnull",)}


@pytest.mark.parametrize("tag", [1, 2])
def test_plain_memory_may_be_null_anyway(tag: int) -> None:
    """`nullable` goes with `trusted` alone."""
    log = log_of(STACK, lambda b, number: (b.pointer(number), tag))
    assert "arg#0 has invalid combination of tags" in log
    assert "Caller passes invalid args into func#1 ('g')" in log
    assert "errno 22" in log


def test_context_without_a_name() -> None:
    log = log_of(CONTEXT, lambda b, number: (b.pointer(b.pointer(number)), 3))
    assert "arg#0 type doesn't have a name" in log


def test_moved_context_as_memory() -> None:
    """Which pointers may have an offset is asked first, with its own errno."""
    log = log_of("r1 += 4", lambda b, number: (b.pointer(number), 0))
    assert "dereference of modified ctx ptr R1 off=4 disallowed" in log
    assert "errno 13" in log


def test_dynptr_of_a_static_function() -> None:
    """A static function is checked anew; what its prototype wants of a dynptr is only said."""

    def dynptr(b: Builder, number: int) -> tuple[int, int]:
        return b.pointer(b.struct("bpf_dynptr", [("x", b.array(b.integer("u64", 8), 2))])), 0

    log = log_of(CONTEXT, dynptr, linkage=0)
    assert "arg#0 expected pointer to stack or const struct bpf_dynptr" in log
    assert "errno" not in log


def test_number_with_a_tag() -> None:
    log = log_of("r1 = 1", lambda b, number: (number, 4))
    assert "arg#0 has pointer tag, but is not a pointer type" in log


ITERATOR_AFTER_SECTION = """
 call kfunc bpf_rcu_read_lock
 r1 = r10
 r1 += -32
 r2 = 0
 r3 = 0
 call kfunc bpf_iter_task_new
loop:
 r1 = r10
 r1 += -32
 call kfunc bpf_iter_task_next
 if r0 == 0 goto done
 call kfunc bpf_rcu_read_unlock
 call kfunc bpf_rcu_read_lock
 goto loop
done:
 r1 = r10
 r1 += -32
 call kfunc bpf_iter_task_destroy
 call kfunc bpf_rcu_read_unlock
 r0 = 0
 exit
"""
BEHIND_THE_OBJECT = """
 r1 = @flexible
 r2 = 0
 call kfunc bpf_obj_new_impl
 if r0 == 0 goto out
 *(u32 *)(r0 + 8) = 1
 r1 = r0
 r2 = 0
 call kfunc bpf_obj_drop_impl
out:
 r0 = 0
 exit
"""


@pytest.mark.parametrize(
    ("prog_type", "flags", "text", "words"),
    [
        # the second round finds a state of before the section ended, and takes it for its own
        (SYSCALL, 1 << 4, ITERATOR_AFTER_SECTION, "expected an RCU CS when using bpf_iter_task_next"),
        # an array without a size at the end of an object of the program's own: nobody made room for its elements
        (TC, 0, BEHIND_THE_OBJECT, "access beyond struct flexible at off 8 size 4"),
    ],
    ids=["iterator after its section", "behind an object"],
)
def test_holes_of_linux(prog_type: int, flags: int, text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.18.44 accepts these; here they are refused, but where its holes are mirrored."""

    def flexible(types: Types) -> None:
        types.ids["tail"] = types.builder.array(types["u32"], 0)
        types.value("flexible", ("n", "u64"), ("tail", "tail"))

    scene = Scene(calls_of("user"), Types(flexible))
    err, log, _ = scene.ask(prog_type, text, prog_flags=flags)
    assert err
    assert message(log) == words
    monkeypatch.setattr(check, "mirror_holes", True)
    assert scene.ask(prog_type, text, prog_flags=flags)[0] == 0
