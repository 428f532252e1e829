// SPDX-License-Identifier: Apache-2.0
// Rate limiter: a token bucket for each IPv4 source. Rate and burst are constants that the loader may set.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NSEC_PER_SEC 1000000000ULL

const volatile __u64 packets_per_second = 100;
const volatile __u64 burst = 20;

struct bucket {
	__u64 tokens; /* in units of 1 / NSEC_PER_SEC packet */
	__u64 last_ns;
	__u64 passed;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __be32);
	__type(value, struct bucket);
} buckets SEC(".maps");

SEC("xdp")
int ratelimit(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u64 now = bpf_ktime_get_ns();
	struct bucket *bucket;
	__u64 full = burst * NSEC_PER_SEC;
	__u64 elapsed;
	__be32 source;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	source = ip->saddr;
	bucket = bpf_map_lookup_elem(&buckets, &source);
	if (!bucket) {
		struct bucket fresh = { .tokens = full - NSEC_PER_SEC, .last_ns = now, .passed = 1 };

		bpf_map_update_elem(&buckets, &source, &fresh, BPF_NOEXIST);
		return XDP_PASS;
	}
	elapsed = now - bucket->last_ns;
	if (elapsed > 60 * NSEC_PER_SEC)
		elapsed = 60 * NSEC_PER_SEC;
	bucket->last_ns = now;
	bucket->tokens += elapsed * packets_per_second;
	if (bucket->tokens > full)
		bucket->tokens = full;
	if (bucket->tokens < NSEC_PER_SEC) {
		bucket->dropped++;
		return XDP_DROP;
	}
	bucket->tokens -= NSEC_PER_SEC;
	bucket->passed++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
