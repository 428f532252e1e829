/* 16 helper calls. */
#include "bench.h"

PROGRAM(prandom)
{
	u32 sum = 0;

	for (u32 i = 0; i < 16; i++)
		sum ^= bpf_get_prandom_u32() & 0xff;
	return sum & 0x100;
}
