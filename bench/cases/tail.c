/* 16 tail calls, each of this program itself; the index is the constant 0. */
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} programs SEC(".maps");

PROGRAM(tail)
{
	PACKET(8)
	if (p[0] >= 16) {
		p[0] = 0;
		return 7;
	}
	p[0]++;
	bpf_tail_call(ctx, &programs, 0);
	return 0;
}
