"""Fields of contexts and of bpf(2)'s attrs by release; what is not here was there in 5.4 already.

Context: a program that touches a field which its kernel has not is told "invalid bpf_context access". Attr: a kernel that does
not know a field finds bytes that are not 0 behind its own attr, which is E2BIG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# (class in abi.ctx, field) -> release, commit (ebpf-docs, docs/linux/program-context and program-type)
CTX_FIELDS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("SkBuff", "gso_size"): ("5.7", "cf62089b0edd"),
    ("SkBuff", "hwtstamp"): ("5.16", "f64c4acea51f"),
    ("SkBuff", "tstamp_type"): ("5.18", "9bb984f28d5b"),
    ("XdpMd", "egress_ifindex"): ("5.8", "64b59025c15b"),
    ("BpfSock", "rx_queue_mapping"): ("5.8", "c3c16f2ea6d2"),
    ("SkReuseportMd", "sk"): ("5.14", "e061047684af"),
    ("SkReuseportMd", "migrating_sk"): ("5.14", "d5e4ddaeb6ab"),
    ("SockOps", "skb_data"): ("5.10", "0813a841566f"),
    ("SockOps", "skb_data_end"): ("5.10", "0813a841566f"),
    ("SockOps", "skb_len"): ("5.10", "0813a841566f"),
    ("SockOps", "skb_tcp_flags"): ("5.10", "0813a841566f"),
    ("SockOps", "skb_hwtstamp"): ("6.2", "9bb053490f1a"),
}

# command, field of its attr class, release, source (uapi: include/uapi/linux/bpf.h of the releases)
ATTR_FIELDS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("PROG_LOAD", "attach_btf_id", "5.5", "uapi"),
    ("PROG_LOAD", "attach_prog_fd", "5.5", "uapi"),
    ("PROG_LOAD", "fd_array", "5.14", "uapi"),
    ("PROG_LOAD", "core_relo_cnt", "5.17", "uapi"),
    ("PROG_LOAD", "core_relos", "5.17", "uapi"),
    ("PROG_LOAD", "core_relo_rec_size", "5.17", "uapi"),
    ("PROG_LOAD", "prog_token_fd", "6.9", "uapi"),
    ("PROG_LOAD", "fd_array_cnt", "6.14", "uapi"),
    ("MAP_CREATE", "btf_vmlinux_value_type_id", "5.6", "uapi"),
    ("MAP_CREATE", "map_extra", "5.16", "uapi"),
    ("MAP_CREATE", "value_type_btf_obj_fd", "6.9", "uapi"),
    ("MAP_CREATE", "map_token_fd", "6.9", "uapi"),
    ("MAP_CREATE", "excl_prog_hash", "6.18", "uapi"),
    ("MAP_CREATE", "excl_prog_hash_size", "6.18", "uapi"),
    ("BTF_LOAD", "btf_flags", "6.9", "uapi"),
    ("BTF_LOAD", "btf_token_fd", "6.9", "uapi"),
)
