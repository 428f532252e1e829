"""The exception tree.

Everything that userbpf raises on purpose derives from `UserbpfError`. What the syscall answers is a `BpfError`, which is
also an `OSError`, so code written against the real bpf(2) keeps its `except OSError as e: e.errno` clauses.
"""

from __future__ import annotations

import os
import re


class UserbpfError(Exception):
    """Root of all errors that userbpf raises on purpose."""


class BpfError(UserbpfError, OSError):
    """bpf(2) failed: `errno` is Linux's, `log` is the verifier's or BTF's text where there is one."""

    def __init__(self, errno: int, message: str = "", log: str = "") -> None:
        super().__init__(errno, message or os.strerror(errno))
        self.log = log

    def __str__(self) -> str:
        head = super().__str__()
        return f"{head}\n{self.log}" if self.log else head


# lines of a verifier log that are no message: statistics, source lines, states shown with a message
NO_MESSAGE = ("processed ", "verification time", "stack depth", "; ", "cur state:", "old state:")
# one of Linux's messages ends without a new line, and statistics follow it
_STATISTICS = re.compile(r"(?:verification time \d+ usec|processed \d+ insns .*)$")


def messages(log: str) -> list[str]:
    """The lines of a log (at level 4, or of a refusal) that say something; the last one is the reason."""
    return [_STATISTICS.sub("", line) for line in log.splitlines() if line and not line.startswith(NO_MESSAGE)]


class AsmError(UserbpfError, ValueError):
    """Assembly text or instruction bytes that mean no instruction."""


class BtfError(UserbpfError, ValueError):
    """A BTF blob that is malformed."""


class ObjectError(UserbpfError):
    """An object file that cannot be loaded; the text names file, section, symbol and line as far as they are known."""


class CaptureError(UserbpfError, ValueError):
    """A packet capture that is malformed or of an unknown format."""


class NativeError(UserbpfError):
    """A function outside the native subset, or a failure to compile it."""


class InterpFault(UserbpfError):
    """The checked interpreter met an access or operation that a verified program must never make."""
