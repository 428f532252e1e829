"""What `releases` lacks or has otherwise, in the same form: "name release source". Lines here win.

The source is a commit of Linux, or `uapi` where it was only seen from when on include/uapi/linux/bpf.h has the name, or `BTF`
where only the kernel's own types of that release tell. A `?` behind the release says that the release is uncertain.

Helpers were compared with another list, docs/kernel-versions.md of bcc: of 211 in both 194 have the same release. The rest are
the three below, and 14 whose release there is the one that was being made when the commit was written (sk_assign, jiffies64,
csum_level, seq_printf ...): the commits are the same, the release that has them is the next.
"""

from __future__ import annotations

from typing import Final

MAP_TYPES: Final = """
CGROUP_STORAGE_DEPRECATED 4.19 de9cbbaadba5
PERCPU_CGROUP_STORAGE_DEPRECATED 4.20 b741f1630346
"""
ATTACH_TYPES: Final = """
NETFILTER 6.4 uapi
TRACE_UPROBE_MULTI 6.6 uapi
CGROUP_UNIX_CONNECT 6.7 uapi
CGROUP_UNIX_SENDMSG 6.7 uapi
CGROUP_UNIX_RECVMSG 6.7 uapi
CGROUP_UNIX_GETPEERNAME 6.7 uapi
CGROUP_UNIX_GETSOCKNAME 6.7 uapi
STRUCT_OPS 6.1? uapi
TRACE_UPROBE_SESSION 6.13 uapi
"""
COMMANDS: Final = """
PROG_STREAM_READ_BY_FD 6.17? uapi
"""
FLAGS: Final = """
BPF_F_XDP_DEV_BOUND_ONLY 6.3 uapi
BPF_F_TEST_REG_INVARIANTS 6.8 uapi
BPF_F_NO_USER_CONV 6.9 uapi
BPF_F_SEGV_ON_FAULT 6.9 uapi
"""
HELPERS: Final = """
get_prandom_u32 4.1 03e69b508b6f
map_lookup_elem 3.19 d0003ec01c66
map_update_elem 3.19 d0003ec01c66
"""
KFUNCS: Final = """
bpf_kfunc_call_memb_release 5.19? BTF
bpf_kfunc_call_test_release 5.18? BTF
bpf_strnlen 6.17? BTF
"""
