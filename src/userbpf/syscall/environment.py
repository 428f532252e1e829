"""What a loaded program runs in: its maps, the bodies of its helpers, its kernel."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from userbpf.abi.enums import ProgType
from userbpf.engine.env import Env
from userbpf.helpers import bodies, kfuncs
from userbpf.kernel import Kernel
from userbpf.kernel.objects import MapObj
from userbpf.native.rt import DESC_ID
from userbpf.verifier import VerifiedProg


def environment(kernel: Kernel, verified: VerifiedProg, used: Sequence[MapObj]) -> Env:
    """The environment of one program."""

    def tail_target(desc: int, index: int) -> tuple[VerifiedProg, Env] | None:
        """For the interpreter: the program at an index of a PROG_ARRAY."""
        array = kernel.maps.get(ctypes.c_uint32.from_address(desc + DESC_ID).value)
        prog = None if array is None else array.program_at(index)
        return None if prog is None else (prog.verified, prog.env)

    return Env(
        maps=[obj.map for obj in used],
        helpers=bodies(ProgType(verified.request.prog_type)),
        kfuncs=kfuncs.of_program(verified),
        kernel=kernel,
        tail_target=tail_target,
    )
