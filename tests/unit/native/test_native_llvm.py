"""LLVM called directly gives what llvmlite gives: the same signatures, the same code, the same complaints."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import llvmlite
import pytest

from userbpf.native import objects
from userbpf.native.llvm import FUNCTIONS, KNOWN, Compiler, compiler, library_path

TEXT = """
define i64 @total(ptr %p, i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
  %s = phi i64 [0, %entry], [%t, %loop]
  %a = getelementptr i64, ptr %p, i64 %i
  %v = load i64, ptr %a
  %t = add i64 %s, %v
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret i64 %t
}
"""


@pytest.fixture(scope="module")
def direct() -> Compiler:
    path = library_path()
    if path is None or not llvmlite.__version__.startswith(KNOWN):
        pytest.skip(f"llvmlite {llvmlite.__version__} is asked through its own binding")
    return Compiler(path)


def kind(argument: Any) -> str:
    """How an argument or result is passed."""
    if argument is None:
        return "nothing"
    if argument in (ctypes.c_int, ctypes.c_uint):
        return "int"
    if argument in (ctypes.c_bool, ctypes.c_char_p, ctypes.c_size_t):
        return argument.__name__  # type: ignore[no-any-return]
    return "pointer"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_llvmlites(name: str, direct: Compiler) -> None:
    import llvmlite.binding.ffi as theirs

    function = getattr(theirs.lib, f"LLVMPY_{name}")
    result, arguments = FUNCTIONS[name]
    given = function.argtypes
    if name == "DisposeString":
        given = given or [ctypes.c_char_p]  # llvmlite passes the c_char_p that the text came in
    assert [kind(a) for a in given or ()] == [kind(a) for a in arguments]
    if kind(result) != "nothing":
        assert kind(function.restype) == kind(result)


@pytest.mark.parametrize("opt", range(4))
def test_the_same_machine_code(opt: int, direct: Compiler) -> None:
    module, machine = objects.optimise(TEXT, opt)
    assert direct.compile(TEXT, opt, assembly=True).decode() == machine.emit_assembly(module)
    assert direct.compile(TEXT, opt) == machine.emit_object(module)


@pytest.mark.parametrize(
    "wrong", ["define i64 @f( {", "define i64 @f() {\n  ret i32 0\n}", "define i64 @f(i64 %a) { ret i64 %b }"]
)
def test_the_same_complaint(wrong: str, direct: Compiler) -> None:
    with pytest.raises(objects.NativeError) as theirs:
        objects.optimise(wrong, 2)
    with pytest.raises(objects.NativeError) as ours:
        direct.compile(wrong, 2)
    assert str(ours.value).strip() in str(theirs.value)


def test_memory_is_given_back(direct: Compiler) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1])

    for _ in range(20):
        direct.compile(TEXT, 2)
    before = resident()
    for _ in range(300):
        direct.compile(TEXT, 2)
    assert resident() - before < 1000, "pages that 300 compilations left behind"


def test_another_version_goes_through_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvmlite, "__version__", "9.9.9")
    compiler.cache_clear()
    try:
        assert compiler() is None
        assert objects.emit_object(TEXT, 1)[:4] == b"\x7fELF"
    finally:
        compiler.cache_clear()


WITHOUT = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "llvmlite":
            raise ModuleNotFoundError("No module named 'llvmlite'")
sys.meta_path.insert(0, Nothing())
import userbpf
bpf = userbpf.bpf  # to have it is no error
try:
    bpf(0, bytearray(b"\\2\\0\\0\\0\\4\\0\\0\\0\\10\\0\\0\\0\\1\\0\\0\\0"))
except userbpf.NativeError as e:
    print(e)
"""


def test_without_llvmlite_the_first_compilation_says_so() -> None:
    env = {**os.environ, "USERBPF_CACHE": "off", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "compiling needs llvmlite: No module named 'llvmlite'", done.stderr
