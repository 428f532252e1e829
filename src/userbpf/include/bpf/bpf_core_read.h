/* SPDX-License-Identifier: Apache-2.0 */
/* CO-RE: reads and questions that the loader answers from the types of the kernel at hand. */
#ifndef USERBPF_BPF_CORE_READ_H
#define USERBPF_BPF_CORE_READ_H
#include <bpf/bpf_helpers.h>

/* what __builtin_preserve_field_info asks */
enum bpf_field_info_kind {
	BPF_FIELD_BYTE_OFFSET = 0,
	BPF_FIELD_BYTE_SIZE = 1,
	BPF_FIELD_EXISTS = 2,
	BPF_FIELD_SIGNED = 3,
	BPF_FIELD_LSHIFT_U64 = 4,
	BPF_FIELD_RSHIFT_U64 = 5,
};
enum bpf_type_id_kind { BPF_TYPE_ID_LOCAL = 0, BPF_TYPE_ID_TARGET = 1 };
enum bpf_type_info_kind { BPF_TYPE_EXISTS = 0, BPF_TYPE_SIZE = 1, BPF_TYPE_MATCHES = 2 };
enum bpf_enum_value_kind { BPF_ENUMVAL_EXISTS = 0, BPF_ENUMVAL_VALUE = 1 };

#define ___core_field1(field) field
#define ___core_field2(type, field) ((type *)0)->field
#define ___core_pick(_1, _2, pick, ...) pick
#define ___core_field(x...) ___core_pick(x, ___core_field2, ___core_field1)(x)

/* of `field` (an expression such as p->x), or of `type, member` */
#define bpf_core_field_exists(field...) __builtin_preserve_field_info(___core_field(field), BPF_FIELD_EXISTS)
#define bpf_core_field_size(field...) __builtin_preserve_field_info(___core_field(field), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(field...) __builtin_preserve_field_info(___core_field(field), BPF_FIELD_BYTE_OFFSET)
#define __CORE_RELO(src, field, info) __builtin_preserve_field_info((src)->field, BPF_FIELD_##info)

#define bpf_core_type_exists(type) __builtin_preserve_type_info(*___core_type(type), BPF_TYPE_EXISTS)
#define bpf_core_type_matches(type) __builtin_preserve_type_info(*___core_type(type), BPF_TYPE_MATCHES)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*___core_type(type), BPF_TYPE_SIZE)
#define bpf_core_type_id_local(type) __builtin_btf_type_id(*___core_type(type), BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*___core_type(type), BPF_TYPE_ID_TARGET)
#define ___core_type(type) ((typeof(type) *)0)

#define bpf_core_enum_value_exists(type, value) \
	__builtin_preserve_enum_value(*(typeof(type) *)value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, BPF_ENUMVAL_VALUE)

#define bpf_core_cast(ptr, type) ((typeof(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

#define bpf_core_read(dst, size, src) \
	bpf_probe_read_kernel(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user(dst, size, src) \
	bpf_probe_read_user(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_str(dst, size, src) \
	bpf_probe_read_kernel_str(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user_str(dst, size, src) \
	bpf_probe_read_user_str(dst, size, (const void *)__builtin_preserve_access_index(src))

/* BPF_CORE_READ(p, a, b, c) is p->a->b->c, each arrow a read of its own */
#define ___step(read, src, field) \
	({ typeof((src)->field) ___r; read(&___r, sizeof(___r), &(src)->field); ___r; })
#define ___chain1(read, src, a) ___step(read, src, a)
#define ___chain2(read, src, a, b) ({ typeof((src)->a) ___p1 = ___step(read, src, a); ___step(read, ___p1, b); })
#define ___chain3(read, src, a, b, c) \
	({ typeof((src)->a->b) ___p2 = ___chain2(read, src, a, b); ___step(read, ___p2, c); })
#define ___chain4(read, src, a, b, c, d) \
	({ typeof((src)->a->b->c) ___p3 = ___chain3(read, src, a, b, c); ___step(read, ___p3, d); })
#define ___chain5(read, src, a, b, c, d, e) \
	({ typeof((src)->a->b->c->d) ___p4 = ___chain4(read, src, a, b, c, d); ___step(read, ___p4, e); })
#define ___chain6(read, src, a, b, c, d, e, f) \
	({ typeof((src)->a->b->c->d->e) ___p5 = ___chain5(read, src, a, b, c, d, e); ___step(read, ___p5, f); })
#define ___chain_pick(_1, _2, _3, _4, _5, _6, pick, ...) pick
#define ___chain(read, src, fields...) \
	___chain_pick(fields, ___chain6, ___chain5, ___chain4, ___chain3, ___chain2, ___chain1)(read, src, fields)
#define BPF_CORE_READ(src, fields...) ___chain(bpf_core_read, src, fields)
#define BPF_CORE_READ_USER(src, fields...) ___chain(bpf_core_read_user, src, fields)
#define BPF_PROBE_READ(src, fields...) ___chain(bpf_probe_read_kernel, src, fields)
#define BPF_PROBE_READ_USER(src, fields...) ___chain(bpf_probe_read_user, src, fields)

/* a bitfield where it lies in memory that the program may read directly */
#define BPF_CORE_READ_BITFIELD(s, field) \
	({ \
		const void *___p = (const void *)(s) + __CORE_RELO(s, field, BYTE_OFFSET); \
		unsigned long long ___v = 0; \
		asm volatile("" : "=r"(___p) : "0"(___p)); \
		switch (__CORE_RELO(s, field, BYTE_SIZE)) { \
		case 1: ___v = *(const unsigned char *)___p; break; \
		case 2: ___v = *(const unsigned short *)___p; break; \
		case 4: ___v = *(const unsigned int *)___p; break; \
		case 8: ___v = *(const unsigned long long *)___p; break; \
		} \
		___v <<= __CORE_RELO(s, field, LSHIFT_U64); \
		if (__CORE_RELO(s, field, SIGNED)) \
			___v = (unsigned long long)((long long)___v >> __CORE_RELO(s, field, RSHIFT_U64)); \
		else \
			___v >>= __CORE_RELO(s, field, RSHIFT_U64); \
		___v; \
	})
#endif
