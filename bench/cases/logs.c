/* The sum of the binary logarithms of 64 words, found by branches. */
#include "bench.h"

PROGRAM(logs)
{
	u32 sum = 0;

	PACKET(256)
	for (u32 i = 0; i < 64; i++) {
		u32 v = *(u32 *)(p + i * 4), r = 0;

		if (v >= 1u << 16) {
			v >>= 16;
			r += 16;
		}
		if (v >= 1u << 8) {
			v >>= 8;
			r += 8;
		}
		if (v >= 1u << 4) {
			v >>= 4;
			r += 4;
		}
		if (v >= 1u << 2) {
			v >>= 2;
			r += 2;
		}
		if (v >= 1u << 1)
			r += 1;
		sum += r;
	}
	return sum;
}
