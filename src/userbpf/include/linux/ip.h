/* SPDX-License-Identifier: Apache-2.0 */
#ifndef USERBPF_LINUX_IP_H
#define USERBPF_LINUX_IP_H
#include <linux/types.h>
struct iphdr {
	__u8 ihl : 4, version : 4; /* little endian, as BPF objects for bpfel are */
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__sum16 check;
	__be32 saddr;
	__be32 daddr;
};
#endif
