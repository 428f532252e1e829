/* A flow's key, of which the packet holds one and the generator makes 64k. */
#include "bench.h"

#ifndef FLOWS_TYPE
#define FLOWS_TYPE BPF_MAP_TYPE_HASH
#endif

struct flow {
	u32 saddr, daddr;
	u16 sport, dport;
	u8 proto, pad[3];
};

static inline void flow_of(u8 *p, struct flow *key)
{
	key->saddr = *(u32 *)(p + 8) + next_number(p);
	key->daddr = *(u32 *)(p + 12);
	key->sport = *(u16 *)(p + 16);
	key->dport = *(u16 *)(p + 18);
	key->proto = p[20];
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

struct {
	__uint(type, FLOWS_TYPE);
	__uint(max_entries, 131072);
	__type(key, struct flow);
	__type(value, u64);
} flows SEC(".maps");
