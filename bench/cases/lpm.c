/* The longest of 10k prefixes. */
#include "bench.h"

struct prefix {
	u32 len, addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, u64);
} routes SEC(".maps");

PROGRAM(lpm)
{
	struct prefix key = { .len = 32 };

	PACKET(24)
	key.addr = __builtin_bswap32(10u << 24 | next_number(p) << 8 | 1);
	u64 *value = bpf_map_lookup_elem(&routes, &key);

	return value ? 7 : 0;
}
