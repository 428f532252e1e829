// SPDX-License-Identifier: Apache-2.0
// SYN statistics: counts SYNs and ACKs by destination, and sends one event through a ring buffer when a destination has
// `threshold` more SYNs than ACKs.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u64 threshold = 100;

struct target {
	__be32 daddr;
	__be16 dport;
	__u16 pad;
};

struct counts {
	__u64 syns;
	__u64 acks;
	__u64 alarmed;
};

struct event {
	__u64 time_ns;
	__be32 saddr;
	__be32 daddr;
	__be16 dport;
	__u16 pad[3];
	__u64 syns;
	__u64 acks;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct target);
	__type(value, struct counts);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

__u64 lost; /* events that found no room */

SEC("xdp")
int syn_statistics(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct target key = {};
	struct counts *counts;
	struct event *event;
	struct tcphdr *tcp;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->protocol != IPPROTO_TCP || ip->ihl < 5)
		return XDP_PASS;
	tcp = (void *)ip + ip->ihl * 4;
	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
	key.daddr = ip->daddr;
	key.dport = tcp->dest;
	counts = bpf_map_lookup_elem(&targets, &key);
	if (!counts) {
		struct counts zero = {};

		bpf_map_update_elem(&targets, &key, &zero, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&targets, &key);
		if (!counts)
			return XDP_PASS;
	}
	if (tcp->syn && !tcp->ack)
		__sync_fetch_and_add(&counts->syns, 1);
	else if (tcp->ack)
		__sync_fetch_and_add(&counts->acks, 1);
	if (counts->syns < counts->acks + threshold || counts->alarmed)
		return XDP_PASS;
	counts->alarmed = 1;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return XDP_PASS;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->saddr = ip->saddr;
	event->daddr = ip->daddr;
	event->dport = tcp->dest;
	event->pad[0] = event->pad[1] = event->pad[2] = 0;
	event->syns = counts->syns;
	event->acks = counts->acks;
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
