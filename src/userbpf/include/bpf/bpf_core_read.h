/* SPDX-License-Identifier: Apache-2.0 */
#ifndef USERBPF_BPF_CORE_READ_H
#define USERBPF_BPF_CORE_READ_H
#define __CORE_RELO_FIELD(src, field, kind) __builtin_preserve_field_info((src)->field, kind)
#define bpf_core_field_exists(field) __builtin_preserve_field_info(field, 2)
#define bpf_core_field_size(field) __builtin_preserve_field_info(field, 1)
#define bpf_core_field_offset(field) __builtin_preserve_field_info(field, 0)
#define bpf_core_type_exists(type) __builtin_preserve_type_info(*(type *)0, 0)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*(type *)0, 1)
#define bpf_core_type_id_local(type) __builtin_btf_type_id(*(type *)0, 0)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*(type *)0, 1)
#define bpf_core_read(dst, size, src) \
	bpf_probe_read_kernel(dst, size, (const void *)__builtin_preserve_access_index(src))
#endif
