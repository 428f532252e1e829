/* A value into a queue and out again. */
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1024);
	__type(value, u64);
} waiting SEC(".maps");

PROGRAM(queue)
{
	PACKET(24)
	u64 value = next_number(p);

	if (bpf_map_push_elem(&waiting, &value, 0))
		return 0;
	return bpf_map_pop_elem(&waiting, &value) ? 0 : 7;
}
