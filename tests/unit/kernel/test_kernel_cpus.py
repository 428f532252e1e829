"""Run contexts: one for each CPU, one thread at a time."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time

import pytest

from userbpf.errors import BpfError
from userbpf.kernel.cpus import Cpus
from userbpf.native.rt import (
    RT_CLOCK_MODE,
    RT_CLOCK_NS,
    RT_COOKIE,
    RT_CPU,
    RT_KERNEL,
    RT_PID_TGID,
    RT_PRANDOM,
    RT_PROG,
    RT_TAIL_CALLS,
    RT_UID_GID,
)


def u32_at(addr: int) -> int:
    return ctypes.c_uint32.from_address(addr).value


def u64_at(addr: int) -> int:
    return ctypes.c_uint64.from_address(addr).value


@pytest.fixture
def cpus() -> Cpus:
    return Cpus(2, seed=7, kernel_number=5)


def test_what_a_program_finds(cpus: Cpus) -> None:
    with cpus.lend(1, prog_number=9, cookie=11) as rt:
        assert u32_at(rt + RT_CPU) == 1
        assert u64_at(rt + RT_KERNEL) == 5
        assert u64_at(rt + RT_PROG) == 9
        assert u64_at(rt + RT_COOKIE) == 11
        assert u64_at(rt + RT_TAIL_CALLS) == 0
        assert u64_at(rt + RT_PID_TGID) == os.getpid() << 32 | threading.get_native_id()
        assert u64_at(rt + RT_UID_GID) == os.getgid() << 32 | os.getuid()


def test_a_cpu_that_does_not_exist(cpus: Cpus) -> None:
    with pytest.raises(BpfError) as caught:
        cpus.lend(2)
    assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("count", [0, -1, 5000])
def test_impossible_numbers(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        Cpus(count, 1, 1)


def test_seeds_decide_and_cpus_differ() -> None:
    def states(seed: int) -> list[int]:
        made = Cpus(4, seed, 1)
        return [u64_at(made.rt(cpu) + RT_PRANDOM) for cpu in range(4)]

    assert states(1) == states(1) != states(2)
    assert len(set(states(0))) == 4
    assert all(states(0))


def test_the_fixed_clock_reaches_every_cpu(cpus: Cpus) -> None:
    cpus.set_clock(123)
    for cpu in range(2):
        assert (u64_at(cpus.rt(cpu) + RT_CLOCK_MODE), u64_at(cpus.rt(cpu) + RT_CLOCK_NS)) == (1, 123)
    with cpus.lend() as rt, cpus.lend() as nested:
        assert u64_at(nested + RT_CLOCK_NS) == 123
        assert nested != rt
    cpus.set_clock(None)
    assert u64_at(cpus.rt(0) + RT_CLOCK_MODE) == 0


def test_a_nested_run_stays_on_its_cpu(cpus: Cpus) -> None:
    with cpus.lend(1) as outer:
        with cpus.lend() as inner:
            assert u32_at(inner + RT_CPU) == u32_at(outer + RT_CPU) == 1
        assert not cpus.idle()
    assert cpus.idle()


def test_no_two_threads_on_one_cpu(cpus: Cpus) -> None:
    busy = [0, 0]
    clashes: list[int] = []

    def work() -> None:
        for _ in range(200):
            with cpus.lend() as rt:
                cpu = u32_at(rt + RT_CPU)
                busy[cpu] += 1
                if busy[cpu] != 1:
                    clashes.append(cpu)
                time.sleep(0)
                busy[cpu] -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
    assert cpus.idle()


def test_all_stopped_waits_for_runs(cpus: Cpus) -> None:
    order: list[str] = []
    entered = threading.Event()

    def run() -> None:
        with cpus.lend():
            entered.set()
            time.sleep(0.05)
            order.append("run ends")

    thread = threading.Thread(target=run)
    thread.start()
    entered.wait()
    with cpus.all_stopped():
        order.append("stopped")
    thread.join()
    assert order == ["run ends", "stopped"]


def test_a_child_has_its_cpus_back(cpus: Cpus) -> None:
    with cpus.lend(0):
        pid = os.fork()
        if not pid:
            cpus.after_fork()
            with cpus.lend() as rt:  # nested: this thread holds CPU 0 in the child, too
                os._exit(0 if u32_at(rt + RT_CPU) == 0 else 1)
        assert os.waitpid(pid, 0)[1] == 0
