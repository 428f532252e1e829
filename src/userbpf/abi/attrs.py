"""The members of union bpf_attr, generated from the BTF of Linux 6.18 by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from typing import Annotated

from userbpf.abi.layout import Layout, layout, s32, u32, u64

chars16 = Annotated[bytes, "16s"]
chars48 = Annotated[bytes, "48s"]


@layout
class MapCreateAttr(Layout):
    """union bpf_attr, the struct of map_type: 96 bytes."""

    map_type: u32 = 0
    key_size: u32 = 0
    value_size: u32 = 0
    max_entries: u32 = 0
    map_flags: u32 = 0
    inner_map_fd: u32 = 0
    numa_node: u32 = 0
    map_name: chars16 = b""
    map_ifindex: u32 = 0
    btf_fd: u32 = 0
    btf_key_type_id: u32 = 0
    btf_value_type_id: u32 = 0
    btf_vmlinux_value_type_id: u32 = 0
    map_extra: u64 = 0
    value_type_btf_obj_fd: s32 = 0
    map_token_fd: s32 = 0
    excl_prog_hash: u64 = 0
    excl_prog_hash_size: u32 = 0


@layout
class MapElemAttr(Layout):
    """union bpf_attr, the struct of map_fd: 32 bytes."""

    map_fd: u32 = 0
    pad_4: u32 = 0
    key: u64 = 0
    value: u64 = 0
    flags: u64 = 0

    @property
    def next_key(self) -> int:
        return self.value


@layout
class MapBatchAttr(Layout):
    """union bpf_attr, batch: 56 bytes."""

    in_batch: u64 = 0
    out_batch: u64 = 0
    keys: u64 = 0
    values: u64 = 0
    count: u32 = 0
    map_fd: u32 = 0
    elem_flags: u64 = 0
    flags: u64 = 0


@layout
class ProgLoadAttr(Layout):
    """union bpf_attr, the struct of prog_type: 168 bytes."""

    prog_type: u32 = 0
    insn_cnt: u32 = 0
    insns: u64 = 0
    license: u64 = 0
    log_level: u32 = 0
    log_size: u32 = 0
    log_buf: u64 = 0
    kern_version: u32 = 0
    prog_flags: u32 = 0
    prog_name: chars16 = b""
    prog_ifindex: u32 = 0
    expected_attach_type: u32 = 0
    prog_btf_fd: u32 = 0
    func_info_rec_size: u32 = 0
    func_info: u64 = 0
    func_info_cnt: u32 = 0
    line_info_rec_size: u32 = 0
    line_info: u64 = 0
    line_info_cnt: u32 = 0
    attach_btf_id: u32 = 0
    attach_prog_fd: u32 = 0
    core_relo_cnt: u32 = 0
    fd_array: u64 = 0
    core_relos: u64 = 0
    core_relo_rec_size: u32 = 0
    log_true_size: u32 = 0
    prog_token_fd: s32 = 0
    fd_array_cnt: u32 = 0
    signature: u64 = 0
    signature_size: u32 = 0
    keyring_id: s32 = 0

    @property
    def attach_btf_obj_fd(self) -> int:
        return self.attach_prog_fd


@layout
class ObjPinAttr(Layout):
    """union bpf_attr, the struct of pathname: 24 bytes."""

    pathname: u64 = 0
    bpf_fd: u32 = 0
    file_flags: u32 = 0
    path_fd: s32 = 0


@layout
class ProgAttachAttr(Layout):
    """union bpf_attr, the struct of target_fd: 32 bytes."""

    target_fd: u32 = 0
    attach_bpf_fd: u32 = 0
    attach_type: u32 = 0
    attach_flags: u32 = 0
    replace_bpf_fd: u32 = 0
    relative_fd: u32 = 0
    expected_revision: u64 = 0

    @property
    def target_ifindex(self) -> int:
        return self.target_fd

    @property
    def relative_id(self) -> int:
        return self.relative_fd


@layout
class ProgTestRunAttr(Layout):
    """union bpf_attr, test: 80 bytes."""

    prog_fd: u32 = 0
    retval: u32 = 0
    data_size_in: u32 = 0
    data_size_out: u32 = 0
    data_in: u64 = 0
    data_out: u64 = 0
    repeat: u32 = 0
    duration: u32 = 0
    ctx_size_in: u32 = 0
    ctx_size_out: u32 = 0
    ctx_in: u64 = 0
    ctx_out: u64 = 0
    flags: u32 = 0
    cpu: u32 = 0
    batch_size: u32 = 0


@layout
class GetIdAttr(Layout):
    """union bpf_attr, the struct of start_id: 16 bytes."""

    start_id: u32 = 0
    next_id: u32 = 0
    open_flags: u32 = 0
    fd_by_id_token_fd: s32 = 0

    @property
    def prog_id(self) -> int:
        return self.start_id

    @property
    def map_id(self) -> int:
        return self.start_id

    @property
    def btf_id(self) -> int:
        return self.start_id

    @property
    def link_id(self) -> int:
        return self.start_id


@layout
class ObjInfoAttr(Layout):
    """union bpf_attr, info: 16 bytes."""

    bpf_fd: u32 = 0
    info_len: u32 = 0
    info: u64 = 0


@layout
class ProgQueryAttr(Layout):
    """union bpf_attr, query: 64 bytes."""

    target_fd: u32 = 0
    attach_type: u32 = 0
    query_flags: u32 = 0
    attach_flags: u32 = 0
    prog_ids: u64 = 0
    prog_cnt: u32 = 0
    pad_28: u32 = 0
    prog_attach_flags: u64 = 0
    link_ids: u64 = 0
    link_attach_flags: u64 = 0
    revision: u64 = 0

    @property
    def target_ifindex(self) -> int:
        return self.target_fd

    @property
    def count(self) -> int:
        return self.prog_cnt


@layout
class RawTracepointAttr(Layout):
    """union bpf_attr, raw_tracepoint: 24 bytes."""

    name: u64 = 0
    prog_fd: u32 = 0
    pad_12: u32 = 0
    cookie: u64 = 0


@layout
class BtfLoadAttr(Layout):
    """union bpf_attr, the struct of btf: 40 bytes."""

    btf: u64 = 0
    btf_log_buf: u64 = 0
    btf_size: u32 = 0
    btf_log_size: u32 = 0
    btf_log_level: u32 = 0
    btf_log_true_size: u32 = 0
    btf_flags: u32 = 0
    btf_token_fd: s32 = 0


@layout
class TaskFdQueryAttr(Layout):
    """union bpf_attr, task_fd_query: 48 bytes."""

    pid: u32 = 0
    fd: u32 = 0
    flags: u32 = 0
    buf_len: u32 = 0
    buf: u64 = 0
    prog_id: u32 = 0
    fd_type: u32 = 0
    probe_offset: u64 = 0
    probe_addr: u64 = 0


@layout
class LinkCreateAttr(Layout):
    """union bpf_attr, link_create: 64 bytes."""

    prog_fd: u32 = 0
    target_fd: u32 = 0
    attach_type: u32 = 0
    flags: u32 = 0
    union_16: chars48 = b""

    @property
    def map_fd(self) -> int:
        return self.prog_fd

    @property
    def target_ifindex(self) -> int:
        return self.target_fd


@layout
class LinkUpdateAttr(Layout):
    """union bpf_attr, link_update: 16 bytes."""

    link_fd: u32 = 0
    new_prog_fd: u32 = 0
    flags: u32 = 0
    old_prog_fd: u32 = 0

    @property
    def new_map_fd(self) -> int:
        return self.new_prog_fd

    @property
    def old_map_fd(self) -> int:
        return self.old_prog_fd


@layout
class LinkDetachAttr(Layout):
    """union bpf_attr, link_detach: 4 bytes."""

    link_fd: u32 = 0


@layout
class EnableStatsAttr(Layout):
    """union bpf_attr, enable_stats: 4 bytes."""

    type: u32 = 0


@layout
class IterCreateAttr(Layout):
    """union bpf_attr, iter_create: 8 bytes."""

    link_fd: u32 = 0
    flags: u32 = 0


@layout
class ProgBindMapAttr(Layout):
    """union bpf_attr, prog_bind_map: 12 bytes."""

    prog_fd: u32 = 0
    map_fd: u32 = 0
    flags: u32 = 0


@layout
class TokenCreateAttr(Layout):
    """union bpf_attr, token_create: 8 bytes."""

    flags: u32 = 0
    bpffs_fd: u32 = 0


@layout
class ProgStreamReadAttr(Layout):
    """union bpf_attr, prog_stream_read: 24 bytes."""

    stream_buf: u64 = 0
    stream_buf_len: u32 = 0
    stream_id: u32 = 0
    prog_fd: u32 = 0


# one name a command, where several share a struct
MapLookupElemAttr = MapUpdateElemAttr = MapDeleteElemAttr = MapElemAttr
MapGetNextKeyAttr = MapLookupAndDeleteElemAttr = MapElemAttr
MapFreezeAttr = MapElemAttr
MapLookupBatchAttr = MapLookupAndDeleteBatchAttr = MapUpdateBatchAttr = MapDeleteBatchAttr = MapBatchAttr
ProgGetNextIdAttr = MapGetNextIdAttr = BtfGetNextIdAttr = LinkGetNextIdAttr = GetIdAttr
ProgGetFdByIdAttr = MapGetFdByIdAttr = BtfGetFdByIdAttr = LinkGetFdByIdAttr = GetIdAttr
ObjGetAttr = ObjPinAttr
ObjGetInfoByFdAttr = ObjInfoAttr
ProgDetachAttr = ProgAttachAttr
ATTR_SIZE = 168  # sizeof(union bpf_attr)
