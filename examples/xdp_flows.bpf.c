// SPDX-License-Identifier: Apache-2.0
// Flow counter: packets and bytes of each IPv4 or IPv6 5-tuple, and the totals by protocol. Everything passes.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct flow_key {
	struct in6_addr saddr; /* an IPv4 address as ::ffff:a.b.c.d */
	struct in6_addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 family; /* 4 or 6 */
	__u16 pad;
};

struct flow_stats {
	__u64 packets;
	__u64 bytes;
	__u64 first_ns;
	__u64 last_ns;
};

struct proto_stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow_stats);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct proto_stats);
} protocols SEC(".maps");

__u64 not_ip;     /* frames that are neither IPv4 nor IPv6 */
__u64 table_full; /* flows that found no place */

static __always_inline void count_protocol(__u32 proto, __u64 bytes)
{
	struct proto_stats *stats = bpf_map_lookup_elem(&protocols, &proto);

	if (stats) {
		__sync_fetch_and_add(&stats->packets, 1);
		__sync_fetch_and_add(&stats->bytes, bytes);
	}
}

static __always_inline void map_ipv4(struct in6_addr *out, __be32 addr)
{
	out->s6_addr32[2] = bpf_htonl(0xffff);
	out->s6_addr32[3] = addr;
}

static __always_inline void count_flow(struct flow_key *key, __u64 bytes)
{
	struct flow_stats *stats = bpf_map_lookup_elem(&flows, key);
	__u64 now = bpf_ktime_get_ns();

	if (stats) {
		__sync_fetch_and_add(&stats->packets, 1);
		__sync_fetch_and_add(&stats->bytes, bytes);
		stats->last_ns = now;
	} else {
		struct flow_stats first = { .packets = 1, .bytes = bytes, .first_ns = now, .last_ns = now };

		if (bpf_map_update_elem(&flows, key, &first, BPF_NOEXIST))
			__sync_fetch_and_add(&table_full, 1);
	}
}

SEC("xdp")
int count_flows(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct flow_key key = {};
	__u64 bytes = end - data;
	int later_fragment = 0; /* only the first one has ports */
	void *l4;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;

	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->ihl < 5)
			return XDP_PASS;
		key.family = 4;
		key.proto = ip->protocol;
		map_ipv4(&key.saddr, ip->saddr);
		map_ipv4(&key.daddr, ip->daddr);
		l4 = (void *)ip + ip->ihl * 4;
		later_fragment = ip->frag_off & bpf_htons(0x1fff);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = (void *)(eth + 1);

		if ((void *)(ip6 + 1) > end)
			return XDP_PASS;
		key.family = 6;
		key.proto = ip6->nexthdr;
		key.saddr = ip6->saddr;
		key.daddr = ip6->daddr;
		l4 = ip6 + 1;
	} else {
		__sync_fetch_and_add(&not_ip, 1);
		return XDP_PASS;
	}

	if (!later_fragment && (key.proto == IPPROTO_TCP || key.proto == IPPROTO_UDP)) {
		__be16 *ports = l4;

		if ((void *)(ports + 2) <= end) {
			key.sport = ports[0];
			key.dport = ports[1];
		}
	}
	count_protocol(key.proto, bytes);
	count_flow(&key, bytes);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
