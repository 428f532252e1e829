// SPDX-License-Identifier: Apache-2.0
// Programs that Linux refuses, each with a mistake that people make; test_explain.py says how they are explained.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct event {
	__u32 a;
	__u64 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, char[64]);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u32 limit = 3;

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx) ((void *)(long)(ctx)->data_end)

SEC("xdp") int never_compared(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);

	return eth->h_proto == bpf_htons(ETH_P_IP) ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int compared_too_little(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(eth + 1) > END(ctx))
		return XDP_PASS;
	return ip->protocol == 6 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int wrong_branch(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);

	if ((void *)(eth + 1) <= END(ctx))
		return XDP_PASS;
	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int packet_moved(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);

	if ((void *)(eth + 1) > END(ctx))
		return XDP_PASS;
	bpf_xdp_adjust_head(ctx, -14);
	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int compared_before_offset(struct xdp_md *ctx)
{
	struct ethhdr *eth = DATA(ctx);
	struct iphdr *ip = (void *)(eth + 1);
	__u8 *l4;

	if ((void *)(ip + 1) > END(ctx))
		return XDP_PASS;
	l4 = (void *)ip + (ip->ihl & 15) * 4;
	return *l4;
}

SEC("xdp") int no_null_check(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	*value += 1;
	return XDP_PASS;
}

SEC("xdp") int other_null_check(struct xdp_md *ctx)
{
	__u32 key = 1, other = 2;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);
	__u64 *second = bpf_map_lookup_elem(&counts, &other);

	if (!second)
		return XDP_PASS;
	return *value;
}

SEC("xdp") int pointer_in_map(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 **value = (void *)bpf_map_lookup_elem(&counts, &key);

	return value ? **value : 0;
}

SEC("xdp") int on_null_branch(struct xdp_md *ctx)
{
	__u32 key = 1;
	volatile __u64 *value = bpf_map_lookup_elem(&counts, &key);

	if (value)
		return XDP_PASS;
	return *value;
}

SEC("xdp") int signed_index(struct xdp_md *ctx)
{
	__u32 key = 1;
	char *value = bpf_map_lookup_elem(&table, &key);
	int i = ctx->rx_queue_index;

	if (!value || i > 7)
		return XDP_PASS;
	return value[i];
}

SEC("xdp") int index_too_large(struct xdp_md *ctx)
{
	__u32 key = 1;
	char *value = bpf_map_lookup_elem(&table, &key);
	__u32 i = ctx->rx_queue_index;

	if (!value || i > 64)
		return XDP_PASS;
	return value[i];
}

SEC("xdp") int index_unbounded(struct xdp_md *ctx)
{
	__u32 key = 1;
	char *value = bpf_map_lookup_elem(&table, &key);

	if (!value)
		return XDP_PASS;
	return value[ctx->rx_queue_index];
}

SEC("xdp") int unknown_field(struct xdp_md *ctx)
{
	return *(volatile __u32 *)((char *)ctx + 40);
}

SEC("xdp") int field_read_only(struct xdp_md *ctx)
{
	ctx->ingress_ifindex = 3;
	return XDP_PASS;
}

SEC("xdp") int half_a_pointer(struct xdp_md *ctx)
{
	return *(volatile __u16 *)&ctx->data;
}

SEC("socket") int helper_of_another_type(struct __sk_buff *ctx)
{
	return bpf_xdp_adjust_head((void *)ctx, 1);
}

SEC("xdp") int number_for_pointer(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&counts, (void *)5L) ? 1 : 0;
}

SEC("xdp") int write_constants(struct xdp_md *ctx)
{
	*(volatile __u32 *)&limit = 5;
	return XDP_PASS;
}

SEC("xdp") int event_kept(struct xdp_md *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_PASS;
	if (ctx->rx_queue_index > 3)
		return XDP_DROP;
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}

SEC("xdp") int event_after_submit(struct xdp_md *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_PASS;
	bpf_ringbuf_submit(e, 0);
	return e->a;
}

SEC("xdp") int event_too_far(struct xdp_md *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return XDP_PASS;
	e[1].b = 7;
	bpf_ringbuf_submit(e, 0);
	return XDP_PASS;
}

SEC("xdp") int never_ends(struct xdp_md *ctx)
{
	volatile int i = 0;

	for (;;) {
		if (i > 10)
			i = 0;
	}
	return XDP_PASS;
}

SEC("xdp") int too_many_branches(struct xdp_md *ctx)
{
	volatile __u64 a = 0, b = 0;

	for (__u32 i = 0; i < 100000; i++) {
		if (bpf_get_prandom_u32() > 5)
			a = i;
		if (bpf_get_prandom_u32() & 3)
			b = i;
	}
	return a + b;
}

static __attribute__((noinline)) int inner(int n)
{
	volatile char buffer[300];

	buffer[n & 255] = 1;
	return buffer[3];
}

SEC("xdp") int large_stack(struct xdp_md *ctx)
{
	volatile char buffer[300];

	buffer[ctx->rx_queue_index & 255] = 1;
	return inner(buffer[3]) + buffer[2];
}

SEC("cgroup_skb/egress") int wrong_return(struct __sk_buff *ctx)
{
	return ctx->len;
}

SEC("xdp") int zero_size(struct xdp_md *ctx)
{
	char text[16] = {};
	__u32 n = ctx->rx_queue_index;

	if (n > 16)
		return XDP_PASS;
	return bpf_trace_printk(text, n);
}

SEC("xdp") int context_for_memory(struct xdp_md *ctx)
{
	return bpf_map_update_elem(&counts, ctx, ctx, BPF_ANY);
}

SEC("xdp") int clobbered(struct xdp_md *ctx)
{
	int out;

	asm volatile("call 7; %0 = r1" : "=r"(out) : : "r0", "r1", "r2", "r3", "r4", "r5");
	return out;
}

SEC("xdp") int pointer_multiplied(struct xdp_md *ctx)
{
	long out = (long)DATA(ctx);

	asm volatile("%0 *= 2" : "+r"(out));
	return *(char *)out;
}

SEC("lwt_in") int write_to_packet(struct __sk_buff *ctx)
{
	__u8 *data = DATA(ctx);

	if ((void *)(data + 1) > END(ctx))
		return 0;
	*data = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
