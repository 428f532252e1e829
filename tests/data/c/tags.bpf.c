#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define TAG(x) __attribute__((btf_decl_tag("arg:" #x)))
#define NOINLINE __attribute__((noinline))
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
struct task_struct { int pid; } __attribute__((preserve_access_index));
struct own { int x; int y; };
struct no_such { int x; };
NOINLINE int task_u(struct task_struct *t TAG(untrusted)) { return t->pid; }
NOINLINE int own_u(struct no_such *t TAG(untrusted)) { return t->x; }
NOINLINE int int_u(int *t TAG(untrusted)) { return t[2]; }
NOINLINE int char_u(char *t TAG(untrusted)) { return t[-2]; }
NOINLINE int void_u(void *t TAG(untrusted)) { return *(u32 *)t; }
NOINLINE int pp_u(void **t TAG(untrusted)) { return !!t[0]; }
NOINLINE int num_u(int t TAG(untrusted)) { return t; }
NOINLINE int both_u(struct task_struct *t TAG(untrusted) TAG(nullable)) { return t->pid; }
NOINLINE int trusted_u(struct task_struct *t TAG(untrusted) TAG(trusted)) { return t->pid; }
NOINLINE int nonnull_u(int *t TAG(untrusted) TAG(nonnull)) { return *t; }
NOINLINE int write_u(int *t TAG(untrusted)) { *t = 1; return 0; }
NOINLINE int writes_u(struct task_struct *t TAG(untrusted)) { t->pid = 1; return 0; }
NOINLINE int arena_a(void *p TAG(arena)) { asm volatile("" : "+r"(p)); return 0; }
NOINLINE int arena_num(u64 p TAG(arena)) { asm volatile("" : "+r"(p)); return 0; }
NOINLINE int arena_both(void *p TAG(arena) TAG(nonnull)) { asm volatile("" : "+r"(p)); return 0; }
NOINLINE int arena_struct(struct own *p TAG(arena)) { return p->x; }
NOINLINE int strange(int *p TAG(wonderful)) { return *p; }
NOINLINE int strange_num(int p TAG(wonderful)) { return p; }
NOINLINE int nullable_num(int p TAG(nullable)) { return p; }
NOINLINE int ctx_nonnull(void *p TAG(ctx) TAG(nonnull)) { return !!p; }
NOINLINE int trusted_nonnull(struct task_struct *p TAG(trusted) TAG(nonnull)) { return p->pid; }
NOINLINE int trusted_ctx(struct task_struct *p TAG(trusted) TAG(ctx)) { return p->pid; }
NOINLINE int trusted_int(int *p TAG(trusted)) { return *p; }
NOINLINE int trusted_no_such(struct no_such *p TAG(trusted)) { return p->x; }
struct { __uint(type, BPF_MAP_TYPE_ARENA); __uint(map_flags, BPF_F_MMAPABLE); __uint(max_entries, 4); __ulong(map_extra, 0x2ull << 44); } pages SEC(".maps");
SEC("tc") int call_task(struct __sk_buff *c) { int x = 1; return task_u((void *)bpf_get_current_task()); }
SEC("tc") int call_task_stack(struct __sk_buff *c) { int x = 1; return task_u((void *)&x); }
SEC("tc") int call_task_ctx(struct __sk_buff *c) { return task_u((void *)c); }
SEC("tc") int call_task_null(struct __sk_buff *c) { return task_u(0); }
SEC("tc") int call_own(struct __sk_buff *c) { return own_u((void *)c); }
SEC("tc") int call_int(struct __sk_buff *c) { return int_u((void *)c); }
SEC("tc") int call_char(struct __sk_buff *c) { return char_u((void *)c); }
SEC("tc") int call_void(struct __sk_buff *c) { return void_u((void *)c); }
SEC("tc") int call_void_map(struct __sk_buff *c) { return void_u(&pages); }
SEC("tc") int call_pp(struct __sk_buff *c) { return pp_u((void *)c); }
SEC("tc") int call_num(struct __sk_buff *c) { return num_u(5); }
SEC("tc") int call_both(struct __sk_buff *c) { return both_u((void *)c); }
SEC("tc") int call_trusted_u(struct __sk_buff *c) { return trusted_u((void *)c); }
SEC("tc") int call_nonnull_u(struct __sk_buff *c) { return nonnull_u((void *)c); }
SEC("tc") int call_write(struct __sk_buff *c) { return write_u((void *)c); }
SEC("tc") int call_writes(struct __sk_buff *c) { return writes_u((void *)c); }
SEC("tc") int call_arena(struct __sk_buff *c) { return arena_a((void *)5); }
SEC("tc") int call_arena_ctx(struct __sk_buff *c) { return arena_a((void *)c); }
SEC("tc") int call_arena_map(struct __sk_buff *c) { return arena_a((void *)&pages); }
SEC("tc") int call_arena_num(struct __sk_buff *c) { return arena_num(5); }
SEC("tc") int call_arena_both(struct __sk_buff *c) { return arena_both((void *)5); }
SEC("tc") int call_arena_struct(struct __sk_buff *c) { return arena_struct((void *)5); }
SEC("tc") int call_strange(struct __sk_buff *c) { int x = 1; return strange(&x); }
SEC("tc") int call_strange_num(struct __sk_buff *c) { return strange_num(5); }
SEC("tc") int call_nullable_num(struct __sk_buff *c) { return nullable_num(5); }
SEC("tc") int call_ctx_nonnull(struct __sk_buff *c) { return ctx_nonnull(c); }
SEC("tc") int call_trusted_nonnull(struct __sk_buff *c) { return trusted_nonnull((void *)c); }
SEC("tc") int call_trusted_ctx(struct __sk_buff *c) { return trusted_ctx((void *)c); }
SEC("tc") int call_trusted_int(struct __sk_buff *c) { int x = 1; return trusted_int(&x); }
SEC("tc") int call_trusted_no_such(struct __sk_buff *c) { int x = 1; return trusted_no_such((void *)&x); }
char LICENSE[] SEC("license") = "GPL";
#define KEEP(v) ({ int _v = (v); asm volatile("" : "+r"(_v)); _v; })
NOINLINE int num_u2(int t TAG(untrusted)) { return KEEP(t); }
NOINLINE int strange_num2(int p TAG(wonderful)) { return KEEP(p); }
NOINLINE int nullable_num2(int p TAG(nullable)) { return KEEP(p); }
SEC("tc") int call_num2(struct __sk_buff *c) { return num_u2(5); }
SEC("tc") int call_strange_num2(struct __sk_buff *c) { return strange_num2(5); }
SEC("tc") int call_nullable_num2(struct __sk_buff *c) { return nullable_num2(5); }
struct bpf_dynptr;
NOINLINE int dyn_nonnull(struct bpf_dynptr *p TAG(nonnull)) { return KEEP(1) + !!p; }
SEC("tc") int call_dyn_nonnull(struct __sk_buff *c) { return dyn_nonnull((void *)c); }
NOINLINE int sk(struct __sk_buff *p TAG(nonnull)) { return KEEP(1) + !!p; }
SEC("tc") int call_sk_nonnull(struct __sk_buff *c) { return sk((void *)c); }
NOINLINE int sk_ctx(struct __sk_buff *p TAG(ctx)) { return p->len; }
SEC("tc") int call_sk_ctx(struct __sk_buff *c) { return sk_ctx((void *)c); }
NOINLINE int anon_trusted(void *p TAG(trusted)) { return KEEP(1) + !!p; }
SEC("tc") int call_anon_trusted(struct __sk_buff *c) { return anon_trusted((void *)c); }
NOINLINE int null_trusted(struct task_struct *p TAG(trusted) TAG(nullable)) { return p ? p->pid : 0; }
SEC("tc") int call_null_trusted(struct __sk_buff *c) { return null_trusted(0); }
NOINLINE int arena_null(int *p TAG(arena) TAG(nullable)) { return KEEP(1) + !!p; }
SEC("tc") int call_arena_null(struct __sk_buff *c) { return arena_null((void*)5); }
static NOINLINE int stat(int *p TAG(wonderful)) { return KEEP(*p); }
SEC("tc") int call_static(struct __sk_buff *c) { int x = 1; return stat(&x); }
NOINLINE int flavor_u(struct task_struct___x *p TAG(untrusted)) { return KEEP(1) + !!p; }
SEC("tc") int call_flavor(struct __sk_buff *c) { return flavor_u((void*)c); }
struct sk_buff___y { int len; } __attribute__((preserve_access_index));
NOINLINE int flavor_y(struct sk_buff___y *p TAG(untrusted)) { return KEEP(1) + !!p; }
SEC("tc") int call_flavor_y(struct __sk_buff *c) { return flavor_y((void*)c); }
union uu { int a; };
NOINLINE int un_u(union uu *p TAG(untrusted)) { return KEEP(1) + !!p; }
SEC("tc") int call_un(struct __sk_buff *c) { return un_u((void*)c); }
NOINLINE int arr_u(int (*p)[4] TAG(untrusted)) { return (*p)[1]; }
SEC("tc") int call_arr(struct __sk_buff *c) { return arr_u((void*)c); }
NOINLINE int fun_u(int (*p)(void) TAG(untrusted)) { return KEEP(1) + !!p; }
SEC("tc") int call_fun(struct __sk_buff *c) { return fun_u((void*)c); }
SEC("tc") int call_static2(struct __sk_buff *c) { int x = 1; return stat(&x) + stat(&x); }
static NOINLINE int many(int a, int b, int c, int d, int e) { return KEEP(a+b+c+d+e); }
static NOINLINE int *ret_p(int a) { int *p = (void*)(long)KEEP(a); return p; }
SEC("tc") int call_ret_p(struct __sk_buff *c) { return !!ret_p(c->len); }
SEC("tc") int call_ret_p2(struct __sk_buff *c) { return !!ret_p(c->len) + !!ret_p(c->mark); }
