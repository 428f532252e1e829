"""Refusals explained: wrong programs that people write, and what they are told of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from userbpf import linux
from userbpf.client.explain import Explanation, watching
from userbpf.errors import BpfError
from userbpf.loader import Object
from userbpf.syscall import Kernel
from userbpf.verifier.explain import RULES

SOURCE = Path(__file__).with_name("wrong.bpf.c")

# program: rule, what stands in the line at fault, words of the cause, words of the advice
WRONG: dict[str, tuple[str, str, str, str]] = {
    "never_compared": ("packet-range", "eth->h_proto", "no comparison with data_end was made", "data_end) return"),
    "compared_too_little": ("packet-range", "ip->protocol", "proves 14 bytes, the access ends at byte 24", "data + 24"),
    "wrong_branch": ("packet-range", "eth->h_proto", "came out the other way", "leave the function"),
    "packet_moved": (
        "no-pointer",
        "eth->h_proto",
        "bpf_xdp_adjust_head may move packet data",
        "load data and data_end",
    ),
    "compared_before_offset": (
        "packet-range",
        "return *l4",
        "variable offset after the comparison",
        "compare the pointer",
    ),
    "no_null_check": ("null", "*value += 1", "returned by bpf_map_lookup_elem", "if (!pointer)"),
    "other_null_check": ("null", "return *value", "was of another pointer", "if (!pointer)"),
    "pointer_in_map": ("no-pointer", "**value", "read from memory as a number", "bpf_probe_read_kernel"),
    "on_null_branch": ("no-pointer", "return *value", "on this path it is NULL", "leave the function"),
    "signed_index": ("pointer-math", "value[i]", "is signed and leaves negative numbers", "unsigned"),
    "index_too_large": (
        "map-range",
        "value[i]",
        "the comparison at line 141 leaves 0 to 64, 63 is the most that fits: one too many",
        "i > 63",
    ),
    "index_unbounded": ("unbounded", "rx_queue_index", "no comparison on this path bounds it", "compare the variable"),
    "unknown_field": ("context", "+ 40", "at offset 40 the context", "other program types"),
    "field_read_only": (
        "context",
        "ingress_ifindex",
        "ingress_ifindex (offset 12, 4 bytes) may be read, not written",
        "",
    ),
    "half_a_pointer": ("context", "ctx->data", "data is a pointer and must be read whole", "ctx->data;"),
    "helper_of_another_type": ("helper", "bpf_xdp_adjust_head", "is for programs of type xdp", "move the call"),
    "number_for_pointer": ("argument", "bpf_map_lookup_elem", "it is 5 (scalar)", "pass the address of a variable"),
    "write_constants": ("map-readonly", "limit", "BPF_F_RDONLY_PROG", "drop const"),
    "event_kept": ("leaked-reference", "", "without releasing it", "bpf_ringbuf_submit()"),
    "event_after_submit": ("no-pointer", "return e->a", "gives the reference back", "before it is released"),
    "event_too_far": ("mem-range", "e[1].b", "it reaches bytes 24 to 31", "ask for more"),
    "never_ends": ("endless", "", "what it was a round before", "count with a variable"),
    "too_many_branches": ("too-complex", "", "from round to round these differ", "bpf_loop()"),
    "large_stack": ("stack-size", "", "a chain of 2 functions uses 608 bytes", "per-CPU array map"),
    "wrong_return": ("return", "return ctx->len", "R0 is any 32-bit number on this path", "return constants"),
    "zero_size": ("size-argument", "bpf_trace_printk", "it may be 0", "if (size == 0)"),
    "context_for_memory": (
        "argument",
        "bpf_map_update_elem",
        "it is the context (ctx)",
        "copy the field to a variable",
    ),
    "clobbered": ("uninitialised", "", "left R1 undefined, as every call does", "R6 to R9"),
    "pointer_multiplied": ("arithmetic", "", "R", "offset as a number, then add it once"),
    "write_to_packet": (
        "packet-write",
        "*data = 1",
        "may read packets through pointers, not write",
        "bpf_skb_store_bytes",
    ),
}


@pytest.fixture(scope="module")
def obj() -> Iterator[tuple[Kernel, Object]]:
    kernel = Kernel()
    with Object.open(SOURCE).load(kernel=kernel, progs=()) as loaded:
        yield kernel, loaded


def explained(obj: tuple[Kernel, Object], name: str) -> Explanation:
    kernel, loaded = obj
    with watching(kernel) as watched:
        with pytest.raises(BpfError):
            loaded.load_prog(name)
        found = watched.explanation()
    assert found is not None
    return found


def test_each_wrong_program_is_in_the_table(obj: tuple[Kernel, Object]) -> None:
    assert set(obj[1].plan.progs) == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_explanation(obj: tuple[Kernel, Object], name: str) -> None:
    rule, line, cause, advice = WRONG[name]
    found = explained(obj, name)
    assert found.rule == rule, found
    assert found.place is not None and line in found.place.text
    assert cause in found.cause
    assert any(advice in text for text in found.advice) or not advice
    assert found.needed and found.message and found.errno
    assert json.loads(json.dumps(found.to_dict()))["rule"] == rule


@pytest.mark.parametrize("name", WRONG)
def test_linux_refuses_it_with_the_same_words(name: str) -> None:
    reason = linux.available()
    if reason is not None:
        pytest.skip(reason)
    said = []
    for transport in ("user", "linux"):
        with Object.open(SOURCE).load(transport, progs=()) as loaded, pytest.raises(BpfError) as e:
            loaded.load_prog(name)
        said.append((e.value.errno, e.value.strerror))
    assert said[0] == said[1]


def test_the_life_of_a_register_goes_through_copies_and_the_stack(obj: tuple[Kernel, Object]) -> None:
    found = explained(obj, "packet_moved")
    assert [step.kind for step in found.life][-3:] == ["load", "compare", "moved"]
    assert found.life[0].place is not None and "DATA(ctx)" in found.life[0].place.text


def test_a_refusal_of_no_rule_still_names_the_place(obj: tuple[Kernel, Object]) -> None:
    rules, RULES[:] = list(RULES), []
    try:
        found = explained(obj, "no_null_check")
    finally:
        RULES[:] = rules
    assert found.rule == "" and found.register == 0 and found.life and found.needed == found.message


def test_an_accepted_program_has_nothing_to_explain() -> None:
    kernel = Kernel()
    example = SOURCE.parents[2] / "examples" / "xdp_flows.bpf.c"
    with watching(kernel) as watched, Object.open(example).load(kernel=kernel):
        assert watched.explanation() is None
        recording = watched.recording()
    assert recording is not None and recording.error is None
    assert 100 < len(list(recording.everything())) <= recording.checker.processed
