"""What the verifier of a release does or knows, by name: the rows that the verifier asks with `profile.has(name)`.

`modelled` is False where the row only tells: the verifier here does as 6.18 does whatever the release, because the older rule
is another machine altogether (bounds, liveness). A verdict of "accepted" for a release before such a row is too kind
where a program lives on what came later; the row says so, and the matrix prints it. `sure` is False where release or
words of the old answer are not certain.

Sources: ebpf-docs (docs/linux/concepts, data/feature-versions.yaml), Documentation/bpf of the releases, commits of Linux.
Loops, complexity, functions, callbacks, kernel functions and mixing tail calls were looked up in ebpf-docs' concepts; loops and
BTF also in bcc's docs/kernel-versions.md.
Releases are well known; a commit that ebpf-docs does not name is cited from knowledge of Linux's history and was not looked
up, and no old kernel was asked.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Behaviour(NamedTuple):
    """One row: `name` is there since `since`; `cite` says where that stands."""

    name: str
    since: str
    cite: str
    what: str
    modelled: bool = True
    sure: bool = True


_B = Behaviour
BEHAVIOURS: Final[tuple[Behaviour, ...]] = (
    # --- programs
    _B("bpf_calls", "4.16", "commit cc8b0b92a169", "bpf-to-bpf calls"),
    _B("jmp32", "5.1", "commit 092ed0968bb6", "32-bit jumps"),
    _B("global_data", "5.2", "commit d8eca5bbb2be", "global variables and constants"),
    _B("million_insns", "5.2", "commit c04c0d2b968a", "programs of one million instructions, as many processed"),
    _B("bounded_loops", "5.3", "commit 2589726d12a1", "loops that are seen to end"),
    _B("global_functions", "5.6", "commit 51c39bb1d5d1", "global functions are verified once, by their prototype"),
    _B("tail_calls_with_subprogs", "5.10", "commit e411901c0b77", "tail calls in programs with functions (x86)"),
    _B(
        "global_function_memory",
        "5.12",
        "commit e5069b9c23b3",
        "pointers to memory as arguments of global functions",
    ),
    _B(
        "arg_tags", "6.8", "commit 94e1c70a3452", "tags of arguments of global functions (nonnull, ctx ...)", sure=False
    ),
    _B("callbacks", "5.13", "commit 69c087ba6225", "functions of the program that helpers call"),
    _B("kfuncs", "5.13", "commit e6ac2450d6de", "calls of kernel functions by BTF"),
    # --- instructions
    _B("atomics", "5.12", "commit 91c960b00566", "atomic and, or, xor, xchg, cmpxchg and fetching forms"),
    _B("lddw_btf_id", "5.10", "commit 4976b718c355", "addresses of kernel variables"),
    _B("lddw_map_idx", "5.14", "commit 387544bfa291", "maps named by their number in fd_array"),
    _B("isa_v4", "6.6", "ebpf-docs; clang -mcpu=v4", "sign extension, signed division, bswap, gotol"),
    _B("may_goto", "6.9", "commit 011832b97b31", "may_goto"),
    _B("addr_space_cast", "6.9", "commit 6082b6c328b5", "casts of arena pointers"),
    _B("acquire_release", "6.15", "commit 880442305a39", "load-acquire and store-release"),
    # --- the stack
    _B("var_stack_access", "5.12", "commit 01f810ace9ed", "loads and stores on the stack at an unknown offset"),
    _B("narrow_spills", "5.16", "commit 354e8f1970f8", "spills of fewer than 8 bytes are remembered"),
    _B("imm_spills", "6.3", "commit ecdf985d7615", "constants stored by one instruction are remembered", sure=False),
    _B("uninit_stack_reads", "6.3", "commit 6715df8d5d24", "reads of stack that was never written (CAP_PERFMON)"),
    _B("fastcall", "6.12", "commit 5b5f51bff1b6", "spills around calls that clobber only r0 do not count", sure=False),
    _B(
        "private_stack",
        "6.13",
        "commit a76ab5731e32",
        "functions of tracing programs have stacks of their own",
        sure=False,
    ),
    # --- words
    _B("helper_of_type_words", "6.11", "selftests of 6.12", '"program of this type cannot use helper"', sure=False),
    # --- BTF kinds
    _B("btf_func_global", "5.6", "commit 51c39bb1d5d1", "linkage of functions in BTF"),
    _B("btf_float", "5.13", "commit b1828f0b0482", "BTF_KIND_FLOAT"),
    _B("btf_decl_tag", "5.16", "commit b5ea834dde6b", "BTF_KIND_DECL_TAG"),
    _B("btf_type_tag", "5.17", "commit 8c42d2fa4eeb", "BTF_KIND_TYPE_TAG"),
    _B("btf_enum64", "6.0", "commit 6089fb325cf7", "BTF_KIND_ENUM64, signed enums"),
    # --- what is not modelled
    _B("bounds_32", "5.7", "commit 3f50f132d840", "32-bit bounds apart from 64-bit ones", modelled=False),
    _B(
        "range_rewrite",
        "6.8",
        "selftests of 6.8",
        "both sides of a comparison of registers are refined",
        modelled=False,
    ),
    _B("linked_offsets", "6.12", "commit 98d7ca374ba4", "registers linked with a constant between", False, False),
    _B("static_liveness", "6.15", "Documentation/bpf/verifier.rst", "registers' liveness is found first", False, False),
    _B("stack_liveness", "6.18", "Documentation/bpf/verifier.rst", "liveness of stack slots by writes", False, False),
)
