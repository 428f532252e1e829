"""Random programs that call kernel functions: acquire and release, number iterators, dynptrs over packets, RCU and preemption.

Whatever is taken is given back in the order of blocks, so that most programs are right; now and then a check, a release or the
end of an iterator is left out or comes twice. A program is a `btf_cases.Case`, so it is asked of Linux and of the excerpt of its
types alike.

cd tests && python -m bench_verifier.kernel_functions 0 300 [SHOW]       compares seeds 0 to 299 with Linux (root, 6.18.44)
"""

from __future__ import annotations

import collections
import difflib
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from userbpf.abi.enums import ProgType
from userbpf.btf import Btf
from userbpf.verifier import check
from verifier import btf_ask
from verifier.btf_cases import Case

TYPES = {"tc": ProgType.SCHED_CLS, "syscall": ProgType.SYSCALL}
SLEEPABLE = 1 << 4
# how it is had, how it is given back
OBJECTS = {
    "tc": (("r1 = 1", "bpf_task_from_pid", "bpf_task_release"), ("r1 = 1", "bpf_cgroup_from_id", "bpf_cgroup_release")),
    "syscall": (
        ("r1 = 1", "bpf_task_from_pid", "bpf_task_release"),
        ("r1 = 1", "bpf_cgroup_from_id", "bpf_cgroup_release"),
        ("r1 = 0", "bpf_cpumask_create", "bpf_cpumask_release"),
    ),
}
SECTIONS = (("bpf_rcu_read_lock", "bpf_rcu_read_unlock"), ("bpf_preempt_disable", "bpf_preempt_enable"))
POINTERS, ITERATORS, DYNPTRS, BUFFER = (-8, -16, -24), (-32, -40), (-64, -80, -96), -112


class Writer:
    def __init__(self, family: str, seed: int) -> None:
        self.rng = random.Random(f"kernel functions {family} {seed}")
        self.family = family
        self.lines: list[str] = []
        self.labels = self.depth = 0
        self.budget = self.rng.randrange(2, 7)
        self.free = {"pointer": list(POINTERS), "iterator": list(ITERATORS), "dynptr": list(DYNPTRS)}

    def put(self, *lines: str) -> None:
        self.lines += lines

    def call(self, name: str) -> None:
        self.put(f"call kfunc {{kfunc:{name}}}")

    def label(self) -> str:
        self.labels += 1
        return f"L{self.labels}"

    def slips(self) -> bool:
        """Whether something goes wrong here."""
        return self.rng.random() < 0.03

    @contextmanager
    def slot(self, kind: str) -> Iterator[int]:
        """A place on the stack for a block."""
        at = self.free[kind].pop()
        yield at
        self.free[kind].append(at)

    def address(self, reg: int, at: int) -> None:
        self.put(f"r{reg} = r10", f"r{reg} += {at}")

    # -- constructs ------------------------------------------------------------------------------------------------------

    def block(self) -> None:
        self.depth += 1
        for _ in range(self.rng.randrange(1, 4)):
            if self.budget <= 0 or self.depth > 4:
                self.scalar()
                break
            self.budget -= 1
            self.step()
        self.depth -= 1

    def step(self) -> None:
        choices: list[tuple[Callable[[], None], int]] = [(self.scalar, 3), (self.branch, 3), (self.section, 2)]
        choices += [(self.object, 4)] * bool(self.free["pointer"])
        choices += [(self.iterate, 4)] * bool(self.free["iterator"])
        choices += [(self.dynptr, 4)] * bool(self.free["dynptr"] and self.family == "tc")
        steps, weights = zip(*choices, strict=True)
        self.rng.choices(steps, weights)[0]()

    def scalar(self) -> None:
        rng = self.rng
        reg = rng.choice((7, 8))
        self.put(
            rng.choice(
                (
                    f"r{reg} += {rng.randrange(9)}",
                    f"r{reg} &= {rng.choice((1, 7, 255))}",
                    f"r{reg} *= 3",
                    f"w{reg} = w{15 - reg}",
                )
            )
        )

    def branch(self) -> None:
        rng = self.rng
        out = self.label()
        self.put(f"if r{rng.choice((7, 8))} {rng.choice(('>', '==', 's<', '!='))} {rng.randrange(10)} goto {out}")
        self.block()
        self.put(f"{out}:")

    def section(self) -> None:
        first, last = self.rng.choice(SECTIONS)
        self.call(first)
        self.block()
        if not self.slips():
            self.call(last)

    def object(self) -> None:
        """Taken, checked, kept on the stack, given back."""
        rng = self.rng
        before, take, give = rng.choice(OBJECTS[self.family])
        out = self.label()
        with self.slot("pointer") as at:
            self.put(before)
            self.call(take)
            if not self.slips():
                self.put(f"if r0 == 0 goto {out}")
            self.put(f"*(u64 *)(r10 {at}) = r0")
            if take == "bpf_task_from_pid" and rng.random() < 0.4:
                self.put("r7 = *(u32 *)(r0 +{task_struct.pid})")
            self.block()
            for _ in range(self.times()):
                self.put(f"r1 = *(u64 *)(r10 {at})")
                self.call(give)
        self.put(f"{out}:")

    def times(self) -> int:
        """How often something is given back."""
        return self.rng.choice((0, 2)) if self.slips() else 1

    def iterate(self) -> None:
        rng = self.rng
        again, done = self.label(), self.label()
        with self.slot("iterator") as at:
            self.address(1, at)
            self.put(f"r2 = {rng.randrange(3)}", f"r3 = {rng.choice((0, 1, 3, 10, 1000))}")
            self.call("bpf_iter_num_new")
            self.put(f"{again}:")
            self.address(1, at)
            self.call("bpf_iter_num_next")
            if not self.slips():
                self.put(f"if r0 == 0 goto {done}")
            if rng.random() < 0.6:
                self.put(f"r{rng.choice((7, 8))} = *(s32 *)(r0 +0)" if rng.random() < 0.3 else "r7 = *(u32 *)(r0 +0)")
            self.block()
            self.put(f"goto {again}", f"{done}:")
            for _ in range(self.times()):
                self.address(1, at)
                self.call("bpf_iter_num_destroy")

    def dynptr(self) -> None:
        rng = self.rng
        with self.slot("dynptr") as at:
            self.put("r1 = r6", "r2 = 0")
            self.address(3, at)
            self.call("bpf_dynptr_from_skb")
            for _ in range(rng.randrange(1, 4)):
                self.use_dynptr(at)

    def use_dynptr(self, at: int) -> None:
        rng = self.rng
        kind = rng.random()
        self.address(1, at)
        if kind < 0.2:
            self.call("bpf_dynptr_size")
            self.put("r7 = r0")
        elif kind < 0.4 and self.free["dynptr"]:
            with self.slot("dynptr") as other:
                self.address(2, other)
                self.call("bpf_dynptr_clone")
                self.block()
                if self.slips():
                    self.put(f"*(u64 *)(r10 {other}) = 0")
                self.use_dynptr(other)
        else:
            size = rng.choice((4, 8, 16))
            write = rng.random() < 0.3
            out = self.label()
            self.put(f"r2 = {rng.choice((0, 4, 14))}")
            self.address(3, BUFFER)
            self.put(f"r4 = {size}")
            self.call("bpf_dynptr_slice_rdwr" if write else "bpf_dynptr_slice")
            if not self.slips():
                self.put(f"if r0 == 0 goto {out}")
            width, letter = rng.choice(((1, "u8"), (2, "u16"), (4, "u32")))
            off = size if self.slips() else rng.randrange(size - width + 1) // width * width
            if write or self.slips():
                self.put(f"*({letter} *)(r0 +{off}) = r7")
            self.put(f"r8 = *({letter} *)(r0 +{off})", f"{out}:")

    def case(self, name: str) -> Case:
        self.put(
            "r6 = r1",
            "call bpf_get_prandom_u32" if self.family == "tc" else "r0 = *(u32 *)(r1 +0)",
            "r7 = r0",
            "r8 = 0",
        )
        for off in (BUFFER, BUFFER + 8):
            self.put(f"*(u64 *)(r10 {off}) = 0")
        self.block()
        self.block()
        self.put("r0 = 0", "exit")
        return Case(
            name, "\n".join(self.lines), TYPES[self.family], "", 0, SLEEPABLE if self.family == "syscall" else 0
        )


def program(family: str, seed: int) -> Case:
    return Writer(family, seed).case(f"{family}-{seed}")


def mine(case: Case, btf: Btf) -> tuple[int, list[str]]:
    """As Linux answers, its holes included."""
    with patch.object(check, "mirror_holes", True):
        return btf_ask.mine(case, btf)


def main(args: list[str]) -> None:
    first, count, show = int(args[0]), int(args[1]), int((args[2:] or ["3"])[0])
    seen: collections.Counter[str] = collections.Counter()
    for seed in range(first, first + count):
        for family in TYPES:
            case = program(family, seed)
            theirs, ours = btf_ask.theirs(case), mine(case, btf_ask.excerpt())
            what = "same" if theirs == ours else "verdict" if theirs[0] != ours[0] else "log"
            seen[what] += 1
            seen["refused"] += bool(theirs[0])
            if what != "same" and show:
                show -= 1
                print(case.name, what, theirs[0], ours[0])
                print(
                    "\n".join(list(difflib.unified_diff(theirs[1], ours[1], "Linux", "userbpf", n=4, lineterm=""))[:24])
                )
    print(dict(seen))


if __name__ == "__main__":
    main(sys.argv[1:])
