/* Copy 512 bytes, 8 at a time. */
#include "bench.h"

PROGRAM(memcpy512)
{
	PACKET(1024)
	u64 *from = (u64 *)p, *to = (u64 *)(p + 512);

	for (u32 i = 0; i < 64; i++)
		to[i] = from[i];
	return p[1023];
}
