"""What is known of a scalar: a tnum and eight bounds, immutable, interned, compared by identity.

A `Val` stands for the 64-bit words `w` with `w` in the tnum, `smin <= s64(w) <= smax`, `umin <= w <= umax`, and the same for the
low half with the four 32-bit bounds.

| module | idea |
|---|---|
| `val` | the object, one a content; order and text |
| `deduce` | the views narrow one another |
| `arith`, `bitwise` | what an operation leaves |
| `width` | moves of half words, loads, sign extension, byte order |
| `compare` | comparisons: which ways are open, what is known on each |
"""

from __future__ import annotations

from userbpf.verifier.domain.arith import (
    ADD,
    AND,
    ARSH,
    DIV,
    LSH,
    MOD,
    MUL,
    NEG,
    OR,
    RSH,
    SDIV,
    SMOD,
    SUB,
    XOR,
    alu,
    alu_reports,
    sign_mask,
)
from userbpf.verifier.domain.compare import (
    JEQ,
    JGE,
    JGT,
    JLE,
    JLT,
    JNE,
    JSET,
    JSGE,
    JSGT,
    JSLE,
    JSLT,
    branch,
    branch_reports,
    branch_self,
    self_reports,
)
from userbpf.verifier.domain.deduce import (
    from_range,
    from_srange,
)
from userbpf.verifier.domain.val import (
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    U64,
    UNKNOWN,
    ZERO,
    Fields,
    Val,
    bounds_text,
    const,
    forget,
    leq,
    make,
    number_text,
    s32,
    s64,
    sweep,
    table_sizes,
    unsigned_text,
)
from userbpf.verifier.domain.width import (
    bswap,
    cast,
    mov32,
    sext,
    to_le,
)

__all__ = [
    "ADD",
    "AND",
    "ARSH",
    "DIV",
    "JEQ",
    "JGE",
    "JGT",
    "JLE",
    "JLT",
    "JNE",
    "JSET",
    "JSGE",
    "JSGT",
    "JSLE",
    "JSLT",
    "LSH",
    "MOD",
    "MUL",
    "NEG",
    "OR",
    "RSH",
    "S32_MAX",
    "S32_MIN",
    "S64_MAX",
    "S64_MIN",
    "SDIV",
    "SMOD",
    "SUB",
    "U32",
    "U64",
    "UNKNOWN",
    "XOR",
    "ZERO",
    "Fields",
    "Val",
    "alu",
    "alu_reports",
    "bounds_text",
    "branch",
    "branch_reports",
    "branch_self",
    "bswap",
    "cast",
    "const",
    "forget",
    "from_range",
    "from_srange",
    "leq",
    "make",
    "mov32",
    "number_text",
    "s32",
    "s64",
    "self_reports",
    "sext",
    "sign_mask",
    "sweep",
    "table_sizes",
    "to_le",
    "unsigned_text",
]
