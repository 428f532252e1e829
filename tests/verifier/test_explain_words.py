"""The messages of the verifier against the rules of explanations: what it says has a rule, or is plain."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path
from typing import Any

import userbpf.verifier
from userbpf.abi.enums import ProgType
from userbpf.isa.asm import assemble
from userbpf.verifier import VerifyRequest, rules
from userbpf.verifier.explain import RULES, Explanation, explain

VERIFIER = Path(userbpf.verifier.__file__).parent
# what stands in the place of a value when a message is searched for
SAMPLES = (
    "1",
    "scalar",
    "map_value",
    "bpf_task_acquire",
    "iter_num",
    "0x0",
    "ptr_",
    "bpf_spin_lock",
    "timer",
    "ctx#1",
    "",
)
MIXED = ("1", "read from", "iter_num", "bpf_x#1", "(0x0; 0x1)", "")
# messages that say themselves what is wrong, or that no compiler's output leads to
PLAIN = frozenset(
    {
        "R{} is invalid",
        "R{} {}",
        "{} is not supported",
        "callback function not static",
        "programs without CAP_BPF are not supported",
        "Function {} has {} > {} args",
        "Unrecognized arg#{} type {}",
        "arg#{} of kernel function {} is not supported",
        "callbacks of {} are not supported",
        "callback function not allowed for map",
        "exception callback type id not found in func_info",
        "multiple exception callback tags for main subprog",
        "invalid arg_type for sockmap/sockhash",
        "invalid map_ptr to access map->key",
        "invalid map_ptr to access map->value",
        "invalid module BTF object FD specified.",
        "invalid return type {} of func {}",
        "map_ptr access not supported for map type {}",
        "map_ptr access not supported without CONFIG_DEBUG_INFO_BTF",
        "kern ctx type id {} is not a struct",
        "too many different kernel function calls",
        "use static function instead",
        "uninit stack in range of var-offset write prohibited for !root; insn {}, off: {}",
        "spilled ptr in range of var-offset stack write; insn {}, ptr off: {}",
        "'struct {}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN",
    }
)


def templates() -> set[str]:
    """Texts of refusals in the verifier's source, with {} for each value."""
    out = set()
    for path in VERIFIER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reject":
                for arg in node.args[1:]:
                    text = template(arg)
                    if text:
                        out.add(text)
    return out


def template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return ""


def known(text: str) -> bool:
    """Whether a rule knows the message with some values in its places."""
    parts = text.split("{}")
    same = [text.replace("{}", sample) for sample in SAMPLES]
    mixed = [
        "".join(a + b for a, b in zip(parts, (*values, ""), strict=True))
        for values in product(MIXED, repeat=len(parts) - 1)
        if len(parts) < 7
    ]
    # what stands before these in a message is put there by the caller, or is told by the line before
    if text.startswith(
        (
            "verifier bug: ",
            "a non-sleepable ",
            "{} the register",
            "{} would lead",
            "{} map_uid=",
            "{} makes",
            "{} takes",
        )
    ):
        return True
    return any(rule.pattern.search(words) for words in same + mixed for rule in RULES)


def test_messages_have_a_rule() -> None:
    found = templates()
    assert len(found) > 250
    missing = sorted(text for text in found - PLAIN if not known(text))
    # a few may wait for their rule: place and life speak alone till then
    assert len(missing) <= len(found) // 10, missing


def test_what_is_plain_is_still_said_by_the_verifier() -> None:
    assert not PLAIN - templates()


def test_rules_have_one_place_each() -> None:
    assert len({rule.tell for rule in RULES}) == len(RULES)
    modules = {rule.tell.__module__.rpartition(".")[2] for rule in RULES}
    assert modules == set(rules.__all__)
    table = rules.__doc__ or ""
    assert all(f"`{name}`" in table for name in modules)


# --- programs without types and lines: places are instructions ---------------------------------------------------------------


def told(text: str, **more: Any) -> Explanation:
    found = explain(VerifyRequest(assemble(text.replace("; ", "\n")), ProgType.SOCKET_FILTER, **more))
    assert found is not None
    return found


def test_without_lines_instructions_are_named() -> None:
    found = told("r6 = *(u32 *)(r1 + 0); r2 = r10; r2 += r6; r0 = *(u8 *)(r2 + 0); exit")
    assert found.place is None and found.pc == 3
    assert found.lost is not None and found.lost.place is None and found.lost.pc == 2
    assert "any 32-bit number was added at instruction 2" in found.cause
    assert all(step.place is None for step in found.life)


def test_refused_before_the_first_instruction() -> None:
    found = told("r0 = 0; exit; r0 = 1; exit")
    assert found.rule == "unreachable" and found.pc == 2 and found.life == [] and found.errno == 22
    loop = told("r0 = 0; r0 += 1; if r0 < 4 goto -2; exit", kernel="5.2")
    assert loop.rule == "back-edge" and loop.pc == 2 and "before 5.3" in loop.needed


def test_padding_of_a_key_before_6_3() -> None:
    text = "*(u8 *)(r10 - 8) = 1; *(u32 *)(r10 - 4) = 2; r0 = *(u64 *)(r10 - 8); r0 = 0; exit"
    found = told(text, kernel="6.1")
    assert found.rule == "stack-uninitialised" and "3 of fp-7 to fp-5 were never written" in found.cause
    assert any("padding included" in text for text in found.advice)
    assert explain(VerifyRequest(assemble(text.replace("; ", "\n")), ProgType.SOCKET_FILTER)) is None


def test_an_instruction_of_a_later_kernel() -> None:
    found = told("r0 = 7; r0 s/= 2; exit", kernel="6.1")
    assert found.rule == "instruction" and "6.1" in found.needed and any("-mcpu=v3" in text for text in found.advice)
