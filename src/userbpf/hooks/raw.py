"""Programs without a packet that Linux can test-run: raw tracepoints (ctx_in is the u64 arguments) and syscall programs
(ctx_in is their own memory, written back)."""

from __future__ import annotations

from userbpf.abi.enums import ProgType
from userbpf.hooks.base import IMAGE_SIZE, Runnable, packet_slot
from userbpf.hooks.test_run import TestRunRequest, TestRunResult, refuse

FAMILY = frozenset({ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE, ProgType.SYSCALL})
MAX_TP_ARGS = 12
BPF_F_TEST_RUN_ON_CPU = 1


def test_run(prog: Runnable, request: TestRunRequest) -> TestRunResult:
    """BPF_PROG_TEST_RUN of a raw tracepoint or syscall program; there is no packet: data_in is EINVAL."""
    syscall = prog.prog_type == ProgType.SYSCALL
    size = request.ctx_in.size
    if request.data_in.given or request.data_out or request.ctx_out or request.duration or request.repeat:
        raise refuse()
    if request.batch_size or (syscall and request.flags):
        raise refuse()
    if size > (0xFFFF if syscall else MAX_TP_ARGS * 8):
        raise refuse()
    if not syscall and request.cpu and not request.flags & BPF_F_TEST_RUN_ON_CPU:
        raise refuse()
    ctx = request.ctx_in.read(size) if request.ctx_in.given else b""
    with packet_slot() as slot:
        if len(ctx) > IMAGE_SIZE:
            raise refuse()
        slot.set_image(ctx)
        with prog.run_context(request.cpu if request.flags & BPF_F_TEST_RUN_ON_CPU and not syscall else -1) as rt:
            retval = prog.execute(slot.ctx, rt)
        after = slot.image(len(ctx))
    return TestRunResult(retval & 0xFFFFFFFF, 0, None, after if syscall else None)
