"""How the checker says no from any depth."""

from __future__ import annotations

import errno

from userbpf.spec.maps import ENOTSUPP as ENOTSUPP

EINVAL = errno.EINVAL
EACCES = errno.EACCES
EPERM = errno.EPERM
EFAULT = errno.EFAULT
E2BIG = errno.E2BIG
EBADF = errno.EBADF
ENOENT = errno.ENOENT
EOPNOTSUPP = errno.EOPNOTSUPP
EEXIST = errno.EEXIST
EBUSY = errno.EBUSY
ERANGE = errno.ERANGE
EPROTO = errno.EPROTO
MAX_ERRNO = 4095  # pointers from -4095 to -1 are errors


class Reject(Exception):
    """One refusal: errno, and the text for the log (lines without the last newline; empty if the text is out already)."""

    def __init__(self, errno: int, text: str = "") -> None:
        super().__init__(errno, text)
        self.errno = errno
        self.text = text
