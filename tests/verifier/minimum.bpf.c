// SPDX-License-Identifier: Apache-2.0
// Programs whose first kernel is publicly known; test_profiles_minimum.py says which.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define noinline __attribute__((noinline))

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} uring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 16);
	__uint(value_size, 8);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct locked {
	struct bpf_spin_lock lock;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

struct timed {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timed);
} timers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

__u64 global;

SEC("xdp") int global_variable(struct xdp_md *ctx)
{
	return global++ & 1;
}

SEC("xdp") int bounded_loop(struct xdp_md *ctx)
{
	int sum = 0;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 10; i++)
		asm volatile("%0 += 1" : "+r"(sum));
	return sum & 1;
}

SEC("xdp") int spin_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	if (v) {
		bpf_spin_lock(&v->lock);
		v->count++;
		bpf_spin_unlock(&v->lock);
	}
	return 0;
}

SEC("kprobe/do_unlinkat") int probe_read_kernel(void *ctx)
{
	__u64 x = 0;

	bpf_probe_read_kernel(&x, sizeof(x), ctx);
	return x & 1;
}

SEC("xdp") int ring_buffer(struct xdp_md *ctx)
{
	__u64 x = 1;

	return bpf_ringbuf_output(&ring, &x, sizeof(x), 0) ? 1 : 2;
}

SEC("xdp") int boot_time(struct xdp_md *ctx)
{
	return bpf_ktime_get_boot_ns() & 1;
}

static noinline int helper_function(struct __sk_buff *ctx)
{
	return bpf_get_prandom_u32() & 1;
}

SEC("tc") int tail_call_and_functions(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &jumps, 1);
	return helper_function(ctx);
}

SEC("xdp") int atomic_fetch(struct xdp_md *ctx)
{
	return __sync_fetch_and_add(&global, 1) & 1;
}

SEC("xdp") int atomic_exchange(struct xdp_md *ctx)
{
	return __sync_val_compare_and_swap(&global, 1, 2) & 1;
}

noinline int sum_of(__u64 *value)
{
	return value ? *(volatile __u64 *)value : 0;
}

SEC("xdp") int memory_for_global_function(struct xdp_md *ctx)
{
	__u64 x = 3;

	return sum_of(&x) & 1;
}

noinline int read_of(__u64 *value __arg_nonnull)
{
	return *(volatile __u64 *)value;
}

SEC("xdp") int nonnull_for_global_function(struct xdp_md *ctx)
{
	__u64 x = 3;

	return read_of(&x) & 1;
}

SEC("xdp") int index_into_stack(struct xdp_md *ctx)
{
	volatile char text[16] = {};

	return text[ctx->rx_queue_index & 15];
}

static long each(void *map, const void *key, void *value, void *ctx)
{
	return 0;
}

SEC("xdp") int for_each_element(struct xdp_md *ctx)
{
	bpf_for_each_map_elem(&counts, each, 0, 0);
	return 2;
}

static int fired(void *map, int *key, struct timed *value)
{
	return 0;
}

SEC("tc") int timer(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct timed *v = bpf_map_lookup_elem(&timers, &key);

	if (v) {
		bpf_timer_init(&v->timer, &timers, 1);
		bpf_timer_set_callback(&v->timer, fired);
	}
	return 0;
}

SEC("xdp") int bloom_filter(struct xdp_md *ctx)
{
	__u64 x = 1;

	return bpf_map_push_elem(&bloom, &x, 0) ? 1 : 2;
}

static int step(__u32 i, void *ctx)
{
	return 0;
}

SEC("xdp") int bpf_loop_helper(struct xdp_md *ctx)
{
	bpf_loop(10, step, 0, 0);
	return 2;
}

SEC("xdp") int string_compare(struct xdp_md *ctx)
{
	char text[4] = "abc";

	return bpf_strncmp(text, sizeof(text), "abc") ? 1 : 2;
}

SEC("xdp.frags") int fragments(struct xdp_md *ctx)
{
	return 2;
}

SEC("xdp") int xdp_load(struct xdp_md *ctx)
{
	char text[4];

	return bpf_xdp_load_bytes(ctx, 0, text, sizeof(text)) ? 1 : 2;
}

SEC("tc") int dynptr_of_ring_buffer(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &d);
	bpf_ringbuf_discard_dynptr(&d, 0);
	return 0;
}

static long record(struct bpf_dynptr *d, void *ctx)
{
	return 0;
}

SEC("tc") int user_ring_buffer(struct __sk_buff *ctx)
{
	bpf_user_ringbuf_drain(&uring, record, 0, 0);
	return 0;
}

SEC("tp_btf/task_newtask") int task_by_number(__u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tp_btf/task_newtask") int rcu_section(__u64 *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc") int dynptr_of_packet(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;

	bpf_dynptr_from_skb(ctx, 0, &d);
	return 0;
}

SEC("tc") int open_coded_iterator(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int sum = 0, *v;

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		sum += *v;
	bpf_iter_num_destroy(&it);
	return sum & 1;
}

SEC("xdp") int signed_division(struct xdp_md *ctx)
{
	register __u64 out asm("r0") = ctx->rx_queue_index;

	asm volatile(".8byte 0x0000000200010037" : "+r"(out));  // r0 s/= 2
	return out;
}

SEC("xdp") int may_goto_loop(struct xdp_md *ctx)
{
	int sum = 0;

	asm volatile(".8byte 0x00000000000000e5");
	return sum;
}

SEC("tc") int preemption(struct __sk_buff *ctx)
{
	bpf_preempt_disable();
	bpf_preempt_enable();
	return 0;
}

SEC("tp_btf/task_newtask") int storage_of_task(__u64 *ctx)
{
	__u64 *v = bpf_task_storage_get(&of_task, (void *)ctx[0], 0, 1);

	return v ? 1 : 0;
}

SEC("tp_btf/task_newtask") int typed_tracepoint(__u64 *ctx)
{
	return 0;
}

SEC("lsm/file_open") int security_hook(__u64 *ctx)
{
	return 0;
}

SEC("lsm.s/file_open") int sleepable_hook(__u64 *ctx)
{
	return 0;
}

SEC("netfilter") int netfilter_hook(void *ctx)
{
	return 1;
}

SEC("kprobe.multi/do_unlinkat") int many_probes(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
