"""Programs that run on the pages of an arena: on both engines as on Linux."""

from __future__ import annotations

from pathlib import Path

import pytest

from userbpf.kernel import Kernel
from userbpf.loader import Object

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define A __attribute__((address_space(1)))
#define USED(map) ({ void *m = &map; asm volatile("" : "+r"(m)); })
struct { __uint(type, BPF_MAP_TYPE_ARENA); __uint(map_flags, BPF_F_MMAPABLE); __uint(max_entries, 40); } pages SEC(".maps");
extern A void *bpf_arena_alloc_pages(void *map, A void *addr, __u32 cnt, int node, __u64 flags) __ksym;
extern void bpf_arena_free_pages(void *map, A void *ptr, __u32 cnt) __ksym;
extern int bpf_arena_reserve_pages(void *map, A void *ptr, __u32 cnt) __ksym;
struct node { struct node A *next; long v; };
int A counter = 5;
struct node A *head;
long got;
SEC("tc") int add(struct __sk_buff *c) { USED(pages); counter += 1; return __sync_fetch_and_add(&counter, 2); }
SEC("syscall") int push(void *c) {
  for (int i = 1; i <= 10; i++) {
    struct node A *n = bpf_arena_alloc_pages(&pages, 0, 1, -1, 0);
    if (!n) return 1;
    n->v = i; n->next = head; head = n;
  }
  return 0;
}
SEC("syscall") int sum(void *c) {
  struct node A *n = head;
  USED(pages);
  got = 0;
  for (int i = 0; i < 100 && n; i++) { got += n->v; n = n->next; }
  return 0;
}
SEC("syscall") int drop(void *c) { bpf_arena_free_pages(&pages, head, 1); return 0; }
SEC("syscall") int lost(void *c) {
  volatile long A *p = (volatile long A *)(long)head;
  USED(pages);
  p += 40 * 512;
  *p = 7;
  long old = __sync_fetch_and_add(p, 30);
  got = *p + old * 100;
  return 0;
}
SEC("syscall") int hold(void *c) { return bpf_arena_reserve_pages(&pages, head, 1); }
SEC("syscall") int all(void *c) { return bpf_arena_alloc_pages(&pages, 0, 40, -1, 0) ? 1 : 0; }
char LICENSE[] SEC("license") = "GPL";
"""


def told(obj: Object) -> list[int]:
    """What the programs leave behind, one after the other."""
    bss, shared = obj.data[".bss"], obj.data[".addr_space.1"]
    out = [obj.progs["add"].run(bytes(64)).retval, shared["counter"]]
    shared["counter"] = 100
    out += [obj.progs["add"].run(bytes(64)).retval, obj.progs["all"].run().retval]
    for name in ("push", "sum", "lost", "hold", "drop", "sum", "hold", "hold"):
        out += [obj.progs[name].run().retval, bss["got"]]
    return out


# as Linux 6.18.44 told it
EXPECTED = [
    *(6, 8, 101, 0, 0, 0, 0, 55, 0, 3000, (1 << 32) - 16, 3000),
    *(0, 3000, 0, 0, 0, 0, (1 << 32) - 16, 0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "arena_runs.bpf.c"
    found.write_text(SOURCE)
    return found


@pytest.mark.parametrize("interpret", [False, True], ids=["jit", "interpreter"])
def test_as_linux(path: Path, interpret: bool) -> None:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("kernel functions are found in the kernel's BTF")
    with Object.open(path).load(kernel=Kernel(interpret_only=interpret)) as obj:
        assert told(obj) == EXPECTED
