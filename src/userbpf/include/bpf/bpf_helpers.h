/* SPDX-License-Identifier: Apache-2.0 */
#ifndef USERBPF_BPF_HELPERS_H
#define USERBPF_BPF_HELPERS_H
#include <linux/types.h>
#include <bpf/bpf_helper_defs.h>

/* BTF-defined maps: numbers are array dimensions, types are pointers */
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { ___bpf_concat(__unique_value, __COUNTER__) = val } name
#define ___bpf_concat(a, b) a##b

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif

/* up to three arguments go to bpf_trace_printk, more of them through an array to bpf_trace_vprintk */
#define ___u64s1(x) (unsigned long long)(x)
#define ___u64s2(x, y...) (unsigned long long)(x), ___u64s1(y)
#define ___u64s3(x, y...) (unsigned long long)(x), ___u64s2(y)
#define ___u64s4(x, y...) (unsigned long long)(x), ___u64s3(y)
#define ___u64s5(x, y...) (unsigned long long)(x), ___u64s4(y)
#define ___u64s6(x, y...) (unsigned long long)(x), ___u64s5(y)
#define ___u64s7(x, y...) (unsigned long long)(x), ___u64s6(y)
#define ___u64s8(x, y...) (unsigned long long)(x), ___u64s7(y)
#define ___u64s9(x, y...) (unsigned long long)(x), ___u64s8(y)
#define ___u64s10(x, y...) (unsigned long long)(x), ___u64s9(y)
#define ___u64s11(x, y...) (unsigned long long)(x), ___u64s10(y)
#define ___u64s12(x, y...) (unsigned long long)(x), ___u64s11(y)
#define ___printk(fmt, args...) \
	({ static const char ____fmt[] = fmt; bpf_trace_printk(____fmt, sizeof(____fmt), ##args); })
#define ___vprintk(n, fmt, args...) \
	({ \
		static const char ____fmt[] = fmt; \
		unsigned long long ____args[] = { ___u64s##n(args) }; \
		bpf_trace_vprintk(____fmt, sizeof(____fmt), ____args, sizeof(____args)); \
	})
#define ___vprintk4(fmt, args...) ___vprintk(4, fmt, args)
#define ___vprintk5(fmt, args...) ___vprintk(5, fmt, args)
#define ___vprintk6(fmt, args...) ___vprintk(6, fmt, args)
#define ___vprintk7(fmt, args...) ___vprintk(7, fmt, args)
#define ___vprintk8(fmt, args...) ___vprintk(8, fmt, args)
#define ___vprintk9(fmt, args...) ___vprintk(9, fmt, args)
#define ___vprintk10(fmt, args...) ___vprintk(10, fmt, args)
#define ___vprintk11(fmt, args...) ___vprintk(11, fmt, args)
#define ___vprintk12(fmt, args...) ___vprintk(12, fmt, args)
#define ___printk_pick(_f, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, pick, ...) pick
#define bpf_printk(args...) \
	___printk_pick(args, ___vprintk12, ___vprintk11, ___vprintk10, ___vprintk9, ___vprintk8, ___vprintk7, \
		       ___vprintk6, ___vprintk5, ___vprintk4, ___printk, ___printk, ___printk, ___printk)(args)

/* loops that the verifier follows once, whatever their number of rounds: an iterator of the kernel's counts */
struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

static __always_inline struct bpf_iter_num *___num_begin(struct bpf_iter_num *it, int start, int end)
{
	bpf_iter_num_new(it, start, end);
	return it;
}
#define ___num_loop(start, end, next...) \
	for (struct bpf_iter_num ___it __attribute__((cleanup(bpf_iter_num_destroy))), \
	     *___begun __attribute__((unused)) = ___num_begin(&___it, start, end); \
	     ({ int *___at = bpf_iter_num_next(&___it); next; });)
/* the bounds are asked again for the verifier, who knows nothing of the number that was counted */
#define bpf_for(i, start, end) \
	___num_loop(start, end, ___at && ((i) = *___at, (i) >= (start) && (i) < (end)))
#define bpf_repeat(n) ___num_loop(0, n, ___at != NULL)

enum libbpf_pin_type { LIBBPF_PIN_NONE, LIBBPF_PIN_BY_NAME };
enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
#endif
