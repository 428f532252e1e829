// SPDX-License-Identifier: Apache-2.0
// A program without the licence that its helpers ask for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/do_unlinkat") int not_gpl(void *ctx)
{
	return bpf_get_current_task() == 0;
}

char LICENSE[] SEC("license") = "Proprietary";
