/* Every run a flow that is not there: something else must go. */
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} recent SEC(".maps");

PROGRAM(lru_churn)
{
	PACKET(24)
	u64 key = (u64)next_number(p) << 32 | next_number(p), value = 1;

	return bpf_map_update_elem(&recent, &key, &value, 0) ? 0 : 7;
}
