"""Names of maps and programs as user space gives them: 15 characters and a NUL."""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from userbpf.errors import BpfError

# ctype.h of Linux counts Latin-1's letters among the letters
_LETTERS: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.") | (
    frozenset(range(0xC0, 0x100)) - {0xD7, 0xF7}
)


def object_name(raw: bytes) -> str:
    """The text before the first NUL; EINVAL without a NUL, or for a character other than letters, digits, `_` and `.`."""
    end = raw.find(b"\0")
    if end < 0 or not _LETTERS.issuperset(raw[:end]):
        raise BpfError(EINVAL)
    return raw[:end].decode("latin-1")
