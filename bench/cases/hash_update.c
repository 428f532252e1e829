/* Look a flow up, then write it. */
#include "flow.h"

PROGRAM(hash_update)
{
	struct flow key;
	u64 count = 1;

	PACKET(24)
	flow_of(p, &key);
	u64 *value = bpf_map_lookup_elem(&flows, &key);

	if (value)
		count += *value;
	return bpf_map_update_elem(&flows, &key, &count, 0) ? 0 : 7;
}
