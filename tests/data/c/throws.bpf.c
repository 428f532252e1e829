// Each program is asked of Linux one by one. A handler beside a function whose only call is dead must not stand here: Linux 6.18.44
// forgets to count the handler anew when it leaves out the dead function.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define CB(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
#define NOINLINE __attribute__((noinline))
#define KEEP(v) ({ typeof(v) _v = (v); asm volatile("" : "+r"(_v)); _v; })
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
extern void bpf_throw(u64 cookie) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, u64); } arr SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");

NOINLINE int plain(u64 cookie) { return KEEP((int)cookie) & 1; }
NOINLINE int wide(u64 cookie) { return KEEP((int)cookie); }
NOINLINE int two(u64 cookie, int other) { return KEEP((int)cookie) + other; }
NOINLINE int none(void) { return KEEP(1); }
NOINLINE int pointed(u64 *cookie) { return KEEP(1) + !!cookie; }
NOINLINE int of_ctx(struct __sk_buff *c) { return c->len & 1; }
NOINLINE void nothing(u64 cookie) { KEEP(cookie); }
static NOINLINE int local(u64 cookie) { return KEEP((int)cookie) & 1; }
NOINLINE int throws(u64 cookie) { bpf_throw(1); return KEEP((int)cookie) & 1; }
static NOINLINE int thrower(u64 x) { if (x & 1) bpf_throw(x); return KEEP((int)x); }
NOINLINE int gthrower(u64 x) { if (x & 1) bpf_throw(x); return KEEP((int)x) & 1; }
NOINLINE int throws_deep(u64 cookie) { return thrower(cookie) & 1; }
NOINLINE int throws_global(u64 cookie) { return gthrower(cookie) & 1; }
NOINLINE int helps(u64 cookie) { return bpf_get_prandom_u32() & 1; }
NOINLINE int big(u64 cookie) { char b[400] = {}; asm volatile("" :: "r"(b) : "memory"); return KEEP((int)cookie) & 1; }
NOINLINE int keeps(u64 cookie) { void *r = bpf_ringbuf_reserve(&ring, 8, 0); return !!r; }
static int loop_cb(u64 i, void *ctx) { if (i == 3) bpf_throw(0); return 0; }
static int loop_cb_deep(u64 i, void *ctx) { return thrower(i) & 0; }
static int plain_cb(u64 i, void *ctx) { return 0; }
NOINLINE int loops(u64 cookie) { bpf_loop(5, plain_cb, 0, 0); return KEEP((int)cookie) & 1; }

SEC("tc") int bare(struct __sk_buff *c) { bpf_throw(0); return 0; }
SEC("cgroup_skb/egress") int bare_bad(struct __sk_buff *c) { bpf_throw(50); return 0; }
SEC("cgroup_skb/egress") int bare_unknown(struct __sk_buff *c) { bpf_throw(c->len); return 0; }
SEC("cgroup_skb/egress") int bare_good(struct __sk_buff *c) { bpf_throw(1); return 0; }
SEC("cgroup_skb/egress") int sub_unknown(struct __sk_buff *c) { return thrower(c->len) & 1; }
SEC("cgroup_skb/egress") int global_unknown(struct __sk_buff *c) { return gthrower(c->len) & 1; }
SEC("cgroup_skb/egress") CB(plain) int with(struct __sk_buff *c) { bpf_throw(50); return 0; }
SEC("cgroup_skb/egress") CB(wide) int with_wide(struct __sk_buff *c) { bpf_throw(50); return 0; }
SEC("cgroup_skb/egress") CB(plain) int with_never(struct __sk_buff *c) { return 0; }
SEC("tc") CB(two) int with_two(struct __sk_buff *c) { return 0; }
SEC("tc") CB(none) int with_none(struct __sk_buff *c) { return 0; }
SEC("tc") CB(pointed) int with_pointed(struct __sk_buff *c) { return 0; }
SEC("tc") CB(of_ctx) int with_ctx(struct __sk_buff *c) { return 0; }
SEC("tc") CB(nothing) int with_nothing(struct __sk_buff *c) { return 0; }
SEC("tc") CB(local) int with_local(struct __sk_buff *c) { return local(c->len); }
SEC("tc") CB(throws) int with_throws(struct __sk_buff *c) { return 0; }
SEC("tc") CB(throws_deep) int with_throws_deep(struct __sk_buff *c) { return 0; }
SEC("tc") CB(throws_global) int with_throws_global(struct __sk_buff *c) { return 0; }
SEC("tc") CB(helps) int with_helps(struct __sk_buff *c) { bpf_throw(5); return 0; }
SEC("tc") CB(big) int with_big(struct __sk_buff *c) { char b[200] = {}; asm volatile("" :: "r"(b) : "memory"); bpf_throw(5); return 0; }
SEC("tc") CB(keeps) int with_keeps(struct __sk_buff *c) { return 0; }
SEC("tc") CB(loops) int with_loops(struct __sk_buff *c) { return 0; }
SEC("tc") CB(plain) int calls_it(struct __sk_buff *c) { return plain(c->len); }
SEC("tc") CB(plain) CB(wide) int with_several(struct __sk_buff *c) { return 0; }
SEC("tc") CB(nobody) int with_nobody(struct __sk_buff *c) { return 0; }
SEC("tc") CB(arr) int with_map(struct __sk_buff *c) { return 0; }
SEC("tc") int in_loop(struct __sk_buff *c) { bpf_loop(5, loop_cb, 0, 0); return 0; }
SEC("tc") int in_loop_deep(struct __sk_buff *c) { bpf_loop(5, loop_cb_deep, 0, 0); return 0; }
SEC("tc") CB(plain) int in_loop_with(struct __sk_buff *c) { bpf_loop(5, loop_cb, 0, 0); return 0; }
SEC("tc") int holds(struct __sk_buff *c) { void *r = bpf_ringbuf_reserve(&ring, 8, 0); if (!r) return 0; bpf_throw(0); bpf_ringbuf_discard(r, 0); return 0; }
SEC("tc") int holds_sub(struct __sk_buff *c) { void *r = bpf_ringbuf_reserve(&ring, 8, 0); if (!r) return 0; thrower(c->len); bpf_ringbuf_discard(r, 0); return 0; }
SEC("tc") int holds_global(struct __sk_buff *c) { void *r = bpf_ringbuf_reserve(&ring, 8, 0); if (!r) return 0; gthrower(c->len); bpf_ringbuf_discard(r, 0); return 0; }
SEC("tc") int in_rcu(struct __sk_buff *c) { bpf_rcu_read_lock(); bpf_throw(0); bpf_rcu_read_unlock(); return 0; }
SEC("tc") int dead(struct __sk_buff *c) { bpf_throw(0); *(volatile int *)0 = 1; return 0; }
SEC("tc") int of_pointer(struct __sk_buff *c) { bpf_throw((u64)c); return 0; }
SEC("kprobe") int probe(void *c) { bpf_throw(0); return 0; }
SEC("xdp") int packet(void *c) { bpf_throw(2); return 0; }
char LICENSE[] SEC("license") = "GPL";
