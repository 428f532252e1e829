"""Control flow: subprograms, edges, prune points, loops and register liveness, all before the first instruction is interpreted.

Everything here is a property of the instruction graph alone. The graph has an edge for every way control may go within one
subprogram; a call goes on behind itself, and the callee is a graph of its own. Results are flat arrays indexed by pc.

Names: a *prune point* is where the checker may keep and compare states; a *jump point* is where the way taken cannot be
told from the instruction before it, so the history notes it; a *checkpoint* is forced where convergence depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from userbpf.abi.enums import HelperId
from userbpf.isa import opcodes
from userbpf.isa.insn import Insn
from userbpf.spec.limits import BPF_MAX_SUBPROGS
from userbpf.verifier.reject import E2BIG, EINVAL, Reject

PSEUDO_CALL: Final = opcodes.BPF_PSEUDO_CALL
PSEUDO_KFUNC: Final = opcodes.BPF_PSEUDO_KFUNC_CALL
PSEUDO_FUNC: Final = opcodes.BPF_PSEUDO_FUNC
PSEUDO_JCOND: Final = 0xE5

LDDW: Final = 0x18
JA: Final = 0x05
JA32: Final = 0x06
CALL: Final = 0x85
EXIT: Final = 0x95

# helpers that run a callback before they return, and those that keep it for later
SYNC_CALLBACKS: Final = frozenset(
    map(int, (HelperId.for_each_map_elem, HelperId.loop, HelperId.find_vma, HelperId.user_ringbuf_drain))
)
ASYNC_CALLBACKS: Final = frozenset((int(HelperId.timer_set_callback),))
# what a call means for the order of checking (`Cfg.callbacks`)
SYNC: Final = 1
ASYNC: Final = 2
ITER_NEXT: Final = 3


def find_subprogs(insns: Sequence[Insn]) -> list[int]:
    """Starts of all subprograms, ascending; [0] is the main program."""
    starts = {0}
    n = len(insns)
    for pc, insn in enumerate(insns):
        code = insn[0]
        if (code == CALL and insn.src == PSEUDO_CALL) or (code == LDDW and insn.src == PSEUDO_FUNC):
            target = pc + insn.imm + 1
            if not 0 <= target < n:
                raise Reject(EINVAL, "call to invalid destination")
            starts.add(target)
            if len(starts) > BPF_MAX_SUBPROGS:
                raise Reject(E2BIG, "too many subprograms")
    return sorted(starts)


def jump_target(pc: int, insn: Insn) -> int | None:
    """Where a jump goes (also may_goto); None for what is no jump."""
    cls = insn.code & 7
    if cls not in (5, 6) or insn.code in (CALL, EXIT, 0x8D):
        return None
    if insn.code == JA32:
        return pc + insn.imm + 1
    if insn.code & 0xF0 in (0x80, 0x90):
        return None
    return pc + insn.off + 1


def check_subprogs(insns: Sequence[Insn], starts: Sequence[int]) -> None:
    """Each subprogram keeps its jumps inside and ends in a jump or an exit."""
    for start, end in zip(starts, [*starts[1:], len(insns)], strict=True):
        for pc in range(start, end):
            insn = insns[pc]
            if not _JUMPS[insn[0]]:
                continue
            target = jump_target(pc, insn)
            if target is not None and not start <= target < end:
                target = (target + (1 << 31)) % (1 << 32) - (1 << 31)
                raise Reject(EINVAL, f"jump out of range from insn {pc} to {target}")
        if insns[end - 1].code not in (EXIT, JA, JA32):
            raise Reject(EINVAL, "last insn is not an exit or jmp")


# by opcode: whether it may be a jump, and whether control simply goes on behind it
_JUMPS: Final = bytes(code & 7 in (5, 6) and code not in (CALL, EXIT, 0x8D) for code in range(256))
_PLAIN: Final = bytes(code & 7 not in (5, 6) and code != LDDW for code in range(256))


class Cfg:
    """The graph of a program whose subprograms and lddw pairs are in order. Raises Reject for what no path reaches."""

    __slots__ = (
        "_kfunc_kind",
        "callbacks",
        "ends",
        "force",
        "insns",
        "jump",
        "live",
        "loops",
        "one_pass",
        "orders",
        "prune",
        "scc",
        "scc_count",
        "starts",
        "subprog_of",
        "succ",
    )

    def __init__(
        self,
        insns: Sequence[Insn],
        starts: Sequence[int],
        loops_allowed: bool,
        arg_count: Callable[[Insn], int],
        kfunc_kind: Callable[[Insn], int] = lambda insn: 0,
        handler: int | None = None,
    ) -> None:
        self._kfunc_kind = kfunc_kind
        n = len(insns)
        self.insns = insns
        self.starts = list(starts)
        self.ends = [*starts[1:], n]
        self.prune = bytearray(n + 1)
        self.jump = bytearray(n + 1)
        self.force = bytearray(n + 1)
        self.callbacks = bytearray(
            n + 1
        )  # 1: the call runs a callback, 2: it keeps one for later, 3: it steps an iterator
        self.succ: list[tuple[int, ...]] = [()] * n
        self.subprog_of = [0] * n
        for number, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            self.subprog_of[start:end] = [number] * (end - start)
        self.loops = False  # whether any jump (or call) leads back
        self._walk(loops_allowed, 0 if handler is None else starts[handler])
        self.succ = [(pc + 1,) if _PLAIN[insn[0]] else self._successors(pc) for pc, insn in enumerate(insns)]
        self.orders: list[list[int]] = []
        # per subprogram: whether every successor comes first in its order, so that one pass backwards settles all
        self.one_pass: list[bool] = []
        for start in self.starts:
            self._postorder(start)
        self.scc = [0] * n
        self.scc_count = 0
        if self.loops:
            self._components()
        self.live = [0] * n
        self._liveness(arg_count)

    # --- edges ---------------------------------------------------------------------------------------------------------
    def _size(self, pc: int) -> int:
        return 2 if self.insns[pc].code == LDDW else 1

    def _successors(self, pc: int) -> tuple[int, ...]:
        """Within the subprogram, falling through first."""
        insn = self.insns[pc]
        code = insn.code
        if code == EXIT:
            return ()
        target = jump_target(pc, insn)
        if target is None:
            after = pc + self._size(pc)
            return (after,) if after < len(self.insns) else ()
        if code in (JA, JA32):
            return (target,)
        return (pc + 1, target) if target != pc + 1 else (pc + 1,)

    def _walk(self, loops_allowed: bool, handler: int) -> None:
        """Reach everything from instruction 0, callees included; mark prune and jump points on the way.

        Nothing leads to the handler of exceptions: what begins there is reached by itself.
        """
        insns = self.insns
        n = len(insns)
        on_path, done = 1, 2
        colour = bytearray(n)
        # runs of plain instructions are one entry: first, last, where the last one leads
        stack: list[tuple[int, int, list[int]]] = []

        def enter(first: int) -> None:
            pc = first
            colour[pc] = on_path
            while _PLAIN[insns[pc][0]]:
                after = pc + 1
                if after >= n or colour[after]:
                    stack.append((first, pc, [after]))
                    return
                pc = after
                colour[pc] = on_path
            stack.append((first, pc, self._edges(pc)))

        enter(0)
        while stack or not colour[handler]:
            if not stack:
                enter(handler)
            first, pc, todo = stack[-1]
            if not todo:
                for each in range(first, pc + 1):
                    colour[each] = done
                stack.pop()
                continue
            target = todo.pop()
            if target >= n:
                raise Reject(EINVAL, f"jump out of range from insn {pc} to {target}")
            if colour[target] == 0:
                enter(target)
            elif colour[target] == on_path:
                self.loops = True
                if not loops_allowed:
                    raise Reject(EINVAL, f"back-edge from insn {pc} to {target}")
        pc = 0
        while pc < n:
            if not colour[pc]:
                raise Reject(EINVAL, f"unreachable insn {pc}")
            if insns[pc].code == LDDW:
                if colour[pc + 1]:
                    raise Reject(EINVAL, f"jump into the middle of ldimm64 insn {pc}")
                pc += 1
            pc += 1

    def _branch(self, target: int) -> int:
        if target < len(self.insns):
            self.prune[target] = 1
            self.jump[target] = 1
        return target

    def _edges(self, pc: int) -> list[int]:
        """Where the walk goes next from pc, last one first."""
        insn = self.insns[pc]
        code = insn.code
        if code == EXIT:
            return []
        if code == CALL or (code == LDDW and insn.src == PSEUDO_FUNC):
            after = self._branch(pc + self._size(pc))
            if code == CALL and insn.src == 0:
                if insn.imm in SYNC_CALLBACKS:
                    self.callbacks[pc] = SYNC
                    self.force[pc] = self.prune[pc] = self.jump[pc] = 1
                elif insn.imm in ASYNC_CALLBACKS:
                    self.callbacks[pc] = ASYNC
                    self.prune[pc] = 1
            if code == CALL and insn.src == PSEUDO_KFUNC:
                self._kfunc(pc, self._kfunc_kind(insn))
            if code == LDDW or insn.src == PSEUDO_CALL:
                self.prune[pc] = 1
                return [self._branch(pc + insn.imm + 1), after]
            return [after]
        target = jump_target(pc, insn)
        if target is None:
            return [pc + self._size(pc)]
        if code in (JA, JA32):
            return [self._branch(target)]
        self.prune[pc] = 1
        if code == PSEUDO_JCOND and insn.src == 0:
            self.force[pc] = 1
        return [self._branch(target), pc + 1]

    def _kfunc(self, pc: int, kind: int) -> None:
        self.callbacks[pc] = kind
        if kind:
            self.prune[pc] = 1
        if kind == SYNC:
            self.jump[pc] = 1
        if kind in (1, 3):
            self.force[pc] = 1

    def _postorder(self, start: int) -> None:
        """Every instruction of the subprogram, most after their successors: the order in which Linux solves liveness."""
        succ = self.succ
        order: list[int] = []
        new, waiting, open_, done = 0, 1, 2, 3
        seen = bytearray(len(self.insns))
        stack = [start]
        successors_first = True
        while stack:
            pc = stack[-1]
            if seen[pc] >= open_:
                stack.pop()
                if seen[pc] == open_:
                    seen[pc] = done
                    order.append(pc)
                    for target in succ[pc]:
                        if seen[target] != done:
                            successors_first = False
                continue
            seen[pc] = open_
            for target in succ[pc]:
                if seen[target] == new:
                    seen[target] = waiting
                    stack.append(target)
        self.orders.append(order)
        self.one_pass.append(successors_first)

    # --- loops ---------------------------------------------------------------------------------------------------------
    def _components(self) -> None:
        """Strongly connected components with an edge inside get numbers from 1 on (Tarjan, without recursion)."""
        n = len(self.insns)
        index = [0] * n
        low = [0] * n
        scc = self.scc
        on_stack = bytearray(n)
        counter = 1
        path: list[int] = []
        for root in self.starts:
            if index[root]:
                continue
            work: list[tuple[int, int]] = [(root, 0)]
            while work:
                pc, edge = work.pop()
                if edge == 0:
                    index[pc] = low[pc] = counter
                    counter += 1
                    path.append(pc)
                    on_stack[pc] = 1
                targets = self.succ[pc]
                descend = False
                while edge < len(targets):
                    target = targets[edge]
                    edge += 1
                    if not index[target]:
                        work.append((pc, edge))
                        work.append((target, 0))
                        descend = True
                        break
                    if on_stack[target]:
                        low[pc] = min(low[pc], index[target])
                if descend:
                    continue
                if low[pc] == index[pc]:
                    members: list[int] = []
                    while True:
                        member = path.pop()
                        on_stack[member] = 0
                        members.append(member)
                        if member == pc:
                            break
                    if len(members) > 1 or pc in targets:
                        self.scc_count += 1
                        for member in members:
                            scc[member] = self.scc_count
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[pc])

    # --- registers -----------------------------------------------------------------------------------------------------
    def _liveness(self, arg_count: Callable[[Insn], int]) -> None:
        """Which registers may be read before they are written, at each instruction; one bit a register."""
        insns, live, succ = self.insns, self.live, self.succ
        for order, one_pass in zip(self.orders, self.one_pass, strict=True):
            rows: list[tuple[int, int, int]] = []
            for pc in order:
                use, keep = use_keep(insns[pc], arg_count)
                rows.append((pc, use, keep))
                out = 0
                for target in succ[pc]:
                    out |= live[target]
                live[pc] = out & keep | use
            changed = not one_pass
            while changed:
                changed = False
                for pc, use, keep in rows:
                    out = 0
                    for target in succ[pc]:
                        out |= live[target]
                    before = out & keep | use
                    if before != live[pc]:
                        live[pc] = before
                        changed = True

    def live_text(self, disasm: Callable[[int], str]) -> str:
        """The listing at the head of a level-2 log."""
        lines = ["Live regs before insn:"]
        pc = 0
        while pc < len(self.insns):
            head = f"{self.scc[pc]:3d} " if self.scc[pc] else "    "
            marks = "".join(str(r) if self.live[pc] >> r & 1 else "." for r in range(10))
            lines.append(f"{head}{pc:3d}: {marks} {disasm(pc)}")
            pc += self._size(pc)
        return "\n".join(lines)


CALLER_SAVED: Final = 0b111111


# what instructions other than calls and atomics use and leave alone, by opcode and registers
_KNOWN: dict[int, tuple[int, int]] = {}


def use_keep(insn: Insn, arg_count: Callable[[Insn], int]) -> tuple[int, int]:
    """Registers read by one instruction, and all that it does not write, as masks."""
    code = insn[0]
    if code == CALL or code & 7 == 3:
        use, define = use_def(insn, arg_count)
        return use, ~define
    key = code | insn[1] << 8 | insn[2] << 16
    known = _KNOWN.get(key)
    if known is None:
        use, define = use_def(insn, arg_count)
        known = _KNOWN[key] = use, ~define
    return known


def use_def(insn: Insn, arg_count: Callable[[Insn], int]) -> tuple[int, int]:
    """Registers read and registers written by one instruction, as masks; r10 is no concern."""
    code = insn.code
    cls = code & 7
    dst = 1 << insn.dst
    src = 1 << insn.src
    use = define = 0
    if cls in (4, 7):  # ALU
        op = code & 0xF0
        define = dst
        if op == 0xB0:
            use = src if code & 8 else 0
        elif op in (0x80, 0xD0) or not code & 8:
            use = dst
        else:
            use = dst | src
    elif cls == 0:
        if code == LDDW:
            define = dst
        elif code & 0xE0 in (0x20, 0x40):
            use = 0x3FF  # a packet load may end the program; Linux counts every register as read
    elif cls == 1:
        define, use = dst, src
    elif cls == 2:
        use = dst
    elif cls == 3:
        use = dst | src
        if code & 0xE0 == 0xC0:
            imm = insn.imm
            if imm == 0xF1:  # compare and exchange works on r0
                use |= 1
                define = 1
            elif imm == 0x100:
                define, use = dst, src
            elif imm != 0x110 and imm & 1:
                define = src
    elif cls in (5, 6):
        if code == EXIT:
            use = 1
        elif code == CALL:
            define = CALLER_SAVED
            use = (1 << arg_count(insn) + 1) - 2
        elif code & 0xF0 and code != PSEUDO_JCOND:
            use = dst | (src if code & 8 else 0)
    return use & 0x3FF, define & 0x3FF
