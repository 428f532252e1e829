/* 128 calls in three levels: 8 of the first, 24 of the second, 96 of the third. */
#include "bench.h"

NOINLINE u32 third(u32 a, u32 b)
{
	return (a ^ b) * 2654435761u + b;
}

NOINLINE u32 second(u32 a, u32 b)
{
	a = third(a, b);
	a = third(a, b + 1);
	a = third(a, b + 2);
	return third(a, b + 3);
}

NOINLINE u32 first(u32 a, u32 b)
{
	a = second(a, b);
	a = second(a, b * 3);
	return second(a, b * 5);
}

PROGRAM(calls)
{
	PACKET(4)
	u32 a = *(u32 *)p;

	for (u32 i = 0; i < 8; i++)
		a = first(a, i);
	return a;
}
