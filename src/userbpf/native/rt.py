"""Layouts that compiled programs, helpers, maps and hooks share in memory: the run context, the program context, map descriptors.

Every compiled function of a program has the signature `u64 f(u64 ctx, u64 rt)`.

`rt` is one *run context* (one per virtual CPU): what a helper may ask of the machine while a program runs.

`ctx` is the address of the *image* of the program's context exactly as user space knows it (`struct xdp_md`, `struct
__sk_buff`, ...), so that a plain field is a plain load of the same offset and size, and ctx_in/ctx_out of
BPF_PROG_TEST_RUN are copies. Below the image, at negative offsets, lie the *context words*: 64-bit values that Linux keeps
in kernel structures and that the image cannot hold (pointers). A load of `xdp_md.data` is thus rewritten to the 64-bit
load of `ctx + CTX_DATA`; which field goes where is told by `spec.ctx`.

A *map descriptor* is what a map pointer in a register points at: process-private memory, made by the map, read by generic
helpers when the verifier cannot say which map it is.
"""

from __future__ import annotations

from typing import Final

# --- run context: byte offsets from rt, all u64 unless said ------------------------------------------------------------
RT_CPU: Final = 0  # u32 cpu number of this run
RT_NUMA: Final = 4  # u32
RT_TAIL_CALLS: Final = 8  # tail calls made so far in this run, limit 33
RT_PRANDOM: Final = 16  # state of the pseudo random generator (never 0)
RT_CLOCK_MODE: Final = 24  # 0: the machine's clocks, 1: fixed clock below
RT_CLOCK_NS: Final = 32  # the fixed clock, ns
RT_REDIRECT_IFINDEX: Final = 40
RT_REDIRECT_FLAGS: Final = 48
RT_REDIRECT_KIND: Final = 56  # 0 none, 1 ifindex, 2 map, 3 clone
RT_REDIRECT_MAP: Final = 64  # map descriptor address
RT_KERNEL: Final = 72  # opaque: number of the Kernel object, for helpers that call back into Python
RT_PID_TGID: Final = 80
RT_UID_GID: Final = 88
RT_PROG: Final = 96  # opaque: number of the program object
RT_COOKIE: Final = 104  # bpf_cookie of the attachment
RT_CALLBACK_DEPTH: Final = 112
RT_SCRATCH: Final = 128  # 384 bytes a helper may use within one call
RT_SIZE: Final = 512
TAIL_CALL_LIMIT: Final = 33

# --- context words: byte offsets from ctx, all u64 ---------------------------------------------------------------------
CTX_DATA: Final = -8  # packet start
CTX_DATA_END: Final = -16
CTX_DATA_META: Final = -24
CTX_HARD_START: Final = -32  # first byte of the buffer, headroom included
CTX_HARD_END: Final = -40  # one past the last byte of the buffer, tailroom included
CTX_DEV_IFINDEX: Final = -48
CTX_SK: Final = -56  # socket object or 0
CTX_FLAGS: Final = -64
CTX_LINK_BYTES: Final = (
    -72
)  # how much of the link-layer header lies before CTX_DATA: all of it where data is the network header
CTX_WORDS_SIZE: Final = 128  # the words occupy [ctx-128, ctx)

# --- map descriptor: byte offsets, all u64 unless said -----------------------------------------------------------------
DESC_LOOKUP: Final = 0  # code address of u64 lookup(rt, desc, key) -> value address or 0
DESC_UPDATE: Final = 8  # u64 update(rt, desc, key, value, flags) -> 0 or -errno
DESC_DELETE: Final = 16  # u64 delete(rt, desc, key) -> 0 or -errno
DESC_LOOKUP_PERCPU: Final = 24  # u64 lookup(rt, desc, key, cpu) -> value address or 0
DESC_PUSH: Final = 32
DESC_POP: Final = 40
DESC_PEEK: Final = 48
DESC_BASE: Final = 56  # address of the map's region
DESC_PROGS: Final = 64  # u64[max_entries] addresses, 0 where empty: code (PROG_ARRAY), maps (*_OF_MAPS), perf events
DESC_TYPE: Final = 72  # u32 map type
DESC_KEY_SIZE: Final = 76  # u32
DESC_VALUE_SIZE: Final = 80  # u32
DESC_MAX_ENTRIES: Final = 84  # u32
DESC_ID: Final = 88  # u32 map id
DESC_FLAGS: Final = 92  # u32 map_flags
DESC_NEXT: Final = 96  # code address of a walk for for_each_map_elem: u64 next(desc, cursor, out) see maps.base
DESC_FIELDS: Final = 120  # address of the table of the kernel's fields in a value: see maps.guard
DESC_SIZE: Final = 128
