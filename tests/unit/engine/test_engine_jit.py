"""Compiled programs and their surroundings: helpers, tail calls, callbacks, context words, what is kept and cached."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from enginerig import ENGINES, HEADROOM, Maps, Rig, accept, run_interp, run_jit, unverified
from userbpf.abi.enums import HelperId, ProgType
from userbpf.engine import Env, HelperImpl, HelperMissing, compile_prog
from userbpf.engine.jit.flow import Pointers, find_live, find_pointers, function
from userbpf.engine.jit.program import ir_text
from userbpf.helpers import bodies
from userbpf.native import load64, native
from userbpf.native import rt as layout
from userbpf.spec.ctx import ctx_fields
from userbpf.verifier.api import Fact, PtrKind, VerifiedProg

ARRAY = (2, 4, 8, 4)
HASH = (1, 8, 8, 16)
PROGS = (3, 4, 4, 4)
both = pytest.mark.parametrize("run", ENGINES.values(), ids=list(ENGINES))
Run = Callable[..., int]


# --- the analysis ----------------------------------------------------------------------------------------------------------


def analysed(text: str) -> tuple[VerifiedProg, Any]:
    prog = accept(text, ProgType.XDP)
    func = function(prog, 0)
    find_live(prog, func)
    pointers = {f.off: f for f in ctx_fields(ProgType.XDP) if f.word is not None}
    find_pointers(func, Pointers(prog, pointers), 1 << 1)
    return prog, func


def test_blocks_leave_out_what_never_runs() -> None:
    _, func = analysed("r0 = 1\nif r0 == 1 goto l\nr0 = 2\nl: exit")
    assert [(b.start, b.pcs, b.next) for b in func.blocks.values()] == [(0, [0, 1], (3,)), (3, [3], ())]


def test_live_registers_at_the_loop() -> None:
    _, func = analysed("r0 = 0\nr1 = 3\nr2 = 9\nl: r0 += 1\nr1 -= 1\nif r1 != 0 goto l\nexit")
    assert func.blocks[3].live_in == 0b11  # r0 and r1, not r2


def test_pointers_are_known_where_all_paths_agree() -> None:
    text = """
    r6 = *(u32 *)(r1 +0)
    r7 = *(u32 *)(r1 +4)
    r8 = 1
    r2 = r6
    r2 += 14
    if r2 > r7 goto out
    r8 = r6
    out: r0 = 0
    if r8 == 1 goto end
    r0 = 1
    end: exit"""
    _, func = analysed(text)
    out = next(b for b in func.blocks.values() if b.start == 7)
    assert out.ptr_in & 1 << 7 and out.ptr_in & 1 << 2
    assert not out.ptr_in & 1 << 8  # a number on one path


def test_packet_loops_become_vectors() -> None:
    text = """
    r6 = *(u32 *)(r1 +0)
    r7 = *(u32 *)(r1 +4)
    r2 = r6
    r2 += 512
    r0 = 0
    r8 = 0
    if r2 > r7 goto out
    l: r3 = *(u16 *)(r6 +0)
    r0 += r3
    r6 += 2
    r8 += 1
    if r8 != 256 goto l
    out: exit"""
    from userbpf.native.objects import optimise

    prog = accept(text, ProgType.XDP)
    module, _ = optimise(ir_text(prog, Env()), 2)
    assert " x i16>" in str(module), "the loop was not vectorised"


# --- helpers ---------------------------------------------------------------------------------------------------------------


def with_python(body: Callable[..., int], helper: HelperId = HelperId.get_prandom_u32) -> Env:
    return Env(helpers={int(helper): HelperImpl(py=body)}, kernel="the kernel")


@both
def test_python_bodies_get_kernel_run_context_and_registers(run: Run) -> None:
    seen: list[tuple[Any, ...]] = []

    def body(*args: Any) -> int:
        seen.append(args)
        return -5

    prog = accept("r1 = 9\nr2 = 7\ncall bpf_redirect\nr0 &= 0xffff\nexit", ProgType.SCHED_CLS)
    rig = Rig()
    assert run(prog, rig, with_python(body, HelperId.redirect)) == -5 & 0xFFFF
    assert [a[:4] for a in seen] == [("the kernel", rig.rt, 9, 7)] and len(seen[0]) == 7


@both
def test_errors_of_python_bodies_come_out(run: Run) -> None:
    def body(*args: Any) -> int:
        raise ZeroDivisionError("in the helper")

    prog = accept("call bpf_get_prandom_u32\nr0 = 1\nexit")
    with pytest.raises(ZeroDivisionError, match="in the helper"):
        run(prog, Rig(), with_python(body))
    assert run(accept("r0 = 4\nexit"), Rig()) == 4  # and do not come out twice


def test_the_first_error_of_a_run_counts() -> None:
    errors = iter([KeyError("first"), ValueError("second")])

    def body(*args: Any) -> int:
        raise next(errors)

    prog = accept("call bpf_get_prandom_u32\ncall bpf_get_prandom_u32\nr0 = 1\nexit")
    with pytest.raises(KeyError, match="first"):
        run_jit(prog, Rig(), with_python(body))


@both
def test_helpers_without_a_body_say_so_when_called(run: Run) -> None:
    prog = accept("r2 = *(u32 *)(r1 +0)\nif r2 == 77 goto l\ncall bpf_get_prandom_u32\nl: r0 = 1\nexit")
    with pytest.raises(HelperMissing, match="bpf_get_prandom_u32"):
        run(prog, Rig(), Env())
    assert run(prog, Rig(image=b"\x4d"), Env()) == 1


@native
def add_all(rt: int, a: int, b: int, *, more: int) -> int:
    """A native body with a constant."""
    return load64(rt + layout.RT_PRANDOM) * 0 + a + b + more


@both
def test_native_bodies_and_their_constants(run: Run) -> None:
    env = Env(helpers={int(HelperId.redirect): HelperImpl(fn=add_all, consts={"more": 100})})
    assert run(accept("r1 = 1\nr2 = 20\ncall bpf_redirect\nexit", ProgType.SCHED_CLS), Rig(), env) == 121


@both
def test_kernel_functions(run: Run) -> None:
    prog = unverified("r1 = 1\nr2 = 20\ncall kfunc 4711\nexit")
    env = Env(kfuncs={4711: HelperImpl(fn=add_all, consts={"more": 5})})
    assert run(prog, Rig(), env) == 26


# --- context -----------------------------------------------------------------------------------------------------------------


@both
def test_packet_pointers_are_read_again_after_the_packet_moved(run: Run) -> None:
    text = """
    r6 = r1
    r2 = -16
    call bpf_xdp_adjust_head
    r1 = *(u32 *)(r6 +0)
    r2 = *(u32 *)(r6 +4)
    r3 = r1
    r3 += 20
    r0 = 1
    if r3 > r2 goto out
    *(u64 *)(r1 +0) = 0x11
    r0 = *(u8 *)(r1 +16)
    out: exit"""
    prog = accept(text, ProgType.XDP)
    assert prog.changes_packet
    rig = Rig(bytes([0xAB, *range(63)]))
    assert run(prog, rig, Env(helpers=bodies(ProgType.XDP))) == 0xAB
    assert len(rig.packet()) == 80 and rig.packet()[:2] == b"\x11\0"


@both
def test_context_fields_narrow_wide_and_written(run: Run) -> None:
    text = """
    r0 = *(u8 *)(r1 +9)
    r2 = *(u64 *)(r1 +48)
    *(u64 *)(r10 -8) = r2
    r2 = *(u32 *)(r10 -4)
    r0 += r2
    *(u32 *)(r1 +8) = r0
    exit"""
    image = (
        bytes(8) + (0x5500).to_bytes(4, "little") + bytes(36) + (7).to_bytes(4, "little") + (9).to_bytes(4, "little")
    )
    rig = Rig(image=image)
    assert run(accept(text, ProgType.SCHED_CLS), rig) == 0x55 + 9
    assert rig.image()[8:12] == (0x55 + 9).to_bytes(4, "little")


@both
def test_data_meta_and_headroom(run: Run) -> None:
    text = """
    r6 = r1
    r2 = -4
    call bpf_xdp_adjust_meta
    r1 = *(u32 *)(r6 +8)
    r2 = *(u32 *)(r6 +0)
    r3 = r1
    r3 += 4
    r0 = 1
    if r3 > r2 goto out
    *(u32 *)(r1 +0) = 5
    r0 = 2
    out: exit"""
    rig = Rig()
    assert run(accept(text, ProgType.XDP), rig, Env(helpers=bodies(ProgType.XDP))) == 2
    assert rig.word(layout.CTX_DATA_META) == rig.start - 4 and rig.start - rig.buffer == HEADROOM


# --- tail calls ----------------------------------------------------------------------------------------------------------------

TAIL = "r6 = r1\nr2 = map_fd 0 ll\nr3 = {index}\ncall bpf_tail_call\nr0 = 99\nexit"


class Tails:
    """A program array and programs in it, for both engines."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.maps = Maps(PROGS)
        self.targets: dict[int, tuple[VerifiedProg, Env]] = {}
        self.code: list[Any] = []

    def env(self, prog: VerifiedProg, **given: Any) -> Env:
        return self.maps.env(prog, tail_target=lambda desc, index: self.targets.get(index), **given)

    def put(self, index: int, text: str, **given: Any) -> None:
        prog = accept(text, shapes=self.maps.shapes)
        env = self.env(prog, **given)
        self.targets[index] = prog, env
        code = compile_prog(prog, env)
        self.code.append(code)
        self.maps.maps[0].set_prog(index, 1, code.addr)

    def start(self, text: str) -> int:
        prog = accept(text, shapes=self.maps.shapes)
        return self.run(prog, Rig(), self.env(prog))


@both
def test_tail_call(run: Run) -> None:
    tails = Tails(run)
    tails.put(1, "r0 = 42\nexit")
    assert tails.start(TAIL.format(index=1)) == 42
    assert tails.start(TAIL.format(index=0)) == 99  # empty
    assert tails.start(TAIL.format(index=4)) == 99  # beyond the end
    assert tails.start(TAIL.format(index=-1)) == 99


@both
def test_a_tail_call_index_is_32_bits(run: Run) -> None:
    tails = Tails(run)
    tails.put(1, "r0 = 42\nexit")
    assert tails.start("r2 = map_fd 0 ll\nr3 = 0x500000001 ll\ncall bpf_tail_call\nr0 = 99\nexit") == 42


@both
def test_a_dynamic_index(run: Run) -> None:
    tails = Tails(run)
    tails.put(2, "r0 = 42\nexit")
    assert tails.start("r3 = *(u32 *)(r1 +0)\nr3 += 2\nr2 = map_fd 0 ll\ncall bpf_tail_call\nr0 = 99\nexit") == 42


@both
def test_33_tail_calls_and_no_more(run: Run) -> None:
    counted = """
    r0 = *(u32 *)(r1 +48)
    r0 += 1
    *(u32 *)(r1 +48) = r0
    r2 = map_fd 0 ll
    r3 = 0
    call bpf_tail_call
    r0 = 7
    exit"""
    tails = Tails(run)
    tails.put(0, counted)
    prog = accept(counted, shapes=tails.maps.shapes)
    rig = Rig()
    env = tails.env(prog)
    for _ in range(2):  # each run begins anew
        rig.clear_image()
        assert run(prog, rig, env) == 7
        assert int.from_bytes(rig.image()[48:52], "little") == 34


@both
def test_a_tail_call_to_nothing_does_not_count(run: Run) -> None:
    tails = Tails(run)
    tails.put(1, "r0 = 42\nexit")
    nowhere = "r1 = r6\nr2 = map_fd 0 ll\nr3 = 0\ncall bpf_tail_call\n" * 40
    assert (
        tails.start("r6 = r1\n" + nowhere + "r1 = r6\nr2 = map_fd 0 ll\nr3 = 1\ncall bpf_tail_call\nr0 = 9\nexit") == 42
    )


@both
def test_a_tail_call_in_a_subprogram_returns_to_its_caller(run: Run) -> None:
    tails = Tails(run)
    tails.put(0, "r0 = 40\nexit")
    prog = unverified(
        "r6 = r1\ncall f\nr0 += 2\nexit\nf: r2 = map_fd 0 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit",
        maps=tuple(tails.maps.shapes),
        facts=tuple(Fact(map=0) if pc == 4 else None for pc in range(10)),
    )
    assert run(prog, Rig(), tails.env(prog)) == 42


def test_errors_in_a_tail_called_program_come_out() -> None:
    def body(*args: Any) -> int:
        raise LookupError("far away")

    tails = Tails(run_jit)
    tails.put(0, "call bpf_get_prandom_u32\nr0 = 1\nexit", helpers={7: HelperImpl(py=body)})
    with pytest.raises(LookupError, match="far away"):
        tails.start(TAIL.format(index=0))


# --- callbacks -----------------------------------------------------------------------------------------------------------------

FOR_EACH = """
*(u64 *)(r10 -8) = 0
r1 = map_fd 0 ll
r2 = func f ll
r3 = r10
r3 += -8
r4 = 0
call bpf_for_each_map_elem
r1 = *(u64 *)(r10 -8)
r0 <<= 32
r0 |= r1
exit
f: r5 = *(u{bits} *)(r2 +0)
r0 = *(u64 *)(r3 +0)
r5 *= r0
r0 = *(u64 *)(r4 +0)
r0 += r5
*(u64 *)(r4 +0) = r0
*(u64 *)(r3 +0) = 1
r0 = 0
{stop}exit"""


def for_each(run: Run, spec: tuple[int, ...], entries: dict[int, int], stop: str = "") -> tuple[int, int, Maps]:
    bits = spec[1] * 8
    text = FOR_EACH.format(bits=bits, stop=stop)
    maps = Maps(spec)
    for key, value in entries.items():
        maps.maps[0].update(key.to_bytes(spec[1], "little"), value.to_bytes(8, "little"))
    pcs = unverified(text)
    facts = tuple(
        Fact(map=0) if i.code == 0x18 and i.src == 1 else f for i, f in zip(pcs.insns, pcs.facts, strict=True)
    )
    prog = unverified(text, maps=tuple(maps.shapes), facts=facts)
    r0 = run(prog, Rig(), maps.env(prog))
    return r0 >> 32, r0 & 0xFFFFFFFF, maps


@both
def test_for_each_of_an_array(run: Run) -> None:
    count, total, maps = for_each(run, ARRAY, {0: 5, 1: 6, 2: 7, 3: 8})
    assert (count, total) == (4, 0 * 5 + 1 * 6 + 2 * 7 + 3 * 8)
    assert set(maps.content()[0].values()) == {(1).to_bytes(8, "little")}


@both
def test_for_each_of_a_hash(run: Run) -> None:
    entries = {n * 7 + 1: n for n in range(12)}
    count, total, _ = for_each(run, HASH, entries)
    assert (count, total) == (12, sum(k * v for k, v in entries.items()))


@both
def test_for_each_stops_when_told(run: Run) -> None:
    count, _, maps = for_each(
        run, ARRAY, {0: 5, 1: 6, 2: 7, 3: 8}, "r1 = *(u32 *)(r2 +0)\nif r1 != 1 goto n\nr0 = 1\nn: "
    )
    assert count == 2
    assert list(maps.content()[0].values())[2] == (7).to_bytes(8, "little")


# --- maps -------------------------------------------------------------------------------------------------------------

COUNT = """
*(u32 *)(r10 -4) = {key}
r1 = map_fd 0 ll
r2 = r10
r2 += -4
call bpf_map_lookup_elem
if r0 == 0 goto l
r1 = 1
lock *(u64 *)(r0 +0) += r1
l: r0 = 0
exit"""


@both
def test_global_data_and_lookups_are_the_same_memory(run: Run) -> None:
    text = """
    r6 = map_value 0 + 0 ll
    *(u64 *)(r6 +0) = 5
    *(u32 *)(r10 -4) = 0
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto l
    *(u64 *)(r0 +0) = 8
    r7 = *(u64 *)(r6 +0)
    *(u64 *)(r6 +0) = 9
    r0 = *(u64 *)(r0 +0)
    r0 *= 10
    r0 += r7
    l: exit"""
    maps = Maps((2, 4, 8, 1))
    prog = accept(text, shapes=maps.shapes)
    assert run(prog, Rig(), maps.env(prog)) == 98


@both
def test_two_names_of_one_map_are_the_same_memory(run: Run) -> None:
    maps = Maps((2, 4, 8, 1))
    text = """
    r6 = map_value 0 + 0 ll
    r7 = map_value 1 + 0 ll
    *(u64 *)(r6 +0) = 1
    *(u64 *)(r7 +0) = 2
    r0 = *(u64 *)(r6 +0)
    exit"""
    facts: list[Fact | None] = [Fact(map=0), None, Fact(map=1), None, None, None, None, None]
    for pc, index in ((4, 0), (5, 1), (6, 0)):
        facts[pc] = Fact(ptr=PtrKind.MAP_VALUE, map=index, off=0)
    prog = unverified(text, maps=(maps.shapes[0], maps.shapes[0]), facts=tuple(facts))
    env = maps.env(prog)
    assert compile_prog(prog, env).run(Rig().ctx, Rig().rt) == 2


def test_the_text_holds_no_address() -> None:
    """So another process, or the same program with other maps, is served from the cache."""
    texts = set()
    for _ in range(2):
        maps = Maps(ARRAY, HASH)
        prog = accept(COUNT.format(key=1), shapes=maps.shapes)
        texts.add(ir_text(prog, maps.env(prog)))
    assert len(texts) == 1


def test_a_program_keeps_its_maps() -> None:
    maps = Maps(ARRAY)
    prog = accept(COUNT.format(key=1), shapes=maps.shapes)
    code = compile_prog(prog, maps.env(prog))
    kept = maps.maps[0]
    del maps, prog
    gc.collect()
    rig = Rig()
    for _ in range(3):
        code.run(rig.ctx, rig.rt)
    assert kept.lookup((1).to_bytes(4, "little")) == (3).to_bytes(8, "little")


def test_counters_of_several_threads_add_up() -> None:
    maps = Maps(ARRAY)
    prog = accept(COUNT.format(key=2), shapes=maps.shapes)
    code = compile_prog(prog, maps.env(prog))

    def work() -> None:
        rig = Rig()
        for _ in range(2000):
            code.run(rig.ctx, rig.rt)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert maps.maps[0].lookup((2).to_bytes(4, "little")) == (8000).to_bytes(8, "little")


@both
def test_hash_entries_come_and_go(run: Run) -> None:
    text = """
    *(u64 *)(r10 -8) = 77
    *(u64 *)(r10 -16) = 5
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r6 = r0
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r7 = *(u64 *)(r0 +0)
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    r7 += r0
    r1 = map_fd 0 ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    r0 += r7
    r0 += r6
    out: exit"""
    maps = Maps(HASH)
    prog = accept(text, shapes=maps.shapes)
    assert run(prog, Rig(), maps.env(prog)) == 5 - 2
    assert maps.content() == [{}]


def test_large_programs_get_the_cheap_level() -> None:
    text = "r0 = *(u32 *)(r1 +0)\n" + "r0 *= 3\nr0 ^= 5\n" * 1500 + "exit"
    prog = accept(text)
    image = bytes(range(8))
    assert run_interp(prog, Rig(image=image)) == run_jit(prog, Rig(image=image))
