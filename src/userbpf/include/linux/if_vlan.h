/* SPDX-License-Identifier: Apache-2.0 */
#ifndef USERBPF_LINUX_IF_VLAN_H
#define USERBPF_LINUX_IF_VLAN_H
#include <linux/types.h>
#define VLAN_VID_MASK 0x0fff
struct vlan_hdr {
	__be16 h_vlan_TCI;
	__be16 h_vlan_encapsulated_proto;
};
#endif
