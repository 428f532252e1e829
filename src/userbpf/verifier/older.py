"""What an older kernel refuses that 6.18 takes, asked where its profile is not the reference's.

Nothing here runs for the reference. Each refusal is that release's own answer to something that it does not know yet: an
instruction whose bits were reserved, a helper number behind its last, a kernel function that is not in its BTF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userbpf.abi.enums import HelperId
from userbpf.spec.helpers import HelperRow
from userbpf.spec.profiles.needs import insn_needs
from userbpf.verifier.cfg import CALL
from userbpf.verifier.reject import EACCES, EINVAL, Reject

if TYPE_CHECKING:
    from userbpf.isa.insn import Insn
    from userbpf.spec.profiles import Profile
    from userbpf.verifier.check import Checker

RESERVED: Final = "BPF_{} uses reserved fields"


def check_program(ck: Checker) -> None:
    """The whole program, before it is followed: what does not depend on any state."""
    profile = ck.profile
    skip = False
    for insn in ck.insns:
        if skip:
            skip = False
            continue
        skip = insn.code == 0x18
        refused = unknown_insn(profile, insn)
        if refused is not None:
            raise Reject(EINVAL, refused)
    calls = [insn for insn in ck.insns if insn.code == CALL]
    if not profile.has("tail_calls_with_subprogs") and any(insn.src == 1 for insn in calls):
        if any(insn.src == 0 and insn.imm == HelperId.tail_call for insn in calls):
            raise Reject(EINVAL, "tail_calls are not allowed in programs with bpf-to-bpf calls")


def missing(profile: Profile, insn: Insn) -> str | None:
    """The behaviour that an instruction needs and the release lacks; None where it has all."""
    needed = insn_needs(insn)
    return needed if needed is not None and not profile.has(needed) else None


def unknown_insn(profile: Profile, insn: Insn) -> str | None:
    """How the release names what it does not know of an instruction."""
    if missing(profile, insn) is None:
        return None
    code, _, _, _, imm = insn
    cls = code & 7
    if cls in (4, 7):
        if code == 0xD7:
            return f"unknown opcode {code:02x}"
        return RESERVED.format("MOV" if code & 0xF0 == 0xB0 else "ALU")
    if cls == 1:
        return RESERVED.format("LDX")
    if cls == 3:
        if profile.has("atomics"):
            return f"BPF_ATOMIC uses invalid atomic opcode {imm:02x}"
        return RESERVED.format("STX")
    if code == CALL:
        return RESERVED.format("CALL")
    return "unrecognized bpf_ld_imm64 insn" if code == 0x18 else f"unknown opcode {code:02x}"


def check_helper(ck: Checker, row: HelperRow | None, number: int) -> None:
    """A helper that came later, or came to the program's type later."""
    if row is None:
        return
    profile, prog_type = ck.profile, ck.req.prog_type
    if not profile.knows("helper", row.name):
        raise Reject(EINVAL, f"invalid func unknown#{number}")
    allowed = row.allowed(prog_type, int(ck.req.expected_attach_type)) and profile.has_helper(row.name, prog_type)
    if not allowed and not profile.has("helper_of_type_words"):
        raise Reject(EINVAL, f"unknown func bpf_{row.name}#{number}")
    if not allowed:
        raise Reject(EINVAL, f"program of this type cannot use helper bpf_{row.name}#{number}")


def check_kfunc(ck: Checker, name: str) -> None:
    """A kernel function that came later. Linux would not find it in its BTF at all; what is said here names it."""
    if not ck.profile.has_kfunc(name, ck.req.prog_type):
        raise Reject(EACCES, f"calling kernel function {name} is not allowed")
