// SPDX-License-Identifier: Apache-2.0
// Firewall: drops IPv4 packets whose source lies in a blocked prefix; the longest matching prefix decides and counts.
// A hash map holds the prefixes by (length, network), and `lengths` says which lengths occur, so that a packet looks up
// only those, from the longest to the shortest.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum rule_action { RULE_ALLOW = 0, RULE_BLOCK = 1 };

struct prefix {
	__u32 length;
	__u32 network; /* host order, the bits behind the prefix are zero */
};

struct rule {
	__u32 action; /* enum rule_action */
	__u32 pad;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct prefix);
	__type(value, struct rule);
} rules SEC(".maps");

__u64 lengths;        /* bit n: a prefix of n bits is in `rules` */
__u64 packets_ok;
__u64 packets_blocked;

static __always_inline struct rule *match(__u32 addr)
{
	__u64 present = lengths;

	for (int length = 32; length >= 0; length--) {
		struct prefix key = { .length = length };
		struct rule *rule;

		if (!(present & 1ULL << length))
			continue;
		key.network = length ? addr & ~0U << (32 - length) : 0;
		rule = bpf_map_lookup_elem(&rules, &key);
		if (rule)
			return rule;
	}
	return 0;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct rule *rule;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	rule = match(bpf_ntohl(ip->saddr));
	if (rule) {
		__sync_fetch_and_add(&rule->packets, 1);
		__sync_fetch_and_add(&rule->bytes, end - data);
		if (rule->action == RULE_BLOCK) {
			__sync_fetch_and_add(&packets_blocked, 1);
			return XDP_DROP;
		}
	}
	__sync_fetch_and_add(&packets_ok, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
