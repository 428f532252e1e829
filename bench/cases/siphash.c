/* SipHash-2-4 of four messages of 64 bytes. */
#include "bench.h"

static inline u64 rotl(u64 x, u32 n)
{
	return x << n | x >> (64 - n);
}

#define ROUND                                                                         \
	do {                                                                          \
		v0 += v1; v1 = rotl(v1, 13); v1 ^= v0; v0 = rotl(v0, 32);             \
		v2 += v3; v3 = rotl(v3, 16); v3 ^= v2;                                \
		v0 += v3; v3 = rotl(v3, 21); v3 ^= v0;                                \
		v2 += v1; v1 = rotl(v1, 17); v1 ^= v2; v2 = rotl(v2, 32);             \
	} while (0)

PROGRAM(siphash)
{
	PACKET(256 + 16)
	u64 k0 = *(u64 *)(p + 256), k1 = *(u64 *)(p + 264), sum = 0;

	for (u32 m = 0; m < 4; m++) {
		u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
		u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;

		for (u32 i = 0; i < 8; i++) {
			u64 w = *(u64 *)(p + m * 64 + i * 8);

			v3 ^= w;
			ROUND;
			ROUND;
			v0 ^= w;
		}
		v3 ^= 64ULL << 56;
		ROUND;
		ROUND;
		v0 ^= 64ULL << 56;
		v2 ^= 0xff;
		ROUND;
		ROUND;
		ROUND;
		ROUND;
		sum += v0 ^ v1 ^ v2 ^ v3;
	}
	return (u32)(sum ^ sum >> 32);
}
