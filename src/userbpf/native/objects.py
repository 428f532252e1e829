"""IR text to object file, by LLVM or from the cache on disk.

An object holds no address of this process (symbols are bound by `link`), so it serves every process of the same user on the
same processor. The cache is a directory of files named by the SHA-256 of everything that the machine code depends on; each
begins with the SHA-256 of its own content, so a torn or damaged file is a miss. Files are written aside and renamed into
place. The directory must belong to this user and be writable by nobody else, for its content is executed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import threading
from collections import OrderedDict
from typing import Any, Final

from userbpf.errors import NativeError
from userbpf.native.llvm import compiler, library_path

FORMAT: Final = b"userbpf object 1"
MAX_CACHE_BYTES: Final = 64 << 20
MAX_MEMORY_BYTES: Final = 8 << 20

_lock = threading.RLock()
_memory: OrderedDict[str, bytes] = OrderedDict()
_memory_bytes = 0
_writes = 0
_numbers = itertools.count()


def object_code(text: str, opt: int) -> bytes:
    """The relocatable object file of a module."""
    key = cache_key(text, opt)
    with _lock:
        if key in _memory:
            _memory.move_to_end(key)
            return _memory[key]
    code = _read(key)
    if code is None:
        with _lock:  # one compilation at a time; another thread may just have made this one
            if key in _memory:
                return _memory[key]
            code = emit_object(text, opt)
            _remember(key, code)
        _write(key, code)
    else:
        _remember(key, code)
    return code


def cache_key(text: str, opt: int) -> str:
    """A name for everything that the machine code depends on."""
    return hashlib.sha256(b"\0".join((FORMAT, fingerprint(), str(opt).encode(), text.encode()))).hexdigest()


@functools.cache
def fingerprint() -> bytes:
    """The processor and the version of LLVM, found without importing it."""
    llvm = "none"
    library = library_path()
    if library is not None:
        found = os.stat(library)
        llvm = f"{found.st_size} {found.st_mtime_ns}"
    cpu = ""
    try:
        with open("/proc/cpuinfo", encoding="latin-1") as f:
            head = f.read(16384).split("\n\n")[0]
        keep = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU ", "isa")
        cpu = "\n".join(line for line in head.splitlines() if line.startswith(keep) and "MHz" not in line)
    except OSError:
        pass
    host = os.uname()
    return f"{llvm}\n{host.machine}\n{host.sysname}\n{cpu}".encode()


def _remember(key: str, code: bytes) -> None:
    global _memory_bytes
    with _lock:
        if key not in _memory:
            _memory[key] = code
            _memory_bytes += len(code)
            while _memory_bytes > MAX_MEMORY_BYTES:
                _memory_bytes -= len(_memory.popitem(last=False)[1])


def forget() -> None:
    """Empty the cache in memory (the one on disk stays)."""
    global _memory_bytes
    with _lock:
        _memory.clear()
        _memory_bytes = 0


# --- the cache on disk -------------------------------------------------------------------------------------------------


def cache_dir() -> str | None:
    """Where objects are kept; None where the cache is off or the directory is not ours alone."""
    setting = os.environ.get("USERBPF_CACHE", "")
    if setting == "off":
        return None
    path = setting
    if not path:
        home = os.environ.get("XDG_CACHE_HOME", "")
        path = os.path.join(home if os.path.isabs(home) else os.path.expanduser("~/.cache"), "userbpf")
    return path if _usable(path) else None


@functools.lru_cache(maxsize=8)
def _usable(path: str) -> bool:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        st = os.stat(path)
    except OSError:
        return False
    return st.st_uid == os.geteuid() and not st.st_mode & 0o022 and os.access(path, os.W_OK | os.X_OK)


def _read(key: str) -> bytes | None:
    where = cache_dir()
    if where is None:
        return None
    path = os.path.join(where, f"{key}.o")
    try:
        with open(path, "rb") as f:
            data = f.read()
        os.utime(path)  # what is used stays longest
    except OSError:
        return None
    code = data[32:]
    return code if len(data) > 32 and hashlib.sha256(code).digest() == data[:32] else None


def _write(key: str, code: bytes) -> None:
    global _writes
    where = cache_dir()
    if where is None:
        return
    try:
        aside = os.path.join(where, f".new-{os.getpid()}-{next(_numbers)}")
        try:
            with open(aside, "xb") as f:
                f.write(hashlib.sha256(code).digest() + code)
            os.replace(aside, os.path.join(where, f"{key}.o"))
        except BaseException:
            os.unlink(aside)
            raise
        _writes += 1
        if _writes % 32 == 1:
            shrink(where, MAX_CACHE_BYTES)
    except OSError:
        pass  # a full or vanished disk costs time, never a result


def shrink(where: str, limit: int) -> None:
    """Remove the files that were not used for longest until the rest takes no more than `limit` bytes."""
    with os.scandir(where) as entries:
        files = [(e.stat().st_mtime_ns, e.stat().st_size, e.path) for e in entries if e.name.endswith(".o")]
    excess = sum(size for _, size, _ in files) - limit
    for _, size, path in sorted(files):
        if excess <= 0:
            break
        os.unlink(path)
        excess -= size


# --- LLVM --------------------------------------------------------------------------------------------------------------


@functools.cache
def llvm() -> Any:
    """llvmlite.binding, imported and initialised once (65 ms)."""
    try:
        import llvmlite.binding as binding
    except ImportError as e:  # pragma: no cover
        raise NativeError(f"compiling needs llvmlite: {e}") from e
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()  # pause() is inline assembly
    return binding


@functools.cache
def target_machine(opt: int) -> Any:
    """A target machine of this processor for position-independent code."""
    binding = llvm()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=opt,
        reloc="pic",
        codemodel="small",
    )


def optimise(text: str, opt: int) -> tuple[Any, Any]:
    """Parse, verify and optimise IR text; returns (module, target machine)."""
    binding = llvm()
    machine = target_machine(opt)
    try:
        module = binding.parse_assembly(text, binding.create_context())
        module.verify()
    except RuntimeError as e:
        raise refused(text, e) from e
    if opt:
        tuning = binding.create_pipeline_tuning_options(speed_level=opt)
        tuning.loop_vectorization = tuning.slp_vectorization = opt > 1
        builder = binding.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
    return module, machine


def refused(text: str, error: Exception) -> NativeError:
    """What is wrong with IR, and where."""
    return NativeError(f"LLVM refuses the IR: {error}\n{_excerpt(text, str(error))}")


def _excerpt(text: str, message: str) -> str:
    m = re.search(r":(\d+):\d+: error", message)
    if not m:
        return ""
    line = int(m[1])
    return "\n".join(text.splitlines()[max(0, line - 3) : line + 2])


def emit_object(text: str, opt: int) -> bytes:
    """Compile IR text to a relocatable object file."""
    return _emit(text, opt, False)


def assembly(text: str, opt: int = 2) -> str:
    """The machine code as text, to look at."""
    return _emit(text, opt, True).decode()


def _emit(text: str, opt: int, as_text: bool) -> bytes:
    with _lock:
        direct = compiler()
        if direct is None:
            module, machine = optimise(text, opt)
            return machine.emit_assembly(module).encode() if as_text else bytes(machine.emit_object(module))
        try:
            return direct.compile(text, opt, as_text)
        except NativeError as e:
            raise refused(text, e) from None
