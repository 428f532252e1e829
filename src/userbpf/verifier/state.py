"""The state of one path: frames of registers and stack slots, references held, and how the path came here.

A state is cheap to copy: registers and slots are immutable, so a copy is `list.copy()` twice a frame. Where the checker keeps
a state for later paths to compare with, nothing of it changes but which of its registers and slots turned out to
matter (`precise_regs`, `precise_slots`), how many paths from it are still open (`branches`), and, once all of them are
done, what it drops as dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from userbpf.verifier.regs import EMPTY_SLOT, UNINIT, Reg, Slot

if TYPE_CHECKING:
    from userbpf.verifier.livestack import Instance


_numbers: dict[int, tuple[int, ...]] = {}


def numbers_of(mask: int) -> tuple[int, ...]:
    """The registers or slots of a mask, lowest first."""
    found = _numbers.get(mask)
    if found is None:
        found = tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
        if len(_numbers) < 4096:
            _numbers[mask] = found
    return found


class Ref(NamedTuple):
    """One acquired reference: a socket, a ring-buffer record. `kind` is "ptr", "lock" or "irq"."""

    kind: str
    id: int
    pc: int
    ptr: object = None  # of a lock: what it lies in
    how: str = ""  # of a lock: which functions took it, see locks


class Sections(NamedTuple):
    """What the path is in: an RCU read-side section, so many times preemption off.

    `sleeps`: whether a function that runs later may sleep; None: as the program.
    """

    rcu: bool = False
    preempt: int = 0
    sleeps: bool | None = None

    @property
    def held(self) -> bool:
        """Whether something must be left again."""
        return self.rcu or self.preempt > 0


NO_SECTIONS = Sections()


NO_NUMBER: Final = -1


class Hist(NamedTuple):
    """One noted instruction on the way: which one ran before it, which stack slot it touched, which registers were linked."""

    pc: int
    prev: int
    # (frame, slot), or of a comparison (NO_NUMBER, registers that point at the stack)
    stack: tuple[int, int] | None = None
    # each (frame, is a register, register or slot)
    linked: tuple[tuple[int, bool, int], ...] | None = None


class Frame:
    """One function being checked."""

    __slots__ = (
        "async_entry",
        "callback_depth",
        "callback_ret",
        "callsite",
        "filled",
        "frameno",
        "in_async",
        "in_callback",
        "instance",
        "precise_regs",
        "precise_slots",
        "regs",
        "stack",
        "subprog",
    )

    def __init__(self, callsite: int, frameno: int, subprog: int) -> None:
        self.regs: list[Reg] = [UNINIT] * 11
        self.stack: list[Slot] = []
        self.callsite = callsite
        self.frameno = frameno
        self.subprog = subprog
        self.in_callback = False
        self.in_async = False
        self.async_entry = 0  # how many callbacks that run later led here, each set by the one before
        self.callback_depth = 0
        self.callback_ret: tuple[int, int] | None = None
        self.instance: Instance
        self.filled: tuple[int, ...] | None = (
            None  # of a kept state that was cleaned: the slots that do not cover everything
        )
        self.precise_regs = 0
        self.precise_slots = 0

    def copy(self) -> Frame:
        new = Frame.__new__(Frame)
        new.regs = self.regs.copy()
        new.stack = self.stack.copy()
        new.callsite = self.callsite
        new.frameno = self.frameno
        new.subprog = self.subprog
        new.in_callback = self.in_callback
        new.in_async = self.in_async
        new.async_entry = self.async_entry
        new.callback_depth = self.callback_depth
        new.callback_ret = self.callback_ret
        new.instance = self.instance
        new.filled = None
        new.precise_regs = self.precise_regs
        new.precise_slots = self.precise_slots
        return new

    def grow(self, slots: int) -> None:
        """At least so many slots."""
        missing = slots - len(self.stack)
        if missing > 0:
            self.stack.extend([EMPTY_SLOT] * missing)


class State:
    """The path being checked, or one pushed for later, or one kept to compare with."""

    __slots__ = (
        "branches",
        "callback_unroll_depth",
        "cleaned",
        "differs",
        "equal",
        "first_pc",
        "frames",
        "hist",
        "hits",
        "last_pc",
        "may_goto_depth",
        "misses",
        "parent",
        "pc",
        "refs",
        "sections",
    )

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.refs: tuple[Ref, ...] = ()
        self.parent: State | None = None
        self.branches = 1
        self.first_pc = 0
        self.last_pc = 0
        self.pc = 0
        self.hist: list[Hist] = []
        self.may_goto_depth = 0
        self.callback_unroll_depth = 0
        self.hits = 0
        self.misses = 0
        self.cleaned = False
        self.sections = NO_SECTIONS
        self.equal: State | None = None
        # what told the last path compared from this state: a frame, and in it a register or a slot
        self.differs: tuple[int, tuple[int, ...], tuple[int, ...]] | None = None

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def copy(self) -> State:
        new = State.__new__(State)
        new.frames = [f.copy() for f in self.frames]
        new.refs = self.refs
        new.parent = self.parent
        new.branches = self.branches
        new.first_pc = self.first_pc
        new.last_pc = self.last_pc
        new.pc = self.pc
        new.hist = self.hist.copy()
        new.may_goto_depth = self.may_goto_depth
        new.callback_unroll_depth = self.callback_unroll_depth
        new.hits = 0
        new.misses = 0
        new.cleaned = False
        new.sections = self.sections
        new.equal = None
        new.differs = None
        return new
