"""Kernel functions over strings anywhere in memory: bpf_strcmp, bpf_strlen, bpf_strstr and their like.

Pointers are not checked by the verifier, so every byte is read as by a probe: -ERANGE for an address that no string can
have, -EFAULT for one that cannot be read, -E2BIG where no end comes within 65536 bytes. What is looked for and not there
is -ENOENT.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, Final

from userbpf.errors import BpfError
from userbpf.helpers.base import kfunc_body
from userbpf.helpers.text import signed

MAX_STRING: Final = 65536
FIRST_PAGE: Final = 4096
MISSING: Final = -errno.ENOENT

Body = Callable[[Any, int, int, int, int, int, int], int]


class _NoString(Exception):
    """The errno of what is no string."""


def _bytes(kernel: Any, addr: int) -> Iterator[int]:
    """The bytes from an address on, each read only when it is asked for and none past a page that was not reached."""
    at = addr
    while True:
        step = 64 - at % 64
        try:
            piece = kernel.memory.read(at, step)
        except (BpfError, OSError):
            raise _NoString(errno.EFAULT) from None
        yield from piece
        at += step


def _string(kernel: Any, addr: int) -> Iterator[int]:
    """The bytes of a string without its NUL."""
    for count, byte in enumerate(_bytes(kernel, addr)):
        if count == MAX_STRING:
            raise _NoString(errno.E2BIG)
        if not byte:
            return
        yield byte


def _known(*addresses: int) -> None:
    if min(addresses) < FIRST_PAGE:
        raise _NoString(errno.ERANGE)


def _body(pointers: int) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A function `f(kernel, r1, ...)` whose first arguments are strings."""

    def bind(fn: Callable[..., int]) -> Callable[..., int]:
        arity = fn.__code__.co_argcount - 1

        @wraps(fn)
        def body(kernel: Any, rt: int, *regs: int) -> int:
            try:
                _known(*regs[:pointers])
                return fn(kernel, *regs[:arity])
            except _NoString as e:
                return -int(e.args[0])

        kfunc_body(f"bpf_{fn.__name__}")(body)
        return body

    return bind


def _lower(byte: int) -> int:
    """As the kernel's table has it: ASCII and Latin-1."""
    if 0x41 <= byte <= 0x5A or (0xC0 <= byte <= 0xDE and byte != 0xD7):
        return byte + 0x20
    return byte


def _compare(kernel: Any, a: int, b: int, fold: Callable[[int], int]) -> int:
    one, two = _string(kernel, a), _string(kernel, b)
    while True:
        x, y = fold(next(one, 0)), fold(next(two, 0))
        if x != y:
            return -1 if x < y else 1
        if not x:
            return 0


@_body(2)
def strcmp(kernel: Any, a: int, b: int) -> int:
    """-1, 0 or 1."""
    return _compare(kernel, a, b, int)


@_body(2)
def strcasecmp(kernel: Any, a: int, b: int) -> int:
    """strcmp without regard to case."""
    return _compare(kernel, a, b, _lower)


@_body(1)
def strlen(kernel: Any, s: int) -> int:
    """Bytes before the NUL."""
    return sum(1 for _ in _string(kernel, s))


@_body(1)
def strnlen(kernel: Any, s: int, count: int) -> int:
    """strlen, but not more than count."""
    return sum(1 for _ in islice(_string(kernel, s), min(count, MAX_STRING + 1)))


def _find(kernel: Any, s: int, count: int, c: int) -> int:
    at = 0
    for byte in islice(_string(kernel, s), min(count, MAX_STRING + 1)):
        if byte == c:
            return at
        at += 1
    return at if not c and at < count else MISSING


@_body(1)
def strchr(kernel: Any, s: int, c: int) -> int:
    """Index of the first c, which may be the NUL."""
    return _find(kernel, s, MAX_STRING + 1, c & 0xFF)


@_body(1)
def strnchr(kernel: Any, s: int, count: int, c: int) -> int:
    """strchr in the first count bytes."""
    return _find(kernel, s, count, c & 0xFF)


@_body(1)
def strchrnul(kernel: Any, s: int, c: int) -> int:
    """Index of the first c, or of the NUL."""
    at = 0
    for at, byte in enumerate(_string(kernel, s), 1):
        if byte == c & 0xFF:
            return at - 1
    return at


@_body(1)
def strrchr(kernel: Any, s: int, c: int) -> int:
    """Index of the last c. c is an int here: more than a byte is never found."""
    want, last, end = signed(c, 32), MISSING, 0
    for end, byte in enumerate(_string(kernel, s), 1):
        if byte == want:
            last = end - 1
    return last if want else end


def _span(kernel: Any, s: int, others: int, inside: bool) -> int:
    known = bytes(_string(kernel, others))
    at = 0
    for byte in _string(kernel, s):
        if (byte in known) is not inside:
            break
        at += 1
    return at


@_body(2)
def strspn(kernel: Any, s: int, accept: int) -> int:
    """How many bytes at the start are all among those of accept."""
    return _span(kernel, s, accept, True)


@_body(2)
def strcspn(kernel: Any, s: int, reject: int) -> int:
    """How many bytes at the start are none of those of reject."""
    return _span(kernel, s, reject, False)


def _search(kernel: Any, a: int, b: int, count: int) -> int:
    want = bytes(_string(kernel, b))
    found = bytes(islice(_string(kernel, a), min(count, MAX_STRING + 1))).find(want)
    return found if found >= 0 else MISSING


@_body(2)
def strstr(kernel: Any, a: int, b: int) -> int:
    """Where the second string lies in the first."""
    return _search(kernel, a, b, MAX_STRING + 1)


@_body(2)
def strnstr(kernel: Any, a: int, b: int, count: int) -> int:
    """strstr in the first count bytes."""
    return _search(kernel, a, b, count)
