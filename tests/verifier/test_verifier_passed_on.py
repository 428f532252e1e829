"""A dynptr that a callback got is passed to a global function: as it came, not from an offset. Linux 6.18.44's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from userbpf.errors import BpfError
from userbpf.loader import Object

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
char _license[] SEC("license") = "GPL";
__attribute__((noinline)) long reader(struct bpf_dynptr *d) { return bpf_dynptr_data(d, 0, 8) != 0; }
#define CALLBACK(name, off) \\
    static long callback_##name(void *d, void *c) { asm volatile("%0 += " #off : "+r"(d)); reader(d); return 0; } \\
    SEC("tracepoint") int name(void *c) { return bpf_user_ringbuf_drain(&ring, callback_##name, 0, 0); }
CALLBACK(as_it_came, 0)
CALLBACK(from_an_offset, 16)
CALLBACK(from_before, -8)
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("as_it_came", ""),
        ("from_an_offset", "dereference of modified dynptr_ptr ptr R1 off=16 disallowed"),
        ("from_before", "negative offset dynptr_ptr ptr R1 off=-8 disallowed"),
    ],
)
def test_dynptr(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "drain.bpf.c"
    path.write_text(SOURCE)
    with Object.open(path).load(progs=[]) as obj:
        if not message:
            obj.load_prog(name)
            return
        with pytest.raises(BpfError, match="Caller passes invalid args into func#2") as e:
            obj.load_prog(name)
        assert e.value.errno == 13
        assert message in (e.value.log or "")
