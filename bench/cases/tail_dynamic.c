/* 16 tail calls, each of this program itself; the index comes from the packet. */
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} programs SEC(".maps");

PROGRAM(tail_dynamic)
{
	PACKET(8)
	if (p[0] >= 16) {
		p[0] = 0;
		return 7;
	}
	p[0]++;
	bpf_tail_call(ctx, &programs, p[1] & 3);
	return 0;
}
