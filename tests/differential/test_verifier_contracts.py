"""Global functions that take structures of the kernel and dynptrs; tail calls of functions; casts of sockets.

Logs are compared with Linux's. The texts that are named here are Linux 6.18.44's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from userbpf import linux
from userbpf.errors import BpfError
from userbpf.loader import Object

REASON = linux.available()
NO_TYPES = "no kernel's BTF to know structures from"
pytestmark = pytest.mark.skipif(not os.path.exists("/sys/kernel/btf/vmlinux"), reason=NO_TYPES)

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define TAG(text) __attribute__((btf_decl_tag("arg:" text)))
struct task_struct { int pid; } __attribute__((preserve_access_index));
struct task_struct___mine { int pid; } __attribute__((preserve_access_index));
struct pt_regs { long ip; };
struct other { int n; };
extern int bpf_dynptr_from_skb(struct __sk_buff *, __u64, struct bpf_dynptr *) __ksym;
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __uint(value_size, 4); }
    jumps SEC(".maps");
#define GLOBAL __attribute__((noinline))

GLOBAL int surely(struct task_struct *t TAG("trusted")) { return t->pid; }
GLOBAL int perhaps(struct task_struct___mine *t TAG("trusted") TAG("nullable")) { return t ? t->pid : 7; }
GLOBAL int hopes(struct task_struct___mine *t TAG("trusted") TAG("nullable")) { return t->pid; }
GLOBAL int reads(struct bpf_dynptr *d) { char b[4] = {}; bpf_dynptr_read(b, 4, d, 0, 0); return b[1]; }
GLOBAL int clones(struct bpf_dynptr *d) { bpf_dynptr_write(d, 0, "x", 1, 0); return 0; }
GLOBAL int regs(struct pt_regs *c TAG("ctx")) { asm volatile("" :: "r"(c)); return 1; }
GLOBAL int strange(struct other *c TAG("ctx")) { asm volatile("" :: "r"(c)); return 1; }
GLOBAL int word(__u64 *c TAG("ctx")) { asm volatile("" :: "r"(c)); return 1; }
GLOBAL int hop(struct __sk_buff *c) { bpf_tail_call(c, &jumps, 0); return 1; }
static __attribute__((noinline)) int skip(struct __sk_buff *c) { bpf_tail_call(c, &jumps, 0); return 1; }

SEC("kprobe/x") int given_task(void *c) { return surely((void *)bpf_get_current_task_btf()); }
SEC("kprobe/x") int given_number(void *c) { return surely((void *)bpf_get_prandom_u32() + 1); }
SEC("kprobe/x") int given_null(void *c) { return surely(0); }
SEC("kprobe/x") int null_is_fine(void *c) { return perhaps(0) + perhaps((void *)bpf_get_current_task_btf()); }
SEC("kprobe/x") int body_forgets(void *c) { return hopes((void *)bpf_get_current_task_btf()); }
SEC("kprobe/x") int other_memory(void *c) { int n = 3; return perhaps((void *)&n); }
SEC("kprobe/x") int gives_ctx(void *c) { return regs(c); }
SEC("kprobe/x") int no_ctx(void *c) { int n = 1; return regs((void *)&n); }
SEC("kprobe/x") int strange_probe(void *c) { return strange(c); }
SEC("xdp") int strange_xdp(void *c) { return strange(c); }
SEC("tp/x/y") int strange_tracepoint(void *c) { return strange(c); }
SEC("tp_btf/sys_enter") int strange_tracing(void *c) { return strange(c); }
SEC("tp_btf/sys_enter") int words(void *c) { return word(c); }
SEC("iter/task") int words_iter(void *c) { return word(c); }
SEC("raw_tp") int words_raw(void *c) { return word(c); }
SEC("tc") int dynptr(struct __sk_buff *c) { struct bpf_dynptr d; bpf_dynptr_from_skb(c, 0, &d); return reads(&d); }
SEC("tc") int no_dynptr(struct __sk_buff *c) { long n[2] = {}; return reads((void *)n); }
SEC("tc") int dynptr_null(struct __sk_buff *c) { return reads(0); }
SEC("tc") int changes(struct __sk_buff *c) { struct bpf_dynptr d; bpf_dynptr_from_skb(c, 0, &d); return clones(&d); }
#define AFTER(name, call) SEC("tc") int name(struct __sk_buff *c) { \\
    char *p = (void *)(long)c->data; \\
    if (p + 1 > (char *)(long)c->data_end) return 0; \\
    int n = call(c); \\
    return n + *p; }
AFTER(packet_after_static, skip)
AFTER(packet_after_global, hop)
SEC("tc") int twice(struct __sk_buff *c) { return skip(c) + skip(c); }
#define LOOKED_UP(name, end) SEC("tc") int name(struct __sk_buff *c) { \\
    struct bpf_sock_tuple t = {}; \\
    void *s = bpf_sk_lookup_tcp(c, &t, sizeof(t.ipv4), 0, 0); \\
    if (!s) return 0; \\
    char *cast = (char *)bpf_skc_to_tcp_sock(s); \\
    end }
LOOKED_UP(released_cast, bpf_sk_release(s); return cast ? *cast : 0;)
LOOKED_UP(release_by_cast, bpf_sk_release(cast ? (void *)cast : s); return 1;)
extern int bpf_xdp_pull_data(struct xdp_md *, __u32) __ksym;
GLOBAL int pulls(struct xdp_md *c) { return bpf_xdp_pull_data(c, 4); }
static __attribute__((noinline)) int pull(struct xdp_md *c) { return bpf_xdp_pull_data(c, 4); }
#define PULLED(name, call) SEC("xdp") int name(struct xdp_md *c) { \\
    char *p = (void *)(long)c->data; \\
    if (p + 1 > (char *)(long)c->data_end) return 0; \\
    return call ? 1 : *p; }
PULLED(packet_after_pull, bpf_xdp_pull_data(c, 4))
PULLED(packet_after_static_pull, pull(c))
PULLED(packet_after_global_pull, pulls(c))
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
GLOBAL int sleeps(int n) { char b[4] = {}; bpf_copy_from_user(b, n & 3, 0); return b[0]; }
GLOBAL int sleeps_later(int n) { return n > 9 ? 9 : sleeps(n); }
SEC("syscall") int free_to_sleep(void *c) { return sleeps_later(3); }
SEC("syscall") int sleep_unpreempted(void *c) { bpf_preempt_disable(); sleeps(3); bpf_preempt_enable(); return 0; }
SEC("syscall") int sleep_in_rcu(void *c) { bpf_rcu_read_lock(); sleeps_later(3); bpf_rcu_read_unlock(); return 0; }
SEC("kprobe/x") int never_sleeps(void *c) { return sleeps(2); }
char LICENSE[] SEC("license") = "GPL";
"""
WORDS = {
    "given_task": "Func#1 ('surely') is global and assumed valid.",
    "given_number": "R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_",
    "given_null": "R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_",
    "null_is_fine": "R1=trusted_ptr_or_null_task_struct(",
    "body_forgets": "R1 invalid mem access 'trusted_ptr_or_null_'",
    "other_memory": "R1 type=fp expected=ptr_, trusted_ptr_, rcu_ptr_",
    "gives_ctx": "Func#1 ('regs') is global and assumed valid.",
    "no_ctx": "arg#0 expects pointer to ctx",
    "strange_probe": "arg#0 should be `struct pt_regs *`",
    "strange_xdp": "arg#0 should be `struct xdp_md *`",
    "strange_tracepoint": "Func#1 ('strange') is global and assumed valid.",
    "strange_tracing": "arg#0 should be void pointer",
    "words": "Func#1 ('word') is global and assumed valid.",
    "words_iter": "arg#0 should be void pointer",
    "words_raw": "Func#1 ('word') is global and assumed valid.",
    "dynptr": "Validating reads() func#1...",
    "no_dynptr": "Expected an initialized dynptr as arg #0",
    "dynptr_null": "arg#0 expected pointer to stack or const struct bpf_dynptr",
    "changes": "Validating clones() func#1...",
    "packet_after_static": "R6 invalid mem access 'scalar'",
    "packet_after_global": "R6 invalid mem access 'scalar'",
    "released_cast": "invalid mem access 'scalar'",
    "release_by_cast": "call bpf_sk_release#86",
    "twice": "returning from callee:",
    "packet_after_pull": "invalid mem access 'scalar'",
    "packet_after_static_pull": "invalid mem access 'scalar'",
    "packet_after_global_pull": "invalid mem access 'scalar'",
    "free_to_sleep": "Func#1 ('sleeps_later') is global and assumed valid.",
    "sleep_unpreempted": "a non-sleepable BPF program context",
    "sleep_in_rcu": "a non-sleepable BPF program context",
    "never_sleeps": "a non-sleepable BPF program context",
}
GOOD = [
    "release_by_cast",
    "given_task",
    "null_is_fine",
    "gives_ctx",
    "strange_tracepoint",
    "words",
    "words_raw",
    "dynptr",
    "changes",
    "twice",
    "free_to_sleep",
]
ADDRESS = re.compile(r"(\(18\) r\d+ = )0x[0-9a-f]+ *")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("c") / "contracts.bpf.c"
    path.write_text(SOURCE)
    return path


def answer(path: Path, transport: str, name: str) -> tuple[int, list[str]]:
    with Object.open(path).load(transport, progs=()) as obj:
        try:
            err, log = 0, obj.load_prog(name, 2).log
        except BpfError as e:
            err, log = e.errno or -1, e.log
    return err, [ADDRESS.sub(r"\1<map> ", line) for line in (log or "").splitlines()]


@pytest.mark.parametrize("name", WORDS)
def test_words(source: Path, name: str) -> None:
    err, log = answer(source, "user", name)
    assert WORDS[name] in "\n".join(log)
    assert bool(err) == (name not in GOOD)


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("name", WORDS)
def test_linux_says_the_same(source: Path, name: str) -> None:
    assert answer(source, "user", name) == answer(source, "linux", name)
