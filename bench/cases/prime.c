/* Is a number prime? Trial division by the numbers below 300. */
#include "bench.h"

PROGRAM(prime)
{
	PACKET(8)
	u64 n = *(u64 *)p;

	for (u64 d = 2; d < 300; d++) {
		if (n % d == 0)
			return d;
	}
	return 1;
}
