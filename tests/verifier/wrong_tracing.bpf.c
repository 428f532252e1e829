// SPDX-License-Identifier: Apache-2.0
// Wrong tracing programs and kernel pointers; test_explain_tracing.py says how they are explained.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CORE __attribute__((preserve_access_index))
struct cgroup;
struct mm_struct {
	unsigned long total_vm;
} CORE;
struct css_set {
	struct cgroup *dfl_cgrp;
} CORE;
struct nsproxy;
struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *last_wakee;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
} CORE;
struct path;
struct dentry;
struct inode {
	unsigned long i_ino;
	unsigned int i_uid;
} CORE;
struct file {
	struct inode *f_inode;
	unsigned int f_flags;
} CORE;

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_copy_from_user_str(void *dst, __u32 size, const void *from, __u64 flags) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} slot SEC(".maps");

// A kernel pointer of a kprobe's registers is followed as in the kernel.
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

SEC("kprobe/do_unlinkat") int kprobe_follows_pointer(struct pt_regs *ctx)
{
	struct file *f = (void *)ctx->di;

	return f->f_flags;
}

// bpf_get_current_task() is a number.
SEC("kprobe/do_unlinkat") int current_task_followed(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	return t->pid;
}

// A tracepoint's record has no such field.
SEC("tracepoint/syscalls/sys_enter_write") int tracepoint_past_record(__u64 *ctx)
{
	return ctx[1100];
}

// A field of the kernel's own structure is written.
SEC("fentry/do_unlinkat") int writes_kernel_memory(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	t->pid = 1;
	return 0;
}

// An argument that the function has not.
SEC("fentry/bpf_fentry_test1") int argument_too_many(__u64 *ctx)
{
	return ctx[7];
}

// A pointer found by walking is handed to a kernel function.
SEC("tp_btf/task_newtask") int walked_pointer_to_kfunc(__u64 *ctx)
{
	struct task_struct *t = (void *)ctx[0], *kept;

	kept = bpf_task_acquire(t->last_wakee);
	if (kept)
		bpf_task_release(kept);
	return 0;
}

// An RCU pointer is used outside of a section.
SEC("lsm.s/file_open") int rcu_outside(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *kept;

	kept = bpf_task_acquire(t->real_parent);
	if (kept)
		bpf_task_release(kept);
	return 0;
}

// ... or after the section ended.
SEC("lsm.s/file_open") int rcu_after_unlock(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf(), *parent, *kept;

	bpf_rcu_read_lock();
	parent = t->real_parent;
	bpf_rcu_read_unlock();
	kept = bpf_task_acquire(parent);
	if (kept)
		bpf_task_release(kept);
	return 0;
}

// The section is left by a return.
SEC("lsm.s/file_open") int rcu_never_unlocked(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	bpf_rcu_read_lock();
	if (t->pid == 1)
		return 0;
	bpf_rcu_read_unlock();
	return 0;
}

SEC("lsm.s/file_open") int rcu_unlocked_twice(__u64 *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	bpf_rcu_read_unlock();
	return 0;
}

// What a kernel function acquired may be NULL.
SEC("tp_btf/task_newtask") int acquired_may_be_null(__u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	bpf_printk("%d", t->pid);
	bpf_task_release(t);
	return 0;
}

SEC("tp_btf/task_newtask") int acquired_and_kept(__u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (!t)
		return 0;
	return t->pid == 3;
}

SEC("tp_btf/task_newtask") int used_after_release(__u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1), *again;

	if (!t)
		return 0;
	bpf_task_release(t);
	again = bpf_task_acquire(t);
	if (again)
		bpf_task_release(again);
	return 0;
}

SEC("tp_btf/task_newtask") int released_what_is_borrowed(__u64 *ctx)
{
	struct task_struct *t = (void *)ctx[0];

	bpf_task_release(t);
	return 0;
}

// May sleep, but the program does not.
SEC("fentry/bpf_fentry_test1") int sleeps_in_atomic(__u64 *ctx)
{
	char text[8];

	bpf_copy_from_user(text, sizeof(text), (void *)8);
	return 0;
}

SEC("lsm.s/file_open") int sleeps_in_rcu(__u64 *ctx)
{
	char text[8];

	bpf_rcu_read_lock();
	bpf_copy_from_user(text, sizeof(text), (void *)8);
	bpf_rcu_read_unlock();
	return 0;
}

// A helper that tracing programs have not.
SEC("kprobe/do_unlinkat") int helper_of_networking(struct pt_regs *ctx)
{
	return bpf_skb_load_bytes(ctx, 0, ctx, 4);
}

// A kernel function that this type may not call.
extern int bpf_dynptr_from_xdp(struct xdp_md *x, __u64 flags, struct bpf_dynptr *ptr) __ksym;

SEC("fentry/bpf_fentry_test1") int kfunc_of_xdp(__u64 *ctx)
{
	struct bpf_dynptr d;

	bpf_dynptr_from_xdp((void *)ctx, 0, &d);
	return 0;
}

// Where nothing may sleep.
SEC("fentry.s/bpf_fentry_test2") int sleepable_where_nothing_sleeps(__u64 *ctx)
{
	return 0;
}

// A pointer that bpf_probe_read_kernel copied is followed.
SEC("kprobe/do_unlinkat") int copied_pointer_followed(struct pt_regs *ctx)
{
	struct inode *i;

	bpf_probe_read_kernel(&i, sizeof(i), (void *)ctx->di);
	return i->i_ino;
}

// A field that this kernel's structure has not, or not as a number.
SEC("lsm/file_open") int field_of_another_kernel(__u64 *ctx)
{
	struct file *f = (void *)ctx[0];

	return f->f_inode->i_uid == 7 ? -1 : 0;
}

// fmod_ret of a function that does not allow it.
SEC("fmod_ret/do_unlinkat") int changes_any_result(__u64 *ctx)
{
	return 0;
}

// A string's address where the buffer should be.
SEC("lsm/file_open") int lsm_returns_positive(__u64 *ctx)
{
	return 1;
}

// A structure's member of another size.
SEC("lsm/file_open") int past_the_structure(__u64 *ctx)
{
	struct file *f = (void *)ctx[0];

	return *(volatile __u32 *)((char *)f + 100000) ? 0 : -1;
}

// Untrusted text for a helper that wants memory.
SEC("lsm/file_open") int kernel_pointer_as_buffer(__u64 *ctx)
{
	__u32 key = 0;
	struct file *f = (void *)ctx[0];

	return bpf_map_update_elem(&slot, &key, f->f_inode, 0) ? -1 : 0;
}

// The key is the kernel's own memory.
SEC("fentry/bpf_fentry_test1") int context_moved(__u64 *ctx)
{
	__u32 i = bpf_get_prandom_u32() & 1;

	return ctx[i];
}

char LICENSE[] SEC("license") = "GPL";
