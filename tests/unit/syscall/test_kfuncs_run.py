"""Kernel functions run: what each returned in Linux 6.18.44, asked again of both engines (and of Linux where it may be asked)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bpfcalls import Calls, calls_of
from userbpf.abi.enums import ProgType
from userbpf.btf import Func
from userbpf.btf.lazy import read_lazy
from userbpf.helpers.kfuncs import RUNS
from userbpf.isa.asm import assemble
from userbpf.kernel import Kernel
from userbpf.spec.kfuncs import KFUNCS

VMLINUX = Path("/sys/kernel/btf/vmlinux")
KFUNC = re.compile(r"kfunc ([a-z]\w*)")

# name, arguments (text is put on the stack), result
STRINGS: list[tuple[str, list[bytes | int], int]] = [
    ("strcmp", [b"abc", b"abc"], 0),
    ("strcmp", [b"abc", b"abz"], -1),
    ("strcmp", [b"abz", b"abc"], 1),
    ("strcmp", [b"ab", b"abc"], -1),
    ("strcmp", [b"\xff", b"a"], 1),
    ("strcmp", [b"abc", 0], -34),
    ("strcmp", [b"a", -4096], -14),
    ("strcasecmp", [b"ABC", b"abc"], 0),
    ("strcasecmp", [b"ABC", b"abd"], -1),
    ("strcasecmp", [b"\xc0", b"\xe0"], 0),
    ("strcasecmp", [b"\xd7", b"\xf7"], -1),
    ("strcasecmp", [b"_", b"A"], -1),
    ("strlen", [b"hello"], 5),
    ("strlen", [b""], 0),
    ("strlen", [0], -34),
    ("strnlen", [b"hello", 3], 3),
    ("strnlen", [b"hello", 9], 5),
    ("strnlen", [b"hello", -1], 5),
    ("strchr", [b"hello", 108], 2),
    ("strchr", [b"hello", 0], 5),
    ("strchr", [b"hello", 122], -2),
    ("strchr", [b"hello", 256 + 104], 0),
    ("strchrnul", [b"hello", 122], 5),
    ("strchrnul", [b"hello", 111], 4),
    ("strnchr", [b"hello", 3, 108], 2),
    ("strnchr", [b"hello", 2, 108], -2),
    ("strnchr", [b"hi", 2, 0], -2),
    ("strnchr", [b"hi", 3, 0], 2),
    ("strrchr", [b"hello", 108], 3),
    ("strrchr", [b"hello", 0], 5),
    ("strrchr", [b"hello", 256 + 108], -2),
    ("strrchr", [b"h\xe9llo", 0xE9], 1),
    ("strrchr", [b"h\xe9llo", -23], -2),
    ("strspn", [b"hello", b"leh"], 4),
    ("strspn", [b"hello", b""], 0),
    ("strspn", [b"", 0], -34),
    ("strcspn", [b"hello", b"ol"], 2),
    ("strcspn", [b"hello", b"z"], 5),
    ("strstr", [b"hello", b"ll"], 2),
    ("strstr", [b"hello", b""], 0),
    ("strstr", [b"hello", b"lx"], -2),
    ("strstr", [b"he", b"hello"], -2),
    ("strnstr", [b"hello", b"ll", 4], 2),
    ("strnstr", [b"hello", b"ll", 3], -2),
    ("strnstr", [b"hello", b"", 0], 0),
    ("strnstr", [b"hello", b"lo", 99], 3),
]
# start, end -> (result of new) << 16 + sum of the numbers
NUMBERS = [
    (0, 10, 45),
    (5, 3, 0xFFEA0000),
    (3, 3, 0),
    (-2, 2, 0xFFFFFFFE),
    (0, 8388609, 0xFFF90000),
    (-2147483648, -2147483646, 1),
    (2147483640, 2147483647, 0x7FFFFFDD),
]
# words, count -> (result of new) << 16 + hash of the bits
BITS: list[tuple[list[int], int, int]] = [
    ([5], 1, 2),
    ([0x8000000000000001], 1, 63),
    ([1, 2, 3], 3, 0x44A),
    ([1, 2, 3], 0, 0xFFEA0000),
    ([1], -1, 0xFFF90000),
    ([1], 512, 0xFFF90000),
    ([0, 0], 2, 0),
    ([1, 1], 2, 64),
]
LOOP = """
    r6 = r0
    r7 = 0
again:
    r1 = r10
    r1 += -16
    call kfunc {name}_next
    if r0 == 0 goto done
    r1 = *(u32 *)(r0 + 0)
    r7 *= {factor}
    r7 += r1
    goto again
done:
    r1 = r10
    r1 += -16
    call kfunc {name}_destroy
    r6 <<= 16
    r0 = r7
    r0 += r6
    exit
"""


def run(calls: Calls, text: str, data: bytes = bytes(64), prog_type: ProgType = ProgType.SCHED_CLS) -> int:
    if calls.kernel is not None:
        btf = calls.kernel.vmlinux()
    else:
        btf = read_lazy(VMLINUX)
    text = KFUNC.sub(lambda m: f"kfunc {btf.find(m[1], Func).id}", text)
    fd = calls.prog(list(assemble(text)), int(prog_type))
    try:
        return calls.test_run(fd, data)[0].retval
    finally:
        calls.close(fd)


@pytest.fixture(scope="module", params=["user", "interpreter", "linux"])
def calls(request: pytest.FixtureRequest) -> Calls:
    made = calls_of(request.param)
    if made.kernel is None and Kernel().symbols() is None:
        pytest.skip("another kernel's BTF is in use")
    return made


def put(values: list[bytes | int]) -> str:
    lines, regs, off = [], [], -16
    for value in values:
        if isinstance(value, int):
            regs.append(f"r{{}} = {value}")
            continue
        raw = value + b"\0" * (8 - len(value) % 8)
        off -= len(raw)
        for i in range(0, len(raw), 8):
            word = int.from_bytes(raw[i : i + 8], "little")
            lines += [f"r0 = {word:#x} ll", f"*(u64 *)(r10 {off + i:+d}) = r0"]
        regs.append(f"r{{0}} = r10\nr{{0}} += {off}")
    return "\n".join([*lines, *(each.format(n) for n, each in enumerate(regs, 1))])


@pytest.mark.parametrize(("name", "values", "result"), STRINGS, ids=lambda x: str(x))
def test_strings(calls: Calls, name: str, values: list[bytes | int], result: int) -> None:
    assert run(calls, f"{put(values)}\ncall kfunc bpf_{name}\nexit") == result & 0xFFFFFFFF


def test_strings_without_an_end(calls: Calls) -> None:
    if calls.kernel is None:
        pytest.skip("needs an address of this process")
    import ctypes

    memory = ctypes.create_string_buffer(b"x" * 70000)
    text = f"r1 = {ctypes.addressof(memory):#x} ll\ncall kfunc bpf_strlen\nexit"
    assert run(calls, text) == -7 & 0xFFFFFFFF


@pytest.mark.parametrize(("start", "end", "result"), NUMBERS)
def test_numbers(calls: Calls, start: int, end: int, result: int) -> None:
    new = f"r1 = r10\nr1 += -16\nr2 = {start}\nr3 = {end}\ncall kfunc bpf_iter_num_new\n"
    assert run(calls, new + LOOP.format(name="bpf_iter_num", factor=1)) == result


@pytest.mark.parametrize(("words", "count", "result"), BITS)
def test_bits(calls: Calls, words: list[int], count: int, result: int) -> None:
    off = -16 - 8 * len(words)
    text = "".join(f"r0 = {word:#x} ll\n*(u64 *)(r10 {off + 8 * i:+d}) = r0\n" for i, word in enumerate(words))
    text += f"r1 = r10\nr1 += -16\nr2 = r10\nr2 += {off}\nr3 = {count}\ncall kfunc bpf_iter_bits_new\n"
    assert run(calls, text + LOOP.format(name="bpf_iter_bits", factor=3)) == result


def test_sections_do_nothing(calls: Calls) -> None:
    text = """
        call kfunc bpf_rcu_read_lock
        call kfunc bpf_preempt_disable
        r1 = r10
        r1 += -8
        call kfunc bpf_local_irq_save
        r1 = r10
        r1 += -8
        call kfunc bpf_local_irq_restore
        call kfunc bpf_preempt_enable
        call kfunc bpf_rcu_read_unlock
        r0 = 7
        exit
    """
    assert run(calls, text) == 7


@pytest.mark.parametrize(("prog_type", "name"), [(ProgType.XDP, "xdp"), (ProgType.SCHED_CLS, "skb")], ids=str)
def test_packet_dynptrs(calls: Calls, prog_type: ProgType, name: str) -> None:
    text = f"""
        r2 = 0
        r3 = r10
        r3 += -16
        call kfunc bpf_dynptr_from_{name}
        r1 = r10
        r1 += -16
        r2 = 3
        r3 = r10
        r3 += -32
        r4 = 8
        call kfunc bpf_dynptr_slice
        if r0 == 0 goto out
        r6 = *(u32 *)(r0 + 4)
        r1 = r10
        r1 += -16
        call kfunc bpf_dynptr_size
        r6 += r0
        r0 = r6
        exit
    out:
        r0 = 99
        exit
    """
    assert run(calls, text, bytes(range(64)), prog_type) == 0x0A090807 + 64


def test_rows_say_what_runs() -> None:
    assert {name for name, row in KFUNCS.items() if row.status == "run"} == RUNS
