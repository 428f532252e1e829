// SPDX-License-Identifier: Apache-2.0
// TC classifier: sorts packets into classes by DSCP and port, marks them with the class, and drops telnet.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum traffic_class { CLASS_BULK, CLASS_DEFAULT, CLASS_INTERACTIVE, CLASS_VOICE, CLASS_CNT };

struct class_stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLASS_CNT);
	__type(key, __u32);
	__type(value, struct class_stats);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u16);   /* destination port */
	__type(value, __u32); /* enum traffic_class */
} ports SEC(".maps");

static __always_inline __u32 class_of(struct __sk_buff *skb, struct iphdr *ip)
{
	__u8 dscp = ip->tos >> 2;
	__be16 port_be;
	__u16 port;
	__u32 *class;

	if (dscp == 46)
		return CLASS_VOICE;
	if (dscp == 8)
		return CLASS_BULK;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return CLASS_DEFAULT;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + ip->ihl * 4 + 2, &port_be, sizeof(port_be)))
		return CLASS_DEFAULT;
	port = bpf_ntohs(port_be);
	if (port == 23)
		return CLASS_CNT;
	class = bpf_map_lookup_elem(&ports, &port);
	return class ? *class : CLASS_DEFAULT;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct class_stats *stats;
	__u32 class = CLASS_DEFAULT;

	if ((void *)(ip + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IP))
		class = class_of(skb, ip);
	if (class >= CLASS_CNT)
		return TC_ACT_SHOT;
	skb->mark = class;
	stats = bpf_map_lookup_elem(&classes, &class);
	if (stats) {
		stats->packets++;
		stats->bytes += skb->len;
	}
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
