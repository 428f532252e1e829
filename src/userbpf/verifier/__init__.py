"""The verifier: `verify(VerifyRequest) -> VerifiedProg`, or raises `Rejected`.

Pure: it knows shapes of maps and rows of `spec`, no kernel and no maps.
"""

from __future__ import annotations

from userbpf.verifier.api import (
    Caps,
    Fact,
    MapShape,
    PtrKind,
    Rejected,
    Stats,
    Subprog,
    VerifiedProg,
    VerifyRequest,
)
from userbpf.verifier.check import verify

__all__ = [
    "Caps",
    "Fact",
    "MapShape",
    "PtrKind",
    "Rejected",
    "Stats",
    "Subprog",
    "VerifiedProg",
    "VerifyRequest",
    "verify",
]
