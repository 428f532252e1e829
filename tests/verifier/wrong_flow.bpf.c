// SPDX-License-Identifier: Apache-2.0
// Wrong loops, functions, sizes and returns; test_explain_flow.py says how they are explained.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx) ((void *)(long)(ctx)->data_end)
#define noinline __attribute__((noinline))

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

// A pointer is walked until the packet ends: more rounds than the verifier follows.
SEC("xdp") int until_packet_ends(struct xdp_md *ctx)
{
	__u8 *p = DATA(ctx);
	__u64 hash = 0;

	while ((void *)(p + 1) <= END(ctx)) {
		hash += hash * 33 + *p;
		if (hash == 7)
			break;
		p++;
	}
	return hash & 1;
}

// Recursion.
static noinline int fact(__u32 n)
{
	return n < 2 ? n : fact(n - 1) + fact(n - 2);
}

SEC("xdp") int recursive(struct xdp_md *ctx)
{
	volatile int out = fact(ctx->rx_queue_index);

	return out;
}

// A chain of functions with large frames.
static noinline int third(char *p)
{
	volatile char text[200];

	text[*p & 127] = 1;
	return text[0];
}

static noinline int second(char *p)
{
	volatile char text[200];

	text[*p & 127] = 1;
	return third((char *)text) + text[0];
}

SEC("xdp") int deep_frames(struct xdp_md *ctx)
{
	volatile char text[200];

	text[ctx->rx_queue_index & 127] = 1;
	return second((char *)text) + text[0];
}

// A global function that reads its argument without asking whether it is NULL.
noinline int sum_of(__u64 *value)
{
	return *value + 1;
}

SEC("xdp") int global_without_null_check(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	return value ? sum_of(value) : 0;
}

// A global function that gets less than its type says.
noinline int large_of(__u64 *value __arg_nonnull)
{
	return *(volatile __u64 *)value;
}

SEC("xdp") int global_gets_too_little(struct xdp_md *ctx)
{
	__u32 small = ctx->rx_queue_index;

	return large_of((__u64 *)&small);
}

// A global function gets what may be NULL where it asks for more.
SEC("xdp") int global_gets_null(struct xdp_md *ctx)
{
	__u32 key = 0;
	volatile int out = large_of(bpf_map_lookup_elem(&counts, &key));

	return out;
}

// A global function that indexes with an argument its caller had checked.
__u64 table[8];

noinline int entry_of(__u32 i)
{
	return table[i];
}

SEC("xdp") int global_forgets_bounds(struct xdp_md *ctx)
{
	__u32 i = ctx->rx_queue_index;

	return i < 8 ? entry_of(i) : 0;
}

// The return value of a probe of another kind.
SEC("cgroup/sock_create") int returns_errno(struct bpf_sock *ctx)
{
	return -1;
}

// The callback returns what the loop does not know.
static int each(__u32 i, void *data)
{
	return i;
}

SEC("xdp") int callback_returns_anything(struct xdp_md *ctx)
{
	bpf_loop(10, each, 0, 0);
	return XDP_PASS;
}

// The callback uses what it captured as if it were still bounded.
struct loop_data {
	__u32 i;
	char text[16];
};

static int append(__u32 i, void *data)
{
	struct loop_data *d = data;

	d->text[d->i] = i;
	d->i++;
	return 0;
}

SEC("xdp") int callback_counts_unbounded(struct xdp_md *ctx)
{
	struct loop_data d = {};

	bpf_loop(100, append, &d, 0);
	return d.text[3];
}

// A tail call's array in a call that wants another map.
SEC("xdp") int wrong_map_for_helper(struct xdp_md *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&events, &key) ? 1 : 0;
}

// perf output from a map of another type.
SEC("xdp") int perf_output_to_hash(struct xdp_md *ctx)
{
	__u32 value = 1;

	bpf_perf_event_output(ctx, &counts, 0, &value, sizeof(value));
	return XDP_PASS;
}

// The order of arguments.
SEC("xdp") int arguments_swapped(struct xdp_md *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem((void *)&key, &counts) ? 1 : 0;
}

// A map's pointer used as a value.
SEC("xdp") int map_instead_of_value(struct xdp_md *ctx)
{
	*(volatile __u32 *)&counts = 1;
	return 0;
}

// A path that returns nothing.
SEC("xdp") int nothing_returned(struct xdp_md *ctx)
{
	asm volatile("exit");
	return XDP_PASS;
}

// A variable that only one branch sets.
SEC("xdp") int set_on_one_branch(struct xdp_md *ctx)
{
	register __u64 r asm("r7");

	asm volatile("r1 = *(u32 *)(%1 + 16)\n"
		     "if r1 > 3 goto +1\n"
		     "r7 = 1\n"
		     "%0 = r7" : "=r"(r) : "r"(ctx) : "r1");
	return r;
}

// 32-bit arithmetic on a pointer.
SEC("xdp") int pointer_cut(struct xdp_md *ctx)
{
	register __u8 *p asm("r6") = DATA(ctx);

	if ((void *)(p + 4) > END(ctx))
		return XDP_PASS;
	asm volatile("w6 = w6" : "+r"(p));
	return *p;
}

// The context moved, then read.
SEC("tc") int context_indexed(struct __sk_buff *ctx)
{
	__u32 i = ctx->len & 3;

	return ctx->cb[i];
}

// A pointer put into a field that is not for it.
SEC("tc") int store_in_context(struct __sk_buff *ctx)
{
	ctx->len = 3;
	return TC_ACT_OK;
}

// Division of a pointer.
SEC("xdp") int aligned_by_mask(struct xdp_md *ctx)
{
	long p = (long)DATA(ctx);

	p &= ~3L;
	if ((void *)(p + 4) > END(ctx))
		return XDP_PASS;
	return *(__u8 *)p;
}

// Two data pointers added.
SEC("xdp") int pointers_added(struct xdp_md *ctx)
{
	long p = (long)DATA(ctx) + (long)END(ctx);

	return *(__u8 *)(p / 2);
}

char LICENSE[] SEC("license") = "GPL";
