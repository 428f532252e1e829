/* A counter in an array map. */
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

PROGRAM(array)
{
	u32 key = 2;
	u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (!value)
		return 0;
	*value += 1;
	return 7;
}
