"""Functions of the kernel that programs may be attached to, where BTF alone does not tell: LSM hooks that may sleep, that
are closed to programs, or that answer a truth value; functions that must not be traced.

From documentation and public lists; loading such programs is not permitted everywhere, so these rows were not asked.
"""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# names without "bpf_lsm_"
LSM_SLEEPABLE: Final = _names("""
    bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_prog_free bpf_token_create bpf_token_free
    bpf_token_cmd bpf_token_capable bprm_check_security bprm_committed_creds bprm_committing_creds
    bprm_creds_for_exec bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open
    file_post_open file_receive inode_create inode_free_security inode_getattr inode_getxattr inode_mknod
    inode_need_killpriv inode_post_setxattr inode_post_removexattr inode_readlink inode_removexattr inode_rename
    inode_rmdir inode_setattr inode_setxattr inode_symlink inode_unlink kernel_module_request kernel_read_file
    kernfs_init_security key_free mmap_file netlink_send path_notify release_secctx sb_alloc_security
    sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts sb_show_options sb_statfs sb_umount settime
    socket_accept socket_bind socket_connect socket_create socket_getpeername socket_getpeersec_dgram
    socket_getsockname socket_getsockopt socket_listen socket_post_create socket_recvmsg socket_sendmsg
    socket_shutdown socket_socketpair syslog task_alloc task_prctl task_setscheduler task_to_inode userns_create
    file_mprotect inode_file_setattr inode_file_getattr
    """)
# arguments are not trusted: the object is being made or torn down
LSM_UNTRUSTED: Final = _names("""
    bpf_map_free bpf_prog_free file_alloc_security file_free_security sk_alloc_security sk_free_security task_free
    """)
LSM_DISABLED: Final = _names("""
    vm_enough_memory inode_need_killpriv inode_getsecurity inode_listsecurity inode_copy_up_xattr getselfattr
    getprocattr setprocattr ismaclabel key_getsecurity audit_rule_match
    """)
LSM_BOOL: Final = _names("audit_rule_known inode_xattr_skipcap")

# functions that tracing programs would break
TRACE_DENIED: Final = _names("""
    migrate_disable migrate_enable rcu_read_unlock_strict preempt_count_add preempt_count_sub __rcu_read_lock
    __rcu_read_unlock
    """)
# functions that do not return: nothing can run at their exit
NORETURN: Final = _names("""
    do_exit do_group_exit kthread_complete_and_exit kthread_exit make_task_dead __x64_sys_exit __x64_sys_exit_group
    """)
# exits may be changed although they answer no error injection
FMOD_RET: Final = _names("bpf_modify_return_test bpf_modify_return_test2 bpf_modify_return_test_tp bpf_fentry_test1")
FMOD_RET_SLEEPABLE: Final = _names("bpf_fentry_test1")
# error injection is allowed, but the caller may be atomic
INJECTION_ATOMIC: Final = _names("__filemap_add_folio should_fail_alloc_page should_failslab")

# bpf_d_path takes locks, so only these functions (and iterators, and LSM hooks that may sleep) may call it
D_PATH: Final = _names("""
    security_file_permission security_inode_getattr security_file_open security_path_truncate vfs_truncate
    vfs_fallocate dentry_open vfs_getattr filp_close
    """)
