/* What the cases share. A case is one C source in two builds: as an XDP program, and (-DNATIVE) as a function of the
 * machine, called with a context of two addresses. Both return the same number for the same packet. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define NOINLINE static __attribute__((noinline))

#ifdef NATIVE

struct xdp_md {
	u64 data, data_end;
};
#define PROGRAM(name) int name(struct xdp_md *ctx)

static u64 prandom_state = 88172645463325252ULL;
static inline u32 bpf_get_prandom_u32(void)
{
	u64 x = prandom_state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	prandom_state = x;
	return x * 2685821657736338717ULL >> 32;
}

#else

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
#define SEC(name) __attribute__((section(name), used))
#define PROGRAM(name) SEC("xdp") int name(struct xdp_md *ctx)
#define __uint(name, value) int (*name)[value]
#define __type(name, value) __typeof__(value) *name

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PROG_ARRAY = 3, BPF_MAP_TYPE_LRU_HASH = 9,
       BPF_MAP_TYPE_LPM_TRIE = 11, BPF_MAP_TYPE_QUEUE = 22 };
enum { BPF_F_NO_PREALLOC = 1 };

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static long (*const bpf_map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*const bpf_map_pop_elem)(void *map, void *value) = (void *)88;
static long (*const bpf_tail_call)(void *ctx, void *prog_array, u32 index) = (void *)12;

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#endif

/* The packet, of which the first `need` bytes are there. */
#define PACKET(need)                               \
	u8 *p = (u8 *)(unsigned long)ctx->data;    \
	u8 *end = (u8 *)(unsigned long)ctx->data_end; \
	if (p + (need) > end)                      \
		return -1;

/* A generator in the packet itself, which nobody restores between runs: the next of mask + 1 numbers. The state is at
 * byte 0, the mask at byte 4. */
static inline u32 next_number(u8 *p)
{
	u32 seed = *(u32 *)p * 1664525u + 1013904223u;

	*(u32 *)p = seed;
	return seed >> 16 & *(u32 *)(p + 4);
}
