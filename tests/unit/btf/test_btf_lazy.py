"""A BTF read lazily is the same as one read whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from userbpf.btf import Btf, Struct
from userbpf.btf.builder import Builder
from userbpf.btf.lazy import LazyBtf, read_lazy
from userbpf.errors import BtfError
from userbpf.kernel import Kernel


def blob() -> bytes:
    b = Builder()
    u32 = b.integer("u32", 4)
    pair = b.struct("pair", [("a", u32), ("b", b.pointer(u32))])
    b.enum("colour", {"RED": 1, "BLUE": 2})
    b.func("f", b.proto(u32, [("p", b.pointer(pair))]))
    b.section(".data", [b.var("v", pair)])
    return b.encode()


def test_all_types_are_those_of_the_whole() -> None:
    whole, lazy = Btf.parse(blob()), LazyBtf(blob())
    assert list(lazy.types) == list(whole.types) and len(lazy) == len(whole)
    assert lazy.types[2:4] == list(whole.types[2:4]) and lazy.types[-1] == whole.types[-1]
    assert lazy.encode() == whole.encode()


def test_names() -> None:
    lazy = LazyBtf(blob())
    found = lazy.find("pair", Struct)
    assert found is not None and found.size == 16 and lazy.named("pair") == [found.id]
    assert lazy.named("pai") == [] and lazy.named("") == [] and lazy.find("u32", Struct) is None


def test_nothing_can_be_added() -> None:
    lazy = LazyBtf(blob())
    with pytest.raises(TypeError, match="do not change"):
        lazy.add(Struct(4, name="more"))


@pytest.mark.parametrize("cut", [0, 10, 24, 40])
def test_malformed(cut: int) -> None:
    with pytest.raises(BtfError):
        LazyBtf(blob()[:cut])


def test_the_type_section_ends_inside_a_type() -> None:
    data = bytearray(blob())
    data[12:16] = (int.from_bytes(data[12:16], "little") - 4).to_bytes(4, "little")
    with pytest.raises(BtfError):
        LazyBtf(bytes(data))


def test_the_kernels_types_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(blob())
    assert read_lazy(path) is read_lazy(path)
    assert Kernel(vmlinux_btf=path).vmlinux() is read_lazy(path)
    assert Kernel(vmlinux_btf="").vmlinux() is None
    monkeypatch.setenv("USERBPF_VMLINUX_BTF", str(path))
    kernel = Kernel()
    assert kernel.vmlinux() is read_lazy(path)
    assert kernel.has_symbol("anything")  # nobody knows the addresses of that kernel
