"""Objects that would lie above the frame. Linux 6.18.44 takes the frame pointer itself for an iterator eight bytes below
it (measured; with such a program its bpf_iter_num_destroy would write beyond the stack); here the pointer has to point at
the object."""

from __future__ import annotations

from pathlib import Path

import pytest

from userbpf.errors import BpfError
from userbpf.loader import Object

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __attribute__((section(".ksyms")));
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __attribute__((section(".ksyms")));
char _license[] SEC("license") = "GPL";
#define PROGRAM(name, at) SEC("tracepoint") __attribute__((naked)) int name(void *c) { asm volatile( \\
    "r1 = r10; r1 += -8; r2 = 0; r3 = 2; call %[new]; r1 = r10; r1 += " #at "; call %[destroy]; r0 = 0; exit" \\
    :: [new] "i"(bpf_iter_num_new), [destroy] "i"(bpf_iter_num_destroy) : "memory"); }
SEC("tracepoint") int in_c(void *c) {
    struct bpf_iter_num it; bpf_iter_num_new(&it, 0, 2); bpf_iter_num_destroy(&it); return 0; }
PROGRAM(where_it_is, -8)
PROGRAM(above_the_frame, 0)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("above") / "above.bpf.c"
    source.write_text(SOURCE)
    return source


def test_where_it_is(path: Path) -> None:
    with Object.open(path).load(progs=["where_it_is"]):
        pass


def test_above_the_frame(path: Path) -> None:
    with pytest.raises(BpfError) as e:
        Object.open(path).load(progs=["above_the_frame"])
    assert e.value.errno == 22
    assert "expected an initialized iter_num as arg #0" in (e.value.log or "")
