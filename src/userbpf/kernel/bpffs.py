"""Pins: an object with a path outlives its process, and another process opens it by that path.

A pinned map *is* its pin: the file holds the map's memory, every process maps that file, and the map dies when
the file is unlinked and nobody has it open. So rm, mv, ls, chmod and cp work on pins without our doing, there is
no daemon and nothing to collect. What it costs is that a map moves from its memfd into the file when it is first pinned
(`kernel.relocate`). Refused: maps in /dev/shm from the start, so that linkat could name them (64 MB in most
containers, and a pin elsewhere would be a reference that dangles or leaks), and a keeper process.

A pinned program is a record of what BPF_PROG_LOAD was given: another process loads, and verifies, it again. The maps that it
uses are named in the record by path; one that has no pin gets one beside the program's, under a hidden name. So do the
programs in a PROG_ARRAY that is pinned, where the processes that load its callers look for them (`tail_pin`).

Linux wants a path in a bpffs; here any directory will do.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.errors import BpfError
from userbpf.kernel import fds, progfile, relocate
from userbpf.kernel.objects import KernelObject, MapObj, ProgObj
from userbpf.kernel.progfile import ProgFile
from userbpf.maps.progarray import ProgArrayMap

if TYPE_CHECKING:
    from userbpf.kernel.machine import Kernel

PIN_MODE: Final = 0o600


def pin(kernel: Kernel, obj: KernelObject, path: str) -> None:
    """Give an object a path; EEXIST where there is something, ENOENT where there is no directory."""
    if not isinstance(obj, MapObj | ProgObj):
        raise BpfError(errno.EPERM)
    if os.path.lexists(path):
        raise BpfError(errno.EEXIST)
    try:
        # CPUs before the lock: a program may be on its way to the lock through a helper
        with kernel.cpus.all_stopped(), kernel.lock:
            if isinstance(obj, MapObj):
                _pin_map(kernel, obj, path)
            else:
                _pin_prog(kernel, obj, path)
    except OSError as e:
        raise BpfError(e.errno or errno.EIO) from None


def get(kernel: Kernel, path: str, mode: int) -> int | ProgFile:
    """An fd of the object at a path, or the record of a program that is not loaded yet.

    EACCES for a file that is no pin.
    """
    try:
        st = os.stat(path)
        if not stat.S_ISREG(st.st_mode):
            raise BpfError(errno.EACCES)
        fd = os.open(path, mode | os.O_CLOEXEC)
    except OSError as e:
        raise BpfError(e.errno or errno.EACCES) from None
    try:
        obj = kernel.object_at(fds.identity(fd)) or _adopted(kernel, path)
        if isinstance(obj, ProgFile):
            return obj
        if isinstance(obj, MapObj):
            obj.last_user_fd, fd = fd, -1
            return obj.last_user_fd
        return kernel.new_fd(obj)
    finally:
        if fd >= 0:
            os.close(fd)


def _adopted(kernel: Kernel, path: str) -> KernelObject | ProgFile:
    """The object of a pin that another process made."""
    from userbpf.kernel.adopt import adopt

    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise BpfError(e.errno or errno.EACCES) from None
    try:
        found = adopt(kernel, fd)
        if found is not None:
            return found
        with open(fd, "rb", closefd=False) as file:
            record = progfile.decode(file.read(progfile.MAX_SIZE))
    finally:
        os.close(fd)
    if record is None:
        raise BpfError(errno.EACCES)
    return record


def settle(kernel: Kernel, obj: ProgObj, path: str) -> None:
    """A program that was loaded from a pin is what the pin names."""
    fd = fds.make_private(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    identity = fds.identity(fd)
    obj.pins[identity] = fd
    kernel.alias(identity, obj)


# --- maps --------------------------------------------------------------------------------------------------------------


def _pin_map(kernel: Kernel, obj: MapObj, path: str) -> None:
    st = os.fstat(obj.private_fd)
    if obj.pins and st.st_nlink:
        _link_fd(obj.private_fd, path)
        return

    def fill(target: int) -> None:
        relocate.copy_content(obj.private_fd, target, st.st_size)

    target = _publish(path, fill)
    try:
        relocate.replace(obj.identity, target)
    finally:
        os.close(target)
    kernel.rename(obj, fds.identity(obj.private_fd))
    obj.pins[obj.identity] = obj.private_fd
    pin_tails(kernel, obj)


def pin_tails(kernel: Kernel, obj: MapObj) -> None:
    """The programs of a pinned PROG_ARRAY get pins beside it, for other processes."""
    array, path = obj.map, _path_of(obj)
    if not isinstance(array, ProgArrayMap) or path is None:
        return
    folder, name = os.path.split(path)
    for index, prog in list(array.programs.items()):
        if not prog.mark():
            hidden = f".{name[:180].lstrip('.')}.prog{index}.{secrets.token_hex(4)}"
            _pin_prog(kernel, prog, os.path.join(folder, hidden))
        array.set_mark(index, prog.mark())


def keep_tails(kernel: Kernel, obj: MapObj) -> None:
    """The same after an update. Where no pins can be made, other processes are told that the program is not theirs."""
    try:
        with kernel.cpus.all_stopped(), kernel.lock:
            pin_tails(kernel, obj)
    except OSError:
        pass


def tail_pin(obj: MapObj, mark: int) -> str | None:
    """The pin of a program in a PROG_ARRAY that another process filled; None where there is none beside the array's."""
    path = _path_of(obj)
    if path is None or not mark:
        return None
    with os.scandir(os.path.dirname(path)) as entries:
        for entry in entries:
            if (entry.inode() & 0xFFFFFFFF or 1) == mark and entry.is_file(follow_symlinks=False):
                return entry.path
    return None


def _link_fd(fd: int, path: str) -> None:
    """Another name for the file of a descriptor. With a directory given, os.link is linkat(2), which follows /proc."""
    here = os.open(fds.FD_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(fd), path, src_dir_fd=here, follow_symlinks=True)
    finally:
        os.close(here)


def _publish(path: str, fill: Callable[[int], None]) -> int:
    """A new file that appears at its path with its whole content or not at all."""
    folder, name = os.path.split(path)
    hidden = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(4)}")
    fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PIN_MODE)
    try:
        fill(fd)
        os.link(hidden, path)
        # opened again, because a descriptor follows the name that it was opened by
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(fd)
        os.unlink(hidden)


# --- programs ----------------------------------------------------------------------------------------------------------


def _pin_prog(kernel: Kernel, obj: ProgObj, path: str) -> None:
    names = [_map_name(kernel, each, path, number) for number, each in enumerate(obj.maps)]
    content = progfile.encode(obj, names)

    def fill(target: int) -> None:
        at = 0
        while at < len(content):
            at += os.pwrite(target, content[at:], at)

    fd = fds.make_private(_publish(path, fill))
    identity = fds.identity(fd)
    obj.pins[identity] = fd
    kernel.alias(identity, obj)
    for each in kernel.maps:
        if isinstance(each.map, ProgArrayMap):
            for index in [i for i, prog in each.map.programs.items() if prog is obj]:
                each.map.set_mark(index, obj.mark())


def _map_name(kernel: Kernel, obj: MapObj, beside: str, number: int) -> str:
    """A path of a map, seen from a program's pin: a name beside it where it can be."""
    folder, name = os.path.split(os.path.abspath(beside))
    found = _path_of(obj)
    if found is None:
        found = os.path.join(folder, f".{name[:180]}.map{number}.{obj.name or 'map'}")
        if os.path.lexists(found):
            found += f".{secrets.token_hex(4)}"
        _pin_map(kernel, obj, found)
    return os.path.basename(found) if os.path.dirname(found) == folder else found


def _path_of(obj: MapObj) -> str | None:
    """Where a pinned map can be found, None where it has no pin (any more)."""
    if not obj.pins or not os.fstat(obj.private_fd).st_nlink:
        return None
    path = os.readlink(f"{fds.FD_DIR}/{obj.private_fd}")
    try:
        st = os.stat(path)
    except OSError:
        return None  # reached under another name only
    return path if (st.st_dev, st.st_ino) == obj.identity else None
