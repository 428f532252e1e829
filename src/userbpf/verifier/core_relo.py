"""CO-RE relocations that the kernel itself applies: core_relos of BPF_PROG_LOAD, as programs without a loader bring them.

They come after func_info and line_info and before maps are looked up. Each names a local type, an access path and an
instruction; the types of the kernel with the same name are its candidates, and all that have the place must agree on
what the instruction gets. An instruction that asks of something that is not there becomes a call that is never valid: it may only
stand where no path leads. Linux keeps the candidates that it found over programs, and shows them in the log; here they are this
program's, so that what is said depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import CoreReloKind
from userbpf.btf import Btf, Int, Ptr, Type
from userbpf.btf.core_match import stem
from userbpf.btf.core_spec import (
    Answer,
    NotThere,
    Spec,
    SpecError,
    Unfit,
    WrongKind,
    kind_name,
    match,
    parse,
    value,
)
from userbpf.errors import BpfError, BtfError
from userbpf.isa.insn import Insn
from userbpf.verifier.reject import EINVAL, ERANGE, Reject

if TYPE_CHECKING:
    from userbpf.verifier.check import Checker

POISON: Final = Insn(0x85, 0, 0, 0, 195896080)
CACHE_SIZE: Final = 31
SIZES: Final = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
SIZE_BITS: Final = {v: k for k, v in SIZES.items()}
LDDW: Final = 0x18
M32: Final = (1 << 32) - 1
M64: Final = (1 << 64) - 1
SHRT_MAX: Final = 32767


def apply(ck: Checker, btf: Btf) -> None:
    """Adapt the instructions of the checker."""
    relos = ck.req.core_relos
    if not len(relos):
        return
    work = Work(ck, btf)
    try:
        for number, relo in enumerate(relos):
            off = relo[0]
            if off % 8 or off // 8 >= len(ck.insns):
                raise Reject(EINVAL, f"Invalid core_relo[{number}].insn_off:{off} prog->len:{len(ck.insns)}")
            work.relocate(number, *relo)
    except BpfError as e:
        if e.log:
            ck.log.raw(e.log)
        raise Reject(e.errno or EINVAL) from None
    ck.insns = tuple(work.insns)


class Work:
    """The relocations of one program."""

    def __init__(self, ck: Checker, btf: Btf) -> None:
        self.ck = ck
        self.btf = btf
        self.insns = list(ck.insns)
        self.found: dict[tuple[str, type[Type]], list[int]] = {}

    def relocate(self, number: int, off: int, type_id: int, access_off: int, kind: int) -> None:
        try:
            local = self.btf.by_id(type_id)
        except BtfError:
            raise Reject(EINVAL, f"relo #{number}: bad type id {type_id}") from None
        access = self.access(access_off)
        searched = kind != CoreReloKind.TYPE_ID_LOCAL
        refusal = None
        try:
            candidates = self.candidates(local) if searched else []
            One(self, number, off // 8, candidates).run(type_id, access, kind)
        except Reject as e:
            if e.text:
                self.ck.say(e.text)
            refusal = Reject(e.errno)
        if searched and self.ck.log.level2:
            self.show_candidates()
        if refusal is not None:
            raise refusal

    def access(self, off: int) -> str:
        """The access path; what no path is where there is none."""
        try:
            return self.btf.string(off)
        except (BtfError, IndexError, ValueError):
            return "<?>"

    def candidates(self, local: Type) -> list[int]:
        """Types of the kernel of the same kind, and the same name but for flavors."""
        kernel = self.ck.kernel_btf()
        if not local.name or kernel is None:
            raise Reject(EINVAL, f"target candidate search failed for {local.id}")
        name = stem(local.name)
        key = (name, type(local))
        if key not in self.found:
            alike = [name, *(each for each in kernel.flavors(name) if stem(each) == name)]
            numbers = sorted(i for each in alike for i in kernel.named(each))
            self.found[key] = [i for i in numbers if type(kernel.by_id(i)) is type(local)]
        for i in self.found[key]:
            self.ck.say(f"CO-RE relocating {kind_name(local)} {name}: found target candidate [{i}]")
        return self.found[key]

    def show_candidates(self) -> None:
        """What was found, in the order of a table of hashes. Names that the kernel lacks were sought in modules, too."""
        table: dict[int, tuple[str, list[int]]] = {}
        for (name, _), numbers in self.found.items():
            table[jhash(name.encode("utf-8", "surrogateescape")) % CACHE_SIZE] = (name, numbers)
        for title, module in (("vmlinux", False), ("module", True)):
            text = f"{title}_cand_cache:"
            for bucket, (name, numbers) in sorted(table.items()):
                if not (module and numbers):
                    text += f"[{bucket}]{name}({','.join(map(str, numbers))}), "
            self.ck.say(text)


class One:
    """One relocation."""

    def __init__(self, work: Work, number: int, pc: int, candidates: list[int]) -> None:
        self.work = work
        self.number = number
        self.pc = pc
        self.candidates = candidates
        self.head = f"prog '': relo #{number}: "

    def say(self, text: str) -> None:
        self.work.ck.say(self.head + text)

    def refuse(self, text: str, errno: int = EINVAL) -> Reject:
        return Reject(errno, self.head + text)

    def run(self, type_id: int, access: str, kind: int) -> None:
        btf = self.work.btf
        try:
            spec = parse(btf, type_id, access, kind)
        except (SpecError, BtfError) as e:
            errno = e.errno if isinstance(e, SpecError) else EINVAL
            if isinstance(e, WrongKind):
                self.work.ck.say(e.text)
            t = btf.by_id(type_id)
            raise self.refuse(
                f"parsing [{type_id}] {kind_name(t)} {t.name or '<anon>'} + {access} failed: {-errno}"
            ) from None
        self.say(spec.text())
        if kind == CoreReloKind.TYPE_ID_LOCAL:
            self.patch(Answer(type_id, False), Answer(type_id, False), False)
            return
        here, there = self.agree(spec, kind)
        fits = there is None or here.size == there.size or self.may_resize(btf, here, there)
        self.patch(here, there, not fits)

    def answers(self, local: Spec, found: Spec | None, kind: int) -> tuple[Answer, Answer | None]:
        """What the relocation comes to here and there; None where something would have to be there."""
        try:
            here = value(local, kind)
            try:
                return here, value(found, kind)
            except NotThere:
                return here, None
        except Unfit as e:
            raise Reject(e.errno, "prog '': " + e.text.format(kind=kind, insn=self.pc)) from None
        except (SpecError, BtfError):
            raise Reject(EINVAL) from None

    def agree(self, local: Spec, kind: int) -> tuple[Answer, Answer | None]:
        """What the candidates that have the place say of it, each the same."""
        kernel = self.work.ck.kernel_btf()
        assert kernel is not None
        bits = 0
        first: tuple[Answer, Answer | None] | None = None
        for i, number in enumerate(self.candidates):
            try:
                spec, fits = match(local, kernel, number)
            except SpecError as e:
                root = Spec(kernel, number, kind)
                raise self.refuse(f"error matching candidate #{i} {root.text()}: {-e.errno}", e.errno) from None
            self.say(f"{'matching' if fits else 'non-matching'} candidate #{i} {spec.text()}")
            if not fits:
                continue
            found = self.answers(local, spec, kind)
            if first is None:
                first, bits = found, spec.bits
            elif spec.bits != bits:
                raise self.refuse(f"field offset ambiguity: {spec.bits} != {bits}")
            elif found[1] is not None and first[1] is not None and found[1].value != first[1].value:
                text = f"success {found[1].value} != success {first[1].value}"
                raise self.refuse(f"relocation decision ambiguity: {text}")
        if first is not None:
            return first
        self.say("no matching targets found")
        return self.answers(local, None, kind)

    def may_resize(self, btf: Btf, here: Answer, there: Answer) -> bool:
        """Whether a load may have another size: of pointers, and of unsigned numbers."""
        kernel = self.work.ck.kernel_btf()
        assert kernel is not None
        if not here.type_id or not there.type_id:
            return True
        a, b = btf.resolve(here.type_id), kernel.resolve(there.type_id)
        if isinstance(a, Ptr) and isinstance(b, Ptr):
            return True
        return isinstance(a, Int) and isinstance(b, Int) and not a.signed and not b.signed

    # --- the instruction ----------------------------------------------------------------------------------------------------
    def poison(self, pc: int) -> None:
        self.say(f"substituting insn #{pc} w/ invalid insn")
        self.work.insns[pc] = POISON

    def poison_here(self) -> None:
        if self.work.insns[self.pc].code == LDDW and self.pc + 1 < len(self.work.insns):
            self.poison(self.pc + 1)
        self.poison(self.pc)

    def expect(self, kind: str, got: int, here: Answer, there: Answer, mask: int) -> None:
        if here.check and got != here.value & mask:
            text = f"unexpected insn #{self.pc} ({kind}) value: got {got}, exp {here.value} -> {there.value}"
            raise self.refuse(text)

    def patch(self, here: Answer, there: Answer | None, misfit: bool) -> None:
        if there is None:
            self.poison_here()
            return
        insn = self.work.insns[self.pc]
        cls = insn.code & 7
        todo: Callable[[Insn, Answer, Answer], None]
        if cls in (4, 7):
            todo = self._alu
        elif cls in (1, 2, 3):
            if misfit:
                self._access_checks(insn, here, there)
                self.say(
                    f"insn #{self.pc} (LDX/ST/STX) accesses field incorrectly. Make sure you are accessing pointers, "
                    "unsigned integers, or fields of matching type and size."
                )
                self.poison_here()
                return
            todo = self._access
        elif cls == 0:
            todo = self._wide
        else:
            raise self.refuse(
                f"trying to relocate unrecognized insn #{self.pc}, code:0x{insn.code:x}, src:0x{insn.src:x}, "
                f"dst:0x{insn.dst:x}, off:0x{insn.off & M32:x}, imm:0x{insn.imm & M32:x}"
            )
        todo(insn, here, there)

    def _alu(self, insn: Insn, here: Answer, there: Answer) -> None:
        if insn.code & 8:
            raise Reject(EINVAL)
        self.expect("ALU/ALU64", insn.imm & M32, here, there, M32)
        self.work.insns[self.pc] = insn._replace(imm=_s32(there.value))
        self.say(f"patched insn #{self.pc} (ALU/ALU64) imm {insn.imm & M64} -> {there.value}")

    def _access_checks(self, insn: Insn, here: Answer, there: Answer) -> None:
        if here.check and insn.off & M64 != here.value:
            got = insn.off & M32
            raise self.refuse(
                f"unexpected insn #{self.pc} (LDX/ST/STX) value: got {got}, exp {here.value} -> {there.value}"
            )
        if there.value > SHRT_MAX:
            raise self.refuse(f"insn #{self.pc} (LDX/ST/STX) value too big: {there.value}", ERANGE)

    def _access(self, insn: Insn, here: Answer, there: Answer) -> None:
        self._access_checks(insn, here, there)
        insns = self.work.insns
        insns[self.pc] = insn._replace(off=there.value)
        self.say(f"patched insn #{self.pc} (LDX/ST/STX) off {insn.off & M64} -> {there.value}")
        if here.size == there.size:
            return
        size = SIZES[insn.code & 0x18]
        if size != here.size:
            raise self.refuse(f"insn #{self.pc} (LDX/ST/STX) unexpected mem size: got {size}, exp {here.size}")
        if there.size not in SIZE_BITS:
            raise self.refuse(f"insn #{self.pc} (LDX/ST/STX) invalid new mem size: {there.size}")
        insns[self.pc] = insns[self.pc]._replace(code=insn.code & ~0x18 | SIZE_BITS[there.size])
        self.say(f"patched insn #{self.pc} (LDX/ST/STX) mem_sz {here.size} -> {there.size}")

    def _wide(self, insn: Insn, here: Answer, there: Answer) -> None:
        insns = self.work.insns
        high = insns[self.pc + 1] if self.pc + 1 < len(insns) else POISON
        if insn.code != LDDW or insn.src or insn.off or high.code or high.dst or high.src or high.off:
            raise self.refuse(f"insn #{self.pc} (LDIMM64) has unexpected form")
        before = insn.imm & M32 | (high.imm & M32) << 32
        self.expect("LDIMM64", before, here, there, M64)
        insns[self.pc] = insn._replace(imm=_s32(there.value))
        insns[self.pc + 1] = high._replace(imm=_s32(there.value >> 32))
        self.say(f"patched insn #{self.pc} (LDIMM64) imm64 {before} -> {there.value}")


def _s32(number: int) -> int:
    number &= M32
    return number - (1 << 32) if number >> 31 else number


def jhash(data: bytes) -> int:
    """Bob Jenkins' hash of bytes (lookup3, in the public domain)."""
    a = b = c = (0xDEADBEEF + len(data)) & M32

    def rol(x: int, n: int) -> int:
        return (x << n | x >> 32 - n) & M32

    def three(at: int) -> list[int]:
        part = data[at : at + 12].ljust(12, b"\0")
        return [int.from_bytes(part[i : i + 4], "little") for i in (0, 4, 8)]

    at = 0
    while len(data) - at > 12:
        a, b, c = ((x + y) & M32 for x, y in zip((a, b, c), three(at), strict=True))
        for n in (4, 6, 8, 16, 19, 4):
            a, b, c = b, (c + b) & M32, (a - c & M32) ^ rol(c, n)
        at += 12
    if at < len(data):
        a, b, c = ((x + y) & M32 for x, y in zip((a, b, c), three(at), strict=True))
        for n in (14, 11, 25, 16, 4, 14, 24):
            c = (c ^ b) - rol(b, n) & M32
            a, b, c = b, c, a
        a, b, c = c, a, b
    return c
