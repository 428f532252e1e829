/* SPDX-License-Identifier: Apache-2.0 */
#ifndef USERBPF_LINUX_ICMP_H
#define USERBPF_LINUX_ICMP_H
#include <linux/types.h>
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
struct icmphdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	union {
		struct {
			__be16 id;
			__be16 sequence;
		} echo;
		__be32 gateway;
	} un;
};
#endif
