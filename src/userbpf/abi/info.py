"""Object infos and records of BTF.ext, generated from the BTF of Linux 6.18 by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from typing import Annotated

from userbpf.abi.layout import Layout, layout, u32, u64

chars8 = Annotated[bytes, "8s"]
chars16 = Annotated[bytes, "16s"]
chars48 = Annotated[bytes, "48s"]


@layout
class MapInfo(Layout):
    """struct bpf_map_info: 104 bytes."""

    type: u32 = 0
    id: u32 = 0
    key_size: u32 = 0
    value_size: u32 = 0
    max_entries: u32 = 0
    map_flags: u32 = 0
    name: chars16 = b""
    ifindex: u32 = 0
    btf_vmlinux_value_type_id: u32 = 0
    netns_dev: u64 = 0
    netns_ino: u64 = 0
    btf_id: u32 = 0
    btf_key_type_id: u32 = 0
    btf_value_type_id: u32 = 0
    btf_vmlinux_id: u32 = 0
    map_extra: u64 = 0
    hash: u64 = 0
    hash_size: u32 = 0
    pad_100: u32 = 0


@layout
class ProgInfo(Layout):
    """struct bpf_prog_info: 232 bytes."""

    type: u32 = 0
    id: u32 = 0
    tag: chars8 = b""
    jited_prog_len: u32 = 0
    xlated_prog_len: u32 = 0
    jited_prog_insns: u64 = 0
    xlated_prog_insns: u64 = 0
    load_time: u64 = 0
    created_by_uid: u32 = 0
    nr_map_ids: u32 = 0
    map_ids: u64 = 0
    name: chars16 = b""
    ifindex: u32 = 0
    gpl_compatible: u32 = 0
    netns_dev: u64 = 0
    netns_ino: u64 = 0
    nr_jited_ksyms: u32 = 0
    nr_jited_func_lens: u32 = 0
    jited_ksyms: u64 = 0
    jited_func_lens: u64 = 0
    btf_id: u32 = 0
    func_info_rec_size: u32 = 0
    func_info: u64 = 0
    nr_func_info: u32 = 0
    nr_line_info: u32 = 0
    line_info: u64 = 0
    jited_line_info: u64 = 0
    nr_jited_line_info: u32 = 0
    line_info_rec_size: u32 = 0
    jited_line_info_rec_size: u32 = 0
    nr_prog_tags: u32 = 0
    prog_tags: u64 = 0
    run_time_ns: u64 = 0
    run_cnt: u64 = 0
    recursion_misses: u64 = 0
    verified_insns: u32 = 0
    attach_btf_obj_id: u32 = 0
    attach_btf_id: u32 = 0
    pad_228: u32 = 0


@layout
class BtfInfo(Layout):
    """struct bpf_btf_info: 32 bytes."""

    btf: u64 = 0
    btf_size: u32 = 0
    id: u32 = 0
    name: u64 = 0
    name_len: u32 = 0
    kernel_btf: u32 = 0


@layout
class LinkInfo(Layout):
    """struct bpf_link_info: 64 bytes."""

    type: u32 = 0
    id: u32 = 0
    prog_id: u32 = 0
    pad_12: u32 = 0
    union_16: chars48 = b""


@layout
class FuncInfo(Layout):
    """struct bpf_func_info: 8 bytes."""

    insn_off: u32 = 0
    type_id: u32 = 0


@layout
class LineInfo(Layout):
    """struct bpf_line_info: 16 bytes."""

    insn_off: u32 = 0
    file_name_off: u32 = 0
    line_off: u32 = 0
    line_col: u32 = 0


@layout
class CoreRelo(Layout):
    """struct bpf_core_relo: 16 bytes."""

    insn_off: u32 = 0
    type_id: u32 = 0
    access_str_off: u32 = 0
    kind: u32 = 0
