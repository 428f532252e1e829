// SPDX-License-Identifier: Apache-2.0
// Wrong bounds: of packets, map values, sizes and the stack; test_explain_bounds.py says how they are explained.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx) ((void *)(long)(ctx)->data_end)
#define HIDE(x) asm volatile("" : "+r"(x))

struct record {
	__u32 length;
	char name[60];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} scratch SEC(".maps");

struct key {
	__u8 kind;
	__u32 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct key);
	__type(value, __u64);
} by_key SEC(".maps");

__u64 histogram[32];
__u32 wanted;

// A check of a copy: the compiler compared one register and uses another.
SEC("xdp") int check_of_a_copy(struct xdp_md *ctx)
{
	__u64 i = ctx->rx_queue_index, checked = i * 2;

	HIDE(checked);
	if (checked > 60)
		return XDP_PASS;
	return histogram[i];
}

// Compared in 32 bits, used in 64.
SEC("xdp") int narrow_check_wide_use(struct xdp_md *ctx)
{
	register __u64 i asm("r6") = bpf_ktime_get_ns();

	asm volatile goto("if w6 > 30 goto %l[out]" ::"r"(i)::out);
	return histogram[i];
out:
	return XDP_PASS;
}

// What was masked is changed again.
SEC("xdp") int masked_then_scaled(struct xdp_md *ctx)
{
	__u32 i = ctx->rx_queue_index & 31;

	HIDE(i);
	i *= 2;
	return histogram[i];
}

// A bucket computed by division or shift: the upper bound is not small enough.
SEC("xdp") int bucket_from_shift(struct xdp_md *ctx)
{
	__u64 bucket = bpf_ktime_get_ns() >> 32;

	histogram[bucket]++;
	return XDP_PASS;
}

// One too many: <= where < was meant.
SEC("xdp") int off_by_one(struct xdp_md *ctx)
{
	__u32 i = ctx->rx_queue_index;

	if (i <= 32)
		histogram[i]++;
	return XDP_PASS;
}

// A global variable read twice: the check was of the first value.
SEC("xdp") int global_read_twice(struct xdp_md *ctx)
{
	volatile __u32 *p = &wanted;

	if (*p > 31)
		return XDP_PASS;
	return histogram[*p];
}

// A signed length for a copy.
SEC("tracepoint/syscalls/sys_enter_write") int signed_size(__u64 *ctx)
{
	char text[64];
	long n = ctx[4];

	if (n > (long)sizeof(text))
		n = sizeof(text);
	bpf_probe_read_user(text, n, (void *)ctx[3]);
	bpf_printk("%d", text[0]);
	return 0;
}

// A length that nobody bounded.
SEC("tracepoint/syscalls/sys_enter_write") int unbounded_size(__u64 *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);

	if (!r)
		return 0;
	return bpf_probe_read_user(r->name, ctx[4], (void *)ctx[3]);
}

// The bound is the buffer's, but the copy does not begin at the buffer's start.
SEC("tracepoint/syscalls/sys_enter_write") int size_past_member(__u64 *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);
	__u64 n = ctx[4];

	if (!r || n > sizeof(*r))
		return 0;
	return bpf_probe_read_user(r->name, n, (void *)ctx[3]);
}

// Two values that may be as large as the buffer, added.
SEC("tracepoint/syscalls/sys_enter_write") int offset_plus_size(__u64 *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);
	__u64 n = ctx[4], at;

	if (!r)
		return 0;
	at = r->length & 31;
	if (n > 59)
		return 0;
	return bpf_probe_read_user(r->name + at, n, (void *)ctx[3]);
}

// Writing the stack at an index that is not bounded.
SEC("xdp") int stack_index_unbounded(struct xdp_md *ctx)
{
	volatile char text[32] = {};
	__u32 i = ctx->rx_queue_index;

	if (i > 40)
		return XDP_PASS;
	text[i] = 1;
	return text[3];
}

// A pointer of the packet kept over a helper that may change it.
SEC("tc") int packet_after_store(struct __sk_buff *ctx)
{
	struct ethhdr *eth;

	if (bpf_skb_pull_data(ctx, sizeof(*eth)))
		return TC_ACT_OK;
	eth = DATA(ctx);
	if ((void *)(eth + 1) > END(ctx))
		return TC_ACT_OK;
	bpf_skb_store_bytes(ctx, 0, "abcdef", 6, 0);
	return eth->h_dest[0];
}

// The data pointers were loaded once, before the packet was made longer.
SEC("tc") int pulled_but_not_reloaded(struct __sk_buff *ctx)
{
	struct ethhdr *eth = DATA(ctx);
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > END(ctx)) {
		bpf_skb_pull_data(ctx, sizeof(*eth) + sizeof(*ip));
		if ((void *)(ip + 1) > END(ctx))
			return TC_ACT_OK;
	}
	return ip->protocol;
}

// A loop over the payload whose check was before the loop.
SEC("xdp") int loop_without_check(struct xdp_md *ctx)
{
	__u8 *p = DATA(ctx);
	__u32 sum = 0, n = ctx->rx_queue_index;

	if ((void *)(p + 8) > END(ctx))
		return XDP_PASS;
	for (__u32 i = 0; i < 16; i++) {
		sum += *(volatile __u8 *)(p + i);
		if (i > n)
			break;
	}
	return sum & 1;
}

// Options of variable length: the sum is too large for a packet pointer.
SEC("xdp") int packet_offset_too_large(struct xdp_md *ctx)
{
	__u8 *p = DATA(ctx);
	__u32 off = ctx->rx_queue_index;

	p += off;
	if ((void *)(p + 1) > END(ctx))
		return XDP_PASS;
	return *p;
}

// data_end - data as a length, and an index below it: no proof.
SEC("xdp") int length_instead_of_pointers(struct xdp_md *ctx)
{
	__u8 *p = DATA(ctx);
	__u64 length = (long)END(ctx) - (long)DATA(ctx);

	if (length < 20)
		return XDP_PASS;
	return p[19];
}

// data_end plus something.
SEC("xdp") int arithmetic_on_end(struct xdp_md *ctx)
{
	__u8 *p = DATA(ctx);
	__u8 *last = (__u8 *)END(ctx) - 4;

	if (p > last)
		return XDP_PASS;
	return *p;
}

// Read behind the map's value.
SEC("xdp") int behind_the_value(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);

	return r ? ((volatile __u32 *)r)[16] : 0;
}

// The null check is of a pointer that has already been moved.
SEC("xdp") int moved_before_null_check(struct xdp_md *ctx)
{
	struct key k = {};
	__u64 *value = bpf_map_lookup_elem(&by_key, &k);

	asm volatile("%0 += 4" : "+r"(value));
	return value ? *value : 0;
}

// The pointer that was checked is not the one that is used.
SEC("xdp") int looked_up_again(struct xdp_md *ctx)
{
	struct key k = {};

	if (!bpf_map_lookup_elem(&by_key, &k))
		return 0;
	return *(__u64 *)bpf_map_lookup_elem(&by_key, &k);
}

// The check comes after the use.
SEC("xdp") int checked_too_late(struct xdp_md *ctx)
{
	struct key k = {};
	volatile __u64 *value = bpf_map_lookup_elem(&by_key, &k);
	__u64 before = *value;

	HIDE(value);
	if (!value)
		return 0;
	return before;
}

// The size of the whole structure for a copy into a member.
SEC("tracepoint/syscalls/sys_enter_write") int size_of_the_whole(__u64 *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);

	if (!r)
		return 0;
	return bpf_probe_read_user(r->name, sizeof(*r), (void *)ctx[3]);
}

// The size may be 0, and the number of bytes comes from a helper that may fail.
SEC("tracepoint/syscalls/sys_enter_write") int result_used_as_size(__u64 *ctx)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);
	long n;

	if (!r)
		return 0;
	n = bpf_probe_read_user_str(r->name, sizeof(r->name), (void *)ctx[3]);
	bpf_trace_printk(r->name, n);
	return 0;
}

// The stack's own array, read by a helper for more than it has.
SEC("tracepoint/syscalls/sys_enter_write") int copy_larger_than_buffer(__u64 *ctx)
{
	char text[16];

	bpf_probe_read_user(text, 64, (void *)ctx[3]);
	return text[0];
}

// An option of variable length is followed without a check of its own.
SEC("xdp") int options_unchecked(struct xdp_md *ctx)
{
	struct tcphdr *tcp = DATA(ctx);
	__u8 *p = (void *)(tcp + 1);

	if ((void *)(tcp + 1) > END(ctx))
		return XDP_PASS;
	for (int i = 0; i < 3; i++) {
		if ((void *)(p + 2) > END(ctx))
			return XDP_PASS;
		p += p[1];
	}
	return p[0];
}

char LICENSE[] SEC("license") = "GPL";
