"""Variables of the kernel that a program names. Texts of refusals as Linux has them; what a kernel that tells the addresses
of its variables answers is from documentation."""

from __future__ import annotations

import pytest

from userbpf.abi.enums import ProgType
from userbpf.btf import Btf
from userbpf.btf.builder import Builder
from userbpf.isa.asm import assemble
from userbpf.verifier import Rejected, VerifyRequest, verify


def types() -> tuple[Btf, dict[str, int]]:
    b = Builder()
    u32 = b.integer("u32", 4)
    queue = b.struct("rq", [("cpu", u32), ("count", u32)])
    ids = {"number": b.var("number", u32), "queue": b.var("queue", queue)}
    ids |= {"percpu": b.var("runqueues", queue), "percpu_number": b.var("counter", u32)}
    ids["func"] = b.func("f", b.proto(u32))
    ids["int"] = u32
    b.section(".data..percpu", [ids["percpu"], ids["percpu_number"]])
    return b.btf, ids


def load(what: str, text: str, known: bool = True) -> tuple[int, str]:
    btf, ids = types()
    code = f"r1 = btf_id {ids.get(what, 5000)} ll\n{text}\nr0 = 0\nexit"
    request = VerifyRequest(
        assemble(code), ProgType.KPROBE, log_level=2, vmlinux=lambda: btf, has_symbol=lambda name: known
    )
    try:
        return 0, verify(request).log
    except Rejected as refusal:
        return refusal.errno or 0, refusal.log


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("number", "R1=rdonly_mem(sz=4)"),
        ("queue", "R1=ptr_rq()"),
        ("percpu", "R1=percpu_ptr_rq()"),
        ("percpu_number", "R1=percpu_ptr_u32()"),
        ("func", "R1=rdonly_mem(sz=0)"),
    ],
)
def test_kinds(what: str, shown: str) -> None:
    err, log = load(what, "r2 = 0")
    assert err == 0 and shown in log


@pytest.mark.parametrize(
    ("what", "text", "message"),
    [
        ("percpu", "r2 = *(u32 *)(r1 +0)", "R1 is ptr_rq access percpu memory: off=0"),
        ("number", "*(u32 *)(r1 +0) = 1", "R1 cannot write into rdonly_mem"),
        ("number", "r2 = *(u64 *)(r1 +0)", "invalid access to memory, mem_size=4 off=0 size=8"),
        ("queue", "*(u32 *)(r1 +0) = 1", "only read is supported"),
        ("percpu", "r2 = 0\ncall 153\nr2 = *(u32 *)(r0 +0)", "R0 invalid mem access 'ptr_or_null_'"),
    ],
)
def test_refused(what: str, text: str, message: str) -> None:
    err, log = load(what, text)
    assert err == 13 and message in log


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("percpu", "r2 = 0\ncall 153\nif r0 == 0 goto +1\nr2 = *(u32 *)(r0 +4)"),
        ("percpu", "call 154\nr2 = *(u32 *)(r0 +4)"),
        ("percpu_number", "call 154\nr2 = *(u32 *)(r0 +0)"),
        ("queue", "r2 = *(u32 *)(r1 +4)"),
    ],
)
def test_accepted(what: str, text: str) -> None:
    assert load(what, text)[0] == 0


def test_names_that_are_none() -> None:
    assert load("int", "")[1].splitlines()[1].endswith("in ldimm64 isn't KIND_VAR or KIND_FUNC")
    err, log = load("nothing", "")
    assert err == 2 and "ldimm64 insn specifies invalid btf_id 5000." in log
    err, log = load("number", "", known=False)
    assert err == 2 and "ldimm64 failed to find the address for kernel symbol 'number'." in log
