// SPDX-License-Identifier: Apache-2.0
// Three programs that no kernel loads, each with a mistake that everybody makes once. `userbpf verify` says of each what
// was missing, where it was lost, and what mends it.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

/* An entry that may not be there. */
SEC("xdp")
int count_sources(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	__u32 source = ip->saddr;
	__u64 *count = bpf_map_lookup_elem(&packets, &source);

	__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}

/* A length that the packet itself tells. */
SEC("xdp")
int first_byte_of_payload(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	__u8 *payload = (void *)ip + ip->ihl * 4;

	return *payload == 0x16 ? XDP_DROP : XDP_PASS;
}

/* Pointers from before the packet was moved. */
SEC("xdp")
int strip_tunnel(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != 4)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, sizeof(*ip)))
		return XDP_DROP;
	eth->h_proto = bpf_htons(ETH_P_IP);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
