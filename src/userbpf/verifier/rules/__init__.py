"""The rules of `explain`, a module a subject: what was needed, where it was lost, what mends it.

| module | refusals about |
|---|---|
| `functions` | arguments of global functions |
| `packets` | packet pointers, their range, their end |
| `pointers` | NULL, what is no pointer, values that are not there, arithmetic with pointers |
| `bounds` | map values, memory, sizes and indices: numbers that are not bounded enough |
| `stack` | the stack: bytes never written, offsets, its size |
| `context` | fields of the context |
| `calls` | helpers, arguments, functions, return values |
| `flow` | loops, complexity, code that is not reached |
| `held` | what must be given back: references, locks, sections |
| `objects` | dynptrs, iterators, timers, kptrs, lists and trees |
| `kernel` | BTF pointers, kernel functions, what a program is attached to |

A new rule goes where its subject is; `@rule(name, patterns)` registers it, and the first that matches wins, in the order of
the table. `test_explain_words` holds the messages of the verifier against the rules.
"""

from userbpf.verifier.rules import (  # noqa: I001  the order is the rules'
    functions,
    packets,
    pointers,
    stack,
    bounds,
    held,
    objects,
    context,
    calls,
    flow,
    kernel,
)

__all__ = [
    "bounds",
    "calls",
    "context",
    "flow",
    "functions",
    "held",
    "kernel",
    "objects",
    "packets",
    "pointers",
    "stack",
]
