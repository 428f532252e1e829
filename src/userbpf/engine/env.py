"""What a program meets when it runs: its maps, the bodies of its helpers, and where its tail calls lead.

A helper's body is a native function `fn(rt, r1..rn)`, usable at both speeds, or a Python function `py(kernel, rt, r1..r5)`
for what is rare. Where the verifier knows which map a call means, `bind` may answer with a better body for just this call:
the map's own algorithm, specialised for its sizes and addresses, which the JIT then inlines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from userbpf.errors import UserbpfError

if TYPE_CHECKING:
    from userbpf.native.lang import NativeFn
    from userbpf.verifier.api import Fact, VerifiedProg

PythonBody = Callable[..., int]  # py(kernel, rt, r1, r2, r3, r4, r5) -> int


class HelperMissing(UserbpfError):
    """A program called a helper whose call the verifier knows but which does not run here."""


class EngineMap(Protocol):
    """What the engine asks of a map; `maps.base.Map` is one."""

    @property
    def desc(self) -> int:
        """Address of the descriptor: what a map pointer in a register is."""
        ...

    @property
    def guarded(self) -> bool:
        """Whether values have fields that an update must not copy: then only the descriptor's update will do."""
        ...

    @property
    def value_base(self) -> int:
        """Address of the first value, where values lie at fixed places (BPF_PSEUDO_MAP_VALUE); else 0."""
        ...

    def ops(self, op: str) -> tuple[NativeFn[...], Mapping[str, Any]] | None:
        """The map's own body of an operation with its constants, or None where the descriptor's pointer must do."""
        ...


class Binding(NamedTuple):
    """A body for one call: `fn` with `consts` takes rt and the registers numbered in `args`."""

    fn: NativeFn[...]
    consts: Mapping[str, Any]
    args: tuple[int, ...]
    inline: bool = True


Bind = Callable[["Env", "Fact"], "Binding | None"]


@dataclass(slots=True, eq=False)
class HelperImpl:
    """How a helper runs. One of `fn` and `py` is set; `bind` is asked first."""

    fn: NativeFn[...] | None = None
    consts: Mapping[str, Any] = field(default_factory=dict)
    py: PythonBody | None = None
    bind: Bind | None = None
    inline: bool = False  # worth inlining at every call
    name: str = ""

    def binding(self, env: Env, fact: Fact | None, arity: int) -> Binding | None:
        """The native body for one call; None where Python must do it."""
        if self.bind is not None and fact is not None:
            found = self.bind(env, fact)
            if found is not None:
                return found
        if self.fn is None:
            return None
        return Binding(self.fn, self.consts, tuple(range(1, min(arity, len(self.fn.defn.params) - 1) + 1)), self.inline)


# What Python bodies raised while native code ran, by thread: tail calls may have led far from the program that was run.
_pending: dict[int, BaseException] = {}

TailTarget = Callable[[int, int], "tuple[VerifiedProg, Env] | None"]


@dataclass(slots=True, eq=False)
class Env:
    """`maps` is parallel to the program's `maps`; `helpers` and `kfuncs` are keyed by helper id and BTF id.

    `tail_target(desc, index)` finds the program in a PROG_ARRAY for the interpreter; compiled code reads the array's table of
    code addresses itself.
    """

    maps: Sequence[EngineMap] = ()
    helpers: Mapping[int, HelperImpl] = field(default_factory=dict)
    kfuncs: Mapping[int, HelperImpl] = field(default_factory=dict)
    kernel: Any = None
    tail_target: TailTarget | None = None
    decoded: Any = None  # the interpreter's form of the program, made at its first run

    def record(self, error: BaseException) -> None:
        """Keep the first error of this thread's run."""
        _pending.setdefault(threading.get_ident(), error)

    def raise_pending(self) -> None:
        """Raise what a Python body raised in this thread while native code ran."""
        if _pending:
            error = _pending.pop(threading.get_ident(), None)
            if error is not None:
                raise error

    def map_index(self, desc: int) -> int | None:
        """Which of the program's maps a map pointer means; None for an inner map."""
        for index, each in enumerate(self.maps):
            if each.desc == desc:
                return index
        return None
