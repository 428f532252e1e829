"""Programs whose first kernel is publicly known (ebpf-docs, bcc's list of versions), against the profiles.

Where Linux's loader replaces what is missing (bpf_probe_read_kernel), a program loads before its helper came.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from userbpf.cli.matrix import doubts, needs_of, reasons, verdict
from userbpf.loader import Object
from userbpf.spec.profiles import PROFILES
from userbpf.syscall import Kernel

SOURCE = Path(__file__).with_name("minimum.bpf.c")
# the release that brought it, and the first profile that takes the program
FIRST = {
    "global_variable": ("5.2", "5.4"),
    "bounded_loop": ("5.3", "5.4"),
    "spin_lock": ("5.1", "5.4"),
    "probe_read_kernel": ("5.5", "5.4"),
    "typed_tracepoint": ("5.5", "5.10"),
    "security_hook": ("5.7", "5.10"),
    "ring_buffer": ("5.8", "5.10"),
    "boot_time": ("5.8", "5.10"),
    "tail_call_and_functions": ("5.10", "5.10"),
    "sleepable_hook": ("5.10", "5.10"),
    "storage_of_task": ("5.11", "5.15"),
    "atomic_fetch": ("5.12", "5.15"),
    "atomic_exchange": ("5.12", "5.15"),
    "index_into_stack": ("5.12", "5.15"),
    "memory_for_global_function": ("5.12", "5.15"),
    "for_each_element": ("5.13", "5.15"),
    "timer": ("5.15", "5.15"),
    "bloom_filter": ("5.16", "6.1"),
    "bpf_loop_helper": ("5.17", "6.1"),
    "string_compare": ("5.17", "6.1"),
    "fragments": ("5.18", "6.1"),
    "xdp_load": ("5.18", "6.1"),
    "dynptr_of_ring_buffer": ("5.19", "6.1"),
    "user_ring_buffer": ("6.1", "6.1"),
    "task_by_number": ("6.2", "6.6"),
    "rcu_section": ("6.2", "6.6"),
    "netfilter_hook": ("6.4", "6.6"),
    "dynptr_of_packet": ("6.4", "6.6"),
    "open_coded_iterator": ("6.4", "6.6"),
    "signed_division": ("6.6", "6.6"),
    "nonnull_for_global_function": ("6.8", "6.12"),
    "may_goto_loop": ("6.9", "6.12"),
    "preemption": ("6.10", "6.12"),
    "many_probes": ("5.18", "5.4"),  # loads before, but its attach type is not there
}
# what is taken, refused, and taken again: before 5.6 a function without static was like any other
ALSO = {"memory_for_global_function": ["5.4"], "nonnull_for_global_function": ["5.4"]}


@pytest.fixture(scope="module")
def obj() -> Object:
    if Kernel().vmlinux() is None:
        pytest.skip("no types of a kernel are at hand")
    return Object.open(SOURCE)


def test_every_program_has_its_release(obj: Object) -> None:
    assert set(obj.plan.progs) == set(FIRST)


@pytest.mark.parametrize("name", FIRST)
def test_the_first_kernel(obj: Object, name: str) -> None:
    since, first = FIRST[name]
    needs = needs_of(obj, name)
    row = {version: verdict(obj.plan, name, version, needs) for version in PROFILES}
    taken = [version for version, cell in row.items() if cell["verdict"] == "accepted"]
    assert taken == ALSO.get(name, []) + list(PROFILES[PROFILES.index(first) :])
    told = " ".join(reason for _, reason in reasons(name, row))
    if len(taken) < len(PROFILES) and name not in ("index_into_stack", "tail_call_and_functions", *ALSO):
        assert f"(since {since})" in told
    late = [version for version, cell in row.items() if cell["verdict"] == "accepted" and doubts(cell)]
    assert late == (["5.4", "5.10", "5.15"] if name == "many_probes" else [])
