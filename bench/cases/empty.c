#include "bench.h"

PROGRAM(empty)
{
	return 2;
}
