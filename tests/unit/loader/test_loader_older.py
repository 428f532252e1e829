"""Objects made fit for older kernels: BTF kinds, readers of memory, the version that programs ask for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from userbpf.btf import Btf
from userbpf.btf.builder import Builder
from userbpf.errors import BpfError, UserbpfError
from userbpf.isa.insn import Insn
from userbpf.loader import Object, older
from userbpf.spec.profiles import profile
from userbpf.syscall import Kernel

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
extern int LINUX_KERNEL_VERSION __kconfig;
enum big { HUGE = 0x100000000ULL };
float ratio;
enum big size;
__attribute__((noinline)) int twice(int x) { return x * 2; }
SEC("xdp") int asks(struct xdp_md *ctx)
{
	if (LINUX_KERNEL_VERSION < ((5 << 16) + (17 << 8)))
		return twice(ctx->ingress_ifindex) + !!size;
	return bpf_loop(1, 0, 0, 7) ? 1 : 2;
}
char LICENSE[] SEC("license") = "GPL";
"""


def blob() -> bytes:
    builder = Builder()
    number = builder.integer("int", 4, signed=True)
    builder.floating("float", 4)
    builder.type_tag("user", number)
    proto = builder.proto(number)
    func = builder.func("f", proto)
    builder.decl_tag("mine", func)
    return builder.encode()


def test_kinds_become_older_ones_and_numbers_stay() -> None:
    fitted = older.fit_btf(profile("5.4"), blob())
    assert len(fitted) == len(blob())
    kinds = [type(Btf.parse(fitted).by_id(i)).__name__ for i in range(1, 7)]
    assert kinds == ["Int", "Struct", "Const", "FuncProto", "Func", "Int"]
    assert Btf.parse(fitted).by_id(5).linkage == 0  # type: ignore[attr-defined]
    partly = Btf.parse(older.fit_btf(profile("5.15"), blob()))
    assert [type(partly.by_id(i)).__name__ for i in (2, 3, 6)] == ["Float", "Const", "Int"]
    assert older.fit_btf(profile(), blob()) == blob()


@pytest.mark.parametrize("version", ["5.4", "5.10", "5.15"])
def test_the_kernel_takes_what_was_fitted(version: str) -> None:
    import ctypes

    from userbpf.abi.attrs import BtfLoadAttr
    from userbpf.abi.enums import Cmd
    from userbpf.syscall import dispatch

    kernel = Kernel(version=version, vmlinux_btf="")
    for data, taken in ((blob(), False), (older.fit_btf(kernel.profile, blob()), True)):
        buffer = ctypes.create_string_buffer(data)
        attr = BtfLoadAttr(btf=ctypes.addressof(buffer), btf_size=len(data))
        try:
            dispatch(kernel, Cmd.BTF_LOAD, attr)
        except BpfError:
            assert not taken
        else:
            assert taken


def test_readers_of_memory() -> None:
    insns = [Insn(0x85, 0, 0, 0, 113), Insn(0x18, 1, 0, 0, 113), Insn(0x00), Insn(0x85, 0, 0, 0, 115), Insn(0x95)]
    assert [i.imm for i in older.fit_insns(profile("5.4"), insns)] == [4, 113, 0, 45, 0]
    assert older.fit_insns(profile("5.10"), insns) == insns


def test_the_version_that_programs_see_decides_what_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "asks.bpf.c"
    path.write_text(SOURCE)
    for version in ("5.4", "5.10", "5.15"):
        with Object.open(path).load(kernel=Kernel(version=version)):
            pass
    with pytest.raises(BpfError):  # on 6.1 the other branch lives, whose callback is none
        Object.open(path).load(kernel=Kernel(version="6.1"))


def test_bytes_that_are_no_btf() -> None:
    for data in (b"", b"\0" * 23, struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 1 << 20, 0, 0)):
        assert older.fit_btf(profile("5.4"), data) == data
    with pytest.raises(UserbpfError):
        Btf.parse(b"\0" * 24)
