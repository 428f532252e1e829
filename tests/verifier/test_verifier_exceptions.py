"""Functions for exceptions, named by a tag of the main program: refused, as nothing throws here."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from userbpf.errors import BpfError
from userbpf.loader import Object

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define CALLBACK(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
__attribute__((noinline)) int handler(__u64 cookie) { asm volatile("" : "+r"(cookie)); return cookie; }
SEC("tc") CALLBACK(nobody) int unknown(struct __sk_buff *c) { return 0; }
SEC("tc") CALLBACK(handler) CALLBACK(nobody) int several(struct __sk_buff *c) { return 0; }
SEC("tc") CALLBACK(handler) int known(struct __sk_buff *c) { return handler(1); }
SEC("tc") int none(struct __sk_buff *c) { return handler(1); }
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("unknown", errno.EINVAL, "exception callback type id not found in func_info"),
        ("several", errno.EEXIST, "multiple exception callback tags for main subprog"),
        ("known", errno.EINVAL, r"exception callback handler\(\) is not supported"),
    ],
)
def test_callbacks_are_refused(tmp_path: Path, name: str, error: int, message: str) -> None:
    path = tmp_path / "throws.bpf.c"
    path.write_text(SOURCE)
    with Object.open(path).load(progs=["none"]) as obj:
        with pytest.raises(BpfError, match=message) as e:
            obj.load_prog(name)
        assert e.value.errno == error
