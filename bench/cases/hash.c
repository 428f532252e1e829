/* Count the packets of a flow that is there. */
#include "flow.h"

PROGRAM(hash)
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
