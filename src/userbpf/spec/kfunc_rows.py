"""The kernel functions that programs may call: their C declarations, flags and program types, as text.

A kernel function has no fixed number: a program calls it by the id of its type in the kernel's BTF. What stands here is
what that BTF says of the core ones (6.18), one declaration each, with its flags (or -) before it, and what it does not say:

    acquire        the result is a reference           release        an argument's reference ends
    ret_null       the result may be NULL              rcu, trusted   pointers must be protected, or trusted
    sleep          only in programs that sleep         rcu_protected  only in a section of bpf_rcu_read_lock
    iter_new, iter_next, iter_destroy                  fastcall       clobbers r0 only
    packet         may move packet data

Suffixes of parameter names are the kernel's: `__sz` the size of the parameter before (`__szk` a constant one), `__k` a
constant, `__ign` not checked, `__uninit` a dynptr to be made, `__nullable` and `__opt` may be NULL, `__str` a constant string,
`__map` the map of the object before, `__prog` filled in by the verifier.

Program types were asked of Linux 6.18 by loading one program each; flags are those of the kernel's documentation.
"""

from __future__ import annotations

from typing import Final

from userbpf.abi.enums import ProgType

_P = ProgType
_NOT_BY_NAME: Final = {_P.UNSPEC, _P.LIRC_MODE2, _P.EXT}
_ANY: Final = frozenset(set(ProgType) - _NOT_BY_NAME)
_TRACE: Final = frozenset({_P.PERF_EVENT, _P.TRACEPOINT, _P.TRACING, _P.LSM, _P.STRUCT_OPS, _P.SYSCALL})
_TRACING: Final = frozenset({_P.TRACING})
_CGROUP: Final = frozenset(
    {
        _P.CGROUP_DEVICE,
        _P.CGROUP_SKB,
        _P.CGROUP_SOCK,
        _P.CGROUP_SOCKOPT,
        _P.CGROUP_SOCK_ADDR,
        _P.CGROUP_SYSCTL,
        _P.SOCK_OPS,
    }
)
_COMMON: Final = _TRACE | _CGROUP | {_P.SCHED_CLS, _P.XDP}
_TC: Final = frozenset({_P.SCHED_CLS, _P.SCHED_ACT})
_CLS: Final = frozenset({_P.SCHED_CLS})
_XDP: Final = frozenset({_P.XDP})
_CLS_XDP: Final = _CLS | _XDP
_TC_XDP: Final = _TC | _XDP
_LWT: Final = frozenset({_P.LWT_IN, _P.LWT_OUT, _P.LWT_XMIT, _P.LWT_SEG6LOCAL})
_SKB: Final = (
    _TC | _CGROUP | _LWT | {_P.NETFILTER, _P.PERF_EVENT, _P.TRACEPOINT, _P.TRACING, _P.LSM, _P.SK_SKB, _P.SOCKET_FILTER}
)
_SYSCALL: Final = frozenset({_P.SYSCALL})
_LSM: Final = frozenset({_P.LSM})  # not asked
_SESSION: Final = frozenset({_P.KPROBE})  # not asked: expected attach type TRACE_KPROBE_SESSION or TRACE_UPROBE_SESSION

_STRUCT_OPS: Final = frozenset({_P.STRUCT_OPS})
_STATS: Final = frozenset({_P.TRACEPOINT, _P.PERF_EVENT, _P.TRACING})
_TEST: Final = _STATS | {_P.SCHED_CLS, _P.SYSCALL}

DECLARATIONS: Final[tuple[tuple[frozenset[ProgType], str], ...]] = (
    (
        _ANY,
        """
        - void __bpf_trap();
        trusted,sleep void *bpf_arena_alloc_pages(void *p__map, void *addr__ign, u32 page_cnt, int node_id, u64
            flags);
        trusted,sleep void bpf_arena_free_pages(void *p__map, void *ptr__ign, u32 page_cnt);
        trusted,sleep int bpf_arena_reserve_pages(void *p__map, void *ptr__ign, u32 page_cnt);
        fastcall void *bpf_cast_to_kern_ctx(void *obj);
        rcu int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name__str, struct bpf_dynptr *value_p);
        sleep int bpf_copy_from_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
        sleep int bpf_copy_from_user_str(void *dst, u32 dst__sz, const void *unsafe_ptr__ign, u64 flags);
        sleep int bpf_copy_from_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void
            *unsafe_ptr__ign);
        trusted,sleep int bpf_copy_from_user_task_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void
            *unsafe_ptr__ign, struct task_struct *tsk);
        sleep int bpf_copy_from_user_task_str(void *dst, u32 dst__sz, const void *unsafe_ptr__ign, struct task_struct
            *tsk, u64 flags);
        trusted,sleep int bpf_copy_from_user_task_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void
            *unsafe_ptr__ign, struct task_struct *tsk);
        - int bpf_dynptr_adjust(const struct bpf_dynptr *p, u32 start, u32 end);
        - int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit);
        - int bpf_dynptr_copy(struct bpf_dynptr *dst_ptr, u32 dst_off, struct bpf_dynptr *src_ptr, u32 src_off, u32
            size);
        - bool bpf_dynptr_is_null(const struct bpf_dynptr *p);
        - bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p);
        - int bpf_dynptr_memset(struct bpf_dynptr *p, u32 offset, u32 size, u8 val);
        - __u32 bpf_dynptr_size(const struct bpf_dynptr *p);
        ret_null void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk);
        ret_null void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32
            buffer__szk);
        - struct kmem_cache *bpf_get_kmem_cache(u64 addr);
        iter_destroy void bpf_iter_bits_destroy(struct bpf_iter_bits *it);
        iter_new int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *unsafe_ptr__ign, u32 nr_words);
        iter_next,ret_null int *bpf_iter_bits_next(struct bpf_iter_bits *it);
        iter_destroy void bpf_iter_css_destroy(struct bpf_iter_css *it);
        trusted,rcu_protected,iter_new int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state
            *start, unsigned int flags);
        iter_next,ret_null struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it);
        iter_destroy void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it);
        trusted,iter_new int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css,
            unsigned int flags);
        iter_next,ret_null struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it);
        iter_destroy,sleep void bpf_iter_dmabuf_destroy(struct bpf_iter_dmabuf *it);
        iter_new,sleep int bpf_iter_dmabuf_new(struct bpf_iter_dmabuf *it);
        iter_next,ret_null,sleep struct dma_buf *bpf_iter_dmabuf_next(struct bpf_iter_dmabuf *it);
        iter_destroy,sleep void bpf_iter_kmem_cache_destroy(struct bpf_iter_kmem_cache *it);
        iter_new,sleep int bpf_iter_kmem_cache_new(struct bpf_iter_kmem_cache *it);
        iter_next,ret_null,sleep struct kmem_cache *bpf_iter_kmem_cache_next(struct bpf_iter_kmem_cache *it);
        iter_destroy void bpf_iter_num_destroy(struct bpf_iter_num *it);
        iter_new int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end);
        iter_next,ret_null int *bpf_iter_num_next(struct bpf_iter_num *it);
        iter_destroy void bpf_iter_task_destroy(struct bpf_iter_task *it);
        trusted,rcu_protected,iter_new int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable,
            unsigned int flags);
        iter_next,ret_null struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it);
        iter_destroy void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it);
        rcu,iter_new int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 addr);
        iter_next,ret_null struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it);
        - void bpf_local_irq_restore(unsigned long *flags__irq_flag);
        - void bpf_local_irq_save(unsigned long *flags__irq_flag);
        trusted s64 bpf_map_sum_elem_count(const struct bpf_map *map);
        - void bpf_preempt_disable();
        - void bpf_preempt_enable();
        - int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
        - int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void
            *unsafe_ptr__ign);
        - int bpf_probe_read_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
        - int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign);
        - void bpf_rcu_read_lock();
        - void bpf_rcu_read_unlock();
        fastcall void *bpf_rdonly_cast(const void *obj__ign, u32 btf_id__k);
        ret_null int bpf_res_spin_lock(struct bpf_res_spin_lock *lock);
        ret_null int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag);
        - void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock);
        - void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag);
        - int bpf_strcasecmp(const char *s1__ign, const char *s2__ign);
        - int bpf_strchr(const char *s__ign, char c);
        - int bpf_strchrnul(const char *s__ign, char c);
        - int bpf_strcmp(const char *s1__ign, const char *s2__ign);
        - int bpf_strcspn(const char *s__ign, const char *reject__ign);
        trusted int bpf_stream_vprintk_impl(int stream_id, const char *fmt__str, const void *args, u32 len__sz, void
            *aux__prog);
        - int bpf_strlen(const char *s__ign);
        - int bpf_strnchr(const char *s__ign, size_t count, char c);
        - int bpf_strnlen(const char *s__ign, size_t count);
        - int bpf_strnstr(const char *s1__ign, const char *s2__ign, size_t len);
        - int bpf_strrchr(const char *s__ign, int c);
        - int bpf_strspn(const char *s__ign, const char *accept__ign);
        - int bpf_strstr(const char *s1__ign, const char *s2__ign);
        trusted int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void
            *map__map, bpf_task_work_callback_t callback, void *aux__prog);
        trusted int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void
            *map__map, bpf_task_work_callback_t callback, void *aux__prog);
        - int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags);
        - int bpf_wq_set_callback_impl(struct bpf_wq *wq, fn *callback_fn, unsigned int flags, void *aux__prog);
        - int bpf_wq_start(struct bpf_wq *wq, unsigned int flags);
        - int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, u32 *hash, enum xdp_rss_hash_type *rss_type);
        - int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, u64 *timestamp);
        - int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *vlan_proto, u16 *vlan_tci);
    """,
    ),
    (
        _COMMON,
        """
        acquire,ret_null,rcu struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp);
        acquire,ret_null,rcu struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level);
        acquire,ret_null struct cgroup *bpf_cgroup_from_id(u64 cgid);
        release void bpf_cgroup_release(struct cgroup *cgrp);
        release void bpf_key_put(struct bpf_key *bkey);
        ret_null struct bpf_list_node *bpf_list_back(struct bpf_list_head *head);
        ret_null struct bpf_list_node *bpf_list_front(struct bpf_list_head *head);
        acquire,ret_null struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head);
        acquire,ret_null struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head);
        - int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64
            off);
        - int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64
            off);
        acquire,ret_null struct bpf_key *bpf_lookup_system_key(u64 id);
        acquire,ret_null,sleep struct bpf_key *bpf_lookup_user_key(s32 serial, u64 flags);
        release void bpf_obj_drop_impl(void *p__alloc, void *meta__ign);
        acquire,ret_null void *bpf_obj_new_impl(u64 local_type_id__k, void *meta__ign);
        release void bpf_percpu_obj_drop_impl(void *p__alloc, void *meta__ign);
        acquire,ret_null void *bpf_percpu_obj_new_impl(u64 local_type_id__k, void *meta__ign);
        - int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, fn *less, void *meta__ign, u64
            off);
        ret_null struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root);
        ret_null struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node);
        acquire,ret_null struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node);
        ret_null struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node);
        ret_null struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root);
        acquire,ret_null,rcu void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign);
        trusted int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value);
        acquire,ret_null,rcu struct task_struct *bpf_task_acquire(struct task_struct *p);
        acquire,ret_null struct task_struct *bpf_task_from_pid(s32 pid);
        acquire,ret_null struct task_struct *bpf_task_from_vpid(s32 vpid);
        acquire,ret_null,rcu struct cgroup *bpf_task_get_cgroup1(struct task_struct *task, int hierarchy_id);
        release void bpf_task_release(struct task_struct *p);
        rcu long int bpf_task_under_cgroup(struct task_struct *task, struct cgroup *ancestor);
        - void bpf_throw(u64 cookie);
    """,
    ),
    (
        _TRACE,
        """
        acquire,trusted struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask);
        rcu bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
        rcu u32 bpf_cpumask_any_and_distribute(const struct cpumask *src1, const struct cpumask *src2);
        rcu u32 bpf_cpumask_any_distribute(const struct cpumask *cpumask);
        rcu void bpf_cpumask_clear(struct bpf_cpumask *cpumask);
        rcu void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask);
        rcu void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src);
        acquire,ret_null struct bpf_cpumask *bpf_cpumask_create();
        rcu bool bpf_cpumask_empty(const struct cpumask *cpumask);
        rcu bool bpf_cpumask_equal(const struct cpumask *src1, const struct cpumask *src2);
        rcu u32 bpf_cpumask_first(const struct cpumask *cpumask);
        rcu u32 bpf_cpumask_first_and(const struct cpumask *src1, const struct cpumask *src2);
        rcu u32 bpf_cpumask_first_zero(const struct cpumask *cpumask);
        rcu bool bpf_cpumask_full(const struct cpumask *cpumask);
        rcu bool bpf_cpumask_intersects(const struct cpumask *src1, const struct cpumask *src2);
        rcu void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
        rcu int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz);
        release void bpf_cpumask_release(struct bpf_cpumask *cpumask);
        rcu void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask);
        rcu void bpf_cpumask_setall(struct bpf_cpumask *cpumask);
        rcu bool bpf_cpumask_subset(const struct cpumask *src1, const struct cpumask *src2);
        rcu u32 bpf_cpumask_weight(const struct cpumask *cpumask);
        rcu bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask);
        rcu bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *cpumask);
        rcu bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask);
        rcu void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2);
    """,
    ),
    (
        _SYSCALL,
        """
        acquire,ret_null,rcu struct bpf_crypto_ctx *bpf_crypto_ctx_acquire(struct bpf_crypto_ctx *ctx);
        acquire,ret_null,sleep struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params,
            u32 params__sz, int *err);
        release void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx);
    """,
    ),
    (
        _TC_XDP,
        """
        rcu int bpf_crypto_decrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr
            *dst, const struct bpf_dynptr *siv__nullable);
        rcu int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr
            *dst, const struct bpf_dynptr *siv__nullable);
    """,
    ),
    (
        _CLS_XDP,
        """
        trusted int bpf_ct_change_status(struct nf_conn *nfct, u32 status);
        trusted int bpf_ct_change_timeout(struct nf_conn *nfct, u32 timeout);
        acquire,ret_null,release struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *nfct_i);
        release void bpf_ct_release(struct nf_conn *nfct);
        trusted int bpf_ct_set_nat_info(struct nf_conn___init *nfct, union nf_inet_addr *addr, int port, enum
            nf_nat_manip_type manip);
        trusted int bpf_ct_set_status(const struct nf_conn___init *nfct, u32 status);
        trusted void bpf_ct_set_timeout(struct nf_conn___init *nfct, u32 timeout);
        acquire,ret_null struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb_ctx, struct bpf_sock_tuple
            *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
        acquire,ret_null struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb_ctx, struct bpf_sock_tuple
            *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
        acquire,ret_null struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *xdp_ctx, struct bpf_sock_tuple
            *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
        acquire,ret_null struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *xdp_ctx, struct bpf_sock_tuple
            *bpf_tuple, u32 tuple__sz, struct bpf_ct_opts *opts, u32 opts__sz);
    """,
    ),
    (
        _SKB,
        """
        trusted int bpf_dynptr_from_skb(struct __sk_buff *s, u64 flags, struct bpf_dynptr *ptr__uninit);
    """,
    ),
    (
        _TC,
        """
        trusted int bpf_dynptr_from_skb_meta(struct __sk_buff *skb_, u64 flags, struct bpf_dynptr *ptr__uninit);
    """,
    ),
    (
        _XDP,
        """
        - int bpf_dynptr_from_xdp(struct xdp_md *x, u64 flags, struct bpf_dynptr *ptr__uninit);
        acquire,ret_null struct xfrm_state *bpf_xdp_get_xfrm_state(struct xdp_md *ctx, struct bpf_xfrm_state_opts
            *opts, u32 opts__sz);
        packet int bpf_xdp_pull_data(struct xdp_md *x, u32 len);
        release void bpf_xdp_xfrm_state_release(struct xfrm_state *x);
    """,
    ),
    (
        _SESSION,
        """
        - __u64 *bpf_session_cookie();
        - bool bpf_session_is_return();
    """,
    ),
    (
        _LSM,
        """
        trusted,sleep int bpf_get_dentry_xattr(struct dentry *dentry, const char *name__str, struct bpf_dynptr
            *value_p);
        trusted,sleep int bpf_get_file_xattr(struct file *file, const char *name__str, struct bpf_dynptr *value_p);
        acquire,ret_null,trusted struct file *bpf_get_task_exe_file(struct task_struct *task);
        trusted int bpf_path_d_path(const struct path *path, char *buf, size_t buf__sz);
        release void bpf_put_file(struct file *file);
        trusted,sleep int bpf_remove_dentry_xattr(struct dentry *dentry, const char *name__str);
        trusted,sleep int bpf_set_dentry_xattr(struct dentry *dentry, const char *name__str, const struct bpf_dynptr
            *value_p, int flags);
    """,
    ),
    (
        _CLS,
        """
        trusted int bpf_sk_assign_tcp_reqsk(struct __sk_buff *s, struct sock *sk, struct bpf_tcp_req_attrs *attrs, int
            attrs__sz);
    """,
    ),
    (
        _CGROUP,
        """
        - int bpf_sock_addr_set_sun_path(struct bpf_sock_addr_kern *sa_kern, const u8 *sun_path, u32 sun_path__sz);
        trusted int bpf_sock_ops_enable_tx_tstamp(struct bpf_sock_ops_kern *skops, u64 flags);
    """,
    ),
    (
        _TRACING,
        """
        trusted int bpf_sock_destroy(struct sock_common *sock);
    """,
    ),
    (
        _STRUCT_OPS,
        """
        - void bbr_cwnd_event(struct sock *sk, enum tcp_ca_event event);
        - void bbr_init(struct sock *sk);
        - void bbr_main(struct sock *sk, u32 ack, int flag, const struct rate_sample *rs);
        - u32 bbr_min_tso_segs(struct sock *sk);
        - void bbr_set_state(struct sock *sk, u8 new_state);
        - u32 bbr_sndbuf_expand(struct sock *sk);
        - u32 bbr_ssthresh(struct sock *sk);
        - u32 bbr_undo_cwnd(struct sock *sk);
        - void cubictcp_acked(struct sock *sk, const struct ack_sample *sample);
        - void cubictcp_cong_avoid(struct sock *sk, u32 ack, u32 acked);
        - void cubictcp_cwnd_event(struct sock *sk, enum tcp_ca_event event);
        - void cubictcp_init(struct sock *sk);
        - u32 cubictcp_recalc_ssthresh(struct sock *sk);
        - void cubictcp_state(struct sock *sk, u8 new_state);
        - void tcp_cong_avoid_ai(struct tcp_sock *tp, u32 w, u32 acked);
        - void tcp_reno_cong_avoid(struct sock *sk, u32 ack, u32 acked);
        - u32 tcp_reno_ssthresh(struct sock *sk);
        - u32 tcp_reno_undo_cwnd(struct sock *sk);
        - u32 tcp_slow_start(struct tcp_sock *tp, u32 acked);
    """,
    ),
    (
        _STATS,
        """
        sleep void css_rstat_flush(struct cgroup_subsys_state *css);
        - void css_rstat_updated(struct cgroup_subsys_state *css, int cpu);
    """,
    ),
    (
        _TEST,
        """
        release void bpf_kfunc_call_memb_release(struct prog_test_member *p);
        release void bpf_kfunc_call_test_release(struct prog_test_ref_kfunc *p);
    """,
    ),
)
