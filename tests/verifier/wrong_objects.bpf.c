// SPDX-License-Identifier: Apache-2.0
// Wrong use of dynptrs, iterators, locks, timers, kptrs and what must be released; test_explain_objects.py has the rest.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define CORE __attribute__((preserve_access_index))
#define __kptr __attribute__((btf_type_tag("kptr")))

struct task_struct {
	int pid;
} CORE;

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *s, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 size) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct locked {
	struct bpf_spin_lock lock;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

struct timed {
	struct bpf_timer timer;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct timed);
} timers SEC(".maps");

struct other_timers {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct other_timers);
} timers2 SEC(".maps");

struct kept {
	struct task_struct __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kept);
} tasks SEC(".maps");

// --- dynptrs
SEC("tc") int slice_unchecked(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	char buffer[8];
	char *p;

	bpf_dynptr_from_skb(ctx, 0, &d);
	p = bpf_dynptr_slice(&d, 0, buffer, sizeof(buffer));
	return *p;
}

SEC("tc") int slice_too_far(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	char buffer[8];
	char *p;

	bpf_dynptr_from_skb(ctx, 0, &d);
	p = bpf_dynptr_slice(&d, 0, buffer, sizeof(buffer));
	return p ? p[8] : 0;
}

SEC("tc") int slice_after_change(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	char buffer[8];
	char *p;

	bpf_dynptr_from_skb(ctx, 0, &d);
	p = bpf_dynptr_slice(&d, 0, buffer, sizeof(buffer));
	if (!p)
		return 0;
	bpf_skb_pull_data(ctx, 20);
	return *p;
}

SEC("tc") int dynptr_kept(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	__u64 value = 1;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d);
	bpf_dynptr_write(&d, 0, &value, sizeof(value), 0);
	if (ctx->len > 10)
		return TC_ACT_OK;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return TC_ACT_OK;
}

SEC("tc") int dynptr_kept_on_failure(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;

	if (bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d))
		return TC_ACT_OK;
	bpf_ringbuf_submit_dynptr(&d, 0);
	return TC_ACT_OK;
}

SEC("tc") int dynptr_data_after_submit(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	__u64 *p;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d);
	p = bpf_dynptr_data(&d, 0, 8);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return p ? *p : 0;
}

SEC("tc") int dynptr_overwritten(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	__u64 value = 1;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &d);
	*(volatile __u64 *)&d = 7;
	bpf_dynptr_write(&d, 0, &value, sizeof(value), 0);
	bpf_ringbuf_submit_dynptr(&d, 0);
	return TC_ACT_OK;
}

SEC("tc") int dynptr_uninitialised(struct __sk_buff *ctx)
{
	struct bpf_dynptr d = {};
	__u64 value = 1;

	bpf_dynptr_write(&d, 0, &value, sizeof(value), 0);
	return TC_ACT_OK;
}

// --- iterators
SEC("tc") int iterator_kept(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int *v;

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it))) {
		if (*v == 3)
			return TC_ACT_OK;
	}
	bpf_iter_num_destroy(&it);
	return TC_ACT_OK;
}

SEC("tc") int iterator_value_unchecked(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int out;

	bpf_iter_num_new(&it, 0, 10);
	out = *bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return out;
}

SEC("tc") int iterator_never_made(struct __sk_buff *ctx)
{
	struct bpf_iter_num it = {};

	bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc") int iterator_destroyed_twice(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

__u64 sums[16];

SEC("tc") int iterator_index_grows(struct __sk_buff *ctx)
{
	struct bpf_iter_num it;
	int i = 0, *v;

	bpf_iter_num_new(&it, 0, 16);
	while ((v = bpf_iter_num_next(&it)))
		sums[i++] = *v;
	bpf_iter_num_destroy(&it);
	return 0;
}

// --- locks
SEC("tc") int lock_kept(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	if (v->count > 10)
		return 1;
	v->count++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int call_while_locked(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->count = bpf_ktime_get_ns();
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int locked_twice(struct __sk_buff *ctx)
{
	__u32 key = 0, other = 1;
	struct locked *v = bpf_map_lookup_elem(&locks, &key), *w = bpf_map_lookup_elem(&locks, &other);

	if (!v || !w)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_lock(&w->lock);
	bpf_spin_unlock(&w->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int unlocks_another(struct __sk_buff *ctx)
{
	__u32 key = 0, other = 1;
	struct locked *v = bpf_map_lookup_elem(&locks, &key), *w = bpf_map_lookup_elem(&locks, &other);

	if (!v || !w)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&w->lock);
	return 0;
}

SEC("tc") int unlocks_unlocked(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	if (!v)
		return 0;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int lock_read(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	return v ? *(volatile __u32 *)&v->lock : 0;
}

SEC("kprobe/do_unlinkat") int lock_in_probe(void *ctx)
{
	__u32 key = 0;
	struct locked *v = bpf_map_lookup_elem(&locks, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc") int preemption_off(struct __sk_buff *ctx)
{
	bpf_preempt_disable();
	if (ctx->len > 3)
		return 0;
	bpf_preempt_enable();
	return 0;
}

// --- timers
static int on_timer(void *map, int *key, struct timed *value)
{
	value->count++;
	return 1;
}

SEC("tc") int timer_callback_returns(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct timed *v = bpf_map_lookup_elem(&timers, &key);

	if (!v)
		return 0;
	bpf_timer_init(&v->timer, &timers, 1);
	bpf_timer_set_callback(&v->timer, on_timer);
	bpf_timer_start(&v->timer, 1000, 0);
	return 0;
}

SEC("tc") int timer_of_another_map(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct timed *v = bpf_map_lookup_elem(&timers, &key);

	if (!v)
		return 0;
	bpf_timer_init(&v->timer, &timers2, 1);
	return 0;
}

SEC("tc") int timer_on_stack(struct __sk_buff *ctx)
{
	struct bpf_timer t = {};

	bpf_timer_init(&t, &timers, 1);
	return 0;
}

// --- kptrs
SEC("tp_btf/task_newtask") int kptr_stored_plainly(__u64 *ctx)
{
	__u32 key = 0;
	struct kept *v = bpf_map_lookup_elem(&tasks, &key);

	if (v)
		v->task = (void *)ctx[0];
	return 0;
}

SEC("tp_btf/task_newtask") int kptr_old_kept(__u64 *ctx)
{
	__u32 key = 0;
	struct kept *v = bpf_map_lookup_elem(&tasks, &key);
	struct task_struct *t, *old;

	if (!v)
		return 0;
	t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	bpf_kptr_xchg(&v->task, t);
	return 0;
}

SEC("tp_btf/task_newtask") int kptr_of_borrowed(__u64 *ctx)
{
	__u32 key = 0;
	struct kept *v = bpf_map_lookup_elem(&tasks, &key);
	struct task_struct *old;

	if (!v)
		return 0;
	old = bpf_kptr_xchg(&v->task, (void *)ctx[0]);
	if (old)
		bpf_task_release(old);
	return 0;
}

SEC("lsm.s/file_open") int kptr_read_without_rcu(__u64 *ctx)
{
	__u32 key = 0;
	struct kept *v = bpf_map_lookup_elem(&tasks, &key);
	struct task_struct *t;

	if (!v)
		return 0;
	t = v->task;
	if (!t)
		return 0;
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
	return 0;
}

// --- references
SEC("tc") int socket_kept(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);

	return sk ? 1 : 0;
}

SEC("tc") int socket_released_unchecked(struct __sk_buff *ctx)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);

	bpf_sk_release(sk);
	return 0;
}

SEC("tc") int event_submitted_moved(struct __sk_buff *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 16, 0);

	if (!e)
		return 0;
	e++;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tc") int event_size_unknown(struct __sk_buff *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, ctx->len, 0);

	if (e)
		bpf_ringbuf_discard(e, 0);
	return 0;
}

SEC("tc") int tail_call_with_reference(struct __sk_buff *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 16, 0);
	int n = ctx->len;

	if (!e)
		return 0;
	if (n > 100)
		n = bpf_redirect(1, 0);
	*e = n;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
