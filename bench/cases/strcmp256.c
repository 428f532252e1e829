/* Compare two strings of 255 characters, byte by byte. */
#include "bench.h"

PROGRAM(strcmp256)
{
	PACKET(512)

	for (u32 i = 0; i < 256; i++) {
		u8 a = p[i], b = p[256 + i];

		if (a != b)
			return a < b ? -1 : 1;
		if (!a)
			return i;
	}
	return 1000;
}
