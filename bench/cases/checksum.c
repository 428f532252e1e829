/* The Internet checksum of 1 KiB, 16 bits at a time. */
#include "bench.h"

PROGRAM(checksum)
{
	u32 sum = 0;

	PACKET(1024)
	for (u32 i = 0; i < 512; i++)
		sum += *(u16 *)(p + i * 2);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}
