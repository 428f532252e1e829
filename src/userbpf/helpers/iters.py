"""Open-coded iterators that run here: numbers and the bits of words.

    struct bpf_iter_num     0  s32 number of this round     4  s32 end
    struct bpf_iter_bits    0  u64 the one word, or address of the words     8  u32 bits     12  s32 bit of this round

`next` answers with the address of the number inside of the iterator, or 0 at the end; then, and where `new` failed, the
iterator is all zero or has no bits, and goes on yielding 0.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Any, Final

from userbpf.errors import BpfError
from userbpf.helpers.base import M64, kfunc_body
from userbpf.native import ctz64, load32, load64, native, neg, sext32, slt64, store32, store64
from userbpf.spec.limits import BPF_MAX_LOOPS

EINVAL = errno.EINVAL
E2BIG = errno.E2BIG
MAX_LOOPS = BPF_MAX_LOOPS
MAX_WORDS: Final = 511
WORD: Final = 8


@kfunc_body("bpf_iter_num_new")
@native
def num_new(rt: int, it: int, start: int, end: int) -> int:
    """From start (s32) to before end: -EINVAL if that is backward, -E2BIG for more than 2^23 rounds."""
    start, end = sext32(start), sext32(end)
    store64(it, 0)
    if slt64(end, start):
        return neg(EINVAL)
    if end - start > MAX_LOOPS:
        return neg(E2BIG)
    store32(it, start - 1)  # wraps at the lowest number, and back in the first round
    store32(it + 4, end)
    return 0


@kfunc_body("bpf_iter_num_next")
@native(inline=True)
def num_next(rt: int, it: int) -> int:
    """The next number, or the end."""
    number = sext32(load32(it) + 1)
    if not slt64(number, sext32(load32(it + 4))):
        store64(it, 0)
        return 0
    store32(it, number)
    return it


@kfunc_body("bpf_iter_num_destroy")
@native
def num_destroy(rt: int, it: int) -> int:
    """Nothing is left of it."""
    store64(it, 0)
    return 0


_words: dict[int, Any] = {}  # copies of more than one word, by their address, until they are destroyed


@kfunc_body("bpf_iter_bits_new")
def bits_new(kernel: Any, rt: int, it: int, address: int, count: int, *_: int) -> int:
    """A copy of count words, read as by a probe."""
    count &= 0xFFFFFFFF
    store64(it, 0)
    store64(it + 8, 0)
    if not count:
        return -EINVAL
    if count > MAX_WORDS:
        return -E2BIG
    try:
        raw = kernel.memory.read(address & M64, count * WORD)
    except (BpfError, OSError):
        return -errno.EFAULT
    if count == 1:
        store64(it, int.from_bytes(raw, "little"))
    else:
        copy = ctypes.create_string_buffer(raw, len(raw))
        _words[ctypes.addressof(copy)] = copy
        store64(it, ctypes.addressof(copy))
    store32(it + 8, count * 64)
    store32(it + 12, 0xFFFFFFFF)
    return 0


@kfunc_body("bpf_iter_bits_next")
@native
def bits_next(rt: int, it: int) -> int:
    """The next bit that is set."""
    bits = load32(it + 8)
    at = (load32(it + 12) + 1) & 0xFFFFFFFF
    while at < bits:
        word = load64(it) if bits == 64 else load64(load64(it) + (at >> 6) * 8)
        rest = word >> (at & 63)
        if rest:
            at += ctz64(rest)
            store32(it + 12, at)
            return it + 12
        at = (at | 63) + 1
    store32(it + 12, bits - 1 if bits else 0)
    return 0


@kfunc_body("bpf_iter_bits_destroy")
def bits_destroy(kernel: Any, rt: int, it: int, *_: int) -> int:
    """The copy goes."""
    if load32(it + 8) > 64:
        _words.pop(load64(it), None)
    store64(it, 0)
    store64(it + 8, 0)
    return 0
