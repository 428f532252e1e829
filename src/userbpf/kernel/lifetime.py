"""What is still held: mark from descriptors and pins, follow references, the rest goes.

Linux counts references and hears of every close(2). A process hears of no close, but it can look: /proc/self/fd shows
which inodes still have descriptors besides our own. That costs 2 us a descriptor, so it is done when the answer is asked
for (ids are enumerated, an object is opened by id) and once in a while when objects are made. An object whose last known
user fd is still there needs no look at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from userbpf.kernel import fds
from userbpf.kernel.objects import KernelObject


def has_user_fd_at_hint(obj: KernelObject) -> bool:
    """Whether the descriptor that was handed out last is still this object's."""
    if obj.last_user_fd < 0:
        return False
    try:
        st = os.fstat(obj.last_user_fd)
    except OSError:
        return False
    return (st.st_dev, st.st_ino) == obj.identity


def is_pinned(obj: KernelObject) -> bool:
    """Whether a pin file of it still has a name; forgets those that have not."""
    for identity, fd in list(obj.pins.items()):
        try:
            if os.fstat(fd).st_nlink:
                continue
            if fd != obj.private_fd:
                os.close(fd)
        except OSError:
            pass
        del obj.pins[identity]
    return bool(obj.pins)


def unreachable(objects: Iterable[KernelObject]) -> list[KernelObject]:
    """Those that no user's descriptor, no pin and no reachable object holds."""
    everything = list(objects)
    roots = [obj for obj in everything if has_user_fd_at_hint(obj) or is_pinned(obj)]
    if len(roots) < len(everything):
        seen = fds.census()
        have = set(map(id, roots))
        roots += [obj for obj in everything if id(obj) not in have and seen[obj.identity] > obj.own_fds]
    marked: set[int] = set()
    while roots:
        obj = roots.pop()
        if id(obj) not in marked:
            marked.add(id(obj))
            roots.extend(obj.holds())
    return [obj for obj in everything if id(obj) not in marked]
