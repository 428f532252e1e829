"""Objects, their cache, the two linkers, and Python callables."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from userbpf.native import IrModule, NativeError, compile_ir, compile_natives, compiled, native, objects
from userbpf.native import link as linker
from userbpf.native.callable import _through_ctypes

SQUARE = "define i64 @square(i64 %a) {\n  %r = mul i64 %a, %a\n  ret i64 %r\n}\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache directory of its own, and nothing in memory."""
    monkeypatch.setenv("USERBPF_CACHE", str(tmp_path / "objects"))
    objects.forget()
    yield tmp_path / "objects"
    objects.forget()


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that LLVM compiles."""
    texts: list[str] = []
    emit = objects.emit_object

    def spy(text: str, opt: int) -> bytes:
        texts.append(text)
        return emit(text, opt)

    monkeypatch.setattr(objects, "emit_object", spy)
    return texts


def run_square(n: int) -> int:
    code = compile_ir(SQUARE, {}, ["square"])
    return _through_ctypes(code.addr("square"), 1, "square", True, code)(n)


def test_a_second_process_finds_the_object(cache: Path, emitted: list[str]) -> None:
    assert run_square(12) == 144
    assert len(emitted) == 1
    objects.forget()
    assert run_square(13) == 169
    assert len(emitted) == 1
    assert [p.suffix for p in cache.iterdir()] == [".o"]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_hit_does_not_import_llvm(cache: Path) -> None:
    script = (
        "import sys\n"
        "from userbpf.native import compile_ir\n"
        f"code = compile_ir({SQUARE!r}, {{}}, ['square'])\n"
        "print('llvmlite' in sys.modules)\n"
    )
    env = {**os.environ, "USERBPF_CACHE": str(cache)}
    answers = [
        subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert answers[0] == "True"
    if os.uname().machine == "x86_64":
        assert answers[1] == "False"


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "noise"])
def test_a_damaged_file_is_a_miss_and_is_replaced(cache: Path, emitted: list[str], damage: str) -> None:
    run_square(2)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:middle],
            "empty": b"",
            "noise": os.urandom(len(whole)),
        }[damage]
    )
    objects.forget()
    assert run_square(9) == 81
    assert len(emitted) == 2
    assert path.read_bytes() == whole


def test_off_and_unusable_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emitted: list[str]) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    no_directory = tmp_path / "file"
    no_directory.write_text("")
    for i, setting in enumerate(("off", str(open_to_all), str(no_directory / "x"))):
        monkeypatch.setenv("USERBPF_CACHE", setting)
        assert objects.cache_dir() is None
        objects.forget()
        assert run_square(5) == 25
        assert len(emitted) == i + 1
    assert not list(open_to_all.iterdir())
    objects.forget()


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USERBPF_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert objects.cache_dir() == str(tmp_path / "userbpf")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert objects.cache_dir() == str(tmp_path / ".cache" / "userbpf")


def test_the_cache_is_bounded(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    for i in range(10):
        path = cache / f"{i}.o"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 + i, 1000 + i))
    objects.shrink(str(cache), 350)
    assert sorted(p.name for p in cache.iterdir()) == ["7.o", "8.o", "9.o"]


def test_the_key_covers_text_and_level() -> None:
    keys = {objects.cache_key(SQUARE, 1), objects.cache_key(SQUARE, 2), objects.cache_key(SQUARE + "\n", 2)}
    assert len(keys) == 3


def test_many_threads_one_compilation(cache: Path, emitted: list[str]) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda i=i: results.append(run_square(i))) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [i * i for i in range(8)]
    assert len(emitted) == 1


# --- linking -----------------------------------------------------------------------------------------------------------

KITCHEN_SINK = """
@outside = external global i8
@table = private unnamed_addr constant [4 x i64] [i64 11, i64 22, i64 33, i64 44]
@counter = internal global i64 5
@zeroes = internal global [64 x i8] zeroinitializer
declare ptr @memcpy(ptr, ptr, i64)
declare i64 @callback(i64)
define internal i64 @deep(i64 %a) noinline {
  %r = call i64 @callback(i64 %a)
  ret i64 %r
}
define double @half(i64 %a) {
  %f = uitofp i64 %a to double
  %h = fmul double %f, 0.515625
  ret double %h
}
define i64 @sink(i64 %a, i64 %to) {
  %i = and i64 %a, 3
  %p = getelementptr [4 x i64], ptr @table, i64 0, i64 %i
  %v = load i64, ptr %p
  %c = load i64, ptr @counter
  %c1 = add i64 %c, 1
  store i64 %c1, ptr @counter
  %z = load i64, ptr @zeroes
  %d = call i64 @deep(i64 %v)
  %toptr = inttoptr i64 %to to ptr
  %m = call ptr @memcpy(ptr %toptr, ptr @table, i64 %a)
  %o = ptrtoint ptr @outside to i64
  %s1 = add i64 %c1, %z
  %s2 = add i64 %s1, %d
  %s3 = add i64 %s2, %o
  switch i64 %a, label %other [ i64 0, label %b0
    i64 1, label %b1
    i64 2, label %b2
    i64 3, label %b3
    i64 4, label %b4 ]
b0:
  ret i64 %s3
b1:
  %x1 = mul i64 %s3, 3
  ret i64 %x1
b2:
  %x2 = xor i64 %s3, 77
  ret i64 %x2
b3:
  %x3 = udiv i64 %s3, 7
  ret i64 %x3
b4:
  %x4 = call i64 @deep(i64 %s3)
  ret i64 %x4
other:
  ret i64 0
}
"""


@pytest.mark.parametrize("opt", [0, 1, 2, 3])
def test_both_linkers_agree(opt: int) -> None:
    import ctypes

    calls: list[int] = []

    def record(a: int) -> int:
        calls.append(a)
        return a + 1000

    callback = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(record)
    symbols = {"outside": 0x7FFF_1234_5678, "callback": ctypes.cast(callback, ctypes.c_void_p).value or 0}
    code = objects.emit_object(KITCHEN_SINK, opt)
    answers: list[Any] = []
    for link in (linker.link, linker.link_by_llvm):
        addresses, keep = link(code, symbols, ["sink", "half"])
        sink = _through_ctypes(addresses["sink"], 2, "sink", False, keep)
        half = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_uint64)(addresses["half"])
        target = bytearray(32)
        answers.append(([sink(a, target) for a in range(6)], bytes(target), list(calls), half(64)))
        calls.clear()
    assert answers[0] == answers[1]
    assert answers[0][0][0] == 6 + 1011 + 0x7FFF_1234_5678
    assert answers[0][3] == 33.0


def test_code_pages_are_not_writable() -> None:
    code = compile_ir(SQUARE, {}, ["square"])
    addr = code.addr("square")
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, mode = line.split()[:2]
        low, high = (int(x, 16) for x in span.split("-"))
        if low <= addr < high:
            assert mode[:3] == "r-x"
            return
    pytest.fail("the code is in no mapping")


def test_names_of_c_functions_cannot_be_exported() -> None:
    m = IrModule()
    with pytest.raises(NativeError, match="memcpy is a C function"):
        m.export("memcpy", add3)


def test_own_text_may_repeat_declarations() -> None:
    m = IrModule()
    name = m.use(with_swap)
    m.add("declare i64 @llvm.bswap.i64(i64)\ndefine i64 @f(i64 %a) {")
    m.add(f"  %b = call i64 @{name}(i64 %a)\n  %r = call i64 @llvm.bswap.i64(i64 %b)\n  ret i64 %r\n}}")
    code = m.compile(["f"])
    assert _through_ctypes(code.addr("f"), 1, "f", True, code)(0x1234) == 0x1234


# --- Python callables --------------------------------------------------------------------------------------------------

from userbpf.native import bswap64, load8  # noqa: E402


@native
def with_swap(a: int) -> int:
    """bswap64 by itself."""
    return bswap64(a)


@native
def add3(a: int, b: int, c: int) -> int:
    """The byte at a, and more."""
    return load8(a) + b * c


@pytest.mark.parametrize("hold_gil", [False, True])
def test_arguments_of_callables(hold_gil: bool) -> None:
    fast = compiled(add3, hold_gil=hold_gil)
    slow = _through_ctypes(compile_natives(f=(add3, {})).addr("f"), 3, "f", hold_gil, compile_natives(f=(add3, {})))
    for call in (fast, slow):
        assert call(b"A", 2, 3) == 71
        assert call(bytearray(b"B"), 2, True) == 68
        assert call(b"\0", 1, -1) == (1 << 64) - 1
        assert call(b"\0", 1, 1 << 64 | 5) == 5
        for bad in ((b"A", 1), (b"A", 1, 2, 3), (b"A", 1, "x"), (b"A", 1.0, 2), (None, 1, 2)):
            with pytest.raises(TypeError):
                call(*bad)


def test_compiled_is_made_once() -> None:
    assert compiled(add3) is compiled(add3)
    assert compiled(add3) is not compiled(add3, hold_gil=True)


def test_a_set_keeps_its_code() -> None:
    import gc

    call = compile_natives(f=(add3, {})).f
    gc.collect()
    assert call(b"\7", 0, 0) == 7


def test_unknown_names() -> None:
    s = compile_natives(f=(add3, {}))
    with pytest.raises(AttributeError):
        _ = s.g
    with pytest.raises(NativeError, match="exports no 'g'"):
        s.addr("g")
