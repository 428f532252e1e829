# ruff: noqa: E501
"""What counts of the stack: the cases of `depth_cases`, older releases, objects with tail calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from bpfcalls import calls_of
from userbpf.abi.enums import ProgType
from userbpf.errors import BpfError
from userbpf.isa.asm import assemble
from userbpf.loader import Object
from userbpf.verifier import Rejected, VerifyRequest, verify
from verifier.depth_cases import BEHIND, BY_NAME, END, TOO_LARGE, VALUES, around, asked, chain
from verifier.objects_rig import Scene


@BY_NAME
def test_depth(prog_type: int, text: str, errno: int, said: str, depth: str) -> None:
    assert asked(Scene(calls_of("user")), prog_type, text) == (errno, said, depth)


def test_frames_keep_their_spills() -> None:
    """What does not count is there all the same when the program runs."""
    done = verify(VerifyRequest(assemble(VALUES + around((2, 8), (1, 16)) + END), ProgType.XDP))
    assert done.subprogs[0].stack_depth == 16


def test_earlier_releases() -> None:
    """Before 6.12 every slot counted, before 6.13 every frame."""
    pair = f"*(u64 *)(r10 -512) = 0\nr1 = 1\ncall f\n{END}f: {around((1, 8))}{END}"
    for release, text, prog_type in (("6.6", pair, ProgType.XDP), ("6.12", chain(512, 512), ProgType.KPROBE)):
        with pytest.raises(Rejected, match="combined stack size"):
            verify(VerifyRequest(assemble(text), prog_type, log_level=1, kernel=release))


TAIL_CALLS: Final = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct programs { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); };
struct programs tc_programs SEC(".maps"), kprobe_programs SEC(".maps");
char _license[] SEC("license") = "GPL";
#define USE(n) asm volatile("*(u64 *)(r10 - " #n ") = 1" ::: "memory")
#define FUNCTION(name, map) static __attribute__((noinline)) int name(void *c) { USE(8); bpf_tail_call(c, &map, 1); return bpf_get_prandom_u32(); }
FUNCTION(leaf, tc_programs)
FUNCTION(traced_leaf, kprobe_programs)
static __attribute__((noinline)) int middle(void *c) { USE(200); return leaf(c) + 1; }
static __attribute__((noinline)) int plain(void *c) { USE(304); return bpf_get_prandom_u32(); }
#define PROG(type, name, size, f) SEC(type) int name(void *c) { USE(size); return f(c) > 1000; }
PROG("tc", below, 240, leaf)
PROG("tc", at, 248, leaf)
PROG("tc", through, 40, middle)
PROG("kprobe", traced, 504, traced_leaf)
SEC("tc") int main_itself(void *c) { USE(304); bpf_tail_call(c, &tc_programs, 1); return 1; }
SEC("kprobe") int traced_itself(void *c) { USE(256); int r = plain(c); bpf_tail_call(c, &kprobe_programs, 1); return r; }
"""


@pytest.fixture(scope="module")
def tail_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("depth") / "tails.bpf.c"
    path.write_text(TAIL_CALLS)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("below", ""),
        ("at", BEHIND.format(256)),
        ("through", BEHIND.format(256)),
        ("traced", BEHIND.format(512)),
        ("main_itself", ""),
        ("traced_itself", TOO_LARGE.format(2, 560)),
    ],
)
def test_tail_calls(tail_calls: Path, name: str, message: str) -> None:
    """Where a function tail calls, the frames behind it stay; then tracing programs have no stacks of their own."""
    with Object.open(tail_calls).load(progs=[]) as obj:
        if not message:
            obj.load_prog(name)
            return
        with pytest.raises(BpfError, match=re.escape(message)) as e:
            obj.load_prog(name)
        assert e.value.errno == 13
