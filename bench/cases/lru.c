/* As hash.c, in a table that forgets. */
#define FLOWS_TYPE BPF_MAP_TYPE_LRU_HASH
#include "flow.h"

PROGRAM(lru)
{
	struct flow key;

	PACKET(24)
	flow_of(p, &key);
	u64 *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return 0;
	*value += 1;
	return 7;
}
