"""What ends a subprogram early, while its caller goes on: classic packet loads out of bounds, and tail calls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from userbpf import linux
from userbpf.errors import BpfError
from userbpf.loader import Object

REASON = linux.available()
SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define SUB(name, text) __attribute__((naked, used)) static int name(void) { asm volatile(text); }
#define PROG(name, sub, text) SEC("socket") __attribute__((naked)) int name(void) { asm volatile(text :: [s]"i"(sub)); }
SUB(byte_at, "r6 = r1; r0 = *(u8 *)skb[40]; r0 += 1; exit;")
SUB(twice, "r6 = r1; r0 = *(u8 *)skb[0]; r7 = r0; r7 += 30; r0 = *(u32 *)skb[r7]; r0 += 1; exit;")
PROG(goes_on, byte_at, "call %[s]; r0 += 100; exit;")
PROG(many, twice, "r6 = r1; call %[s]; r8 = r0; r1 = r6; call %[s]; r0 += r8; r0 += 7; exit;")
PROG(unset, byte_at, "call %[s]; if r0 != 0 goto 1f; r0 = r9; 1: r0 = 0; exit;")
PROG(kept, byte_at, "r7 = *(u32 *)(r1 + 0); r7 &= 7; call %[s]; r2 = r10; r2 += -8; r2 += r7; *(u8 *)(r2 + 0) = r0;"
     "r0 = r7; exit;")
char LICENSE[] SEC("license") = "GPL";
"""


TAIL_CALLS = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __uint(value_size, 4); }
	jumps SEC(".maps");
#define PACKET(c) char *p = (void *)(long)c->data; if (p + 4 > (char *)(long)c->data_end) return 0
static __attribute__((noinline)) int leaves(struct __sk_buff *c) { bpf_tail_call(c, &jumps, 0); return c->len; }
__attribute__((noinline)) int leaves_too(struct __sk_buff *c) { bpf_tail_call(c, &jumps, 0); return c->len; }
SEC("tc") int after_static(struct __sk_buff *c) { PACKET(c); int r = leaves(c); return *p + r; }
SEC("tc") int after_global(struct __sk_buff *c) { PACKET(c); int r = leaves_too(c); return *p + r; }
SEC("tc") int directly(struct __sk_buff *c) { PACKET(c); bpf_tail_call(c, &jumps, 0); return *p; }
SEC("tc") int looked_up_again(struct __sk_buff *c) { int r = leaves(c); PACKET(c); return *p + r; }
char LICENSE[] SEC("license") = "GPL";
"""
ADDRESS = re.compile(r"(\(18\) r\d = )0x[0-9a-f]+ *")


def log_of(path: Path, transport: str, name: str) -> list[str]:
    with Object.open(path).load(transport, progs=()) as obj:
        try:
            log = obj.load_prog(name, 2).log
        except BpfError as e:
            log = e.log
    return ADDRESS.sub(r"\1X ", log or "").splitlines()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("c") / "packet_loads.bpf.c"
    path.write_text(SOURCE)
    return path


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("name", ["goes_on", "many", "unset"])
def test_log_is_linuxs(source: Path, name: str) -> None:
    mine = log_of(source, "user", name)
    assert mine == log_of(source, "linux", name)
    assert any(line.startswith("returning from callee") for line in mine)


def test_where_linux_ends_in_a_bug_of_its_own(source: Path) -> None:
    """6.18.44 says `verifier bug: static subprog unexpected regs 80` (EFAULT) when it looks for r7's origin beyond the load."""
    assert "falling back to forcing all scalars precise" in "".join(log_of(source, "user", "kept"))
    with Object.open(source).load(progs=["kept"]) as obj:
        assert obj.progs["kept"].run(bytes(60)).retval == 60 - 14 & 7


def test_what_a_caller_did_not_set_is_noticed(source: Path) -> None:
    assert "R9 !read_ok" in log_of(source, "user", "unset")


@pytest.mark.parametrize(
    "transport", ["user", pytest.param("linux", marks=pytest.mark.skipif(REASON is not None, reason=str(REASON)))]
)
@pytest.mark.parametrize(("name", "short", "long"), [("goes_on", 100, 104), ("many", 7, 7 + 2 * 0x03030304)])
def test_result(source: Path, transport: str, name: str, short: int, long: int) -> None:
    with Object.open(source).load(transport, progs=[name]) as obj:
        prog = obj.progs[name]
        # a socket filter's packet begins behind the Ethernet header
        assert prog.run(bytes([3]) * 34).retval == short
        assert prog.run(bytes([3]) * 80).retval == long


@pytest.fixture(scope="module")
def tail_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("c") / "tail_calls.bpf.c"
    path.write_text(TAIL_CALLS)
    return path


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("name", ["after_static", "after_global", "directly", "looked_up_again"])
def test_log_of_tail_calls_is_linuxs(tail_calls: Path, name: str) -> None:
    assert log_of(tail_calls, "user", name) == log_of(tail_calls, "linux", name)


@pytest.mark.parametrize("name", ["after_static", "after_global"])
def test_what_a_tail_call_leads_to_may_move_the_packet(tail_calls: Path, name: str) -> None:
    """Accepted here once: the program called moves the packet, returns to the caller of the function, which reads on."""
    assert any("invalid mem access 'scalar'" in line for line in log_of(tail_calls, "user", name))
