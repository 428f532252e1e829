"""Programs that call kernel functions, with what Linux 6.18.44 returned for the bytes 0 to 63: see `objects_runs`."""

from __future__ import annotations

from typing import Final

from verifier.objects_rig import TC, XDP

KFUNC_RUNS: Final = (
    (
        "rcu",
        TC,
        """
            call kfunc bpf_rcu_read_lock
            call kfunc bpf_rcu_read_unlock
            call kfunc bpf_preempt_disable
            call kfunc bpf_preempt_enable
            r0 = 3
            exit
        """,
        0x3,
    ),
    (
        "num",
        TC,
        """
            r6 = 0
            r1 = r10
            r1 += -8
            r2 = -3
            r3 = 10
            call kfunc bpf_iter_num_new
            l:
            r1 = r10
            r1 += -8
            call kfunc bpf_iter_num_next
            if r0 == 0 goto out
            r1 = *(u32 *)(r0 +0)
            r1 += 100
            r6 += r1
            goto l
            out:
            r1 = r10
            r1 += -8
            call kfunc bpf_iter_num_destroy
            r0 = r6
            exit
        """,
        0x53B,
    ),
    (
        "num_bad",
        TC,
        """
            r1 = r10
            r1 += -8
            r2 = 5
            r3 = 4
            call kfunc bpf_iter_num_new
            r6 = r0
            r1 = r10
            r1 += -8
            call kfunc bpf_iter_num_next
            if r0 == 0 goto out
            r6 += 1
            out:
            r1 = r10
            r1 += -8
            call kfunc bpf_iter_num_destroy
            r0 = r6
            exit
        """,
        0xFFFFFFEA,
    ),
    (
        "num_big",
        TC,
        """
            r1 = r10
            r1 += -8
            r2 = 0
            r3 = 0x7fffffff
            call kfunc bpf_iter_num_new
            r6 = r0
            r1 = r10
            r1 += -8
            call kfunc bpf_iter_num_destroy
            r0 = r6
            exit
        """,
        0xFFFFFFF9,
    ),
    (
        "xdp",
        XDP,
        """
            r6 = r1
            r2 = 0
            r3 = r10
            r3 += -16
            call kfunc bpf_dynptr_from_xdp
            r7 = r0
            r1 = r10
            r1 += -16
            call kfunc bpf_dynptr_size
            r7 += r0
            *(u64 *)(r10 -32) = 0
            *(u64 *)(r10 -24) = 0
            r1 = r10
            r1 += -16
            r2 = 4
            r3 = r10
            r3 += -32
            r4 = 14
            call kfunc bpf_dynptr_slice_rdwr
            if r0 == 0 goto out
            r1 = 9
            *(u8 *)(r0 +12) = r1
            r7 *= 16
            out:
            r1 = r10
            r1 += -16
            r2 = 3
            r3 = 20
            call kfunc bpf_dynptr_adjust
            r7 += r0
            r1 = r10
            r1 += -16
            r2 = r10
            r2 += -48
            call kfunc bpf_dynptr_clone
            r1 = r10
            r1 += -48
            call kfunc bpf_dynptr_size
            r7 += r0
            r1 = r10
            r1 += -56
            r2 = 1
            r3 = r10
            r3 += -48
            r4 = 13
            r5 = 0
            call bpf_dynptr_read
            r7 += r0
            r1 = *(u8 *)(r10 -56)
            r7 *= 16
            r7 += r1
            r1 = r10
            r1 += -48
            r2 = 4
            r3 = 100
            r4 = 1
            call kfunc bpf_dynptr_memset
            r7 += r0
            r1 = r10
            r1 += -48
            call kfunc bpf_dynptr_is_rdonly
            r0 &= 1
            r7 += r0
            r1 = r10
            r1 += -48
            r2 = 10
            r3 = 5
            call kfunc bpf_dynptr_adjust
            r7 += r0
            r0 = r7
            exit
        """,
        0x40FC,
    ),
    (
        "ringslice",
        XDP,
        """
            r1 = map_fd ring ll
            r2 = 16
            r3 = 0
            r4 = r10
            r4 += -16
            call bpf_ringbuf_reserve_dynptr
            r1 = r10
            r1 += -16
            r2 = 8
            r3 = 0
            r4 = 8
            call kfunc bpf_dynptr_slice_rdwr
            r6 = 1
            if r0 == 0 goto out
            *(u64 *)(r0 +0) = 5
            r6 = *(u64 *)(r0 +0)
            out:
            r1 = r10
            r1 += -16
            r2 = 0
            call bpf_ringbuf_discard_dynptr
            r0 = r6
            exit
        """,
        0x5,
    ),
)
