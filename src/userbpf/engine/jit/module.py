"""What the functions of one program share while they are written: the module, its symbols, alias metadata, helper bodies."""

from __future__ import annotations

from typing import Any, Final

from userbpf.abi.enums import HelperId
from userbpf.engine.env import Binding, Env, PythonBody
from userbpf.engine.jit.compare import MEMCMP
from userbpf.isa import opcodes as op
from userbpf.native import IrModule, NativeFn, Sym
from userbpf.spec.ctx import CtxField, ctx_fields, find
from userbpf.verifier.api import PtrKind, VerifiedProg

# Kinds of memory that never overlap. MEM and MIXED may be any memory, so they carry no tag.
_DISJOINT: Final = {
    PtrKind.CTX: "ctx",
    PtrKind.PACKET: "packet",
    PtrKind.MAP_VALUE: "map",
    PtrKind.SOCK: "sock",
    PtrKind.FLOW_KEYS: "flow keys",
}

TAIL_CALL: Final = (op.BPF_JMP | op.BPF_CALL, 0, 0)


class ProgramModule:
    """One program in the making."""

    def __init__(self, prog: VerifiedProg, env: Env) -> None:
        request = prog.request
        self.prog, self.env = prog, env
        self.ir = IrModule()
        self.fields = ctx_fields(request.prog_type, int(request.expected_attach_type))
        self.ctx_pointers = {
            f.off: f for f in self.fields if f.kind != "scalar" and (f.word is not None or f.size == 8)
        }
        self.callbacks: dict[str, tuple[str, PythonBody | None]] = {}  # symbol -> (name, Python body)
        self._compares = False
        self._moves_packet = prog.changes_packet or _tail_calls_in_subprograms(prog)
        self._names: dict[int, str] = {}  # address -> symbol
        self._tags: dict[str, int] = {}
        self._metadata: list[str] = ['!0 = !{!"userbpf"}', "!1 = !{}"]
        self._declared: dict[str, None] = {}

    # --- symbols ---

    def map_desc(self, index: int) -> str:
        """The symbol of a map's descriptor."""
        return self._symbol(f"m{index}.desc", self.env.maps[index].desc)

    def map_values(self, index: int) -> str:
        """The symbol of the first value of a map."""
        return self._symbol(f"m{index}.value", self.env.maps[index].value_base)

    def _symbol(self, name: str, addr: int) -> str:
        return f"@{self.ir.extern(self._name(name, addr), addr)}"

    def _name(self, name: str, addr: int) -> str:
        # LLVM takes two names for two places that never overlap, so one address has one name.
        return self._names.setdefault(addr, name) if addr else name

    def declare(self, line: str) -> None:
        """A `declare` line, once."""
        self._declared[line] = None

    def native(self, binding: Binding, prefix: str) -> str:
        """The function of a body; its symbols get the prefix, so that two maps of a kind do not meet."""
        consts = {name: self._renamed(value, prefix) for name, value in binding.consts.items()}
        self._compares = True
        return f"@{self.ir.use(binding.fn.bind(**consts) if consts else binding.fn)}"

    def _renamed(self, value: Any, prefix: str) -> Any:
        if isinstance(value, Sym):
            return Sym(self._name(prefix + value.name, int(value)), int(value))
        if isinstance(value, NativeFn) and value.preset:
            return NativeFn(value.defn, {k: self._renamed(v, prefix) for k, v in value.preset.items()})
        return value

    def python(self, symbol: str, name: str, body: PythonBody | None) -> None:
        """A body that runs in Python, or that does not exist: called through the symbol, which is bound at the link."""
        self.callbacks[symbol] = name, body
        self.ir.extern(symbol)

    # --- alias metadata ---

    def tag(self, kind: PtrKind | None, index: int | None = None) -> str:
        """The `, !tbaa !n` of an access."""
        name = _DISJOINT.get(kind) if kind is not None else None
        if name is None:
            return ""
        number = self._node(name, 0)
        if kind is PtrKind.MAP_VALUE and index is not None and not self._shares_memory(index):
            number = self._node(f"map {index}", number)
        return f", !tbaa !{self._access(number)}"

    def word_tag(self) -> str:
        """The metadata of a load of a context word; the words of a program that moves no packet never change."""
        fixed = "" if self._moves_packet else ", !invariant.load !1"
        return f", !tbaa !{self._access(self._node('ctx word', 0))}{fixed}"

    def _shares_memory(self, index: int) -> bool:
        """Whether another of the program's maps may be the same memory: it is used twice, or as an inner map."""
        desc = self.env.maps[index].desc
        return any(i != index and m.desc == desc for i, m in enumerate(self.env.maps))

    def _node(self, name: str, parent: int) -> int:
        if name not in self._tags:
            self._tags[name] = len(self._metadata)
            self._metadata.append(f'!{len(self._metadata)} = !{{!"{name}", !{parent}, i64 0}}')
        return self._tags[name]

    def _access(self, node: int) -> int:
        name = f"access {node}"
        if name not in self._tags:
            self._tags[name] = len(self._metadata)
            self._metadata.append(f"!{len(self._metadata)} = !{{!{node}, !{node}, i64 0}}")
        return self._tags[name]

    # --- the end ---

    def finish(self) -> None:
        """Add what the functions asked for."""
        if self._compares:
            self.ir.add(MEMCMP)
        self.ir.add("\n".join([*self._declared, *self._metadata]))

    def field_at(self, off: int, size: int) -> CtxField | None:
        """The context field of a load."""
        return find(self.fields, off, size)


def _tail_calls_in_subprograms(prog: VerifiedProg) -> bool:
    """Such a call comes back, from a program that may have done anything to the packet."""
    end = prog.subprogs[0].end
    return any(insn[:3] == TAIL_CALL and insn.imm == HelperId.tail_call for insn in prog.insns[end:])
